//! The workload's producer properties, checked as our own producer checks them, and which of them were asked for.
//!
//! ```text
//! properties ─┐
//! profile ────┴─▶ ProducerConfig: a value for each ─▶ asked: those given, and those that differ from Kafka's defaults
//! ```
//! A peer gets what was asked for. Where nothing was, its client keeps its own default.

use std::collections::BTreeMap;

use steadfast_producer::config::ProducerConfig;
use steadfast_verifier::workload::Workload;

use crate::failure::Failure;

/// Settings that every peer takes from the workload's other fields or always has on.
const EVERYWHERE: [&str; 5] = [
    "bootstrap.servers",
    "client.id",
    "acks",
    "security.protocol",
    "transactional.id",
];

/// What the producer shall be like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A value for every setting.
    pub config: ProducerConfig,
    /// Kafka's name and value of each setting that the scenario or its profile says something about.
    pub asked: BTreeMap<&'static str, String>,
}

impl Settings {
    /// Reads the properties; all that is wrong with them at once.
    pub fn of(workload: &Workload) -> Result<Settings, Failure> {
        let config = ProducerConfig::from_properties(&workload.producer).map_err(|errors| {
            let lines = errors
                .iter()
                .map(|error| format!("{}: {}; {}", error.key, error.reason, error.mend));
            Failure::Settings(lines.collect::<Vec<_>>().join(" · "))
        })?;
        let differences = config.differences();
        let asked = config.values().filter(|(name, _)| {
            !EVERYWHERE.contains(name)
                && (workload.producer.contains_key(*name)
                    || differences.iter().any(|difference| difference.name == *name))
        });
        Ok(Settings {
            asked: asked.map(|(name, value)| (name, value.to_owned())).collect(),
            config,
        })
    }

    /// Says once what a client does not have.
    pub fn without(client: &str, missing: &[&str]) {
        if !missing.is_empty() {
            eprintln!("{client} does not have, and does without: {}", missing.join(", "));
        }
    }
}

#[cfg(test)]
mod tests {
    use steadfast_verifier::workload::{Executor, Keys, PartitionChoice};

    use super::*;

    fn workload() -> Workload {
        Workload {
            seed: 1,
            worker: 0,
            incarnation: 0,
            first_index: 0,
            bootstrap_servers: vec![],
            topic: "orders".into(),
            partitions: 6,
            partition: PartitionChoice::RoundRobin,
            executor: Executor::Unlimited { records: 1 },
            start_ns: 0,
            warmup_ns: 0,
            duration_ns: 0,
            drain_ns: 0,
            record_size: 100,
            keys: Keys::None,
            headers: vec![],
            transaction: None,
            copy: None,
            producer: Default::default(),
            history: "h".into(),
        }
    }

    #[test]
    fn what_was_given_and_what_the_profile_says_is_asked_for_and_nothing_else() {
        let mut order = workload();
        order.producer = [
            ("profile", "low-latency"),
            ("batch.size", "16384"),
            ("acks", "all"),
            ("client.id", "one"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let settings = Settings::of(&order).expect("legal");
        let asked: Vec<_> = settings
            .asked
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        assert_eq!(
            asked,
            [
                ("batch.size", "16384"),
                ("linger.ms", "0"),
                ("max.in.flight.requests.per.connection", "1"),
            ]
        );
        assert_eq!(settings.config.client_id, "one");
        order.producer.insert("batch.sise".to_owned(), "1".to_owned());
        assert!(matches!(Settings::of(&order), Err(Failure::Settings(_))));
    }
}
