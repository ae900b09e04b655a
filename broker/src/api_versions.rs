//! ApiVersions: what is served, and the feature that decides how transactions work (KIP-584, KIP-890).

use kafka_protocol::messages::api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey};
use kafka_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};
use kafka_protocol::protocol::StrBytes;

use crate::code;
use crate::connection::At;
use crate::model::Model;
use crate::request::{API_VERSIONS, ranges};
use crate::store::Store;

/// The feature's name.
const TRANSACTION_VERSION: &str = "transaction.version";
/// The newest that Kafka 4.1 supports.
const NEWEST_TRANSACTION_VERSION: i16 = 2;
/// First version in which a supported feature may begin at version 0.
const TELLS_FEATURES_FROM_0: i16 = 4;

impl<S: Store> Model<S> {
    pub(crate) fn api_versions(&mut self, at: &At, request: &ApiVersionsRequest) -> ApiVersionsResponse {
        if at.version >= 3
            && !(legal(&request.client_software_name) && legal(&request.client_software_version))
        {
            return ApiVersionsResponse::default().with_error_code(code::INVALID_REQUEST);
        }
        let apis = ranges().map(|range| {
            ApiVersion::default()
                .with_api_key(range.api_key)
                .with_min_version(range.advertised)
                .with_max_version(range.newest)
        });
        let response = ApiVersionsResponse::default().with_api_keys(apis.collect());
        if at.version < 3 {
            return response;
        }
        let name = StrBytes::from_static_str(TRANSACTION_VERSION);
        let supported = SupportedFeatureKey::default()
            .with_name(name.clone())
            .with_min_version(0)
            .with_max_version(NEWEST_TRANSACTION_VERSION);
        // Older clients cannot read that a feature begins at 0 (KIP-1022).
        let supported = (at.version >= TELLS_FEATURES_FROM_0).then_some(supported);
        let finalized = FinalizedFeatureKey::default()
            .with_name(name)
            .with_min_version_level(self.settings.transaction_version)
            .with_max_version_level(self.settings.transaction_version);
        response
            .with_supported_features(supported.into_iter().collect())
            .with_finalized_features_epoch(1)
            .with_finalized_features(vec![finalized])
    }

    /// Told to a client that asks in a version nobody knows: the range of this API, for it to ask again (KIP-511).
    pub(crate) fn unsupported_api_versions(&self) -> ApiVersionsResponse {
        let own = ranges()
            .filter(|range| range.api_key == API_VERSIONS)
            .map(|range| {
                ApiVersion::default()
                    .with_api_key(range.api_key)
                    .with_min_version(range.oldest)
                    .with_max_version(range.newest)
            });
        ApiVersionsResponse::default()
            .with_error_code(code::UNSUPPORTED_VERSION)
            .with_api_keys(own.collect())
    }
}

/// ApiVersionsRequest.isValid: letters, digits, dots and dashes, beginning and ending with a letter or digit.
fn legal(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    text.chars().all(inner) && edge(text.chars().next()) && edge(text.chars().next_back())
}
