//! One blocking connection to one broker: one request, one answer, a deadline on every wait.
//!
//! Shell: owns a socket and reads the monotonic clock. Nothing is pipelined and nothing is retried here; an error
//! says through [`WireError::disposition`] what the caller may do next. After any error the connection is closed,
//! since the next bytes on it could belong to the old answer.

#![expect(
    clippy::disallowed_methods,
    reason = "shell: deadlines on a socket need the monotonic clock"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest, RequestHeader};
use kafka_protocol::protocol::{Encodable, Message, Request, StrBytes, VersionRange};

use crate::guard::{self, GuardError};

/// Longest response frame that is read. Larger than any Fetch that is asked for here.
pub const MAX_FRAME_BYTES: usize = 64 << 20;
/// How much memory a frame gets before its bytes are there: a length alone costs nothing.
const READ_STEP_BYTES: usize = 1 << 20;
/// Addresses of one host name that are tried.
const MAX_ADDRESSES: usize = 8;
/// UNSUPPORTED_VERSION.
const UNSUPPORTED_VERSION: i16 = 35;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Nobody listens there, or the name means nothing. Nothing was sent.
    #[error("cannot connect to {addr}: {source}")]
    Connect {
        /// `host:port`.
        addr: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The connection broke, or the deadline passed, after the request may have left.
    #[error("no answer from {addr} to API {api_key}: {source}")]
    NoAnswer {
        /// `host:port`.
        addr: String,
        /// Which API was asked.
        api_key: i16,
        /// The system's reason; `TimedOut` for the deadline.
        source: io::Error,
    },
    /// An answer that is no answer.
    #[error("{addr} talks nonsense: {what}")]
    Nonsense {
        /// `host:port`.
        addr: String,
        /// What is wrong with it.
        what: String,
    },
    /// The broker and we have no version of this API in common.
    #[error("{addr} has no version of API {api_key} that we speak")]
    Unsupported {
        /// `host:port`.
        addr: String,
        /// The API.
        api_key: i16,
    },
    /// The request cannot be written in the version chosen.
    #[error("request of API {api_key} does not fit version {version}: {reason}")]
    Request {
        /// The API.
        api_key: i16,
        /// The version.
        version: i16,
        /// kafka-protocol's reason.
        reason: String,
    },
    /// An earlier error closed the connection. Nothing was sent.
    #[error("the connection to {addr} is closed")]
    Closed {
        /// `host:port`.
        addr: String,
    },
}

/// What the caller of a failed request may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// Not done; worth another try on a new connection.
    Retry,
    /// Not done; another try will end the same way.
    GiveUp,
    /// Perhaps done: look before doing it again, unless doing it twice is harmless.
    Unknown,
}

impl WireError {
    /// What the caller may do next.
    pub fn disposition(&self) -> Disposition {
        match self {
            WireError::Connect { .. } | WireError::Closed { .. } => Disposition::Retry,
            WireError::NoAnswer { .. } | WireError::Nonsense { .. } => Disposition::Unknown,
            WireError::Unsupported { .. } | WireError::Request { .. } => Disposition::GiveUp,
        }
    }
}

/// An open connection that knows what its broker speaks.
#[derive(Debug)]
pub struct Connection {
    /// None once an error closed it.
    stream: Option<TcpStream>,
    addr: String,
    client_id: StrBytes,
    timeout: Duration,
    correlation_id: i32,
    /// API key and the versions the broker speaks.
    apis: Vec<(i16, VersionRange)>,
}

impl Connection {
    /// Connects to `host:port` and asks for the broker's API versions. `timeout` bounds the connecting, and from
    /// then on each request from its first byte to the last of its answer.
    pub fn connect(addr: &str, client_id: &str, timeout: Duration) -> Result<Connection, WireError> {
        let stream = open(addr, timeout).map_err(|source| WireError::Connect {
            addr: addr.to_owned(),
            source,
        })?;
        let mut connection = Connection {
            stream: Some(stream),
            addr: addr.to_owned(),
            client_id: StrBytes::from_string(client_id.to_owned()),
            timeout,
            correlation_id: 0,
            apis: Vec::new(),
        };
        connection.negotiate()?;
        Ok(connection)
    }

    /// Sends a request in the newest version that both sides speak and waits for its answer.
    pub fn request<R: Request>(&mut self, request: &R) -> Result<R::Response, WireError> {
        let unsupported = || WireError::Unsupported {
            addr: self.addr.clone(),
            api_key: R::KEY,
        };
        let version = self.version(R::KEY).ok_or_else(unsupported)?;
        self.request_at(request, version)
    }

    /// Sends a request in a given version and waits for its answer.
    pub fn request_at<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, WireError> {
        let frame = self.encode(request, version)?;
        let Some(stream) = self.stream.take() else {
            return Err(WireError::Closed {
                addr: self.addr.clone(),
            });
        };
        let deadline = Instant::now() + self.timeout;
        let answer = exchange(&stream, &frame, deadline).map_err(|failed| match failed {
            Failed::Io(source) => WireError::NoAnswer {
                addr: self.addr.clone(),
                api_key: R::KEY,
                source,
            },
            Failed::Length(length) => self.nonsense(format!("a frame of {length} bytes")),
        })?;
        let (correlation_id, response) = guard::decode::<R>(version, answer)
            .map_err(|error: GuardError| self.nonsense(error.to_string()))?;
        if correlation_id != self.correlation_id {
            let ours = self.correlation_id;
            return Err(self.nonsense(format!("an answer to request {correlation_id} instead of {ours}")));
        }
        self.stream = Some(stream);
        Ok(response)
    }

