//! The one list of producer properties.
//!
//! Defaults and ranges are those of Kafka 4.1's `ProducerConfig`; a profile says where it differs, and why.

/// A set of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// Kafka 4's own defaults.
    #[default]
    Kafka,
    /// Lowest latency at moderate rates: send as soon as the connection is free.
    LowLatency,
    /// Most records a second and least CPU a record.
    Throughput,
}

impl Profile {
    /// The key under which scenarios and properties name a profile.
    pub const KEY: &'static str = "profile";
    /// Every profile.
    pub const ALL: [Profile; 3] = [Profile::LowLatency, Profile::Throughput, Profile::Kafka];

    /// The profile's name as written in files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Kafka => "kafka",
            Profile::LowLatency => "low-latency",
            Profile::Throughput => "throughput",
        }
    }

    /// The profile of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name.trim())
    }
}

/// One property.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Kafka's name.
    pub name: &'static str,
    /// What values it takes.
    pub kind: Kind,
    /// Kafka's default, as text.
    pub kafka_default: &'static str,
    /// The low-latency profile's default, where different.
    pub low_latency: Option<Tuned>,
    /// The throughput profile's default, where different.
    pub throughput: Option<Tuned>,
    /// What it does, in a sentence.
    pub doc: &'static str,
    /// Where it comes from; empty = older than the improvement proposals.
    pub source: &'static str,
}

/// A default that differs from Kafka's.
#[derive(Debug, Clone, Copy)]
pub struct Tuned {
    /// The value, as text.
    pub value: &'static str,
    /// Why.
    pub reason: &'static str,
}

/// What values a property takes. Bounds are inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whole milliseconds.
    Millis {
        /// Least value.
        least: i64,
        /// Greatest value.
        most: i64,
    },
    /// Milliseconds, with fractions down to a nanosecond.
    FineMillis,
    /// Bytes.
    Bytes {
        /// Least value.
        least: i64,
        /// Greatest value.
        most: i64,
    },
    /// A plain number.
    Number {
        /// Least value.
        least: i64,
        /// Greatest value.
        most: i64,
    },
    /// `true` or `false`.
    Flag,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Any text that fits the protocol's 16-bit length.
    Text,
    /// `host:port`, separated by commas.
    Servers,
}

impl Property {
    /// The property of that name (Kafka's name only).
    #[must_use]
    pub fn find(name: &str) -> Option<&'static Property> {
        PROPERTIES.iter().find(|property| property.name == name)
    }

    /// The default under `profile`.
    #[must_use]
    pub fn default(&self, profile: Profile) -> &'static str {
        self.tuned(profile)
            .map_or(self.kafka_default, |tuned| tuned.value)
    }

    /// The profile's own value, if it has one.
    #[must_use]
    pub fn tuned(&self, profile: Profile) -> Option<Tuned> {
        match profile {
            Profile::Kafka => None,
            Profile::LowLatency => self.low_latency,
            Profile::Throughput => self.throughput,
        }
    }

    /// The unit, for tables: `ms`, `bytes` or nothing.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Millis { .. } | Kind::FineMillis => "ms",
            Kind::Bytes { .. } => "bytes",
            Kind::Number { .. } | Kind::Flag | Kind::Choice(_) | Kind::Text | Kind::Servers => "",
        }
    }
}

const INT: i64 = i32::MAX as i64;
const LONG: i64 = i64::MAX;

