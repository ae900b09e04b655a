//! The connections of their own that transactions have: one to the transaction coordinator, one to a group's.
//!
//! ```text
//!   wanted ─► FindCoordinator (on the control connection) ─► connect ─► one question at a time
//!     ▲                                                                       │
//!     └──── backoff ◄──── 15, 16, connection lost or refused, no answer ◄─────┘
//! ```
//!
//! An answer of the coordinator never waits behind a Produce request, whose answer waits for replicas.

use kafka_protocol::messages::{FindCoordinatorRequest, FindCoordinatorResponse};

use super::requests::{self, Meaning, Question, TransactionVersions};
use super::{Sender, State};
use crate::error::{Fatal, error_name};
use crate::sender::events::decode;
use crate::sender::link::{Address, Asked, Link, State as LinkState};

/// Links of the coordinators. Link 0 is the control connection.
const TRANSACTION_LINK: usize = 1;
const GROUP_LINK: usize = 2;
/// Not connected yet.
const NOWHERE: Address = Address {
    host: String::new(),
    port: 0,
};

/// One coordinator: known, or being searched.
#[derive(Debug)]
pub(super) struct Coordinator {
    key: String,
    key_type: i8,
    known: bool,
    not_before_ns: u64,
    failures: u32,
}

impl Coordinator {
    pub(super) fn of_transactions(id: &str) -> Coordinator {
        Coordinator {
            key: id.to_owned(),
            key_type: requests::TRANSACTION_KEY,
            known: false,
            not_before_ns: 0,
            failures: 0,
        }
    }

    /// Of no group yet.
    pub(super) fn of_groups() -> Coordinator {
        Coordinator {
            key_type: requests::GROUP_KEY,
            ..Coordinator::of_transactions("")
        }
    }
}

/// The links that a transactional producer has from the start.
pub(in crate::sender) fn links() -> impl Iterator<Item = Link> {
    [TRANSACTION_LINK, GROUP_LINK].into_iter().map(|_| {
        let mut link = Link::new(None, NOWHERE);
        link.wanted = false;
        link
    })
}

/// The link on which a question is asked.
pub(super) fn link_of(question: Question) -> usize {
    match question {
        Question::FindCoordinator | Question::FindGroup => 0,
        Question::CommitOffsets => GROUP_LINK,
        _ => TRANSACTION_LINK,
    }
}

impl Sender {
    /// When FindCoordinator is due: never while nobody wants it.
    pub(in crate::sender) fn search_due_ns(&self) -> u64 {
        self.search().map_or(u64::MAX, |(_, due_ns)| due_ns)
    }

    /// The coordinator to look for, and when.
    pub(super) fn search(&self) -> Option<(Question, u64)> {
        let transactions = self.transactions.as_ref()?;
        let question = transactions.next_question();
        let wanted = transactions.state != State::Uninitialized || transactions.init.is_some();
        if wanted && !transactions.coordinator.known {
            Some((Question::FindCoordinator, transactions.coordinator.not_before_ns))
        } else if question == Some(Question::CommitOffsets) && !transactions.group.known {
            Some((Question::FindGroup, transactions.group.not_before_ns))
        } else {
            None
        }
    }

    /// Asks for the coordinator, on the control connection, which is free.
    pub(in crate::sender) fn find_coordinator(&mut self, now_ns: u64) {
        let (Some((question, _)), Some(transactions)) = (self.search(), &self.transactions) else {
            return;
        };
        let coordinator = match question {
            Question::FindGroup => &transactions.group,
            _ => &transactions.coordinator,
        };
        let versions = self.links[0].versions();
        let Some(version) = versions.and_then(|versions| versions.transactions.find_coordinator) else {
            let address = self.links[0].address.to_string();
            return self.lacks(question, &address);
        };
        let request = requests::find_coordinator(&coordinator.key, coordinator.key_type, version);
        let asked = Asked::Transaction(question, version);
        self.ask(0, asked, now_ns, requests::encoder(request));
    }

    pub(super) fn coordinator_answered(
        &mut self,
        question: Question,
        version: i16,
        frame: &[u8],
        now_ns: u64,
    ) -> Result<(), String> {
        let response = decode::<FindCoordinatorRequest>(version, frame)?;
        let (code, host, port) = found(&response);
        let told = u16::try_from(port).ok().filter(|port| *port > 0);
        let address = told.map(|port| Address { host, port });
        match (code, address) {
            (0, Some(address)) => self.coordinator_found(question, address, now_ns),
            (0, None) => self.search_failed(question, now_ns),
            _ => match requests::meaning(question, code) {
                Meaning::Fatal => self.transaction_fatal(code),
                Meaning::Abort => self.transaction_failed(code, super::Repair::End, now_ns),
                _ => self.search_failed(question, now_ns),
            },
        }
        Ok(())
    }