    /// The newest version of an API that both sides speak.
    pub fn version(&self, api_key: i16) -> Option<i16> {
        let (_, theirs) = self.apis.iter().find(|(key, _)| *key == api_key)?;
        let ours = ApiKey::try_from(api_key).ok()?.valid_versions();
        let both = ours.intersect(theirs);
        (!both.is_empty()).then_some(both.max)
    }

    /// Where this leads: `host:port`.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// False once an error has closed it.
    pub fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// ApiVersions; a broker that is too old for our version of it says so in version 0, with its own range
    /// (KIP-511).
    fn negotiate(&mut self) -> Result<(), WireError> {
        let request = ApiVersionsRequest::default()
            .with_client_software_name(StrBytes::from_static_str("steadfast"))
            .with_client_software_version(StrBytes::from_static_str(env!("CARGO_PKG_VERSION")));
        let mut version = ApiVersionsRequest::VERSIONS.max;
        let mut response = self.request_at(&request, version)?;
        if response.error_code == UNSUPPORTED_VERSION {
            let range = response
                .api_keys
                .iter()
                .find(|api| api.api_key == ApiVersionsRequest::KEY);
            version = range.map_or(0, |api| api.max_version.clamp(0, version));
            let request = if version < 3 {
                ApiVersionsRequest::default()
            } else {
                request
            };
            response = self.request_at(&request, version)?;
        }
        if response.error_code != 0 {
            return Err(self.nonsense(format!("error {} to ApiVersions", response.error_code)));
        }
        let range = |min, max| VersionRange { min, max };
        self.apis = response
            .api_keys
            .iter()
            .map(|api| (api.api_key, range(api.min_version, api.max_version)))
            .collect();
        Ok(())
    }

    /// The whole frame: length, header, request.
    fn encode<R: Request>(&mut self, request: &R, version: i16) -> Result<BytesMut, WireError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation_id)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::from(&[0; 4][..]);
        header
            .encode(&mut frame, R::header_version(version))
            .and_then(|()| request.encode(&mut frame, version))
            .map_err(|error| WireError::Request {
                api_key: R::KEY,
                version,
                reason: error.to_string(),
            })?;
        let length = (frame.len() - 4) as i32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        Ok(frame)
    }

    fn nonsense(&self, what: String) -> WireError {
        WireError::Nonsense {
            addr: self.addr.clone(),
            what,
        }
    }
}

/// Why an exchange came to nothing.
enum Failed {
    Io(io::Error),
    Length(i32),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        Failed::Io(error)
    }
}

/// Writes a frame and reads one. However slowly the bytes drip, the deadline holds.
fn exchange(stream: &TcpStream, frame: &[u8], deadline: Instant) -> Result<Bytes, Failed> {
    let mut sent = 0;
    while sent < frame.len() {
        stream.set_write_timeout(Some(remaining(deadline)?))?;
        sent += retry_interrupted(|| (&mut &*stream).write(&frame[sent..]))?;
    }
    let mut length = [0; 4];
    fill(stream, &mut length, deadline)?;
    let length = i32::from_be_bytes(length);
    if length < 4 || length as usize > MAX_FRAME_BYTES {
        return Err(Failed::Length(length));
    }
    let length = length as usize;
    let mut answer = Vec::with_capacity(length.min(READ_STEP_BYTES));
    while answer.len() < length {
        let from = answer.len();
        answer.resize(length.min(from + READ_STEP_BYTES), 0);
        fill(stream, &mut answer[from..], deadline)?;
    }
    Ok(Bytes::from(answer))
}

fn fill(stream: &TcpStream, mut into: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !into.is_empty() {
        stream.set_read_timeout(Some(remaining(deadline)?))?;
        let count = retry_interrupted(|| (&mut &*stream).read(into))?;
        if count == 0 {
            return Err(io::Error::new(
                ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            ));
        }
        into = &mut into[count..];
    }
    Ok(())
}

/// A signal is no failure; a socket's own time-out (`WouldBlock`) is the deadline.
fn retry_interrupted(mut step: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match step() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(timed_out()),
            done => return done,
        }
    }
}

fn remaining(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        Err(timed_out())
    } else {
        Ok(left)
    }
}

fn timed_out() -> io::Error {
    io::Error::new(ErrorKind::TimedOut, "the deadline has passed")
}

/// Tries the addresses behind a name in turn, all within the timeout.
fn open(addr: &str, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + timeout;
    let mut last = io::Error::new(ErrorKind::NotFound, "no address behind this name");
    for address in resolve(addr, deadline)?.into_iter().take(MAX_ADDRESSES) {
        match TcpStream::connect_timeout(&address, remaining(deadline)?) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The system's resolver knows no deadline, so a name (not a literal address) is looked up on a thread of its own,
/// which is left to itself when the deadline passes.
fn resolve(addr: &str, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(literal) = addr.parse() {
        return Ok(vec![literal]);
    }
    let (found, answer) = mpsc::channel();
    let name = addr.to_owned();
    std::thread::Builder::new()
        .name("resolve".into())
        .spawn(move || {
            // Nobody listens any more: the deadline has passed.
            let _ = found.send(name.to_socket_addrs().map(Vec::from_iter));
        })?;
    answer
        .recv_timeout(remaining(deadline)?)
        .map_err(|_| timed_out())?
}

#[cfg(test)]
mod tests;
