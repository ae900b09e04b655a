//! The rules that keep records exactly once, by name, so that each can be broken on purpose.
//!
//! Every rule is on, always: [`Rules::on`] is the constant `true`, and the compiler leaves nothing of it. Only a build
//! with `--cfg steadfast_mutants`, in a target folder of its own, can leave one out; then simulation has to notice.
//! What cannot be told apart from outside has a unit test instead.

/// One clause of the contract (kafka-contract, A1 to B13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A4: acks is -1.
    AllAcks,
    /// A4: at most five batches of a partition are unacknowledged.
    Window,
    /// A5: the first batch of an epoch, or after an error, travels alone.
    FirstAlone,
    /// A6: nothing goes to a new leader before the old one's requests are over.
    OldLeaderFirst,
    /// A6: while a batch is retried, one is in flight.
    OneByOne,
    /// A7: an answer that never came leaves the batch UNKNOWN.
    LostIsUnknown,
    /// A7: codes after which nobody knows leave the batch UNKNOWN.
    CodeIsUnknown,
    /// A7: UNKNOWN is sticky.
    UnknownSticks,
    /// A8: an UNKNOWN batch is never given up at the deadline.
    UnknownStays,
    /// A9: 45 behind the head waits for the head.
    WaitForHead,
    /// A10, A11: 45 on the head is probed, never answered by a new epoch.
    NeverBump,
    /// A11: newest first.
    NewestFirst,
    /// A13: behind a batch that was refused for good, numbers go on from its own.
    CloseGap,
    /// A13: only what is NOT_WRITTEN is numbered on.
    SettleBeforeNumbering,
    /// A14: a new epoch begins at 0 on every partition.
    EpochFromZero,
    /// A15: numbers outlive a topic that metadata did not mention.
    OutliveMetadata,
    /// A19: leaders of an older epoch are not believed.
    NewerLeaders,
    /// B2: commit only when all records are acknowledged.
    CommitAllAcked,
    /// B3: an unknown EndTxn is asked again, with the same words.
    SameEnd,
    /// B3: under version 1 a new epoch follows an EndTxn in doubt.
    InitAfterDoubt,
    /// B4: what may be registered is aborted.
    EndWhatIsRegistered,
    /// B5: what is on the wire is waited for before the abort.
    WireEmptyBeforeAbort,
}

/// What breaking a rule costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Records are lost, doubled, reordered or torn.
    Safety,
    /// Records wait for ever, or are given up for nothing.
    Liveness,
    /// More work for the same result.
    Cost,
}

/// All rules that can be left out, with what that costs and the clause that names it.
#[rustfmt::skip]
pub const TABLE: [(Rule, &str, Kind, &str); 22] = [
    (Rule::AllAcks, "all-acks", Kind::Safety, "A4"),
    (Rule::Window, "window", Kind::Liveness, "A4"),
    (Rule::FirstAlone, "first-alone", Kind::Safety, "A5"),
    (Rule::OldLeaderFirst, "old-leader-first", Kind::Cost, "A6"),
    (Rule::OneByOne, "one-by-one", Kind::Liveness, "A6"),
    (Rule::LostIsUnknown, "lost-is-unknown", Kind::Safety, "A7"),
    (Rule::CodeIsUnknown, "code-is-unknown", Kind::Safety, "A7"),
    (Rule::UnknownSticks, "unknown-sticks", Kind::Safety, "A7"),
    (Rule::UnknownStays, "unknown-stays", Kind::Safety, "A8"),
    (Rule::WaitForHead, "wait-for-head", Kind::Safety, "A9"),
    (Rule::NeverBump, "never-bump", Kind::Safety, "A10"),
    (Rule::NewestFirst, "newest-first", Kind::Liveness, "A11"),
    (Rule::CloseGap, "close-gap", Kind::Liveness, "A13"),
    (Rule::SettleBeforeNumbering, "settle-before-numbering", Kind::Safety, "A13"),
    (Rule::EpochFromZero, "epoch-from-zero", Kind::Liveness, "A14"),
    (Rule::OutliveMetadata, "outlive-metadata", Kind::Safety, "A15"),
    (Rule::NewerLeaders, "newer-leaders", Kind::Cost, "A19"),
    (Rule::CommitAllAcked, "commit-all-acked", Kind::Safety, "B2"),
    (Rule::SameEnd, "same-end", Kind::Safety, "B3"),
    (Rule::InitAfterDoubt, "init-after-doubt", Kind::Safety, "B3"),
    (Rule::EndWhatIsRegistered, "end-what-is-registered", Kind::Liveness, "B4"),
    (Rule::WireEmptyBeforeAbort, "wire-empty-before-abort", Kind::Safety, "B5"),
];

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Rule> {
        let found = TABLE.iter().find(|(_, known, ..)| *known == name);
        found.map(|(rule, ..)| *rule)
    }
}

/// Which rules are on. Nothing at all, but in a build for mutants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    #[cfg(steadfast_mutants)]
    without: Option<Rule>,
}

impl Rules {
    /// All but this one.
    #[cfg(steadfast_mutants)]
    #[must_use]
    pub fn without(rule: Rule) -> Rules {
        Rules { without: Some(rule) }
    }

    /// Whether this rule is kept.
    #[inline(always)]
    #[must_use]
    pub const fn on(self, rule: Rule) -> bool {
        #[cfg(steadfast_mutants)]
        if let Some(without) = self.without {
            return without as u8 != rule as u8;
        }
        let _ = rule;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_line_and_one_name() {
        for (place, (rule, name, ..)) in TABLE.iter().enumerate() {
            assert_eq!(*rule as usize, place, "{name} stands elsewhere than in the enum");
            assert_eq!(Rule::from_name(name), Some(*rule));
        }
        assert!(Rules::default().on(Rule::Window));
        assert_eq!(size_of::<Rules>(), if cfg!(steadfast_mutants) { 1 } else { 0 });
    }
}
