//! A [`Chart`] as an `<svg>` element.
//!
//! ```text
//!  lanes  rows of phases: a name over a strip
//!  plot   bands, grid, limits, lines, pointer texts          names of the lines stand at their right ends
//!  under  lanes of faults, on the same axis                  their names stand there too
//!  BOTTOM tick words, axis label
//! ```

use std::fmt::Write as _;

use super::{Axis, Band, Chart, Lane, Limit, Line};

const LEFT: f64 = 68.0;
const TOP: f64 = 12.0;
/// Room that one row of phases takes above the plot: a name over a strip.
const LANE: f64 = 19.0;
const BOTTOM: f64 = 44.0;
/// Room that one lane takes under the plot, and the gap above the first.
const UNDER: f64 = 17.0;
const GAP: f64 = 5.0;
/// Room that one line of text takes.
const TEXT: f64 = 15.0;
/// About the width of a character of the small text.
const CHARACTER: f64 = 6.4;

pub(super) fn write(chart: &Chart) -> String {
    let mut out = String::with_capacity(16 * 1024);
    let rows = chart.bands.iter().filter_map(|band| band.lane);
    let lanes = rows.max().map_or(0, |lane| lane + 1);
    let top = TOP + lanes as f64 * LANE;
    let bottom = top + chart.height - TOP - BOTTOM;
    let under = match chart.lanes.len() {
        0 => 0.0,
        lanes => GAP + lanes as f64 * UNDER,
    };
    let plot = Plot {
        chart,
        top,
        bottom,
        floor: bottom + under,
    };
    let (w, h, id) = (chart.width, plot.floor + BOTTOM, escape(&chart.id));
    let _ = write!(
        out,
        "<svg viewBox=\"0 0 {w:.0} {h:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escape(&chart.title),
        escape(&chart.description),
    );
    for band in &chart.bands {
        plot.band(&mut out, band);
    }
    plot.grid(&mut out);
    for (i, lane) in chart.lanes.iter().enumerate() {
        plot.lane(&mut out, i, lane);
    }
    for line in &chart.lines {
        plot.line(&mut out, line);
    }
    for limit in &chart.limits {
        plot.limit(&mut out, limit);
    }
    plot.names(&mut out);
    plot.tips(&mut out);
    out.push_str("</svg>");
    out
}

struct Plot<'a> {
    chart: &'a Chart,
    top: f64,
    bottom: f64,
    /// Under the last lane.
    floor: f64,
}

