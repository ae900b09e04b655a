//! Figures as people read them: a unit on each, thousands separated, no more digits than tell something.

/// `1234567` as `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Nanoseconds in the unit that suits them: `850 ns`, `512 µs`, `1.24 ms`, `6.1 s`.
pub(crate) fn nanoseconds(ns: f64) -> String {
    scaled(ns, 3, &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")])
}

/// Bytes in powers of 1024: `1.4 GiB`.
pub(crate) fn bytes(value: f64) -> String {
    let units = [
        (1024f64.powi(4), "TiB"),
        (1024f64.powi(3), "GiB"),
        (1048576.0, "MiB"),
        (1024.0, "KiB"),
        (1.0, "B"),
    ];
    scaled(value, 3, &units)
}

/// A figure of a metric in the unit that verdict.json names: `ns`, `per_s`, `ratio`, `percent`, `bytes`.
pub(crate) fn with_unit(value: f64, unit: &str) -> String {
    with_digits(value, unit, 3)
}

/// Like [`with_unit`], with as many digits as it takes to tell `value` from `limit` where they differ.
pub(crate) fn beside_limit(value: f64, limit: f64, unit: &str) -> String {
    let text = |digits| (with_digits(value, unit, digits), with_digits(limit, unit, digits));
    let apart = (3..=9).map(text).find(|(value, limit)| value != limit);
    apart
        .filter(|_| value != limit)
        .map_or_else(|| with_unit(value, unit), |(value, _)| value)
}

fn with_digits(value: f64, unit: &str, digits: i32) -> String {
    match unit {
        "ns" => scaled(
            value,
            digits,
            &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")],
        ),
        "bytes" => {
            let units = [
                (1024f64.powi(3), "GiB"),
                (1048576.0, "MiB"),
                (1024.0, "KiB"),
                (1.0, "B"),
            ];
            scaled(value, digits, &units)
        }
        "per_s" => format!("{}/s", plain(value, digits.max(5))),
        "percent" => format!("{} %", plain(value, digits)),
        "ratio" => format!("{} %", plain(value * 100.0, digits)),
        _ => plain(value, digits),
    }
}

/// `value` with `digits` significant digits, trailing zeros gone, the whole part separated by thousands.
pub(crate) fn plain(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (digits - 1 - magnitude).clamp(0, 9) as usize;
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), count);
    let fraction = fraction.trim_end_matches('0');
    let sign = if value < 0.0 { "−" } else { "" };
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

fn scaled(value: f64, digits: i32, units: &[(f64, &str)]) -> String {
    let fits = |factor: f64| value.abs() / factor >= 0.9995;
    let (factor, name) = units
        .iter()
        .find(|unit| fits(unit.0))
        .or(units.last())
        .copied()
        .unwrap_or((1.0, ""));
    format!("{} {name}", plain(value / factor, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_carry_their_units() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_500_000), "1,500,000");
        assert_eq!(nanoseconds(0.0), "0 ns");
        assert_eq!(nanoseconds(850.0), "850 ns");
        assert_eq!(nanoseconds(512_300.0), "512 µs");
        assert_eq!(nanoseconds(999_999.0), "1 ms");
        assert_eq!(nanoseconds(1_240_000.0), "1.24 ms");
        assert_eq!(nanoseconds(61_000_000_000.0), "61 s");
        assert_eq!(bytes(1.5 * 1073741824.0), "1.5 GiB");
        assert_eq!(with_unit(24_998.7, "per_s"), "24,999/s");
        assert_eq!(with_unit(0.0125, "ratio"), "1.25 %");
        assert_eq!(with_unit(f64::NAN, "percent"), "not a number %");
        assert_eq!(plain(-1234.5, 5), "−1,234.5");
    }

    #[test]
    fn a_figure_close_to_its_limit_never_looks_equal_to_it() {
        assert_eq!(beside_limit(999_983.0, 1e6, "ns"), "0.99998 ms");
        assert_eq!(beside_limit(1_000_400.0, 1e6, "ns"), "1.0004 ms");
        assert_eq!(beside_limit(1e6, 1e6, "ns"), "1 ms");
        assert_eq!(beside_limit(512_345.0, 1e6, "ns"), "512 µs");
    }
}
