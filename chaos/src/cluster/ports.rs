//! Free loopback ports, below the range that the kernel gives to outgoing connections.
//!
//! A port from that range could be taken by anybody's outgoing connection while its broker is down, and a client that keeps
//! dialling a dead broker there can even connect to itself (TCP simultaneous open): the broker would never come back.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};

use crate::error::ChaosError;

/// Lowest port taken.
const LOWEST: u16 = 15_000;

/// Chooses `count` distinct ports that are free now, starting at a place that differs between processes and calls.
/// They are bound all at once and released together; whoever binds later must still be ready to lose one.
pub(crate) fn free(count: usize, salt: u64) -> Result<Vec<u16>, ChaosError> {
    let (lowest, beyond) = span();
    let width = u64::from(beyond - lowest);
    let start = (u64::from(std::process::id()).wrapping_mul(7919) ^ salt.wrapping_mul(104_729)) % width;
    let mut held = Vec::with_capacity(count);
    for step in 0..width {
        if held.len() == count {
            break;
        }
        let port = lowest + u16::try_from((start + step) % width).unwrap_or(0);
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        let what = format!("fewer than {count} free ports between {lowest} and {beyond} on 127.0.0.1");
        return Err(ChaosError::missing(
            what,
            "end what listens on so many ports (`ss -ltn` lists it)",
        ));
    }
    Ok(held.into_iter().map(|(port, _released)| port).collect())
}

/// From [`LOWEST`] to the start of the ephemeral range; a machine that leaves no room there gets the whole space.
fn span() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ephemeral = text
        .split_ascii_whitespace()
        .next()
        .and_then(|first| first.parse::<u16>().ok())
        .unwrap_or(32_768);
    if ephemeral > LOWEST + 1_000 {
        (LOWEST, ephemeral)
    } else {
        (1_024, u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_distinct_free_and_not_taken_ones() {
        let first = free(6, 1).unwrap();
        let mut distinct = first.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), 6);
        let held: Vec<TcpListener> = first
            .iter()
            .map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).unwrap())
            .collect();
        let second = free(6, 1).unwrap();
        assert!(second.iter().all(|port| !first.contains(port)));
        drop(held);
    }
}
