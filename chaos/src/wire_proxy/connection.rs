//! One connection through the proxy, both ways, until the broker ends it, a fault cuts it, or nobody is left.
//!
//! A client that goes ends only its own way: what it sent still arrives. The broker's end is the end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

use super::exchange::{Exchange, Framer, RequestHead};
use super::link::{Fate, Link, Strike};
use super::rewrite::through;
use super::{Deed, HELD_BYTES, Side};

/// How much is read at once.
const READ: usize = 64 << 10;
/// How long a broker on this host may take to take a connection.
const CONNECT_BOUND: Duration = Duration::from_secs(10);

/// Carries a client's connection to the broker.
pub(super) async fn serve(client: TcpStream, upstream: &str, link: &Arc<Link>) {
    // A broker that is down: the client finds its connection closed, as it would without a proxy, if a little later.
    let Ok(Ok(broker)) = tokio::time::timeout(CONNECT_BOUND, TcpStream::connect(upstream)).await else {
        return;
    };
    if client.set_nodelay(true).is_err() || broker.set_nodelay(true).is_err() {
        return;
    }
    let (client_read, client_write) = client.into_split();
    let (broker_read, broker_write) = broker.into_split();
    let (to_broker, for_broker) = unbounded_channel();
    let (to_client, for_client) = unbounded_channel();
    let both = Both {
        link,
        exchange: Mutex::default(),
        to_client,
        client_gone: watch::channel(false).0,
        broker_gone: watch::channel(false).0,
        room: [Side::Request, Side::Response].map(|_| Arc::new(Semaphore::new(HELD_BYTES))),
    };
    let requests = async {
        let read = both.read_requests(client_read, to_broker);
        let write = both.write(broker_write, for_broker, Side::Request);
        tokio::pin!(read, write);
        let end = tokio::select! {
            end = &mut write => end,
            () = &mut read => write.await,
        };
        if end != End::Cut {
            // The broker closes when it has read to the end, and that is the end.
            std::future::pending::<()>().await;
        }
    };
    let responses = async {
        let read = both.read_responses(broker_read);
        let write = both.write(client_write, for_client, Side::Response);
        tokio::pin!(read, write);
        tokio::select! {
            _end = &mut write => {}
            () = &mut read => { write.await; }
        }
    };
    tokio::select! {
        () = requests => {}
        () = responses => {}
    }
}

/// What both ways of a connection share.
struct Both<'a> {
    link: &'a Link,
    exchange: Mutex<Exchange>,
    to_client: UnboundedSender<Item>,
    client_gone: watch::Sender<bool>,
    broker_gone: watch::Sender<bool>,
    /// Of each direction.
    room: [Arc<Semaphore>; 2],
}

/// A frame on its way, or the rest of one whose sender has gone.
struct Item {
    bytes: Bytes,
    strike: Option<Strike>,
    arrived: Instant,
    /// Given back when it is gone; none for an answer of our own, whose request was counted.
    _room: Option<OwnedSemaphorePermit>,
}

/// How a way ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All that came has gone on.
    Drained,
    /// A fault ends the connection.
    Cut,
}

