//! `steadfast broker` by itself: what it refuses, what survives SIGKILL, what a torn end costs.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::support::{STEADFAST, expect, expect_exit, root, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "broker::a_strange_folder_is_refused_and_not_touched",
            &[],
            strange,
        ),
        trial("broker::mistakes_on_the_command_line_are_named", &[], mistakes),
        trial("broker::a_port_that_is_taken_is_exit_3", &[], taken),
        trial(
            "broker::sigkill_under_load_loses_doubles_and_reorders_nothing",
            &[],
            sigkill,
        ),
        trial("broker::a_torn_end_is_cut_and_the_rest_is_served", &[], torn),
    ]
}

/// A running `steadfast broker`; killed with the value.
pub(crate) struct Broker {
    process: Child,
    /// `127.0.0.1:port` of node 1.
    pub(crate) server: String,
    args: Vec<String>,
}

impl Broker {
    /// Starts one on a free port, and waits until it is ready.
    pub(crate) fn start(data: &Path, more: &[&str]) -> Result<Broker, Failed> {
        let port = free_port()?.to_string();
        let args = ["broker", "--data", &data.to_string_lossy(), "--port", &port];
        let args: Vec<String> = args.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        let (process, server) = spawn(&args)?;
        Ok(Broker {
            process,
            server,
            args,
        })
    }

    /// SIGKILL, some time down, and a start with the same command.
    pub(crate) fn kill_and_start(&mut self, down: Duration) -> Result<(), Failed> {
        self.process.kill()?;
        self.process.wait()?;
        std::thread::sleep(down);
        self.start_again()
    }

    /// SIGTERM, and a start with the same command.
    pub(crate) fn stop_and_start(&mut self) -> Result<(), Failed> {
        self.terminate()?;
        self.start_again()
    }

    /// SIGTERM; it must end by itself, with 0.
    pub(crate) fn stop(mut self) -> Result<(), Failed> {
        self.terminate()
    }

    fn terminate(&mut self) -> Result<(), Failed> {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.process.wait()?;
        expect(status.success(), || format!("it ended with {status}"))
    }

    fn start_again(&mut self) -> Result<(), Failed> {
        let (process, server) = spawn(&self.args)?;
        self.process = process;
        expect(server == self.server, || {
            format!("{server} instead of {}", self.server)
        })
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ended_already = self.process.kill();
        let _reaped_already = self.process.wait();
    }
}

/// Below the ports that the kernel gives to outgoing connections: a client that dials a dead broker must not take its port.
fn free_port() -> Result<u16, Failed> {
    let first = 15_000 + std::process::id() % 10_000;
    (first..first + 2_000)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| "no free port".into())
}

fn spawn(args: &[String]) -> Result<(Child, String), Failed> {
    let mut process = Command::new(STEADFAST)
        .args(args)
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(process.stdout.take().ok_or("no stdout")?).lines();
    let mut server = None;
    while let Some(Ok(line)) = lines.next() {
        if let Some(address) = line.strip_prefix("node 1: ") {
            server = address.split(',').next().map(str::to_owned);
        }
        if line.starts_with("ready") {
            return Ok((process, server.ok_or("no address of node 1")?));
        }
    }
    let output = process.wait_with_output()?;
    Err(format!("not ready: {}", String::from_utf8_lossy(&output.stderr)).into())
}

fn strange() -> Result<(), Failed> {
    let files = [
        ("holiday.jpg", "bytes", "holiday.jpg"),
        (
            "format.json",
            "{\"format\":\"steadfast-broker\",\"version\":99}",
            "version 99",
        ),
        ("format.json", "\u{0}\u{1}", "cannot be read"),
    ];
    for (name, content, word) in files {
        let dir = temporary();
        fs::write(dir.path().join(name), content)?;
        let output = steadfast(&["broker", "--data", &dir.path().to_string_lossy(), "--port", "0"]);
        expect_exit(&output, 2)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(text.contains(word) && text.contains("mend:"), || text)?;
        let left: Vec<_> = fs::read_dir(dir.path())?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        expect(
            left == [name] && fs::read_to_string(dir.path().join(name))? == content,
            || format!("changed: {left:?}"),
        )?;
    }
    Ok(())
}

