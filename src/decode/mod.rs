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
mod gather;
mod isobmff;
mod limits;
mod mpeg;
mod pcm;
mod refuse;
mod sniff;
mod source;
mod stored;
mod tags;
mod wav;

use crate::analysis::Warning;
use crate::audio::{Audio, MAX_CHANNELS, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ};
use crate::error::Error;
use crate::metadata::Metadata;
use crate::sound::Sound;
use gather::Gathered;
pub use gather::Samples;
pub use limits::{Damage, Keep, NonFinite, ReadConfig};
use serde::Serialize;
use sniff::Container;
use source::Source;
use std::path::Path;
pub use stored::Stored;

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
    check_is_file(path)?;
    read_source(Source::open(path).map_err(io)?, path, config)
}

/// A recording as opened: [`Decoded`], but long ones stay on disk.
#[derive(Debug)]
pub struct Opened {
    /// The samples, as [`Decoded::audio`].
    pub samples: Samples,
    /// What the file was.
    pub source: SourceFormat,
    /// Damage that was met, with its time; empty for a sound file.
    pub warnings: Vec<Warning>,
    /// What the file says about itself.
    pub metadata: Metadata,
}

impl Opened {
    /// What was read, where its samples are in memory.
    ///
    /// # Errors
    /// The recording itself, where they are on disk.
    pub fn into_decoded(self) -> Result<Decoded, Box<Self>> {
        match self.samples {
            Samples::Held(audio) => {
                Ok(Decoded { audio, source: self.source, warnings: self.warnings, metadata: self.metadata })
            }
            Samples::Stored(_) => Err(Box::new(self)),
        }
    }
}

/// Opens a recording: a short one is held in memory, a long one stays on disk and is read piece by piece. PCM in a WAV file
/// is read from there; everything else is decoded into a temporary file without a name.
///
/// # Errors
/// As [`read_with`].
pub fn open(path: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    check_is_file(path)?;
    open_source(Source::open(path).map_err(io)?, path, config, keep)
}

