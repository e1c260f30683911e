//! How the program ends when it does not succeed.

use super::stdio;
use agcfix::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// Why nothing came of it.
#[derive(Debug)]
pub enum Failure {
    /// The input or the system does not allow it: exit code 1.
    Input(String),
    /// Typed wrongly: exit code 2.
    Usage(String),
    /// It cannot be told what to do: exit code 3.
    Refused(String),
}

impl Failure {
    /// The refusal to restore what is not understood.
    pub fn refused(input: &Path, reason: &str) -> Self {
        Self::Refused(format!(
            "{}: cannot tell whether a gain control was at work: {reason}; nothing was written. See what was found with \
             agcfix analyze --plot, or say what to do with --law NAME, --gain FILE.csv or --law none",
            input.display()
        ))
    }

    /// Tells the user, and gives the program's exit code.
    pub fn report(self) -> ExitCode {
        let (message, code) = match self {
            Self::Input(message) => (message, 1),
            Self::Usage(message) => (format!("{message}\nMore is told by agcfix --help"), 2),
            Self::Refused(message) => (message, 3),
        };
        stdio::warn(&format!("agcfix: {message}"));
        ExitCode::from(code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                Self::Input(format!("{error}; check the name"))
            }
            _ => Self::Input(error.to_string()),
        }
    }
}
