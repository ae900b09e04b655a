//! Pure: which key record i has, and its position among the records of that key.
//!
//! The key of record i follows from (seed, worker, i) alone. Its sequence is the number of earlier records of this
//! worker with the same key; a later incarnation counts them again from record 0, so a sequence never starts over.
//! Zipf draws from an alias table (Walker 1977, built as Vose 1991): one random number and one look-up a record.

use steadfast_verifier::workload::Keys;

use crate::generator::GeneratorError;
use crate::random::{Random, Stream, below};

/// Most distinct keys of one worker: with 4 bytes of sequence a key and 8 of the zipf table, 192 MiB.
pub(crate) const MAX_KEYS: u64 = 1 << 24;

/// Chooses keys for the records of one worker incarnation, in order of their indexes.
#[derive(Debug)]
pub(crate) struct KeyChooser {
    random: Random,
    law: Law,
    /// Next sequence of each key, where it has no closed form.
    sequences: Vec<u32>,
}

#[derive(Debug)]
enum Law {
    Keyless,
    Uniform { count: u64 },
    Zipf { slots: Vec<Slot> },
    RoundRobin { count: u64 },
}

/// One column of the alias table: its own key below the threshold, another key from there on.
#[derive(Debug, Clone, Copy)]
struct Slot {
    threshold: u32,
    other: u32,
}

impl KeyChooser {
    /// Ready for record `first_index`: what earlier incarnations used up is counted (some ns a record).
    pub(crate) fn new(
        keys: &Keys,
        seed: u64,
        worker: u16,
        first_index: u64,
    ) -> Result<KeyChooser, GeneratorError> {
        let law = match *keys {
            Keys::None => Law::Keyless,
            Keys::Uniform { count } => Law::Uniform {
                count: checked(count)?,
            },
            Keys::Zipf { count, exponent } => Law::Zipf {
                slots: alias_table(checked(count)?, exponent)?,
            },
            Keys::RoundRobin { count: 0 } => return Err(GeneratorError::KeyCount(0)),
            Keys::RoundRobin { count } => Law::RoundRobin { count },
        };
        let counted = match &law {
            Law::Uniform { count } => *count as usize,
            Law::Zipf { slots } => slots.len(),
            Law::Keyless | Law::RoundRobin { .. } => 0,
        };
        let random = Random::new(seed, worker, Stream::Key);
        let mut chooser = KeyChooser {
            random,
            law,
            sequences: vec![0; counted],
        };
        if counted > 0 {
            for i in 0..first_index {
                chooser.choose(i);
            }
        }
        Ok(chooser)
    }

    /// Key number (none: keyless) and sequence of record `i`. To be called once for each index, without gaps.
    #[inline]
    pub(crate) fn choose(&mut self, i: u64) -> (Option<u64>, u32) {
        let key = match &self.law {
            Law::Keyless => return (None, i as u32),
            Law::RoundRobin { count } => return (Some(i % count), (i / count) as u32),
            Law::Uniform { count } => below(self.random.at(i), *count),
            Law::Zipf { slots } => {
                // The column comes from the upper bits, the side of the threshold from the lower half.
                let bits = self.random.at(i);
                let column = below(bits, slots.len() as u64);
                let slot = slots[column as usize];
                if (bits as u32) < slot.threshold {
                    column
                } else {
                    u64::from(slot.other)
                }
            }
        };
        let next = &mut self.sequences[key as usize];
        let sequence = *next;
        *next = next.wrapping_add(1);
        (Some(key), sequence)
    }
}

fn checked(count: u64) -> Result<u64, GeneratorError> {
    if (1..=MAX_KEYS).contains(&count) {
        Ok(count)
    } else {
        Err(GeneratorError::KeyCount(count))
    }
}

/// Columns of equal weight, each shared by at most two keys; key k (from 0) weighs 1 / (k + 1)^exponent.
fn alias_table(count: u64, exponent: f64) -> Result<Vec<Slot>, GeneratorError> {
    if !exponent.is_finite() || exponent < 0.0 {
        return Err(GeneratorError::Exponent(exponent));
    }
    let mut weights: Vec<f64> = (1..=count).map(|k| (k as f64).powf(-exponent)).collect();
    let mean = weights.iter().sum::<f64>() / count as f64;
    weights.iter_mut().for_each(|weight| *weight /= mean);
    let mut slots: Vec<Slot> = (0..count)
        .map(|key| Slot {
            threshold: u32::MAX,
            other: key as u32,
        })
        .collect();
    let (mut small, mut large): (Vec<u32>, Vec<u32>) =
        (0..count as u32).partition(|&key| weights[key as usize] < 1.0);
    while let (Some(&little), Some(&much)) = (small.last(), large.last()) {
        small.pop();
        let weight = weights[little as usize];
        slots[little as usize] = Slot {
            threshold: (weight * 4_294_967_296.0) as u32,
            other: much,
        };
        weights[much as usize] -= 1.0 - weight;
        if weights[much as usize] < 1.0 {
            large.pop();
            small.push(much);
        }
    }
    Ok(slots)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn chooser(keys: &Keys, first_index: u64) -> KeyChooser {
        KeyChooser::new(keys, 1, 2, first_index).unwrap()
    }

    #[test]
    fn zipf_weights_fall_as_their_rank() {
        let mut zipf = chooser(
            &Keys::Zipf {
                count: 1000,
                exponent: 1.0,
            },
            0,
        );
        let mut counts = vec![0f64; 1000];
        for i in 0..1_000_000 {
            counts[zipf.choose(i).0.unwrap() as usize] += 1.0;
        }
        // The 1000th harmonic number is 7.485.
        for rank in [1usize, 2, 10, 100] {
            let expected = 1_000_000.0 / 7.485 / rank as f64;
            let seen = counts[rank - 1];
            assert!(
                (seen - expected).abs() < 6.0 * expected.sqrt(),
                "rank {rank}: {seen} of {expected}"
            );
        }
    }

    #[test]
    fn bounds_are_named() {
        let refused = |keys| KeyChooser::new(&keys, 1, 0, 0).is_err();
        assert!(refused(Keys::Uniform { count: 0 }));
        assert!(refused(Keys::RoundRobin { count: 0 }));
        assert!(refused(Keys::Uniform { count: MAX_KEYS + 1 }));
        assert!(refused(Keys::Zipf {
            count: 10,
            exponent: f64::NAN
        }));
        assert!(refused(Keys::Zipf {
            count: 10,
            exponent: -1.0
        }));
    }

    fn any_keys() -> impl Strategy<Value = Keys> {
        prop_oneof![
            (1..50u64).prop_map(|count| Keys::Uniform { count }),
            (1..50u64).prop_map(|count| Keys::RoundRobin { count }),
            (1..50u64, 0.0..3.0f64).prop_map(|(count, exponent)| Keys::Zipf { count, exponent }),
        ]
    }

    proptest! {
        #[test]
        fn sequences_have_no_gap_and_go_on_in_the_next_incarnation(keys in any_keys(), cut in 0..300u64) {
            let mut whole = chooser(&keys, 0);
            let mut next = BTreeMap::new();
            let all: Vec<_> = (0..400).map(|i| whole.choose(i)).collect();
            for &(key, sequence) in &all {
                let expected = next.entry(key).or_insert(0u32);
                prop_assert_eq!(sequence, *expected);
                *expected += 1;
            }
            let mut restarted = chooser(&keys, cut);
            for i in cut..400 {
                prop_assert_eq!(restarted.choose(i), all[i as usize]);
            }
        }
    }
}
