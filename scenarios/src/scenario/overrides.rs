//! `--set`, `-X` and `--seed`, written into the text of a scenario at the place where a person would write them.

use std::ops::Range;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Value};

use crate::cli::Overrides;
use crate::scenario::diagnostics::Problem;
use crate::scenario::source::{Edit, Source};

impl Source {
    /// Writes the overrides into the text. What cannot be placed comes back as a problem and changes nothing.
    pub(crate) fn apply(&mut self, overrides: &Overrides) -> Vec<Problem> {
        let mut problems = Vec::new();
        for set in &overrides.set {
            let argument = format!("--set {set}");
            let placed = match set.split_once('=') {
                None => Err("expected KEY=VALUE, such as `workload.duration=20s`".to_owned()),
                Some((key, value)) => self.splice(key, &literal(value), argument.clone()),
            };
            problems.extend(placed.err().map(|why| Problem::of_argument(&argument, &why)));
        }
        for property in &overrides.property {
            let argument = format!("-X {property}");
            let placed = match property.split_once('=') {
                None => Err("expected PROPERTY=VALUE, such as `linger.ms=1`".to_owned()),
                Some((key, value)) => {
                    self.splice(&format!("producer.{key}"), &quoted(value), argument.clone())
                }
            };
            problems.extend(placed.err().map(|why| Problem::of_argument(&argument, &why)));
        }
        if let Some(seed) = overrides.seed {
            let argument = format!("--seed {seed}");
            let placed = self.splice("seed", &seed.to_string(), argument.clone());
            problems.extend(placed.err().map(|why| Problem::of_argument(&argument, &why)));
        }
        problems
    }

    /// Puts `value` (a TOML literal) at `key` (a dotted TOML key).
    fn splice(&mut self, key: &str, value: &str, argument: String) -> Result<(), String> {
        let path =
            key_path(key).ok_or_else(|| format!("`{key}` is not a key such as `workload.duration`"))?;
        let (document, broken) = DeTable::parse_recoverable(&self.text);
        if !broken.is_empty() {
            return Ok(()); // the file's own syntax errors are told first; with them nothing runs anyway
        }
        let spot = spot(&self.text, document.get_ref(), &path)?;
        let key_text: String = spot
            .rest
            .iter()
            .map(|segment| bare_or_quoted(segment))
            .collect::<Vec<_>>()
            .join(".");
        let (inserted, value_at) = match spot.kind {
            SpotKind::Replace => (value.to_owned(), 0),
            SpotKind::Line => (format!("{key_text} = {value}\n"), key_text.len() + 3),
            SpotKind::AfterHeader => (format!("\n{key_text} = {value}"), key_text.len() + 4),
            SpotKind::Inline => (format!(" {key_text} = {value},"), key_text.len() + 4),
        };
        let mut text = self.text.clone();
        text.replace_range(spot.range.clone(), &inserted);
        if DeTable::parse(&text).is_err() {
            return Err(format!("`{key}` cannot be set from here; write it in the file"));
        }
        self.text = text;
        let range = spot.range.start..spot.range.start + inserted.len();
        let value = range.start + value_at..range.start + value_at + value.len();
        let argument_value = argument.find('=').or(argument.rfind(' ')).map_or(0, |at| at + 1);
        self.remember(
            &spot.range,
            Edit {
                range,
                value,
                original: 0..0,
                argument,
                argument_value,
            },
        );
        Ok(())
    }

    fn remember(&mut self, replaced: &Range<usize>, mut edit: Edit) {
        let shift = |range: &mut Range<usize>, by: isize| {
            *range = range.start.saturating_add_signed(by)..range.end.saturating_add_signed(by);
        };
        let by = edit.range.len() as isize - replaced.len() as isize;
        // The same key set twice: the later value stands, at the earlier one's place.
        if let Some(i) = self
            .edits
            .iter()
            .position(|e| e.value == *replaced && !replaced.is_empty())
        {
            let earlier = self.edits.remove(i);
            edit.original = earlier.original;
            edit.range = earlier.range.start..earlier.range.end.saturating_add_signed(by);
        } else {
            edit.original = self.original_offset(replaced.start)..self.original_offset(replaced.end);
        }
        for other in self
            .edits
            .iter_mut()
            .filter(|other| other.range.start >= replaced.end)
        {
            shift(&mut other.range, by);
            shift(&mut other.value, by);
        }
        self.edits.push(edit);
        self.edits.sort_by_key(|edit| edit.range.start);
    }
}

