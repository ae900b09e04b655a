//! Median, geometric mean and a bootstrap interval of few values. Pure: the draws come from a fixed seed, so the same
//! blocks give the same interval.

/// How often the values are drawn anew.
const DRAWS: usize = 10_000;

/// None of none; the mean of the middle two of an even number.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

/// Of positive values; none of none.
pub(super) fn geometric_mean(values: &[f64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| value.ln()).sum();
    (!values.is_empty()).then(|| (sum / values.len() as f64).exp())
}

/// The middle 95 % of the medians of [`DRAWS`] samples drawn with replacement (the percentile bootstrap; Efron 1979). With
/// three or four values it is little narrower than their range, and says so by its width.
pub(super) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    if values.is_empty() {
        return None;
    }
    let mut state = 0x5eed_u64;
    let mut draw = vec![0.0; values.len()];
    let mut medians: Vec<f64> = (0..DRAWS)
        .filter_map(|_| {
            for place in &mut draw {
                *place = values[next(&mut state) as usize % values.len()];
            }
            median(&draw)
        })
        .collect();
    medians.sort_by(f64::total_cmp);
    Some((at(&medians, 0.025), at(&medians, 0.975)))
}

/// The same of the ratio of two medians, `after` to `before`, each drawn from its own values.
pub(super) fn ratio_interval(before: &[f64], after: &[f64]) -> Option<(f64, f64)> {
    let mut state = 0x5eed_u64;
    let mut drawn = |values: &[f64]| {
        let draw: Vec<f64> = values
            .iter()
            .map(|_| values[next(&mut state) as usize % values.len()])
            .collect();
        median(&draw)
    };
    let ratios = (0..DRAWS / 5).map(|_| Some(drawn(after)? / drawn(before)?));
    let mut ratios: Vec<f64> = ratios.collect::<Option<_>>()?;
    ratios.sort_by(f64::total_cmp);
    Some((at(&ratios, 0.025), at(&ratios, 0.975)))
}

/// The value at this share of sorted ones.
fn at(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// SplitMix64 (Steele, Lea, Flood 2014), upper half.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut bits = *state;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_numbers() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert!((geometric_mean(&[1.0, 4.0]).unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_interval_holds_the_median_and_narrows_with_agreement() {
        let (low, high) = interval(&[0.9, 1.0, 1.1, 2.0]).unwrap();
        assert!(
            (0.9..1.05).contains(&low) && (1.05..=2.0).contains(&high),
            "{low} {high}"
        );
        assert_eq!(interval(&[1.0; 6]), Some((1.0, 1.0)));
        let wide = interval(&[0.5, 1.0, 1.5]).unwrap();
        assert_eq!(wide, (0.5, 1.5), "three values tell no more than their range");
        assert_eq!(
            interval(&[0.5, 1.0, 1.5]),
            Some(wide),
            "same values, same interval"
        );
    }

    /// Of many samples from a known law the interval of the median must hold the law's median about as often as it says.
    #[test]
    fn the_interval_covers_as_often_as_it_claims() {
        let mut state = 7;
        let mut uniform = || next(&mut state) as f64 / f64::from(u32::MAX);
        let covered = (0..200)
            .filter(|_| {
                let sample: Vec<f64> = (0..15).map(|_| uniform()).collect();
                let (low, high) = interval(&sample).unwrap();
                (low..=high).contains(&0.5)
            })
            .count();
        assert!((170..=199).contains(&covered), "{covered} of 200");
    }
}
