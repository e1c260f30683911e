//! What an MP4/MOV file says about its sound tracks that symphonia does not pass on: the edit list, the codec's
//! profile, and Apple's gapless tag.
//!
//! A bounded walk over boxes: nothing is allocated from a size field, no box is visited twice, depth and number of boxes
//! are limited. Source: ISO/IEC 14496-12 (boxes, `elst`), 14496-1 (descriptors), 14496-3 1.6 (AudioSpecificConfig),
//! Apple, "Gapless iTunes AAC" (iTunSMPB).

use super::source::{Source, field};
use crate::error::Error;
use std::path::Path;

/// Boxes that are visited in one file. A video of ten hours in fragments of a second has 72 000 at the top.
const MAX_BOXES: usize = 200_000;
/// Deepest nesting that is followed: moov/trak/mdia/minf/stbl/stsd is 6.
const MAX_DEPTH: usize = 8;
/// Longest payload that is read whole: `elst`, `stsd` and tags are far shorter.
const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// Edits that are read; recorders write one or two.
const MAX_EDITS: usize = 1024;
/// Entries of the time-to-sample table that are summed, 8 bytes each.
const MAX_STTS_BYTES: usize = 8 << 20;

/// One entry of an edit list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// Length in movie time units; 0 means to the end.
    pub(super) duration: u64,
    /// First sample shown, in media time units; negative for an empty edit (silence).
    pub(super) media_time: i64,
}

/// One track.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Track {
    pub(super) id: u32,
    /// `soun`, `vide`, ...
    pub(super) handler: [u8; 4],
    /// Four-character code of the first sample entry, e.g. `mp4a`.
    pub(super) codec: [u8; 4],
    /// Sample rate of the sample entry, in Hz.
    pub(super) sample_rate_hz: u32,
    /// Bits of the sample entry.
    pub(super) bits: u16,
    /// ObjectTypeIndication of the `esds`: 0x40 is MPEG-4 audio.
    pub(super) object_type: Option<u8>,
    /// AudioSpecificConfig.
    pub(super) config: Option<AudioConfig>,
    pub(super) media_timescale: u32,
    /// Sum of all sample durations, in media time units; 0 where the track is fragmented.
    pub(super) media_len: u64,
    pub(super) edits: Vec<Edit>,
}

/// The part of an AudioSpecificConfig that decides whether the stream is plain AAC-LC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct AudioConfig {
    /// Audio object type: 2 is LC, 5 SBR, 29 PS, 42 USAC.
    pub(super) object_type: u32,
    /// Core rate in Hz; 0 where unknown.
    pub(super) sample_rate_hz: u32,
    /// Channel configuration, 0 where a program config element follows.
    pub(super) channel_config: u32,
    /// Spectral band replication is signalled, either way.
    pub(super) has_sbr: bool,
}

/// Gapless numbers of iTunSMPB, in samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gapless {
    pub(super) delay: u64,
    pub(super) len: u64,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Movie {
    pub(super) has_ftyp: bool,
    has_moov: bool,
    /// A table claims more packets than the file has bytes.
    is_overfull: bool,
    pub(super) movie_timescale: u32,
    /// Seconds since 1904 at which the recording was made; 0 where it is not told.
    created_s: u64,
    pub(super) tracks: Vec<Track>,
    pub(super) itunes: Option<Gapless>,
    /// Where the last box would end, if the file ends before it does.
    pub(super) claimed_len: Option<u64>,
}

/// Reads the index of an MP4/MOV file.
///
/// # Errors
/// [`Error::Malformed`] where there is no index (a recording that was never finished), [`Error::Io`].
pub(super) fn read(source: &mut Source, path: &Path) -> Result<Movie, Error> {
    let len = source.len();
    let mut walk = Walk { source, movie: Movie::default(), boxes_left: MAX_BOXES };
    walk.boxes(0, len, 0).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    if !walk.movie.has_moov {
        return Err(Error::Malformed {
            path: path.to_owned(),
            cause: "the recording was not finished: its index (the moov box) is missing".to_owned(),
            remedy: "copy it from the phone again, or rebuild the index with a tool such as untrunc".to_owned(),
        });
    }
    if walk.movie.is_overfull {
        // Symphonia counts through such a claim one by one: a file of a kilobyte could keep it busy for minutes.
        return Err(Error::Malformed {
            path: path.to_owned(),
            cause: "its index claims more packets than the file has bytes".to_owned(),
            remedy: "copy it from the phone again".to_owned(),
        });
    }
    Ok(walk.movie)
}

