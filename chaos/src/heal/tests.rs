//! What a dead runner left is ended and removed; what is somebody else's is left alone.

use std::process::{Child, Command};

use super::*;

/// A process that a dead runner might have left: it carries the name of a journal.
struct Leftover(Child);

impl Leftover {
    fn start(journal_name: &str) -> Leftover {
        let mut sleep = Command::new("/bin/sleep");
        let child = sleep
            .arg("1000")
            .env(JOURNAL_VARIABLE, journal_name)
            .spawn()
            .unwrap();
        // Until its exec is over it still shows the environment of this process, or none.
        let deadline = Deadline::after(GONE_BOUND);
        while !procstat::has_variable(child.id(), JOURNAL_VARIABLE, journal_name) {
            assert!(!deadline.passed());
        }
        Leftover(child)
    }

    fn start_time(&self) -> u64 {
        procstat::stat(self.0.id()).unwrap().start_time
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn write_journal(directory: &Path, runner: (u32, u64), boot_id: &str, rest: &[Entry]) -> PathBuf {
    let pid_namespace = journal::pid_namespace().unwrap();
    let (pid, start_time) = runner;
    let mut entries = vec![Entry::Runner {
        pid,
        start_time,
        boot_id: boot_id.into(),
        pid_namespace,
    }];
    entries.extend_from_slice(rest);
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| serde_json::to_string(entry).unwrap())
        .collect();
    let path = directory.join(format!("{}.jsonl", journal_name(directory)));
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    path
}

/// One per test: `heal` looks for its journal's name among all processes, those of the other tests too.
fn journal_name(directory: &Path) -> String {
    format!(
        "test-{}-{}",
        std::process::id(),
        directory.file_name().unwrap().to_string_lossy()
    )
}

/// Pid 1 is alive everywhere, but not with this start time.
const DEAD: (u32, u64) = (1, u64::MAX);

#[test]
fn what_a_dead_runner_left_is_killed_and_the_journal_goes() {
    let home = tempfile::tempdir().unwrap();
    let name = journal_name(home.path());
    let mut child = Leftover::start(&name);
    let mut descendant = Leftover::start(&name);
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join(DIRECTORY_MARKER), "").unwrap();
    let entries = [
        Entry::Child {
            name: "broker-1".into(),
            pid: child.0.id(),
            start_time: child.start_time(),
        },
        Entry::Directory { path: data.clone() },
    ];
    write_journal(home.path(), DEAD, &journal::boot_id().unwrap(), &entries);

    let healed = heal_in(home.path()).unwrap();
    assert!(
        healed.steps.contains(&Step::Killed {
            name: "broker-1".into(),
            pid: child.0.id()
        }),
        "{healed:?}"
    );
    assert!(
        healed.steps.contains(&Step::Killed {
            name: "sleep".into(),
            pid: descendant.0.id()
        }),
        "{healed:?}"
    );
    assert!(healed.steps.contains(&Step::Removed(data.clone())), "{healed:?}");
    assert!(!child.lives() && !descendant.lives() && !data.exists());
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
}

#[test]
fn a_reused_pid_is_spared() {
    let home = tempfile::tempdir().unwrap();
    // One has the pid and the start time but not the name, the other the pid and the name of another journal.
    let mut stranger = Leftover::start("someone-else");
    let mut reused = Leftover::start("9-9-9");
    let entries = [
        Entry::Child {
            name: "a".into(),
            pid: stranger.0.id(),
            start_time: stranger.start_time(),
        },
        Entry::Child {
            name: "b".into(),
            pid: reused.0.id(),
            start_time: reused.start_time() + 1,
        },
    ];
    write_journal(home.path(), DEAD, &journal::boot_id().unwrap(), &entries);
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
    assert!(stranger.lives() && reused.lives());
}

#[test]
fn a_live_runners_children_are_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let mut child = Leftover::start(&journal_name(home.path()));
    // Somebody who lives, and is not this process, whose own journal would be passed over in silence.
    let lives = Leftover::start("another-journal");
    let own = lives.0.id();
    let runner = (own, lives.start_time());
    let entries = [Entry::Child {
        name: "a".into(),
        pid: child.0.id(),
        start_time: child.start_time(),
    }];
    let path = write_journal(home.path(), runner, &journal::boot_id().unwrap(), &entries);
    assert_eq!(
        heal_in(home.path()).unwrap().steps,
        [Step::LeftAlone { runner: own }]
    );
    assert!(child.lives() && path.exists());
}

