//! What the page says, as plain values: every text is already made visible and bounded (`text`), every figure has
//! its unit (`number`), every decision is taken. The template only places it.

mod sentence; // the one plain sentence under the verdict
mod claims; // the judged rows: limit, observed, margin
mod latency; // which phase is shown first, percentiles, tiles
mod percentile_charts; // latency by percentile
mod rates; // the series as rates per second
mod time_axis; // seconds from the end of warm-up, phases above
mod time_charts; // what happened second by second
mod fault_lanes; // when each fault stood, under those charts
mod phase_histograms; // ack latency of each phase with its own limits
mod faults; // what was done, what shows it, and how the load came back
mod unknown; // records without an outcome, and what became of them
mod dossiers; // the way of single records that an anomaly names
mod facts; // records, anomalies, causes, machine, settings
mod names; // ids of anomalies and causes in words

use steadfast_verifier::verdict::{Broker, Outcome};

use crate::folder::Folder;
use crate::number;
use crate::text::Limits;

pub(crate) use claims::{Row, rows};
pub(crate) use dossiers::Dossier;
pub(crate) use facts::{Anomaly, Cause, Count, Fact, Quiet, ReaderRow, SettingRow};
pub(crate) use faults::{FaultRow, ImpactRow, impacts};
pub(crate) use latency::{PhaseRow, Tile, delivery, headline_phase};
pub(crate) use names::anomaly;
pub(crate) use percentile_charts::overlaid;
pub(crate) use sentence::sentence;
pub(crate) use unknown::{Unknowns, unknowns};

/// The page, top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Page {
    pub title: String,
    pub scenario: String,
    pub started: String,
    pub badge: Badge,
    pub sentence: String,
    pub broker: String,
    pub broker_reason: String,
    /// `genuine` for a real Kafka, `lesser` for everything else.
    pub broker_class: &'static str,
    pub seed: String,
    pub subject: String,
    /// What a reader must know before believing a figure.
    pub cautions: Vec<String>,
    pub tiles: Vec<Tile>,
    pub rows: Vec<Row>,
    pub more_rows: usize,
    pub causes: Vec<Cause>,
    pub more_causes: usize,
    pub phase_shown: String,
    pub percentile_figures: Vec<Figure>,
    pub histograms: Vec<Figure>,
    pub more_histograms: usize,
    pub phases: Vec<PhaseRow>,
    pub more_phases: usize,
    pub time_figures: Vec<Figure>,
    pub resource_figures: Vec<Figure>,
    pub resources: Vec<Fact>,
    pub faults: Vec<FaultRow>,
    pub more_faults: usize,
    pub impacts: Vec<ImpactRow>,
    /// The limit that recovery is held against; empty without one.
    pub impact_limit: String,
    pub not_tested: Option<&'static str>,
    pub unknowns: Option<Unknowns>,
    pub anomalies: Vec<Anomaly>,
    pub dossiers: Vec<Dossier>,
    pub more_dossiers: usize,
    /// Ids that were looked for and not found.
    pub clean: Vec<String>,
    pub records: Vec<Count>,
    pub readers: Vec<ReaderRow>,
    pub quiet: Vec<Quiet>,
    pub settings: Vec<SettingRow>,
    pub more_settings: usize,
    pub environment: Vec<Fact>,
    pub rerun: String,
}

/// An outcome as people see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Badge {
    pub word: &'static str,
    pub sign: &'static str,
    pub class: &'static str,
}

/// A chart with the line under it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Figure {
    pub heading: String,
    pub note: String,
    /// Markup from `chart`, which escapes what it is given.
    pub svg: String,
}

impl Page {
    /// Everything that the page says about `folder`.
    pub(crate) fn of(folder: &Folder, limits: Limits) -> Page {
        let Folder {
            verdict,
            measurements,
            environment,
            ..
        } = folder;
        let phase = headline_phase(verdict);
        let (judged, more_rows) = claims::bounded(verdict, limits);
        let (causes, more_causes) = facts::causes(verdict, limits);
        let (phases, more_phases) = latency::phases(folder, limits);
        let (faults, more_faults) = faults::rows(folder, limits);
        let (histograms, more_histograms) = phase_histograms::figures(folder, limits);
        let (dossiers, more_dossiers) = dossiers::dossiers(folder, time_axis::zero_ns(folder), limits);
        let (settings, more_settings) = facts::settings(environment, limits);
        Page {
            title: limits.long(&verdict.title),
            scenario: limits.short(&verdict.scenario),
            started: limits.short(&environment.started),
            badge: badge(verdict.verdict),
            sentence: limits.long(&sentence(verdict)),
            broker: limits.short(&broker(&verdict.broker)),
            broker_reason: limits.long(&verdict.broker.reason),
            broker_class: if is_real(&verdict.broker) {
                "genuine"
            } else {
                "lesser"
            },
            seed: verdict.seed.to_string(),
            subject: limits.short(&verdict.subject),
            cautions: facts::cautions(folder),
            tiles: latency::tiles(folder, &phase),
            rows: judged,
            more_rows,
            causes,
            more_causes,
            percentile_figures: percentile_charts::figures(folder, &phase, limits),
            phase_shown: limits.short(&phase),
            histograms,
            more_histograms,
            phases,
            more_phases,
            time_figures: time_charts::load(folder, limits),
            resource_figures: time_charts::resources(folder, limits),
            resources: facts::resources(verdict),
            faults,
            more_faults,
            impacts: faults::impacts(folder, limits),
            impact_limit: faults::limit(folder, limits),
            not_tested: faults::not_tested(folder),
            unknowns: unknown::unknowns(folder, time_axis::zero_ns(folder), limits),
            anomalies: facts::anomalies(verdict, limits),
            dossiers,
            more_dossiers,
            clean: facts::clean(verdict, limits),
            records: facts::records(&verdict.records),
            readers: facts::readers(verdict, limits),
            quiet: facts::quiet(measurements, limits),
            settings,
            more_settings,
            environment: facts::environment(folder, limits),
            rerun: limits.long(&environment.rerun),
        }
    }
}

/// `kafka 4.1.0 · 3 nodes`.
pub(crate) fn broker(broker: &Broker) -> String {
    let nodes = crate::text::plural(u64::from(broker.nodes), "node");
    format!("{} {} · {nodes}", broker.kind, broker.version)
}

/// Whether figures of this cluster may be called Kafka's.
pub(crate) fn is_real(broker: &Broker) -> bool {
    matches!(broker.kind.as_str(), "kafka" | "docker" | "external")
}

pub(crate) fn badge(outcome: Outcome) -> Badge {
    match outcome {
        Outcome::Pass => Badge {
            word: "PASS",
            sign: "✓",
            class: "pass",
        },
        Outcome::Fail => Badge {
            word: "FAIL",
            sign: "✕",
            class: "fail",
        },
        Outcome::Inconclusive => Badge {
            word: "INCONCLUSIVE",
            sign: "?",
            class: "unknown",
        },
    }
}

/// `1.24 ms`, or a dash where nothing was measured.
fn duration(ns: u64, count: u64) -> String {
    if count == 0 {
        "–".to_owned()
    } else {
        number::nanoseconds(ns as f64)
    }
}
