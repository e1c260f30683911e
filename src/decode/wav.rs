//! WAV: a walk over the chunks here, the samples through hound.
//!
//! Hound stops at odd-sized chunks with a pad byte, at `fmt ` chunks of unusual length, and at a data chunk whose size is
//! wrong, as a recorder that died leaves it. So the walk here decides where the samples are and what they are, and hound
//! gets blocks of them behind a plain header of its own.
//!
//! Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, `fmt `, `data`);
//! Microsoft, `WAVEFORMATEXTENSIBLE`: samples are left-justified in their containers.

use super::source::{Source, field};
use super::{Decoded, SampleFormat, SourceFormat, check_shape, finish, refuse};
use crate::analysis::Warning;
use crate::error::Error;
use std::io::Cursor;
use std::path::Path;

/// Chunks that are visited; files have about five.
const MAX_CHUNKS: usize = 10_000;
/// Bytes handed to hound at a time.
const BLOCK_BYTES: usize = 1 << 20;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// The `fmt ` chunk, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format {
    /// Format tag; of an extensible header, that of its sub-format.
    tag: u16,
    channel_len: u16,
    sample_rate_hz: u32,
    /// Bytes of one sample's container.
    container_bytes: u16,
    /// Bits that mean something.
    valid_bits: u16,
}

/// Where the samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Data {
    start: u64,
    len: u64,
    /// The header's length was wrong, and this is what it was.
    claimed: Option<u32>,
}

pub(super) fn read(mut source: Source, path: &Path) -> Result<Decoded, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let malformed = |cause: &str| Error::Malformed {
        path: path.to_owned(),
        cause: cause.to_owned(),
        remedy: "copy it from the recorder again".to_owned(),
    };
    let (format, data) = chunks(&mut source).map_err(io)?;
    let format = format.ok_or_else(|| malformed("the WAV file has no complete fmt chunk"))?;
    let data = data.ok_or_else(|| malformed("the WAV file has no data chunk"))?;
    check_shape(path, format.sample_rate_hz, usize::from(format.channel_len))?;
    let sample_format = match (format.tag, format.container_bytes) {
        (TAG_PCM, 1..=4) => SampleFormat::Integer,
        (TAG_FLOAT, 4) => SampleFormat::Float,
        (tag, bytes) => return Err(refuse::unsupported(path, &tag_name(tag, bytes))),
    };

    let mut warnings = Vec::new();
    let block_align = u64::from(format.channel_len) * u64::from(format.container_bytes);
    if let Some(claimed) = data.claimed {
        let what = format!(
            "the header claims {claimed} bytes of sound, the file holds {} ({:.2} s)",
            data.len,
            (data.len / block_align) as f64 / f64::from(format.sample_rate_hz)
        );
        warnings.push(Warning::Damaged { what });
    } else if data.len % block_align != 0 {
        let what = format!("the last {} bytes of sound are not a whole frame", data.len % block_align);
        warnings.push(Warning::Damaged { what });
    }

    let channels = samples(&mut source, format, data, sample_format).map_err(|error| match error {
        hound::Error::IoError(error) => io(error),
        other => malformed(&other.to_string()),
    })?;
    let source = SourceFormat {
        container: "WAV".to_owned(),
        codec: "PCM".to_owned(),
        bits_per_sample: Some(format.valid_bits),
        sample_format,
    };
    finish(path, format.sample_rate_hz, channels, source, warnings)
}

/// Walks the chunks.
fn chunks(source: &mut Source) -> std::io::Result<(Option<Format>, Option<Data>)> {
    let file_len = source.len();
    let mut format = None;
    let mut data = None;
    let mut at = 12u64;
    for _ in 0..MAX_CHUNKS {
        if format.is_some() && data.is_some() {
            break;
        }
        let header = source.read_at(at, 8)?;
        let (Some(id), Some(size)) = (field::bytes::<4>(&header, 0), field::u32_le(&header, 4)) else { break };
        let start = at + 8;
        if id == *b"fmt " && format.is_none() {
            format = parse_format(&source.read_at(start, (size as usize).min(40))?);
        }
        if id == *b"data" && data.is_none() {
            let left = file_len.saturating_sub(start);
            let is_unfinished = size == 0 && left > 0 && !is_chunk_chain(source, start)?;
            let is_wrong = is_unfinished || u64::from(size) > left;
            data = Some(Data {
                start,
                len: if is_wrong { left } else { u64::from(size) },
                claimed: is_wrong.then_some(size),
            });
            if is_wrong {
                break;
            }
        }
        at = next_chunk(source, start + u64::from(size))?;
    }
    Ok((format, data))
}

/// Chunks begin at even offsets, but some programs leave the pad byte out.
fn next_chunk(source: &mut Source, end: u64) -> std::io::Result<u64> {
    if end.is_multiple_of(2) {
        return Ok(end);
    }
    let bytes = source.read_at(end, 5)?;
    let is_id = |bytes: &[u8]| bytes.len() == 4 && bytes.iter().all(|b| (0x20..0x7f).contains(b));
    let padded = bytes.get(1..5).is_some_and(is_id);
    let unpadded = bytes.get(..4).is_some_and(is_id);
    Ok(if unpadded && !padded { end } else { end + 1 })
}