impl Plot<'_> {
    fn x(&self, value: f64) -> f64 {
        LEFT + self.chart.x.scale.place(value) * (self.right() - LEFT)
    }

    fn y(&self, value: f64) -> f64 {
        self.bottom - self.chart.y.scale.place(value) * (self.bottom - self.top)
    }

    fn right(&self) -> f64 {
        self.chart.width - self.chart.right
    }

    /// A strip above the plot, its name if it fits, and for faults a tint behind the curves.
    fn band(&self, out: &mut String, band: &Band) {
        let (from, to) = (self.x(band.from), self.x(band.to));
        let (width, class) = ((to - from).max(1.0), band.class);
        let _ = write!(
            out,
            "<rect class=\"tint {class}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\"/>",
            self.top,
            self.floor - self.top,
        );
        let Some(lane) = band.lane else { return };
        let strip = 8.0 + lane as f64 * LANE + LANE - 7.0;
        let _ = write!(
            out,
            "<rect class=\"strip {class}\" x=\"{from:.1}\" y=\"{strip:.1}\" width=\"{:.1}\" height=\"4\">\
             <title>{}</title></rect>",
            (width - 1.0).max(1.0),
            escape(&band.name),
        );
        if band.name.chars().count() as f64 * CHARACTER <= width + 2.0 {
            let (x, y) = (from + 1.0, strip - 4.0);
            let _ = write!(
                out,
                "<text class=\"phase\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escape(&band.name)
            );
        }
    }

    /// A row under the plot: a hair line, what happened on it, and its name at the right.
    fn lane(&self, out: &mut String, number: usize, lane: &Lane) {
        let middle = self.bottom + GAP + (number as f64 + 0.5) * UNDER;
        let right = self.right();
        let _ = write!(out, "<path class=\"grid\" d=\"M{LEFT} {middle:.1}H{right:.1}\"/>");
        for strip in &lane.strips {
            let (from, to) = (self.x(strip.from), self.x(strip.to));
            let _ = write!(
                out,
                "<rect class=\"bar {}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"10\" rx=\"1.5\">\
                 <title>{}</title></rect>",
                strip.class,
                middle - 5.0,
                (to - from).max(2.5),
                escape(&strip.tip),
            );
        }
        let _ = write!(
            out,
            "<text class=\"lane-name\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            right + 8.0,
            middle + 4.0,
            escape(&lane.name)
        );
    }

    fn grid(&self, out: &mut String) {
        let (right, bottom, floor) = (self.right(), self.bottom, self.floor);
        for (value, words) in &self.chart.y.ticks {
            let y = self.y(*value);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right:.1}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(words),
            );
        }
        for (value, words) in &self.chart.x.ticks {
            let x = self.x(*value);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{x:.1} {floor:.1}v4\"/>\
                 <text class=\"tick middle\" x=\"{x:.1}\" y=\"{:.1}\">{}</text>",
                floor + 17.0,
                escape(words),
            );
        }
        let _ = write!(out, "<path class=\"axis\" d=\"M{LEFT} {bottom:.1}H{right:.1}\"/>");
        label(
            out,
            &self.chart.x,
            (LEFT + right) / 2.0,
            floor + BOTTOM - 6.0,
            "middle",
        );
    }

    fn line(&self, out: &mut String, line: &Line) {
        let mut path = String::new();
        let mut alone = Vec::new();
        let mut run: Vec<(f64, f64)> = Vec::new();
        let ended = std::iter::once((0.0, None));
        for (x, y) in line.points.iter().copied().chain(ended) {
            if let Some(y) = y {
                run.push((self.x(x), self.y(y)));
                continue;
            }
            match run.as_slice() {
                [] => {}
                [point] => alone.push(*point),
                points => {
                    for (i, (x, y)) in points.iter().enumerate() {
                        let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { 'M' } else { 'L' });
                    }
                }
            }
            run.clear();
        }
        if !path.is_empty() {
            let _ = write!(out, "<path class=\"line {}\" d=\"{path}\"/>", line.class);
        }
        for (x, y) in alone {
            let _ = write!(
                out,
                "<circle class=\"dot {}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>",
                line.class
            );
        }
    }

    /// A dashed level with a stop where it ends: what counts there must stay below it.
    fn limit(&self, out: &mut String, limit: &Limit) {
        let y = self.y(limit.level);
        let end = limit.until.map_or(self.right(), |until| self.x(until));
        let _ = write!(out, "<path class=\"limit\" d=\"M{LEFT} {y:.1}H{end:.1}\"/>");
        if limit.until.is_some() {
            let _ = write!(out, "<path class=\"stop\" d=\"M{end:.1} {:.1}v12\"/>", y - 6.0);
        }
        let name = escape(&limit.name);
        let room = end - LEFT >= limit.name.chars().count() as f64 * CHARACTER + 12.0;
        let (x, class) = if room { (end - 6.0, "end") } else { (end + 6.0, "") };
        let _ = write!(
            out,
            "<text class=\"limit-name {class}\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text>",
            y - 5.0
        );
    }

    /// Names at the right ends of their lines, moved apart where they would overlap.
    fn names(&self, out: &mut String) {
        let mut names: Vec<(f64, f64, &Line)> = Vec::new();
        for line in &self.chart.lines {
            let last = line
                .points
                .iter()
                .rev()
                .find_map(|(x, y)| y.map(|y| (self.x(*x), self.y(y))));
            if let Some((x, y)) = last {
                names.push((y, x, line));
            }
        }
        names.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut free = self.top;
        for (y, _, _) in &mut names {
            *y = y.max(free);
            free = *y + TEXT;
        }
        let mut ceiling = self.bottom;
        for (y, _, _) in names.iter_mut().rev() {
            *y = y.min(ceiling);
            ceiling = *y - TEXT;
        }
        for (y, _, line) in names {
            let (x, class) = (self.right() + 8.0, line.class);
            let y = y + 4.0;
            let _ = write!(
                out,
                "<text class=\"name {class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
                escape(&line.name)
            );
        }
    }

    fn tips(&self, out: &mut String) {
        for tip in &self.chart.tips {
            let (from, to) = (self.x(tip.from), self.x(tip.to));
            let _ = write!(
                out,
                "<rect class=\"tip\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                self.top,
                (to - from).max(1.0),
                self.bottom - self.top,
                escape(&tip.text),
            );
        }
    }
}

