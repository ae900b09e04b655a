//! Values: from text to the one form that each kind of property has, and back to one spelling.

use std::fmt;

use super::error::{ConfigError, bad_value};
use super::names::Given;
use super::properties::{Kind, PROPERTIES, Profile};
use crate::compression::Compression;

/// Nanoseconds in a millisecond.
pub(super) const NANOS_PER_MS: u64 = 1_000_000;

/// One broker of `bootstrap.servers`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BootstrapServer {
    /// Name or address, an IPv6 address without its brackets.
    pub host: String,
    /// TCP port, never 0.
    pub port: u16,
}

impl fmt::Display for BootstrapServer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') {
            write!(out, "[{host}]:{port}")
        } else {
            write!(out, "{host}:{port}")
        }
    }
}

/// A value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Number(i64),
    /// Of `Kind::FineMillis`.
    Nanos(u64),
    Flag(bool),
    Text(String),
    Servers(Vec<BootstrapServer>),
}

/// A value for every property, in the order of [`PROPERTIES`].
#[derive(Debug, Clone)]
pub(super) struct Values(Vec<Value>);

impl Values {
    pub(super) fn defaults(profile: Profile) -> Self {
        Self::parse(profile, &[], &mut Vec::new())
    }

    /// The profile's defaults with what was given in their place; a value that cannot be parsed is an error and
    /// leaves the default, so that the other checks go on.
    pub(super) fn parse(profile: Profile, given: &[Given], errors: &mut Vec<ConfigError>) -> Self {
        let mut values = Vec::with_capacity(PROPERTIES.len());
        for property in PROPERTIES {
            let mut value = parse(property.kind, property.default(profile)).unwrap_or(Value::Number(0));
            for given in given.iter().filter(|given| given.property.name == property.name) {
                match parse(property.kind, &given.value) {
                    Ok(parsed) => value = parsed,
                    Err(reason) => errors.push(bad_value(&given.key, &given.written, property, reason)),
                }
            }
            values.push(value);
        }
        Self(values)
    }

    /// A whole number; milliseconds with fractions are rounded down.
    pub(super) fn number(&self, name: &str) -> i64 {
        match self.get(name) {
            Some(Value::Number(number)) => *number,
            Some(Value::Nanos(nanos)) => (nanos / NANOS_PER_MS) as i64,
            _ => 0,
        }
    }

    /// A time in nanoseconds; centuries are as good as for ever.
    pub(super) fn nanos(&self, name: &str) -> u64 {
        match self.get(name) {
            Some(Value::Nanos(nanos)) => *nanos,
            _ => u64::try_from(self.number(name))
                .unwrap_or(0)
                .saturating_mul(NANOS_PER_MS),
        }
    }

    pub(super) fn bytes(&self, name: &str) -> usize {
        usize::try_from(self.number(name)).unwrap_or(0)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.get(name) == Some(&Value::Flag(true))
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub(super) fn servers(&self, name: &str) -> Vec<BootstrapServer> {
        match self.get(name) {
            Some(Value::Servers(servers)) => servers.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn compression(&self, name: &str) -> Compression {
        let text = self.text(name);
        Compression::NAMES
            .into_iter()
            .find(|(name, _)| *name == text)
            .map_or(Compression::None, |(_, codec)| codec)
    }

    /// Puts a whole number of the property's unit in place, for a value that follows from another.
    pub(super) fn set_number(&mut self, name: &str, number: i64) {
        if let Some(index) = PROPERTIES.iter().position(|property| property.name == name) {
            self.0[index] = Value::Number(number);
        }
    }

    /// Every value in its one spelling.
    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().map(Value::to_string).collect()
    }

    fn get(&self, name: &str) -> Option<&Value> {
        let index = PROPERTIES.iter().position(|property| property.name == name);
        debug_assert!(index.is_some(), "{name} is not in PROPERTIES");
        index.and_then(|index| self.0.get(index))
    }
}

impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Number(number) => write!(out, "{number}"),
            Value::Nanos(nanos) => {
                let (whole, rest) = (nanos / NANOS_PER_MS, nanos % NANOS_PER_MS);
                if rest == 0 {
                    write!(out, "{whole}")
                } else {
                    write!(out, "{whole}.{}", format!("{rest:06}").trim_end_matches('0'))
                }
            }
            Value::Flag(flag) => write!(out, "{flag}"),
            Value::Text(text) => out.write_str(text),
            Value::Servers(servers) => {
                let texts: Vec<_> = servers.iter().map(BootstrapServer::to_string).collect();
                out.write_str(&texts.join(","))
            }
        }
    }
}

