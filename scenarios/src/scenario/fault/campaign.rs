//! `[campaign]`: a seeded mix of faults over the whole load, drawn into the same list that `[[fault]]` gives. Plan, run, judge
//! and report see nothing else.
//!
//! ```text
//!          at |<------------- cycle ------------->|<------------- cycle -----
//! processes       |--kill--|      |-pause-|        .                |--term--|
//! links        |-----latency-----|     |reset|     .          |--down--|
//! settings              |elect|                    .
//!             |<-------- three quarters --------->| quiet |
//! ```
//!
//! Faults of one row keep apart, by the time that a broker needs to come back; so as many brokers are down at once as one
//! fault takes. Faults of two rows overlap as they fall. In the quiet quarter nothing is hurt, and the run has to recover.

use std::time::Duration;

use steadfast_chaos::fault::{Action, Dice, PlannedFault, Reach, Target};
use toml::Spanned;

use super::read_what;
use crate::scenario::cluster::ClusterWish;
use crate::scenario::diagnostics::Problem;
use crate::scenario::notes::Notes;
use crate::scenario::reader::Table;
use crate::scenario::units::show_duration;

/// After a fault of a process: a killed broker starts, recovers its log and catches up with the others.
const COMES_BACK: Duration = Duration::from_secs(20);
/// After any other fault: what it held up goes on.
const CALMS_DOWN: Duration = Duration::from_secs(3);

/// The table, read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Campaign {
    faults: u64,
    at: Duration,
    cycle: Duration,
    mix: Vec<Choice>,
}

/// What may be drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Choice {
    weight: u64,
    action: Action,
    target: Target,
    /// Shortest and longest time; none where the action is done when it is done.
    hold: Option<(Duration, Duration)>,
}

impl Choice {
    /// The longest that it keeps its row busy.
    fn room(&self) -> Duration {
        self.longest().saturating_add(self.rest())
    }

    fn longest(&self) -> Duration {
        self.hold.map_or(Duration::ZERO, |(_, longest)| longest)
    }

    fn rest(&self) -> Duration {
        match self.action.reach() {
            Reach::Process => COMES_BACK,
            Reach::Link | Reach::Frames | Reach::Topic | Reach::Settings | Reach::ClientId => CALMS_DOWN,
        }
    }
}

/// Reads the table and draws its faults; none when something is wrong with it. `duration`: the load's length after warm-up.
pub(crate) fn read(
    table: &Table<'_>,
    cluster: Option<&ClusterWish>,
    duration: Option<&Spanned<Duration>>,
    seed: u64,
    notes: &Notes<'_>,
) -> Option<Vec<PlannedFault>> {
    let faults = table.integer("faults");
    let at = table.duration("at");
    let cycle = table.duration("cycle");
    let tables = table.tables("fault");
    let choices: Vec<Option<Choice>> = tables
        .iter()
        .map(|table| read_choice(table, cluster, notes))
        .collect();
    let campaign = Campaign {
        faults: *faults?.get_ref(),
        at: at?.into_inner(),
        cycle: cycle?.into_inner(),
        mix: choices.into_iter().collect::<Option<Vec<Choice>>>()?,
    };
    if campaign.mix.is_empty() {
        let problem = Problem::at(table.place("fault"), "nothing may be drawn", "the mix is empty");
        notes.push(problem.note("add [[campaign.fault]] with action, target and `for`"));
        return None;
    }
    let drawn = campaign.draw(*duration?.get_ref(), seed);
    drawn
        .map_err(|why| notes.push(Problem::at(table.span.clone(), "the campaign does not fit", &why)))
        .ok()
}

