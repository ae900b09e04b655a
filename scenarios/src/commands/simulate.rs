//! `steadfast simulate`: many worlds, judged; a failing one is made small.

use std::io::IsTerminal;
use std::path::Path;

use steadfast_producer::clock::monotonic_ns;

use crate::cli::SimulateArgs;
use crate::exit::Exit;
use crate::scenario;
use crate::simulate::campaign::{self, Campaign};
use crate::simulate::design::{Design, Writers};
use crate::simulate::{file, plan, shrink, summary, world};

/// Failing seeds that are shrunk.
const SHRUNK_MAX: usize = 2;
/// Progress is shown every so many seeds.
const PROGRESS_SEEDS: u64 = 100;

/// Runs the seeds; what was found is the exit.
pub(crate) fn run(args: &SimulateArgs) -> Exit {
    let design = match args.file.as_deref().map(of_file) {
        Some(Err(exit)) => return exit,
        Some(Ok(design)) => design,
        None => Design::default(),
    };
    let design = Design {
        seconds: args.seconds.unwrap_or(design.seconds),
        class: args.world.or(design.class),
        writers: match (args.idempotent, args.transactional) {
            (true, _) => Writers::Idempotent,
            (_, true) => Writers::Transactional,
            _ => design.writers,
        },
        ..design
    };
    #[cfg(steadfast_mutants)]
    let design = match args
        .without
        .as_deref()
        .map(|name| (name, steadfast_producer::rules::Rule::from_name(name)))
    {
        Some((name, None)) => {
            let known: Vec<_> = steadfast_producer::rules::TABLE
                .iter()
                .map(|line| line.name)
                .collect();
            eprintln!("error: no rule {name}; there are {}", known.join(", "));
            return Exit::Usage;
        }
        Some((_, without)) => Design { without, ..design },
        None => design,
    };
    if args.trace {
        return trace(&design, args.from);
    }
    #[cfg(steadfast_mutants)]
    if args.mutants {
        return mutants(&design, args);
    }
    if !args.json {
        print!("{}", summary::title(&design, args.from, args.seeds));
    }
    // A panic in a world is an outcome with words of its own.
    std::panic::set_hook(Box::new(|_| {}));
    let shows = std::io::stderr().is_terminal();
    let progress = |done: u64| {
        if shows && done.is_multiple_of(PROGRESS_SEEDS) {
            eprint!("\r{done} of {} seeds", args.seeds);
        }
    };
    let jobs = usize::from(args.jobs);
    let began_ns = monotonic_ns();
    let campaign = match campaign::run(&design, (args.from, args.seeds), jobs, &progress) {
        Ok(campaign) => campaign,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::ToolError;
        }
    };
    let real_ns = monotonic_ns() - began_ns;
    if args.json {
        println!("{}", summary::json(&campaign, real_ns, jobs));
        return exit(&campaign);
    }
    print!("{}", summary::text(&campaign, real_ns, jobs, &command(args)));
    for (seed, outcome) in campaign.failures.iter().take(SHRUNK_MAX) {
        let shrunk = shrink::shrink(&design, *seed, &plan::draw(&design, *seed), outcome);
        print!("{}", summary::shrunk(*seed, &shrunk));
    }
    exit(&campaign)
}

/// The worlds of a scenario file, or its frames.
fn of_file(path: &Path) -> Result<Design, Exit> {
    let scenarios = scenario::load_all(&[path.to_owned()], &scenario::no_overrides());
    let designs =
        scenarios.and_then(|scenarios| scenarios.iter().map(file::design).collect::<Result<Vec<_>, _>>());
    match designs.as_deref() {
        Ok([design]) => Ok(design.clone()),
        Ok(_) => {
            eprintln!("error: {} is a folder; simulate takes one file", path.display());
            Err(Exit::Usage)
        }
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            Err(Exit::Usage)
        }
    }
}

/// What was typed, but for seeds and threads: it replays a world.
fn command(args: &SimulateArgs) -> String {
    let mut command = "steadfast simulate".to_owned();
    if let Some(file) = &args.file {
        command += &format!(" {}", file.display());
    }
    if let Some(seconds) = args.seconds {
        command += &format!(" --seconds {seconds}");
    }
    if let Some(world) = args.world {
        command += &format!(" --world {}", world.name());
    }
    for (flag, given) in [
        ("--idempotent", args.idempotent),
        ("--transactional", args.transactional),
    ] {
        if given {
            command += &format!(" {flag}");
        }
    }
    command
}

/// One world, line by line.
fn trace(design: &Design, seed: u64) -> Exit {
    match world::trace(design, seed, &plan::draw(design, seed)) {
        Ok((outcome, lines)) => {
            for line in lines.iter().chain(&outcome.words) {
                println!("{line}");
            }
            outcome
                .anomalies
                .keys()
                .map(exit_of)
                .fold(Exit::Pass, Exit::worst)
        }
        Err(error) => {
            eprintln!("error: seed {seed}: {error}");
            Exit::ToolError
        }
    }
}

/// Each rule broken; the exit says only whether that could be done.
#[cfg(steadfast_mutants)]
fn mutants(design: &Design, args: &SimulateArgs) -> Exit {
    use crate::simulate::mutants;
    std::panic::set_hook(Box::new(|_| {}));
    let seeds = (args.from, args.seeds);
    match mutants::search(design, design.without, seeds, usize::from(args.jobs)) {
        Ok(all) if args.json => println!("{}", mutants::json(&all)),
        Ok(all) => all
            .iter()
            .for_each(|caught| println!("{}", mutants::text(caught))),
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::ToolError;
        }
    }
    Exit::Pass
}

/// A broken delivery claim outweighs liveness; what could not be judged is neither.
fn exit(campaign: &Campaign) -> Exit {
    let anomalies = campaign
        .failures
        .values()
        .flat_map(|outcome| outcome.anomalies.keys());
    anomalies.map(exit_of).fold(Exit::Pass, Exit::worst)
}

fn exit_of(anomaly: &&'static str) -> Exit {
    match anomaly.as_bytes().first() {
        Some(b'V') => Exit::Threshold,
        Some(b'H') => Exit::Inconclusive,
        _ => Exit::Delivery,
    }
}
