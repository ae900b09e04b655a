//! Counters of the producer, under the stems of the Java client's `producer-metrics` (KIP-211 and older), so that
//! dashboards and eyes find them. Plain numbers; the reader takes differences.

use crate::record_batch::SealedBatch;

/// Counters since the start, and two levels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metrics {
    /// `record-send-total`: records sent for the first time.
    pub record_send_total: u64,
    /// `record-error-total`: records that ended NOT_WRITTEN or UNKNOWN.
    pub record_error_total: u64,
    /// `record-retry-total`: records sent again.
    pub record_retry_total: u64,
    /// Batches sent for the first time; `batch-size` and `records-per-request` are quotients with it.
    pub batch_send_total: u64,
    /// Batches sent again.
    pub batch_retry_total: u64,
    /// `batch-split-total`: batches split because the topic takes only smaller ones (A12).
    pub batch_split_total: u64,
    /// Answers with an error code, per batch.
    pub batch_error_answers_total: u64,
    /// Bytes of batches sent for the first time: `batch-size-avg` × `batch_send_total`.
    pub batch_bytes_total: u64,
    /// The same before compression: `compression-rate-avg` is the quotient.
    pub batch_uncompressed_bytes_total: u64,
    /// `batch-size-max`, bytes.
    pub batch_size_max: u64,
    /// `record-queue-time-avg` × `batch_send_total`: ns from a batch's first record to its first sending.
    pub record_queue_time_ns_total: u64,
    /// `record-queue-time-max`, ns.
    pub record_queue_time_ns_max: u64,
    /// `request-total`: requests of every kind.
    pub request_total: u64,
    /// Produce requests answered.
    pub produce_response_total: u64,
    /// `request-latency-avg` × `produce_response_total`, ns.
    pub request_latency_ns_total: u64,
    /// `request-latency-max`, ns.
    pub request_latency_ns_max: u64,
    /// `outgoing-byte-total`.
    pub outgoing_byte_total: u64,
    /// `incoming-byte-total`.
    pub incoming_byte_total: u64,
    /// `produce-throttle-time-avg` × its count, ms (KIP-219).
    pub produce_throttle_time_ms_total: u64,
    /// `produce-throttle-time-max`, ms.
    pub produce_throttle_time_ms_max: u64,
    /// `connection-creation-total`.
    pub connection_creation_total: u64,
    /// `buffer-exhausted-total`: appends refused because `buffer.memory` was in use.
    pub buffer_exhausted_total: u64,
    /// `buffer-available-bytes`, now.
    pub buffer_available_bytes: u64,
    /// `buffer-total-bytes`: the setting.
    pub buffer_total_bytes: u64,
    /// Partitions stopped because going on would lose or double records (A10): an alarm.
    pub partitions_stopped_total: u64,
    /// Local epoch bumps (A14).
    pub epoch_bump_total: u64,
}

impl Metrics {
    pub(crate) fn sealed(&mut self, batch: &SealedBatch, queue_ns: u64) {
        let bytes = batch.bytes().len() as u64;
        self.record_send_total += u64::from(batch.records());
        self.batch_send_total += 1;
        self.batch_bytes_total += bytes;
        self.batch_uncompressed_bytes_total += batch.uncompressed_bytes() as u64;
        self.batch_size_max = self.batch_size_max.max(bytes);
        self.record_queue_time_ns_total += queue_ns;
        self.record_queue_time_ns_max = self.record_queue_time_ns_max.max(queue_ns);
    }

    pub(crate) fn answered(&mut self, latency_ns: u64) {
        self.produce_response_total += 1;
        self.request_latency_ns_total += latency_ns;
        self.request_latency_ns_max = self.request_latency_ns_max.max(latency_ns);
    }

    pub(crate) fn throttled(&mut self, throttle_ms: u64) {
        self.produce_throttle_time_ms_total += throttle_ms;
        self.produce_throttle_time_ms_max = self.produce_throttle_time_ms_max.max(throttle_ms);
    }
}
