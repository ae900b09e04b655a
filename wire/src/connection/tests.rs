//! Against scripted peers on loopback: each hostile answer ends in an error, within the deadline.

use std::net::TcpListener;
use std::thread;

use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiVersionsResponse, ListOffsetsRequest, MetadataRequest};

use super::*;

const TIMEOUT: Duration = Duration::from_millis(300);

/// A peer that answers the first request as a broker does, and then gives `answer` to the next one.
fn scripted(answer: impl FnOnce(i32, &mut TcpStream) + Send + 'static) -> Result<Connection, WireError> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let correlation_id = read_request(&mut stream);
        let apis = [(3, 0, 13), (18, 0, 4)];
        let api = |(key, min, max)| {
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(min)
                .with_max_version(max)
        };
        let response = ApiVersionsResponse::default().with_api_keys(apis.map(api).to_vec());
        let mut body = BytesMut::new();
        response.encode(&mut body, 4).unwrap();
        send(&mut stream, correlation_id, &body);
        let correlation_id = read_request(&mut stream);
        answer(correlation_id, &mut stream);
    });
    Connection::connect(&addr, "test", TIMEOUT)
}

fn read_request(stream: &mut TcpStream) -> i32 {
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut request = vec![0; i32::from_be_bytes(length) as usize];
    stream.read_exact(&mut request).unwrap();
    i32::from_be_bytes(request[4..8].try_into().unwrap())
}

fn send(stream: &mut TcpStream, correlation_id: i32, body: &[u8]) {
    let length = (4 + body.len()) as i32;
    stream
        .write_all(&[&length.to_be_bytes()[..], &correlation_id.to_be_bytes(), body].concat())
        .unwrap();
}

fn fails(answer: impl FnOnce(i32, &mut TcpStream) + Send + 'static) -> WireError {
    let mut connection = scripted(answer).unwrap();
    let before = Instant::now();
    let error = connection.request(&MetadataRequest::default()).unwrap_err();
    assert!(before.elapsed() < 3 * TIMEOUT);
    // Nothing is sent over a connection whose next bytes mean nothing.
    assert!(!connection.is_open());
    assert!(matches!(
        connection.request(&MetadataRequest::default()),
        Err(WireError::Closed { .. })
    ));
    error
}

#[test]
fn picks_the_newest_version_of_both() {
    let connection = scripted(|_, _| {}).unwrap();
    assert_eq!(connection.version(3), Some(13));
    assert_eq!(connection.version(1), None);
}

#[test]
fn an_api_that_the_broker_lacks_closes_nothing() {
    let mut connection = scripted(|_, _| {}).unwrap();
    let error = connection.request(&ListOffsetsRequest::default()).unwrap_err();
    assert_eq!(error.disposition(), Disposition::GiveUp);
    assert!(connection.is_open());
}

#[test]
fn silence_ends_at_the_deadline() {
    let error = fails(|_, stream| {
        let _ = stream.read(&mut [0]);
    });
    assert!(
        matches!(&error, WireError::NoAnswer { source, .. } if source.kind() == ErrorKind::TimedOut),
        "{error}"
    );
    assert_eq!(error.disposition(), Disposition::Unknown);
}

#[test]
fn a_drip_ends_at_the_deadline() {
    let error = fails(|_, stream| {
        while stream.write_all(&[0, 0, 1]).is_ok() {
            thread::sleep(Duration::from_millis(50));
        }
    });
    assert!(matches!(error, WireError::NoAnswer { .. }), "{error}");
}

#[test]
fn frame_lengths_that_are_none() {
    for length in [0, 3, -1, i32::MIN, i32::MAX, MAX_FRAME_BYTES as i32 + 1] {
        let error = fails(move |_, stream| stream.write_all(&length.to_be_bytes()).unwrap());
        assert!(matches!(error, WireError::Nonsense { .. }), "{length}: {error}");
    }
}

#[test]
fn a_frame_cut_by_the_end() {
    let error = fails(|correlation_id, stream| {
        stream
            .write_all(&[100_i32.to_be_bytes(), correlation_id.to_be_bytes()].concat())
            .unwrap();
    });
    assert!(matches!(error, WireError::NoAnswer { .. }), "{error}");
}

#[test]
fn an_answer_to_another_request() {
    let body = [0; 16];
    let error = fails(move |correlation_id, stream| send(stream, correlation_id + 1, &body));
    assert!(matches!(error, WireError::Nonsense { .. }), "{error}");
}

#[test]
fn a_count_of_two_billion() {
    let error = fails(|correlation_id, stream| {
        send(
            stream,
            correlation_id,
            &[0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x07],
        );
    });
    assert!(error.to_string().contains("a count beyond"), "{error}");
}

#[test]
fn nobody_listens() {
    let addr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let error = Connection::connect(&addr, "test", TIMEOUT).unwrap_err();
    assert_eq!(error.disposition(), Disposition::Retry);
}

#[test]
fn no_such_name() {
    assert!(matches!(
        Connection::connect("no port", "test", TIMEOUT),
        Err(WireError::Connect { .. })
    ));
}
