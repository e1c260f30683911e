//! Standard output and standard error, by one rule: standard output carries what was asked for and nothing else.

use super::failure::Failure;
use std::fs::File;
use std::io::{self, ErrorKind, Seek as _, Write};

/// Where the summary goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SummaryTo {
    /// It is what was asked for.
    StandardOutput,
    /// Something else was asked for.
    StandardError,
    /// Nobody wants it.
    Nowhere,
}

/// Tells the summary.
pub fn tell(summary: &str, to: SummaryTo) -> Result<(), Failure> {
    match to {
        SummaryTo::StandardOutput => print(summary),
        SummaryTo::StandardError => {
            warn(summary.trim_end());
            Ok(())
        }
        SummaryTo::Nowhere => Ok(()),
    }
}

/// Writes to standard output. A reader that has gone away wants no more: that is not a failure.
pub fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Writes what is no text to standard output, as [`print`] does.
pub fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Input(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

/// Sends a file, from its beginning, to standard output, as [`print`] does.
pub fn print_file(mut file: File) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match file.rewind().and_then(|()| io::copy(&mut file, &mut out)).and_then(|_| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Input(format!("standard output: {error}"))),
        _ => Ok(()),
    }
}

/// Writes a line to standard error. Where even that is impossible nothing is left to do.
pub fn warn(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
