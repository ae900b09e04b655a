//! The rules that keep records exactly once, by name, so that each can be broken on purpose.
//!
//! Every rule is on, always: [`Rules::on`] is the constant `true`, and the compiler leaves nothing of it. Only a build
//! with `--cfg steadfast_mutants`, in a target folder of its own, can leave one out; then simulation has to notice.
//! What cannot be told apart from outside has a unit test instead.

/// One clause of the contract (kafka-contract, A1 to B13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A2: A number is given when a batch is first sent.
    NumbersWhenSent,
    /// A2: Numbers wrap at 2^31.
    NumbersWrap,
    /// A3: A batch is sent again as it was.
    SameBytes,
    /// A4: acks is -1.
    AllAcks,
    /// A4: One batch of a partition in a request.
    OneBatch,
    /// A4: At most five batches of a partition are unacknowledged.
    Window,
    /// A5: The first batch of an epoch, or after an error, travels alone.
    FirstAlone,
    /// A6: Nothing goes to a new leader before the old one's requests are over.
    OldLeaderFirst,
    /// A6: While a batch is retried, one is in flight.
    OneByOne,
    /// A7: A connection lost before the answer leaves the batch UNKNOWN.
    LostIsUnknown,
    /// A7: An answer that never came leaves the batch UNKNOWN.
    LateIsUnknown,
    /// A7: 7, 13, 56 and -1 leave the batch UNKNOWN.
    CodeIsUnknown,
    /// A7: 20 leaves the batch UNKNOWN.
    AppendedIsUnknown,
    /// A7: 3 and 6 leave the batch UNKNOWN.
    MovedIsUnknown,
    /// A7: UNKNOWN is sticky.
    UnknownSticks,
    /// A8: An UNKNOWN batch is never cancelled.
    UnknownStays,
    /// A8: At the deadline the caller hears UNKNOWN.
    UnknownIsTold,
    /// A8, A12: An UNKNOWN batch is never split.
    UnknownIsWhole,
    /// A9: 45 behind the head waits for the head.
    WaitForHead,
    /// A10: 45 on the head is probed, never answered by a new epoch.
    NeverBump,
    /// A11: The newest is probed first.
    NewestFirst,
    /// A11: What is above the first that is taken is sent again.
    ProbeGoesUp,
    /// A12: Pieces of a batch keep its numbers.
    SplitKeepsNumbers,
    /// A12: What is UNKNOWN and refused for good is not NOT_WRITTEN.
    RefusedStaysUnknown,
    /// A13: Behind a batch that was refused for good, numbers go on from its own.
    CloseGap,
    /// A13: Only what is NOT_WRITTEN is numbered on.
    SettleBeforeNumbering,
    /// A14: Numbers that a late copy bears are not given again.
    LateCopyNeedsEpoch,
    /// A14: Numbers of a batch that ended UNKNOWN are not given again.
    DoubtNeedsEpoch,
    /// A14: No UNKNOWN batch is stamped with a new epoch.
    SettleBeforeEpoch,
    /// A14: A new epoch begins at 0 on every partition.
    EpochFromZero,
    /// A14: After epoch 32767 comes another id.
    FreshIdAtLast,
    /// A15: Numbers outlive a topic that metadata did not mention.
    OutliveMetadata,
    /// A16: An answer with another correlation id closes the connection.
    AnswersInOrder,
    /// A17: A muted connection is left alone.
    Throttled,
    /// A18: Retries back off.
    BackOff,
    /// A19: A newer leader named in an answer is followed at once.
    FollowHint,
    /// A19: Leaders of an older epoch are not believed.
    NewerLeaders,
    /// B, table: The finalized feature alone chooses version 2.
    ByFeature,
    /// B, table: Version 1: a partition is added before its first batch.
    EnlistFirst,
    /// B, table: Version 2: the epoch that EndTxn gives is the next one.
    NextEpoch,
    /// B2: Commit only when no record failed.
    CommitAllAcked,
    /// B2: Commit only when every record has its outcome.
    FlushBeforeCommit,
    /// B3: An unknown EndTxn is asked again, with the same words.
    SameEnd,
    /// B3: Version 1: a new epoch follows a commit in doubt.
    InitAfterDoubt,
    /// B3: A commit in doubt whose outcome nobody tells is UNKNOWN.
    DoubtIsTold,
    /// B4: What is not registered is not ended.
    EmptyIsNotEnded,
    /// B4: What may be registered is aborted.
    EndWhatIsRegistered,
    /// B5: What is on the wire is waited for before the abort.
    WireEmptyBeforeAbort,
    /// B5: Version 1: a new epoch follows an abort.
    InitAfterAbort,
    /// B6: Who was fenced stops.
    StopWhenFenced,
    /// B8: 51 on the first batch is waited out.
    MarkersAwaited,
    /// B9: 19 is waited out in a transaction.
    ReplicasAwaited,
    /// B10: All batches of a transactional id are transactional.
    AllTransactional,
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

