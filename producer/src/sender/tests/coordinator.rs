//! The scripted cluster's transaction coordinator, and a group coordinator beside it.
//!
//! As measured on Kafka 4.1.0 with one transactional id: InitProducerId plain and with what is known (KIP-360), both
//! protocol versions, EndTxn said again (M14), markers that take their time (51), an open transaction that is timed out
//! and its epoch raised, a fresh id once the epochs are used up.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

use super::log::{Log, Stamp};

/// The last epoch that a producer gets; then comes a fresh id.
pub(super) const LAST_EPOCH: i16 = 32_766;

/// What happens to a question. Codes leave everything as it was, unless they say otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Trouble {
    None,
    /// Not done, this code.
    Refuse(i16),
    /// Done, and this code all the same.
    DoneThen(i16),
    /// The connection is cut before it was read, or after it was done.
    CutBefore,
    CutAfter,
    /// The connection is cut, and it is done only later.
    Late {
        ms: u64,
    },
    /// Done, and never answered.
    Silent,
    /// Another node is the coordinator from now on; this one says so.
    Move,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum State {
    Empty,
    Ongoing,
    /// Markers are written at that time.
    Prepared {
        commit: bool,
        at_ns: u64,
    },
    Complete {
        commit: bool,
    },
}

/// A question that reached a coordinator.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Question {
    pub(super) at_ns: u64,
    pub(super) api: ApiKey,
    pub(super) version: i16,
    /// Id and epoch that it named.
    pub(super) identity: (i64, i16),
    /// What an EndTxn said.
    pub(super) commit: bool,
}

pub(super) struct Coordinator {
    /// The finalized feature `transaction.version`.
    pub(super) level: i16,
    pub(super) newest_init: i16,
    /// Where the two coordinators are.
    pub(super) node: i32,
    pub(super) group_node: i32,
    pub(super) identity: (i64, i16),
    last: (i64, i16),
    pub(super) state: State,
    partitions: BTreeSet<usize>,
    /// The id whose markers are written next.
    marked_id: i64,
    begun_ns: u64,
    /// How long markers take, and how long a transaction may stay open.
    pub(super) markers_ns: u64,
    pub(super) timeout_ns: u64,
    /// Offsets of the group, committed and waiting for the transaction's end.
    pub(super) committed: BTreeMap<(String, i32), i64>,
    waiting: BTreeMap<(String, i32), i64>,
    /// Transactions that ended, oldest first: committed or not.
    pub(super) ends: Vec<bool>,
    pub(super) asked: Vec<Question>,
    /// For the next question of that kind.
    pub(super) trouble: VecDeque<(ApiKey, Trouble)>,
    /// Done later.
    pub(super) late: Vec<(u64, ApiKey, i16, Bytes)>,
}

impl Coordinator {
    pub(super) fn new() -> Coordinator {
        Coordinator {
            level: 0,
            newest_init: 5,
            node: 0,
            group_node: 0,
            identity: (-1, -1),
            last: (-1, -1),
            state: State::Empty,
            partitions: BTreeSet::new(),
            marked_id: -1,
            begun_ns: 0,
            markers_ns: 0,
            timeout_ns: u64::MAX,
            committed: BTreeMap::new(),
            waiting: BTreeMap::new(),
            ends: Vec::new(),
            asked: Vec::new(),
            trouble: VecDeque::new(),
            late: Vec::new(),
        }
    }

    pub(super) fn trouble_for(&mut self, api: ApiKey) -> Trouble {
        let place = self.trouble.iter().position(|(of, _)| *of == api);
        place
            .and_then(|place| self.trouble.remove(place))
            .map_or(Trouble::None, |(_, trouble)| trouble)
    }

    /// What time does by itself: transactions are timed out, markers are written.
    pub(super) fn pass(&mut self, now_ns: u64, logs: &mut [Log]) {
        let due_ns = self.begun_ns.saturating_add(self.timeout_ns);
        if self.state == State::Ongoing && due_ns <= now_ns {
            self.fence(due_ns);
        }
        if let State::Prepared { commit, at_ns } = self.state
            && at_ns <= now_ns
        {
            for partition in std::mem::take(&mut self.partitions) {
                logs[partition].mark(self.marked_id, commit);
            }
            let waiting = std::mem::take(&mut self.waiting);
            if commit {
                self.committed.extend(waiting);
            }
            self.ends.push(commit);
            self.state = State::Complete { commit };
        }
    }

    fn fence(&mut self, now_ns: u64) {
        self.last = self.identity;
        self.marked_id = self.identity.0;
        self.identity.1 += 1;
        self.state = State::Prepared {
            commit: false,
            at_ns: now_ns.saturating_add(self.markers_ns),
        };
    }

