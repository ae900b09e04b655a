//! The ids of anomalies and harness causes in words. An id that is not known here is shown as it is.

/// A claim's id as a reader says it: `reordered-per-key` is "reordered per key".
pub(crate) fn claim(id: &str) -> String {
    id.replace('-', " ")
}

/// What an anomaly means, in one line; empty for an id of a later version.
pub(crate) fn anomaly(id: &str) -> &'static str {
    match id {
        "L1" => "acknowledged, and not in the log",
        "L2" => "acknowledged, and missing below a later offset that was read",
        "L3" => "acknowledged, and not seen before the deadline",
        "L4" => "accepted, and never heard of again",
        "L5" => "a gap in what the source held",
        "L6" => "read once, and gone later",
        "D1" => "written more than once to one partition",
        "D2" => "written to two partitions",
        "D3" => "reported as not written, and in the log",
        "D4" => "one request of a caller became two records",
        "D5" => "sent again after a restart",
        "D6" => "delivered more than once",
        "O1" => "a later record of the same key stands before an earlier one",
        "O2" => "order broken inside one batch or transaction",
        "O3" => "stands before a record that was acknowledged before it was sent",
        "O4" => "a gap that was filled late",
        "O5" => "a reader went back or jumped over a record",
        "O6" => "order of the source's transactions broken",
        "O7" => "one key in two partitions",
        "T1" => "a record of an aborted transaction can be read",
        "T2" => "read before its transaction was committed",
        "T3" => "a transaction is there in part",
        "T4" => "a transaction reported as aborted is there as a whole",
        "T5" => "a committed transaction is not there at all",
        "T6" => "the committed position and the copies disagree",
        "T7" => "written with an epoch that was left behind",
        "T8" => "a transaction stays open for too long",
        "I1" => "two contents at one offset",
        "I2" => "content changed on the way",
        "I3" => "a record that nobody sent",
        "I4" => "acknowledged at another place than where it stands",
        "I5" => "offset or leader epoch went back",
        "I6" => "two ways of reading disagree",
        "V1" => "no acknowledgement for longer than allowed",
        "V2" => "no progress, though nothing was broken",
        "V3" => "not recovered in time after a heal",
        "V4" => "a partition or a reader stood still, though nothing was broken",
        "V6" => "records due before a heal were sent too late after it",
        _ => "",
    }
}

/// What a harness cause means, in one line.
pub(super) fn cause(id: &str) -> &'static str {
    match id {
        "H1" => "the load generator missed its schedule",
        "H2" => "a fault without evidence that it bit",
        "H3" => "the log was not sealed",
        "H4" => "clocks cannot be compared",
        "H5" => "the history is incomplete",
        "H6" => "not the environment of the baseline",
        "simulated" => "not a real Kafka",
        "check" => "a check broke",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_anomaly_that_the_judge_can_name_has_words() {
        for id in steadfast_verifier::judge::Anomaly::ALL.map(steadfast_verifier::judge::Anomaly::id) {
            assert!(!anomaly(id).is_empty(), "{id}");
        }
    }
}
