//! Random faults, then quiet: what was acknowledged with acks=-1 is in the log, and all replicas are the same again.

use kafka_protocol::messages::ProduceRequest;

use crate::random::Random;
use crate::testing::*;
use crate::{ConnectionId, Order, OrderError, Stop};

/// Steps of one storm.
const STEPS: u64 = 80;
/// Storms.
const SEEDS: u64 = 60;

struct Storm {
    world: World,
    random: Random,
    /// Requests under way: who asked, and for which producer id.
    asked: Vec<(ConnectionId, i64)>,
    /// Offsets and producer ids of acknowledged batches.
    acked: Vec<(i64, i64)>,
    next: i64,
}

impl Storm {
    fn step(&mut self) {
        let node = 1 + self.random.below(3) as i32;
        let other = 1 + self.random.below(3) as i32;
        match self.random.below(20) {
            0 => self.try_order(Order::Kill {
                node,
                stop: Stop::Hard,
            }),
            1 => self.try_order(Order::Kill {
                node,
                stop: Stop::Clean,
            }),
            2..=4 => self.try_order(Order::Start { node }),
            5 => self.try_order(Order::Pause { node }),
            6 | 7 => self.try_order(Order::Resume { node }),
            8 => self.try_order(Order::Cut { a: node, b: other }),
            9 | 10 => self.try_order(Order::Mend { a: node, b: other }),
            11 => {
                let topic = TOPIC.to_owned();
                self.try_order(Order::Elect {
                    topic,
                    partition: 0,
                    node,
                    unclean: false,
                });
            }
            _ => self.produce(node),
        }
        let ms = self.random.below(1_500);
        self.world.run(ms);
        self.harvest();
    }

    fn try_order(&mut self, order: Order) {
        match self.world.model.order(order, self.world.now) {
            Ok(()) | Err(OrderError::Node { .. } | OrderError::NoLeader { .. }) => {}
            Err(error) => panic!("{error}"),
        }
        self.world.collect();
    }

    /// To any node: the leader, one that believes to lead, or one that refuses.
    fn produce(&mut self, node: i32) {
        let connection = self.world.connect(node);
        let id = self.next;
        self.next += 1;
        let request = produce_request(None, -1, numbered((id, 0), 0, 1).bytes()).with_timeout_ms(30_000);
        self.world.send(connection, 9, &request);
        self.asked.push((connection, id));
    }

    fn harvest(&mut self) {
        for (connection, id) in self.asked.clone() {
            let Some(answer) = self.world.answer::<ProduceRequest>(connection, 9) else {
                continue;
            };
            self.asked.retain(|(asked, _)| *asked != connection);
            let partition = &answer.responses[0].partition_responses[0];
            if partition.error_code == 0 {
                self.acked.push((partition.base_offset, id));
            }
        }
    }
}

fn storm(seed: u64) -> usize {
    let mut storm = Storm {
        world: World::new(three_nodes()),
        random: Random::new(seed),
        asked: Vec::new(),
        acked: Vec::new(),
        next: 1_000,
    };
    for _ in 0..STEPS {
        storm.step();
    }
    for node in 1..=3 {
        storm.try_order(Order::Resume { node });
        storm.try_order(Order::Start { node });
        for other in 1..=3 {
            storm.try_order(Order::Mend { a: node, b: other });
        }
    }
    storm.world.run(60_000);
    storm.harvest();
    let state = storm.world.state();
    assert_eq!(state.isr, [1, 2, 3], "seed {seed}");
    assert_eq!(state.high_watermark, state.log_end, "seed {seed}");
    assert!(
        state.committed <= state.log_end,
        "seed {seed}: committed records are gone"
    );
    let replicas = &storm.world.model.partitions[0].replicas;
    assert!(
        replicas.iter().all(|replica| replica.runs == replicas[0].runs),
        "seed {seed}"
    );
    assert!(
        replicas
            .iter()
            .all(|replica| replica.high_watermark == state.log_end),
        "seed {seed}"
    );
    assert!(storm.world.model.waiting.is_empty(), "seed {seed}");
    let log: Vec<(i64, i64)> = storm
        .world
        .model
        .batches(TOPIC, 0)
        .map(|batch| (batch.base_offset, batch.producer_id))
        .collect();
    for acked in &storm.acked {
        assert!(
            log.contains(acked),
            "seed {seed}: {acked:?} was acknowledged and is not in the log"
        );
    }
    storm.acked.len()
}

#[test]
fn what_is_acknowledged_survives_every_storm() {
    let acked: usize = (0..SEEDS).map(storm).sum();
    assert!(
        acked > 200,
        "only {acked} batches were acknowledged: the storms prove little"
    );
}
