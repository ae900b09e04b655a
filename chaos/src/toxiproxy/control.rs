//! The one thread that talks to a Toxiproxy: every change through `toxiproxy_rust`, every change read back by ourselves.
//!
//! `toxiproxy_rust` 0.1.6 is blocking (it may neither run nor be dropped inside an async runtime), takes any HTTP status for
//! success, and panics where a toxic cannot be sent. So it lives on a thread of its own, under `catch_unwind`, and is never
//! believed: what counts is what a GET shows afterwards. What it lacks (delete one toxic, metrics) goes through `http.rs`.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Deserialize;
use toxiproxy_rust::client::Client;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};

use super::ProxySpec;
use super::http::request;
use crate::error::ChaosError;

/// How long one order may take: the HTTP client below `toxiproxy_rust` gives up after 30 s by itself.
const ORDER_BOUND: Duration = Duration::from_secs(40);
/// Everything through the proxy is concerned, not a share of the connections.
const ALL: f32 = 1.0;
/// `timeout` of 0: data stops and the connection stays open until the toxic is removed.
const FOR_EVER: u32 = 0;

/// Both directions, in Toxiproxy's words: `upstream` leads to the broker, `downstream` to the client.
pub(super) const STREAMS: [&str; 2] = ["upstream", "downstream"];

/// Hands orders to the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Control {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

type Order = Box<dyn FnOnce(&Talk) + Send>;

/// What lives on the thread.
pub(super) struct Talk {
    client: Client,
    pub(super) server: SocketAddr,
}

/// A proxy as GET shows it.
#[derive(Debug, Deserialize)]
struct Shown {
    listen: String,
    upstream: String,
    enabled: bool,
    toxics: Vec<ShownToxic>,
}

#[derive(Debug, Deserialize)]
struct ShownToxic {
    name: String,
    r#type: String,
    stream: String,
    toxicity: f32,
    attributes: serde_json::Value,
}

