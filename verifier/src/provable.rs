//! What a kind of cluster can never prove, whatever was measured on it: one rule for `plan` and for the judge. Pure.
//!
//! On `simulated` our own broker answers in Kafka's place. Delivery and order under faults of the network, and what our own
//! path costs, can be proven there. Not provable:
//!
//! | on `simulated` | why |
//! |---|---|
//! | a limit on latency, rate, unavailability or the broker's cost | half of the figure is a broker that is not Kafka |
//! | `lost` where brokers are killed, paused or restarted | what survives is what the model replicates |
//! | `recovered` where they are | how fast leaders move is the model's choice |
//! | `recovered` with a `condition` | the figure is a latency |
//!
//! A found anomaly is never voided: these turn a pass into INCONCLUSIVE, and a limit either way.

use crate::expectations::{ClaimId, Metric};

/// The kind that this is about.
pub const SIMULATED: &str = "simulated";

/// Why a limit on this metric ends INCONCLUSIVE on this kind of cluster; none when it can be proven.
pub fn why_no_limit(kind: &str, metric: Metric) -> Option<&'static str> {
    let of_the_broker = match metric {
        Metric::AckLatency
        | Metric::ServiceTime
        | Metric::VisibleLatency
        | Metric::AchievedRate
        | Metric::Unavailability
        | Metric::BrokerCpu
        | Metric::BrokerCpuPerRecord
        | Metric::BrokerRss => true,
        Metric::ScheduleLag
        | Metric::RecordError
        | Metric::ClientCpu
        | Metric::ClientCpuPerRecord
        | Metric::ClientRss => false,
    };
    (kind == SIMULATED && of_the_broker)
        .then_some("the broker is simulated: the figure is not Kafka's (--broker kafka)")
}

/// Why this claim cannot pass on this kind of cluster; none when it can. `hurts_brokers`: some fault kills, pauses or
/// restarts brokers. `timed`: `recovered` has a condition on latency.
pub fn why_no_pass(kind: &str, claim: ClaimId, (hurts_brokers, timed): (bool, bool)) -> Option<&'static str> {
    if kind != SIMULATED {
        return None;
    }
    match claim {
        ClaimId::Recovered if timed && !hurts_brokers => {
            Some("the broker is simulated: how soon latency is back is not Kafka's (--broker kafka)")
        }
        _ if !hurts_brokers => None,
        ClaimId::Lost => Some(
            "the broker is simulated: what survives a broker is not Kafka's replication (--broker kafka)",
        ),
        ClaimId::Recovered => {
            Some("the broker is simulated: how fast leaders move is not Kafka's (--broker kafka)")
        }
        ClaimId::Duplicated
        | ClaimId::ReorderedPerKey
        | ClaimId::ReorderedInTime
        | ClaimId::ReorderedForReaders
        | ClaimId::Torn
        | ClaimId::Corrupted => None,
    }
}

/// Whether a fault of this action, in the words of `faults.jsonl`, is done to brokers and not to the network.
pub fn hurts_brokers(action: &str) -> bool {
    matches!(action, "kill" | "term" | "pause" | "restart")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_simulated_kind_is_doubted_and_only_where_the_broker_is_in_it() {
        assert!(why_no_limit("simulated", Metric::AckLatency).is_some());
        assert!(why_no_limit("simulated", Metric::ClientCpuPerRecord).is_none());
        assert!(why_no_pass("simulated", ClaimId::Lost, (true, false)).is_some());
        assert!(why_no_pass("simulated", ClaimId::Lost, (false, false)).is_none());
        assert!(why_no_pass("simulated", ClaimId::Duplicated, (true, false)).is_none());
        assert!(why_no_pass("simulated", ClaimId::Recovered, (true, false)).is_some());
        assert!(why_no_pass("simulated", ClaimId::Recovered, (false, true)).is_some());
        assert!(why_no_pass("simulated", ClaimId::Recovered, (false, false)).is_none());
        for kind in ["kafka", "docker", "external"] {
            assert!(why_no_limit(kind, Metric::AckLatency).is_none());
            assert!(why_no_pass(kind, ClaimId::Lost, (true, true)).is_none());
            assert!(why_no_pass(kind, ClaimId::Recovered, (true, true)).is_none());
        }
    }
}