/// Where an override goes.
struct Spot {
    range: Range<usize>,
    /// The part of the key that is still to be written.
    rest: Vec<String>,
    kind: SpotKind,
}

enum SpotKind {
    Replace,
    Line,
    AfterHeader,
    Inline,
}

/// Finds the value, or else the nearest table that is written in the text.
fn spot(text: &str, root: &DeTable<'_>, path: &[String]) -> Result<Spot, String> {
    let first_line = root
        .iter()
        .map(|(key, _)| key.span().start)
        .min()
        .map_or(0, |at| line_start(text, at));
    // Before the first key of the file, so that it stays a key of the root: below the last header it would be one of that
    // table, also where its own table is there already, but as dotted keys that nothing brackets.
    let mut best = Spot {
        range: first_line..first_line,
        rest: path.to_vec(),
        kind: SpotKind::Line,
    };
    let mut table = root;
    let mut depth = 0;
    while depth < path.len() {
        let Some(value) = table.get(path[depth].as_str()) else {
            break;
        };
        depth += 1;
        let span = value.span();
        let last = depth == path.len();
        match value.get_ref() {
            DeValue::Table(inner) => {
                if last {
                    return if text[span.clone()].starts_with('{') {
                        Ok(Spot {
                            range: span,
                            rest: Vec::new(),
                            kind: SpotKind::Replace,
                        })
                    } else {
                        Err(format!("`{}` is a table; set one of its keys", path.join(".")))
                    };
                }
                note_table(text, &span, &path[depth..], &mut best);
                table = inner;
            }
            DeValue::Array(items) if !last && items.iter().any(|item| item.get_ref().is_table()) => {
                let named = items.iter().find(|item| name_of(item) == Some(&path[depth]));
                let Some((item, inner)) = named.and_then(|item| Some((item, item.get_ref().as_table()?)))
                else {
                    return Err(format!(
                        "no `{}` is named `{}`",
                        path[..depth].join("."),
                        path[depth]
                    ));
                };
                depth += 1;
                if depth == path.len() {
                    return Err(format!("`{}` is a table; set one of its keys", path.join(".")));
                }
                note_table(text, &item.span(), &path[depth..], &mut best);
                table = inner;
            }
            _ if last => {
                return Ok(Spot {
                    range: span,
                    rest: Vec::new(),
                    kind: SpotKind::Replace,
                });
            }
            _ => return Err(format!("`{}` is not a table", path[..depth].join("."))),
        }
    }
    Ok(best)
}

fn note_table(text: &str, span: &Range<usize>, rest: &[String], best: &mut Spot) {
    let written = &text[span.clone()];
    if written.starts_with('[') {
        *best = Spot {
            range: span.end..span.end,
            rest: rest.to_vec(),
            kind: SpotKind::AfterHeader,
        };
    } else if written.starts_with('{') {
        *best = Spot {
            range: span.start + 1..span.start + 1,
            rest: rest.to_vec(),
            kind: SpotKind::Inline,
        };
    }
}

