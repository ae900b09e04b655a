//! Quotas: a producer that sends more than its byte rate is told to wait, and its channel is muted so long (KIP-219).
//!
//! Rate and delay are Kafka's: samples of one second over a window; delay = (rate - quota) / quota × window.

use std::collections::{BTreeMap, VecDeque};

use crate::answer::Answer;
use crate::model::{ConnectionId, Model};
use crate::store::Store;

/// quota.window.size.seconds.
const SAMPLE_MS: u64 = 1_000;
/// Client ids that are counted; the one seen longest ago is forgotten beyond it.
const MAX_CLIENTS: usize = 10_000;

/// Byte rates by client id.
#[derive(Debug)]
pub(crate) struct Quotas {
    default: Option<u64>,
    own: BTreeMap<String, u64>,
    /// Sample number and bytes, oldest first.
    samples: BTreeMap<String, VecDeque<(u64, u64)>>,
    window_ms: u64,
}

impl Quotas {
    pub(crate) fn new(default: Option<u64>, window_ms: i64) -> Quotas {
        Quotas {
            default,
            own: BTreeMap::new(),
            samples: BTreeMap::new(),
            window_ms: (window_ms.max(1) as u64).max(2 * SAMPLE_MS),
        }
    }

    pub(crate) fn set(&mut self, client_id: String, bytes_per_second: Option<u64>) {
        self.samples.remove(&client_id);
        match bytes_per_second {
            Some(rate) => self.own.insert(client_id, rate),
            None => self.own.remove(&client_id),
        };
    }

    /// Counts bytes; answers for how many milliseconds the client must be silent.
    pub(crate) fn count(&mut self, client_id: &str, bytes: u64, now_ms: u64) -> u64 {
        let Some(quota) = self
            .own
            .get(client_id)
            .copied()
            .or(self.default)
            .filter(|rate| *rate > 0)
        else {
            return 0;
        };
        if self.samples.len() >= MAX_CLIENTS && !self.samples.contains_key(client_id) {
            self.samples.pop_first();
        }
        let samples = self.samples.entry(client_id.to_owned()).or_default();
        let sample = now_ms / SAMPLE_MS;
        let oldest = (now_ms.saturating_sub(self.window_ms) / SAMPLE_MS) + 1;
        samples.retain(|(number, _)| *number >= oldest || *number == sample);
        match samples.back_mut() {
            Some((number, sum)) if *number == sample => *sum += bytes,
            _ => samples.push_back((sample, bytes)),
        }
        // Rate over all samples but the current one's rest, and never over less than all full samples.
        let span_ms = (self.window_ms - SAMPLE_MS) + now_ms % SAMPLE_MS;
        let sum: u64 = samples.iter().map(|(_, bytes)| bytes).sum();
        let allowed = quota as f64 * span_ms as f64 / 1_000.0;
        if sum as f64 <= allowed {
            return 0;
        }
        let delay_ms = (sum as f64 - allowed) / quota as f64 * 1_000.0;
        (delay_ms.round() as u64).min(self.window_ms)
    }
}

impl<S: Store> Model<S> {
    /// Counts the bytes of the current request, writes the throttle time into its answer, and answers it.
    pub(crate) fn throttle(&mut self, connection: ConnectionId, answer: &mut Answer) -> u64 {
        let now_ms = self.now.mono_ns / 1_000_000;
        let Answer::Produce(response) = answer else {
            return 0;
        };
        let Some(current) = self
            .connections
            .get(&connection)
            .and_then(|found| found.current.as_ref())
        else {
            return 0;
        };
        let client_id = current.header.client_id.as_deref().unwrap_or("");
        let throttle_ms = self.quotas.count(client_id, current.bytes as u64, now_ms);
        response.throttle_time_ms = throttle_ms as i32;
        throttle_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twice_the_rate_waits_as_long_again() {
        let mut quotas = Quotas::new(None, 11_000);
        quotas.set("c".into(), Some(1_000));
        assert_eq!(quotas.count("other", 1 << 30, 0), 0);
        // Ten seconds' worth is free at once: Kafka's window.
        assert_eq!(quotas.count("c", 10_000, 0), 0);
        assert_eq!(quotas.count("c", 2_000, 0), 2_000);
        // When the window has passed, nothing is left of it.
        assert_eq!(quotas.count("c", 1, 30_000), 0);
        quotas.set("c".into(), None);
        assert_eq!(quotas.count("c", 1 << 30, 30_000), 0);
    }
}
