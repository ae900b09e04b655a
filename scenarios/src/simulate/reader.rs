//! Readers: consumers without a group that follow the whole topic while the world goes on, one at each isolation level.
//!
//! ```text
//! every so often, to each node:  Fetch of the partitions thought to be led there ──▶ batches ─▶ records, as a consumer
//!     "I do not lead it", silence, the connection's end ─▶ the next node is asked   hands them on ─▶ what was seen
//! ```
//! They ask no coordinator and need no metadata, and no fault is aimed at them: they see what nodes that die, stop and
//! come back with old views tell them. What they saw is evidence against the final log (L6, O4, O5, T1, T2, T8, V4).

use std::collections::BTreeSet;

use bytes::{BufMut, Bytes, BytesMut};
use steadfast_verifier::log::{LogBatch, LogRecord};
use steadfast_verifier::reader;
use steadfast_verifier::reads::{Header, Isolation, Poll, Recorded};
use steadfast_wire::kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use steadfast_wire::kafka_protocol::messages::fetch_response::PartitionData;
use steadfast_wire::kafka_protocol::messages::{
    ApiKey, BrokerId, FetchRequest, FetchResponse, RequestHeader, ResponseHeader, TopicName,
};
use steadfast_wire::kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::copier::Input;
use super::design::Design;
use super::network::{Item, Network, Toward};
use super::swarm::Swarm;
use super::world::Schedule;
use super::{MS, SECOND, SOURCE, TOPIC};

/// The newest version of Fetch that names topics.
const FETCH_VERSION: i16 = 12;
/// Bytes of one answer and of one partition in it, as Kafka's consumer asks for: above any batch, since a batch that does
/// not fit comes only if it is the first of the answer.
const FETCH_BYTES: i32 = 50 << 20;
const FETCH_PARTITION_BYTES: i32 = 1 << 20;
/// A node that does not answer is given up after this.
const PATIENCE_NS: u64 = 3 * SECOND;
/// An answer without news is written down this often only.
const NO_NEWS_NS: u64 = 500 * MS;

/// A copier asks at least this often.
const COPIER_EVERY_NS: u64 = 300 * MS;

/// A reader.
pub(crate) struct Reader {
    /// Its number in the network, behind the producers.
    pub(crate) number: u16,
    /// How often it asks.
    pub(crate) every_ns: u64,
    topic: &'static str,
    isolation: Isolation,
    links: Vec<Link>,
    places: Vec<Place>,
    /// What the judge adds to a partition's number.
    base: i32,
    /// Records that a copier has not taken yet; there is one if it feeds one.
    pub(crate) fresh: Vec<Input>,
    feeds: bool,
    /// How often it was moved by hand: an answer to a question from before that counts for nothing.
    sought: u32,
    pub(crate) seen: Recorded,
    /// Why it cannot go on.
    pub(crate) complaint: Option<String>,
    #[cfg(test)]
    pub(crate) flaw: Option<super::tests::Flaw>,
}

/// Its connection to a node.
#[derive(Debug, Clone, Default)]
struct Link {
    connection: Option<usize>,
    stands: bool,
    waits: bool,
    /// [`Reader::sought`] at that time.
    sought: u32,
    /// When it was asked for, or a question asked.
    since_ns: u64,
}

/// Where it is in a partition.
#[derive(Debug, Clone)]
struct Place {
    position: i64,
    /// The node that is asked.
    node: i32,
    /// High watermark and last stable offset as told last, and when that was written down.
    told: (i64, i64),
    noted_ns: u64,
}

impl Reader {
    /// One at each isolation level, where the design has readers.
    pub(crate) fn all(design: &Design, swarm: &Swarm) -> Vec<Reader> {
        let levels = [Isolation::ReadUncommitted, Isolation::ReadCommitted];
        let sizes = (design.nodes, design.partitions);
        let made = levels.iter().zip(design.clients..).map(|(isolation, number)| {
            let reader = Reader::new(number, TOPIC, *isolation, sizes, swarm.reader_every_ns);
            #[cfg(test)]
            let reader = Reader {
                flaw: design.flaw,
                ..reader
            };
            reader
        });
        made.collect()
    }

    /// What a copier reads from.
    pub(crate) fn of_copier(number: u16, design: &Design, swarm: &Swarm) -> Reader {
        let sizes = (design.nodes, design.partitions);
        let every_ns = swarm.reader_every_ns.min(COPIER_EVERY_NS);
        Reader {
            feeds: true,
            ..Reader::new(number, SOURCE, Isolation::ReadCommitted, sizes, every_ns)
        }
    }

