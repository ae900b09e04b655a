//! The one thread that talks to a Toxiproxy: every change through `toxiproxy_rust`, every change read back by ourselves.
//!
//! `toxiproxy_rust` 0.1.6 is blocking (it may neither run nor be dropped inside an async runtime), takes any HTTP status for
//! success, and panics where a toxic cannot be sent. So it lives on a thread of its own, under `catch_unwind`, and is never
//! believed: what counts is what a GET shows afterwards. What it lacks (`reset_peer`, delete one toxic, metrics)
//! goes through `http.rs`.

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
use crate::toxic::{Stream, Toxic, ToxicKind};

/// How long one order may take: the HTTP client below `toxiproxy_rust` gives up after 30 s by itself.
const ORDER_BOUND: Duration = Duration::from_secs(40);
/// Everything through the proxy is concerned, not a share of the connections.
const ALL: f32 = 1.0;

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

    /// Puts a toxic into a proxy that has none. After an error one way of two may have it: [`Talk::cure`] undoes that.
    pub(super) fn poison(&self, name: &str, toxic: Toxic) -> Result<(), String> {
        let proxy = self.proxy(name)?;
        for stream in toxic.stream.words() {
            let way = (*stream).to_owned();
            match toxic.kind {
                ToxicKind::Latency { latency, jitter } => proxy.with_latency(way, latency, jitter, ALL),
                ToxicKind::Bandwidth { rate } => proxy.with_bandwidth(way, rate, ALL),
                ToxicKind::SlowClose { delay } => proxy.with_slow_close(way, delay, ALL),
                ToxicKind::Timeout { timeout } => proxy.with_timeout(way, timeout, ALL),
                ToxicKind::Slicer {
                    average_size,
                    size_variation,
                    delay,
                } => proxy.with_slicer(way, average_size, size_variation, delay, ALL),
                ToxicKind::LimitData { bytes } => proxy.with_limit_data(way, bytes, ALL),
                ToxicKind::ResetPeer { .. } => {
                    self.post_toxic(name, toxic.kind, stream)?;
                    &proxy
                }
            };
        }
        let shown = self.show(name)?;
        let ways = toxic.stream.words();
        let all = ways
            .iter()
            .all(|way| shown.toxics.iter().any(|found| found.is(toxic.kind, way)));
        if shown.enabled && all && shown.toxics.len() == ways.len() {
            return Ok(());
        }
        Err(format!("{name} should have {toxic}, and reads back as {shown:?}"))
    }

    /// What `toxiproxy_rust` has no word for.
    fn post_toxic(&self, name: &str, kind: ToxicKind, stream: &str) -> Result<(), String> {
        let attributes: serde_json::Map<String, serde_json::Value> = kind
            .attributes()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let body = serde_json::json!({
            "name": toxic_name(kind, stream), "type": kind.word(), "stream": stream, "toxicity": ALL,
            "attributes": attributes,
        });
        let path = format!("/proxies/{name}/toxics");
        let answer = request(self.server, "POST", &path, Some(&body.to_string()));
        match answer.map_err(|error| error.to_string())? {
            (200, _) => Ok(()),
            (status, body) => Err(format!("POST {path} answered {status}: {body}")),
        }
    }

    /// Removes what [`Talk::poison`] put in. Removing a `timeout` cuts the connections that it held.
    pub(super) fn cure(&self, name: &str, toxic: Toxic) -> Result<(), String> {
        for stream in toxic.stream.words() {
            let path = format!("/proxies/{name}/toxics/{}", toxic_name(toxic.kind, stream));
            let (status, body) =
                request(self.server, "DELETE", &path, None).map_err(|error| error.to_string())?;
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
    /// connection when it ends. A byte swallowed by a toxic is the difference. To the broker first, then to clients.
    pub(super) fn swallowed(&self, name: &str) -> Result<Vec<u64>, String> {
        let (status, text) =
            request(self.server, "GET", "/metrics", None).map_err(|error| error.to_string())?;
        if status != 200 {
            return Err(format!("GET /metrics answered {status}"));
        }
        let held = |stream: &&str| {
            let total = |metric: &str| super::metrics::counter(&text, metric, name, stream);
            total("toxiproxy_proxy_received_bytes_total")
                .saturating_sub(total("toxiproxy_proxy_sent_bytes_total"))
        };
        Ok(Stream::Both.words().iter().map(held).collect())
    }

    fn proxy(&self, name: &str) -> Result<Proxy, String> {
        self.client.find_proxy(name)
    }

    fn show(&self, name: &str) -> Result<Shown, String> {
        let path = format!("/proxies/{name}");
        let (status, body) =
            request(self.server, "GET", &path, None).map_err(|error| format!("GET {path}: {error}"))?;
        if status != 200 {
            return Err(format!("GET {path} answered {status}: {body}"));
        }
        serde_json::from_str(&body).map_err(|error| format!("GET {path}: {error}"))
    }
}

impl ShownToxic {
    fn is(&self, kind: ToxicKind, stream: &str) -> bool {
        let shown = |name| self.attributes.get(name).and_then(serde_json::Value::as_u64);
        self.name == toxic_name(kind, stream)
            && self.r#type == kind.word()
            && self.stream == stream
            && self.toxicity == ALL
            && kind
                .attributes()
                .into_iter()
                .all(|(name, value)| shown(name) == Some(value.into()))
    }
}

/// The name that `toxiproxy_rust` gives.
fn toxic_name(kind: ToxicKind, stream: &str) -> String {
    format!("{}_{stream}", kind.word())
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
