//! Small files of the run folder, and what a failure to write one means.

use std::fs;
use std::path::Path;

use super::RunError;

pub(crate) fn write(folder: &Path, name: &str, text: &str) -> Result<(), RunError> {
    fs::write(folder.join(name), text).map_err(|e| cannot_write(&folder.join(name), &e))
}

/// A full disk is the environment's fault, and the user can mend it.
pub(crate) fn cannot_write(path: &Path, error: &std::io::Error) -> RunError {
    let what = format!("cannot write {}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::StorageFull
        | std::io::ErrorKind::QuotaExceeded
        | std::io::ErrorKind::ReadOnlyFilesystem => {
            RunError::Environment(format!("{what}\n  mend: free some room, or choose another --out"))
        }
        _ => RunError::Tool(what),
    }
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
