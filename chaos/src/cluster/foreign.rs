//! A topic that we made on a cluster of somebody else's: gone when the run is over, however it ends, and never a topic that
//! was there before.
//!
//! ```text
//! note the wish ─► CreateTopics ─► note the id ─► ... the run ... ─► DeleteTopics by id ─► note that it is gone
//!       └── killed here: `heal` tells of it ──┘          └── killed here: `heal` deletes by id
//! ```
//! A name may mean another topic by tomorrow, an id never does (KIP-516). So what is deleted later, by another process, is
//! deleted by id only; a broker that gives no ids (before 2.8) is told the name while the run that made the topic lives.

use std::sync::Arc;
use std::time::Duration;

use steadfast_wire::admin::{AdminError, delete_topic, delete_topic_by_id};
use steadfast_wire::connection::Connection;

use super::{TopicSpec, admin};
use crate::clock::Deadline;
use crate::error::ChaosError;
use crate::journal::Journal;

/// How long one broker may take to delete a topic.
const DELETE_BOUND: Duration = Duration::from_secs(5);
/// How long all bootstrap servers together may be tried, the last one's bound on top. Ctrl-C waits for it.
const ALL_BOUND: Duration = Duration::from_secs(8);
/// UNKNOWN_TOPIC_OR_PARTITION.
const UNKNOWN_TOPIC: i16 = 3;

/// The topic is deleted when this is dropped, unless kept. What cannot be deleted then stays in the journal for `heal`.
#[derive(Debug)]
pub(crate) struct ForeignTopic {
    name: String,
    id: Option<String>,
    servers: Vec<String>,
    journal: Arc<Journal>,
    /// Deleted, or not ours to delete any more.
    settled: bool,
}

impl ForeignTopic {
    /// Creates the topic, which must not be there yet, at the first of `servers`.
    pub(crate) fn create(
        topic: &TopicSpec,
        servers: &[String],
        journal: &Arc<Journal>,
    ) -> Result<ForeignTopic, ChaosError> {
        let noted = ChaosError::io("note a topic in the heal journal");
        journal.topic(servers, &topic.name, None).map_err(noted)?;
        let server = servers.first().map_or("", String::as_str);
        let id = match admin::create_topic_at(server, topic) {
            Ok(id) => id,
            Err((reason, perhaps)) => {
                if !perhaps {
                    let noted = ChaosError::io("note a topic in the heal journal");
                    journal.topic_gone(&topic.name).map_err(noted)?;
                }
                return Err(ChaosError::admin("create topics", reason));
            }
        };
        let made = ForeignTopic {
            name: topic.name.clone(),
            id,
            servers: servers.to_vec(),
            journal: Arc::clone(journal),
            settled: false,
        };
        if made.id.is_some() {
            let noted = ChaosError::io("note a topic in the heal journal");
            journal
                .topic(servers, &made.name, made.id.as_deref())
                .map_err(noted)?;
        }
        Ok(made)
    }

    /// Leaves it to the cluster's owner: neither the drop nor `heal` will touch it.
    pub(crate) fn keep(&mut self) -> Result<(), ChaosError> {
        self.settle()
    }

    /// Deletes it now. After an error it stays noted, and `heal` tries again.
    pub(crate) fn delete(&mut self) -> Result<(), ChaosError> {
        if self.settled {
            return Ok(());
        }
        let by_id = self.id.clone();
        let name = self.name.clone();
        let deleted = at_any(&self.servers, |connection| match &by_id {
            Some(id) => delete_topic_by_id(connection, id).map(drop),
            None => match delete_topic(connection, &name) {
                Err(AdminError::Kafka {
                    code: UNKNOWN_TOPIC, ..
                }) => Ok(()),
                deleted => deleted,
            },
        });
        let told = |reason: String| {
            let reason = format!("{reason}; it stays there, and `steadfast heal` tries again");
            ChaosError::admin(format!("delete topic {} that this run made", self.name), reason)
        };
        deleted.map_err(told)?;
        self.settle()
    }

    fn settle(&mut self) -> Result<(), ChaosError> {
        self.settled = true;
        let noted = ChaosError::io("note in the heal journal that a topic is gone");
        self.journal.topic_gone(&self.name).map_err(noted)
    }
}

impl Drop for ForeignTopic {
    fn drop(&mut self) {
        // It stands in the journal still: nothing is forgotten.
        let _for_heal = self.delete();
    }
}

/// `heal`'s part: deletes the topic of this id at one of these servers; false when there is none any more.
pub(crate) fn delete_by_id(servers: &[String], id: &str) -> Result<bool, String> {
    at_any(servers, |connection| delete_topic_by_id(connection, id))
}

/// Asks one server after the other until one carries it out. Deleting twice does no harm.
fn at_any<T>(
    servers: &[String],
    order: impl Fn(&mut Connection) -> Result<T, AdminError>,
) -> Result<T, String> {
    let deadline = Deadline::after(ALL_BOUND);
    let mut last = "no server to ask".to_owned();
    for server in servers {
        let answer = admin::connect(server, DELETE_BOUND)
            .and_then(|mut connection| order(&mut connection).map_err(|error| error.to_string()));
        match answer {
            Ok(answer) => return Ok(answer),
            Err(reason) => last = reason,
        }
        if deadline.passed() {
            break;
        }
    }
    Err(last)
}
