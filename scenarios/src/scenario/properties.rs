//! Kafka's own settings of brokers and topics: names and types of the version that is pinned, so that a typo is found here
//! and not in the log of a broker that did not start. (The producer checks its settings itself.)

use std::collections::BTreeMap;
use std::ops::Range;

use steadfast_chaos::cluster::OWNED;
use toml::Spanned;
use toml::de::DeValue;

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::grammar::Properties;
use crate::scenario::notes::Notes;
use crate::scenario::words::describe;

const BROKER: &str = include_str!("properties/broker.txt");
const TOPIC: &str = include_str!("properties/topic.txt");

/// Name and type of every setting of a scope.
pub(crate) fn known(scope: Properties) -> impl Iterator<Item = (&'static str, &'static str)> {
    let (text, more) = match scope {
        Properties::Broker => (BROKER, ""),
        Properties::Topic => (TOPIC, ""),
        Properties::Live => (BROKER, TOPIC),
        Properties::Producer | Properties::Consumer => ("", ""),
    };
    text.lines()
        .chain(more.lines())
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

/// A Kafka setting as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    /// The value as text.
    pub value: String,
    /// Where the value stands.
    pub span: Range<usize>,
    /// Where the name stands, dots and all.
    pub name_span: Range<usize>,
}

/// Joins nested tables into dotted names, values into text; a name that comes twice is noted.
pub(crate) fn flatten(
    name: &str,
    name_span: Range<usize>,
    value: &Spanned<DeValue<'_>>,
    notes: &Notes<'_>,
    found: &mut BTreeMap<String, Property>,
) {
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| number.as_str().to_owned(), |n| n.to_string()),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Table(entries) => {
            for (key, value) in entries {
                flatten(
                    &format!("{name}.{}", key.get_ref()),
                    key.span(),
                    value,
                    notes,
                    found,
                );
            }
            return;
        }
        other => {
            let label = format!("expected text, a number or true/false, found {}", describe(other));
            return notes.push(Problem::at(
                value.span(),
                &format!("wrong type for `{name}`"),
                &label,
            ));
        }
    };
    let name_span = dotted(notes.text, name_span);
    if let Some(earlier) = found.get(name) {
        let problem = Problem::at(
            name_span,
            &format!("`{name}` is set twice"),
            "the second time here",
        );
        return notes.push(problem.context(earlier.name_span.clone(), "the first time here"));
    }
    found.insert(
        name.to_owned(),
        Property {
            value: text,
            span: value.span(),
            name_span,
        },
    );
}

/// Widens the last segment of a dotted key to the whole of it.
fn dotted(text: &str, span: Range<usize>) -> Range<usize> {
    let before = &text[..span.start];
    let part = |c: char| c.is_ascii_alphanumeric() || "._-\"'".contains(c);
    let start = before
        .rfind(|c: char| !part(c))
        .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
    start..span.end
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
