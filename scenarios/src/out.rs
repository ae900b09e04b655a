//! Standard output: results, and nothing else. A reader that has left (`| head`) has all that it wanted: no error, no panic.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// One line.
pub(crate) fn line(text: Arguments<'_>) {
    write(format_args!("{text}\n"));
}

/// Text with line ends of its own.
pub(crate) fn text(text: &str) {
    write(format_args!("{text}"));
}

fn write(text: Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    match out.write_fmt(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: cannot write to standard output: {error}");
        }
        _ => {}
    }
}
