//! Faults that Kafka's own administration does: elections, reassignments, more partitions, settings. What shows that each
//! took effect is read back from the cluster. Settings come back at the end; the others are done when they are done.

use std::time::Duration;

use steadfast_wire::admin::{Config, Metadata, Partition};

use super::aim::Aim;
use super::{Stage, nanos};
use crate::cluster::{Cluster, Whose};
use crate::error::ChaosError;
use crate::fault::{Action, PlannedFault, Target};

/// How long an order may take to show: moving replicas copies what they hold.
const SHOWS_BOUND: Duration = Duration::from_secs(60);
/// How many changes evidence tells one by one.
const TOLD: usize = 3;

/// Does what is done to a topic. Returns when it shows.
pub(super) fn topic(stage: &Stage, fault: &PlannedFault) -> Result<(), ChaosError> {
    let Target::Topic(topic) = &fault.target else {
        return Err(ChaosError::admin(
            fault.action.word(),
            format!("{} is no topic", fault.target),
        ));
    };
    let before = partitions(&stage.cluster.topic_view(topic)?, topic);
    stage.started(fault, format!("{topic}, {} partitions", before.len()))?;
    let (what, value) = match &fault.action {
        Action::Elect => elect(stage, topic, &before)?,
        Action::Reassign => reassign(stage, topic, &before)?,
        Action::Grow { partitions } => grow(stage, topic, before.len(), *partitions)?,
        other => return Err(ChaosError::admin(other.word(), "is not done to a topic")),
    };
    stage.bit(fault, &Aim::nobody(), what, value)?;
    stage.healed(fault)
}