fn label(out: &mut String, axis: &Axis, x: f64, y: f64, class: &str) {
    if !axis.label.is_empty() {
        let _ = write!(
            out,
            "<text class=\"label {class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escape(&axis.label)
        );
    }
}

/// Text for an element or a quoted attribute of SVG inside HTML.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{Axis, Limit, Line, Scale, Strip, Tip};
    use super::*;

    fn chart(hostile: &str) -> Chart {
        let scale = Scale::Linear { min: 0.0, max: 10.0 };
        let axis = Axis {
            label: hostile.to_owned(),
            scale,
            ticks: vec![(0.0, hostile.to_owned())],
        };
        Chart {
            id: hostile.to_owned(),
            title: hostile.to_owned(),
            description: hostile.to_owned(),
            width: 400.0,
            right: 60.0,
            height: 200.0,
            x: axis.clone(),
            y: axis,
            bands: vec![Band {
                name: hostile.to_owned(),
                class: "fault",
                lane: Some(0),
                from: 2.0,
                to: 9.0,
            }],
            lines: vec![Line {
                name: hostile.to_owned(),
                class: "a",
                points: vec![
                    (0.0, Some(1.0)),
                    (1.0, Some(2.0)),
                    (2.0, None),
                    (3.0, Some(4.0)),
                    (4.0, None),
                ],
            }],
            limits: vec![Limit {
                name: hostile.to_owned(),
                level: 5.0,
                until: Some(5.0),
            }],
            tips: vec![Tip {
                from: 0.0,
                to: 1.0,
                text: hostile.to_owned(),
            }],
            lanes: vec![Lane {
                name: hostile.to_owned(),
                strips: vec![Strip {
                    class: "fault",
                    from: 2.0,
                    to: 2.0,
                    tip: hostile.to_owned(),
                }],
            }],
        }
    }

    #[test]
    fn no_text_can_leave_its_element() {
        let svg = chart("\"><script>alert('1')</script>&").svg();
        assert!(!svg.contains("<script"), "{svg}");
        assert!(!svg.contains("\"><s"), "{svg}");
        assert!(
            svg.contains("&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)"),
            "{svg}"
        );
    }

    #[test]
    fn a_lane_stands_between_the_plot_and_the_words_of_its_axis() {
        let mut chart = chart("x");
        let with = chart.svg();
        assert!(
            with.contains("width=\"2.5\" height=\"10\""),
            "a moment can be seen: {with}"
        );
        chart.lanes.clear();
        let without = chart.svg();
        let height = |svg: &str| {
            let of = svg.split_once("viewBox=\"0 0 400 ").unwrap().1;
            of.split_once('"').unwrap().0.parse::<f64>().unwrap()
        };
        assert!((height(&with) - height(&without) - UNDER - GAP).abs() < 1.0);
    }

    #[test]
    fn a_gap_breaks_the_line_and_a_lonely_point_stays_visible() {
        let svg = chart("x").svg();
        assert_eq!(svg.matches("class=\"line a\"").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
