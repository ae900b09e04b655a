//! Every crate that may be linked has a licence that `deny.toml` allows and comes from the registry, not from a
//! stranger's repository. Reads `cargo metadata`, so it needs no tool beside cargo; `tests/run` also calls
//! `cargo deny` where that is installed.
//!
//! Licence expressions are SPDX 2.3, annex D: AND binds stronger than OR, WITH stronger than AND; the slash that old
//! crates write means OR.

use std::path::Path;
use std::process::Command;

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// The platforms that README names.
const PLATFORMS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// The tests of this file.
pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test(
            "licences::every_dependency_is_allowed",
            every_dependency_is_allowed,
        ),
        Trial::test(
            "licences::a_planted_licence_is_caught",
            a_planted_licence_is_caught,
        ),
        Trial::test(
            "licences::expressions_bind_as_spdx_says",
            expressions_bind_as_spdx_says,
        ),
    ]
}

fn every_dependency_is_allowed() -> Result<(), Failed> {
    let metadata = metadata()?;
    let offences = offences(&metadata, &allowed()?)?;
    if offences.is_empty() {
        Ok(())
    } else {
        Err(offences.join("\n").into())
    }
}

fn a_planted_licence_is_caught() -> Result<(), Failed> {
    let mut metadata = metadata()?;
    let packages = metadata["packages"].as_array_mut().ok_or("no packages")?;
    let mut strangers = packages.iter_mut().filter(|package| !package["source"].is_null());
    let mut next = || strangers.next().ok_or("too few packages to plant in");
    next()?["license"] = "GPL-3.0-only AND MIT".into();
    next()?["license"] = Value::Null;
    next()?["source"] = "git+ssh://somewhere/else".into();
    let found = offences(&metadata, &allowed()?)?;
    if found.len() == 3 {
        Ok(())
    } else {
        Err(format!("planted 3, caught {found:?}").into())
    }
}

fn expressions_bind_as_spdx_says() -> Result<(), Failed> {
    let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"].map(str::to_owned);
    let cases = [
        ("MIT", true),
        ("GPL-2.0-only", false),
        ("MIT/GPL-2.0-only", true),
        ("GPL-2.0-only OR MIT AND Apache-2.0", true),
        ("(GPL-2.0-only OR MIT) AND Unicode-3.0", true),
        ("MIT AND (GPL-2.0-only OR BSL-1.0)", false),
        ("Apache-2.0 WITH LLVM-exception", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("MIT OR", false),
        ("", false),
        ("((MIT)", false),
    ];
    for (expression, wanted) in cases {
        if allows(expression, &allowed) != wanted {
            return Err(format!("{expression:?} should be {wanted}").into());
        }
    }
    Ok(())
}

/// Every package whose licence or source is not allowed, as a sentence.
fn offences(metadata: &Value, allowed: &[String]) -> Result<Vec<String>, Failed> {
    let packages = metadata["packages"]
        .as_array()
        .ok_or("no packages in cargo metadata")?;
    let mut offences = Vec::new();
    for package in packages {
        let name = format!("{} {}", text(&package["name"]), text(&package["version"]));
        match package["license"].as_str() {
            Some(licence) if allows(licence, allowed) => {}
            Some(licence) => {
                offences.push(format!("{name}: licence {licence:?} is not allowed by deny.toml"));
            }
            None => offences.push(format!("{name}: no licence named")),
        }
        let source = text(&package["source"]);
        if !(package["source"].is_null() || source.starts_with("registry+") || source.starts_with("sparse+"))
        {
            offences.push(format!("{name}: comes from {source}"));
        }
    }
    Ok(offences)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn metadata() -> Result<Value, Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args(["metadata", "--format-version", "1", "--locked", "--all-features"])
        .current_dir(root());
    for platform in PLATFORMS {
        command.args(["--filter-platform", platform]);
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// `[licenses] allow` of deny.toml.
fn allowed() -> Result<Vec<String>, Failed> {
    let deny: toml::Table = std::fs::read_to_string(root().join("deny.toml"))?.parse()?;
    let list = deny
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"))
        .and_then(toml::Value::as_array);
    let list = list.ok_or("deny.toml has no licenses.allow")?;
    Ok(list
        .iter()
        .filter_map(|licence| licence.as_str().map(str::to_owned))
        .collect())
}

/// Whether one of the ways to take `expression` needs only allowed licences. What cannot be parsed is not allowed.
fn allows(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let mut words = spaced.split_whitespace().peekable();
    any(&mut words, allowed) == Some(true) && words.next().is_none()
}

type Words<'a, 'b> = &'b mut std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: Words<'_, '_>, allowed: &[String]) -> Option<bool> {
    let mut ok = all(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        ok |= all(words, allowed)?;
    }
    Some(ok)
}

fn all(words: Words<'_, '_>, allowed: &[String]) -> Option<bool> {
    let mut ok = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        ok &= one(words, allowed)?;
    }
    Some(ok)
}

fn one(words: Words<'_, '_>, allowed: &[String]) -> Option<bool> {
    match words.next()? {
        "(" => {
            let inner = any(words, allowed)?;
            words.next_if_eq(&")").map(|_| inner)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        licence => {
            let whole = match words.next_if_eq(&"WITH") {
                Some(_) => format!("{licence} WITH {}", words.next()?),
                None => licence.to_owned(),
            };
            Some(allowed.contains(&whole))
        }
    }
}
