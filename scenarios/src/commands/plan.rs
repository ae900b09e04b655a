//! `steadfast plan FILE`: what a run would do, without doing it.

use std::path::Path;

use steadfast_chaos::cluster::kafka;

use crate::cli::{BrokerKind, PlanArgs};
use crate::exit::Exit;
use crate::out;
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
    let plans: Vec<plan::Plan> = scenarios
        .iter()
        .map(|scenario| {
            let (kind, reason) = kind(args.overrides.broker, scenario);
            let mut plan = plan::plan(scenario, kind, reason);
            plan.notes.extend(disk_note(plan.disk_bytes));
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
    Exit::Pass
}

/// `--broker`, else the file's, else `kafka`.
fn kind(flag: Option<BrokerKind>, scenario: &Scenario) -> (&'static str, &'static str) {
    match (flag, scenario.cluster.kind) {
        (Some(BrokerKind::Kafka), _) => ("kafka", "--broker says so"),
        (Some(BrokerKind::External), _) => ("external", "--broker says so"),
        (None, Some(kind)) => (kind, "the file says so"),
        (None, None) if kafka::available(&scenario.cluster.version).is_some() => {
            ("kafka", "its jars are here")
        }
        (None, None) => (
            "kafka",
            "nothing else is named; its jars are not here: --broker kafka fetches them",
        ),
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
