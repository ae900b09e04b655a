//! A witness that shares no code with us: Kafka's own console consumer counts the records of a run, on a cluster that
//! the test started itself and the run was only pointed at (`--broker external`).

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};

use crate::support::{Need, expect, expect_exit, jars, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "oracle::kafkas_own_consumer_counts_the_same_records",
        &[Need::Kafka],
        same_count,
    )]
}

fn same_count() -> Result<(), Failed> {
    let dir = temporary();
    let jars = jars()?;
    let node = Node::start(dir.path(), &jars)?;
    let server = format!("127.0.0.1:{}", node.port);
    let out = dir.path().join("run");
    let run = steadfast(&[
        "run",
        "scenarios/quickstart.toml",
        "--broker",
        "external",
        "--bootstrap-server",
        &server,
        "--out",
        &out.to_string_lossy(),
        "--set",
        "workload.warmup=8s",
        "--set",
        "workload.duration=4s",
    ]);
    expect_exit(&run, 0)?;
    let verdict = verdict(&out)?;
    let environment: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("workload-0.json"))?)?;
    let topic = environment["topic"]
        .as_str()
        .ok_or("no topic in the workload")?
        .to_owned();
    let counted = count(&jars, &server, &topic)?;
    expect(counted == verdict.records.read && counted > 50_000, || {
        format!(
            "the console consumer counts {counted}, the verifier read {}",
            verdict.records.read
        )
    })
}

fn count(jars: &Path, server: &str, topic: &str) -> Result<u64, Failed> {
    let output = Command::new("java")
        .args(["-Xmx256m", "-cp"])
        .arg(jars.join("*"))
        .args([
            "org.apache.kafka.tools.consumer.ConsoleConsumer",
            "--bootstrap-server",
            server,
            "--topic",
            topic,
        ])
        .args([
            "--from-beginning",
            "--timeout-ms",
            "8000",
            "--property",
            "print.value=false",
        ])
        .args(["--property", "print.offset=true"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()?;
    let lines = output.stdout.iter().filter(|byte| **byte == b'\n').count() as u64;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said = stderr.lines().find_map(|line| {
        line.strip_prefix("Processed a total of ")?
            .split(' ')
            .next()?
            .parse()
            .ok()
    });
    match said {
        Some(total) if total == lines => Ok(total),
        _ => Err(format!("{lines} lines, and it said:\n{stderr}").into()),
    }
}

/// One KRaft node of the test's own; it ends with the value.
struct Node {
    process: Child,
    port: u16,
}

impl Node {
    fn start(dir: &Path, jars: &Path) -> Result<Node, Failed> {
        let [port, controller] = [free_port()?, free_port()?];
        let file = dir.join("server.properties");
        let data = dir.join("data");
        std::fs::write(
            &file,
            format!(
                "process.roles=broker,controller\nnode.id=1\nlog.dirs={}\n\
                 listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
                 advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
                 controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
                 offsets.topic.replication.factor=1\ngroup.initial.rebalance.delay.ms=0\n",
                data.display()
            ),
        )?;
        let log = File::create(dir.join("node.log"))?;
        let java = |main: &str, args: &[&str]| -> std::io::Result<Command> {
            let mut command = Command::new("java");
            command
                .args(["-Xmx512m", "-cp"])
                .arg(jars.join("*"))
                .arg(main)
                .args(args);
            command.stdout(log.try_clone()?).stderr(log.try_clone()?);
            Ok(command)
        };
        let path = file.to_string_lossy();
        let format = [
            "format",
            "-t",
            "MkU3OEVBNTcwNTJENDM2Qg",
            "-c",
            &path,
            "--standalone",
        ];
        let formatted = java("kafka.tools.StorageTool", &format)?.status()?;
        expect(formatted.success(), || format!("format: {formatted}"))?;
        let process = java("kafka.Kafka", &[&path])?.spawn()?;
        let node = Node { process, port };
        let begin = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            expect(begin.elapsed() < Duration::from_secs(30), || {
                "the node did not come up".into()
            })?;
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> Result<u16, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