/// Parses as Kafka's `ConfigDef` does: white space around a value does not count, flags take any case.
fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    let text = text.trim();
    match kind {
        Kind::Millis { least, most } | Kind::Bytes { least, most } | Kind::Number { least, most } => {
            let number: i64 = text.parse().map_err(|_| not_a_number(kind, text))?;
            if (least..=most).contains(&number) {
                Ok(Value::Number(number))
            } else if number < least {
                Err(format!("below the least value, {least}"))
            } else {
                Err(format!("above the greatest value, {most}"))
            }
        }
        Kind::FineMillis => fine_millis(text).ok_or_else(|| not_a_number(kind, text)),
        Kind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Value::Flag(true)),
            "false" => Ok(Value::Flag(false)),
            _ => Err("neither true nor false".to_owned()),
        },
        Kind::Choice(words) => match words.iter().find(|word| word.eq_ignore_ascii_case(text)) {
            Some(&"-1") => Ok(Value::Text("all".to_owned())), // of acks: the same thing
            Some(word) => Ok(Value::Text((*word).to_owned())),
            None => Err("not one of its words".to_owned()),
        },
        Kind::Text if text.len() > i16::MAX as usize => {
            Err("longer than the protocol's 32767 bytes".to_owned())
        }
        Kind::Text => Ok(Value::Text(text.to_owned())),
        Kind::Servers => {
            let servers = text.split(',').map(str::trim).filter(|server| !server.is_empty());
            servers.map(server).collect::<Result<_, _>>().map(Value::Servers)
        }
    }
}

/// What to write for a kind of property.
pub(super) fn range(kind: Kind) -> String {
    let bounds = |least: i64, most: i64| match most {
        i64::MAX => format!("from {least} up"),
        _ => format!("from {least} to {most}"),
    };
    match kind {
        Kind::Millis { least, most } => format!("write whole milliseconds {}", bounds(least, most)),
        Kind::FineMillis => "write milliseconds from 0 up, such as 5 or 0.2".to_owned(),
        Kind::Bytes { least, most } => format!("write a number of bytes {}", bounds(least, most)),
        Kind::Number { least, most } => format!("write a whole number {}", bounds(least, most)),
        Kind::Flag => "write true or false".to_owned(),
        Kind::Choice(words) => format!("write one of {}", words.join(", ")),
        Kind::Text => "write a shorter text".to_owned(),
        Kind::Servers => "write host:port, several separated by commas, such as 127.0.0.1:9092".to_owned(),
    }
}

fn not_a_number(kind: Kind, text: &str) -> String {
    let has_unit = text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(|last: char| last.is_ascii_alphabetic());
    match kind {
        Kind::Millis { .. } if text.parse::<f64>().is_ok() => "not a whole number".to_owned(),
        Kind::Millis { .. } | Kind::FineMillis if has_unit => {
            "not a number (milliseconds are meant already, without a unit)".to_owned()
        }
        Kind::Bytes { .. } if has_unit => "not a number (bytes are meant already, without a unit)".to_owned(),
        _ => "not a number".to_owned(),
    }
}

/// Decimal milliseconds, exactly, to the nanosecond.
fn fine_millis(text: &str) -> Option<Value> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) || fraction.len() > 6
    {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    Some(Value::Nanos(
        whole.checked_mul(NANOS_PER_MS)?.checked_add(fraction)?,
    ))
}

/// A host name or address by its characters and length (RFC 1035: 255 at most). Nothing else goes into a look-up or an
/// error message.
pub(crate) fn is_host(host: &str) -> bool {
    const LONGEST: usize = 255;
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-%._:".contains(&byte);
    (1..=LONGEST).contains(&host.len()) && host.bytes().all(known)
}

/// `host:port`, `[v6]:port`, each with an optional `scheme://` in front as Kafka allows it.
fn server(text: &str) -> Result<BootstrapServer, String> {
    let address = text.split_once("://").map_or(text, |(_, address)| address);
    let (host, port) = address
        .rsplit_once(':')
        .ok_or_else(|| format!("{text:?} has no port"))?;
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if !is_host(host) {
        return Err(format!("{host:?} is no host name or address"));
    }
    match port.parse() {
        Ok(port) if port > 0 => Ok(BootstrapServer {
            host: host.to_owned(),
            port,
        }),
        _ => Err(format!("{port:?} is no port")),
    }
}
