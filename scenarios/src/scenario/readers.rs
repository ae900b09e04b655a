//! `[readers]`: consumers that read the topic while it is written, under Kafka's own names for their settings.

use std::path::Path;

use steadfast_verifier::reads::{Isolation, Order};

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::notes::Notes;
use crate::scenario::properties::Property;
use crate::scenario::reader::Table;
use crate::scenario::words::list;

/// Settings of a reader, as Kafka's consumer names them, and what each takes.
pub(crate) const SETTINGS: &[(&str, &str)] = &[
    (
        ISOLATION,
        "read_uncommitted (Kafka's default) or read_committed: nothing of open or aborted transactions",
    ),
    (
        MIN_BYTES,
        "How much the broker waits for before it answers; Kafka's default is 1",
    ),
    (
        MAX_WAIT,
        "How long it waits for that, in ms; Kafka's default is 500",
    ),
];
const ISOLATION: &str = "isolation.level";
const MIN_BYTES: &str = "fetch.min.bytes";
const MAX_WAIT: &str = "fetch.max.wait.ms";
/// Most bytes that may be waited for: what one answer holds of one partition.
const MOST_BYTES: i32 = 1 << 20;
/// Longest wait: a reader that is stopped waits for its answer.
const LONGEST_WAIT_MS: i32 = 10_000;

/// Readers of a run, all alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Readers {
    /// How many.
    pub count: u32,
    /// `isolation.level`.
    pub isolation: Isolation,
    fetch_min_bytes: i32,
    fetch_max_wait_ms: i32,
}

impl Readers {
    /// The order to one of them.
    pub(crate) fn order(&self, number: u32, topic: &str, servers: Vec<String>, folder: &Path) -> Order {
        let reader = format!("reader-{number}");
        Order {
            topic: topic.to_owned(),
            isolation: self.isolation,
            fetch_min_bytes: self.fetch_min_bytes,
            fetch_max_wait_ms: self.fetch_max_wait_ms,
            bootstrap_servers: servers,
            file: folder.join(format!("reads/{reader}.bin")),
            reader,
        }
    }
}

/// Reads `[readers]`, and notes what is claimed of readers where there are none.
pub(crate) fn read(root: &Table<'_>, claims: Option<&Table<'_>>, notes: &Notes<'_>) -> Option<Readers> {
    let claim = "reordered-for-readers";
    if let Some(claims) = claims.filter(|claims| claims.has(claim) && !root.has("readers")) {
        notes.push(without_readers(claims.place(claim)));
    }
    let table = root.table("readers")?;
    let mut readers = Readers {
        count: table.integer("count").map_or(1, |count| *count.get_ref() as u32),
        isolation: Isolation::ReadUncommitted,
        fetch_min_bytes: 1,
        fetch_max_wait_ms: 500,
    };
    for (name, property) in table.properties() {
        match name.as_str() {
            ISOLATION => readers.isolation = isolation(&property, notes).unwrap_or(readers.isolation),
            MIN_BYTES => {
                let given = number(MIN_BYTES, &property, 1..=MOST_BYTES, notes);
                readers.fetch_min_bytes = given.unwrap_or(readers.fetch_min_bytes);
            }
            MAX_WAIT => {
                let given = number(MAX_WAIT, &property, 0..=LONGEST_WAIT_MS, notes);
                readers.fetch_max_wait_ms = given.unwrap_or(readers.fetch_max_wait_ms);
            }
            _ => notes.push(unknown(&name, &property)),
        }
    }
    Some(readers)
}

/// The frame for what only readers can show.
pub(crate) fn without_readers(place: std::ops::Range<usize>) -> Problem {
    Problem::at(
        place,
        "nobody reads while the load runs",
        "only readers can show it",
    )
    .note("add [readers], such as count = 1 with isolation.level = \"read_committed\"")
}

fn isolation(property: &Property, notes: &Notes<'_>) -> Option<Isolation> {
    let all = [Isolation::ReadUncommitted, Isolation::ReadCommitted];
    let found = all
        .into_iter()
        .find(|isolation| isolation.word() == property.value);
    if found.is_none() {
        let words = all.map(Isolation::word);
        let problem = Problem::at(
            property.span.clone(),
            &format!("unknown {ISOLATION} `{}`", property.value),
            &format!("expected {}", list(&words)),
        );
        notes.push(match nearest(&property.value, words) {
            Some(near) => problem.fix(
                "a word with a similar name exists",
                property.span.clone(),
                &format!("\"{near}\""),
            ),
            None => problem,
        });
    }
    found
}

fn number(
    name: &str,
    property: &Property,
    bounds: std::ops::RangeInclusive<i32>,
    notes: &Notes<'_>,
) -> Option<i32> {
    let found = property
        .value
        .parse()
        .ok()
        .filter(|number| bounds.contains(number));
    if found.is_none() {
        let label = format!(
            "expected a whole number of at least {} and at most {}",
            bounds.start(),
            bounds.end()
        );
        notes.push(Problem::at(
            property.span.clone(),
            &format!("wrong value for `{name}`"),
            &label,
        ));
    }
    found
}

fn unknown(name: &str, property: &Property) -> Problem {
    let known = SETTINGS.iter().map(|(name, _)| *name);
    let near = nearest(name, known.chain(["count"]));
    let label = near.map_or_else(
        || "not a setting of a reader".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    let place = property.name_span.clone();
    let problem = Problem::at(place.clone(), &format!("unknown reader setting `{name}`"), &label)
        .note("[readers] takes count, isolation.level, fetch.min.bytes, fetch.max.wait.ms");
    match near {
        Some(near) => problem.fix("a setting with a similar name exists", place, near),
        None => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_for_a_file_of_its_own() {
        let readers = Readers {
            count: 2,
            isolation: Isolation::ReadCommitted,
            fetch_min_bytes: 1,
            fetch_max_wait_ms: 500,
        };
        let files: Vec<_> = (0..readers.count)
            .map(|i| readers.order(i, "orders", Vec::new(), Path::new("run")).file)
            .collect();
        assert_eq!(
            files,
            [
                Path::new("run/reads/reader-0.bin"),
                Path::new("run/reads/reader-1.bin")
            ]
        );
    }
}
