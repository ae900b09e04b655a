//! Where a run is written: `runs/<scenario>-<time>/`, or what `--out` says.

use std::path::{Path, PathBuf};

use super::RunError;
use super::files::{cannot_write, no_room};

/// The folder of one run among several: `n` counts repeats from 1; none when the scenario runs once.
pub(crate) fn of_run(out: Option<&Path>, only: bool, scenario: &str, n: Option<u32>, stamp: &str) -> PathBuf {
    let flat = scenario.replace('/', "-");
    let repeat = n.map(|n| format!("-{n:03}")).unwrap_or_default();
    match out {
        Some(out) if only => out.to_owned(),
        Some(out) => out.join(format!("{flat}{repeat}")),
        None => Path::new("runs").join(format!("{flat}-{stamp}{repeat}")),
    }
}

/// A folder that already holds something is refused, since evidence of two runs must not mix.
pub(crate) fn check(folder: &Path) -> Result<(), String> {
    match std::fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(format!(
            "{} is not empty; choose another --out or remove it",
            folder.display()
        )),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(format!("cannot read {}: {e}", folder.display())),
    }
}

/// What is wrong with a folder that is to be judged or drawn again: none when it is one that a run wrote.
pub(crate) fn no_run(folder: &Path) -> Option<String> {
    let why = if !folder.is_dir() {
        "there is no such folder"
    } else if !folder.join("scenario.toml").is_file() {
        "it has no scenario.toml, so no run wrote it"
    } else {
        return None;
    };
    Some(format!(
        "{} is no run folder: {why}\n  mend: name a folder that `steadfast run` wrote: runs/<scenario>-<time>, or its --out",
        folder.display()
    ))
}

/// Makes the folder and the folders in it that children write to.
pub(crate) fn create(folder: &Path) -> Result<(), RunError> {
    let cannot = |path: &Path, error: &std::io::Error| {
        if no_room(error) {
            cannot_write(path, error)
        } else {
            // A wrong --out, mostly.
            RunError::Usage(format!("cannot create {}: {error}", path.display()))
        }
    };
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, &e))?;
    check(folder).map_err(RunError::Usage)?;
    for inner in ["history", "logs"] {
        let inner = folder.join(inner);
        std::fs::create_dir(&inner).map_err(|e| cannot(&inner, &e))?;
    }
    Ok(())
}

/// `20261122T031500Z`: sorts by time, needs no quoting.
pub(crate) fn stamp(now: std::time::SystemTime) -> String {
    humantime::format_rfc3339_seconds(now)
        .to_string()
        .replace(['-', ':'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_takes_out_itself_and_several_go_inside_it() {
        let out = Path::new("o");
        assert_eq!(of_run(Some(out), true, "latency/a", None, "t"), Path::new("o"));
        assert_eq!(
            of_run(Some(out), false, "latency/a", Some(2), "t"),
            Path::new("o/latency-a-002")
        );
        assert_eq!(
            of_run(None, true, "latency/a", None, "t"),
            Path::new("runs/latency-a-t")
        );
    }
}
