//! I1 to I5, and who a record of the log is. Pure.
//!
//! ```text
//! id issued?   stamp fits?
//!   yes          yes         that record
//!   yes          no          I2; that record, if it was acknowledged here or could only be this one
//!   no           yes         I3 (H5 where that worker's history is known to lack something)
//!   no           no          I2 if somebody's acknowledgement claims the place (the id itself was hit), else I3
//! ```
//! I4 is found by `duplication.rs` (the record is elsewhere) and in pass 1 (acknowledged without a place); I5 of readers by
//! `readers.rs`.

use super::findings::{Anomaly, Findings};
use super::logs::Place;
use super::tables::{Row, State, Tables};
use crate::log::LogBatch;
use crate::stamp::RecordId;

/// Places of damaged records that are remembered, so that they are not counted as lost as well; 16 MiB.
const DAMAGED_PLACES_MAX: usize = 1 << 20;

/// Who a record is.
pub(super) enum Identity<'t> {
    /// One that was handed over.
    Issued {
        /// Its id.
        id: RecordId,
        /// What is known of it.
        row: &'t mut Row,
        /// Its stamp fits.
        intact: bool,
    },
    /// Nobody that could be missed elsewhere.
    Nobody,
}

/// What integrity remembers from record to record.
pub(super) struct Integrity<'a> {
    /// Whether a worker's history is known to lack something.
    incomplete: &'a dyn Fn(u16) -> bool,
    /// Places whose record is damaged beyond recognition; ascending, as the log is read.
    damaged: Vec<(i32, i64)>,
    pub(super) read: u64,
    pub(super) unaccounted: u64,
}

impl<'a> Integrity<'a> {
    pub(super) fn new(incomplete: &'a dyn Fn(u16) -> bool) -> Integrity<'a> {
        Integrity {
            incomplete,
            damaged: Vec::new(),
            read: 0,
            unaccounted: 0,
        }
    }

    /// I1, as readers see it: an offset that comes twice. Those that acknowledgements claim twice are counted by
    /// [`Integrity::contested`].
    pub(super) fn next_offset(
        &self,
        place: Place<'_>,
        before: i64,
        tables: &Tables,
        findings: &mut Findings,
    ) {
        let offset = place.record.offset;
        if offset <= before && !tables.is_contested(place.partition, offset) {
            findings.add(Anomaly::I1, place.record.id, || {
                format!("{place} was read after offset {before}: the log has two contents there")
            });
        }
    }

    /// I1, as acknowledgements see it.
    pub(super) fn contested(&self, tables: &Tables, topic: &str, findings: &mut Findings) {
        for (partition, offsets) in tables.contested() {
            for offset in offsets.clone() {
                findings.add(Anomaly::I1, None, || {
                    format!("two records were acknowledged at {topic}-{partition} offset {offset}")
                });
            }
        }
    }

    /// Who stands at this place.
    pub(super) fn identify<'t>(
        &mut self,
        place: Place<'_>,
        tables: &'t mut Tables,
        findings: &mut Findings,
    ) -> Identity<'t> {
        self.read += 1;
        let (record, partition) = (place.record, place.partition);
        let claimed = || tables.is_claimed(partition, record.offset);
        let issued = record.id.filter(|&id| tables.contains(id));
        match (record.id, issued, record.intact) {
            (_, Some(_), true) => {}
            (_, Some(id), false) => {
                findings.add(Anomaly::I2, Some(id), || {
                    format!("the record at {place} is not as it was sent")
                });
                if !tables.find(id).is_some_and(|row| could_be(row, place)) {
                    self.note_damaged(place);
                    return Identity::Nobody;
                }
            }
            (Some(id), None, true) if (self.incomplete)(id.worker()) => {
                self.unaccounted += 1;
                return Identity::Nobody;
            }
            (_, None, false) if claimed() => {
                findings.add(Anomaly::I2, None, || {
                    format!("the record acknowledged at {place} is damaged, its id included")
                });
                self.note_damaged(place);
                return Identity::Nobody;
            }
            (id, None, _) => {
                findings.add(Anomaly::I3, id, || format!("nobody sent the record at {place}"));
                return Identity::Nobody;
            }
        }
        match issued.and_then(|id| tables.find(id).map(|row| (id, row))) {
            Some((id, row)) => Identity::Issued {
                id,
                row,
                intact: record.intact,
            },
            None => Identity::Nobody,
        }
    }

    /// Whether a damaged record stands at this place.
    pub(super) fn is_damaged(&self, partition: i32, offset: i64) -> bool {
        self.damaged.binary_search(&(partition, offset)).is_ok()
    }

    fn note_damaged(&mut self, place: Place<'_>) {
        let at = (place.partition, place.record.offset);
        if self.damaged.len() < DAMAGED_PLACES_MAX && self.damaged.last().is_none_or(|&last| last < at) {
            self.damaged.push(at);
        }
    }
}

/// I5, along the log of one partition: each leader has a higher epoch than those before it, and cuts off what an older one
/// wrote behind it (KIP-101), so epochs never go back.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    highest: Option<i32>,
}

impl Leaders {
    pub(super) fn next_batch(&mut self, place: (&str, i32), batch: &LogBatch, findings: &mut Findings) {
        // -1: not known.
        let epoch = Some(batch.leader_epoch).filter(|epoch| *epoch >= 0);
        if let (Some(epoch), Some(highest)) = (epoch, self.highest)
            && epoch < highest
        {
            let first = batch.records.first().and_then(|record| record.id);
            findings.add(Anomaly::I5, first, || {
                let ((topic, partition), base) = (place, batch.base_offset);
                format!("the batch at {topic}-{partition} offset {base} was written in leader epoch {epoch}, behind epoch {highest}")
            });
        }
        self.highest = self.highest.max(epoch);
    }
}

/// Whether a damaged record may be taken for the one whose id it bears: its id may be what was hit.
fn could_be(row: &Row, place: Place<'_>) -> bool {
    match row.state() {
        State::Acked if row.offset >= 0 => {
            (row.partition, row.offset) == (place.partition, place.record.offset)
        }
        _ => !row.seen(),
    }
}
