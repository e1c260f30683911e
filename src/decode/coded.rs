//! Decoding through symphonia: one plan per container, one loop for all.

use super::caf::Description;
use super::gather::Gather;
use super::isobmff::{Gapless, Movie, Track as MovieTrack};
use super::limits::{Budget, Keep, ReadConfig};
use super::mpeg::Gap;
use super::source::Source;
use super::tags::Tags;
use super::{About, Opened, SampleFormat, SourceFormat, check_shape, finish_gathered, refuse};
use crate::analysis::Warning;
use crate::error::Error;
use std::cell::Cell;
use std::io::ErrorKind;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::{Error as SymphoniaError, Result as SymphoniaResult};
use symphonia::core::formats::{FormatOptions, FormatReader, Track, TrackType};
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::packet::Packet;
use symphonia::default::formats;

/// Most silence that stands in for damage in one file. Beyond it, positions that a broken stream claims are not
/// believed.
const MAX_SILENCE_S: u64 = 30;
/// Damaged places that are told one by one; the rest is counted.
const MAX_DAMAGE_TOLD: usize = 10;
/// Frames of the longest packet whose end a shorter duration may cut: ALAC and FLAC in MP4 have 4096, AAC 1024.
const MAX_PACKET_FRAMES: u64 = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Mp4,
    Caf,
    Flac,
    Mp3,
    Adts,
    Aiff,
    Ogg,
}

/// Which of the decoded samples are the recording.
#[derive(Debug, Clone, PartialEq)]
enum Cut {
    /// All that the decoder gives.
    All,
    /// From a sample on, for a number of samples where known.
    Range { start: u64, len: Option<u64> },
    /// Delay and length as symphonia read them from the LAME tag.
    LameTag,
    /// Ranges in media time, each to the end where it has none, and the timescale they are in.
    Media { ranges: Vec<(u64, Option<u64>)>, timescale: u32 },
    /// No edits: the sum of the durations in the index, in media time, may only shorten the last packet.
    Tail { media_len: u64, timescale: u32 },
}

/// How one file is decoded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    reader: Reader,
    container: &'static str,
    codec: String,
    format: SampleFormat,
    /// Bits of a sample, where the container's index says it and symphonia does not.
    bits: Option<u16>,
    track_id: Option<u32>,
    /// Day of the recording, where the container's index says it.
    date: Option<String>,
    /// Entries of an INFO list that were read beforehand.
    texts: Vec<([u8; 4], String)>,
    cut: Cut,
    warnings: Vec<Warning>,
}

impl Plan {
    fn new(reader: Reader, container: &'static str, codec: &str, format: SampleFormat) -> Self {
        let codec = codec.to_owned();
        Self {
            reader,
            container,
            codec,
            format,
            bits: None,
            track_id: None,
            date: None,
            texts: vec![],
            cut: Cut::All,
            warnings: vec![],
        }
    }

    pub(super) fn of_flac() -> Self {
        Self::new(Reader::Flac, "FLAC", "FLAC", SampleFormat::Integer)
    }

    pub(super) fn of_mp3(gaps: &[Gap]) -> Self {
        let tell = |gap: &Gap| Warning::Damaged {
            what: format!(
                "the file is damaged: {} bytes at about {:.2} s are no sound, and what follows comes earlier by what they held",
                gap.len_bytes, gap.time_s
            ),
        };
        let warnings = gaps.iter().take(MAX_DAMAGE_TOLD).map(tell).collect();
        Self { cut: Cut::LameTag, warnings, ..Self::new(Reader::Mp3, "MP3", "MP3", SampleFormat::Lossy) }
    }

    pub(super) fn of_adts() -> Self {
        Self::new(Reader::Adts, "ADTS", "AAC-LC", SampleFormat::Lossy)
    }

    pub(super) fn of_aiff(texts: Vec<([u8; 4], String)>) -> Self {
        Self { texts, ..Self::new(Reader::Aiff, "AIFF", "PCM", SampleFormat::Integer) }
    }

    pub(super) fn of_ogg(codec: &str) -> Self {
        let format = if codec == "FLAC" { SampleFormat::Integer } else { SampleFormat::Lossy };
        Self::new(Reader::Ogg, "Ogg", codec, format)
    }

