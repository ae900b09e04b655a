//! A broker that answers nonsense: an outcome on each record or a clear stop, never a hang, a panic or a silent loss.
//!
//! One table. A case changes the answers of one API, once or always, before the core is ready or after, and says what
//! must come of it. Cases of bytes (cut, doubled, not asked for) are run against every API.

mod metadata;

use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, ProduceResponse,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use super::script::{MS, Script};
use super::tamper::Tamper;
use super::{append, check, script};
use crate::error::Fatal;
use crate::record::Outcome;

const ONCE: u32 = 1;
const ALWAYS: u32 = u32::MAX;
/// True leader epoch of both partitions.
const EPOCH: i32 = 5;
const RECORDS: u64 = 6;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    /// All records are acked, once each.
    Recovers,
    /// As `Recovers`, and the core does not even connect anew or send anything twice.
    Unmoved,
    /// Some records end so, the others are acked.
    Ends(Outcome, i16),
    /// As `Ends` with UNKNOWN, and the partition takes no more.
    Stops(i16),
    /// The producer stops, with these words.
    Fatal(&'static str),
    /// The producer does not become ready, and these words say why.
    NotReady(&'static str),
}

use Expect::{Ends, NotReady, Recovers, Stops, Unmoved};

struct Case {
    name: &'static str,
    times: u32,
    /// The core is ready before it begins.
    ready: bool,
    tamper: Tamper,
    expect: Expect,
}

fn at_start(name: &'static str, times: u32, tamper: Tamper, expect: Expect) -> Case {
    Case {
        name,
        times,
        ready: false,
        tamper,
        expect,
    }
}

fn when_ready(name: &'static str, times: u32, tamper: Tamper, expect: Expect) -> Case {
    Case {
        ready: true,
        ..at_start(name, times, tamper, expect)
    }
}

fn run(case: &Case) {
    let name = case.name;
    let settings = [
        ("request.timeout.ms", "2000".to_owned()),
        ("delivery.timeout.ms", "10000".to_owned()),
        ("max.in.flight.requests.per.connection", "2".to_owned()),
    ];
    let mut script = script(&settings, 2, 2, 1);
    script.logs.iter_mut().for_each(|log| log.epoch = EPOCH);
    if case.ready {
        script.run_for(1000 * MS);
        assert!(script.sender.is_ready(), "{name}");
    }
    script.tampering.push((case.tamper, case.times));
    script.sender.control.want_metadata();
    script.run_for(3000 * MS);
    let before = script.sender.metrics();
    let mut next = 0;
    if script.sender.fatal().is_none() {
        next = append(&mut script, 0, 0, RECORDS as usize / 2);
        next = append(&mut script, 1, next, RECORDS as usize / 2);
    }
    script.run_for(30_000 * MS);
    let after = script.sender.metrics();
    assert_eq!(
        script.outcomes.len() as u64,
        next,
        "{name}: a record without an outcome"
    );
    let all = |script: &Script, wanted: &[(Outcome, i16)]| {
        let mut ends = script.outcomes.values().map(|entry| (entry.0, entry.3));
        assert!(
            ends.all(|end| wanted.contains(&end)),
            "{name}: {:?}",
            script.outcomes
        );
    };
    match case.expect {
        Recovers | Unmoved => {
            assert_eq!(next, RECORDS, "{name}: {}", script.sender.not_ready_reason());
            // 46: acknowledged, and no offset that could be believed.
            all(&script, &[(Outcome::Acked, 0), (Outcome::Acked, 46)]);
            if case.expect == Unmoved {
                // A connection closed without need is made again for these.
                append(&mut script, 0, next, 1);
                append(&mut script, 1, next + 1, 1);
                script.run_for(1000 * MS);
                let after = script.sender.metrics();
                assert_eq!(
                    after.connection_creation_total, before.connection_creation_total,
                    "{name}"
                );
                assert_eq!(after.batch_retry_total, 0, "{name}");
            }
        }
        Ends(outcome, code) => {
            assert_eq!(next, RECORDS, "{name}");
            all(&script, &[(Outcome::Acked, 0), (outcome, code)]);
            assert!(script.outcomes.values().any(|entry| entry.0 == outcome), "{name}");
            assert_eq!(after.partitions_stopped_total, 0, "{name}");
        }
        Stops(code) => {
            all(&script, &[(Outcome::Acked, 0), (Outcome::Unknown, code)]);
            assert_ne!(after.partitions_stopped_total, 0, "{name}");
        }
        Expect::Fatal(words) => {
            let fatal = script.sender.fatal().map(Fatal::to_string).unwrap_or_default();
            assert!(fatal.contains(words), "{name}: {fatal:?}");
        }
        NotReady(words) => {
            let reason = script.sender.not_ready_reason();
            assert!(
                !script.sender.is_ready() && reason.contains(words),
                "{name}: {reason}"
            );
            assert!(reason.chars().all(|c| !c.is_control()), "{name}: {reason:?}");
        }
    }
    // No duplicate, no reordering, and what was acked is in the log, whatever the broker said.
    check(&mut script);
}

fn run_all(cases: &[Case]) {
    for case in cases {
        run(case);
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// Bytes that are no answer, for every API that is asked.
#[test]
fn bytes_that_are_no_answer() {
    /// A count or length of 2^32 - 1 as a varint.
    const COUNT: [u8; 5] = [0xff, 0xff, 0xff, 0xff, 0x0f];
    /// The correlation id, and then this.
    fn with_body(frame: &[u8], body: &[&[u8]]) -> Vec<Vec<u8>> {
        let padding = [0; 64];
        vec![[&frame[..4], &body.concat(), &padding].concat()]
    }
    type Change = fn(Vec<u8>) -> Vec<Vec<u8>>;
    let changes: [(&'static str, Change); 10] = [
        ("empty", |_| vec![Vec::new()]),
        ("3 bytes", |frame| vec![frame[..3].to_vec()]),
        ("a correlation id alone", |frame| vec![frame[..4].to_vec()]),
        ("cut by one byte", |frame| vec![frame[..frame.len() - 1].to_vec()]),
        ("one byte too many", |frame| vec![[&frame[..], &[0]].concat()]),
        ("another correlation id", |mut frame| {
            frame[3] ^= 1;
            vec![frame]
        }),
        ("correlation id -1", |mut frame| {
            frame[..4].copy_from_slice(&(-1_i32).to_be_bytes());
            vec![frame]
        }),
        ("twice", |frame| vec![frame.clone(), frame]),
        ("all ones", |frame| vec![[&frame[..4], &[0xff; 60]].concat()]),
        ("none at all", |_| Vec::new()),
    ];
    let counts: [(ApiKey, &'static str, Change); 6] = [
        (ApiKey::ApiVersions, "2^31 - 1 APIs", |f| {
            with_body(&f, &[&[0; 2], &COUNT])
        }),
        (ApiKey::Metadata, "2^31 - 1 brokers", |f| {
            with_body(&f, &[&[0; 5], &COUNT])
        }),
        (ApiKey::Metadata, "a flood of tags", |f| with_body(&f, &[&COUNT])),
        (ApiKey::InitProducerId, "a flood of tags", |f| {
            with_body(&f, &[&COUNT])
        }),
        (ApiKey::Produce, "2^31 - 1 topics", |f| {
            with_body(&f, &[&[0; 1], &COUNT])
        }),
        (ApiKey::Produce, "2^31 - 1 partitions", |f| {
            with_body(&f, &[&[0, 2], &[7; 16], &COUNT])
        }),
    ];
    for api in [
        ApiKey::ApiVersions,
        ApiKey::Metadata,
        ApiKey::InitProducerId,
        ApiKey::Produce,
    ] {
        for (name, change) in changes {
            let case = at_start(name, ONCE, Tamper::Frames(api, change), Recovers);
            run(&case);
            run(&Case { ready: true, ..case });
        }
    }
    for (api, name, change) in counts {
        let case = at_start(name, ONCE, Tamper::Frames(api, change), Recovers);
        run(&case);
        run(&Case { ready: true, ..case });
    }
    let always = Tamper::Frames(ApiKey::Metadata, |f| with_body(&f, &[&[0; 5], &COUNT]));
    run(&at_start("never metadata", ALWAYS, always, NotReady("malformed")));
    let always = Tamper::Frames(ApiKey::ApiVersions, |f| with_body(&f, &[&[0; 2], &COUNT]));
    run(&at_start("never versions", ALWAYS, always, NotReady("malformed")));
    // The caller hears UNKNOWN at the deadline; the core goes on asking, once per backoff.
    let always = Tamper::Frames(ApiKey::Produce, |f| with_body(&f, &[&[0; 1], &COUNT]));
    run(&when_ready(
        "never an outcome",
        ALWAYS,
        always,
        Ends(Outcome::Unknown, 7),
    ));
}

#[test]
fn api_versions() {
    fn produce(response: &mut ApiVersionsResponse, min: i16, max: i16) {
        let mut apis = response.api_keys.iter_mut();
        let api = apis.find(|api| api.api_key == ApiKey::Produce as i16).unwrap();
        (api.min_version, api.max_version) = (min, max);
    }
    let cases = [
        (
            "min > max",
            Tamper::ApiVersions(|r| produce(r, 9, 3)),
            Expect::Fatal("Produce"),
        ),
        (
            "negative",
            Tamper::ApiVersions(|r| produce(r, -5, -1)),
            Expect::Fatal("Produce"),
        ),
        (
            "none of ours",
            Tamper::ApiVersions(|r| produce(r, 14, 20)),
            Expect::Fatal("14 to 20"),
        ),
        (
            "every version",
            Tamper::ApiVersions(|r| produce(r, i16::MIN, i16::MAX)),
            Recovers,
        ),
        (
            "no API at all",
            Tamper::ApiVersions(|r| r.api_keys.clear()),
            Expect::Fatal("Produce"),
        ),
        (
            "Produce twice",
            Tamper::ApiVersions(|r| r.api_keys.push(r.api_keys[0].clone())),
            Recovers,
        ),
        (
            "an error",
            Tamper::ApiVersions(|r| r.error_code = 999),
            NotReady("error 999"),
        ),
    ];
    for (name, tamper, expect) in cases {
        run(&at_start(name, ALWAYS, tamper, expect));
    }
    run(&at_start(
        "an error once",
        ONCE,
        Tamper::ApiVersions(|r| r.error_code = -1),
        Recovers,
    ));
}

#[test]
fn producer_ids() {
    let none = Tamper::Identity(|r| r.producer_id = (-1).into());
    run_all(&[
        // Batches of "no id" would be written again at each retry.
        at_start("no id", ALWAYS, none, NotReady("InitProducerId gave id -1")),
        at_start("no id once", ONCE, none, Recovers),
        at_start(
            "no epoch",
            ONCE,
            Tamper::Identity(|r| r.producer_epoch = -1),
            Recovers,
        ),
        at_start(
            "the last epoch",
            ALWAYS,
            Tamper::Identity(|r| r.producer_epoch = i16::MAX),
            Recovers,
        ),
        at_start(
            "throttled",
            ALWAYS,
            Tamper::Identity(|r| r.throttle_time_ms = i32::MAX),
            Recovers,
        ),
        at_start("not now", 3, Tamper::Identity(|r| r.error_code = 51), Recovers),
        at_start(
            "not allowed",
            ONCE,
            Tamper::Identity(|r| r.error_code = 31),
            Expect::Fatal("31"),
        ),
        at_start(
            "an unheard-of code",
            ONCE,
            Tamper::Identity(|r| r.error_code = 999),
            Expect::Fatal("999"),
        ),
    ]);
}

fn answers(response: &mut ProduceResponse) -> &mut Vec<PartitionProduceResponse> {
    &mut response.responses[0].partition_responses
}

/// "Another one leads, as of that epoch, and is there."
fn moved(response: &mut ProduceResponse, node: i32, host: &str) {
    for answer in answers(response) {
        answer.error_code = 6;
        let leader = LeaderIdAndEpoch::default().with_leader_id(node.into());
        answer.current_leader = leader.with_leader_epoch(i32::MAX);
    }
    endpoint(response, node, host);
}

fn endpoint(response: &mut ProduceResponse, node: i32, host: &str) {
    let endpoint = NodeEndpoint::default().with_node_id(node.into());
    response.node_endpoints = vec![endpoint.with_host(text(host)).with_port(9000)];
}

#[test]
fn produce_answers() {
    let no_topic = Tamper::Produce(|r| r.responses.clear());
    let foreign_topic = Tamper::Produce(|r| r.responses[0].topic_id = Default::default());
    // Which of two words is right nobody knows, so neither is believed.
    let twice = Tamper::Produce(|r| {
        let again = answers(r)[0].clone().with_error_code(87);
        answers(r).push(again);
    });
    let foreign = Tamper::Produce(|r| {
        let foreign = answers(r)[0].clone().with_index(77);
        answers(r).push(foreign);
    });
    let once = |name, tamper| when_ready(name, ONCE, tamper, Recovers);
    let unmoved = |name, tamper| when_ready(name, ALWAYS, tamper, Unmoved);
    let never = Ends(Outcome::Unknown, 7);
    run_all(&[
        once("no topic", no_topic),
        when_ready("no topic, ever", ALWAYS, no_topic, never),
        once("a partition left out", Tamper::Produce(|r| answers(r).clear())),
        once("a partition twice", twice),
        when_ready("a partition twice, ever", ALWAYS, twice, never),
        once("a foreign partition", foreign),
        once(
            "another partition instead",
            Tamper::Produce(|r| answers(r)[0].index ^= 1),
        ),
        once("partition -1", Tamper::Produce(|r| answers(r)[0].index = -1)),
        once("a foreign topic", foreign_topic),
        unmoved("offset -5", Tamper::Produce(|r| answers(r)[0].base_offset = -5)),
        unmoved(
            "offset -2^63",
            Tamper::Produce(|r| answers(r)[0].base_offset = i64::MIN),
        ),
        unmoved(
            "offset 2^63 - 1",
            Tamper::Produce(|r| answers(r)[0].base_offset = i64::MAX),
        ),
        unmoved(
            "a negative throttle",
            Tamper::Produce(|r| r.throttle_time_ms = i32::MIN),
        ),
        when_ready(
            "code 999",
            ONCE,
            Tamper::Produce(|r| answers(r)[0].error_code = 999),
            Stops(999),
        ),
        when_ready(
            "code -2^15",
            ONCE,
            Tamper::Produce(|r| answers(r)[0].error_code = i16::MIN),
            Stops(i16::MIN),
        ),
        once(
            "a leader that is no broker",
            Tamper::Produce(|r| moved(r, 77, "evil\0")),
        ),
        once("leader -1", Tamper::Produce(|r| moved(r, -1, "node"))),
        // Addresses come with a newer leader or not at all.
        unmoved(
            "a known node elsewhere",
            Tamper::Produce(|r| endpoint(r, 0, "elsewhere")),
        ),
    ]);
}

/// 2^31 - 1 ms are 24 days. The connection is muted that long (A17), so its records end at their deadline.
#[test]
fn a_throttle_of_24_days_is_an_outcome_by_the_deadline() {
    let mut script = script(&[("delivery.timeout.ms", "40000".to_owned())], 1, 1, 1);
    script.run_for(1000 * MS);
    let forever = Tamper::Produce(|r| r.throttle_time_ms = i32::MAX);
    script.tampering.push((forever, ONCE));
    append(&mut script, 0, 0, 1);
    script.run_for(10 * MS);
    append(&mut script, 0, 1, 1);
    script.run_for(50_000 * MS);
    assert_eq!(script.outcomes[&0].0, Outcome::Acked, "the answer is valid");
    assert_eq!(
        (script.outcomes[&1].0, script.outcomes[&1].3),
        (Outcome::NotWritten, 7)
    );
    check(&mut script);
}
