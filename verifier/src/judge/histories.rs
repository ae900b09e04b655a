//! Pass 1: every history into the tables and the load figures, each record once.
//!
//! ```text
//! history/0-0.bin ─┐  handed over ─▶ a row, schedule lag, series
//! history/0-1.bin ─┼─ completed ───▶ outcome and place in the row, latency, availability
//! history/1-0.bin ─┘  withheld ────▶ due, but never sent
//!                     txn ended ───▶ transactions.rs        copied ─▶ origins, for copies.rs
//! ```
//! A record of a transaction counts as acknowledged when the end of its transaction is answered as it was asked for: then
//! its latency ends, and not with its batch, which readers do not see yet (`waiting.rs`).
//!
//! What the files cannot tell is written down as doubts, for H1 (a), H4 and H5; what they tell twice in different
//! words is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::JudgeError;
use super::account::{Account, NotSent};
use super::availability::Availability;
use super::findings::{Anomaly, Findings};
use super::liveness::Debts;
use super::load::{Load, ON_ITS_WAY_NS};
use super::phases::Plan;
use super::sources::{Histories, History};
use super::tables::{Origin, State, Stretch, Tables};
use super::transactions::TRANSACTIONS_MAX;
use super::waiting::{Waiting, WaitingRecord};
use crate::history::{Completed, Copied, Entry, Outcome, TransactionEnded, Withheld};
use crate::stamp::RecordId;

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

/// What pass 1 fills.
pub(super) struct Books<'a> {
    pub(super) tables: &'a mut Tables,
    /// None in a simulated world, whose latency is not judged.
    pub(super) load: Option<&'a mut Load>,
    pub(super) availability: &'a mut Availability,
    pub(super) debts: &'a mut Debts,
    pub(super) findings: &'a mut Findings,
}

