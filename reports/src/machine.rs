//! Where figures that are set side by side come from, as plain texts.

use steadfast_verifier::environment::Environment;

use crate::number;
use crate::text::{Limits, plural};

/// Name and value: machine, versions, command.
pub(crate) fn facts(environment: &Environment, seed: u64) -> Vec<(String, String)> {
    let limits = Limits::USUAL;
    let short = |text: &str| limits.short(text);
    let broker = &environment.broker;
    let debug = if environment.debug_build {
        ", a debug build: its figures say nothing"
    } else {
        ""
    };
    let facts = [
        ("measured", short(&environment.started)),
        (
            "broker",
            short(&format!(
                "{} {}, {}, {}",
                broker.kind,
                broker.version,
                plural(u64::from(broker.nodes), "node"),
                broker.java
            )),
        ),
        (
            "machine",
            short(&format!(
                "{} x {}, {}, kernel {}",
                environment.cores,
                environment.cpu,
                number::bytes(environment.memory_bytes as f64),
                environment.kernel
            )),
        ),
        ("file system of the log", short(&environment.log_file_system)),
        ("steadfast", short(&format!("{}{debug}", environment.steadfast))),
        ("seed", seed.to_string()),
        ("command", limits.long(&environment.rerun)),
    ];
    facts.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// Scope, name, value and Kafka's default of each setting that differs from it.
pub(crate) fn settings(environment: &Environment) -> Vec<[String; 4]> {
    let limits = Limits::USUAL;
    let row = |setting: &steadfast_verifier::environment::Setting| {
        [&setting.scope, &setting.name, &setting.value, &setting.default].map(|text| limits.short(text))
    };
    environment.differences.iter().map(row).collect()
}
