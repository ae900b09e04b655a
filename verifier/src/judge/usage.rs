//! What processes and machine used: `samples.jsonl` into CPU and memory per phase, and disturbance (H1 (b)). Pure.
//!
//! Samples are totals at moments; between two of them a total grows evenly. A process first seen after the others
//! (a broker started again) began at 0 at the sample before; one that is gone keeps its last total.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::phases::{Phase, Plan};
use crate::measurements::ResourcePoint;
use crate::timeline::{Role, Sample};

/// Samples so close together are of one round.
const ROUND_NS: u64 = 250_000_000;
/// A phase may begin before the first sample, or end behind the last, by this much.
const EDGE_NS: u64 = 1_500_000_000;

/// Everything that samples.jsonl says.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) plan: Option<Plan>,
    /// What the runner noted when it gave up or was cut off.
    pub(super) notes: Vec<String>,
    /// Samples of a process or the machine that lie before the one written before them.
    pub(super) backwards: u64,
    processes: BTreeMap<(Role, String, u32), Process>,
    machine: Vec<MachineAt>,
    /// When each round of samples began.
    rounds: Vec<u64>,
}

/// One process from its first sample to its last.
#[derive(Debug, Default)]
struct Process {
    samples: Vec<ProcessAt>,
    /// (when, CPU ns so far), with the 0 that it began at where that is known.
    cpu: Vec<(u64, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct ProcessAt {
    at_ns: u64,
    cpu_ns: u64,
    rss_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
struct MachineAt {
    at_ns: u64,
    run_queue_wait_ns: Option<u64>,
    steal_ns: u64,
}

/// Resident memory of one role within a phase.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rss {
    pub(super) min: u64,
    pub(super) mean: f64,
    pub(super) max: u64,
}

impl Usage {
    pub(super) fn of(samples: Vec<Sample>) -> Usage {
        let mut usage = Usage::default();
        for sample in samples {
            match sample {
                Sample::Plan {
                    start_ns,
                    warmup_end_ns,
                    end_ns,
                } => {
                    // The last one counts: `unlimited` knows its end only once it is there.
                    usage.plan = Some(Plan {
                        start_ns,
                        warmup_end_ns,
                        end_ns,
                    });
                }
                Sample::Process {
                    at_ns,
                    role,
                    name,
                    pid,
                    cpu_ns,
                    rss_bytes,
                } => {
                    let samples = &mut usage.processes.entry((role, name, pid)).or_default().samples;
                    usage.backwards += u64::from(samples.last().is_some_and(|last| last.at_ns > at_ns));
                    samples.push(ProcessAt {
                        at_ns,
                        cpu_ns,
                        rss_bytes,
                    });
                }
                Sample::Machine {
                    at_ns,
                    run_queue_wait_ns,
                    steal_ns,
                } => {
                    usage.backwards += u64::from(usage.machine.last().is_some_and(|last| last.at_ns > at_ns));
                    usage.machine.push(MachineAt {
                        at_ns,
                        run_queue_wait_ns,
                        steal_ns,
                    });
                }
                Sample::Note { text, .. } => usage.notes.push(text),
            }
        }
        usage.machine.sort_by_key(|sample| sample.at_ns);
        for process in usage.processes.values_mut() {
            process.samples.sort_by_key(|sample| sample.at_ns);
        }
        usage.rounds = rounds(usage.processes.values());
        for process in usage.processes.values_mut() {
            let first = process.samples[0].at_ns;
            let before = usage.rounds.partition_point(|&at| at + ROUND_NS < first);
            let birth = before.checked_sub(1).map(|i| (usage.rounds[i], 0));
            let sampled = process.samples.iter().map(|sample| (sample.at_ns, sample.cpu_ns));
            process.cpu = birth.into_iter().chain(sampled).collect();
        }
        usage
    }

    /// Workers that ran, by the names `worker-<n>` of client processes.
    pub(super) fn workers(&self) -> BTreeSet<u16> {
        let clients = self.processes.keys().filter(|key| key.0 == Role::Client);
        clients
            .filter_map(|(_, name, _)| name.strip_prefix("worker-")?.parse().ok())
            .collect()
    }

    /// CPU of a role in a phase, % of a core; none where the samples do not cover it.
    pub(super) fn cpu_percent(&self, role: Role, phase: &Phase) -> Option<f64> {
        let mut cpu_ns = 0.0;
        let mut length_ns = 0.0;
        for span in &phase.spans {
            let covered = covered(span, self.seen(role)?)?;
            cpu_ns += self.cpu_ns(role, &covered);
            length_ns += (covered.end - covered.start) as f64;
        }
        (length_ns > 0.0).then(|| 100.0 * cpu_ns / length_ns)
    }

    /// Resident memory of a role in a phase; none where nothing was sampled in it.
    pub(super) fn rss(&self, role: Role, phase: &Phase) -> Option<Rss> {
        let inside = |at: &u64| phase.spans.iter().any(|span| span.contains(at));
        let rounds = rounds(self.of_role(role));
        let values: Vec<u64> = rounds
            .into_iter()
            .filter(inside)
            .map(|at| self.rss_bytes(role, at))
            .collect();
        Some(Rss {
            min: *values.iter().min()?,
            mean: values.iter().sum::<u64>() as f64 / values.len() as f64,
            max: *values.iter().max()?,
        })
    }

    /// Share of a phase that the generator thread stood waiting for a core, plus the share of it that the machine
    /// was stolen; none where it could not be read.
    pub(super) fn disturbance(&self, phase: &Phase, cores: u32) -> Option<f64> {
        let waits: Vec<(u64, u64)> = self
            .machine
            .iter()
            .filter_map(|at| Some((at.at_ns, at.run_queue_wait_ns?)))
            .collect();
        let steals: Vec<(u64, u64)> = self.machine.iter().map(|at| (at.at_ns, at.steal_ns)).collect();
        let (first, last) = (waits.first()?.0, waits.last()?.0);
        // Unread before the thread began or after it ended says nothing; unread in the middle leaves a hole.
        let unread = |at: &&MachineAt| at.run_queue_wait_ns.is_none();
        let hole = |at: &MachineAt| phase.spans.iter().any(|span| span.contains(&at.at_ns));
        if self.machine.iter().filter(unread).any(hole) {
            return None;
        }
        let (mut lost_ns, mut length_ns) = (0.0, 0.0);
        for span in &phase.spans {
            let span = covered(span, first..last)?;
            let grown = |totals: &[(u64, u64)]| total(totals, span.end) - total(totals, span.start);
            lost_ns += grown(&waits) + grown(&steals) / f64::from(cores.max(1));
            length_ns += (span.end - span.start) as f64;
        }
        (length_ns > 0.0).then(|| lost_ns / length_ns)
    }

    /// Share of all cores' time in a phase that the hypervisor gave to others; none where the samples do not cover it.
    pub(super) fn stolen(&self, phase: &Phase, cores: u32) -> Option<f64> {
        let steals: Vec<(u64, u64)> = self.machine.iter().map(|at| (at.at_ns, at.steal_ns)).collect();
        let sampled = steals.first()?.0..steals.last()?.0;
        let (mut stolen_ns, mut length_ns) = (0.0, 0.0);
        for span in &phase.spans {
            let span = covered(span, sampled.clone())?;
            stolen_ns += total(&steals, span.end) - total(&steals, span.start);
            length_ns += (span.end - span.start) as f64;
        }
        (length_ns > 0.0).then(|| stolen_ns / length_ns / f64::from(cores.max(1)))
    }

    /// The samples round by round, times relative to `zero_ns`.
    pub(super) fn points(&self, zero_ns: u64) -> Vec<ResourcePoint> {
        let pairs = self.rounds.windows(2);
        pairs
            .map(|pair| {
                let percent =
                    |role| 100.0 * self.cpu_ns(role, &(pair[0]..pair[1])) / (pair[1] - pair[0]) as f64;
                ResourcePoint {
                    t_ns: pair[1] as i64 - zero_ns as i64,
                    client_cpu_percent: percent(Role::Client),
                    broker_cpu_percent: percent(Role::Broker),
                    client_rss_bytes: self.rss_bytes(Role::Client, pair[1]),
                    broker_rss_bytes: self.rss_bytes(Role::Broker, pair[1]),
                }
            })
            .collect()
    }

    /// From the first to the last sample of a role.
    fn seen(&self, role: Role) -> Option<Range<u64>> {
        let first = self.of_role(role).map(|process| process.samples[0].at_ns).min()?;
        let last = self
            .of_role(role)
            .filter_map(|process| process.samples.last())
            .map(|at| at.at_ns);
        Some(first..last.max()?)
    }

    fn of_role(&self, role: Role) -> impl Iterator<Item = &Process> {
        let of_role = self.processes.iter().filter(move |(key, _)| key.0 == role);
        of_role.map(|(_, process)| process)
    }

    fn cpu_ns(&self, role: Role, span: &Range<u64>) -> f64 {
        let grown = |process: &Process| total(&process.cpu, span.end) - total(&process.cpu, span.start);
        self.of_role(role).map(grown).sum()
    }

    /// What the processes of a role that live at this moment held when last sampled.
    fn rss_bytes(&self, role: Role, at_ns: u64) -> u64 {
        let held = |Process { samples, .. }: &Process| {
            let after = samples.partition_point(|sample| sample.at_ns <= at_ns + ROUND_NS);
            let lives = samples.last().is_some_and(|last| last.at_ns + ROUND_NS >= at_ns);
            after
                .checked_sub(1)
                .filter(|_| lives)
                .map_or(0, |i| samples[i].rss_bytes)
        };
        self.of_role(role).map(held).sum()
    }
}

/// When each round of samples of these processes began.
fn rounds<'a>(processes: impl Iterator<Item = &'a Process>) -> Vec<u64> {
    let mut times: Vec<u64> = processes
        .flat_map(|process| process.samples.iter().map(|sample| sample.at_ns))
        .collect();
    times.sort_unstable();
    times.dedup_by(|next, round| *next <= *round + ROUND_NS);
    times
}

/// The part of a span that was sampled; none when more than an edge of it was not.
fn covered(span: &Range<u64>, sampled: Range<u64>) -> Option<Range<u64>> {
    let covered = span.start.max(sampled.start)..span.end.min(sampled.end);
    let whole = sampled.start <= span.start + EDGE_NS && span.end <= sampled.end + EDGE_NS;
    (whole && !covered.is_empty()).then_some(covered)
}

/// A total at a moment: even growth between samples, none before the first and after the last.
fn total(totals: &[(u64, u64)], at_ns: u64) -> f64 {
    let after = totals.partition_point(|&(at, _)| at <= at_ns);
    match (after.checked_sub(1).map(|i| totals[i]), totals.get(after)) {
        (Some((from, low)), Some(&(to, high))) => {
            let share = (at_ns - from) as f64 / (to - from) as f64;
            low as f64 + share * (high as f64 - low as f64)
        }
        (Some((_, value)), None) | (None, Some(&(_, value))) => value as f64,
        (None, None) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn process(at_ns: u64, name: &str, pid: u32, cpu_ns: u64, rss_bytes: u64) -> Sample {
        let role = if name.starts_with("worker") {
            Role::Client
        } else {
            Role::Broker
        };
        Sample::Process {
            at_ns,
            role,
            name: name.into(),
            pid,
            cpu_ns,
            rss_bytes,
        }
    }

    fn phase(spans: &[Range<u64>]) -> Phase {
        Phase {
            name: "steady".into(),
            spans: spans.to_vec(),
        }
    }

    #[test]
    fn cpu_is_read_between_samples_and_summed_over_processes() {
        let samples = (0..=10).flat_map(|s| {
            [
                process(s * S, "worker-0", 1, s * S / 20, 10),
                process(s * S + 1_000, "worker-1", 2, s * S / 10, 20),
            ]
        });
        let usage = Usage::of(samples.collect());
        let percent = usage
            .cpu_percent(Role::Client, &phase(&[S..3 * S / 2, 5 * S..9 * S]))
            .unwrap();
        assert!((percent - 15.0).abs() < 0.01, "{percent}");
        assert_eq!(usage.workers(), BTreeSet::from([0, 1]));
        assert_eq!(
            usage.rss(Role::Client, &phase(&[0..S])),
            Some(Rss {
                min: 30,
                mean: 30.0,
                max: 30
            })
        );
        assert_eq!(
            usage.cpu_percent(Role::Broker, &phase(&[0..S])),
            None,
            "nothing sampled is not 0 %"
        );
        assert_eq!(
            usage.cpu_percent(Role::Client, &phase(&[0..60 * S])),
            None,
            "not covered"
        );
    }

    #[test]
    fn a_restarted_process_counts_from_zero_and_a_dead_one_holds_no_memory() {
        let mut samples: Vec<Sample> = (0..=3)
            .map(|s| process(s * S, "broker-1", 1, 100 * S + s * S / 2, 1_000))
            .collect();
        samples.extend((0..=9).map(|s| process(s * S, "broker-2", 2, s * S / 10, 500)));
        samples.extend((6..=9).map(|s| process(s * S, "broker-1", 3, (s - 5) * S, 700)));
        let usage = Usage::of(samples);
        let percent = |span| usage.cpu_percent(Role::Broker, &phase(&[span])).unwrap();
        assert!((percent(0..3 * S) - 60.0).abs() < 0.01, "{}", percent(0..3 * S));
        assert!(
            (percent(3 * S..5 * S) - 10.0).abs() < 0.01,
            "{}",
            percent(3 * S..5 * S)
        );
        assert!(
            (percent(5 * S..9 * S) - 110.0).abs() < 0.01,
            "{}",
            percent(5 * S..9 * S)
        );
        let rss = |at| usage.rss(Role::Broker, &phase(&[at..at + 1])).unwrap().max;
        assert_eq!((rss(S), rss(5 * S), rss(8 * S)), (1_500, 500, 1_200));
    }

    #[test]
    fn disturbance_is_waiting_plus_steal_per_core() {
        let machine = |s: u64, wait: Option<u64>| Sample::Machine {
            at_ns: s * S,
            run_queue_wait_ns: wait,
            steal_ns: s * S / 10,
        };
        let usage = Usage::of((0..=10).map(|s| machine(s, Some(s * S / 50))).collect());
        let share = usage.disturbance(&phase(&[2 * S..4 * S]), 2).unwrap();
        assert!((share - 0.07).abs() < 1e-6, "{share}");
        let stolen = usage.stolen(&phase(&[2 * S..4 * S]), 2).unwrap();
        assert!((stolen - 0.05).abs() < 1e-6, "{stolen}");
        assert_eq!(usage.stolen(&phase(&[2 * S..40 * S]), 2), None, "not covered");
        let unread = Usage::of((0..=10).map(|s| machine(s, None)).collect());
        assert_eq!(unread.disturbance(&phase(&[2 * S..4 * S]), 2), None);
        // The thread is not there yet at the first sample.
        let late = Usage::of(
            (0..=10)
                .map(|s| machine(s, (s > 0).then_some(s * S / 50)))
                .collect(),
        );
        assert!(late.disturbance(&phase(&[2 * S..4 * S]), 2).is_some());
        let hole = Usage::of(
            (0..=10)
                .map(|s| machine(s, (s != 3).then_some(s * S / 50)))
                .collect(),
        );
        assert_eq!(hole.disturbance(&phase(&[2 * S..4 * S]), 2), None);
    }

    #[test]
    fn points_stand_between_rounds() {
        let usage = Usage::of(
            (0..=3)
                .map(|s| process(10 * S + s * S, "worker-0", 1, s * S / 4, 7))
                .collect(),
        );
        let points = usage.points(11 * S);
        assert_eq!(points.len(), 3);
        assert_eq!((points[0].t_ns, points[0].client_rss_bytes), (0, 7));
        assert!((points[0].client_cpu_percent - 25.0).abs() < 0.01);
    }
}
