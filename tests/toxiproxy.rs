//! Toxiproxy, the real server: a change of ours is what happens on the wire, and what happens there is seen.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use steadfast_chaos::journal::Journal;
use steadfast_chaos::process::Spawner;
use steadfast_chaos::toxic::{Stream, Toxic, ToxicKind};
use steadfast_chaos::toxiproxy::{Binary, Bite, Link, LinkFault, ProxySpec, Toxiproxy, find_or_build};

use crate::node::free_port;
use crate::support::{Need, expect, temporary, trial};

const LINK: Link = Link::OfClients { to: 1 };
const SILENCE: LinkFault = LinkFault::Toxic(Toxic::SILENCE);
const SHORT: Duration = Duration::from_millis(300);
const SOON: Duration = Duration::from_secs(5);

pub(crate) fn trials() -> Vec<Trial> {
    let trial = |name, test| trial(name, &[Need::Toxiproxy], test);
    vec![
        trial(
            "toxiproxy::a_partition_is_silence_both_ways_and_its_bite_is_counted",
            partition,
        ),
        trial("toxiproxy::a_partition_that_meets_nobody_has_no_bite", no_bite),
        trial("toxiproxy::down_is_refused_and_up_is_open_again", down_and_up),
        trial(
            "toxiproxy::each_toxic_does_what_it_says_and_no_longer_when_mended",
            each_toxic,
        ),
        trial("toxiproxy::a_change_that_does_not_take_is_an_error", not_taken),
        trial("toxiproxy::who_goes_round_the_proxy_is_seen", bypass),
        trial("toxiproxy::a_server_that_dies_is_told", dies),
    ]
}

struct Lab {
    toxiproxy: Toxiproxy,
    listen: u16,
    upstream: u16,
    binary: Binary,
    spawner: Spawner,
    home: tempfile::TempDir,
}

/// One proxy in front of an echo.
fn lab() -> Result<Lab, Failed> {
    let home = temporary();
    let spawner = Spawner::start(Journal::open_in(&home.path().join("journals"))?)?;
    let binary = find_or_build(&spawner, &mut |_progress| ())?;
    let (listen, upstream) = (free_port()?, echo()?);
    let spec = ProxySpec::of_clients(1, format!("127.0.0.1:{listen}"), format!("127.0.0.1:{upstream}"));
    let toxiproxy = Toxiproxy::start(&binary, &[spec], home.path(), &spawner)?;
    Ok(Lab {
        toxiproxy,
        listen,
        upstream,
        binary,
        spawner,
        home,
    })
}

fn partition() -> Result<(), Failed> {
    let lab = lab()?;
    let mut stream = client(lab.listen)?;
    echoes(&mut stream)?;
    expect(lab.toxiproxy.mend(LINK)?.is_none(), || "nothing to mend".into())?;

    lab.toxiproxy.hurt(LINK, SILENCE)?;
    expect(lab.toxiproxy.is_hurt(LINK), || "not silent".into())?;
    expect_err(lab.toxiproxy.hurt(LINK, SILENCE), "a second silence of a link")?;
    stream.set_read_timeout(Some(SHORT))?;
    expect(says(&mut stream, b"swallowed").is_err(), || "answered".into())?;
    // New connections open and stay unanswered.
    let mut late = client(lab.listen)?;
    late.set_read_timeout(Some(SHORT))?;
    expect(says(&mut late, b"too").is_err(), || "answered".into())?;

    let bite = lab.toxiproxy.mend(LINK)?;
    let expected = Bite {
        connections_before: 1,
        connections_ended: 0,
        connections_cut: 2,
        swallowed_to_broker: 12,
        swallowed_to_client: 0,
    };
    expect(bite == Some(expected) && expected.bit(), || format!("{bite:?}"))?;
    // The connections that were silent are cut, and nothing swallowed comes late.
    stream.set_read_timeout(Some(SOON))?;
    let late = stream.read(&mut [0; 16]).unwrap_or(0);
    expect(late == 0, || format!("{late} bytes came late"))?;
    echoes(&mut client(lab.listen)?)
}

