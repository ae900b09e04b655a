//! Loss, duplication and order, whatever happens to requests and connections.

use proptest::prelude::*;

use super::script::{Fault, MS};
use super::{append_dated, check, script};

const HOUR_MS: i64 = 3_600_000;

#[derive(Debug, Clone)]
enum Step {
    Append {
        partition: i32,
        records: usize,
        age_ms: i64,
    },
    Pass {
        us: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    // Some are so old that a broker may soon forget its producer by them (A11).
    let age_ms = prop_oneof![3 => Just(0), 1 => Just(11 * HOUR_MS)];
    prop_oneof![
        3 => (0..2, 1..40_usize, age_ms).prop_map(|(partition, records, age_ms)| Step::Append { partition, records, age_ms }),
        2 => (0..2000_u64).prop_map(|us| Step::Pass { us }),
        1 => (1000..3_000_000_u64).prop_map(|us| Step::Pass { us }),
        1 => (1..30_u64).prop_map(|hours| Step::Pass { us: hours * HOUR_MS as u64 * 1000 }),
    ]
}

fn fault() -> impl Strategy<Value = Fault> {
    let which = 0..4_usize;
    prop_oneof![
        6 => Just(Fault::None),
        2 => (which.clone(), prop::sample::select(vec![3, 5, 6, 19, 74])).prop_map(|(which, code)| Fault::Refuse { which, code }),
        1 => (which.clone(), prop::sample::select(vec![10, 87, 17, 29])).prop_map(|(which, code)| Fault::Refuse { which, code }),
        2 => (which, prop::sample::select(vec![7, 13, 20, 56, -1])).prop_map(|(which, code)| Fault::WriteThen { which, code }),
        1 => Just(Fault::CutBefore),
        2 => Just(Fault::CutAfter),
        1 => (1..3000_u64).prop_map(|ms| Fault::Late { ms }),
        1 => Just(Fault::Silent),
        1 => (1..5000_u64).prop_map(|ms| Fault::Restart { ms }),
        2 => any::<bool>().prop_map(|lose_tail| Fault::Move { lose_tail }),
        1 => (1..500_i32).prop_map(|ms| Fault::Throttle { ms }),
        1 => Just(Fault::Garbage),
    ]
}

fn properties(delivery_ms: u64) -> Vec<(&'static str, String)> {
    vec![
        ("request.timeout.ms", "2000".to_owned()),
        ("delivery.timeout.ms", delivery_ms.to_string()),
        ("batch.size", "200".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    /// Every record gets one outcome; the log holds all acked and some unknown ones, once each, in order.
    #[test]
    fn nothing_is_lost_doubled_or_reordered(
        steps in prop::collection::vec(step(), 1..30),
        faults in prop::collection::vec(fault(), 0..25),
        nodes in 1..3_i32,
        in_flight in 1..6_usize,
        produce in 9..14_i16,
        delivery_ms in prop::sample::select(vec![2500, 120_000]),
        first_epoch in prop_oneof![8 => Just(0), 1 => Just(i16::MAX - 1), 1 => Just(i16::MAX)],
        seed in any::<u64>(),
    ) {
        let mut settings = properties(delivery_ms);
        settings.push(("max.in.flight.requests.per.connection", in_flight.to_string()));
        let mut script = script(&settings, nodes, 2, seed);
        script.newest_produce = produce;
        script.next_epoch = first_epoch;
        script.run_for(1000 * MS);
        script.faults = faults.into();
        let mut next_id = 0;
        for step in steps {
            match step {
                Step::Append { partition, records, age_ms } => {
                    let dated_ms = script.wall_ms() - age_ms;
                    next_id = append_dated(&mut script, partition, next_id, records, dated_ms);
                }
                Step::Pass { us } => script.run_for(us * 1000),
            }
        }
        // The faults run out with the requests; then everything must settle within a few timeouts.
        script.run_for(600_000 * MS);
        prop_assert_eq!(script.sender.pending(), 0, "records without an outcome although all is well");
        // Without a next epoch what was UNKNOWN and is refused for good may stop its partition.
        if first_epoch == 0 {
            prop_assert_eq!(script.sender.metrics().partitions_stopped_total, 0, "stopped without need");
        }
        check(&mut script);
    }
}
