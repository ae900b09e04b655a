//! A small disk for each broker, which can be filled without the machine's own disk feeling it.
//!
//! ```text
//! keeper   unshare --mount: mounts a tmpfs on broker-data/broker-1, then sleeps       as long as it lives, so does the disk:
//! broker   nsenter --mount=/proc/KEEPER/ns/mnt: java ...                              what is on it survives the broker's death
//! we       broker-data/broker-1/ballast, through the keeper's root in /proc           looked at, filled and emptied from outside
//! ```
//! Nobody outside that mount namespace sees the disk, and it goes with the keeper, a child like any other (death signal,
//! journal). Mounting takes root's rights.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use crate::clock::{Deadline, sleep};
use crate::error::ChaosError;
use crate::process::{Child, ChildSpec, Output, Program, Spawner, describe_status};

/// The smallest: Kafka sets 20 MB of index files aside for each partition, though it does not fill them at once.
pub const SMALLEST: u64 = 64 << 20;
/// All disks of a cluster together take at most this part of the memory that is available, when they are full.
const PART_OF_MEMORY: u64 = 2;
/// How long a mount may take.
const MOUNT_BOUND: Duration = Duration::from_secs(10);
/// How often a wait looks again.
const LOOK: Duration = Duration::from_millis(10);
/// Bit of `CapEff` in `/proc/self/status`: whoever has it may mount (capabilities(7), CAP_SYS_ADMIN).
const SYS_ADMIN: u32 = 21;
/// `$1` is where, `$2` how large.
const KEEPER: &str = "mount -t tmpfs -o \"size=$2\" steadfast \"$1\" && exec sleep infinity";

/// One of them, mounted.
#[derive(Debug)]
pub(crate) struct SmallDisk {
    /// Dropped, it ends, and the disk with it.
    keeper: Child,
    data: PathBuf,
    size: u64,
}

/// Whether this process may mount; else why not.
pub fn allowed() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    match may_mount(&status) {
        true => Ok(()),
        false => Err("mounting a disk takes root's rights (CAP_SYS_ADMIN)".to_owned()),
    }
}

/// Refuses disks that this machine has no memory for. `available`: in MiB.
pub(super) fn check(brokers: u32, size: u64, available: u64) -> Result<(), ChaosError> {
    let refused = |what: String, mend: &str| {
        let mend = mend.to_owned();
        Err(ChaosError::Refused { what, mend })
    };
    if let Err(why) = allowed() {
        return refused(why, "run as root, or leave `disk` out");
    }
    if u64::from(brokers).saturating_mul(size) > (available << 20) / PART_OF_MEMORY {
        let all = format!("{brokers} disks of {} MiB", size >> 20);
        let what = format!("{all} in memory, of which {available} MiB are available");
        return refused(what, "ask for smaller disks: half of that at most");
    }
    Ok(())
}

impl SmallDisk {
    /// Mounts it on `data`, which is made.
    pub(super) fn make(
        broker: &str,
        data: &Path,
        size: u64,
        log: &Path,
        spawner: &Spawner,
    ) -> Result<SmallDisk, ChaosError> {
        fs::create_dir_all(data).map_err(ChaosError::io(format!("create {}", data.display())))?;
        let mut args: Vec<OsString> = ["--mount", "--", "sh", "-c", KEEPER, "sh"]
            .map(OsString::from)
            .into();
        args.extend([data.as_os_str().to_owned(), size.to_string().into()]);
        let keeper = spawner.spawn(&ChildSpec {
            name: format!("{broker}-disk"),
            program: Program::File("unshare".into()),
            args,
            env: Vec::new(),
            cwd: None,
            stdout: Output::File(log.to_owned()),
            stderr: log.to_owned(),
        })?;
        let mut disk = SmallDisk {
            keeper,
            data: data.to_owned(),
            size,
        };
        disk.wait_until_mounted(log)?;
        Ok(disk)
    }

    /// The same child, on this disk.
    pub(super) fn inside(&self, spec: ChildSpec) -> ChildSpec {
        let mut args: Vec<OsString> = vec![format!("--mount=/proc/{}/ns/mnt", self.keeper.pid).into()];
        // It would start in the root of the namespace.
        if let Some(cwd) = &spec.cwd {
            let mut option = OsString::from("--wdns=");
            option.push(cwd);
            args.push(option);
        }
        args.push("--".into());
        args.push(match &spec.program {
            Program::Myself => "/proc/self/exe".into(),
            Program::File(path) => path.as_os_str().to_owned(),
        });
        args.extend(spec.args);
        ChildSpec {
            program: Program::File("nsenter".into()),
            args,
            ..spec
        }
    }

