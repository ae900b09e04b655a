//! `steadfast run`: checks every file first, then runs them one after the other, each into its own folder.

use std::path::{Path, PathBuf};

use crate::cli::RunArgs;
use crate::exit::Exit;
use crate::out;
use crate::runner::display::Display;
use crate::runner::{self, Asks, Finished, RunError, Runner, Task, folder, summary};
use crate::scenario::{self, Scenario};

/// Runs it all; of several results the most severe is the exit.
pub(crate) fn run(args: &RunArgs) -> Exit {
    let scenarios = match scenario::load_all(&args.paths, &args.overrides) {
        Ok(scenarios) => scenarios,
        Err(diagnostics) => {
            eprint!("{diagnostics}");
            return Exit::Usage;
        }
    };
    let jobs = jobs(args, &scenarios);
    if let Some(refusal) = jobs.iter().find_map(|job| folder::check(&job.folder).err()) {
        eprintln!("error: {refusal}");
        return Exit::Usage;
    }
    let refused = scenarios.iter().find_map(|scenario| {
        let chosen = runner::cluster::choose(&args.overrides, scenario);
        chosen
            .and_then(|choice| choice.can_be_witnessed(args.oracle))
            .err()
    });
    if let Some(error) = refused {
        return fail(&error);
    }
    let asks = Asks {
        keep_topics: args.keep_topics,
        oracle: args.oracle,
    };
    let started = Runner::start(&args.overrides, asks).and_then(|runner| {
        let subject = runner.subject(args.overrides.subject.as_deref())?;
        Ok((runner, subject))
    });
    let (runner, subject) = match started {
        Ok(started) => started,
        Err(error) => return fail(&error),
    };

    let mut finished = Vec::new();
    for job in jobs {
        let scenario = &scenarios[job.scenario];
        let mut display = Display::new();
        let task = Task {
            scenario,
            subject: &subject,
            folder: &job.folder,
        };
        let result = runner.run_once(task, &mut display);
        display.done();
        let run = Finished {
            label: job.label,
            folder: job.folder,
            result,
        };
        show(&run, args.json);
        let interrupted = run.exit() == Exit::Interrupted;
        finished.push(run);
        if interrupted {
            break;
        }
    }
    if finished.len() > 1 {
        out::text(&summary::table(&finished));
        if let Some(out) = common_folder(args, &finished) {
            let folders: Vec<PathBuf> = finished.iter().map(|run| run.folder.clone()).collect();
            match steadfast_reports::index(&out, &folders) {
                Ok(()) => out::line(format_args!("index: {}", out.join("index.html").display())),
                Err(error) => eprintln!("error: no index page: {error}"),
            }
        }
    }
    finished.iter().map(Finished::exit).fold(Exit::Pass, Exit::worst)
}

struct Job {
    scenario: usize,
    label: String,
    folder: PathBuf,
}

#[expect(
    clippy::disallowed_methods,
    reason = "a shell: the folder's name carries the wall time"
)]
fn jobs(args: &RunArgs, scenarios: &[Scenario]) -> Vec<Job> {
    let stamp = folder::stamp(std::time::SystemTime::now());
    let only = scenarios.len() == 1 && args.repeat == 1;
    let numbered = scenarios
        .iter()
        .enumerate()
        .flat_map(|pair| (1..=args.repeat).map(move |n| (pair, n)));
    numbered
        .map(|((index, scenario), n)| {
            let repeat = (args.repeat > 1).then_some(n);
            let label = repeat.map_or(scenario.name.clone(), |n| format!("{} #{n}", scenario.name));
            let folder = folder::of_run(args.out.as_deref(), only, &scenario.name, repeat, &stamp);
            Job {
                scenario: index,
                label,
                folder,
            }
        })
        .collect()
}

fn show(run: &Finished, json: bool) {
    match &run.result {
        Ok(done) if json => match serde_json::to_string_pretty(&done.verdict) {
            Ok(text) => out::line(format_args!("{text}")),
            Err(error) => eprintln!("error: {error}"),
        },
        Ok(done) => out::text(&summary::one(done, &run.folder)),
        Err(error) => eprintln!("error: {}: {error}", run.label),
    }
}

fn fail(error: &RunError) -> Exit {
    eprintln!("error: {error}");
    error.exit()
}

/// The folder that holds all runs: `--out`, else `runs/`.
fn common_folder(args: &RunArgs, finished: &[Finished]) -> Option<PathBuf> {
    args.out
        .clone()
        .or_else(|| finished.first()?.folder.parent().map(Path::to_owned))
}