    pub(super) fn init(&mut self, known: (i64, i16), fresh_id: i64, now_ns: u64) -> (i16, (i64, i16)) {
        const NOBODY: (i64, i16) = (-1, -1);
        let plain = known == NOBODY;
        let exhausted_before = known == self.last && known.1 == LAST_EPOCH;
        if !plain && self.identity != NOBODY && known.0 != self.identity.0 && !exhausted_before {
            return (90, NOBODY);
        }
        match self.state {
            State::Prepared { .. } => return (51, NOBODY),
            State::Ongoing => {
                if !plain && known != self.identity {
                    return (90, NOBODY);
                }
                self.fence(now_ns);
                return (51, NOBODY);
            }
            State::Empty | State::Complete { .. } => {}
        }
        if self.identity == NOBODY {
            self.identity = (fresh_id, 0);
            self.last = NOBODY;
        } else if !plain && known == self.last {
            // Said again, or timed out meanwhile: the epoch was raised before.
        } else if !plain && known != self.identity {
            return (90, NOBODY);
        } else {
            self.last = if plain { NOBODY } else { self.identity };
            self.raise(fresh_id);
        }
        self.state = State::Empty;
        (0, self.identity)
    }

    fn raise(&mut self, fresh_id: i64) {
        if self.identity.1 >= LAST_EPOCH {
            self.identity = (fresh_id, 0);
        } else {
            self.identity.1 += 1;
        }
    }

    /// AddPartitionsToTxn, AddOffsetsToTxn, and what Produce v12 and TxnOffsetCommit v5 do by themselves.
    pub(super) fn join(&mut self, identity: (i64, i16), partition: Option<usize>, now_ns: u64) -> i16 {
        if identity.0 != self.identity.0 {
            return 49;
        }
        if identity != self.identity {
            return 90;
        }
        if matches!(self.state, State::Prepared { .. }) {
            return 51;
        }
        if self.state != State::Ongoing {
            self.begun_ns = now_ns;
        }
        self.state = State::Ongoing;
        self.partitions.extend(partition);
        0
    }

    /// May this batch be appended?
    pub(super) fn lets_in(&mut self, stamp: &Stamp, partition: usize, version: i16, now_ns: u64) -> i16 {
        let identity = (stamp.producer_id, stamp.epoch);
        if version >= 12 {
            return match self.join(identity, Some(partition), now_ns) {
                90 => 47,
                code => code,
            };
        }
        match self.state {
            _ if identity.0 != self.identity.0 => 49,
            _ if identity != self.identity => 47,
            State::Ongoing if self.partitions.contains(&partition) => 0,
            State::Prepared { .. } => 51,
            _ => 48,
        }
    }

    pub(super) fn commit_offsets(
        &mut self,
        identity: (i64, i16),
        version: i16,
        offsets: Vec<((String, i32), i64)>,
        now_ns: u64,
    ) -> i16 {
        let code = if version >= 5 {
            self.join(identity, None, now_ns)
        } else {
            match self.state {
                State::Ongoing if identity == self.identity => 0,
                _ => 47,
            }
        };
        if code == 0 {
            self.waiting.extend(offsets);
        }
        if code == 90 { 47 } else { code }
    }

    /// Code, and the identity to go on with.
    pub(super) fn end(
        &mut self,
        identity: (i64, i16),
        commit: bool,
        version: i16,
        fresh_id: i64,
        now_ns: u64,
    ) -> (i16, (i64, i16)) {
        const NONE: (i64, i16) = (-1, -1);
        let v2 = version >= 5;
        let again = v2 && identity == self.last;
        if identity.0 != self.identity.0 && !again {
            return (49, NONE);
        }
        if identity != self.identity && !again {
            return (90, NONE);
        }
        match self.state {
            State::Ongoing if again => (90, NONE),
            State::Ongoing => {
                self.marked_id = self.identity.0;
                self.state = State::Prepared {
                    commit,
                    at_ns: now_ns.saturating_add(self.markers_ns),
                };
                if v2 {
                    self.last = self.identity;
                    self.raise(fresh_id);
                }
                (0, self.identity)
            }
            State::Prepared { commit: was, .. } if was == commit || (v2 && !again) => (51, NONE),
            State::Complete { commit: was } if was == commit && (again || !v2) => (0, self.identity),
            State::Empty | State::Complete { .. } if v2 && !again && !commit => {
                self.last = self.identity;
                self.raise(fresh_id);
                self.state = State::Complete { commit: false };
                (0, self.identity)
            }
            _ => (48, NONE),
        }
    }
}
