//! A simulated Kafka cluster as a pure model: requests and time in, answers out. No socket, clock or file inside.
//!
//! ```text
//!            opened, closed, received, advance(now), order, hook
//! shell ───────────────────────────────────────────────────────▶ model ── append, read ──▶ store
//!       ◀── next_action: answer, close, remember ── wakeup_ns ──
//! ```
//!
//! One model, two shells: a TCP front that keeps logs in files, and a simulated world in virtual time.

pub mod settings; // what a cluster is configured with
pub mod store; // where bytes lie
pub mod fact; // what else must be remembered
pub mod order; // faults and administration
pub mod hook; // one request caught
pub mod model; // the cluster from outside

pub use fact::{Fact, OffsetFact, TransactionFact};
pub use hook::{Hook, HookId, What, When};
pub use model::{Action, ConnectionId, Endpoint, Model, Now};
pub use order::{Order, OrderError, Stop};
pub use settings::Settings;
pub use store::{LogId, Memory, Store, StoreError};
