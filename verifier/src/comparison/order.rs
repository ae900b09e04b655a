//! Who runs when. Pure.
//!
//! ```text
//! block 1   floor  A  B  java  B  A  floor        out and back; the control at both ends
//! block 2   floor  B  A  java  A  B  floor        the others take turns at going first
//! ```
//! A subject that needs a long warm-up (a JVM that compiles for a minute) has one cell of twice the length in the middle:
//! its centre is the centre of the block as everybody's is, and it warms up once.

/// Fewer valid blocks than this show nothing.
pub const MIN_BLOCKS: usize = 3;
/// A block counts only if the control's two cells differ by no more than this share.
pub const MAX_DRIFT: f64 = 0.10;
/// A block counts only if no cell lost more than this share of the machine to the hypervisor while it was measured.
pub const MAX_STEAL: f64 = 0.005;

/// One cell to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Index of the subject.
    pub subject: usize,
    /// It is the only one of its subject in the block: twice as long, after a long warm-up.
    pub single: bool,
}

/// The cells of block `number` (from 1). `control`: who stands at both ends; `slow`: which of all need a
/// long warm-up, whereof the control is let off.
pub fn of_block(number: u32, control: usize, slow: &[bool]) -> Vec<Turn> {
    let once = |subject| Turn {
        subject,
        single: false,
    };
    let mut outward: Vec<usize> = (0..slow.len())
        .filter(|subject| *subject != control && !slow[*subject])
        .collect();
    if !outward.is_empty() {
        let first = (number as usize).saturating_sub(1) % outward.len();
        outward.rotate_left(first);
    }
    let singles = (0..slow.len())
        .filter(|subject| *subject != control && slow[*subject])
        .map(|subject| Turn {
            subject,
            single: true,
        });
    let there: Vec<Turn> = std::iter::once(control).chain(outward).map(once).collect();
    let back = there.iter().rev().copied().collect::<Vec<_>>();
    there.into_iter().chain(singles).chain(back).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(number: u32, control: usize, slow: &[bool]) -> String {
        let turns = of_block(number, control, slow);
        let word = |turn: &Turn| {
            let letter = char::from(b'a' + turn.subject as u8);
            let letter = if turn.single {
                letter.to_ascii_uppercase()
            } else {
                letter
            };
            letter.to_string()
        };
        turns.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn everybody_goes_out_and_back_and_takes_turns_at_going_first() {
        let slow = [false, false, false, true];
        assert_eq!(names(1, 0, &slow), "a b c D c b a");
        assert_eq!(names(2, 0, &slow), "a c b D b c a");
        assert_eq!(names(3, 0, &slow), "a b c D c b a");
        assert_eq!(names(1, 0, &[false, false]), "a b b a");
        assert_eq!(names(1, 0, &[false]), "a a");
    }

    #[test]
    fn the_centre_of_each_subjects_cells_is_the_centre_of_the_block() {
        for number in 1..6 {
            let slow = [false, true, false, false, false];
            let turns = of_block(number, 2, &slow);
            for subject in 0..slow.len() {
                let places = (0..turns.len()).filter(|place| turns[*place].subject == subject);
                let places: Vec<usize> = places.collect();
                let twice: usize = places.iter().sum::<usize>() * 2 / places.len();
                assert_eq!(twice, turns.len() - 1, "subject {subject} of block {number}");
            }
        }
    }
}
