//! A simulated Kafka cluster as a pure model: requests and time in, answers out. No socket, clock or file inside; those
//! are in `front` alone.
//!
//! ```text
//!            opened, closed, received, advance(now), order, hook
//! shell ───────────────────────────────────────────────────────▶ model ── append, read ──▶ store
//!       ◀── next_action: answer, close, remember ── wakeup_ns ──
//!
//! frame ─▶ request ─▶ serve ─▶ produce ─▶ partition ─▶ replica ─▶ log, producer state
//!                            │ fetch          ▲ replication moves the high watermark, and wakes who waits
//!                            │ metadata       └ cluster: nodes, controller, elections
//!                            └ coordinator: transactions, group offsets ─▶ markers
//! ```
//!
//! One model, two shells: a TCP front that keeps logs in files, and a simulated world in virtual time. It behaves as
//! Kafka 4.1 does where a client can tell; where it does not, the module says so. Not modelled: the group protocol,
//! compaction, log segments, fetch sessions, ELR (KIP-966), the inside of compressed batches, failure of the controller
//! quorum or of what coordinators have written, security.

pub mod settings; // what a cluster is configured with
mod properties; // the same by Kafka's names
pub mod store; // where bytes lie
pub mod fact; // what else must be remembered
pub mod order; // faults and administration
pub mod hook; // one request caught
pub mod model; // the cluster from outside
pub mod inspect; // the truth, for judges
pub mod recall; // a cluster that died whole comes back

mod code; // Kafka's error codes
mod random; // the only source of chance
mod timer; // what is due when
mod connection; // one request at a time
mod request; // header, guard, decoding
mod answer; // encoding
mod refuse; // an error where a hook wants one
mod serve; // from a frame to an answer
mod quota; // byte rates

mod batch; // one record batch as it comes
mod log; // all batches of a partition, and which of them each replica has
mod producer_state; // what is remembered of producers
mod replica; // one copy of a partition
mod partition; // all copies, and what the controller decided
mod topics; // names and partitions
mod configs; // properties

mod api_versions;
mod metadata;
mod produce;
mod fetch;
mod list_offsets;
mod describe;
mod coordinator; // transactions and group offsets

mod cluster; // nodes and the controller
mod replication; // followers, high watermark, ISR
mod election; // leaders by request
mod orders; // orders carried out
mod retention; // what time takes away

#[cfg(feature = "front")]
pub mod front; // the shell: sockets, files, clock

#[cfg(test)]
mod testing; // a client for tests
#[cfg(test)]
mod tests;

pub use fact::{Fact, OffsetFact, TransactionFact};
pub use hook::{Hook, HookId, What, When};
pub use inspect::{Batch, PartitionState, ProducerSeen};
pub use model::{Action, ConnectionId, Endpoint, Model, Now};
pub use order::{Order, OrderError, Stop};
pub use properties::PropertyError;
pub use recall::RecallError;
pub use refuse::refusal;
pub use settings::Settings;
pub use store::{LogId, Memory, Store, StoreError};
