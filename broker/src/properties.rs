//! Settings by Kafka's names, as they stand in server.properties.

use std::ops::RangeInclusive;

use crate::settings::Settings;

/// Properties of real brokers that mean nothing here: threads, buffers, files, replicas of topics that the model does
/// without. Taken and ignored, so that one scenario runs on both kinds of cluster.
const WITHOUT_MEANING: &[&str] = &[
    "broker.heartbeat.interval.ms",
    "group.initial.rebalance.delay.ms",
    "log.cleaner.enable",
    "log.flush.interval.messages",
    "log.flush.interval.ms",
    "num.io.threads",
    "num.network.threads",
    "num.recovery.threads.per.data.dir",
    "num.replica.fetchers",
    "offsets.topic.num.partitions",
    "offsets.topic.replication.factor",
    "replica.fetch.wait.max.ms",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "transaction.state.log.min.isr",
    "transaction.state.log.num.partitions",
    "transaction.state.log.replication.factor",
];

/// Why a property was not taken. The settings are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PropertyError {
    /// Kafka may know it; the model does not.
    #[error("the simulated broker does not model {name}")]
    Unknown {
        /// Kafka's name.
        name: String,
    },
    /// The value does not fit.
    #[error("{name} = {value}: expected {expected}")]
    Value {
        /// Kafka's name.
        name: String,
        /// As given.
        value: String,
        /// What would do.
        expected: String,
    },
}

impl Settings {
    /// Sets a broker property by Kafka's name.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), PropertyError> {
        const ANY: RangeInclusive<i64> = 0..=i64::MAX;
        const INT: RangeInclusive<i64> = 0..=i32::MAX as i64;
        let given = Given {
            name,
            value: value.trim(),
        };
        match name {
            "auto.create.topics.enable" => self.auto_create_topics = given.flag()?,
            "broker.session.timeout.ms" => self.session_timeout_ms = given.number(1..=i32::MAX.into())?,
            "default.replication.factor" => {
                self.default_replication_factor = given.number(1..=i16::MAX.into())? as i16;
            }
            "fetch.max.bytes" => self.fetch_max_bytes = given.number(1024..=i32::MAX.into())? as usize,
            "log.message.timestamp.after.max.ms" => self.timestamp_after_max_ms = given.number(ANY)?,
            "log.retention.check.interval.ms" => {
                self.retention_check_interval_ms = given.number(1..=i64::MAX)?;
            }
            "log.retention.hours" => {
                self.log_retention_ms = scaled(given.number(-1..=i32::MAX.into())?, 60 * 60 * 1000);
            }
            "log.retention.minutes" => {
                self.log_retention_ms = scaled(given.number(-1..=i32::MAX.into())?, 60 * 1000);
            }
            "log.retention.ms" => self.log_retention_ms = given.number(-1..=i64::MAX)?,
            "log.segment.bytes" => self.segment_bytes = given.number(INT)? as i32,
            "message.max.bytes" => self.message_max_bytes = given.number(INT)? as i32,
            "min.insync.replicas" => self.min_insync_replicas = given.number(1..=i32::MAX.into())? as i32,
            "num.partitions" => self.num_partitions = given.number(1..=i32::MAX.into())? as i32,
            "offsets.retention.minutes" => {
                self.offsets_retention_ms = scaled(given.number(1..=i32::MAX.into())?, 60 * 1000);
            }
            "producer.id.expiration.check.interval.ms" => {
                self.producer_id_check_interval_ms = given.number(1..=i32::MAX.into())?;
            }
            "producer.id.expiration.ms" => {
                self.producer_id_expiration_ms = given.number(1..=i32::MAX.into())?;
            }
            "replica.lag.time.max.ms" => self.replica_lag_time_max_ms = given.number(ANY)?,
            "socket.request.max.bytes" => {
                self.socket_request_max_bytes = given.number(1..=i32::MAX.into())? as usize;
            }
            "transaction.abort.timed.out.transaction.cleanup.interval.ms" => {
                self.transaction_abort_interval_ms = given.number(1..=i32::MAX.into())?;
            }
            "transaction.max.timeout.ms" => {
                self.transaction_max_timeout_ms = given.number(1..=i32::MAX.into())? as i32;
            }
            "transactional.id.expiration.ms" => {
                self.transactional_id_expiration_ms = given.number(1..=i32::MAX.into())?;
            }
            "unclean.leader.election.enable" => self.unclean_leader_election = given.flag()?,
            _ if WITHOUT_MEANING.contains(&name) => {}
            _ => {
                return Err(PropertyError::Unknown {
                    name: name.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// A length of time in milliseconds; -1 means none and stays.
fn scaled(number: i64, by: i64) -> i64 {
    if number < 0 {
        number
    } else {
        number.saturating_mul(by)
    }
}

struct Given<'a> {
    name: &'a str,
    value: &'a str,
}

impl Given<'_> {
    fn number(&self, range: RangeInclusive<i64>) -> Result<i64, PropertyError> {
        let number = self.value.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| self.wrong(format!("a number from {} to {}", range.start(), range.end())))
    }

    fn flag(&self) -> Result<bool, PropertyError> {
        self.value.parse().map_err(|_| self.wrong("true or false".into()))
    }

    fn wrong(&self, expected: String) -> PropertyError {
        PropertyError::Value {
            name: self.name.to_owned(),
            value: self.value.to_owned(),
            expected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_ones_are_set_and_wrong_ones_leave_all_as_it_was() {
        let mut settings = Settings::default();
        settings.set("broker.session.timeout.ms", "3000").expect("taken");
        settings
            .set("unclean.leader.election.enable", " true")
            .expect("taken");
        settings.set("log.retention.hours", "-1").expect("taken");
        settings.set("num.io.threads", "8").expect("ignored");
        let wanted = Settings {
            session_timeout_ms: 3_000,
            unclean_leader_election: true,
            log_retention_ms: -1,
            ..Settings::default()
        };
        assert_eq!(settings, wanted);
        for (name, value, word) in [
            ("min.insync.replicas", "0", "from 1"),
            ("min.insync.replicas", "two", "a number"),
            ("auto.create.topics.enable", "yes", "true or false"),
            ("log.dirs", "/tmp", "does not model"),
        ] {
            let why = settings.set(name, value).expect_err("refused").to_string();
            assert!(why.contains(word) && why.contains(name), "{why}");
        }
        assert_eq!(settings, wanted);
    }
}