    /// # Errors
    /// [`Error::Unsupported`] naming the codec.
    pub(super) fn of_caf(description: &Description, path: &Path) -> Result<Self, Error> {
        let (codec, format) = match &description.codec {
            b"lpcm" if description.is_float => ("PCM", SampleFormat::Float),
            b"lpcm" => ("PCM", SampleFormat::Integer),
            b"alac" => ("ALAC", SampleFormat::Integer),
            b"flac" => ("FLAC", SampleFormat::Integer),
            b"aac " => ("AAC-LC", SampleFormat::Lossy),
            b"ulaw" => ("µ-law", SampleFormat::Lossy),
            b"alaw" => ("A-law", SampleFormat::Lossy),
            other => return Err(refuse::unsupported(path, &codec_name(*other))),
        };
        let start = description.priming_frames;
        let cut = if start == 0 && description.valid_frames.is_none() {
            Cut::All
        } else {
            Cut::Range { start, len: description.valid_frames }
        };
        let bits = (description.bits > 0 && format != SampleFormat::Lossy).then_some(description.bits);
        Ok(Self { bits, cut, ..Self::new(Reader::Caf, "CAF", codec, format) })
    }

    /// Chooses the first sound track that is read; where there is none, says what the first one is.
    ///
    /// # Errors
    /// [`Error::Unsupported`] naming the codec, [`Error::Malformed`] for a file without sound.
    pub(super) fn of_movie(movie: &Movie, path: &Path) -> Result<Self, Error> {
        if !movie.has_ftyp {
            return Err(refuse::unsupported(path, "an old QuickTime file (without ftyp)"));
        }
        let mut refused = None;
        let has_sound = movie.tracks.iter().any(|track| track.handler == *b"soun");
        if has_sound && !movie.tracks.iter().any(MovieTrack::is_coded_sound) {
            return Err(malformed(path, "its index does not say how the sound is coded".to_owned()));
        }
        for track in movie.tracks.iter().filter(|track| track.is_coded_sound()) {
            match movie_codec(track) {
                Ok((codec, format)) => {
                    let mut plan = Self::new(Reader::Mp4, "MP4", codec, format);
                    plan.track_id = Some(track.id);
                    plan.date = movie.date();
                    plan.bits = (codec == "ALAC").then_some(track.bits);
                    plan.cut = plan.movie_cut(movie, track);
                    return Ok(plan);
                }
                Err(name) => refused = refused.or(Some(name)),
            }
        }
        Err(match refused {
            Some(name) => refuse::unsupported(path, &name),
            None => Error::Malformed {
                path: path.to_owned(),
                cause: "the file has no sound track".to_owned(),
                remedy: "record with the microphone switched on".to_owned(),
            },
        })
    }

    /// Samples that the decoder must give by the header; 0 where it does not say.
    fn expected_len(&self, track: &Track) -> u64 {
        let delay = u64::from(track.delay.unwrap_or(0));
        match (&self.cut, self.reader) {
            // Some writers round the packet table's number up to whole packets.
            (Cut::Range { start, len: Some(len) }, Reader::Caf) => {
                start.saturating_add(*len).saturating_sub(MAX_PACKET_FRAMES)
            }
            (Cut::LameTag, _) if track.delay.is_some() => track.num_frames.unwrap_or(0).saturating_add(delay),
            (Cut::All, Reader::Flac | Reader::Aiff | Reader::Caf) => track.num_frames.unwrap_or(0),
            _ => 0,
        }
    }

    fn movie_cut(&mut self, movie: &Movie, track: &MovieTrack) -> Cut {
        let timescale = track.media_timescale;
        let media_end = (track.media_len > 0).then_some(track.media_len);
        // An empty edit at the start is silence before the device began to record: it is not part of the recording.
        let shown: Vec<_> = track.edits.iter().filter(|edit| edit.media_time >= 0).collect();
        if let (true, Some(Gapless { delay, len })) = (shown.is_empty(), movie.itunes) {
            return Cut::Range { start: delay, len: Some(len) };
        }
        if shown.is_empty() {
            return media_end.map_or(Cut::All, |media_len| Cut::Tail { media_len, timescale });
        }
        let mut ranges: Vec<(u64, Option<u64>)> = Vec::new();
        for edit in shown {
            let start = edit.media_time.unsigned_abs();
            let end = if edit.duration == 0 || movie.movie_timescale == 0 {
                media_end
            } else {
                // Movie time is often in milliseconds: an end within one unit of the media's own end is that end.
                let unit = u64::from(timescale.div_ceil(movie.movie_timescale));
                let len = u128::from(edit.duration) * u128::from(timescale) / u128::from(movie.movie_timescale);
                let end = start.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
                Some(media_end.filter(|media_end| media_end.abs_diff(end) <= unit).unwrap_or(end))
            };
            let previous_end = ranges.last().map_or(Some(0), |(_, end)| *end);
            if previous_end.is_none_or(|previous_end| start < previous_end) {
                let what = "the edit list plays parts of the recording twice; its first part was taken".to_owned();
                self.warnings.push(Warning::Damaged { what });
                break;
            }
            ranges.push((start, end));
        }
        Cut::Media { ranges, timescale }
    }
}