#[test]
fn after_a_reboot_no_process_is_what_the_journal_names() {
    let home = tempfile::tempdir().unwrap();
    let mut innocent = Leftover::start(&journal_name(home.path()));
    let entries = [Entry::Child {
        name: "a".into(),
        pid: innocent.0.id(),
        start_time: innocent.start_time(),
    }];
    let path = write_journal(home.path(), DEAD, "another boot", &entries);
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
    assert!(innocent.lives() && !path.exists());
}

#[test]
fn a_directory_without_our_marker_is_never_removed() {
    let home = tempfile::tempdir().unwrap();
    let precious = home.path().join("precious");
    fs::create_dir(&precious).unwrap();
    write_journal(
        home.path(),
        DEAD,
        &journal::boot_id().unwrap(),
        &[Entry::Directory {
            path: precious.clone(),
        }],
    );
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
    assert!(precious.exists());
}

#[test]
fn a_topic_without_an_id_is_told_and_not_touched_and_one_out_of_reach_stays_noted() {
    let home = tempfile::tempdir().unwrap();
    let boot = journal::boot_id().unwrap();
    // Nothing listens there.
    let servers = vec!["127.0.0.1:9".to_owned()];
    let topic = |id: Option<&str>| Entry::Topic {
        name: "orders".into(),
        servers: servers.clone(),
        id: id.map(str::to_owned),
    };
    let gone = Entry::TopicGone {
        name: "orders".into(),
    };
    let path = write_journal(home.path(), DEAD, &boot, &[topic(None)]);
    let told = Step::Perhaps {
        topic: "orders".into(),
        servers: "127.0.0.1:9".into(),
    };
    assert_eq!(heal_in(home.path()).unwrap().steps, [told]);
    assert!(!path.exists());

    let id = Some("123e4567-e89b-42d3-a456-426614174000");
    let path = write_journal(home.path(), DEAD, &boot, &[topic(None), topic(id)]);
    assert!(heal_in(home.path()).unwrap().failed());
    assert!(path.exists(), "heal can try again");

    let path = write_journal(home.path(), DEAD, &boot, &[topic(None), topic(id), gone]);
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
    assert!(!path.exists());
}

#[test]
fn a_container_that_cannot_be_asked_for_stays_noted_and_one_that_is_gone_is_no_work() {
    let home = tempfile::tempdir().unwrap();
    let boot = journal::boot_id().unwrap();
    let container = |id: Option<&str>| Entry::Container {
        name: "steadfast-1-1-0-broker-1-0".into(),
        // Nothing listens there.
        engine: "unix:///nowhere/docker.sock".into(),
        id: id.map(str::to_owned),
    };
    let gone = Entry::ContainerGone {
        name: "steadfast-1-1-0-broker-1-0".into(),
    };
    // A container outlives a boot: it is asked for then too.
    for boot in [boot.as_str(), "another boot"] {
        let path = write_journal(
            home.path(),
            DEAD,
            boot,
            &[container(None), container(Some("12ab"))],
        );
        let steps = heal_in(home.path()).unwrap().steps;
        let [Step::Failed(reason)] = steps.as_slice() else {
            panic!("{steps:?}");
        };
        assert!(
            reason.contains("broker-1") && reason.contains("unix:///nowhere"),
            "{reason}"
        );
        assert!(path.exists(), "heal can try again");
    }
    let path = write_journal(home.path(), DEAD, &boot, &[container(None), gone]);
    assert_eq!(heal_in(home.path()).unwrap(), Healed::default());
    assert!(!path.exists());
}

#[test]
fn a_damaged_journal_is_reported_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("1-1-0.jsonl");
    fs::write(&path, "nonsense\nmore nonsense\n").unwrap();
    assert!(heal_in(home.path()).unwrap().failed());
    assert!(path.exists());
}

#[test]
fn a_directory_that_was_made_again_is_left() {
    let made = || Entry::Directory { path: "/d".into() };
    let gone = || Entry::DirectoryGone { path: "/d".into() };
    assert!(directories_left(&[made(), gone()]).is_empty());
    assert_eq!(directories_left(&[made(), gone(), made()]).len(), 1);
    assert!(directories_left(&[made(), gone(), made(), gone()]).is_empty());
}
