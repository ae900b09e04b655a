//! Latency: histograms, percentiles, curves on a nines axis, and `latency.hlog`. Pure.
//!
//! `latency.hlog` is an HdrHistogram interval log (HistogramLogWriter 1.3: V2 encoding, deflated, base64), one line a
//! phase with the phase's name as tag, values in nanoseconds of `ack_latency`. HistogramLogProcessor and its like open
//! it. A phase of several spans is dated by its first begin and its length.

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{
    IntervalLogIterator, IntervalLogWriterBuilder, LogEntry, Tag,
};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};

use super::phases::Phase;
use crate::measurements::{self, Curve};
use crate::verdict::Percentiles;

/// Three significant digits, any value: it grows as needed and drops nothing.
const DIGITS: u8 = 3;
/// Points of a curve at most.
const CURVE_POINTS: u32 = 200;
/// Steps of a factor of ten that [`buckets`] tells apart.
const BUCKETS_A_DECADE: f64 = 10.0;
/// Beyond seven nines no run here has enough records.
const MAX_NINES: f64 = 7.0;

/// An empty histogram of nanoseconds.
pub(crate) fn histogram() -> Histogram<u64> {
    match Histogram::new(DIGITS) {
        Ok(histogram) => histogram,
        Err(_) => unreachable!("three digits are within what hdrhistogram takes"),
    }
}

/// The figures of verdict.json.
pub(crate) fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    Percentiles {
        p50: histogram.value_at_quantile(0.5),
        p90: histogram.value_at_quantile(0.9),
        p99: histogram.value_at_quantile(0.99),
        p99_9: histogram.value_at_quantile(0.999),
        p99_99: histogram.value_at_quantile(0.9999),
        max: histogram.max(),
        count: histogram.len(),
    }
}

/// The curve of one phase and metric: points evenly spaced in nines, up to the last that the number of records
/// supports, then the maximum.
pub(crate) fn curve(phase: &str, metric: &str, histogram: &Histogram<u64>) -> Curve {
    let count = histogram.len();
    let mut points = Vec::new();
    if count > 0 {
        let nines = (count as f64).log10().min(MAX_NINES);
        let steps = CURVE_POINTS - 1;
        points = (0..steps)
            .map(|step| 1.0 - 10_f64.powf(-nines * f64::from(step) / f64::from(steps)))
            .map(|quantile| (quantile * 100.0, histogram.value_at_quantile(quantile)))
            .collect();
        points.push((100.0, histogram.max()));
        points.dedup();
    }
    Curve {
        phase: phase.to_owned(),
        metric: metric.to_owned(),
        points,
        count,
    }
}

/// How many records had which latency, ten steps to a factor of ten; `unacknowledged` had none.
pub(super) fn buckets(
    phase: &str,
    histogram: &Histogram<u64>,
    unacknowledged: u64,
) -> measurements::Histogram {
    let mut buckets: Vec<(u64, u64, u64)> = Vec::new();
    for step in histogram.iter_recorded() {
        let (value, records) = (step.value_iterated_to(), step.count_since_last_iteration());
        let number = ((value.max(1) as f64).log10() * BUCKETS_A_DECADE + 1e-9).floor();
        let edge = |number: f64| 10_f64.powf(number / BUCKETS_A_DECADE).round() as u64;
        match buckets.last_mut() {
            Some(last) if last.0 == edge(number) => last.2 += records,
            _ => buckets.push((edge(number), edge(number + 1.0), records)),
        }
    }
    measurements::Histogram {
        phase: phase.to_owned(),
        buckets,
        unacknowledged,
    }
}

/// The text of `latency.hlog`. `load_start_ns` is the zero of its times, `wall_ms` the wall clock at that moment.
pub(super) fn interval_log(
    phases: &[(&Phase, &Histogram<u64>)],
    load_start_ns: u64,
    wall_ms: i64,
) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let wall = UNIX_EPOCH + Duration::from_millis(u64::try_from(wall_ms).unwrap_or(0));
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[steadfast: ack_latency in nanoseconds, one interval a phase; phases may overlap]")
        .with_start_time(wall)
        .with_base_time(wall)
        .begin_log_with(&mut text, &mut serializer)
        .map_err(|error| error.to_string())?;
    for (phase, histogram) in phases {
        let start = phase
            .spans
            .first()
            .map_or(0, |span| span.start.saturating_sub(load_start_ns));
        let tag = tag(&phase.name);
        log.write_histogram(
            *histogram,
            Duration::from_nanos(start),
            Duration::from_nanos(phase.length_ns()),
            Tag::new(&tag),
        )
        .map_err(|error| error.to_string())?;
    }
    drop(log);
    // Java's HistogramLogProcessor prints this legend; its reader and hdrhistogram's skip it.
    let mut legend = String::new();
    let names = [
        "StartTimestamp",
        "Interval_Length",
        "Interval_Max",
        "Interval_Compressed_Histogram",
    ];
    for (i, name) in names.iter().enumerate() {
        let _ = write!(legend, "{}\"{name}\"", if i == 0 { "" } else { "," });
    }
    legend.push('\n');
    let first_line = text
        .split_inclusive(|&byte| byte == b'\n')
        .take_while(|line| line.starts_with(b"#"));
    let comments: usize = first_line.map(<[u8]>::len).sum();
    text.splice(comments..comments, legend.into_bytes());
    Ok(text)
}

