//! `junit.xml`: one test case per claim and threshold, so that CI shows a run like any test suite.
//! Fail is a failure, inconclusive an error; each harness cause is a case of its own, so that unknown is never green.

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};
use steadfast_verifier::verdict::{Outcome, Verdict};

use crate::folder::ReportError;
use crate::text::Limits;
use crate::view::{Row, broker, rows, sentence};

/// Without a bound on rows: a machine reads them.
const LIMITS: Limits = Limits {
    rows: usize::MAX,
    ..Limits::USUAL
};

pub(crate) fn render(verdict: &Verdict) -> Result<String, ReportError> {
    let name = LIMITS.short(&verdict.scenario);
    let mut suite = TestSuite::new(name.as_str());
    let properties = [
        ("title", LIMITS.long(&verdict.title)),
        ("broker", LIMITS.short(&broker(&verdict.broker))),
        ("broker.kind", LIMITS.short(&verdict.broker.kind)),
        ("broker.reason", LIMITS.long(&verdict.broker.reason)),
        ("subject", LIMITS.short(&verdict.subject)),
        ("seed", verdict.seed.to_string()),
        ("exit_code", verdict.exit_code.to_string()),
    ];
    for (key, value) in properties {
        suite.add_property(Property::new(key, value));
    }
    for row in rows(verdict, LIMITS) {
        suite.add_test_case(judged(&row, &name));
    }
    for cause in &verdict.inconclusive {
        let phase = cause
            .phase
            .as_ref()
            .map_or(String::new(), |phase| format!(" in {}", LIMITS.short(phase)));
        let title = format!("{}{phase}", LIMITS.short(&cause.id));
        suite.add_test_case(broken(
            &title,
            &name,
            NonSuccessKind::Error,
            "inconclusive",
            LIMITS.long(&cause.reason),
        ));
    }
    let green = suite
        .test_cases
        .iter()
        .all(|case| matches!(case.status, TestCaseStatus::Success { .. }));
    if green && verdict.verdict != Outcome::Pass {
        let kind = if verdict.verdict == Outcome::Fail {
            NonSuccessKind::Failure
        } else {
            NonSuccessKind::Error
        };
        suite.add_test_case(broken(
            "verdict",
            &name,
            kind,
            "verdict",
            LIMITS.long(&sentence(verdict)),
        ));
    }
    let mut report = Report::new("steadfast");
    report.add_test_suite(suite);
    report
        .to_string()
        .map_err(|error| ReportError::Draw(error.to_string()))
}

fn judged(row: &Row, class: &str) -> TestCase {
    let title = match row.scope.as_str() {
        "" => row.name.clone(),
        scope => format!("{} ({scope}) {}", row.name, row.limit),
    };
    let reason = row
        .reason
        .as_ref()
        .map_or(String::new(), |reason| format!("; {reason}"));
    let message = format!(
        "limit {}, observed {}, {}{reason}",
        row.limit, row.observed, row.margin
    );
    match row.outcome {
        Outcome::Pass => {
            let mut case = TestCase::new(title, TestCaseStatus::success());
            case.set_classname(class).set_system_out(message);
            case
        }
        Outcome::Fail => broken(&title, class, NonSuccessKind::Failure, "broken", message),
        Outcome::Inconclusive => broken(&title, class, NonSuccessKind::Error, "inconclusive", message),
    }
}

fn broken(title: &str, class: &str, kind: NonSuccessKind, ty: &str, message: String) -> TestCase {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(message).set_type(ty);
    let mut case = TestCase::new(title, status);
    case.set_classname(class);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    fn counts(verdict: &Verdict) -> (usize, usize, usize) {
        let xml = render(verdict).unwrap();
        let report = Report::deserialize_from_str(&xml).unwrap();
        let suite = &report.test_suites[0];
        (suite.tests, suite.failures, suite.errors)
    }

    #[test]
    fn a_case_per_claim_and_threshold_with_its_outcome() {
        assert_eq!(counts(&fixture::pass().verdict), (8, 0, 0));
        assert_eq!(counts(&fixture::fail().verdict), (7, 4, 0));
        // Four claims, one threshold and the two causes themselves.
        assert_eq!(counts(&fixture::inconclusive().verdict), (10, 0, 7));
    }

    #[test]
    fn a_run_that_did_not_pass_is_never_all_green() {
        let mut verdict = fixture::pass().verdict;
        verdict.verdict = Outcome::Inconclusive;
        assert_eq!(counts(&verdict), (9, 0, 1));
        verdict.verdict = Outcome::Fail;
        assert_eq!(counts(&verdict), (9, 1, 0));
    }

    #[test]
    fn hostile_names_stay_inside_their_attribute() {
        let mut verdict = fixture::fail().verdict;
        verdict.scenario = "\"><evil/>\0\u{1b}[31m\u{202e}".to_owned();
        verdict.thresholds[1].metric = "]]><x>".to_owned();
        let xml = render(&verdict).unwrap();
        assert!(
            !xml.contains("<evil/>") && !xml.contains('\0') && !xml.contains('\u{202e}'),
            "{xml}"
        );
        assert!(Report::deserialize_from_str(&xml).is_ok());
    }
}
