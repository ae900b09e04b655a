//! Kafka's own settings of brokers and topics: names and types of the version that is pinned, so that a typo is found here
//! and not in the log of a broker that did not start. (The producer checks its settings itself.)

use std::collections::BTreeMap;

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::grammar::Properties;
use crate::scenario::reader::{Notes, Property};

const BROKER: &str = include_str!("properties/broker.txt");
const TOPIC: &str = include_str!("properties/topic.txt");

/// Broker settings that the cluster sets itself; a file that sets them would take the cluster away from the runner.
const OWNED: &[&str] = &[
    "advertised.listeners",
    "broker.id",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "process.roles",
];

/// Name and type of every setting of a scope.
pub(crate) fn known(scope: Properties) -> impl Iterator<Item = (&'static str, &'static str)> {
    let text = match scope {
        Properties::Broker => BROKER,
        Properties::Topic => TOPIC,
        Properties::Producer => "",
    };
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
}

/// Notes unknown names, values of the wrong type and settings that are the runner's; gives the rest.
pub(crate) fn check(
    scope: Properties,
    written: &BTreeMap<String, Property>,
    notes: &Notes<'_>,
) -> BTreeMap<String, String> {
    let whose = if scope == Properties::Broker {
        "broker"
    } else {
        "topic"
    };
    let mut properties = BTreeMap::new();
    for (name, property) in written {
        if scope == Properties::Broker && OWNED.contains(&name.as_str()) {
            let problem = Problem::at(
                property.name_span.clone(),
                &format!("`{name}` is set by steadfast"),
                "not for a scenario to set",
            );
            notes.push(problem.note("listeners, roles, ids and log directories belong to the run that starts and heals the cluster"));
            continue;
        }
        let Some((_, kind)) = known(scope).find(|(known, _)| known == name) else {
            notes.push(unknown(
                name,
                property,
                &format!("{whose} setting"),
                known(scope).map(|(name, _)| name),
            ));
            continue;
        };
        if let Some(expected) = mismatch(kind, &property.value) {
            let label = format!("expected {expected}, found `{}`", property.value);
            notes.push(Problem::at(
                property.span.clone(),
                &format!("wrong value for `{name}`"),
                &label,
            ));
            continue;
        }
        properties.insert(name.clone(), property.value.clone());
    }
    properties
}

/// The frame for a Kafka setting that does not exist.
pub(crate) fn unknown<'a>(
    name: &str,
    property: &Property,
    whose: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Problem {
    let near = nearest(name, candidates);
    let label = near.map_or_else(
        || "Kafka has no such setting".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let problem = Problem::at(
        property.name_span.clone(),
        &format!("unknown {whose} `{name}`"),
        &label,
    );
    match near {
        Some(near) => problem.fix(
            "a setting with a similar name exists",
            property.name_span.clone(),
            near,
        ),
        None => problem,
    }
}

fn mismatch(kind: &str, value: &str) -> Option<&'static str> {
    match kind {
        "int" | "short" => value.parse::<i32>().is_err().then_some("a whole number"),
        "long" => value.parse::<i64>().is_err().then_some("a whole number"),
        "double" => value.parse::<f64>().is_err().then_some("a number"),
        "boolean" => (value != "true" && value != "false").then_some("true or false"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_whole_and_sorted() {
        for (scope, least) in [(Properties::Broker, 300), (Properties::Topic, 30)] {
            let names: Vec<&str> = known(scope).map(|(name, _)| name).collect();
            assert!(names.len() >= least && names.is_sorted());
        }
        let broker: Vec<&str> = known(Properties::Broker).map(|(name, _)| name).collect();
        assert!(OWNED.iter().all(|name| broker.contains(name)));
    }
}
