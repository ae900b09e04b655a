//! `recovered = { gap, within, condition, backlog }` of `[claims]`: how soon a run must be itself again after each fault.

use std::time::Duration;

use steadfast_chaos::fault::PlannedFault;
use steadfast_verifier::expectations::{Claim, ClaimId, Metric, Recovery, Statistic, Threshold};
use toml::Spanned;

use crate::scenario::diagnostics::Problem;
use crate::scenario::notes::Notes;
use crate::scenario::phases::{Phases, end};
use crate::scenario::reader::Table;
use crate::scenario::thresholds::read_probe;
use crate::scenario::units::show_duration;
use crate::scenario::workload::Load;

/// The judge looks at latency second by second: a condition needs one whole second to look at.
const SECOND: Duration = Duration::from_secs(1);

/// The key of `[claims]`.
pub(crate) const NAME: &str = "recovered";

/// Reads it. `known` is none where phases cannot be known because something else is wrong.
pub(crate) fn read(
    claims: Option<&Table<'_>>,
    (load, known): (Option<&Load>, Option<&Phases<'_>>),
    notes: &Notes<'_>,
) -> Option<(Claim, Recovery)> {
    let table = claims?.table(NAME)?;
    let gap = limit(&table, "gap", notes);
    let within = limit(&table, "within", notes);
    let backlog = limit(&table, "backlog", notes);
    let condition = table
        .text("condition")
        .and_then(|text| condition(&text, load, notes));
    if !["gap", "within", "condition", "backlog"]
        .iter()
        .any(|key| table.has(key))
    {
        notes.push(Problem::at(
            table.span.clone(),
            "`recovered` asks for nothing",
            "expected at least one of `gap`, `within` and `backlog`, such as `within = \"5s\"`",
        ));
    }
    if table.has("condition") && !table.has("within") {
        table.missing("within", "how long after a heal the condition must hold again");
    }
    if let Some(known) = known {
        if known.faults.is_empty() {
            let problem = Problem::at(
                table.span.clone(),
                "nothing to recover from",
                "there is no [[fault]] in this file",
            );
            notes
                .push(problem.note(
                    "a limit on silence without a fault is a threshold: unavailability = [\"max<1s\"]",
                ));
        } else if let Some(within) = &within {
            time_to_look(within, table.has("condition"), known, notes);
        }
    }
    let claim = Claim {
        id: ClaimId::Recovered,
        limit: 0,
    };
    let recovery = Recovery {
        gap_ns: nanos(gap),
        within_ns: nanos(within),
        condition,
        backlog_ns: nanos(backlog),
    };
    Some((claim, recovery))
}

/// A limit of nothing would fail every run.
fn limit(table: &Table<'_>, name: &'static str, notes: &Notes<'_>) -> Option<Spanned<Duration>> {
    let limit = table.duration(name)?;
    if limit.get_ref().is_zero() {
        let title = format!("`{name}` of nothing");
        notes.push(Problem::at(
            limit.span(),
            &title,
            "expected a length such as \"5s\"",
        ));
        return None;
    }
    Some(limit)
}

/// A condition that the seconds of a run can tell.
fn condition(text: &Spanned<String>, load: Option<&Load>, notes: &Notes<'_>) -> Option<Threshold> {
    let condition = read_probe(text, None, load, notes)?;
    let told = condition.metric == Metric::AckLatency
        && match condition.statistic {
            Statistic::Max => true,
            Statistic::Percentile(percent) => percent == 50.0 || percent == 99.0,
            _ => false,
        };
    if !told {
        let problem = Problem::at(
            text.span(),
            "a condition that seconds cannot tell",
            "expected p(50), p(99) or max of ack_latency",
        );
        notes.push(problem.note("it is looked at second by second, and these are the figures of a second"));
        return None;
    }
    Some(condition)
}

/// Where the file tells when faults end, enough of the load must be left after each.
fn time_to_look(within: &Spanned<Duration>, timed: bool, known: &Phases<'_>, notes: &Notes<'_>) {
    let Some(duration) = known.duration else { return };
    let needed = within
        .get_ref()
        .saturating_add(if timed { SECOND } else { Duration::ZERO });
    let mut broken_to = Duration::ZERO;
    for (i, fault) in known.faults.iter().enumerate() {
        let Some(end) = end(fault) else { return };
        broken_to = broken_to.max(end);
        let next = known
            .faults
            .get(i + 1)
            .map_or(duration, |next: &PlannedFault| next.at);
        // Another fault begins before this one ends: the heal comes with that one.
        let covered = i + 1 < known.faults.len() && next <= broken_to;
        if !covered && next.saturating_sub(broken_to) < needed {
            let left = show_duration(next.saturating_sub(broken_to));
            let label = format!("after `{}` there are {left} without a fault", fault.name);
            let problem = Problem::at(within.span(), "too little time to see a recovery", &label);
            return notes.push(if timed {
                problem.note("a condition is looked at in the first whole second after `within`")
            } else {
                problem
            });
        }
    }
}

fn nanos(limit: Option<Spanned<Duration>>) -> Option<u64> {
    limit.map(|limit| u64::try_from(limit.get_ref().as_nanos()).unwrap_or(u64::MAX))
}
