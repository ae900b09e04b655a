//! What is done: the action with the keys that belong to it, and whether it can be done to the target.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_chaos::fault::{Action, Quota, Reach, Target};
use steadfast_chaos::toxic::{Stream, Toxic, ToxicKind};
use steadfast_chaos::wire_proxy::{APIS, Deed, Side, WireFault};
use steadfast_producer::config::ProducerConfig;
use toml::Spanned;

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::Problem;
use crate::scenario::grammar::Properties;
use crate::scenario::notes::Notes;
use crate::scenario::properties;
use crate::scenario::reader::Table;
use crate::scenario::units::show_duration;

/// Keys that belong to one action each.
const OWN_KEYS: &[(&str, &[&str], &str)] = &[
    ("toxic", &["toxic"], "What Toxiproxy puts into the link"),
    ("frames", WIRE_ACTIONS, "Which requests or answers"),
    ("partitions", &["grow"], "How many partitions the topic has then"),
    ("settings", &["set"], "Settings meanwhile, under Kafka's names"),
    (
        "quotas",
        &["quota"],
        "Quotas meanwhile, such as `producer_byte_rate = 1_000_000`",
    ),
];
/// What is done to single requests and answers.
const WIRE_ACTIONS: &[&str] = &["hold", "delay", "drop", "answer", "cut"];
/// Keys of `frames` that belong to one action each.
const FRAME_KEYS: &[(&str, &str)] = &[("delay", "delay"), ("code", "answer"), ("bytes", "cut")];
/// Shortest jump of a clock.
const LEAST_STEP: Duration = Duration::from_secs(10);
/// Which attributes belong to which toxic, and which of them it cannot be without.
const ATTRIBUTES: &[(&str, &[&str], &[&str])] = &[
    ("latency", &["latency"], &["jitter"]),
    ("bandwidth", &["rate"], &[]),
    ("slow_close", &["delay"], &[]),
    ("timeout", &["timeout"], &[]),
    ("reset_peer", &["timeout"], &[]),
    // Without a delay the kernel may join the slices again, and nothing would show that it bit.
    ("slicer", &["average_size", "delay"], &["size_variation"]),
    ("limit_data", &["bytes"], &[]),
];

/// Reads the action of a fault. `target` decides whose settings may be set.
pub(super) fn read(table: &Table<'_>, target: Option<&Target>, notes: &Notes<'_>) -> Option<Spanned<Action>> {
    let word = table.word("action")?;
    for key in ["forward", "back"] {
        if *word.get_ref() != "step-clock" {
            table.out_of_place(key, "it belongs to `action = \"step-clock\"`");
        }
    }
    for (key, actions, doc) in OWN_KEYS {
        if !actions.contains(word.get_ref()) {
            table.out_of_place(
                key,
                &format!("it belongs to `action = \"{}\"`", actions.join("\" or \"")),
            );
        } else if !table.has(key) {
            table.missing(key, doc);
        }
    }
    let action = match *word.get_ref() {
        "kill" => Action::Kill,
        "term" => Action::Term,
        "pause" => Action::Pause,
        "restart" => Action::Restart,
        "fill-disk" => Action::FillDisk,
        "step-clock" => Action::StepClock {
            ahead: ahead(table, notes)?,
        },
        "partition" => Action::Partition,
        "down" => Action::Down,
        "toxic" => Action::Toxic(toxic(&table.table("toxic")?)?),
        wire if WIRE_ACTIONS.contains(&wire) => Action::Wire(frames(wire, &table.table("frames")?)?),
        "elect" => Action::Elect,
        "reassign" => Action::Reassign,
        "grow" if table.has("partitions") => Action::Grow {
            partitions: u32::try_from(table.integer("partitions")?.into_inner()).ok()?,
        },
        "set" if table.has("settings") => {
            let scope = match target {
                None => Properties::Live,
                Some(Target::Topic(_)) => Properties::Topic,
                Some(_) => Properties::Broker,
            };
            let settings = properties::check(scope, &table.property_table("settings"), notes);
            if settings.is_empty() && notes.clean() {
                let place = table.place("settings");
                notes.push(Problem::at(place, "no setting", "nothing would change"));
            }
            Action::Set { settings }
        }
        "quota" if table.has("quotas") => Action::Quota {
            quotas: quotas(table, notes)?,
        },
        _ => return None,
    };
    times(table, &action, word.span(), notes);
    Some(Spanned::new(word.span(), action))
}

