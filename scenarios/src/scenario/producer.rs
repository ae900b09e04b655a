//! `[producer]`: a profile, and Kafka's own settings on top of it. The producer itself says what it does not take; here its
//! words find their place in the file.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_producer::config::{ConfigError, ProducerConfig};
use steadfast_verifier::environment::Setting;
use toml::Spanned;

use crate::scenario::diagnostics::Problem;
use crate::scenario::notes::Notes;
use crate::scenario::properties::Property;
use crate::scenario::reader::Table;
use crate::scenario::transaction;
use crate::scenario::workload::Load;

/// What a record may need beside its value and headers: batch header, lengths, key.
const RECORD_OVERHEAD: u64 = 256;
/// Settings that the runner gives to the producer.
const OWNED: &[&str] = &["bootstrap.servers", "metadata.broker.list"];

/// The producer's settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The profile that the defaults are from.
    pub profile: &'static str,
    /// What the worker is given: Kafka's names to values as text, `profile` among them.
    pub properties: BTreeMap<String, String>,
    /// `client.id`, never empty.
    pub client_id: String,
    /// `delivery.timeout.ms`: when every outcome is known at the latest.
    pub delivery_timeout: Duration,
    /// `buffer.memory` in bytes.
    pub buffer_memory: u64,
    /// What differs from Kafka's defaults.
    pub differences: Vec<Setting>,
    /// What was understood but deserves a word.
    pub notes: Vec<String>,
}

/// Reads `[producer]`; without the table, the low-latency profile.
pub(crate) fn read(table: Option<&Table<'_>>, load: Option<&Load>, notes: &Notes<'_>) -> Option<Settings> {
    let profile = match table {
        Some(table) => table.word("profile").map(Spanned::into_inner),
        None => Some("low-latency"),
    };
    let written = table.map(Table::properties).unwrap_or_default();
    for name in OWNED {
        if let Some(property) = written.get(*name) {
            let problem = Problem::at(
                property.name_span.clone(),
                &format!("`{name}` is set by steadfast"),
                "not for a scenario to set",
            );
            notes.push(
                problem.note(
                    "to use a cluster that runs already: --broker external --bootstrap-server HOST:PORT",
                ),
            );
        }
    }
    let given = written.iter().filter(|(name, _)| !OWNED.contains(&name.as_str()));
    let mut properties: BTreeMap<String, String> = given
        .map(|(name, property)| (name.clone(), property.value.clone()))
        .collect();
    properties.insert("profile".to_owned(), profile.unwrap_or("kafka").to_owned());
    let config = match ProducerConfig::from_properties(&properties) {
        Ok(config) => config,
        Err(errors) => {
            errors
                .iter()
                .for_each(|error| notes.push(problem(error, &written, table)));
            return None;
        }
    };
    if let Some(load) = load {
        record_fits(load, &config, &written, notes);
        transaction::suits(load, &config, &written, table, notes);
    }
    let difference = |d: steadfast_producer::config::Difference| Setting {
        scope: "producer".to_owned(),
        name: d.name.to_owned(),
        value: d.value,
        default: d.kafka_default.to_owned(),
        reason: d.reason,
    };
    Some(Settings {
        profile: profile?,
        properties,
        client_id: config.client_id.clone(),
        delivery_timeout: Duration::from_nanos(config.delivery_timeout_ns),
        buffer_memory: config.buffer_memory as u64,
        differences: config.differences().into_iter().map(difference).collect(),
        notes: config.notes,
    })
}

/// The producer's own words, at the place of the setting.
fn problem(error: &ConfigError, written: &BTreeMap<String, Property>, table: Option<&Table<'_>>) -> Problem {
    let Some(property) = written.get(&error.key) else {
        let place = table.map_or(0..0, |table| table.span.clone());
        return Problem::at(place, &format!("`{}` cannot be used", error.key), &error.reason)
            .note(&error.mend);
    };
    let of_value = error.value.is_some();
    let title = match (of_value, error.nearest.is_some()) {
        (true, _) => format!("`{} = {}` cannot be used", error.key, property.value),
        (false, true) => format!("unknown producer setting `{}`", error.key),
        (false, false) => format!("`{}` is not taken", error.key),
    };
    let place = if of_value {
        property.span.clone()
    } else {
        property.name_span.clone()
    };
    let problem = Problem::at(place, &title, &error.reason);
    let problem = match error
        .other_key
        .as_ref()
        .and_then(|key| written.get(key).map(|other| (key, other)))
    {
        Some((_, other)) => problem.context(
            other.name_span.start..other.span.end.max(other.name_span.end),
            "because of this",
        ),
        None => problem,
    };
    match error.nearest {
        Some(near) if !of_value => problem.fix(
            "a setting with a similar name exists",
            property.name_span.clone(),
            near,
        ),
        _ => problem.note(&error.mend),
    }
}

/// A record larger than a request would be refused one by one, for the whole run.
fn record_fits(
    load: &Load,
    config: &ProducerConfig,
    written: &BTreeMap<String, Property>,
    notes: &Notes<'_>,
) {
    let headers: u64 = load
        .workload
        .headers
        .iter()
        .map(|h| u64::from(h.size) + h.name.len() as u64)
        .sum();
    let needed = load
        .record_size
        .get_ref()
        .saturating_add(headers)
        .saturating_add(RECORD_OVERHEAD);
    let room = (config.max_request_size as u64).min(config.buffer_memory as u64);
    if needed <= room {
        return;
    }
    let label = format!("with its headers about {needed} bytes; a request carries {room}");
    let problem = Problem::at(
        load.record_size.span(),
        "a record that fits into no request",
        &label,
    );
    notes.push(match written.get("max.request.size") {
        Some(property) => problem.context(property.span.clone(), "the limit"),
        None => problem.note("raise `max.request.size` under [producer] (and `max.message.bytes` of the topic) or shrink the record"),
    });
}
