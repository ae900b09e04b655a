//! A histogram as an `<svg>` element: logarithmic both ways, so that one slow record in a million can be seen.
//!
//! ```text
//!  names of marks, a row each where they would meet
//!  │   ▂▅█▅▂      ¦limit
//!  │  ▅██████▂▂  ▂¦            what lies beyond a limit has a colour of its own
//!  └──────────────┴─────
//!  tick words
//! ```

use std::fmt::Write as _;

use super::Scale;
use super::svg::escape;

const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const BOTTOM: f64 = 24.0;
/// Room of a row of names of marks.
const ROW: f64 = 15.0;
const CHARACTER: f64 = 6.2;

/// The drawing. Texts are plain, the writer escapes them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bars {
    /// Unique on the page; ties the text alternative to the picture.
    pub id: String,
    /// What the picture shows, one line.
    pub title: String,
    /// What a reader of the picture would take from it, for those who cannot see it.
    pub description: String,
    /// Drawing size; the page scales it to its column.
    pub width: f64,
    /// Height of the plot.
    pub height: f64,
    /// Where each value stands.
    pub x: Scale,
    /// Where the horizontal axis is marked, and with which words.
    pub ticks: Vec<(f64, String)>,
    /// The largest number of records that any bar of the page has: drawings side by side share their height.
    pub most: f64,
    /// From left to right.
    pub bars: Vec<Bar>,
    /// Values worth a line.
    pub marks: Vec<Mark>,
}

/// So many records between two values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// Left end.
    pub from: f64,
    /// Right end.
    pub to: f64,
    /// How many.
    pub records: u64,
    /// What the pointer tells.
    pub tip: String,
}

/// A line from top to bottom with a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mark {
    /// Where.
    pub at: f64,
    /// Name.
    pub name: String,
    /// CSS class: `held` or `missed` for limits, `own` for figures of the histogram itself.
    pub class: &'static str,
}

impl Bars {
    /// The whole `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        let mut out = String::with_capacity(8 * 1024);
        let names = self.names();
        let rows = names.iter().map(|name| name.row + 1).max().unwrap_or(0);
        let top = 6.0 + rows as f64 * ROW;
        let bottom = top + self.height;
        let (w, h, id) = (self.width, bottom + BOTTOM, escape(&self.id));
        let _ = write!(
            out,
            "<svg viewBox=\"0 0 {w:.0} {h:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
            escape(&self.title),
            escape(&self.description),
        );
        let decades = self.most.max(1.0).log10().ceil().max(1.0);
        let height = |records: f64| (records.max(1.0).log10() + 0.12) / (decades + 0.12) * self.height;
        let every = (decades / 4.0).ceil() as usize;
        for decade in (0..=decades as i32).step_by(every.max(1)) {
            let y = bottom - height(10f64.powi(decade));
            let words = crate::number::count(10u64.saturating_pow(decade.unsigned_abs()));
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{:.1}\"/><text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                w - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                short_count(&words),
            );
        }
        for bar in &self.bars {
            let (from, to) = (self.place(bar.from), self.place(bar.to));
            let tall = height(bar.records as f64);
            let _ = write!(
                out,
                "<rect class=\"column\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\"><title>{}</title></rect>",
                bottom - tall,
                (to - from - 0.6).max(1.0),
                escape(&bar.tip),
            );
        }
        let _ = write!(
            out,
            "<path class=\"axis\" d=\"M{LEFT} {bottom:.1}H{:.1}\"/>",
            w - RIGHT
        );
        for (value, words) in &self.ticks {
            let x = self.place(*value);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{x:.1} {bottom:.1}v4\"/><text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                bottom + 17.0,
                escape(words),
            );
        }
        for name in &names {
            let (x, class) = (self.place(name.mark.at), name.mark.class);
            let y = 6.0 + (name.row as f64 + 1.0) * ROW - 4.0;
            let (at, anchor) = if name.leftwards {
                (x - 4.0, "end")
            } else {
                (x + 4.0, "")
            };
            let _ = write!(
                out,
                "<path class=\"mark {class}\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>\
                 <text class=\"mark-name {class} {anchor}\" x=\"{at:.1}\" y=\"{y:.1}\">{}</text>",
                y - 9.0,
                escape(&name.mark.name),
            );
        }
        out.push_str("</svg>");
        out
    }

    fn place(&self, value: f64) -> f64 {
        LEFT + self.x.place(value) * (self.width - LEFT - RIGHT)
    }

    /// Each mark's name beside its line, in the first row where it meets no other.
    fn names(&self) -> Vec<Name<'_>> {
        let mut marks: Vec<&Mark> = self.marks.iter().collect();
        marks.sort_by(|a, b| a.at.total_cmp(&b.at));
        let mut taken: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut names = Vec::new();
        for mark in marks {
            let x = self.place(mark.at);
            let width = mark.name.chars().count() as f64 * CHARACTER + 6.0;
            let leftwards = x + width > self.width;
            let span = if leftwards {
                (x - width, x + 2.0)
            } else {
                (x - 2.0, x + width)
            };
            let is_free =
                |row: &Vec<(f64, f64)>| row.iter().all(|(from, to)| span.1 <= *from || *to <= span.0);
            let row = taken.iter().position(is_free).unwrap_or(taken.len());
            if row == taken.len() {
                taken.push(Vec::new());
            }
            taken[row].push(span);
            names.push(Name { mark, row, leftwards });
        }
        names
    }
}