    fn coordinator_found(&mut self, question: Question, address: Address, now_ns: u64) {
        let index = if question == Question::FindGroup {
            GROUP_LINK
        } else {
            TRANSACTION_LINK
        };
        let moved = self.links[index].address != address;
        if moved && self.links[index].state != LinkState::Idle {
            self.break_link(index, "the coordinator moved", now_ns);
        }
        let link = &mut self.links[index];
        link.wanted = true;
        if moved {
            link.address = address;
            link.not_before_ns = now_ns;
        }
        if let Some(transactions) = &mut self.transactions {
            match question {
                Question::FindGroup => transactions.group.known = true,
                _ => transactions.coordinator.known = true,
            }
        }
    }

    /// Looks again after a backoff.
    pub(super) fn search_failed(&mut self, question: Question, now_ns: u64) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let coordinator = match question {
            Question::FindGroup | Question::CommitOffsets => &mut transactions.group,
            _ => &mut transactions.coordinator,
        };
        coordinator.known = false;
        coordinator.failures = coordinator.failures.saturating_add(1);
        let wait_ns = self
            .settings
            .retry_backoff
            .wait_ns(coordinator.failures, &mut self.rng);
        coordinator.not_before_ns = now_ns.saturating_add(wait_ns);
    }

    /// The coordinator gave an answer that shows that it is one.
    pub(super) fn coordinator_works(&mut self, question: Question) {
        if let Some(transactions) = &mut self.transactions {
            transactions.attempts = 0;
            transactions.retry_at_ns = 0;
            match question {
                Question::CommitOffsets => transactions.group.failures = 0,
                _ => transactions.coordinator.failures = 0,
            }
        }
    }

    /// A connection is gone. If it was a coordinator's and not merely idle, the coordinator may have moved.
    pub(in crate::sender) fn coordinator_disconnected(&mut self, index: usize, idle: bool, now_ns: u64) {
        if self.transactions.is_none() || idle {
            return;
        }
        match index {
            TRANSACTION_LINK => self.search_failed(Question::FindCoordinator, now_ns),
            GROUP_LINK => self.search_failed(Question::FindGroup, now_ns),
            _ => {}
        }
    }

    /// The group whose offsets are committed next has this coordinator; another group's is of no use.
    pub(super) fn aim_at_group(&mut self) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        if let Some(front) = transactions.offsets.front()
            && front.group != transactions.group.key
        {
            transactions.group = Coordinator {
                key: front.group.clone(),
                ..Coordinator::of_groups()
            };
        }
    }

    /// A broker told what it speaks, and which features the cluster has finalized.
    pub(in crate::sender) fn transaction_versions(&mut self, index: usize, versions: TransactionVersions) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        if versions.features.0 >= transactions.features.0 {
            transactions.features = versions.features;
        }
        if index == TRANSACTION_LINK {
            transactions.versions = Some(versions);
        }
    }

    /// When `ask_next` wants to be called again, apart from answers and searches.
    pub(in crate::sender) fn transaction_wakeup_ns(&self) -> u64 {
        let Some(transactions) = self.transactions.as_ref().filter(|_| self.fatal.is_none()) else {
            return u64::MAX;
        };
        let Some(question) = transactions.next_question() else {
            return u64::MAX;
        };
        if self.search().is_some() {
            return u64::MAX; // the control connection wakes for it
        }
        let link = &self.links[link_of(question)];
        match link.state {
            LinkState::Ready(_) if link.in_flight.is_empty() => {
                transactions.retry_at_ns.max(link.throttled_until_ns)
            }
            LinkState::Idle if !link.wanted => transactions.retry_at_ns,
            // A connection attempt or an answer comes first, and each wakes by itself.
            _ => u64::MAX,
        }
    }

    /// A broker speaks no version of what a question needs.
    pub(super) fn lacks(&mut self, question: Question, address: &str) {
        self.transaction_ends_fatally(UNSUPPORTED_VERSION);
        self.fatal = Some(Fatal::Unsupported {
            address: address.to_owned(),
            api: question.api(),
            ours: "the versions of transaction.version 1 and 2".to_owned(),
            theirs: error_name(UNSUPPORTED_VERSION),
        });
    }
}

const UNSUPPORTED_VERSION: i16 = 35;

/// Error code, host and port: in the answer itself, or in its only entry since KIP-699.
fn found(response: &FindCoordinatorResponse) -> (i16, String, i32) {
    match response.coordinators.first() {
        Some(found) => (found.error_code, found.host.to_string(), found.port),
        None => (response.error_code, response.host.to_string(), response.port),
    }
}
