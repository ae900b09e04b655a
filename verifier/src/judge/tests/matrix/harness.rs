//! Planted: what goes wrong with the measuring itself, and limits that are broken. These show in a whole run folder only,
//! so each is written through the formats' own writers and judged from its files.

use std::collections::BTreeSet;

use super::dice::Dice;
use super::plant::{Found, HISTORIES};
use crate::expectations::{Comparison, Metric, Statistic, Threshold};
use crate::history::Withheld;
use crate::judge::tests::fixture::{COUNTED, END, Fate, MS, Run, S, START};
use crate::judge::{EXIT_INCONCLUSIVE, EXIT_PASS, EXIT_STEADY_STATE, EXIT_THRESHOLD};
use crate::timeline::{FaultEvent, Role, Sample};
use crate::verdict::{Outcome, Verdict};

/// One row: a sound run, and what is done to it.
pub(super) struct FolderRow {
    pub(super) id: &'static str,
    pub(super) planted: &'static str,
    exit_code: u8,
    plant: fn(&mut Run, &mut Dice),
}

const fn row(
    id: &'static str,
    planted: &'static str,
    exit_code: u8,
    plant: fn(&mut Run, &mut Dice),
) -> FolderRow {
    FolderRow {
        id,
        planted,
        exit_code,
        plant,
    }
}