fn no_bite() -> Result<(), Failed> {
    let lab = lab()?;
    lab.toxiproxy.hurt(LINK, SILENCE)?;
    let bite = lab.toxiproxy.mend(LINK)?;
    expect(bite.is_some_and(|bite| !bite.bit()), || format!("{bite:?}"))
}

fn down_and_up() -> Result<(), Failed> {
    let lab = lab()?;
    let mut stream = client(lab.listen)?;
    echoes(&mut stream)?;
    lab.toxiproxy.hurt(LINK, LinkFault::Down)?;
    let refused = TcpStream::connect(("127.0.0.1", lab.listen)).is_err();
    expect(refused, || "a connection was taken".into())?;
    let cut = stream.read(&mut [0; 16]).unwrap_or(0) == 0;
    expect(cut, || "the connection was not cut".into())?;
    let bite = lab.toxiproxy.mend(LINK)?;
    let ended = bite.map(|bite| bite.connections_ended);
    expect(ended == Some(1), || format!("{bite:?}"))?;
    echoes(&mut client(lab.listen)?)
}

/// Each on a connection that was open before it, both ways, and gone when it is mended.
fn each_toxic() -> Result<(), Failed> {
    let lab = lab()?;
    let took = |kind, stream, bytes: usize| -> Result<(std::io::Result<Duration>, Bite), Failed> {
        let mut open = client(lab.listen)?;
        echoes(&mut open)?;
        lab.toxiproxy
            .hurt(LINK, LinkFault::Toxic(Toxic { kind, stream }))?;
        let begin = Instant::now();
        let said = says(&mut open, &vec![b'x'; bytes]).map(|_| begin.elapsed());
        let bite = lab.toxiproxy.mend(LINK)?.ok_or("nothing was mended")?;
        let mut after = client(lab.listen)?;
        let begin = Instant::now();
        says(&mut after, &vec![b'x'; bytes])?;
        expect(begin.elapsed() < SHORT, || format!("{kind:?} is still there"))?;
        Ok((said, bite))
    };
    let latency = ToxicKind::Latency {
        latency: 200,
        jitter: 0,
    };
    let slicer = ToxicKind::Slicer {
        average_size: 10,
        size_variation: 5,
        delay: 5_000,
    };
    for (kind, stream, bytes, least_ms) in [
        (latency, Stream::Upstream, 10, 200),
        (latency, Stream::Both, 10, 400),
        (ToxicKind::Bandwidth { rate: 10 }, Stream::Downstream, 4_000, 300),
        (slicer, Stream::Upstream, 1_000, 300),
    ] {
        let (took, bite) = took(kind, stream, bytes)?;
        let took = took?;
        expect(took >= Duration::from_millis(least_ms) && took < SOON, || {
            format!("{kind:?} {stream:?}: {took:?}")
        })?;
        expect(
            bite.connections_before == 1 && bite.connections_ended == 0,
            || format!("{kind:?}: {bite:?}"),
        )?;
    }
    for kind in [
        ToxicKind::ResetPeer { timeout: 0 },
        ToxicKind::Timeout { timeout: 100 },
        ToxicKind::LimitData { bytes: 100 },
    ] {
        let (said, bite) = took(kind, Stream::Upstream, 1_000)?;
        expect(said.is_err(), || format!("{kind:?} let it through"))?;
        expect(bite.connections_ended == 1, || format!("{kind:?}: {bite:?}"))?;
    }
    slow_close(&lab)
}

fn slow_close(lab: &Lab) -> Result<(), Failed> {
    let kind = ToxicKind::SlowClose { delay: 300 };
    let stream = Stream::Both;
    lab.toxiproxy
        .hurt(LINK, LinkFault::Toxic(Toxic { kind, stream }))?;
    let mut closing = client(lab.listen)?;
    echoes(&mut closing)?;
    let begin = Instant::now();
    closing.shutdown(Shutdown::Write)?;
    let end = closing.read(&mut [0; 16])?;
    expect(end == 0 && begin.elapsed() >= SHORT, || {
        format!("closed after {:?}", begin.elapsed())
    })
}

