//! A plan carried out: what each fault does to network, cluster and clients, and how all is healed.

use steadfast_broker::{Hook, Order, Stop, What, When};

use super::class::Class;
use super::network::Toward;
use super::plan::Kind;
use super::world::{Event, World, topics};
use super::{GROUP, MS, TOPIC};

/// GROUP and TRANSACTION of FindCoordinator.
const GROUP_COORDINATOR: i8 = 0;
const TRANSACTION: i8 = 1;

impl World<'_> {
    /// A fault begins, if it can.
    pub(crate) fn begin(&mut self, fault: usize) {
        if self.healed {
            return;
        }
        let (kind, for_ns) = (self.plan[fault].kind, self.plan[fault].for_ns);
        self.applied[fault] = self.strike(fault, kind);
        let applied = self.applied[fault];
        self.say(|| {
            format!(
                "begin {} {kind}: {}",
                kind.name(),
                if applied { "done" } else { "not possible" }
            )
        });
        if self.applied[fault] {
            self.schedule.at(self.now_ns + for_ns, Event::End { fault });
        }
    }

    fn strike(&mut self, fault: usize, kind: Kind) -> bool {
        if takes_nodes(kind) && self.is_guarded() {
            return false;
        }
        self.cuts += u32::from(matches!(kind, Kind::Split { .. } | Kind::Isolate { .. }));
        match kind {
            Kind::Cut { client, node } => self.network.cut(client, node, self.now_ns, &mut self.schedule),
            Kind::HoldRequests { .. }
            | Kind::HoldAnswers { .. }
            | Kind::Silence { .. }
            | Kind::Refuse { .. } => {
                self.path_fault(kind, true);
                true
            }
            Kind::KillHard { node } => self.order(Order::Kill {
                node,
                stop: Stop::Hard,
            }),
            Kind::KillClean { node } => self.order(Order::Kill {
                node,
                stop: Stop::Clean,
            }),
            Kind::PowerLoss { node } => self.power_loss(node),
            Kind::Pause { node } => self.order(Order::Pause { node }),
            Kind::Split { a, b } => self.order(Order::Cut { a, b }),
            Kind::Isolate { node } => self.isolate(node, true),
            Kind::Elect { partition, node } => self.order(Order::Elect {
                topic: TOPIC.into(),
                partition,
                node,
                unclean: false,
            }),
            Kind::ElectUnclean { partition, node } => self.order(Order::Elect {
                topic: TOPIC.into(),
                partition,
                node,
                unclean: true,
            }),
            Kind::Recreate => self.delete_topic(),
            Kind::Grow => self.grow_topic(),
            Kind::MoveCoordinator { client } => {
                let id = self.swarm.clients[client as usize].transactional_id.clone();
                if self.swarm.clients[client as usize].copies {
                    self.order(Order::MoveCoordinator {
                        key_type: GROUP_COORDINATOR,
                        key: GROUP.to_owned(),
                    });
                }
                id.is_some_and(|key| {
                    self.order(Order::MoveCoordinator {
                        key_type: TRANSACTION,
                        key,
                    })
                })
            }
            Kind::SlowNode { node, by_ns } => self.order(Order::Slow {
                node,
                delay_ns: by_ns,
            }),
            Kind::Quota {
                client,
                bytes_per_second,
            } => self.quota(client, Some(bytes_per_second)),
            Kind::HoldRequest { api_key, nth } => {
                self.hook(fault, (api_key, nth), When::BeforeEffect, What::Hold)
            }
            Kind::HoldAnswer { api_key, nth } => {
                self.hook(fault, (api_key, nth), When::AfterEffect, What::Hold)
            }
            Kind::DropAnswer { api_key, nth } => {
                self.hook(fault, (api_key, nth), When::AfterEffect, What::Drop)
            }
            Kind::Disconnect { api_key, nth, after } => {
                self.hook(fault, (api_key, nth), when(after), What::Disconnect)
            }
            Kind::Error {
                api_key,
                nth,
                code,
                after,
            } => self.hook(fault, (api_key, nth), when(after), What::AnswerError(code)),
            Kind::Crash { client } => {
                self.clients[client as usize].crash(self.now_ns, &mut self.network, &mut self.schedule)
            }
            Kind::Freeze { client } => {
                let was = std::mem::replace(&mut self.network.frozen[client as usize], true);
                !was
            }
            Kind::ClockStep { by_ms } => {
                self.wall_offset_ms += by_ms;
                true
            }
            Kind::TopicLimit { bytes } => self.topic_limit(Some(bytes)),
            Kind::SkipAnswer { client, node } => {
                self.network.path(client, node).skipped += 1;
                true
            }
        }
    }

    /// A fault ends.
    pub(crate) fn end(&mut self, fault: usize) {
        if self.healed {
            return;
        }
        let kind = self.plan[fault].kind;
        self.say(|| format!("end {} {kind}", kind.name()));
        self.cuts -= u32::from(matches!(kind, Kind::Split { .. } | Kind::Isolate { .. }));
        match kind {
            kind @ (Kind::HoldRequests { .. }
            | Kind::HoldAnswers { .. }
            | Kind::Silence { .. }
            | Kind::Refuse { .. }) => self.path_fault(kind, false),
            Kind::KillHard { node } | Kind::KillClean { node } => {
                self.order(Order::Start { node });
            }
            Kind::PowerLoss { node } => {
                self.dark.retain(|dark| *dark != node);
                self.order(Order::Start { node });
            }
            Kind::Pause { node } => {
                self.order(Order::Resume { node });
            }
            Kind::Split { a, b } => {
                self.order(Order::Mend { a, b });
            }
            Kind::Isolate { node } => {
                self.isolate(node, false);
            }
            Kind::SlowNode { node, .. } => {
                self.order(Order::Slow { node, delay_ns: 0 });
            }
            Kind::Quota { client, .. } => {
                self.quota(client, None);
            }
            Kind::HoldRequest { .. }
            | Kind::HoldAnswer { .. }
            | Kind::DropAnswer { .. }
            | Kind::Disconnect { .. }
            | Kind::Error { .. } => self.unhook(fault),
            Kind::Crash { client } => self.schedule.at(self.now_ns, Event::Start { client }),
            Kind::Freeze { client } => self.thaw(client),
            Kind::TopicLimit { .. } => {
                self.topic_limit(None);
            }
            Kind::SkipAnswer { client, node } => {
                let path = self.network.path(client, node);
                path.skipped = path.skipped.saturating_sub(1);
            }
            Kind::Recreate => self.create_topic(),
            Kind::Cut { .. }
            | Kind::Elect { .. }
            | Kind::ElectUnclean { .. }
            | Kind::MoveCoordinator { .. }
            | Kind::ClockStep { .. }
            | Kind::Grow => {}
        }
    }

    /// Everything works again from now on.
    pub(crate) fn heal(&mut self) {
        self.say(|| "healed".to_owned());
        for node in 1..=self.design.nodes {
            self.order(Order::Start { node });
            self.order(Order::Resume { node });
            self.order(Order::Slow { node, delay_ns: 0 });
            self.isolate(node, false);
        }
        self.dark.clear();
        self.create_topic();
        self.topic_limit(None);
        for fault in self.hooks.keys().copied().collect::<Vec<_>>() {
            self.unhook(fault);
        }
        for client in 0..self.design.clients {
            self.quota(client, None);
            for node in 1..=self.design.nodes {
                *self.network.path(client, node) = super::network::Path::default();
            }
            self.thaw(client);
            self.schedule.at(self.now_ns + MS, Event::Start { client });
        }
        self.healed = true;
    }

    fn order(&mut self, order: Order) -> bool {
        let now = self.now();
        self.model.order(order, now).is_ok()
    }

    fn path_fault(&mut self, kind: Kind, begins: bool) {
        let (client, node, held, refused) = match kind {
            Kind::HoldRequests { client, node } => (client, node, [1, 0], 0),
            Kind::HoldAnswers { client, node } => (client, node, [0, 1], 0),
            Kind::Silence { client, node } => (client, node, [1, 1], 0),
            Kind::Refuse { client, node } => (client, node, [0, 0], 1),
            _ => return,
        };
        let path = self.network.path(client, node);
        for toward in [Toward::Node as usize, Toward::Client as usize] {
            if begins {
                path.held[toward] += held[toward];
            } else {
                path.held[toward] = path.held[toward].saturating_sub(held[toward]);
            }
        }
        path.refused = if begins {
            path.refused + refused
        } else {
            path.refused.saturating_sub(refused)
        };
        if !begins {
            self.network.released(client, self.now_ns, &mut self.schedule);
        }
    }

    fn isolate(&mut self, node: i32, cut: bool) -> bool {
        for other in (1..=self.design.nodes).filter(|other| *other != node) {
            let order = if cut {
                Order::Cut { a: node, b: other }
            } else {
                Order::Mend { a: node, b: other }
            };
            self.order(order);
        }
        true
    }

    fn topic_limit(&mut self, bytes: Option<u64>) -> bool {
        self.order(Order::TopicConfig {
            topic: TOPIC.into(),
            name: "max.message.bytes".into(),
            value: bytes.map(|bytes| bytes.to_string()),
        })
    }

    fn quota(&mut self, client: u16, bytes_per_second: Option<u64>) -> bool {
        self.order(Order::Quota {
            client_id: format!("client-{client}"),
            bytes_per_second,
        })
    }

    fn hook(&mut self, fault: usize, (api_key, nth): (i16, u32), when: When, what: What) -> bool {
        let hook = Hook {
            node: None,
            api_key,
            nth,
            when,
            what,
        };
        let id = self.model.hook(hook);
        self.hooks.insert(fault, id);
        true
    }

    fn unhook(&mut self, fault: usize) {
        if let Some(id) = self.hooks.remove(&fault) {
            let now = self.now();
            self.model.release(id, now);
        }
    }

    fn thaw(&mut self, client: u16) {
        self.network.frozen[client as usize] = false;
        self.network.released(client, self.now_ns, &mut self.schedule);
    }

    /// Acknowledged records must survive the plug: every partition needs a companion in sync that is well, and stays so
    /// until the controller has taken the node out of the ISR. Else the node could be the last of the ISR, lead again, and
    /// know less than it acknowledged: Kafka loses records then (KIP-966), and no producer can help it.
    fn power_loss(&mut self, node: i32) -> bool {
        let unclean = self.swarm.class == Class::Unclean;
        let well = |other: &i32| *other != node && self.model.is_serving(*other);
        let companion = topics(self.swarm.class).iter().all(|topic| {
            (0..self.lives.partitions).all(|partition| {
                let state = self.model.partition(topic, partition);
                state.is_some_and(|state| state.isr.iter().any(well))
            })
        });
        if !unclean && (self.cuts > 0 || !companion) {
            return false;
        }
        if unclean {
            // It may lead again, and nothing will show that it knows less than before.
            self.doubtful.extend(0..self.lives.partitions);
        }
        self.dark.push(node);
        let lost = self.order(Order::Kill {
            node,
            stop: Stop::PowerLoss,
        });
        if lost && !unclean {
            self.suspect = Some((node, self.now_ns));
        } else if !lost {
            self.dark.retain(|dark| *dark != node);
        }
        lost
    }

    /// A node that lost power may still be in the ISR: whoever else is there must stay.
    fn is_guarded(&self) -> bool {
        let session_ns = self.swarm.settings.session_timeout_ms as u64 * MS + MS;
        self.suspect
            .is_some_and(|(node, at_ns)| self.now_ns < at_ns + session_ns && !self.model.is_serving(node))
    }
}

/// It can take a node out of the ISR.
fn takes_nodes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::KillHard { .. }
            | Kind::KillClean { .. }
            | Kind::PowerLoss { .. }
            | Kind::Pause { .. }
            | Kind::Split { .. }
            | Kind::Isolate { .. }
    )
}

fn when(after: bool) -> When {
    if after {
        When::AfterEffect
    } else {
        When::BeforeEffect
    }
}
