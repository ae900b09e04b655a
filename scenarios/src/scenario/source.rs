//! The text of one scenario file, and the overrides of the command line written into it.
//!
//! ```text
//! file ── read (bounded, UTF-8) ──> text ── --set, -X, --seed spliced in ──> text as run (scenario.toml of the run folder)
//! ```
//! An override becomes text at its place, so that the folder's scenario.toml says by itself what ran. Each splice is
//! remembered: a mistake in it is shown on the command line, a mistake elsewhere on the file's own line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::scenario::diagnostics::Problem;

/// Largest scenario file.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 20;
/// First line of a scenario.toml in a run folder: the name that the file had in the catalogue.
const NAME_LINE: &str = "#:scenario ";

/// One scenario file.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Where it was read, as the user named it.
    pub path: PathBuf,
    /// Path under `scenarios/` without `.toml`.
    pub name: String,
    /// The file's own text.
    pub original: String,
    /// The text with the overrides in it.
    pub text: String,
    /// The overrides, in the order of their places.
    pub edits: Vec<Edit>,
}

/// One override, spliced in.
#[derive(Debug, Clone)]
pub(crate) struct Edit {
    /// Its place in the text as run.
    pub range: Range<usize>,
    /// The value alone, in the text as run.
    pub(super) value: Range<usize>,
    /// What it replaced in the file.
    pub(super) original: Range<usize>,
    /// As typed: `--set workload.duration=20s`.
    pub argument: String,
    /// Where in `argument` the value begins.
    pub(super) argument_value: usize,
}

/// Where a mistake is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    /// In the file, bytes of [`Source::original`].
    File(Range<usize>),
    /// In an argument, bytes of it.
    Argument(&'a str, Range<usize>),
}

impl Source {
    /// A source without text: what stands for a folder.
    pub(crate) fn blank(path: &Path, name: String) -> Source {
        Source {
            path: path.to_owned(),
            name,
            original: String::new(),
            text: String::new(),
            edits: Vec::new(),
        }
    }

    /// Reads a file. On failure the source is what can be shown of it (nothing, or the text with its bad bytes replaced).
    pub(crate) fn read(path: &Path, name: &str) -> (Source, Option<Problem>) {
        let source = |text: String| Source {
            path: path.to_owned(),
            name: name.to_owned(),
            original: text.clone(),
            text,
            edits: Vec::new(),
        };
        let refuse = |why: String| {
            (
                source(String::new()),
                Some(Problem::of_file("cannot read the scenario file", &why)),
            )
        };
        match std::fs::metadata(path) {
            Err(error) => return refuse(error.to_string()),
            Ok(meta) if !meta.is_file() => return refuse("not a regular file".to_owned()),
            Ok(meta) if meta.len() > MAX_FILE_BYTES => {
                return refuse(format!(
                    "{} bytes; a scenario file has at most {MAX_FILE_BYTES}",
                    meta.len()
                ));
            }
            Ok(_) => {}
        }
        let bytes = match std::fs::read(path) {
            Err(error) => return refuse(error.to_string()),
            Ok(bytes) => bytes,
        };
        match String::from_utf8(bytes) {
            Ok(text) => {
                let mut source = source(text);
                if let Some(named) = source
                    .text
                    .lines()
                    .next()
                    .and_then(|line| line.strip_prefix(NAME_LINE))
                {
                    source.name = named.trim().to_owned();
                }
                (source, None)
            }
            Err(error) => {
                let start = error.utf8_error().valid_up_to();
                let bad = error.as_bytes()[start];
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let end = start + char::REPLACEMENT_CHARACTER.len_utf8();
                let problem = Problem::at(
                    start..end,
                    "the file is not UTF-8",
                    &format!("byte 0x{bad:02x} begins no character"),
                )
                .note("TOML is UTF-8; convert the file, for example with `iconv -f latin1 -t utf-8`");
                (source(text), Some(problem))
            }
        }
    }

    /// The text for the run folder: reads back as the same scenario under the same name.
    pub(crate) fn as_run(&self) -> String {
        if self.text.starts_with(NAME_LINE) {
            return self.text.clone();
        }
        let mut text = format!("{NAME_LINE}{}\n", self.name);
        for edit in &self.edits {
            text.push_str(&format!(
                "# set on the command line: {}\n",
                edit.argument.replace(['\n', '\r'], " ")
            ));
        }
        text.push_str(self.text.trim_start_matches('\u{feff}'));
        text
    }

    /// Where a span of the text as run is shown.
    pub(crate) fn place(&self, span: &Range<usize>) -> Place<'_> {
        if let Some(edit) = self
            .edits
            .iter()
            .find(|edit| edit.range.start <= span.start && span.end <= edit.range.end)
        {
            let end = edit.argument.len();
            let begin = edit.argument.find(' ').map_or(0, |at| at + 1);
            let in_value = span.start >= edit.value.start;
            let range = if in_value {
                edit.argument_value..end
            } else {
                begin..edit.argument_value.saturating_sub(1).max(begin)
            };
            return Place::Argument(&edit.argument, range);
        }
        let start = self.original_offset(span.start);
        Place::File(start..self.original_offset(span.end).max(start))
    }

    /// An offset of the text as run in the file's own text.
    pub(super) fn original_offset(&self, offset: usize) -> usize {
        let mut shifted = offset;
        for edit in &self.edits {
            if edit.range.end <= offset {
                shifted = shifted + edit.original.len() - edit.range.len();
            } else if edit.range.start < offset {
                return edit.original.end;
            }
        }
        shifted.min(self.original.len())
    }
}
