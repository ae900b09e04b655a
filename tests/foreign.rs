//! Clients that share no code with us write to `steadfast broker` and read from it: librdkafka's kcat, Kafka's own tools,
//! plain, idempotent and transactional, and the Rust client rskafka. What one of the first two wrote the other one reads.

mod rust; // rskafka

use std::io::Write;
use std::process::{Command, Output, Stdio};

use libtest_mimic::{Failed, Trial};

use crate::broker::Broker;
use crate::node::jars;
use crate::support::{Need, expect, kcat, temporary, trial};

/// Records that each of them writes.
const RECORDS: usize = 5_000;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "foreign::kcat_writes_and_reads_keys_headers_and_compression",
            &[Need::All, Need::Kcat],
            kcat_alone,
        ),
        trial(
            "foreign::kafkas_console_tools_and_kcat_read_each_other",
            &[Need::All, Need::Kafka, Need::Kcat],
            console,
        ),
        trial(
            "foreign::kafkas_producer_performance_idempotent_and_transactional",
            &[Need::All, Need::Kafka],
            performance,
        ),
        trial(
            "foreign::rskafka_writes_and_reads_across_sigkill",
            &[Need::All],
            rust::writes_and_reads,
        ),
    ]
}

fn broker(dir: &tempfile::TempDir) -> Result<Broker, Failed> {
    let topics = ["-X", "auto.create.topics.enable=true", "-X", "num.partitions=1"];
    Broker::start(&dir.path().join("data"), &topics)
}

fn kcat_alone() -> Result<(), Failed> {
    let dir = temporary();
    let mut broker = broker(&dir)?;
    let lines: Vec<String> = (0..RECORDS).map(|n| format!("key-{n}:value {n}")).collect();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("kcat-{codec}");
        let server = broker.server.clone();
        let args = [
            "-P",
            "-b",
            &server,
            "-t",
            &topic,
            "-K",
            ":",
            "-z",
            codec,
            "-H",
            "from=kcat",
        ];
        let idempotent = ["-X", "enable.idempotence=true"];
        with_input(&mut kcat_command()?, &[&args[..], &idempotent].concat(), &lines)?;
        // What was answered survives the process.
        broker.kill_and_start(std::time::Duration::ZERO)?;
        let args = [
            "-C",
            "-b",
            &server,
            "-t",
            &topic,
            "-e",
            "-q",
            "-f",
            "%o %k:%s %h\n",
            "-o",
            "beginning",
        ];
        let read = ended(&kcat_command()?.args(args).output()?)?;
        let wanted: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("{n} {line} from=kcat"))
            .collect();
        same(&codec_of(codec), &read, &wanted)?;
    }
    broker.stop()
}

fn console() -> Result<(), Failed> {
    let dir = temporary();
    let broker = broker(&dir)?;
    let server = broker.server.clone();
    let lines: Vec<String> = (0..RECORDS).map(|n| format!("line {n}")).collect();
    let producer = [
        "org.apache.kafka.tools.ConsoleProducer",
        "--bootstrap-server",
        &server,
        "--topic",
        "console",
    ];
    with_input(&mut kafka_command()?, &producer, &lines)?;
    let args = [
        "-C",
        "-b",
        &server,
        "-t",
        "console",
        "-e",
        "-q",
        "-o",
        "beginning",
    ];
    same(
        "kcat after Kafka's producer",
        &ended(&kcat_command()?.args(args).output()?)?,
        &lines,
    )?;
    with_input(&mut kcat_command()?, &["-P", "-b", &server, "-t", "kcat"], &lines)?;
    same(
        "Kafka's consumer after kcat",
        &consume(&server, "kcat", &[])?,
        &lines,
    )?;
    broker.stop()
}

fn performance() -> Result<(), Failed> {
    let dir = temporary();
    let broker = broker(&dir)?;
    let server = broker.server.clone();
    for (topic, more) in [
        ("idempotent", &[][..]),
        (
            "transactional",
            &["--transactional-id", "perf", "--transaction-duration-ms", "50"][..],
        ),
    ] {
        let records = RECORDS.to_string();
        let props = format!("bootstrap.servers={server}");
        let args = [
            "org.apache.kafka.tools.ProducerPerformance",
            "--topic",
            topic,
            "--num-records",
            &records,
        ];
        let size = [
            "--record-size",
            "100",
            "--throughput",
            "20000",
            "--producer-props",
            &props,
            "acks=all",
        ];
        let output = kafka_command()?.args(args).args(size).args(more).output()?;
        let said = ended(&output)?.join("\n");
        expect(said.contains(&format!("{RECORDS} records sent")), || said.clone())?;
        let read = consume(&server, topic, &["--isolation-level", "read_committed"])?;
        expect(read.len() == RECORDS, || {
            format!("{topic}: {} of {RECORDS} were read", read.len())
        })?;
    }
    broker.stop()
}

/// Partition 0 of a topic, by Kafka's console consumer.
fn consume(server: &str, topic: &str, more: &[&str]) -> Result<Vec<String>, Failed> {
    let records = RECORDS.to_string();
    let args = [
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "--bootstrap-server",
        server,
        "--topic",
        topic,
    ];
    let range = [
        "--partition",
        "0",
        "--offset",
        "earliest",
        "--max-messages",
        &records,
        "--timeout-ms",
        "20000",
    ];
    ended(&kafka_command()?.args(args).args(range).args(more).output()?)
}

fn kcat_command() -> Result<Command, Failed> {
    Ok(Command::new(kcat().ok_or("no kcat")?))
}

fn kafka_command() -> Result<Command, Failed> {
    let mut command = Command::new("java");
    command
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(jars()?.join("*"));
    Ok(command)
}

fn with_input(command: &mut Command, args: &[&str], lines: &[String]) -> Result<(), Failed> {
    let mut process = command
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut input = process.stdin.take().ok_or("no stdin")?;
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = process.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    ended(&output).map(drop)
}

/// The lines of a command that ended well.
fn ended(output: &Output) -> Result<Vec<String>, Failed> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    expect(output.status.success(), || {
        format!(
            "{}\n{}\n{}",
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        )
    })?;
    Ok(text(&output.stdout).lines().map(str::to_owned).collect())
}

fn same(what: &str, read: &[String], wanted: &[String]) -> Result<(), Failed> {
    let differs = read.iter().zip(wanted).position(|(read, wanted)| read != wanted);
    expect(differs.is_none() && read.len() == wanted.len(), || {
        let at = differs.unwrap_or(read.len().min(wanted.len()));
        format!(
            "{what}: {} of {} lines, other from {at} on: {:?}",
            read.len(),
            wanted.len(),
            read.get(at)
        )
    })
}

fn codec_of(codec: &str) -> String {
    format!("compression {codec}")
}
