//! Text with a unit, as a person writes it: `250us`, `25000/s`, `100 B`, `5%`. A unit is never guessed.
//!
//! Each parser answers with the value or with the sentence for the frame's label.

use std::time::Duration;

/// Longest span of time in a scenario; an open-ended load is not a scenario.
pub(crate) const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 3600);
/// Highest rate in records per second; above it the schedule's nanoseconds would be too coarse.
pub(crate) const MAX_RATE: f64 = 10_000_000.0;

const DURATION_HINT: &str = "expected a duration with its unit, such as `250us`, `10s` or `1m 30s`";
const RATE_HINT: &str = "expected a rate with its unit, such as `25000/s`";
const SIZE_HINT: &str = "expected a size with its unit, such as `100 B`, `16 KiB` or `1 MB`";

/// `10s`, `1m 30s`, `1.5ms`: humantime's grammar, without its unitless zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("a duration cannot be negative; {DURATION_HINT}"));
    }
    if !text.chars().any(char::is_alphabetic) {
        let what = if text.parse::<f64>().is_ok() {
            "the unit is missing; "
        } else {
            ""
        };
        return Err(format!("{what}{DURATION_HINT}"));
    }
    let value = humantime::parse_duration(text).map_err(|_| DURATION_HINT.to_owned())?;
    if value > MAX_DURATION {
        return Err("longer than 7 days (in a duration `M` means months, `m` minutes)".to_owned());
    }
    Ok(value)
}

/// `25000/s`, `600/min`: records per second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let Some((number, unit)) = text.split_once('/') else {
        let what = if self::number(text).is_some() {
            "the unit is missing; "
        } else {
            ""
        };
        return Err(format!("{what}{RATE_HINT}"));
    };
    let per_second = match unit.trim() {
        "s" | "sec" | "second" => 1.0,
        "min" | "minute" => 60.0,
        "h" | "hour" => 3600.0,
        other => return Err(format!("`{other}` is not a unit of time; {RATE_HINT}")),
    };
    let Some(number) = self::number(number) else {
        return Err(format!("`{}` is not a number; {RATE_HINT}", number.trim()));
    };
    if number < 0.0 {
        return Err("a rate cannot be negative".to_owned());
    }
    let rate = number / per_second;
    if rate > MAX_RATE {
        return Err(format!("more than {MAX_RATE} records/s"));
    }
    Ok(rate)
}

/// `100 B`, `16 KiB`, `1 MB`: bytes. Decimal units are powers of 1000, binary units (`KiB`) of 1024.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err(format!("a size cannot be negative; {SIZE_HINT}"));
    }
    if !text.chars().any(char::is_alphabetic) {
        let what = if number(text).is_some() {
            "the unit is missing; "
        } else {
            ""
        };
        return Err(format!("{what}{SIZE_HINT}"));
    }
    text.parse::<bytesize::ByteSize>()
        .map(|size| size.as_u64())
        .map_err(|_| SIZE_HINT.to_owned())
}

/// `0`, `0.01`, `1%`: a share of the whole. The one quantity without a unit of its own.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    let hint = "expected a share such as `0.1%`, `0.001` or `0`";
    let (digits, scale) = match text.trim().strip_suffix('%') {
        Some(percent) => (percent, 0.01),
        None => (text, 1.0),
    };
    let value = number(digits).ok_or_else(|| hint.to_owned())? * scale;
    if (0.0..=1.0).contains(&value) {
        Ok(value)
    } else {
        Err(format!("outside 0 to 1; {hint}"))
    }
}

/// `6%`: percent of one core (above 100 % on several).
pub(crate) fn percent(text: &str) -> Result<f64, String> {
    let hint = "expected a percentage of one core, such as `6%`";
    let digits = text
        .trim()
        .strip_suffix('%')
        .ok_or_else(|| format!("the unit is missing; {hint}"))?;
    match number(digits) {
        Some(value) if value >= 0.0 => Ok(value),
        _ => Err(hint.to_owned()),
    }
}

/// A finite number; `_` may group its digits.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let plain = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
    let value: f64 = text.replace('_', "").parse().ok()?;
    (plain && value.is_finite()).then_some(value)
}

/// `15s`, `1m 30s`, `500us`: shortest text that [`duration`] reads back.
pub(crate) fn show_duration(value: Duration) -> String {
    humantime::format_duration(value).to_string()
}

/// `1,875,000`.
pub(crate) fn show_count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `25,000/s`, `0.5/s`.
pub(crate) fn show_rate(value: f64) -> String {
    if value.fract() == 0.0 {
        format!("{}/s", show_count(value as u64))
    } else {
        format!("{value}/s")
    }
}

/// `214.6 MiB`.
pub(crate) fn show_size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_never_guessed() {
        for text in ["10", "0", "1.5", "", "s", "-5s", "10 bananas", "1M", "NaN", "8d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in [
            "25000",
            "25000/fortnight",
            "-1/s",
            "x/s",
            "20s",
            "inf/s",
            "NaN/s",
            "1e9/s",
        ] {
            assert!(rate(text).is_err(), "{text}");
        }
        for text in ["100", "-1 B", "10 bits", "20s", "", "B"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(percent("6").is_err() && ratio("2").is_err() && ratio("-1%").is_err());
    }

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(rate("25_000/s"), Ok(25_000.0));
        assert_eq!(rate("600 / min"), Ok(10.0));
        assert_eq!(size("100 B"), Ok(100));
        assert_eq!(size("1.5 KiB"), Ok(1536));
        assert_eq!(ratio("1%"), Ok(0.01));
        assert_eq!(percent("6 %"), Ok(6.0));
        assert_eq!(show_count(1_875_000), "1,875,000");
    }
}
