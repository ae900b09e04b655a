//! What users of Kafka's producers expect beyond the contract: lingering, back-pressure, limits, old brokers, replay.

use super::rules::{PIPELINED, all_acked, outcomes, pipelined, record};
use super::script::{Fault, MS};
use super::{append, check, script};
use crate::error::AppendError;
use crate::record::{Outcome, Record};

#[test]
fn an_old_broker_is_spoken_to_in_its_versions() {
    let mut script = script(&[], 1, 1, 1);
    script.old = true;
    script.newest_produce = 3;
    script.run_for(1000 * MS);
    append(&mut script, 0, 0, 20);
    script.run_for(1000 * MS);
    all_acked(&mut script, 20);
}

/// Found by simulation: a broker that hung at the first Metadata request left the producer without partitions for ever.
#[test]
fn metadata_without_an_answer_is_asked_for_again() {
    let mut script = script(&[("request.timeout.ms", "2000".to_owned())], 1, 1, 1);
    script.metadata_lost = 2;
    script.run_for(10_000 * MS);
    assert_eq!(script.metadata_lost, 0);
    assert!(script.sender.is_ready(), "{}", script.sender.not_ready_reason());
    append(&mut script, 0, 0, 20);
    script.run_for(1000 * MS);
    all_acked(&mut script, 20);
}

#[test]
fn records_linger_for_parts_of_a_millisecond_and_a_flush_ends_it() {
    let mut script = pipelined(&[("linger.ms", "0.25")]);
    let at_ns = script.now_ns;
    append(&mut script, 0, 1, 2);
    script.run_for(MS);
    assert_eq!(script.requests[0].at_ns, at_ns + 250_000);
    let mut script = pipelined(&[("linger.ms", "5")]);
    let at_ns = script.now_ns;
    append(&mut script, 0, 1, 2);
    script.sender.set_flushing(true, at_ns);
    script.run_for(MS);
    assert_eq!(script.requests[0].at_ns, at_ns);
    all_acked(&mut script, 3);
}

#[test]
fn a_flush_of_nothing_leaves_nothing_behind() {
    let mut script = pipelined(&[("linger.ms", "5")]);
    let at_ns = script.now_ns;
    script.sender.set_flushing(true, at_ns);
    script.run_for(MS);
    script.sender.set_flushing(false, script.now_ns);
    let at_ns = script.now_ns;
    append(&mut script, 0, 1, 2);
    script.run_for(10 * MS);
    assert_eq!(script.requests[0].at_ns, at_ns + 5 * MS, "linger counts again");
    all_acked(&mut script, 3);
}

#[test]
fn while_one_request_is_out_records_gather_for_the_next() {
    let mut script = pipelined(&[
        ("max.in.flight.requests.per.connection", "1"),
        ("batch.size", "16384"),
    ]);
    for id in 1..=50 {
        append(&mut script, 0, id, 1);
        script.run_for(10_000);
    }
    script.run_for(10 * MS);
    assert!(
        script.requests.len() < 10,
        "{} requests for 50 records in 5 round trips",
        script.requests.len()
    );
    all_acked(&mut script, 51);
}

#[test]
fn memory_is_bounded_and_what_is_not_taken_is_not_lost() {
    let mut script = pipelined(&[("buffer.memory", "2000")]);
    script.restart(0, 1000);
    script.run_for(1);
    let taken = append(&mut script, 0, 1, 1000) - 1;
    assert!((20..200).contains(&taken), "{taken}");
    assert_eq!(
        script.sender.append(&record(b"more"), 0, script.now_ns),
        Err(AppendError::BufferFull)
    );
    script.run_for(10_000 * MS);
    append(&mut script, 0, taken + 1, 10);
    script.run_for(1000 * MS);
    all_acked(&mut script, taken as usize + 11);
}