/// Codec of a sound track, or the name to refuse it by.
fn movie_codec(track: &MovieTrack) -> Result<(&'static str, SampleFormat), String> {
    match &track.codec {
        b"mp4a" => match track.object_type {
            Some(0x40 | 0x67) => aac_profile(track).map(|name| (name, SampleFormat::Lossy)),
            Some(0x69 | 0x6b) => Ok(("MP3", SampleFormat::Lossy)),
            Some(0x66) => Err("AAC Main".to_owned()),
            Some(0x68) => Err("AAC SSR".to_owned()),
            Some(0xa5) => Err("AC-3 (Dolby Digital)".to_owned()),
            Some(0xa6) => Err("E-AC-3 (Dolby Digital Plus)".to_owned()),
            Some(0xa9..=0xac) => Err("DTS".to_owned()),
            Some(0xad) => Err("Opus".to_owned()),
            Some(0xdd) => Err("Vorbis in MP4".to_owned()),
            Some(0xe1) => Err("QCELP".to_owned()),
            Some(other) => Err(format!("MP4 audio of object type {other:#04x}")),
            None => Err("MP4 audio without a decoder description".to_owned()),
        },
        b"alac" => Ok(("ALAC", SampleFormat::Integer)),
        b"fLaC" => Ok(("FLAC", SampleFormat::Integer)),
        b".mp3" => Ok(("MP3", SampleFormat::Lossy)),
        b"sowt" | b"twos" | b"in24" | b"in32" | b"raw " | b"ipcm" | b"lpcm" => Ok(("PCM", SampleFormat::Integer)),
        b"fl32" | b"fl64" | b"fpcm" => Ok(("PCM", SampleFormat::Float)),
        b"ulaw" => Ok(("µ-law", SampleFormat::Lossy)),
        b"alaw" => Ok(("A-law", SampleFormat::Lossy)),
        other => Err(codec_name(*other)),
    }
}

fn aac_profile(track: &MovieTrack) -> Result<&'static str, String> {
    let Some(config) = track.config else { return Err("AAC without a decoder description".to_owned()) };
    // Implicit SBR: the sample entry tells the rate after doubling, the decoder description the core's.
    let doubled = config.sample_rate_hz.checked_mul(2) == Some(track.sample_rate_hz) && config.sample_rate_hz > 0;
    match config.object_type {
        29 => Err("HE-AAC v2".to_owned()),
        5 => Err("HE-AAC".to_owned()),
        2 if config.has_sbr || doubled => Err("HE-AAC".to_owned()),
        2 if config.channel_config == 0 => Err("AAC with its own channel layout".to_owned()),
        2 if config.channel_config > 2 => Err("AAC of more than two channels".to_owned()),
        2 => Ok("AAC-LC"),
        1 => Err("AAC Main".to_owned()),
        3 => Err("AAC SSR".to_owned()),
        4 => Err("AAC LTP".to_owned()),
        23 => Err("AAC-LD".to_owned()),
        36 => Err("MPEG-4 ALS".to_owned()),
        39 => Err("AAC-ELD".to_owned()),
        42 => Err("xHE-AAC (USAC)".to_owned()),
        other => Err(format!("MPEG-4 audio of object type {other}")),
    }
}

