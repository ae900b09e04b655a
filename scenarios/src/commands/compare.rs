//! `steadfast compare`: several producers on one scenario, in interleaved blocks on one cluster.

use steadfast_verifier::comparison::goal::Goal;
use steadfast_verifier::verdict::Outcome;

use crate::cli::CompareArgs;
use crate::compare::{self, Contest, Lengths};
use crate::exit::Exit;
use crate::out;
use crate::quiet::Refused;
use crate::runner::display::Display;
use crate::runner::{Asks, Runner, folder};

/// Checks everything first; 5 when too few blocks count, 10 when the subject under test broke a delivery claim, 99 when it
/// missed a goal.
pub(crate) fn run(args: &CompareArgs) -> Exit {
    compared(args).unwrap_or_else(|refused| refused.tell())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a shell: the folder's name carries the wall time"
)]
fn compared(args: &CompareArgs) -> Result<Exit, Refused> {
    if args.overrides.subject.is_some() {
        return Err(Refused::usage(
            "--subject names one; compare takes --subjects A,B,...".to_owned(),
        ));
    }
    let goals: Vec<Goal> = args
        .goals
        .iter()
        .map(|text| {
            text.parse::<Goal>()
                .map_err(|error| Refused::usage(error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    if let Some(goal) = goals.iter().find(|goal| !args.subjects.contains(&goal.to)) {
        let known = args.subjects.join(", ");
        return Err(Refused::usage(format!(
            "goal {goal}: {} takes no part; subjects: {known}",
            goal.to
        )));
    }
    let lengths = Lengths {
        warmup: args.warmup,
        measured: args.measure,
        broker_warmup: args.broker_warmup,
    };
    let runner = Runner::start(&args.overrides, Asks::default())?;
    let named = (args.file.as_path(), args.subjects.as_slice());
    let contestants = compare::enter(named, &args.overrides, lengths, &runner)?;
    let stamp = folder::stamp(std::time::SystemTime::now());
    let name = &contestants[0].scenario.name;
    let folder = compare::folder(args.out.as_deref(), name, &stamp);
    folder::check(&folder).map_err(Refused::usage)?;
    let contest = Contest {
        contestants,
        goals,
        blocks: args.blocks,
        most_blocks: args.at_most.unwrap_or(args.blocks),
        folder: folder.clone(),
        keep: args.keep,
    };
    let mut display = Display::new();
    let held = contest.hold(&runner, &mut display);
    display.done();
    let sum = held?;
    match steadfast_reports::comparison_text(&folder) {
        Ok(text) => out::text(&text),
        Err(error) => eprintln!("error: {error}"),
    }
    out::line(format_args!(
        "page: {}",
        folder.join(steadfast_reports::COMPARISON_PAGE).display()
    ));
    Ok(match sum.verdict {
        Outcome::Pass => Exit::Pass,
        Outcome::Inconclusive => Exit::Inconclusive,
        Outcome::Fail if sum.delivery_broken() => Exit::Delivery,
        Outcome::Fail => Exit::Threshold,
    })
}