/// Days from 1904-01-01 to 1970-01-01: 66 years, 17 of them leap years.
const DAYS_TO_1970: u64 = 66 * 365 + 17;
/// Dates before 2000 are counters that began at 0 or times in another epoch; those from 2200 on are nonsense.
const PLAUSIBLE_YEARS: std::ops::Range<u64> = 2000..2200;

impl Movie {
    /// Day on which the recording was made, as `YYYY-MM-DD` in universal time.
    pub(super) fn date(&self) -> Option<String> {
        let mut days = (self.created_s / 86_400).checked_sub(DAYS_TO_1970)?;
        let mut year = 1970u64;
        let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
        while year < PLAUSIBLE_YEARS.end && days >= 365 + u64::from(is_leap(year)) {
            days -= 365 + u64::from(is_leap(year));
            year += 1;
        }
        if !PLAUSIBLE_YEARS.contains(&year) {
            return None;
        }
        let february = 28 + u64::from(is_leap(year));
        let mut month = 1;
        for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            if days < len {
                break;
            }
            days -= len;
            month += 1;
        }
        Some(format!("{year}-{month:02}-{:02}", days + 1))
    }
}

struct Walk<'a> {
    source: &'a mut Source,
    movie: Movie,
    boxes_left: usize,
}

impl Walk<'_> {
    /// Visits the boxes that fill `start..end`. A box that claims more than its parent holds ends the walk there.
    fn boxes(&mut self, start: u64, end: u64, depth: usize) -> std::io::Result<()> {
        let mut at = start;
        while at.checked_add(8).is_some_and(|header_end| header_end <= end) && self.boxes_left > 0 {
            self.boxes_left -= 1;
            let header = self.source.read_at(at, 16)?;
            let (Some(short), Some(kind)) = (field::u32_be(&header, 0), field::bytes::<4>(&header, 4)) else { break };
            let (header_len, len) = match short {
                0 => (8, end - at),
                1 => (16, field::u64_be(&header, 8).unwrap_or(0)),
                _ => (8, u64::from(short)),
            };
            if len < header_len {
                break;
            }
            let box_end = at.saturating_add(len);
            let whole = box_end <= end;
            // A truncated mdat is normal for a copy that stopped; a truncated table is not read.
            if whole || kind == *b"moov" {
                self.visit(kind, at + header_len, box_end.min(end), depth)?;
            }
            if !whole {
                if depth == 0 {
                    self.movie.claimed_len = Some(box_end);
                }
                break;
            }
            at = box_end;
        }
        Ok(())
    }

    fn visit(&mut self, kind: [u8; 4], start: u64, end: u64, depth: usize) -> std::io::Result<()> {
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        match &kind {
            b"moov" => {
                self.movie.has_moov = true;
                self.boxes(start, end, depth + 1)?;
            }
            b"trak" => {
                self.movie.tracks.push(Track::default());
                self.boxes(start, end, depth + 1)?;
            }
            b"edts" | b"mdia" | b"minf" | b"stbl" | b"udta" | b"ilst" | b"moof" | b"traf" => {
                self.boxes(start, end, depth + 1)?
            }
            b"meta" => {
                // A full box in MP4, a plain one in QuickTime.
                let peek = self.source.read_at(start, 8)?;
                let plain = field::bytes::<4>(&peek, 4) == Some(*b"hdlr");
                self.boxes(if plain { start } else { start.saturating_add(4) }, end, depth + 1)?;
            }
            b"----" => {
                let payload = self.payload(start, end, MAX_PAYLOAD_BYTES)?;
                self.movie.itunes = itunes_gapless(&payload).or(self.movie.itunes);
            }
            b"ftyp" => self.movie.has_ftyp = true,
            b"mvhd" => {
                let payload = self.payload(start, end, 32)?;
                self.movie.movie_timescale = timescale(&payload).unwrap_or(0);
                self.movie.created_s = match payload.first() {
                    Some(&1) => field::u64_be(&payload, 4),
                    _ => field::u32_be(&payload, 4).map(u64::from),
                }
                .unwrap_or(0);
            }
            b"trun" | b"stsz" => {
                let payload = self.payload(start, end, 16)?;
                let count = field::u32_be(&payload, if kind == *b"trun" { 4 } else { 8 }).unwrap_or(0);
                self.movie.is_overfull |= u64::from(count) > self.source.len();
            }
            b"tkhd" | b"mdhd" | b"hdlr" | b"elst" | b"stsd" | b"stts" => {
                let limit = if kind == *b"stts" { MAX_STTS_BYTES } else { MAX_PAYLOAD_BYTES };
                let payload = self.payload(start, end, limit)?;
                if kind == *b"stts" {
                    let entries = payload.get(8..).unwrap_or_default().chunks_exact(8);
                    let count: u64 = entries.filter_map(|entry| field::u32_be(entry, 0)).map(u64::from).sum();
                    self.movie.is_overfull |= count > self.source.len();
                }
                if let Some(track) = self.movie.tracks.last_mut() {
                    track.take(kind, &payload);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn payload(&mut self, start: u64, end: u64, limit: usize) -> std::io::Result<Vec<u8>> {
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX).min(limit);
        self.source.read_at(start, len)
    }
}

impl Track {
    /// Whether it is sound, and says how it is coded.
    pub(super) fn is_coded_sound(&self) -> bool {
        self.handler == *b"soun" && self.codec != [0; 4]
    }

    /// Takes one box's payload in; fields beyond its end stay as they were.
    fn take(&mut self, kind: [u8; 4], payload: &[u8]) {
        let version_1 = payload.first() == Some(&1);
        match &kind {
            b"tkhd" => self.id = field::u32_be(payload, if version_1 { 20 } else { 12 }).unwrap_or(self.id),
            b"mdhd" => self.media_timescale = timescale(payload).unwrap_or(0),
            // QuickTime has a second `hdlr` in `minf`, for the data; the media's comes first.
            b"hdlr" if self.handler == [0; 4] => self.handler = field::bytes(payload, 8).unwrap_or_default(),
            b"elst" => self.edits = edits(payload),
            b"stts" => {
                let entries = payload.get(8..).unwrap_or_default().chunks_exact(8);
                self.media_len = entries.fold(0u64, |sum, entry| {
                    let count = u64::from(field::u32_be(entry, 0).unwrap_or(0));
                    let delta = u64::from(field::u32_be(entry, 4).unwrap_or(0));
                    sum.saturating_add(count.saturating_mul(delta))
                });
            }
            b"stsd" => self.sample_entry(payload.get(8..).unwrap_or_default()),
            _ => {}
        }
    }

    /// AudioSampleEntry, with QuickTime's two longer versions.
    fn sample_entry(&mut self, entry: &[u8]) {
        let Some(codec) = field::bytes(entry, 4) else { return };
        let end = field::u32_be(entry, 0).map_or(entry.len(), |len| entry.len().min(len as usize));
        let entry = entry.get(..end).unwrap_or_default();
        self.codec = codec;
        self.bits = field::u16_be(entry, 26).unwrap_or(0);
        self.sample_rate_hz = field::u32_be(entry, 32).unwrap_or(0) >> 16;
        let extensions = match field::u16_be(entry, 16) {
            Some(1) => 36 + 16,
            Some(2) => {
                let rate = field::bytes(entry, 40).map_or(0.0, f64::from_be_bytes);
                // `as` saturates, and NaN becomes 0: an absurd rate stays absurd.
                self.sample_rate_hz = rate as u32;
                36 + 36
            }
            _ => 36,
        };
        if let Some(esds) = find_box(entry.get(extensions..).unwrap_or_default(), *b"esds", 2) {
            let (object_type, config) = decoder_config(esds.get(4..).unwrap_or_default());
            self.object_type = object_type;
            self.config = config;
        }
    }
}

/// Time scale of an `mvhd` or `mdhd`.
fn timescale(payload: &[u8]) -> Option<u32> {
    field::u32_be(payload, if payload.first() == Some(&1) { 20 } else { 12 })
}

fn edits(payload: &[u8]) -> Vec<Edit> {
    let count = field::u32_be(payload, 4).unwrap_or(0) as usize;
    let entries = payload.get(8..).unwrap_or_default();
    let edit = |entry: &[u8]| {
        Some(if payload.first() == Some(&1) {
            Edit { duration: field::u64_be(entry, 0)?, media_time: i64::from_be_bytes(field::bytes(entry, 8)?) }
        } else {
            Edit {
                duration: u64::from(field::u32_be(entry, 0)?),
                media_time: i64::from(i32::from_be_bytes(field::bytes(entry, 4)?)),
            }
        })
    };
    let entry_len = if payload.first() == Some(&1) { 20 } else { 12 };
    entries.chunks_exact(entry_len).take(count.min(MAX_EDITS)).filter_map(edit).collect()
}

/// Finds a box among siblings, or inside QuickTime's `wave`.
fn find_box(mut data: &[u8], wanted: [u8; 4], depth: usize) -> Option<&[u8]> {
    if depth == 0 {
        return None;
    }
    loop {
        let len = (field::u32_be(data, 0)? as usize).min(data.len());
        let kind = field::bytes::<4>(data, 4)?;
        let payload = data.get(8..len)?;
        if kind == wanted {
            return Some(payload);
        }
        if kind == *b"wave"
            && let Some(found) = find_box(payload, wanted, depth - 1)
        {
            return Some(found);
        }
        data = data.get(len..)?;
    }
}

/// ObjectTypeIndication and AudioSpecificConfig out of an ES_Descriptor (ISO/IEC 14496-1 7.2.6).
fn decoder_config(descriptors: &[u8]) -> (Option<u8>, Option<AudioConfig>) {
    const ES: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    let Some((ES, es)) = descriptor(descriptors) else { return (None, None) };
    let flags = es.get(2).copied().unwrap_or(0);
    let mut skip = 3;
    if flags & 0x80 != 0 {
        skip += 2;
    }
    if flags & 0x40 != 0 {
        skip += 1 + usize::from(es.get(skip).copied().unwrap_or(0));
    }
    if flags & 0x20 != 0 {
        skip += 2;
    }
    let Some((DECODER_CONFIG, config)) = descriptor(es.get(skip..).unwrap_or_default()) else { return (None, None) };
    let specific = match descriptor(config.get(13..).unwrap_or_default()) {
        Some((DECODER_SPECIFIC, specific)) => audio_config(specific),
        _ => None,
    };
    (config.first().copied(), specific)
}

/// Tag and payload of one descriptor; its length is written in up to four groups of seven bits.
fn descriptor(data: &[u8]) -> Option<(u8, &[u8])> {
    let tag = *data.first()?;
    let mut len = 0usize;
    for (i, byte) in data.get(1..)?.iter().take(4).enumerate() {
        len = len << 7 | usize::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            let payload = data.get(2 + i..)?;
            return Some((tag, payload.get(..len.min(payload.len()))?));
        }
    }
    None
}

/// AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1), as far as the signalling of SBR.
pub(super) fn audio_config(data: &[u8]) -> Option<AudioConfig> {
    let mut bits = Bits { data, at: 0 };
    let mut object_type = bits.object_type()?;
    let mut sample_rate_hz = bits.rate_hz()?;
    let channel_config = bits.take(4)?;
    let mut has_sbr = false;
    let hierarchical = matches!(object_type, 5 | 29);
    let signalled = object_type;
    if hierarchical {
        has_sbr = true;
        sample_rate_hz = bits.rate_hz().unwrap_or(sample_rate_hz);
        object_type = bits.object_type().unwrap_or(object_type);
    }
    if object_type == 2 && !hierarchical {
        // GASpecificConfig, then perhaps the backward-compatible extension: sync 0x2b7, type 5, flag.
        let _frame_length = bits.take(1)?;
        if bits.take(1)? == 1 {
            bits.take(14)?;
        }
        bits.take(1)?;
        if channel_config != 0 && bits.take(11) == Some(0x2b7) && bits.object_type() == Some(5) {
            has_sbr = bits.take(1) == Some(1);
        }
    }
    let object_type = if hierarchical { signalled } else { object_type };
    Some(AudioConfig { object_type, sample_rate_hz, channel_config, has_sbr })
}

struct Bits<'a> {
    data: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            short => Some(short),
        }
    }

    fn rate_hz(&mut self) -> Option<u32> {
        const RATES_HZ: [u32; 13] =
            [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
        match self.take(4)? {
            15 => self.take(24),
            index => Some(RATES_HZ.get(index as usize).copied().unwrap_or(0)),
        }
    }
}

