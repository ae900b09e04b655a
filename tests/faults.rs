//! Three nodes on a real cluster: each fault bites, leaves evidence, heals, and nothing is lost, doubled or reordered.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::timeline::Fault;
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::running::expect_nothing_left;
use crate::support::{Need, STEADFAST, expect, expect_exit, root, steadfast, temporary, trial, verdict};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "faults::nothing_is_injected_where_the_steady_state_is_not_reached",
            &[Need::Kafka],
            not_steady,
        ),
        trial("faults::leader_kill", &[Need::Kafka], || {
            scenario("scenarios/delivery/leader-kill.toml")
        }),
        trial(
            "faults::client_partition",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            || scenario("scenarios/delivery/client-partition.toml"),
        ),
        trial("faults::rolling_restart", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/rolling-restart.toml")
        }),
        trial(
            "faults::all_links_down",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            || scenario("scenarios/delivery/all-links-down.toml"),
        ),
        trial("faults::controller_kill", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/controller-kill.toml")
        }),
        trial("faults::leader_ping_pong", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/leader-ping-pong.toml")
        }),
        trial("faults::below_min_isr", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/below-min-isr.toml")
        }),
        trial("faults::blind_restart", &[Need::All, Need::Kafka], || {
            scenario_with("scenarios/delivery/blind-restart.toml", &[], (1, 4))
        }),
        trial(
            "faults::disk_clock_and_links_of_one_broker",
            &[
                Need::All,
                Need::Kafka,
                Need::Toxiproxy,
                Need::BrokersDisk,
                Need::Faketime,
            ],
            of_one_broker,
        ),
        trial("faults::whole_cluster_down", &[Need::All, Need::Kafka], || {
            scenario("scenarios/delivery/whole-cluster-down.toml")
        }),
        trial(
            "faults::campaign",
            &[Need::All, Need::Kafka, Need::Toxiproxy],
            campaign,
        ),
        trial("faults::quota", &[Need::All, Need::Kafka], quota),
        trial(
            "faults::a_full_disk_without_the_right_to_mount_is_refused_before_the_run",
            &[Need::BrokersDisk],
            without_rights,
        ),
        trial(
            "faults::what_the_simulated_broker_cannot_do_is_refused_there",
            &[],
            beyond_the_simulated,
        ),
        trial(
            "faults::kafkas_own_administration_works_on_the_simulated_broker_too",
            &[],
            orders_simulated,
        ),
        trial(
            "faults::a_toxic_is_measured_where_the_client_goes",
            &[Need::Toxiproxy],
            toxic_measured,
        ),
        trial(
            "faults::a_toxic_that_does_nothing_to_the_client_is_inconclusive",
            &[Need::Toxiproxy],
            toxic_without_bite,
        ),
    ]
}

fn without_rights() -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let out = out.to_string_lossy();
    let file = "scenarios/delivery/full-disk.toml";
    for arguments in [
        vec!["plan", file],
        vec!["run", file, "--broker", "kafka", "--out", &out],
    ] {
        let output = Command::new("setpriv")
            .args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin", STEADFAST])
            .args(&arguments)
            .current_dir(root())
            .output()?;
        expect_exit(&output, 3)?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        expect(said.contains("rights"), || said.to_string())?;
    }
    Ok(())
}

fn beyond_the_simulated() -> Result<(), Failed> {
    for file in ["controller-kill", "leader-ping-pong"] {
        let file = format!("scenarios/delivery/{file}.toml");
        let output = steadfast(&["run", &file, "--broker", "simulated"]);
        expect_exit(&output, 2)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(said.contains("use --broker kafka"), || said)?;
    }
    for kind in ["simulated", "docker"] {
        let output = steadfast(&[
            "run",
            "scenarios/delivery/broker-partition.toml",
            "--broker",
            kind,
        ]);
        expect_exit(&output, 2)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        expect(said.contains("no proxy stands between its brokers"), || said)?;
    }
    let dir = temporary();
    let file = dir.path().join("quota.toml");
    std::fs::write(&file, QUOTAS)?;
    let output = steadfast(&["run", &file.to_string_lossy(), "--broker", "simulated"]);
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(said.contains("takes no orders for quotas"), || said)
}

