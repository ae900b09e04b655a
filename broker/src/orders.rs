//! Orders carried out; what they may be stands in order.rs.

use crate::model::{Model, Now};
use crate::order::{Order, OrderError};
use crate::replica::View;
use crate::store::Store;
use crate::topics::Wanted;

impl<S: Store> Model<S> {
    /// Does something to the cluster. An error changes nothing.
    pub fn order(&mut self, order: Order, now: Now) -> Result<(), OrderError> {
        self.advance(now);
        let done = self.carry_out(order);
        self.serve_ready();
        done
    }

    fn carry_out(&mut self, order: Order) -> Result<(), OrderError> {
        match order {
            Order::Kill { node, stop } => self.kill(node, stop),
            Order::Start { node } => self.start(node),
            Order::Pause { node } => self.pause(node),
            Order::Resume { node } => self.resume(node),
            Order::Cut { a, b } => self.cut(a, b, true),
            Order::Mend { a, b } => self.cut(a, b, false),
            Order::Slow { node, delay_ns } => {
                self.node_mut(node).ok_or(OrderError::NoNode(node))?.slow_ns = delay_ns;
                Ok(())
            }
            Order::Elect {
                topic,
                partition,
                node,
                unclean,
            } => self.elect(topic, partition, node, unclean),
            Order::MoveCoordinator { key_type, key } => {
                self.move_seat(key_type, &key);
                Ok(())
            }
            Order::Quota {
                client_id,
                bytes_per_second,
            } => {
                self.quotas.set(client_id, bytes_per_second);
                Ok(())
            }
            Order::TopicConfig { topic, name, value } => kafka(self.set_topic_config(&topic, &name, value)),
            Order::CreateTopic {
                name,
                partitions,
                replication_factor,
                configs,
            } => {
                let wanted = Wanted {
                    name,
                    partitions,
                    replication_factor,
                    assignments: Vec::new(),
                    configs,
                };
                kafka(self.create_topic(wanted, false).map(|_| ()))
            }
            Order::GrowTopic { name, partitions } => kafka(self.grow(&name, partitions, None, false)),
            Order::DeleteTopic { name } => kafka(self.delete_topic(&name)),
        }
    }

    fn elect(&mut self, topic: String, partition: i32, node: i32, unclean: bool) -> Result<(), OrderError> {
        let Some(at) = self.topics.partition(&topic, partition) else {
            return Err(OrderError::NoPartition { topic, partition });
        };
        let found = &self.partitions[at];
        let in_sync = found.decided.isr.contains(&node);
        let live = self.node(node).is_some_and(|node| !node.fenced && node.accepts());
        let why = if found.replica(node).is_none() {
            Some("it has no replica")
        } else if !live {
            Some("it is not alive")
        } else if !in_sync && !unclean {
            Some("it is not in sync, and the election is clean")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(OrderError::NoLeader {
                node,
                topic,
                partition,
                why,
            });
        }
        let isr = if in_sync {
            found.decided.isr.clone()
        } else {
            vec![node]
        };
        let epoch = found.decided.epoch + 1;
        self.decide(
            at,
            View {
                leader: node,
                epoch,
                isr,
            },
        );
        Ok(())
    }
}

fn kafka(done: Result<(), (i16, String)>) -> Result<(), OrderError> {
    done.map_err(|(code, why)| OrderError::Kafka { code, why })
}
