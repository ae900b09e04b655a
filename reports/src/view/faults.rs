//! Faults: what was done, what shows that it bit, what it did to the load, and how that came back.

use std::ops::Range;

use steadfast_verifier::measurements::{Backlog, Impact};
use steadfast_verifier::timeline::Fault;

use super::time_axis::zero_ns;
use crate::folder::Folder;
use crate::number;
use crate::text::{Limits, plural};

/// Pieces of evidence shown of one fault.
const MAX_EVIDENCE: usize = 8;
/// Actions that end a process without asking it.
const DEATHS: [&str; 1] = ["kill"];

/// One fault as it happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FaultRow {
    pub name: String,
    pub action: String,
    pub target: String,
    /// Seconds after the end of warm-up, as in the scenario file.
    pub at: String,
    pub lasted: String,
    /// What shows that it bit; empty = nothing does.
    pub evidence: Vec<(String, String)>,
    pub failed: Option<String>,
}

/// What one fault did to the load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ImpactRow {
    pub name: String,
    /// Other faults that stood at the time; empty = none.
    pub beside: String,
    pub outage: String,
    /// When the limit held again.
    pub back: String,
    /// From when on that is counted, or for how long it was looked.
    pub back_note: String,
    /// It never held again.
    pub lasting: bool,
    pub most: String,
    pub at_heal: String,
    pub drained: String,
}

const NOT_MEASURED: &str = "not measured";

pub(super) fn rows(folder: &Folder, limits: Limits) -> (Vec<FaultRow>, usize) {
    let (kept, more) = limits.rows(&folder.verdict.faults);
    let zero_ns = zero_ns(folder);
    let row = |(i, fault): (usize, &Fault)| FaultRow {
        name: limits.short(&fault.name),
        action: limits.short(&action(&fault.action)),
        target: target(fault, limits),
        at: span(folder, i).map_or("–".to_owned(), |span| {
            format!("{} s", number::plain((span.start - zero_ns) as f64 / 1e9, 5))
        }),
        lasted: lasted(fault),
        evidence: evidence(fault, limits),
        failed: fault.failed.as_ref().map(|reason| limits.long(reason)),
    };
    (kept.iter().enumerate().map(row).collect(), more)
}

/// One row for each fault; none in folders that were judged before this was looked at.
pub(crate) fn impacts(folder: &Folder, limits: Limits) -> Vec<ImpactRow> {
    let (kept, _) = limits.rows(&folder.measurements.impacts);
    kept.iter().map(|impact| impact_row(impact, limits)).collect()
}

/// The limit that [`impacts`] are held against, in words.
pub(super) fn limit(folder: &Folder, limits: Limits) -> String {
    let mut limit = folder
        .measurements
        .impacts
        .iter()
        .filter_map(|impact| impact.limit.as_ref());
    match limit.next() {
        Some(limit) => limits.short(&limit.expression),
        None => String::new(),
    }
}

fn impact_row(impact: &Impact, limits: Limits) -> ImpactRow {
    let (back, back_note, lasting) = back(impact);
    let backlog = |of: fn(&Backlog) -> Option<String>| {
        let told = impact.backlog.as_ref().and_then(of);
        told.unwrap_or_else(|| NOT_MEASURED.to_owned())
    };
    let healed = impact.healed_ns.is_some();
    let (kept, more) = Limits { rows: 3, ..limits }.rows(&impact.beside);
    let mut beside: Vec<String> = kept.iter().map(|name| limits.short(name)).collect();
    if more > 0 {
        beside.push(format!("{more} more"));
    }
    ImpactRow {
        name: limits.short(&impact.fault),
        beside: beside.join(", "),
        outage: match impact.outage_ns {
            0 => "none".to_owned(),
            ns => number::nanoseconds(ns as f64),
        },
        back,
        back_note,
        lasting,
        most: backlog(|backlog| Some(number::count(backlog.most))),
        at_heal: match healed {
            true => backlog(|backlog| backlog.at_heal.map(number::count)),
            false => "never healed".to_owned(),
        },
        drained: match healed {
            true => backlog(|backlog| match (backlog.at_heal?, backlog.drained_ns) {
                (0, _) => Some("nothing waited".to_owned()),
                (_, Some(ns)) => Some(number::nanoseconds(ns as f64)),
                (_, None) => Some("never".to_owned()),
            }),
            false => "–".to_owned(),
        },
    }
}

