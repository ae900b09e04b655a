//! Headers; bodies are the guard's business.

use super::*;

fn parse(bytes: &[u8]) -> Result<Header, BadFrame> {
    Header::parse(bytes)
}

#[test]
fn both_kinds_of_header() {
    let old = parse(&[0, 3, 0, 0, 0, 0, 0, 9, 0, 2, b'm', b'e', 1]).expect("version 1 of the header");
    assert_eq!(
        (old.api_key, old.version, old.correlation_id, old.body),
        (3, 0, 9, 12)
    );
    assert_eq!(old.client_id.as_deref(), Some("me"));
    let flexible = parse(&[0, 3, 0, 9, 0, 0, 0, 9, 0xff, 0xff, 1, 5, 2, b'x', b'y', 0]).expect("version 2");
    assert_eq!((flexible.client_id, flexible.body), (None, 15));
}

#[test]
fn nonsense_closes() {
    for bytes in [
        &[][..],
        &[0, 3, 0, 0, 0, 0, 0],
        &[0, 99, 0, 0, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 0, 0, 2, 0, 0, 0, 1, 0xff, 0xff],
        &[0, 3, 0, 0, 0, 0, 0, 1, 0, 9, b'm'],
        &[0, 3, 0, 0, 0, 0, 0, 1, 0, 1, 0xff],
        &[0, 3, 0, 9, 0, 0, 0, 1, 0xff, 0xff, 1, 5, 200],
    ] {
        assert_eq!(parse(bytes), Err(BadFrame::Nonsense), "{bytes:?}");
    }
    let unknown = parse(&[0, 18, 0, 9, 0, 0, 0, 7, 0xff, 0xff, 0]);
    assert_eq!(unknown, Err(BadFrame::ApiVersions { correlation_id: 7 }));
    // The header of an unknown version is read as the newest's, with tagged fields.
    let cut = parse(&[0, 18, 0, 9, 0, 0, 0, 7, 0xff, 0xff]);
    assert_eq!(cut, Err(BadFrame::Nonsense));
}

#[test]
fn a_count_that_lies_is_refused_before_it_is_decoded() {
    let frame = Bytes::from_static(&[0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let header = parse(&frame).expect("a header");
    assert!(matches!(
        Request::decode(&header, &frame),
        Err(BadFrame::Nonsense)
    ));
}
