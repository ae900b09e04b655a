//! A subject (docs/subject.md) that drives krafka, a client in Rust alone, which lives on one tokio worker.
//!
//! ```text
//! generator's thread                                        tokio worker
//! harness: due records ─▶ client.try_send: polls `enqueue` ─▶ krafka's engine ─▶ sockets
//!             history ◀─ completions ◀─ on_acknowledgement ◀─────┘
//! ```
//! What it cannot do is refused (`settings.rs`): a sticky choice of the partition for records that have keys.

mod client; // records in, acknowledgements out
mod settings; // Kafka's names to krafka's builders

use std::process::ExitCode;

use peer_harness::pipeline::drive;

use client::Krafka;
use settings::Settings;

fn main() -> ExitCode {
    peer_harness::main(|workload| {
        let settings = Settings::translate(workload)?;
        drive(workload, |completions, ready_bound_ns| {
            Krafka::connect(workload, &settings, completions, ready_bound_ns)
        })
    })
}
