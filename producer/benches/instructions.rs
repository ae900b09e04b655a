//! What a record costs in instructions, from `append` to its completion: the core with a fake socket, counted by callgrind.
//!
//! ```text
//!   this program ── valgrind --tool=callgrind ── itself, 100 records × few rounds  ──▶ count ─┐
//!               └── valgrind --tool=callgrind ── itself, 100 records × more rounds ──▶ count ─┴▶ difference ÷ records between
//! ```
//! What starting up costs falls out of the difference. Unlike a time, the figure is the same on a busy machine; it depends on
//! the compiler.
//!
//! `cargo bench -p steadfast-producer --bench instructions` prints one line for each size of batch.

mod fake_socket;

use std::hint::black_box;
use std::process::{Command, ExitCode};

use crate::fake_socket::Core;

/// Records of a batch: one by one, as at 25,000/s in cycles of half a millisecond, and full ones.
const RECORDS: [u64; 3] = [1, 10, 100];
/// Batches of the shorter and of the longer run.
const ROUNDS: [u64; 2] = [200, 1_200];
/// Bytes of a record's value.
const VALUE: [u8; 100] = [7; 100];
const VALGRIND_MISSING: u8 = 3;

fn main() -> ExitCode {
    let numbers: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    if let [records, rounds] = numbers[..] {
        replay(records, rounds);
        return ExitCode::SUCCESS;
    }
    for records in RECORDS {
        match counts(records) {
            Ok([few, many]) => {
                let between = records * (ROUNDS[1] - ROUNDS[0]);
                let each = (many - few) as f64 / between as f64;
                println!("{records} records a batch: {each:.1} instructions a record");
            }
            Err(reason) => {
                eprintln!("{reason}");
                return ExitCode::from(VALGRIND_MISSING);
            }
        }
    }
    ExitCode::SUCCESS
}

fn replay(records: u64, rounds: u64) {
    let mut core = Core::new(&[("batch.size", "262144"), ("linger.ms", "0")], 1);
    for _ in 0..rounds {
        for _ in 0..records {
            core.append(0, black_box(&VALUE));
        }
        core.turn();
    }
    assert_eq!((core.completed, core.pending()), (records * rounds, 0));
}

/// Instructions of the shorter and of the longer run.
fn counts(records: u64) -> Result<[u64; 2], String> {
    let myself = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut counts = [0; 2];
    for (count, rounds) in counts.iter_mut().zip(ROUNDS) {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(&myself)
            .args([records.to_string(), rounds.to_string()])
            .output()
            .map_err(|error| format!("valgrind: {error}; mend: apt-get install valgrind"))?;
        let text = String::from_utf8_lossy(&output.stderr);
        let told = text.lines().find_map(|line| line.split_once("Collected :"));
        let told = told.and_then(|(_, number)| number.trim().parse().ok());
        *count = told
            .filter(|_| output.status.success())
            .ok_or_else(|| format!("callgrind counted nothing:\n{text}"))?;
    }
    Ok(counts)
}
