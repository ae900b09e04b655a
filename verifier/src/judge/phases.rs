//! Phases: named stretches of a run, and the cuts that part it into segments.
//!
//! ```text
//! start       warm-up ends      fault begins   healed     + 10 s            end
//!   ├── warmup ────┼──── steady ────┼─ fault:kill ─┼─ heal:kill ─┼── after ──┤
//! ```
//! Phases may overlap (a fault during another one's heal phase). Segments never do: every begin and end of a phase
//! is a cut, and between two cuts lies one segment. So each record is counted once, in the segment of its *intended*
//! time, and a phase is the sum of its segments.

use std::ops::Range;

use crate::timeline::Fault;

/// Length of a heal phase.
const HEAL_NS: u64 = 10_000_000_000;
/// The end of warm-up that steady-state probes look at.
const PROBE_NS: u64 = 5_000_000_000;

/// Name of the phase that is everything after warm-up.
pub(super) const ALL: &str = "all";
/// Name of the phase before the claims count.
pub(super) const WARMUP: &str = "warmup";
/// Name of the phase in which nothing is broken or healing any more.
pub(super) const AFTER: &str = "after";
/// Name of the phase between warm-up and first fault.
pub(super) const STEADY: &str = "steady";

/// When the load began, began to count, and ended: CLOCK_MONOTONIC ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) start_ns: u64,
    pub(super) warmup_end_ns: u64,
    /// The last due record.
    pub(super) end_ns: u64,
}

/// A named set of half-open spans of time, in order and apart from each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) spans: Vec<Range<u64>>,
}

impl Phase {
    /// Nanoseconds in all its spans.
    pub(super) fn length_ns(&self) -> u64 {
        self.spans.iter().map(|span| span.end - span.start).sum()
    }

    /// Whether some part of `other` lies in the phase.
    pub(super) fn touches(&self, other: &Range<u64>) -> bool {
        self.spans
            .iter()
            .any(|span| span.start < other.end && other.start < span.end)
    }
}

/// The phases of a run. `named` may lack some (`steady` when a fault begins at once, `after` without faults).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Phases {
    /// `warmup`, `steady`, `fault:<name>`, `heal:<name>`, `after`, by begin.
    pub(super) named: Vec<Phase>,
    /// Everything after warm-up.
    pub(super) all: Phase,
    /// The last 5 s of warm-up.
    pub(super) probe: Phase,
}

impl Phases {
    pub(super) fn of(plan: &Plan, faults: &[Fault]) -> Phases {
        // A record due at the very end belongs to the run.
        let end = plan.end_ns.max(plan.warmup_end_ns).saturating_add(1);
        let counted = plan.warmup_end_ns..end;
        let clip = |from: u64, to: u64| from.clamp(counted.start, end)..to.clamp(counted.start, end);
        let first_fault = faults.iter().map(|fault| fault.started_ns).min();
        let steady_end = first_fault.map_or(end, |first| first.clamp(counted.start, end));

        let mut named: Vec<Phase> = Vec::new();
        push(&mut named, WARMUP, plan.start_ns..plan.warmup_end_ns);
        push(&mut named, STEADY, counted.start..steady_end);
        let mut disturbed: Vec<Range<u64>> = Vec::new();
        for fault in faults {
            let bad = clip(fault.started_ns, fault.healed_ns.unwrap_or(end));
            disturbed.push(bad.clone());
            push(&mut named, &format!("fault:{}", fault.name), bad);
            if let Some(healed) = fault.healed_ns {
                let heal = clip(healed, healed.saturating_add(HEAL_NS));
                disturbed.push(heal.clone());
                push(&mut named, &format!("heal:{}", fault.name), heal);
            }
        }
        for rest in subtract(steady_end..end, &mut disturbed) {
            push(&mut named, AFTER, rest);
        }
        named.sort_by_key(|phase| phase.spans[0].start);
        let probe = plan.warmup_end_ns.saturating_sub(PROBE_NS).max(plan.start_ns)..plan.warmup_end_ns;
        Phases {
            named,
            all: Phase {
                name: ALL.to_owned(),
                spans: vec![counted],
            },
            probe: Phase {
                name: "steady-state".to_owned(),
                spans: if probe.is_empty() { Vec::new() } else { vec![probe] },
            },
        }
    }

    fn every(&self) -> impl Iterator<Item = &Phase> {
        self.named.iter().chain([&self.all, &self.probe])
    }
}

/// Adds a span to the phase of that name, joining spans that overlap; an empty span adds nothing.
fn push(phases: &mut Vec<Phase>, name: &str, span: Range<u64>) {
    if span.is_empty() {
        return;
    }
    let Some(phase) = phases.iter_mut().find(|phase| phase.name == name) else {
        phases.push(Phase {
            name: name.to_owned(),
            spans: vec![span],
        });
        return;
    };
    phase.spans.push(span);
    phase.spans.sort_by_key(|span| span.start);
    phase.spans.dedup_by(|next, before| {
        let joined = next.start <= before.end;
        if joined {
            before.end = before.end.max(next.end);
        }
        joined
    });
}

/// What is left of `whole` without `taken`.
fn subtract(whole: Range<u64>, taken: &mut [Range<u64>]) -> Vec<Range<u64>> {
    taken.sort_by_key(|span| span.start);
    let mut left = Vec::new();
    let mut from = whole.start;
    for span in taken.iter().filter(|span| !span.is_empty()) {
        if span.start > from {
            left.push(from..span.start.min(whole.end));
        }
        from = from.max(span.end);
    }
    left.push(from..whole.end);
    left.retain(|span| !span.is_empty());
    left
}

/// The cuts of a run, ascending. Segment 0 lies before the first cut, segment i between cuts i-1 and i, the last
/// behind the last cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cuts(Vec<u64>);

