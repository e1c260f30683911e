//! What an AIFF header must say before symphonia may read it: its reader multiplies the header's numbers unchecked. And its
//! texts, of which symphonia does not see those behind the sound and takes the author for the encoder.
//!
//! Source: Apple, "Audio Interchange File Format 1.3" (`FORM`, `COMM`, the text chunks).

use super::check_shape;
use super::source::{Source, field};
use crate::error::Error;
use std::path::Path;

/// Chunks that are visited; files have about five.
const MAX_CHUNKS: usize = 10_000;

/// Longest text that is read, in bytes.
const MAX_TEXT_BYTES: u32 = 64 * 1024;
/// The text chunks, and the entries of an INFO list that say the same.
pub(super) const TEXTS: [(&[u8; 4], &[u8; 4]); 4] =
    [(b"NAME", b"INAM"), (b"AUTH", b"IART"), (b"(c) ", b"ICOP"), (b"ANNO", b"ICMT")];

/// The texts of a file, before and behind its sound, as entries of an INFO list. What cannot be read has none.
pub(super) fn texts(source: &mut Source) -> Vec<([u8; 4], String)> {
    let mut out: Vec<([u8; 4], String)> = Vec::new();
    let mut at = 12u64;
    for _ in 0..MAX_CHUNKS {
        let Ok(head) = source.read_at(at, 8) else { break };
        let (Some(id), Some(len)) = (field::bytes::<4>(&head, 0), field::u32_be(&head, 4)) else { break };
        let entry = TEXTS.iter().find(|(chunk, _)| **chunk == id).filter(|_| len <= MAX_TEXT_BYTES);
        if let Some((_, entry)) = entry
            && let Ok(text) = source.read_at(at + 8, len as usize)
        {
            let text = String::from_utf8_lossy(&text).trim_end_matches('\0').to_owned();
            match out.iter_mut().find(|(known, _)| known == *entry) {
                // There may be many annotations.
                Some((_, known)) if id == *b"ANNO" && known.len() < MAX_TEXT_BYTES as usize => {
                    known.push('\n');
                    known.push_str(&text);
                }
                Some(_) => {}
                None => out.push((**entry, text)),
            }
        }
        at += 8 + u64::from(len) + u64::from(len % 2);
    }
    out
}

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