/// When the limit on latency held again, from when on that counts, and whether it never did.
fn back(impact: &Impact) -> (String, String, bool) {
    let Some(limit) = &impact.limit else {
        let why = "no limit on p(50), p(99) or max of ack_latency";
        return (NOT_MEASURED.to_owned(), why.to_owned(), false);
    };
    let seconds = |ns: i64| number::nanoseconds(ns as f64);
    let looked = seconds(impact.until_ns - impact.start_ns);
    let missed = plural(limit.missed, "second");
    match (limit.missed, limit.back) {
        (0, _) => ("never missed".to_owned(), format!("looked for {looked}"), false),
        (_, false) => (
            "not again".to_owned(),
            format!("{missed} missed, looked for {looked}"),
            true,
        ),
        (_, true) => {
            let until_ns = impact.start_ns.saturating_add_unsigned(limit.missed_for_ns);
            let told = format!("{} after its begin", seconds(until_ns - impact.start_ns));
            let heal = match impact.healed_ns {
                Some(healed_ns) if until_ns > healed_ns => {
                    format!("{} after the heal", seconds(until_ns - healed_ns))
                }
                Some(_) => "before the heal".to_owned(),
                None => "never healed".to_owned(),
            };
            (told, format!("{missed} missed, {heal}"), false)
        }
    }
}

/// What the pointer tells about a fault.
pub(super) fn told(folder: &Folder, number: usize, limits: Limits) -> String {
    let Some(fault) = folder.verdict.faults.get(number) else {
        return String::new();
    };
    let mut lines = vec![
        limits.short(&fault.name),
        limits.short(&action(&fault.action)),
        target(fault, limits),
        format!("stood for {}", lasted(fault)),
    ];
    let evidence = evidence(fault, limits);
    if evidence.is_empty() {
        lines.push("no evidence that it bit".to_owned());
    }
    let line = |(what, value): (String, String)| limits.short(&format!("{what}: {value}"));
    lines.extend(evidence.into_iter().map(line));
    lines.extend(fault.failed.as_ref().map(|reason| limits.short(reason)));
    lines.join("\n")
}

/// From the begin of a fault to its heal or to the end of the load, as measurements.json counts time.
pub(super) fn span(folder: &Folder, number: usize) -> Option<Range<i64>> {
    let (verdict, measured) = (&folder.verdict, &folder.measurements);
    if measured.impacts.len() == verdict.faults.len() {
        let impact = measured.impacts.get(number)?;
        return Some(impact.start_ns..impact.healed_ns.unwrap_or(impact.until_ns));
    }
    // Judged before impacts were: phases do not tell which of several times of one name is which.
    let name = &verdict.faults.get(number)?.name;
    let mut phases = measured.phases.iter();
    let phase = phases.find(|phase| phase.name.strip_prefix("fault:") == Some(name))?;
    Some(phase.start_ns..phase.end_ns)
}

/// The end of the last second that missed its limit.
pub(super) fn missed_until(folder: &Folder, number: usize) -> Option<i64> {
    let impact = folder.measurements.impacts.get(number)?;
    let limit = impact.limit.as_ref().filter(|limit| limit.missed > 0)?;
    Some(impact.start_ns.saturating_add_unsigned(limit.missed_for_ns))
}

/// What no fault of this run tested, where one might think so.
pub(super) fn not_tested(folder: &Folder) -> Option<&'static str> {
    let faults = &folder.verdict.faults;
    let died = faults.iter().any(|fault| DEATHS.contains(&fault.action.as_str()));
    died.then_some(
        "Process death is not power loss: the page cache of the kernel survived, and with it everything that a killed \
         process had written and not yet synced. Power loss was not tested.",
    )
}

fn lasted(fault: &Fault) -> String {
    fault.healed_ns.map_or("never healed".to_owned(), |healed| {
        number::nanoseconds(healed.saturating_sub(fault.started_ns) as f64)
    })
}

fn target(fault: &Fault, limits: Limits) -> String {
    if fault.resolved.is_empty() || fault.resolved == fault.target {
        return limits.short(&fault.target);
    }
    // A target by meaning may have meant every broker: each with its leaderships is more than a name.
    let long = Limits {
        long: limits.long.min(400),
        ..limits
    };
    long.long(&format!("{} = {}", fault.target, fault.resolved))
}

/// What an action did, in words; its own where there are none.
fn action(action: &str) -> String {
    let words = match action {
        "kill" => "process death (SIGKILL)",
        "term" => "asked to end (SIGTERM)",
        "pause" => "frozen (SIGSTOP)",
        "restart" => "restarted in order",
        "fill-disk" => "no room on its disk",
        "step-clock" => "wall clock stepped",
        "partition" => "silence both ways",
        "down" => "connections refused",
        "elect" => "leader election",
        "reassign" => "replicas moved",
        "grow" => "partitions added",
        "set" => "setting changed live",
        "quota" => "clients of an id held back",
        "hold" => "frames held",
        "delay" => "frames late",
        "drop" => "frames dropped",
        "cut" => "connection cut within a frame",
        "answer" => "answered in the broker's place",
        _ => return action.to_owned(),
    };
    format!("{action}: {words}")
}