fn name_of<'a>(item: &'a Spanned<DeValue<'_>>) -> Option<&'a str> {
    item.get_ref().as_table()?.get("name")?.get_ref().as_str()
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// `a."b.c".d` as segments, by TOML's own rules.
fn key_path(key: &str) -> Option<Vec<String>> {
    if key.contains(['\n', '\r', '=', '#']) && !key.contains(['"', '\'']) {
        return None;
    }
    let text = format!("{key} = 0");
    let document = DeTable::parse(&text).ok()?;
    let mut path = Vec::new();
    let mut table = document.get_ref();
    loop {
        let (key, value) = table.iter().next()?;
        path.push(key.get_ref().to_string());
        match value.get_ref() {
            DeValue::Table(inner) => table = inner,
            _ => return Some(path),
        }
    }
}

/// What a user types after `=`: TOML if it reads as TOML, else a string.
fn literal(value: &str) -> String {
    let document = format!("value = {value}");
    let is_toml =
        !value.contains(['\n', '\r', '#']) && DeTable::parse(&document).is_ok_and(|t| t.get_ref().len() == 1);
    if is_toml {
        value.trim().to_owned()
    } else {
        quoted(value)
    }
}

fn quoted(value: &str) -> String {
    Value::String(value.to_owned()).to_string()
}

fn bare_or_quoted(segment: &str) -> String {
    let bare = !segment.is_empty()
        && segment
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if bare { segment.to_owned() } else { quoted(segment) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::source::Place;

    fn source(text: &str) -> Source {
        Source {
            path: "a.toml".into(),
            name: "a".into(),
            original: text.into(),
            text: text.into(),
            edits: Vec::new(),
        }
    }

    fn set(text: &str, key: &str, value: &str) -> Result<Source, String> {
        let mut source = source(text);
        source.splice(key, &literal(value), format!("--set {key}={value}"))?;
        Ok(source)
    }

    #[test]
    fn an_override_lands_at_its_key() {
        let text = "# why\ntitle = \"t\"\n[workload]\nrate = \"5/s\" # slow\nkeys = { count = 1 }\n[[fault]]\nname = \"a\"\nat = \"1s\"\n";
        let cases = [
            ("workload.rate", "9/s", "rate = \"9/s\" # slow"),
            ("workload.duration", "20s", "[workload]\nduration = \"20s\"\nrate"),
            ("workload.keys.count", "7", "keys = { count = 7 }"),
            (
                "workload.keys.exponent",
                "1.5",
                "keys = { exponent = 1.5, count = 1 }",
            ),
            ("seed", "7", "# why\nseed = 7\ntitle"),
            ("claims.lost", "1", "# why\nclaims.lost = 1\ntitle"),
            ("fault.a.at", "2s", "at = \"2s\""),
            ("fault.a.for", "3s", "[[fault]]\nfor = \"3s\"\nname"),
            ("producer.linger.ms", "0.5", "producer.linger.ms = 0.5\ntitle"),
            (
                "thresholds.\"x{y}\"",
                "[\"a\"]",
                "thresholds.\"x{y}\" = [\"a\"]\n",
            ),
        ];
        for (key, value, expected) in cases {
            let run = set(text, key, value).unwrap_or_else(|why| panic!("{key}: {why}"));
            assert!(run.text.contains(expected), "{key}:\n{}", run.text);
        }
        for (key, value) in [
            ("workload", "1"),
            ("title.x", "1"),
            ("fault.b.at", "1s"),
            ("a b", "1"),
            ("", "1"),
        ] {
            assert!(set(text, key, value).is_err(), "{key}");
        }
    }

    #[test]
    fn a_second_key_of_a_table_that_has_no_header_joins_the_first() {
        let text = "# why\ntitle = \"t\"\n[claims]\nlost = 0\n";
        let mut run = set(text, "producer.linger.ms", "5").expect("placed");
        run.splice("producer.acks", "\"all\"", "-X acks=all".into())
            .expect("placed");
        let document = DeTable::parse(&run.text).expect("TOML");
        let table = |name: &str| {
            let value = document.get_ref().get(name).expect("there").get_ref();
            value.as_table().expect("a table").len()
        };
        assert_eq!((table("producer"), table("claims")), (2, 1), "{}", run.text);
        let at = run.text.find("\"all\"").expect("there");
        assert_eq!(run.place(&(at..at + 5)), Place::Argument("-X acks=all", 8..11));
    }

    #[test]
    fn places_point_at_what_the_user_wrote() {
        let text = "title = \"t\"\n[workload]\nrate = \"5/s\"\nduration = \"1s\"\n";
        let mut run = set(text, "workload.rate", "10000/s").expect("placed");
        run.splice("workload.warmup", "\"1s\"", "--set workload.warmup=1s".into())
            .expect("placed");
        run.splice("workload.rate", "\"7/s\"", "--set workload.rate=7/s".into())
            .expect("placed");
        let at = run.text.find("\"7/s\"").expect("set twice, the later stands");
        assert_eq!(
            run.place(&(at..at + 5)),
            Place::Argument("--set workload.rate=7/s", 20..23)
        );
        let at = run.text.find("duration").expect("kept");
        let was = text.find("duration").expect("there");
        assert_eq!(run.place(&(at..at + 8)), Place::File(was..was + 8));
        let at = run.text.find("warmup").expect("inserted");
        assert_eq!(
            run.place(&(at..at + 6)),
            Place::Argument("--set workload.warmup=1s", 6..21)
        );
    }
}
