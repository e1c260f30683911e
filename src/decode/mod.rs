//! Reading recordings: WAV by code of our own, everything else through symphonia.
//!
//! # Contract
//! - **What a file is** is told by its bytes (`sniff`), never by its name.
//! - **Where it begins and ends** is told by the file: an edit list or an iTunes gapless tag in MP4, the packet table
//!   in CAF, the LAME tag in MP3, granule positions in Ogg. Encoder delay and padding are not part of the recording.
//! - **Damage** does not move what follows it: where the container says how much sound a damaged place held, silence of
//!   that length takes its place, and a warning gives the time.
//! - **Memory** follows what was decoded, never what a header claims, and has a limit ([`ReadConfig::max_duration_s`]).
//! - **What a recording says about itself** comes along ([`Decoded::metadata`]).
//! - **Priming that a file does not tell** is kept: raw AAC (ADTS) and movie fragments without an edit list begin with some
//!   20 to 50 ms of near silence. Nothing is cut off on a guess.
//!
//! The stages: bytes → `sniff` → `wav`, or `isobmff`, `aiff`, `caf`, `mpeg` (what the container says that symphonia does
//! not pass on, or does not check) → `coded` (symphonia) → [`Decoded`].

mod aiff;
mod caf;
mod coded;
mod isobmff;
mod limits;
mod mpeg;
mod pcm;
mod refuse;
mod sniff;
mod source;
mod tags;
mod wav;

use crate::analysis::Warning;
use crate::audio::{Audio, MAX_CHANNELS, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ};
use crate::error::Error;
use crate::metadata::Metadata;
pub use limits::{Damage, NonFinite, ReadConfig};
use serde::Serialize;
use sniff::Container;
use source::Source;
use std::path::Path;

/// How the file stored its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleFormat {
    /// Whole numbers of [`SourceFormat::bits_per_sample`] bits, in the clear or losslessly packed.
    Integer,
    /// Floating point of [`SourceFormat::bits_per_sample`] bits.
    Float,
    /// Lossy: the file holds no samples, only what a decoder makes of it.
    Lossy,
}

/// What the file was, for reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceFormat {
    /// Container by name: `WAV`, `MP4`, `FLAC`, ...
    pub container: String,
    /// Codec by name: `PCM`, `AAC-LC`, `ALAC`, ...
    pub codec: String,
    /// Bits of one stored sample; absent where the codec is lossy.
    pub bits_per_sample: Option<u16>,
    /// Kind of the stored samples.
    pub sample_format: SampleFormat,
}

/// A recording as read from a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The samples, encoder delay and padding removed. Integers of `b` bits are divided by `2^(b-1)`, so up to 24 bits
    /// are exact; lossy codecs may exceed ±1.
    pub audio: Audio,
    /// What the file was.
    pub source: SourceFormat,
    /// Damage that was met, with its time; empty for a sound file.
    pub warnings: Vec<Warning>,
    /// What the file says about itself: chunks of a WAV file as they were, tags of others as a `LIST INFO` chunk.
    pub metadata: Metadata,
}

/// Reads a recording.
///
/// # Errors
/// - [`Error::Io`] when the system refuses, or `path` is not a regular file.
/// - [`Error::Unsupported`] when the codec or container is known but not read (Opus, HE-AAC, AMR, WMA, ...), naming it and
///   the one command that converts it; also for rates outside 8 to 192 kHz and for more than 8 channels.
/// - [`Error::Malformed`] when the file is none that is known, holds no sound, or holds samples that are not finite.
pub fn read(path: &Path) -> Result<Decoded, Error> {
    read_with(path, &ReadConfig::default())
}

/// Reads a recording, with the caller's limits.
///
/// # Errors
/// As [`read`]; [`Error::Limit`] for a recording beyond the limits, [`Error::Malformed`] for damage that is not put up with.
pub fn read_with(path: &Path, config: &ReadConfig) -> Result<Decoded, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    // Asked before opening: opening a FIFO would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "this is a directory" } else { "this is not a regular file" };
        return Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, what)));
    }
    read_source(Source::open(path).map_err(io)?, path, config)
}

/// Reads a recording that is already in memory; `name` is only used to name it in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(bytes: Vec<u8>, name: &Path) -> Result<Decoded, Error> {
    read_bytes_with(bytes, name, &ReadConfig::default())
}

/// Reads a recording that is already in memory, with the caller's limits.
///
/// # Errors
/// As [`read_with`].
pub fn read_bytes_with(bytes: Vec<u8>, name: &Path, config: &ReadConfig) -> Result<Decoded, Error> {
    read_source(Source::from_bytes(bytes), name, config)
}

/// Whether this thread is inside a decoder that is known to panic on some damaged files. Such a panic is caught and becomes an
/// [`Error::Malformed`]; a program's panic hook may keep quiet about it.
#[must_use]
pub fn is_decoding() -> bool {
    coded::is_guarded()
}

fn read_source(source: Source, path: &Path, config: &ReadConfig) -> Result<Decoded, Error> {
    let decoded = read_container(source, path, config)?;
    match decoded.warnings.first() {
        Some(Warning::Damaged { what }) if config.damage == Damage::Refuse => Err(Error::Malformed {
            path: path.to_owned(),
            cause: what.clone(),
            remedy: "without --strict, what can be decoded is used".to_owned(),
        }),
        _ => Ok(decoded),
    }
}

