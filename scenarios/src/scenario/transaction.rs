//! `[workload.transaction]`: how records are put into transactions, and what that asks of `[producer]`.

use std::collections::BTreeMap;
use std::time::Duration;

use steadfast_producer::config::ProducerConfig;
use steadfast_verifier::workload::{Full, Transaction};
use toml::Spanned;

use crate::scenario::diagnostics::Problem;
use crate::scenario::notes::Notes;
use crate::scenario::properties::Property;
use crate::scenario::reader::Table;
use crate::scenario::units::show_duration;
use crate::scenario::workload::Load;

/// The setting that makes a producer transactional.
pub(crate) const TRANSACTIONAL_ID: &str = "transactional.id";

/// Reads `[workload.transaction]`, with its place; none without the table, or when it is wrong.
pub(crate) fn read(workload: &Table<'_>, notes: &Notes<'_>) -> Option<Spanned<Transaction>> {
    let table = workload.table("transaction")?;
    let records = table.integer("records");
    let every = table.duration("every");
    let ratio = table.number("abort-ratio").filter(|ratio| is_share(ratio, notes));
    let full = match (table.has("records"), table.has("every")) {
        (true, true) => {
            let problem = Problem::at(
                table.place("every"),
                "`records` and `every` at once",
                "a transaction is full by one of them",
            );
            notes.push(problem.context(table.place("records"), "the other"));
            return None;
        }
        (false, false) => {
            let problem = Problem::at(
                table.span.clone(),
                "when is a transaction full?",
                "expected `records = 100` or `every = \"10ms\"`",
            );
            notes.push(problem);
            return None;
        }
        (true, false) => Full::Records(records?.into_inner()),
        (false, true) => {
            let every = every?;
            if every.get_ref().is_zero() {
                notes.push(Problem::at(
                    every.span(),
                    "`every` is zero",
                    "nothing would fit into such a transaction",
                ));
                return None;
            }
            Full::AfterNs(nanos(*every.get_ref()))
        }
    };
    let transaction = Transaction {
        full,
        abort_ratio: ratio?.into_inner(),
    };
    Some(Spanned::new(table.span.clone(), transaction))
}

fn is_share(ratio: &Spanned<f64>, notes: &Notes<'_>) -> bool {
    let share = (0.0..=1.0).contains(ratio.get_ref());
    if !share {
        notes.push(Problem::at(
            ratio.span(),
            "`abort-ratio` is out of range",
            "expected 0 to 1, such as 0.05",
        ));
    }
    share
}

/// A transactional producer and a transactional load go together, and a transaction must end before its time-out.
pub(crate) fn suits(
    load: &Load,
    config: &ProducerConfig,
    written: &BTreeMap<String, Property>,
    producer: Option<&Table<'_>>,
    notes: &Notes<'_>,
) {
    let id = written.get(TRANSACTIONAL_ID).filter(|id| !id.value.is_empty());
    let transaction = match (&load.transaction, id) {
        (None, None) => return,
        (None, Some(_)) if load.transaction_written => return, // said at its place
        (None, Some(id)) => {
            let problem = Problem::at(
                id.name_span.clone(),
                "`transactional.id` without transactions",
                "when would they begin and end?",
            );
            notes.push(problem.note(
                "add [workload.transaction], such as `records = 100`; producing is idempotent without both",
            ));
            return;
        }
        (Some(transaction), None) => {
            let place = producer.map_or_else(|| transaction.span(), |table| table.span.clone());
            let problem = Problem::at(
                place,
                &format!("transactions without `{TRANSACTIONAL_ID}`"),
                &format!("expected `{TRANSACTIONAL_ID} = \"...\"` under [producer]"),
            );
            let problem = problem
                .note("a second producer with the same transactional.id fences the first: give each its own");
            notes.push(match producer {
                Some(_) => problem.context(transaction.span(), "because of this"),
                None => problem,
            });
            return;
        }
        (Some(transaction), Some(_)) => transaction,
    };
    let timeout = Duration::from_nanos(config.transaction_timeout_ns);
    if let Full::AfterNs(after) = transaction.get_ref().full
        && Duration::from_nanos(after) >= timeout / 2
    {
        let problem = Problem::at(
            transaction.span(),
            "transactions too long for their time-out",
            &format!(
                "open for {}, and transaction.timeout.ms is {}",
                show_duration(Duration::from_nanos(after)),
                show_duration(timeout)
            ),
        );
        notes.push(problem.note("expected less than half of it: the coordinator aborts what is open longer"));
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
