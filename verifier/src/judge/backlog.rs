//! What waited when a fault was healed, and when the last of it had its outcome. Pure.
//!
//! ```text
//! due      ·······│·········
//! outcome         │ ·  ··      ·
//!               heal           └ drained: counts what was due before the heal and had its outcome after it
//! ```
//! Fed in pass 1 with each record once. Nearly every record has its outcome within a millisecond, no heal in between:
//! then it costs one look-up.

/// By heal, in ascending order.
#[derive(Debug, Default)]
pub(super) struct Backlogs(Vec<Owed>);

/// What was owed at one heal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) heal_ns: u64,
    /// Records that were due before it and had no outcome.
    pub(super) records: u64,
    /// When the last of them had one; `u64::MAX`: some never had.
    pub(super) last_ns: u64,
}

impl Backlogs {
    pub(super) fn of(heals: impl Iterator<Item = u64>) -> Backlogs {
        let owed = |heal_ns| Owed {
            heal_ns,
            ..Owed::default()
        };
        let mut all: Vec<Owed> = heals.map(owed).collect();
        all.sort_by_key(|owed| owed.heal_ns);
        all.dedup();
        Backlogs(all)
    }

    /// The record due at `due_ns` had its outcome at `at_ns`.
    pub(super) fn ended(&mut self, due_ns: u64, at_ns: u64) {
        let first = self.0.partition_point(|owed| owed.heal_ns <= due_ns);
        for owed in self.0[first..].iter_mut().take_while(|owed| owed.heal_ns < at_ns) {
            owed.records += 1;
            owed.last_ns = owed.last_ns.max(at_ns);
        }
    }

    /// What was owed at this heal.
    pub(super) fn at(&self, heal_ns: u64) -> Option<Owed> {
        let found = self.0.binary_search_by_key(&heal_ns, |owed| owed.heal_ns);
        found.ok().map(|i| self.0[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_due_before_a_heal_and_ended_after_it_was_owed() {
        let mut backlogs = Backlogs::of([50, 20, 50].into_iter());
        for (due, ended) in [(5, 20), (5, 21), (19, 60), (20, 30), (50, 70), (60, 90)] {
            backlogs.ended(due, ended);
        }
        let owed = |heal| backlogs.at(heal).map(|owed| (owed.records, owed.last_ns));
        assert_eq!(
            (owed(20), owed(50), owed(30)),
            (Some((2, 60)), Some((1, 60)), None)
        );
    }

    #[test]
    fn what_never_ends_is_owed_for_ever() {
        let mut backlogs = Backlogs::of([20].into_iter());
        backlogs.ended(5, u64::MAX);
        backlogs.ended(6, 30);
        assert_eq!(
            backlogs.at(20).map(|owed| (owed.records, owed.last_ns)),
            Some((2, u64::MAX))
        );
    }
}