/// One rule of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// Which.
    pub rule: Rule,
    /// What it is called.
    pub name: &'static str,
    /// What breaking it costs.
    pub kind: Kind,
    /// The clause of the contract.
    pub clause: &'static str,
    /// What a producer does that breaks it.
    pub broken: &'static str,
}

/// All rules that can be left out.
#[rustfmt::skip]
pub const TABLE: &[Line] = &[
    line(Rule::NumbersWhenSent, "numbers-when-sent", Kind::Liveness, "A2", "what is given up before it was ever sent has used up numbers"),
    line(Rule::NumbersWrap, "numbers-wrap", Kind::Liveness, "A2", "numbers go on past 2^31 - 1"),
    line(Rule::SameBytes, "same-bytes", Kind::Safety, "A3", "a batch is sent again with the records of the one behind it"),
    line(Rule::AllAcks, "all-acks", Kind::Safety, "A4", "acks is 1"),
    line(Rule::OneBatch, "one-batch", Kind::Liveness, "A4", "two batches of a partition go in one request"),
    line(Rule::Window, "window", Kind::Cost, "A4", "up to ten batches of a partition are unacknowledged"),
    line(Rule::FirstAlone, "first-alone", Kind::Safety, "A5", "the first batch of an epoch has company"),
    line(Rule::OldLeaderFirst, "old-leader-first", Kind::Cost, "A6", "the new leader is written to while the old one owes answers"),
    line(Rule::OneByOne, "one-by-one", Kind::Safety, "A6", "all that failed is sent again at once"),
    line(Rule::LostIsUnknown, "lost-is-unknown", Kind::Safety, "A7", "a batch whose connection broke counts as NOT_WRITTEN"),
    line(Rule::LateIsUnknown, "late-is-unknown", Kind::Safety, "A7", "a batch that is not answered in time counts as NOT_WRITTEN"),
    line(Rule::CodeIsUnknown, "code-is-unknown", Kind::Safety, "A7", "7, 13, 56 and -1 count as NOT_WRITTEN"),
    line(Rule::AppendedIsUnknown, "appended-is-unknown", Kind::Safety, "A7", "20 counts as NOT_WRITTEN"),
    line(Rule::MovedIsUnknown, "moved-is-unknown", Kind::Safety, "A7", "3 and 6 count as NOT_WRITTEN"),
    line(Rule::UnknownSticks, "unknown-sticks", Kind::Safety, "A7", "a later refusal makes UNKNOWN NOT_WRITTEN"),
    line(Rule::UnknownStays, "unknown-stays", Kind::Safety, "A8", "an UNKNOWN batch is cancelled at its deadline"),
    line(Rule::UnknownIsTold, "unknown-is-told", Kind::Safety, "A8", "the caller of an UNKNOWN batch hears NOT_WRITTEN at the deadline"),
    line(Rule::UnknownIsWhole, "unknown-is-whole", Kind::Safety, "A8, A12", "an UNKNOWN batch is split"),
    line(Rule::WaitForHead, "wait-for-head", Kind::Liveness, "A9", "45 behind the head gives the batch up"),
    line(Rule::NeverBump, "never-bump", Kind::Safety, "A10", "45 on the head is answered by a new epoch"),
    line(Rule::NewestFirst, "newest-first", Kind::Liveness, "A11", "the oldest is probed first"),
    line(Rule::ProbeGoesUp, "probe-goes-up", Kind::Safety, "A11", "the first probe that is taken settles all batches"),
    line(Rule::SplitKeepsNumbers, "split-keeps-numbers", Kind::Safety, "A12", "every piece of a batch has its first number"),
    line(Rule::RefusedStaysUnknown, "refused-stays-unknown", Kind::Safety, "A12", "an UNKNOWN batch that is refused for good counts as NOT_WRITTEN"),
    line(Rule::CloseGap, "close-gap", Kind::Liveness, "A13", "numbers of a batch that was refused for good are left out"),
    line(Rule::SettleBeforeNumbering, "settle-before-numbering", Kind::Safety, "A13", "UNKNOWN batches are numbered anew too"),
    line(Rule::LateCopyNeedsEpoch, "late-copy-needs-epoch", Kind::Safety, "A14", "numbers that a late copy bears are given again"),
    line(Rule::DoubtNeedsEpoch, "doubt-needs-epoch", Kind::Safety, "A14", "the numbers of a batch that ended UNKNOWN are given again"),
    line(Rule::SettleBeforeEpoch, "settle-before-epoch", Kind::Safety, "A14", "UNKNOWN batches are stamped with the new epoch"),
    line(Rule::EpochFromZero, "epoch-from-zero", Kind::Liveness, "A14", "numbers go on in a new epoch"),
    line(Rule::FreshIdAtLast, "fresh-id-at-last", Kind::Safety, "A14", "epoch 32767 begins again at 0"),
    line(Rule::OutliveMetadata, "outlive-metadata", Kind::Safety, "A15", "a topic that metadata does not mention begins at 0 again"),
    line(Rule::AnswersInOrder, "answers-in-order", Kind::Safety, "A16", "any answer is taken for that of the oldest request"),
    line(Rule::Throttled, "throttled", Kind::Cost, "A17", "a muted connection is written to"),
    line(Rule::BackOff, "back-off", Kind::Cost, "A18", "retries do not wait"),
    line(Rule::FollowHint, "follow-hint", Kind::Cost, "A19", "leaders named in answers are ignored"),
    line(Rule::NewerLeaders, "newer-leaders", Kind::Cost, "A19", "leaders of an older epoch are believed"),
    line(Rule::ByFeature, "by-feature", Kind::Cost, "B, table", "version 2 is chosen by API versions"),
    line(Rule::EnlistFirst, "enlist-first", Kind::Liveness, "B, table", "no partition is added to the transaction"),
    line(Rule::NextEpoch, "next-epoch", Kind::Safety, "B, table", "the epoch that EndTxn gives is ignored"),
    line(Rule::CommitAllAcked, "commit-all-acked", Kind::Safety, "B2", "a transaction with failed records commits"),
    line(Rule::FlushBeforeCommit, "flush-before-commit", Kind::Safety, "B2", "a transaction commits while records have no outcome"),
    line(Rule::SameEnd, "same-end", Kind::Safety, "B3", "an EndTxn in doubt is asked again as an abort"),
    line(Rule::InitAfterDoubt, "init-after-doubt", Kind::Safety, "B3", "no new epoch follows a commit in doubt"),
    line(Rule::DoubtIsTold, "doubt-is-told", Kind::Safety, "B3", "a commit in doubt is reported as aborted"),
    line(Rule::EmptyIsNotEnded, "empty-is-not-ended", Kind::Liveness, "B4", "a transaction of which the coordinator knows nothing is ended"),
    line(Rule::EndWhatIsRegistered, "end-what-is-registered", Kind::Safety, "B4", "an abort asks nobody"),
    line(Rule::WireEmptyBeforeAbort, "wire-empty-before-abort", Kind::Safety, "B5", "the abort does not wait for what is on the wire"),
    line(Rule::InitAfterAbort, "init-after-abort", Kind::Liveness, "B5", "no new epoch follows an abort"),
    line(Rule::StopWhenFenced, "stop-when-fenced", Kind::Safety, "B6", "who was fenced takes the id back"),
    line(Rule::MarkersAwaited, "markers-awaited", Kind::Liveness, "B8", "51 aborts the transaction"),
    line(Rule::ReplicasAwaited, "replicas-awaited", Kind::Liveness, "B9", "19 aborts the transaction"),
    line(Rule::AllTransactional, "all-transactional", Kind::Safety, "B10", "batches of a transaction are plain"),
];