pub(super) const ROWS: [FolderRow; 23] = [
    row(
        "V5",
        "latency of the steady phase over its limit, by a fifth of the records",
        EXIT_THRESHOLD,
        |run, dice| {
            slow(run, dice);
        },
    ),
    row(
        "V7",
        "the client's memory over its limit",
        EXIT_THRESHOLD,
        |run, dice| {
            let grown = dice.between(60_000_000, 90_000_000);
            of_processes(run, Role::Client, |_, rss_bytes| *rss_bytes = grown);
        },
    ),
    row(
        "V7",
        "the broker's processor time over its limit",
        EXIT_THRESHOLD,
        |run, dice| {
            let times = dice.between(3, 5);
            of_processes(run, Role::Broker, |cpu_ns, _| *cpu_ns *= times);
        },
    ),
    row(
        "H1",
        "records were due and never handed over although the client had room",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let first_due_ns = COUNTED + dice.us(3_000_000, 5_000_000);
            let withheld = Withheld {
                first_index: run.sent.len() as u64,
                count: dice.between(1, 9),
                first_due_ns,
                last_due_ns: first_due_ns + S,
                had_room: true,
                at_ns: END,
            };
            run.withheld.insert(0, withheld);
        },
    ),
    row(
        "H1",
        "latency over its limit, and the generator waited for a core for over 5 % of the phase",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            slow(run, dice);
            let percent = dice.between(6, 40);
            for sample in &mut run.samples {
                if let Sample::Machine {
                    at_ns,
                    run_queue_wait_ns,
                    ..
                } = sample
                {
                    *run_queue_wait_ns = Some((*at_ns - START) * percent / 100);
                }
            }
        },
    ),
    row(
        "H2",
        "an ordered fault never began",
        EXIT_INCONCLUSIVE,
        |run, _| {
            run.faults.clear();
        },
    ),
    row(
        "H2",
        "a fault began and ended and left no evidence",
        EXIT_INCONCLUSIVE,
        |run, _| {
            run.faults
                .retain(|event| !matches!(event, FaultEvent::Bit { .. }));
        },
    ),
    row("H2", "a fault failed", EXIT_INCONCLUSIVE, |run, _| {
        run.faults.push(FaultEvent::Failed {
            name: "kill".into(),
            reason: "no such process".into(),
            at_ns: COUNTED + S,
        });
    }),
    row("H3", "the log was not sealed", EXIT_INCONCLUSIVE, |run, _| {
        sealed(run, |seal| seal.sealed = false);
    }),
    row(
        "H3",
        "a partition was not read to its end",
        EXIT_INCONCLUSIVE,
        |run, _| {
            sealed(run, |seal| seal.partitions[1].read_to -= 1);
        },
    ),
    row(
        "H3",
        "a transaction is open in a partition",
        EXIT_INCONCLUSIVE,
        |run, _| {
            sealed(run, |seal| seal.partitions[0].open_transactions = 1);
        },
    ),
    row(
        "H3",
        "a partition is not in the seal",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let which = dice.between(0, 1) as usize;
            sealed(run, |seal| drop(seal.partitions.remove(which)));
        },
    ),
    row("H3", "there is no seal", EXIT_INCONCLUSIVE, |run, _| {
        run.seal = None;
    }),
    row(
        "H4",
        "a record was handed over before it was due",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let index = any(run, dice);
            let sent = run.sent(index);
            sent.due_ns = sent.sent_ns + 1;
        },
    ),
    row(
        "H4",
        "a record was acknowledged before it was handed over",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let index = any(run, dice);
            let before_ns = run.sent(index).sent_ns - 1;
            answer(run, index, before_ns);
        },
    ),
    row(
        "H4",
        "a record was due outside of the run",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let index = any(run, dice);
            run.sent(index).due_ns = START - dice.us(1, 9_000);
        },
    ),
    row(
        "H5",
        "a history is cut off, and no later one accounts for it",
        EXIT_INCONCLUSIVE,
        |run, _| run.torn.push(0),
    ),
    row(
        "H5",
        "a history says nothing of a record",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            let index = any(run, dice);
            if let Fate::Acked {
                partition, offset, ..
            } = run.sent(index).fate
            {
                run.remove(partition, offset);
            }
            run.sent.retain(|sent| sent.id.index() != index);
        },
    ),
    row(
        "H5",
        "the first start of a worker left no history",
        EXIT_INCONCLUSIVE,
        |run, _| run.workload.incarnation = 1,
    ),
    row(
        "H5",
        "a reader that was ordered left nothing",
        EXIT_INCONCLUSIVE,
        |run, _| run.expectations.readers = 1,
    ),
    row(
        "check",
        "the runner noted that it was cut off",
        EXIT_INCONCLUSIVE,
        |run, dice| {
            run.samples.push(Sample::Note {
                at_ns: END - dice.us(0, 9_000),
                text: "broker-2 ended by itself".into(),
            });
        },
    ),
    row(
        "simulated",
        "a limit on a latency that is not Kafka's",
        EXIT_INCONCLUSIVE,
        |run, _| {
            run.expectations.broker.kind = "simulated".into();
            run.expectations.thresholds.truncate(1);
        },
    ),
    row(
        "steady-state",
        "the probe at the end of warm-up did not hold",
        EXIT_STEADY_STATE,
        |run, _| {
            run.faults.clear();
            run.expectations.faults.clear();
            run.expectations.steady_state = vec![limit(Metric::AckLatency, Statistic::Percentile(50.0), 1e6)];
        },
    ),
];

/// Three claims of absence, three limits, and a fault that bit: all of it holds.
pub(super) fn sound(dice: &mut Dice) -> Run {
    let records = dice.between(40, 80);
    let mut run = match dice.chance(50) {
        true => Run::clean(records),
        false => Run::keyless(records),
    };
    run.expectations.thresholds = vec![
        limit(Metric::AckLatency, Statistic::Percentile(90.0), 100.0 * MS as f64),
        limit(Metric::ClientRss, Statistic::Max, 50e6),
        limit(Metric::BrokerCpu, Statistic::Value, 100.0),
    ];
    // Late enough that the phase before it, which the limits look at, holds most of the load.
    let at_ns = COUNTED + (records - 4) * 100 * MS;
    let name = || "kill".to_owned();
    run.faults = vec![
        FaultEvent::Started {
            name: name(),
            action: "kill".into(),
            target: "broker-1".into(),
            resolved: "broker-1 (pid 7)".into(),
            at_ns,
        },
        FaultEvent::Bit {
            name: name(),
            what: "exit_status".into(),
            value: "signal 9".into(),
            at_ns: at_ns + MS,
        },
        FaultEvent::Healed {
            name: name(),
            at_ns: at_ns + 100 * MS,
        },
    ];
    run.expectations.faults = vec![name()];
    run
}

