//! Exchanges with a broker on the way that clients take, timed: what shows whether a link is slow, thin, cut or closed.
//! Each opens a connection of its own and closes it.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use steadfast_wire::admin::metadata;

use super::admin::connect;
use crate::clock::{Deadline, now_ns};

/// Names of topics that nobody has, in one Metadata request.
const NAMES: usize = 200;
/// Kafka's longest is 249.
const NAME_BYTES: usize = 240;
/// Most requests of a probe that waits to be cut: the broker has other things to do.
const MOST_BULKS: usize = 32;
/// About what [`bulk`] sends, and gets back: Kafka repeats each name.
pub(crate) const BULK_BYTES: usize = NAMES * NAME_BYTES;

/// Connecting and one small request.
pub(crate) fn round_trip(server: &str, bound: Duration) -> Result<Duration, String> {
    let begun_ns = now_ns();
    connect(server, bound)?;
    Ok(since(begun_ns))
}

/// One request of [`BULK_BYTES`] on a connection that is open already.
pub(crate) fn bulk(server: &str, bound: Duration) -> Result<Duration, String> {
    let mut connection = connect(server, bound)?;
    let begun_ns = now_ns();
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    metadata(&mut connection, Some(&names)).map_err(|error| error.to_string())?;
    Ok(since(begun_ns))
}

/// From closing our half of a connection to the end of the other one.
pub(crate) fn close(server: &str, bound: Duration) -> Result<Duration, String> {
    let told = |error: std::io::Error| error.to_string();
    let mut stream = tcp(server, bound).map_err(told)?;
    stream.set_read_timeout(Some(bound)).map_err(told)?;
    let begun_ns = now_ns();
    stream.shutdown(Shutdown::Write).map_err(told)?;
    match stream.read(&mut [0; 16]) {
        Ok(0) => Ok(since(begun_ns)),
        Ok(_) => Err("bytes came that nobody had asked for".into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(format!("a closed connection had not ended after {bound:?}"))
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Whether a new connection is refused.
pub(crate) fn refused(server: &str, bound: Duration) -> bool {
    tcp(server, bound).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

/// Sends requests of [`BULK_BYTES`] on one connection until it ends or more than `bytes` have gone each way; why it ended,
/// none when it did not.
pub(crate) fn until_closed(server: &str, bytes: u32, bound: Duration) -> Option<String> {
    let deadline = Deadline::after(bound);
    let mut connection = match connect(server, bound) {
        Ok(connection) => connection,
        Err(reason) => return Some(format!("in the first exchange: {reason}")),
    };
    let names = names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for number in 0..(bytes as usize / BULK_BYTES + 2).min(MOST_BULKS) {
        if let Err(error) = metadata(&mut connection, Some(&names)) {
            return Some(format!("after {} bytes: {error}", number * BULK_BYTES));
        }
        if deadline.passed() {
            return None;
        }
    }
    None
}

fn names() -> Vec<String> {
    let name = |number| format!("{number:0>NAME_BYTES$}");
    (0..NAMES).map(name).collect()
}

fn tcp(server: &str, bound: Duration) -> std::io::Result<TcpStream> {
    let address: SocketAddr = server.parse().map_err(std::io::Error::other)?;
    TcpStream::connect_timeout(&address, bound)
}

fn since(begun_ns: u64) -> Duration {
    Duration::from_nanos(now_ns().saturating_sub(begun_ns))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    #[test]
    fn a_close_is_timed_and_one_that_never_comes_is_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let waits = std::thread::spawn(move || {
            let (mut first, _) = listener.accept().unwrap();
            assert_eq!(first.read(&mut [0; 1]).unwrap(), 0);
            crate::clock::sleep(SHORT);
            drop(first);
            listener.accept().unwrap()
        });
        let taken = close(&server, Duration::from_secs(5)).unwrap();
        assert!(taken >= SHORT, "{taken:?}");
        assert!(close(&server, SHORT).unwrap_err().contains("had not ended"));
        drop(waits.join().unwrap());
        assert!(refused(&server, SHORT), "the listener is gone");
    }

    #[test]
    fn names_are_distinct_and_of_the_length_that_counts() {
        let names = names();
        assert!(names.iter().all(|name| name.len() == NAME_BYTES));
        assert_ne!(names[0], names[1]);
    }
}
