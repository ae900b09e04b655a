//! One non-blocking TCP connection: frames out by vectored writes, frames in from one large buffer.
//!
//! One write per request where the socket takes it, one read per wake for as many answers as have come. Nothing here
//! knows Kafka beyond the four size bytes in front of each frame.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use crate::sender::{Frame, ProduceFrame};

/// Where answers are read into; an answer to a Produce request is some hundred bytes.
const READ_BUFFER_BYTES: usize = 64 * 1024;
/// No answer is longer than this, or the connection is closed. Metadata of 100,000 partitions stays below.
pub(crate) const MAX_RESPONSE_BYTES: usize = 32 * 1024 * 1024;
/// Slices given to one write.
const SLICES: usize = 64;
const SIZE_BYTES: usize = 4;

/// `send.buffer.bytes` and `receive.buffer.bytes`; `None` leaves them to the system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Buffers {
    pub(crate) send_bytes: Option<usize>,
    pub(crate) receive_bytes: Option<usize>,
}

pub(crate) struct Connection {
    socket: OwnedFd,
    /// Addresses not tried yet.
    others: VecDeque<SocketAddr>,
    buffers: Buffers,
    open: bool,
    /// Frames not written in full, and how much of the first is.
    out: VecDeque<Frame>,
    written: usize,
    input: Vec<u8>,
    /// Bytes of `input` that were read and not yet taken.
    start: usize,
    end: usize,
    /// What epoll was told: whether room to write is of interest.
    pub(crate) watches_write: bool,
}

impl Connection {
    /// Begins to connect to the first address that can be tried at all.
    pub(crate) fn begin(addresses: Vec<SocketAddr>, buffers: Buffers) -> io::Result<Connection> {
        let mut others = VecDeque::from(addresses);
        let socket = connect_any(&mut others, buffers)?;
        Ok(Connection {
            socket,
            others,
            buffers,
            open: false,
            out: VecDeque::new(),
            written: 0,
            input: Vec::new(),
            start: 0,
            end: 0,
            watches_write: false,
        })
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The socket became writable while connecting: `Ok(true)` = connected, `Ok(false)` = a new socket tries the next
    /// address (register it), error = no address left.
    pub(crate) fn finish_connect(&mut self) -> io::Result<bool> {
        match sockopt::socket_error(&self.socket)? {
            Ok(()) => {
                sockopt::set_tcp_nodelay(&self.socket, true)?;
                self.input.resize(READ_BUFFER_BYTES, 0);
                self.open = true;
                Ok(true)
            }
            Err(refused) => {
                if self.others.is_empty() {
                    return Err(refused.into());
                }
                self.socket = connect_any(&mut self.others, self.buffers)?;
                self.watches_write = false;
                Ok(false)
            }
        }
    }

    /// Queues a frame and writes what the socket takes. Bounded by the requests in flight that the core allows.
    pub(crate) fn send(&mut self, frame: Frame, written: &mut impl FnMut(ProduceFrame)) -> io::Result<()> {
        self.out.push_back(frame);
        self.flush(written)
    }

    /// Something waits for the socket to take more.
    pub(crate) fn wants_write(&self) -> bool {
        !self.open || !self.out.is_empty()
    }

    /// Writes what the socket takes; frames that are written in full are handed to `written`.
    pub(crate) fn flush(&mut self, written: &mut impl FnMut(ProduceFrame)) -> io::Result<()> {
        while let Some(frame) = self.out.front() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let (count, total) = match frame {
                Frame::Plain(bytes) => {
                    slices[0] = IoSlice::new(bytes.get(self.written..).unwrap_or_default());
                    (1, bytes.len())
                }
                Frame::Produce(frame) => (frame.slices(self.written, &mut slices), frame.total_bytes()),
            };
            let mut nothing = SendAncillaryBuffer::default();
            // NOSIGNAL: a closed peer is an error here and no signal for the whole process.
            match rustix::net::sendmsg(&self.socket, &slices[..count], &mut nothing, SendFlags::NOSIGNAL) {
                Ok(taken) => self.written += taken,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if self.written >= total {
                self.written = 0;
                if let Some(Frame::Produce(frame)) = self.out.pop_front() {
                    written(frame);
                }
            }
        }
        Ok(())
    }

    /// One read. Then [`next_frame`](Self::next_frame) gives the frames that are complete.
    pub(crate) fn read(&mut self) -> io::Result<()> {
        self.make_room()?;
        match rustix::io::read(&self.socket, &mut self.input[self.end..]) {
            Ok(0) => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the broker closed the connection",
            )),
            Ok(count) => {
                self.end += count;
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The next complete frame, without its size field.
    pub(crate) fn next_frame(&mut self) -> io::Result<Option<&[u8]>> {
        let Some(size) = self.frame_size()? else {
            return Ok(None);
        };
        let from = self.start + SIZE_BYTES;
        if self.end - self.start < SIZE_BYTES + size {
            return Ok(None);
        }
        self.start = from + size;
        Ok(Some(&self.input[from..from + size]))
    }

    fn frame_size(&self) -> io::Result<Option<usize>> {
        let unread = &self.input[self.start..self.end];
        let Some(size) = unread.first_chunk::<SIZE_BYTES>() else {
            return Ok(None);
        };
        let size = i32::from_be_bytes(*size);
        match usize::try_from(size) {
            Ok(size) if size <= MAX_RESPONSE_BYTES => Ok(Some(size)),
            _ => {
                let what = format!("an answer of {size} bytes; at most {MAX_RESPONSE_BYTES} are read");
                Err(io::Error::new(io::ErrorKind::InvalidData, what))
            }
        }
    }

    /// Moves what is unread to the front, and makes the buffer as large as the frame that has begun.
    fn make_room(&mut self) -> io::Result<()> {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let needed = self.frame_size()?.map_or(0, |size| size + SIZE_BYTES);
        if needed > self.input.len() {
            self.input.resize(needed, 0);
        } else if self.end == 0 && self.input.len() > READ_BUFFER_BYTES {
            self.input.truncate(READ_BUFFER_BYTES);
            self.input.shrink_to_fit();
        }
        Ok(())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn connect_any(addresses: &mut VecDeque<SocketAddr>, buffers: Buffers) -> io::Result<OwnedFd> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(address) = addresses.pop_front() {
        match connect(address, buffers) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect(address: SocketAddr, buffers: Buffers) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    // Before the connection is made: the window scale is agreed on with the first packets.
    if let Some(bytes) = buffers.send_bytes {
        sockopt::set_socket_send_buffer_size(&socket, bytes)?;
    }
    if let Some(bytes) = buffers.receive_bytes {
        sockopt::set_socket_recv_buffer_size(&socket, bytes)?;
    }
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}
