//! A goal: how the subject under test is to compare with another, such as `p(99)<=1.3*floor` or `rate>=1.15*java`. Pure.

use std::fmt;
use std::str::FromStr;

use super::{GoalVerdict, Metric, Ratio};
use crate::verdict::Outcome;

/// Parsed and checked, but for whether the other takes part.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// What is compared.
    pub metric: Metric,
    /// True for `>=`, as rates want.
    pub at_least: bool,
    /// The factor.
    pub limit: f64,
    /// With whom.
    pub to: String,
}

/// What is wrong with the text of a goal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "goal {text:?}: {why}; write METRIC<=FACTOR*SUBJECT, such as p(99)<=1.3*floor or rate>=1.15*java; metrics: p(50), \
     p(90), p(99), p(99.9), client-cpu, total-cpu, rate"
)]
pub struct GoalError {
    text: String,
    why: &'static str,
}

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Goal, GoalError> {
        let wrong = |why| GoalError {
            text: text.to_owned(),
            why,
        };
        let (at_least, sides) = match (text.split_once("<="), text.split_once(">=")) {
            (Some(sides), None) => (false, sides),
            (None, Some(sides)) => (true, sides),
            _ => return Err(wrong("neither <= nor >=")),
        };
        let name = sides.0.trim();
        let metric = Metric::ALL.into_iter().find(|metric| metric.name() == name);
        let (factor, to) = sides.1.split_once('*').ok_or_else(|| wrong("no *"))?;
        let limit: f64 = factor
            .trim()
            .parse()
            .map_err(|_| wrong("the factor is no number"))?;
        let to = to.trim();
        if !(limit.is_finite() && limit > 0.0) {
            return Err(wrong("the factor is not above 0"));
        }
        if to.is_empty() {
            return Err(wrong("no subject"));
        }
        Ok(Goal {
            metric: metric.ok_or_else(|| wrong("unknown metric"))?,
            at_least,
            limit,
            to: to.to_owned(),
        })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.at_least { ">=" } else { "<=" };
        write!(f, "{}{sign}{}*{}", self.metric.name(), self.limit, self.to)
    }
}

impl Goal {
    /// Judged by the median of the paired ratios; without enough blocks for an interval, not at all.
    pub fn judge(&self, ratios: &[Ratio]) -> GoalVerdict {
        let ratio = ratios
            .iter()
            .find(|ratio| ratio.to == self.to && ratio.metric == self.metric);
        let met = |median: f64| {
            if self.at_least {
                median >= self.limit
            } else {
                median <= self.limit
            }
        };
        let verdict = match ratio {
            Some(ratio) if ratio.interval.is_some() && met(ratio.median) => Outcome::Pass,
            Some(ratio) if ratio.interval.is_some() => Outcome::Fail,
            _ => Outcome::Inconclusive,
        };
        GoalVerdict {
            goal: self.to_string(),
            observed: ratio.map(|ratio| ratio.median),
            interval: ratio.and_then(|ratio| ratio.interval),
            limit: self.limit,
            verdict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio(median: f64, interval: Option<(f64, f64)>) -> Ratio {
        Ratio {
            to: "floor".into(),
            metric: Metric::P99,
            blocks: vec![median],
            median,
            interval,
            geometric_mean: median,
        }
    }

    #[test]
    fn goals_are_read_and_written_alike() {
        for text in [
            "p(99)<=1.3*floor",
            "rate>=1.15*java",
            "client-cpu<=0.4*librdkafka:linger.ms=1",
        ] {
            assert_eq!(text.parse::<Goal>().unwrap().to_string(), text);
        }
        assert_eq!(
            " p(50) <= 1.3 * floor ".parse::<Goal>().unwrap().to_string(),
            "p(50)<=1.3*floor"
        );
    }

    #[test]
    fn what_is_no_goal_is_refused_with_the_reason() {
        for (text, why) in [
            ("p(99)<1.3*floor", "neither"),
            ("p(98)<=1.3*floor", "unknown metric"),
            ("p(99)<=floor", "no *"),
            ("p(99)<=x*floor", "no number"),
            ("p(99)<=0*floor", "not above 0"),
            ("p(99)<=1*", "no subject"),
        ] {
            let error = text.parse::<Goal>().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_goal_is_met_missed_or_not_shown() {
        let goal: Goal = "p(99)<=1.3*floor".parse().unwrap();
        let judged = |ratio| goal.judge(&[ratio]).verdict;
        assert_eq!(judged(ratio(1.3, Some((1.0, 2.0)))), Outcome::Pass);
        assert_eq!(judged(ratio(1.31, Some((1.0, 2.0)))), Outcome::Fail);
        assert_eq!(judged(ratio(1.0, None)), Outcome::Inconclusive);
        assert_eq!(goal.judge(&[]).verdict, Outcome::Inconclusive);
        let rate: Goal = "rate>=1.15*java".parse().unwrap();
        let faster = Ratio {
            to: "java".into(),
            metric: Metric::Rate,
            ..ratio(1.2, Some((1.1, 1.3)))
        };
        assert_eq!(rate.judge(&[faster]).verdict, Outcome::Pass);
    }
}
