//! The file of facts: what must be remembered beside the logs, in order.
//!
//! ```text
//! magic 8 · (length 4 · crc32c 4 · fact as JSON)*        little-endian
//! ```
//!
//! Appended before any answer that counts on it. At each start, and when it has grown by much, it is written anew with all
//! that is true then, synced and renamed over the old one. A kill leaves at most a last entry that is shorter than it
//! says: that is cut off. Anything else that does not hold together is damage, and refused.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::FrontError;
use crate::fact::Fact;

const NAME: &str = "facts";
const NAME_NEW: &str = "facts.new";
const MAGIC: &[u8; 8] = b"SFFACTS\x01";
const HEAD_BYTES: usize = 8;
/// No fact is longer: a topic of 20,000 partitions with nine replicas each stays below.
const FACT_MOST_BYTES: usize = 4 << 20;
/// It is not written anew before it has this many bytes,
const REWRITE_FROM_BYTES: u64 = 8 << 20;
/// nor before it is this many times what it was when it was written last.
const REWRITE_AT_TIMES: u64 = 4;

/// The file, open for more.
#[derive(Debug)]
pub(super) struct Facts {
    folder: PathBuf,
    file: File,
    bytes: u64,
    /// Bytes when it was written last.
    fresh_bytes: u64,
    /// Facts not handed to the kernel yet.
    buffer: Vec<u8>,
}

/// The facts of a folder; none when it has none yet.
pub(super) fn read(folder: &Path) -> Result<Vec<Fact>, FrontError> {
    let path = folder.join(NAME);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(FrontError::io(format!("read {}", path.display()))(error)),
    };
    parse(&bytes).map_err(|why| {
        FrontError::folder(
            folder,
            format!("its facts are damaged: {why}"),
            "start with another --data",
        )
    })
}

fn parse(bytes: &[u8]) -> Result<Vec<Fact>, String> {
    let mut rest = bytes.strip_prefix(MAGIC).ok_or("they do not begin as facts do")?;
    let mut facts = Vec::new();
    while let Some(head) = rest.first_chunk::<HEAD_BYTES>() {
        let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let crc = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let at = bytes.len() - rest.len();
        if length > FACT_MOST_BYTES {
            return Err(format!("an entry of {length} bytes at {at}"));
        }
        let Some(body) = rest.get(HEAD_BYTES..HEAD_BYTES + length) else {
            break;
        };
        if crc32c::crc32c(body) != crc {
            return Err(format!("a wrong checksum at {at}"));
        }
        facts.push(serde_json::from_slice(body).map_err(|error| format!("at {at}: {error}"))?);
        rest = &rest[HEAD_BYTES + length..];
    }
    Ok(facts)
}

impl Facts {
    /// A new file with all that is true now, in place of the old one.
    pub(super) fn write_anew(folder: &Path, facts: &[Fact]) -> Result<Facts, FrontError> {
        let path = folder.join(NAME_NEW);
        let io = || FrontError::io::<io::Error>(format!("write {}", path.display()));
        let mut bytes = MAGIC.to_vec();
        for fact in facts {
            frame(fact, &mut bytes).map_err(io())?;
        }
        let options = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .open(&path);
        let mut file = options.map_err(io())?;
        file.write_all(&bytes)
            .and_then(|()| file.sync_all())
            .map_err(io())?;
        fs::rename(&path, folder.join(NAME)).map_err(io())?;
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(io())?;
        let written = bytes.len() as u64;
        Ok(Facts {
            folder: folder.to_owned(),
            file,
            bytes: written,
            fresh_bytes: written,
            buffer: Vec::new(),
        })
    }

    /// One more fact; [`Facts::write`] hands it to the kernel.
    pub(super) fn push(&mut self, fact: &Fact) -> Result<(), FrontError> {
        frame(fact, &mut self.buffer).map_err(FrontError::io("write down a fact"))
    }

    /// Whether facts wait.
    pub(super) fn waits(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Hands all facts to the kernel: they survive SIGKILL from here on.
    pub(super) fn write(&mut self) -> Result<(), FrontError> {
        let what = "remember facts (a broker that cannot must not answer)";
        self.file.write_all(&self.buffer).map_err(FrontError::io(what))?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Whether most of it is old by now.
    pub(super) fn is_long(&self) -> bool {
        self.bytes > REWRITE_FROM_BYTES.max(self.fresh_bytes.saturating_mul(REWRITE_AT_TIMES))
    }

    /// [`Facts::write_anew`] in its own folder.
    pub(super) fn renew(&mut self, facts: &[Fact]) -> Result<(), FrontError> {
        *self = Facts::write_anew(&self.folder, facts)?;
        Ok(())
    }

    pub(super) fn sync(&self) -> Result<(), FrontError> {
        self.file.sync_all().map_err(FrontError::io("sync facts"))
    }
}

#[cfg(test)]
impl Facts {
    /// From now on the kernel takes nothing more.
    pub(super) fn break_off(&mut self) {
        self.file = File::open(self.folder.join(NAME)).expect("a file to read only");
    }
}

fn frame(fact: &Fact, bytes: &mut Vec<u8>) -> io::Result<()> {
    let begin = bytes.len();
    bytes.extend_from_slice(&[0; HEAD_BYTES]);
    serde_json::to_writer(&mut *bytes, fact)?;
    let body = &bytes[begin + HEAD_BYTES..];
    let (length, crc) = (body.len() as u32, crc32c::crc32c(body));
    bytes[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    bytes[begin + 4..begin + 8].copy_from_slice(&crc.to_le_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Vec<Fact> {
        (1..=20).map(|next| Fact::ProducerIds { next }).collect()
    }

    fn written() -> (tempfile::TempDir, Vec<u8>) {
        let home = tempfile::tempdir().expect("a folder");
        let facts = some();
        let mut file = Facts::write_anew(home.path(), &facts[..5]).expect("written");
        for fact in &facts[5..] {
            file.push(fact).expect("taken");
        }
        assert!(file.waits());
        assert_eq!(
            read(home.path()).expect("read"),
            facts[..5],
            "what waits is not there yet"
        );
        file.write().expect("written");
        let bytes = fs::read(home.path().join(NAME)).expect("a file");
        (home, bytes)
    }

    #[test]
    fn a_torn_end_is_cut_wherever_it_is() {
        let (home, bytes) = written();
        assert_eq!(read(home.path()).expect("read"), some());
        for length in MAGIC.len()..bytes.len() {
            let facts = parse(&bytes[..length]).expect("only torn");
            assert_eq!(facts, some()[..facts.len()]);
            assert!(facts.len() < some().len());
        }
    }

    #[test]
    fn a_changed_byte_is_damage_and_never_a_fact() {
        let (_home, bytes) = written();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            // A length that grew looks like a torn end: what stands before it is believed, and nothing else.
            match parse(&changed) {
                Err(_) => {}
                Ok(facts) => assert!(
                    facts.len() < some().len() && facts == some()[..facts.len()],
                    "byte {at}"
                ),
            }
        }
    }
}
