//! One blocking socket to one leader: a request out, its answer in.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use peer_harness::clock::monotonic_ns;
use steadfast_producer::produce_response::{correlation_id, parse};
use steadfast_producer::reaction::NO_ANSWER;

use crate::batch::Batch;
use crate::request::{Request, VERSION};

/// How long a connection, a write or an answer may take. What takes longer never comes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer that is believed: some hundred bytes are usual.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// What became of one partition's batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    pub(crate) partition: i32,
    pub(crate) error_code: i16,
    /// -1 = not known.
    pub(crate) base_offset: i64,
    pub(crate) node: i32,
    pub(crate) correlation_id: i32,
    /// When the answer was read, or given up.
    pub(crate) at_ns: u64,
}

/// A connection and the request of which it has one in flight.
pub(crate) struct Link {
    node: i32,
    stream: TcpStream,
    request: Request,
    correlation_id: i32,
    /// What has come of the answer; its first four bytes are its size.
    answer: Vec<u8>,
    /// Partitions asked for and not answered yet.
    asked: Vec<i32>,
    failure: Option<io::Error>,
}

impl Link {
    /// Connects to `host:port`.
    pub(crate) fn connect(node: i32, addr: &str, request: Request) -> io::Result<Link> {
        let nowhere = || io::Error::new(ErrorKind::NotFound, "no address behind this name");
        let address = addr.to_socket_addrs()?.next().ok_or_else(nowhere)?;
        let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Link {
            node,
            stream,
            request,
            correlation_id: 0,
            answer: Vec::new(),
            asked: Vec::new(),
            failure: None,
        })
    }

    /// The node at the other end.
    pub(crate) fn node(&self) -> i32 {
        self.node
    }

    /// Sends one request with these batches; a failure shows in [`Link::receive`].
    pub(crate) fn send<'b>(&mut self, batches: impl Iterator<Item = (i32, &'b Batch)> + Clone) {
        self.asked.clear();
        self.asked.extend(batches.clone().map(|(partition, _)| partition));
        if self.asked.is_empty() {
            return;
        }
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let bytes = batches.clone().map(|(_, batch)| batch.bytes().len()).sum();
        self.request.fill(self.correlation_id, self.asked.len(), bytes);
        let mut slices = Vec::with_capacity(1 + self.asked.len());
        slices.push(IoSlice::new(self.request.head()));
        slices.extend(batches.map(|(_, batch)| IoSlice::new(batch.bytes())));
        self.failure = write_all(&mut self.stream, &mut slices).err();
    }

    /// Waits for the answer to what was sent and adds what it says of each partition; what it leaves open has no answer.
    pub(crate) fn receive(&mut self, into: &mut Vec<Answered>) {
        if self.asked.is_empty() {
            return;
        }
        let result = match self.failure.take() {
            None => self.read(),
            Some(failure) => Err(failure),
        };
        let at_ns = monotonic_ns();
        let result = result.and_then(|()| self.understand(at_ns, into));
        if let Err(error) = &result {
            eprintln!("node {}: {error}", self.node);
        }
        into.extend(self.asked.drain(..).map(|partition| Answered {
            partition,
            error_code: NO_ANSWER.code,
            base_offset: -1,
            node: self.node,
            correlation_id: self.correlation_id,
            at_ns,
        }));
    }

    /// Reads the whole answer, usually with one call.
    fn read(&mut self) -> io::Result<()> {
        let mut length = 0;
        let mut whole = 4;
        while length < whole {
            // More than an answer needs: room is kept, so this costs nothing after the first time.
            self.answer.resize(whole.max(4 << 10), 0);
            match self.stream.read(&mut self.answer[length..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => length += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if let (4, Some(size)) = (whole, self.answer[..length].first_chunk::<4>()) {
                whole = 4 + usize::try_from(i32::from_be_bytes(*size)).unwrap_or(usize::MAX - 4);
                if whole > MAX_ANSWER_BYTES {
                    return Err(nonsense("the answer is too long"));
                }
            }
        }
        if length > whole {
            return Err(nonsense("more came than was asked for"));
        }
        self.answer.truncate(whole);
        Ok(())
    }

    fn understand(&mut self, at_ns: u64, into: &mut Vec<Answered>) -> io::Result<()> {
        let frame = &self.answer[4..];
        if correlation_id(frame) != Some(self.correlation_id) {
            return Err(nonsense("this answers another request"));
        }
        let response = parse(VERSION, frame).map_err(|error| nonsense(&error.to_string()))?;
        for told in response.partitions {
            let Some(place) = self.asked.iter().position(|&asked| asked == told.partition) else {
                return Err(nonsense("a partition that was not asked for"));
            };
            self.asked.swap_remove(place);
            into.push(Answered {
                partition: told.partition,
                error_code: told.error_code,
                base_offset: told.base_offset,
                node: self.node,
                correlation_id: self.correlation_id,
                at_ns,
            });
        }
        Ok(())
    }
}

/// All of it, usually with one call.
fn write_all(stream: &mut TcpStream, mut slices: &mut [IoSlice<'_>]) -> io::Result<()> {
    while !slices.is_empty() {
        match stream.write_vectored(slices) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(count) => IoSlice::advance_slices(&mut slices, count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn nonsense(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what.to_owned())
}