/// Every property that this producer takes.
#[rustfmt::skip]
pub const PROPERTIES: &[Property] = &[
    property("bootstrap.servers", Kind::Servers, "",
        "Brokers to ask first, host:port separated by commas; the others are learnt from them.", ""),
    property("client.id", Kind::Text, "",
        "Name of this client in the broker's logs, metrics and quotas; empty = steadfast-producer.", ""),
    property("acks", Kind::Choice(&["all", "-1", "1", "0"]), "all",
        "Only all (= -1): an acknowledgement means every in-sync replica has the batch.", "KIP-679"),
    property("enable.idempotence", Kind::Flag, "true",
        "Only true: a batch sent again is recognised by the broker, so a retry neither doubles nor reorders.", "KIP-98"),
    Property {
        low_latency: tuned("0", "send as soon as the connection is free; batches form by themselves while it is not"),
        ..property("linger.ms", Kind::FineMillis, "5",
            "How long a batch waits for more records before it is sent; fractions allowed, 0.2 = 200 us.", "KIP-1030")
    },
    Property {
        throughput: tuned("262144", "fewer and larger requests: less CPU a record, on both sides"),
        ..property("batch.size", Kind::Bytes { least: 0, most: INT }, "16384",
            "Bytes of records a batch takes before it is full, counted before compression; a larger record travels alone.", "")
    },
    Property {
        throughput: tuned("134217728", "room for several large batches of every partition"),
        ..property("buffer.memory", Kind::Bytes { least: 0, most: LONG }, "33554432",
            "Bytes of records that may wait or be in flight; beyond it, back-pressure.", "")
    },
    property("max.request.size", Kind::Bytes { least: 1024, most: INT }, "1048576",
        "Largest record and largest request (a request of one batch may be larger by its frame).", ""),
    Property {
        low_latency: tuned("1", "a broker serves one request of a connection at a time: more would only park small batches in its socket"),
        ..property("max.in.flight.requests.per.connection", Kind::Number { least: 1, most: 5 }, "5",
            "Requests sent and not answered, per broker; at most 5, since a broker remembers 5 batches per producer.", "KIP-98")
    },
    property("max.block.ms", Kind::Millis { least: 0, most: LONG }, "60000",
        "How long a call may wait for buffer room or for metadata.", ""),
    property("delivery.timeout.ms", Kind::Millis { least: 1, most: INT }, "120000",
        "From hand-over to outcome; past it an unsent record is NOT_WRITTEN, a sent one stays UNKNOWN and is resolved further.", "KIP-91"),
    property("request.timeout.ms", Kind::Millis { least: 1, most: INT }, "30000",
        "How long a request may wait for its answer before its connection is closed and it is sent again.", ""),
    property("retries", Kind::Number { least: 0, most: INT }, "2147483647",
        "How often an unwritten batch is sent again; delivery.timeout.ms is the better bound. At least 1.", "KIP-91"),
    property("retry.backoff.ms", Kind::Millis { least: 0, most: LONG }, "100",
        "Wait before the first retry; doubled each time, +-20 %.", "KIP-580"),
    property("retry.backoff.max.ms", Kind::Millis { least: 0, most: LONG }, "1000",
        "Longest wait between two retries.", "KIP-580"),
    property("reconnect.backoff.ms", Kind::Millis { least: 0, most: LONG }, "50",
        "Wait before the first reconnect to a broker; doubled each time, +-20 %.", "KIP-144"),
    property("reconnect.backoff.max.ms", Kind::Millis { least: 0, most: LONG }, "1000",
        "Longest wait between two reconnects.", "KIP-144"),
    property("socket.connection.setup.timeout.ms", Kind::Millis { least: 1, most: LONG }, "10000",
        "How long a first connection attempt may take; doubled each time.", "KIP-601"),
    property("socket.connection.setup.timeout.max.ms", Kind::Millis { least: 1, most: LONG }, "30000",
        "Longest time for a connection attempt.", "KIP-601"),
    property("connections.max.idle.ms", Kind::Millis { least: -1, most: LONG }, "540000",
        "A connection unused for this long is closed; -1 = never.", ""),
    property("metadata.max.age.ms", Kind::Millis { least: 0, most: LONG }, "300000",
        "Metadata is refreshed at least this often.", ""),
    property("metadata.max.idle.ms", Kind::Millis { least: 5000, most: LONG }, "300000",
        "A topic not produced to for this long is forgotten.", "KIP-526"),
    property("compression.type", Kind::Choice(&["none", "gzip", "snappy", "lz4", "zstd"]), "none",
        "Codec of the batches; one that saves nothing on a batch is left out for that batch.", "KIP-110"),
    property("compression.gzip.level", Kind::Number { least: -1, most: 9 }, "-1",
        "1 (fast) to 9 (small), -1 = zlib's choice.", "KIP-390"),
    property("compression.lz4.level", Kind::Number { least: 1, most: 17 }, "9",
        "Accepted; the lz4 here has one level, the fast one that Kafka's default 9 means.", "KIP-390"),
    property("compression.zstd.level", Kind::Number { least: -131_072, most: 22 }, "3",
        "-131072 (fast) to 22 (small).", "KIP-390"),
    Property {
        throughput: tuned("-1", "the system's own buffer grows to what large requests need"),
        ..property("send.buffer.bytes", Kind::Bytes { least: -1, most: INT }, "131072",
            "Socket send buffer (SO_SNDBUF); -1 = the system's choice.", "")
    },
    Property {
        throughput: tuned("-1", "the system's own buffer is never smaller"),
        ..property("receive.buffer.bytes", Kind::Bytes { least: -1, most: INT }, "32768",
            "Socket receive buffer (SO_RCVBUF); -1 = the system's choice.", "")
    },
    property("partitioner.ignore.keys", Kind::Flag, "false",
        "A key does not choose the partition: keyed records are spread like keyless ones.", "KIP-794"),
    property("partitioner.adaptive.partitioning.enable", Kind::Flag, "true",
        "Keyless records go more often to partitions with shorter queues.", "KIP-794"),
    property("partitioner.availability.timeout.ms", Kind::Millis { least: 0, most: LONG }, "0",
        "A partition whose broker takes nothing for this long is not chosen for keyless records; 0 = off.", "KIP-794"),
    property("transactional.id", Kind::Text, "",
        "Name of a transactional producer, one per running instance: a second one with it fences the first. Empty = none.", "KIP-98"),
    property("transaction.timeout.ms", Kind::Millis { least: 1, most: INT }, "60000",
        "How long a transaction may stay open before the coordinator aborts it and fences us; above request.timeout.ms.", "KIP-98"),
    property("security.protocol", Kind::Choice(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]), "PLAINTEXT",
        "How brokers are spoken to. Only PLAINTEXT for now.", ""),
];

const fn property(
    name: &'static str,
    kind: Kind,
    kafka_default: &'static str,
    doc: &'static str,
    source: &'static str,
) -> Property {
    Property {
        name,
        kind,
        kafka_default,
        low_latency: None,
        throughput: None,
        doc,
        source,
    }
}

const fn tuned(value: &'static str, reason: &'static str) -> Option<Tuned> {
    Some(Tuned { value, reason })
}
