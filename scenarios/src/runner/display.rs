//! Progress on standard error: one live line on a terminal (phase, rate, p99 so far, time left), one line a phase without.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use steadfast_verifier::workload::Progress;

/// The one line that a user watches.
pub(crate) struct Display {
    bar: ProgressBar,
    terminal: bool,
    phase: String,
    last: Option<(u64, u64)>,
}

impl Display {
    /// Draws on standard error; silent decoration where that is no terminal.
    pub(crate) fn new() -> Display {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:.bold} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        bar.set_style(style);
        let terminal = !bar.is_hidden();
        Display {
            bar,
            terminal,
            phase: String::new(),
            last: None,
        }
    }

    /// A step began: `starting kafka`, `warmup`, `steady`, `fault:kill`, `drain`, `judging`, ...
    pub(crate) fn phase(&mut self, name: &str) {
        if self.phase == name {
            return;
        }
        name.clone_into(&mut self.phase);
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message("");
        self.last = None;
        if self.terminal {
            self.bar.tick();
        } else {
            eprintln!("{name}");
        }
    }

    /// A detail of the present step.
    pub(crate) fn note(&mut self, text: &str) {
        if self.terminal {
            self.bar.set_message(text.to_owned());
            self.bar.tick();
        } else {
            eprintln!("  {text}");
        }
    }

    /// A line that stays on the screen.
    pub(crate) fn keep(&mut self, text: &str) {
        if self.terminal {
            self.bar.println(text);
        } else {
            eprintln!("{text}");
        }
    }

    /// Live figures, about once a second.
    pub(crate) fn load(&mut self, now_ns: u64, progress: &Progress, left: Duration) {
        let rate = match self.last {
            Some((then, acked)) if now_ns > then => {
                progress.acked.saturating_sub(acked) as f64 * 1e9 / (now_ns - then) as f64
            }
            _ => 0.0,
        };
        self.last = Some((now_ns, progress.acked));
        if self.terminal {
            let debt = if progress.debt > 0 {
                format!(" · {} due and waiting", progress.debt)
            } else {
                String::new()
            };
            self.bar.set_message(format!(
                "{rate:>8.0} records/s · p99 {:.2} ms so far · {} s left{debt}",
                progress.p99_ns as f64 / 1e6,
                left.as_secs(),
            ));
            self.bar.tick();
        }
    }

    /// Clears the line.
    pub(crate) fn done(&mut self) {
        self.bar.finish_and_clear();
    }
}
