//! The bytes in front of the batches of a Produce request, encoded once for each connection. Pure.
//!
//! ```text
//! │size│key, version│correlation id│client id│no transaction│acks│timeout│1 topic│its name│partitions│ batch │ batch │ …
//!  ~~~~              ~~~~~~~~~~~~~~                                                        ~~~~~~~~~~   filled in each time
//! ```
//! Version 7, the last with bytes at fixed places that every broker of today takes (2.1 to 4.x); the flexible encoding from
//! version 9 on would save a few bytes and cost a pass.

use steadfast_producer::config::ProducerConfig;

/// Of the Produce request.
pub(crate) const VERSION: i16 = 7;
const API_KEY: i16 = 0;
const NANOS_PER_MS: u64 = 1_000_000;

const CORRELATION_ID: usize = 8;

/// What is the same in every request.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    head: Vec<u8>,
}

impl Request {
    /// For this topic and client.
    pub(crate) fn new(topic: &str, config: &ProducerConfig) -> Request {
        let timeout_ms = i32::try_from(config.request_timeout_ns / NANOS_PER_MS).unwrap_or(i32::MAX);
        let mut head = vec![0; 4];
        head.extend_from_slice(&API_KEY.to_be_bytes());
        head.extend_from_slice(&VERSION.to_be_bytes());
        head.extend_from_slice(&[0; 4]);
        put_text(&mut head, &config.client_id);
        head.extend_from_slice(&(-1_i16).to_be_bytes()); // no transactional id
        head.extend_from_slice(&(-1_i16).to_be_bytes()); // acks: all
        head.extend_from_slice(&timeout_ms.to_be_bytes());
        head.extend_from_slice(&1_i32.to_be_bytes());
        put_text(&mut head, topic);
        head.extend_from_slice(&[0; 4]);
        Request { head }
    }

    /// Fills in what differs; `batch_bytes`: of all of them together.
    pub(crate) fn fill(&mut self, correlation_id: i32, partitions: usize, batch_bytes: usize) {
        let size = (self.head.len() - 4 + batch_bytes) as i32;
        let last = self.head.len() - 4;
        self.head[..4].copy_from_slice(&size.to_be_bytes());
        self.head[CORRELATION_ID..CORRELATION_ID + 4].copy_from_slice(&correlation_id.to_be_bytes());
        self.head[last..].copy_from_slice(&(partitions as i32).to_be_bytes());
    }

    /// What goes in front of the batches.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }
}

/// Names that come here were taken by a broker or checked as a setting: they fit 16 bits.
fn put_text(into: &mut Vec<u8>, text: &str) {
    into.extend_from_slice(&(text.len() as i16).to_be_bytes());
    into.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use steadfast_producer::config::Profile;
    use steadfast_producer::produce_request::{Frame, Head, Part};

    use super::*;

    #[test]
    fn it_is_the_frame_that_our_own_producer_would_send() {
        let config = ProducerConfig::defaults(Profile::Kafka);
        let mut ours = Request::new("orders", &config);
        let head = Head {
            version: VERSION,
            correlation_id: 77,
            client_id: &config.client_id,
            transactional_id: None,
            acks: -1,
            timeout_ms: 30_000,
        };
        let batches: [&[u8]; 2] = [&[1; 100], &[2; 50]];
        let parts = [3, 5].iter().zip(batches).map(|(&partition, batch)| Part {
            topic: "orders",
            topic_id: [0; 16],
            partition,
            batch_bytes: batch.len(),
        });
        let mut frame = Frame::default();
        frame.encode(&head, parts).expect("fits");
        let mut slices = [std::io::IoSlice::new(&[]); 8];
        let count = frame.slices(0, |i| batches[i], &mut slices);
        let theirs: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();

        let fronts = 2 * 8;
        ours.fill(77, 2, 150 + fronts);
        let mut whole = ours.head().to_vec();
        for (partition, batch) in [3_i32, 5].iter().zip(batches) {
            whole.extend_from_slice(&partition.to_be_bytes());
            whole.extend_from_slice(&(batch.len() as i32).to_be_bytes());
            whole.extend_from_slice(batch);
        }
        assert_eq!(whole, theirs);
    }
}