    fn new(
        number: u16,
        topic: &'static str,
        isolation: Isolation,
        (nodes, partitions): (i32, i32),
        every_ns: u64,
    ) -> Reader {
        let seen = Recorded::new(Header {
            reader: format!("reader {number} at {isolation:?}"),
            topic: topic.to_owned(),
            isolation,
        });
        let mut reader = Reader {
            number,
            every_ns,
            topic,
            isolation,
            links: vec![Link::default(); nodes as usize],
            places: Vec::new(),
            base: 0,
            fresh: Vec::new(),
            feeds: false,
            sought: 0,
            seen,
            complaint: None,
            #[cfg(test)]
            flaw: None,
        };
        reader.grow(0, partitions, SECOND);
        reader
    }

    /// The topic was deleted: everything begins anew, under the judge's numbers from `base` on.
    pub(crate) fn restart(
        &mut self,
        (base, partitions): (i32, i32),
        now_ns: u64,
        network: &mut Network,
        schedule: &mut Schedule,
    ) {
        self.hang_up(now_ns, network, schedule);
        self.places.clear();
        self.grow(base, partitions, now_ns);
    }

    /// Closes all connections: no answer that is under way is looked at.
    pub(crate) fn hang_up(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        for link in &mut self.links {
            if let Some(connection) = std::mem::take(link).connection {
                network.client_closed(connection, now_ns, schedule);
            }
        }
    }

    /// Goes on from these positions.
    pub(crate) fn seek(&mut self, positions: &[i64], now_ns: u64) {
        self.fresh.clear();
        self.sought = self.sought.wrapping_add(1);
        for (partition, (place, position)) in self.places.iter_mut().zip(positions).enumerate() {
            if place.position != *position {
                place.position = *position;
                self.seen
                    .assigned(self.base + partition as i32, now_ns, *position);
            }
        }
    }

    /// The topic has so many partitions now.
    pub(crate) fn grow(&mut self, base: i32, partitions: i32, now_ns: u64) {
        self.base = base;
        let nodes = self.links.len() as i32;
        for partition in self.places.len() as i32..partitions {
            self.seen.assigned(base + partition, now_ns, 0);
            self.places.push(Place {
                position: 0,
                node: 1 + partition % nodes,
                told: (-1, -1),
                noted_ns: 0,
            });
        }
    }

    /// Asks every node that owes no answer.
    pub(crate) fn poll(&mut self, now_ns: u64, network: &mut Network, schedule: &mut Schedule) {
        for node in 1..=self.links.len() as i32 {
            let wanted = self.places.iter().any(|place| place.node == node);
            let link = &mut self.links[node as usize - 1];
            let busy = link.waits || !link.stands;
            match link.connection {
                Some(connection) if busy && now_ns >= link.since_ns + PATIENCE_NS => {
                    network.client_closed(connection, now_ns, schedule);
                    self.lost(node);
                }
                Some(connection) if !busy && wanted => {
                    (link.waits, link.since_ns, link.sought) = (true, now_ns, self.sought);
                    let frame = Item::Frame(self.question(node));
                    network.push(connection, Toward::Node, frame, now_ns, schedule);
                }
                None if wanted => {
                    let connection = network.connect(self.number, None, node, now_ns, schedule);
                    let link = &mut self.links[node as usize - 1];
                    (link.connection, link.since_ns) = (Some(connection), now_ns);
                }
                _ => {}
            }
        }
    }

    /// Something came through a connection.
    pub(crate) fn arrived(&mut self, node: i32, connection: usize, item: &Item, now_ns: u64) {
        let link = &mut self.links[node as usize - 1];
        if link.connection != Some(connection) {
            return;
        }
        match item {
            Item::Open => link.stands = true,
            Item::Frame(frame) => {
                link.waits = false;
                if link.sought != self.sought {
                    return;
                }
                let answered = self.answer(node, frame.slice(4.min(frame.len())..), now_ns);
                self.complaint = self.complaint.take().or(answered.err());
            }
            Item::End => self.lost(node),
        }
    }

    /// It has all that there is to read up to this offset.
    pub(crate) fn has(&self, partition: i32, high_watermark: i64, last_stable_offset: i64) -> bool {
        let end = match self.isolation {
            Isolation::ReadUncommitted => high_watermark,
            Isolation::ReadCommitted => last_stable_offset,
        };
        self.places[partition as usize].position >= end
    }

    fn lost(&mut self, node: i32) {
        self.links[node as usize - 1] = Link::default();
        for place in self.places.iter_mut().filter(|place| place.node == node) {
            place.node = 1 + node % self.links.len() as i32;
        }
    }

