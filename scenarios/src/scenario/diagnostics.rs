//! What is wrong with scenario files, shown as rustc shows it: every mistake of every file at once.

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::ops::Range;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Patch, Renderer, Snippet};

use crate::scenario::source::{Place, Source};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What is wrong, as one line.
    pub title: String,
    /// Where; none when it is the file or an argument as a whole.
    pub span: Option<Range<usize>>,
    /// What is said at that place.
    pub label: String,
    /// Other places that have to do with it.
    pub context: Vec<(Range<usize>, String)>,
    /// What helps to understand it.
    pub notes: Vec<String>,
    /// The mend.
    pub fix: Option<Fix>,
    /// An argument that could not be placed in the file.
    pub argument: Option<String>,
}

/// A replacement that mends the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fix {
    /// In words.
    pub title: String,
    /// What to replace.
    pub span: Range<usize>,
    /// With what.
    pub replacement: String,
}

impl Problem {
    /// A mistake at a place.
    pub(crate) fn at(span: Range<usize>, title: &str, label: &str) -> Problem {
        Problem {
            title: title.to_owned(),
            span: Some(span),
            label: label.to_owned(),
            context: Vec::new(),
            notes: Vec::new(),
            fix: None,
            argument: None,
        }
    }

    /// A file that cannot be looked into.
    pub(crate) fn of_file(title: &str, why: &str) -> Problem {
        Problem {
            span: None,
            ..Problem::at(0..0, title, "")
        }
        .note(why)
    }

    /// An argument that has no place in the file.
    pub(crate) fn of_argument(argument: &str, why: &str) -> Problem {
        Problem {
            span: None,
            argument: Some(argument.to_owned()),
            ..Problem::at(0..0, "an override that cannot be applied", why)
        }
    }

    /// Adds a note.
    pub(crate) fn note(mut self, note: &str) -> Problem {
        self.notes.push(note.to_owned());
        self
    }

    /// Adds another place.
    pub(crate) fn context(mut self, span: Range<usize>, label: &str) -> Problem {
        self.context.push((span, label.to_owned()));
        self
    }

    /// Adds the mend.
    pub(crate) fn fix(mut self, title: &str, span: Range<usize>, replacement: &str) -> Problem {
        self.fix = Some(Fix {
            title: title.to_owned(),
            span,
            replacement: replacement.to_owned(),
        });
        self
    }
}

/// All mistakes of all files: exit 2, nothing was started.
#[derive(Debug, Clone)]
pub(crate) struct Diagnostics {
    /// Each file with its mistakes, in the order of their places.
    pub files: Vec<(Source, Vec<Problem>)>,
}

impl Diagnostics {
    /// The frames and a closing line. `styled`: with colour.
    pub(crate) fn render(&self, styled: bool) -> String {
        let frames = self.frames(styled);
        let files = self
            .files
            .iter()
            .filter(|(_, problems)| !problems.is_empty())
            .count();
        let errors = if frames.len() == 1 {
            "1 error".to_owned()
        } else {
            format!("{} errors", frames.len())
        };
        let whose = if files == 1 {
            "1 scenario file".to_owned()
        } else {
            format!("{files} scenario files")
        };
        format!(
            "{}\n\n{errors} in {whose}; nothing was started\n",
            frames.join("\n\n")
        )
    }

    fn frames(&self, styled: bool) -> Vec<String> {
        let renderer = if styled {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut seen = BTreeSet::new();
        let all = self
            .files
            .iter()
            .flat_map(|(source, problems)| problems.iter().map(move |p| (source, p)));
        all.map(|(source, problem)| frame(&renderer, source, problem))
            .filter(|frame| seen.insert(frame.clone()))
            .collect()
    }
}

/// In colour where standard error is a terminal that wants it (`NO_COLOR`).
impl std::fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        f.write_str(&self.render(std::io::stderr().is_terminal() && !plain))
    }
}

fn frame(renderer: &Renderer, source: &Source, problem: &Problem) -> String {
    let path = source.path.to_string_lossy();
    let mut group = Group::with_title(Level::ERROR.primary_title(problem.title.as_str()));
    match (&problem.span, &problem.argument) {
        (Some(span), _) => group = group.elements(snippets(source, &path, span, problem)),
        (None, Some(argument)) => {
            let whole = AnnotationKind::Primary
                .span(0..argument.len())
                .label(problem.label.as_str());
            group = group.element(
                Snippet::source(argument.as_str())
                    .path("command line")
                    .annotation(whole),
            );
        }
        (None, None) => group = group.element(Origin::path(path.as_ref())),
    }
    group = group.elements(
        problem
            .notes
            .iter()
            .map(|note| Level::NOTE.message(note.as_str())),
    );
    let mut report = vec![group];
    if let Some(fix) = &problem.fix
        && let Place::File(span) = source.place(&fix.span)
    {
        let patch = Patch::new(span, fix.replacement.as_str());
        let snippet = Snippet::source(source.original.as_str())
            .path(path.as_ref())
            .patch(patch);
        report.push(Level::HELP.secondary_title(fix.title.as_str()).element(snippet));
    }
    renderer.render(&report)
}

/// The places of a problem: those in the file on one snippet, each argument on its own.
fn snippets<'a>(
    source: &'a Source,
    path: &'a str,
    span: &Range<usize>,
    problem: &'a Problem,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let primary = (span, problem.label.as_str(), AnnotationKind::Primary);
    let context = problem
        .context
        .iter()
        .map(|(span, label)| (span, label.as_str(), AnnotationKind::Context));
    let mut in_file = Vec::new();
    let mut snippets = Vec::new();
    for (span, label, kind) in std::iter::once(primary).chain(context) {
        match source.place(span) {
            Place::File(range) => in_file.push(kind.span(range).label(label)),
            Place::Argument(argument, range) => {
                let annotation = kind.span(range).label(label);
                snippets.push(
                    Snippet::source(argument)
                        .path("command line")
                        .annotation(annotation),
                );
            }
        }
    }
    if !in_file.is_empty() {
        let snippet = Snippet::source(source.original.as_str())
            .path(path)
            .annotations(in_file);
        let first = if snippets.is_empty() || matches!(source.place(span), Place::File(_)) {
            0
        } else {
            snippets.len()
        };
        snippets.insert(first, snippet);
    }
    snippets
}

/// The nearest of some words, if one is near enough to be meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this likeness a suggestion would puzzle more than help.
    const NEAR: f64 = 0.6;
    let word = word.to_lowercase().replace('_', "-");
    let likeness = |candidate: &str| {
        let candidate = candidate.replace('_', "-");
        let starts = candidate.starts_with(&format!("{word}.")) || candidate.starts_with(&format!("{word}-"));
        if starts {
            0.95
        } else {
            strsim::normalized_damerau_levenshtein(&word, &candidate)
        }
    };
    let scored = candidates
        .into_iter()
        .map(|candidate| (likeness(candidate), candidate));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1)))?;
    (best.0 >= NEAR).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_word_is_suggested() {
        assert_eq!(nearest("ratee", ["rate", "records"]), Some("rate"));
        assert_eq!(nearest("linger", ["linger.ms", "acks"]), Some("linger.ms"));
        assert_eq!(nearest("record_size", ["record-size"]), Some("record-size"));
        assert_eq!(nearest("zzz", ["rate", "records"]), None);
    }
}
