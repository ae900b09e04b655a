//! How many records a schedule asks for, so that a subject cannot leave some out unseen. Pure.

use crate::workload::{Executor, Workload};

/// A lower bound on the records due, close where the executor allows it: a constant rate or a ramp to one record a
/// stage (due times are rounded); Poisson to six standard deviations.
pub(super) fn at_least(workload: &Workload) -> u64 {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let warmup = seconds(workload.warmup_ns);
    let (records, slack) = match &workload.executor {
        Executor::ConstantArrivalRate { rate } => (rate * (warmup + seconds(workload.duration_ns)), 1.0),
        Executor::RampingArrivalRate { start_rate, stages } => {
            let mut records = start_rate * warmup;
            let mut rate = *start_rate;
            for stage in stages {
                records += (rate + stage.target) / 2.0 * seconds(stage.duration_ns);
                rate = stage.target;
            }
            (records, stages.len() as f64 + 1.0)
        }
        Executor::Poisson { rate } => {
            let mean = rate * (warmup + seconds(workload.duration_ns));
            (mean, 6.0 * mean.sqrt())
        }
        Executor::Unlimited { records } => return *records,
    };
    // A negative or absurd rate saturates to 0 or to the largest number; the grammar refuses both.
    (records - slack).floor() as u64
}

/// The same for warm-up alone, which goes at the first rate. `unlimited` has no due times: 0.
pub(super) fn at_least_in_warmup(workload: &Workload) -> u64 {
    let executor = match &workload.executor {
        Executor::Unlimited { .. } => return 0,
        Executor::RampingArrivalRate { start_rate, .. } => {
            Executor::ConstantArrivalRate { rate: *start_rate }
        }
        executor => executor.clone(),
    };
    at_least(&Workload {
        executor,
        duration_ns: 0,
        ..workload.clone()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::workload;
    use crate::workload::Stage;

    #[test]
    fn bounds_are_close_and_from_below() {
        let second = 1_000_000_000;
        let bound = |executor| {
            at_least(&Workload {
                executor,
                warmup_ns: 15 * second,
                duration_ns: 60 * second,
                ..workload()
            })
        };
        assert_eq!(bound(Executor::ConstantArrivalRate { rate: 25_000.0 }), 1_874_999);
        let stages = vec![
            Stage {
                target: 50_000.0,
                duration_ns: 0,
            },
            Stage {
                target: 50_000.0,
                duration_ns: 10 * second,
            },
            Stage {
                target: 0.0,
                duration_ns: 50 * second,
            },
        ];
        let ramp = Executor::RampingArrivalRate {
            start_rate: 1_000.0,
            stages,
        };
        let warmup = Workload {
            executor: ramp.clone(),
            warmup_ns: 15 * second,
            ..workload()
        };
        assert_eq!(at_least_in_warmup(&warmup), 15_000 - 1);
        assert_eq!(bound(ramp), 15_000 + 500_000 + 1_250_000 - 4);
        let poisson = bound(Executor::Poisson { rate: 1_000.0 });
        assert!((73_000..75_000).contains(&poisson), "{poisson}");
        assert_eq!(bound(Executor::Unlimited { records: 17 }), 17);
    }
}
