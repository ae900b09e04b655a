//! JSON Schema of scenario files, for editors that complete and check TOML (Taplo: the `#:schema` line).
//!
//! Made from the grammar, so that it cannot know other keys; draft-07, of it only what draft-04 has too. An editor sees
//! a pasted `linger.ms = 0` as nested tables, and so does the schema.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};
use steadfast_producer::config::PROPERTIES;

use crate::scenario::grammar::{Key, Properties, ROOT, Section, Shape};
use crate::scenario::properties;
use crate::scenario::readers::SETTINGS;
use crate::scenario::thresholds::METRICS;

/// The schema, as committed in `scenarios/scenario.schema.json`.
pub(crate) fn scenario() -> Value {
    let mut schema = section(&ROOT);
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Steadfast scenario");
    schema
}

/// As a file has it: narrow indentation, for it is deep, and a newline at its end.
pub(crate) fn scenario_text() -> String {
    let mut text = Vec::new();
    let narrow = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let written = scenario().serialize(&mut serde_json::Serializer::with_formatter(&mut text, narrow));
    debug_assert!(
        written.is_ok(),
        "a value of strings and numbers always has a text"
    );
    text.push(b'\n');
    String::from_utf8_lossy(&text).into_owned()
}

fn section(section: &Section) -> Value {
    let mut keys: Map<String, Value> = section.keys.iter().map(|k| (k.name.to_owned(), key(k))).collect();
    if let Some(scope) = section.properties {
        keys.extend(nested(scope));
    }
    let required: Vec<&str> = section
        .keys
        .iter()
        .filter(|key| key.required)
        .map(|key| key.name)
        .collect();
    let mut schema = json!({ "type": "object", "properties": keys, "additionalProperties": false });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn key(key: &Key) -> Value {
    let mut schema = shape(&key.shape);
    schema["description"] = json!(key.doc);
    if !key.default.is_empty() {
        schema["default"] = key
            .default
            .parse::<i64>()
            .map_or_else(|_| json!(key.default), |number| json!(number));
    }
    schema
}

fn shape(shape: &Shape) -> Value {
    let expressions = json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 });
    match shape {
        Shape::Text | Shape::Target => json!({ "type": "string" }),
        Shape::Integer(min, i64::MAX) => json!({ "type": "integer", "minimum": min }),
        Shape::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Duration => json!({ "type": "string", "pattern": "^ *[0-9].*[a-zµ] *$" }),
        Shape::Rate => json!({ "type": "string", "pattern": "^ *[0-9][0-9_.]* */ *[a-z]+ *$" }),
        Shape::Size => json!({ "type": "string", "pattern": "^ *[0-9][0-9.]* *[A-Za-z]+ *$" }),
        Shape::Word(words) => json!({ "type": "string", "enum": words }),
        Shape::Probes => expressions,
        Shape::Table(inner) => section(inner),
        Shape::Tables(inner) => json!({ "type": "array", "items": section(inner) }),
        Shape::Named(inner) => {
            json!({ "type": "object", "additionalProperties": section(inner), "minProperties": 1 })
        }
        // The names of both scopes stand in the schema already, thousands of lines; the parser checks these.
        Shape::Properties(Properties::Live) => json!({ "type": "object", "minProperties": 1 }),
        Shape::Properties(scope) => {
            json!({ "type": "object", "properties": nested(*scope), "additionalProperties": false })
        }
        Shape::Thresholds => {
            let names: Vec<&str> = METRICS.iter().map(|(name, ..)| *name).collect();
            let pattern = format!("^({})(\\{{phase:[a-z0-9:-]+\\}})?$", names.join("|"));
            json!({ "type": "object", "patternProperties": { pattern: expressions }, "additionalProperties": false })
        }
    }
}

/// `linger.ms` → `{ linger: { ms: ... } }`.
fn nested(scope: Properties) -> Map<String, Value> {
    let mut tree = Tree::default();
    let described = |(name, doc): (&str, &str)| (name.to_owned(), json!({ "description": doc }));
    let own: Vec<(String, Value)> = match scope {
        Properties::Producer => PROPERTIES.iter().map(|p| described((p.name, p.doc))).collect(),
        Properties::Consumer => SETTINGS.iter().copied().map(described).collect(),
        Properties::Broker | Properties::Topic | Properties::Live => Vec::new(),
    };
    if own.is_empty() {
        // Names alone: a value may be pasted as a number or as text, and the parser checks it.
        properties::known(scope).for_each(|(name, _)| tree.add(name, json!({})));
    }
    own.into_iter().for_each(|(name, value)| tree.add(&name, value));
    tree.schema()
}

/// Dotted names as a tree. A name may be a value and the beginning of others.
#[derive(Default)]
struct Tree {
    value: Option<Value>,
    below: BTreeMap<String, Tree>,
}

impl Tree {
    fn add(&mut self, name: &str, value: Value) {
        match name.split_once('.') {
            Some((first, rest)) => self.below.entry(first.to_owned()).or_default().add(rest, value),
            None => self.below.entry(name.to_owned()).or_default().value = Some(value),
        }
    }

    fn schema(self) -> Map<String, Value> {
        let one = |(name, tree): (String, Tree)| {
            let schema = match tree {
                Tree {
                    value: Some(value),
                    below,
                } if below.is_empty() => value,
                Tree {
                    value: Some(_),
                    below,
                } => {
                    json!({ "properties": Tree { value: None, below }.schema() })
                }
                Tree { value: None, below } => {
                    let properties = Tree { value: None, below }.schema();
                    json!({ "type": "object", "properties": properties, "additionalProperties": false })
                }
            };
            (name, schema)
        };
        self.below.into_iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_schema_is_that_of_the_grammar() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenario.schema.json");
        if std::env::var_os("STEADFAST_BLESS").is_some() {
            std::fs::write(path, scenario_text()).expect("written");
        }
        let committed = std::fs::read_to_string(path).expect("scenarios/scenario.schema.json");
        assert!(
            committed == scenario_text(),
            "stale: steadfast schema > scenarios/scenario.schema.json"
        );
    }
}