/// `mean`, `name` and `data` boxes of a free-form tag: delay, padding and length stand as hexadecimal words 2 to 4.
fn itunes_gapless(payload: &[u8]) -> Option<Gapless> {
    let name = find_box(payload, *b"name", 1)?;
    if name.get(4..)? != b"iTunSMPB" {
        return None;
    }
    let text = find_box(payload, *b"data", 1)?.get(8..)?;
    let text = std::str::from_utf8(text).ok()?;
    let mut words = text.split_ascii_whitespace().skip(1).map(|word| u64::from_str_radix(word, 16).ok());
    let delay = words.next()??;
    let _padding = words.next()??;
    let len = words.next()??;
    (len > 0).then_some(Gapless { delay, len })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_configs_tell_lc_from_high_efficiency() {
        // LC, 48 kHz, mono, as in the shipped recordings.
        let lc = audio_config(&[0x11, 0x88]);
        let expected = AudioConfig { object_type: 2, sample_rate_hz: 48_000, channel_config: 1, has_sbr: false };
        assert_eq!(lc, Some(expected));
        // Hierarchical SBR: type 5, core 24 kHz (index 6), stereo, extension 48 kHz (3), then type 2.
        let he = audio_config(&[0x2b, 0x11, 0x88, 0x00]);
        assert!(matches!(he, Some(AudioConfig { object_type: 5, has_sbr: true, .. })), "{he:?}");
        // Backward compatible: LC core, then sync 0x2b7, type 5, flag 1.
        let sync = audio_config(&[0x13, 0x10, 0x56, 0xe5, 0x98]);
        assert!(matches!(sync, Some(AudioConfig { object_type: 2, has_sbr: true, .. })), "{sync:?}");
        assert_eq!(audio_config(&[]), None);
        assert_eq!(audio_config(&[0x11]), None);
    }

    #[test]
    fn edit_lists_of_both_versions_are_read_and_never_beyond_their_end() {
        let v0 = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xaf, 0xc8, 0, 0, 4, 0, 0, 1, 0, 0];
        assert_eq!(edits(&v0), [Edit { duration: 45_000, media_time: 1024 }]);
        let mut v1 = vec![1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        v1.extend(7u64.to_be_bytes());
        v1.extend((-1i64).to_be_bytes());
        v1.extend([0, 1, 0, 0]);
        assert_eq!(edits(&v1), [Edit { duration: 7, media_time: -1 }]);
        assert!(edits(&v1[..20]).is_empty());
    }

    #[test]
    fn the_day_of_a_recording_is_that_of_the_calendar() {
        let date = |created_s: u64| Movie { created_s, ..Movie::default() }.date();
        // 2082844800 s lie between 1904 and 1970 (RFC 868 has 2208988800 from 1900); the rest are Unix times.
        let unix = |s: u64| date(2_082_844_800 + s);
        assert_eq!(unix(951_782_400).as_deref(), Some("2000-02-29"));
        assert_eq!(unix(951_868_800).as_deref(), Some("2000-03-01"));
        assert_eq!(unix(1_735_689_599).as_deref(), Some("2024-12-31"));
        assert_eq!(unix(1_735_689_600).as_deref(), Some("2025-01-01"));
        assert_eq!((date(0), date(1), unix(0), date(u64::MAX)), (None, None, None, None));
    }

    #[test]
    fn the_itunes_tag_gives_delay_and_length() {
        let boxed = |kind: &[u8], payload: &[u8]| {
            let mut out = (payload.len() as u32 + 8).to_be_bytes().to_vec();
            out.extend(kind);
            out.extend(payload);
            out
        };
        let mut tag = boxed(b"mean", b"\0\0\0\0com.apple.iTunes");
        tag.extend(boxed(b"name", b"\0\0\0\0iTunSMPB"));
        let text = b"\0\0\0\x01\0\0\0\0 00000000 00000840 000001CA 00000000003F31F6 00000000";
        tag.extend(boxed(b"data", text));
        assert_eq!(itunes_gapless(&tag), Some(Gapless { delay: 2112, len: 0x3f31f6 }));
        assert_eq!(itunes_gapless(&tag[..60]), None);
    }
}
