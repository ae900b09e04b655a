//! Answers: encoding, with the size field in front.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    AddOffsetsToTxnResponse, AddPartitionsToTxnResponse, ApiVersionsResponse, CreatePartitionsResponse,
    CreateTopicsResponse, DeleteTopicsResponse, DescribeClusterResponse, DescribeConfigsResponse,
    DescribeProducersResponse, DescribeTransactionsResponse, ElectLeadersResponse, EndTxnResponse,
    FetchResponse, FindCoordinatorResponse, IncrementalAlterConfigsResponse, InitProducerIdResponse,
    ListOffsetsResponse, ListTransactionsResponse, MetadataResponse, OffsetCommitResponse,
    OffsetFetchResponse, OffsetForLeaderEpochResponse, ProduceResponse, ResponseHeader,
    TxnOffsetCommitResponse,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion};

macro_rules! answers {
    ($($name:ident($response:ident)),* $(,)?) => {
        /// An answer that is ready.
        #[derive(Debug, Clone)]
        pub(crate) enum Answer {
            $($name($response)),*
        }

        impl Answer {
            /// The whole frame; none when a field has no room in this version, which is a mistake of the model.
            pub(crate) fn encode(&self, version: i16, correlation_id: i32) -> Option<Bytes> {
                match self {
                    $(Answer::$name(response) => frame(response, version, correlation_id),)*
                }
            }
        }

        $(impl From<$response> for Answer {
            fn from(response: $response) -> Answer {
                Answer::$name(response)
            }
        })*
    };
}

answers! {
    Produce(ProduceResponse),
    Fetch(FetchResponse),
    ListOffsets(ListOffsetsResponse),
    Metadata(MetadataResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(OffsetFetchResponse),
    FindCoordinator(FindCoordinatorResponse),
    ApiVersions(ApiVersionsResponse),
    CreateTopics(CreateTopicsResponse),
    DeleteTopics(DeleteTopicsResponse),
    InitProducerId(InitProducerIdResponse),
    OffsetForLeaderEpoch(OffsetForLeaderEpochResponse),
    AddPartitionsToTxn(AddPartitionsToTxnResponse),
    AddOffsetsToTxn(AddOffsetsToTxnResponse),
    EndTxn(EndTxnResponse),
    TxnOffsetCommit(TxnOffsetCommitResponse),
    DescribeConfigs(DescribeConfigsResponse),
    CreatePartitions(CreatePartitionsResponse),
    ElectLeaders(ElectLeadersResponse),
    IncrementalAlterConfigs(IncrementalAlterConfigsResponse),
    DescribeCluster(DescribeClusterResponse),
    DescribeProducers(DescribeProducersResponse),
    DescribeTransactions(DescribeTransactionsResponse),
    ListTransactions(ListTransactionsResponse),
}

fn frame<R: Encodable + HeaderVersion>(response: &R, version: i16, correlation_id: i32) -> Option<Bytes> {
    let size = response.compute_size(version).ok()?;
    let mut bytes = BytesMut::with_capacity(size + 16);
    bytes.put_i32(0);
    ResponseHeader::default()
        .with_correlation_id(correlation_id)
        .encode(&mut bytes, R::header_version(version))
        .ok()?;
    response.encode(&mut bytes, version).ok()?;
    let length = i32::try_from(bytes.len() - 4).ok()?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Some(bytes.freeze())
}
