//! The grammar of what goes wrong: `[[fault]]`, and `[campaign]` with its mix.

use steadfast_chaos::fault::Quota;
use steadfast_chaos::wire_proxy;

use super::{Key, MAX_PARTITIONS, MAX_RECORDS, Properties, Section, Shape, key, required};

/// Actions of a fault by name.
const ACTIONS: &[&str] = &[
    "kill",
    "term",
    "pause",
    "restart",
    "fill-disk",
    "step-clock",
    "partition",
    "down",
    "toxic",
    "hold",
    "delay",
    "drop",
    "answer",
    "cut",
    "elect",
    "reassign",
    "grow",
    "set",
    "quota",
];
/// Those that a campaign may draw again and again: partitions never become fewer.
const REPEATABLE: &[&str] = &[
    "kill",
    "term",
    "pause",
    "restart",
    "fill-disk",
    "step-clock",
    "partition",
    "down",
    "toxic",
    "hold",
    "delay",
    "drop",
    "answer",
    "cut",
    "elect",
    "reassign",
    "set",
    "quota",
];
/// Most faults of a scenario: each has two phases, and a histogram for each.
pub(crate) const MAX_FAULTS: i64 = 100;

const TARGET_KEY: Key = required(
    "target",
    Shape::Target,
    "leader(TOPIC-P), follower(TOPIC-P), controller, coordinator(TXN-ID), broker-N, random, minority, all, every-broker, client (a copy job: kill); of a network fault link(client, ...), or between brokers link(BROKER, brokers) or link(BROKER, BROKER); of elect, reassign, grow and set topic(TOPIC); of quota client-id(ID)",
);
const TOXIC_KEY: Key = key(
    "toxic",
    Shape::Table(&TOXIC),
    "",
    "What Toxiproxy puts into the link (toxic)",
);
const FRAMES_KEY: Key = key(
    "frames",
    Shape::Table(&FRAMES),
    "",
    "Which requests or answers (hold, delay, drop, answer, cut)",
);
const SETTINGS_KEY: Key = key(
    "settings",
    Shape::Properties(Properties::Live),
    "",
    "Settings of the topic or brokers meanwhile (set)",
);
const QUOTAS_KEY: Key = key(
    "quotas",
    Shape::Table(&QUOTAS),
    "",
    "What the clients of an id may take meanwhile (quota)",
);

const FORWARD_KEY: Key = key(
    "forward",
    Shape::Duration,
    "",
    "How far the brokers' wall clock jumps ahead (step-clock)",
);
const BACK_KEY: Key = key("back", Shape::Duration, "", "How far it jumps back (step-clock)");

/// `[[fault]]`
pub(crate) static FAULT: Section = Section {
    title: "[[fault]]",
    keys: &[
        required("name", Shape::Text, "Names the phases fault:NAME and heal:NAME"),
        required("at", Shape::Duration, "Begin, counted from the end of warm-up"),
        key(
            "for",
            Shape::Duration,
            "",
            "How long it lasts; without it, it ends when its action is done",
        ),
        required("action", Shape::Word(ACTIONS), "What is done"),
        key("when", Shape::Table(&WHEN), "", "What it waits for, from `at` on"),
        TARGET_KEY,
        TOXIC_KEY,
        FRAMES_KEY,
        key(
            "partitions",
            Shape::Integer(2, MAX_PARTITIONS),
            "",
            "How many partitions the topic has then (grow)",
        ),
        SETTINGS_KEY,
        FORWARD_KEY,
        BACK_KEY,
        QUOTAS_KEY,
    ],
    properties: None,
    planned: &["mode"],
};

/// Longest delay of a frame, ms; as of Toxiproxy's latency.
const MAX_DELAY: i64 = MAX_ATTRIBUTE;
/// Kafka's error codes are 16 bits; 0 would be no error.
const ERROR_CODES: Shape = Shape::Integer(1, i16::MAX as i64);

