//! One comparison as text: Markdown for a page under `docs/`, and the same without escapes for a terminal. Columns are padded,
//! so that both can be read as they are.

use std::fmt::Write as _;

use super::tables::Tables;
use crate::grid::{Form, escaped, table};

pub(super) fn render(tables: &Tables, form: Form) -> String {
    let mut out = String::new();
    let safe = |text: &str| escaped(text, form);
    let heads = match form {
        Form::Markdown(level) => "#".repeat(level) + " ",
        Form::Terminal => String::new(),
    };
    let _ = writeln!(
        out,
        "{heads}{}: {}\n",
        safe(&tables.scenario),
        safe(&tables.title)
    );
    let _ = writeln!(
        out,
        "{} {}: {}.\n",
        tables.badge.sign,
        tables.badge.word,
        safe(&tables.sentence)
    );
    table(&mut out, form, 2, &league(tables));
    if !tables.ratios.is_empty() && !tables.metrics.is_empty() {
        let of = "to each other one, median of the ratios within a block (95 % interval):";
        let _ = writeln!(out, "\n{} {of}\n", safe(&tables.under_test));
        let head = std::iter::once("to").chain(tables.metrics.iter().copied());
        let mut rows = vec![head.map(str::to_owned).collect::<Vec<_>>()];
        for ratios in &tables.ratios {
            rows.push(
                std::iter::once(&ratios.to)
                    .chain(&ratios.cells)
                    .cloned()
                    .collect(),
            );
        }
        table(&mut out, form, 1, &rows);
    }
    if !tables.goals.is_empty() {
        out.push('\n');
        let mut rows = vec![
            ["", "goal", "median ratio (95 % interval)"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for goal in &tables.goals {
            rows.push(vec![
                goal.badge.sign.to_owned(),
                goal.goal.clone(),
                goal.observed.clone(),
            ]);
        }
        table(&mut out, form, 3, &rows);
    }
    out.push('\n');
    let head = ["block", "order", "counts", "control's drift", "stolen"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for block in &tables.blocks {
        rows.push(vec![
            block.number.to_string(),
            block.order.clone(),
            block.counts.clone(),
            block.drift.clone(),
            block.steal.clone(),
        ]);
    }
    table(&mut out, form, 3, &rows);
    let _ = writeln!(out, "\n{}\n", safe(&tables.method));
    for (name, value) in &tables.machine {
        let _ = writeln!(out, "- {}: {}", safe(name), safe(value));
    }
    out
}

fn league(tables: &Tables) -> Vec<Vec<String>> {
    let latency: &[&str] = if tables.scheduled {
        &["p50", "p90", "p99", "p99.9", "max"]
    } else {
        &[]
    };
    let head = ["subject", "delivery"].iter().chain(latency).chain(&[
        "rate",
        "client, µs/record",
        "broker, µs/record",
        "client memory",
        "generator late, p99",
    ]);
    let mut rows = vec![head.map(|word| (*word).to_owned()).collect::<Vec<_>>()];
    for one in &tables.league {
        let delivery = match one.note.as_str() {
            "" => one.delivery.word.to_owned(),
            note => format!("{} ({note})", one.delivery.word),
        };
        let mut row = vec![one.subject.clone(), delivery];
        row.extend(one.latency.iter().take(latency.len()).cloned());
        row.extend([&one.rate, &one.client, &one.broker, &one.memory, &one.lag].map(Clone::clone));
        rows.push(row);
    }
    rows
}
