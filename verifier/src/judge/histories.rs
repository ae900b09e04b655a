//! Pass 1: every history into the tables and the load figures, each record once.
//!
//! ```text
//! history/0-0.bin ─┐  handed over ─▶ a row, schedule lag, series
//! history/0-1.bin ─┼─ completed ───▶ outcome and place in the row, latency, availability
//! history/1-0.bin ─┘  withheld ────▶ due, but never sent
//! ```
//! What the files cannot tell is written down as doubts, for H1 (a), H4 and H5; what they tell twice in different
//! words is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use super::JudgeError;
use super::availability::Availability;
use super::findings::{Anomaly, Findings};
use super::load::{Load, ON_ITS_WAY_NS};
use super::phases::Plan;
use super::schedule;
use super::sources::{Histories, History};
use super::tables::{State, Stretch, Tables};
use crate::history::{Completed, Entry, Header, Outcome, Withheld};
use crate::stamp::RecordId;
use crate::verdict::Records;
use crate::workload::Workload;

/// Kafka's DUPLICATE_SEQUENCE_NUMBER: the batch is in the log, and the broker does not say where.
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
/// A record may be due this long after the planned end before clocks are in doubt.
const PLAN_SLACK_NS: u64 = 1_000_000_000;

/// What is known of the histories beforehand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// Where they lie, for messages.
    pub(super) dir: &'a Path,
    /// The moment of looking, when the workers still write. None: the run is over.
    pub(super) looked_ns: Option<u64>,
    /// Workers that are known to have run.
    pub(super) expected: &'a BTreeSet<u16>,
    pub(super) plan: Plan,
}

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

/// What pass 1 fills.
pub(super) struct Books<'a> {
    pub(super) tables: &'a mut Tables,
    /// None in a simulated world, whose latency is not judged.
    pub(super) load: Option<&'a mut Load>,
    pub(super) availability: &'a mut Availability,
    pub(super) findings: &'a mut Findings,
}

/// One file while it is read.
struct File<'a> {
    path: &'a Path,
    worker: u16,
    /// The index that must come next.
    next_index: u64,
    handover_ns: u64,
    last_due_ns: u64,
    sent: u64,
    withheld: u64,
    /// Its stretches stand in the tables from here.
    first_stretch: usize,
}

