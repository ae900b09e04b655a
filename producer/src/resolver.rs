//! Host names to addresses, off the hot thread: getaddrinfo may block for many seconds.
//!
//! One short-lived thread per look-up, at most one look-up per connection at a time; the answer comes back through a
//! channel and wakes the driver's epoll. An address literal needs no look-up at all.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::wake::Waker;

/// Addresses of one name that are tried in turn (KIP-302, `client.dns.lookup=use_all_dns_ips`).
pub(crate) const MAX_ADDRESSES: usize = 16;

/// The result of one look-up.
pub(crate) struct Resolved {
    /// Whatever the asker needs to know it again.
    pub(crate) ticket: u64,
    pub(crate) addresses: io::Result<Vec<SocketAddr>>,
}

/// Look-ups under way.
pub(crate) struct Resolver {
    answers: Receiver<Resolved>,
    sender: Sender<Resolved>,
    waker: Arc<Waker>,
    under_way: usize,
}

impl Resolver {
    pub(crate) fn new(waker: Arc<Waker>) -> Resolver {
        let (sender, answers) = channel();
        Resolver {
            answers,
            sender,
            waker,
            under_way: 0,
        }
    }

    /// The addresses at once if `host` is a literal, else `None`: the answer comes by [`next`](Self::next).
    pub(crate) fn resolve(
        &mut self,
        host: &str,
        port: u16,
        ticket: u64,
    ) -> io::Result<Option<Vec<SocketAddr>>> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Some(vec![SocketAddr::new(address, port)]));
        }
        let (host, sender, waker) = (host.to_owned(), self.sender.clone(), Arc::clone(&self.waker));
        std::thread::Builder::new()
            .name("steadfast-dns".to_owned())
            .spawn(move || {
                let addresses = (host.as_str(), port)
                    .to_socket_addrs()
                    .map(|all| all.take(MAX_ADDRESSES).collect());
                // The driver may be gone by now: then nobody needs the answer.
                if sender.send(Resolved { ticket, addresses }).is_ok() {
                    waker.wake();
                }
            })?;
        self.under_way += 1;
        Ok(None)
    }

    pub(crate) fn next(&mut self) -> Option<Resolved> {
        if self.under_way == 0 {
            return None;
        }
        let answer = self.answers.try_recv().ok()?;
        self.under_way -= 1;
        Some(answer)
    }
}
