//! The child side runs for real: the spawner executes this test binary, whose test [`child_entry`] is the shim.

use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock;

const SOON: Duration = Duration::from_secs(10);

/// In the role of `steadfast exec-child ...` when the command line says so; else a test of its own.
#[test]
fn child_entry() {
    let mut args = std::env::args_os();
    if args.any(|arg| arg == SHIM_COMMAND) {
        let code = shim(args);
        panic!("the program was not executed: {code:?}");
    }
    let nonsense = ["--parent", "0", "--", "true"].map(OsString::from);
    assert_eq!(
        format!("{:?}", shim(nonsense.into_iter())),
        format!("{:?}", ExitCode::from(2))
    );
}

/// A spawner whose shim is [`child_entry`].
pub(crate) fn test_spawner(journals: &Path) -> Spawner {
    let mut spawner = Spawner::start(Journal::open_in(journals).unwrap()).unwrap();
    let lead_in = ["--exact", "--nocapture", "--", "process::tests::child_entry"];
    spawner.lead_in = lead_in.map(OsString::from).to_vec();
    spawner
}

fn sh(home: &Path, script: &str) -> ChildSpec {
    ChildSpec {
        name: "sh".into(),
        program: Program::File("/bin/sh".into()),
        args: vec!["-c".into(), script.into()],
        env: vec![("GREETING".into(), "hello".into())],
        cwd: Some(home.to_owned()),
        stdout: Output::Pipe,
        stderr: home.join("err"),
    }
}

#[test]
fn output_environment_directory_and_status_arrive() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let mut child = spawner
        .spawn(&sh(home.path(), "echo $GREETING; pwd; echo oops >&2; exit 3"))
        .unwrap();
    let mut text = String::new();
    child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
    let status = child.wait(SOON).unwrap().unwrap();
    assert_eq!(describe_status(status), "exit 3");
    let here = home.path().display();
    assert!(text.ends_with(&format!("hello\n{here}\n")), "{text}");
    assert_eq!(
        std::fs::read_to_string(home.path().join("err")).unwrap(),
        "oops\n"
    );
}

#[test]
fn a_child_has_its_own_group_the_death_signal_and_the_journals_name() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    // The shell's child inherits no death signal, but it is in the group and carries the name.
    let mut child = spawner
        .spawn(&sh(home.path(), "sleep 1000 & echo pid $!; wait"))
        .unwrap();
    let mut bytes = [0_u8; 1];
    let (mut text, mut stdout) = (String::new(), child.take_stdout().unwrap());
    while !(text.contains("pid ") && text.ends_with('\n') && !text.ends_with("tests\n")) {
        stdout.read_exact(&mut bytes).unwrap();
        text.push(bytes[0] as char);
        if text.contains("pid ") && text.ends_with('\n') {
            break;
        }
    }
    let grandchild: u32 = text.rsplit("pid ").next().unwrap().trim().parse().unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{grandchild}/stat")).unwrap();
    let group: u32 = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_ascii_whitespace()
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(group, child.pid);
    // In the midst of its exec a process shows no environment.
    let named = || procstat::has_variable(grandchild, JOURNAL_VARIABLE, spawner.journal().name());
    assert!(soon(named), "it carries the journal's name");
    assert_eq!(describe_status(child.kill().unwrap()), "signal 9");
    let gone = || procstat::stat(grandchild).is_none_or(|stat| stat.state == 'Z');
    assert!(soon(gone), "the whole group goes");
}

#[test]
fn a_child_dies_with_the_thread_that_forked_it() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let command = spawner
        .command(&sh(home.path(), "echo up; exec sleep 1000"))
        .unwrap();
    // Forked by a thread that ends at once, as the runner does under SIGKILL.
    let mut orphan = std::thread::spawn(move || {
        let mut command = command;
        let mut orphan = command.spawn().unwrap();
        let mut bytes = [0_u8; 1];
        let (mut text, stdout) = (String::new(), orphan.stdout.as_mut().unwrap());
        while !text.ends_with("up\n") {
            stdout.read_exact(&mut bytes).unwrap();
            text.push(bytes[0] as char);
        }
        orphan
    })
    .join()
    .unwrap();
    assert_eq!(describe_status(orphan.wait().unwrap()), "signal 9");
}

#[test]
fn the_shim_starts_nothing_when_its_parent_is_another() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(&spawner.lead_in)
        .args([SHIM_COMMAND, "--parent", "1", "--", "/bin/touch"]);
    command
        .arg(home.path().join("touched"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    assert!(!command.status().unwrap().success());
    assert!(!home.path().join("touched").exists());
}

#[test]
fn termination_is_asked_for_and_then_enforced_even_on_a_stopped_child() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let mut polite = spawner.spawn(&sh(home.path(), "exec sleep 1000")).unwrap();
    wait_for_comm(&polite, "sleep");
    polite.signal(Signal::STOP).unwrap();
    assert_eq!(describe_status(polite.terminate(SOON).unwrap()), "signal 15");

    let mut deaf = spawner
        .spawn(&sh(home.path(), "trap '' TERM; while :; do sleep 1; done"))
        .unwrap();
    wait_for_comm(&deaf, "sh");
    clock::sleep(Duration::from_millis(100));
    assert_eq!(
        describe_status(deaf.terminate(Duration::from_millis(200)).unwrap()),
        "signal 9"
    );
    assert!(deaf.signal(Signal::TERM).is_err(), "nobody is left to signal");
}

#[test]
fn a_wait_is_bounded_and_a_drop_kills() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let mut child = spawner.spawn(&sh(home.path(), "exec sleep 1000")).unwrap();
    assert_eq!(child.wait(Duration::from_millis(20)).unwrap(), None);
    let (pid, start_time) = (child.pid, child.start_time);
    assert!(procstat::is_alive(pid, start_time));
    drop(child);
    assert!(!procstat::is_alive(pid, start_time));
}

#[test]
fn a_missing_program_is_an_exit_code_and_a_sentence() {
    let home = tempfile::tempdir().unwrap();
    let spawner = test_spawner(&home.path().join("journals"));
    let mut spec = sh(home.path(), "");
    spec.program = Program::File("/nowhere/java".into());
    let mut child = spawner.spawn(&spec).unwrap();
    assert!(!child.wait(SOON).unwrap().unwrap().success());
    assert!(
        std::fs::read_to_string(home.path().join("err"))
            .unwrap()
            .contains("/nowhere/java")
    );
}

#[test]
fn the_journal_is_empty_again_after_the_last_child() {
    let home = tempfile::tempdir().unwrap();
    let journals = home.path().join("journals");
    let spawner = test_spawner(&journals);
    let journal = Arc::downgrade(spawner.journal());
    drop(spawner.spawn(&sh(home.path(), "exit 0")).unwrap());
    drop(spawner);
    assert!(journal.upgrade().is_none());
    assert_eq!(std::fs::read_dir(&journals).unwrap().count(), 0);
}

fn wait_for_comm(child: &Child, comm: &str) {
    assert!(
        soon(|| procstat::stat(child.pid).unwrap().comm == comm),
        "{comm} never came up"
    );
}

/// Looks until it holds; false when it does not within [`SOON`].
fn soon(holds: impl Fn() -> bool) -> bool {
    // Once is enough: asked again, a process that was seen before its exec shows nothing in the midst of it.
    let deadline = Deadline::after(SOON);
    loop {
        if holds() {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        clock::sleep(Duration::from_millis(2));
    }
}