/// Reads every history once.
pub(super) fn read(
    histories: Histories<'_>,
    source: Source<'_>,
    books: &mut Books<'_>,
) -> Result<Account, JudgeError> {
    let mut account = Account::default();
    account.note_missing(&histories, source.expected);
    let last: BTreeMap<u16, u32> = histories.keys().copied().collect();
    for ((worker, incarnation), mut history) in histories {
        if let Some(header) = &history.header {
            account.note_header(&history.path, header)?;
        }
        let is_last = last.get(&worker) == Some(&incarnation);
        account.read_history(&mut history, &source.plan, books)?;
        if history.entries.torn() && is_last {
            account.doubt(
                worker,
                format!(
                    "{} was cut off and no later one accounts for it",
                    history.path.display()
                ),
            );
        }
    }
    if let Some((a, b)) = books.tables.seal() {
        return Err(JudgeError::Contradiction {
            path: source.dir.to_owned(),
            what: format!(
                "worker {} used an index twice: one history goes on behind {}, another begins at {}",
                a.worker, b.first_index, b.first_index
            ),
        });
    }
    let Books {
        tables,
        load,
        availability,
        ..
    } = books;
    for row in tables.stretches.iter().flat_map(|stretch| &stretch.rows) {
        if row.state == State::Open {
            match source.looked_ns {
                Some(looked_ns) if looked_ns.saturating_sub(row.time_ns) < ON_ITS_WAY_NS => {
                    if let Some(load) = load {
                        load.on_its_way(row.time_ns, row.handover_ns, looked_ns);
                    }
                    availability.acked(looked_ns, row.time_ns);
                }
                _ => availability.failed(u64::MAX, row.time_ns),
            }
        }
    }
    for not_sent in &account.withheld {
        if let Some(load) = load {
            load.never_handed_over(&not_sent.due, not_sent.records);
        }
        availability.failed(u64::MAX, not_sent.due.start);
    }
    Ok(account)
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

    fn doubt(&mut self, worker: u16, what: String) {
        self.incomplete.entry(worker).or_default().push(what);
    }

    fn note_missing(&mut self, files: &Histories<'_>, expected: &BTreeSet<u16>) {
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

    fn note_header(&mut self, path: &Path, header: &Header) -> Result<(), JudgeError> {
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

    fn read_history(
        &mut self,
        history: &mut History<'_>,
        plan: &Plan,
        books: &mut Books<'_>,
    ) -> Result<(), JudgeError> {
        let header = history.header.as_ref();
        let mut file = File {
            path: &history.path,
            worker: history.worker,
            next_index: history.first_index,
            handover_ns: 0,
            last_due_ns: header.map_or(0, |header| header.workload.start_ns),
            sent: 0,
            withheld: 0,
            first_stretch: books.tables.stretches.len(),
        };
        let mut ended = false;
        while let Some(entry) = history.entries.next()? {
            match entry {
                Entry::HandedOver {
                    first_index,
                    intended_ns,
                    handover_ns,
                } => {
                    self.follow(&mut file, first_index, intended_ns.len() as u64)?;
                    self.handed_over(&mut file, plan, books, (first_index, intended_ns, handover_ns));
                }
                Entry::Completed(completed) => self.completed(&file, books, &completed)?,
                Entry::Withheld(withheld) => {
                    self.follow(&mut file, withheld.first_index, withheld.count)?;
                    self.withheld(&mut file, &withheld);
                }
                Entry::TransactionEnded(_) | Entry::Copied(_) => {}
                Entry::End => ended = true,
            }
        }
        // What a worker that was started again still owed, its workload alone does not tell.
        if let Some(header) = header.filter(|header| ended && header.incarnation == 0) {
            self.note_unsaid(&file, header);
        }
        Ok(())
    }

    /// Indexes must follow on each other; a gap means that something was not written down.
    fn follow(&mut self, file: &mut File<'_>, first_index: u64, count: u64) -> Result<(), JudgeError> {
        if first_index < file.next_index {
            return Err(file.contradiction(first_index, "was handed over twice"));
        }
        if first_index > file.next_index {
            let from = RecordId::new(file.worker, file.next_index);
            let to = RecordId::new(file.worker, first_index - 1);
            self.doubt(
                file.worker,
                format!("{} says nothing of records {from} to {to}", file.path.display()),
            );
        }
        file.next_index = first_index.saturating_add(count);
        Ok(())
    }

    fn handed_over(
        &mut self,
        file: &mut File<'_>,
        plan: &Plan,
        books: &mut Books<'_>,
        (first_index, intended_ns, handover_ns): (u64, &[u64], u64),
    ) {
        let stretches = &mut books.tables.stretches;
        let current = stretches.len().wrapping_sub(1);
        let goes_on = stretches.len() > file.first_stretch
            && books
                .tables
                .hand_over(current, first_index, intended_ns, handover_ns);
        if !goes_on {
            books.tables.stretches.push(Stretch {
                worker: file.worker,
                first_index,
                rows: Vec::new(),
            });
            let new = books.tables.stretches.len() - 1;
            books.tables.hand_over(new, first_index, intended_ns, handover_ns);
        }
        for &intended_ns in intended_ns {
            self.clock.sent_early += u64::from(handover_ns < intended_ns);
            let outside =
                intended_ns < plan.start_ns || intended_ns > plan.end_ns.saturating_add(PLAN_SLACK_NS);
            self.clock.outside += u64::from(outside);
            if let Some(load) = &mut books.load {
                load.handed_over(intended_ns, handover_ns);
            }
        }
        self.clock.backwards += u64::from(handover_ns < file.handover_ns);
        file.handover_ns = handover_ns;
        file.last_due_ns = intended_ns
            .last()
            .map_or(file.last_due_ns, |&due| due.max(file.last_due_ns));
        file.sent += intended_ns.len() as u64;
        self.sent += intended_ns.len() as u64;
    }

    fn completed(
        &mut self,
        file: &File<'_>,
        books: &mut Books<'_>,
        completed: &Completed<'_>,
    ) -> Result<(), JudgeError> {
        let records = completed.indexes.len() as u64;
        let acked = completed.outcome == Outcome::Acked;
        let placed = completed.base_offset >= 0 && completed.partition >= 0;
        let mut due_ns = u64::MAX;
        for (i, &index) in completed.indexes.iter().enumerate() {
            let row = file
                .row(books.tables, index)
                .ok_or_else(|| file.contradiction(index, "has an outcome but was never handed over"))?;
            if matches!(row.state, State::Acked | State::NotWritten) {
                return Err(file.contradiction(index, "has two outcomes"));
            }
            due_ns = due_ns.min(row.time_ns);
            match completed.outcome {
                Outcome::Unknown => row.state = State::Unknown,
                Outcome::NotWritten => row.state = State::NotWritten,
                Outcome::Acked => {
                    let (intended_ns, handover_ns) = (row.time_ns, row.handover_ns);
                    row.state = State::Acked;
                    row.time_ns = completed.ack_ns;
                    if placed {
                        row.partition = completed.partition;
                        row.offset = completed.base_offset.saturating_add(i as i64);
                    }
                    self.clock.acked_early += u64::from(completed.ack_ns < handover_ns);
                    if let Some(load) = &mut books.load {
                        load.acked(intended_ns, handover_ns, completed.ack_ns);
                    }
                }
            }
        }
        if acked {
            self.acked += records;
            if let Some(load) = &mut books.load {
                load.batch_acked(records, completed.ack_ns);
            }
            books.availability.acked(completed.ack_ns, due_ns);
        } else if records > 0 {
            self.not_written += if completed.outcome == Outcome::NotWritten {
                records
            } else {
                0
            };
            books.availability.failed(completed.ack_ns, due_ns);
        }
        if acked && placed {
            let end = completed.base_offset.saturating_add(records as i64);
            books
                .tables
                .claim(completed.partition, completed.base_offset..end);
        } else if acked && completed.error_code != DUPLICATE_SEQUENCE_NUMBER {
            for &index in completed.indexes {
                books
                    .findings
                    .add(Anomaly::I4, Some(RecordId::new(file.worker, index)), || {
                        format!(
                            "acknowledged without a place: partition {}, offset {}",
                            completed.partition, completed.base_offset
                        )
                    });
            }
        }
        Ok(())
    }

    fn withheld(&mut self, file: &mut File<'_>, withheld: &Withheld) {
        file.withheld += withheld.count;
        file.last_due_ns = file.last_due_ns.max(withheld.last_due_ns);
        self.withheld.push(NotSent {
            worker: file.worker,
            records: withheld.count,
            due: withheld.first_due_ns..withheld.last_due_ns.max(withheld.first_due_ns).saturating_add(1),
            had_room: withheld.had_room,
        });
    }

    /// Records that the schedule asks for and that the history mentions neither as handed over nor as withheld.
    fn note_unsaid(&mut self, file: &File<'_>, header: &Header) {
        let unsaid = schedule::at_least(&header.workload).saturating_sub(file.sent + file.withheld);
        if unsaid > 0 {
            let end = header.workload.start_ns + header.workload.warmup_ns + header.workload.duration_ns;
            self.withheld.push(NotSent {
                worker: file.worker,
                records: unsaid,
                due: file.last_due_ns..end.max(file.last_due_ns + 1),
                had_room: true,
            });
        }
    }
}

impl File<'_> {
    fn row<'t>(&self, tables: &'t mut Tables, index: u64) -> Option<&'t mut super::tables::Row> {
        // Nearly always the newest stretch; another one only after a gap.
        let mine = tables.stretches.get_mut(self.first_stretch..)?;
        let stretch = mine
            .iter_mut()
            .rev()
            .find(|stretch| stretch.first_index <= index)?;
        stretch
            .rows
            .get_mut(usize::try_from(index - stretch.first_index).ok()?)
    }

    fn contradiction(&self, index: u64, what: &str) -> JudgeError {
        JudgeError::Contradiction {
            path: self.path.to_owned(),
            what: format!("record {} {what}", RecordId::new(self.worker, index)),
        }
    }
}
