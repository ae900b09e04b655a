//! Against the real server, where this machine has one; a machine without it says so. `STEADFAST_REQUIRE` (a list) with
//! `toxiproxy` has it built, and no server is a failure then.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::*;
use crate::process::tests::test_spawner;

const SHORT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(5);

/// The server under test, or none with a word of why.
fn server(spawner: &Spawner) -> Option<Binary> {
    let required = std::env::var("STEADFAST_REQUIRE").unwrap_or_default();
    if required.split(',').any(|name| name.trim() == "toxiproxy") {
        return Some(find_or_build(spawner, &mut |line| eprintln!("{line}")).unwrap());
    }
    let found = available();
    if found.is_none() {
        eprintln!("not run: {PROGRAM} is neither on PATH nor in the cache");
    }
    found
}

/// Echoes whatever comes, for as long as the test lives.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut bytes = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    if stream.write_all(&bytes[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    port
}

fn client(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

struct Lab {
    toxiproxy: Toxiproxy,
    listen: u16,
    upstream: u16,
    binary: Binary,
    spawner: Spawner,
    home: tempfile::TempDir,
}

fn lab() -> Option<Lab> {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let binary = server(&spawner)?;
    let (listen, upstream) = (free_ports(1, now_ns()).unwrap()[0], echo());
    let spec = ProxySpec {
        broker: 1,
        listen: format!("127.0.0.1:{listen}"),
        upstream: format!("127.0.0.1:{upstream}"),
    };
    let toxiproxy = Toxiproxy::start(&binary, &[spec], home.path(), &spawner).unwrap();
    Some(Lab {
        toxiproxy,
        binary,
        listen,
        upstream,
        spawner,
        home,
    })
}

#[test]
fn a_partition_is_silence_both_ways_and_its_bite_is_counted() {
    let Some(lab) = lab() else { return };
    let mut stream = client(lab.listen);
    assert_eq!(says(&mut stream, b"before").unwrap(), b"before");
    assert_eq!(lab.toxiproxy.mend(1).unwrap(), None, "nothing to mend");

    lab.toxiproxy.partition(1).unwrap();
    assert!(lab.toxiproxy.is_partitioned(1));
    assert!(
        lab.toxiproxy.partition(1).is_err(),
        "one silence of a link at a time"
    );
    stream.set_read_timeout(Some(SHORT)).unwrap();
    assert!(says(&mut stream, b"swallowed").is_err());
    // New connections open and stay unanswered.
    let mut late = client(lab.listen);
    late.set_read_timeout(Some(SHORT)).unwrap();
    assert!(says(&mut late, b"too").is_err());

    let bite = lab.toxiproxy.mend(1).unwrap().unwrap();
    let expected = Bite {
        connections_before: 1,
        connections_cut: 2,
        swallowed_to_broker: 12,
        swallowed_to_client: 0,
    };
    assert_eq!(bite, expected);
    assert!(bite.bit());
    // The connections that were silent are cut, and nothing swallowed comes late.
    stream.set_read_timeout(Some(SOON)).unwrap();
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    assert_eq!(says(&mut client(lab.listen), b"after").unwrap(), b"after");
}

#[test]
fn a_partition_that_meets_nobody_has_no_bite() {
    let Some(lab) = lab() else { return };
    lab.toxiproxy.partition(1).unwrap();
    let bite = lab.toxiproxy.mend(1).unwrap().unwrap();
    assert!(!bite.bit(), "{bite}");
}

#[test]
fn down_is_refused_and_up_is_open_again() {
    let Some(lab) = lab() else { return };
    let mut stream = client(lab.listen);
    assert_eq!(says(&mut stream, b"x").unwrap(), b"x");
    lab.toxiproxy.down(1).unwrap();
    assert!(TcpStream::connect(("127.0.0.1", lab.listen)).is_err());
    assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0, "cut");
    lab.toxiproxy.up(1).unwrap();
    assert_eq!(says(&mut client(lab.listen), b"y").unwrap(), b"y");
}

#[test]
fn a_change_that_does_not_take_is_an_error() {
    let Some(lab) = lab() else { return };
    assert!(lab.toxiproxy.partition(7).is_err(), "no such broker");
    // Somebody deletes the proxy behind our back: toxiproxy_rust takes the 404 for success, the read-back does not.
    let server = lab.toxiproxy.control.ask("look", |talk| Ok(talk.server)).unwrap();
    assert_eq!(
        http::request(server, "DELETE", "/proxies/broker-1").unwrap().0,
        204
    );
    assert!(lab.toxiproxy.partition(1).is_err());
    assert!(!lab.toxiproxy.is_partitioned(1));
    assert!(lab.toxiproxy.down(1).is_err());
    // A listen port that is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let spec = ProxySpec {
        broker: 2,
        listen: taken.local_addr().unwrap().to_string(),
        upstream: "127.0.0.1:1".into(),
    };
    let refused = Toxiproxy::start(&lab.binary, &[spec], lab.home.path(), &lab.spawner).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains(&taken.local_addr().unwrap().port().to_string()),
        "{refused}"
    );
}

#[test]
fn who_goes_round_the_proxy_is_seen() {
    let Some(lab) = lab() else { return };
    let own = std::process::id();
    let through = client(lab.listen);
    assert!(lab.toxiproxy.bypasses(own).unwrap().is_empty());
    let round = client(lab.upstream);
    let found = lab.toxiproxy.bypasses(own).unwrap();
    let local = round.local_addr().unwrap().port();
    assert_eq!(found, [format!("{local} -> {}", lab.upstream)]);
    // Somebody else's connection is none of this process.
    assert!(
        lab.toxiproxy
            .bypasses(std::os::unix::process::parent_id())
            .unwrap()
            .is_empty()
    );
    drop(through);
}

#[test]
fn a_server_that_dies_is_told_and_a_panic_of_its_client_is_an_error() {
    let Some(lab) = lab() else { return };
    lab.toxiproxy.check().unwrap();
    locked(&lab.toxiproxy.process).kill().unwrap();
    assert!(lab.toxiproxy.check().is_err());
    assert!(lab.toxiproxy.partition(1).is_err());
    assert!(lab.toxiproxy.down(1).is_err());
}