/// `when = { fault = "no-answers", frames = 5 }` or `when = { acknowledged = 100_000 }`
pub(super) static WHEN: Section = Section {
    title: "when",
    keys: &[
        key(
            "fault",
            Shape::Text,
            "",
            "A fault of frames (hold, delay, drop, answer, cut) that begins no later",
        ),
        key(
            "frames",
            Shape::Integer(1, u32::MAX as i64),
            "",
            "How many frames that fault has struck by then",
        ),
        key(
            "acknowledged",
            Shape::Integer(1, MAX_RECORDS),
            "",
            "How many records are acknowledged by then",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `frames = { api = "Produce", side = "response" }`
pub(super) static FRAMES: Section = Section {
    title: "frames",
    keys: &[
        key(
            "api",
            Shape::Word(APIS),
            "",
            "Kafka's name of the API; without it, any",
        ),
        required(
            "side",
            Shape::Word(&["request", "response"]),
            "Requests on their way to the broker, or its answers",
        ),
        key(
            "nth",
            Shape::Integer(1, u32::MAX as i64),
            "1",
            "The first that is struck, counted from the fault's begin",
        ),
        key(
            "count",
            Shape::Integer(1, u32::MAX as i64),
            "",
            "How many are struck; without it, all from there on",
        ),
        key(
            "delay",
            Shape::Integer(1, MAX_DELAY),
            "",
            "Milliseconds that each is late (delay)",
        ),
        key(
            "code",
            ERROR_CODES,
            "",
            "Kafka's error code of the answer in the broker's place (answer)",
        ),
        key(
            "bytes",
            Shape::Integer(0, u32::MAX as i64),
            "",
            "Bytes that pass before the connection ends (cut)",
        ),
    ],
    properties: None,
    planned: &[],
};

/// APIs that a fault of frames may name.
const APIS: &[&str] = &names(&wire_proxy::APIS);

const fn names<const N: usize>(apis: &[(&'static str, i16); N]) -> [&'static str; N] {
    let mut names = [""; N];
    let mut at = 0;
    while at < N {
        names[at] = apis[at].0;
        at += 1;
    }
    names
}

/// Fewest bytes per second: our own look whether the client has to wait takes a tenth of it.
const LEAST_BYTE_RATE: i64 = 4_096;
/// Bytes per second; more is a slip.
const MAX_BYTE_RATE: i64 = 1 << 40;
/// Smallest share: our own look takes some tenths of a per cent.
const LEAST_PERCENTAGE: i64 = 5;
/// A hundred request threads.
const MAX_PERCENTAGE: i64 = 10_000;

/// `quotas = { producer_byte_rate = 1_000_000 }`, under Kafka's own names.
pub(super) static QUOTAS: Section = Section {
    title: "quotas",
    keys: &[
        key(
            Quota::ProducerByteRate.name(),
            Shape::Integer(LEAST_BYTE_RATE, MAX_BYTE_RATE),
            "",
            "Bytes per second that they may write to each broker",
        ),
        key(
            Quota::ConsumerByteRate.name(),
            Shape::Integer(LEAST_BYTE_RATE, MAX_BYTE_RATE),
            "",
            "Bytes per second that they may read from each broker",
        ),
        key(
            Quota::RequestPercentage.name(),
            Shape::Integer(LEAST_PERCENTAGE, MAX_PERCENTAGE),
            "",
            "Share of a request thread's time that they may take at each broker, in per cent",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `toxic = { type = "latency", attributes = { latency = 40 } }`, as Toxiproxy's users write it.
pub(super) static TOXIC: Section = Section {
    title: "toxic",
    keys: &[
        required(
            "type",
            Shape::Word(&[
                "latency",
                "bandwidth",
                "slow_close",
                "timeout",
                "reset_peer",
                "slicer",
                "limit_data",
            ]),
            "Toxiproxy's type",
        ),
        key(
            "stream",
            Shape::Word(&["upstream", "downstream", "both"]),
            "both",
            "upstream leads to the broker, downstream to the client; between brokers upstream leads away from the first",
        ),
        required("attributes", Shape::Table(&ATTRIBUTES), "Toxiproxy's attributes"),
    ],
    properties: None,
    planned: &["toxicity"],
};

/// Ten minutes in milliseconds, a gigabyte in kilobytes: more is a slip.
const MAX_ATTRIBUTE: i64 = 600_000;

/// `attributes = { ... }`, in Toxiproxy's units.
pub(super) static ATTRIBUTES: Section = Section {
    title: "attributes",
    keys: &[
        key(
            "latency",
            Shape::Integer(1, MAX_ATTRIBUTE),
            "",
            "Milliseconds that every chunk is late (latency)",
        ),
        key(
            "jitter",
            Shape::Integer(0, MAX_ATTRIBUTE),
            "",
            "Milliseconds that this varies by (latency)",
        ),
        key(
            "rate",
            Shape::Integer(1, MAX_ATTRIBUTE),
            "",
            "KB/s of each connection (bandwidth)",
        ),
        key(
            "delay",
            Shape::Integer(1, MAX_ATTRIBUTE),
            "",
            "Milliseconds before a close is passed on (slow_close), microseconds between slices (slicer)",
        ),
        key(
            "timeout",
            Shape::Integer(0, MAX_ATTRIBUTE),
            "",
            "Milliseconds until the connection is closed (timeout; 0 = silence) or reset (reset_peer)",
        ),
        key(
            "average_size",
            Shape::Integer(1, MAX_ATTRIBUTE),
            "",
            "Bytes of a slice (slicer)",
        ),
        key(
            "size_variation",
            Shape::Integer(0, MAX_ATTRIBUTE),
            "",
            "Bytes that this varies by (slicer)",
        ),
        key(
            "bytes",
            Shape::Integer(1, u32::MAX as i64),
            "",
            "Bytes after which the connection is closed (limit_data)",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `[campaign]`
pub(crate) static CAMPAIGN: Section = Section {
    title: "[campaign]",
    keys: &[
        required(
            "faults",
            Shape::Integer(1, MAX_FAULTS),
            "How many faults, over the whole load",
        ),
        key(
            "at",
            Shape::Duration,
            "10s",
            "Begin of the first cycle, counted from the end of warm-up",
        ),
        key(
            "cycle",
            Shape::Duration,
            "4m",
            "Faults fall into its first three quarters; the last one is quiet",
        ),
        required(
            "fault",
            Shape::Tables(&MIX),
            "What may be drawn: [[campaign.fault]]",
        ),
    ],
    properties: None,
    planned: &[],
};

/// `[[campaign.fault]]`
pub(super) static MIX: Section = Section {
    title: "[[campaign.fault]]",
    keys: &[
        key(
            "weight",
            Shape::Integer(1, 1_000),
            "1",
            "How often it is drawn beside the others",
        ),
        key(
            "for",
            Shape::Duration,
            "",
            "How long it lasts, or the shortest time",
        ),
        key(
            "for-max",
            Shape::Duration,
            "",
            "The longest time; drawn evenly between",
        ),
        required("action", Shape::Word(REPEATABLE), "What is done"),
        TARGET_KEY,
        TOXIC_KEY,
        FRAMES_KEY,
        SETTINGS_KEY,
        FORWARD_KEY,
        BACK_KEY,
        QUOTAS_KEY,
    ],
    properties: None,
    planned: &[],
};
