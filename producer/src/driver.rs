//! The shell of the [`Sender`]: one thread, one epoll, the sockets.
//!
//! ```text
//!   loop of the caller:  append … append ─► turn(until) ─► next_completion … next_completion ─►
//!                                            │ write what may go
//!                                            │ sleep: sockets, core deadlines, until      one epoll_pwait2
//!                                            └ read, react
//! ```
//!
//! Why an own epoll loop and not tokio in the hot path: one wake is one syscall, time-outs are nanoseconds (tokio
//! and mio round up to whole milliseconds), and no record crosses a thread. The epoll descriptor can itself be
//! watched ([`AsFd`]), so a gateway may still run a `Driver` inside a tokio runtime on one thread: turn with
//! `until = now` when it becomes readable or at [`Driver::wakeup_ns`].
//!
//! Sending happens at the beginning of a turn, not when the answer is read: so the caller can add what has become
//! due meanwhile, and it leaves in the same request.

mod transactions;

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

use crate::clock::{monotonic_ns, wall_ms};
use crate::config::ProducerConfig;
use crate::connection::{Buffers, Connection};
use crate::error::{AppendError, Fatal, error_name};
use crate::metrics::Metrics;
use crate::record::{Completion, Record, TopicHandle};
use crate::resolver::Resolver;
use crate::sender::{Action, Durability, LinkId, ProduceFrame, Sender};
use crate::wake::Waker;

/// Events taken from the kernel at a time.
const EVENTS: usize = 64;
/// What epoll returns for the waker; links are small numbers.
const WAKER: u64 = u64::MAX;
/// The kernel's default lets timers be 50 µs late; ours may be 1 ns late.
const TIMER_SLACK_NS: NonZeroU64 = NonZeroU64::MIN;

/// A single-threaded producer for a caller that has a thread to give. Applications mostly want
/// [`Producer`](crate::producer::Producer).
pub struct Driver {
    sender: Sender,
    epoll: OwnedFd,
    /// What the last sleep ended with: data and flags.
    events: Vec<(u64, epoll::EventFlags)>,
    /// By link number.
    sockets: Vec<Socket>,
    resolver: Resolver,
    waker: Arc<Waker>,
    next_ticket: u64,
    buffers: Buffers,
}

#[derive(Default)]
struct Socket {
    connection: Option<Connection>,
    /// The look-up whose answer this link waits for.
    ticket: Option<u64>,
}

impl Driver {
    /// A driver for these settings. Nothing is connected yet.
    pub fn new(config: &ProducerConfig) -> Result<Driver, Fatal> {
        let seed = monotonic_ns() ^ u64::from(std::process::id()).rotate_left(32);
        Driver::with_seed(config, seed)
    }

    /// As `new`, with the seed of jitter and sticky choices given.
    pub fn with_seed(config: &ProducerConfig, seed: u64) -> Result<Driver, Fatal> {
        let system = |what| {
            move |error: Errno| Fatal::System {
                what,
                reason: error.to_string(),
            }
        };
        let epoll =
            epoll::create(epoll::CreateFlags::CLOEXEC).map_err(system("cannot create an epoll instance"))?;
        let waker = Arc::new(Waker::new().map_err(system("cannot create an eventfd"))?);
        let data = epoll::EventData::new_u64(WAKER);
        epoll::add(&epoll, &*waker, data, epoll::EventFlags::IN)
            .map_err(system("cannot watch an eventfd"))?;
        Ok(Driver {
            sender: Sender::new(config, seed)?,
            epoll,
            events: Vec::with_capacity(EVENTS),
            sockets: Vec::new(),
            resolver: Resolver::new(Arc::clone(&waker)),
            waker,
            next_ticket: 0,
            buffers: Buffers {
                send_bytes: config.send_buffer_bytes,
                receive_bytes: config.receive_buffer_bytes,
            },
        })
    }

    /// Registers a topic; the same name gives the same handle.
    pub fn topic(&mut self, name: &str) -> TopicHandle {
        self.sender.topic(name)
    }

