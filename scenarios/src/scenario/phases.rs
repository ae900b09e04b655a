//! The phases of a run as far as the file can know them: `warmup`, `steady`, `fault:<name>`, `heal:<name>`, `after`.
//!
//! ```text
//! 0          warm-up end        at          at + for      + 10 s              end
//! |-- warmup --|---- steady ----|- fault:x -|-- heal:x ----|----- after -------|
//! ```

use std::time::Duration;

use steadfast_chaos::fault::{PlannedFault, Target};
use toml::Spanned;

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::fault::HEAL;

/// What decides which phases a run has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phases<'a> {
    /// Length of warm-up.
    pub warmup: Duration,
    /// Length of the load after it; none when it cannot be known (`unlimited`).
    pub duration: Option<Duration>,
    /// Faults in the order of their begin.
    pub faults: &'a [PlannedFault],
}

/// Why a phase can hold no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Empty {
    /// One line.
    title: String,
    /// At the place.
    label: String,
    /// A phase that was probably meant.
    near: Option<String>,
}

impl Phases<'_> {
    /// Why the phase can never hold a record; none when it can, or when only the run can tell.
    pub(crate) fn empty(&self, phase: &str) -> Option<Empty> {
        let empty = |title: String, label: &str| {
            Some(Empty {
                title,
                label: label.to_owned(),
                near: None,
            })
        };
        match phase.split_once(':') {
            None if phase == "warmup" => {
                let none = self.warmup.is_zero();
                none.then(|| empty("phase `warmup` is empty".into(), "there is no warm-up"))
                    .flatten()
            }
            None if phase == "steady" => {
                let at_once = self.faults.first().is_some_and(|fault| fault.at.is_zero());
                at_once
                    .then(|| {
                        empty(
                            "phase `steady` is empty".into(),
                            "the first fault begins with the load",
                        )
                    })
                    .flatten()
            }
            None if phase == "after" => match self.faults {
                [] => empty(
                    "phase `after` is empty".into(),
                    "there is no fault; all of the load is `steady`",
                ),
                _ if self.never_after() => empty(
                    "phase `after` is empty".into(),
                    "faults and the 10 s after each fill the load to its end",
                ),
                _ => None,
            },
            Some(("fault", name)) => self
                .named(name)
                .err()
                .map(|near| unknown(phase, near.map(|near| format!("fault:{near}")))),
            Some(("heal", name)) => match self.named(name) {
                Err(near) => Some(unknown(phase, near.map(|near| format!("heal:{near}")))),
                Ok(fault) => {
                    let late = self
                        .duration
                        .zip(end(fault))
                        .is_some_and(|(duration, end)| end >= duration);
                    late.then(|| {
                        empty(
                            format!("phase `{phase}` is empty"),
                            "the fault ends with the load",
                        )
                    })
                    .flatten()
                }
            },
            _ => {
                let names = self
                    .faults
                    .iter()
                    .flat_map(|f| [format!("fault:{}", f.name), format!("heal:{}", f.name)]);
                let known: Vec<String> = ["warmup", "steady", "after"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain(names)
                    .collect();
                Some(unknown(
                    phase,
                    nearest(phase, known.iter().map(String::as_str)).map(str::to_owned),
                ))
            }
        }
    }

    fn named(&self, name: &str) -> Result<&PlannedFault, Option<&str>> {
        let names = || self.faults.iter().map(|fault| fault.name.as_str());
        self.faults
            .iter()
            .find(|fault| fault.name == name)
            .ok_or_else(|| nearest(name, names()))
    }

    /// Whether faults and their healing cover the load from the first fault to the end.
    fn never_after(&self) -> bool {
        let Some(duration) = self.duration else {
            return false;
        };
        let mut covered = self.faults.first().map_or(Duration::ZERO, |fault| fault.at);
        for fault in self.faults {
            if fault.at > covered {
                return false;
            }
            covered = covered.max(end(fault).unwrap_or(fault.at).saturating_add(HEAL));
        }
        covered >= duration
    }
}

/// When a fault ends, as far as the file says.
pub(crate) fn end(fault: &PlannedFault) -> Option<Duration> {
    match (&fault.target, fault.hold) {
        (Target::EveryBroker, _) | (_, None) => None,
        (_, Some(hold)) => Some(fault.at.saturating_add(hold)),
    }
}

fn unknown(phase: &str, near: Option<String>) -> Empty {
    Empty {
        title: format!("unknown phase `{phase}`"),
        label: "expected `warmup`, `steady`, `after`, `fault:NAME` or `heal:NAME` of a fault in this file"
            .to_owned(),
        near,
    }
}

/// The frame for a threshold on an empty phase.
pub(crate) fn problem_of(empty: &Empty, key: &Spanned<String>) -> Problem {
    let problem = Problem::at(key.span(), &empty.title, &empty.label);
    match &empty.near {
        Some(near) => {
            let metric = key.get_ref().split('{').next().unwrap_or_default().trim();
            problem.fix(
                "a phase with a similar name exists",
                key.span(),
                &format!("\"{metric}{{phase:{near}}}\""),
            )
        }
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use steadfast_chaos::fault::Action;

    #[test]
    fn a_phase_is_empty_only_where_the_file_proves_it() {
        let fault = |at, hold, target| PlannedFault {
            name: "kill".into(),
            at: Duration::from_secs(at),
            when: None,
            hold: Some(Duration::from_secs(hold)),
            action: Action::Kill,
            target,
        };
        let seconds = |n| Some(Duration::from_secs(n));
        let check = |faults: &[PlannedFault], duration, phase: &str| {
            Phases {
                warmup: Duration::ZERO,
                duration,
                faults,
            }
            .empty(phase)
            .is_some()
        };
        let one = [fault(10, 10, Target::Broker(1))];
        assert!(!check(&one, seconds(60), "after"));
        assert!(check(&one, seconds(30), "after"));
        assert!(!check(&one, seconds(31), "after"));
        assert!(check(&one, seconds(20), "heal:kill"));
        assert!(!check(&one, seconds(21), "heal:kill"));
        assert!(check(&one, seconds(60), "fault:kil") && check(&one, seconds(60), "steadi"));
        assert!(check(&[], seconds(60), "after") && check(&one, seconds(60), "warmup"));
        assert!(check(&[fault(0, 5, Target::Broker(1))], seconds(60), "steady"));
        assert!(!check(
            &[fault(10, 10, Target::EveryBroker)],
            seconds(20),
            "heal:kill"
        ));
    }
}
