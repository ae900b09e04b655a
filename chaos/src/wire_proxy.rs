//! A proxy of our own that reads Kafka's protocol, for what TCP toxics cannot do: one request or answer of an API, held,
//! late, lost, answered in the broker's place, or cut in the middle.
//!
//! ```text
//!            ┌── reader ─▶ frames ─▶ struck? (link.rs) ─▶ queue ─▶ writer: obeys, in order ──┐
//!  client ───┤                        exchange.rs: whose answer is this?                     ├─── broker's CLIENT listener
//!            └── writer ◀─ queue ◀─ struck? ◀─ frames ◀─ reader ─────────────────────────────┘
//! ```
//! A connection is both ways of it. Held towards the broker: the bytes stay on their way even when the client dies, and
//! arrive when the fault ends, as bytes of a dead client do. Held towards the client: a connection that the broker ends
//! takes them along, and the client never learns what became of its requests.
//!
//! One thread of the runner, on tokio; idle between frames. Frames are passed on whole, so that a frame is late by the
//! time that it takes to arrive. At most [`MAX_FRAME`] bytes a frame, [`HELD_BYTES`] on their way in each direction of a
//! connection, [`MAX_CONNECTIONS`] connections: what is beyond waits with the sender, or is refused.

mod connection; // two readers, two writers, how it ends
mod exchange; // pure: frames, and which answer belongs to which request
mod rewrite; // pure: where brokers are said to be
mod link; // what is done to the frames of one link now, and what it did

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::TcpListener as Listener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;

use self::link::Link;
use self::rewrite::Doors;
use crate::error::ChaosError;
use crate::sockets;
use crate::toxiproxy::{ProxySpec, bypasses};

/// Largest frame that is passed on; Kafka's own `socket.request.max.bytes`.
pub const MAX_FRAME: usize = 100 << 20;
/// Bytes on their way in one direction of a connection; a single larger frame goes alone.
pub const HELD_BYTES: usize = 64 << 20;
/// Connections of all clients together.
pub const MAX_CONNECTIONS: usize = 1024;

/// What is done to frames of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WireFault {
    /// What.
    pub deed: Deed,
    /// Kafka's number of the API; none = of any.
    pub api: Option<i16>,
    /// Requests or answers.
    pub side: Side,
    /// The first frame that is struck, counted from 1 and from when the fault begins.
    pub nth: u32,
    /// How many are struck from then on; none = all until it ends.
    pub count: Option<u32>,
}

/// What is done to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// It waits until the fault ends, and what comes behind it on its way too.
    Hold,
    /// It is late by so much, and what comes behind it not earlier.
    Delay(Duration),
    /// It is gone; what comes behind it goes on.
    Drop,
    /// An answer with this error code comes in the broker's place: of a request, which the broker then never sees; or of an
    /// answer, when the broker has done what was asked.
    Answer(i16),
    /// So many bytes of it pass, then the connection ends both ways.
    Cut(u32),
}

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// To the broker.
    Request,
    /// To the client.
    Response,
}

/// What a fault did: the evidence that it bit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WireBite {
    /// Frames that were struck.
    pub frames: u32,
    /// Their bytes.
    pub bytes: u64,
    /// Of those held or late: how many arrived in the end.
    pub arrived: u32,
    /// Of these: how many arrived at the broker when their client had gone.
    pub after_client: u32,
    /// How many went with a connection that the other side ended.
    pub lost: u32,
}

