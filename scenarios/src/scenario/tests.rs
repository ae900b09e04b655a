//! The grammar from outside: the catalogue, a table of bad files with their exact frames, and text that nobody wrote.
//!
//! `tests/bad/<case>.toml` is refused with `tests/bad/<case>.txt`; `STEADFAST_BLESS=1` writes the frames anew, for review.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;

fn overrides(set: &[&str], property: &[&str], seed: Option<u64>) -> Overrides {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Overrides {
        broker: None,
        bootstrap_server: Vec::new(),
        allow_remote: false,
        seed,
        set: owned(set),
        subject: None,
        property: owned(property),
    }
}

fn parse_text(text: &str, overrides: &Overrides) -> Result<Scenario, Diagnostics> {
    let path = Path::new("test.toml");
    let mut source = Source::blank(path, "test".into());
    source.original = text.to_owned();
    source.text = text.to_owned();
    let placed = source.apply(overrides);
    parse(&source, placed).map_err(|problems| Diagnostics {
        files: vec![(source, problems)],
    })
}

fn catalogue() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn load_catalogue() -> Vec<Scenario> {
    load_all(&[catalogue()], &overrides(&[], &[], None))
        .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
}

#[test]
fn every_file_of_the_catalogue_is_a_scenario_that_proves_one_claim_and_says_why() {
    let scenarios = load_catalogue();
    let names: Vec<&str> = scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    for name in [
        "delivery/ack-blackhole",
        "delivery/all-links-down",
        "delivery/below-min-isr",
        "delivery/client-partition",
        "delivery/controller-kill",
        "delivery/cut-at-byte",
        "delivery/copy-job",
        "delivery/copy-job-leader-kill",
        "delivery/leader-kill",
        "delivery/leader-ping-pong",
        "delivery/reset-connections",
        "delivery/rolling-restart",
        "delivery/slow-link",
        "delivery/transactions",
        "delivery/whole-cluster-down",
        "latency/steady-1k-idle-cost",
        "latency/steady-1k-idle-cost-linger5",
        "latency/steady-25k",
        "load/burst-10x",
        "load/many-consumers",
        "load/max",
        "load/quota-throttle",
        "load/ramp-to-knee",
        "load/retained-size",
        "ordering/per-key",
        "ordering/readers",
        "quickstart",
    ] {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    for scenario in &scenarios {
        let text = std::fs::read_to_string(&scenario.path).expect("readable");
        let mut lines = text.lines();
        assert!(
            lines.next().is_some_and(|line| line.starts_with("#:schema ")),
            "{}",
            scenario.name
        );
        assert!(
            lines.next().is_some_and(|line| line.starts_with("# Claim: ")),
            "{}",
            scenario.name
        );
        assert!(text.contains("\n# Why: "), "{}", scenario.name);
        assert_eq!(
            scenario.cluster.kind, None,
            "{}: catalogue files name no kind",
            scenario.name
        );
        assert!(
            scenario.duration().is_none_or(|d| d <= longest(scenario)),
            "{}",
            scenario.name
        );
    }
}

/// What lasts long stands under `soak/`.
fn longest(scenario: &Scenario) -> Duration {
    let minutes = if scenario.name.starts_with("soak/") { 70 } else { 1 };
    Duration::from_secs(60 * minutes)
}

#[test]
fn the_text_as_run_is_the_same_scenario_again() {
    for scenario in load_catalogue() {
        let mut set = vec!["claims.lost=1"];
        if scenario.duration().is_some() {
            set.push("workload.warmup=5s");
        }
        if scenario.duration().is_some_and(|d| d <= Duration::from_secs(60)) {
            set.push("workload.duration=60s");
        }
        let overrides = overrides(&set, &["delivery.timeout.ms=60000"], Some(7));
        let (_, run) = load_one(&scenario.path, &scenario.name, &overrides);
        let run = run.unwrap_or_else(|problems| panic!("{}: {problems:?}", scenario.name));
        assert_eq!(run.seed, 7);
        assert_eq!(run.claims[0].limit, 1);

        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::write(folder.path().join("scenario.toml"), &run.text).expect("written");
        let again = of_run_folder(folder.path()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
        assert_eq!(again.name, scenario.name);
        assert_eq!(again.text, run.text);
        assert_eq!(again.template, run.template);
        assert_eq!(again.faults, run.faults);
        assert_eq!(again.thresholds, run.thresholds);
        assert_eq!(again.claims, run.claims);
        assert_eq!(again.recovery, run.recovery);
        assert_eq!(again.readers, run.readers);
        assert_eq!(again.neighbour, run.neighbour);
    }
}

#[test]
fn bad_files_get_these_frames() {
    let folder = catalogue().join("src/scenario/tests/bad");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("cases")
        .flatten()
        .map(|e| e.path())
        .collect();
    cases.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    cases.sort();
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for path in &cases {
        let (mut source, result) = load_one(path, "case", &overrides(&[], &[], None));
        source.path = PathBuf::from(path.file_name().expect("a name"));
        let Err(problems) = result else {
            wrong.push(format!("{} is accepted", path.display()));
            continue;
        };
        let found = Diagnostics {
            files: vec![(source, problems)],
        }
        .render(false);
        let frames = path.with_extension("txt");
        if std::env::var_os("STEADFAST_BLESS").is_some() {
            std::fs::write(&frames, &found).expect("written");
        }
        let expected = std::fs::read_to_string(&frames).unwrap_or_default();
        if found != expected {
            wrong.push(format!("{}:\n{found}", path.display()));
        }
        assert!(found.contains(".toml:"), "no line and column:\n{found}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_file_of_text_is_told_like_any_other_mistake() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("large.toml"), vec![b'#'; source::MAX_FILE_BYTES as usize + 1]).expect("written");
    let good = catalogue().join("quickstart.toml");
    let paths = [
        at("nowhere.toml"),
        at("large.toml"),
        folder.path().join("empty"),
        good,
    ];
    std::fs::create_dir(at("empty")).expect("created");
    let found = load_all(&paths, &no_overrides())
        .expect_err("three of four are wrong")
        .render(false);
    for expected in [
        "cannot read the scenario file",
        "nowhere.toml",
        "No such file or directory",
        "a scenario file has at most 1048576",
        "no scenario file in this folder",
        "3 errors in 3 scenario files; nothing was started",
    ] {
        assert!(found.contains(expected), "{expected}:\n{found}");
    }
}

#[test]
fn two_files_of_one_name_are_refused() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let text = std::fs::read_to_string(catalogue().join("quickstart.toml")).expect("readable");
    let paths =
        ["one/scenarios/latency/a.toml", "two/scenarios/latency/a.toml"].map(|name| folder.path().join(name));
    for path in &paths {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        std::fs::write(path, &text).expect("written");
    }
    let found = load_all(&paths, &no_overrides())
        .expect_err("one name")
        .render(false);
    assert!(
        found.contains("error: two scenario files named `latency/a`"),
        "{found}"
    );
    let title = 1 + text.lines().take_while(|line| !line.starts_with("title")).count();
    let place = format!("two/scenarios/latency/a.toml:{title}:9");
    assert!(found.contains(&place), "{found}");
    assert!(
        found.contains("one/scenarios/latency/a.toml; runs are told apart"),
        "{found}"
    );
}

#[test]
fn a_mistake_in_an_override_is_shown_on_the_command_line() {
    let text = std::fs::read_to_string(catalogue().join("quickstart.toml")).expect("readable");
    let shown = |set: &[&str], property: &[&str]| {
        parse_text(&text, &overrides(set, property, None))
            .expect_err("refused")
            .render(false)
    };
    let found = shown(
        &["workload.duration=20", "workload.rat=5/s", "nonsense"],
        &["acks=1", "lingerms=5"],
    );
    for expected in [
        "--set workload.duration=20\n  |                         ^^ expected text such as \"10s\", found the number 20",
        "--set workload.rat=5/s\n  |       ^^^^^^^^^^^^ did you mean `rate`?",
        "--set nonsense\n  | ^^^^^^^^^^^^^^ expected KEY=VALUE",
        "-X acks=1\n  |         ^ ",
        "-X lingerms=5\n  |    ^^^^^^^^ ",
        "--> command line:1:25",
        "5 errors in 1 scenario file",
    ] {
        assert!(found.contains(expected), "{expected}\n\n{found}");
    }
}

#[test]
fn a_flag_wins_over_x_and_x_over_the_file_and_each_value_knows_who_set_it() {
    let text = std::fs::read_to_string(catalogue().join("latency/steady-25k.toml")).expect("readable");
    let overrides = overrides(
        &["workload.duration=20s", "workload.rate=30000/s"],
        &["linger.ms=1"],
        Some(9),
    );
    let scenario = parse_text(&text, &overrides).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    assert_eq!(scenario.seed, 9);
    assert_eq!(scenario.duration(), Some(Duration::from_secs(20)));
    assert_eq!(scenario.warmup_rate(), Some(30_000.0));
    assert_eq!(scenario.template.producer["linger.ms"], "1");
    let origin = |key: &str| {
        let value = scenario
            .values
            .iter()
            .find(|value| value.key == key)
            .unwrap_or_else(|| panic!("{key}"));
        value.origin.to_string()
    };
    assert_eq!(origin("seed"), "--seed 9");
    assert_eq!(origin("workload.duration"), "--set workload.duration=20s");
    assert_eq!(origin("producer.linger.ms"), "-X linger.ms=1");
    assert_eq!(origin("producer.acks"), "line 20");
    assert_eq!(origin("cluster.nodes"), "default");
}

#[test]
fn every_file_of_the_catalogue_has_a_plan() {
    for scenario in load_catalogue() {
        let plan = plan::plan(&scenario, "kafka", "the test says so");
        assert!(
            plan.records > 0 && plan.disk_bytes > plan.records && plan.timeline.len() >= 2,
            "{}",
            scenario.name
        );
        assert!(
            plan.claims.iter().all(|claim| claim.inconclusive.is_none()),
            "{}",
            scenario.name
        );
        assert!(plan.claims.len() >= 3, "{}", scenario.name);
        // buffer.memory >= rate x size x outage x 1.5 in every file with an outage.
        assert!(
            !plan.notes.iter().any(|note| note.contains("buffer.memory")),
            "{}: {:?}",
            scenario.name,
            plan.notes
        );
        let times: Vec<f64> = plan.timeline.iter().filter_map(|step| step.at_s).collect();
        assert!(times.is_sorted(), "{}: {times:?}", scenario.name);
    }
    let text = std::fs::read_to_string(catalogue().join("latency/steady-25k.toml")).expect("readable");
    let scenario =
        parse_text(&text, &no_overrides()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let plan = plan::plan(&scenario, "kafka", "x");
    assert_eq!((plan.warmup_records, plan.records), (375_000, 1_500_000));
}

#[test]
fn on_an_external_cluster_the_brokers_own_cost_cannot_be_proven() {
    let text = std::fs::read_to_string(catalogue().join("latency/steady-25k.toml")).expect("readable");
    let text = format!("{text}\nbroker_cpu = [\"value<80%\"]\n");
    let scenario =
        parse_text(&text, &no_overrides()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let voided = |kind| {
        let plan = plan::plan(&scenario, kind, "x");
        plan.claims
            .into_iter()
            .filter(|c| c.inconclusive.is_some())
            .map(|c| c.claim)
            .collect::<Vec<_>>()
    };
    assert_eq!(voided("external"), ["broker_cpu: value<80%"]);
    assert!(voided("kafka").is_empty());
}

#[test]
fn a_quota_is_for_any_client_of_the_run_and_stands_in_the_plan() {
    let of = |client: &str, quotas: &str| {
        let text = format!(
            "title = \"t\"\n[cluster]\ntopics.a = {{ partitions = 1 }}\ntopics.b = {{ partitions = 1 }}\n\
             [workload]\ntopic = \"a\"\nexecutor = \"constant-arrival-rate\"\nrate = \"10/s\"\nduration = \"9s\"\n\
             [readers]\ncount = 50\n[neighbour]\ntopic = \"b\"\nrate = \"20/s\"\n\
             [[fault]]\nname = \"q\"\nat = \"1s\"\nfor = \"2s\"\naction = \"quota\"\n\
             target = \"client-id({client})\"\nquotas = {{ {quotas} }}\n"
        );
        parse_text(&text, &no_overrides()).map_err(|errors| errors.render(false))
    };
    for (client, quotas) in [
        ("steadfast-producer", "producer_byte_rate = 5_000"),
        ("steadfast-neighbour", "producer_byte_rate = 5_000"),
        ("steadfast-reader", "consumer_byte_rate = 5_000"),
        ("steadfast-reader", "request_percentage = 5"),
    ] {
        let scenario = of(client, quotas).unwrap_or_else(|errors| panic!("{errors}"));
        let plan = plan::plan(&scenario, "kafka", "x").text();
        let told = format!(
            "quota {} of client-id({client}), 2",
            quotas.replace("5_000", "5000")
        );
        assert!(plan.contains(&told), "{told}:\n{plan}");
        assert!(
            plan.contains("a neighbour, steadfast-neighbour: 20/s of 1.0 KiB each into b"),
            "{plan}"
        );
        let refused = plan::plan(&scenario, "simulated", "x").text();
        assert!(refused.contains("use --broker kafka"), "{refused}");
    }
    assert!(of("steadfast-reader", "producer_byte_rate = 5_000").is_err());
    assert!(
        of("steadfast-copy", "consumer_byte_rate = 5_000").is_err(),
        "no copy job"
    );
}

#[test]
fn a_neighbour_writes_as_itself_and_without_transactions() {
    let text = "title = \"t\"\n[cluster]\ntopics.a = { partitions = 1 }\ntopics.b = { partitions = 3 }\n\
                [producer]\ntransactional.id = \"x\"\nlinger.ms = 7\n[workload]\ntopic = \"a\"\n\
                executor = \"constant-arrival-rate\"\nrate = \"10/s\"\nwarmup = \"1s\"\nduration = \"9s\"\n\
                [workload.transaction]\nrecords = 5\n[neighbour]\ntopic = \"b\"\nrate = \"20/s\"\n";
    let scenario =
        parse_text(text, &no_overrides()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let judged = scenario.workload(Vec::new(), 5, Path::new("run"));
    let neighbour = scenario.neighbour.expect("one").order(&judged);
    assert_eq!((neighbour.topic.as_str(), neighbour.partitions), ("b", 3));
    assert_ne!(neighbour.worker, judged.worker);
    assert_eq!(neighbour.transaction, None);
    assert_eq!(neighbour.executor, Executor::ConstantArrivalRate { rate: 20.0 });
    assert_eq!(
        (neighbour.start_ns, neighbour.warmup_ns, neighbour.duration_ns),
        (judged.start_ns, judged.warmup_ns, judged.duration_ns)
    );
    let property = |name: &str| neighbour.producer.get(name).map(String::as_str);
    assert_eq!(property("client.id"), Some("steadfast-neighbour"));
    assert_eq!(property("linger.ms"), Some("7"));
    assert_eq!(property("transactional.id"), None);
}

#[test]
fn the_file_of_init_runs_and_names_every_key() {
    let template = crate::commands::init::TEMPLATE;
    parse_text(template, &no_overrides()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    let sections = [
        &grammar::ROOT,
        &grammar::CLUSTER,
        &grammar::TOPIC,
        &grammar::PRODUCER,
        &grammar::WORKLOAD,
        &grammar::TRANSACTION,
    ];
    for section in sections.into_iter().chain([
        &grammar::STAGE,
        &grammar::KEYS,
        &grammar::FAULT,
        &grammar::CLAIMS,
        &grammar::RECOVERED,
        &grammar::READERS,
        &grammar::NEIGHBOUR,
    ]) {
        for key in section.keys {
            assert!(template.contains(key.name), "{} of {}", key.name, section.title);
        }
    }
    // What stands behind a # is right as well, but for what belongs to other executors.
    let others = [
        "# start-rate",
        "# stages",
        "# records",
        "# source",
        "# campaign",
        "# neighbour",
    ];
    let lines = template
        .lines()
        .filter(|line| !others.iter().any(|other| line.starts_with(other)));
    let all: String = lines.map(uncommented).collect();
    let scenario =
        parse_text(&all, &no_overrides()).unwrap_or_else(|errors| panic!("{}", errors.render(false)));
    assert_eq!(
        (
            scenario.faults.len(),
            scenario.claims.len(),
            scenario.steady_state.len()
        ),
        (1, 8, 2)
    );
}

#[test]
fn a_campaign_is_drawn_into_faults_by_the_seed() {
    let template = crate::commands::init::TEMPLATE.replace("# campaign", "campaign");
    let faults = |text: &str| {
        let parsed = parse_text(text, &no_overrides());
        parsed
            .unwrap_or_else(|errors| panic!("{}", errors.render(false)))
            .faults
    };
    let drawn = faults(&template);
    assert_eq!(drawn.len(), 3);
    assert_eq!(drawn, faults(&template));
    assert_ne!(drawn, faults(&template.replace("seed = 1", "seed = 2")));
    assert!(
        drawn.iter().all(|fault| fault.name.ends_with("-down")),
        "{drawn:?}"
    );

    let frames = |text: &str| {
        let errors = parse_text(text, &no_overrides()).expect_err("refused");
        errors.render(false)
    };
    let both =
        format!("{template}\n[[fault]]\nname = \"x\"\nat = \"1s\"\naction = \"kill\"\ntarget = \"random\"\n");
    assert!(
        frames(&both).contains("a fault beside a campaign"),
        "{}",
        frames(&both)
    );
    for (from, to, title) in [
        ("cycle = \"20s\"", "cycle = \"10m\"", "the campaign does not fit"),
        ("for = \"1s\" }", "for-max = \"1s\" }", "`for-max` without `for`"),
        (
            "for = \"1s\" }",
            "for = \"2s\", for-max = \"1s\" }",
            "`for-max` is shorter than `for`",
        ),
        ("for = \"1s\" }", "for = \"0s\" }", "`for` is zero"),
        ("\"down\"", "\"grow\"", "unknown action `grow`"),
        ("faults = 3", "faults = 400", "`faults` is out of range"),
        ("link(client, random)", "client", "is not done to the client"),
    ] {
        let wrong = template.replacen(from, to, 1);
        assert_ne!(wrong, template, "{from}");
        let frames = frames(&wrong);
        assert!(frames.contains(title), "{title}: {frames}");
    }
}

/// A commented key of the template as a key.
fn uncommented(line: &str) -> String {
    let rest = line
        .strip_prefix("# ")
        .filter(|rest| rest.starts_with('[') || rest.contains(" = "));
    format!("{}\n", rest.unwrap_or(line))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever stands in a file or on the command line: a scenario or frames, never a panic.
    #[test]
    fn parsing_never_panics(text in scrambled(), set in "[a-z.]{0,12}=?.{0,12}", seed in any::<Option<u64>>()) {
        for overrides in [no_overrides(), overrides(&[&set], &[&set], seed)] {
            match parse_text(&text, &overrides) {
                Ok(scenario) => {
                    let plan = plan::plan(&scenario, "kafka", "x");
                    prop_assert!(!plan.text().is_empty());
                }
                Err(errors) => {
                    prop_assert!(errors.render(false).contains("nothing was started"));
                    prop_assert!(errors.render(true).contains("nothing was started"));
                }
            }
        }
    }
}

/// Text of the catalogue with pieces cut out, doubled and replaced, and text that never was a scenario.
fn scrambled() -> impl Strategy<Value = String> {
    let files: Vec<String> = [
        "quickstart.toml",
        "load/burst-10x.toml",
        "load/max.toml",
        "delivery/leader-kill.toml",
    ]
    .into_iter()
    .map(|file| std::fs::read_to_string(catalogue().join(file)).expect("readable"))
    .collect();
    let piece = prop_oneof![
        Just(String::new()),
        "[\\[\\]{}=\"'.,# \n]{1,4}",
        "[0-9a-z\" ./()]{1,8}",
        "\\PC{0,6}",
        Just("é\u{0}\t".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("[[fault]]\n".to_owned()),
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..40usize, piece), 0..6);
    let edited = (prop::sample::select(files), edits).prop_map(|(mut text, edits)| {
        for (at, length, piece) in edits {
            let floor = |at: usize, text: &str| {
                (0..=at.min(text.len()))
                    .rev()
                    .find(|at| text.is_char_boundary(*at))
                    .unwrap_or(0)
            };
            let start = floor(at.index(text.len() + 1), &text);
            let end = floor(start + length, &text).max(start);
            text.replace_range(start..end, &piece);
        }
        text
    });
    prop_oneof![6 => edited, 1 => "\\PC{0,200}", 1 => "[\\[\\]{}=\"'.,#a-z0-9 \n]{0,200}"]
}
