//! `report.html`: one file that opens off-line, prints, and stays under [`MAX_PAGE_BYTES`].

use askama::Template;

use crate::folder::{Folder, ReportError};
use crate::text::Limits;
use crate::view::Page;

/// The largest page that is ever written.
pub const MAX_PAGE_BYTES: usize = 1_000_000;

#[derive(Template)]
#[template(path = "report.html")]
struct Report<'a> {
    page: &'a Page,
    style: &'static str,
}

/// The look of all pages: colours for light, dark and print.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// The page; where the inputs are so large that it would burst its bound, less of each is shown.
pub(crate) fn render(folder: &Folder) -> Result<String, ReportError> {
    let usual = render_within(folder, Limits::USUAL)?;
    if usual.len() <= MAX_PAGE_BYTES {
        return Ok(usual);
    }
    render_within(folder, Limits::TIGHT)
}

fn render_within(folder: &Folder, limits: Limits) -> Result<String, ReportError> {
    let page = Page::of(folder, limits);
    let report = Report {
        page: &page,
        style: STYLE,
    };
    report
        .render()
        .map_err(|error| ReportError::Draw(error.to_string()))
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::environment::Setting;
    use steadfast_verifier::measurements::Phase;

    use super::*;
    use crate::fixture;

    const HOSTILE: &str =
        "</title></style></svg>\"'><script>alert(1)</script><img src=x onerror=y>\0\u{202e}\u{2066}";

    /// Every string of the inputs replaced.
    fn filled_with(text: &str, rows: usize) -> Folder {
        fn fill(value: &mut serde_json::Value, text: &str) {
            match value {
                serde_json::Value::String(s)
                    if !matches!(
                        s.as_str(),
                        "pass" | "fail" | "inconclusive" | "written" | "absent"
                    ) =>
                {
                    *s = text.to_owned();
                }
                serde_json::Value::Array(all) => all.iter_mut().for_each(|item| fill(item, text)),
                serde_json::Value::Object(map) => map.values_mut().for_each(|item| fill(item, text)),
                _ => {}
            }
        }
        fn filled<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T, text: &str) -> T {
            let mut json = serde_json::to_value(value).unwrap();
            fill(&mut json, text);
            serde_json::from_value(json).unwrap()
        }
        let mut folder = fixture::fail();
        folder.verdict.inconclusive = fixture::inconclusive().verdict.inconclusive;
        let (verdict, environment) = (&mut folder.verdict, &mut folder.environment);
        let repeat = |count: usize| count.max(rows);
        verdict.thresholds = verdict
            .thresholds
            .iter()
            .cycle()
            .take(repeat(3))
            .cloned()
            .collect();
        verdict.faults = verdict.faults.iter().cycle().take(repeat(1)).cloned().collect();
        verdict.claims = verdict.claims.iter().cycle().take(repeat(4)).cloned().collect();
        verdict.examples = verdict.examples.iter().cycle().take(repeat(3)).cloned().collect();
        let latency = verdict.latency_ns["steady"].clone();
        verdict
            .latency_ns
            .extend((0..rows).map(|i| (format!("{i}{text}"), latency.clone())));
        verdict
            .anomalies
            .extend((0..rows).map(|i| (format!("{i}{text}"), 1)));
        let differences: Vec<Setting> = environment
            .differences
            .iter()
            .cycle()
            .take(repeat(4))
            .cloned()
            .collect();
        environment.differences = differences;
        let mut folder = Folder {
            dossiers: filled(&folder.dossiers, text),
            verdict: filled(verdict, text),
            measurements: filled(&folder.measurements, text),
            environment: filled(environment, text),
        };
        let phases: Vec<Phase> = folder
            .measurements
            .phases
            .iter()
            .cycle()
            .take(repeat(5))
            .cloned()
            .collect();
        folder.measurements.phases = phases;
        let measured = &mut folder.measurements;
        let histogram = measured.histograms[0].clone();
        measured.histograms.extend(vec![histogram; rows]);
        let impact = measured.impacts[0].clone();
        measured.impacts.extend(vec![impact; rows]);
        if let Some(unknown) = &mut measured.unknown {
            let run = unknown.runs[0].clone();
            unknown.runs.extend(vec![run; rows]);
        }
        folder
    }

    #[test]
    fn the_verdict_and_its_reasons_stand_on_the_page() {
        let page = render(&fixture::pass()).unwrap();
        let facts = [
            "PASS",
            "kafka 4.1.0 · 1 node",
            "latency/steady-25k",
            "20261122",
            "598 µs",
            "40.2 % below",
            "0 of 1,875,000",
            "linger.ms",
            "steadfast run scenarios/latency/steady-25k.toml",
            "AMD EPYC 7B13",
            "25,000/s",
        ];
        for fact in facts {
            assert!(page.contains(fact), "{fact} is missing");
        }
        let page = render(&fixture::fail()).unwrap();
        for fact in [
            "FAIL",
            "3 records lost",
            "0:912338",
            "signal 9",
            "leader(orders-0) = broker-2 (pid 4711)",
            "2.1 ×",
            "process death (SIGKILL)",
            "Power loss was not tested",
            "61 records ended without an outcome",
            "holds again",
            "producer 4000 epoch 0 sequence 152050",
            "6 s after its begin",
        ] {
            assert!(page.contains(fact), "{fact} is missing");
        }
        let page = render(&fixture::inconclusive()).unwrap();
        for fact in [
            "INCONCLUSIVE",
            "H3",
            "1,803,112",
            "8.3 %",
            "the log is not sealed",
        ] {
            assert!(page.contains(fact), "{fact} is missing");
        }
    }

    #[test]
    fn nothing_on_the_page_loads_or_runs() {
        for folder in [
            fixture::pass(),
            fixture::fail(),
            fixture::inconclusive(),
            filled_with(HOSTILE, 3),
        ] {
            let page = render(&folder).unwrap();
            assert!(page.contains("default-src 'none'"));
            for live in [
                "<script",
                "<img",
                "<link",
                "<iframe",
                "src=\"",
                "url(",
                "@import",
                "http-equiv=\"refresh",
            ] {
                assert!(!page.contains(live), "{live} on the page");
            }
            assert!(
                !page.contains("http://") && !page.contains("https://"),
                "an address on the page"
            );
            assert_eq!(page.matches("<style>").count(), 1);
        }
    }

    #[test]
    fn hostile_strings_stay_text() {
        let page = render(&filled_with(HOSTILE, 3)).unwrap();
        assert!(page.contains("&lt;script&gt;") || page.contains("&#60;script&#62;"));
        assert!(page.contains("␀") && page.contains("[U+202E]"));
        for c in ['\0', '\u{202e}', '\u{2066}'] {
            assert!(!page.contains(c), "{c:?} came through");
        }
        let quotes = page
            .split('<')
            .filter(|tag| tag.split('>').next().unwrap().matches('"').count() % 2 == 1);
        assert_eq!(quotes.count(), 0, "an attribute was left open");
    }

    #[test]
    fn a_page_never_grows_beyond_its_bound() {
        for text in [
            "\"".repeat(1 << 20),
            "\u{202e}".repeat(1 << 18),
            "日".repeat(1 << 18),
        ] {
            let page = render(&filled_with(&text, 0)).unwrap();
            assert!(page.len() < MAX_PAGE_BYTES, "{} bytes", page.len());
            assert!(page.contains("characters)"), "the cut is not shown");
        }
        let page = render(&filled_with(&"\"'<>&".repeat(400), 500)).unwrap();
        assert!(page.len() < MAX_PAGE_BYTES, "{} bytes", page.len());
        let ordinary = render(&fixture::fail()).unwrap();
        assert!(ordinary.len() < 200_000, "{} bytes", ordinary.len());
    }
}
