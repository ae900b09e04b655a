//! A subject (docs/subject.md) that drives librdkafka, the C client, through the `rdkafka` crate: its `ThreadedProducer`,
//! whose thread calls back for each record.
//!
//! ```text
//! harness: due records ─▶ client.try_send ─▶ rd_kafka_producev ─▶ librdkafka's threads, one a broker
//!             history ◀─ completions ◀─ delivery callback ◀─ the crate's polling thread ◀─┘
//! ```

mod client; // records in, delivery reports out
mod settings; // Kafka's names to librdkafka's

use std::process::ExitCode;

use peer_harness::pipeline::drive;

use client::Librdkafka;

fn main() -> ExitCode {
    peer_harness::main(|workload| {
        let config = settings::translate(workload)?;
        drive(workload, |completions, ready_bound_ns| {
            Librdkafka::connect(workload, &config, completions, ready_bound_ns)
        })
    })
}