impl Rule {
    /// The rule of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Rule> {
        TABLE.iter().find(|line| line.name == name).map(|line| line.rule)
    }
}

/// Which rules are on. Nothing at all, but in a build for mutants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(steadfast_mutants), derive(Default))]
pub struct Rules {
    #[cfg(steadfast_mutants)]
    without: Option<Rule>,
}

#[cfg(steadfast_mutants)]
impl Default for Rules {
    fn default() -> Rules {
        Rules { without: named() }
    }
}

/// Unit tests of a build for mutants are run with a rule left out: those of a cost rule must notice.
#[cfg(all(test, steadfast_mutants))]
fn named() -> Option<Rule> {
    Rule::from_name(&std::env::var("STEADFAST_WITHOUT").ok()?)
}

#[cfg(all(not(test), steadfast_mutants))]
fn named() -> Option<Rule> {
    None
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

const fn line(
    rule: Rule,
    name: &'static str,
    kind: Kind,
    clause: &'static str,
    broken: &'static str,
) -> Line {
    Line {
        rule,
        name,
        kind,
        clause,
        broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_one_line_and_one_name() {
        for (place, line) in TABLE.iter().enumerate() {
            assert_eq!(
                line.rule as usize, place,
                "{} stands elsewhere than in the enum",
                line.name
            );
            assert_eq!(Rule::from_name(line.name), Some(line.rule));
        }
        assert!(Rules::default().on(Rule::Window));
        assert_eq!(size_of::<Rules>(), if cfg!(steadfast_mutants) { 1 } else { 0 });
    }
}