/// The histogram of one phase in such a text; none when it is not there, or damaged.
pub(crate) fn of_phase(log: &[u8], phase: &str) -> Option<Histogram<u64>> {
    let wanted = tag(phase);
    IntervalLogIterator::new(log).find_map(|entry| match entry.ok()? {
        LogEntry::Interval(interval) if interval.tag().is_some_and(|tag| tag.as_str() == wanted) => {
            let bytes = STANDARD.decode(interval.encoded_histogram()).ok()?;
            Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
        }
        _ => None,
    })
}

/// A phase's name as a tag: tags hold no comma, space or line break.
fn tag(phase: &str) -> String {
    phase
        .chars()
        .map(|c| if c == ',' || c.is_whitespace() { '_' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_every_record_once() {
        let told = buckets("steady", &sample(), 7);
        assert_eq!((told.phase.as_str(), told.unacknowledged), ("steady", 7));
        assert_eq!(told.buckets.iter().map(|bucket| bucket.2).sum::<u64>(), 100_000);
        for pair in told.buckets.windows(2) {
            assert!(pair[0].1 <= pair[1].0, "{pair:?}");
        }
        // 1 µs to 100 ms are five decades.
        assert!((45..=51).contains(&told.buckets.len()), "{}", told.buckets.len());
        let (from, to, records) = told.buckets[told.buckets.len() - 2];
        let exact = (to - from) / 1_000;
        assert!(records.abs_diff(exact) < exact / 50, "{records} in {from}..{to}");
    }

    fn sample() -> Histogram<u64> {
        let mut histogram = histogram();
        (1..=100_000_u64).for_each(|i| histogram.record(i * 1_000).unwrap());
        histogram
    }

    #[test]
    fn curves_are_even_in_nines_and_end_at_the_maximum() {
        let curve = curve("steady", "ack_latency", &sample());
        assert!(
            curve.points.len() <= 200 && curve.points.len() > 150,
            "{}",
            curve.points.len()
        );
        assert!(curve.points.is_sorted());
        let (last, max) = curve.points[curve.points.len() - 1];
        assert_eq!(last, 100.0);
        assert!((99_900_000..=100_100_000).contains(&max));
        let median = curve.points.iter().find(|point| point.0 >= 50.0).unwrap();
        assert!((49_000_000..53_000_000).contains(&median.1), "{median:?}");
        assert!(
            super::curve("steady", "ack_latency", &histogram())
                .points
                .is_empty()
        );
    }

    #[test]
    fn other_tools_can_open_the_log() {
        let sample = sample();
        let steady = Phase {
            name: "steady".into(),
            spans: vec![2_000_000_000..5_000_000_000],
        };
        let heal = Phase {
            name: "heal:leader kill,2".into(),
            spans: vec![5_000_000_000..6_500_000_000],
        };
        let text = interval_log(
            &[(&steady, &sample), (&heal, &sample)],
            1_000_000_000,
            1_700_000_000_000,
        )
        .unwrap();
        let mut tags = Vec::new();
        let mut entries = 0;
        for entry in IntervalLogIterator::new(&text) {
            match entry.unwrap() {
                LogEntry::BaseTime(at) | LogEntry::StartTime(at) => assert_eq!(at.as_secs(), 1_700_000_000),
                LogEntry::Interval(interval) => {
                    tags.push(interval.tag().unwrap().as_str().to_owned());
                    assert_eq!(interval.start_timestamp(), Duration::from_secs(1 + 3 * entries));
                    entries += 1;
                }
            }
        }
        assert_eq!(of_phase(&text, "steady"), Some(sample.clone()));
        assert_eq!(of_phase(&text, "heal:leader kill,2"), Some(sample));
        assert_eq!(of_phase(&text, "after"), None);
        assert_eq!(
            of_phase(&text[..text.len() / 2], "heal:leader kill,2"),
            None,
            "cut off"
        );
        assert_eq!(tags, ["steady", "heal:leader_kill_2"]);
        assert!(text.starts_with(b"#[Histogram log format version 1.3]\n"));
    }
}
