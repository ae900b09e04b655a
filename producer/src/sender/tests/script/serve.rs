//! What a broker answers, but for Produce: versions, metadata, ids, configurations, and what coordinators are asked.

use bytes::Bytes;
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdRequest, InitProducerIdResponse, MetadataRequest,
    RequestHeader,
};
use kafka_protocol::protocol::Decodable;

use super::Script;
use crate::sender::LinkId;
use crate::sender::tests::answers::{self, encode};
use crate::sender::tests::tamper::Tamper;

impl Script {
    pub(super) fn serve(&mut self, link: LinkId, mut request: Bytes) {
        let api = ApiKey::try_from(i16::from_be_bytes(request[..2].try_into().unwrap())).unwrap();
        let version = i16::from_be_bytes(request[2..4].try_into().unwrap());
        let header = RequestHeader::decode(&mut request, api.request_header_version(version)).unwrap();
        let correlation = header.correlation_id;
        let answer = match api {
            ApiKey::ApiVersions if self.old && version > 0 => {
                let refused = ApiVersionsResponse::default().with_error_code(35);
                encode(correlation, 0, &refused)
            }
            ApiKey::ApiVersions => {
                let mut versions = answers::api_versions(
                    self.newest_produce,
                    self.coordinator.newest_init,
                    self.coordinator.level,
                );
                self.tamper(|tamper| tamper.api_versions(&mut versions));
                encode(correlation, version, &versions)
            }
            ApiKey::Metadata if self.metadata_lost > 0 => {
                self.metadata_lost -= 1;
                return;
            }
            ApiKey::Metadata => {
                let asked = MetadataRequest::decode(&mut request, version).unwrap();
                self.asked
                    .metadata
                    .push(asked.topics.map_or(0, |topics| topics.len()));
                let topic_id = (!self.topic_hidden).then_some(self.topic_id);
                let mut metadata = answers::metadata(&self.logs, self.nodes, self.first_port, topic_id);
                self.tamper(|tamper| tamper.metadata(&mut metadata));
                encode(correlation, version, &metadata)
            }
            ApiKey::InitProducerId if self.sender.transaction_state().is_none() => {
                let asked = InitProducerIdRequest::decode(&mut request, version).unwrap();
                self.asked.identities.push(asked);
                self.next_pid += 1;
                let mut id = InitProducerIdResponse::default()
                    .with_producer_id(self.next_pid.into())
                    .with_producer_epoch(std::mem::take(&mut self.next_epoch));
                self.tamper(|tamper| tamper.identity(&mut id));
                encode(correlation, version, &id)
            }
            ApiKey::DescribeConfigs => encode(correlation, version, &answers::configs()),
            ApiKey::Produce => return self.produce(link, correlation, version, request),
            api => return self.coordinate(link, correlation, api, version, request),
        };
        self.answer(link, api, answer, 0);
    }

    /// Lets those tamper that mean the answer at hand.
    pub(super) fn tamper(&mut self, mut apply: impl FnMut(&Tamper) -> bool) {
        for (tamper, times) in self.tampering.iter_mut().filter(|(_, times)| *times > 0) {
            *times -= u32::from(apply(tamper));
        }
    }
}