/// One file while it is read.
struct File<'a> {
    path: &'a Path,
    worker: u16,
    incarnation: u32,
    /// The index that must come next.
    next_index: u64,
    handover_ns: u64,
    last_due_ns: u64,
    /// The latest stamp so far.
    latest_ns: u64,
    sent: u64,
    withheld: u64,
    /// Its stretches stand in the tables from here.
    first_stretch: usize,
    /// Acknowledged records of transactions whose end was not read yet.
    waiting: Waiting,
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
        account.read_history(&mut history, is_last, &source, books)?;
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
    for (row, until_ns) in tables.stretches.iter().flat_map(Stretch::waiting) {
        if row.state() == State::Open {
            match source.looked_ns {
                Some(looked_ns) if looked_ns.saturating_sub(row.time_ns) < ON_ITS_WAY_NS => {
                    if let Some(load) = load {
                        load.on_its_way(row.time_ns, row.handover_ns, looked_ns);
                    }
                    availability.acked(looked_ns, row.time_ns);
                }
                _ => {
                    availability.failed(until_ns, row.time_ns);
                    if let Some(load) = load {
                        load.ended(row.time_ns, until_ns);
                    }
                }
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
    fn read_history(
        &mut self,
        history: &mut History<'_>,
        is_last: bool,
        source: &Source<'_>,
        books: &mut Books<'_>,
    ) -> Result<(), JudgeError> {
        let plan = &source.plan;
        let header = history.header.as_ref();
        let mut file = File {
            path: &history.path,
            worker: history.worker,
            incarnation: history.incarnation,
            next_index: history.first_index,
            handover_ns: 0,
            last_due_ns: header.map_or(0, |header| header.workload.start_ns),
            latest_ns: 0,
            sent: 0,
            withheld: 0,
            first_stretch: books.tables.stretches.len(),
            waiting: Waiting::default(),
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
                Entry::Completed(completed) => {
                    file.latest_ns = file.latest_ns.max(completed.ack_ns);
                    self.completed(&mut file, books, &completed)?;
                }
                Entry::Withheld(withheld) => {
                    self.follow(&mut file, withheld.first_index, withheld.count)?;
                    self.withheld(&mut file, &withheld);
                }
                Entry::TransactionEnded(transaction) => file.transaction_ended(books, &transaction)?,
                Entry::Copied(copied) => file.copied(books.tables, &copied),
                Entry::End => ended = true,
            }
        }
        let until_ns = if ended || is_last {
            u64::MAX
        } else {
            file.latest_ns
        };
        file.waiting.give_up(source.looked_ns, until_ns, books);
        for stretch in &mut books.tables.stretches[file.first_stretch..] {
            (stretch.orderly, stretch.until_ns) = (ended, until_ns);
        }
        // What a worker that was started again still owed, its workload alone does not tell.
        if let Some(header) = header.filter(|header| ended && header.incarnation == 0) {
            self.note_unsaid(header, file.sent + file.withheld, file.last_due_ns);
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
            let stretch = Stretch::begin(file.worker, first_index);
            books.tables.stretches.push(stretch);
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
            books.debts.handed_over(intended_ns, handover_ns);
        }
        self.clock.backwards += u64::from(handover_ns < file.handover_ns);
        file.handover_ns = handover_ns;
        file.latest_ns = file.latest_ns.max(handover_ns);
        file.last_due_ns = intended_ns
            .last()
            .map_or(file.last_due_ns, |&due| due.max(file.last_due_ns));
        file.sent += intended_ns.len() as u64;
        self.sent += intended_ns.len() as u64;
    }

    fn completed(
        &mut self,
        file: &mut File<'_>,
        books: &mut Books<'_>,
        completed: &Completed<'_>,
    ) -> Result<(), JudgeError> {
        let records = completed.indexes.len() as u64;
        let acked = completed.outcome == Outcome::Acked;
        let placed = completed.base_offset >= 0 && completed.partition >= 0;
        let transaction = file.transaction(books.tables, completed.transaction)?;
        let mut due_ns = u64::MAX;
        for (i, &index) in completed.indexes.iter().enumerate() {
            let row = file
                .row(books.tables, index)
                .ok_or_else(|| file.contradiction(index, "has an outcome but was never handed over"))?;
            if matches!(row.state(), State::Acked | State::NotWritten) {
                return Err(file.contradiction(index, "has two outcomes"));
            }
            let (intended_ns, handover_ns) = (row.time_ns, row.handover_ns);
            let first = row.state() == State::Open;
            due_ns = due_ns.min(intended_ns);
            row.set_transaction(transaction);
            match completed.outcome {
                Outcome::Unknown => row.set_state(State::Unknown),
                Outcome::NotWritten => row.set_state(State::NotWritten),
                Outcome::Acked => {
                    row.set_state(State::Acked);
                    row.time_ns = completed.ack_ns;
                    if placed {
                        row.partition = completed.partition;
                        row.offset = completed.base_offset.saturating_add(i as i64);
                    }
                    self.clock.acked_early += u64::from(completed.ack_ns < handover_ns);
                    if transaction != 0 {
                        let ack_ns = completed.ack_ns;
                        file.waiting.push(
                            completed.transaction,
                            WaitingRecord {
                                intended_ns,
                                handover_ns,
                                ack_ns,
                                first,
                            },
                        );
                    } else if let Some(load) = &mut books.load {
                        load.acked(intended_ns, handover_ns, completed.ack_ns);
                    }
                }
            }
            // What waits for the end of its transaction is not over yet.
            let over = first && !(acked && transaction != 0);
            if let Some(load) = books.load.as_mut().filter(|_| over) {
                load.ended(intended_ns, completed.ack_ns);
            }
        }
        if acked {
            self.acked += records;
            if transaction != 0 {
                let transactions = &mut books.tables.transactions;
                transactions.used(completed.producer_id, completed.producer_epoch, completed.ack_ns);
            } else {
                if let Some(load) = &mut books.load {
                    load.batch_acked(records, completed.ack_ns);
                }
                books.availability.acked(completed.ack_ns, due_ns);
            }
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
}

impl File<'_> {
    /// The number by which rows know a transaction of this history; 0 = none.
    fn transaction(&self, tables: &mut Tables, number: u64) -> Result<u32, JudgeError> {
        if number == 0 {
            return Ok(0);
        }
        let known = tables.transactions.of(self.worker, self.incarnation, number);
        known.ok_or_else(|| JudgeError::Contradiction {
            path: self.path.to_owned(),
            what: format!("more than {TRANSACTIONS_MAX} transactions cannot be judged"),
        })
    }

    fn transaction_ended(
        &mut self,
        books: &mut Books<'_>,
        ended: &TransactionEnded,
    ) -> Result<(), JudgeError> {
        let transaction = self.transaction(books.tables, ended.number)?;
        if books.tables.transactions.end(transaction, ended) {
            self.latest_ns = self.latest_ns.max(ended.ended_ns);
            self.waiting.settle(ended, books);
            return Ok(());
        }
        Err(JudgeError::Contradiction {
            path: self.path.to_owned(),
            what: format!("transaction {} has two ends", ended.number),
        })
    }

    fn copied(&self, tables: &mut Tables, copied: &Copied<'_>) {
        let origin = |(index, &offset): (u64, &u64)| Origin {
            partition: copied.partition,
            offset: offset as i64,
            id: RecordId::new(self.worker, index),
        };
        let origins = (copied.first_index..).zip(copied.offsets).map(origin);
        tables.origins.extend(origins);
    }

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
