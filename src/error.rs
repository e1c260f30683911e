//! What can go wrong: a caller's mistake or a bad input, each with its place, cause and remedy.
//!
//! "Cannot tell" is not an error; it is data: [`crate::Verdict::Undecided`].

use std::path::PathBuf;

/// Everything the library can refuse to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused to read or write.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, or is not what it says it is.
    #[error("{}: {cause}; {remedy}", path.display())]
    Malformed {
        /// The file concerned.
        path: PathBuf,
        /// What is wrong, and where in the file or at what time.
        cause: String,
        /// What the user can do about it.
        remedy: String,
    },
    /// The file is sound, but this program does not read its kind.
    #[error("{}: {what} is not supported; {remedy}", path.display())]
    Unsupported {
        /// The file concerned.
        path: PathBuf,
        /// The codec or container, by name.
        what: String,
        /// The one command that converts it.
        remedy: String,
    },
    /// The recording is longer or larger than the caller allows.
    #[error("{}: {what}; {remedy}", path.display())]
    Limit {
        /// The file concerned.
        path: PathBuf,
        /// What exceeds which limit.
        what: String,
        /// How to allow it.
        remedy: String,
    },
    /// An [`crate::Audio`] or a setting is outside what the method allows.
    #[error("{what}: {cause}; {remedy}")]
    Invalid {
        /// The argument or setting, by name.
        what: String,
        /// What is wrong with it.
        cause: String,
        /// What would be right.
        remedy: String,
    },
    /// The observer asked to stop.
    #[error("cancelled")]
    Cancelled,
}
