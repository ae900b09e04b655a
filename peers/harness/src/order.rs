//! What is asked: the command line and the workload. What no peer can do is refused here.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use steadfast_verifier::workload::Workload;

use crate::failure::Failure;

/// The body of a peer's `main`: reads the order and gives it to `run`. Ends with 0, or with 1 and a sentence on standard
/// error.
pub fn main(run: impl FnOnce(&Workload) -> Result<(), Failure>) -> ExitCode {
    match file().and_then(|path| read(&path)).and_then(|order| run(&order)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn file() -> Result<PathBuf, Failure> {
    let mut args = std::env::args_os().skip(1);
    match (args.next(), args.next(), args.next()) {
        (Some(flag), Some(path), None) if flag == "--workload" => Ok(path.into()),
        _ => Err(Failure::Usage),
    }
}

fn read(path: &Path) -> Result<Workload, Failure> {
    let text = std::fs::read(path);
    let workload = text.and_then(|text| serde_json::from_slice(&text).map_err(io::Error::from));
    let workload: Workload = workload.map_err(|source| Failure::Workload {
        path: path.to_owned(),
        source,
    })?;
    if workload.transaction.is_some() || workload.producer.contains_key("transactional.id") {
        return Err(Failure::Refused(
            "transactions are beyond this subject: leave them out of the scenario".to_owned(),
        ));
    }
    if workload.copy.is_some() {
        return Err(Failure::Refused(
            "exactly-once copies are beyond this subject: leave them out of the scenario".to_owned(),
        ));
    }
    Ok(workload)
}
