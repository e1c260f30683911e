//! WAV and its two larger kin: RF64/BW64 and Wave64. A walk over the chunks says where the samples are, what they are and
//! what else there is.
//!
//! Own code, because hound stops at odd-sized chunks with a pad byte, at `fmt ` chunks of unusual length and at a data chunk
//! whose size is wrong, as a recorder that died leaves it, and knows no other chunks; and because symphonia has neither
//! RF64 nor Wave64.
//!
//! # What is done with headers that do not tell the truth
//! Nothing is allocated from a size field. A data size of 0 with sound behind it, and one beyond the end of the file, mean
//! "to the end of the file", with a warning. A chunk that is cut off is left out, with a warning.
//!
//! Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, `fmt `, `data`);
//! Microsoft, `WAVEFORMATEXTENSIBLE`: samples are left-justified in their containers; EBU Tech 3306 (RF64), ITU-R BS.2088
//! (BW64); Sony Pictures Digital, "Wave64 file format" (2003).

use super::limits::{Budget, Keep, ReadConfig};
use super::pcm::Coding;
use super::source::{Source, field};
use super::stored::Stored;
use super::{About, Opened, SourceFormat, check_shape, finish, finish_stored, refuse};
use crate::analysis::Warning;
use crate::error::Error;
use crate::metadata::{Chunk, Metadata, is_carried};
use std::path::Path;

/// Chunks that are visited; files have about five.
const MAX_CHUNKS: usize = 10_000;
/// Bytes decoded at a time.
const BLOCK_BYTES: usize = 1 << 20;
/// Metadata that is carried from one file to the next, in bytes; a cover picture is a few million.
const MAX_METADATA_BYTES: u64 = 64 << 20;

const TAG_PCM: u16 = 1;
const TAG_FLOAT: u16 = 3;
const TAG_A_LAW: u16 = 6;
const TAG_MU_LAW: u16 = 7;
const TAG_EXTENSIBLE: u16 = 0xfffe;

/// A size field that says "see the ds64 chunk".
const SIZE_ELSEWHERE: u64 = u32::MAX as u64;
/// What follows the four characters in Wave64's chunk identifiers.
const W64_TAIL: [u8; 12] = [0xf3, 0xac, 0xd3, 0x11, 0x8c, 0xd1, 0, 0xc0, 0x4f, 0x8e, 0xdb, 0x8a];

/// Which of the three it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Four-character codes and sizes of 32 bits; with RF64, those of 64 bits stand in a `ds64` chunk.
    Riff,
    /// GUIDs and sizes of 64 bits that count their own header; chunks begin at multiples of eight.
    Wave64,
}

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
    claimed: Option<u64>,
}

/// What the walk found.
#[derive(Debug, Default)]
struct Found {
    format: Option<Format>,
    data: Option<Data>,
    metadata: Metadata,
    damage: Vec<String>,
    /// Lengths of chunks out of `ds64`, by code.
    long: Vec<([u8; 4], u64)>,
}

/// One chunk's header.
#[derive(Debug, Clone, Copy)]
struct Header {
    /// Four-character code; of Wave64, of those GUIDs that stand for one.
    id: Option<[u8; 4]>,
    /// Where its payload begins, and how long that claims to be.
    start: u64,
    len: u64,
}

pub(super) fn read(
    mut source: Source,
    path: &Path,
    kind: Kind,
    config: &ReadConfig,
    keep: &Keep,
) -> Result<Opened, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let malformed = |cause: &str| Error::Malformed {
        path: path.to_owned(),
        cause: cause.to_owned(),
        remedy: "copy it from the recorder again".to_owned(),
    };
    let container = container(&mut source, kind).map_err(io)?;
    let found = walk(&mut source, kind).map_err(io)?;
    let format = found.format.ok_or_else(|| malformed("the WAV file has no complete fmt chunk"))?;
    let data = found.data.ok_or_else(|| malformed("the WAV file has no data chunk"))?;
    check_shape(path, format.sample_rate_hz, usize::from(format.channel_len))?;
    let coding = match (format.tag, format.container_bytes) {
        (TAG_PCM, 1) => Coding::Int8,
        (TAG_PCM, 2) => Coding::Int16,
        (TAG_PCM, 3) => Coding::Int24,
        (TAG_PCM, 4) => Coding::Int32,
        (TAG_FLOAT, 4) => Coding::Float32,
        (TAG_FLOAT, 8) => Coding::Float64,
        (TAG_A_LAW, 1) => Coding::ALaw,
        (TAG_MU_LAW, 1) => Coding::MuLaw,
        (tag, bytes) => return Err(refuse::unsupported(path, &tag_name(tag, bytes))),
    };

    let channel_len = usize::from(format.channel_len);
    let block_align = channel_len as u64 * coding.byte_len() as u64;
    let frame_len = data.len / block_align;
    Budget::new(config, source.len()).check(path, frame_len, channel_len, format.sample_rate_hz)?;
    let mut damage = Vec::new();
    if let Some(claimed) = data.claimed {
        damage.push(format!(
            "the header claims {claimed} bytes of sound, the file holds {} ({:.2} s)",
            data.len,
            frame_len as f64 / f64::from(format.sample_rate_hz)
        ));
    } else if data.len % block_align != 0 {
        damage.push(format!("the last {} bytes of sound are not a whole frame", data.len % block_align));
    }
    damage.extend(found.damage);

    let format_of_source = SourceFormat {
        container: container.to_owned(),
        codec: coding.name().to_owned(),
        bits_per_sample: (coding.format() != super::SampleFormat::Lossy).then_some(format.valid_bits),
        sample_format: coding.format(),
    };
    let warnings = damage.into_iter().map(|what| Warning::Damaged { what }).collect();
    let about = About { source: format_of_source, warnings, metadata: found.metadata };
    let shape = (format.sample_rate_hz, channel_len);
    if frame_len.saturating_mul(channel_len as u64) > keep.most_held_samples as u64 && source.is_file() {
        // As many frames as the file has: a file that shrinks while it is read is told as such.
        if let Some((file, begin)) = source.into_file() {
            let only = std::iter::once(0..frame_len).collect();
            return finish_stored(
                path,
                Stored::new(path, file, begin + data.start, coding, shape, only),
                about,
                config,
            );
        }
        return Err(malformed("the WAV file cannot be read again"));
    }
    let channels = samples(&mut source, coding, channel_len, data).map_err(io)?;
    finish(path, format.sample_rate_hz, channels, about, config)
}

