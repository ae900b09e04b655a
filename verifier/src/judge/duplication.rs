//! D1 to D3: each record against its own earlier appearances. Also finds I4, a record that stands elsewhere than
//! acknowledged. Pure.
//!
//! Of several appearances one is the true one: that at the acknowledged place, else the first read. Each other one is
//! a duplicate: D1 in the same partition, D2 in another.

use super::findings::{Anomaly, Findings};
use super::logs::Place;
use super::tables::{Row, State};
use crate::stamp::RecordId;

/// What an appearance of a record in the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sighting {
    /// The one that counts for order.
    True,
    /// A copy, or a record that should not be there at all.
    Other,
}

/// Notes that the log has a record at this place.
pub(super) fn sight(id: RecordId, row: &mut Row, place: Place<'_>, findings: &mut Findings) -> Sighting {
    let here = (place.partition, place.record.offset);
    let elsewhere = row.home() && (row.partition, row.offset) != here;
    if row.seen() || elsewhere {
        let anomaly = if row.partition == place.partition {
            Anomaly::D1
        } else {
            Anomaly::D2
        };
        let (partition, offset) = (row.partition, row.offset);
        findings.add(anomaly, Some(id), || {
            format!(
                "stands at {place} and at {}-{partition} offset {offset}",
                place.topic
            )
        });
        return Sighting::Other;
    }
    row.set_seen();
    let acked_at = (row.partition, row.offset);
    (row.partition, row.offset) = here;
    match row.state() {
        State::Acked if row.home() || acked_at.1 < 0 => Sighting::True,
        State::Acked => {
            findings.add(Anomaly::I4, Some(id), || {
                format!(
                    "stands at {place}, acknowledged at {}-{} offset {}",
                    place.topic, acked_at.0, acked_at.1
                )
            });
            Sighting::True
        }
        State::Open | State::Unknown => Sighting::True,
        State::NotWritten => {
            findings.add(Anomaly::D3, Some(id), || {
                format!("reported as not written, and stands at {place}")
            });
            Sighting::Other
        }
    }
}