fn read_container(mut source: Source, path: &Path, config: &ReadConfig) -> Result<Decoded, Error> {
    let found = sniff::sniff(&mut source).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    match found {
        Container::Wav => wav::read(source, path, wav::Kind::Riff, config),
        Container::Wave64 => wav::read(source, path, wav::Kind::Wave64, config),
        Container::Mp4 => {
            let movie = isobmff::read(&mut source, path)?;
            source.claimed_len = movie.claimed_len;
            coded::read(source, path, config, coded::Plan::of_movie(&movie, path)?)
        }
        Container::Caf => {
            let description = caf::read(&mut source, path)?;
            check_shape(path, description.sample_rate_hz, description.channel_len)?;
            if description.is_truncated {
                // Symphonia's CAF reader wants to step over the whole sound first.
                return Err(refuse::unsupported(path, "a CAF file that is cut off"));
            }
            coded::read(source, path, config, coded::Plan::of_caf(&description, path)?)
        }
        Container::Flac => coded::read(source, path, config, coded::Plan::of_flac()),
        Container::Mp3 => {
            let gaps = mpeg::gaps(&mut source).map_err(|source| Error::Io { path: path.to_owned(), source })?;
            coded::read(source, path, config, coded::Plan::of_mp3(&gaps))
        }
        Container::Adts => coded::read(source, path, config, coded::Plan::of_adts()),
        Container::Aiff => {
            let is_whole = aiff::check(&mut source, path)?;
            // Symphonia's AIFF reader looks for chunks behind the sound, and fails where a truncated file has none: such
            // a file is read as a stream.
            source.seekable = is_whole;
            let texts = aiff::texts(&mut source);
            coded::read(source, path, config, coded::Plan::of_aiff(texts))
        }
        Container::OggVorbis => coded::read(source, path, config, coded::Plan::of_ogg("Vorbis")),
        Container::OggFlac => coded::read(source, path, config, coded::Plan::of_ogg("FLAC")),
        Container::Refused(what) => Err(refuse::unsupported(path, what)),
        Container::Unknown(what) => Err(Error::Malformed {
            path: path.to_owned(),
            cause: what.to_owned(),
            remedy: "give a WAV, m4a, MP3, FLAC, Ogg Vorbis, AIFF or CAF file".to_owned(),
        }),
    }
}

/// Refuses rates and channel counts that are not analysed, before any sample is decoded.
fn check_shape(path: &Path, sample_rate_hz: u32, channel_len: usize) -> Result<(), Error> {
    if sample_rate_hz == 0 || channel_len == 0 {
        return Err(Error::Malformed {
            path: path.to_owned(),
            cause: format!("the header claims {sample_rate_hz} Hz and {channel_len} channels"),
            remedy: "export the recording again".to_owned(),
        });
    }
    if !(MIN_SAMPLE_RATE_HZ..=MAX_SAMPLE_RATE_HZ).contains(&sample_rate_hz) {
        return Err(refuse::unsupported_rate(path, sample_rate_hz));
    }
    if channel_len > MAX_CHANNELS {
        return Err(refuse::unsupported_channels(path, channel_len));
    }
    Ok(())
}

/// The last door: no sound and samples that are not finite are errors here.
fn finish(
    path: &Path,
    sample_rate_hz: u32,
    mut channels: Vec<Vec<f32>>,
    source: SourceFormat,
    mut warnings: Vec<Warning>,
    config: &ReadConfig,
) -> Result<Decoded, Error> {
    if channels.iter().all(Vec::is_empty) {
        return Err(Error::Malformed {
            path: path.to_owned(),
            cause: "no sound could be decoded".to_owned(),
            remedy: "check that the recording plays elsewhere, and copy it from the phone again".to_owned(),
        });
    }
    check_shape(path, sample_rate_hz, channels.len())?;
    if let Some(first) = first_not_finite(&channels, sample_rate_hz) {
        match config.nonfinite {
            NonFinite::Refuse => {
                return Err(Error::Malformed {
                    path: path.to_owned(),
                    cause: first,
                    remedy: "repair it, or have such samples replaced by silence with --nonfinite zero".to_owned(),
                });
            }
            NonFinite::Zero => {
                let mut zeroed_len = 0u64;
                for x in channels.iter_mut().flatten().filter(|x| !x.is_finite()) {
                    *x = 0.0;
                    zeroed_len += 1;
                }
                let what = format!("{first}, and {} more are not finite: set to zero", zeroed_len - 1);
                warnings.push(Warning::Damaged { what });
            }
        }
    }
    let audio = Audio::new(sample_rate_hz, channels).map_err(|error| match error {
        Error::Invalid { cause, remedy, .. } => Error::Malformed { path: path.to_owned(), cause, remedy },
        other => other,
    })?;
    Ok(Decoded { audio, source, warnings, metadata: Metadata::default() })
}

/// The first sample in time that is no number, in words.
fn first_not_finite(channels: &[Vec<f32>], sample_rate_hz: u32) -> Option<String> {
    let firsts = channels.iter().enumerate().filter_map(|(c, channel)| {
        let n = channel.iter().position(|x| !x.is_finite())?;
        Some((n, c, channel[n]))
    });
    let (n, c, x) = firsts.min_by_key(|(n, c, _)| (*n, *c))?;
    Some(format!("sample {n} of channel {c} is {x}, at {:.3} s", n as f64 / f64::from(sample_rate_hz)))
}
