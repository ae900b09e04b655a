//! Who takes part: `NAME` or `NAME:PROPERTY=VALUE:...`, each with the scenario as it is for that subject.

use std::path::Path;
use std::time::Duration;

use crate::cli::Overrides;
use crate::quiet::{self, Refused, Stretch};
use crate::runner::Runner;
use crate::runner::subject::Subject;
use crate::scenario::Scenario;

/// A JVM compiles for about so long before its latencies stand (peers measured side by side, 20 to 60 s).
const SLOW_WARMUP: Duration = Duration::from_secs(60);
/// Which of `peers/` that is.
const SLOW: &str = "java";
/// Fewest that can be compared, and most: a block of more would be longer than a machine stays the same.
const CONTESTANTS: std::ops::RangeInclusive<usize> = 2..=12;

/// How long cells are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lengths {
    pub(crate) warmup: Duration,
    pub(crate) measured: Duration,
    /// Load before the first block; zero for none.
    pub(crate) broker_warmup: Duration,
}

/// One of those compared.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// As it was named.
    pub(crate) label: String,
    pub(crate) subject: Subject,
    /// The scenario of an ordinary cell.
    pub(crate) scenario: Scenario,
    /// Of its single cell of a block: a long warm-up, twice the length.
    pub(crate) single: Scenario,
    /// It has single cells.
    pub(crate) slow: bool,
    /// Of the broker's warm-up; none when it is left out, or without a schedule.
    pub(crate) broker_warmup: Option<Scenario>,
}

/// Reads the file once for each subject, then builds those that must be built. Nothing is started before all is checked.
pub(crate) fn enter(
    (file, names): (&Path, &[String]),
    overrides: &Overrides,
    lengths: Lengths,
    runner: &Runner,
) -> Result<Vec<Contestant>, Refused> {
    if !CONTESTANTS.contains(&names.len()) {
        return Err(Refused::usage(format!(
            "--subjects names {}; give {} to {}, such as floor,steadfast,librdkafka",
            names.len(),
            CONTESTANTS.start(),
            CONTESTANTS.end()
        )));
    }
    if let Some(twice) = (1..names.len()).find(|at| names[..*at].contains(&names[*at])) {
        return Err(Refused::usage(format!(
            "--subjects names {} twice; name each once",
            names[twice]
        )));
    }
    let read: Vec<Read> = names
        .iter()
        .map(|name| read(file, name, overrides, lengths))
        .collect::<Result<_, _>>()?;
    let mut contestants = Vec::new();
    for one in read {
        let subject = runner.subject(Some(Path::new(&one.wish)))?;
        contestants.push(Contestant {
            label: one.label,
            subject,
            scenario: one.scenario,
            single: one.single,
            slow: one.slow,
            broker_warmup: one.broker_warmup,
        });
    }
    Ok(contestants)
}

/// A contestant whose program is not there yet.
struct Read {
    label: String,
    wish: String,
    scenario: Scenario,
    single: Scenario,
    slow: bool,
    broker_warmup: Option<Scenario>,
}

fn read(file: &Path, label: &str, overrides: &Overrides, lengths: Lengths) -> Result<Read, Refused> {
    let mut words = label.split(':');
    let wish = words.next().unwrap_or_default().to_owned();
    let mut base = overrides.clone();
    base.property.extend(words.map(str::to_owned));
    let plain = quiet::load(file, &base)?;
    if plain.duration().is_none() {
        return Ok(Read {
            label: label.to_owned(),
            wish,
            single: plain.clone(),
            scenario: plain,
            slow: false,
            broker_warmup: None,
        });
    }
    let timed =
        |warmup: Duration, measured: Duration| quiet::timed(file, &base, Stretch { warmup, measured });
    let warming = lengths.broker_warmup;
    Ok(Read {
        slow: wish == SLOW,
        label: label.to_owned(),
        wish,
        scenario: timed(lengths.warmup, lengths.measured)?,
        single: timed(SLOW_WARMUP.max(lengths.warmup), lengths.measured * 2)?,
        broker_warmup: (warming > Duration::ZERO)
            .then(|| timed(warming / 2, warming / 2))
            .transpose()?,
    })
}
