//! What `/proc/PID` says about one process. A pid alone names nobody for long: a pid and its start time do.
//!
//! Source: proc_pid_stat(5). The second field (the command's name) may hold spaces and brackets, so fields are counted
//! from the last closing bracket.

use std::fs;

use rustix::process::Pid;

/// The fields of `/proc/PID/stat` that the harness uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Name of the program's file, at most 15 bytes.
    pub comm: String,
    /// `R` running, `S` sleeping, `D` disk sleep, `T` stopped, `Z` zombie, ...
    pub state: char,
    /// User time, clock ticks.
    pub utime_ticks: u64,
    /// System time, clock ticks.
    pub stime_ticks: u64,
    /// Start, clock ticks after boot: with the pid it names one process for as long as the machine is up.
    pub start_time: u64,
    /// Resident set, pages.
    pub rss_pages: u64,
}

/// Reads it; none when there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// True while the process that had this pid and start time exists and is no zombie.
pub fn is_alive(pid: u32, start_time: u64) -> bool {
    stat(pid).is_some_and(|stat| stat.start_time == start_time && stat.state != 'Z' && stat.state != 'X')
}

/// True when the process was started with this variable in its environment (readable for its owner only).
pub fn has_variable(pid: u32, name: &str, value: &str) -> bool {
    let wanted = format!("{name}={value}");
    fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
        environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    })
}

/// The pid as the kernel's calls take it; none for zero and for what no pid can be.
pub fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

fn parse(line: &str) -> Option<Stat> {
    let open = line.find('(')?;
    let close = line.rfind(')')?;
    let comm = line.get(open + 1..close)?.to_owned();
    // Field numbers as in the manual page: the state is 3, utime 14, stime 15, start time 22, rss 24.
    let rest: Vec<&str> = line.get(close + 1..)?.split_ascii_whitespace().collect();
    let number = |field: usize| rest.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    Some(Stat {
        comm,
        state: rest.first()?.chars().next()?,
        utime_ticks: number(14)?,
        stime_ticks: number(15)?,
        start_time: number(22)?,
        rss_pages: number(24)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_shifts_no_field() {
        let line = "77 (a) (b c)) S 1 77 77 0 -1 4194304 100 0 0 0 12 34 0 0 20 0 1 0 5555 10000 250 18446744073709551615";
        let stat = parse(line).unwrap();
        assert_eq!(stat.comm, "a) (b c)");
        assert_eq!((stat.state, stat.utime_ticks, stat.stime_ticks), ('S', 12, 34));
        assert_eq!((stat.start_time, stat.rss_pages), (5555, 250));
    }

    #[test]
    fn cut_lines_are_nobody() {
        for line in ["", "77", "77 (x", "77 (x) S 1 2 3"] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn the_own_process_is_alive_and_a_wrong_start_time_is_somebody_else() {
        let own = std::process::id();
        let start_time = stat(own).unwrap().start_time;
        assert!(is_alive(own, start_time));
        assert!(!is_alive(own, start_time + 1));
    }
}
