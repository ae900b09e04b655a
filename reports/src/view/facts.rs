//! The plain tables: records, anomalies, what disturbed the harness, the machine and its settings.

use steadfast_verifier::environment::Environment;
use steadfast_verifier::measurements::{Disturbance, Measurements};
use steadfast_verifier::verdict::{ReaderVerdict, Records, Verdict};

use super::names;
use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

/// Examples shown of one anomaly.
const MAX_EXAMPLES: usize = 5;
/// Share of a phase above which H1 (b) doubts its latency.
const DISTURBED: f64 = 0.05;

/// A label and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    pub label: &'static str,
    pub value: String,
}

/// One count of records and what it means.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Count {
    pub label: &'static str,
    pub value: String,
    pub meaning: &'static str,
}

/// One kind of anomaly that was found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Anomaly {
    pub id: String,
    pub meaning: &'static str,
    pub count: String,
    /// (record, what was expected and found)
    pub examples: Vec<(String, String)>,
}

/// One harness cause.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cause {
    pub id: String,
    pub meaning: &'static str,
    pub phase: Option<String>,
    pub reason: String,
}

/// How undisturbed the generator was in a phase.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quiet {
    pub phase: String,
    pub share: String,
    pub disturbed: bool,
}

/// A setting that differs from Kafka's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SettingRow {
    pub scope: String,
    pub name: String,
    pub value: String,
    pub default: String,
    pub reason: String,
}

/// What a reader must know before believing a figure.
pub(super) fn cautions(folder: &Folder) -> Vec<String> {
    let mut all = Vec::new();
    if folder.environment.debug_build {
        all.push("Debug build: latency and CPU say nothing about what a release build does.".to_owned());
    }
    if !super::is_real(&folder.verdict.broker) {
        all.push("Not a real Kafka: no figure here is Kafka's, and durability was not tested.".to_owned());
    }
    if folder.environment.broker.proxied {
        all.push("A proxy stood between client and brokers: latency includes it.".to_owned());
    }
    all
}

pub(super) fn records(records: &Records) -> Vec<Count> {
    let count = |label, value, meaning| Count {
        label,
        value: number::count(value),
        meaning,
    };
    vec![
        count("intended", records.intended, "due by the schedule"),
        count("sent", records.sent, "handed to the client"),
        count(
            "acknowledged",
            records.acked,
            "confirmed by the broker: must be in the log exactly once",
        ),
        count(
            "not written",
            records.not_written,
            "refused: must not be in the log",
        ),
        count(
            "unknown",
            records.unknown,
            "no outcome: may be in the log once or not at all",
        ),
        count(
            "read back",
            records.read,
            "found in the sealed log by the verifier's own reader",
        ),
    ]
}

/// One concurrent reader.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ReaderRow {
    pub name: String,
    pub isolation: &'static str,
    pub answers: String,
    pub records: String,
    pub behind: String,
    /// `stopped as asked`, or what went wrong.
    pub ended: &'static str,
    /// It saw everything.
    pub whole: bool,
}

pub(super) fn readers(verdict: &Verdict, limits: Limits) -> Vec<ReaderRow> {
    let (kept, _) = limits.rows(&verdict.readers);
    let row = |reader: &ReaderVerdict| ReaderRow {
        name: limits.short(&reader.reader),
        isolation: reader.isolation.word(),
        answers: number::count(reader.answers),
        records: number::count(reader.records),
        behind: number::count(reader.behind),
        ended: match (reader.ended, reader.behind) {
            (false, _) => "died",
            (true, 0) => "at the end of the log",
            (true, _) => "lagged behind",
        },
        whole: reader.ended && reader.behind == 0,
    };
    kept.iter().map(row).collect()
}

pub(super) fn anomalies(verdict: &Verdict, limits: Limits) -> Vec<Anomaly> {
    let found = verdict
        .anomalies
        .iter()
        .filter(|(_, count)| **count > 0)
        .take(limits.rows);
    let examples = |id: &str| {
        let of_id = verdict
            .examples
            .iter()
            .filter(|example| example.id == *id)
            .take(MAX_EXAMPLES);
        let shown = of_id.map(|example| {
            (
                limits.short(example.record.as_deref().unwrap_or("–")),
                limits.long(&example.detail),
            )
        });
        shown.collect()
    };
    let row = |(id, count): (&String, &u64)| Anomaly {
        id: limits.short(id),
        meaning: names::anomaly(id),
        count: number::count(*count),
        examples: examples(id),
    };
    found.map(row).collect()
}

pub(super) fn clean(verdict: &Verdict, limits: Limits) -> Vec<String> {
    let ids = verdict
        .anomalies
        .iter()
        .filter(|(_, count)| **count == 0)
        .take(limits.rows);
    ids.map(|(id, _)| limits.short(id)).collect()
}

pub(super) fn causes(verdict: &Verdict, limits: Limits) -> (Vec<Cause>, usize) {
    let (kept, more) = limits.rows(&verdict.inconclusive);
    let row = |cause: &steadfast_verifier::verdict::Inconclusive| Cause {
        id: limits.short(&cause.id),
        meaning: names::cause(&cause.id),
        phase: cause.phase.as_ref().map(|phase| limits.short(phase)),
        reason: limits.long(&cause.reason),
    };
    (kept.iter().map(row).collect(), more)
}