fn read_choice(table: &Table<'_>, cluster: Option<&ClusterWish>, notes: &Notes<'_>) -> Option<Choice> {
    let weight = table.integer("weight");
    let shortest = table.duration("for");
    let longest = table.duration("for-max");
    let (action, target) = read_what(table, cluster, notes)?;
    let hold = match (shortest, longest) {
        (None, Some(longest)) => {
            let problem = Problem::at(
                longest.span(),
                "`for-max` without `for`",
                "the longest time of what?",
            );
            notes.push(problem.note("`for` is the shortest time"));
            return None;
        }
        (Some(shortest), Some(longest)) if longest.get_ref() < shortest.get_ref() => {
            let problem = Problem::at(
                longest.span(),
                "`for-max` is shorter than `for`",
                "the longest time",
            );
            notes.push(problem.context(shortest.span(), "the shortest time"));
            return None;
        }
        (Some(shortest), _) if shortest.get_ref().is_zero() => {
            notes.push(Problem::at(
                shortest.span(),
                "`for` is zero",
                "healed at once, it would not bite",
            ));
            return None;
        }
        (shortest, longest) => {
            let longest = longest.or_else(|| shortest.clone());
            shortest
                .map(Spanned::into_inner)
                .zip(longest.map(Spanned::into_inner))
        }
    };
    Some(Choice {
        weight: *weight?.get_ref(),
        action,
        target,
        hold,
    })
}

impl Campaign {
    /// Pure: the faults, in the order of their begin; or why they do not fit.
    fn draw(&self, duration: Duration, seed: u64) -> Result<Vec<PlannedFault>, String> {
        let cycles = (duration.saturating_sub(self.at)).as_nanos() / self.cycle.as_nanos().max(1);
        let cycles = u64::try_from(cycles).unwrap_or(u64::MAX).min(self.faults);
        if cycles == 0 {
            return Err(format!(
                "a cycle of {} does not fit into the {} after `at`; a longer `duration` or a shorter `cycle` does",
                show_duration(self.cycle),
                show_duration(duration.saturating_sub(self.at)),
            ));
        }
        let mut dice = Dice::new(seed, "campaign");
        let mut faults = Vec::new();
        for cycle in 0..cycles {
            let count = self.faults / cycles + u64::from(cycle < self.faults % cycles);
            let drawn: Vec<&Choice> = (0..count).map(|_| self.draw_one(&mut dice)).collect();
            let begin = self.at + self.cycle.saturating_mul(cycle as u32);
            for row in [0, 1, 2] {
                let of_row: Vec<&Choice> = drawn
                    .iter()
                    .copied()
                    .filter(|c| row_of(&c.action) == row)
                    .collect();
                self.place(&of_row, begin, &mut dice, &mut faults)?;
            }
        }
        faults.sort_by_key(|fault| fault.at);
        for (n, fault) in faults.iter_mut().enumerate() {
            fault.name = format!("{:02}-{}", n + 1, fault.action.word().replace('_', "-"));
        }
        Ok(faults)
    }

    fn draw_one(&self, dice: &mut Dice) -> &Choice {
        let mut ticket = dice.below(self.mix.iter().map(|choice| choice.weight).sum());
        let found = self.mix.iter().find(|choice| {
            let won = ticket < choice.weight;
            ticket = ticket.saturating_sub(choice.weight);
            won
        });
        found.unwrap_or(&self.mix[0])
    }

    /// Places the faults of one row into the busy part of one cycle: each where its turn begins, and a share of the time
    /// that is left over later.
    fn place(
        &self,
        row: &[&Choice],
        begin: Duration,
        dice: &mut Dice,
        faults: &mut Vec<PlannedFault>,
    ) -> Result<(), String> {
        let busy = self.cycle / 4 * 3;
        let needed: Duration = row.iter().map(|choice| choice.room()).sum();
        let Some(spare) = busy.checked_sub(needed) else {
            return Err(format!(
                "{} of one row take up to {} with the time to come back after each, and three quarters of a cycle are {}; \
                 fewer `faults`, a shorter `for` or a longer `cycle` do",
                row.len(),
                show_duration(needed),
                show_duration(busy),
            ));
        };
        let mut free = begin;
        for (n, choice) in row.iter().enumerate() {
            let share = Duration::from_millis((spare / row.len() as u32).as_millis() as u64);
            let at = free + within(share, dice);
            let hold = choice
                .hold
                .map(|(shortest, longest)| shortest + within(longest - shortest, dice));
            faults.push(PlannedFault {
                name: n.to_string(),
                at,
                when: None,
                hold,
                action: choice.action.clone(),
                target: choice.target.clone(),
            });
            free += share + choice.room();
        }
        Ok(())
    }
}

