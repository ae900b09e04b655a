//! `steadfast sweep`: what a scenario costs as its settings grow.

use std::path::Path;

use steadfast_verifier::verdict::Outcome;

use crate::cli::SweepArgs;
use crate::exit::Exit;
use crate::out;
use crate::quiet::{Refused, Stretch};
use crate::runner::display::Display;
use crate::runner::{Asks, Runner, folder};
use crate::sweep::{self, Sweep};

/// Checks everything first; 5 when a setting has fewer than two values that were measured, 10 when a delivery claim broke.
pub(crate) fn run(args: &SweepArgs) -> Exit {
    swept(args).unwrap_or_else(|refused| refused.tell())
}

#[expect(
    clippy::disallowed_methods,
    reason = "a shell: the folder's name carries the wall time"
)]
fn swept(args: &SweepArgs) -> Result<Exit, Refused> {
    let stretch = Stretch {
        warmup: args.warmup,
        measured: args.measure,
    };
    let series = sweep::series(&args.file, &args.vary, &args.overrides, stretch)?;
    let stamp = folder::stamp(std::time::SystemTime::now());
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let folder = args
        .out
        .clone()
        .unwrap_or_else(|| Path::new("runs").join(format!("sweep-{stem}-{stamp}")));
    folder::check(&folder).map_err(Refused::usage)?;
    let runner = Runner::start(&args.overrides, Asks::default())?;
    let sweep = Sweep {
        series,
        subject: runner.subject(args.overrides.subject.as_deref())?,
        folder: folder.clone(),
        keep: args.keep,
    };
    let mut display = Display::new();
    let made = sweep.make(&runner, &mut display);
    display.done();
    let made = made?;
    match steadfast_reports::sweep_text(&folder) {
        Ok(text) => out::text(&text),
        Err(error) => eprintln!("error: {error}"),
    }
    out::line(format_args!(
        "page: {}",
        folder.join(steadfast_reports::SWEEP_PAGE).display()
    ));
    Ok(match made.outcome() {
        Outcome::Pass => Exit::Pass,
        Outcome::Inconclusive => Exit::Inconclusive,
        Outcome::Fail => Exit::Delivery,
    })
}
