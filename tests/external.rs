//! On somebody else's cluster: what we made there goes with the run, however it ends, and what was there stays.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use steadfast_verifier::verdict::Outcome;

use crate::node::Node;
use crate::running::{Running, expect_nothing_left};
use crate::support::{Need, STEADFAST, expect, expect_exit, root, steadfast, temporary, trial, verdict};

/// The topic of the quickstart.
const TOPIC: &str = "records";
/// How long a run that is cut off may take to its end.
const END: Duration = Duration::from_secs(60);
/// The same of one that has lost its topic: 20 s long every broker has to say that there is none.
const LOST_END: Duration = Duration::from_secs(90);

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "external::our_topic_goes_with_the_run_and_theirs_stay",
            &[Need::Kafka],
            ours_goes,
        ),
        trial(
            "external::a_run_cut_off_leaves_no_topic_after_heal_and_heal_spares_a_strangers",
            &[Need::Kafka],
            cut_off,
        ),
        trial(
            "external::frames_are_struck_there_too_and_nothing_else_is",
            &[Need::Kafka],
            frames,
        ),
        trial(
            "external::a_topic_that_vanishes_under_load_is_told",
            &[Need::All, Need::Kafka],
            vanishes,
        ),
    ]
}

const FRAMES: &str = r#"title = "answers held and cut on somebody else's broker"
[cluster]
topics.records = { partitions = 2 }
[workload]
executor = "constant-arrival-rate"
rate = "1000/s"
warmup = "3s"
duration = "9s"
[[fault]]
name = "held"
at = "1s"
for = "2s"
action = "hold"
target = "link(client, leader(records-0))"
frames = { api = "Produce", side = "response" }
[[fault]]
name = "cut"
at = "5s"
for = "2s"
action = "cut"
target = "link(client, all)"
frames = { api = "Produce", side = "response", nth = 2, count = 1, bytes = 7 }
[claims]
lost = 0
duplicated = 0
"#;

/// Through our own proxy, whose addresses stand in the broker's own answers; a client that went round it would void the run.
fn frames() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let file = dir.path().join("frames.toml");
    std::fs::write(&file, FRAMES)?;
    let (file, out) = (file.to_string_lossy(), dir.path().join("run"));
    let (out_text, server) = (out.to_string_lossy(), node.server());
    let run = [
        "run",
        &file,
        "--broker",
        "external",
        "--bootstrap-server",
        &server,
        "--out",
        &out_text,
    ];
    expect_exit(&steadfast(&run), 0)?;
    let verdict = verdict(&out)?;
    let bit = |name: &str| {
        verdict
            .faults
            .iter()
            .find(|fault| fault.name == name)?
            .evidence
            .get("frames")
    };
    for (name, word) in [("held", "held; "), ("cut", "1 frames of")] {
        expect(bit(name).is_some_and(|seen| seen.contains(word)), || {
            format!("{name}: {:?}", verdict.faults)
        })?;
    }
    // What would end a process is not for somebody else's.
    let kill = FRAMES.replace("action = \"hold\"", "action = \"kill\"").replace(
        "target = \"link(client, leader(records-0))\"\nframes = { api = \"Produce\", side = \"response\" }",
        "target = \"broker-1\"",
    );
    std::fs::write(&*file, kill)?;
    let again = dir.path().join("again").to_string_lossy().into_owned();
    let run = [
        "run",
        &file,
        "--broker",
        "external",
        "--bootstrap-server",
        &server,
        "--out",
        &again,
    ];
    let output = steadfast(&run);
    expect_exit(&output, 2)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(said.contains("not ours to hurt"), || said)
}

/// A small load into the node.
fn arguments<'a>(server: &'a str, out: &'a str) -> Vec<&'a str> {
    let mut args = vec!["scenarios/quickstart.toml", "--broker", "external"];
    args.extend(["--bootstrap-server", server, "--out", out]);
    for set in [
        "workload.rate=2000/s",
        "workload.warmup=3s",
        "workload.duration=5s",
    ] {
        args.extend(["--set", set]);
    }
    args
}

