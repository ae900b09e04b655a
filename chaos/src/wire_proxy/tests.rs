//! The proxy between a client and a broker of a few lines that answers each request with its correlation id, in order.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::*;
use crate::clock::sleep;

/// A wait for what must come.
const SOON: Duration = Duration::from_secs(5);
/// A look at what must not come.
const MOMENT: Duration = Duration::from_millis(100);

struct Lab {
    proxy: WireProxy,
    listen: String,
    /// Correlation ids as they arrive at the broker.
    arrived: Receiver<i32>,
    /// A word ends the broker's connection.
    end: Sender<()>,
}

fn lab() -> Lab {
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = door.local_addr().unwrap().to_string();
    drop(door);
    let spec = ProxySpec::of_clients(1, listen.clone(), broker.local_addr().unwrap().to_string());
    let (tell, arrived) = channel();
    let (end, ended) = channel();
    std::thread::spawn(move || {
        let (mut socket, _) = broker.accept().unwrap();
        let ender = socket.try_clone().unwrap();
        std::thread::spawn(move || {
            if ended.recv().is_ok() {
                ender.shutdown(Shutdown::Both).unwrap();
            }
        });
        while let Some(frame) = read_frame(&mut socket) {
            let id = i32::from_be_bytes(frame[4..8].try_into().unwrap());
            let _ = tell.send(id);
            let mut answer = 4_i32.to_be_bytes().to_vec();
            answer.extend(id.to_be_bytes());
            if socket.write_all(&answer).is_err() {
                break;
            }
        }
    });
    Lab {
        proxy: WireProxy::start(&[spec]).unwrap(),
        listen,
        arrived,
        end,
    }
}

/// A frame without its size; none at the end.
fn read_frame(socket: &mut TcpStream) -> Option<Vec<u8>> {
    let mut size = [0; 4];
    socket.read_exact(&mut size).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(size) as usize];
    socket.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// InitProducerId version 2, so that an answer can be made for it.
fn request(id: i32) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(22_i16.to_be_bytes());
    body.extend(2_i16.to_be_bytes());
    body.extend(id.to_be_bytes());
    body.extend((-1_i16).to_be_bytes()); // no client id
    body.push(0); // tagged fields of the header
    body.push(0); // no transactional id
    body.extend(60_000_i32.to_be_bytes());
    body.push(0); // tagged fields
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

impl Lab {
    fn client(&self) -> TcpStream {
        let socket = TcpStream::connect(&self.listen).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        socket
    }

    fn hurt(&self, deed: Deed, side: Side, nth: u32, count: Option<u32>) {
        let fault = WireFault {
            deed,
            api: Some(22),
            side,
            nth,
            count,
        };
        self.proxy.hurt(1, fault).unwrap();
    }

    fn until_struck(&self, frames: u32) {
        let bound = crate::clock::Deadline::after(SOON);
        while self.proxy.struck(1) < frames && !bound.passed() {
            sleep(Duration::from_millis(1));
        }
        assert_eq!(self.proxy.struck(1), frames);
    }

    fn bite(&self) -> WireBite {
        self.proxy.mend(1).unwrap().expect("a fault")
    }
}

fn answered(socket: &mut TcpStream) -> Option<i32> {
    read_frame(socket).map(|frame| i32::from_be_bytes(frame[..4].try_into().unwrap()))
}

fn nothing_comes(socket: &mut TcpStream) {
    socket.set_read_timeout(Some(MOMENT)).unwrap();
    let error = socket.read(&mut [0]).expect_err("nothing was to come");
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
    socket.set_read_timeout(Some(SOON)).unwrap();
}

#[test]
fn without_a_fault_everything_passes_in_order() {
    let lab = lab();
    let mut client = lab.client();
    for id in 1..=100 {
        client.write_all(&request(id)).unwrap();
    }
    let answers: Vec<i32> = (1..=100).filter_map(|_| answered(&mut client)).collect();
    assert_eq!(answers, (1..=100).collect::<Vec<_>>());
    assert_eq!(lab.proxy.mend(1).unwrap(), None);
}

