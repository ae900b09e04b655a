//! What one world did, line by line: faults, connections, requests and answers as far as they matter. For people who
//! look for the cause of a failure; a campaign keeps none.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;

use bytes::{Buf, Bytes};
use steadfast_wire::kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, ApiKey, EndTxnRequest, EndTxnResponse,
    InitProducerIdRequest, InitProducerIdResponse, ProduceRequest, ProduceResponse, RequestHeader,
    ResponseHeader,
};
use steadfast_wire::kafka_protocol::protocol::Decodable;

use super::network::Toward;

/// Lines kept at most; the later ones are left out.
const LINES_MAX: usize = 200_000;

/// The lines so far.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) lines: Vec<String>,
    /// By connection: requests that have no answer yet.
    asked: BTreeMap<usize, VecDeque<(ApiKey, i16)>>,
}

impl Trace {
    pub(crate) fn line(&mut self, now_ns: u64, what: &str) {
        if self.lines.len() < LINES_MAX {
            self.lines.push(format!("{:12.6} {what}", now_ns as f64 / 1e9));
        }
    }

    /// A frame arrived.
    pub(crate) fn frame(
        &mut self,
        now_ns: u64,
        (client, node, id): (u16, i32, usize),
        toward: Toward,
        frame: &Bytes,
    ) {
        let body = frame.slice(4.min(frame.len())..);
        let what = match toward {
            Toward::Node => self.request(id, body),
            Toward::Client => self.answer(id, body),
        };
        let arrow = if toward == Toward::Node { "->" } else { "<-" };
        let what = what.unwrap_or_else(|| format!("{} bytes", frame.len()));
        self.line(
            now_ns,
            &format!("client {client} {arrow} node {node} #{id} {what}"),
        );
    }

    fn request(&mut self, id: usize, mut body: Bytes) -> Option<String> {
        let api = ApiKey::try_from(i16::from_be_bytes(body.get(..2)?.try_into().ok()?)).ok()?;
        let version = i16::from_be_bytes(body.get(2..4)?.try_into().ok()?);
        self.asked.entry(id).or_default().push_back((api, version));
        RequestHeader::decode(&mut body, api.request_header_version(version)).ok()?;
        let mut out = format!("{api:?} v{version}");
        match api {
            ApiKey::Produce => {
                let request = ProduceRequest::decode(&mut body, version).ok()?;
                for data in request.topic_data.iter().flat_map(|topic| &topic.partition_data) {
                    let batch = data.records.clone().unwrap_or_default();
                    let _ = write!(
                        out,
                        " [{} {}]",
                        data.index,
                        batch_words(&batch).unwrap_or_default()
                    );
                }
            }
            ApiKey::InitProducerId => {
                let request = InitProducerIdRequest::decode(&mut body, version).ok()?;
                let _ = write!(out, " known {}/{}", request.producer_id.0, request.producer_epoch);
            }
            ApiKey::AddPartitionsToTxn => {
                let request = AddPartitionsToTxnRequest::decode(&mut body, version).ok()?;
                let topics = request.v3_and_below_topics.iter();
                let all: Vec<i32> = topics.flat_map(|topic| topic.partitions.clone()).collect();
                let _ = write!(
                    out,
                    " {}/{} {all:?}",
                    request.v3_and_below_producer_id.0, request.v3_and_below_producer_epoch
                );
            }
            ApiKey::EndTxn => {
                let request = EndTxnRequest::decode(&mut body, version).ok()?;
                let word = if request.committed { "commit" } else { "abort" };
                let _ = write!(
                    out,
                    " {}/{} {word}",
                    request.producer_id.0, request.producer_epoch
                );
            }
            _ => {}
        }
        Some(out)
    }

    fn answer(&mut self, id: usize, mut body: Bytes) -> Option<String> {
        let (api, version) = self.asked.get_mut(&id)?.pop_front()?;
        ResponseHeader::decode(&mut body, api.response_header_version(version)).ok()?;
        let mut out = format!("{api:?}");
        match api {
            ApiKey::Produce => {
                let response = ProduceResponse::decode(&mut body, version).ok()?;
                for answer in response
                    .responses
                    .iter()
                    .flat_map(|topic| &topic.partition_responses)
                {
                    let _ = write!(
                        out,
                        " [{} code {} at {}]",
                        answer.index, answer.error_code, answer.base_offset
                    );
                }
            }
            ApiKey::InitProducerId => {
                let response = InitProducerIdResponse::decode(&mut body, version).ok()?;
                let (producer_id, epoch) = (response.producer_id.0, response.producer_epoch);
                let _ = write!(out, " code {} {producer_id}/{epoch}", response.error_code);
            }
            ApiKey::AddPartitionsToTxn => {
                let response = AddPartitionsToTxnResponse::decode(&mut body, version).ok()?;
                let topics = response.results_by_topic_v3_and_below.iter();
                let results = topics.flat_map(|topic| &topic.results_by_partition);
                let all: Vec<i16> = results.map(|result| result.partition_error_code).collect();
                let _ = write!(out, " codes {all:?}");
            }
            ApiKey::EndTxn => {
                let response = EndTxnResponse::decode(&mut body, version).ok()?;
                let (producer_id, epoch) = (response.producer_id.0, response.producer_epoch);
                let _ = write!(out, " code {} {producer_id}/{epoch}", response.error_code);
            }
            _ => {}
        }
        Some(out)
    }
}

/// Producer id and epoch, sequences, T for a transaction.
fn batch_words(batch: &Bytes) -> Option<String> {
    let mut fixed = batch.get(21..61)?;
    let attributes = fixed.get_i16();
    let _last_delta = fixed.get_i32();
    fixed.advance(16);
    let (producer_id, epoch, sequence) = (fixed.get_i64(), fixed.get_i16(), fixed.get_i32());
    let count = fixed.get_i32();
    let transactional = if attributes & 0x10 != 0 { " T" } else { "" };
    Some(format!("{producer_id}/{epoch} {sequence}+{count}{transactional}"))
}
