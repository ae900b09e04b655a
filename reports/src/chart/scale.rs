//! From a value to its place on an axis, and the values worth marking.

/// How an axis stretches its values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    /// Evenly, from `min` to `max`.
    Linear {
        /// Left or bottom.
        min: f64,
        /// Right or top.
        max: f64,
    },
    /// By factors of ten, from `min` to `max`, both positive.
    Log {
        /// Left or bottom.
        min: f64,
        /// Right or top.
        max: f64,
    },
    /// Percentiles: every further nine (90, 99, 99.9 %) takes the same room, as HdrHistogram's own plots do.
    Nines {
        /// How many nines fit.
        nines: f64,
    },
}

impl Scale {
    /// From 0 to a round value at or above `top`.
    pub(crate) fn from_zero(top: f64) -> Scale {
        let top = if top.is_finite() && top > 0.0 { top } else { 1.0 };
        let step = round_step(top / 4.0);
        Scale::Linear {
            min: 0.0,
            max: (top / step).ceil() * step,
        }
    }

    /// From a 1-2-5 value at or below `low` to one at or above `high`, at least a factor of ten apart.
    pub(crate) fn around(low: f64, high: f64) -> Scale {
        let low = if low.is_finite() && low > 0.0 { low } else { 1.0 };
        let high = if high.is_finite() { high.max(low) } else { low };
        let min = steps_from(low, -1)
            .find(|step| *step <= low * 1.0001)
            .unwrap_or(low);
        let max = steps_from(high, 1)
            .find(|step| *step >= high * 0.9999)
            .unwrap_or(high);
        Scale::Log {
            min,
            max: max.max(min * 10.0),
        }
    }

    /// 0 at the left or bottom, 1 at the right or top; what lies outside is moved to the edge.
    pub(crate) fn place(self, value: f64) -> f64 {
        let (place, end) = match self {
            Scale::Linear { min, max } => (value - min, max - min),
            Scale::Log { min, max } => ((value.max(min) / min).ln(), (max / min).ln()),
            Scale::Nines { nines } => (nines_of(value), nines),
        };
        let share = place / end;
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }

    /// Values to mark, ascending: round ones of a linear scale (about `about` of them), 1-2-5 or powers of ten of a
    /// logarithmic one, the nines of a percentile axis.
    pub(crate) fn ticks(self, about: usize) -> Vec<f64> {
        match self {
            Scale::Linear { min, max } => {
                let step = round_step((max - min) / about.max(1) as f64);
                let first = (min / step).ceil() as i64;
                let last = (max / step + 1e-9).floor() as i64;
                (first..=last).map(|i| i as f64 * step).collect()
            }
            Scale::Log { min, max } => {
                let all: Vec<f64> = steps_from(min, 1)
                    .take_while(|step| *step <= max * 1.0001)
                    .collect();
                let all: Vec<f64> = all.into_iter().filter(|step| *step >= min * 0.9999).collect();
                if all.len() <= about {
                    return all;
                }
                all.into_iter()
                    .filter(|step| (step.log10() - step.log10().round()).abs() < 1e-6)
                    .collect()
            }
            Scale::Nines { nines } => {
                let all = [50.0, 90.0, 99.0, 99.9, 99.99, 99.999, 99.9999];
                let fitting = all.into_iter().filter(|p| nines_of(*p) <= nines + 1e-6);
                std::iter::once(0.0).chain(fitting).collect()
            }
        }
    }
}

/// 0 % is 0, 90 % is 1, 99 % is 2; 100 % is as far as f64 tells.
pub(crate) fn nines_of(percentile: f64) -> f64 {
    -(1.0 - percentile.clamp(0.0, 100.0) / 100.0).max(1e-12).log10()
}

/// The round value (1, 2, 5 times a power of ten) nearest above `raw`.
fn round_step(raw: f64) -> f64 {
    if !raw.is_finite() || raw <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(raw.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= raw * 0.9999);
    factor.unwrap_or(10.0) * power
}

/// The 1-2-5 values near `from`, going up or down; 60 of them span twenty powers of ten.
fn steps_from(from: f64, direction: i32) -> impl Iterator<Item = f64> {
    let decade = from.log10().floor() as i32;
    (0..60).map(move |i: i32| {
        let i = if direction > 0 { i } else { 5 - i };
        [1.0, 2.0, 5.0][i.rem_euclid(3) as usize] * 10f64.powi(decade + i.div_euclid(3))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nine_takes_the_same_room() {
        let scale = Scale::Nines { nines: 4.0 };
        let places: Vec<f64> = [0.0, 90.0, 99.0, 99.9, 99.99, 100.0]
            .map(|p| scale.place(p))
            .to_vec();
        for (place, wanted) in places.iter().zip([0.0, 0.25, 0.5, 0.75, 1.0, 1.0]) {
            assert!((place - wanted).abs() < 1e-6, "{places:?}");
        }
        assert_eq!(scale.ticks(9), [0.0, 50.0, 90.0, 99.0, 99.9, 99.99]);
    }

    #[test]
    fn logarithmic_axes_begin_and_end_on_round_values() {
        assert_eq!(
            Scale::around(130_000.0, 2_300_000.0),
            Scale::Log {
                min: 100_000.0,
                max: 5_000_000.0
            }
        );
        assert_eq!(
            Scale::around(400.0, 500.0),
            Scale::Log {
                min: 200.0,
                max: 2000.0
            }
        );
        let Scale::Log { min, max } = Scale::around(f64::NAN, f64::INFINITY) else {
            panic!("a log scale")
        };
        assert!(min > 0.0 && max >= min * 10.0);
        let ticks = Scale::Log {
            min: 100_000.0,
            max: 5_000_000.0,
        }
        .ticks(9);
        assert_eq!(ticks, [1e5, 2e5, 5e5, 1e6, 2e6, 5e6]);
        assert_eq!(
            Scale::Log { min: 1e3, max: 1e9 }.ticks(9),
            [1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9]
        );
    }

    #[test]
    fn linear_axes_mark_round_values() {
        assert_eq!(
            Scale::from_zero(25_300.0),
            Scale::Linear {
                min: 0.0,
                max: 30_000.0
            }
        );
        assert_eq!(
            Scale::Linear {
                min: -15.0,
                max: 60.0
            }
            .ticks(8),
            [-10.0, 0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]
        );
        assert_eq!(Scale::from_zero(0.0), Scale::Linear { min: 0.0, max: 1.0 });
    }

    #[test]
    fn values_outside_stay_on_the_paper() {
        for scale in [
            Scale::Linear { min: 5.0, max: 5.0 },
            Scale::Log { min: 1.0, max: 10.0 },
        ] {
            for value in [f64::NEG_INFINITY, -1.0, 0.0, 5.0, 1e300, f64::INFINITY, f64::NAN] {
                let place = scale.place(value);
                assert!((0.0..=1.0).contains(&place), "{scale:?} puts {value} at {place}");
            }
        }
    }
}
