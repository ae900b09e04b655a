//! Charts as inline SVG, made here so that a report needs no script, no network and prints as it looks.
//!
//! ```text
//! view::charts ──▶ Chart (values, names) ──▶ scale (value to pixel, ticks) ──▶ svg (escaped markup)
//!             └──▶ Bars (a histogram) ──────────────────┴───────────────────▶ bars (escaped markup)
//! ```
//!
//! Colours and strokes are CSS classes of the page (`templates/style.css`), so that light, dark and print agree.

mod bars;
mod scale;
mod svg;

pub(crate) use bars::{Bar, Bars, Mark};
pub(crate) use scale::Scale;

/// One chart. Positions are in the units of its scales; names and texts are plain, the writer escapes them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chart {
    /// Unique on the page; ties the text alternative to the picture.
    pub id: String,
    /// What the picture shows, one line.
    pub title: String,
    /// What a reader of the picture would take from it, for those who cannot see it.
    pub description: String,
    /// Drawing size; the page scales it to its column.
    pub width: f64,
    /// Room at the right for the names of the lines.
    pub right: f64,
    /// Height of the drawing without the rows of phases above it and the lanes of faults under it.
    pub height: f64,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Phases, behind everything.
    pub bands: Vec<Band>,
    /// Curves, in order of painting.
    pub lines: Vec<Line>,
    /// Limits of thresholds.
    pub limits: Vec<Limit>,
    /// What the pointer tells, by horizontal range.
    pub tips: Vec<Tip>,
    /// Rows between the plot and the words of its horizontal axis.
    pub lanes: Vec<Lane>,
}

/// One axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// What it measures; empty for none.
    pub label: String,
    /// From value to place.
    pub scale: Scale,
    /// Where it is marked, and with which words.
    pub ticks: Vec<(f64, String)>,
}

/// A stretch of the horizontal axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Band {
    /// Name, shown when there is room.
    pub name: String,
    /// CSS class: `warmup`, `calm`, `fault`, `heal`.
    pub class: &'static str,
    /// Row above the plot, 0 at the top; none: only a tint behind the curves.
    pub lane: Option<usize>,
    /// Begin.
    pub from: f64,
    /// End.
    pub to: f64,
}

/// A row under the plot.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lane {
    /// Written at its right end.
    pub name: String,
    /// What happened when, in order of painting.
    pub strips: Vec<Strip>,
}

/// A stretch of a lane.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strip {
    /// CSS class: `fault`, `hurt`, `late`.
    pub class: &'static str,
    /// Begin.
    pub from: f64,
    /// End.
    pub to: f64,
    /// What the pointer tells.
    pub tip: String,
}

/// One curve; `None` breaks it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Written at its right end.
    pub name: String,
    /// CSS class: `a` to `d`.
    pub class: &'static str,
    /// Points from left to right.
    pub points: Vec<(f64, Option<f64>)>,
}

/// A limit: a level up to a place on the horizontal axis, or all the way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// The threshold in words.
    pub name: String,
    /// Level.
    pub level: f64,
    /// Where the level ends (a percentile); none = right edge.
    pub until: Option<f64>,
}

/// What the pointer tells over a stretch.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tip {
    /// Begin.
    pub from: f64,
    /// End.
    pub to: f64,
    /// Lines of text.
    pub text: String,
}

impl Chart {
    /// The whole `<svg>` element.
    pub(crate) fn svg(&self) -> String {
        svg::write(self)
    }
}
