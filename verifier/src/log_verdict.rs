//! What a topic's log shows by itself, schema `steadfast/log-verdict/1`: of `verify --bootstrap-server HOST:PORT --topic T`,
//! where no history says what was handed over or acknowledged.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verdict::{Example, Inconclusive, Outcome};

/// The schema name that every one of them carries.
pub const SCHEMA: &str = "steadfast/log-verdict/1";

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogVerdict {
    /// Always `steadfast/log-verdict/1`.
    pub schema: String,
    /// The topic.
    pub topic: String,
    /// Of what stands in the log. A pass says nothing of what is in `not_checked`.
    pub verdict: Outcome,
    /// What `steadfast` exits with.
    pub exit_code: u8,
    /// Counts of records.
    pub records: LogRecords,
    /// How far each partition was read.
    pub partitions: Vec<PartitionSpan>,
    /// Who wrote what, by the stamps.
    pub writers: Vec<Writer>,
    /// The first few runs of indexes that are missing.
    pub gaps: Vec<Gap>,
    /// Anomalies by id; every id that was checked is present, with 0 if none was found.
    pub anomalies: BTreeMap<String, u64>,
    /// The first few of each anomaly, for people.
    pub examples: Vec<Example>,
    /// Why absence of anomalies is not shown.
    pub inconclusive: Vec<Inconclusive>,
    /// What no log can show by itself.
    pub not_checked: Vec<NotChecked>,
}

/// The published JSON Schema of the document, draft-07.
pub fn json_schema() -> serde_json::Value {
    let generator = schemars::generate::SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<LogVerdict>();
    schema.insert("$id".to_owned(), SCHEMA.into());
    schema.insert("title".to_owned(), SCHEMA.into());
    schema.to_value()
}

/// Data records of the log; markers are none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogRecords {
    /// Read.
    pub read: u64,
    /// Whose stamp fits: they are judged.
    pub intact: u64,
    /// Of those read, in transactions that were aborted.
    pub aborted: u64,
    /// Of those read, in transactions that are not ended.
    pub open: u64,
}

/// One partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionSpan {
    /// Its number.
    pub partition: i32,
    /// The first offset that was there.
    pub begin: i64,
    /// Everything below this offset was read.
    pub read_to: i64,
    /// Data records read.
    pub records: u64,
    /// Offsets between these two that hold nothing: compaction took them.
    pub empty_offsets: u64,
}

/// A worker between two starts of it: its records bear indexes from `incarnation` * 2^40 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Writer {
    /// Worker.
    pub worker: u16,
    /// Which start of it.
    pub incarnation: u32,
    /// Lowest index found.
    pub first_index: u64,
    /// Highest index found.
    pub last_index: u64,
    /// Distinct records that readers get.
    pub present: u64,
    /// Distinct records that stand only in transactions which are aborted or open.
    pub hidden: u64,
    /// Indexes up to the highest that stand nowhere: lost, or never written.
    pub missing: u64,
}

/// A run of missing indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The first of them, as `worker:index`.
    pub first: String,
    /// How many.
    pub records: u64,
}

/// Anomalies that were not looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotChecked {
    /// Their ids.
    pub ids: Vec<String>,
    /// Why.
    pub why: String,
}
