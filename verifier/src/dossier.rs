//! `dossiers.json`: the way of each record that an anomaly names, as far as the run folder knows it. Times count from the
//! first due record of the run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The file's name in the run folder.
pub const FILE_NAME: &str = "dossiers.json";

/// One record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dossier {
    /// Who it is: `worker:index`.
    pub record: String,
    /// What was found about it.
    pub findings: Vec<Finding>,
    /// Its hand-over; none for a record that nobody sent.
    pub source: Option<Source>,
    /// What its client was told, or found out, in this order; none = it never heard of it again.
    pub outcomes: Vec<Told>,
    /// Where it stands in the log, in this order; the first few.
    pub places: Vec<Place>,
    /// Which readers got it during the run, and when; the first few.
    pub readers: Vec<SeenBy>,
}

/// An anomaly that names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// `L1`, ...
    pub id: String,
    /// What was found where.
    pub detail: String,
}

/// Where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Source {
    /// Worker.
    pub worker: u16,
    /// Which start of it.
    pub incarnation: u32,
    /// Its number.
    pub index: u64,
    /// When it was due.
    pub due_ns: i64,
    /// When it was given to the client.
    pub handed_over_ns: i64,
}

/// The outcome of its batch. What the client does not know is -1 (`transaction`: 0).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Told {
    /// `acked`, `not written`, `unknown`.
    pub outcome: String,
    /// Kafka's error code, 0 = none.
    pub error_code: i16,
    /// When the answer was read, or given up.
    pub at_ns: i64,
    /// Partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Producer id of its batch.
    pub producer_id: i64,
    /// Producer epoch of its batch.
    pub producer_epoch: i16,
    /// Sequence number of the first record of its batch.
    pub base_sequence: i32,
    /// Number of its transaction, counted by the client.
    pub transaction: u64,
    /// Node that its batch was last sent to.
    pub broker: i32,
    /// Correlation id of the request that its batch was last sent in.
    pub correlation_id: i32,
}

/// A place in the log where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// Offset of its batch.
    pub batch_offset: i64,
    /// Producer id of its batch, -1 = none.
    pub producer_id: i64,
    /// Producer epoch of its batch, -1 = none.
    pub producer_epoch: i16,
    /// Sequence number of the first record of its batch, -1 = none.
    pub base_sequence: i32,
    /// Leader epoch that its batch was written under, -1 = not known.
    pub leader_epoch: i32,
    /// `committed`, `aborted`, `open`: whether a reader at read_committed gets it.
    pub visibility: String,
    /// Its stamp fits.
    pub intact: bool,
}

/// A reader that got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeenBy {
    /// Its name.
    pub reader: String,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
    /// When.
    pub at_ns: i64,
}
