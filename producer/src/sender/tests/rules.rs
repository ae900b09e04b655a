//! One test per rule of the contract, each failing when the rule is dropped.

use super::script::{Fault, MS};
use super::{append, check, script};
use crate::record::Outcome;

/// The way of "Done when": connect, ack, cut connection, retry, close, by events alone.
#[test]
fn connects_acks_survives_a_cut_and_closes_in_virtual_time() {
    let mut script = script(&[], 1, 1, 1);
    script.run_for(1000 * MS);
    assert!(script.sender.is_ready(), "{}", script.sender.not_ready_reason());
    append(&mut script, 0, 0, 10);
    script.run_for(10 * MS);
    assert!(
        script
            .outcomes
            .values()
            .all(|outcome| outcome.0 == Outcome::Acked)
    );
    script.faults.push_back(Fault::CutAfter);
    append(&mut script, 0, 10, 10);
    script.run_for(5000 * MS);
    assert_eq!(script.outcomes.len(), 20);
    assert_eq!(script.sender.metrics().record_retry_total, 10);
    check(&mut script);
}
