//! Rules between values, and values that are well formed and refused all the same.
//!
//! As Kafka does it: where only one side of a contradiction was given, the default side gives way (with a note);
//! where both were given, it is an error that names both.

use super::error::{ConfigError, refused};
use super::names::Given;
use super::value::{NANOS_PER_MS, Values};

pub(super) fn check(
    given: &[Given],
    values: &mut Values,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    weaker_delivery(given, values, errors);
    not_yet(given, values, errors);
    for (lesser, greater) in [
        ("retry.backoff.ms", "retry.backoff.max.ms"),
        ("reconnect.backoff.ms", "reconnect.backoff.max.ms"),
        (
            "socket.connection.setup.timeout.ms",
            "socket.connection.setup.timeout.max.ms",
        ),
    ] {
        let least = values.number(lesser);
        at_least(given, values, (greater, least, &[lesser]), notes, errors);
    }
    time_for_delivery(given, values, notes, errors);
    time_for_a_transaction(given, values, notes, errors);
    for bound in ["buffer.memory", "max.request.size"] {
        batch_fits(given, values, bound, notes, errors);
    }
    levels(given, values, notes);
}

/// What would let this producer lose, double or reorder records.
fn weaker_delivery(given: &[Given], values: &Values, errors: &mut Vec<ConfigError>) {
    let idempotence = find(given, "enable.idempotence");
    if let Some(acks) = find(given, "acks")
        && matches!(values.text("acks"), "0" | "1")
    {
        let mut reason = "a record acknowledged by the leader alone, or by nobody, can be lost; \
                          this producer does not lose records on request"
            .to_owned();
        if idempotence.is_some() && values.flag("enable.idempotence") {
            reason.push_str(", and enable.idempotence = true contradicts it");
        }
        errors.push(ConfigError {
            other_key: idempotence.map(|given| given.key.clone()),
            ..refused(&acks.key, &acks.written, reason, "write acks = all, or remove it")
        });
    }
    if let Some(idempotence) = idempotence
        && !values.flag("enable.idempotence")
    {
        errors.push(refused(
            &idempotence.key,
            &idempotence.written,
            "without it a retry can double and reorder records; this producer does not do that on request",
            "write enable.idempotence = true, or remove it",
        ));
    }
    if let Some(retries) = find(given, "retries")
        && values.number("retries") == 0
    {
        errors.push(refused(
            &retries.key,
            &retries.written,
            "idempotent producing resolves a lost answer by sending again, so it needs retries",
            "remove it and bound the time with delivery.timeout.ms",
        ));
    }
}

/// What later work brings.
fn not_yet(given: &[Given], values: &Values, errors: &mut Vec<ConfigError>) {
    if let Some(protocol) = find(given, "security.protocol")
        && values.text("security.protocol") != "PLAINTEXT"
    {
        errors.push(refused(
            &protocol.key,
            &protocol.written,
            "TLS and SASL are not built yet",
            "write PLAINTEXT, or remove it",
        ));
    }
}

/// KIP-91: a record must have time to linger and then for one request at least.
fn time_for_delivery(
    given: &[Given],
    values: &mut Values,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    let parts = ["linger.ms", "request.timeout.ms"];
    let sum_ns = values.nanos(parts[0]).saturating_add(values.nanos(parts[1]));
    let sum_ms = sum_ns.div_ceil(NANOS_PER_MS) as i64;
    let most = i64::from(i32::MAX);
    if sum_ms <= most {
        at_least(
            given,
            values,
            ("delivery.timeout.ms", sum_ms, &parts),
            notes,
            errors,
        );
    } else if let Some(part) = parts.iter().find_map(|name| find(given, name)) {
        errors.push(refused(
            &part.key,
            &part.written,
            format!("linger.ms + request.timeout.ms pass {most} ms, the greatest delivery.timeout.ms"),
            "write less",
        ));
    }
}

