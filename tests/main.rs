//! The one integration binary: it drives the `steadfast` binary as a user would and looks at what is left on disk.
//!
//! A test that needs something this machine lacks is listed as ignored with the reason, and fails where
//! `STEADFAST_REQUIRE` (comma-separated: kafka, toxiproxy, docker, browser, kcat, valgrind, faketime, small-disk) names that thing. `STEADFAST_SUITE=all`
//! adds the long ones.

#![expect(
    clippy::disallowed_methods,
    reason = "tests wait for real processes, with bounds of their own"
)]

mod support; // running the binary, looking at folders and processes, what this machine has
mod running; // a run under way
mod node; // a Kafka of the test's own

mod cli; // usage errors, catalogue, plan: nothing is started
mod environment; // what is missing is said, with the mend: exit 3
mod simulate; // worlds in virtual time: clean, and the same from the same seed
mod mutants; // rules broken on purpose, and what notices
mod instructions; // what a record costs, counted
mod main_job; // the main job on a real broker, judged again from the folder
mod planted; // anomalies planted into a sealed log are named; damage is never judged
mod topic; // a topic of stamped records, judged by its log alone
mod oracle; // Kafka's own consumer counts the same records
mod interrupted; // Ctrl-C, SIGTERM, SIGKILL: nothing keeps running
mod kept_cluster; // a cluster outside any run; other versions of Kafka
mod docker; // Kafka in containers
mod conformance; // one script of requests, answered as measured
mod disk; // full before, during and after the load
mod external; // what we made on somebody else's cluster goes, what was there stays
mod outcomes; // what Kafka refuses for good
mod nonsense; // a broker that answers nonsense
mod toxiproxy; // the real server: silence, refusal, bypasses
mod faults; // three nodes: kill, pause, restart, partition
mod naive; // clients that make the usual mistakes are found guilty
mod broker; // `steadfast broker` by itself: bad folders, SIGKILL, torn ends
mod simulated; // runs on it, judged
mod transactions; // transactions and copies on real runs; what is torn is named
mod compare; // producers side by side, and two runs
mod sweep; // what it costs as a setting grows
mod readers; // consumers that read while it is written
mod foreign; // clients of others write to it and read from it
mod browser; // the report in a real browser, off-line
mod licences; // every crate's licence against deny.toml

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};
use steadfast_chaos::process::{SHIM_COMMAND, shim};

/// Half of the trials: those that only `computing` does, or those that are mostly `waiting` for brokers and due times. `tests/run
/// --all` has the first beside the second, whenever nothing else wants a core. Unset = all.
const LANE: &str = "STEADFAST_LANE";

fn main() -> ExitCode {
    // Children that a test starts through the spawner become themselves through this very binary.
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == SHIM_COMMAND) {
        return shim(words);
    }
    let mut args = Arguments::from_args();
    // One at a time unless asked otherwise: two brokers under load on two cores would disturb each other.
    args.test_threads.get_or_insert(1);
    let computing = [simulate::trials(), mutants::trials(), instructions::trials()];
    let waiting = [
        cli::trials(),
        licences::trials(),
        environment::trials(),
        main_job::trials(),
        planted::trials(),
        topic::trials(),
        oracle::trials(),
        interrupted::trials(),
        kept_cluster::trials(),
        docker::trials(),
        conformance::trials(),
        disk::trials(),
        external::trials(),
        outcomes::trials(),
        nonsense::trials(),
        toxiproxy::trials(),
        faults::trials(),
        naive::trials(),
        broker::trials(),
        simulated::trials(),
        transactions::trials(),
        readers::trials(),
        foreign::trials(),
        browser::trials(),
        sweep::trials(),
        // Last: programs that it needs may still be building.
        compare::trials(),
    ];
    let (computing, waiting) = (computing.into_iter().flatten(), waiting.into_iter().flatten());
    let trials: Vec<Trial> = match std::env::var(LANE).as_deref() {
        Err(_) => computing.chain(waiting).collect(),
        Ok("computing") => computing.collect(),
        Ok("waiting") => waiting.collect(),
        Ok(other) => {
            eprintln!("{LANE}: expected `computing` or `waiting`, not `{other}`");
            return ExitCode::from(2);
        }
    };
    libtest_mimic::run(&args, trials).exit_code()
}