impl Control {
    pub(super) fn start(server: SocketAddr) -> Result<Control, ChaosError> {
        let (orders, inbox) = sync_channel::<Order>(1);
        let thread = std::thread::Builder::new()
            .name("toxiproxy".into())
            .spawn(move || {
                let mut talk: Option<Talk> = None;
                while let Ok(order) = inbox.recv() {
                    let client = || Talk {
                        client: Client::new(server),
                        server,
                    };
                    let done = catch_unwind(AssertUnwindSafe(|| order(talk.get_or_insert_with(client))));
                    if done.is_err() {
                        // Its mutex is poisoned now: a new one for the next order. Whoever asked sees the reply dropped.
                        talk = None;
                    }
                }
            });
        let thread = thread.map_err(ChaosError::io("start a thread for Toxiproxy"))?;
        Ok(Control {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Does something on the thread and waits for its result.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        what: &str,
        order: impl FnOnce(&Talk) -> Result<T, String> + Send + 'static,
    ) -> Result<T, ChaosError> {
        let failed = |reason: String| ChaosError::admin(format!("Toxiproxy: {what}"), reason + &hint());
        let (reply, answer) = sync_channel(1);
        let order: Order = Box::new(move |talk| {
            // A requester that gave up needs no reply.
            let _gone = reply.send(order(talk));
        });
        let orders = self
            .orders
            .as_ref()
            .ok_or_else(|| failed("its thread has ended".into()))?;
        orders
            .send(order)
            .map_err(|_| failed("its thread has ended".into()))?;
        match answer.recv_timeout(ORDER_BOUND) {
            Ok(result) => result.map_err(failed),
            Err(error) => Err(failed(format!("toxiproxy_rust panicked or hangs ({error})"))),
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

impl Talk {
    /// Creates the proxies, open.
    pub(super) fn create(&self, proxies: &[ProxySpec]) -> Result<(), String> {
        let packs = proxies
            .iter()
            .map(|spec| ProxyPack::new(spec.name(), spec.listen.clone(), spec.upstream.clone()));
        let told = self.client.populate(packs.collect());
        for spec in proxies {
            let shown = self.show(&spec.name()).map_err(|reason| match &told {
                Ok(_) => reason,
                // What the server said to `populate`, a port in use for instance, went through the wrong parser.
                Err(words) => format!("{reason}; is {} free? ({words})", spec.listen),
            })?;
            if shown.listen != spec.listen
                || shown.upstream != spec.upstream
                || !shown.enabled
                || !shown.toxics.is_empty()
            {
                return Err(format!("{} reads back as {shown:?}", spec.name()));
            }
        }
        Ok(())
    }

    /// Silence both ways. After an error one way may be silent: [`Talk::restore`] undoes it.
    pub(super) fn silence(&self, name: &str) -> Result<(), String> {
        let proxy = self.proxy(name)?;
        for stream in STREAMS {
            proxy.with_timeout(stream.to_owned(), FOR_EVER, ALL);
        }
        let shown = self.show(name)?;
        let silent = STREAMS
            .iter()
            .all(|stream| shown.toxics.iter().any(|toxic| toxic.silences(stream)));
        if shown.enabled && silent && shown.toxics.len() == STREAMS.len() {
            return Ok(());
        }
        Err(format!(
            "{name} should be silent both ways and reads back as {shown:?}"
        ))
    }

    /// Removes the toxics of [`Talk::silence`], which cuts the connections that they held.
    pub(super) fn restore(&self, name: &str) -> Result<(), String> {
        for stream in STREAMS {
            let path = format!("/proxies/{name}/toxics/{}", toxic_name(stream));
            let (status, body) = request(self.server, "DELETE", &path).map_err(|error| error.to_string())?;
            // 404: not there, so there is nothing to remove.
            if status != 204 && status != 404 {
                return Err(format!("DELETE {path} answered {status}: {body}"));
            }
        }
        let shown = self.show(name)?;
        if shown.enabled && shown.toxics.is_empty() {
            Ok(())
        } else {
            Err(format!("{name} should be open and reads back as {shown:?}"))
        }
    }

    /// `enabled = false` closes the listener and all connections: refused. `true` opens it again.
    pub(super) fn enable(&self, name: &str, enabled: bool) -> Result<(), String> {
        let proxy = self.proxy(name)?;
        let told = if enabled { proxy.enable() } else { proxy.disable() };
        let shown = self.show(name)?;
        if shown.enabled == enabled {
            Ok(())
        } else {
            let told = told.err().unwrap_or_default();
            Err(format!(
                "{name} should be enabled = {enabled} and reads back as {shown:?} {told}"
            ))
        }
    }

    /// Bytes that went into the proxy and not out of it, per stream, on connections that have ended: Toxiproxy counts a
    /// connection when it ends. A byte swallowed by a toxic is the difference.
    pub(super) fn swallowed(&self, name: &str) -> Result<[u64; 2], String> {
        let (status, text) = request(self.server, "GET", "/metrics").map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("GET /metrics answered {status}"));
        }
        Ok(STREAMS.map(|stream| {
            let total = |metric: &str| super::metrics::counter(&text, metric, name, stream);
            total("toxiproxy_proxy_received_bytes_total")
                .saturating_sub(total("toxiproxy_proxy_sent_bytes_total"))
        }))
    }

    fn proxy(&self, name: &str) -> Result<Proxy, String> {
        self.client.find_proxy(name)
    }

    fn show(&self, name: &str) -> Result<Shown, String> {
        let path = format!("/proxies/{name}");
        let (status, body) =
            request(self.server, "GET", &path).map_err(|error| format!("GET {path}: {error}"))?;
        if status != 200 {
            return Err(format!("GET {path} answered {status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("GET {path}: {error}"))
    }
}

impl ShownToxic {
    fn silences(&self, stream: &str) -> bool {
        self.name == toxic_name(stream)
            && self.r#type == "timeout"
            && self.stream == stream
            && self.toxicity == ALL
            && self.attributes.get("timeout").and_then(serde_json::Value::as_u64) == Some(FOR_EVER.into())
    }
}

/// The name that `toxiproxy_rust` gives.
fn toxic_name(stream: &str) -> String {
    format!("timeout_{stream}")
}

/// The HTTP client below `toxiproxy_rust` obeys these variables even for loopback.
fn hint() -> String {
    let set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
        .iter()
        .find(|name| set(name))
    {
        Some(name) => format!(" ({name} is set: add 127.0.0.1 to NO_PROXY)"),
        None => String::new(),
    }
}
