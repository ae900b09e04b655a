//! How long a broker knows what a producer wrote: as long as the *records* are young, not the writing of them.
//!
//! A partition drops what it knows of a producer once the newest timestamp of that producer's last batch is older than
//! `producer.id.expiration.ms`: every ten minutes, and whenever it builds its knowledge anew from disk (measured on
//! Kafka 4.1.0, case m05-m07 of the conformance script; `ProducerStateManager.isProducerExpired`). So a record dated two
//! days ago may leave nothing behind, and then the broker appends the very same batch again, or one with a gap before it.
//! Only a transaction that is open keeps its producer known, whatever its records say.
//!
//! So nothing old is sent outside of transactions. Without that, an answer lost could not be asked for again: a second
//! sending might be appended again, and even a first one that is held up on its way might be, after the one that stood in
//! for it. No reading back helps against that one, and no fence: brokers forget the fence too. What follows:
//! - a record that is old is refused at the door, and told why ([`AppendError::TooOld`](crate::error::AppendError));
//! - one that has grown old while it waited, never written, is NOT_WRITTEN with [`FORGOTTEN`];
//! - one that may be written and has waited for its answer ever since is UNKNOWN with it, and never sent again (A8 gives
//!   way); the partition goes on in a new epoch (A14), which young records keep known;
//! - once the last acknowledged batch is old, the next one travels alone (A5).

/// Half of the default of `producer.id.expiration.ms` (1 day): the other half is for clocks that differ.
pub(crate) const KNOWN_MS: i64 = 12 * 3600 * 1000;
/// UNKNOWN_PRODUCER_ID, Kafka's word for a broker that no longer knows what a producer wrote.
pub(crate) const FORGOTTEN: i16 = 59;

/// Wall time, as the shell last told it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum WallClock {
    Unknown,
    /// Monotonic nanoseconds, and wall time then.
    Told(u64, i64),
    /// Within transactions nobody forgets, so no time passes.
    Stopped,
}

impl WallClock {
    pub(crate) fn tell(&mut self, now_ns: u64, wall_ms: i64) {
        if !matches!(self, WallClock::Stopped) {
            *self = WallClock::Told(now_ns, wall_ms);
        }
    }

    /// Wall time. While nobody knows it, so late that every record is old: that is the safe mistake.
    pub(crate) fn ms(self, now_ns: u64) -> i64 {
        match self {
            WallClock::Unknown => i64::MAX,
            WallClock::Stopped => i64::MIN,
            WallClock::Told(then_ns, wall_ms) => {
                let passed_ms = now_ns.saturating_sub(then_ns) / 1_000_000;
                wall_ms.saturating_add(i64::try_from(passed_ms).unwrap_or(i64::MAX))
            }
        }
    }
}

/// The date that a broker's knowledge of a batch counts from: the newest timestamp in it, or the time of its append
/// where the topic keeps that one (`message.timestamp.type`), which is not before the batch was first sent.
pub(crate) fn dated(newest_timestamp_ms: i64, first_sent_ms: i64) -> i64 {
    newest_timestamp_ms.min(first_sent_ms)
}

/// A broker may have forgotten what bears this date.
pub(crate) fn is_old(dated_ms: i64, wall_ms: i64) -> bool {
    wall_ms.saturating_sub(dated_ms) > KNOWN_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_old_after_half_of_what_brokers_wait() {
        let wall_ms = 1_700_000_000_000;
        assert!(!is_old(wall_ms - KNOWN_MS, wall_ms));
        assert!(is_old(wall_ms - KNOWN_MS - 1, wall_ms));
        assert!(is_old(-1, wall_ms), "no timestamp at all");
        assert_eq!(
            dated(i64::MAX, wall_ms),
            wall_ms,
            "a date in the future proves nothing"
        );
    }

    #[test]
    fn wall_time_goes_on_between_two_tellings() {
        let mut wall = WallClock::Unknown;
        assert!(is_old(i64::MAX - KNOWN_MS - 1, wall.ms(0)), "not told: old");
        wall.tell(5_000_000, 1_000);
        assert_eq!(wall.ms(7_999_999), 1_002);
        wall.tell(9_000_000, 400);
        assert_eq!(wall.ms(9_000_000), 400, "it steps");
        let mut stopped = WallClock::Stopped;
        stopped.tell(1, i64::MAX);
        let dated_ms = dated(0, stopped.ms(1));
        assert!(
            !is_old(dated_ms, stopped.ms(u64::MAX)),
            "within transactions nothing is old"
        );
    }
}