    fn question(&self, node: i32) -> Bytes {
        let partition = |(partition, place): (usize, &Place)| {
            FetchPartition::default()
                .with_partition(partition as i32)
                .with_fetch_offset(place.position)
                .with_partition_max_bytes(FETCH_PARTITION_BYTES)
        };
        let places = self.places.iter().enumerate();
        let here = places.filter(|(_, place)| place.node == node).map(partition);
        let topic = FetchTopic::default()
            .with_topic(TopicName(StrBytes::from_static_str(self.topic)))
            .with_partitions(here.collect());
        #[cfg(test)]
        let committed =
            self.isolation == Isolation::ReadCommitted && self.flaw != Some(super::tests::Flaw::ReadsOpen);
        #[cfg(not(test))]
        let committed = self.isolation == Isolation::ReadCommitted;
        let request = FetchRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_max_bytes(FETCH_BYTES)
            .with_isolation_level(i8::from(committed))
            .with_session_epoch(-1)
            .with_topics(vec![topic]);
        let header = RequestHeader::default()
            .with_request_api_key(ApiKey::Fetch as i16)
            .with_request_api_version(FETCH_VERSION);
        let mut bytes = BytesMut::new();
        bytes.put_u32(0);
        let version = ApiKey::Fetch.request_header_version(FETCH_VERSION);
        // Writing to memory cannot fail, and the values fit the version.
        let written =
            header.encode(&mut bytes, version).is_ok() && request.encode(&mut bytes, FETCH_VERSION).is_ok();
        debug_assert!(written);
        let size = (bytes.len() - 4) as u32;
        bytes[..4].copy_from_slice(&size.to_be_bytes());
        bytes.freeze()
    }

    fn answer(&mut self, node: i32, mut body: Bytes, now_ns: u64) -> Result<(), String> {
        ResponseHeader::decode(&mut body, ApiKey::Fetch.response_header_version(FETCH_VERSION))
            .and_then(|_| FetchResponse::decode(&mut body, FETCH_VERSION))
            .map_err(|error| format!("an answer to Fetch: {error}"))?
            .responses
            .into_iter()
            .flat_map(|topic| topic.partitions)
            .try_for_each(|data| self.read(node, &data, now_ns))
    }

    fn read(&mut self, node: i32, data: &PartitionData, now_ns: u64) -> Result<(), String> {
        let partition = data.partition_index;
        let nodes = self.links.len() as i32;
        let Some(place) = self.places.get_mut(partition as usize) else {
            return Ok(());
        };
        if data.error_code != 0 {
            place.node = 1 + node % nodes;
            return Ok(());
        }
        let batches = reader::batches(self.topic, data.records.as_deref().unwrap_or_default())?;
        let records = match self.isolation {
            Isolation::ReadUncommitted => Aborted::default().visible(&batches),
            Isolation::ReadCommitted => Aborted::of(data).visible(&batches),
        };
        #[cfg(test)]
        let records = super::tests::Flaw::see(self.flaw, &batches, records);
        let from = place.position;
        // A batch may begin before the offset that was asked for.
        let records: Vec<LogRecord> = records
            .into_iter()
            .filter(|record| record.offset >= from)
            .collect();
        let last = batches.last().and_then(|batch| batch.records.last());
        place.position = last.map_or(from, |last| from.max(last.offset + 1));
        let told = (data.high_watermark, data.last_stable_offset);
        if self.feeds {
            self.fresh.extend(records.iter().map(|record| Input {
                partition,
                offset: record.offset,
                key: record.key.unwrap_or_default(),
            }));
        }
        let news = place.position > from || told != place.told || now_ns >= place.noted_ns + NO_NEWS_NS;
        if news {
            (place.told, place.noted_ns) = (told, now_ns);
            self.seen.poll(&Poll {
                partition: self.base + partition,
                at_ns: now_ns,
                next_offset: place.position,
                high_watermark: told.0,
                last_stable_offset: told.1,
                records: &records,
            });
        }
        Ok(())
    }
}

/// What a consumer at read_committed leaves out: the aborted transactions that the answer lists, each from its first
/// offset to its marker.
#[derive(Debug, Default)]
struct Aborted {
    /// First offset and producer id, the latest first.
    to_come: Vec<(i64, i64)>,
    open: BTreeSet<i64>,
}

impl Aborted {
    fn of(data: &PartitionData) -> Aborted {
        let listed = data.aborted_transactions.iter().flatten();
        let mut to_come: Vec<(i64, i64)> = listed
            .map(|aborted| (aborted.first_offset, aborted.producer_id.0))
            .collect();
        to_come.sort_unstable_by(|a, b| b.cmp(a));
        Aborted {
            to_come,
            open: BTreeSet::new(),
        }
    }

    fn visible(mut self, batches: &[LogBatch]) -> Vec<LogRecord> {
        let mut records = Vec::new();
        for batch in batches {
            let last = batch.records.last().map_or(batch.base_offset, |last| last.offset);
            while let Some((_, producer_id)) = self.to_come.pop_if(|(first, _)| *first <= last) {
                self.open.insert(producer_id);
            }
            if batch.control {
                if batch.marker.is_some_and(|marker| !marker.commit) {
                    self.open.remove(&batch.producer_id);
                }
            } else if !(batch.transactional && self.open.contains(&batch.producer_id)) {
                records.extend_from_slice(&batch.records);
            }
        }
        records
    }
}
