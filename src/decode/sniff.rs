//! What a file is, from its bytes alone.
//!
//! Symphonia's own probe takes unknown formats for MPEG audio, so a stream without a magic number (MP3, ADTS) is only
//! believed when several of its frames follow each other as their headers say.

use super::mpeg;
use super::source::Source;
use std::io;

/// What was recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Wave64,
    Mp4,
    Caf,
    Flac,
    Mp3,
    Adts,
    Aiff,
    OggVorbis,
    OggFlac,
    /// Known, by this name, but not read.
    Refused(&'static str),
    /// Not known; why, in one sentence.
    Unknown(&'static str),
}

/// Bytes that are looked at. A frame-based stream must begin within them.
const WINDOW_BYTES: usize = 64 * 1024;
/// ID3v2 tags in a row that are skipped: more than one occurs, many do not.
const MAX_ID3_TAGS: usize = 4;
/// Largest ID3v2 tag that is read and not only skipped; a cover picture is a few million bytes.
const MAX_ID3_BYTES: u64 = 16 << 20;

/// Recognises a file, and moves the source's beginning past any ID3v2 tag.
pub(super) fn sniff(source: &mut Source) -> io::Result<Container> {
    let mut head = source.read_at(0, WINDOW_BYTES)?;
    for _ in 0..MAX_ID3_TAGS {
        let Some(tag_len) = id3v2_len(&head) else { break };
        if tag_len <= MAX_ID3_BYTES {
            let tag = source.read_at(0, tag_len as usize)?;
            source.id3.push(tag);
        }
        source.begin_at(tag_len)?;
        head = source.read_at(0, WINDOW_BYTES)?;
    }
    let found = from_magic(&head).unwrap_or_else(|| from_frames(&head, source.len()));
    if let Container::Mp3 | Container::Adts = found {
        let start = if found == Container::Mp3 { mpeg::mp3_start(&head) } else { mpeg::adts_start(&head) };
        source.begin_at(start.unwrap_or(0) as u64)?;
    } else {
        source.begin_at(0)?;
    }
    Ok(found)
}

/// Length of the ID3v2 tag that the bytes begin with: 10 bytes of header and a size of four times seven bits.
fn id3v2_len(head: &[u8]) -> Option<u64> {
    let &[b'I', b'D', b'3', major, _, flags, a, b, c, d, ..] = head else { return None };
    if major == 0xff || (a | b | c | d) & 0x80 != 0 {
        return None;
    }
    let body = [a, b, c, d].iter().fold(0u64, |size, byte| size << 7 | u64::from(*byte));
    let footer = if flags & 0x10 != 0 { 10 } else { 0 };
    Some(10 + body + footer)
}

fn from_magic(head: &[u8]) -> Option<Container> {
    use Container::{Refused, Unknown};
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let refused: &[(&[u8], &'static str)] = &[
        (b"#!AMR-WB", "AMR-WB"),
        (b"#!AMR", "AMR-NB"),
        (b"#!SILK_V3", "SILK"),
        (b"\x02#!SILK_V3", "SILK"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA (Windows Media)"),
        (b"\x1a\x45\xdf\xa3", "Matroska/WebM"),
        (b"\x0b\x77", "AC-3 (Dolby Digital)"),
        (b"\x7f\xfe\x80\x01", "DTS"),
        (b"wvpk", "WavPack"),
        (b"MAC ", "Monkey's Audio"),
        (b"TTA1", "True Audio (TTA)"),
        (b"MPCK", "Musepack"),
        (b"MP+", "Musepack"),
        (b"DSD ", "DSD (DSF)"),
        (b"FRM8", "DSD (DFF)"),
        (b".snd", "Sun/NeXT audio (AU)"),
        (b".RMF", "RealAudio"),
        (b".ra\xfd", "RealAudio"),
        (b"FLV\x01", "Flash video"),
        (b"\x00\x00\x01\xba", "an MPEG program stream"),
        (b"Creative Voice File", "Creative Voice (VOC)"),
        (b"OFR ", "OptimFROG"),
        (b"MThd", "MIDI (notes, no sound)"),
    ];
    if let Some((_, name)) = refused.iter().find(|(magic, _)| at(0, magic)) {
        return Some(Refused(name));
    }
    if at(0, b"RIFF") || at(0, b"RIFX") || at(0, b"RF64") || at(0, b"BW64") {
        return Some(match (head.get(..4), head.get(8..12)) {
            (Some(b"RIFF" | b"RF64" | b"BW64"), Some(b"WAVE")) => Container::Wav,
            (Some(b"RIFX"), Some(b"WAVE")) => Refused("big-endian WAV (RIFX)"),
            (_, Some(b"AVI ")) => Refused("AVI"),
            (_, Some(_)) => Unknown("this is a RIFF file, but holds no sound"),
            _ => Unknown("the file ends within its first twelve bytes"),
        });
    }
    if at(0, b"riff\x2e\x91\xcf\x11") {
        return Some(Container::Wave64);
    }
    if at(0, b"FORM") {
        return Some(match head.get(8..12) {
            Some(b"AIFF" | b"AIFC") => Container::Aiff,
            Some(b"8SVX") => Refused("Amiga 8SVX"),
            Some(_) => Unknown("this is an IFF file, but holds no sound"),
            None => Unknown("the file ends within its first twelve bytes"),
        });
    }
    if at(0, b"fLaC") {
        return Some(Container::Flac);
    }
    if at(0, b"caff") {
        return Some(Container::Caf);
    }
    if at(0, b"OggS") {
        return Some(from_ogg(head));
    }
    // The first box of an MP4 is `ftyp`; old QuickTime files begin with one of the others.
    if head.get(4..8).is_some_and(|kind| matches!(kind, b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip")) {
        return Some(Container::Mp4);
    }
    let sync = |offset: usize| head.get(offset) == Some(&0x47);
    if sync(0) && sync(188) && sync(376) && sync(564) {
        return Some(Refused("an MPEG transport stream"));
    }
    let documents: &[(&[u8], &'static str)] = &[
        (b"%PDF", "this is a PDF document, not a recording"),
        (b"PK\x03\x04", "this is a ZIP archive, not a recording: unpack it first"),
        (b"\x1f\x8b", "this is a gzip archive, not a recording: unpack it first"),
        (b"\x89PNG", "this is a picture, not a recording"),
        (b"\xff\xd8\xff", "this is a picture, not a recording"),
        (b"GIF8", "this is a picture, not a recording"),
        (b"\x7fELF", "this is a program, not a recording"),
    ];
    documents.iter().find(|(magic, _)| at(0, magic)).map(|(_, what)| Unknown(what))
}

/// The codec of an Ogg file: its streams' first packets stand in the first pages.
fn from_ogg(head: &[u8]) -> Container {
    let has = |magic: &[u8]| head.windows(magic.len()).any(|window| window == magic);
    if has(b"\x01vorbis") {
        Container::OggVorbis
    } else if has(b"OpusHead") {
        Container::Refused("Opus")
    } else if has(b"\x7fFLAC") {
        Container::OggFlac
    } else if has(b"Speex   ") {
        Container::Refused("Speex")
    } else {
        Container::Refused("this kind of Ogg file")
    }
}

/// Streams without a magic number, and what is left.
fn from_frames(head: &[u8], file_len: u64) -> Container {
    if head.is_empty() {
        return Container::Unknown("the file is empty");
    }
    if mpeg::adts_start(head).is_some() {
        return Container::Adts;
    }
    match mpeg::first_frames(head) {
        Some((mpeg::Layer::Three, _)) => return Container::Mp3,
        Some((mpeg::Layer::Two, _)) => return Container::Refused("MPEG layer II (MP2)"),
        Some((mpeg::Layer::One, _)) => return Container::Refused("MPEG layer I (MP1)"),
        None => {}
    }
    if let &[0x56, second, ..] = head
        && second & 0xe0 == 0xe0
    {
        return Container::Refused("AAC in LATM/LOAS");
    }
    let text = head.iter().take(512).all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..=0xff));
    if text {
        return Container::Unknown("this looks like text, not like a recording");
    }
    if file_len < 12 {
        return Container::Unknown("the file is too short for a recording");
    }
    Container::Unknown("the file is of no known kind")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Container {
        sniff(&mut Source::from_bytes(bytes.to_vec())).unwrap_or(Container::Unknown("unreadable"))
    }

    #[test]
    fn magic_numbers_name_their_formats() {
        assert_eq!(of(b"RIFF\0\0\0\0WAVEfmt "), Container::Wav);
        assert_eq!(of(b"RF64\xff\xff\xff\xffWAVEds64"), Container::Wav);
        assert_eq!(of(b"FORM\0\0\0\0AIFCFVER"), Container::Aiff);
        assert_eq!(of(b"\0\0\0\x18ftypM4A "), Container::Mp4);
        assert_eq!(of(b"#!AMR\n\x3c"), Container::Refused("AMR-NB"));
        assert_eq!(of(b"#!AMR-WB\n"), Container::Refused("AMR-WB"));
        assert_eq!(of(b"ID3\x04\0\0\0\0\0\x02xxfLaC\0\0\0\x22"), Container::Flac);
    }

    #[test]
    fn what_is_no_recording_is_said_in_words() {
        assert_eq!(of(b""), Container::Unknown("the file is empty"));
        assert_eq!(of(b"Dear diary,\n"), Container::Unknown("this looks like text, not like a recording"));
        assert_eq!(of(&[0; 400]), Container::Unknown("the file is of no known kind"));
        // A single MPEG sync word is no evidence: symphonia's probe would take this for MP1.
        let mut noise = vec![0x01; 5000];
        noise[100..104].copy_from_slice(&[0xff, 0xfb, 0x90, 0x64]);
        assert_eq!(of(&noise), Container::Unknown("the file is of no known kind"));
    }
}
