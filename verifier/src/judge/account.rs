//! What the histories say beside the tables: counts, doubts, and what they leave unsaid. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::JudgeError;
use super::schedule;
use super::sources::Histories;
use crate::history::Header;
use crate::verdict::Records;
use crate::workload::Workload;

/// What the histories say beside the tables.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// The first worker's order; all workers of a run share topic and partitions.
    pub(super) workload: Option<Workload>,
    /// (monotonic ns, wall ms) of one moment.
    pub(super) wall: Option<(u64, i64)>,
    /// Records that the schedules ask for within warm-up, from below.
    pub(super) due_in_warmup: u64,
    pub(super) sent: u64,
    pub(super) acked: u64,
    pub(super) not_written: u64,
    pub(super) withheld: Vec<NotSent>,
    pub(super) clock: ClockDoubts,
    /// Workers whose history is known to lack something, and what.
    pub(super) incomplete: BTreeMap<u16, Vec<String>>,
}

/// Records that were due and never handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NotSent {
    pub(super) worker: u16,
    pub(super) records: u64,
    pub(super) due: Range<u64>,
    /// False only when the subject says that its client had no room or had failed.
    pub(super) had_room: bool,
}

/// Stamps that one monotonic clock cannot give.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClockDoubts {
    /// Records handed over before they were due.
    pub(super) sent_early: u64,
    /// Records acknowledged before they were handed over.
    pub(super) acked_early: u64,
    /// Hand-overs stamped before the one written before them.
    pub(super) backwards: u64,
    /// Records due outside of the run that samples.jsonl speaks of.
    pub(super) outside: u64,
}

impl Account {
    /// All counts; `read` = data records of the log.
    pub(super) fn records(&self, read: u64) -> Records {
        let Account {
            sent,
            acked,
            not_written,
            ..
        } = *self;
        Records {
            intended: sent + self.withheld.iter().map(|run| run.records).sum::<u64>(),
            sent,
            acked,
            not_written,
            unknown: sent - acked - not_written,
            read,
        }
    }

    pub(super) fn doubt(&mut self, worker: u16, what: String) {
        self.incomplete.entry(worker).or_default().push(what);
    }

    pub(super) fn note_missing(&mut self, files: &Histories<'_>, expected: &BTreeSet<u16>) {
        let workers: BTreeSet<u16> = files.keys().map(|&(worker, _)| worker).collect();
        let highest = workers.iter().chain(expected).max().copied().unwrap_or(0);
        for worker in (0..=highest).filter(|worker| !workers.contains(worker)) {
            self.doubt(worker, format!("no history of worker {worker}"));
        }
        for worker in workers {
            let there: BTreeSet<u32> = files
                .keys()
                .filter(|key| key.0 == worker)
                .map(|&(_, incarnation)| incarnation)
                .collect();
            let highest = there.iter().max().copied().unwrap_or(0);
            for lacking in (0..=highest)
                .filter(|incarnation| !there.contains(incarnation))
                .take(1)
            {
                self.doubt(
                    worker,
                    format!("no history of worker {worker}, incarnation {lacking}"),
                );
            }
        }
    }

    pub(super) fn note_header(&mut self, path: &Path, header: &Header) -> Result<(), JudgeError> {
        self.wall
            .get_or_insert((header.started_ns, header.started_wall_ms));
        if header.incarnation == 0 {
            self.due_in_warmup += schedule::at_least_in_warmup(&header.workload);
        }
        let workload = self.workload.get_or_insert_with(|| header.workload.clone());
        if workload.topic != header.workload.topic || workload.partitions != header.workload.partitions {
            return Err(JudgeError::Contradiction {
                path: path.to_owned(),
                what: "another topic or number of partitions than the other histories".to_owned(),
            });
        }
        Ok(())
    }

    /// Records that the schedule asks for and that the history mentions neither as handed over nor as withheld.
    pub(super) fn note_unsaid(&mut self, header: &Header, said: u64, last_due_ns: u64) {
        let unsaid = schedule::at_least(&header.workload).saturating_sub(said);
        if unsaid > 0 {
            let end = header.workload.start_ns + header.workload.warmup_ns + header.workload.duration_ns;
            self.withheld.push(NotSent {
                worker: header.worker,
                records: unsaid,
                due: last_due_ns..end.max(last_due_ns + 1),
                had_room: true,
            });
        }
    }
}
