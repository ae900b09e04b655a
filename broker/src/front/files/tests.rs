//! Files written, cut, damaged and opened again.

use super::*;

const LOG: LogId = LogId(3);

fn open(home: &Path) -> Files {
    Files::open(home).expect("opens")
}

fn read(files: &mut Files, position: u64, length: usize) -> Result<Vec<u8>, StoreError> {
    let mut into = BytesMut::new();
    files
        .read(LOG, position, length, &mut into)
        .map(|()| into.to_vec())
}

#[test]
fn what_is_appended_is_there_after_a_restart() {
    let home = tempfile::tempdir().expect("a folder");
    let mut files = open(home.path());
    assert_eq!(files.append(LOG, b"ab", b"cd"), Ok(0));
    assert_eq!(files.append(LOG, b"e", b""), Ok(4));
    drop(files);
    let mut files = open(home.path());
    assert_eq!(files.end(LOG), 5);
    assert_eq!(read(&mut files, 1, 4).expect("there"), b"bcde");
    assert!(read(&mut files, 1, 5).is_err(), "past the end");
    files.truncate(LOG, 3).expect("cut");
    assert_eq!(files.append(LOG, b"x", b"y"), Ok(3));
    assert_eq!(read(&mut open(home.path()), 0, 5).expect("there"), b"abcxy");
}

#[test]
fn segments_are_one_log_and_deleted_only_when_the_facts_are_written() {
    let home = tempfile::tempdir().expect("a folder");
    let mut files = open(home.path());
    let batch = vec![7; SEGMENT_BYTES as usize / 2 + 1];
    for at in 0..3 {
        assert_eq!(files.append(LOG, &[], &batch), Ok(at * batch.len() as u64));
    }
    let segments = || {
        std::fs::read_dir(home.path().join("logs/3"))
            .expect("a folder")
            .count()
    };
    assert_eq!(segments(), 3);
    let across = read(&mut files, batch.len() as u64 - 2, 4).expect("over the border");
    assert_eq!(across, [7; 4]);
    files.trim(LOG, batch.len() as u64);
    assert_eq!(segments(), 3, "not yet");
    files.delete_later();
    assert_eq!(segments(), 2);
    assert!(read(&mut files, 0, 1).is_err());
    assert_eq!(open(home.path()).end(LOG), 3 * batch.len() as u64);
    files.truncate(LOG, batch.len() as u64 + 1).expect("cut");
    assert_eq!(segments(), 1);
    files.remove(LOG);
    files.delete_later();
    assert!(!home.path().join("logs/3").exists());
}

#[test]
fn strangers_are_refused_and_strays_go() {
    let home = tempfile::tempdir().expect("a folder");
    let mut files = open(home.path());
    files.append(LOG, b"a", b"").expect("written");
    files.append(LogId(4), b"a", b"").expect("written");
    files.keep_only(&[LOG]);
    assert!(home.path().join("logs/3").exists() && !home.path().join("logs/4").exists());
    std::fs::write(home.path().join("logs/3/diary"), "x").expect("a file");
    let why = Files::open(home.path()).expect_err("refused").to_string();
    assert!(why.contains("diary"), "{why}");
}
