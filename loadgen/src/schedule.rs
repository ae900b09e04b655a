//! Pure: when each record is due. The open model: due times follow from the executor and the seed alone, never from
//! how the system under test behaves, so a stall shows as latency and not as a pause of the load
//! (coordinated omission; Schroeder, Wierman, Harchol-Balter, "Open Versus Closed", NSDI 2006).
//!
//! Every rate is cut to a millionth of a record a second and then counted in whole numbers, so nothing drifts:
//! record i of a steady rate is due at exactly `floor(i * 10^9 / rate)` ns, after an hour as after a second.
//! On a ramp `N(t) = r0 t + (r1 - r0) t^2 / 2D` records are due before t; solved for t this gives the due time of any
//! record directly, without summing up gaps.
//!
//! ```text
//! start_ns        warmup_end_ns                                    end_ns
//!    |---- first rate ---|-- stage 1 --|-- stage 2 --| ... --------|      arithmetic executors: segments
//!    |---- gaps from the seed ------------------------------------ |      poisson
//!    |==== all the time, until `records` are taken                        unlimited: intended = hand-over
//! ```

use steadfast_verifier::workload::{Executor, Stage, Workload};

use crate::poisson::Poisson;

/// Highest rate of one worker, records a second; above it two records share a nanosecond.
pub const MAX_RATE: f64 = 1e9;
/// Record ids keep 48 bits for the index.
pub const MAX_INDEX: u64 = (1 << 48) - 1;

/// Rates are whole numbers of this fraction of a record a second.
const RATE_SCALE: f64 = 1e6;
/// One record in units of (1 / RATE_SCALE records/s) x (1 ns) / 2; the half keeps the area under a ramp whole.
const RECORD: u128 = 2_000_000_000_000_000;

/// Why a workload has no schedule. All are mistakes of whoever wrote the workload: mend it, do not retry.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum ScheduleError {
    /// Zero, negative, not a number, or too high.
    #[error("rate {0}/s: give more than 0 and at most {MAX_RATE}/s (0 only within a ramp)")]
    Rate(f64),
    /// Every stage of a ramp stays at 0.
    #[error("the ramp never leaves 0 records/s: give a stage a target above 0")]
    NoRecords,
    /// Stages and duration contradict each other.
    #[error("the stages last {stages_ns} ns together, the duration is {duration_ns} ns: make them equal")]
    Stages {
        /// Sum of the stages.
        stages_ns: u64,
        /// The workload's duration.
        duration_ns: u64,
    },
    /// The times do not fit a clock, or the records do not fit their 48-bit index.
    #[error("{0} is too long: shorten the duration, or lower the rate or the number of records")]
    TooLong(&'static str),
}

/// The schedule of one worker incarnation: a cursor over its due times. All times are CLOCK_MONOTONIC nanoseconds.
#[derive(Debug, Clone)]
pub struct Schedule {
    start_ns: u64,
    warmup_end_ns: u64,
    end_ns: u64,
    first_index: u64,
    /// Records taken so far; the next has index `first_index + taken`.
    taken: u64,
    plan: Plan,
}

#[derive(Debug, Clone)]
enum Plan {
    Segments {
        segments: Vec<Segment>,
        current: usize,
        total: u64,
    },
    Poisson {
        mean: u64,
        next: Poisson,
        ahead: Poisson,
    },
    Unlimited {
        records: u64,
    },
}

/// A stretch in which the rate moves linearly. Times are offsets from the start of the schedule.
#[derive(Debug, Clone, Copy)]
struct Segment {
    start_ns: u64,
    length_ns: u64,
    /// Rates at both ends, in 1 / RATE_SCALE records a second.
    from: u64,
    to: u64,
    /// Records due before this segment and before its end, in units of 1 / RECORD.
    before: u128,
    through: u128,
}