type Seen = Result<(&'static str, String), ChaosError>;

fn elect(stage: &Stage, topic: &str, before: &[Partition]) -> Seen {
    let able = electable(before).map_err(|reason| ChaosError::admin("elect", reason))?;
    let numbers: Vec<i32> = able.iter().map(|state| state.partition).collect();
    stage.cluster.elect_preferred(topic, &numbers)?;
    let after = until(stage, topic, "wait for the elected leaders", |state| {
        preferred(state) || !numbers.contains(&state.partition)
    })?;
    let moved = able.iter().filter_map(|was| {
        let is = after.iter().find(|is| is.partition == was.partition)?;
        let moved = is.leader != was.leader && is.leader_epoch > was.leader_epoch;
        moved.then(|| {
            format!(
                "{topic}-{}: broker-{} -> broker-{} in epoch {}",
                is.partition, was.leader, is.leader, is.leader_epoch
            )
        })
    });
    told("leaders_moved", "elect", &moved.collect::<Vec<_>>())
}

/// Pure: partitions whose leader an election would change. Another fault may have a preferred replica away just now: Kafka
/// would not elect it.
fn electable(before: &[Partition]) -> Result<Vec<&Partition>, String> {
    let astray: Vec<&Partition> = before.iter().filter(|state| !preferred(state)).collect();
    if astray.is_empty() {
        return Err("every partition is led by its preferred replica already".to_owned());
    }
    let first_in_sync = |state: &&&Partition| {
        let first = state.replicas.first();
        first.is_some_and(|first| state.isr.contains(first))
    };
    let able: Vec<&Partition> = astray.iter().filter(first_in_sync).copied().collect();
    if able.is_empty() {
        let count = astray.len();
        return Err(format!(
            "the preferred replica of none of {count} partitions is in sync"
        ));
    }
    Ok(able)
}

fn reassign(stage: &Stage, topic: &str, before: &[Partition]) -> Seen {
    let brokers: Vec<i32> = stage
        .cluster
        .broker_ids()
        .into_iter()
        .filter_map(|id| i32::try_from(id).ok())
        .collect();
    let wanted: Vec<(i32, Vec<i32>)> = before
        .iter()
        .map(|state| (state.partition, onwards(&state.replicas, &brokers)))
        .collect();
    stage.cluster.reassign(topic, &wanted)?;
    until(stage, topic, "wait for the moved replicas", |state| {
        let there = |(partition, replicas): &(i32, Vec<i32>)| {
            *partition == state.partition
                && *replicas == state.replicas
                && replicas.iter().all(|id| state.isr.contains(id))
        };
        wanted.iter().any(there)
    })?;
    let moved = before.iter().zip(&wanted).map(|(was, (partition, now))| {
        format!("{topic}-{partition}: {:?} -> {now:?}, all in sync", was.replicas)
    });
    told("replicas_moved", "reassign", &moved.collect::<Vec<_>>())
}

/// Pure: each replica moves to the next broker, the last one's to the first.
fn onwards(replicas: &[i32], brokers: &[i32]) -> Vec<i32> {
    let next = |id: &i32| {
        let at = brokers.iter().position(|broker| broker == id);
        at.and_then(|at| brokers.get((at + 1) % brokers.len()).copied())
            .unwrap_or(*id)
    };
    replicas.iter().map(next).collect()
}

fn grow(stage: &Stage, topic: &str, before: usize, wanted: u32) -> Seen {
    stage.cluster.create_partitions(topic, wanted)?;
    let after = until(stage, topic, "wait for the new partitions", |state| {
        state.leader >= 0 && state.isr.len() == state.replicas.len()
    })?;
    if after.len() != wanted as usize || before >= after.len() {
        let reason = format!("{topic} has {} partitions, not {wanted}", after.len());
        return Err(ChaosError::admin("grow", reason));
    }
    Ok((
        "partitions",
        format!("{before} -> {}, each with a leader", after.len()),
    ))
}

/// Sets settings for the fault's time.
pub(super) fn settings(stage: &Stage, fault: &PlannedFault, begin_ns: u64) -> Result<(), ChaosError> {
    let Action::Set { settings } = &fault.action else {
        return Err(ChaosError::admin(fault.action.word(), "sets nothing"));
    };
    let whose: Vec<(Whose, Aim)> = match &fault.target {
        Target::Topic(name) => vec![(Whose::Topic(name.clone()), Aim::nobody())],
        _ => {
            let aims = stage.resolve(fault)?.concat();
            aims.into_iter()
                .map(|aim| (Whose::Broker(aim.broker), aim))
                .collect()
        }
    };
    stage.started(fault, describe(&whose))?;
    let mut guards = Vec::new();
    for (whose, aim) in &whose {
        for (name, value) in settings {
            let missing = || ChaosError::admin(format!("set {name}"), "there is no such setting");
            let before = stage.cluster.setting(whose, name)?.ok_or_else(missing)?;
            if before.value.as_deref() == Some(value) {
                let reason = format!("it is {value} already: nothing would change");
                return Err(ChaosError::admin(format!("set {name}"), reason));
            }
            let shown = before.value.clone().unwrap_or_else(|| "none".into());
            guards.push(PutBack {
                cluster: &stage.cluster,
                whose,
                before,
                done: false,
            });
            stage.cluster.set(whose, name, Some(value))?;
            reads(stage, whose, name, Some(value))?;
            stage.bit(
                fault,
                aim,
                name,
                format!("{shown} -> {value}, as it is read back"),
            )?;
        }
    }
    stage.sleep_until(begin_ns.saturating_add(fault.hold.map_or(0, nanos)));
    for mut guard in guards {
        guard.put_back()?;
        let Config { name, value, .. } = &guard.before;
        reads(stage, guard.whose, name, value.as_deref())?;
    }
    stage.healed(fault)
}

/// Puts a setting back as it was, however the fault ends.
struct PutBack<'a> {
    cluster: &'a Cluster,
    whose: &'a Whose,
    before: Config,
    done: bool,
}

impl PutBack<'_> {
    fn put_back(&mut self) -> Result<(), ChaosError> {
        self.done = true;
        let value = self.before.value.as_deref().filter(|_| self.before.is_own);
        self.cluster.set(self.whose, &self.before.name, value)
    }
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        if !self.done {
            // The error that led here is what the log tells; a second one changes nothing.
            let _second = self.put_back();
        }
    }
}