fn mistakes() -> Result<(), Failed> {
    let dir = temporary();
    let data = dir.path().join("data");
    let data = data.to_string_lossy();
    for (more, word) in [
        (&["--nodes", "3", "--port", "1,2"][..], "--port"),
        (&["-X", "log.dirs=/tmp"][..], "does not model log.dirs"),
        (&["-X", "min.insync.replicas=none"][..], "a number"),
        (&["--nodes", "0"][..], "--nodes"),
    ] {
        let output = steadfast(&[&["broker", "--data", &data], more].concat());
        expect_exit(&output, 2)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(text.contains(word), || text)?;
    }
    expect(!dir.path().join("data").exists(), || "a folder was made".into())
}

fn taken() -> Result<(), Failed> {
    let dir = temporary();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let port = listener.local_addr()?.port().to_string();
    let data = dir.path().join("data");
    let output = steadfast(&["broker", "--data", &data.to_string_lossy(), "--port", &port]);
    expect_exit(&output, 3)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(text.contains(&port) && text.contains("mend:"), || text)
}

/// The runner is only pointed at the broker, so it does not know that it is killed: the producer has to get through.
fn sigkill() -> Result<(), Failed> {
    let dir = temporary();
    let mut broker = Broker::start(&dir.path().join("data"), &[])?;
    let out = dir.path().join("run");
    let run = Command::new(STEADFAST)
        .args([
            "run",
            "scenarios/quickstart.toml",
            "--broker",
            "external",
            "--bootstrap-server",
            &broker.server,
        ])
        .args([
            "--set",
            "workload.warmup=2s",
            "--set",
            "workload.duration=10s",
            "--out",
        ])
        .arg(&out)
        .current_dir(root())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    std::thread::sleep(Duration::from_secs(7));
    for _ in 0..3 {
        broker.kill_and_start(Duration::from_millis(300))?;
        std::thread::sleep(Duration::from_secs(1));
    }
    let output = run.wait_with_output()?;
    expect_exit(&output, 0)?;
    let verdict = verdict(&out)?;
    expect(
        verdict.verdict == Outcome::Pass && verdict.records.read > 200_000,
        || format!("{verdict:?}"),
    )?;
    broker.stop()
}

fn torn() -> Result<(), Failed> {
    let dir = temporary();
    let data = dir.path().join("data");
    let mut broker = Broker::start(&data, &[])?;
    let run = |broker: &Broker, name: &str| {
        let out = dir.path().join(name);
        let file = dir.path().join(format!("{name}.toml"));
        let text = fs::read_to_string(root().join("scenarios/quickstart.toml"))?;
        fs::write(&file, text.replace("topics.records", &format!("topics.{name}")))?;
        let output = steadfast(&[
            "run",
            &file.to_string_lossy(),
            "--broker",
            "external",
            "--bootstrap-server",
            &broker.server,
            // Else the run deletes what it made, and there is no log to tear.
            "--keep-topics",
            "--set",
            "workload.rate=5000/s",
            "--set",
            "workload.warmup=2s",
            "--set",
            "workload.duration=2s",
            "--out",
            &out.to_string_lossy(),
        ]);
        expect_exit(&output, 0)
    };
    run(&broker, "before")?;
    broker.process.kill()?;
    broker.process.wait()?;
    let mut logs: Vec<PathBuf> = Vec::new();
    for log in fs::read_dir(data.join("logs"))?.flatten() {
        logs.extend(fs::read_dir(log.path())?.flatten().map(|segment| segment.path()));
    }
    expect(logs.len() == 6, || format!("{logs:?}"))?;
    let mut lengths = Vec::new();
    for (number, log) in logs.iter().enumerate() {
        let length = fs::metadata(log)?.len();
        lengths.push(length);
        let mut file = OpenOptions::new().append(true).open(log)?;
        match number {
            0 => file.set_len(length - 7)?,
            1 => file.write_all(&[0; 4096])?,
            _ => file.write_all(&fs::read(log)?[..100])?,
        }
    }
    broker.kill_and_start(Duration::ZERO)?;
    for (number, (log, length)) in logs.iter().zip(lengths).enumerate() {
        let now = fs::metadata(log)?.len();
        let right = if number == 0 {
            now < length - 7
        } else {
            now == length
        };
        expect(right, || {
            format!("{}: {length} bytes became {now}", log.display())
        })?;
    }
    run(&broker, "after")?;
    broker.stop()
}
