//! A broker on real sockets and files, in a thread of this process.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use steadfast_wire::admin;
use steadfast_wire::connection::Connection;

use super::super::{Ask, NodeState, Options, Ports, Reply, ask};
use super::*;
use crate::order::{Order, Stop};
use crate::settings::Settings;

const BOUND: Duration = Duration::from_secs(10);

/// A broker that runs until it is stopped.
struct Broker {
    ports: Vec<Ports>,
    stop: UnixStream,
    thread: JoinHandle<Result<(), FrontError>>,
}

impl Broker {
    fn start(data: &Path, nodes: i32) -> Broker {
        Broker::start_after(data, nodes, |_| {})
    }

    /// As `start`; all its connections together hold so many bytes of frames that are not whole.
    fn start_holding(data: &Path, nodes: i32, held_most_bytes: usize) -> Broker {
        Broker::start_after(data, nodes, move |server| {
            server.held_most_bytes = held_most_bytes;
        })
    }

    /// Does something to the server before it serves.
    fn start_after(data: &Path, nodes: i32, prepare: impl FnOnce(&mut Server) + Send + 'static) -> Broker {
        let (stop, stopped) = UnixStream::pair().expect("a pair");
        let settings = Settings {
            nodes,
            restart_delay_ns: 1_000_000,
            ..Settings::default()
        };
        let ports = vec![
            Ports {
                client: 0,
                admin: 0,
                advertised: None
            };
            nodes as usize
        ];
        let options = Options {
            data: data.to_owned(),
            settings,
            ports,
        };
        let (tell, told) = channel();
        let thread = std::thread::spawn(move || {
            let mut server = Server::open(options, stopped.into())?;
            prepare(&mut server);
            server.run(&mut |ports| tell.send(ports.to_vec()).expect("someone listens"))
        });
        let ports = told.recv_timeout(BOUND).expect("ready");
        Broker { ports, stop, thread }
    }

    fn connect(&self, node: usize) -> Result<Connection, String> {
        let server = format!("127.0.0.1:{}", self.ports[node - 1].admin);
        Connection::connect(&server, "test", BOUND).map_err(|error| error.to_string())
    }

    fn create(&self, topic: &str) {
        let mut connection = self.connect(1).expect("connects");
        admin::create_topic(&mut connection, topic, 3, 1, &BTreeMap::new()).expect("made");
    }

    fn topics(&self) -> Vec<String> {
        let mut connection = self.connect(1).expect("connects");
        let answer = admin::metadata(&mut connection, None).expect("answers");
        answer.topics.into_iter().map(|topic| topic.name).collect()
    }

    fn stop(self) {
        drop(self.stop);
        self.thread.join().expect("no panic").expect("a clean end");
    }
}

fn soon(mut done: impl FnMut() -> bool) {
    for _ in 0..1_000 {
        if done() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
    panic!("not within 10 s");
}

#[test]
fn nonsense_closes_its_connection_and_nobody_elses() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(home.path(), 1);
    let frames: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\n\r\n",
        &[0xff; 64],
        &[0x7f, 0xff, 0xff, 0xff, 0, 0],
        &[0, 0, 0, 0],
        &[0, 0, 0, 3, 1, 2, 3],
        // Produce version 9 with a body that ends in the middle, and an API that nobody knows.
        &[0, 0, 0, 12, 0, 0, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 0, 1],
        &[0, 0, 0, 10, 3, 0xe7, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
    ];
    for frame in frames {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.ports[0].client)).expect("connects");
        stream.set_read_timeout(Some(BOUND)).expect("a bound");
        stream.write_all(frame).expect("written");
        let mut answer = Vec::new();
        // A reset and an end are both a closed connection; an answer or a time-out is not.
        let closed = match stream.read_to_end(&mut answer) {
            Ok(_) => answer.is_empty(),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        };
        assert!(closed, "{frame:?} got {answer:?}");
    }
    broker.create("still-there");
    assert_eq!(broker.topics(), ["still-there"]);
    broker.stop();
}

/// Frames that never end, on many connections: each alone is within the bound of one frame.
#[test]
fn connections_together_hold_no_more_than_the_bound() {
    const PART: usize = 1 << 20;
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start_holding(home.path(), 1, 6 * PART);
    let half = || {
        let mut stream = TcpStream::connect(("127.0.0.1", broker.ports[0].client)).expect("connects");
        stream.set_read_timeout(Some(BOUND)).expect("a bound");
        stream
            .write_all(&(4 * PART as i32).to_be_bytes())
            .expect("written");
        // Who is closed meanwhile cannot write all of it.
        let _ = stream.write_all(&vec![0; PART]);
        stream
    };
    let mut streams: Vec<TcpStream> = (0..2).map(|_| half()).collect();
    broker.create("within");
    for stream in &streams {
        stream.set_nonblocking(true).expect("looks only");
        let waits = (&*stream).read(&mut [0]).map_err(|error| error.kind());
        assert_eq!(
            waits,
            Err(io::ErrorKind::WouldBlock),
            "below the bound nobody is closed"
        );
        stream.set_nonblocking(false).expect("waits again");
    }
    streams.extend((0..6).map(|_| half()));
    let closed = |stream: &mut TcpStream| match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    };
    assert!(
        streams[2..].iter_mut().rev().any(closed),
        "eight halves are beyond it"
    );
    broker.create("beyond");
    assert_eq!(broker.topics(), ["beyond", "within"], "and others are served");
    // What is closed is held no longer.
    drop(streams);
    broker.create("freed");
    let mut again = half();
    broker.create("taken");
    again.set_nonblocking(true).expect("looks only");
    let waits = again.read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(waits, Err(io::ErrorKind::WouldBlock));
    broker.stop();
}

