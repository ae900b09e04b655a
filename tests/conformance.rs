//! What a broker answers, field by field: one script of requests, played to real Kafka of three versions and to our own
//! broker.
//!
//! ```text
//!  script/*.rs ──► player ──► socket ──► any cluster, given by its address
//!   requests.rs       │                        │ layout.rs takes the answer apart, by layouts.txt
//!   batch.rs          └── text.rs ◄────────────┘
//!                            │  one text a case
//!                            ▼
//!                   expected/*.txt, as measured ──► the lines that differ
//! ```
//! The facts that the producer's rules rest on are measured here on every run, and the simulated broker is held to the same
//! texts. After a change of the script: `STEADFAST_BLESS=1 STEADFAST_SUITE=all cargo test -p steadfast-scenarios --test
//! steadfast conformance`, then read what git says has changed.

mod layout; // what an answer looks like, and an answer taken apart
mod batch; // record batches, true and lying
mod text; // an answer as text that can be compared
mod socket; // frames
mod requests; // the requests of the script
mod player; // plays a script, writes down the answers
mod steps; // what many cases do
mod script; // the cases
mod expected; // what was measured, and differences from it
mod cluster; // a real Kafka to play to, and our own broker

use libtest_mimic::{Failed, Trial};

use self::cluster::{Kafka, Simulated};
use self::expected::{ALLOWED, Allowed, BASELINE, How, bless, differences, expected};
use self::player::{Environment, Played, play};
use crate::support::{Need, OTHER_VERSIONS, expect, temporary, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let [newest, oldest] =
        [|| real(OTHER_VERSIONS[0]), || real(OTHER_VERSIONS[1])] as [fn() -> Result<(), Failed>; 2];
    let default = &[Need::All, Need::Kafka];
    let others = &[Need::All, Need::Kafka, Need::KafkaVersions];
    vec![
        trial(
            "conformance::a_difference_is_shown_and_an_allowed_one_is_not",
            &[],
            differs,
        ),
        trial("conformance::kafka_answers_as_measured", default, || {
            real(BASELINE)
        }),
        trial(
            "conformance::the_newest_kafka_answers_as_measured",
            others,
            newest,
        ),
        trial("conformance::kafka_3_answers_as_measured", others, oldest),
        trial(
            "conformance::the_simulated_broker_answers_as_kafka",
            &[Need::All],
            simulated,
        ),
    ]
}

/// Plays the script to real Kafka and compares with what was measured before.
fn real(version: &str) -> Result<(), Failed> {
    let folder = temporary();
    let mut kafka = Kafka::start(version, folder.path())?;
    let server = kafka.server.clone();
    let mut environment = Environment {
        server,
        restart: &mut |how| kafka.restart(how),
    };
    let Played { answers, broken } = play(&script::script(), &mut environment);
    if std::env::var_os("STEADFAST_BLESS").is_some() {
        bless(version, &answers)?;
    }
    expect(broken.is_empty(), || broken.join("\n"))?;
    // Nothing may differ between two runs of the script on the same version.
    let report = differences(&answers, |case| expected(version, case), &[]);
    expect(report.is_empty(), || {
        format!("Kafka {version}: - as measured before, + as answered now\n{report}")
    })
}

/// Plays it to our own broker, which is to answer as the Kafka that it is modelled on.
fn simulated() -> Result<(), Failed> {
    let folder = temporary();
    let mut broker = Simulated::start(folder.path())?;
    let mut environment = Environment {
        server: broker.server(),
        restart: &mut |how| broker.restart(how),
    };
    let Played { answers, broken } = play(&script::script(), &mut environment);
    let report = differences(&answers, |case| expected(BASELINE, case), ALLOWED);
    expect(broken.is_empty() && report.is_empty(), || {
        let broken = broken.join("\n");
        format!("- as Kafka {BASELINE} answers, + as the simulated broker does\n{report}\n{broken}")
    })?;
    broker.stop()
}

/// The comparison itself: what differs is shown with its place, what may differ is not, and what was never measured is told.
fn differs() -> Result<(), Failed> {
    let measured = "> ask\n< code=0 offset=4\n> ask again\n< code=45 message=old\n".to_owned();
    let compare = |answered: &str, allowed: &[Allowed]| {
        let played = [("case-1", answered.to_owned())];
        differences(&played, |_| Some(measured.clone()), allowed)
    };
    expect(compare(&measured, &[]).is_empty(), || "the same differs".into())?;
    let other_code = measured.replace("code=0", "code=47");
    let shown = compare(&other_code, &[]);
    for line in [
        "== case-1",
        "    > ask",
        "  - < code=0 offset=4",
        "  + < code=47 offset=4",
    ] {
        expect(shown.contains(line), || {
            format!("{line:?} is missing in:\n{shown}")
        })?;
    }
    let one_less = measured.replace("> ask again\n", "");
    expect(compare(&one_less, &[]).contains("  - > ask again"), || {
        "a line is missing".into()
    })?;

    let other_words = measured.replace("old", "new");
    let rule = |case: &'static str, how: How| Allowed {
        case,
        lines: &["< code=45 message="],
        how,
        reason: "the words are Kafka's own",
    };
    expect(
        compare(&other_words, &[rule("case-", How::Otherwise)]).is_empty(),
        || "what may differ does not".into(),
    )?;
    for elsewhere in [rule("another", How::Otherwise), rule("another", How::Alone)] {
        expect(!compare(&other_words, &[elsewhere]).is_empty(), || {
            "a rule holds where it does not belong".into()
        })?;
    }
    let one_less = measured.replace("< code=45 message=old\n", "");
    expect(
        compare(&one_less, &[rule("case-", How::Alone)]).is_empty(),
        || "what may stand alone may not".into(),
    )?;
    let idle = compare(&measured, &[rule("case-", How::Alone)]);
    expect(idle.contains("nothing needs it"), || idle)?;
    let unknown = differences(&[("case-2", measured.clone())], |_| None, &[]);
    expect(unknown.contains("STEADFAST_BLESS=1"), || unknown.clone())
}
