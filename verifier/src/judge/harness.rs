//! Harness causes H1 to H5: what went wrong with the measuring itself, and what each of them voids. Pure.
//!
//! | cause | what happened | voids |
//! |---|---|---|
//! | H1 (a) | records were due, and never handed over although the client had room | latency, rate and CPU thresholds of the phases it touched |
//! | H1 (b) | generator kept waiting for a core, or machine stolen, for over 5 % of a phase | those of them that failed: latency counts from the intended time, so a pass stands |
//! | H2 | an ordered fault did not start, failed, or shows no evidence | a pass of the run |
//! | H3 | the log is not sealed | claims of absence |
//! | H4 | stamps that one monotonic clock cannot give | latency; absence of reordering in time |
//! | H5 | a history lacks something | claims of absence |
//! | H5 | a witness that was asked for did not speak | that witnesses agree |
//! | H5 | a reader that was ordered left nothing, died, or did not come to the end | what rests on what readers did not see |
//!
//! A found anomaly is never voided.

use super::account::Account;
use super::logs::LogAccount;
use super::phases::{self, Phase, Phases};
use super::thresholds::{self, Rests};
use super::usage::Usage;
use crate::expectations::Metric;
use crate::measurements::Disturbance;
use crate::timeline::Fault;
use crate::verdict::{Inconclusive, Outcome, ReaderVerdict, ThresholdVerdict};

/// H1 (b): the share of a phase above which a failed latency threshold says nothing.
const DISTURBANCE_MAX: f64 = 0.05;

/// All causes of a run.
#[derive(Debug, Default)]
pub(super) struct Causes {
    /// H1 (a): phases touched, and why.
    not_sent: Vec<(String, String)>,
    /// H1 (b): phases over the limit, and why.
    disturbed: Vec<(String, String)>,
    /// H2, and notes of the runner: they void a pass of the run.
    pub(super) run: Vec<Inconclusive>,
    /// H3 and H5: they void claims of absence.
    pub(super) absence: Vec<Inconclusive>,
    /// H4: it voids latency.
    pub(super) clock: Vec<Inconclusive>,
    /// H5 of readers: it voids claims of absence that they are asked for, and visible latency.
    pub(super) readers: Vec<Inconclusive>,
    /// H5 of witnesses: it voids that they agree.
    pub(super) witnesses: Vec<Inconclusive>,
}

impl Causes {
    /// H1 (a): per phase, by the due times of what was not handed over.
    pub(super) fn note_not_sent(&mut self, account: &Account, phases: &Phases) {
        for phase in phases.named.iter().chain([&phases.all]) {
            let touching = || {
                account
                    .withheld
                    .iter()
                    .filter(|run| run.had_room && phase.touches(&run.due))
            };
            let records: u64 = touching().map(|run| run.records).sum();
            if let Some(first) = touching().next() {
                let reason = format!(
                    "{records} records due in or about this phase were never handed over although the client had \
                     room (first: worker {})",
                    first.worker
                );
                self.not_sent.push((phase.name.clone(), reason));
            }
        }
    }

    /// H1 (b), from the shares that measurements.json shows as well.
    pub(super) fn note_disturbance(&mut self, shares: &[Disturbance]) {
        for Disturbance { phase, share, .. } in shares {
            if let Some(share) = share.filter(|&share| share > DISTURBANCE_MAX) {
                let reason = format!(
                    "the generator waited for a core, or the machine was taken away, for {:.1} % of the phase",
                    share * 100.0
                );
                self.disturbed.push((phase.clone(), reason));
            }
        }
    }

    /// H2: each ordered fault must have begun, held, and left a trace.
    pub(super) fn note_faults(&mut self, ordered: &[String], faults: &[Fault]) {
        for name in ordered {
            let mut of_name = faults.iter().filter(|fault| &fault.name == name).peekable();
            if of_name.peek().is_none() {
                self.run
                    .push(cause("H2", format!("fault {name:?} was ordered and never began")));
            }
            for fault in of_name {
                if let Some(why) = &fault.failed {
                    self.run
                        .push(cause("H2", format!("fault {name:?} failed: {why}")));
                } else if fault.evidence.is_empty() {
                    self.run.push(cause(
                        "H2",
                        format!("fault {name:?} left no evidence that it took effect"),
                    ));
                }
            }
        }
    }

    /// H1 (a) as a cause of its own.
    pub(super) fn not_sent(&self) -> Option<Inconclusive> {
        let (_, reason) = self.not_sent.first()?;
        Some(cause("H1", reason.clone()))
    }

    /// H1 (b) in a phase that comes after the begin of a fault, as a sentence.
    pub(super) fn disturbed_after_faults(&self) -> Option<String> {
        let after = |phase: &str| phase == phases::AFTER || phase.starts_with("heal:");
        let (phase, reason) = self.disturbed.iter().find(|(phase, _)| after(phase))?;
        Some(format!("H1 in {phase}: {reason}"))
    }

