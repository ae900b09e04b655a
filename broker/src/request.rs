//! Requests: header, guard, decoding. What does not pass closes its connection, as in Kafka.

use bytes::Bytes;
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, ApiVersionsRequest, CreatePartitionsRequest,
    CreateTopicsRequest, DeleteTopicsRequest, DescribeClusterRequest, DescribeConfigsRequest,
    DescribeProducersRequest, DescribeTransactionsRequest, ElectLeadersRequest, EndTxnRequest, FetchRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, ListOffsetsRequest,
    ListTransactionsRequest, MetadataRequest, OffsetCommitRequest, OffsetFetchRequest,
    OffsetForLeaderEpochRequest, ProduceRequest, TxnOffsetCommitRequest,
};
use kafka_protocol::protocol::{Decodable, Request as Api};
use steadfast_wire::guard;

/// API key of ApiVersions.
pub(crate) const API_VERSIONS: i16 = 18;
/// API key of Produce.
pub(crate) const PRODUCE: i16 = 0;
/// Oldest version of Produce that is served; older ones are advertised all the same, as Kafka 4 does (KIP-896), since
/// some clients drop compression where version 0 is missing.
const OLDEST_PRODUCE: i16 = 3;

/// What stands before every request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) api_key: i16,
    pub(crate) version: i16,
    pub(crate) correlation_id: i32,
    pub(crate) client_id: Option<String>,
    /// Where the body begins.
    pub(crate) body: usize,
}

/// Why a frame is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadFrame {
    /// Nonsense: the connection is closed.
    Nonsense,
    /// ApiVersions in a version that is not known: answered in version 0 with 35 (KIP-511).
    ApiVersions { correlation_id: i32 },
}

impl Header {
    /// Reads the header of a frame.
    pub(crate) fn parse(frame: &[u8]) -> Result<Header, BadFrame> {
        let nonsense = BadFrame::Nonsense;
        let fixed = frame.first_chunk::<8>().ok_or(nonsense)?;
        let api_key = i16::from_be_bytes([fixed[0], fixed[1]]);
        let version = i16::from_be_bytes([fixed[2], fixed[3]]);
        let correlation_id = i32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
        let range = ranges().find(|range| range.api_key == api_key).ok_or(nonsense)?;
        let length = frame.get(8..10).ok_or(nonsense)?;
        let length = i16::from_be_bytes([length[0], length[1]]);
        let mut body = 10;
        let client_id = if length < 0 {
            None
        } else {
            let text = frame.get(10..10 + length as usize).ok_or(nonsense)?;
            body += length as usize;
            Some(std::str::from_utf8(text).map_err(|_| nonsense)?.to_owned())
        };
        if version >= range.flexible {
            body += tagged_fields(frame.get(body..).ok_or(nonsense)?).ok_or(nonsense)?;
        }
        if !(range.oldest..=range.newest).contains(&version) {
            return Err(if api_key == API_VERSIONS {
                BadFrame::ApiVersions { correlation_id }
            } else {
                nonsense
            });
        }
        Ok(Header {
            api_key,
            version,
            correlation_id,
            client_id,
            body,
        })
    }
}

/// Bytes of the tagged fields that a flexible header ends with; their content is of no use to a broker.
fn tagged_fields(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let count = unsigned(&mut rest)?;
    for _ in 0..count {
        unsigned(&mut rest)?;
        let size = unsigned(&mut rest)?;
        rest = rest.get(size as usize..)?;
    }
    Some(bytes.len() - rest.len())
}

fn unsigned(rest: &mut &[u8]) -> Option<u32> {
    let mut value = 0_u32;
    for shift in [0, 7, 14, 21, 28] {
        let (byte, behind) = rest.split_first()?;
        *rest = behind;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Versions of an API that are served.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Range {
    pub(crate) api_key: i16,
    /// As advertised.
    pub(crate) advertised: i16,
    pub(crate) oldest: i16,
    pub(crate) newest: i16,
    /// First version whose header has tagged fields.
    flexible: i16,
}

macro_rules! requests {
    ($($name:ident($request:ident) from $flexible:literal),* $(,)?) => {
        /// A request that may be served.
        #[derive(Debug, Clone)]
        pub(crate) enum Request {
            $($name($request)),*
        }

        impl Request {
            /// Checks and decodes the body of a request.
            pub(crate) fn decode(header: &Header, frame: &Bytes) -> Result<Request, BadFrame> {
                let mut body = frame.slice(header.body..);
                guard::check_request(header.api_key, header.version, &body).map_err(|_| BadFrame::Nonsense)?;
                match header.api_key {
                    $($request::KEY => $request::decode(&mut body, header.version)
                        .map(Request::$name)
                        .map_err(|_| BadFrame::Nonsense),)*
                    _ => Err(BadFrame::Nonsense),
                }
            }
        }

        /// All APIs, in the order of their keys.
        pub(crate) fn ranges() -> impl Iterator<Item = Range> {
            const RANGES: &[Range] = &[$(Range {
                api_key: <$request as Api>::KEY,
                advertised: if <$request as Api>::KEY == PRODUCE {
                    0
                } else {
                    <$request as kafka_protocol::protocol::Message>::VERSIONS.min
                },
                oldest: if <$request as Api>::KEY == PRODUCE {
                    OLDEST_PRODUCE
                } else {
                    <$request as kafka_protocol::protocol::Message>::VERSIONS.min
                },
                newest: <$request as kafka_protocol::protocol::Message>::VERSIONS.max,
                flexible: $flexible,
            }),*];
            RANGES.iter().copied()
        }
    };
}

requests! {
    Produce(ProduceRequest) from 9,
    Fetch(FetchRequest) from 12,
    ListOffsets(ListOffsetsRequest) from 6,
    Metadata(MetadataRequest) from 9,
    OffsetCommit(OffsetCommitRequest) from 8,
    OffsetFetch(OffsetFetchRequest) from 6,
    FindCoordinator(FindCoordinatorRequest) from 3,
    ApiVersions(ApiVersionsRequest) from 3,
    CreateTopics(CreateTopicsRequest) from 5,
    DeleteTopics(DeleteTopicsRequest) from 4,
    InitProducerId(InitProducerIdRequest) from 2,
    OffsetForLeaderEpoch(OffsetForLeaderEpochRequest) from 4,
    AddPartitionsToTxn(AddPartitionsToTxnRequest) from 3,
    AddOffsetsToTxn(AddOffsetsToTxnRequest) from 3,
    EndTxn(EndTxnRequest) from 3,
    TxnOffsetCommit(TxnOffsetCommitRequest) from 3,
    DescribeConfigs(DescribeConfigsRequest) from 4,
    CreatePartitions(CreatePartitionsRequest) from 2,
    ElectLeaders(ElectLeadersRequest) from 2,
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest) from 1,
    DescribeCluster(DescribeClusterRequest) from 0,
    DescribeProducers(DescribeProducersRequest) from 0,
    DescribeTransactions(DescribeTransactionsRequest) from 0,
    ListTransactions(ListTransactionsRequest) from 0,
}

#[cfg(test)]
mod tests;
