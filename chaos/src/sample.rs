//! What processes and threads have used so far, read from /proc: totals, so that a window is the difference of two.
//!
//! CPU of a process is user + system time of `/proc/PID/stat`, in clock ticks of 10 ms. Summing the nanoseconds of
//! `/proc/PID/task/*/schedstat` looks finer, but forgets every thread that has ended, and a JVM starts and ends compiler
//! threads all the time: the total would jump back. The kernel scales both times to the scheduler's exact sum
//! (`cputime_adjust`), so the error is below 20 ms a reading and does not add up: 0.03 % of a core over 60 s.

use std::fs;

use crate::procstat;

/// Clock ticks per second as /proc counts them: USER_HZ is 100 on every Linux that this runs on (x86-64, aarch64).
const TICK_NS: u64 = 1_000_000_000 / 100;

/// User + system CPU time in nanoseconds, and resident bytes, of a process since its start; none when it has ended.
pub fn read_process(pid: u32) -> Option<(u64, u64)> {
    let stat = procstat::stat(pid)?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some((
        (stat.utime_ticks + stat.stime_ticks) * TICK_NS,
        stat.rss_pages * page,
    ))
}

/// Nanoseconds that this thread stood runnable without running: the second field of schedstat. None when unreadable.
pub fn run_queue_wait(pid: u32, tid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{tid}/schedstat")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// Nanoseconds that the hypervisor took from this machine, all cores together; 0 where there is none to say so.
pub fn steal_ns() -> u64 {
    parse_steal(&fs::read_to_string("/proc/stat").unwrap_or_default())
}

fn parse_steal(stat: &str) -> u64 {
    // cpu user nice system idle iowait irq softirq steal
    let total = stat.lines().next().filter(|line| line.starts_with("cpu "));
    total
        .and_then(|line| line.split_ascii_whitespace().nth(8)?.parse::<u64>().ok())
        .unwrap_or(0)
        * TICK_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_the_eighth_figure() {
        assert_eq!(parse_steal("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n"), 8 * TICK_NS);
        assert_eq!(parse_steal(""), 0);
    }

    #[test]
    fn a_busy_process_uses_time_and_memory() {
        let own = std::process::id();
        let (before, rss) = read_process(own).unwrap();
        let mut sum = 0_u64;
        while read_process(own).unwrap().0 < before + 3 * TICK_NS {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert!(rss > 100_000);
        let tid = own;
        assert!(run_queue_wait(own, tid).is_some());
        assert!(read_process(u32::MAX).is_none());
    }
}