fn container(source: &mut Source, kind: Kind) -> std::io::Result<&'static str> {
    Ok(match (kind, source.read_at(0, 4)?.as_slice()) {
        (Kind::Wave64, _) => "Wave64",
        (_, b"RF64") => "RF64",
        (_, b"BW64") => "BW64",
        _ => "WAV",
    })
}

/// Reads a chunk's header; nothing at the end of the file, and where a size cannot be.
fn header(source: &mut Source, kind: Kind, at: u64) -> std::io::Result<Option<Header>> {
    Ok(match kind {
        Kind::Riff => {
            let bytes = source.read_at(at, 8)?;
            let (id, len) = (field::bytes::<4>(&bytes, 0), field::u32_le(&bytes, 4));
            id.zip(len).map(|(id, len)| Header { id: Some(id), start: at + 8, len: u64::from(len) })
        }
        Kind::Wave64 => {
            let bytes = source.read_at(at, 24)?;
            let (guid, len) = (field::bytes::<16>(&bytes, 0), field::bytes(&bytes, 16).map(u64::from_le_bytes));
            guid.zip(len.and_then(|len| len.checked_sub(24))).map(|(guid, len)| Header {
                id: field::bytes(&guid, 0).filter(|_| guid[4..] == W64_TAIL),
                start: at + 24,
                len,
            })
        }
    })
}

/// Walks the chunks.
fn walk(source: &mut Source, kind: Kind) -> std::io::Result<Found> {
    let file_len = source.len();
    let mut found = Found::default();
    let mut at = if kind == Kind::Wave64 { 40 } else { 12u64 };
    for _ in 0..MAX_CHUNKS {
        let Some(mut chunk) = header(source, kind, at)? else { break };
        let left = file_len.saturating_sub(chunk.start);
        if chunk.len == SIZE_ELSEWHERE
            && let Some((_, len)) = found.long.iter().find(|(id, _)| chunk.id == Some(*id))
        {
            chunk.len = *len;
        }
        match chunk.id {
            Some(id) if id == *b"fmt " && found.format.is_none() => {
                found.format = parse_format(&source.read_at(chunk.start, chunk.len.min(40) as usize)?);
            }
            Some(id) if id == *b"ds64" => {
                found.long = long_sizes(&source.read_at(chunk.start, chunk.len.min(4096) as usize)?)
            }
            Some(id) if id == *b"data" => {
                if found.data.is_some() {
                    found.damage.push("a second data chunk was left out".to_owned());
                } else if found.take_data(source, kind, &chunk)? {
                    break;
                }
            }
            // What stands behind the samples may be anything, such as an ID3 tag.
            Some(id) if is_carried(id) && is_printable(&id) => found.carry(source, id, &chunk, left)?,
            _ => {}
        }
        let Some(end) = chunk.start.checked_add(chunk.len).filter(|end| *end <= file_len) else { break };
        at = match kind {
            Kind::Riff => next_chunk(source, end)?,
            Kind::Wave64 => end.next_multiple_of(8),
        };
    }
    Ok(found)
}