    /// Connects and waits until every registered topic can be written: metadata, producer id, connections to the
    /// leaders. Also gives the calling thread a timer slack of 1 ns, so call it from the thread that takes the turns.
    ///
    /// [`Fatal::NotReady`] at `deadline_ns` (CLOCK_MONOTONIC), with the last thing that went wrong.
    pub fn ready(&mut self, deadline_ns: u64) -> Result<(), Fatal> {
        self.precise_timers();
        while !self.sender.is_ready() {
            if let Some((topic, code)) = self.sender.refused_topic() {
                return Err(Fatal::NotReady {
                    reason: format!("topic {topic}: {}", error_name(code)),
                });
            }
            if monotonic_ns() >= deadline_ns {
                return Err(Fatal::NotReady {
                    reason: self.sender.not_ready_reason(),
                });
            }
            self.pass(Some(deadline_ns), Patience::Sleep)?;
        }
        Ok(())
    }

    /// Takes a record, or says why not; see [`AppendError`]. Its outcome comes with `token` in a completion.
    pub fn append(&mut self, record: &Record<'_>, token: u64, now_ns: u64) -> Result<(), AppendError> {
        self.sender.append(record, token, now_ns)
    }

    /// Writes what may go, sleeps until a socket, a deadline of the producer's own or `until_ns` (CLOCK_MONOTONIC,
    /// to the nanosecond; `None` = no limit), reads and reacts. Does not sleep while completions wait.
    pub fn turn(&mut self, until_ns: Option<u64>) -> Result<(), Fatal> {
        self.pass(until_ns, Patience::CompletionsFirst)
    }

