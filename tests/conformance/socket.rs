//! Frames over TCP, as raw as they come: what is sent may be nonsense, and a closed connection is an answer too.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How long a broker may take over an answer. The longest poll that the script asks for is far shorter.
pub(crate) const ANSWER_BOUND: Duration = Duration::from_secs(15);
/// How long an answer is waited for where none is expected: a broker that waits for the rest of a frame, and acks=0.
pub(crate) const SILENCE: Duration = Duration::from_millis(400);
/// Longest frame that is read.
const MAX_FRAME_BYTES: usize = 16 << 20;

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// A frame, without its length.
    Frame(Vec<u8>),
    /// The end of the connection.
    Closed,
    /// Nothing within the bound.
    Silence,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
}

impl Socket {
    pub(crate) fn connect(server: &str) -> Result<Socket, String> {
        let stream = TcpStream::connect(server).map_err(|error| format!("connect to {server}: {error}"))?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Socket { stream })
    }

    /// Sends bytes and listens for one frame. A peer that closes while we write has answered.
    pub(crate) fn exchange(&mut self, bytes: &[u8], bound: Duration) -> Result<Heard, String> {
        match self.stream.write_all(bytes) {
            Ok(()) => {}
            Err(error) if closed(error.kind()) => return Ok(Heard::Closed),
            Err(error) => return Err(error.to_string()),
        }
        let deadline = Instant::now() + bound;
        let mut length = [0; 4];
        if let Some(silent_or_closed) = self.fill(&mut length, deadline)? {
            return Ok(silent_or_closed);
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_FRAME_BYTES {
            return Err(format!("an answer of {length} bytes"));
        }
        let mut frame = vec![0; length];
        match self.fill(&mut frame, deadline)? {
            Some(_) => Err("an answer that was cut".into()),
            None => Ok(Heard::Frame(frame)),
        }
    }

    fn fill(&mut self, mut into: &mut [u8], deadline: Instant) -> Result<Option<Heard>, String> {
        while !into.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Some(Heard::Silence));
            }
            self.stream
                .set_read_timeout(Some(left))
                .map_err(|error| error.to_string())?;
            match self.stream.read(into) {
                Ok(0) => return Ok(Some(Heard::Closed)),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(Heard::Silence)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if closed(error.kind()) => return Ok(Some(Heard::Closed)),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(None)
    }
}

fn closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe
    )
}
