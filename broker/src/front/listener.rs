//! A node's port: listened on while the node is up, kept and deaf while it is down.
//!
//! `shutdown` on a listening socket refuses whoever waits and whoever comes, and leaves a port that was asked for by its
//! number bound: nobody else can take it before the node is back, and `listen` opens it again (Linux: inet_shutdown on
//! TCP_LISTEN, SOCK_BINDPORT_LOCK).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, sockopt};

use super::error::FrontError;

/// Connections that wait to be accepted (Kafka: socket.listen.backlog.size).
const BACKLOG: i32 = 50;

/// One port of one node.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) node: i32,
    /// 0: clients; 1: verifier and admin.
    pub(super) number: u8,
    pub(super) port: u16,
    socket: OwnedFd,
    listens: bool,
}

impl Listener {
    /// Binds a port of 127.0.0.1; 0 takes any. It does not listen yet.
    pub(super) fn bind(node: i32, number: u8, port: u16) -> Result<Listener, FrontError> {
        let bound = (|| {
            // Held until the number that the kernel chose is bound by that number.
            let (_holder, chosen) = bound(port)?;
            let (socket, port) = bound(chosen)?;
            // A port that another listens on shows only here.
            rustix::net::listen(&socket, BACKLOG)?;
            Ok::<_, Errno>(Listener {
                node,
                number,
                port,
                socket,
                listens: true,
            })
        })();
        let address = format!("127.0.0.1:{port}");
        bound.map_err(|error| FrontError::Listen {
            address,
            source: error.into(),
        })
    }

    /// Listens, or is deaf.
    pub(super) fn set(&mut self, listens: bool) -> io::Result<()> {
        if self.listens != listens {
            // While it is deaf nobody may share the port. While it listens connections inherit the option, and those of
            // a dead broker must not hinder the next one's bind.
            if listens {
                sockopt::set_socket_reuseaddr(&self.socket, true)?;
                rustix::net::listen(&self.socket, BACKLOG)?;
            } else {
                rustix::net::shutdown(&self.socket, Shutdown::Both)?;
                sockopt::set_socket_reuseaddr(&self.socket, false)?;
            }
            self.listens = listens;
        }
        Ok(())
    }

    /// The next connection that waits; none when none does.
    pub(super) fn accept(&self) -> Result<Option<OwnedFd>, Errno> {
        if !self.listens {
            return Ok(None);
        }
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            match rustix::net::accept_with(&self.socket, flags) {
                Ok(socket) => {
                    // Answers are small and wanted at once; a socket that is gone already says so when it is read.
                    let _gone = sockopt::set_tcp_nodelay(&socket, true);
                    return Ok(Some(socket));
                }
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A socket bound to a port, and the port. Connections of an earlier broker that still fade away are no hindrance.
fn bound(port: u16) -> Result<(OwnedFd, u16), Errno> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))?;
    let address = SocketAddr::try_from(rustix::net::getsockname(&socket)?);
    Ok((socket, address.map_or(port, |address| address.port())))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn a_port_that_is_deaf_refuses_stays_taken_and_opens_again() {
        let mut listener = Listener::bind(1, 0, 0).expect("bound");
        let connect = || TcpStream::connect(("127.0.0.1", listener.port));
        connect().expect("waits to be accepted");
        assert!(listener.accept().expect("no error").is_some());
        let port = listener.port;
        let connect = || TcpStream::connect(("127.0.0.1", port));
        listener.set(false).expect("deaf");
        assert_eq!(
            connect().expect_err("refused").kind(),
            io::ErrorKind::ConnectionRefused
        );
        assert!(
            Listener::bind(2, 0, port).is_err(),
            "the port stays the node's own"
        );
        listener.set(true).expect("listens");
        connect().expect("taken again");
        assert!(listener.accept().expect("no error").is_some());
        assert!(listener.accept().expect("no error").is_none());
    }
}
