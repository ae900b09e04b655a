//! Names: Kafka's own, librdkafka's for the same thing, those refused with a reason, and the nearest to a typo.

use std::collections::BTreeMap;

use super::error::{ConfigError, bad_key};
use super::properties::{PROPERTIES, Property};

/// A property that the user gave, under whatever name.
#[derive(Debug)]
pub(super) struct Given {
    /// Which property is meant.
    pub(super) property: &'static Property,
    /// The key as written.
    pub(super) key: String,
    /// The value as written.
    pub(super) written: String,
    /// The value in Kafka's unit.
    pub(super) value: String,
}

/// librdkafka's (or an older client's) name for a property, and how many of Kafka's units its unit is.
struct Alias {
    name: &'static str,
    property: &'static str,
    scale: i64,
}

const ALIASES: &[Alias] = &[
    alias("metadata.broker.list", "bootstrap.servers"),
    alias("request.required.acks", "acks"),
    alias("queue.buffering.max.ms", "linger.ms"),
    Alias {
        name: "queue.buffering.max.kbytes",
        property: "buffer.memory",
        scale: 1024,
    },
    alias("message.max.bytes", "max.request.size"),
    alias("message.timeout.ms", "delivery.timeout.ms"),
    alias("message.send.max.retries", "retries"),
    alias("max.in.flight", "max.in.flight.requests.per.connection"),
    alias("compression.codec", "compression.type"),
    alias("socket.send.buffer.bytes", "send.buffer.bytes"),
    alias("socket.receive.buffer.bytes", "receive.buffer.bytes"),
    alias("topic.metadata.refresh.interval.ms", "metadata.max.age.ms"),
];

/// Names that other producers take and this one does not; a `*` at the end stands for anything.
const NOT_TAKEN: &[(&str, &str, &str)] = &[
    (
        "queue.buffering.max.messages",
        "memory is bounded in bytes here",
        "use buffer.memory",
    ),
    (
        "batch.num.messages",
        "batches are bounded in bytes here",
        "use batch.size",
    ),
    (
        "compression.level",
        "each codec has its own level",
        "use compression.gzip.level or compression.zstd.level",
    ),
    (
        "partitioner",
        "the choice is always Kafka's own (murmur2, sticky without a key)",
        "remove it",
    ),
    (
        "partitioner.class",
        "no Java class can be loaded",
        "remove it, or name the partition of each record yourself",
    ),
    (
        "key.serializer",
        "keys are bytes here and go out as they are",
        "remove it",
    ),
    (
        "value.serializer",
        "values are bytes here and go out as they are",
        "remove it",
    ),
    ("interceptor.classes", "no Java class can be loaded", "remove it"),
    (
        "metric.reporters",
        "no Java class can be loaded",
        "remove it; metrics are in the library",
    ),
    (
        "config.providers*",
        "no Java class can be loaded",
        "remove it and write the value itself",
    ),
    (
        "transaction.two.phase.commit.enable",
        "a prepared transaction may stay open for ever; here each ends with its producer or its time-out (KIP-939)",
        "remove it",
    ),
    ("sasl.*", "only PLAINTEXT is spoken for now", "remove it"),
    ("ssl.*", "only PLAINTEXT is spoken for now", "remove it"),
];

/// Finds out which property each key means. Unknown, refused and doubly given keys are errors.
pub(super) fn resolve(
    properties: &BTreeMap<String, String>,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> Vec<Given> {
    let mut all: Vec<Given> = Vec::new();
    for (key, written) in properties {
        let alias = ALIASES.iter().find(|alias| alias.name == key);
        let Some(property) = Property::find(alias.map_or(key.as_str(), |alias| alias.property)) else {
            errors.push(not_known(key));
            continue;
        };
        let value = alias.map_or_else(|| written.clone(), |alias| alias.in_kafkas_unit(written));
        if alias.is_some() {
            notes.push(format!(
                "{key} = {written}: read as Kafka's {} = {value}",
                property.name
            ));
        }
        if let Some(earlier) = all.iter().find(|given| given.property.name == property.name) {
            if earlier.value != value {
                errors.push(ConfigError {
                    other_key: Some(earlier.key.clone()),
                    value: Some(written.clone()),
                    ..bad_key(
                        key,
                        format!(
                            "contradicts {} = {:?}, another name of the same setting",
                            earlier.key, earlier.written
                        ),
                        format!("keep one, best {}", property.name),
                        None,
                    )
                });
            }
            continue;
        }
        all.push(Given {
            property,
            key: key.clone(),
            written: written.clone(),
            value,
        });
    }
    all
}

fn not_known(key: &str) -> ConfigError {
    let refused = NOT_TAKEN.iter().find(|(name, ..)| match name.strip_suffix('*') {
        Some(prefix) => key.starts_with(prefix),
        None => *name == key,
    });
    if let Some((_, reason, mend)) = refused {
        return bad_key(key, (*reason).to_owned(), (*mend).to_owned(), None);
    }
    let nearest = nearest(key);
    let mend = match nearest {
        Some(name) => format!("did you mean {name}?"),
        None => "remove it".to_owned(),
    };
    bad_key(key, "no such producer property".to_owned(), mend, nearest)
}

/// The known name that `key` was probably meant to be: the same but for case and separators, else the one with
/// the fewest edits, at most a third of the name.
pub(super) fn nearest(key: &str) -> Option<&'static str> {
    let plain = |name: &str| name.replace(['.', '_', '-', ' '], "").to_lowercase();
    let meant = plain(key);
    let names = PROPERTIES
        .iter()
        .map(|property| property.name)
        .chain(ALIASES.iter().map(|alias| alias.name));
    names
        .map(|name| (strsim::damerau_levenshtein(&plain(name), &meant), name))
        .min_by_key(|(edits, _)| *edits)
        .filter(|(edits, name)| *edits <= name.len() / 3)
        .map(|(_, name)| name)
}

impl Alias {
    /// What is no number is left as it is: its parser says so, in the user's words.
    fn in_kafkas_unit(&self, written: &str) -> String {
        if self.scale == 1 {
            return written.to_owned();
        }
        let number = written
            .trim()
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(self.scale));
        number.map_or_else(|| written.to_owned(), |number| number.to_string())
    }
}

const fn alias(name: &'static str, property: &'static str) -> Alias {
    Alias {
        name,
        property,
        scale: 1,
    }
}