/// By how many seconds a clock jumps ahead.
fn ahead(table: &Table<'_>, notes: &Notes<'_>) -> Option<i64> {
    let by = |name| table.has(name).then(|| table.duration(name));
    let by = match (by("forward"), by("back")) {
        (Some(forward), None) => (1, forward?),
        (None, Some(back)) => (-1, back?),
        (forward, _) => {
            let title = match forward {
                None => "`step-clock` needs `forward` or `back`",
                Some(_) => "a clock that jumps both ways",
            };
            let label = "expected `forward = \"49h\"` or `back = \"30m\"`";
            notes.push(Problem::at(table.span.clone(), title, label));
            return None;
        }
    };
    let (direction, by) = by;
    if *by.get_ref() < LEAST_STEP {
        let label = format!("expected {} at least", show_duration(LEAST_STEP));
        let problem = Problem::at(by.span(), "too short a jump", &label);
        notes.push(problem.note("brokers tell their time in whole seconds: a shorter one would not be seen"));
        return None;
    }
    Some(direction * i64::try_from(by.get_ref().as_secs()).ok()?)
}

/// Whether the action needs `for`, or has no use for it.
fn times(table: &Table<'_>, action: &Action, span: std::ops::Range<usize>, notes: &Notes<'_>) {
    match action {
        Action::Kill | Action::Restart => {}
        Action::Elect | Action::Reassign | Action::Grow { .. } => {
            table.out_of_place("for", "it is done when it is done, and not taken back");
        }
        _ if table.has("for") => {}
        _ => {
            let problem = Problem::at(
                table.span.clone(),
                &format!("`{}` needs `for`", table_word(action)),
                "expected `for = \"5s\"`",
            );
            notes.push(problem.context(span, "healed at once, it would not bite"));
        }
    }
}

/// The word of the file.
fn table_word(action: &Action) -> &'static str {
    match action {
        Action::Toxic(_) => "toxic",
        action => action.word(),
    }
}

/// What a client id may take.
fn quotas(table: &Table<'_>, notes: &Notes<'_>) -> Option<BTreeMap<Quota, u64>> {
    let inner = table.table("quotas")?;
    let given = Quota::ALL.into_iter().filter(|quota| inner.has(quota.name()));
    let values = given.map(|quota| {
        let value = inner.integer(quota.name())?.into_inner();
        Some((quota, value))
    });
    let quotas = values.collect::<Option<BTreeMap<Quota, u64>>>()?;
    if quotas.is_empty() && notes.clean() {
        let place = table.place("quotas");
        notes.push(Problem::at(place, "no quota", "nothing would change"));
    }
    let share = Quota::RequestPercentage.name();
    if quotas.contains_key(&Quota::RequestPercentage) && quotas.len() > 1 {
        let title = format!("`{share}` beside a byte rate");
        let problem = Problem::at(
            inner.place(share),
            &title,
            "which of them makes the client wait could not be told",
        );
        notes.push(problem.note("two faults, one after the other, can be told apart"));
    }
    Some(quotas)
}

/// Which frames, and what becomes of them.
fn frames(action: &'static str, table: &Table<'_>) -> Option<WireFault> {
    let side = table.word("side");
    let number = |name| u32::try_from(table.integer(name)?.into_inner()).ok();
    for (key, of) in FRAME_KEYS {
        if *of != action {
            table.out_of_place(key, &format!("it belongs to `action = \"{of}\"`"));
        } else if !table.has(key) {
            let doc = table.section.keys.iter().find(|known| known.name == *key);
            table.missing(key, doc.map_or("", |known| known.doc));
        }
    }
    let own = |name: &'static str| table.has(name).then(|| number(name)).flatten();
    let deed = match action {
        "hold" => Deed::Hold,
        "drop" => Deed::Drop,
        "delay" => Deed::Delay(Duration::from_millis(own("delay")?.into())),
        "answer" => Deed::Answer(i16::try_from(own("code")?).ok()?),
        _ => Deed::Cut(own("bytes")?),
    };
    let api = match table.has("api") {
        true => Some(api_key(table.word("api")?.get_ref())?),
        false => None,
    };
    Some(WireFault {
        deed,
        api,
        side: match *side?.get_ref() {
            "request" => Side::Request,
            _ => Side::Response,
        },
        nth: number("nth")?,
        count: if table.has("count") {
            Some(number("count")?)
        } else {
            None
        },
    })
}

fn api_key(name: &str) -> Option<i16> {
    APIS.iter().find(|(known, _)| *known == name).map(|(_, key)| *key)
}

