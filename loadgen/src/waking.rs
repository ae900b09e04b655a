//! Pure: when the worker wakes and when it hands records over. On two cores every wake-up of the load generator is
//! stolen from the broker that it measures, and a wake-up a record would be 25,000 a second.
//!
//! ```text
//! due        | | | | | | | | | | | | |         a record each 40 us
//! wake       ^       ^                ^        no sooner than WAKE_GAP after the last one, and only if something is due
//! ack            ^           ^                 wakes anyway: hands over what is due, and the gap counts from here
//! request    |---|       |---|                 while one is out the ack will wake us: no other wake within ANSWER_PATIENCE
//! ```
//!
//! A record that waits for the next wake pays for it in its own latency, since that counts from its due time.

/// Shortest time from one wake to the next that the worker chooses itself, ns. Measured against a real broker: a longer
/// gap saves broker CPU (fewer, larger requests) and costs half of itself in p50; below 100 us nothing is won.
pub const WAKE_GAP_NS: u64 = 100_000;

/// Shortest time between two hand-overs, ns. An acknowledgement that arrives sooner is booked, and what is due then
/// waits for the gap to pass: a broker that answers in 50 µs is not asked 20,000 times a second. Where an answer takes
/// longer than this, answers alone set the pace. Measured at 25,000/s in turn, 20 s each, on a quiet two-core guest shared
/// with the broker, answers in 60-110 µs:
///
/// | gap, µs | p50, µs | p99, ms | client, % of a core |
/// |---|---|---|---|
/// | 0 | 130, 137 | 1.12, 1.28 | 31 |
/// | 150 | 210, 218 | 0.89, 1.08 | 19 |
/// | 250 | 233, 237 | 0.66, 0.68 | 16 |
/// | 300 | 266, 271, 274 | 0.79, 0.83, 1.27 | 14 |
/// | 350 | 289, 297 | 0.70, 0.81 | 12 |
/// | 400 | 314, 318 | 0.68, 0.71 | 10 |
///
/// Below 300 µs the generator waited for a core 5 to 6.4 % of the time in half of the runs, which leaves their latency
/// unproven (H1); from there on in none.
pub const HANDOVER_GAP_NS: u64 = 350_000;

/// While the producer waits for an answer, how long what is due waits for it too before it is handed over, ns. What was
/// handed over sooner could only wait in the producer, and the wake for it would come on top of the answer's: two wakes a
/// request cost 31 % of a core at 25,000 records/s and let the generator wait for a core 7 % of the time, one costs 24 %
/// and 1 %. Some usual round trips: longer only if the broker stands still, and then records are handed over anyhow.
pub(crate) const ANSWER_PATIENCE_NS: u64 = 1_000_000;

/// From this `linger.ms` on, hand-overs keep the linger's own grid, ns.
pub const COARSE_LINGER_NS: u64 = 1_000_000;

/// How long a progress line may wait for a wake that is made for a better reason, ns.
const PROGRESS_PATIENCE_NS: u64 = 250_000_000;

/// The two gaps and what they are counted from.
#[derive(Debug, Clone, Copy)]
pub struct Waking {
    wake_gap_ns: u64,
    handover_gap_ns: u64,
    woke_ns: u64,
    handed_over_ns: u64,
}

impl Waking {
    /// Nothing happened yet.
    pub fn new(wake_gap_ns: u64, handover_gap_ns: u64) -> Waking {
        Waking {
            wake_gap_ns,
            handover_gap_ns,
            woke_ns: 0,
            handed_over_ns: 0,
        }
    }

    /// The thread runs again, whatever woke it. True when what is due is to be handed over now.
    pub fn woke(&mut self, now_ns: u64) -> bool {
        self.woke_ns = now_ns;
        now_ns >= self.handed_over_ns.saturating_add(self.handover_gap_ns)
    }

    /// A run of records was handed over.
    pub fn handed_over(&mut self, now_ns: u64) {
        self.handed_over_ns = now_ns;
    }

    /// When to wake if nothing happens before. `next_due`: the oldest record that could be handed over; none when there
    /// is none or no room for it, so that only an acknowledgement can help. `answer_owed`: an acknowledgement will wake
    /// us. `progress_ns`: when the next line is due.
    pub fn next_wake(&self, next_due: Option<u64>, answer_owed: bool, progress_ns: u64) -> u64 {
        let progress = progress_ns.saturating_add(PROGRESS_PATIENCE_NS);
        let Some(due) = next_due else { return progress };
        let patience = if answer_owed {
            self.handover_gap_ns.max(ANSWER_PATIENCE_NS)
        } else {
            self.handover_gap_ns
        };
        due.max(self.woke_ns.saturating_add(self.wake_gap_ns))
            .max(self.handed_over_ns.saturating_add(patience))
            .min(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: u64 = u64::MAX;

    #[test]
    fn sleeps_until_the_next_due_record_and_never_wakes_for_nothing() {
        let mut waking = Waking::new(100, 0);
        assert!(waking.woke(1000));
        assert_eq!(waking.next_wake(Some(5000), false, FAR), 5000);
        assert_eq!(waking.next_wake(None, false, 7000), 7000 + PROGRESS_PATIENCE_NS);
    }

    #[test]
    fn at_high_rates_the_gap_counts_from_the_last_wake_of_any_cause() {
        let mut waking = Waking::new(100, 0);
        waking.woke(1000);
        assert_eq!(waking.next_wake(Some(1040), false, FAR), 1100);
        // An acknowledgement wakes in between: everything due goes out, and the gap begins anew.
        assert!(waking.woke(1070));
        waking.handed_over(1070);
        assert_eq!(waking.next_wake(Some(1080), false, FAR), 1170);
    }

    #[test]
    fn a_hand_over_gap_makes_a_grid_that_acknowledgements_do_not_break() {
        let mut waking = Waking::new(100, 300);
        assert!(waking.woke(1000));
        waking.handed_over(1000);
        assert_eq!(waking.next_wake(Some(1040), false, FAR), 1300);
        assert!(!waking.woke(1120));
        assert_eq!(waking.next_wake(Some(1040), false, FAR), 1300);
        assert!(waking.woke(1300));
    }

    #[test]
    fn while_an_answer_is_owed_it_alone_wakes_us_unless_it_stays_away() {
        let mut waking = Waking::new(100, 300);
        waking.woke(1000);
        waking.handed_over(1000);
        assert_eq!(waking.next_wake(Some(1040), true, FAR), 1000 + ANSWER_PATIENCE_NS);
        // It comes after the gap: everything due goes out at once, and one wake has done for both.
        assert!(waking.woke(1350));
        // It came before the gap was over: what is due waits for the rest of it.
        waking.handed_over(1350);
        assert!(!waking.woke(1500));
        assert_eq!(waking.next_wake(Some(1390), false, FAR), 1650);
    }
}
