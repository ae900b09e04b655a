//! The thin HTTP client of our own: what `toxiproxy_rust` lacks (statuses, `reset_peer`, deleting one toxic,
//! metrics), and the read-back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::clock::Deadline;

/// How long one request may take. The server answers within a millisecond.
const REQUEST_BOUND: Duration = Duration::from_secs(5);
/// Longest answer read. The largest, /metrics, has a few hundred bytes a proxy.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// Sends a request, with a body of JSON if there is one; status and body of the answer. HTTP/1.0 (RFC 1945), so that the body simply ends with
/// the connection and no chunks are to be undone.
pub(super) fn request(
    server: SocketAddr,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> io::Result<(u16, String)> {
    let deadline = Deadline::after(REQUEST_BOUND);
    let mut stream = TcpStream::connect_timeout(&server, REQUEST_BOUND)?;
    stream.set_write_timeout(Some(REQUEST_BOUND))?;
    // In one piece: the server may answer, and close, before a second one arrives.
    let (kind, body) = match body {
        Some(body) => (
            format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ),
            body,
        ),
        None => (String::new(), ""),
    };
    stream.write_all(format!("{method} {path} HTTP/1.0\r\nHost: {server}\r\n{kind}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    loop {
        // A timeout of zero would mean none.
        stream.set_read_timeout(Some(deadline.left().max(Duration::from_millis(1))))?;
        let count = match stream.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && !deadline.passed() => continue,
            read => read?,
        };
        if count == 0 {
            return parse(&answer).ok_or_else(|| io::Error::other("the answer is not HTTP"));
        }
        answer.extend_from_slice(&piece[..count]);
        if answer.len() > MAX_ANSWER_BYTES {
            return Err(io::Error::other(format!(
                "the answer is longer than {MAX_ANSWER_BYTES} bytes"
            )));
        }
        if deadline.passed() {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("no whole answer within {REQUEST_BOUND:?}"),
            ));
        }
    }
}

/// `HTTP/1.0 200 OK`, headers, an empty line, the body.
fn parse(answer: &[u8]) -> Option<(u16, String)> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut words = head.lines().next()?.split(' ');
    words.next()?.strip_prefix("HTTP/1.")?;
    Some((words.next()?.parse().ok()?, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Serves one answer and hangs up.
    fn answering(answer: Vec<u8>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _read = stream.read(&mut request);
            let _sent = stream.write_all(&answer);
        });
        address
    }

    #[test]
    fn status_and_body_are_told_apart() {
        let server = answering(b"HTTP/1.0 404 Not Found\r\nA: b\r\n\r\n{\"error\"}\r\n\r\n".to_vec());
        assert_eq!(
            request(server, "GET", "/x", None).unwrap(),
            (404, "{\"error\"}\r\n\r\n".to_owned())
        );
    }

    #[test]
    fn nonsense_and_floods_are_errors() {
        for answer in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.0 200 OK\r\n",
            b"HTTP/1.0 x\r\n\r\n",
            b"HTTP/1.0 200 O\r\n\r\n\xff",
            b"",
        ] {
            assert!(
                request(answering(answer.to_vec()), "GET", "/", None).is_err(),
                "{answer:?}"
            );
        }
        let flood = [&b"HTTP/1.0 200 OK\r\n\r\n"[..], &vec![b'x'; MAX_ANSWER_BYTES + 1]].concat();
        assert!(request(answering(flood), "GET", "/", None).is_err());
    }
}
