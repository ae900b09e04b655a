//! Where each value of a scenario came from: command line, file, profile or default. `plan` shows it.

use serde::Serialize;
use toml::de::{DeTable, DeValue};

use crate::scenario::grammar::{self, Section, Shape};
use crate::scenario::producer::Settings;
use crate::scenario::source::Source;

/// One value as it applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Value {
    /// Dotted key: `workload.rate`, `producer.linger.ms`.
    pub key: String,
    /// As written.
    pub value: String,
    /// Who said so.
    pub origin: Origin,
}

/// Who set a value; the earlier wins over the later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// `--set`, `-X` or `--seed`, as typed.
    Flag(String),
    /// The file, on this line.
    Scenario(usize),
    /// The producer's profile.
    Profile(String),
    /// Nobody.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(argument) => write!(f, "{argument}"),
            Origin::Scenario(line) => write!(f, "line {line}"),
            Origin::Profile(profile) => write!(f, "profile {profile}"),
            Origin::Default => write!(f, "default"),
        }
    }
}

/// Every value written, in the order of the file, then what applies without being written.
pub(crate) fn values(document: &DeTable<'_>, source: &Source, producer: Option<&Settings>) -> Vec<Value> {
    let mut written = Vec::new();
    flatten("", document, source, &mut written);
    written.sort_by_key(|(start, _)| *start);
    let mut values: Vec<Value> = written.into_iter().map(|(_, value)| value).collect();
    for (prefix, section) in [
        ("", &grammar::ROOT),
        ("cluster.", &grammar::CLUSTER),
        ("workload.", &grammar::WORKLOAD),
        ("readers.", &grammar::READERS),
        ("neighbour.", &grammar::NEIGHBOUR),
        ("claims.", &grammar::CLAIMS),
    ] {
        let table = prefix.trim_end_matches('.');
        if matches!(table, "readers" | "neighbour") && !document.contains_key(table) {
            continue; // nobody there: what is not written of them has no default
        }
        defaults(prefix, section, document, &mut values);
    }
    if let Some(producer) = producer {
        let profile = Origin::Profile(producer.profile.to_owned());
        let of_profile = producer
            .differences
            .iter()
            .map(|setting| (format!("producer.{}", setting.name), &setting.value));
        let unwritten: Vec<Value> = of_profile
            .filter(|(key, _)| values.iter().all(|value| value.key != *key))
            .map(|(key, value)| Value {
                key,
                value: value.clone(),
                origin: profile.clone(),
            })
            .collect();
        values.extend(unwritten);
    }
    values
}

fn flatten(prefix: &str, table: &DeTable<'_>, source: &Source, values: &mut Vec<(usize, Value)>) {
    for (key, value) in table {
        let key = format!("{prefix}{}", key.get_ref());
        match value.get_ref() {
            DeValue::Table(inner) => flatten(&format!("{key}."), inner, source, values),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                for (i, item) in items.iter().enumerate() {
                    let Some(inner) = item.get_ref().as_table() else {
                        continue;
                    };
                    let name = inner.get("name").and_then(|name| name.get_ref().as_str());
                    let name = name.map_or_else(|| (i + 1).to_string(), str::to_owned);
                    flatten(&format!("{key}.{name}."), inner, source, values);
                }
            }
            _ => {
                let span = value.span();
                let text = source.text.get(span.clone()).unwrap_or_default();
                let value = Value {
                    key,
                    value: text.trim_matches('"').to_owned(),
                    origin: origin(source, &span),
                };
                values.push((span.start, value));
            }
        }
    }
}

fn origin(source: &Source, span: &std::ops::Range<usize>) -> Origin {
    use crate::scenario::source::Place;
    match source.place(span) {
        Place::Argument(argument, _) => Origin::Flag(argument.to_owned()),
        Place::File(range) => Origin::Scenario(
            source.original[..range.start.min(source.original.len())]
                .matches('\n')
                .count()
                + 1,
        ),
    }
}

fn defaults(prefix: &str, section: &Section, document: &DeTable<'_>, values: &mut Vec<Value>) {
    // `unlimited` has no warm-up, so the default of the other executors would mislead.
    let unlimited = values
        .iter()
        .any(|value| value.key == "workload.executor" && value.value == "unlimited");
    for key in section.keys.iter().filter(|key| !key.default.is_empty()) {
        let nested = matches!(key.shape, Shape::Table(_) | Shape::Tables(_));
        let full = format!("{prefix}{}", key.name);
        let present = values.iter().any(|value| value.key == full)
            || (prefix.is_empty() && document.contains_key(key.name));
        let misleading = unlimited && key.name == "warmup";
        if !(nested || present || misleading) {
            values.push(Value {
                key: full,
                value: key.default.to_owned(),
                origin: Origin::Default,
            });
        }
    }
}