fn not_taken() -> Result<(), Failed> {
    let lab = lab()?;
    expect_err(
        lab.toxiproxy.hurt(Link::OfClients { to: 7 }, SILENCE),
        "a broker that is not there",
    )?;
    // Somebody deletes the proxy behind our back: toxiproxy_rust takes the 404 for success, the read-back does not.
    let (_, _, pid) = lab.toxiproxy.process();
    let mut orders = client(orders(pid)?)?;
    orders.write_all(b"DELETE /proxies/broker-1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    orders.read_to_string(&mut answer)?;
    expect(answer.starts_with("HTTP/1.1 204"), || answer)?;
    expect_err(lab.toxiproxy.hurt(LINK, SILENCE), "a silence of no proxy")?;
    expect(!lab.toxiproxy.is_hurt(LINK), || "it counts as silent".into())?;
    expect_err(lab.toxiproxy.hurt(LINK, LinkFault::Down), "closing no proxy")?;
    // A listen port that is taken.
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let at = taken.local_addr()?;
    let spec = ProxySpec::of_clients(2, at.to_string(), "127.0.0.1:1".into());
    let second = Toxiproxy::start(&lab.binary, &[spec], lab.home.path(), &lab.spawner);
    let refused = expect_err(second, "a port that is taken")?;
    expect(refused.contains(&at.port().to_string()), || refused)
}

fn bypass() -> Result<(), Failed> {
    let lab = lab()?;
    let own = std::process::id();
    let _through = client(lab.listen)?;
    let found = lab.toxiproxy.bypasses(own)?;
    expect(found.is_empty(), || format!("{found:?}"))?;
    let round = client(lab.upstream)?;
    let found = lab.toxiproxy.bypasses(own)?;
    let expected = format!("{} -> {}", round.local_addr()?.port(), lab.upstream);
    expect(found == [expected], || format!("{found:?}"))?;
    // Somebody else's connection is none of this process.
    let found = lab.toxiproxy.bypasses(std::os::unix::process::parent_id())?;
    expect(found.is_empty(), || format!("{found:?}"))
}

fn dies() -> Result<(), Failed> {
    let lab = lab()?;
    lab.toxiproxy.check()?;
    let (_, _, pid) = lab.toxiproxy.process();
    Command::new("kill").args(["-KILL", &pid.to_string()]).status()?;
    for _ in 0..100 {
        if lab.toxiproxy.check().is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    expect_err(lab.toxiproxy.check(), "the death")?;
    expect_err(lab.toxiproxy.hurt(LINK, SILENCE), "a silence of a dead server")?;
    expect_err(
        lab.toxiproxy.hurt(LINK, LinkFault::Down),
        "closing a link of a dead server",
    )
    .map(drop)
}

/// Echoes whatever comes, for as long as the test's process lives.
fn echo() -> Result<u16, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
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
    Ok(port)
}

fn client(port: u16) -> Result<TcpStream, Failed> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

fn says(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text)?;
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn echoes(stream: &mut TcpStream) -> Result<(), Failed> {
    expect(says(stream, b"hello")? == b"hello", || "no echo".into())
}

fn expect_err<T>(result: Result<T, steadfast_chaos::ChaosError>, what: &str) -> Result<String, Failed> {
    match result {
        Err(error) => Ok(error.to_string()),
        Ok(_) => Err(format!("{what} was taken").into()),
    }
}

/// Where the server takes its orders: the port of its command line.
fn orders(pid: u32) -> Result<u16, Failed> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    let line = String::from_utf8_lossy(&line).into_owned();
    let mut words = line.split('\0').skip_while(|word| *word != "-port");
    let port = words.nth(1).and_then(|port| port.parse().ok());
    port.ok_or_else(|| format!("no port in {line:?}").into())
}