#[test]
fn held_answers_go_on_when_it_ends_and_are_lost_when_the_broker_ends_first() {
    let lab = lab();
    let mut client = lab.client();
    lab.hurt(Deed::Hold, Side::Response, 2, None);
    (1..=3).for_each(|id| client.write_all(&request(id)).unwrap());
    lab.until_struck(2);
    assert_eq!(answered(&mut client), Some(1), "before the second");
    nothing_comes(&mut client);
    let bite = lab.bite();
    assert_eq!((bite.frames, bite.arrived, bite.lost), (2, 2, 0));
    assert_eq!([answered(&mut client), answered(&mut client)], [Some(2), Some(3)]);

    lab.hurt(Deed::Hold, Side::Response, 1, None);
    (4..=8).for_each(|id| client.write_all(&request(id)).unwrap());
    lab.until_struck(5);
    lab.end.send(()).unwrap();
    assert_eq!(answered(&mut client), None, "the connection is gone");
    let bite = lab.bite();
    assert_eq!((bite.frames, bite.arrived, bite.lost), (5, 0, 5));
}

#[test]
fn what_a_dead_client_sent_still_arrives() {
    let lab = lab();
    let mut client = lab.client();
    lab.hurt(Deed::Hold, Side::Request, 1, None);
    (1..=3).for_each(|id| client.write_all(&request(id)).unwrap());
    lab.until_struck(3);
    drop(client);
    sleep(MOMENT);
    assert!(lab.arrived.try_recv().is_err(), "held");
    let bite = lab.bite();
    assert_eq!((bite.frames, bite.arrived, bite.after_client), (3, 3, 3));
    let ids: Vec<i32> = (0..3).map(|_| lab.arrived.recv_timeout(SOON).unwrap()).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn a_dropped_request_never_arrives_and_the_next_one_does() {
    let lab = lab();
    let mut client = lab.client();
    lab.hurt(Deed::Drop, Side::Request, 2, Some(1));
    (1..=3).for_each(|id| client.write_all(&request(id)).unwrap());
    assert_eq!([answered(&mut client), answered(&mut client)], [Some(1), Some(3)]);
    assert_eq!(lab.arrived.try_iter().collect::<Vec<_>>(), [1, 3]);
    assert_eq!(lab.bite().frames, 1);
}

#[test]
fn an_answer_in_the_brokers_place_comes_in_its_turn_before_or_after_the_effect() {
    for side in [Side::Request, Side::Response] {
        let lab = lab();
        let mut client = lab.client();
        lab.hurt(Deed::Answer(15), side, 2, Some(1));
        (1..=3).for_each(|id| client.write_all(&request(id)).unwrap());
        assert_eq!(answered(&mut client), Some(1));
        let made = read_frame(&mut client).unwrap();
        // Correlation id, tagged fields of the header, throttle time, error code.
        assert_eq!(made[..4], 2_i32.to_be_bytes());
        assert_eq!(made[9..11], 15_i16.to_be_bytes(), "{side:?}");
        assert_eq!(answered(&mut client), Some(3));
        let expected: &[i32] = if side == Side::Request {
            &[1, 3]
        } else {
            &[1, 2, 3]
        };
        assert_eq!(lab.arrived.try_iter().collect::<Vec<_>>(), expected, "{side:?}");
    }
}

#[test]
fn a_cut_passes_so_many_bytes_and_ends_the_connection() {
    let lab = lab();
    let mut client = lab.client();
    lab.hurt(Deed::Cut(5), Side::Response, 1, None);
    client.write_all(&request(7)).unwrap();
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, [0, 0, 0, 4, 0]);
    assert_eq!(
        lab.arrived.recv_timeout(SOON),
        Ok(7),
        "the broker did what was asked"
    );
}

#[test]
fn a_late_frame_is_late_by_that_much() {
    let lab = lab();
    let mut client = lab.client();
    let delay = Duration::from_millis(80);
    lab.hurt(Deed::Delay(delay), Side::Response, 1, None);
    let begun = crate::clock::now_ns();
    (1..=3).for_each(|id| client.write_all(&request(id)).unwrap());
    (1..=3).for_each(|id| assert_eq!(answered(&mut client), Some(id)));
    let took = Duration::from_nanos(crate::clock::now_ns() - begun);
    assert!(took >= delay, "{took:?}");
    assert!(
        took < 2 * delay,
        "side by side, not one after the other: {took:?}"
    );
    assert_eq!(lab.bite().arrived, 3);
}

#[test]
fn a_second_fault_of_a_link_is_refused_and_so_is_a_broker_that_is_not_there() {
    let lab = lab();
    lab.hurt(Deed::Drop, Side::Request, 1, None);
    let fault = WireFault {
        deed: Deed::Hold,
        api: None,
        side: Side::Request,
        nth: 1,
        count: None,
    };
    assert!(lab.proxy.hurt(1, fault).is_err());
    assert!(lab.proxy.hurt(2, fault).is_err());
    lab.proxy.check().expect("it runs");
}
