//! How frames speak of values: what was found, what was expected, what would be right.

use toml::Spanned;
use toml::de::{DeArray, DeValue};

use crate::scenario::diagnostics::Problem;
use crate::scenario::grammar::{self, Shape};
use crate::scenario::notes::Notes;

/// The texts of a list; what else is in it is noted.
pub(crate) fn texts(name: &str, value: &Spanned<DeValue<'_>>, notes: &Notes<'_>) -> Vec<Spanned<String>> {
    let items: &DeArray<'_> = match value.get_ref() {
        DeValue::Array(items) => items,
        DeValue::String(_) => {
            let mend = format!("[{}]", &notes.text[value.span()]);
            let problem = Problem::at(
                value.span(),
                &format!("`{name}` takes a list"),
                "expected a list of expressions, found one",
            );
            notes.push(problem.fix("put it into brackets", value.span(), &mend));
            return Vec::new();
        }
        other => {
            let label = format!(
                "expected a list of expressions in quotes, found {}",
                describe(other)
            );
            notes.push(Problem::at(
                value.span(),
                &format!("`{name}` takes a list"),
                &label,
            ));
            return Vec::new();
        }
    };
    if items.is_empty() {
        notes.push(Problem::at(
            value.span(),
            &format!("`{name}` has no expression"),
            "an empty list would prove nothing",
        ));
    }
    let mut found = Vec::new();
    for item in items.iter() {
        match item.get_ref() {
            DeValue::String(text) => found.push(Spanned::new(item.span(), text.to_string())),
            other => notes.push(Problem::at(
                item.span(),
                &format!("`{name}` takes expressions"),
                &format!("expected an expression in quotes, found {}", describe(other)),
            )),
        }
    }
    found
}

/// `a`, `b` or `c`.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => format!("`{one}`"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", first.join(", "))
        }
    }
}

/// What a value is, for people: `integer 5`, `text "x"`, `a table`.
pub(crate) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 40 => format!("text {text:?}"),
        DeValue::String(_) => "text".to_owned(),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(flag) => format!("{flag}"),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// What a shape is called in a message.
pub(crate) fn expected(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text in quotes".to_owned(),
        Shape::Integer(..) => "a whole number".to_owned(),
        Shape::Number => "a number".to_owned(),
        Shape::Duration | Shape::Rate | Shape::Size | Shape::Target => {
            format!("text such as {}", example(shape))
        }
        Shape::Word(words) => list(words),
        Shape::Probes => "a list of expressions".to_owned(),
        Shape::Tables(_) => "a list of tables".to_owned(),
        Shape::Table(_) | Shape::Named(_) | Shape::Properties(_) | Shape::Thresholds => "a table".to_owned(),
    }
}

/// A value that would be right.
pub(crate) fn example(shape: &Shape) -> &'static str {
    match shape {
        Shape::Text => "\"...\"",
        Shape::Integer(..) => "1",
        Shape::Number => "1.0",
        Shape::Duration => "\"10s\"",
        Shape::Rate => "\"25000/s\"",
        Shape::Size => "\"100 B\"",
        Shape::Word(words) => match words.first() {
            Some(&"constant-arrival-rate") => "\"constant-arrival-rate\"",
            Some(&"kill") => "\"kill\"",
            Some(&"uniform") => "\"uniform\"",
            _ => "\"...\"",
        },
        Shape::Target => "\"leader(topic-0)\"",
        Shape::Probes => "[\"ack_latency p(99)<5ms\"]",
        Shape::Tables(_) => "[{ ... }]",
        Shape::Table(_) | Shape::Named(_) | Shape::Properties(_) | Shape::Thresholds => "{ ... }",
    }
}

/// The section that has this key, if one has.
pub(crate) fn home_of(name: &str) -> Option<&'static str> {
    let sections = [
        &grammar::ROOT,
        &grammar::CLUSTER,
        &grammar::PRODUCER,
        &grammar::WORKLOAD,
        &grammar::CLAIMS,
        &grammar::RECOVERED,
        &grammar::READERS,
        &grammar::FAULT,
    ];
    sections
        .into_iter()
        .find(|section| section.keys.iter().any(|key| key.name == name))
        .map(|section| section.title)
}
