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
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::JudgeError;
use super::findings::{Anomaly, Findings};
use super::load::Load;
use super::phases::Plan;
use super::schedule;
use super::tables::{State, Stretch, Tables};
use crate::history::{Completed, Entry, Header, Outcome, Reader, Withheld};
use crate::stamp::RecordId;
use crate::workload::Workload;

/// Kafka's DUPLICATE_SEQUENCE_NUMBER: the batch is in the log, and the broker does not say where.
const DUPLICATE_SEQUENCE_NUMBER: i16 = 46;
/// A record may be due this long after the planned end before clocks are in doubt.
const PLAN_SLACK_NS: u64 = 1_000_000_000;

/// Which histories, and whether they are whole.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) dir: &'a Path,
    /// The moment of looking, when the workers still write. None: the run is over.
    pub(super) looked_ns: Option<u64>,
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
    pub(super) load: &'a mut Load,
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

/// Reads `history/*.bin`. `expected` are the workers that are known to have run.
pub(super) fn read(
    source: Source<'_>,
    plan: &Plan,
    expected: &BTreeSet<u16>,
    books: &mut Books<'_>,
) -> Result<Account, JudgeError> {
    let mut account = Account::default();
    let files = open(source)?;
    account.note_missing(&files, expected);
    let last: BTreeMap<u16, u32> = files.keys().copied().collect();
    for ((worker, incarnation), (path, mut reader)) in files {
        let header = reader.header().clone();
        account.note_header(&path, &header)?;
        let is_last = last.get(&worker) == Some(&incarnation);
        account.read_file(&path, &header, &mut reader, plan, books)?;
        if reader.torn() && is_last {
            account.doubt(
                worker,
                format!("{} was cut off and no later one accounts for it", path.display()),
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
    for row in books.tables.stretches.iter().flat_map(|stretch| &stretch.rows) {
        if row.state == State::Open {
            books
                .load
                .without_outcome(row.time_ns, row.handover_ns, source.looked_ns);
        }
    }
    for not_sent in &account.withheld {
        books.load.never_handed_over(&not_sent.due, not_sent.records);
    }
    Ok(account)
}

/// Open histories by worker and incarnation.
type Files = BTreeMap<(u16, u32), (PathBuf, Reader)>;

fn open(source: Source<'_>) -> Result<Files, JudgeError> {
    let dir = source.dir;
    let io = |source| JudgeError::Io {
        path: dir.to_owned(),
        source,
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let reader = match source.looked_ns {
            Some(_) => Reader::open_growing(&path)?,
            None => Reader::open(&path)?,
        };
        let name = (reader.header().worker, reader.header().incarnation);
        if let Some((other, _)) = files.insert(name, (path.clone(), reader)) {
            let what = format!(
                "it and {} are of the same worker and incarnation",
                other.display()
            );
            return Err(JudgeError::Contradiction { path, what });
        }
    }
    if files.is_empty() {
        return Err(JudgeError::Missing {
            path: dir.join("*.bin"),
        });
    }
    Ok(files)
}

impl Account {
    fn doubt(&mut self, worker: u16, what: String) {
        self.incomplete.entry(worker).or_default().push(what);
    }

    fn note_missing(&mut self, files: &Files, expected: &BTreeSet<u16>) {
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

    fn read_file(
        &mut self,
        path: &Path,
        header: &Header,
        reader: &mut Reader,
        plan: &Plan,
        books: &mut Books<'_>,
    ) -> Result<(), JudgeError> {
        let mut file = File {
            path,
            worker: header.worker,
            next_index: header.workload.first_index,
            handover_ns: 0,
            last_due_ns: header.workload.start_ns,
            sent: 0,
            withheld: 0,
            first_stretch: books.tables.stretches.len(),
        };
        let mut ended = false;
        let restarted = header.incarnation > 0;
        while let Some(entry) = reader.next_entry()? {
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
                Entry::End => ended = true,
            }
        }
        // What a worker that was started again still owed, its workload alone does not tell.
        if ended && !restarted {
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
            books.load.handed_over(intended_ns, handover_ns);
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
                    books.load.acked(intended_ns, handover_ns, completed.ack_ns);
                }
            }
        }
        if acked {
            self.acked += records;
            books.load.batch_acked(records, completed.ack_ns, due_ns);
        } else if records > 0 {
            self.not_written += if completed.outcome == Outcome::NotWritten {
                records
            } else {
                0
            };
            books.load.availability.failed(completed.ack_ns, due_ns);
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
