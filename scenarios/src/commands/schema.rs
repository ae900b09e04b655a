//! `steadfast schema`: JSON Schema of scenario files, of verdict.json and of a topic's verdict, draft-07.

use schemars::generate::SchemaSettings;
use steadfast_verifier::verdict::Verdict;

use crate::cli::SchemaKind;
use crate::exit::Exit;
use crate::out;
use crate::scenario::schema;

/// Prints one of them.
pub(crate) fn run(which: SchemaKind) -> Exit {
    match which {
        SchemaKind::Scenario => out::text(&schema::scenario_text()),
        SchemaKind::Verdict => {
            let schema = SchemaSettings::draft07()
                .into_generator()
                .into_root_schema_for::<Verdict>();
            out::line(format_args!("{:#}", schema.to_value()));
        }
        SchemaKind::LogVerdict => {
            out::line(format_args!(
                "{:#}",
                steadfast_verifier::log_verdict::json_schema()
            ));
        }
    }
    Exit::Pass
}
