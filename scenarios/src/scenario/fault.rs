//! `[[fault]]`: what goes wrong, when, and to whom.

use std::time::Duration;

use steadfast_chaos::fault::{Action, PlannedFault, Target};
use toml::Spanned;

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::notes::Notes;
use crate::scenario::reader::Table;
use crate::scenario::units::show_duration;
use crate::scenario::workload::Load;

/// How long `heal:<name>` lasts after a fault's end.
pub(crate) const HEAL: Duration = Duration::from_secs(10);
/// Most faults of a scenario.
pub(crate) const MAX_FAULTS: usize = 100;

fn action_of(word: &str) -> Option<Action> {
    [Action::Kill, Action::Pause, Action::Restart, Action::Partition]
        .into_iter()
        .find(|action| action.word() == word)
}

/// Reads the faults; `cluster` is none when it could not be read.
pub(crate) fn read(
    tables: &[Table<'_>],
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Vec<PlannedFault> {
    let mut faults: Vec<(Spanned<String>, PlannedFault)> = Vec::new();
    if let Some(table) = tables.get(MAX_FAULTS) {
        notes.push(Problem::at(
            table.span.clone(),
            "too many faults",
            &format!("at most {MAX_FAULTS}"),
        ));
    }
    for table in tables.iter().take(MAX_FAULTS) {
        if let Some((name, fault)) = read_one(table, cluster, notes) {
            if let Some((earlier, _)) = faults
                .iter()
                .find(|(earlier, _)| earlier.get_ref() == name.get_ref())
            {
                let problem = Problem::at(
                    name.span(),
                    &format!("two faults named `{}`", fault.name),
                    "phases need names of their own",
                );
                notes.push(problem.context(earlier.span(), "the first"));
            }
            faults.push((name, fault));
        }
    }
    let mut faults: Vec<PlannedFault> = faults.into_iter().map(|(_, fault)| fault).collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn read_one(
    table: &Table<'_>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<(Spanned<String>, PlannedFault)> {
    let name = table.text("name").filter(|name| plain_name(name, notes));
    let at = table.duration("at");
    let hold = table.duration("for");
    let action = table
        .word("action")
        .and_then(|word| Some(Spanned::new(word.span(), action_of(word.get_ref())?)));
    let target = table
        .text("target")
        .and_then(|text| read_target(&text, cluster, notes));
    if let (Some(action), Some(target)) = (&action, &target) {
        suits(action, target, notes);
    }
    let action = action?;
    if matches!(action.get_ref(), Action::Pause | Action::Partition) && !table.has("for") {
        let problem = Problem::at(
            table.span.clone(),
            &format!("`{}` needs `for`", action.get_ref().word()),
            "expected `for = \"5s\"`",
        );
        notes.push(problem.context(action.span(), "healed at once, it would not bite"));
    }
    if let Some(hold) = hold.as_ref().filter(|hold| hold.get_ref().is_zero()) {
        notes.push(Problem::at(
            hold.span(),
            "`for` is zero",
            "healed at once, it would not bite",
        ));
    }
    if cluster.is_some_and(|cluster| cluster.kind == Some("external")) {
        let problem = Problem::at(
            action.span(),
            "an external cluster cannot be broken from here",
            "steadfast starts none of its processes",
        );
        notes.push(problem.note("leave `kind` out, so that --broker may choose `kafka` or `simulated`"));
    }
    let fault = PlannedFault {
        name: name.as_ref()?.get_ref().clone(),
        at: at?.into_inner(),
        hold: hold.map(Spanned::into_inner),
        action: *action.get_ref(),
        target: target?.into_inner(),
    };
    Some((name?, fault))
}

fn plain_name(name: &Spanned<String>, notes: &Notes<'_>) -> bool {
    let plain = name
        .get_ref()
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !plain {
        notes.push(Problem::at(
            name.span(),
            "not a name for a fault",
            "expected lower-case letters, digits and `-`, such as `kill-leader`",
        ));
    }
    plain
}

/// Whether the action can be done to the target.
fn suits(action: &Spanned<Action>, target: &Spanned<Target>, notes: &Notes<'_>) {
    if *target.get_ref() == Target::Client {
        if *action.get_ref() != Action::Kill {
            let problem = Problem::at(
                action.span(),
                &format!("`{}` is not done to the client", action.get_ref().word()),
                "expected `kill`; with `for` it is started again",
            );
            notes.push(problem.context(target.span(), "the client"));
        }
        return;
    }
    let link = matches!(target.get_ref(), Target::Link(_));
    let cut = *action.get_ref() == Action::Partition;
    if link == cut {
        return;
    }
    let (title, mend) = match target.get_ref() {
        Target::Link(broker) => (
            format!("`{}` is done to a broker, not to a link", action.get_ref().word()),
            broker.to_string(),
        ),
        Target::EveryBroker => {
            let problem = Problem::at(
                target.span(),
                "`partition` is done to one link",
                "expected `link(client, broker-1)` or `link(client, leader(topic-0))`",
            );
            return notes.push(problem);
        }
        broker => (
            "`partition` is done to a link".to_owned(),
            format!("link(client, {broker})"),
        ),
    };
    let problem = Problem::at(target.span(), &title, &format!("expected `{mend}`"));
    notes.push(problem.fix("name it so", target.span(), &format!("\"{mend}\"")));
}

fn read_target(
    text: &Spanned<String>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<Spanned<Target>> {
    match parse_target(text.get_ref(), cluster) {
        Ok(target) => Some(Spanned::new(text.span(), target)),
        Err((title, label, mend)) => {
            let problem = Problem::at(text.span(), &title, &label);
            notes.push(match mend {
                Some(mend) => problem.fix(
                    "a target with a similar name exists",
                    text.span(),
                    &format!("\"{mend}\""),
                ),
                None => problem,
            });
            None
        }
    }
}

type TargetError = (String, String, Option<String>);

fn parse_target(text: &str, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    const HINT: &str =
        "expected `leader(topic-0)`, `broker-2`, `every-broker` or `link(client, leader(topic-0))`";
    let text = text.trim();
    let unknown = || (format!("unknown target `{text}`"), HINT.to_owned(), None);
    let inside = |word: &str| {
        text.strip_prefix(word)?
            .trim_start()
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    if text == "every-broker" {
        return Ok(Target::EveryBroker);
    }
    if text == "client" {
        return Ok(Target::Client);
    }
    if let Some(number) = text.strip_prefix("broker-") {
        let number: u32 = number.parse().map_err(|_| unknown())?;
        return match cluster {
            Some(cluster) if number == 0 || number > cluster.nodes => {
                let plural = if cluster.nodes == 1 {
                    "the only broker is `broker-1`".to_owned()
                } else {
                    format!("brokers are `broker-1` to `broker-{}`", cluster.nodes)
                };
                Err((format!("there is no `broker-{number}`"), plural, None))
            }
            _ => Ok(Target::Broker(number)),
        };
    }
    if let Some(partition) = inside("leader") {
        return leader(partition.trim(), cluster);
    }
    if let Some(ends) = inside("link") {
        let (from, to) = ends.split_once(',').ok_or_else(unknown)?;
        if from.trim() != "client" {
            return Err((
                format!("unknown end of a link `{}`", from.trim()),
                "expected `link(client, ...)`".to_owned(),
                None,
            ));
        }
        return match parse_target(to, cluster)? {
            end @ (Target::Leader { .. } | Target::Broker(_)) => Ok(Target::Link(Box::new(end))),
            _ => Err((
                "a link leads to one broker".to_owned(),
                "expected `link(client, broker-1)` or `link(client, leader(topic-0))`".to_owned(),
                None,
            )),
        };
    }
    let mend = nearest(text, ["every-broker", "broker-1", "client"]).map(str::to_owned);
    Err((format!("unknown target `{text}`"), HINT.to_owned(), mend))
}

fn leader(text: &str, cluster: Option<&ClusterWish>) -> Result<Target, TargetError> {
    let wrong = || {
        (
            format!("`{text}` names no partition"),
            "expected `leader(topic-0)`: topic, `-`, partition".to_owned(),
            None,
        )
    };
    let (topic, partition) = text.rsplit_once('-').ok_or_else(wrong)?;
    let partition: u32 = partition.parse().map_err(|_| wrong())?;
    let Some(cluster) = cluster else {
        return Ok(Target::Leader {
            topic: topic.to_owned(),
            partition,
        });
    };
    let Some(found) = cluster.topics.iter().find(|t| t.name == topic) else {
        let names: Vec<&str> = cluster.topics.iter().map(|topic| topic.name.as_str()).collect();
        let mend = nearest(topic, names.iter().copied()).map(|near| format!("leader({near}-{partition})"));
        return Err((
            format!("there is no topic `{topic}`"),
            format!("the topics are {}", names.join(", ")),
            mend,
        ));
    };
    if partition >= found.partitions {
        let label = format!("`{topic}` has partitions 0 to {}", found.partitions - 1);
        return Err((
            format!("there is no partition {partition} of `{topic}`"),
            label,
            None,
        ));
    }
    Ok(Target::Leader {
        topic: topic.to_owned(),
        partition,
    })
}

/// Notes faults that meet a client which cannot go on after them: where it left off, only a copy job can tell.
pub(crate) fn check_client(tables: &[Table<'_>], load: &Load, notes: &Notes<'_>) {
    if load.workload.copy.is_some() {
        return;
    }
    for target in tables.iter().filter_map(|table| table.text("target")) {
        if target.get_ref().trim() == "client" {
            let problem = Problem::at(
                target.span(),
                "a fault of a client that could not go on after it",
                "expected `through = \"copy\"` in [workload]",
            );
            notes.push(problem.note(
                "a copy job asks the cluster for its position; no other load has a position to ask for",
            ));
        }
    }
}

/// Notes faults that begin or end after the load; `duration` is the load's length after warm-up.
pub(crate) fn check_times(tables: &[Table<'_>], duration: &Spanned<Duration>, notes: &Notes<'_>) {
    for table in tables {
        let (Some(at), hold) = (table.duration("at"), table.duration("for")) else {
            continue;
        };
        let load = format!(
            "the load lasts {} after warm-up",
            show_duration(*duration.get_ref())
        );
        if at.get_ref() >= duration.get_ref() {
            let problem = Problem::at(
                at.span(),
                "a fault after the end of the load",
                "it would never meet a record",
            );
            notes.push(problem.context(duration.span(), &load));
        } else if let Some(hold) =
            hold.filter(|hold| at.get_ref().saturating_add(*hold.get_ref()) > *duration.get_ref())
        {
            let end = show_duration(at.get_ref().saturating_add(*hold.get_ref()));
            let problem = Problem::at(
                hold.span(),
                "a fault that outlasts the load",
                &format!("it would end at {end}"),
            );
            notes.push(problem.context(duration.span(), &load));
        }
    }
}
