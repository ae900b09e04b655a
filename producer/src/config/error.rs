//! A bad setting, with its mend.

use std::fmt;

use super::properties::{Profile, Property};
use super::value::range;

/// One setting that cannot be used, as it was written, with the reason and what to write instead.
/// Nothing was started; mend it and try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The key as the user wrote it: where to point at.
    pub key: String,
    /// The value as the user wrote it; `None` where the key is the trouble.
    pub value: Option<String>,
    /// The other key of a contradiction, as written, if it was given.
    pub other_key: Option<String>,
    /// What is wrong, without the key.
    pub reason: String,
    /// What to do.
    pub mend: String,
    /// For a key that is not known: the nearest one that is.
    pub nearest: Option<&'static str>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(out, "{} = {value:?}: {}; {}", self.key, self.reason, self.mend),
            None => write!(out, "{}: {}; {}", self.key, self.reason, self.mend),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A value that is no value of its property.
pub(super) fn bad_value(key: &str, value: &str, property: &Property, reason: String) -> ConfigError {
    ConfigError {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        other_key: None,
        reason,
        mend: format!(
            "{} (Kafka's default: {:?})",
            range(property.kind),
            property.kafka_default
        ),
        nearest: None,
    }
}

/// A value that is well formed and refused all the same.
pub(super) fn refused(
    key: &str,
    value: &str,
    reason: impl Into<String>,
    mend: impl Into<String>,
) -> ConfigError {
    ConfigError {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        other_key: None,
        reason: reason.into(),
        mend: mend.into(),
        nearest: None,
    }
}

/// A key that is not taken.
pub(super) fn bad_key(key: &str, reason: String, mend: String, nearest: Option<&'static str>) -> ConfigError {
    ConfigError {
        key: key.to_owned(),
        value: None,
        other_key: None,
        reason,
        mend,
        nearest,
    }
}

/// A profile that does not exist.
pub(super) fn profile(name: &str) -> ConfigError {
    refused(
        Profile::KEY,
        name,
        "there is no such profile",
        format!("choose one of {}", Profile::ALL.map(Profile::name).join(", ")),
    )
}
