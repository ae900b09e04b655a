//! `[claims]`, `[thresholds]` and `[steady-state]`: what must hold. k6's grammar, with units that may not be left out.
//!
//! ```text
//! "ack_latency{phase:steady}" = ["p(50)<500us", "p(99)<1ms"]
//!  ^ metric    ^ phase           ^ statistic ^ comparison ^ limit with its unit
//! ```

use std::ops::Range;

use steadfast_verifier::expectations::{Claim, ClaimId, Comparison, Metric, Statistic, Threshold};
use steadfast_verifier::workload::{Executor, Keys, PartitionChoice, Workload};
use toml::Spanned;

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::notes::Notes;
use crate::scenario::phases::{Phases, problem_of};
use crate::scenario::reader::Table;
use crate::scenario::readers::without_readers;
use crate::scenario::units;
use crate::scenario::words::{list, texts};
use crate::scenario::workload::{Load, peak_rate};

/// The closed list: name, metric, statistics, unit of the limit.
pub(crate) const METRICS: &[(&str, Metric, &[&str], Unit)] = &[
    ("ack_latency", Metric::AckLatency, LATENCY, Unit::Duration),
    ("service_time", Metric::ServiceTime, LATENCY, Unit::Duration),
    ("schedule_lag", Metric::ScheduleLag, LATENCY, Unit::Duration),
    ("visible_latency", Metric::VisibleLatency, LATENCY, Unit::Duration),
    ("achieved_rate", Metric::AchievedRate, &["rate"], Unit::Rate),
    ("record_error", Metric::RecordError, &["rate"], Unit::Ratio),
    ("unavailability", Metric::Unavailability, &["max"], Unit::Duration),
    ("client_cpu", Metric::ClientCpu, &["value"], Unit::Percent),
    ("broker_cpu", Metric::BrokerCpu, &["value"], Unit::Percent),
    (
        "client_cpu_per_record",
        Metric::ClientCpuPerRecord,
        &["value"],
        Unit::Duration,
    ),
    (
        "broker_cpu_per_record",
        Metric::BrokerCpuPerRecord,
        &["value"],
        Unit::Duration,
    ),
    (
        "client_rss",
        Metric::ClientRss,
        &["max", "avg", "min"],
        Unit::Size,
    ),
    (
        "broker_rss",
        Metric::BrokerRss,
        &["max", "avg", "min"],
        Unit::Size,
    ),
];

/// Their names.
#[cfg(test)]
pub(crate) fn metric_names() -> impl Iterator<Item = &'static str> {
    METRICS.iter().map(|(name, ..)| *name)
}

const LATENCY: &[&str] = &["p(N)", "avg", "min", "max"];

/// What a limit is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// To ns.
    Duration,
    /// To records/s.
    Rate,
    /// To 0..1.
    Ratio,
    /// Of one core.
    Percent,
    /// To bytes.
    Size,
}

/// Reads `[claims]`; without the table, its defaults.
pub(crate) fn read_claims(table: Option<&Table<'_>>, load: Option<&Load>, notes: &Notes<'_>) -> Vec<Claim> {
    const CLAIMS: &[(&str, ClaimId)] = &[
        ("lost", ClaimId::Lost),
        ("duplicated", ClaimId::Duplicated),
        ("reordered-per-key", ClaimId::ReorderedPerKey),
        ("reordered-in-time", ClaimId::ReorderedInTime),
        ("torn", ClaimId::Torn),
        ("reordered-for-readers", ClaimId::ReorderedForReaders),
        ("corrupted", ClaimId::Corrupted),
    ];
    let mut claims = Vec::new();
    for (name, id) in CLAIMS {
        let limit = match table {
            Some(table) => table.integer(name).map(Spanned::into_inner),
            None => matches!(id, ClaimId::Lost | ClaimId::Duplicated | ClaimId::Corrupted).then_some(0),
        };
        claims.extend(limit.map(|limit| Claim { id: *id, limit }));
    }
    if let (Some(table), Some(load)) = (table, load)
        && table.has("torn")
        && !load.transaction_written
    {
        let problem = Problem::at(
            table.place("torn"),
            "`torn` without transactions",
            "nothing could be torn",
        );
        notes.push(problem.note("add [workload.transaction], such as `records = 100`"));
    }
    if let (Some(table), Some(load)) = (table, load)
        && table.has("reordered-per-key")
        && load.workload.keys != Keys::None
        && *load.partition.get_ref() != PartitionChoice::ByKey
    {
        let problem = Problem::at(
            table.place("reordered-per-key"),
            "order per key with keys that are spread on purpose",
            "one key in two partitions is reordered (O7)",
        );
        notes.push(problem.context(load.partition.span(), "expected `by-key`"));
    }
    claims
}

