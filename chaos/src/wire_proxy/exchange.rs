//! Pure: bytes into frames, and which answer belongs to which request. A broker answers the requests of a connection in
//! their order, so an answer that is made in its place waits for its turn.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::MAX_FRAME;

/// One direction of a connection, cut into frames, size fields included.
#[derive(Debug, Default)]
pub(super) struct Framer {
    bytes: BytesMut,
}

/// What cannot be a frame: the connection is no Kafka, or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Nonsense;

impl Framer {
    /// Where to read the next bytes to.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.bytes
    }

    /// The next whole frame, if it has arrived.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, Nonsense> {
        let Some(size) = self.bytes.first_chunk::<4>() else {
            return Ok(None);
        };
        let size = usize::try_from(i32::from_be_bytes(*size)).map_err(|_| Nonsense)?;
        // A request header is 8 bytes at least, that of an answer 4.
        if !(4..=MAX_FRAME).contains(&size) {
            return Err(Nonsense);
        }
        if self.bytes.len() < 4 + size {
            self.bytes.reserve(4 + size - self.bytes.len());
            return Ok(None);
        }
        Ok(Some(self.bytes.split_to(4 + size).freeze()))
    }
}

/// A request that has not been answered.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) api: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
    /// Kept where an answer may have to be made of it.
    pub(super) request: Option<Bytes>,
    /// The answer that comes in the broker's place.
    answer: Option<Bytes>,
}

/// The requests of a connection that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    asked: VecDeque<Asked>,
}

/// What stands before every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestHead {
    pub(super) api: i16,
    pub(super) version: i16,
    pub(super) correlation: i32,
}

impl RequestHead {
    /// Of a frame; none where it is too short for one.
    pub(super) fn of(frame: &[u8]) -> Option<RequestHead> {
        let mut head = frame.get(4..12)?;
        Some(RequestHead {
            api: head.get_i16(),
            version: head.get_i16(),
            correlation: head.get_i32(),
        })
    }
}

fn correlation_of(answer: &[u8]) -> Option<i32> {
    answer.get(4..8).map(|mut id| id.get_i32())
}

impl Exchange {
    /// A request goes to the broker.
    pub(super) fn asked(&mut self, head: RequestHead, request: Option<Bytes>) {
        self.push(head, request, None);
    }

    /// A request that the broker never sees; its answer waits for its turn.
    pub(super) fn answered(&mut self, head: RequestHead, answer: Bytes) {
        self.push(head, None, Some(answer));
    }

    fn push(&mut self, head: RequestHead, request: Option<Bytes>, answer: Option<Bytes>) {
        self.asked.push_back(Asked {
            api: head.api,
            version: head.version,
            correlation: head.correlation,
            request,
            answer,
        });
    }

    /// The made answers whose turn it is now.
    pub(super) fn due(&mut self) -> Vec<Bytes> {
        let mut due = Vec::new();
        while let Some(answer) = self.asked.front_mut().and_then(|first| first.answer.take()) {
            self.asked.pop_front();
            due.push(answer);
        }
        due
    }

    /// An answer has come: the request that it belongs to. Requests before it have none (acks=0), or were swallowed.
    pub(super) fn answer(&mut self, frame: &[u8]) -> Option<Asked> {
        let correlation = correlation_of(frame)?;
        let at = self
            .asked
            .iter()
            .position(|asked| asked.correlation == correlation && asked.answer.is_none())?;
        self.asked.drain(..at);
        self.asked.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(api: i16, correlation: i32) -> Bytes {
        let mut frame = 8_i32.to_be_bytes().to_vec();
        frame.extend(api.to_be_bytes());
        frame.extend(9_i16.to_be_bytes());
        frame.extend(correlation.to_be_bytes());
        frame.into()
    }

    fn answer(correlation: i32) -> Bytes {
        let mut frame = 4_i32.to_be_bytes().to_vec();
        frame.extend(correlation.to_be_bytes());
        frame.into()
    }

    #[test]
    fn frames_come_out_whole_however_the_bytes_arrive() {
        let wire: Vec<u8> = [request(0, 1), request(3, 2)].concat();
        for step in 1..=wire.len() {
            let mut framer = Framer::default();
            let mut frames = Vec::new();
            for chunk in wire.chunks(step) {
                framer.buffer().extend_from_slice(chunk);
                while let Some(frame) = framer.next().expect("sound") {
                    let head = RequestHead::of(&frame).expect("whole");
                    frames.push((head.api, head.correlation));
                }
            }
            assert_eq!(frames, [(0, 1), (3, 2)], "in pieces of {step}");
        }
    }

    #[test]
    fn sizes_that_no_frame_has_are_nonsense() {
        for size in [-1_i32, 0, 3, MAX_FRAME as i32 + 1, i32::MAX] {
            let mut framer = Framer::default();
            framer.buffer().extend_from_slice(&size.to_be_bytes());
            assert_eq!(framer.next(), Err(Nonsense), "{size}");
        }
    }

    #[test]
    fn a_made_answer_waits_for_its_turn() {
        let mut exchange = Exchange::default();
        let head = |correlation| RequestHead {
            api: 0,
            version: 9,
            correlation,
        };
        exchange.asked(head(1), None);
        exchange.answered(head(2), answer(2));
        exchange.asked(head(3), None);
        assert!(exchange.due().is_empty(), "the first is still at the broker");
        assert_eq!(exchange.answer(&answer(1)).map(|asked| asked.api), Some(0));
        assert_eq!(exchange.due(), [answer(2)]);
        assert!(exchange.due().is_empty());
        assert!(exchange.answer(&answer(9)).is_none(), "an answer to nothing");
        assert_eq!(
            exchange.answer(&answer(3)).map(|asked| asked.correlation),
            Some(3)
        );
    }
}