impl Both<'_> {
    async fn read_requests(&self, mut socket: OwnedReadHalf, to_broker: UnboundedSender<Item>) {
        let mut framer = Framer::default();
        while let Some(frame) = next(&mut framer, &mut socket).await {
            let Some(head) = RequestHead::of(&frame) else {
                break;
            };
            let room = self.room(Side::Request, frame.len()).await;
            // No await from here on: what is judged, noted and queued stays in one order.
            let strike = self.link.judge(Side::Request, head.api, frame.len());
            let mut exchange = self.exchange();
            match strike.map(|strike| strike.deed) {
                Some(Deed::Drop) => {}
                Some(Deed::Answer(code)) => {
                    let Some(answer) = steadfast_broker::refusal(&frame.slice(4..), code) else {
                        break; // an API or version that nobody here can answer for
                    };
                    exchange.answered(head, answer);
                    self.send_due(&mut exchange);
                }
                _ => {
                    let kept = self.link.answers_for(head.api).then(|| frame.clone());
                    exchange.asked(head, kept);
                    // The writer is gone when the connection is.
                    let _gone = to_broker.send(Item::new(frame, strike, room));
                }
            }
        }
        let rest = framer.buffer().split().freeze();
        if !rest.is_empty() {
            let _gone = to_broker.send(Item::new(rest, None, None));
        }
        self.client_gone.send_replace(true);
    }

    async fn read_responses(&self, mut socket: OwnedReadHalf) {
        let mut framer = Framer::default();
        while let Some(mut frame) = next(&mut framer, &mut socket).await {
            let room = self.room(Side::Response, frame.len()).await;
            let mut exchange = self.exchange();
            let asked = exchange.answer(&frame);
            if let Some(asked) = &asked {
                let Ok(told) = through(&self.link.doors, asked.api, asked.version, &frame) else {
                    break; // it would lead the client round the proxies
                };
                frame = told;
            }
            let strike = asked
                .as_ref()
                .and_then(|asked| self.link.judge(Side::Response, asked.api, frame.len()));
            let mut pass = true;
            match strike.map(|strike| strike.deed) {
                Some(Deed::Drop) => pass = false,
                Some(Deed::Answer(code)) => {
                    let request = asked.and_then(|asked| asked.request);
                    let made =
                        request.and_then(|request| steadfast_broker::refusal(&request.slice(4..), code));
                    // A request from before the fault is not at hand: its answer is lost with the connection.
                    let Some(made) = made else { break };
                    frame = made;
                }
                _ => {}
            }
            if pass {
                let _gone = self.to_client.send(Item::new(frame, strike, room));
            }
            self.send_due(&mut exchange);
        }
        let rest = framer.buffer().split().freeze();
        if !rest.is_empty() {
            let _gone = self.to_client.send(Item::new(rest, None, None));
        }
        self.broker_gone.send_replace(true);
    }

    /// Obeys what was decided on each frame, in order.
    async fn write(&self, mut socket: OwnedWriteHalf, mut queue: UnboundedReceiver<Item>, side: Side) -> End {
        let mut broker_gone = self.broker_gone.subscribe();
        let mut client_gone = self.client_gone.subscribe();
        let mut closed = false;
        // A client that does not read any more must not keep the broker's answers from being read.
        let mut deaf = false;
        loop {
            let item = tokio::select! {
                biased;
                item = queue.recv() => item,
                _ = broker_gone.wait_for(|gone| *gone), if side == Side::Response && !closed => {
                    queue.close();
                    closed = true;
                    continue;
                }
            };
            let Some(item) = item else { return End::Drained };
            match item.strike {
                Some(Strike {
                    deed: Deed::Hold,
                    fault,
                }) if side == Side::Response => {
                    let lost = tokio::select! {
                        biased;
                        () = self.link.over(fault) => false,
                        _ = broker_gone.wait_for(|gone| *gone) => true,
                    };
                    if lost {
                        self.link.book(fault, Fate::Lost, 1 + held_in(&mut queue, fault));
                        return End::Cut;
                    }
                }
                Some(Strike {
                    deed: Deed::Hold,
                    fault,
                }) => {
                    let alone = tokio::select! {
                        biased;
                        () = self.link.over(fault) => false,
                        _ = client_gone.wait_for(|gone| *gone) => true,
                    };
                    if alone {
                        // What is behind it is in the queue: its sender has gone.
                        let mut rest = Vec::new();
                        while let Ok(item) = queue.try_recv() {
                            rest.push(item);
                        }
                        let held = rest.iter().filter(|item| item.holds(fault)).count();
                        self.link.book(fault, Fate::AfterClient, 1 + held);
                        self.link.over(fault).await;
                        for item in std::iter::once(item).chain(rest) {
                            if socket.write_all(&item.bytes).await.is_err() {
                                break;
                            }
                        }
                        return End::Drained;
                    }
                }
                Some(Strike {
                    deed: Deed::Delay(span),
                    fault,
                }) => {
                    tokio::time::sleep_until(item.arrived + span).await;
                    self.link.book(fault, Fate::Arrived, 1);
                    if side == Side::Request && *client_gone.borrow() {
                        self.link.book(fault, Fate::AfterClient, 1);
                    }
                }
                Some(Strike {
                    deed: Deed::Cut(bytes),
                    ..
                }) => {
                    let part = item.bytes.slice(..item.bytes.len().min(bytes as usize));
                    // Whether or not the part arrives, here it ends.
                    let _cut = socket.write_all(&part).await;
                    return End::Cut;
                }
                _ => {}
            }
            if !deaf && socket.write_all(&item.bytes).await.is_err() {
                if side == Side::Request {
                    return End::Drained; // the broker's end is seen where it is read from
                }
                deaf = true;
            }
        }
    }

    async fn room(&self, side: Side, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let room = &self.room[usize::from(side == Side::Response)];
        let wanted = u32::try_from(bytes.min(HELD_BYTES)).unwrap_or(u32::MAX);
        // Never closed: it always comes.
        Arc::clone(room).acquire_many_owned(wanted).await.ok()
    }

    fn send_due(&self, exchange: &mut Exchange) {
        for answer in exchange.due() {
            let _gone = self.to_client.send(Item::new(answer, None, None));
        }
    }

    fn exchange(&self) -> MutexGuard<'_, Exchange> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Item {
    fn new(bytes: Bytes, strike: Option<Strike>, room: Option<OwnedSemaphorePermit>) -> Item {
        Item {
            bytes,
            strike,
            arrived: Instant::now(),
            _room: room,
        }
    }

    fn holds(&self, fault: u64) -> bool {
        self.strike
            .is_some_and(|strike| strike.deed == Deed::Hold && strike.fault == fault)
    }
}

/// How many of what is left are held by this fault.
fn held_in(queue: &mut UnboundedReceiver<Item>, fault: u64) -> usize {
    let mut held = 0;
    while let Ok(item) = queue.try_recv() {
        held += usize::from(item.holds(fault));
    }
    held
}

/// The next whole frame; none at the end, and at what is no frame.
async fn next(framer: &mut Framer, socket: &mut OwnedReadHalf) -> Option<Bytes> {
    loop {
        match framer.next() {
            Ok(Some(frame)) => return Some(frame),
            Ok(None) => {}
            Err(_) => {
                // Nothing of it is passed on.
                framer.buffer().clear();
                return None;
            }
        }
        framer.buffer().reserve(READ);
        match socket.read_buf(framer.buffer()).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
