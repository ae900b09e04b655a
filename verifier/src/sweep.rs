//! `sweep.json`: what a scenario costs while one of its settings takes one value after the other.

use serde::{Deserialize, Serialize};

use crate::comparison::Figures;
use crate::environment::Environment;
use crate::verdict::Outcome;

/// The schema name of the document.
pub const SCHEMA: &str = "steadfast/sweep/1";
/// Its name in the folder.
pub const FILE_NAME: &str = "sweep.json";

/// Less than this share of what was due was acknowledged: the rate was not held.
const HELD: f64 = 0.99;
/// Client and brokers used more than this share of all cores: they wait for each other.
const FULL: f64 = 0.85;
/// A generator that is later than this with one record of a hundred is part of what is measured, ns.
const LATE_NS: u64 = 5_000_000;

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// [`SCHEMA`].
    pub schema: String,
    /// Scenario name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed.
    pub seed: u64,
    /// Who produced.
    pub subject: String,
    /// One for each setting.
    pub series: Vec<Series>,
    /// Machine and versions, of the last run.
    pub environment: Environment,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// As in the scenario file, such as `workload.rate`.
    pub key: String,
    /// In the order in which they were asked for.
    pub points: Vec<Point>,
}

/// One value: a run of its own, on a cluster of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// As it was given.
    pub value: String,
    /// Its run folder, relative to the sweep's.
    pub folder: String,
    /// Records due a second; none without a schedule.
    pub offered: Option<f64>,
    /// What was measured; none when the run gave no verdict.
    pub figures: Option<Figures>,
    /// Cores that client and brokers used, and that there are.
    pub cores: (f64, u32),
    /// Its delivery claims.
    pub delivery: Outcome,
    /// What went wrong, or what the harness cannot vouch for.
    pub note: Option<String>,
}

impl Sweep {
    /// Fail where a delivery claim broke; inconclusive where one is open, or a series has not two points to draw a line by.
    pub fn outcome(&self) -> Outcome {
        let measured = |series: &Series| {
            series
                .points
                .iter()
                .filter(|point| point.figures.is_some())
                .count()
        };
        if self.series.iter().any(|series| measured(series) < 2) {
            return self.worst().max(Outcome::Inconclusive);
        }
        self.worst()
    }

    fn worst(&self) -> Outcome {
        let points = self.series.iter().flat_map(|series| &series.points);
        let measured = points.filter(|point| point.figures.is_some());
        measured
            .map(|point| point.delivery)
            .max()
            .unwrap_or(Outcome::Inconclusive)
    }
}

impl Point {
    /// What bends the line here, as far as the figures tell.
    pub fn strain(&self) -> Option<String> {
        let figures = self.figures?;
        let (used, all) = self.cores;
        let mut told = Vec::new();
        if let Some(offered) = self.offered.filter(|offered| figures.rate < HELD * offered) {
            told.push(format!("{:.0} % of what was due", 100.0 * figures.rate / offered));
        }
        if used > FULL * f64::from(all) {
            told.push(format!("{used:.1} of {all} cores used"));
        }
        if self.offered.is_some() && figures.lag_p99_ns > LATE_NS {
            told.push("the generator itself is late".to_owned());
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::tests::fixture::environment;

    fn point(rate: f64, used: f64, delivery: Outcome) -> Point {
        Point {
            value: "1000/s".into(),
            folder: "workload.rate/1".into(),
            offered: Some(1000.0),
            figures: Some(Figures {
                rate,
                ..Figures::default()
            }),
            cores: (used, 2),
            delivery,
            note: None,
        }
    }

    fn sweep(points: Vec<Point>) -> Sweep {
        Sweep {
            schema: SCHEMA.into(),
            scenario: "load/knee".into(),
            title: "knee".into(),
            seed: 1,
            subject: "steadfast".into(),
            series: vec![Series {
                key: "workload.rate".into(),
                points,
            }],
            environment: environment(),
        }
    }

    #[test]
    fn a_point_tells_what_it_suffers_from() {
        assert_eq!(point(1000.0, 1.0, Outcome::Pass).strain(), None);
        assert_eq!(
            point(500.0, 1.9, Outcome::Pass).strain().as_deref(),
            Some("50 % of what was due; 1.9 of 2 cores used")
        );
        let unmeasured = Point {
            figures: None,
            ..point(0.0, 0.0, Outcome::Inconclusive)
        };
        assert_eq!(unmeasured.strain(), None);
    }

    #[test]
    fn one_point_is_no_line_and_a_broken_claim_fails_it() {
        let good = || point(1000.0, 1.0, Outcome::Pass);
        assert_eq!(sweep(vec![good()]).outcome(), Outcome::Inconclusive);
        assert_eq!(sweep(vec![good(), good()]).outcome(), Outcome::Pass);
        let lost = point(1000.0, 1.0, Outcome::Fail);
        assert_eq!(sweep(vec![good(), lost.clone()]).outcome(), Outcome::Fail);
        assert_eq!(sweep(vec![lost]).outcome(), Outcome::Fail);
        // Past the knee: told, and no reason to doubt the others.
        let beyond = Point {
            figures: None,
            note: Some("steady state not reached".into()),
            ..point(0.0, 0.0, Outcome::Inconclusive)
        };
        assert_eq!(sweep(vec![good(), good(), beyond]).outcome(), Outcome::Pass);
    }
}