    /// H3: why the log is not complete.
    pub(super) fn note_seal(&mut self, log: &LogAccount, unseen: u64) {
        for reason in &log.unsealed {
            self.absence
                .push(cause("H3", format!("the log is not sealed: {reason}")));
        }
        for reason in &log.unfinished {
            self.absence.push(cause("H3", reason.clone()));
        }
        if unseen > 0 {
            self.absence.push(cause(
                "H3",
                format!("{unseen} acknowledged records were not seen: late or lost (L3)"),
            ));
        }
    }

    /// H4: stamps that contradict each other.
    pub(super) fn note_clock(&mut self, account: &Account, usage: &Usage) {
        let doubts = account.clock;
        for (count, what) in [
            (doubts.sent_early, "records were handed over before they were due"),
            (
                doubts.acked_early,
                "records were acknowledged before they were handed over",
            ),
            (
                doubts.backwards,
                "hand-overs lie before the one written before them",
            ),
            (
                doubts.outside,
                "records were due outside of the run that samples.jsonl speaks of",
            ),
            (usage.backwards, "samples lie before the one written before them"),
        ] {
            if count > 0 {
                self.clock.push(cause(
                    "H4",
                    format!("{count} {what}: the clocks cannot be compared"),
                ));
            }
        }
    }

    /// H5: what histories are known to lack.
    pub(super) fn note_histories(&mut self, account: &Account, log: &LogAccount) {
        for what in account.incomplete.values().flatten() {
            self.absence.push(cause("H5", what.clone()));
        }
        if log.unaccounted > 0 {
            let what = format!("{} intact records of the log are in no history", log.unaccounted);
            self.absence.push(cause("H5", what));
        }
    }

    /// H5 of witnesses: one that was asked for and said nothing has confirmed nothing.
    pub(super) fn note_witnesses(&mut self, silent: &[String]) {
        self.witnesses
            .extend(silent.iter().map(|why| cause("H5", why.clone())));
    }

    /// H5 of readers: one that did not see everything proves nothing by what it did not see.
    pub(super) fn note_readers(&mut self, ordered: u32, readers: &[ReaderVerdict]) {
        if (readers.len() as u64) < u64::from(ordered) {
            let what = format!("{ordered} readers were ordered and {} left a file", readers.len());
            self.readers.push(cause("H5", what));
        }
        for reader in readers.iter().filter(|_| ordered > 0) {
            let name = &reader.reader;
            if !reader.ended {
                let what = format!("{name} died: what it saw ends before the run did");
                self.readers.push(cause("H5", what));
            } else if reader.behind > 0 {
                let what = format!(
                    "{name} lagged: {} records behind when it was stopped",
                    reader.behind
                );
                self.readers.push(cause("H5", what));
            }
        }
    }

    /// What the runner noted when it gave up or was cut off.
    pub(super) fn note_runner(&mut self, usage: &Usage) {
        self.run
            .extend(usage.notes.iter().map(|note| cause("check", note.clone())));
    }

    /// Voids a threshold where a cause asks for it, and gives the cause.
    pub(super) fn void(&self, metric: Metric, threshold: &mut ThresholdVerdict) -> Option<Inconclusive> {
        let rests = thresholds::rests(metric);
        if threshold.verdict == Outcome::Inconclusive || rests == Rests::Neither {
            return None;
        }
        let of_phase = |causes: &[(String, String)]| {
            causes
                .iter()
                .find(|(phase, _)| *phase == threshold.phase)
                .map(|(_, reason)| Inconclusive {
                    id: "H1".to_owned(),
                    phase: Some(threshold.phase.clone()),
                    reason: reason.clone(),
                })
        };
        let unread = || {
            self.readers
                .first()
                .filter(|_| metric == Metric::VisibleLatency)
                .cloned()
        };
        let clock = || self.clock.first().filter(|_| rests == Rests::Latency).cloned();
        let disturbed = || of_phase(&self.disturbed).filter(|_| threshold.verdict == Outcome::Fail);
        let cause = unread()
            .or_else(clock)
            .or_else(|| of_phase(&self.not_sent))
            .or_else(disturbed)?;
        threshold.verdict = Outcome::Inconclusive;
        threshold.reason = Some(format!("{}: {}", cause.id, cause.reason));
        Some(cause)
    }
}

/// H1 (b) of every phase, as measurements.json shows it.
pub(super) fn disturbance<'a>(
    usage: &Usage,
    phases: impl Iterator<Item = &'a Phase>,
    cores: u32,
) -> Vec<Disturbance> {
    phases
        .map(|phase| Disturbance {
            phase: phase.name.clone(),
            share: usage.disturbance(phase, cores),
            stolen: usage.stolen(phase, cores),
        })
        .collect()
}

fn cause(id: &str, reason: String) -> Inconclusive {
    Inconclusive {
        id: id.to_owned(),
        phase: None,
        reason,
    }
}
