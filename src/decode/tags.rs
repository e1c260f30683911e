//! Tags of MP4, MP3, FLAC, Ogg and AIFF files, as the entries of a RIFF `LIST INFO` chunk.
//!
//! Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0", INFO list; `ITRK` and `IMUS` as
//! programs write them since.

use crate::metadata::Metadata;
use symphonia::core::formats::FormatReader;
use symphonia::core::io::{MediaSourceStream, MediaSourceStreamOptions};
use symphonia::core::meta::{MetadataOptions, MetadataReader, MetadataRevision, RawValue, StandardTag, Tag};

/// Longest text of one tag, in bytes; lyrics have some thousand.
const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Tags that are looked at; files have about ten.
const MAX_TAGS: usize = 1000;
/// Tags about the encoder's delay and the level, which are no longer true or were used already.
const SPENT: [&str; 3] = ["iTunSMPB", "iTunNORM", "REPLAYGAIN"];

/// What was collected: entries with a code of their own, and lines for the comment.
#[derive(Debug, Default)]
pub(super) struct Tags {
    entries: Vec<([u8; 4], String)>,
    lines: Vec<String>,
    /// Whether AIFF's own texts were read otherwise.
    has_texts: bool,
}

impl Tags {
    /// An ID3v2 tag that stood in front of the stream.
    pub(super) fn take_id3(&mut self, tag: Vec<u8>) {
        let stream = MediaSourceStream::new(Box::new(std::io::Cursor::new(tag)), MediaSourceStreamOptions::default());
        let read = symphonia::default::meta::Id3v2Reader::try_new(stream, MetadataOptions::default())
            .and_then(|mut reader| reader.read_all());
        if let Ok(found) = read {
            self.take(&found.revision);
        }
    }

    /// Everything that the container's reader has met so far.
    pub(super) fn take_container(&mut self, reader: &mut dyn FormatReader) {
        loop {
            let mut metadata = reader.metadata();
            if let Some(revision) = metadata.current() {
                self.take(revision);
            }
            if metadata.pop().is_none() {
                break;
            }
        }
    }

    /// Begins with entries that were read otherwise; they stand before those of the tags, and instead of AIFF's own.
    pub(super) fn of_texts(entries: Vec<([u8; 4], String)>) -> Self {
        Self { has_texts: !entries.is_empty(), entries, lines: vec![] }
    }

    /// A date, where no tag gave one.
    pub(super) fn take_date(&mut self, date: String) {
        self.entries.push((*b"ICRD", date));
    }

    fn take(&mut self, revision: &MetadataRevision) {
        let tracks = revision.per_track.iter().map(|track| &track.metadata);
        for tag in std::iter::once(&revision.media).chain(tracks).flat_map(|found| &found.tags).take(MAX_TAGS) {
            if self.has_texts && super::aiff::TEXTS.iter().any(|(chunk, _)| tag.raw.key.as_bytes() == *chunk) {
                continue;
            }
            match tag.std.as_ref().and_then(entry) {
                Some((id, text)) if text.len() <= MAX_TEXT_BYTES => self.entries.push((id, text)),
                Some(_) => {}
                None => self.lines.extend(line(tag)),
            }
        }
    }

    /// The chunk; what has no code of its own stands in the comment, a line each.
    pub(super) fn into_metadata(mut self) -> Metadata {
        self.lines.dedup();
        if !self.lines.is_empty() {
            let comment = self.entries.iter().position(|(id, _)| id == b"ICMT").map(|i| self.entries.remove(i).1);
            let lines: Vec<String> = comment.into_iter().chain(self.lines).collect();
            self.entries.push((*b"ICMT", lines.join("\n")));
        }
        Metadata::of_tags(&self.entries)
    }
}

/// The INFO entry of a tag that has one.
fn entry(tag: &StandardTag) -> Option<([u8; 4], String)> {
    use StandardTag as T;
    let (id, text) = match tag {
        T::TrackTitle(text) | T::MovieTitle(text) => (b"INAM", text),
        T::Artist(text) | T::Performer(text) | T::AlbumArtist(text) | T::Soloist(text) => (b"IART", text),
        T::Album(text) => (b"IPRD", text),
        T::RecordingDate(text) | T::ReleaseDate(text) | T::OriginalRecordingDate(text) => (b"ICRD", text),
        T::RecordingYear(year) | T::ReleaseYear(year) => return Some((*b"ICRD", year.to_string())),
        T::Comment(text) | T::Description(text) => (b"ICMT", text),
        T::Genre(text) => (b"IGNR", text),
        T::Copyright(text) => (b"ICOP", text),
        T::Composer(text) => (b"IMUS", text),
        T::Engineer(text) => (b"IENG", text),
        T::Producer(text) => (b"IPRO", text),
        T::EncodedBy(text) => (b"ITCH", text),
        T::Encoder(text) => (b"ISFT", text),
        T::Subject(text) => (b"ISBJ", text),
        T::Keywords(text) => (b"IKEY", text),
        T::Language(text) => (b"ILNG", text),
        T::TrackNumber(number) => return Some((*b"ITRK", number.to_string())),
        _ => return None,
    };
    Some((*id, text.to_string()))
}

/// A tag without an entry, as `name: value`.
fn line(tag: &Tag) -> Option<String> {
    let key = tag.raw.key.as_str();
    if SPENT.iter().any(|spent| key.to_ascii_lowercase().contains(&spent.to_ascii_lowercase())) {
        return None;
    }
    let text = match &tag.raw.value {
        RawValue::String(text) => text.trim().to_owned(),
        RawValue::StringList(texts) => texts.join("; "),
        RawValue::SignedInt(value) => value.to_string(),
        RawValue::UnsignedInt(value) => value.to_string(),
        _ => return None,
    };
    let is_plain = !key.is_empty() && !key.contains('\0') && text.len() <= MAX_TEXT_BYTES && !text.contains('\0');
    (is_plain && !text.is_empty()).then(|| format!("{key}: {text}"))
}
