//! `steadfast explain ID`: what an anomaly, a harness cause, a claim, a metric or an exit code means, how it is found, and
//! where to look next. Without an ID: the list.

mod texts; // what is said

use self::texts::{ENTRIES, Entry};
use crate::exit::Exit;
use crate::out;
use crate::scenario::diagnostics::nearest;

/// Explains one ID, or lists them all.
pub(crate) fn run(id: Option<&str>) -> Exit {
    let Some(id) = id else {
        out::text(&all());
        return Exit::Pass;
    };
    let Some(entry) = find(id) else {
        let ids = ENTRIES.iter().map(|entry| entry.id);
        let near = nearest(id, ids).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        eprintln!(
            "error: nothing is known of `{id}`{near}\n  help: `steadfast explain` lists what can be explained"
        );
        return Exit::Usage;
    };
    out::text(&one(entry));
    Exit::Pass
}

/// `L1`, `l1`, `exit 10` and `exit-10` are all right.
fn find(id: &str) -> Option<&'static Entry> {
    let wanted = id.trim().replace(' ', "-");
    ENTRIES
        .iter()
        .find(|entry| entry.id.eq_ignore_ascii_case(&wanted))
}

fn one(entry: &Entry) -> String {
    let mut text = format!("{}: {}\n\n", entry.id, entry.meaning);
    for (title, said) in [("How it is found", entry.found), ("What to do", entry.mend)] {
        text.push_str(&format!("{title}\n{}\n", wrapped(said)));
    }
    text
}

fn all() -> String {
    let mut text = String::new();
    let mut kind = "";
    for entry in ENTRIES {
        if entry.kind != kind {
            let gap = if kind.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{gap}{}\n", entry.kind));
            kind = entry.kind;
        }
        text.push_str(&format!("  {:<22} {}\n", entry.id, entry.meaning));
    }
    text
}

/// Lines of at most 96 letters, indented.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::from(" ")];
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= 96 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("  {word}")),
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use steadfast_verifier::expectations::ClaimId;
    use steadfast_verifier::judge::Anomaly;

    use super::*;
    use crate::scenario::metric_names;

    #[test]
    fn whatever_a_verdict_can_name_is_explained_once() {
        let ids: Vec<&str> = ENTRIES.iter().map(|entry| entry.id).collect();
        let mut expected: BTreeSet<String> = Anomaly::ALL.map(|a| a.id().to_owned()).into();
        expected.extend(["H1", "H2", "H3", "H4", "H5", "simulated", "check", "oracle"].map(str::to_owned));
        expected.extend(metric_names().map(str::to_owned));
        let claims = [
            ClaimId::Lost,
            ClaimId::Duplicated,
            ClaimId::ReorderedPerKey,
            ClaimId::ReorderedInTime,
            ClaimId::ReorderedForReaders,
            ClaimId::Torn,
            ClaimId::Corrupted,
            ClaimId::Recovered,
        ];
        for claim in claims {
            let name = serde_json::to_value(claim).expect("a word");
            expected.insert(name.as_str().expect("a word").to_owned());
        }
        let exits = ["0", "1", "2", "3", "4", "5", "10", "99", "130"];
        expected.extend(exits.map(|code| format!("exit-{code}")));
        let known: BTreeSet<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        assert_eq!(known.len(), ids.len(), "one is explained twice");
        assert_eq!(known, expected);
    }

    #[test]
    fn an_id_is_found_as_it_is_typed_and_a_slip_is_mended() {
        assert_eq!(find(" l1 ").map(|entry| entry.id), Some("L1"));
        assert_eq!(find("Exit 10").map(|entry| entry.id), Some("exit-10"));
        assert!(find("L9").is_none());
        assert_eq!(run(Some("lots")), Exit::Usage);
        for entry in ENTRIES {
            let text = one(entry);
            assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
            assert!(!entry.found.is_empty() && !entry.mend.is_empty(), "{}", entry.id);
        }
    }
}
