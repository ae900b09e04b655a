//! Answers that a broker of sound mind does not give, and the change that makes one of a good one.

use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, InitProducerIdResponse, MetadataResponse, ProduceResponse,
};

/// A change to the answers of one API.
#[derive(Debug, Clone, Copy)]
pub(super) enum Tamper {
    ApiVersions(fn(&mut ApiVersionsResponse)),
    Metadata(fn(&mut MetadataResponse)),
    Identity(fn(&mut InitProducerIdResponse)),
    Produce(fn(&mut ProduceResponse)),
    /// Of the frame, without its size field, to those that are sent in its place.
    Frames(ApiKey, fn(Vec<u8>) -> Vec<Vec<u8>>),
}

/// Each is true if the change was meant for this answer, and made.
impl Tamper {
    pub(super) fn api_versions(&self, response: &mut ApiVersionsResponse) -> bool {
        let Tamper::ApiVersions(change) = self else {
            return false;
        };
        change(response);
        true
    }

    pub(super) fn metadata(&self, response: &mut MetadataResponse) -> bool {
        let Tamper::Metadata(change) = self else {
            return false;
        };
        change(response);
        true
    }

    pub(super) fn identity(&self, response: &mut InitProducerIdResponse) -> bool {
        let Tamper::Identity(change) = self else {
            return false;
        };
        change(response);
        true
    }

    pub(super) fn produce(&self, response: &mut ProduceResponse) -> bool {
        let Tamper::Produce(change) = self else {
            return false;
        };
        change(response);
        true
    }

    pub(super) fn frames(&self, api: ApiKey, frames: &mut Vec<Vec<u8>>) -> bool {
        let Tamper::Frames(meant, change) = self else {
            return false;
        };
        if *meant == api {
            *frames = std::mem::take(frames).into_iter().flat_map(change).collect();
        }
        *meant == api
    }
}
