//! `when`: what a fault waits for, from `at` on: frames that another fault has struck, or acknowledged records.

use steadfast_chaos::fault::{PlannedFault, Reach, Trigger};
use toml::Spanned;

use crate::scenario::diagnostics::{Problem, nearest};
use crate::scenario::notes::Notes;
use crate::scenario::reader::Table;

/// Reads it; `Some(None)` where it is not written, none where it is wrong.
#[expect(clippy::option_option, reason = "wrong, absent and there are three things")]
pub(super) fn read(table: &Table<'_>) -> Option<Option<Trigger>> {
    if !table.has("when") {
        return Some(None);
    }
    let when = table.table("when")?;
    if when.has("acknowledged") {
        for other in ["fault", "frames"] {
            when.out_of_place(other, "`acknowledged` is waited for already");
        }
        let records = when.integer("acknowledged")?.into_inner();
        return Some(Some(Trigger::Acknowledged(records)));
    }
    for (key, doc) in [
        ("fault", "The fault of frames; or write `acknowledged`"),
        ("frames", "How many frames that fault has struck by then"),
    ] {
        if !when.has(key) {
            when.missing(key, doc);
        }
    }
    Some(Some(Trigger::Frames {
        fault: when.text("fault")?.into_inner(),
        frames: u32::try_from(when.integer("frames")?.into_inner()).ok()?,
    }))
}

/// Notes faults that wait for frames of a fault which is not there, strikes none, or is over before they look.
pub(super) fn check(faults: &[(Spanned<String>, PlannedFault)], notes: &Notes<'_>) {
    for (name, fault) in faults {
        let Some(Trigger::Frames { fault: awaited, .. }) = &fault.when else {
            continue;
        };
        let Some((other_name, other)) = faults.iter().find(|(_, other)| other.name == *awaited) else {
            let names = faults.iter().map(|(_, other)| other.name.as_str());
            let label = match nearest(awaited, names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "no fault of this file has that name".to_owned(),
            };
            let title = format!("`{}` waits for a fault `{awaited}`", fault.name);
            notes.push(Problem::at(name.span(), &title, &label));
            continue;
        };
        let why = if other.action.reach() != Reach::Frames {
            "it strikes no frames: only hold, delay, drop, answer and cut do"
        } else if fault.at < other.at {
            "it begins later, and would not have struck any"
        } else if other
            .hold
            .is_some_and(|hold| other.at.saturating_add(hold) <= fault.at)
        {
            "it is over by then, and its frames have gone"
        } else {
            continue;
        };
        let title = format!("`{}` waits in vain", fault.name);
        let problem = Problem::at(
            name.span(),
            &title,
            &format!("it waits for frames of `{awaited}`"),
        );
        notes.push(problem.context(other_name.span(), why));
    }
}
