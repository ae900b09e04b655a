//! A broker that answers nonsense, before and during a run: a clear stop or a retry, never a hang, a panic or a silent loss.
//!
//! ```text
//! steadfast ──► relay ──► Kafka
//!           ◄── relay ◄──          while garbled, every byte of an answer is changed
//! ```

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::node::{Node, free_port};
use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, STEADFAST, expect, expect_exit, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("nonsense::a_server_that_is_no_kafka_is_exit_3", &[], no_kafka),
        trial(
            "nonsense::garbled_answers_under_load_lose_and_double_nothing",
            &[Need::Kafka],
            garbled_for_a_while,
        ),
        trial(
            "nonsense::answers_garbled_for_good_end_the_run",
            &[Need::Kafka],
            garbled_for_good,
        ),
    ]
}

/// Answers to whatever comes, each of another kind of wrong.
const ANSWERS: [&[u8]; 4] = [
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
    // An answer of 2 GiB, and nothing of it.
    &[0x7f, 0xff, 0xff, 0xff],
    // A negative length.
    &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
    // A length that fits, another correlation id, and no sense behind it.
    &[0, 0, 0, 8, 0xde, 0xad, 0xbe, 0xef, 0xff, 0xff, 0xff, 0xff],
];

fn no_kafka() -> Result<(), Failed> {
    for answer in ANSWERS {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = listener.local_addr()?.to_string();
        // Ends with the test's process, as its listener does.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                std::thread::spawn(move || answer_all(stream, answer));
            }
        });
        let dir = temporary();
        let out = dir.path().join("run").to_string_lossy().into_owned();
        let begin = Instant::now();
        let output = steadfast(&[
            "run",
            "scenarios/quickstart.toml",
            "--broker",
            "external",
            "--bootstrap-server",
            &server,
            "--out",
            &out,
        ]);
        expect_exit(&output, 3)?;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(text.contains(&server) && text.contains("mend:"), || text)?;
        let took = begin.elapsed();
        expect(took < Duration::from_secs(15), || {
            format!("{answer:?} took {took:?}")
        })?;
    }
    Ok(())
}

fn answer_all(mut stream: TcpStream, answer: &[u8]) {
    let mut bytes = [0; 4096];
    while let Ok(1..) = stream.read(&mut bytes) {
        if stream.write_all(answer).is_err() {
            return;
        }
    }
}

/// Kafka behind a relay that can garble its answers; all clients are told to come to the relay.
struct Garbler {
    node: Node,
    port: u16,
    garbles: Arc<AtomicBool>,
}

impl Garbler {
    fn start(dir: &Path) -> Result<Garbler, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let behind = free_port()?;
        let garbles = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&garbles);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                // A broker that is not up is a connection that ends.
                let Ok(server) = TcpStream::connect(("127.0.0.1", behind)) else {
                    continue;
                };
                let quiet = Arc::new(AtomicBool::new(false));
                for (from, to, garbles) in
                    [(&client, &server, quiet), (&server, &client, Arc::clone(&switch))]
                {
                    if let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) {
                        std::thread::spawn(move || relay(from, to, &garbles));
                    }
                }
            }
        });
        let node = Node::start_behind(dir, behind, port)?;
        Ok(Garbler { node, port, garbles })
    }

    fn run(&self, out: &str, state: &Path) -> Result<Running, Failed> {
        let server = format!("127.0.0.1:{}", self.port);
        let mut args = vec!["scenarios/quickstart.toml", "--broker", "external"];
        args.extend(["--bootstrap-server", &server, "--out", out]);
        for set in [
            "workload.rate=2000/s",
            "workload.warmup=6s",
            "workload.duration=10s",
        ] {
            args.extend(["--set", set]);
        }
        let mut command = Command::new(STEADFAST);
        command.arg("run").args(args).env("XDG_STATE_HOME", state);
        Running::of(command)
    }
}

fn relay(mut from: TcpStream, mut to: TcpStream, garbles: &AtomicBool) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if garbles.load(Ordering::Relaxed) {
            bytes[..count].iter_mut().for_each(|byte| *byte ^= 0x5a);
        }
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _both_ends_may_be_gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// The broker carries out what it is sent and the answer cannot be read: a lost acknowledgement, which idempotence is for.
fn garbled_for_a_while() -> Result<(), Failed> {
    let dir = temporary();
    let garbler = Garbler::start(dir.path())?;
    let out = dir.path().join("run");
    let mut run = garbler.run(&out.to_string_lossy(), &dir.path().join("state"))?;
    run.until("steady")?;
    garbler.garbles.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_secs(2));
    garbler.garbles.store(false, Ordering::Relaxed);
    let said = run.end_with(0, Duration::from_secs(90))?;
    let verdict = verdict(&out)?;
    let records = &verdict.records;
    expect(
        verdict.verdict == Outcome::Pass
            && records.acked == records.read
            && records.acked == records.intended,
        || format!("{verdict:?}\n{said}"),
    )?;
    // It did bite: the longest wait covers the time without a readable answer.
    let slowest = verdict
        .latency_ns
        .get("steady")
        .map_or(0, |latency| latency.ack_latency.max);
    expect(slowest > 1_500_000_000, || {
        format!("nothing was garbled: {slowest} ns at most")
    })
}

fn garbled_for_good() -> Result<(), Failed> {
    let dir = temporary();
    let garbler = Garbler::start(dir.path())?;
    let out = dir.path().join("run");
    let state = dir.path().join("state");
    let mut run = garbler.run(&out.to_string_lossy(), &state)?;
    run.until("warmup")?;
    std::thread::sleep(Duration::from_secs(1));
    garbler.garbles.store(true, Ordering::Relaxed);
    let said = run.end_with(4, Duration::from_secs(60))?;
    expect(said.contains("steady state not reached"), || said.clone())?;
    // Its topic cannot be deleted through nonsense either: that is told, and heal does it when the broker is itself again.
    expect(said.contains("steadfast heal"), || said)?;
    expect_nothing_left(&out)?;
    garbler.garbles.store(false, Ordering::Relaxed);
    let healed = Command::new(STEADFAST)
        .arg("heal")
        .env("XDG_STATE_HOME", &state)
        .output()?;
    expect_exit(&healed, 0)?;
    garbler.node.expect_topics(&[])
}