/// The first is a tenth of the load, the second a hundred times as much.
const QUOTAS: &str = r#"title = "a quota that bites and one that does not"
[cluster]
topics.records = { partitions = 1 }
topics.others = { partitions = 1 }
[producer]
client.id = "tenant"
[neighbour]
topic = "others"
rate = "100/s"
record-size = "1 KiB"
[workload]
topic = "records"
executor = "constant-arrival-rate"
rate = "300/s"
record-size = "2 KiB"
warmup = "6s"
duration = "14s"
[[fault]]
name = "bites"
at = "1s"
for = "6s"
action = "quota"
target = "client-id(tenant)"
quotas = { producer_byte_rate = 60_000 }
[[fault]]
name = "spares"
at = "10s"
for = "2s"
action = "quota"
target = "client-id(tenant)"
quotas = { producer_byte_rate = 60_000_000 }
[claims]
lost = 0
duplicated = 0
"#;

fn quota() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("quota.toml");
    std::fs::write(&file, QUOTAS)?;
    let out = dir.path().join("run");
    let (file, out_text) = (file.to_string_lossy(), out.to_string_lossy());
    let output = steadfast(&["run", &file, "--broker", "kafka", "--out", &out_text]);
    // For the second fault alone: what held nothing back proves nothing.
    expect_exit(&output, 5)?;
    let verdict = verdict(&out)?;
    let told = || format!("{:?} {:?}", verdict.faults, verdict.inconclusive);
    beside_it(&out, &verdict, &String::from_utf8_lossy(&output.stderr))?;
    let bites = verdict.faults.iter().find(|fault| fault.name == "bites");
    let bites = bites.ok_or_else(told)?;
    let seen = |what: &str| bites.evidence.get(what).cloned().unwrap_or_default();
    expect(seen("producer_byte_rate").starts_with("none -> 60000"), told)?;
    let waits = seen("throttled_by_producer_byte_rate");
    expect(waits.starts_with("broker-1 makes it wait"), told)?;
    expect(bites.healed_ns.is_some(), told)?;
    let reasons: Vec<String> = verdict
        .inconclusive
        .iter()
        .map(|cause| format!("{cause:?}"))
        .collect();
    expect(
        reasons.iter().any(|reason| reason.contains("spares"))
            && reasons.iter().all(|reason| !reason.contains("bites")),
        told,
    )?;
    expect(
        reasons
            .iter()
            .any(|reason| reason.contains("the load was below it")),
        told,
    )
}

/// The neighbour wrote what it was told to, is not judged, and was not held back by a quota that names another.
fn beside_it(out: &Path, verdict: &Verdict, said: &str) -> Result<(), Failed> {
    let line = said.lines().find(|line| line.starts_with("neighbour: "));
    let line = line.ok_or("no line about the neighbour")?;
    // 100/s for 20 s; the last are under way when the load ends.
    let counts: Vec<u64> = line
        .split_whitespace()
        .filter_map(|word| word.replace(',', "").parse().ok())
        .collect();
    expect(
        counts.len() == 2 && counts.iter().all(|count| (1_800..=2_000).contains(count)),
        || line.to_owned(),
    )?;
    expect(out.join("neighbour").is_dir(), || {
        "no history of the neighbour".into()
    })?;
    expect(verdict.records.intended == 6_000, || {
        format!("{:?}", verdict.records)
    })
}

const ORDERS: &str = r#"title = "settings, partitions, an election and a coordinator"
[cluster]
nodes = 3
topics.records = { partitions = 3, replication-factor = 3, min.insync.replicas = 2 }
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "6s"
duration = "16s"
[[fault]]
name = "set"
at = "1s"
for = "2s"
action = "set"
target = "topic(records)"
settings = { min.insync.replicas = 1, max.message.bytes = 2_000_000 }
[[fault]]
name = "term"
at = "4s"
for = "3s"
action = "term"
target = "leader(records-0)"
[[fault]]
name = "elect"
at = "10s"
action = "elect"
target = "topic(records)"
[[fault]]
name = "grow"
at = "12s"
action = "grow"
target = "topic(records)"
partitions = 5
[[fault]]
name = "coordinator"
at = "13s"
for = "2s"
action = "pause"
target = "coordinator(job-1)"
[claims]
duplicated = 0
"#;