#[test]
fn frames_in_small_pieces_and_many_at_once_are_answered_in_order() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(home.path(), 1);
    let mut stream = TcpStream::connect(("127.0.0.1", broker.ports[0].client)).expect("connects");
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    let asks = 200_u32;
    let frame = |number: u32| {
        let mut frame = vec![0, 0, 0, 10, 0, 18, 0, 0];
        frame.extend_from_slice(&number.to_be_bytes());
        frame.extend_from_slice(&[0xff, 0xff]);
        frame
    };
    let bytes: Vec<u8> = (0..asks).flat_map(frame).collect();
    for piece in bytes.chunks(61) {
        stream.write_all(piece).expect("written");
    }
    for number in 0..asks {
        let mut head = [0; 8];
        stream.read_exact(&mut head).expect("an answer");
        assert_eq!(u32::from_be_bytes([head[4], head[5], head[6], head[7]]), number);
        let size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        stream.read_exact(&mut vec![0; size - 4]).expect("the rest of it");
    }
    broker.stop();
}

#[test]
fn orders_reach_nodes_and_a_dead_one_refuses() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(home.path(), 2);
    let order = |order| ask(home.path(), &Ask::Order(order), BOUND).expect("an answer");
    let up = NodeState {
        node: 2,
        accepts: true,
        serves: true,
    };
    let state = || match ask(home.path(), &Ask::State, BOUND) {
        Ok(Reply::State(nodes)) => nodes[1],
        other => panic!("{other:?}"),
    };
    assert_eq!(state(), up);
    assert_eq!(
        order(Order::Kill {
            node: 2,
            stop: Stop::Hard
        }),
        Reply::Done
    );
    assert_eq!(
        state(),
        NodeState {
            accepts: false,
            serves: false,
            ..up
        }
    );
    assert!(broker.connect(2).is_err(), "a dead node refuses");
    broker.connect(1).expect("the other one answers");
    assert!(
        matches!(order(Order::Kill { node: 2, stop: Stop::Hard }), Reply::Refused(why) if why.contains("down"))
    );
    assert_eq!(order(Order::Start { node: 2 }), Reply::Done);
    soon(|| state() == up);
    broker.connect(2).expect("it is back");
    assert_eq!(order(Order::Pause { node: 2 }), Reply::Done);
    assert_eq!(state(), NodeState { serves: false, ..up });
    broker.stop();
}

#[test]
fn a_line_that_is_no_order_is_refused_in_words() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(home.path(), 1);
    let mut stream = UnixStream::connect(home.path().join("control.sock")).expect("connects");
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    stream
        .write_all(b"{\"Order\":{\"Explode\":1}}\n")
        .expect("written");
    let mut answer = [0; 256];
    let count = stream.read(&mut answer).expect("an answer");
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(
        answer.contains("Refused") && answer.contains("Explode"),
        "{answer}"
    );
    broker.stop();
}

#[test]
fn a_cluster_comes_back_with_what_it_knew() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start(home.path(), 1);
    broker.create("kept");
    broker.stop();
    let broker = Broker::start(home.path(), 1);
    assert_eq!(broker.topics(), ["kept"]);
    broker.stop();
}

/// A fact that cannot be kept stops the broker, and nobody was told anything that counts on it.
#[test]
fn no_answer_leaves_before_the_fact_that_it_counts_on() {
    let home = tempfile::tempdir().expect("a folder");
    let broker = Broker::start_after(home.path(), 1, |server| server.facts.break_off());
    let mut stream = TcpStream::connect(("127.0.0.1", broker.ports[0].client)).expect("connects");
    stream.set_read_timeout(Some(BOUND)).expect("a bound");
    // InitProducerId version 0: no client id, no transactional id, a time-out of 0.
    let ask = [
        &[0, 0, 0, 16, 0, 22, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff][..],
        &[0; 4],
    ]
    .concat();
    stream.write_all(&ask).expect("written");
    let mut answer = Vec::new();
    // A reset and an end are both a closed connection.
    let _closed = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "an answer: {answer:?}");
    let ended = broker.thread.join().expect("no panic");
    assert!(
        ended
            .expect_err("it goes on")
            .to_string()
            .contains("remember facts")
    );
}
