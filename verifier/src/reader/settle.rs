//! Has the log come to its end? Two looks at the offsets of every partition, some time apart, decide. Pure.

use super::cluster::Ends;

/// What two looks say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// Nothing moved and no transaction is open: the end.
    Yes,
    /// Some partition grew: read on and look again.
    Grows(String),
    /// A transaction is open: its outcome is not known yet. Look again.
    OpenTransaction(String),
    /// What was seen once is not there any more: this log cannot be sealed.
    Never(String),
}

/// Compares the offsets that were read up to with those of a later look.
pub(super) fn settled(topic: &str, before: &[Ends], now: &[Ends]) -> Settled {
    if !before
        .iter()
        .map(|ends| ends.partition)
        .eq(now.iter().map(|ends| ends.partition))
    {
        return Settled::Never(format!("the partitions of {topic} changed while they were read"));
    }
    let name = |ends: &Ends| format!("{topic}-{}", ends.partition);
    let pairs = || before.iter().zip(now);
    if let Some((before, now)) = pairs().find(|(before, now)| now.end < before.end) {
        let (name, from, to) = (name(now), before.end, now.end);
        return Settled::Never(format!("the end of {name} went back from offset {from} to {to}"));
    }
    if let Some((_, now)) = pairs().find(|(before, now)| now.earliest > before.earliest) {
        let (name, earliest) = (name(now), now.earliest);
        return Settled::Never(format!(
            "{name}: records below offset {earliest} were deleted while it was read"
        ));
    }
    if let Some((before, now)) = pairs().find(|(before, now)| now.end > before.end) {
        let (name, from, to) = (name(now), before.end, now.end);
        return Settled::Grows(format!("{name} still grows: from offset {from} to {to}"));
    }
    match now.iter().find(|ends| ends.last_stable < ends.end) {
        Some(open) => {
            let from = open.last_stable;
            Settled::OpenTransaction(format!(
                "{} has an open transaction from offset {from} on",
                name(open)
            ))
        }
        None => Settled::Yes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(partition: i32, end: i64, last_stable: i64) -> Ends {
        Ends {
            partition,
            earliest: 0,
            end,
            last_stable,
        }
    }

    #[test]
    fn what_stands_still_is_the_end() {
        let now = [ends(0, 10, 10), ends(1, 0, 0)];
        assert_eq!(settled("orders", &now, &now), Settled::Yes);
    }

    #[test]
    fn growth_and_open_transactions_are_waited_for() {
        let before = [ends(0, 10, 10), ends(1, 0, 0)];
        let grown = settled("orders", &before, &[ends(0, 10, 10), ends(1, 1, 1)]);
        assert_eq!(
            grown,
            Settled::Grows("orders-1 still grows: from offset 0 to 1".into())
        );
        let open = [ends(0, 10, 7), ends(1, 0, 0)];
        let found = settled("orders", &open, &open);
        assert_eq!(
            found,
            Settled::OpenTransaction("orders-0 has an open transaction from offset 7 on".into())
        );
    }

    #[test]
    fn what_vanished_is_never_sealed() {
        let before = [ends(0, 10, 10), ends(1, 5, 5)];
        for now in [
            vec![ends(0, 10, 10)],
            vec![ends(0, 10, 10), ends(2, 5, 5)],
            // Growth elsewhere hides nothing.
            vec![ends(0, 11, 11), ends(1, 4, 4)],
            vec![
                ends(0, 10, 10),
                Ends {
                    earliest: 1,
                    ..ends(1, 5, 5)
                },
            ],
        ] {
            assert!(
                matches!(settled("orders", &before, &now), Settled::Never(_)),
                "{now:?}"
            );
        }
    }
}
