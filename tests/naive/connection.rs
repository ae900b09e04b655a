//! One broker: Produce requests out, their answers in, on a socket that never blocks for long.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use steadfast_wire::kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use steadfast_wire::kafka_protocol::messages::{
    ApiKey, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader, TopicName,
};
use steadfast_wire::kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use super::Batch;

/// Topics by name, flexible headers: every broker of the last years has it.
const VERSION: i16 = 9;
/// A broker that takes nothing for so long is lost.
const WRITE: Duration = Duration::from_secs(2);

pub(super) struct Leader {
    socket: TcpStream,
    correlation: i32,
    flight: VecDeque<(i32, u64, Vec<Batch>)>,
    read: BytesMut,
}

pub(super) enum Answer {
    /// Error code and base offset of each partition.
    Produced(Vec<Batch>, BTreeMap<i32, (i16, i64)>),
    /// The connection is of no more use.
    Ended,
}

impl Leader {
    pub(super) fn connect(addr: &str) -> Option<Leader> {
        let socket = TcpStream::connect(addr).ok()?;
        socket.set_nodelay(true).ok()?;
        socket.set_write_timeout(Some(WRITE)).ok()?;
        socket.set_read_timeout(Some(Duration::from_micros(50))).ok()?;
        Some(Leader {
            socket,
            correlation: 0,
            flight: VecDeque::new(),
            read: BytesMut::new(),
        })
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flight.len()
    }

    /// When the oldest request that is not answered was sent.
    pub(super) fn oldest_ns(&self) -> Option<u64> {
        self.flight.front().map(|(_, sent, _)| *sent)
    }

    /// False: it could not be sent, in whole at least.
    pub(super) fn send(
        &mut self,
        topic: &str,
        encoded: &[(i32, Bytes)],
        batches: Vec<Batch>,
        now_ns: u64,
    ) -> bool {
        self.correlation += 1;
        let partitions = encoded.iter().map(|(partition, bytes)| {
            PartitionProduceData::default()
                .with_index(*partition)
                .with_records(Some(bytes.clone()))
        });
        let data = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(partitions.collect());
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        let header = RequestHeader::default()
            .with_request_api_key(ApiKey::Produce as i16)
            .with_request_api_version(VERSION)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(StrBytes::from_static_str("naive")));
        let mut frame = BytesMut::from(&[0; 4][..]);
        let encoded = header
            .encode(&mut frame, 2)
            .and_then(|()| request.encode(&mut frame, VERSION));
        encoded.expect("a plain request fits version 9");
        let size = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&size.to_be_bytes());
        if self.socket.write_all(&frame).is_err() {
            return false;
        }
        self.flight.push_back((self.correlation, now_ns, batches));
        true
    }

    /// The next answer, if one is there.
    pub(super) fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(size) = self.read.first_chunk::<4>() {
                let size = u32::from_be_bytes(*size) as usize;
                if self.read.len() >= 4 + size {
                    self.read.advance(4);
                    let frame = self.read.split_to(size).freeze();
                    return Some(self.understood(frame).unwrap_or(Answer::Ended));
                }
            }
            let mut chunk = [0; 16 << 10];
            match self.socket.read(&mut chunk) {
                Ok(0) => return Some(Answer::Ended),
                Ok(count) => self.read.extend_from_slice(&chunk[..count]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(_) => return Some(Answer::Ended),
            }
        }
    }

    fn understood(&mut self, mut frame: Bytes) -> Option<Answer> {
        let correlation = ResponseHeader::decode(&mut frame, 1).ok()?.correlation_id;
        let response = ProduceResponse::decode(&mut frame, VERSION).ok()?;
        let (asked, _, batches) = self.flight.pop_front()?;
        if asked != correlation {
            self.flight.push_front((asked, 0, batches));
            return None;
        }
        let partitions = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses);
        let results = partitions.map(|found| (found.index, (found.error_code, found.base_offset)));
        Some(Answer::Produced(batches, results.collect()))
    }

    /// What was sent and never answered.
    pub(super) fn unanswered(self) -> Vec<Batch> {
        self.flight
            .into_iter()
            .flat_map(|(_, _, batches)| batches)
            .collect()
    }
}
