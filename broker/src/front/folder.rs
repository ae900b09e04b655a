//! The data folder: whose it is, in which format, and that nobody else has it open.
//!
//! ```text
//! DATA/format.json     {"format":"steadfast-broker","version":1,"nodes":3,"cluster_id":"..."}   locked while open
//! DATA/facts           see facts.rs
//! DATA/logs/N/P.log    log N from position P on, see files.rs
//! DATA/control.sock    orders, see control.rs
//! ```
//!
//! A folder that is not empty and has no `format.json` of this version is somebody else's: refused, and not touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::control::CONTROL_SOCKET;
use super::error::FrontError;

/// The only version there is so far.
const VERSION: u32 = 1;
const FORMAT: &str = "steadfast-broker";
const MARKER: &str = "format.json";
/// The marker before it has its name: a kill leaves it, and it says nothing.
const MARKER_NEW: &str = "format.json.new";
/// `format.json` is longer than this in no version.
const MARKER_MOST_BYTES: u64 = 64 * 1024;

/// An open data folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) path: PathBuf,
    pub(super) cluster_id: String,
    /// Holds the lock.
    _marker: File,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Marker {
    format: String,
    version: u32,
    #[serde(default)]
    nodes: i32,
    #[serde(default)]
    cluster_id: String,
}

impl Folder {
    /// Opens a folder of ours, or makes one. `salt` names a new cluster.
    pub(super) fn open(path: &Path, nodes: i32, salt: u64) -> Result<Folder, FrontError> {
        let io = |what: &str| FrontError::io::<io::Error>(format!("{what} {}", path.display()));
        let path = std::path::absolute(path).map_err(io("find"))?;
        let found = match fs::metadata(path.join(MARKER)) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(io("read")(error)),
        };
        if found.is_none() {
            make(&path, nodes, salt)?;
        } else if found.is_some_and(|found| found.len() > MARKER_MOST_BYTES) {
            return Err(not_ours(&path, "its format.json is too long"));
        }
        let file = File::open(path.join(MARKER)).map_err(io("open"))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mend = "stop the broker that uses it, or choose another --data";
            return Err(FrontError::folder(&path, "another process has it open", mend));
        }
        let text = io::read_to_string(&file).map_err(io("read"))?;
        let marker: Marker = serde_json::from_str(&text)
            .map_err(|error| not_ours(&path, &format!("its format.json cannot be read ({error})")))?;
        if marker.format != FORMAT {
            return Err(not_ours(&path, &format!("it holds {:?}", marker.format)));
        }
        if marker.version != VERSION {
            let why = format!(
                "it is of format version {}, and this steadfast knows {VERSION}",
                marker.version
            );
            return Err(not_ours(&path, &why));
        }
        if marker.nodes != nodes {
            let why = format!("it was made for --nodes {}, not {nodes}", marker.nodes);
            return Err(FrontError::folder(
                &path,
                why,
                "give the number of nodes it was made for",
            ));
        }
        Ok(Folder {
            path,
            cluster_id: marker.cluster_id,
            _marker: file,
        })
    }
}

fn not_ours(path: &Path, why: &str) -> FrontError {
    FrontError::folder(
        path,
        why,
        "choose another --data: an empty folder, or one that does not exist",
    )
}

fn make(path: &Path, nodes: i32, salt: u64) -> Result<(), FrontError> {
    let io = |what: &str| FrontError::io::<io::Error>(format!("{what} {}", path.display()));
    fs::create_dir_all(path).map_err(io("make"))?;
    for entry in fs::read_dir(path).map_err(io("read"))? {
        let name = entry.map_err(io("read"))?.file_name();
        if name != MARKER_NEW && name != CONTROL_SOCKET {
            let why = format!("it holds {name:?}, and no {MARKER} that would make it a broker's");
            return Err(not_ours(path, &why));
        }
    }
    let marker = Marker {
        format: FORMAT.to_owned(),
        version: VERSION,
        nodes,
        cluster_id: format!("simulated-{salt:016x}"),
    };
    let text = serde_json::to_string(&marker)
        .map_err(io::Error::from)
        .map_err(io("write"))?;
    let new = path.join(MARKER_NEW);
    fs::write(&new, format!("{text}\n")).map_err(io("write"))?;
    fs::rename(&new, path.join(MARKER)).map_err(io("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = fs::read_dir(path).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_folder_is_made_taken_up_and_locked() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("a/b");
        let folder = Folder::open(&path, 3, 7).expect("made");
        let why = Folder::open(&path, 3, 8).expect_err("locked").to_string();
        assert!(why.contains("another process"), "{why}");
        let id = folder.cluster_id.clone();
        drop(folder);
        let again = Folder::open(&path, 3, 8).expect("taken up");
        assert_eq!(again.cluster_id, id);
        drop(again);
        let why = Folder::open(&path, 1, 8).expect_err("another number").to_string();
        assert!(why.contains("--nodes 3"), "{why}");
    }

    #[test]
    fn what_is_not_ours_is_refused_and_not_touched() {
        let markers = [
            ("notes.txt", "hello", "notes.txt"),
            (MARKER, "not json", "cannot be read"),
            (MARKER, r#"{"format":"other","version":1}"#, "other"),
            (
                MARKER,
                r#"{"format":"steadfast-broker","version":2,"nodes":1,"more":[]}"#,
                "version 2",
            ),
        ];
        for (name, text, word) in markers {
            let home = tempfile::tempdir().expect("a folder");
            fs::write(home.path().join(name), text).expect("a file");
            let why = Folder::open(home.path(), 1, 0).expect_err("refused").to_string();
            assert!(
                why.contains(word) && why.contains("nothing in it was changed"),
                "{why}"
            );
            assert_eq!(names(home.path()), [name]);
            assert_eq!(fs::read_to_string(home.path().join(name)).expect("a file"), text);
        }
    }
}