/// Brokers learn of a setting a moment after the controller has taken it.
fn reads(stage: &Stage, whose: &Whose, name: &str, value: Option<&str>) -> Result<(), ChaosError> {
    const SHOWS: Duration = Duration::from_secs(5);
    let mut last = None;
    let seen = Stage::soon(SHOWS, || {
        last = stage.cluster.setting(whose, name).ok().flatten();
        last.as_ref().is_some_and(|found| found.value.as_deref() == value)
    });
    if seen {
        return Ok(());
    }
    let reads = last.and_then(|found| found.value).unwrap_or_default();
    Err(ChaosError::admin(
        format!("set {name}"),
        format!("it reads back as {reads:?}"),
    ))
}

fn preferred(state: &Partition) -> bool {
    state.replicas.first() == Some(&state.leader)
}

fn partitions(view: &Metadata, topic: &str) -> Vec<Partition> {
    let found = view.topics.iter().find(|found| found.name == topic);
    found.map_or_else(Vec::new, |found| found.partitions.clone())
}

/// Waits until every partition is as wanted, and gives them.
fn until(
    stage: &Stage,
    topic: &str,
    what: &str,
    mut done: impl FnMut(&Partition) -> bool,
) -> Result<Vec<Partition>, ChaosError> {
    let mut found = Vec::new();
    stage.cluster.until(what, SHOWS_BOUND, |view| {
        found = partitions(view, topic);
        match found.iter().find(|state| !done(state)) {
            _ if found.is_empty() => Err(format!("{topic} is not there")),
            None => Ok(()),
            Some(state) => Err(format!(
                "{topic}-{} is led by {} of {:?}, in sync {:?}",
                state.partition, state.leader, state.replicas, state.isr
            )),
        }
    })?;
    Ok(found)
}

fn told(what: &'static str, verb: &str, changes: &[String]) -> Seen {
    if changes.is_empty() {
        return Err(ChaosError::admin(verb, "nothing moved by it"));
    }
    let more = changes.len().saturating_sub(TOLD);
    let mut text = changes[..changes.len().min(TOLD)].join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    Ok((what, text))
}

fn describe(whose: &[(Whose, Aim)]) -> String {
    let one = |(whose, _): &(Whose, Aim)| match whose {
        Whose::Topic(name) => format!("topic {name}"),
        Whose::Broker(id) => format!("broker-{id}"),
    };
    whose.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kafka_would_elect_is_electable() {
        let partition = |partition, leader, isr: &[i32]| Partition {
            partition,
            error_code: 0,
            leader,
            leader_epoch: 4,
            replicas: vec![1, 2, 3],
            isr: isr.to_vec(),
        };
        let (home, astray, away) = (
            partition(0, 1, &[1, 2, 3]),
            partition(1, 2, &[2, 1]),
            partition(2, 3, &[3, 2]),
        );
        let all = [home.clone(), astray.clone(), away.clone()];
        assert_eq!(electable(&all), Ok(vec![&astray]));
        let told = |states: &[Partition]| electable(states).unwrap_err();
        assert!(told(std::slice::from_ref(&home)).contains("already"));
        assert!(told(&[home, away]).contains("none of 1 partitions is in sync"));
    }

    #[test]
    fn replicas_go_round_and_the_same_set_keeps_its_brokers() {
        assert_eq!(onwards(&[1, 2, 3], &[1, 2, 3]), [2, 3, 1]);
        assert_eq!(onwards(&[3, 1], &[1, 2, 3]), [1, 2]);
        assert_eq!(onwards(&[9], &[1, 2, 3]), [9], "a broker that is not ours stays");
    }

    #[test]
    fn nothing_moved_is_no_evidence_and_many_are_told_shortly() {
        assert!(told("x", "elect", &[]).is_err());
        let changes: Vec<String> = (0..5).map(|number| number.to_string()).collect();
        assert_eq!(told("x", "elect", &changes).unwrap().1, "0; 1; 2; and 2 more");
    }
}
