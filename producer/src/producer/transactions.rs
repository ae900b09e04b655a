//! Transactions of a [`Producer`]: calls that wait, and the thread's side of them.
//!
//! ```text
//!   commit_transaction ─► queue, behind the records sent before ─► all appended? ─► Driver ─► event ─► back to the caller
//! ```
//!
//! One thread is meant to call these; others may send records meanwhile. A record that is not taken (too large, no such
//! partition, `max.block.ms` over) makes its transaction fail, as in the Java client: its ticket says why, and the
//! commit ends as `Aborted`.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use super::queue::Command;
use super::{Producer, SendError};
use crate::driver::Driver;
use crate::error::Fatal;
use crate::transaction::{GroupOffset, TransactionError, TransactionEvent};

/// What the thread is asked to do about transactions.
pub(super) enum Call {
    Init,
    Begin,
    Offsets(String, Vec<GroupOffset>),
    Commit,
    Abort,
}

/// What it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Done,
    Begun(u64),
    Heard(TransactionEvent),
}

pub(super) type Reply = SyncSender<Result<Answer, TransactionError>>;

impl Producer {
    /// Takes the `transactional.id` over and waits until the last transaction under it has ended. Once, before the
    /// first transaction. [`TransactionError::TimedOut`] after `timeout`; the same call again waits on.
    pub fn init_transactions(&self, timeout: Duration) -> Result<(), TransactionError> {
        self.ask(Call::Init, timeout).map(|_| ())
    }

    /// Begins a transaction and gives its number. Records sent from here on belong to it.
    pub fn begin_transaction(&self) -> Result<u64, TransactionError> {
        match self.ask(Call::Begin, self.max_block())? {
            Answer::Begun(number) => Ok(number),
            Answer::Done | Answer::Heard(_) => Ok(0),
        }
    }

    /// Makes a group's positions part of the open transaction; they are in it when it commits.
    pub fn send_offsets_to_transaction(
        &self,
        group: &str,
        offsets: &[GroupOffset],
    ) -> Result<(), TransactionError> {
        let call = Call::Offsets(group.to_owned(), offsets.to_vec());
        self.ask(call, self.max_block()).map(|_| ())
    }

    /// Sends what waits, and commits once every record is acknowledged. Gives `Committed`, `Aborted` or `Unknown`.
    /// [`TransactionError::TimedOut`] after `timeout`: it goes on, and the same call again waits on.
    pub fn commit_transaction(&self, timeout: Duration) -> Result<TransactionEvent, TransactionError> {
        self.ask(Call::Commit, timeout).and_then(event)
    }

    /// Gives up what was not sent, and aborts. Gives `Aborted`.
    pub fn abort_transaction(&self, timeout: Duration) -> Result<TransactionEvent, TransactionError> {
        self.ask(Call::Abort, timeout).and_then(event)
    }

    fn max_block(&self) -> Duration {
        Duration::from_nanos(self.max_block_ns)
    }

    fn ask(&self, call: Call, timeout: Duration) -> Result<Answer, TransactionError> {
        let (reply, answer): (Reply, Receiver<_>) = sync_channel(1);
        let asked = self.queue.push(Command::Transaction(call, reply), 0, 0);
        match asked {
            Ok(()) => {}
            Err(SendError::Stopped(fatal)) => return Err(fatal.into()),
            Err(SendError::Closed | SendError::QueueFull) => return Err(TransactionError::Closed),
        }
        match answer.recv_timeout(timeout) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(TransactionError::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(TransactionError::Closed),
        }
    }
}

fn event(answer: Answer) -> Result<TransactionEvent, TransactionError> {
    match answer {
        Answer::Heard(event) => Ok(event),
        Answer::Done | Answer::Begun(_) => Err(TransactionError::Closed),
    }
}

/// A call whose answer comes with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Long {
    Init,
    Commit,
    Abort,
}

/// The thread's side: one long call at a time.
#[derive(Default)]
pub(super) struct Calls {
    going_on: Option<Long>,
    /// The driver was told.
    handed_on: bool,
    /// Who waits; replaced by whoever calls again.
    reply: Option<Reply>,
    /// Known, and nobody was there to hear it.
    result: Option<Result<Answer, TransactionError>>,
}

impl Calls {
    /// A call comes in. A commit waits for records that were sent before it.
    pub(super) fn called(&mut self, call: Call, reply: Reply, driver: &mut Driver) {
        let long = match call {
            Call::Begin => return answer(&reply, driver.begin_transaction().map(Answer::Begun)),
            Call::Offsets(group, offsets) => {
                let taken = driver.send_offsets_to_transaction(&group, &offsets);
                return answer(&reply, taken.map(|()| Answer::Done));
            }
            Call::Init => Long::Init,
            Call::Commit => Long::Commit,
            Call::Abort => Long::Abort,
        };
        if self.going_on == Some(long) {
            self.reply = Some(reply);
            return self.tell();
        }
        if self.going_on.is_some() && self.result.is_none() {
            let refused = match long {
                Long::Init => driver.init_transactions(),
                Long::Commit | Long::Abort => driver.begin_transaction().map(|_| ()),
            };
            return answer(&reply, refused.map(|()| Answer::Done));
        }
        *self = Calls {
            going_on: Some(long),
            handed_on: false,
            reply: Some(reply),
            result: None,
        };
    }

    /// An abort does not wait for records that wait; they are given up.
    pub(super) fn gives_up_waiting(&self) -> bool {
        self.going_on == Some(Long::Abort) && !self.handed_on
    }

    /// Hands the call on once nothing waits in front of it.
    pub(super) fn hand_on(&mut self, waiting: bool, driver: &mut Driver) {
        let Some(long) = self.going_on.filter(|_| !self.handed_on) else {
            return;
        };
        let asked = match long {
            Long::Init => driver.init_transactions(),
            Long::Commit if waiting => return,
            Long::Commit => driver.commit_transaction(),
            Long::Abort => driver.abort_transaction(),
        };
        self.handed_on = true;
        if let Err(error) = asked {
            self.result = Some(Err(error));
            self.tell();
        }
    }

    /// The driver told an event.
    pub(super) fn heard(&mut self, event: TransactionEvent) {
        self.result = Some(Ok(match event {
            TransactionEvent::Initialized { .. } => Answer::Done,
            ended => Answer::Heard(ended),
        }));
        self.tell();
    }

    /// There will be no more events.
    pub(super) fn end(&mut self, fatal: Option<&Fatal>) {
        if self.result.is_none() {
            self.result = Some(Err(
                fatal.map_or(TransactionError::Closed, |fatal| fatal.clone().into())
            ));
        }
        self.tell();
    }

    fn tell(&mut self) {
        let (Some(reply), Some(result)) = (&self.reply, &self.result) else {
            return;
        };
        // Nobody may be there any more: then it is kept for whoever calls again.
        if reply.try_send(result.clone()).is_ok() {
            *self = Calls::default();
        } else {
            self.reply = None;
        }
    }
}

/// The caller may have gone; nothing is lost by that.
fn answer(reply: &Reply, result: Result<Answer, TransactionError>) {
    let _ = reply.try_send(result);
}