/// What shows that it bit, in words; of several brokers `exit_status of broker-2` is "ended of broker-2".
fn evidence(fault: &Fault, limits: Limits) -> Vec<(String, String)> {
    let words = |what: &str| {
        let (key, of) = what.split_once(' ').unwrap_or((what, ""));
        let key = match key {
            "exit_status" => "the process ended with".to_owned(),
            "started_again" => "started again".to_owned(),
            "leader_epoch" => "leader moved".to_owned(),
            "not_met" => "not met".to_owned(),
            "log_says" => "its log says".to_owned(),
            "wall_clock" => "its wall clock jumped by".to_owned(),
            "wall_clock_again" => "its wall clock is off again by".to_owned(),
            "process_state" => "state of the process".to_owned(),
            "requests_stalled" => "a request stalled".to_owned(),
            "refused" => "refused".to_owned(),
            "link" => "connections".to_owned(),
            "link_state" => "proxy reads back".to_owned(),
            "frames" => "frames".to_owned(),
            other => other.replace('_', " "),
        };
        if of.is_empty() {
            key
        } else {
            format!("{key}, {}", of.trim_start_matches("of "))
        }
    };
    let kept = fault.evidence.iter().take(MAX_EVIDENCE);
    let mut told: Vec<_> = kept
        .map(|(what, value)| (limits.short(&words(what)), limits.long(value)))
        .collect();
    let more = fault.evidence.len().saturating_sub(MAX_EVIDENCE);
    if more > 0 {
        told.push((format!("{more} more"), "in verdict.json".to_owned()));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn a_kill_is_process_death_and_never_power_loss() {
        let (rows, _) = rows(&fixture::fail(), Limits::USUAL);
        assert_eq!(rows[0].action, "kill: process death (SIGKILL)");
        assert_eq!((rows[0].at.as_str(), rows[0].lasted.as_str()), ("20 s", "15 s"));
        assert_eq!(
            rows[0].evidence[0],
            ("the process ended with".to_owned(), "signal 9".to_owned())
        );
        let said = not_tested(&fixture::fail()).unwrap();
        assert!(said.contains("Power loss was not tested"), "{said}");
        let mut paused = fixture::fail();
        paused.verdict.faults[0].action = "pause".to_owned();
        assert!(not_tested(&paused).is_none() && not_tested(&fixture::pass()).is_none());
    }

    #[test]
    fn recovery_is_told_from_the_begin_and_from_the_heal() {
        let told = &impacts(&fixture::fail(), Limits::USUAL)[0];
        assert_eq!(
            (
                told.outage.as_str(),
                told.back.as_str(),
                told.back_note.as_str(),
                told.lasting
            ),
            (
                "4.2 s",
                "6 s after its begin",
                "6 seconds missed, before the heal",
                false
            )
        );
        assert_eq!(
            (told.most.as_str(), told.at_heal.as_str(), told.drained.as_str()),
            ("125,000", "14", "610 µs")
        );
        let mut folder = fixture::fail();
        let impact = &mut folder.measurements.impacts[0];
        impact.limit.as_mut().unwrap().missed_for_ns = 17_000_000_000;
        let told = &impacts(&folder, Limits::USUAL)[0];
        assert_eq!(told.back_note, "6 seconds missed, 2 s after the heal");
        folder.measurements.impacts[0].limit.as_mut().unwrap().back = false;
        let told = &impacts(&folder, Limits::USUAL)[0];
        assert_eq!((told.back.as_str(), told.lasting), ("not again", true));
    }

    #[test]
    fn what_was_not_measured_says_so() {
        let mut folder = fixture::fail();
        let impact = &mut folder.measurements.impacts[0];
        (impact.limit, impact.backlog) = (None, None);
        let told = &impacts(&folder, Limits::USUAL)[0];
        for said in [&told.back, &told.most, &told.at_heal, &told.drained] {
            assert_eq!(said, NOT_MEASURED);
        }
        folder.measurements.impacts[0].healed_ns = None;
        let told = &impacts(&folder, Limits::USUAL)[0];
        assert_eq!(
            (told.at_heal.as_str(), told.drained.as_str()),
            ("never healed", "–")
        );
    }

    #[test]
    fn each_time_of_a_name_has_its_own_begin() {
        let mut folder = fixture::fail();
        folder.verdict.faults.push(folder.verdict.faults[0].clone());
        let mut impact = folder.measurements.impacts[0].clone();
        impact.start_ns += 7_000_000_000;
        folder.measurements.impacts.push(impact);
        let (rows, _) = rows(&folder, Limits::USUAL);
        assert_eq!((rows[0].at.as_str(), rows[1].at.as_str()), ("20 s", "27 s"));
    }
}