fn toxic(table: &Table<'_>) -> Option<Toxic> {
    let kind = table.word("type");
    let stream = match *table.word("stream")?.get_ref() {
        "upstream" => Stream::Upstream,
        "downstream" => Stream::Downstream,
        _ => Stream::Both,
    };
    let kind = *kind?.get_ref();
    let attributes = table.table("attributes")?;
    let (_, needed, more) = ATTRIBUTES.iter().find(|(name, ..)| *name == kind)?;
    for key in attributes.section.keys {
        if !needed.contains(&key.name) && !more.contains(&key.name) {
            let takes: Vec<&str> = needed.iter().chain(*more).copied().collect();
            attributes.out_of_place(key.name, &format!("`{kind}` takes {}", takes.join(", ")));
        } else if needed.contains(&key.name) && !attributes.has(key.name) {
            attributes.missing(key.name, key.doc);
        }
    }
    let value = |name: &'static str| {
        let found = attributes.has(name).then(|| attributes.integer(name));
        match found {
            // Only one that may be left out comes to its default.
            None if more.contains(&name) => Some(0),
            None => None,
            Some(found) => u32::try_from(found?.into_inner()).ok(),
        }
    };
    let kind = match kind {
        "latency" => ToxicKind::Latency {
            latency: value("latency")?,
            jitter: value("jitter")?,
        },
        "bandwidth" => ToxicKind::Bandwidth { rate: value("rate")? },
        "slow_close" => ToxicKind::SlowClose {
            delay: value("delay")?,
        },
        "timeout" => ToxicKind::Timeout {
            timeout: value("timeout")?,
        },
        "reset_peer" => ToxicKind::ResetPeer {
            timeout: value("timeout")?,
        },
        "slicer" => ToxicKind::Slicer {
            average_size: value("average_size")?,
            size_variation: value("size_variation")?,
            delay: value("delay")?,
        },
        _ => ToxicKind::LimitData {
            bytes: value("bytes")?,
        },
    };
    Some(Toxic { kind, stream })
}

/// Whether the action can be done to the target.
pub(super) fn suits(
    table: &Table<'_>,
    action: &Spanned<Action>,
    target: &Spanned<Target>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) {
    let word = table_word(action.get_ref());
    if *target.get_ref() == Target::Client {
        if *action.get_ref() != Action::Kill {
            let problem = Problem::at(
                action.span(),
                &format!("`{word}` is not done to the client"),
                "expected `kill`; with `for` it is started again",
            );
            notes.push(problem.context(target.span(), "the client"));
        }
        return;
    }
    let wrong = |title: String, mend: String| {
        let problem = Problem::at(target.span(), &title, &format!("expected `{mend}`"));
        notes.push(problem.fix("name it so", target.span(), &format!("\"{mend}\"")));
    };
    let topic = cluster.and_then(|cluster| cluster.topics.first());
    let topic = topic.map_or("TOPIC", |topic| topic.name.as_str());
    match (action.get_ref().reach(), target.get_ref()) {
        (Reach::ClientId, Target::ClientId(_)) => {}
        (Reach::ClientId, _) => {
            let problem = Problem::at(
                target.span(),
                &format!("`{word}` is done to the clients of an id"),
                "expected `client-id(ID)`",
            );
            notes.push(problem.note(&format!(
                "the producer's id is its `client.id`, {} where none is given",
                ProducerConfig::CLIENT_ID
            )));
        }
        (_, Target::ClientId(_)) => {
            let mend = match action.get_ref().reach() {
                Reach::Link | Reach::Frames => format!("link(client, leader({topic}-0))"),
                Reach::Topic | Reach::Settings => format!("topic({topic})"),
                Reach::Process | Reach::ClientId => format!("leader({topic}-0)"),
            };
            wrong(format!("`{word}` is not done to the clients of an id"), mend);
        }
        (Reach::Process | Reach::Settings, Target::Link(broker) | Target::Between { broker, .. }) => {
            wrong(
                format!("`{word}` is done to a broker, not to a link"),
                broker.to_string(),
            );
        }
        (Reach::Process, Target::Topic(_)) => wrong(
            format!("`{word}` is done to a broker, not to a topic"),
            format!("leader({topic}-0)"),
        ),
        (Reach::Link | Reach::Frames, Target::Topic(_)) => wrong(
            format!("`{word}` is done to a link"),
            format!("link(client, leader({topic}-0))"),
        ),
        (Reach::Frames, Target::Between { .. }) => wrong(
            format!("`{word}` is done to what clients send and get"),
            format!("link(client, leader({topic}-0))"),
        ),
        (Reach::Link, Target::Link(_) | Target::Between { .. })
        | (Reach::Frames, Target::Link(_))
        | (Reach::Topic, Target::Topic(_)) => {}
        (Reach::Link | Reach::Frames, broker) => wrong(
            format!("`{word}` is done to a link"),
            format!("link(client, {broker})"),
        ),
        (Reach::Topic, _) => wrong(format!("`{word}` is done to a topic"), format!("topic({topic})")),
        (Reach::Process | Reach::Settings, _) => {}
    }
    if *action.get_ref() == Action::FillDisk && cluster.is_some_and(|cluster| cluster.disk.is_none()) {
        let problem = Problem::at(
            action.span(),
            "no small disk to fill",
            "the machine's own is left alone",
        );
        notes.push(problem.note("give every broker one: disk = \"512 MiB\" in [cluster]"));
    }
    if let (Action::Grow { partitions }, Target::Topic(name), Some(cluster)) =
        (action.get_ref(), target.get_ref(), cluster)
        && let Some(topic) = cluster.topics.iter().find(|topic| topic.name == *name)
        && *partitions <= topic.partitions
    {
        let label = format!("`{name}` has {} to begin with", topic.partitions);
        notes.push(Problem::at(
            table.place("partitions"),
            "a topic can only get more partitions",
            &label,
        ));
    }
}
