//! TCP connections of this host as the kernel lists them: who is connected to which port, and what lies unread.
//!
//! Source: proc_pid_net(5), /proc/net/tcp: `sl local_address rem_address st tx_queue:rx_queue ... uid timeout inode`.
//! This shows, without asking the proxy, whether a silence bites (bytes lie unread) and whether a client goes around it.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::Ipv4Addr;

/// One end of an established connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Own address; of IPv6 what would be IPv4 in it.
    pub local_address: Ipv4Addr,
    /// Own port.
    pub local_port: u16,
    /// The other end's address.
    pub remote_address: Ipv4Addr,
    /// The other end's port.
    pub remote_port: u16,
    /// Bytes that arrived and that its program has not read.
    pub unread_bytes: u64,
    /// Number of the socket: names it among the open files of its program.
    pub inode: u64,
}

/// The port of `host:port`; 0 where there is none.
pub(crate) fn port_of(address: &str) -> u16 {
    address
        .rsplit(':')
        .next()
        .and_then(|port| port.parse().ok())
        .unwrap_or_default()
}

/// All ends of established connections, IPv4 and IPv6, in this network namespace.
pub fn established() -> io::Result<Vec<Socket>> {
    let mut sockets = parse(&fs::read_to_string("/proc/net/tcp")?);
    // A kernel without IPv6 has no such file.
    sockets.extend(parse(&fs::read_to_string("/proc/net/tcp6").unwrap_or_default()));
    Ok(sockets)
}

/// Numbers of the sockets that a process holds open.
pub fn of_process(pid: u32) -> io::Result<BTreeSet<u64>> {
    let mut inodes = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        // A file that was closed meanwhile is no error.
        let Ok(link) = fs::read_link(entry?.path()) else {
            continue;
        };
        let inode: Option<u64> = link
            .to_str()
            .and_then(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
        inodes.extend(inode);
    }
    Ok(inodes)
}

fn parse(table: &str) -> Vec<Socket> {
    table.lines().skip(1).filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    const ESTABLISHED: &str = "01";
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != ESTABLISHED {
        return None;
    }
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
    // Words of 32 bits, each in the order of the machine; the last one of a mapped IPv6 address is the IPv4 address.
    let address = |address: &str| {
        let (address, _) = address.split_once(':')?;
        let last = address.get(address.len().checked_sub(8)?..)?;
        let word = u32::from_str_radix(last, 16).ok()?;
        Some(Ipv4Addr::from(word.to_ne_bytes()))
    };
    let (_unsent, unread) = fields.get(4)?.split_once(':')?;
    Some(Socket {
        local_address: address(fields.get(1)?)?,
        local_port: port(fields.get(1)?)?,
        remote_address: address(fields.get(2)?)?,
        remote_port: port(fields.get(2)?)?,
        unread_bytes: u64::from_str_radix(unread, 16).ok()?,
        inode: fields.get(9)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn listening_sockets_and_cut_lines_are_left_out() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 111 1 0 100 0 0 10 0\n\
             1: 0100007F:1F90 0100007F:C001 01 00000000:00000010 00:00000000 00000000  0 0 222 1 0 20 4 30 10 -1\n\
             2: 0100007F:1F90";
        let expected = Socket {
            local_address: Ipv4Addr::LOCALHOST,
            local_port: 8080,
            remote_address: Ipv4Addr::LOCALHOST,
            remote_port: 49153,
            unread_bytes: 16,
            inode: 222,
        };
        assert_eq!(parse(table), [expected]);
    }

    #[test]
    fn unread_bytes_of_a_real_connection_are_seen() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        client.write_all(b"12345").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sockets = established().unwrap();
        let end = sockets.iter().find(|socket| socket.local_port == port).unwrap();
        assert_eq!(end.remote_port, client.local_addr().unwrap().port());
        assert_eq!(end.unread_bytes, 5);
        assert!(of_process(std::process::id()).unwrap().contains(&end.inode));
        drop(server);
    }
}