/// A four-character code as people call it.
fn codec_name(code: [u8; 4]) -> String {
    let known = match &code {
        b"Opus" | b"opus" => "Opus",
        b"samr" => "AMR-NB",
        b"sawb" => "AMR-WB",
        b"sawp" => "AMR-WB+",
        b"aach" | b"aacp" => "HE-AAC",
        b"aacl" => "AAC-LD",
        b"aace" | b"aacf" => "AAC-ELD",
        b"aacg" | b"aacs" => "HE-AAC v2",
        b"usac" => "xHE-AAC (USAC)",
        b"ac-3" => "AC-3 (Dolby Digital)",
        b"ec-3" => "E-AC-3 (Dolby Digital Plus)",
        b"ac-4" => "AC-4",
        b"dtsc" | b"dtse" | b"dtsh" | b"dtsl" | b"dtsx" => "DTS",
        b"mha1" | b"mha2" | b"mhm1" | b"mhm2" => "MPEG-H 3D Audio",
        b"apac" => "Apple Positional Audio (APAC)",
        b"ima4" => "IMA ADPCM",
        b"MAC3" | b"MAC6" => "MACE",
        b"QDM2" | b"QDMC" => "QDesign Music",
        b"sqcp" | b"Qclp" => "QCELP",
        b"sevc" => "EVRC",
        b"drms" | b"enca" => "copy-protected AAC",
        b".mp1" => "MPEG layer I (MP1)",
        b".mp2" => "MPEG layer II (MP2)",
        b".mp3" => "MP3 in this container",
        _ => "",
    };
    if known.is_empty() { format!("the codec '{}'", code.escape_ascii()) } else { known.to_owned() }
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside symphonia.
pub(super) fn is_guarded() -> bool {
    GUARDED.get()
}

/// Decodes a file as planned.
///
/// # Errors
/// As [`super::read`].
pub(super) fn read(source: Source, path: &Path, config: (&ReadConfig, &Keep), plan: Plan) -> Result<Opened, Error> {
    // Symphonia's code is not ours to keep free of panics; a file that finds one must not take the program down.
    GUARDED.set(true);
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(source, path, config, plan)));
    GUARDED.set(false);
    decoded.unwrap_or_else(|_| Err(malformed(path, "the decoder failed on this file".to_owned())))
}

fn malformed(path: &Path, cause: String) -> Error {
    let remedy = "check that the recording plays elsewhere, and copy it from the phone again".to_owned();
    Error::Malformed { path: path.to_owned(), cause, remedy }
}

/// The temporary file of a long recording could not be written.
fn spool_failed(path: &Path, source: std::io::Error) -> Error {
    let told = format!(
        "its decoded sound could not be put aside on disk ({source}); make room, or set TMPDIR to another disk"
    );
    Error::Io { path: path.to_owned(), source: std::io::Error::new(source.kind(), told) }
}

/// What symphonia said, as an error of this program.
fn refused(path: &Path, plan: &Plan, error: SymphoniaError) -> Error {
    match error {
        SymphoniaError::Unsupported(what) => {
            refuse::unsupported(path, &format!("this kind of {} ({what})", plan.container))
        }
        SymphoniaError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            malformed(path, format!("the {} file ends before its sound begins", plan.container))
        }
        SymphoniaError::IoError(source) => Error::Io { path: path.to_owned(), source },
        other => malformed(path, other.to_string()),
    }
}

fn open(source: Source, reader: Reader) -> SymphoniaResult<Box<dyn FormatReader>> {
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    let options = FormatOptions::default();
    Ok(match reader {
        Reader::Mp4 => Box::new(formats::IsoMp4Reader::try_new(stream, options)?),
        Reader::Caf => Box::new(formats::CafReader::try_new(stream, options)?),
        Reader::Flac => Box::new(formats::FlacReader::try_new(stream, options)?),
        Reader::Mp3 => Box::new(formats::MpaReader::try_new(stream, options)?),
        Reader::Adts => Box::new(formats::AdtsReader::try_new(stream, options)?),
        Reader::Aiff => Box::new(formats::AiffReader::try_new(stream, options)?),
        Reader::Ogg => Box::new(formats::OggReader::try_new(stream, options)?),
    })
}