/// Opens a recording that is already in memory as a file; `name` is only used to name it in errors.
///
/// # Errors
/// As [`open`].
pub fn open_bytes(bytes: Vec<u8>, name: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Error> {
    open_source(Source::from_bytes(bytes), name, config, keep)
}

/// Opens a recording in a file that may have no name of its own; `name` is only used to name it in errors.
///
/// # Errors
/// As [`open`].
pub fn open_file(file: std::fs::File, name: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Error> {
    let source = Source::from_file(file).map_err(|source| Error::Io { path: name.to_owned(), source })?;
    open_source(source, name, config, keep)
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

/// Asked before opening: opening a FIFO would wait for its writer.
fn check_is_file(path: &Path) -> Result<(), Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let metadata = std::fs::metadata(path).map_err(io)?;
    if metadata.is_file() {
        return Ok(());
    }
    let what = if metadata.is_dir() { "this is a directory" } else { "this is not a regular file" };
    Err(io(std::io::Error::new(std::io::ErrorKind::InvalidInput, what)))
}

fn read_source(source: Source, path: &Path, config: &ReadConfig) -> Result<Decoded, Error> {
    let opened = open_source(source, path, config, &Keep::all())?;
    // With no limit to what is held, nothing is stored; were it so, it would be read back.
    opened.into_decoded().or_else(|opened| {
        let sound = opened.samples.sound();
        let audio = crate::sound::held(sound, 0..sound.sample_len())?;
        Ok(Decoded { audio, source: opened.source, warnings: opened.warnings, metadata: opened.metadata })
    })
}

fn open_source(source: Source, path: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Error> {
    let decoded = read_container(source, path, config, keep)?;
    match decoded.warnings.first() {
        Some(Warning::Damaged { what }) if config.damage == Damage::Refuse => Err(Error::Malformed {
            path: path.to_owned(),
            cause: what.clone(),
            remedy: "without --strict, what can be decoded is used".to_owned(),
        }),
        _ => Ok(decoded),
    }
}

fn read_container(mut source: Source, path: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Error> {
    let found = sniff::sniff(&mut source).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    match found {
        Container::Wav => wav::read(source, path, wav::Kind::Riff, config, keep),
        Container::Wave64 => wav::read(source, path, wav::Kind::Wave64, config, keep),
        Container::Mp4 => {
            let movie = isobmff::read(&mut source, path)?;
            source.claimed_len = movie.claimed_len;
            coded::read(source, path, (config, keep), coded::Plan::of_movie(&movie, path)?)
        }
        Container::Caf => {
            let description = caf::read(&mut source, path)?;
            check_shape(path, description.sample_rate_hz, description.channel_len)?;
            if description.is_truncated {
                // Symphonia's CAF reader wants to step over the whole sound first.
                return Err(refuse::unsupported(path, "a CAF file that is cut off"));
            }
            coded::read(source, path, (config, keep), coded::Plan::of_caf(&description, path)?)
        }
        Container::Flac => coded::read(source, path, (config, keep), coded::Plan::of_flac()),
        Container::Mp3 => {
            let gaps = mpeg::gaps(&mut source).map_err(|source| Error::Io { path: path.to_owned(), source })?;
            coded::read(source, path, (config, keep), coded::Plan::of_mp3(&gaps))
        }
        Container::Adts => coded::read(source, path, (config, keep), coded::Plan::of_adts()),
        Container::Aiff => {
            let is_whole = aiff::check(&mut source, path)?;
            // Symphonia's AIFF reader looks for chunks behind the sound, and fails where a truncated file has none: such
            // a file is read as a stream.
            source.seekable = is_whole;
            let texts = aiff::texts(&mut source);
            coded::read(source, path, (config, keep), coded::Plan::of_aiff(texts))
        }
        Container::OggVorbis => coded::read(source, path, (config, keep), coded::Plan::of_ogg("Vorbis")),
        Container::OggFlac => coded::read(source, path, (config, keep), coded::Plan::of_ogg("FLAC")),
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

/// What a file was, beside its samples.
struct About {
    source: SourceFormat,
    warnings: Vec<Warning>,
    metadata: Metadata,
}

/// The last door: no sound and samples that are not finite are errors here.
fn finish(
    path: &Path,
    sample_rate_hz: u32,
    mut channels: Vec<Vec<f32>>,
    mut about: About,
    config: &ReadConfig,
) -> Result<Opened, Error> {
    if channels.iter().all(Vec::is_empty) {
        return Err(no_sound(path));
    }
    check_shape(path, sample_rate_hz, channels.len())?;
    if let Some((_, first)) = first_not_finite(&channels, 0, sample_rate_hz) {
        let zeroed_len = channels.iter().flatten().filter(|x| !x.is_finite()).count() as u64;
        about.warnings.push(not_finite(path, first, zeroed_len, config)?);
        channels.iter_mut().flatten().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
    }
    let audio = Audio::new(sample_rate_hz, channels).map_err(|error| match error {
        Error::Invalid { cause, remedy, .. } => Error::Malformed { path: path.to_owned(), cause, remedy },
        other => other,
    })?;
    Ok(about.opened(Samples::Held(audio)))
}

/// The same door for samples that stay on disk.
fn finish_stored(path: &Path, stored: Stored, mut about: About, config: &ReadConfig) -> Result<Opened, Error> {
    if stored.sample_len() == 0 {
        return Err(no_sound(path));
    }
    check_shape(path, stored.sample_rate_hz(), stored.channel_len())?;
    if stored.may_be_not_finite() {
        let mut block = Vec::new();
        let mut first = None;
        let mut zeroed_len = 0;
        for start in (0..stored.sample_len()).step_by(SCAN_SAMPLES) {
            let range = start..stored.sample_len().min(start + SCAN_SAMPLES);
            stored.read_raw(range, &mut block).map_err(|source| Error::Io { path: path.to_owned(), source })?;
            let bad_len = block.iter().flatten().filter(|x| !x.is_finite()).count() as u64;
            if bad_len > 0 && first.is_none() {
                first = first_not_finite(&block, start, stored.sample_rate_hz());
            }
            zeroed_len += bad_len;
        }
        if let Some((_, first)) = first {
            about.warnings.push(not_finite(path, first, zeroed_len, config)?);
        }
    }
    Ok(about.opened(Samples::Stored(stored)))
}

/// Samples looked at together, in each channel.
const SCAN_SAMPLES: usize = 1 << 16;

impl About {
    fn opened(self, samples: Samples) -> Opened {
        Opened { samples, source: self.source, warnings: self.warnings, metadata: self.metadata }
    }
}

fn no_sound(path: &Path) -> Error {
    Error::Malformed {
        path: path.to_owned(),
        cause: "no sound could be decoded".to_owned(),
        remedy: "check that the recording plays elsewhere, and copy it from the phone again".to_owned(),
    }
}

/// What is said of samples that are no numbers, or the refusal.
fn not_finite(path: &Path, first: String, zeroed_len: u64, config: &ReadConfig) -> Result<Warning, Error> {
    match config.nonfinite {
        NonFinite::Refuse => Err(Error::Malformed {
            path: path.to_owned(),
            cause: first,
            remedy: "repair it, or have such samples replaced by silence with --nonfinite zero".to_owned(),
        }),
        NonFinite::Zero => {
            Ok(Warning::Damaged { what: format!("{first}, and {} more are not finite: set to zero", zeroed_len - 1) })
        }
    }
}

/// The first sample in time that is no number, in words; `start` is the first sample's place in the recording.
fn first_not_finite(channels: &[Vec<f32>], start: usize, sample_rate_hz: u32) -> Option<(usize, String)> {
    let firsts = channels.iter().enumerate().filter_map(|(c, channel)| {
        let n = channel.iter().position(|x| !x.is_finite())?;
        Some((n, c, channel[n]))
    });
    let (n, c, x) = firsts.min_by_key(|(n, c, _)| (*n, *c))?;
    let n = start + n;
    Some((n, format!("sample {n} of channel {c} is {x}, at {:.3} s", n as f64 / f64::from(sample_rate_hz))))
}

/// What a decoder gathered, cut to the recording.
fn finish_gathered(
    path: &Path,
    (sample_rate_hz, channel_len): (u32, usize),
    gathered: Gathered,
    kept: &[std::ops::Range<u64>],
    about: About,
    config: &ReadConfig,
) -> Result<Opened, Error> {
    match gathered {
        Gathered::Held(channels) => {
            let channels = channels.into_iter().map(|channel| coded::keep(channel, kept)).collect();
            finish(path, sample_rate_hz, channels, about, config)
        }
        Gathered::Spooled(file) => {
            let stored = gather::stored(path, file, (sample_rate_hz, channel_len), kept.to_vec());
            finish_stored(path, stored, about, config)
        }
    }
}