/// Rows of the picture above.
fn row_of(action: &Action) -> usize {
    match action.reach() {
        Reach::Process => 0,
        Reach::Link | Reach::Frames => 1,
        Reach::Topic | Reach::Settings | Reach::ClientId => 2,
    }
}

/// Up to so long, in whole milliseconds.
fn within(most: Duration, dice: &mut Dice) -> Duration {
    let ms = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(dice.below(ms.saturating_add(1)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn choice(weight: u64, action: Action, hold: Option<(u64, u64)>) -> Choice {
        Choice {
            weight,
            action,
            target: Target::Random,
            hold: hold.map(|(a, b)| (s(a), s(b))),
        }
    }

    fn campaign(faults: u64, cycle_s: u64) -> Campaign {
        Campaign {
            faults,
            at: s(10),
            cycle: s(cycle_s),
            mix: vec![
                choice(3, Action::Kill, Some((5, 15))),
                choice(2, Action::Pause, Some((2, 8))),
                choice(3, Action::Down, Some((3, 10))),
                choice(1, Action::Elect, None),
            ],
        }
    }

    fn end(fault: &PlannedFault) -> Duration {
        fault.at + fault.hold.unwrap_or_default()
    }

    proptest! {
        #[test]
        fn rows_keep_apart_quarters_are_quiet_and_a_seed_is_one_campaign(
            seed in any::<u64>(),
            faults in 1..=60_u64,
            extra in 0..500_u64,
        ) {
            let campaign = campaign(faults, 240);
            let duration = s(10 + 15 * 240 + extra);
            let drawn = campaign.draw(duration, seed).unwrap();
            prop_assert_eq!(&drawn, &campaign.draw(duration, seed).unwrap());
            prop_assert_eq!(drawn.len() as u64, faults);
            for fault in &drawn {
                let in_cycle = |at: Duration| Duration::from_millis(((at - s(10)).as_millis() % 240_000) as u64);
                prop_assert!(in_cycle(fault.at) + (end(fault) - fault.at) <= s(180), "{fault:?} in a quiet quarter");
                prop_assert!(end(fault) < duration);
            }
            for row in [0, 1, 2] {
                let of_row: Vec<_> = drawn.iter().filter(|fault| row_of(&fault.action) == row).collect();
                for pair in of_row.windows(2) {
                    let rest = if row == 0 { COMES_BACK } else { CALMS_DOWN };
                    prop_assert!(pair[1].at >= end(pair[0]) + rest, "{pair:?}");
                }
            }
            let names: std::collections::BTreeSet<_> = drawn.iter().map(|fault| &fault.name).collect();
            prop_assert_eq!(names.len(), drawn.len());
        }
    }

    #[test]
    fn weights_are_kept_and_seeds_differ() {
        let campaign = campaign(60, 240);
        let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
        for seed in 0..100 {
            for fault in campaign.draw(s(10 + 15 * 240), seed).unwrap() {
                *seen.entry(fault.action.word()).or_default() += 1;
            }
        }
        // 6,000 draws by 3:2:3:1; three standard deviations of the rarest are 70.
        for (word, expected) in [("kill", 2000), ("pause", 1333), ("down", 2000), ("elect", 667)] {
            assert!(seen[word].abs_diff(expected) < 150, "{word}: {seen:?}");
        }
        assert_ne!(campaign.draw(s(3610), 1), campaign.draw(s(3610), 2));
    }

    #[test]
    fn what_does_not_fit_is_told_with_the_mend() {
        let why = campaign(4, 240).draw(s(100), 1).unwrap_err();
        assert!(why.contains("a cycle of 4m does not fit"), "{why}");
        let why = campaign(40, 240).draw(s(260), 1).unwrap_err();
        assert!(why.contains("fewer `faults`"), "{why}");
    }
}