#[test]
fn a_record_too_large_is_refused_at_the_door() {
    let mut script = pipelined(&[("max.request.size", "2000")]);
    let value = vec![0; 1990];
    let refused = script.sender.append(&record(&value), 1, script.now_ns);
    assert!(
        matches!(refused, Err(AppendError::TooLarge { limit: 2000, .. })),
        "{refused:?}"
    );
    let nowhere = Record {
        partition: Some(7),
        ..record(b"x")
    };
    let refused = script.sender.append(&nowhere, 1, script.now_ns);
    assert_eq!(
        refused,
        Err(AppendError::NoSuchPartition {
            partition: 7,
            partitions: 1
        })
    );
}

#[test]
fn the_same_seed_and_events_give_the_same_actions() {
    let run = |seed| {
        let properties: Vec<(&str, String)> = PIPELINED.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        let mut script = script(&properties, 2, 2, seed);
        script.run_for(1000 * MS);
        script.faults.extend([
            Fault::CutAfter,
            Fault::None,
            Fault::Refuse { which: 0, code: 19 },
            Fault::Silent,
        ]);
        for id in 0..40 {
            append(&mut script, (id % 2) as i32, id, 1);
            script.run_for(50_000);
        }
        script.run_for(20_000 * MS);
        script.requests
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6), "jitter differs");
}

#[test]
fn retries_bound_what_is_not_written_and_never_what_is_unknown() {
    let mut script = pipelined(&[("retries", "2")]);
    script.faults.extend([Fault::Refuse { which: 0, code: 19 }; 3]);
    append(&mut script, 0, 1, 2);
    script.run_for(3000 * MS);
    assert_eq!(outcomes(&script, Outcome::NotWritten), 2);
    script.faults.extend([Fault::CutAfter; 5]);
    append(&mut script, 0, 3, 2);
    script.run_for(20_000 * MS);
    assert_eq!(outcomes(&script, Outcome::Acked), 3);
    check(&mut script);
}

#[test]
fn an_idle_connection_is_closed_and_made_again_when_needed() {
    let mut script = pipelined(&[("connections.max.idle.ms", "5000")]);
    let made = script.sender.metrics().connection_creation_total;
    script.run_for(20_000 * MS);
    assert_eq!(
        script.sender.metrics().connection_creation_total,
        made,
        "nothing needs it"
    );
    append(&mut script, 0, 1, 1);
    script.run_for(10 * MS);
    assert_eq!(script.sender.metrics().connection_creation_total, made + 1);
    all_acked(&mut script, 2);
}

/// Where keyless records go while node 0, which leads partition 0, is down: how many of 400 wait for it.
fn keyless_for_a_dead_broker(properties: &[(&str, &str)]) -> usize {
    let mut settings = vec![("batch.size", "200".to_owned())];
    settings.extend(
        properties
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    let mut script = script(&settings, 2, 2, 1);
    script.run_for(1000 * MS);
    script.restart(0, 60_000);
    let value = [0; 100];
    let keyless = Record {
        partition: None,
        ..record(&value)
    };
    let append = |script: &mut super::script::Script, ids: std::ops::Range<u64>| {
        for id in ids {
            assert_eq!(script.sender.append(&keyless, id, script.now_ns), Ok(()));
            script.run_for(MS);
        }
    };
    let waiting = |script: &super::script::Script| {
        let partition = &script.sender.partitions[0];
        let batches = partition.closed.iter().chain(&partition.open);
        batches.map(|batch| batch.tokens.len()).sum::<usize>()
    };
    append(&mut script, 0..100);
    let before = waiting(&script);
    assert!(before > 0, "the first ones could not know");
    script.run_for(500 * MS);
    append(&mut script, 100..500);
    waiting(&script) - before
}

#[test]
fn keyless_records_avoid_a_broker_that_takes_nothing_for_the_availability_timeout() {
    let timeout = ("partitioner.availability.timeout.ms", "300");
    let adaptive = ("partitioner.adaptive.partitioning.enable", "false");
    // One batch was begun before, and is filled.
    assert!(keyless_for_a_dead_broker(&[timeout]) <= 1);
    assert!(keyless_for_a_dead_broker(&[]) > 10, "0 = off");
    assert!(
        keyless_for_a_dead_broker(&[timeout, adaptive]) > 10,
        "as in Kafka: without adaptive, off"
    );
}