pub(super) fn quiet(measurements: &Measurements, limits: Limits) -> Vec<Quiet> {
    let all = &measurements.disturbance;
    let steady = all
        .iter()
        .find(|disturbance| disturbance.phase == "steady")
        .map(|steady| steady.share);
    // Without faults the steady phase is all there is after warm-up.
    let twice = |d: &&Disturbance| d.phase == "all" && Some(d.share) == steady;
    let told: Vec<&Disturbance> = all.iter().filter(|d| !twice(d)).collect();
    let (kept, _) = limits.rows(&told);
    let row = |disturbance: &&Disturbance| Quiet {
        phase: limits.short(&disturbance.phase),
        share: disturbance.share.map_or("not readable".to_owned(), |share| {
            number::with_unit(share, "ratio")
        }),
        disturbed: disturbance.share.is_none_or(|share| share > DISTURBED),
    };
    kept.iter().map(row).collect()
}

pub(super) fn resources(verdict: &Verdict) -> Vec<Fact> {
    let r = &verdict.resources;
    // A process that was never sampled has no resident set; its zeros are not figures.
    let fact = |label, sampled: u64, value: String| Fact {
        label,
        value: if sampled > 0 {
            value
        } else {
            "not sampled".to_owned()
        },
    };
    let core = |percent| number::with_unit(percent, "percent") + " of a core";
    let each = |us: f64| number::nanoseconds(us * 1000.0);
    let (client, broker) = (r.client_rss_peak_bytes, r.broker_rss_peak_bytes);
    vec![
        fact("client CPU", client, core(r.client_cpu_percent_of_core)),
        fact("client CPU per record", client, each(r.client_cpu_us_per_record)),
        fact("client memory, peak", client, number::bytes(client as f64)),
        fact("broker CPU", broker, core(r.broker_cpu_percent_of_core)),
        fact("broker CPU per record", broker, each(r.broker_cpu_us_per_record)),
        fact("broker memory, peak", broker, number::bytes(broker as f64)),
    ]
}

pub(super) fn settings(environment: &Environment, limits: Limits) -> (Vec<SettingRow>, usize) {
    let (kept, more) = limits.rows(&environment.differences);
    let row = |setting: &steadfast_verifier::environment::Setting| SettingRow {
        scope: limits.short(&setting.scope),
        name: limits.short(&setting.name),
        value: limits.short(&setting.value),
        default: limits.short(&setting.default),
        reason: limits.long(&setting.reason),
    };
    (kept.iter().map(row).collect(), more)
}

pub(super) fn environment(folder: &Folder, limits: Limits) -> Vec<Fact> {
    let e = &folder.environment;
    let build = if e.debug_build { " (debug build)" } else { "" };
    let proxied = if e.broker.proxied {
        ", behind Toxiproxy"
    } else {
        ""
    };
    let cost = &folder.measurements.judge;
    let mut all = vec![
        Fact {
            label: "machine",
            value: format!("{} × {}", number::count(u64::from(e.cores)), limits.short(&e.cpu)),
        },
        Fact {
            label: "memory",
            value: number::bytes(e.memory_bytes as f64),
        },
        Fact {
            label: "kernel",
            value: limits.short(&e.kernel),
        },
        Fact {
            label: "file system of the log",
            value: limits.short(&e.log_file_system),
        },
        Fact {
            label: "steadfast",
            value: limits.short(&e.steadfast) + build,
        },
        Fact {
            label: "broker",
            value: limits.short(&super::broker(&folder.verdict.broker)) + proxied,
        },
    ];
    if !e.broker.java.is_empty() {
        all.push(Fact {
            label: "Java",
            value: limits.short(&e.broker.java),
        });
    }
    if cost.records > 0 {
        let value = format!(
            "{} records, {} of tables",
            number::count(cost.records),
            number::bytes(cost.table_bytes as f64)
        );
        all.push(Fact {
            label: "judging",
            value,
        });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn found_anomalies_come_with_their_meaning_and_examples() {
        let found = anomalies(&fixture::fail().verdict, Limits::USUAL);
        let ids: Vec<&str> = found.iter().map(|anomaly| anomaly.id.as_str()).collect();
        assert_eq!(ids, ["D1", "L1"]);
        assert_eq!(found[1].meaning, "acknowledged, and not in the log");
        assert!(!found[1].examples.is_empty());
        assert!(clean(&fixture::fail().verdict, Limits::USUAL).contains(&"O1".to_owned()));
    }

    #[test]
    fn a_reader_that_did_not_see_everything_is_marked() {
        let told = readers(&fixture::watched().verdict, Limits::USUAL);
        let told: Vec<_> = told
            .iter()
            .map(|row| (row.ended, row.behind.as_str(), row.whole))
            .collect();
        assert_eq!(
            told,
            [("at the end of the log", "0", true), ("died", "674,966", false)]
        );
    }

    #[test]
    fn doubts_are_told_before_figures() {
        let mut folder = fixture::pass();
        assert!(cautions(&folder).is_empty());
        folder.environment.debug_build = true;
        folder.verdict.broker.kind = "simulated".to_owned();
        assert_eq!(cautions(&folder).len(), 2);
    }

    #[test]
    fn a_share_that_could_not_be_read_is_not_called_quiet() {
        let mut measurements = fixture::pass().measurements;
        measurements.disturbance[0].share = None;
        assert!(quiet(&measurements, Limits::USUAL)[0].disturbed);
    }
}
