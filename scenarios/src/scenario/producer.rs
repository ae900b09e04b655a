//! `[producer]`: a profile, and Kafka's own settings on top of it.

use std::time::Duration;

use steadfast_verifier::environment::Setting;

use crate::scenario::reader::{Notes, Table};
use crate::scenario::workload::Load;

/// The producer's settings, checked.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The profile that the defaults are from.
    pub profile: &'static str,
    /// What the worker is given: Kafka's names to values as text, `profile` among them.
    pub properties: super::Properties,
    /// `delivery.timeout.ms`: when every outcome is known at the latest.
    pub delivery_timeout: Duration,
    /// `buffer.memory` in bytes.
    pub buffer_memory: u64,
    /// What differs from Kafka's defaults.
    pub differences: Vec<Setting>,
}

/// Reads `[producer]`; without the table, the low-latency profile.
pub(crate) fn read(table: Option<&Table<'_>>, _load: Option<&Load>, _notes: &Notes<'_>) -> Option<Settings> {
    let profile = match table {
        Some(table) => *table.word("profile")?.get_ref(),
        None => "low-latency",
    };
    let written = table.map(Table::properties).unwrap_or_default();
    let mut properties: super::Properties = written
        .iter()
        .map(|(name, property)| (name.clone(), property.value.clone()))
        .collect();
    let number = |name: &str, default: u64| {
        properties
            .get(name)
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let (delivery_timeout, buffer_memory) = (
        Duration::from_millis(number("delivery.timeout.ms", 120_000)),
        number("buffer.memory", 32 << 20),
    );
    properties.insert("profile".to_owned(), profile.to_owned());
    Some(Settings {
        profile,
        properties,
        delivery_timeout,
        buffer_memory,
        differences: Vec::new(),
    })
}