fn decode(
    mut source: Source,
    path: &Path,
    (config, keep): (&ReadConfig, &Keep),
    mut plan: Plan,
) -> Result<Opened, Error> {
    source.begin_at(0).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let budget = Budget::new(config, source.len());
    // A packet has at least one byte; an index may claim 2^32 of them.
    let max_packets = source.len();
    let mut tags = Tags::of_texts(std::mem::take(&mut plan.texts));
    std::mem::take(&mut source.id3).into_iter().for_each(|tag| tags.take_id3(tag));
    let mut reader = open(source, plan.reader).map_err(|error| refused(path, &plan, error))?;
    let track = match plan.track_id {
        Some(id) => reader.tracks().iter().find(|track| track.id == id),
        None => reader.default_track(TrackType::Audio),
    };
    let track = track.cloned().ok_or_else(|| malformed(path, "the file has no sound track".to_owned()))?;
    let parameters = track
        .codec_params
        .as_ref()
        .and_then(|parameters| parameters.audio())
        .cloned()
        .ok_or_else(|| refuse::unsupported(path, &format!("this kind of {}", plan.codec)))?;
    // MP3: symphonia estimates the length where no tag tells it, and would cut the sound there.
    let options = AudioDecoderOptions::default().gapless(plan.reader == Reader::Ogg).verify(true);
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(&parameters, &options)
        .map_err(|error| refused(path, &plan, error))?;

    // What the header promises, so that nobody waits for what will be refused.
    if let (Some(rate_hz), Some(channels)) = (parameters.sample_rate, &parameters.channels) {
        budget.check(path, plan.expected_len(&track), channels.count(), rate_hz)?;
    }
    let mut sound = Collector::new(path, &track, &parameters, plan.reader, budget, keep);
    let mut ended = run(reader.as_mut(), decoder.as_mut(), &track, max_packets, &mut sound)?;
    if ended.is_none() && plan.reader != Reader::Mp4 && sound.len() < plan.expected_len(&track) {
        ended = Some("the file ends before the sound that its header promises".to_owned());
    }
    let bits = plan.bits.or_else(|| {
        let bits = parameters.bits_per_sample.or(decoder.codec_params().bits_per_sample);
        bits.and_then(|bits| u16::try_from(bits).ok()).filter(|bits| *bits > 0 && plan.format != SampleFormat::Lossy)
    });
    let is_sound = sound.damage.is_empty() && ended.is_none();
    let checksum_failed = is_sound && decoder.finalize().verify_ok == Some(false);

    let mut warnings = plan.warnings.clone();
    let ranges = plan.cut.ranges(&track, sound.sample_rate_hz, sound.len());
    sound.tell_damage(ranges.first().map_or(0, |range| range.start), &mut warnings);
    if let Some(why) = ended {
        let end_s = sound.time_s(sound.len(), ranges.first().map_or(0, |range| range.start));
        warnings.push(Warning::Damaged { what: format!("{why} at {end_s:.2} s") });
    }
    if checksum_failed {
        let what = "the decoded sound does not match the checksum in the file".to_owned();
        warnings.push(Warning::Damaged { what });
    }
    tags.take_container(reader.as_mut());
    plan.date.into_iter().for_each(|date| tags.take_date(date));
    let source = SourceFormat {
        container: plan.container.to_owned(),
        codec: plan.codec,
        bits_per_sample: bits,
        sample_format: plan.format,
    };
    let source = aiff_float(source, &parameters, plan.reader);
    let about = About { source, warnings, metadata: tags.into_metadata() };
    let shape = (sound.sample_rate_hz, sound.samples.channel_len());
    let gathered = sound.samples.finish().map_err(|source| spool_failed(path, source))?;
    finish_gathered(path, shape, gathered, &ranges, about, config)
}

/// AIFF-C also holds floating point, which only its reader knows.
fn aiff_float(mut source: SourceFormat, parameters: &AudioCodecParameters, reader: Reader) -> SourceFormat {
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW};
    use symphonia::core::codecs::audio::well_known::{CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE};
    if reader == Reader::Aiff {
        if [CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F64BE].contains(&parameters.codec) {
            source.sample_format = SampleFormat::Float;
            source.bits_per_sample = Some(if parameters.codec == CODEC_ID_PCM_F32BE { 32 } else { 64 });
        } else if [CODEC_ID_PCM_ALAW, CODEC_ID_PCM_MULAW].contains(&parameters.codec) {
            source.sample_format = SampleFormat::Lossy;
            source.bits_per_sample = None;
            source.codec = if parameters.codec == CODEC_ID_PCM_ALAW { "A-law" } else { "µ-law" }.to_owned();
        }
    }
    source
}

