//! Bytes that are no request. Whatever comes back, the next connection must be served as if nothing had been.

use crate::conformance::batch::Batch;
use crate::conformance::player::{Case, Player};
use crate::conformance::requests;
use crate::conformance::socket::{ANSWER_BOUND, SILENCE};
use steadfast_wire::kafka_protocol::messages::{ApiKey, ApiVersionsRequest};

pub(super) const CASES: &[Case] = &[
    case("malformed-frames", frames),
    case("malformed-headers", headers),
    case("malformed-bodies", bodies),
];

const fn case(name: &'static str, play: fn(&mut Player<'_, '_>) -> Result<(), String>) -> Case {
    Case {
        name,
        needs: None,
        play,
    }
}

/// Any API would do: no answer to these can be read.
const ANY: (ApiKey, i16) = (ApiKey::Metadata, 9);

fn frames(player: &mut Player<'_, '_>) -> Result<(), String> {
    let frame = player.frame(9, &requests::metadata(&[]))?;
    for (what, bytes) in [
        ("a length of 0", vec![0; 4]),
        ("a length of -1", vec![0xff; 4]),
        ("a length of 2^31-1", vec![0x7f, 0xff, 0xff, 0xff]),
        (
            "a length beyond socket.request.max.bytes",
            104_857_601_u32.to_be_bytes().to_vec(),
        ),
        ("a length of 1", vec![0, 0, 0, 1, 0]),
        (
            "GET / HTTP/1.1",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        ),
        ("zeroes", [&[0, 0, 0, 32][..], &[0; 32]].concat()),
        ("0xff all over", [&[0, 0, 0, 32][..], &[0xff; 32]].concat()),
    ] {
        player.raw(what, &bytes, ANY, ANSWER_BOUND)?;
    }
    let half = &frame[..frame.len() - 1];
    player.raw("a frame without its last byte", half, ANY, SILENCE)?;
    player.raw("half a length", &frame[..2], ANY, SILENCE)?;
    player.ask("served as before", 9, &requests::metadata(&[]))?;
    Ok(())
}

/// A frame with another key and version in its header.
fn headers(player: &mut Player<'_, '_>) -> Result<(), String> {
    let frame = player.frame(9, &requests::metadata(&[]))?;
    let with = |key: i16, version: i16| {
        let mut frame = frame.clone();
        frame[4..6].copy_from_slice(&key.to_be_bytes());
        frame[6..8].copy_from_slice(&version.to_be_bytes());
        frame
    };
    for (what, key, version) in [
        ("API 999", 999, 0),
        ("API -1", -1, 0),
        ("Metadata v99", 3, 99),
        ("Metadata v-1", 3, -1),
        ("Produce v2, which Kafka 4 no longer speaks", 0, 2),
        ("LeaderAndIsr, which clients may not send", 4, 0),
        ("Vote, which goes to controllers", 52, 0),
    ] {
        player.raw(what, &with(key, version), ANY, ANSWER_BOUND)?;
    }
    let api = (ApiKey::ApiVersions, 0);
    // The header of an unknown version is read as that of the newest: with tagged fields.
    for (what, form, version) in [
        ("ApiVersions v99", 3, 99_i16),
        ("ApiVersions v99 with an old header", 0, 99),
        ("ApiVersions v-1", 0, -1),
    ] {
        let mut frame = player.frame(form, &ApiVersionsRequest::default())?;
        frame[6..8].copy_from_slice(&version.to_be_bytes());
        player.raw(what, &frame, api, ANSWER_BOUND)?;
    }
    player.ask("served as before", 9, &requests::metadata(&[]))?;
    Ok(())
}

fn bodies(player: &mut Player<'_, '_>) -> Result<(), String> {
    let topic = player.topic("bodies", 1, &[])?;
    let request = requests::produce(&topic, 0, Batch::plain(&["a"]).bytes());
    let api = (ApiKey::Produce, 9);
    let frame = player.frame(9, &request)?;
    let sized = |mut frame: Vec<u8>| {
        let length = (frame.len() - 4) as u32;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame
    };
    let cut = |count: usize| sized(frame[..frame.len() - count].to_vec());
    for (what, bytes) in [
        ("Produce v9: a body without its last byte", cut(1)),
        ("Produce v9: half a body", cut(frame.len() / 2)),
        ("Produce v9: no body", sized(frame[..22].to_vec())),
        (
            "Produce v9: two bytes more",
            sized([&frame[..], &[0, 0]].concat()),
        ),
    ] {
        player.raw(what, &bytes, api, ANSWER_BOUND)?;
    }
    let frame = player.frame(3, &request)?;
    // Behind header (8 + correlation id 4 + client id 2 + 11): transactional id 2, acks 2, time-out 4, then the count.
    let count_at = 4 + 8 + 2 + 11 + 2 + 2 + 4;
    for (what, count) in [
        ("Produce v3: 2^31-1 topics", i32::MAX),
        ("Produce v3: -5 topics", -5),
        ("Produce v3: null topics", -1),
    ] {
        let mut frame = frame.clone();
        frame[count_at..count_at + 4].copy_from_slice(&count.to_be_bytes());
        player.raw(what, &frame, (ApiKey::Produce, 3), ANSWER_BOUND)?;
    }
    player.ends("nothing", &topic, 0)
}