/// B7: one request that takes its whole time must not cost the transaction. The broker has a word too: its
/// `transaction.max.timeout.ms`.
fn time_for_a_transaction(
    given: &[Given],
    values: &mut Values,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    const TIMEOUT: &str = "transaction.timeout.ms";
    let request_ms = values.number("request.timeout.ms");
    if values.text("transactional.id").is_empty() || values.number(TIMEOUT) > request_ms {
        return;
    }
    match find(given, TIMEOUT) {
        None if request_ms < i64::from(i32::MAX) / 2 => {
            let raised = request_ms * 2;
            notes.push(format!("{TIMEOUT} raised to {raised}, twice request.timeout.ms"));
            values.set_number(TIMEOUT, raised);
        }
        written => {
            let request = find(given, "request.timeout.ms");
            let Some(blamed) = written.or(request) else {
                return; // Kafka's own defaults, which do not contradict each other
            };
            errors.push(ConfigError {
                other_key: request
                    .filter(|_| written.is_some())
                    .map(|other| other.key.clone()),
                ..refused(
                    &blamed.key,
                    &blamed.written,
                    format!(
                        "a request may take {request_ms} ms, and the transaction would be aborted meanwhile"
                    ),
                    "raise transaction.timeout.ms above request.timeout.ms, or lower that",
                )
            });
        }
    }
}

/// `greater` (in ms) must be at least `least`, which follows from the properties `because`.
fn at_least(
    given: &[Given],
    values: &mut Values,
    (greater, least, because): (&'static str, i64, &[&'static str]),
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    if values.number(greater) >= least {
        return;
    }
    let sum = because.join(" + ");
    match find(given, greater) {
        None => {
            notes.push(format!("{greater} raised to {least}, the least that {sum} allow"));
            values.set_number(greater, least);
        }
        Some(written) => errors.push(ConfigError {
            other_key: because
                .iter()
                .find_map(|name| find(given, name))
                .map(|other| other.key.clone()),
            ..refused(
                &written.key,
                &written.written,
                format!("less than {sum}, which is {least} ms"),
                format!(
                    "raise {greater} to {least} or more, or lower {}",
                    because.join(" or ")
                ),
            )
        }),
    }
}

/// A whole batch must fit into what carries it. Kafka lets the two contradict and then fails at the first record
/// (`buffer.memory`) or never fills a batch (`max.request.size`).
fn batch_fits(
    given: &[Given],
    values: &mut Values,
    bound: &'static str,
    notes: &mut Vec<String>,
    errors: &mut Vec<ConfigError>,
) {
    let (batch, room) = (values.number("batch.size"), values.number(bound));
    if batch <= room {
        return;
    }
    let Some(written) = find(given, "batch.size") else {
        notes.push(format!(
            "batch.size lowered to {room}, all that {bound} has room for"
        ));
        values.set_number("batch.size", room);
        return;
    };
    errors.push(ConfigError {
        other_key: find(given, bound).map(|other| other.key.clone()),
        ..refused(
            &written.key,
            &written.written,
            format!("{bound} is {room} bytes: no full batch fits"),
            format!("raise {bound} or lower batch.size"),
        )
    });
}

/// Levels that change nothing deserve a word.
fn levels(given: &[Given], values: &Values, notes: &mut Vec<String>) {
    let codec = values.text("compression.type");
    for (name, property) in [
        ("gzip", "compression.gzip.level"),
        ("lz4", "compression.lz4.level"),
        ("zstd", "compression.zstd.level"),
    ] {
        let Some(level) = find(given, property) else {
            continue;
        };
        if name != codec {
            notes.push(format!(
                "{} has no effect: compression.type is {codec}",
                level.key
            ));
        } else if name == "lz4" && values.number(property) != 9 {
            notes.push(format!(
                "{} has no effect: the lz4 here has one level, the fast one",
                level.key
            ));
        }
    }
}

fn find<'a>(given: &'a [Given], name: &str) -> Option<&'a Given> {
    given.iter().find(|given| given.property.name == name)
}