impl Schedule {
    /// The schedule that `workload` orders, with nothing taken yet.
    pub fn new(workload: &Workload) -> Result<Schedule, ScheduleError> {
        let load_ns = match workload.executor {
            Executor::Unlimited { .. } => Some(workload.warmup_ns),
            _ => workload.warmup_ns.checked_add(workload.duration_ns),
        };
        let end_ns = load_ns
            .and_then(|length| workload.start_ns.checked_add(length))
            .filter(|&end| end <= i64::MAX as u64)
            .ok_or(ScheduleError::TooLong("the load"))?;
        let length_ns = end_ns - workload.start_ns;
        let plan = match &workload.executor {
            Executor::ConstantArrivalRate { rate } => segments(&[(length_ns, positive(*rate)?)], None)?,
            Executor::RampingArrivalRate { start_rate, stages } => ramp(workload, *start_rate, stages)?,
            Executor::Poisson { rate } => {
                positive(*rate)?;
                let poisson = Poisson::new(
                    workload.seed,
                    workload.worker,
                    workload.first_index,
                    *rate,
                    length_ns,
                );
                let mean = (*rate * length_ns as f64 / 1e9).round() as u64;
                Plan::Poisson {
                    mean,
                    next: poisson.clone(),
                    ahead: poisson,
                }
            }
            Executor::Unlimited { records } => Plan::Unlimited { records: *records },
        };
        let schedule = Schedule {
            start_ns: workload.start_ns,
            warmup_end_ns: workload.start_ns + workload.warmup_ns,
            end_ns,
            first_index: workload.first_index,
            taken: 0,
            plan,
        };
        let last = workload.first_index.checked_add(schedule.intended_records());
        last.filter(|&last| last <= MAX_INDEX)
            .ok_or(ScheduleError::TooLong("the number of records"))?;
        Ok(schedule)
    }

    /// When the next record not yet taken is due; none when nothing is left. `unlimited` is always due.
    pub fn next_due(&self) -> Option<u64> {
        match &self.plan {
            Plan::Segments {
                segments,
                current,
                total,
            } => {
                (self.taken < *total).then(|| self.start_ns + due_in(segments, &mut { *current }, self.taken))
            }
            Plan::Poisson { next, .. } => next.offset_ns().map(|offset| self.start_ns + offset),
            Plan::Unlimited { records } => (self.taken < *records).then_some(self.start_ns),
        }
    }

    /// Takes what is due at `now_ns`, oldest first and at most `max` records: clears `intended` and fills it with their
    /// due times. Returns the index of the first. What stays behind keeps its due time for later.
    pub fn take_due(&mut self, now_ns: u64, max: usize, intended: &mut Vec<u64>) -> u64 {
        intended.clear();
        let first = self.first_index + self.taken;
        let start_ns = self.start_ns;
        let Some(now) = now_ns.checked_sub(start_ns) else {
            return first;
        };
        match &mut self.plan {
            Plan::Segments {
                segments,
                current,
                total,
            } => {
                let mut i = self.taken;
                while i < *total && intended.len() < max {
                    let offset = due_in(segments, current, i);
                    if offset > now {
                        break;
                    }
                    intended.push(start_ns + offset);
                    i += 1;
                }
            }
            Plan::Poisson { next, .. } => {
                while intended.len() < max
                    && let Some(offset) = next.offset_ns().filter(|&offset| offset <= now)
                {
                    intended.push(start_ns + offset);
                    next.advance();
                }
            }
            Plan::Unlimited { records } => {
                let run = (*records - self.taken).min(max as u64);
                intended.resize(run as usize, now_ns);
            }
        }
        self.taken += intended.len() as u64;
        first
    }

    /// Schedule debt: records due at `now_ns` that nobody took yet. `unlimited` has none, it owes nothing to a clock.
    /// Time does not go back between two calls.
    pub fn debt(&mut self, now_ns: u64) -> u64 {
        let Some(now) = now_ns.checked_sub(self.start_ns) else {
            return 0;
        };
        match &mut self.plan {
            Plan::Segments { segments, total, .. } => {
                due_by(segments, *total, now).saturating_sub(self.taken)
            }
            Plan::Poisson { next, ahead, .. } => {
                while ahead.offset_ns().is_some_and(|offset| offset <= now) {
                    ahead.advance();
                }
                ahead.passed().saturating_sub(next.passed())
            }
            Plan::Unlimited { .. } => 0,
        }
    }

    /// Records that this schedule intends in all: exact, except for `poisson`, where it is the expectation.
    pub fn intended_records(&self) -> u64 {
        match &self.plan {
            Plan::Segments { total, .. } => *total,
            Plan::Poisson { mean, .. } => *mean,
            Plan::Unlimited { records } => *records,
        }
    }

    /// Records taken so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// True for `unlimited`: records are due whenever there is room, and latency is never judged.
    pub fn is_unlimited(&self) -> bool {
        matches!(self.plan, Plan::Unlimited { .. })
    }