    /// Lends the next outcome; fetch all after each turn.
    pub fn next_completion(&mut self) -> Option<Completion<'_>> {
        self.sender.next_completion()
    }

    /// Sends without linger until every record has its outcome, or `deadline_ns`. True if all have.
    pub fn flush(&mut self, deadline_ns: u64) -> Result<bool, Fatal> {
        self.sender.set_flushing(true, monotonic_ns());
        let mut result = Ok(());
        while result.is_ok() && self.sender.pending() > 0 && monotonic_ns() < deadline_ns {
            result = self.pass(Some(deadline_ns), Patience::Sleep);
        }
        self.sender.set_flushing(false, monotonic_ns());
        result.map(|()| self.sender.pending() == 0)
    }

    /// Aborts a transaction that is open, flushes until `deadline_ns`, then ends what is left with what is known of it and closes the connections.
    /// Every record appended has its outcome afterwards: fetch them with `next_completion`.
    pub fn close(&mut self, deadline_ns: u64) -> Result<(), Fatal> {
        let ended = self.end_open_transaction(deadline_ns);
        let flushed = ended.and_then(|()| self.flush(deadline_ns));
        self.sender.abandon(monotonic_ns());
        self.sockets.clear();
        flushed.map(|_| ())
    }

    /// Bytes of `buffer.memory` that are free; see [`Sender::free_bytes`].
    #[must_use]
    pub fn free_bytes(&self) -> usize {
        self.sender.free_bytes()
    }

    /// Records appended that have no outcome yet.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.sender.pending()
    }

    /// Counters since the start.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.sender.metrics()
    }

    /// What the cluster promises for each topic (replicas, in-sync minimum, unclean election).
    pub fn durability(&self) -> impl Iterator<Item = &Durability> {
        self.sender.durability()
    }

    /// How many partitions a topic has; `None` until metadata told.
    #[must_use]
    pub fn partition_count(&self, topic: TopicHandle) -> Option<u32> {
        self.sender.partition_count(topic)
    }

    /// When a turn is due even if nothing happens (CLOCK_MONOTONIC); for callers with an event loop of their own.
    #[must_use]
    pub fn wakeup_ns(&self) -> Option<u64> {
        self.sender.wakeup_ns()
    }

    /// Gives the calling thread, which takes the turns, a timer slack of 1 ns.
    pub(crate) fn precise_timers(&self) {
        // Refused only by unusual sandboxes; timers are then up to 50 µs late, which costs latency and nothing else.
        let _ = rustix::thread::set_current_timer_slack(Some(TIMER_SLACK_NS));
    }

    /// While set, nothing lingers.
    pub(crate) fn set_flushing(&mut self, flushing: bool) {
        self.sender.set_flushing(flushing, monotonic_ns());
    }

    /// To be called before looking for what another thread left, if it wakes this driver.
    pub(crate) fn arm(&self) {
        self.waker.arm();
    }

    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    // ---- One pass ----

    fn pass(&mut self, until_ns: Option<u64>, patience: Patience) -> Result<(), Fatal> {
        let now_ns = monotonic_ns();
        self.sender.advance(now_ns, wall_ms());
        self.act(now_ns);
        if let Some(fatal) = self.sender.fatal() {
            return Err(fatal.clone());
        }
        self.waker.arm();
        self.resolved(now_ns);
        let news = self.sender.has_completions() || self.sender.has_transaction_events();
        let hurry = patience == Patience::CompletionsFirst && news;
        let wakeup_ns = if hurry {
            Some(0)
        } else {
            earlier(until_ns, self.sender.wakeup_ns())
        };
        self.sleep(wakeup_ns.map(|at_ns| at_ns.saturating_sub(now_ns)))?;
        let now_ns = monotonic_ns();
        for i in 0..self.events.len() {
            match self.events[i] {
                (WAKER, _) => self.waker.clear(),
                (link, flags) => self.socket_ready(link, flags, now_ns),
            }
        }
        self.resolved(now_ns);
        self.act(now_ns);
        match self.sender.fatal() {
            Some(fatal) => Err(fatal.clone()),
            None => Ok(()),
        }
    }

    fn sleep(&mut self, timeout_ns: Option<u64>) -> Result<(), Fatal> {
        const NANOS: u64 = 1_000_000_000;
        let timeout = timeout_ns.map(|ns| Timespec {
            tv_sec: i64::try_from(ns / NANOS).unwrap_or(i64::MAX),
            // Below 10^9.
            tv_nsec: (ns % NANOS) as _,
        });
        self.events.clear();
        let mut buffer = [MaybeUninit::<epoll::Event>::uninit(); EVENTS];
        match epoll::wait(&self.epoll, &mut buffer, timeout.as_ref()) {
            Ok((events, _)) => self
                .events
                .extend(events.iter().map(|event| (event.data.u64(), event.flags))),
            Err(Errno::INTR) => {}
            Err(error) => {
                return Err(Fatal::System {
                    what: "cannot wait for sockets",
                    reason: error.to_string(),
                });
            }
        }
        Ok(())
    }

    fn act(&mut self, now_ns: u64) {
        while let Some(action) = self.sender.next_action() {
            match action {
                Action::Connect { link, host, port } => self.connect(link, &host, port, now_ns),
                Action::Close { link } => *self.socket(link) = Socket::default(),
                Action::Send { link, frame } => {
                    let Driver { sender, sockets, .. } = self;
                    let Some(connection) = sockets.get_mut(link.index()).and_then(|s| s.connection.as_mut())
                    else {
                        continue; // closed in this very pass: the core has counted the request as lost
                    };
                    let sent = connection.send(frame, &mut |frame: ProduceFrame| sender.recycle(frame));
                    self.after_io(link, sent, now_ns);
                }
            }
        }
    }

    fn connect(&mut self, link: LinkId, host: &str, port: u16, now_ns: u64) {
        self.next_ticket += 1;
        let ticket = self.next_ticket;
        *self.socket(link) = Socket {
            connection: None,
            ticket: Some(ticket),
        };
        match self.resolver.resolve(host, port, ticket) {
            Ok(Some(addresses)) => self.begin(link, Ok(addresses), now_ns),
            Ok(None) => {} // the resolver wakes us
            Err(error) => self.begin(link, Err(error), now_ns),
        }
    }

    fn resolved(&mut self, now_ns: u64) {
        while let Some(answer) = self.resolver.next() {
            let link = self
                .sockets
                .iter()
                .position(|socket| socket.ticket == Some(answer.ticket));
            if let Some(link) = link {
                self.begin(LinkId::from_index(link), answer.addresses, now_ns);
            }
        }
    }

    fn begin(&mut self, link: LinkId, addresses: io::Result<Vec<std::net::SocketAddr>>, now_ns: u64) {
        let begun = addresses
            .and_then(|addresses| Connection::begin(addresses, self.buffers))
            .and_then(|connection| {
                epoll::add(&self.epoll, &connection, link_data(link), epoll::EventFlags::OUT)?;
                Ok(connection)
            });
        match begun {
            Ok(mut connection) => {
                connection.watches_write = true;
                *self.socket(link) = Socket {
                    connection: Some(connection),
                    ticket: None,
                };
            }
            Err(error) => self.lost(link, &error, now_ns),
        }
    }

    fn socket_ready(&mut self, data: u64, flags: epoll::EventFlags, now_ns: u64) {
        use epoll::EventFlags;
        let Driver {
            sender,
            sockets,
            epoll,
            ..
        } = self;
        let Some(index) = usize::try_from(data).ok().filter(|&index| index < sockets.len()) else {
            return;
        };
        let link = LinkId::from_index(index);
        let Some(connection) = &mut sockets[index].connection else {
            return;
        };
        let mut result = Ok(());
        if !connection.is_open() {
            result = connection.finish_connect().and_then(|open| {
                if open {
                    sender.connected(link, now_ns);
                } else {
                    epoll::add(&*epoll, &*connection, link_data(link), EventFlags::OUT)?;
                    connection.watches_write = true;
                }
                Ok(())
            });
            self.after_io(link, result, now_ns);
            return;
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            result = receive(connection, sender, link, now_ns);
        }
        if result.is_ok() && flags.contains(EventFlags::OUT) {
            result = connection.flush(&mut |frame: ProduceFrame| sender.recycle(frame));
        }
        self.after_io(link, result, now_ns);
    }

    /// Keeps epoll's interest right, or gives the connection up.
    fn after_io(&mut self, link: LinkId, result: io::Result<()>, now_ns: u64) {
        let Driver { sockets, epoll, .. } = self;
        let Some(connection) = sockets
            .get_mut(link.index())
            .and_then(|socket| socket.connection.as_mut())
        else {
            return;
        };
        let result = result.and_then(|()| {
            let wants = connection.wants_write();
            if wants != connection.watches_write {
                let flags = if wants {
                    epoll::EventFlags::IN | epoll::EventFlags::OUT
                } else {
                    epoll::EventFlags::IN
                };
                epoll::modify(&*epoll, &*connection, link_data(link), flags)?;
                connection.watches_write = wants;
            }
            Ok(())
        });
        if let Err(error) = result {
            self.lost(link, &error, now_ns);
        }
    }

    fn lost(&mut self, link: LinkId, error: &io::Error, now_ns: u64) {
        *self.socket(link) = Socket::default();
        self.sender.disconnected(link, &error.to_string(), now_ns);
    }

    fn socket(&mut self, link: LinkId) -> &mut Socket {
        if self.sockets.len() <= link.index() {
            self.sockets.resize_with(link.index() + 1, Socket::default);
        }
        &mut self.sockets[link.index()]
    }
}

/// The epoll descriptor: readable when a turn has something to read or write.
impl AsFd for Driver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Patience {
    /// Come back at once if the caller has completions to fetch.
    CompletionsFirst,
    Sleep,
}

fn receive(connection: &mut Connection, sender: &mut Sender, link: LinkId, now_ns: u64) -> io::Result<()> {
    let read = connection.read();
    // Whole answers that came before the end count, also if the connection is gone now.
    while let Some(frame) = connection.next_frame()? {
        sender.received(link, frame, now_ns);
    }
    read
}

fn link_data(link: LinkId) -> epoll::EventData {
    epoll::EventData::new_u64(link.index() as u64)
}

fn earlier(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests;