/// The proxies of a cluster. Dropping them ends every connection through them.
#[derive(Debug)]
pub struct WireProxy {
    proxies: Vec<ProxySpec>,
    links: BTreeMap<u32, Arc<Link>>,
    /// Dropped = end.
    stop: Option<watch::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WireProxy {
    /// Listens in front of every broker. The brokers need not run yet; they advertise the proxies themselves.
    pub fn start(proxies: &[ProxySpec]) -> Result<WireProxy, ChaosError> {
        WireProxy::open(proxies, &Doors::new())
    }

    /// In front of brokers that advertise themselves: what they say of where they are is changed on its way.
    pub fn in_front_of(proxies: &[ProxySpec]) -> Result<WireProxy, ChaosError> {
        let door = |spec: &ProxySpec| {
            let node = i32::try_from(spec.link.to()).ok()?;
            Some((node, sockets::port_of(&spec.listen)))
        };
        WireProxy::open(proxies, &proxies.iter().filter_map(door).collect())
    }

    /// Brokers behind it, and where clients reach them.
    pub fn doors(&self) -> impl Iterator<Item = (u32, &str)> {
        self.proxies
            .iter()
            .map(|spec| (spec.link.to(), spec.listen.as_str()))
    }

    fn open(proxies: &[ProxySpec], told: &Doors) -> Result<WireProxy, ChaosError> {
        let mut links = BTreeMap::new();
        let mut doors = Vec::new();
        for spec in proxies {
            let failed = || ChaosError::io(format!("listen on {} for the wire proxy", spec.listen));
            let listener = Listener::bind(&spec.listen).map_err(failed())?;
            listener.set_nonblocking(true).map_err(failed())?;
            let link = Arc::new(Link::new(told.clone()));
            links.insert(spec.link.to(), Arc::clone(&link));
            doors.push((listener, spec.upstream.clone(), link));
        }
        let (stop, stopped) = watch::channel(());
        let thread = std::thread::Builder::new()
            .name("wire proxy".into())
            .spawn(move || serve(doors, stopped))
            .map_err(ChaosError::io("start the wire proxy"))?;
        Ok(WireProxy {
            proxies: proxies.to_vec(),
            links,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// An error if its thread has ended. Never waits.
    pub fn check(&self) -> Result<(), ChaosError> {
        match &self.thread {
            Some(thread) if !thread.is_finished() => Ok(()),
            _ => Err(ChaosError::admin(
                "the wire proxy",
                "it ended by itself: every link is down",
            )),
        }
    }

    /// Begins a fault on the link of clients to a broker; one at a time.
    pub fn hurt(&self, broker: u32, fault: WireFault) -> Result<(), ChaosError> {
        self.link(broker)?.hurt(fault).map_err(|()| ChaosError::Refused {
            what: format!("the frames to broker-{broker} are struck already"),
            mend: "let one fault of a link end before the next begins".into(),
        })
    }

    /// How many frames the present fault of a link has struck.
    pub fn struck(&self, broker: u32) -> u32 {
        self.links.get(&broker).map_or(0, |link| link.struck())
    }

    /// Ends the fault of a link: what was held goes on. What it did; none when there was none.
    pub fn mend(&self, broker: u32) -> Result<Option<WireBite>, ChaosError> {
        Ok(self.link(broker)?.mend())
    }

    /// Connections of process `pid` round the proxies; see [`bypasses`].
    pub fn bypasses(&self, pid: u32) -> Result<Vec<String>, ChaosError> {
        let upstreams: Vec<u16> = self
            .proxies
            .iter()
            .map(|spec| sockets::port_of(&spec.upstream))
            .collect();
        bypasses(pid, &upstreams)
    }

    fn link(&self, broker: u32) -> Result<&Link, ChaosError> {
        let found = self.links.get(&broker).map(Arc::as_ref);
        found.ok_or_else(|| ChaosError::Refused {
            what: format!("no proxy stands in front of broker-{broker}"),
            mend: "name a broker of this cluster".into(),
        })
    }
}

impl Drop for WireProxy {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of it is in `check` already.
            let _ended = thread.join();
        }
    }
}

type Door = (Listener, String, Arc<Link>);

/// The thread: until `stopped`, each door takes connections.
fn serve(doors: Vec<Door>, mut stopped: watch::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    // Without a runtime the thread ends, and `check` says so.
    let Ok(runtime) = runtime else { return };
    let slots = Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    runtime.block_on(async {
        for (listener, upstream, link) in doors {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move { door(listener, &upstream, &link, &slots).await });
        }
        // An error is what a dropped sender is.
        while stopped.changed().await.is_ok() {}
    });
    // Dropping the runtime ends every task, and so every connection.
}

async fn door(
    listener: Listener,
    upstream: &str,
    link: &Arc<Link>,
    slots: &Arc<tokio::sync::Semaphore>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let Ok((client, _)) = listener.accept().await else {
            // Out of descriptors, say: it passes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Beyond the bound a client is turned away, as a broker with `max.connections` does.
        let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
            continue;
        };
        let (upstream, link) = (upstream.to_owned(), Arc::clone(link));
        tokio::spawn(async move {
            connection::serve(client, &upstream, &link).await;
            drop(slot);
        });
    }
}

impl Deed {
    /// The word of `faults.jsonl` and of scenario files.
    pub fn word(self) -> &'static str {
        match self {
            Deed::Hold => "hold",
            Deed::Delay(_) => "delay",
            Deed::Drop => "drop",
            Deed::Answer(_) => "answer",
            Deed::Cut(_) => "cut",
        }
    }
}

/// `Produce answers, from the 2nd on, are held`.
impl fmt::Display for WireFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api = self.api.map_or("all", api_name);
        let side = match self.side {
            Side::Request => "requests",
            Side::Response => "answers",
        };
        write!(out, "{api} {side}, from number {}", self.nth)?;
        match self.count {
            Some(count) => write!(out, ", {count} of them: ")?,
            None => write!(out, " to the end: ")?,
        }
        match self.deed {
            Deed::Hold => write!(out, "held"),
            Deed::Delay(span) => write!(out, "{span:?} late"),
            Deed::Drop => write!(out, "dropped"),
            Deed::Answer(code) => write!(out, "answered with error {code}"),
            Deed::Cut(bytes) => write!(out, "cut after {bytes} bytes"),
        }
    }
}

impl fmt::Display for WireBite {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WireBite {
            frames,
            bytes,
            arrived,
            after_client,
            lost,
        } = self;
        write!(
            out,
            "{frames} frames of {bytes} bytes; {arrived} arrived late ({after_client} of them after their client had gone), \
             {lost} were lost with their connection"
        )
    }
}

/// APIs that a scenario may name, by Kafka's names.
pub const APIS: [(&str, i16); 13] = [
    ("Produce", 0),
    ("Fetch", 1),
    ("ListOffsets", 2),
    ("Metadata", 3),
    ("OffsetCommit", 8),
    ("OffsetFetch", 9),
    ("FindCoordinator", 10),
    ("ApiVersions", 18),
    ("InitProducerId", 22),
    ("AddPartitionsToTxn", 24),
    ("AddOffsetsToTxn", 25),
    ("EndTxn", 26),
    ("TxnOffsetCommit", 28),
];

fn api_name(key: i16) -> &'static str {
    APIS.iter()
        .find(|(_, known)| *known == key)
        .map_or("unknown", |(name, _)| *name)
}

#[cfg(test)]
mod tests;
