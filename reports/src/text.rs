//! Strings of strangers, made safe to show: scenario titles, reasons, settings and examples may hold anything.
//!
//! Two dangers are dealt with here, markup is escaped later by whoever writes it (askama, `chart::svg`, quick-junit,
//! [`markdown`]): characters that a reader cannot see or that turn the text around them (Unicode TR 36, "Trojan
//! Source"), and lengths that would drown the page. Both stay visible: nothing is dropped silently.

use std::fmt::Write as _;

/// How much of the inputs a page shows. The whole of everything stands in verdict.json.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Characters of a name or a value.
    pub short: usize,
    /// Characters of a sentence or a command.
    pub long: usize,
    /// Rows of one table.
    pub rows: usize,
    /// Points of one line of a chart.
    pub points: usize,
}

impl Limits {
    /// What every real run fits in.
    pub(crate) const USUAL: Limits = Limits {
        short: 120,
        long: 1200,
        rows: 60,
        points: 480,
    };
    /// What always fits in [`crate::MAX_PAGE_BYTES`], whatever the inputs hold.
    pub(crate) const TIGHT: Limits = Limits {
        short: 40,
        long: 120,
        rows: 15,
        points: 120,
    };

    pub(crate) fn short(self, text: &str) -> String {
        shown(text, self.short)
    }

    pub(crate) fn long(self, text: &str) -> String {
        shown(text, self.long)
    }

    /// The first rows, and how many were left out.
    pub(crate) fn rows<T>(self, all: &[T]) -> (&[T], usize) {
        let kept = all.len().min(self.rows);
        (&all[..kept], all.len() - kept)
    }
}

/// `text` with invisible and direction-turning characters spelled out, cut visibly after `limit` characters.
pub(crate) fn shown(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit * 2));
    let mut length = 0;
    for (at, c) in text.char_indices() {
        let before = out.len();
        push_visible(&mut out, c);
        length += out[before..].chars().count();
        if length > limit {
            out.truncate(before);
            let left = text[at..].chars().count();
            let _ = write!(out, "… (+{} characters)", crate::number::count(left as u64));
            break;
        }
    }
    out
}

/// `text`, ready for a line or a table cell of Markdown.
pub(crate) fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '>' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// "1 record", "2 records".
pub(crate) fn plural(count: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        crate::number::count(count),
        if count == 1 { "" } else { "s" }
    )
}

fn push_visible(out: &mut String, c: char) {
    match c {
        '\n' | '\t' => out.push(' '),
        '\0'..='\x1f' => out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\x7f' => out.push('\u{2421}'),
        _ if is_invisible(c) => {
            let _ = write!(out, "[U+{:04X}]", u32::from(c));
        }
        _ => out.push(c),
    }
}

/// C1 controls, zero-width characters, bidirectional controls, separators, tags and the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_become_visible() {
        assert_eq!(shown("a\0b\x1b[31mc\x7f", 99), "a␀b␛[31mc␡");
        assert_eq!(
            shown("user\u{202e}txt.exe\u{200b}", 99),
            "user[U+202E]txt.exe[U+200B]"
        );
        assert_eq!(shown("two\nlines", 99), "two lines");
        assert_eq!(shown("µs · größer 日本", 99), "µs · größer 日本");
    }

    #[test]
    fn a_long_string_is_cut_and_says_how_much_is_missing() {
        assert_eq!(shown("abcdef", 6), "abcdef");
        assert_eq!(shown("abcdefg", 6), "abcdef… (+1 characters)");
        let cut = shown(&"x".repeat(1 << 20), 100);
        assert_eq!(cut.len(), 100 + "… (+1,048,476 characters)".len());
        // Spelled-out characters count as what they became: a limit on input alone would let the page grow.
        assert!(shown(&"\u{202e}".repeat(1000), 100).chars().count() < 130);
    }

    #[test]
    fn markdown_has_no_live_characters_left() {
        assert_eq!(markdown("a|b <img> [x](y)"), "a\\|b &lt;img\\> \\[x\\]\\(y\\)");
    }
}
