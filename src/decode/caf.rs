//! What a CAF file says about its sound that symphonia does not pass on: codec, priming and length in its packet table.
//!
//! Source: Apple, "Core Audio Format Specification 1.0", `desc` and `pakt` chunks.

use super::source::{Source, field};
use crate::error::Error;
use std::path::Path;

/// Chunks that are visited; files have about five.
const MAX_CHUNKS: usize = 10_000;

/// Largest packets that are believed: 8 channels of 4096 samples of 64 bits are 262 144 bytes.
const MAX_PACKET_BYTES: u32 = 1 << 20;
const MAX_PACKET_FRAMES: u32 = 1 << 20;

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Description {
    /// Four-character code of the codec.
    pub(super) codec: [u8; 4],
    /// In Hz, the fraction left out.
    pub(super) sample_rate_hz: u32,
    pub(super) channel_len: usize,
    /// Bit 0 of the flags of linear PCM: floating point.
    pub(super) is_float: bool,
    /// Bits of one sample; 0 where lossy.
    pub(super) bits: u16,
    /// The file ends before its last chunk does.
    pub(super) is_truncated: bool,
    /// Frames that the decoder puts out before the recording begins.
    pub(super) priming_frames: u64,
    /// Frames of the recording, where a packet table says so.
    pub(super) valid_frames: Option<u64>,
}

/// Reads the description and the head of the packet table, and checks what symphonia would multiply unchecked.
///
/// # Errors
/// [`Error::Malformed`] without a description, [`Error::Io`].
pub(super) fn read(source: &mut Source, path: &Path) -> Result<Description, Error> {
    scan(source).map_err(|source| Error::Io { path: path.to_owned(), source })?.ok_or_else(|| Error::Malformed {
        path: path.to_owned(),
        cause: "the CAF file does not say how its sound is coded (no usable desc chunk)".to_owned(),
        remedy: "copy it from the phone again".to_owned(),
    })
}

fn scan(source: &mut Source) -> std::io::Result<Option<Description>> {
    let mut found = None;
    let mut at = 8u64;
    for _ in 0..MAX_CHUNKS {
        let chunk = source.read_at(at, 12 + 32)?;
        let (Some(kind), Some(len)) = (field::bytes::<4>(&chunk, 0), field::u64_be(&chunk, 4)) else { break };
        let body = chunk.get(12..).unwrap_or_default();
        match &kind {
            b"desc" => {
                let (Some(rate_hz), Some(codec), Some(flags), Some(packet_bytes), Some(packet_frames)) = (
                    field::bytes(body, 0).map(f64::from_be_bytes),
                    field::bytes::<4>(body, 8),
                    field::u32_be(body, 12),
                    field::u32_be(body, 16),
                    field::u32_be(body, 20),
                ) else {
                    break;
                };
                let (Some(channel_len), Some(bits)) = (field::u32_be(body, 24), field::u32_be(body, 28)) else { break };
                // Symphonia multiplies these unchecked.
                if packet_bytes > MAX_PACKET_BYTES || packet_frames > MAX_PACKET_FRAMES {
                    break;
                }
                let bits = match (&codec, flags) {
                    (b"alac", 1) => 16,
                    (b"alac", 2) => 20,
                    (b"alac", 3) => 24,
                    (b"alac", 4) => 32,
                    _ => u16::try_from(bits).unwrap_or(0),
                };
                let is_float = codec == *b"lpcm" && flags & 1 == 1;
                found = Some(Description {
                    codec,
                    // `as` saturates, and NaN becomes 0: an absurd rate stays absurd.
                    sample_rate_hz: rate_hz as u32,
                    channel_len: channel_len as usize,
                    is_float,
                    bits,
                    ..Description::default()
                });
            }
            b"pakt" => {
                if let (Some(description), Some(valid), Some(priming)) =
                    (found.as_mut(), field::u64_be(body, 8), field::u32_be(body, 16))
                {
                    description.valid_frames = (valid > 0).then_some(valid);
                    description.priming_frames = u64::from(priming);
                }
            }
            _ => {}
        }
        // A length of -1 runs to the end of the file.
        if let Some(description) = found.as_mut() {
            description.is_truncated = len != u64::MAX && at.saturating_add(12).saturating_add(len) > source.len();
        }
        let Some(next) = at.checked_add(12).and_then(|body| body.checked_add(len)) else { break };
        at = next;
    }
    Ok(found)
}
