//! Reads the tables of a file by the grammar, and collects every mistake instead of stopping at the first.
//!
//! A method answers `None` when the key is absent or wrong; what was wrong has then been noted. A key that is absent and has
//! a default in the grammar gives that default, at the place of its section.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::grammar::{Key, PLANNED_WORDS, Section, Shape};
use crate::scenario::notes::Notes;
use crate::scenario::properties::{Property, flatten};
use crate::scenario::units;
use crate::scenario::words::home_of;
use crate::scenario::words::{describe, example, expected, list, texts};

/// One table of the file, checked against its section.
#[derive(Debug, Clone)]
pub(crate) struct Table<'a> {
    /// What it may hold.
    pub section: &'static Section,
    /// Its header or its braces.
    pub span: Range<usize>,
    entries: &'a DeTable<'a>,
    notes: &'a Notes<'a>,
}

impl<'a> Table<'a> {
    /// Opens a table: unknown keys and missing required ones are noted here.
    pub(crate) fn open(
        section: &'static Section,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
        notes: &'a Notes<'a>,
    ) -> Table<'a> {
        let table = Table {
            section,
            span,
            entries,
            notes,
        };
        for (key, _) in entries {
            if section.properties.is_none() && !section.keys.iter().any(|k| k.name == key.get_ref()) {
                table.unknown_key(key.get_ref(), key.span());
            }
        }
        for key in section
            .keys
            .iter()
            .filter(|key| key.required && !entries.contains_key(key.name))
        {
            table.missing(key.name, key.doc);
        }
        table
    }

    /// Whether the key is written, right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// Where the key is written, value and all; the table's place if it is not.
    pub(crate) fn place(&self, name: &str) -> Range<usize> {
        self.entries
            .get(name)
            .map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// Notes that a key is missing that the other keys call for.
    pub(crate) fn missing(&self, name: &str, doc: &str) {
        if !self.notes.broken.is_empty() {
            return; // it may stand on the line that could not be read
        }
        let names = || self.section.keys.iter().map(|key| key.name);
        if self
            .entries
            .keys()
            .any(|key| !names().any(|n| n == key.get_ref()) && nearest(key.get_ref(), names()) == Some(name))
        {
            return; // it stands there misspelt, which is said at its place
        }
        let example = format!(
            "{name} = {}",
            self.key(name).map_or("...", |key| example(&key.shape))
        );
        self.notes.push(
            Problem::at(
                self.span.clone(),
                &format!("missing key `{name}` in {}", self.section.title),
                &format!("expected `{example}`"),
            )
            .note(&format!("{name}: {doc}")),
        );
    }

    /// Notes that a key stands here which the other keys leave without meaning.
    pub(crate) fn out_of_place(&self, name: &str, why: &str) {
        if let Some((key, _)) = self.entries.get_key_value(name) {
            self.notes.push(Problem::at(
                key.span(),
                &format!("`{name}` has no meaning here"),
                why,
            ));
        }
    }

    /// Any text that is not empty.
    pub(crate) fn text(&self, name: &'static str) -> Option<Spanned<String>> {
        let (text, span) = self.string(name)?;
        if text.trim().is_empty() {
            self.notes.push(Problem::at(
                span,
                &format!("`{name}` is empty"),
                "expected some text",
            ));
            return None;
        }
        Some(Spanned::new(span, text))
    }

    /// A whole number within the bounds of the grammar.
    pub(crate) fn integer(&self, name: &'static str) -> Option<Spanned<u64>> {
        let Some(value) = self.entries.get(name) else {
            return self
                .default(name)
                .and_then(|text| text.parse().ok())
                .map(|n| Spanned::new(self.span.clone(), n));
        };
        let Some(Key {
            shape: Shape::Integer(min, max),
            ..
        }) = self.key(name)
        else {
            return None;
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => {
                self.wrong_type(name, value);
                return None;
            }
        };
        match number
            .filter(|number| (min..=max).contains(&number))
            .and_then(|n| u64::try_from(n).ok())
        {
            Some(number) => Some(Spanned::new(value.span(), number)),
            None => {
                let most = if *max == i64::MAX {
                    String::new()
                } else {
                    format!(" and at most {}", units::show_count(*max as u64))
                };
                let label = format!("expected a whole number of at least {min}{most}");
                self.notes.push(Problem::at(
                    value.span(),
                    &format!("`{name}` is out of range"),
                    &label,
                ));
                None
            }
        }
    }

    /// A finite number.
    pub(crate) fn number(&self, name: &'static str) -> Option<Spanned<f64>> {
        let Some(value) = self.entries.get(name) else {
            return self
                .default(name)
                .and_then(|text| text.parse().ok())
                .map(|n| Spanned::new(self.span.clone(), n));
        };
        let number = match value.get_ref() {
            DeValue::Integer(number) => units::number(number.as_str()).filter(|_| number.radix() == 10),
            DeValue::Float(number) => units::number(number.as_str()),
            _ => None,
        };
        if number.is_none() {
            self.wrong_type(name, value);
        }
        number.map(|number| Spanned::new(value.span(), number))
    }

    /// `10s`.
    pub(crate) fn duration(&self, name: &'static str) -> Option<Spanned<Duration>> {
        self.with_unit(name, units::duration)
    }

    /// `25000/s`.
    pub(crate) fn rate(&self, name: &'static str) -> Option<Spanned<f64>> {
        self.with_unit(name, units::rate)
    }

    /// `100 B`.
    pub(crate) fn size(&self, name: &'static str) -> Option<Spanned<u64>> {
        self.with_unit(name, units::size)
    }

    /// One of the words of the grammar.
    pub(crate) fn word(&self, name: &'static str) -> Option<Spanned<&'static str>> {
        let (text, span) = self.string(name)?;
        let Some(Key {
            shape: Shape::Word(words),
            ..
        }) = self.key(name)
        else {
            return None;
        };
        if let Some(word) = words.iter().find(|word| **word == text) {
            return Some(Spanned::new(span, word));
        }
        let listed = list(words);
        if PLANNED_WORDS.contains(&text.as_str()) {
            let title = format!("`{name} = \"{text}\"` is not built in this version");
            self.notes
                .push(Problem::at(span, &title, &format!("expected {listed}")));
            return None;
        }
        let mut problem = Problem::at(
            span.clone(),
            &format!("unknown {name} `{text}`"),
            &format!("expected {listed}"),
        );
        if let Some(near) = nearest(&text, words.iter().copied()) {
            problem = problem.fix("a word with a similar name exists", span, &format!("\"{near}\""));
        }
        self.notes.push(problem);
        None
    }

    /// A table.
    pub(crate) fn table(&self, name: &'static str) -> Option<Table<'a>> {
        let value = self.entries.get(name)?;
        let section = match self.key(name)?.shape {
            Shape::Table(section) => section,
            _ => return None,
        };
        match value.get_ref() {
            DeValue::Table(entries) => Some(Table::open(section, value.span(), entries, self.notes)),
            _ => {
                self.wrong_type(name, value);
                None
            }
        }
    }

    /// A list of tables; empty when absent.
    pub(crate) fn tables(&self, name: &'static str) -> Vec<Table<'a>> {
        let Some(value) = self.entries.get(name) else {
            return Vec::new();
        };
        let Some(Key {
            shape: Shape::Tables(section),
            ..
        }) = self.key(name)
        else {
            return Vec::new();
        };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong_type(name, value);
            return Vec::new();
        };
        let open = |item: &'a Spanned<DeValue<'a>>| match item.get_ref() {
            DeValue::Table(entries) => Some(Table::open(section, item.span(), entries, self.notes)),
            _ => {
                let found = describe(item.get_ref());
                self.notes.push(Problem::at(
                    item.span(),
                    &format!("`{name}` is a list of tables"),
                    &format!("found {found}"),
                ));
                None
            }
        };
        items.iter().filter_map(open).collect()
    }

    /// A table of tables under names of the author's choice.
    pub(crate) fn named(&self, name: &'static str) -> Vec<(Spanned<String>, Table<'a>)> {
        let Some(value) = self.entries.get(name) else {
            return Vec::new();
        };
        let Some(Key {
            shape: Shape::Named(section),
            ..
        }) = self.key(name)
        else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(name, value);
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (key, value) in entries {
            match value.get_ref() {
                DeValue::Table(inner) => tables.push((
                    Spanned::new(key.span(), key.get_ref().to_string()),
                    Table::open(section, value.span(), inner, self.notes),
                )),
                other => self.notes.push(Problem::at(
                    value.span(),
                    &format!("`{name}.{}` is a table", key.get_ref()),
                    &format!("expected `{{ partitions = 6 }}`, found {}", describe(other)),
                )),
            }
        }
        tables
    }

    /// A list of texts.
    pub(crate) fn texts(&self, name: &'static str) -> Vec<Spanned<String>> {
        self.entries
            .get(name)
            .map_or_else(Vec::new, |value| texts(name, value, self.notes))
    }

    /// Every key that is not of the grammar, as Kafka setting: dotted keys joined again, values as text.
    pub(crate) fn properties(&self) -> BTreeMap<String, Property> {
        let mut found = BTreeMap::new();
        for (key, value) in self.entries {
            if !self.section.keys.iter().any(|k| k.name == key.get_ref()) {
                flatten(key.get_ref(), key.span(), value, self.notes, &mut found);
            }
        }
        found
    }

    /// The table under `name`, as Kafka settings.
    pub(crate) fn property_table(&self, name: &'static str) -> BTreeMap<String, Property> {
        let mut found = BTreeMap::new();
        if let Some(value) = self.entries.get(name) {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    for (key, value) in entries {
                        flatten(key.get_ref(), key.span(), value, self.notes, &mut found);
                    }
                }
                _ => self.wrong_type(name, value),
            }
        }
        found
    }

    /// The raw table under `name`: its keys, their places and values.
    pub(crate) fn entries_of(&self, name: &'static str) -> Vec<(Spanned<String>, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.entries.get(name) else {
            return Vec::new();
        };
        let Some(entries) = value.get_ref().as_table() else {
            self.wrong_type(name, value);
            return Vec::new();
        };
        entries
            .iter()
            .map(|(key, value)| (Spanned::new(key.span(), key.get_ref().to_string()), value))
            .collect()
    }

    /// The default that the grammar gives.
    pub(crate) fn default(&self, name: &str) -> Option<&'static str> {
        self.key(name)
            .map(|key| key.default)
            .filter(|default| !default.is_empty())
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        let key = self.section.keys.iter().find(|key| key.name == name);
        debug_assert!(
            key.is_some(),
            "`{name}` is not in the grammar of {}",
            self.section.title
        );
        key
    }

    fn string(&self, name: &'static str) -> Option<(String, Range<usize>)> {
        let Some(value) = self.entries.get(name) else {
            return self
                .default(name)
                .map(|text| (text.to_owned(), self.span.clone()));
        };
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span())),
            _ => {
                self.wrong_type(name, value);
                None
            }
        }
    }

    fn with_unit<T>(&self, name: &'static str, parse: fn(&str) -> Result<T, String>) -> Option<Spanned<T>> {
        let (text, span) = self.string(name)?;
        match parse(&text) {
            Ok(value) => Some(Spanned::new(span, value)),
            Err(why) => {
                self.notes
                    .push(Problem::at(span, &format!("invalid `{name}`"), &why));
                None
            }
        }
    }

    fn wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>) {
        let Some(key) = self.key(name) else { return };
        let found = describe(value.get_ref());
        let mut problem = Problem::at(
            value.span(),
            &format!("wrong type for `{name}`"),
            &format!("expected {}, found {found}", expected(&key.shape)),
        );
        let unit = match key.shape {
            Shape::Duration => "s",
            Shape::Rate => "/s",
            Shape::Size => " B",
            _ => "",
        };
        if let (DeValue::Integer(number), false) = (value.get_ref(), unit.is_empty()) {
            let mend = format!("\"{}{unit}\"", number.as_str());
            problem = problem.fix(
                "a unit is mandatory; if this is what you mean:",
                value.span(),
                &mend,
            );
        }
        self.notes.push(problem);
    }

    fn unknown_key(&self, name: &str, span: Range<usize>) {
        let title = self.section.title;
        if self.notes.broken.iter().any(|broken| broken.start < span.start) {
            return; // after a broken line nobody knows which table this is
        }
        if self.section.planned.contains(&name) {
            let problem = Problem::at(
                span,
                &format!("`{name}` in {title} is not built in this version"),
                "refused rather than ignored",
            );
            return self.notes.push(problem);
        }
        let near = nearest(name, self.section.keys.iter().map(|key| key.name));
        let label = near.map_or_else(
            || format!("not a key of {title}"),
            |near| format!("did you mean `{near}`?"),
        );
        let mut problem = Problem::at(span.clone(), &format!("unknown key `{name}` in {title}"), &label);
        if let Some(near) = near {
            problem = problem.fix("a key with a similar name exists", span, near);
        } else if let Some(home) = home_of(name) {
            problem = problem.note(&format!("`{name}` is a key of {home}"));
        }
        let known: Vec<&str> = self.section.keys.iter().map(|key| key.name).collect();
        self.notes
            .push(problem.note(&format!("{title} takes {}", known.join(", "))));
    }
}
