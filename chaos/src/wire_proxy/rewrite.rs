//! Pure: answers that tell clients where brokers are, with the proxies in their place. Only for clusters of somebody else,
//! whose brokers advertise themselves; ours advertise their proxies.
//!
//! Metadata, FindCoordinator and DescribeCluster name brokers, and since KIP-951 so do Produce (version 10) and Fetch
//! (version 16) when a leader has moved.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    DescribeClusterResponse, FetchResponse, FindCoordinatorResponse, MetadataResponse, ProduceResponse,
    ResponseHeader,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};

/// The port on 127.0.0.1 of the proxy in front of each node.
pub(super) type Doors = BTreeMap<i32, u16>;

const HOST: &str = "127.0.0.1";
const PRODUCE: i16 = 0;
const FETCH: i16 = 1;
const METADATA: i16 = 3;
const FIND_COORDINATOR: i16 = 10;
const DESCRIBE_CLUSTER: i16 = 60;

/// An answer whose brokers cannot be exchanged: it would lead a client round the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

/// The answer (size field and all) to a request of this API and version, as it may be passed on.
pub(super) fn through(doors: &Doors, api: i16, version: i16, frame: &Bytes) -> Result<Bytes, Unreadable> {
    if doors.is_empty() {
        return Ok(frame.clone());
    }
    let port_of = |node: i32| doors.get(&node).map(|port| i32::from(*port)).ok_or(Unreadable);
    let host = || StrBytes::from_static_str(HOST);
    match api {
        METADATA => changed::<MetadataResponse>(frame, version, |answer| {
            for broker in &mut answer.brokers {
                (broker.host, broker.port) = (host(), port_of(broker.node_id.0)?);
            }
            Ok(())
        }),
        FIND_COORDINATOR => changed::<FindCoordinatorResponse>(frame, version, |answer| {
            // -1: there is none, and the error says so.
            if answer.node_id.0 >= 0 && !answer.host.is_empty() {
                (answer.host, answer.port) = (host(), port_of(answer.node_id.0)?);
            }
            for found in answer
                .coordinators
                .iter_mut()
                .filter(|found| found.node_id.0 >= 0)
            {
                (found.host, found.port) = (host(), port_of(found.node_id.0)?);
            }
            Ok(())
        }),
        DESCRIBE_CLUSTER => changed::<DescribeClusterResponse>(frame, version, |answer| {
            for broker in &mut answer.brokers {
                (broker.host, broker.port) = (host(), port_of(broker.broker_id.0)?);
            }
            Ok(())
        }),
        PRODUCE if version >= 10 => changed::<ProduceResponse>(frame, version, |answer| {
            for node in &mut answer.node_endpoints {
                (node.host, node.port) = (host(), port_of(node.node_id.0)?);
            }
            Ok(())
        }),
        FETCH if version >= 16 => changed::<FetchResponse>(frame, version, |answer| {
            for node in &mut answer.node_endpoints {
                (node.host, node.port) = (host(), port_of(node.node_id.0)?);
            }
            Ok(())
        }),
        _ => Ok(frame.clone()),
    }
}

fn changed<R: Decodable + Encodable + HeaderVersion>(
    frame: &Bytes,
    version: i16,
    change: impl FnOnce(&mut R) -> Result<(), Unreadable>,
) -> Result<Bytes, Unreadable> {
    let mut body = frame.slice(4..);
    let header_version = R::header_version(version);
    let header = ResponseHeader::decode(&mut body, header_version).map_err(|_| Unreadable)?;
    let mut answer = R::decode(&mut body, version).map_err(|_| Unreadable)?;
    change(&mut answer)?;
    let mut out = BytesMut::from(&[0; 4][..]);
    header.encode(&mut out, header_version).map_err(|_| Unreadable)?;
    answer.encode(&mut out, version).map_err(|_| Unreadable)?;
    let size = i32::try_from(out.len() - 4).map_err(|_| Unreadable)?;
    out[..4].copy_from_slice(&size.to_be_bytes());
    Ok(out.freeze())
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::produce_response::NodeEndpoint;

    use super::*;

    fn frame<R: Encodable + HeaderVersion>(answer: &R, version: i16) -> Bytes {
        let mut out = BytesMut::from(&[0; 4][..]);
        let header = ResponseHeader::default().with_correlation_id(7);
        header.encode(&mut out, R::header_version(version)).expect("fits");
        answer.encode(&mut out, version).expect("fits");
        let size = (out.len() - 4) as i32;
        out[..4].copy_from_slice(&size.to_be_bytes());
        out.freeze()
    }

    fn doors() -> Doors {
        [(1, 4001), (2, 4002)].into()
    }

    #[test]
    fn brokers_are_told_behind_their_proxies_in_every_version() {
        let broker = |id: i32| {
            MetadataResponseBroker::default()
                .with_node_id(id.into())
                .with_host(StrBytes::from_static_str("far.example"))
                .with_port(9092)
        };
        let answer = MetadataResponse::default().with_brokers(vec![broker(2), broker(1)]);
        for version in 0..=13 {
            let passed = through(&doors(), METADATA, version, &frame(&answer, version)).expect("known");
            let expected: Vec<_> = [(2, 4002), (1, 4001)]
                .map(|(id, port)| {
                    broker(id)
                        .with_host(StrBytes::from_static_str(HOST))
                        .with_port(port)
                })
                .into();
            let expected = MetadataResponse::default().with_brokers(expected);
            assert_eq!(passed, frame(&expected, version), "version {version}");
        }
        let stranger = MetadataResponse::default().with_brokers(vec![broker(3)]);
        assert_eq!(
            through(&doors(), METADATA, 9, &frame(&stranger, 9)),
            Err(Unreadable)
        );
    }

    #[test]
    fn a_leader_that_moved_is_told_behind_its_proxy_and_other_answers_are_left_alone() {
        let moved = |port: i32, host: &'static str| {
            let node = NodeEndpoint::default().with_node_id(2.into()).with_port(port);
            ProduceResponse::default()
                .with_node_endpoints(vec![node.with_host(StrBytes::from_static_str(host))])
        };
        let passed = through(&doors(), PRODUCE, 12, &frame(&moved(9092, "far.example"), 12)).expect("known");
        assert_eq!(passed, frame(&moved(4002, HOST), 12));
        let junk = Bytes::from_static(b"\0\0\0\x04abcd");
        assert_eq!(through(&doors(), 22, 4, &junk), Ok(junk.clone()));
        assert_eq!(through(&doors(), METADATA, 9, &junk), Err(Unreadable));
        assert_eq!(
            through(&Doors::new(), METADATA, 9, &junk),
            Ok(junk.clone()),
            "ours"
        );
    }
}
