//! `summary.md`: the verdict on one screen of Markdown, for a pull request or a CI step.

use std::fmt::Write as _;

use steadfast_verifier::verdict::Percentiles;

use crate::folder::Folder;
use crate::number;
use crate::text::{Limits, markdown};
use crate::view::{anomaly, badge, broker, headline_phase, impacts, rows, sentence, unknowns};

/// Faults told one by one.
const MAX_FAULTS: usize = 12;

pub(crate) fn render(folder: &Folder) -> String {
    let (verdict, limits) = (&folder.verdict, Limits::USUAL);
    let short = |text: &str| markdown(&limits.short(text));
    let mut out = String::new();
    let badge = badge(verdict.verdict);
    let _ = writeln!(
        out,
        "## {} {}: {}\n",
        badge.sign,
        badge.word,
        short(&verdict.scenario)
    );
    let _ = writeln!(out, "{}\n", markdown(&limits.long(&sentence(verdict))));
    let _ = writeln!(
        out,
        "{} · {} · subject {} · seed {}\n",
        markdown(&limits.long(&verdict.title)),
        short(&broker(&verdict.broker)),
        short(&verdict.subject),
        verdict.seed,
    );
    out.push_str(
        "| | claim or threshold | judged on | limit | observed | margin |\n|---|---|---|---:|---:|---|\n",
    );
    let all = rows(verdict, limits);
    let (kept, more) = limits.rows(&all);
    for row in kept {
        let cells =
            [&row.name, &row.scope, &row.limit, &row.observed, &row.margin].map(|cell| markdown(cell));
        let _ = writeln!(out, "| {} | {} |", row.badge.sign, cells.join(" | "));
    }
    if more > 0 {
        let _ = writeln!(out, "\n{more} more in verdict.json.");
    }
    let phase = headline_phase(verdict);
    if let Some(latency) = verdict
        .latency_ns
        .get(&phase)
        .map(|phase| phase.ack_latency)
        .filter(|l| l.count > 0)
    {
        let _ = writeln!(out, "\nAck latency in {}: {}.", short(&phase), figures(&latency));
    }
    let impacts = impacts(folder, limits);
    for impact in impacts.iter().take(MAX_FAULTS) {
        let back = match impact.back_note.as_str() {
            "" => impact.back.clone(),
            note => format!("{} ({note})", impact.back),
        };
        let _ = writeln!(
            out,
            "\nFault {}: outage {}; limit on latency holds again: {}.",
            markdown(&impact.name),
            impact.outage,
            markdown(&back)
        );
    }
    if impacts.len() > MAX_FAULTS {
        let _ = writeln!(
            out,
            "\n{} more faults in report.html.",
            impacts.len() - MAX_FAULTS
        );
    }
    if let Some(unknowns) = unknowns(folder, 0, limits) {
        let _ = writeln!(out, "\n{}", markdown(&unknowns.sentence));
    }
    for (id, count) in verdict
        .anomalies
        .iter()
        .filter(|(_, count)| **count > 0)
        .take(limits.rows)
    {
        let _ = writeln!(
            out,
            "\n**{}** {} × {}",
            short(id),
            number::count(*count),
            anomaly(id)
        );
    }
    for cause in verdict.inconclusive.iter().take(limits.rows) {
        let _ = writeln!(
            out,
            "\n**{}** {}",
            short(&cause.id),
            markdown(&limits.long(&cause.reason))
        );
    }
    let _ = writeln!(out, "\n{}", code(&limits.long(&folder.environment.rerun)));
    out
}

fn figures(latency: &Percentiles) -> String {
    let figure = |ns: u64| number::nanoseconds(ns as f64);
    format!(
        "p50 {}, p99 {}, p99.9 {}, max {} of {} records",
        figure(latency.p50),
        figure(latency.p99),
        figure(latency.p99_9),
        figure(latency.max),
        number::count(latency.count),
    )
}

/// A code span that its content cannot close (CommonMark 6.1: a longer run of backticks opens it).
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn the_summary_leads_with_the_verdict_and_shows_every_row() {
        let text = render(&fixture::fail());
        assert!(text.starts_with("## ✕ FAIL: delivery/leader-kill\n"), "{text}");
        assert!(
            text.contains("| ✕ | lost | L1 L2 | 0 | 3 of 1,875,000 | 3 too many |"),
            "{text}"
        );
        assert!(text.contains("**L1** 3 × acknowledged, and not in the log"));
        let fault = "Fault kill-leader: outage 4.2 s; limit on latency holds again: 6 s after its begin";
        assert!(text.contains(fault), "{text}");
        assert!(text.contains("61 records ended without an outcome"), "{text}");
        assert!(render(&fixture::inconclusive()).contains("**H3** the reader had read"));
    }

    #[test]
    fn strings_cannot_break_out_of_their_cells() {
        let mut folder = fixture::fail();
        folder.verdict.title = "a | b\n# c <img src=x> ![](x)".to_owned();
        folder.environment.rerun = "x ``` y".to_owned();
        let text = render(&folder);
        assert!(
            text.contains("a \\| b \\# c &lt;img src=x\\> \\!\\[\\]\\(x\\)"),
            "{text}"
        );
        assert!(text.contains("```` x ``` y ````"), "{text}");
    }
}