/// Decodes packet after packet. Returns why the file ended early, if it did.
fn run(
    reader: &mut dyn FormatReader,
    decoder: &mut dyn AudioDecoder,
    track: &Track,
    max_packets: u64,
    sound: &mut Collector<'_>,
) -> Result<Option<String>, Error> {
    for _ in 0..max_packets {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track.id => packet,
            Ok(Some(_)) => continue,
            Ok(None) => return Ok(None),
            Err(SymphoniaError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => {
                return Ok(Some("the file ends in the middle of the sound".to_owned()));
            }
            Err(SymphoniaError::IoError(source)) => return Err(Error::Io { path: sound.path.to_owned(), source }),
            Err(SymphoniaError::ResetRequired) => {
                return Ok(Some("another recording follows in the same file and was left out".to_owned()));
            }
            Err(error) => return Ok(Some(format!("the file cannot be read further ({error})"))),
        };
        sound.catch_up(&packet)?;
        match decoder.decode(&packet) {
            Ok(buffer) => {
                if !sound.push(&packet, &buffer)? {
                    return Ok(Some("the rate or number of channels changes; the rest was left out".to_owned()));
                }
            }
            Err(SymphoniaError::DecodeError(_) | SymphoniaError::IoError(_)) => sound.lost(&packet)?,
            Err(SymphoniaError::ResetRequired) => {
                return Ok(Some("the rate or number of channels changes; the rest was left out".to_owned()));
            }
            Err(error) => return Ok(Some(format!("the sound cannot be decoded further ({error})"))),
        }
    }
    Ok(Some("the file claims more packets than it can hold".to_owned()))
}

/// Samples decoded so far, and the damage met.
struct Collector<'a> {
    path: &'a Path,
    reader: Reader,
    sample_rate_hz: u32,
    samples: Gather,
    scratch: Vec<Vec<f32>>,
    /// Seconds of one unit of packet time.
    unit_s: f64,
    /// Packet time of the first sample, once there is one. FLAC and Ogg count it in samples.
    first_pts: Option<i64>,
    /// Silence to put in front, where the first packets could not be decoded and the channels are not known yet.
    owed: u64,
    silence_left: u64,
    damage: Vec<Range<u64>>,
    budget: Budget,
}

impl<'a> Collector<'a> {
    fn new(
        path: &'a Path,
        track: &Track,
        parameters: &AudioCodecParameters,
        reader: Reader,
        budget: Budget,
        keep: &Keep,
    ) -> Self {
        let sample_rate_hz = parameters.sample_rate.unwrap_or(0);
        let unit_s = track.time_base.map_or(1.0 / f64::from(sample_rate_hz.max(1)), |base| {
            f64::from(base.numer.get()) / f64::from(base.denom.get())
        });
        Self {
            path,
            reader,
            sample_rate_hz,
            samples: Gather::new(keep),
            scratch: vec![],
            unit_s,
            first_pts: None,
            owed: 0,
            silence_left: MAX_SILENCE_S * u64::from(sample_rate_hz.min(crate::audio::MAX_SAMPLE_RATE_HZ)),
            damage: vec![],
            budget,
        }
    }

    fn len(&self) -> u64 {
        if self.samples.channel_len() == 0 { self.owed } else { self.samples.len() }
    }

    fn samples(&self, units: f64) -> u64 {
        // `as` saturates.
        (units * self.unit_s * f64::from(self.sample_rate_hz)).round() as u64
    }

    /// Puts silence where a packet's own position says that packets before it were lost.
    ///
    /// Only FLAC and Ogg carry positions that are exact; MP4's are durations, which phones write with jitter.
    fn catch_up(&mut self, packet: &Packet) -> Result<(), Error> {
        let Some(first) = self.first_pts.filter(|_| matches!(self.reader, Reader::Flac | Reader::Ogg)) else {
            return Ok(());
        };
        let due = self.samples(packet.pts.get().saturating_sub(first) as f64);
        match due.checked_sub(self.len()).filter(|missing| *missing > 0) {
            Some(missing) => self.silence(missing),
            None => Ok(()),
        }
    }

    /// A packet that could not be decoded: silence of its length.
    fn lost(&mut self, packet: &Packet) -> Result<(), Error> {
        let len = self.samples(packet.block_dur().get() as f64);
        self.silence(len)
    }

    fn silence(&mut self, len: u64) -> Result<(), Error> {
        let start = self.len();
        let len = len.min(self.silence_left);
        self.silence_left -= len;
        if self.samples.channel_len() == 0 {
            self.owed += len;
        }
        self.samples.silence(len).map_err(|source| spool_failed(self.path, source))?;
        match self.damage.last_mut() {
            Some(last) if last.end >= start => last.end = start + len,
            _ => self.damage.push(start..start + len),
        }
        Ok(())
    }