impl FolderRow {
    pub(super) fn play(&self) -> Found {
        let mut told = Found {
            id: self.id,
            planted: self.planted,
            found: 0,
            of: 0,
            beside: BTreeSet::new(),
            wrong: Vec::new(),
        };
        for seed in 1..=HISTORIES as u64 {
            let mut dice = Dice::new(seed);
            let mut run = sound(&mut dice);
            (self.plant)(&mut run, &mut dice);
            let (names, exit_code) = judged(&run);
            told.of += 1;
            told.found += usize::from(names.contains(self.id));
            if names.len() != 1 || !names.contains(self.id) || exit_code != self.exit_code {
                let FolderRow { id, planted, .. } = self;
                told.wrong.push(format!(
                    "{id} ({planted}), seed {seed}: exit code {exit_code}, found {names:?}"
                ));
            }
        }
        told
    }
}

/// Everything that a verdict says against a run, or against its own proof, and its exit code.
pub(super) fn judged(run: &Run) -> (BTreeSet<String>, u8) {
    let mut judgement = run.judge().expect("a folder that can be judged");
    // As the runner does where the scenario asks for a steady state.
    if !run.expectations.steady_state.is_empty() {
        judgement.require_steady_state();
    }
    let verdict: Verdict = judgement.verdict;
    let found = verdict.anomalies.iter().filter(|(_, count)| **count > 0);
    let mut names: BTreeSet<String> = found.map(|(id, _)| id.clone()).collect();
    names.extend(verdict.inconclusive.iter().map(|cause| cause.id.clone()));
    for broken in verdict
        .thresholds
        .iter()
        .filter(|limit| limit.verdict == Outcome::Fail)
    {
        let cost = broken.metric.contains("cpu") || broken.metric.contains("rss");
        names.insert(if cost { "V7" } else { "V5" }.to_owned());
    }
    (names, verdict.exit_code)
}

/// A run without any fault of its own or of others.
pub(super) fn is_silent(run: &Run) -> bool {
    let (names, exit_code) = judged(run);
    names.is_empty() && exit_code == EXIT_PASS
}

fn limit(metric: Metric, statistic: Statistic, limit: f64) -> Threshold {
    Threshold {
        metric,
        phase: Some("steady".into()).filter(|_| metric == Metric::AckLatency && limit > 1e7),
        expression: "as in the file".into(),
        statistic,
        comparison: Comparison::Less,
        limit,
    }
}

/// Every fifth record is answered after 150 to 250 ms.
fn slow(run: &mut Run, dice: &mut Dice) {
    for index in (0..run.sent.len() as u64).step_by(5) {
        let late_ns = run.sent(index).sent_ns + dice.us(150_000, 250_000);
        answer(run, index, late_ns);
    }
}

fn answer(run: &mut Run, index: u64, now_ns: u64) {
    if let Fate::Acked { at_ns, .. } = &mut run.sent(index).fate {
        *at_ns = now_ns;
    }
}

fn any(run: &Run, dice: &mut Dice) -> u64 {
    dice.between(0, run.sent.len() as u64 - 2)
}

fn sealed(run: &mut Run, change: impl FnOnce(&mut crate::seal::Seal)) {
    if let Some(seal) = &mut run.seal {
        change(seal);
    }
}

fn of_processes(run: &mut Run, of: Role, change: impl Fn(&mut u64, &mut u64)) {
    for sample in &mut run.samples {
        if let Sample::Process {
            role,
            cpu_ns,
            rss_bytes,
            ..
        } = sample
            && *role == of
        {
            change(cpu_ns, rss_bytes);
        }
    }
}
