//! Who produces: our own load generator with the producer inside, a client of `peers/`, or a program of somebody else's
//! (docs/subject.md).

mod peers; // other clients, built on demand

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use steadfast_chaos::process::{Program, Spawner};

use super::RunError;

/// What our own producer is called.
pub(crate) const OURS: &str = "steadfast";

/// A producer under test.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    /// In verdict.json and in the report.
    pub(crate) name: String,
    /// None: this binary.
    program: Option<PathBuf>,
}

impl Subject {
    /// What `--subject` names: none and `steadfast` are ours, a folder of `peers/` is built, all else is a path.
    pub(crate) fn choose(
        wish: Option<&Path>,
        spawner: &Spawner,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Subject, RunError> {
        let Some(path) = wish.filter(|path| *path != Path::new(OURS)) else {
            return Ok(Subject::ours());
        };
        match peers::find(path) {
            Some(peer) => Ok(Subject {
                name: path.display().to_string(),
                program: Some(peer.build(spawner, progress)?),
            }),
            None => Subject::program(path),
        }
    }

    /// A program of somebody else's.
    fn program(path: &Path) -> Result<Subject, RunError> {
        let refuse = |why: &str| {
            let names: String = peers::names().iter().map(|name| format!("`{name}`, ")).collect();
            RunError::Usage(format!(
                "--subject {}: {why}; give `{OURS}`, {names}or the path of a program that docs/subject.md describes",
                path.display()
            ))
        };
        let found = path.canonicalize().map_err(|error| refuse(&error.to_string()))?;
        let meta = found.metadata().map_err(|error| refuse(&error.to_string()))?;
        if !meta.is_file() || meta.permissions().mode() & 0o111 == 0 {
            return Err(refuse("not a program"));
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Subject {
            name: name.ok_or_else(|| refuse("no name"))?,
            program: Some(found),
        })
    }

    /// Our own.
    pub(crate) fn ours() -> Subject {
        Subject {
            name: OURS.to_owned(),
            program: None,
        }
    }

    /// Program and arguments for this order.
    pub(crate) fn command(&self, order: &Path) -> (Program, Vec<OsString>) {
        let order = ["--workload".into(), order.into()];
        match &self.program {
            None => (
                Program::Myself,
                std::iter::once("worker".into()).chain(order).collect(),
            ),
            Some(path) => (Program::File(path.clone()), order.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_needs_no_path_and_what_is_no_program_is_refused() {
        let subject = Subject::ours();
        assert_eq!(subject.name, OURS);
        assert_eq!(
            subject.command(Path::new("w.json")).1,
            ["worker", "--workload", "w.json"]
        );
        let folder = tempfile::tempdir().expect("a folder");
        let text = folder.path().join("text");
        std::fs::write(&text, "no program").expect("written");
        for wrong in [folder.path(), text.as_path(), Path::new("/nowhere/at/all")] {
            let why = Subject::program(wrong).expect_err("refused").to_string();
            assert!(
                why.contains("docs/subject.md") && why.contains("`floor`"),
                "{why}"
            );
        }
        let shell = Subject::program(Path::new("/bin/sh")).expect("a program");
        assert_eq!(shell.name, "sh");
        assert_eq!(shell.command(Path::new("w.json")).1, ["--workload", "w.json"]);
    }
}