    /// Takes decoded samples in; `false` where they are of another kind than those before.
    fn push(&mut self, packet: &Packet, buffer: &GenericAudioBufferRef<'_>) -> Result<bool, Error> {
        let rate_hz = buffer.spec().rate();
        let planes = buffer.num_planes();
        if buffer.frames() == 0 {
            return Ok(true);
        }
        if self.samples.channel_len() == 0 {
            check_shape(self.path, rate_hz, planes)?;
            self.sample_rate_hz = rate_hz;
            self.samples.begin(planes, self.owed).map_err(|source| spool_failed(self.path, source))?;
            let shown_pts = packet.pts.saturating_add(packet.trim_start).get();
            self.first_pts = Some(shown_pts.saturating_sub(i64::try_from(self.owed).unwrap_or(i64::MAX)));
        } else if rate_hz != self.sample_rate_hz || planes != self.samples.channel_len() {
            return Ok(false);
        }
        let frame_len = self.len().saturating_add(buffer.frames() as u64);
        self.budget.check(self.path, frame_len, planes, rate_hz)?;
        buffer.copy_to_vecs_planar::<f32>(&mut self.scratch);
        self.samples.extend(&self.scratch).map_err(|source| spool_failed(self.path, source))?;
        Ok(true)
    }

    fn time_s(&self, sample: u64, start: u64) -> f64 {
        sample.saturating_sub(start) as f64 / f64::from(self.sample_rate_hz.max(1))
    }

    fn tell_damage(&self, start: u64, warnings: &mut Vec<Warning>) {
        for range in self.damage.iter().take(MAX_DAMAGE_TOLD) {
            let (from_s, to_s) = (self.time_s(range.start, start), self.time_s(range.end, start));
            let what = format!("the file is damaged: silence from {from_s:.2} s to {to_s:.2} s");
            warnings.push(Warning::Damaged { what });
        }
        if let Some(rest) = self.damage.len().checked_sub(MAX_DAMAGE_TOLD).filter(|rest| *rest > 0) {
            warnings.push(Warning::Damaged { what: format!("the file is damaged at {rest} more places") });
        }
    }
}

impl Cut {
    /// The ranges to keep, in samples, each within `0..decoded_len`.
    fn ranges(&self, track: &Track, sample_rate_hz: u32, decoded_len: u64) -> Vec<Range<u64>> {
        let within = |start: u64, len: Option<u64>| {
            let end = len.map_or(decoded_len, |len| start.saturating_add(len));
            start.min(decoded_len)..end.min(decoded_len)
        };
        match self {
            Self::All => vec![within(0, None)],
            Self::Range { start, len } => vec![within(*start, *len)],
            Self::LameTag => match (track.delay, track.num_frames) {
                (Some(delay), len) => vec![within(u64::from(delay), len)],
                (None, _) => vec![within(0, None)],
            },
            Self::Media { ranges, timescale } => {
                let samples = |media: u64| samples_of(media, *timescale, sample_rate_hz);
                let cut = |&(start, end): &(u64, Option<u64>)| {
                    let start = samples(start);
                    within(start, end.map(|end| samples(end).saturating_sub(start)))
                };
                ranges.iter().map(cut).collect()
            }
            Self::Tail { media_len, timescale } => {
                let end = samples_of(*media_len, *timescale, sample_rate_hz);
                let is_near = end <= decoded_len && decoded_len - end <= MAX_PACKET_FRAMES;
                vec![within(0, is_near.then_some(end))]
            }
        }
    }
}

/// Media time in samples, rounded.
fn samples_of(media: u64, timescale: u32, sample_rate_hz: u32) -> u64 {
    let scale = u128::from(timescale.max(1));
    let scaled = (u128::from(media) * u128::from(sample_rate_hz) + scale / 2) / scale;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

pub(super) fn keep(mut channel: Vec<f32>, ranges: &[Range<u64>]) -> Vec<f32> {
    let slice = |range: &Range<u64>| range.start as usize..range.end as usize;
    match ranges {
        [only] => {
            channel.truncate(only.end as usize);
            channel.drain(..(only.start as usize).min(channel.len()));
            channel
        }
        many => many.iter().filter_map(|range| channel.get(slice(range))).flatten().copied().collect(),
    }
}
