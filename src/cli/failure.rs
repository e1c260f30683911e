//! How the program ends when it does not succeed.

use super::{colour, stdio};
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

    /// The same, where a report says more.
    pub fn refused_but_reported(input: &Path, reason: &str, report: &Path) -> Self {
        Self::Refused(format!(
            "{}: cannot tell whether a gain control was at work: {reason}; nothing was restored. {} shows what was found; say \
             what to do with --law NAME, --gain FILE.csv or --law none",
            input.display(),
            report.display()
        ))
    }

    /// The program's exit code.
    pub fn code(&self) -> u8 {
        match self {
            Self::Input(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
        }
    }

    /// Tells the user.
    pub fn tell(&self) {
        let message = match self {
            Self::Input(message) | Self::Refused(message) => message.clone(),
            Self::Usage(message) => format!("{message}\nMore is told by agcfix --help"),
        };
        // Names of files may hold anything; the break before the hint stays.
        let lines: Vec<String> = message.lines().map(agcfix::text::one_line).collect();
        stdio::warn(&format!("{} {}", colour::alert("agcfix:"), lines.join("\n")));
    }

    /// Tells the user, and gives the program's exit code.
    pub fn report(self) -> ExitCode {
        self.tell();
        ExitCode::from(self.code())
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