fn orders_simulated() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("orders.toml");
    std::fs::write(&file, ORDERS)?;
    let out = dir.path().join("run");
    let (file, out_text) = (file.to_string_lossy(), out.to_string_lossy());
    let output = steadfast(&["run", &file, "--broker", "simulated", "--out", &out_text]);
    // `lost` cannot be proven there once a broker was hurt: inconclusive for that reason alone.
    expect_exit(&output, 5)?;
    let verdict = verdict(&out)?;
    for (name, what, value) in [
        ("set", "min.insync.replicas", "2 -> 1"),
        ("set", "max.message.bytes", "-> 2000000"),
        ("term", "started_again", "start 1 -> start 2"),
        ("elect", "leaders_moved", "records-"),
        ("grow", "partitions", "3 -> 5"),
        ("coordinator", "requests_stalled", ""),
    ] {
        let fault = verdict.faults.iter().find(|fault| fault.name == name);
        let seen = fault.and_then(|fault| fault.evidence.get(what));
        expect(seen.is_some_and(|seen| seen.contains(value)), || {
            format!("{name} {what}: {fault:?}")
        })?;
        expect(fault.is_some_and(|fault| fault.healed_ns.is_some()), || {
            format!("not healed: {fault:?}")
        })?;
    }
    expect(verdict.inconclusive.iter().all(|cause| cause.id != "H2"), || {
        format!("{:?}", verdict.inconclusive)
    })
}

const ONE_TOXIC: &str = r#"title = "one toxic in each link, of which one is used"
[cluster]
nodes = 3
topics.records = { partitions = 1 }
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "6s"
duration = "10s"
[[fault]]
name = "toxic"
at = "2s"
for = "5s"
action = "toxic"
target = "link(client, all)"
toxic = TOXIC
[claims]
lost = 0
duplicated = 0
"#;

/// Runs one toxic against the simulated broker; the fault as the verdict has it, and why the run is inconclusive.
fn one_toxic(toxic: &str, exit: i32) -> Result<(Fault, String), Failed> {
    let dir = temporary();
    let file = dir.path().join("one-toxic.toml");
    std::fs::write(&file, ONE_TOXIC.replace("TOXIC", toxic))?;
    let out = dir.path().join("run");
    let (file, out_text) = (file.to_string_lossy(), out.to_string_lossy());
    let output = steadfast(&["run", &file, "--broker", "simulated", "--out", &out_text]);
    expect_exit(&output, exit)?;
    let verdict = verdict(&out)?;
    expect_nothing_left(&out)?;
    let reasons: Vec<String> = verdict
        .inconclusive
        .iter()
        .map(|cause| format!("{cause:?}"))
        .collect();
    let fault = verdict
        .faults
        .into_iter()
        .next()
        .ok_or("no fault in the verdict")?;
    Ok((fault, reasons.join("\n")))
}

fn toxic_measured() -> Result<(), Failed> {
    let toxic = r#"{ type = "latency", stream = "upstream", attributes = { latency = 80 } }"#;
    let (fault, reasons) = one_toxic(toxic, 0)?;
    let seen = |name: &str| fault.evidence.get(name).cloned().unwrap_or_default();
    let told = || format!("{fault:?} {reasons}");
    let mut met = 0;
    for broker in 1..=3 {
        let of = |what: &str| seen(&format!("{what} of broker-{broker}"));
        expect(of("slower").contains("ms with it"), told)?;
        expect(of("link_state").contains("latency = 80"), told)?;
        let (link, not_met) = (of("link"), of("not_met"));
        if not_met.is_empty() {
            met += 1;
            expect(!link.is_empty() && !link.starts_with("0 connections"), told)?;
        } else {
            expect(
                link.is_empty() && not_met == "no client was connected to it",
                told,
            )?;
        }
    }
    // One leads the only partition, and another may have been asked for metadata; nobody has anything to do with the third.
    expect((1..=2).contains(&met), told)?;
    expect(
        fault.action == "latency" && fault.target == "link(client, all)",
        told,
    )?;
    expect(
        fault.resolved.starts_with("broker-1 ") && fault.healed_ns.is_some(),
        told,
    )
}

fn toxic_without_bite() -> Result<(), Failed> {
    // More bytes than this load ever sends.
    let toxic = r#"{ type = "limit_data", attributes = { bytes = 4_000_000_000 } }"#;
    let (fault, reasons) = one_toxic(toxic, 5)?;
    let told = || format!("{fault:?} {reasons}");
    expect(
        reasons.contains("H2") && reasons.contains("no connection of a client ended"),
        told,
    )
}

const NOT_STEADY: &str = r#"title = "no broker answers within a microsecond"
[cluster]
topics.records = { partitions = 1 }
[workload]
executor = "constant-arrival-rate"
rate = "500/s"
warmup = "6s"
duration = "12s"
[steady-state]
probes = ["ack_latency p(50)<1us"]
[[fault]]
name = "pause"
at = "2s"
for = "3s"
action = "pause"
target = "leader(records-0)"
[claims]
lost = 0
"#;

