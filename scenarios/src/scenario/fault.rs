//! `[[fault]]`: what goes wrong, when, and to whom.

use std::ops::Range;
use std::time::Duration;

use steadfast_chaos::fault::{Action, PlannedFault, Quota, Reach, Target};
use steadfast_verifier::provable::SIMULATED;
use toml::Spanned;

use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::grammar::MAX_FAULTS;
use crate::scenario::notes::Notes;
use crate::scenario::reader::Table;
use crate::scenario::units::show_duration;
use crate::scenario::workload::Load;

mod action; // what is done
pub(crate) mod campaign; // many of them, drawn
mod target; // to whom
mod when; // and what it waits for

/// How long `heal:<name>` lasts after a fault's end.
pub(crate) const HEAL: Duration = Duration::from_secs(10);

/// Reads the faults; `cluster` is none when it could not be read.
pub(crate) fn read(
    tables: &[Table<'_>],
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Vec<PlannedFault> {
    let mut faults: Vec<(Spanned<String>, PlannedFault)> = Vec::new();
    if let Some(table) = tables.get(MAX_FAULTS as usize) {
        notes.push(Problem::at(
            table.span.clone(),
            "too many faults",
            &format!("at most {MAX_FAULTS}"),
        ));
    }
    for table in tables.iter().take(MAX_FAULTS as usize) {
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
            if let Some((earlier, other)) = faults.iter().find(|(_, other)| collides(other, &fault)) {
                let problem = Problem::at(
                    name.span(),
                    &format!("two faults at once of {}", fault.target),
                    "it begins before the other one ends",
                );
                let label = format!("`{}` lasts until then", other.name);
                notes.push(problem.context(earlier.span(), &label));
            }
            faults.push((name, fault));
        }
    }
    when::check(&faults, notes);
    let mut faults: Vec<PlannedFault> = faults.into_iter().map(|(_, fault)| fault).collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// The first fault that a cluster of this kind has no answer to, and why; none when all can be run there.
pub(crate) fn beyond<'a>(faults: &'a [PlannedFault], kind: &str) -> Option<(&'a PlannedFault, &'static str)> {
    let why = |fault: &PlannedFault| {
        let end = match &fault.target {
            Target::Link(end) => end.as_ref(),
            Target::Between { .. } if kind != "kafka" => {
                return Some("no proxy stands between its brokers");
            }
            target => target,
        };
        match fault.action {
            Action::FillDisk if kind != "kafka" => Some("its brokers have no small disks of their own"),
            Action::StepClock { .. } if kind != "kafka" => Some("its brokers have no clocks of their own"),
            Action::Reassign if kind == SIMULATED => Some("it has no reassignments"),
            Action::Quota { .. } if kind == SIMULATED => Some("it takes no orders for quotas"),
            _ if *end == Target::Controller && kind == SIMULATED => Some("it has no quorum of controllers"),
            _ => None,
        }
    };
    faults.iter().find_map(|fault| Some((fault, why(fault)?)))
}

/// Notes faults of the network and faults of frames in one file: only one kind of proxy stands in front of the brokers.
/// `elsewhere` is where they come from if no table has their names: a campaign.
pub(crate) fn check_front(
    tables: &[Table<'_>],
    faults: &[PlannedFault],
    elsewhere: Option<&Range<usize>>,
    notes: &Notes<'_>,
) {
    let first = |reach: Reach| faults.iter().find(|fault| fault.action.reach() == reach);
    let (Some(link), Some(frames)) = (first(Reach::Link), first(Reach::Frames)) else {
        return;
    };
    let place = |fault: &PlannedFault| {
        let names = tables.iter().filter_map(|table| table.text("name"));
        let mut names = names.filter(|name| *name.get_ref() == fault.name);
        names
            .next()
            .map(|name| name.span())
            .or_else(|| elsewhere.cloned())
    };
    let (Some(one), Some(other)) = (place(frames), place(link)) else {
        return;
    };
    let problem = Problem::at(
        one,
        "faults of frames and faults of the network in one file",
        "our own proxy would have to stand here",
    );
    let problem = problem.context(other, "and Toxiproxy here");
    notes.push(problem.note("one proxy stands in front of the brokers: prove the two claims in two files"));
}

/// Whether two faults do the same kind of thing to the same target at the same time: the one that ends first would mend
/// what the other has hurt.
fn collides(one: &PlannedFault, other: &PlannedFault) -> bool {
    let end = |fault: &PlannedFault| fault.at.saturating_add(fault.hold.unwrap_or_default());
    let apart = one.at >= end(other) || other.at >= end(one);
    one.action.reach() == other.action.reach() && !apart && meet(&one.target, &other.target)
}

/// Whether two targets are surely the same, or links between brokers that surely have one in common. What only the run can
/// tell, as that the leader is broker-1 by then, the proxies refuse when it comes.
fn meet(one: &Target, other: &Target) -> bool {
    let (
        Target::Between { broker, other: end },
        Target::Between {
            broker: first,
            other: last,
        },
    ) = (one, other)
    else {
        return one == other;
    };
    match (end.as_ref(), last.as_ref()) {
        // Whoever the two are: each one's links to all others include the one between them.
        (None, None) => true,
        (None, Some(last)) => broker == first || broker == last,
        (Some(end), None) => first == broker || first == end,
        // A link has no first end: whoever opened the connections, they are hurt.
        (Some(end), Some(last)) => (broker, end) == (first, last) || (broker, end) == (last, first),
    }
}

fn read_one(
    table: &Table<'_>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<(Spanned<String>, PlannedFault)> {
    let name = table.text("name").filter(|name| plain_name(name, notes));
    let at = table.duration("at");
    let hold = table.duration("for");
    let when = when::read(table);
    let what = read_what(table, cluster, notes);
    if let Some(hold) = hold.as_ref().filter(|hold| hold.get_ref().is_zero()) {
        notes.push(Problem::at(
            hold.span(),
            "`for` is zero",
            "healed at once, it would not bite",
        ));
    }
    let (action, target) = what?;
    let fault = PlannedFault {
        name: name.as_ref()?.get_ref().clone(),
        at: at?.into_inner(),
        when: when?,
        hold: hold.map(Spanned::into_inner),
        action,
        target,
    };
    Some((name?, fault))
}

/// What is done and to whom, as a fault and a campaign's mix say it alike.
pub(super) fn read_what(
    table: &Table<'_>,
    cluster: Option<&ClusterWish>,
    notes: &Notes<'_>,
) -> Option<(Action, Target)> {
    let target: Option<Spanned<Target>> = table
        .text("target")
        .and_then(|text| target::read(&text, cluster, notes));
    let action = action::read(table, target.as_ref().map(Spanned::get_ref), notes);
    if let (Some(action), Some(target)) = (&action, &target) {
        action::suits(table, action, target, cluster, notes);
    }
    let action = action?;
    let of_frames = action.get_ref().reach() == Reach::Frames;
    if cluster.is_some_and(|cluster| cluster.kind == Some("external") && !of_frames) {
        let problem = Problem::at(
            action.span(),
            "an external cluster cannot be broken from here",
            "steadfast starts none of its processes",
        );
        notes.push(problem.note("leave `kind` out, so that --broker may choose `kafka` or `simulated`"));
    }
    Some((action.into_inner(), target?.into_inner()))
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

/// A client of the run, as brokers know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KnownClient {
    /// `client.id`.
    pub id: String,
    /// Whether it writes while the load runs.
    pub writes: bool,
    /// Whether it reads while the load runs.
    pub reads: bool,
}

/// Notes quotas of clients that this run does not have, or of what they never do: nothing would be held back.
pub(crate) fn check_client_ids(tables: &[Table<'_>], clients: &[KnownClient], notes: &Notes<'_>) {
    let ids: Vec<&str> = clients.iter().map(|client| client.id.as_str()).collect();
    for table in tables {
        let Some((text, id)) = table.text("target").and_then(|text| {
            let id = target::client_id(text.get_ref())
                .filter(|id| !id.is_empty())?
                .to_owned();
            Some((text, id))
        }) else {
            continue;
        };
        let of_id = || clients.iter().filter(|client| client.id == id);
        if of_id().next().is_none() {
            let problem = Problem::at(
                text.span(),
                &format!("no client of this run has the id `{id}`"),
                &format!("the ids are {}", ids.join(", ")),
            );
            notes.push(match nearest(&id, ids.iter().copied()) {
                Some(near) => problem.fix(
                    "a client with a similar id exists",
                    text.span(),
                    &format!("\"client-id({near})\""),
                ),
                None => problem,
            });
            continue;
        }
        let Some(quotas) = table.has("quotas").then(|| table.table("quotas")).flatten() else {
            continue;
        };
        let never = [
            (
                Quota::ProducerByteRate,
                "writes",
                of_id().any(|client| client.writes),
            ),
            (
                Quota::ConsumerByteRate,
                "reads",
                of_id().any(|client| client.reads),
            ),
        ];
        for (quota, does, _) in never.iter().filter(|(_, _, does)| !does) {
            if quotas.has(quota.name()) {
                let title = format!("`{}` of a client that never {does}", quota.name());
                let place = quotas.place(quota.name());
                let problem = Problem::at(place, &title, "nothing would be held back");
                notes.push(problem.context(text.span(), &format!("clients of the id `{id}`")));
            }
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
