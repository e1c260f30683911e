//! Small files that people write: gain curves, profiles, presets, manifests, MIDI. Read whole, and only where that is sane.
//!
//! A pipe might never begin and a device never end, so both are refused before they are opened; so is what is larger than
//! any such file.

use crate::error::Error;
use std::io::ErrorKind;
use std::path::Path;

/// Largest file that is read whole, in bytes: four days of a gain curve at 10 ms.
const MOST_BYTES: u64 = 1 << 30;

/// The bytes of a regular file.
///
/// # Errors
/// [`Error::Io`] where the system refuses, or where it is a folder, a pipe or a device; [`Error::Limit`] beyond 1 GiB.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>, Error> {
    let refused = |source| Error::Io { path: path.to_owned(), source };
    let found = std::fs::metadata(path).map_err(refused)?;
    if !found.is_file() {
        let cause = "this is not a regular file; name a file";
        return Err(refused(std::io::Error::new(ErrorKind::InvalidInput, cause)));
    }
    if found.len() > MOST_BYTES {
        return Err(Error::Limit {
            path: path.to_owned(),
            what: format!("{} bytes are more than any such file has (1 GiB)", found.len()),
            remedy: "check the name".to_owned(),
        });
    }
    std::fs::read(path).map_err(refused)
}

/// The text of a regular file, in UTF-8; a byte order mark in front is left out.
///
/// # Errors
/// As [`read_bytes`]; [`Error::Malformed`] with the line where it is no text.
pub fn read_text(path: &Path) -> Result<String, Error> {
    let text = String::from_utf8(read_bytes(path)?).map_err(|error| {
        let sound = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        Error::Malformed {
            path: path.to_owned(),
            cause: format!("line {} is not text in UTF-8", line_of(sound, sound.len())),
            remedy: "save it as plain text in UTF-8".to_owned(),
        }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// What a parser says of a file, as one line: line breaks are spaces, other control characters are written out, so that no
/// file can move a terminal's cursor.
#[must_use]
pub fn one_line(told: &str) -> String {
    let mut out = String::with_capacity(told.len());
    for c in told.trim().chars() {
        match c {
            '\n' => out.push(' '),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    shortened(&out)
}

/// Most characters of a message that are shown: its beginning, and its end, where parsers say what is wrong.
const SHOWN: (usize, usize) = (300, 300);

fn shortened(told: &str) -> String {
    let len = told.chars().count();
    if len <= SHOWN.0 + SHOWN.1 {
        return told.to_owned();
    }
    let (head, tail) = (told.chars().take(SHOWN.0), told.chars().skip(len - SHOWN.1));
    head.chain(" ... ".chars()).chain(tail).collect()
}

/// Number of the line, counted from 1, in which byte `at` of a text stands.
#[must_use]
pub fn line_of(text: &[u8], at: usize) -> usize {
    1 + text[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn what_is_no_text_is_told_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.toml");
        let told = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read_text(&path).map_err(|error| error.to_string())
        };
        assert_eq!(told(b"\xef\xbb\xbfa = 1\n").unwrap(), "a = 1\n");
        assert!(told(b"a = 1\nb = \"\xff\"\n").unwrap_err().contains("x.toml: line 2 is not text"));
        assert!(read_text(folder.path()).unwrap_err().to_string().contains("not a regular file"));
        assert!(read_text(&folder.path().join("none")).unwrap_err().to_string().contains("No such file"));
    }

    #[test]
    fn what_is_told_is_one_line_that_moves_no_cursor() {
        assert_eq!(one_line("key\r at\nline 3\u{1b}[2J\u{9b}A\n"), "key\\r at line 3\\u{1b}[2J\\u{9b}A");
    }

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        let told = one_line(&format!("line 1: {} is not closed", "[".repeat(10_000)));
        assert!(told.starts_with("line 1: [[") && told.ends_with("[[ is not closed") && told.len() < 700, "{told}");
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines: Vec<usize> = (0..6).map(|at| line_of(b"a\nb\n", at)).collect();
        assert_eq!(lines, [1, 1, 2, 2, 3, 3]);
    }
}
