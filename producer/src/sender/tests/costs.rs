//! Rules whose breaking only costs work: no log tells, so a test of its own does (docs/mutants.md).

use super::rules::{all_acked, one_by_one, pipelined};
use super::script::{Fault, MS};

#[test]
fn a4_at_most_five_batches_of_a_partition_are_unacknowledged() {
    let mut script = pipelined(&[]);
    script.faults.extend([Fault::Silent; 5]);
    one_by_one(&mut script, 1, 8);
    script.run_for(500 * MS);
    assert_eq!(script.requests.len(), 5, "the sixth waits for an answer");
    script.run_for(5000 * MS);
    all_acked(&mut script, 9);
}

#[test]
fn a19_a_leader_of_an_older_epoch_is_not_believed() {
    let mut script = pipelined(&[]);
    let mut told = |leader, epoch| {
        script.logs[0].leader = leader;
        script.logs[0].epoch = epoch;
        script.sender.control.want_metadata();
        script.run_for(500 * MS);
    };
    told(0, 5);
    told(1, 4);
    one_by_one(&mut script, 1, 1);
    let nodes: Vec<i32> = script.requests.iter().map(|seen| seen.node).collect();
    assert_eq!(nodes, [0], "what is told of epoch 4 is stale");
    script.logs[0].epoch = 6;
    script.sender.control.want_metadata();
    script.run_for(5000 * MS);
    all_acked(&mut script, 2);
}
