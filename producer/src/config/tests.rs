//! Settings: every default parses, every error stands once with its mend, nothing wrong gets through.

use proptest::prelude::*;

use super::*;

fn properties(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

fn errors(pairs: &[(&str, &str)]) -> Vec<ConfigError> {
    ProducerConfig::from_properties(&properties(pairs)).expect_err("must be refused")
}

fn config(pairs: &[(&str, &str)]) -> ProducerConfig {
    ProducerConfig::from_properties(&properties(pairs)).expect("must be accepted")
}

#[test]
fn every_default_of_every_profile_is_a_value_that_could_have_been_given() {
    for profile in Profile::ALL {
        let given: BTreeMap<_, _> = PROPERTIES
            .iter()
            .map(|property| (property.name.to_owned(), property.default(profile).to_owned()))
            .collect();
        let parsed = ProducerConfig::with_profile(profile, &given)
            .unwrap_or_else(|errors| panic!("{}: {errors:?}", profile.name()));
        let defaults = ProducerConfig::defaults(profile);
        assert_eq!(
            ProducerConfig {
                notes: Vec::new(),
                ..parsed
            },
            defaults
        );
        for (property, (name, value)) in PROPERTIES.iter().zip(defaults.values()) {
            assert_eq!(
                (property.name, property.default(profile)),
                (name, value),
                "one spelling"
            );
        }
    }
}

#[test]
fn kafkas_profile_differs_in_nothing_and_the_others_say_why() {
    assert_eq!(ProducerConfig::defaults(Profile::Kafka).differences(), []);
    for profile in [Profile::LowLatency, Profile::Throughput] {
        let differences = ProducerConfig::defaults(profile).differences();
        assert!(!differences.is_empty());
        for difference in differences {
            assert!(
                difference
                    .reason
                    .starts_with(&format!("profile {}: ", profile.name())),
                "{difference:?}"
            );
            assert_ne!(difference.value, difference.kafka_default);
        }
    }
}

#[test]
fn a_value_set_by_the_user_is_a_difference_and_kafkas_own_is_none() {
    let config = config(&[
        ("profile", "low-latency"),
        ("linger.ms", "5"),
        ("batch.size", "20000"),
    ]);
    let names: Vec<_> = config
        .differences()
        .iter()
        .map(|difference| difference.name)
        .collect();
    assert_eq!(names, ["batch.size", "max.in.flight.requests.per.connection"]);
    assert_eq!(config.differences()[0].reason, "set by the user");
}

#[test]
fn times_become_nanoseconds_exactly() {
    assert_eq!(config(&[("linger.ms", "0.2")]).linger_ns, 200_000);
    assert_eq!(config(&[("linger.ms", "5.000001")]).linger_ns, 5_000_001);
    assert_eq!(config(&[("linger.ms", " 7 ")]).linger_ns, 7_000_000);
    assert_eq!(
        config(&[("max.block.ms", "9223372036854775807")]).max_block_ns,
        u64::MAX,
        "for ever"
    );
    assert_eq!(config(&[]).connections_max_idle_ns, Some(540_000_000_000));
    assert_eq!(
        config(&[("connections.max.idle.ms", "-1")]).connections_max_idle_ns,
        None
    );
    for wrong in [
        "",
        ".",
        "-1",
        "1e3",
        "5ms",
        "0.0000001",
        "NaN",
        "99999999999999999999",
    ] {
        assert_eq!(errors(&[("linger.ms", wrong)])[0].key, "linger.ms", "{wrong}");
    }
}

#[test]
fn weaker_delivery_is_refused_with_the_reason() {
    for (key, value) in [
        ("acks", "1"),
        ("acks", "0"),
        ("request.required.acks", "1"),
        ("retries", "0"),
    ] {
        let errors = errors(&[(key, value)]);
        assert_eq!((errors.len(), errors[0].key.as_str()), (1, key));
    }
    assert!(
        errors(&[("enable.idempotence", "False")])[0]
            .reason
            .contains("double")
    );
    let both = errors(&[("acks", "1"), ("enable.idempotence", "true")]);
    assert_eq!(both[0].other_key.as_deref(), Some("enable.idempotence"));
    assert!(both[0].reason.contains("lost"), "{}", both[0]);
    assert!(both[0].reason.contains("contradicts"), "{}", both[0]);
    assert_eq!(config(&[("acks", "-1")]).differences(), [], "-1 is all");
}

#[test]
fn what_is_not_built_yet_is_refused_in_a_sentence() {
    assert!(
        errors(&[("security.protocol", "SASL_SSL")])[0]
            .reason
            .contains("not built yet")
    );
    assert!(
        errors(&[("ssl.truststore.location", "/x")])[0]
            .reason
            .contains("PLAINTEXT")
    );
}

#[test]
fn in_flight_is_one_to_five() {
    for (value, fine) in [("0", false), ("1", true), ("5", true), ("6", false)] {
        let result = ProducerConfig::from_properties(&properties(&[("max.in.flight", value)]));
        assert_eq!(result.is_ok(), fine, "{value}");
    }
}

#[test]
fn contradictions_name_both_keys_and_defaults_give_way() {
    let error = &errors(&[("delivery.timeout.ms", "30000"), ("request.timeout.ms", "30000")])[0];
    assert_eq!(
        (error.key.as_str(), error.other_key.as_deref()),
        ("delivery.timeout.ms", Some("request.timeout.ms"))
    );
    assert!(error.mend.contains("30005"), "{error}");

    let raised = config(&[("request.timeout.ms", "200000"), ("linger.ms", "0.5")]);
    assert_eq!(
        raised.delivery_timeout_ns, 200_001_000_000,
        "rounded up to whole milliseconds"
    );
    assert_eq!(raised.notes.len(), 1);

    let error = &errors(&[("retry.backoff.ms", "3000"), ("retry.backoff.max.ms", "2000")])[0];
    assert_eq!(error.other_key.as_deref(), Some("retry.backoff.ms"));
    assert_eq!(
        config(&[("retry.backoff.ms", "3000")]).retry_backoff_max_ns,
        3_000_000_000
    );

    let error = &errors(&[("batch.size", "2000000"), ("max.request.size", "1500000")])[0];
    assert_eq!(
        (error.key.as_str(), error.other_key.as_deref()),
        ("batch.size", Some("max.request.size"))
    );
    assert_eq!(
        config(&[("buffer.memory", "10000")]).batch_size,
        10_000,
        "the default gives way"
    );
}

#[test]
fn unknown_keys_get_the_nearest_name() {
    for (typo, meant) in [
        ("linger_ms", Some("linger.ms")),
        ("lingerMs", Some("linger.ms")),
        ("batch.sice", Some("batch.size")),
        (
            "max.inflight.requests.per.connection",
            Some("max.in.flight.requests.per.connection"),
        ),
        ("colour", None),
    ] {
        let error = &errors(&[(typo, "1")])[0];
        assert_eq!((error.nearest, error.key.as_str()), (meant, typo));
    }
}

#[test]
fn librdkafkas_names_are_taken_with_a_note() {
    let config = config(&[
        ("queue.buffering.max.ms", "0.3"),
        ("queue.buffering.max.kbytes", "65536"),
        ("compression.codec", "lz4"),
        ("metadata.broker.list", "a:1, b:2"),
    ]);
    assert_eq!(config.linger_ns, 300_000);
    assert_eq!(config.buffer_memory, 64 << 20);
    assert_eq!(config.compression, Compression::Lz4);
    assert_eq!(config.bootstrap_servers.len(), 2);
    assert_eq!(config.notes.len(), 4);

    let error = &errors(&[("queue.buffering.max.ms", "1"), ("linger.ms", "2")])[0];
    assert_eq!(error.other_key.as_deref(), Some("linger.ms"));
    let error = &errors(&[("queue.buffering.max.kbytes", "many")])[0];
    assert_eq!(error.value.as_deref(), Some("many"), "in the user's words");
}

#[test]
fn all_errors_come_at_once() {
    let errors = errors(&[
        ("acks", "1"),
        ("batch.size", "-3"),
        ("compression.type", "zip"),
        ("linger.msec", "0"),
        ("profile", "fast"),
        ("partitioner.class", "com.example.Mine"),
        ("retries", "many"),
    ]);
    let mut keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    keys.sort_unstable();
    let expected = [
        "acks",
        "batch.size",
        "compression.type",
        "linger.msec",
        "partitioner.class",
        "profile",
        "retries",
    ];
    assert_eq!(keys, expected);
    for error in errors {
        assert!(!error.reason.is_empty() && !error.mend.is_empty(), "{error}");
    }
}

#[test]
fn levels_belong_to_their_codec() {
    let gzip = config(&[("compression.type", "gzip"), ("compression.gzip.level", "9")]);
    assert_eq!((gzip.compression, gzip.compression_level), (Compression::Gzip, 9));
    assert_eq!(config(&[("compression.type", "zstd")]).compression_level, 3);
    assert_eq!(
        config(&[("compression.zstd.level", "5")]).notes.len(),
        1,
        "without effect, so it is said"
    );
    assert_eq!(errors(&[("compression.gzip.level", "10")]).len(), 1);
}

#[test]
fn servers_are_hosts_with_ports() {
    let config = config(&[(
        "bootstrap.servers",
        "localhost:9092,[::1]:9093, PLAINTEXT://10.0.0.1:9094 ,",
    )]);
    let shown: Vec<_> = config
        .bootstrap_servers
        .iter()
        .map(BootstrapServer::to_string)
        .collect();
    assert_eq!(shown, ["localhost:9092", "[::1]:9093", "10.0.0.1:9094"]);
    for wrong in [
        "localhost",
        "localhost:0",
        "localhost:99999",
        ":9092",
        "a b:1",
        "a/b:1",
        "localhost:",
    ] {
        assert_eq!(errors(&[("bootstrap.servers", wrong)]).len(), 1, "{wrong}");
    }
}

proptest! {
    #[test]
    fn whatever_is_accepted_keeps_its_promises(
        pairs in prop::collection::btree_map(
            prop::sample::select(PROPERTIES.iter().map(|property| property.name.to_owned()).collect::<Vec<_>>()),
            prop_oneof![
                (-2..200_000_i64).prop_map(|number| number.to_string()),
                prop::sample::select(vec!["true", "false", "all", "gzip", "0.25", "", "a:1", "9223372036854775807"])
                    .prop_map(str::to_owned),
                ".{0,6}",
            ],
            0..6,
        ),
        profile in prop::sample::select(Profile::ALL.to_vec()),
    ) {
        match ProducerConfig::with_profile(profile, &pairs) {
            Err(errors) => prop_assert!(!errors.is_empty()),
            Ok(config) => {
                prop_assert!(config.delivery_timeout_ns >= config.linger_ns + config.request_timeout_ns);
                prop_assert!((1..=5).contains(&config.max_in_flight));
                prop_assert!(config.batch_size >= 1 && config.batch_size <= config.buffer_memory.max(1));
                prop_assert!(config.batch_size <= config.max_request_size);
                prop_assert!(config.retry_backoff_ns <= config.retry_backoff_max_ns);
                prop_assert!(config.reconnect_backoff_ns <= config.reconnect_backoff_max_ns);
                prop_assert!(config.retries >= 1 && !config.client_id.is_empty());
                // What it shows, it would accept again, to the same effect.
                let shown = config.values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                let again = ProducerConfig::with_profile(profile, &shown).expect("its own values");
                prop_assert_eq!(ProducerConfig { notes: Vec::new(), ..again }, ProducerConfig { notes: Vec::new(), ..config });
            }
        }
    }
}

#[test]
fn a_transaction_lasts_longer_than_a_request() {
    let id = ("transactional.id", "copier-1");
    assert_eq!(config(&[]).transactional_id, None);
    assert_eq!(config(&[id]).transactional_id.as_deref(), Some("copier-1"));
    assert_eq!(config(&[id]).transaction_timeout_ns, 60_000_000_000);
    let raised = config(&[
        id,
        ("request.timeout.ms", "70000"),
        ("delivery.timeout.ms", "100000"),
    ]);
    assert_eq!(raised.transaction_timeout_ns, 140_000_000_000);
    assert!(
        raised.notes.iter().any(|note| note.contains("raised to 140000")),
        "{:?}",
        raised.notes
    );
    let short = errors(&[id, ("transaction.timeout.ms", "30000")]);
    assert_eq!(short[0].key, "transaction.timeout.ms");
    assert_eq!(short[0].other_key, None);
    let both = errors(&[
        id,
        ("transaction.timeout.ms", "900"),
        ("request.timeout.ms", "1000"),
    ]);
    assert_eq!(both[0].other_key.as_deref(), Some("request.timeout.ms"));
    // Without an id it says nothing about us.
    config(&[("transaction.timeout.ms", "900")]);
    let prepared = errors(&[id, ("transaction.two.phase.commit.enable", "true")]);
    assert!(prepared[0].reason.contains("KIP-939"), "{}", prepared[0]);
}
