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
        "delivery/client-partition",
        "delivery/leader-kill",
        "delivery/rolling-restart",
        "latency/steady-1k-idle-cost",
        "latency/steady-1k-idle-cost-linger5",
        "latency/steady-25k",
        "load/burst-10x",
        "load/max",
        "ordering/per-key",
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
            scenario.duration().is_none_or(|d| d <= Duration::from_secs(60)),
            "{}",
            scenario.name
        );
    }
}

#[test]
fn the_text_as_run_is_the_same_scenario_again() {
    for scenario in load_catalogue() {
        let mut set = vec!["claims.lost=1"];
        if scenario.duration().is_some() {
            set.extend(["workload.duration=60s", "workload.warmup=5s"]);
        }
        let overrides = overrides(&set, &["delivery.timeout.ms=60000"], Some(7));
        let (_, run) = load_one(&scenario.path, scenario.name.clone(), &overrides);
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
        let (mut source, result) = load_one(path, "case".into(), &overrides(&[], &[], None));
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