impl Found {
    /// Notes where the samples are; `true` where nothing can follow them.
    fn take_data(&mut self, source: &mut Source, kind: Kind, chunk: &Header) -> std::io::Result<bool> {
        let left = source.len().saturating_sub(chunk.start);
        let is_unfinished = chunk.len == 0 && left > 0 && !is_chunk_chain(source, kind, chunk.start)?;
        let is_wrong = is_unfinished || chunk.len > left;
        self.data = Some(Data {
            start: chunk.start,
            len: if is_wrong { left } else { chunk.len },
            claimed: is_wrong.then_some(chunk.len),
        });
        Ok(is_wrong)
    }

    /// Keeps a chunk for the file that is written.
    fn carry(&mut self, source: &mut Source, id: [u8; 4], chunk: &Header, left: u64) -> std::io::Result<()> {
        let name = id.escape_ascii();
        if chunk.len > left {
            self.damage.push(format!("the chunk '{name}' is cut off and was left out"));
        } else if self.metadata.byte_len() as u64 + chunk.len > MAX_METADATA_BYTES {
            self.damage.push(format!("the chunk '{name}' of {} bytes is too large and was left out", chunk.len));
        } else {
            let payload = source.read_at(chunk.start, chunk.len as usize)?;
            let side = if self.data.is_some() { &mut self.metadata.after } else { &mut self.metadata.before };
            side.push(Chunk { id, payload });
        }
        Ok(())
    }
}

/// The sizes in a `ds64` chunk: RIFF, data, number of frames, then a table of others.
fn long_sizes(ds64: &[u8]) -> Vec<([u8; 4], u64)> {
    let size = |offset: usize| field::bytes(ds64, offset).map(u64::from_le_bytes);
    let mut out: Vec<([u8; 4], u64)> = size(8).map(|len| (*b"data", len)).into_iter().collect();
    let entries = ds64.get(28..).unwrap_or_default().chunks_exact(12);
    let entry_len = field::u32_le(ds64, 24).unwrap_or(0) as usize;
    for entry in entries.take(entry_len) {
        out.extend(field::bytes(entry, 0).zip(field::bytes(entry, 4).map(u64::from_le_bytes)));
    }
    out
}

fn is_printable(id: &[u8]) -> bool {
    id.len() == 4 && id.iter().all(|b| (0x20..0x7f).contains(b))
}

/// Chunks begin at even offsets, but some programs leave the pad byte out.
fn next_chunk(source: &mut Source, end: u64) -> std::io::Result<u64> {
    if end.is_multiple_of(2) {
        return Ok(end);
    }
    let bytes = source.read_at(end, 5)?;
    let padded = bytes.get(1..5).is_some_and(is_printable);
    let unpadded = bytes.get(..4).is_some_and(is_printable);
    Ok(if unpadded && !padded { end } else { end + 1 })
}

/// Whether chunks follow one another from `start` exactly to the end of the file, so that an empty data chunk before
/// them is meant.
fn is_chunk_chain(source: &mut Source, kind: Kind, start: u64) -> std::io::Result<bool> {
    let file_len = source.len();
    let mut at = start;
    for _ in 0..MAX_CHUNKS {
        if at == file_len {
            return Ok(true);
        }
        let Some(chunk) = header(source, kind, at)? else { return Ok(false) };
        let end = chunk.start.saturating_add(chunk.len);
        if !chunk.id.is_some_and(|id| is_printable(&id)) || end > file_len {
            return Ok(false);
        }
        at = end.next_multiple_of(if kind == Kind::Wave64 { 8 } else { 2 }).min(file_len);
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
fn samples(source: &mut Source, coding: Coding, channel_len: usize, data: Data) -> std::io::Result<Vec<Vec<f32>>> {
    let block_align = channel_len * coding.byte_len();
    let block_bytes = BLOCK_BYTES / block_align * block_align;
    // As long as the file really is, so that nothing is moved while it grows.
    let frame_len = usize::try_from(data.len / block_align as u64).unwrap_or(0);
    let mut channels: Vec<Vec<f32>> = vec![vec![]; channel_len];
    for channel in &mut channels {
        channel.try_reserve_exact(frame_len).map_err(|_| std::io::ErrorKind::OutOfMemory)?;
    }
    let mut at = data.start;
    let end = data.start + data.len;
    while at < end {
        let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(block_bytes);
        let block = source.read_at(at, wanted)?;
        coding.extend(&block, &mut channels);
        if block.len() < wanted {
            break;
        }
        at += block.len() as u64;
    }
    Ok(channels)
}

/// A format tag as people call it. Source: Microsoft `mmreg.h`.
fn tag_name(tag: u16, container_bytes: u16) -> String {
    let known = match tag {
        TAG_PCM => return format!("PCM of {} bits", u32::from(container_bytes) * 8),
        TAG_FLOAT => return format!("floating point of {} bits", u32::from(container_bytes) * 8),
        TAG_A_LAW => return format!("A-law of {} bits", u32::from(container_bytes) * 8),
        TAG_MU_LAW => return format!("µ-law of {} bits", u32::from(container_bytes) * 8),
        0x0002 => "Microsoft ADPCM",
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
