//! rskafka: a Rust client with a codec of its own, and the oldest versions of the protocol that any client here speaks.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::DateTime;
use libtest_mimic::Failed;
use rskafka::BackoffConfig;
use rskafka::client::partition::{Compression, OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::Record;

use super::RECORDS;
use crate::broker::Broker;
use crate::support::{expect, temporary};

const TOPIC: &str = "rust";
const NODES: i16 = 3;
const PARTITIONS: i32 = 3;
const RECORDS_OF_A_BATCH: usize = 100;
const FETCH_MOST_BYTES: i32 = 1 << 20;
const FETCH_WAIT_MS: i32 = 1_000;
/// How long it may try again before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);
const CREATE_MS: i32 = 10_000;
/// In 2023: the broker keeps what its clients say.
const FIRST_TIMESTAMP_MS: i64 = 1_700_000_000_000;

/// Writes to every partition, lets the broker be killed, and reads all of it back with a client that knows nothing.
pub(super) fn writes_and_reads() -> Result<(), Failed> {
    let dir = temporary();
    let nodes = NODES.to_string();
    // The records are old, and must not be deleted for it.
    let mut broker = Broker::start(
        &dir.path().join("data"),
        &["--nodes", &nodes, "-X", "log.retention.ms=-1"],
    )?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let client = client(&broker.server).await?;
        client
            .controller_client()?
            .create_topic(TOPIC, PARTITIONS, NODES, CREATE_MS)
            .await?;
        for index in 0..PARTITIONS {
            write(&partition(&client, index).await?, index).await?;
        }
        Ok::<(), Failed>(())
    })?;
    broker.kill_and_start(Duration::ZERO)?;
    runtime.block_on(async {
        let client = client(&broker.server).await?;
        let topics = client.list_topics().await?;
        let known = topics.iter().find(|topic| topic.name == TOPIC);
        expect(
            known.is_some_and(|topic| topic.partitions == (0..PARTITIONS).collect()),
            || format!("{topics:?}"),
        )?;
        for index in 0..PARTITIONS {
            read(&partition(&client, index).await?, index).await?;
        }
        Ok::<(), Failed>(())
    })?;
    broker.stop()
}

async fn client(server: &str) -> Result<Client, Failed> {
    let patience = BackoffConfig {
        deadline: Some(PATIENCE),
        ..BackoffConfig::default()
    };
    let builder = ClientBuilder::new(vec![server.to_owned()]).backoff_config(patience);
    Ok(builder.build().await?)
}

async fn partition(client: &Client, index: i32) -> Result<PartitionClient, Failed> {
    Ok(client
        .partition_client(TOPIC, index, UnknownTopicHandling::Retry)
        .await?)
}

async fn write(partition: &PartitionClient, index: i32) -> Result<(), Failed> {
    for (batch, from) in (0..RECORDS).step_by(RECORDS_OF_A_BATCH).enumerate() {
        let numbers = from..(from + RECORDS_OF_A_BATCH).min(RECORDS);
        let compression = if batch.is_multiple_of(2) {
            Compression::NoCompression
        } else {
            Compression::Snappy
        };
        let records = numbers.clone().map(|number| record(index, number)).collect();
        let offsets = partition.produce(records, compression).await?;
        let wanted: Vec<i64> = numbers.map(|number| number as i64).collect();
        expect(offsets == wanted, || {
            format!("partition {index}: written at {offsets:?} instead of {wanted:?}")
        })?;
    }
    Ok(())
}

async fn read(partition: &PartitionClient, index: i32) -> Result<(), Failed> {
    let ends = (
        partition.get_offset(OffsetAt::Earliest).await?,
        partition.get_offset(OffsetAt::Latest).await?,
    );
    expect(ends == (0, RECORDS as i64), || {
        format!("partition {index} reaches from {} to {}", ends.0, ends.1)
    })?;
    let mut next = 0;
    while next < RECORDS {
        let (records, _) = partition
            .fetch_records(next as i64, 1..FETCH_MOST_BYTES, FETCH_WAIT_MS)
            .await?;
        expect(!records.is_empty(), || {
            format!("partition {index}: nothing at {next}")
        })?;
        for found in records {
            let wanted = record(index, next);
            expect(found.offset == next as i64 && found.record == wanted, || {
                format!("partition {index}: {found:?} instead of {wanted:?} at {next}")
            })?;
            next += 1;
        }
    }
    expect(next == RECORDS, || format!("{next} of {RECORDS} records"))
}

/// Every fifth without a key, every seventh without a value, every third with a header.
fn record(partition: i32, number: usize) -> Record {
    let header = ("from".to_owned(), b"rskafka".to_vec());
    Record {
        key: (!number.is_multiple_of(5)).then(|| format!("key-{number}").into_bytes()),
        value: (!number.is_multiple_of(7)).then(|| format!("value {number} of {partition}").into_bytes()),
        headers: BTreeMap::from_iter(number.is_multiple_of(3).then_some(header)),
        timestamp: DateTime::from_timestamp_millis(FIRST_TIMESTAMP_MS + number as i64).unwrap_or_default(),
    }
}