impl Cuts {
    pub(super) fn of(phases: &Phases) -> Cuts {
        let spans = phases.every().flat_map(|phase| &phase.spans);
        let mut cuts: Vec<u64> = spans.flat_map(|span| [span.start, span.end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        Cuts(cuts)
    }

    /// Number of segments.
    pub(super) fn segments(&self) -> usize {
        self.0.len() + 1
    }

    /// The segment of a moment, looked for from the segment of the moment before it.
    pub(super) fn segment(&self, at_ns: u64, mut near: usize) -> usize {
        while near < self.0.len() && at_ns >= self.0[near] {
            near += 1;
        }
        while near > 0 && at_ns < self.0[near - 1] {
            near -= 1;
        }
        near
    }

    /// The segments of a phase.
    pub(super) fn segments_of<'a>(&'a self, phase: &'a Phase) -> impl Iterator<Item = usize> + 'a {
        (1..self.0.len()).filter(|&i| {
            let span = self.0[i - 1]..self.0[i];
            phase.touches(&span)
        })
    }

    /// The numbers of the cuts where the phase's spans begin, and where they end.
    pub(super) fn ends_of(&self, phase: &Phase) -> (Vec<usize>, Vec<usize>) {
        let number = |at: u64| self.0.partition_point(|&cut| cut < at);
        (
            phase.spans.iter().map(|span| number(span.start)).collect(),
            phase.spans.iter().map(|span| number(span.end)).collect(),
        )
    }

    /// The span of a segment; the outer two reach as far as time does.
    pub(super) fn span(&self, segment: usize) -> Range<u64> {
        let start = if segment == 0 { 0 } else { self.0[segment - 1] };
        start..self.0.get(segment).copied().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const S: u64 = 1_000_000_000;

    fn fault(name: &str, started_ns: u64, healed_ns: Option<u64>) -> Fault {
        Fault {
            name: name.into(),
            action: "kill".into(),
            target: "leader(orders-0)".into(),
            resolved: "broker-1".into(),
            started_ns,
            healed_ns,
            evidence: BTreeMap::new(),
            failed: None,
        }
    }

    fn plan() -> Plan {
        Plan {
            start_ns: 100 * S,
            warmup_end_ns: 115 * S,
            end_ns: 175 * S,
        }
    }

    fn spans(phases: &Phases, name: &str) -> Vec<Range<u64>> {
        phases
            .every()
            .find(|phase| phase.name == name)
            .map_or(Vec::new(), |phase| phase.spans.clone())
    }

    #[test]
    fn without_faults_everything_after_warmup_is_steady() {
        let phases = Phases::of(&plan(), &[]);
        let names: Vec<_> = phases.named.iter().map(|phase| phase.name.as_str()).collect();
        assert_eq!(names, ["warmup", "steady"]);
        assert_eq!(spans(&phases, "steady"), [115 * S..175 * S + 1]);
        assert_eq!(spans(&phases, "steady"), spans(&phases, "all"));
        assert_eq!(phases.probe.spans, [110 * S..115 * S]);
    }

    #[test]
    fn faults_heal_for_ten_seconds_and_the_rest_is_after() {
        let faults = [
            fault("kill", 130 * S, Some(140 * S)),
            fault("pause", 145 * S, Some(147 * S)),
        ];
        let phases = Phases::of(&plan(), &faults);
        assert_eq!(spans(&phases, "steady"), [115 * S..130 * S]);
        assert_eq!(spans(&phases, "fault:kill"), [130 * S..140 * S]);
        assert_eq!(spans(&phases, "heal:kill"), [140 * S..150 * S]);
        assert_eq!(spans(&phases, "fault:pause"), [145 * S..147 * S]);
        assert_eq!(spans(&phases, "heal:pause"), [147 * S..157 * S]);
        assert_eq!(spans(&phases, "after"), [157 * S..175 * S + 1]);
    }

    #[test]
    fn a_fault_that_never_heals_lasts_to_the_end_and_repeated_names_join() {
        let faults = [
            fault("kill", 120 * S, Some(121 * S)),
            fault("kill", 160 * S, None),
        ];
        let phases = Phases::of(&plan(), &faults);
        assert_eq!(
            spans(&phases, "fault:kill"),
            [120 * S..121 * S, 160 * S..175 * S + 1]
        );
        assert_eq!(spans(&phases, "after"), [131 * S..160 * S]);
        let kill = phases.named.iter().find(|phase| phase.name == "fault:kill");
        assert_eq!(kill.map(Phase::length_ns), Some(16 * S + 1));
    }

    #[test]
    fn a_fault_at_once_leaves_no_steady_phase() {
        let phases = Phases::of(&plan(), &[fault("kill", 115 * S, Some(116 * S))]);
        assert!(spans(&phases, "steady").is_empty());
    }

    #[test]
    fn every_moment_has_one_segment_and_phases_are_made_of_them() {
        let faults = [
            fault("kill", 130 * S, Some(140 * S)),
            fault("pause", 145 * S, Some(147 * S)),
        ];
        let phases = Phases::of(&plan(), &faults);
        let cuts = Cuts::of(&phases);
        let mut near = 0;
        for at in (90 * S..190 * S).step_by(S as usize / 2) {
            near = cuts.segment(at, near);
            assert!(cuts.span(near).contains(&at));
            assert_eq!(
                cuts.segment(at, cuts.segments() - 1),
                near,
                "the hint does not matter"
            );
            for phase in phases.every() {
                let inside = phase.spans.iter().any(|span| span.contains(&at));
                assert_eq!(
                    cuts.segments_of(phase).any(|segment| segment == near),
                    inside,
                    "{}",
                    phase.name
                );
            }
        }
    }
}
