//! Exit codes: part of the outside contract (README, `steadfast --help`).

/// What the process ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Every claim and threshold holds.
    Pass = 0,
    /// Our own fault, or a damaged run folder.
    ToolError = 1,
    /// Usage or scenario file.
    Usage = 2,
    /// Environment missing.
    Environment = 3,
    /// Steady state not reached before the first fault.
    SteadyState = 4,
    /// Neither shown nor refuted.
    Inconclusive = 5,
    /// A delivery claim is broken.
    Delivery = 10,
    /// A threshold is broken.
    Threshold = 99,
    /// SIGINT or SIGTERM; everything healed.
    Interrupted = 130,
}

impl Exit {
    /// The exit of a verdict's `exit_code`.
    pub(crate) fn from_code(code: u8) -> Exit {
        SEVERITY
            .into_iter()
            .chain([Exit::Pass])
            .find(|exit| *exit as u8 == code)
            .unwrap_or(Exit::ToolError)
    }

    /// Of several runs the most severe stands: 130, 10, 1, 99, 3, 4, 5, 0 (2 comes before anything starts).
    pub(crate) fn worst(self, other: Exit) -> Exit {
        let rank = |exit| SEVERITY.iter().position(|s| *s == exit).unwrap_or(SEVERITY.len());
        if rank(other) < rank(self) { other } else { self }
    }
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        std::process::ExitCode::from(exit as u8)
    }
}

/// Most severe first.
const SEVERITY: [Exit; 8] = [
    Exit::Usage,
    Exit::Interrupted,
    Exit::Delivery,
    Exit::ToolError,
    Exit::Threshold,
    Exit::Environment,
    Exit::SteadyState,
    Exit::Inconclusive,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_severe_of_several_runs_stands() {
        let order = [130, 10, 1, 99, 3, 4, 5, 0].map(Exit::from_code);
        for (i, severe) in order.iter().enumerate() {
            for mild in &order[i..] {
                assert_eq!(mild.worst(*severe), *severe);
                assert_eq!(severe.worst(*mild), *severe);
            }
        }
    }
}