/// Whether chunks follow one another from `start` exactly to the end of the file, so that an empty data chunk before
/// them is meant.
fn is_chunk_chain(source: &mut Source, start: u64) -> std::io::Result<bool> {
    let file_len = source.len();
    let mut at = start;
    for _ in 0..MAX_CHUNKS {
        if at == file_len {
            return Ok(true);
        }
        let header = source.read_at(at, 8)?;
        let (Some(id), Some(size)) = (field::bytes::<4>(&header, 0), field::u32_le(&header, 4)) else {
            return Ok(false);
        };
        let end = at + 8 + u64::from(size);
        if !id.iter().all(|b| (0x20..0x7f).contains(b)) || end > file_len {
            return Ok(false);
        }
        at = (end + end % 2).min(file_len);
    }
    Ok(false)
}

fn parse_format(fmt: &[u8]) -> Option<Format> {
    let mut tag = field::u16_le(fmt, 0)?;
    let channel_len = field::u16_le(fmt, 2)?;
    let sample_rate_hz = field::u32_le(fmt, 4)?;
    let block_align = field::u16_le(fmt, 12)?;
    let bits = field::u16_le(fmt, 14)?;
    let mut valid_bits = bits;
    if tag == TAG_EXTENSIBLE {
        // A sub-format's GUID begins with the tag it stands for; without one, PCM is meant.
        let valid = field::u16_le(fmt, 18).unwrap_or(0);
        valid_bits = if (1..=bits).contains(&valid) { valid } else { bits };
        tag = field::u16_le(fmt, 24).unwrap_or(TAG_PCM);
    }
    // The frame's size tells the container's; a header without it (or with nonsense) has the smallest that fits.
    let smallest = bits.div_ceil(8);
    let container_bytes = match block_align.checked_div(channel_len) {
        Some(bytes) if bytes >= smallest && bytes <= 8 && block_align.is_multiple_of(channel_len) => bytes,
        _ => smallest,
    };
    Some(Format { tag, channel_len, sample_rate_hz, container_bytes, valid_bits })
}

/// The samples, planar, in blocks of whole frames.
fn samples(
    source: &mut Source,
    format: Format,
    data: Data,
    sample_format: SampleFormat,
) -> Result<Vec<Vec<f32>>, hound::Error> {
    let channel_len = usize::from(format.channel_len);
    let block_align = channel_len * usize::from(format.container_bytes);
    let block_bytes = BLOCK_BYTES / block_align * block_align;
    let mut channels: Vec<Vec<f32>> = vec![vec![]; channel_len];
    let mut at = data.start;
    let end = data.start + data.len;
    // 2^-(bits - 1), exact in f32; hound returns containers, which are left-justified, so this is full scale.
    let scale = 0.5f32.powi(i32::from(format.container_bytes) * 8 - 1);
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(block_bytes);
        let mut block = source.read_at(at, wanted)?;
        let got = block.len();
        block.truncate(got / block_align * block_align);
        let mut file = plain_header(format, block.len() as u32);
        file.append(&mut block);
        let mut reader = hound::WavReader::new(Cursor::new(file))?;
        if sample_format == SampleFormat::Float {
            for (i, sample) in reader.samples::<f32>().enumerate() {
                push(&mut channels, i, sample?);
            }
        } else {
            for (i, sample) in reader.samples::<i32>().enumerate() {
                push(&mut channels, i, sample? as f32 * scale);
            }
        }
        if got < wanted {
            break;
        }
        at += got as u64;
    }
    Ok(channels)
}

/// Interleaved sample `i` of a block goes to its channel.
fn push(channels: &mut [Vec<f32>], i: usize, sample: f32) {
    let index = i % channels.len();
    if let Some(channel) = channels.get_mut(index) {
        channel.push(sample);
    }
}

/// The plainest header that hound reads, for `len` bytes of samples.
fn plain_header(format: Format, len: u32) -> Vec<u8> {
    let block_align = format.channel_len * format.container_bytes;
    let mut out = Vec::with_capacity(44 + len as usize);
    out.extend(b"RIFF");
    out.extend(len.saturating_add(36).to_le_bytes());
    out.extend(b"WAVEfmt ");
    out.extend(16u32.to_le_bytes());
    out.extend(format.tag.to_le_bytes());
    out.extend(format.channel_len.to_le_bytes());
    out.extend(format.sample_rate_hz.to_le_bytes());
    out.extend((format.sample_rate_hz * u32::from(block_align)).to_le_bytes());
    out.extend(block_align.to_le_bytes());
    out.extend((format.container_bytes * 8).to_le_bytes());
    out.extend(b"data");
    out.extend(len.to_le_bytes());
    out
}

/// A format tag as people call it. Source: Microsoft `mmreg.h`.
fn tag_name(tag: u16, container_bytes: u16) -> String {
    let known = match tag {
        TAG_PCM => return format!("PCM of {} bits", u32::from(container_bytes) * 8),
        TAG_FLOAT => return format!("floating point of {} bits", u32::from(container_bytes) * 8),
        0x0002 => "Microsoft ADPCM",
        0x0006 => "A-law",
        0x0007 => "µ-law",
        0x0011 => "IMA ADPCM",
        0x0031 => "GSM 6.10",
        0x0050 => "MPEG layer II (MP2) in WAV",
        0x0055 => "MP3 in WAV",
        0x0057 | 0x7361 => "AMR-NB",
        0x0058 | 0x7362 => "AMR-WB",
        0x00ff | 0x1600 | 0x1601 | 0x1602 => "AAC in WAV",
        0x0160..=0x0163 => "WMA (Windows Media)",
        0x0092 | 0x2000 => "AC-3 (Dolby Digital)",
        0x2001 => "DTS",
        0x704f => "Opus",
        0xf1ac => "FLAC in WAV",
        _ => return format!("the WAV codec {tag:#06x}"),
    };
    known.to_owned()
}