/// Reads `[thresholds]`.
pub(crate) fn read_thresholds(
    root: &Table<'_>,
    load: Option<&Load>,
    phases: Option<&Phases<'_>>,
    notes: &Notes<'_>,
) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for (key, value) in root.entries_of("thresholds") {
        let selected = selector(&key, notes);
        let expressions = texts(key.get_ref(), value, notes);
        let Some((metric, phase)) = selected else { continue };
        if let (Some(phase), Some(phases)) = (&phase, phases)
            && let Some(empty) = phases.empty(phase)
        {
            notes.push(problem_of(&empty, &key));
        }
        if let Some(load) = load {
            refuse_latency_of_unlimited(metric, &load.workload, &key.span(), notes);
        }
        if metric == Metric::VisibleLatency && !root.has("readers") {
            notes.push(without_readers(key.span()));
        }
        for text in expressions {
            if let Some(threshold) = read_expression(metric, phase.clone(), &text, text.get_ref(), 0, notes) {
                reachable(&threshold, load, &text.span(), notes);
                thresholds.push(threshold);
            }
        }
    }
    thresholds
}

/// Reads `[steady-state]`. Without the table the runner asks for the rate and for no failed record; that needs no probe.
pub(crate) fn read_steady_state(
    table: Option<&Table<'_>>,
    load: Option<&Load>,
    notes: &Notes<'_>,
) -> Vec<Threshold> {
    let Some(table) = table else { return Vec::new() };
    if let Some(load) = load
        && load.workload.warmup_ns == 0
    {
        notes.push(Problem::at(
            table.span.clone(),
            "[steady-state] without warm-up",
            "probes look at the last 5 s of warm-up",
        ));
    }
    let probe = |text| read_probe(&text, Some("warmup"), load, notes);
    table.texts("probes").into_iter().filter_map(probe).collect()
}

/// Reads `ack_latency p(99)<5ms`.
pub(crate) fn read_probe(
    text: &Spanned<String>,
    phase: Option<&str>,
    load: Option<&Load>,
    notes: &Notes<'_>,
) -> Option<Threshold> {
    let Some((word, rest)) = text.get_ref().split_once(char::is_whitespace) else {
        notes.push(Problem::at(
            text.span(),
            "a probe names a metric and an expression",
            "expected such as `ack_latency p(99)<5ms`",
        ));
        return None;
    };
    let place = inner(text, 0..word.len(), notes);
    let metric = metric(word, &place, notes)?;
    if metric == Metric::VisibleLatency {
        notes.push(Problem::at(
            place,
            "`visible_latency` while the load runs",
            "what readers saw is known when the run is over; limit it in [thresholds]",
        ));
        return None;
    }
    if let Some(load) = load {
        refuse_latency_of_unlimited(metric, &load.workload, &place, notes);
    }
    read_expression(
        metric,
        phase.map(str::to_owned),
        text,
        rest,
        word.len() + 1,
        notes,
    )
}

/// `metric` or `metric{phase:name}`.
fn selector(key: &Spanned<String>, notes: &Notes<'_>) -> Option<(Metric, Option<String>)> {
    let text = key.get_ref().as_str();
    let (name, rest) = text.split_at(text.find('{').unwrap_or(text.len()));
    let metric = metric(name.trim(), &key.span(), notes);
    if rest.is_empty() {
        return Some((metric?, None));
    }
    let phase = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let phase = phase
        .and_then(|tag| tag.split_once(':'))
        .filter(|(tag, _)| tag.trim() == "phase");
    match phase {
        Some((_, phase)) => Some((metric?, Some(phase.trim().to_owned()))),
        None => {
            notes.push(Problem::at(
                key.span(),
                &format!("unknown selector `{rest}`"),
                "expected `{phase:NAME}`, such as `{phase:steady}`",
            ));
            None
        }
    }
}

