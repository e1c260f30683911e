//! What an AIFF header must say before symphonia may read it: its reader multiplies the header's numbers unchecked.
//!
//! Source: Apple, "Audio Interchange File Format 1.3" (`FORM`, `COMM`).

use super::check_shape;
use super::source::{Source, field};
use crate::error::Error;
use std::path::Path;

/// Chunks that are visited; files have about five.
const MAX_CHUNKS: usize = 10_000;

/// Checks the number of channels, and says whether the file is as long as its header claims.
///
/// # Errors
/// [`Error::Malformed`] without a common chunk, [`Error::Unsupported`] for more than 8 channels, [`Error::Io`].
pub(super) fn check(source: &mut Source, path: &Path) -> Result<bool, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let form_len = source.read_at(4, 4).map_err(io)?;
    let is_whole = field::u32_be(&form_len, 0).is_some_and(|len| u64::from(len) + 8 <= source.len());
    let mut at = 12u64;
    for _ in 0..MAX_CHUNKS {
        let chunk = source.read_at(at, 16).map_err(io)?;
        let (Some(id), Some(len)) = (field::bytes::<4>(&chunk, 0), field::u32_be(&chunk, 4)) else { break };
        if id == *b"COMM" {
            let (Some(channel_len), Some(bits)) = (field::u16_be(&chunk, 8), field::u16_be(&chunk, 14)) else { break };
            if bits > 64 {
                break;
            }
            // The rate is an 80-bit float that symphonia reads; the decoded buffer's is checked.
            check_shape(path, crate::audio::MIN_SAMPLE_RATE_HZ, usize::from(channel_len))?;
            return Ok(is_whole);
        }
        at += 8 + u64::from(len) + u64::from(len % 2);
    }
    Err(Error::Malformed {
        path: path.to_owned(),
        cause: "the AIFF file has no usable common chunk".to_owned(),
        remedy: "copy it from the recorder again".to_owned(),
    })
}