fn ours_goes() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let server = node.server();
    node.create("precious")?;
    let out = dir.path().join("first").to_string_lossy().into_owned();
    let args = [&["run"], arguments(&server, &out).as_slice()].concat();
    expect_exit(&steadfast(&args), 0)?;
    node.expect_topics(&["precious"])?;

    // Of the same name, and there before us: neither used nor deleted.
    node.create(TOPIC)?;
    let out = dir.path().join("second").to_string_lossy().into_owned();
    let args = [&["run"], arguments(&server, &out).as_slice()].concat();
    let output = steadfast(&args);
    expect_exit(&output, 3)?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    expect(
        text.contains("topic records exists already") && text.contains("mend:"),
        || text,
    )?;
    node.expect_topics(&["precious", TOPIC])
}

fn cut_off() -> Result<(), Failed> {
    let dir = temporary();
    let state = dir.path().join("state");
    let node = Node::start(dir.path())?;
    let server = node.server();
    let start = |out: &Path| -> Result<Running, Failed> {
        let out = out.to_string_lossy().into_owned();
        let mut command = Command::new(STEADFAST);
        command
            .arg("run")
            .args(arguments(&server, &out))
            .env("XDG_STATE_HOME", &state);
        let mut run = Running::of(command)?;
        run.until("warmup")?;
        node.expect_topics(&[TOPIC])?;
        Ok(run)
    };
    let heal = || -> Result<String, Failed> {
        let output = Command::new(STEADFAST)
            .arg("heal")
            .env("XDG_STATE_HOME", &state)
            .current_dir(root())
            .output()?;
        expect_exit(&output, 0)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };

    let run = start(&dir.path().join("term"))?;
    run.signal("TERM")?;
    run.end_with(130, END)?;
    node.expect_topics(&[])?;
    expect(heal()?.contains("nothing to heal"), || {
        "the journal is not clean".into()
    })?;

    let out = dir.path().join("kill");
    let run = start(&out)?;
    run.signal("KILL")?;
    run.end(END)?;
    node.expect_topics(&[TOPIC])?;
    let healed = heal()?;
    expect(healed.contains("deleted topic records"), || healed)?;
    node.expect_topics(&[])?;
    expect_nothing_left(&out)?;

    // Killed again, and somebody makes a topic of that name before anybody heals: it is another one.
    let run = start(&dir.path().join("again"))?;
    run.signal("KILL")?;
    run.end(END)?;
    node.delete(TOPIC)?;
    node.create(TOPIC)?;
    let healed = heal()?;
    expect(!healed.contains("deleted topic"), || healed)?;
    node.expect_topics(&[TOPIC])
}

/// No outcome is made up: what was acknowledged is not in the log any more, and the run can be no pass.
fn vanishes() -> Result<(), Failed> {
    let dir = temporary();
    let node = Node::start(dir.path())?;
    let server = node.server();
    let out = dir.path().join("run");
    let text = out.to_string_lossy().into_owned();
    let mut args = arguments(&server, &text);
    args.extend(["-X", "delivery.timeout.ms=6000", "-X", "request.timeout.ms=3000"]);
    let mut run = Running::start(&args)?;
    run.until("steady")?;
    node.delete(TOPIC)?;
    let (status, said) = run.end(LOST_END)?;
    expect_nothing_left(&out)?;
    match status.code() {
        // A clear stop.
        Some(3) => expect(said.contains(TOPIC), || said),
        // Judged: every record has its outcome, and the missing log is told.
        Some(5 | 10) => {
            let verdict = verdict(&out)?;
            let records = &verdict.records;
            expect(
                verdict.verdict != Outcome::Pass
                    && records.intended >= records.acked + records.not_written + records.unknown
                    && records.not_written + records.unknown > 0
                    && verdict
                        .inconclusive
                        .iter()
                        .any(|cause| cause.reason.contains("is gone")),
                || format!("{verdict:?}\n{said}"),
            )
        }
        _ => Err(format!("it ended with {status}:\n{said}").into()),
    }
}