    /// Leaves no byte of it free.
    pub(super) fn fill(&self) -> Result<(), ChaosError> {
        let ballast = self.ballast();
        let failed = |source| ChaosError::io(format!("fill {}", ballast.display()))(source);
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&ballast)
            .map_err(failed)?;
        let free = self.free()?;
        match fallocate(&file, FallocateFlags::empty(), 0, free) {
            // A broker that writes meanwhile takes some of it: the rest is filled page by page.
            Ok(()) | Err(rustix::io::Errno::NOSPC) => {}
            Err(error) => return Err(failed(error.into())),
        }
        fill_up(&mut file, free).map_err(failed)
    }

    /// Frees what was filled.
    pub(super) fn empty(&self) -> Result<(), ChaosError> {
        let ballast = self.ballast();
        match fs::remove_file(&ballast) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ChaosError::io(format!("empty {}", ballast.display()))(error))
            }
            _ => Ok(()),
        }
    }

    /// Bytes that are free.
    pub(super) fn free(&self) -> Result<u64, ChaosError> {
        let disk = self.seen_from_outside();
        let told = statvfs(&disk).map_err(io::Error::from);
        let told = told.map_err(ChaosError::io(format!("look at {}", disk.display())))?;
        Ok(told.f_bavail.saturating_mul(told.f_frsize))
    }

    fn wait_until_mounted(&mut self, log: &Path) -> Result<(), ChaosError> {
        let deadline = Deadline::after(MOUNT_BOUND);
        let disk = self.seen_from_outside();
        loop {
            // The namespace begins as a copy of ours, in which nothing is mounted here.
            let told = statvfs(&disk).map(|told| told.f_blocks.saturating_mul(told.f_frsize));
            if told.is_ok_and(|size| size.abs_diff(self.size) < SMALLEST) && self.is_tmpfs() {
                return Ok(());
            }
            let ended = self
                .keeper
                .try_wait()
                .map_err(ChaosError::io("mount a small disk"))?;
            if ended.is_none() && !deadline.passed() {
                sleep(LOOK);
                continue;
            }
            let how = ended.map_or(format!("took over {MOUNT_BOUND:?}"), describe_status);
            let said = fs::read_to_string(log).unwrap_or_default();
            return Err(ChaosError::Refused {
                what: format!(
                    "a small disk for a broker could not be mounted ({how}): {}",
                    said.trim()
                ),
                mend: "run as root where mounting is allowed, or leave `disk` out".to_owned(),
            });
        }
    }

    fn is_tmpfs(&self) -> bool {
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", self.keeper.pid)).unwrap_or_default();
        let here = format!("steadfast {} tmpfs ", self.data.display());
        mounts.lines().any(|line| line.starts_with(&here))
    }

    fn ballast(&self) -> PathBuf {
        self.seen_from_outside().join("ballast")
    }

    fn seen_from_outside(&self) -> PathBuf {
        let mut path = OsString::from(format!("/proc/{}/root", self.keeper.pid));
        path.push(&self.data);
        path.into()
    }
}

/// Writes until nothing more fits; at most `most` bytes, and a page.
fn fill_up(file: &mut File, most: u64) -> io::Result<()> {
    const PAGE: [u8; 4096] = [0; 4096];
    for _ in 0..=most / PAGE.len() as u64 {
        match file.write_all(&PAGE) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
            result => result?,
        }
    }
    Ok(())
}

fn may_mount(status: &str) -> bool {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let effective = effective.and_then(|digits| u64::from_str_radix(digits.trim(), 16).ok());
    effective.is_some_and(|bits| bits >> SYS_ADMIN & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tests::test_spawner;

    #[test]
    fn who_may_mount_is_told_by_one_bit() {
        assert!(may_mount("Name:\tx\nCapEff:\t000001ffffffffff\n"));
        assert!(!may_mount("CapEff:\t0000000000000000\n"));
        assert!(
            !may_mount("CapEff:\t00000000a80425fb\n"),
            "a container's usual ones"
        );
        assert!(!may_mount(""));
    }

    #[test]
    fn disks_that_memory_does_not_hold_are_refused() {
        let refused = |available| {
            check(3, 512 << 20, available)
                .err()
                .map(|error| error.to_string())
        };
        if allowed().is_err() {
            // Then nobody gets any.
            assert!(refused(1 << 20).is_some_and(|why| why.contains("root")));
            return;
        }
        assert_eq!(refused(3072), None);
        assert!(refused(3071).is_some_and(|why| why.contains("3 disks of 512 MiB")));
    }

    #[test]
    fn full_is_full_for_whoever_is_inside_and_nobody_else_sees_it() {
        let home = tempfile::tempdir().unwrap();
        let spawner = test_spawner(&home.path().join("journals"));
        let data = home.path().join("data");
        let log = home.path().join("log");
        let made = SmallDisk::make("broker-1", &data, SMALLEST, &log, &spawner);
        if allowed().is_err() {
            assert!(made.is_err_and(|error| error.to_string().contains("leave `disk` out")));
            return;
        }
        let disk = made.unwrap();
        let writes = || {
            let script = "dd if=/dev/zero of=data/x bs=4096 count=1 2>&1; echo $? > data/../status";
            let spec = ChildSpec {
                name: "writer".into(),
                program: Program::File("/bin/sh".into()),
                args: ["-c", script].map(Into::into).into(),
                env: Vec::new(),
                cwd: Some(home.path().to_owned()),
                stdout: Output::File(log.clone()),
                stderr: log.clone(),
            };
            let mut child = spawner.spawn(&disk.inside(spec)).unwrap();
            child.wait(Duration::from_secs(10)).unwrap().unwrap();
            fs::read_to_string(home.path().join("status")).unwrap()
        };
        assert_eq!(writes(), "0\n");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "it is seen from outside");
        disk.fill().unwrap();
        assert_eq!(disk.free().unwrap(), 0);
        fs::remove_file(disk.seen_from_outside().join("x")).unwrap();
        disk.fill().unwrap();
        assert_eq!(writes(), "1\n");
        assert!(
            fs::read_to_string(&log)
                .unwrap()
                .contains("No space left on device")
        );
        disk.empty().unwrap();
        disk.empty().unwrap();
        assert_eq!(writes(), "0\n");
    }
}