fn not_steady() -> Result<(), Failed> {
    let dir = temporary();
    let file = dir.path().join("not-steady.toml");
    std::fs::write(&file, NOT_STEADY)?;
    let out = dir.path().join("run");
    let output = steadfast(&[
        "run",
        &file.to_string_lossy(),
        "--broker",
        "kafka",
        "--out",
        &out.to_string_lossy(),
    ]);
    expect_exit(&output, 4)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for words in [
        "steady state not reached",
        "ack_latency p(50)<1us",
        "nothing was injected",
    ] {
        expect(said.contains(words), || {
            format!("{words:?} is missing in:\n{said}")
        })?;
    }
    let faults = std::fs::read_to_string(out.join("faults.jsonl")).unwrap_or_default();
    expect(faults.is_empty(), || format!("injected after all: {faults}"))?;
    expect(!out.join("verdict.json").exists(), || "it was judged".into())?;
    expect_nothing_left(&out)
}

fn scenario(file: &str) -> Result<(), Failed> {
    scenario_with(file, &[], (3, 1))
}

/// What `delivery/full-disk`, `clock-step`, `broker-partition` and its one-way form do, one after the other.
const OF_ONE_BROKER: &str = r#"title = "what one broker alone has, and its links to others"
[cluster]
nodes = 3
disk = "256 MiB"
topics.records = { partitions = 6, replication-factor = 3, min.insync.replicas = 2 }
[cluster.properties]
broker.session.timeout.ms = 3000
broker.heartbeat.interval.ms = 500
replica.lag.time.max.ms = 5000
producer.id.expiration.check.interval.ms = 1000
[producer]
linger.ms = 5
buffer.memory = 67_108_864
[workload]
executor = "constant-arrival-rate"
rate = "2000/s"
warmup = "10s"
duration = "90s"
keys = { distribution = "uniform", count = 1000 }
partition = "by-key"
[[fault]]
name = "full"
at = "3s"
for = "10s"
action = "fill-disk"
target = "leader(records-0)"
[[fault]]
name = "ahead"
at = "30s"
for = "8s"
action = "step-clock"
forward = "49h"
target = "leader(records-1)"
[[fault]]
name = "cut-off"
at = "48s"
for = "10s"
action = "partition"
target = "link(leader(records-2), brokers)"
[[fault]]
name = "mute"
at = "70s"
for = "10s"
action = "toxic"
target = "link(leader(records-3), brokers)"
toxic = { type = "timeout", stream = "upstream", attributes = { timeout = 0 } }
[claims]
lost = 0
duplicated = 0
reordered-per-key = 0
corrupted = 0
"#;

fn of_one_broker() -> Result<(), Failed> {
    let left = || -> std::io::Result<std::collections::BTreeSet<_>> {
        let names = std::fs::read_dir("/dev/shm")?
            .flatten()
            .map(|entry| entry.file_name());
        Ok(names
            .filter(|name| name.to_string_lossy().contains("faketime_s"))
            .collect())
    };
    let before = left()?;
    let dir = temporary();
    let file = dir.path().join("one-broker.toml");
    std::fs::write(&file, OF_ONE_BROKER)?;
    scenario_with(&file.to_string_lossy(), &[], (3, 4))?;
    // The clock's library would leave two files for each broker that was killed or stopped.
    expect(left()?.is_subset(&before), || {
        "/dev/shm holds files of libfaketime".into()
    })
}

/// Two cycles of the hour, two faults in each.
fn campaign() -> Result<(), Failed> {
    let short = [
        "workload.duration=175s",
        "workload.warmup=10s",
        "campaign.faults=4",
        "campaign.cycle=80s",
    ];
    scenario_with("scenarios/soak/campaign.toml", &short, (3, 4))
}

fn scenario_with(file: &str, sets: &[&str], (nodes, least_faults): (u32, usize)) -> Result<(), Failed> {
    let dir = temporary();
    let out = dir.path().join("run");
    let out_text = out.to_string_lossy();
    let mut arguments = vec!["run", file, "--broker", "kafka", "--out", &out_text];
    arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
    let output = steadfast(&arguments);
    expect_exit(&output, 0)?;
    let verdict = verdict(&out)?;
    expect(
        verdict.verdict == Outcome::Pass && verdict.broker.nodes == nodes,
        || format!("{verdict:?}"),
    )?;
    expect(verdict.faults.len() >= least_faults, || {
        format!("{} faults in the verdict", verdict.faults.len())
    })?;
    for fault in &verdict.faults {
        expect(!fault.evidence.is_empty() && fault.healed_ns.is_some(), || {
            format!("no evidence: {fault:?}")
        })?;
    }
    Ok(())
}
