//! `steadfast plan FILE`: what a run would do, without doing it.

use std::path::Path;

use crate::cli::{BrokerKind, PlanArgs};
use crate::exit::Exit;
use crate::out;
use crate::runner::cluster;
use crate::scenario::{self, Scenario, plan};

/// Prints the plan, or the frames.
pub(crate) fn run(args: &PlanArgs) -> Exit {
    let scenarios = match scenario::load_all(std::slice::from_ref(&args.file), &args.overrides) {
        Ok(scenarios) => scenarios,
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            return Exit::Usage;
        }
    };
    let mut refused = false;
    let plans: Vec<plan::Plan> = scenarios
        .iter()
        .map(|scenario| {
            let (kind, reason) = kind(args.overrides.broker, scenario);
            let mut plan = plan::plan(scenario, kind, &reason);
            plan.notes.extend(disk_note(plan.disk_bytes));
            let lacks = cluster::lacking(scenario).map(|what| format!("refused on this machine: {what}"));
            refused |= lacks.is_some();
            plan.notes.extend(lacks);
            plan
        })
        .collect();
    if args.json {
        let json = match plans.as_slice() {
            [one] => serde_json::to_string_pretty(one),
            several => serde_json::to_string_pretty(several),
        };
        match json {
            Ok(json) => out::line(format_args!("{json}")),
            Err(error) => {
                eprintln!("error: {error}");
                return Exit::ToolError;
            }
        }
    } else {
        let texts: Vec<String> = plans.iter().map(plan::Plan::text).collect();
        out::text(&texts.join("\n"));
    }
    if refused { Exit::Environment } else { Exit::Pass }
}

/// `--broker`, else the file's, else what is here.
fn kind(flag: Option<BrokerKind>, scenario: &Scenario) -> (&'static str, String) {
    match (flag, scenario.cluster.kind) {
        (Some(kind), _) => (cluster::word(kind), "--broker says so".to_owned()),
        (None, Some(kind)) => (kind, "the file says so".to_owned()),
        (None, None) => {
            let (kind, reason) = cluster::unnamed(&scenario.cluster.version);
            (cluster::word(kind), reason)
        }
    }
}

/// A full disk is better known before than met in the middle.
fn disk_note(needed: u64) -> Option<String> {
    let free = super::doctor::free_bytes(Path::new("."))?;
    let show = |bytes| bytesize::ByteSize::b(bytes).display().iec().to_string();
    (needed > free).then(|| {
        format!(
            "only {} are free here, about {} are needed",
            show(free),
            show(needed)
        )
    })
}
