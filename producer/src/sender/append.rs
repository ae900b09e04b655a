//! A record's first steps: its partition is chosen, its bytes go into a batch, its batch into the ready queue.

use super::partition::NO_NODE;
use super::{Interest, Sender};
use crate::compression::Compression;
use crate::error::AppendError;
use crate::partitioner::partition_for_key;
use crate::record::{Record, TopicHandle};
use crate::record_batch::{BatchBuilder, Header, NoRoom};

impl Sender {
    /// Takes a record: encodes it into its partition's batch, and remembers `token` for its completion. An error
    /// means that nothing was kept; [`AppendError::is_retriable`] tells whether to try again after a turn.
    pub fn append(&mut self, record: &Record<'_>, token: u64, now_ns: u64) -> Result<(), AppendError> {
        if self.closed || self.fatal.is_some() {
            return Err(AppendError::Closed);
        }
        if let Some(transactions) = &self.transactions {
            transactions.admits()?;
        }
        if record.timestamp_ms < self.oldest_ms {
            return Err(AppendError::TooOld {
                timestamp_ms: record.timestamp_ms,
            });
        }
        let number = self.choose_partition(record, now_ns)?;
        let partition = &mut self.partitions[number as usize];
        if let Some(code) = partition.stopped() {
            return Err(AppendError::PartitionStopped { code });
        }
        let mut full = false;
        if let Some(open) = &mut partition.open {
            match open
                .builder
                .append(record.timestamp_ms, record.key, record.value, record.headers)
            {
                Ok(()) => {
                    open.tokens.push(token);
                    self.outcomes.appended();
                    return Ok(());
                }
                Err(NoRoom::TooLarge) => return Err(self.too_large(record, usize::MAX)),
                Err(NoRoom::Full) => full = true,
            }
        }
        let bound = size_bound(record);
        let limit = self.record_limit(record.topic);
        if bound > limit {
            let exact = BatchBuilder::new(Vec::new(), 0).size_with(
                record.timestamp_ms,
                record.key,
                record.value,
                record.headers,
            );
            if exact > limit {
                return Err(self.too_large(record, exact));
            }
        }
        if full {
            let partition = &mut self.partitions[number as usize];
            partition.closed.extend(partition.open.take());
            self.enqueue(number, now_ns);
        }
        let Some(mut open) = self.memory.open(bound, now_ns) else {
            self.metrics.buffer_exhausted_total += 1;
            self.hurry = true;
            self.make_all_due(now_ns);
            return Err(AppendError::BufferFull);
        };
        let appended = open
            .builder
            .append(record.timestamp_ms, record.key, record.value, record.headers);
        if appended.is_err() {
            self.memory.release(open.builder.into_buffer(), open.charged);
            return Err(self.too_large(record, usize::MAX));
        }
        open.tokens.push(token);
        self.partitions[number as usize].open = Some(open);
        self.outcomes.appended();
        self.topics[record.topic.index()].used_ns = now_ns;
        self.next_expiry_ns = self
            .next_expiry_ns
            .min(now_ns.saturating_add(self.settings.delivery_timeout_ns));
        self.enqueue(number, now_ns);
        Ok(())
    }

    fn choose_partition(&mut self, record: &Record<'_>, now_ns: u64) -> Result<u32, AppendError> {
        let topic = self
            .topics
            .get_mut(record.topic.index())
            .ok_or(AppendError::Closed)?;
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        if count == 0 || topic.interest != Interest::Live {
            self.await_topic(record.topic);
            return Err(AppendError::MetadataPending);
        }
        let index = match (record.partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) if !self.settings.ignore_keys => partition_for_key(key, count),
            _ => self.sticky_partition(record, now_ns)?,
        };
        let place = usize::try_from(index).ok();
        let number = place.and_then(|place| self.topics[record.topic.index()].partitions.get(place));
        number.copied().ok_or(AppendError::NoSuchPartition {
            partition: index,
            partitions: count,
        })
    }

    /// KIP-794: stays with a partition for `batch.size` bytes, and leaves at the end of a batch.
    fn sticky_partition(&mut self, record: &Record<'_>, now_ns: u64) -> Result<i32, AppendError> {
        let bytes = size_bound(record);
        let topic = &mut self.topics[record.topic.index()];
        let open = topic
            .sticky
            .current()
            .and_then(|current| topic.partitions.get(usize::try_from(current).ok()?));
        let batch_ended = open.is_none_or(|&number| self.partitions[number as usize].open.is_none());
        topic.sticky.appended(0, batch_ended);
        let current = match topic.sticky.current() {
            Some(current) => Some(current),
            None => {
                let usable = |number: &&u32| {
                    let partition = &self.partitions[**number as usize];
                    partition.leader != NO_NODE && partition.stopped().is_none()
                };
                // KIP-794: a broker for which something has waited too long is left out, as long as there are others.
                let takes = |number: &&u32| {
                    let leader = self.partitions[**number as usize].leader;
                    let link = self.node_links.get(&leader);
                    self.settings.availability_timeout_ns.is_none_or(|timeout_ns| {
                        link.is_none_or(|&link| self.links[link as usize].takes(now_ns, timeout_ns))
                    })
                };
                let all = topic.partitions.iter();
                let mut chosen: Vec<&u32> = all.clone().filter(usable).filter(takes).collect();
                if chosen.is_empty() {
                    chosen = all.filter(usable).collect();
                }
                if chosen.is_empty() {
                    chosen = topic.partitions.iter().collect();
                }
                let partitions = chosen.iter().map(|&&number| &self.partitions[number as usize]);
                let (indexes, queued): (Vec<i32>, Vec<u32>) = partitions
                    .map(|p| (p.index, u32::try_from(p.closed.len()).unwrap_or(u32::MAX)))
                    .unzip();
                let queued = if self.settings.adaptive_partitioning {
                    queued
                } else {
                    Vec::new()
                };
                topic
                    .sticky
                    .choose(&indexes, &queued, (self.rng.next() >> 32) as u32)
            }
        };
        topic.sticky.appended(bytes, false);
        current.ok_or(AppendError::MetadataPending)
    }

    fn record_limit(&self, topic: TopicHandle) -> usize {
        let topic_limit = self
            .topics
            .get(topic.index())
            .map_or(usize::MAX, |topic| topic.max_message_bytes);
        // A codec may make it fit: then only the broker can tell.
        let compresses = self.settings.compression != Compression::None;
        if compresses {
            self.settings.max_request_size
        } else {
            self.settings.max_request_size.min(topic_limit)
        }
    }

    fn too_large(&self, record: &Record<'_>, size: usize) -> AppendError {
        AppendError::TooLarge {
            size,
            limit: self.record_limit(record.topic),
        }
    }
}

/// An upper bound of what a record takes in a batch of its own.
fn size_bound(record: &Record<'_>) -> usize {
    /// Batch header, then length, attributes, timestamp and offset deltas, lengths of key and value, header count.
    const FIXED: usize = 61 + 5 + 1 + 10 + 5 + 5 + 5 + 5;
    let of_header = |header: &Header<'_>| 10 + header.key.len() + header.value.map_or(0, <[u8]>::len);
    FIXED
        + record.key.map_or(0, <[u8]>::len)
        + record.value.map_or(0, <[u8]>::len)
        + record.headers.iter().map(of_header).sum::<usize>()
}
