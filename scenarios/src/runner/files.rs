//! Small files of the run folder, and what a failure to write one means.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use super::RunError;

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<(), RunError> {
    fs::write(folder.join(name), text).map_err(|e| cannot_write(&folder.join(name), &e))
}

/// A full disk is the environment's fault, and the user can mend it.
pub(crate) fn cannot_write(path: &Path, error: &io::Error) -> RunError {
    failed(&format!("cannot write {}", path.display()), error)
}

/// As [`cannot_write`], for an error of any layer: the system's own reason stands somewhere below it.
pub(crate) fn failed(what: &str, error: &(dyn Error + 'static)) -> RunError {
    let what = format!("{what}: {error}");
    let mut layer = Some(error);
    while let Some(error) = layer {
        if error.downcast_ref().is_some_and(no_room) {
            return RunError::Environment(format!("{what}\n  mend: free some room, or choose another --out"));
        }
        layer = error.source();
    }
    RunError::Tool(what)
}

/// Nothing more can be written there, whoever tries.
pub(crate) fn no_room(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::ReadOnlyFilesystem
    )
}

pub(crate) fn write_json(folder: &Path, name: &str, value: &impl serde::Serialize) -> Result<(), RunError> {
    let text = serde_json::to_string_pretty(value).map_err(|e| RunError::Tool(format!("{name}: {e}")))?;
    write(folder, name, &text)
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T, RunError> {
    let path = folder.join(name);
    let bytes =
        fs::read(&path).map_err(|e| RunError::Tool(format!("cannot read {}: {e}", path.display())))?;
    serde_json::from_slice(&bytes).map_err(|e| RunError::Tool(format!("{} is damaged: {e}", path.display())))
}

/// Removes what only a second judgement of this run would need: about 150 bytes a record.
pub(crate) fn drop_evidence(folder: &Path) {
    for name in ["history", "log"] {
        // What cannot be removed takes room and does no harm.
        let _left = fs::remove_dir_all(folder.join(name));
    }
}

/// A CI job that names a file for its summary gets ours; a job without one, or a file that cannot be written, changes nothing.
pub(crate) fn append_step_summary(folder: &Path) {
    let Some(target) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else {
        return;
    };
    let appended = fs::read(folder.join("summary.md")).and_then(|text| {
        std::io::Write::write_all(
            &mut fs::OpenOptions::new().append(true).create(true).open(&target)?,
            &text,
        )
    });
    if let Err(error) = appended {
        eprintln!("warning: no summary for the CI job: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the figures")]
    struct Above(#[from] io::Error);

    #[test]
    fn a_full_disk_is_the_environments_under_every_layer_and_all_else_is_ours() {
        let full = || io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        for kind in [failed("write", &full()), failed("write", &Above(full()))] {
            assert!(
                matches!(&kind, RunError::Environment(text) if text.contains("mend:")),
                "{kind:?}"
            );
        }
        let other = io::Error::from(ErrorKind::NotFound);
        assert!(matches!(failed("write", &Above(other)), RunError::Tool(_)));
    }
}
