//! `steadfast list [DIR]`: the catalogue as a table.

use std::path::Path;

use serde::Serialize;

use crate::exit::Exit;
use crate::out;
use crate::scenario::{self, Scenario};

#[derive(Serialize)]
struct Row {
    name: String,
    title: String,
    length: String,
    nodes: u32,
    file: String,
}

/// Prints name, length, nodes and title of every scenario below a folder.
pub(crate) fn run(directory: &Path, json: bool) -> Exit {
    if !directory.is_dir() {
        eprintln!(
            "error: there is no folder {} here\n  mend: go to the repository's root, or name the folder: steadfast list DIR",
            directory.display()
        );
        return Exit::Usage;
    }
    let scenarios = match scenario::load_all(&[directory.to_owned()], &scenario::no_overrides()) {
        Ok(scenarios) => scenarios,
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            return Exit::Usage;
        }
    };
    let rows: Vec<Row> = scenarios.iter().map(row).collect();
    if json {
        match serde_json::to_string_pretty(&rows) {
            Ok(json) => out::line(format_args!("{json}")),
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::ToolError;
            }
        }
        return Exit::Pass;
    }
    let wide = |text: fn(&Row) -> &str| {
        rows.iter()
            .map(|row| text(row).chars().count())
            .max()
            .unwrap_or(0)
    };
    let (name, length) = (wide(|row| &row.name), wide(|row| &row.length).max(6));
    out::line(format_args!(
        "{:<name$}  {:>length$}  nodes  title",
        "scenario", "length"
    ));
    for row in &rows {
        out::line(format_args!(
            "{:<name$}  {:>length$}  {:>5}  {}",
            row.name, row.length, row.nodes, row.title
        ));
    }
    Exit::Pass
}

fn row(scenario: &Scenario) -> Row {
    let length = match scenario.duration() {
        Some(duration) => humantime::format_duration(scenario.warmup() + duration).to_string(),
        None => "as fast as it goes".to_owned(),
    };
    Row {
        name: scenario.name.clone(),
        title: scenario.title.clone(),
        length,
        nodes: scenario.cluster.nodes,
        file: scenario.path.display().to_string(),
    }
}