struct Name<'a> {
    mark: &'a Mark,
    row: usize,
    leftwards: bool,
}

/// `10,000` as `10 k`, `1,000,000` as `1 M`.
fn short_count(words: &str) -> String {
    match words {
        thousands if thousands.ends_with(",000,000") => {
            format!("{} M", thousands.trim_end_matches(",000,000"))
        }
        thousands if thousands.ends_with(",000") => format!("{} k", thousands.trim_end_matches(",000")),
        few => few.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(text: &str, marks: &[f64]) -> Bars {
        Bars {
            id: text.to_owned(),
            title: text.to_owned(),
            description: text.to_owned(),
            width: 490.0,
            height: 120.0,
            x: Scale::Log { min: 1e5, max: 1e10 },
            ticks: vec![(1e6, text.to_owned())],
            most: 1e6,
            bars: vec![Bar {
                from: 1e5,
                to: 2e5,
                records: 1,
                tip: text.to_owned(),
            }],
            marks: marks
                .iter()
                .map(|at| Mark {
                    at: *at,
                    name: text.to_owned(),
                    class: "held",
                })
                .collect(),
        }
    }

    #[test]
    fn no_text_can_leave_its_element() {
        let svg = bars("\"><script>alert('1')</script>&", &[1e6]).svg();
        assert!(!svg.contains("<script") && !svg.contains("\"><s"), "{svg}");
        assert!(svg.matches("&lt;script&gt;").count() >= 5, "{svg}");
    }

    #[test]
    fn names_that_would_meet_stand_in_rows_and_none_leaves_the_paper() {
        let bars = bars("p(99)<5ms", &[1e6, 1.1e6, 9.9e9]);
        let names = bars.names();
        let told: Vec<_> = names.iter().map(|name| (name.row, name.leftwards)).collect();
        assert_eq!(told, [(0, false), (1, false), (0, true)]);
    }

    #[test]
    fn one_record_can_be_seen_beside_a_million() {
        let svg = bars("x", &[]).svg();
        let tall = svg.split_once("class=\"column\"").unwrap().1;
        let tall = tall.split_once("height=\"").unwrap().1;
        let tall: f64 = tall.split_once('"').unwrap().0.parse().unwrap();
        assert!(tall > 2.0, "{tall}");
        assert!(svg.contains(">10 k<") && svg.contains(">1 M<"), "{svg}");
    }
}
