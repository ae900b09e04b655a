//! A plan for people.

use std::fmt::Write;

use super::Plan;
use crate::scenario::units::{show_count, show_size};

impl Plan {
    /// Line by line, labels at the left.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |label: &str, what: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{label:<11}{what}");
        };
        line("scenario", &format!("{} · {}", self.scenario, self.title));
        line("seed", &self.seed.to_string());
        line("cluster", &self.broker);
        self.cluster.iter().for_each(|what| line("", what));
        for (i, step) in self.timeline.iter().enumerate() {
            let at = step
                .at_s
                .map_or_else(|| "then".to_owned(), |at| format!("{at} s"));
            line(
                if i == 0 { "timeline" } else { "" },
                &format!("{at:>9}  {}", step.what),
            );
        }
        let warm = match self.warmup_records {
            0 => String::new(),
            warm => format!(" and {} in warm-up", show_count(warm)),
        };
        line("records", &format!("{}{warm}", show_count(self.records)));
        line(
            "memory",
            &format!("about {} beside the brokers", show_size(self.memory_bytes)),
        );
        line(
            "disk",
            &format!(
                "about {} for the brokers' logs and the run folder",
                show_size(self.disk_bytes)
            ),
        );
        for (i, claim) in self.claims.iter().enumerate() {
            let verdict = match &claim.inconclusive {
                None => format!("provable    {} ({})", claim.claim, claim.by),
                Some(why) => format!("INCONCLUSIVE  {}: {why}", claim.claim),
            };
            line(if i == 0 { "claims" } else { "" }, &verdict);
        }
        self.notes.iter().for_each(|note| line("note", note));
        let wide = self
            .values
            .iter()
            .map(|value| value.key.len() + value.value.len())
            .max()
            .unwrap_or(0)
            .min(70);
        for (i, value) in self.values.iter().enumerate() {
            let set = format!("{} = {}", value.key, one_line(&value.value));
            line(
                if i == 0 { "values" } else { "" },
                &format!("{set:<width$}  {}", value.origin, width = wide + 3),
            );
        }
        text
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
