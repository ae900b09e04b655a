//! The shell against peers that are no Kafka: a clear error by the deadline, never a hang or a panic.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::producer::{Producer, ProducerRecord};
use crate::ticket::DeliveryError;
use crate::transaction::TransactionError;

const PATIENCE_NS: u64 = 400_000_000;

/// Serves every connection with `serve` until the listener's owner has seen enough.
fn peer(serve: fn(&mut TcpStream)) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = std::thread::spawn(move || {
        // A last connection without a word ends it.
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut first = [0; 1];
            if !matches!(stream.read(&mut first), Ok(1)) {
                return;
            }
            serve(&mut stream);
        }
    });
    (format!("localhost:{}", address.port()), thread)
}

fn driver(bootstrap: &str) -> Driver {
    Driver::with_seed(&config(bootstrap, "1000"), 1).unwrap()
}

fn config(bootstrap: &str, max_block_ms: &str) -> ProducerConfig {
    let properties = [("bootstrap.servers", bootstrap), ("max.block.ms", max_block_ms)];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    ProducerConfig::from_properties(&BTreeMap::from(properties)).unwrap()
}

type Serve = fn(&mut TcpStream);

fn not_ready(serve: Serve) -> String {
    let (bootstrap, thread) = peer(serve);
    let mut driver = driver(&bootstrap);
    driver.topic("orders");
    let begun_ns = monotonic_ns();
    let error = driver.ready(begun_ns + PATIENCE_NS).unwrap_err();
    assert!(monotonic_ns() - begun_ns < 4 * PATIENCE_NS, "the deadline holds");
    drop(driver);
    let port = bootstrap.rsplit_once(':').unwrap().1.parse().unwrap();
    drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
    thread.join().unwrap();
    error.to_string()
}

#[test]
fn a_peer_that_says_nothing() {
    let error = not_ready(|stream| {
        stream.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    assert!(error.contains("topic orders has no metadata"), "{error}");
}

#[test]
fn a_peer_that_hangs_up() {
    let error = not_ready(|_| {});
    assert!(error.contains("localhost:"), "{error}");
}

#[test]
fn a_peer_that_speaks_another_language() {
    let error = not_ready(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    assert!(
        error.contains("an answer of 1213486160 bytes"),
        "\"HTTP\" as a length: {error}"
    );
}

/// An answer of this size, of which no byte comes.
fn answer_size(stream: &mut TcpStream, size: i32) {
    let _ = stream.write_all(&size.to_be_bytes());
}

#[test]
fn a_peer_whose_answers_have_sizes_that_cannot_be() {
    const OVER: i32 = crate::connection::MAX_RESPONSE_BYTES as i32 + 1;
    let sizes: [(Serve, &str); 4] = [
        (|stream| answer_size(stream, 0), "not asked"),
        (|stream| answer_size(stream, -1), "an answer of -1 bytes"),
        (
            |stream| answer_size(stream, i32::MAX),
            "an answer of 2147483647 bytes",
        ),
        (|stream| answer_size(stream, OVER), "an answer of 33554433 bytes"),
    ];
    for (serve, words) in sizes {
        let error = not_ready(serve);
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn a_peer_that_answers_nonsense_of_the_right_length() {
    let error = not_ready(|stream| {
        // Its correlation id comes back: byte 8 of the frame, the first of which is read already.
        let mut request = [0; 64];
        let _ = stream.read(&mut request);
        let mut answer = [0xff; 44];
        answer[..4].copy_from_slice(&40_i32.to_be_bytes());
        answer[4..8].copy_from_slice(&request[7..11]);
        let _ = stream.write_all(&answer);
    });
    assert!(error.contains("malformed"), "{error}");
}

#[test]
fn a_port_where_nobody_listens() {
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut driver = driver(&format!("127.0.0.1:{port}"));
    driver.topic("orders");
    let error = driver
        .ready(monotonic_ns() + PATIENCE_NS)
        .unwrap_err()
        .to_string();
    assert!(error.contains("refused"), "{error}");
}

#[test]
fn a_turn_sleeps_to_the_deadline_and_not_to_the_millisecond() {
    let mut driver = driver("127.0.0.1:1");
    driver.precise_timers();
    let best_ns = (0..50).map(|_| {
        let until_ns = monotonic_ns() + 300_000;
        driver.sleep(Some(300_000)).unwrap();
        monotonic_ns().saturating_sub(until_ns)
    });
    // The best of many: a busy machine may be late, a rounded timer always is.
    assert!(
        best_ns.min() < Some(300_000),
        "a time-out of 0.3 ms was rounded up"
    );
}

#[test]
fn records_for_a_cluster_that_is_not_there_end_not_written_after_max_block_ms() {
    let producer = Producer::new(&config("127.0.0.1:1", "200")).unwrap();
    let ticket = producer.send(ProducerRecord::new("orders", "x")).unwrap();
    assert_eq!(ticket.wait(), Err(DeliveryError::NotWritten { code: 7 }));
    assert_eq!(
        producer.flush(Duration::from_secs(1)),
        Ok(true),
        "nothing is left to flush"
    );
    let late = producer.send(ProducerRecord::new("orders", "y")).unwrap();
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(late.wait(), Err(DeliveryError::NotWritten { code: 7 }));
    assert!(producer.send(ProducerRecord::new("orders", "z")).is_err());
}

#[test]
fn transactions_of_a_cluster_that_is_not_there_say_so_and_can_be_waited_for_again() {
    let properties = [
        ("bootstrap.servers", "127.0.0.1:1"),
        ("max.block.ms", "200"),
        ("transactional.id", "copier-1"),
    ];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = ProducerConfig::from_properties(&BTreeMap::from(properties)).unwrap();
    let producer = Producer::new(&config).unwrap();
    let patience = Duration::from_millis(50);
    for _ in 0..2 {
        assert_eq!(
            producer.init_transactions(patience),
            Err(TransactionError::TimedOut)
        );
    }
    for refused in [
        producer.begin_transaction().map(|_| ()),
        producer.commit_transaction(patience).map(|_| ()),
        producer.abort_transaction(patience).map(|_| ()),
    ] {
        assert!(
            matches!(refused, Err(TransactionError::WrongState { .. })),
            "{refused:?}"
        );
    }
    let ticket = producer.send(ProducerRecord::new("orders", "x")).unwrap();
    assert!(matches!(ticket.wait(), Err(DeliveryError::NotWritten { .. })));
    producer.close(Duration::ZERO).unwrap();
    assert_eq!(producer.begin_transaction(), Err(TransactionError::Closed));

    let plain = Producer::new(&self::config("127.0.0.1:1", "200")).unwrap();
    assert_eq!(plain.begin_transaction(), Err(TransactionError::NotTransactional));
}
