//! What was found wrong in one file, collected while it is read.

use std::cell::RefCell;
use std::ops::Range;

use crate::scenario::diagnostics::Problem;

/// The text of one file and what was found wrong in it.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    /// Text as run.
    pub text: &'a str,
    /// Spans of syntax errors: what stands on the same line is not judged further.
    pub(super) broken: Vec<Range<usize>>,
    problems: RefCell<Vec<Problem>>,
}

impl<'a> Notes<'a> {
    /// Begins with the syntax errors of the text.
    pub(crate) fn new(text: &'a str, syntax: Vec<Problem>) -> Notes<'a> {
        let broken = syntax.iter().filter_map(|problem| problem.span.clone()).collect();
        Notes {
            text,
            broken,
            problems: RefCell::new(syntax),
        }
    }

    /// Adds a mistake, unless it only follows from a syntax error on its line.
    pub(crate) fn push(&self, problem: Problem) {
        let line = |at: usize| self.text[..at.min(self.text.len())].matches('\n').count();
        let follows = problem.span.as_ref().is_some_and(|span| {
            self.broken
                .iter()
                .any(|broken| line(broken.start) == line(span.start))
        });
        let mut problems = self.problems.borrow_mut();
        if !follows && !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// True while nothing is wrong.
    pub(crate) fn clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Everything found, in the order of the file.
    pub(crate) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.span.as_ref().map_or(0, |span| span.start));
        problems
    }
}