    /// When warm-up ends and claims begin.
    pub fn warmup_end_ns(&self) -> u64 {
        self.warmup_end_ns
    }

    /// No record is due at or after this. For `unlimited` only the end of warm-up is known.
    pub fn end_ns(&self) -> u64 {
        self.end_ns
    }
}

/// Offset of record `i` from the start: the last moment before which no more than `i` records are due.
#[inline]
fn due_in(segments: &[Segment], current: &mut usize, i: u64) -> u64 {
    let target = u128::from(i) * RECORD;
    while segments[*current].through <= target {
        *current += 1;
    }
    let segment = &segments[*current];
    let within = target - segment.before;
    let offset = if segment.from == segment.to {
        (within / u128::from(2 * segment.from)) as u64
    } else {
        on_ramp(segment, within)
    };
    segment.start_ns + offset.min(segment.length_ns - 1)
}

/// Solves `2 from t + (to - from) t^2 / length = within` for t, in the form that loses no digits near a flat ramp.
/// A double holds an offset of hours to a thousandth of a nanosecond.
fn on_ramp(segment: &Segment, within: u128) -> u64 {
    if within == 0 {
        return 0;
    }
    let (from, to, within) = (segment.from as f64, segment.to as f64, within as f64);
    let square = from * from + (to - from) * within / segment.length_ns as f64;
    (within / (from + square.max(0.0).sqrt())) as u64
}

/// How many records are due at or before `offset`; consistent with `due_in` to the record.
fn due_by(segments: &[Segment], total: u64, offset: u64) -> u64 {
    let (mut low, mut high) = (0, total);
    while low < high {
        let middle = low + (high - low) / 2;
        if due_in(segments, &mut 0, middle) <= offset {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

fn ramp(workload: &Workload, start_rate: f64, stages: &[Stage]) -> Result<Plan, ScheduleError> {
    let stages_ns = stages
        .iter()
        .try_fold(0u64, |sum, stage| sum.checked_add(stage.duration_ns));
    let stages_ns = stages_ns.ok_or(ScheduleError::TooLong("the sum of the stages"))?;
    if stages_ns != workload.duration_ns {
        return Err(ScheduleError::Stages {
            stages_ns,
            duration_ns: workload.duration_ns,
        });
    }
    let mut ends = Vec::with_capacity(stages.len());
    for stage in stages {
        ends.push((stage.duration_ns, scaled(stage.target)?));
    }
    segments(&ends, Some((workload.warmup_ns, scaled(start_rate)?)))
}

/// Segments from (length, rate at the end) pairs. `first` is a flat stretch before them whose rate the first ramp
/// starts from; without it the stretches are all flat.
fn segments(ends: &[(u64, u64)], first: Option<(u64, u64)>) -> Result<Plan, ScheduleError> {
    let mut segments = Vec::new();
    let (mut start_ns, mut before) = (0, 0u128);
    let mut push = |length_ns: u64, from: u64, to: u64| {
        // A stage of 0 s moves the rate and holds no record.
        if length_ns > 0 {
            let through = before + (u128::from(from) + u128::from(to)) * u128::from(length_ns);
            segments.push(Segment {
                start_ns,
                length_ns,
                from,
                to,
                before,
                through,
            });
            start_ns += length_ns;
            before = through;
        }
    };
    let mut rate = None;
    if let Some((length_ns, first_rate)) = first {
        push(length_ns, first_rate, first_rate);
        rate = Some(first_rate);
    }
    for &(length_ns, to) in ends {
        push(length_ns, rate.unwrap_or(to), to);
        rate = rate.map(|_| to);
    }
    // Record i is due in the load when N(end) > i.
    let total = u64::try_from(before.div_ceil(RECORD)).map_err(|_| ScheduleError::TooLong("the load"))?;
    if total == 0 && first.is_some() {
        return Err(ScheduleError::NoRecords);
    }
    Ok(Plan::Segments {
        segments,
        current: 0,
        total,
    })
}

fn positive(rate: f64) -> Result<u64, ScheduleError> {
    Some(scaled(rate)?)
        .filter(|&scaled| scaled > 0)
        .ok_or(ScheduleError::Rate(rate))
}

fn scaled(rate: f64) -> Result<u64, ScheduleError> {
    if !(0.0..=MAX_RATE).contains(&rate) {
        return Err(ScheduleError::Rate(rate));
    }
    Ok((rate * RATE_SCALE).round() as u64)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
pub(crate) mod tests;