fn metric(name: &str, place: &Range<usize>, notes: &Notes<'_>) -> Option<Metric> {
    if let Some((_, metric, ..)) = METRICS.iter().find(|(known, ..)| *known == name) {
        return Some(*metric);
    }
    let names: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
    let near = nearest(name, names.iter().copied());
    let label = near.map_or_else(
        || "not a metric".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let problem = Problem::at(place.clone(), &format!("unknown metric `{name}`"), &label);
    notes.push(problem.note(&format!("the metrics are {}", names.join(", "))));
    None
}

/// Reads `p(99)<1ms`. `text` is the whole string in the file, `expression` the part from byte `offset` on.
fn read_expression(
    metric: Metric,
    phase: Option<String>,
    text: &Spanned<String>,
    expression: &str,
    offset: usize,
    notes: &Notes<'_>,
) -> Option<Threshold> {
    match parse(metric, expression) {
        Ok((statistic, comparison, limit)) => Some(Threshold {
            metric,
            phase,
            expression: expression.trim().to_owned(),
            statistic,
            comparison,
            limit,
        }),
        Err((range, label)) => {
            let place = inner(text, range.start + offset..range.end + offset, notes);
            notes.push(Problem::at(
                place,
                &format!("invalid expression `{}`", expression.trim()),
                &label,
            ));
            None
        }
    }
}

/// The place of a part of a string, where the string is written without escapes.
fn inner(text: &Spanned<String>, part: Range<usize>, notes: &Notes<'_>) -> Range<usize> {
    let span = text.span();
    let begin = span.start + 1;
    let plain = notes.text.get(begin..begin + text.get_ref().len()) == Some(text.get_ref().as_str());
    if plain && !part.is_empty() {
        begin + part.start..begin + part.end
    } else {
        span
    }
}

type ExpressionError = (Range<usize>, String);

/// Pure: statistic, comparison and limit of an expression, or the part that is wrong and what was expected there.
fn parse(metric: Metric, text: &str) -> Result<(Statistic, Comparison, f64), ExpressionError> {
    let Some((name, _, statistics, unit)) = METRICS.iter().find(|(_, known, ..)| *known == metric) else {
        return Err((0..text.len(), "unknown metric".to_owned()));
    };
    let at = text.find(['<', '>', '=', '!']);
    let Some(at) = at else {
        return Err((
            0..text.len(),
            format!("expected a comparison, such as `{}`", sample(statistics, *unit)),
        ));
    };
    let symbols = ["<=", ">=", "==", "<", ">"];
    let rest = &text[at..];
    let Some(symbol) = symbols.into_iter().find(|symbol| rest.starts_with(symbol)) else {
        return Err((at..at + 1, "expected `<`, `<=`, `>`, `>=` or `==`".to_owned()));
    };
    let comparison = match symbol {
        "<=" => Comparison::LessOrEqual,
        ">=" => Comparison::GreaterOrEqual,
        "==" => Comparison::Equal,
        "<" => Comparison::Less,
        _ => Comparison::Greater,
    };
    let word = text[..at].trim();
    let statistic = statistic(word)
        .filter(|(kind, _)| statistics.contains(kind))
        .map(|(_, statistic)| statistic);
    let Some(statistic) = statistic else {
        let start = text.find(word).unwrap_or(0);
        let range = start..(start + word.len()).max(start + 1).min(text.len());
        return Err((range, format!("`{name}` has {}", list(statistics))));
    };
    let begin = at + symbol.len();
    let limit = match unit {
        Unit::Duration => units::duration(&text[begin..]).map(|duration| duration.as_nanos() as f64),
        Unit::Rate => units::rate(text[begin..].trim()),
        Unit::Ratio => units::ratio(&text[begin..]),
        Unit::Percent => units::percent(&text[begin..]),
        Unit::Size => units::size(&text[begin..]).map(|bytes| bytes as f64),
    };
    limit
        .map(|limit| (statistic, comparison, limit))
        .map_err(|why| (begin..text.len(), why))
}

fn statistic(word: &str) -> Option<(&'static str, Statistic)> {
    match word {
        "avg" => Some(("avg", Statistic::Avg)),
        "min" => Some(("min", Statistic::Min)),
        "max" => Some(("max", Statistic::Max)),
        "rate" => Some(("rate", Statistic::Rate)),
        "value" => Some(("value", Statistic::Value)),
        _ => {
            let percent = units::number(word.strip_prefix("p(")?.strip_suffix(')')?)?;
            (percent > 0.0 && percent <= 100.0).then_some(("p(N)", Statistic::Percentile(percent)))
        }
    }
}

fn sample(statistics: &[&str], unit: Unit) -> String {
    let statistic = statistics
        .first()
        .map_or("value", |first| if *first == "p(N)" { "p(99)" } else { first });
    let limit = match unit {
        Unit::Duration => "<1ms",
        Unit::Rate => ">=25000/s",
        Unit::Ratio => "==0",
        Unit::Percent => "<6%",
        Unit::Size => "<200 MiB",
    };
    format!("{statistic}{limit}")
}

fn refuse_latency_of_unlimited(metric: Metric, workload: &Workload, place: &Range<usize>, notes: &Notes<'_>) {
    let latency = matches!(
        metric,
        Metric::AckLatency | Metric::ServiceTime | Metric::ScheduleLag | Metric::VisibleLatency
    );
    if latency && matches!(workload.executor, Executor::Unlimited { .. }) {
        let problem = Problem::at(place.clone(), "latency of an `unlimited` load", "never judged");
        notes.push(
            problem.note("as fast as they go, records have no intended time; limit `achieved_rate` instead"),
        );
    }
}

/// A rate that is asked for but never offered would fail every run.
fn reachable(threshold: &Threshold, load: Option<&Load>, place: &Range<usize>, notes: &Notes<'_>) {
    let least = matches!(
        threshold.comparison,
        Comparison::Greater | Comparison::GreaterOrEqual | Comparison::Equal
    );
    let Some(peak) = load.and_then(|load| peak_rate(&load.workload)) else {
        return;
    };
    let poisson = load.is_some_and(|load| matches!(load.workload.executor, Executor::Poisson { .. }));
    if threshold.metric == Metric::AchievedRate && least && threshold.limit > peak && !poisson {
        let label = format!("the workload offers at most {}", units::show_rate(peak));
        notes.push(Problem::at(place.clone(), "a rate that is never offered", &label));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_read_with_their_units() {
        let ok = |metric, text: &str| parse(metric, text).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        assert_eq!(
            ok(Metric::AckLatency, "p(99.9)<1ms"),
            (Statistic::Percentile(99.9), Comparison::Less, 1e6)
        );
        assert_eq!(
            ok(Metric::AckLatency, " max <= 2s "),
            (Statistic::Max, Comparison::LessOrEqual, 2e9)
        );
        assert_eq!(
            ok(Metric::AchievedRate, "rate>=25000/s"),
            (Statistic::Rate, Comparison::GreaterOrEqual, 25e3)
        );
        assert_eq!(
            ok(Metric::RecordError, "rate==0"),
            (Statistic::Rate, Comparison::Equal, 0.0)
        );
        assert_eq!(
            ok(Metric::ClientCpu, "value<6%"),
            (Statistic::Value, Comparison::Less, 6.0)
        );
    }

    #[test]
    fn what_is_wrong_in_an_expression_has_its_place() {
        let wrong = |metric, text: &str| parse(metric, text).expect_err(text).0;
        assert_eq!(wrong(Metric::AckLatency, "p(99)<1"), 6..7);
        assert_eq!(wrong(Metric::AckLatency, "p(999)<1ms"), 0..6);
        assert_eq!(wrong(Metric::AckLatency, "rate<1ms"), 0..4);
        assert_eq!(wrong(Metric::AchievedRate, "rate>25000"), 5..10);
        assert_eq!(wrong(Metric::AckLatency, "p(99)!=1ms"), 5..6);
        assert_eq!(wrong(Metric::AckLatency, "p(99)"), 0..5);
    }
}
