//! What a recording says about itself beside its samples: RIFF chunks, as they go from the file read to the file written.
//!
//! Chunks are carried as they are, byte for byte, but for those that would no longer be true of the restored sound. Tags of
//! other containers become a `LIST INFO` chunk. Nothing here looks at a clock: the same input gives the same bytes.
//!
//! Source: Microsoft/IBM, "Multimedia Programming Interface and Data Specifications 1.0" (`LIST INFO`); EBU Tech 3285 v2
//! (`bext`); EBU R 98 (the lines of its coding history).

/// One RIFF chunk: four characters and what they announce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Four-character code, e.g. `bext`.
    pub id: [u8; 4],
    /// The bytes behind the size field, without a pad byte.
    pub payload: Vec<u8>,
}

/// Everything that a recording says about itself beside its samples.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Chunks that stood before the samples, in their order.
    pub before: Vec<Chunk>,
    /// Chunks that stood behind the samples, in their order.
    pub after: Vec<Chunk>,
}

/// How the samples that are written came to be, for the coding history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History<'a> {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Bits of one sample.
    pub bits: u16,
    /// Channels.
    pub channel_len: usize,
    /// What was done and by what, in a few words.
    pub treatment: &'a str,
}

/// Bytes of a `bext` chunk before its coding history (EBU Tech 3285 v2, 2.3).
const BEXT_FIXED_BYTES: usize = 602;
/// Where `bext` keeps its version, its UMID and the five loudness values that follow it.
const BEXT_VERSION_AT: usize = 346;
const BEXT_LOUDNESS_AT: usize = 412;
const BEXT_LOUDNESS_LEN: usize = 5;
/// A loudness value that is not known (EBU Tech 3285 v2, 2.4).
const BEXT_UNKNOWN: [u8; 2] = 0x7fffu16.to_le_bytes();
/// The first version of `bext` that has a UMID, and the first with loudness values.
const BEXT_WITH_UMID: u16 = 1;
const BEXT_WITH_LOUDNESS: u16 = 2;

/// Chunks that describe samples as they were (peaks, envelopes, checksums), and mere padding. The writer makes its own `fmt `,
/// `fact`, `ds64` and `data`.
const NOT_CARRIED: [&[u8; 4]; 13] = [
    b"fmt ", b"fact", b"ds64", b"data", b"PEAK", b"levl", b"MD5 ", b"JUNK", b"junk", b"FLLR", b"PAD ", b"filr", b"wavl",
];

/// Whether a chunk stays true when the samples change.
#[must_use]
pub fn is_carried(id: [u8; 4]) -> bool {
    !NOT_CARRIED.contains(&&id)
}

impl Metadata {
    /// A `LIST INFO` chunk of tags: four-character code and text. Empty texts and repeated codes are left out; without tags
    /// there is no chunk.
    #[must_use]
    pub fn of_tags(tags: &[([u8; 4], String)]) -> Self {
        let mut payload = b"INFO".to_vec();
        let mut seen: Vec<[u8; 4]> = Vec::new();
        for (id, text) in tags {
            // Texts end at their first NUL.
            let text = text.split('\0').next().unwrap_or_default().trim();
            if text.is_empty() || seen.contains(id) {
                continue;
            }
            seen.push(*id);
            let len = text.len() as u32 + 1;
            payload.extend(id);
            payload.extend(len.to_le_bytes());
            payload.extend(text.as_bytes());
            payload.push(0);
            if len % 2 == 1 {
                payload.push(0);
            }
        }
        if seen.is_empty() {
            return Self::default();
        }
        Self { before: vec![Chunk { id: *b"LIST", payload }], after: vec![] }
    }

    /// Bytes of all payloads.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.before.iter().chain(&self.after).map(|chunk| chunk.payload.len()).sum()
    }

    /// Appends a line to the coding history of the `bext` chunk, which is made where there is none. Loudness values of the
    /// sound as it was are set to "not known".
    #[must_use]
    pub fn with_history(mut self, history: &History<'_>) -> Self {
        let line = history.line();
        let chunks = self.before.iter_mut().chain(&mut self.after);
        if let Some(bext) = chunks.into_iter().find(|chunk| chunk.id == *b"bext") {
            continue_history(&mut bext.payload, &line);
            return self;
        }
        let mut payload = vec![0; BEXT_FIXED_BYTES];
        payload[BEXT_VERSION_AT..BEXT_VERSION_AT + 2].copy_from_slice(&BEXT_WITH_UMID.to_le_bytes());
        payload.extend(line.as_bytes());
        make_even(&mut payload);
        self.before.insert(0, Chunk { id: *b"bext", payload });
        self
    }
}

fn continue_history(bext: &mut Vec<u8>, line: &str) {
    if bext.len() < BEXT_FIXED_BYTES {
        bext.resize(BEXT_FIXED_BYTES, 0);
    }
    let version = u16::from_le_bytes([bext[BEXT_VERSION_AT], bext[BEXT_VERSION_AT + 1]]);
    if version >= BEXT_WITH_LOUDNESS {
        for value in bext[BEXT_LOUDNESS_AT..].chunks_exact_mut(2).take(BEXT_LOUDNESS_LEN) {
            value.copy_from_slice(&BEXT_UNKNOWN);
        }
    }
    while bext.len() > BEXT_FIXED_BYTES && bext.last() == Some(&0) {
        bext.pop();
    }
    if bext.len() > BEXT_FIXED_BYTES && !bext.ends_with(b"\n") {
        bext.extend(b"\r\n");
    }
    bext.extend(line.as_bytes());
    make_even(bext);
}

/// Some readers, hound among them, stumble over the pad byte behind a chunk of odd length: texts end with a NUL instead.
fn make_even(bext: &mut Vec<u8>) {
    if !bext.len().is_multiple_of(2) {
        bext.push(0);
    }
}

impl History<'_> {
    /// A line of EBU R 98: coding, rate, word length, mode, text. A comma would end the text.
    fn line(&self) -> String {
        let mode = match self.channel_len {
            1 => "mono".to_owned(),
            2 => "stereo".to_owned(),
            many => format!("{many} channels"),
        };
        let plain = |c: char| if c == ',' || c.is_control() { ';' } else { c };
        let treatment: String = self.treatment.chars().map(plain).collect();
        format!("A=PCM,F={},W={},M={mode},T={treatment}\r\n", self.sample_rate_hz, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HISTORY: History<'_> =
        History { sample_rate_hz: 48_000, bits: 24, channel_len: 2, treatment: "agcfix 0.1.0, compressor undone" };
    const LINE: &[u8] = b"A=PCM,F=48000,W=24,M=stereo,T=agcfix 0.1.0; compressor undone\r\n";

    fn history(bext: &[u8]) -> &[u8] {
        assert!(bext.len().is_multiple_of(2));
        bext[BEXT_FIXED_BYTES..].strip_suffix(b"\0").unwrap_or(&bext[BEXT_FIXED_BYTES..])
    }

    fn bext(version: u16, history: &[u8]) -> Metadata {
        let mut payload = vec![7; BEXT_FIXED_BYTES];
        payload[BEXT_VERSION_AT..BEXT_VERSION_AT + 2].copy_from_slice(&version.to_le_bytes());
        payload.extend(history);
        Metadata { before: vec![], after: vec![Chunk { id: *b"bext", payload }] }
    }

    #[test]
    fn tags_become_an_info_list_of_even_entries() {
        let tags = [
            (*b"INAM", "Prelude".to_owned()),
            (*b"IART", String::new()),
            (*b"ICRD", "2024".to_owned()),
            (*b"INAM", "again".to_owned()),
        ];
        let list = Metadata::of_tags(&tags);
        assert_eq!(list.before[0].payload, b"INFOINAM\x08\0\0\0Prelude\0ICRD\x05\0\0\x002024\0\0");
        assert_eq!(Metadata::of_tags(&tags[1..2]), Metadata::default());
    }

    #[test]
    fn a_history_is_begun_where_there_is_none() {
        let made = Metadata::default().with_history(&HISTORY);
        assert_eq!(made.before[0].id, *b"bext");
        assert_eq!(history(&made.before[0].payload), LINE);
        // No date, no time: nothing of the day it was written on.
        assert!(made.before[0].payload[..BEXT_VERSION_AT].iter().all(|b| *b == 0));
    }

    #[test]
    fn a_history_is_continued_and_what_is_no_longer_true_is_taken_back() {
        for (old, between) in
            [("A=PCM,F=48000", "\r\n"), ("A=PCM,F=48000\r\n", ""), ("A=PCM,F=48000\r\n\0\0", ""), ("", "")]
        {
            let continued = bext(2, old.as_bytes()).with_history(&HISTORY);
            let payload = &continued.after[0].payload;
            let expected = [old.trim_end_matches('\0').as_bytes(), between.as_bytes(), LINE].concat();
            assert_eq!(history(payload), expected);
            assert_eq!(payload[BEXT_LOUDNESS_AT..BEXT_LOUDNESS_AT + 10], [0xff, 0x7f].repeat(5));
            assert_eq!(payload[..BEXT_VERSION_AT], [7; BEXT_VERSION_AT]);
            assert_eq!(payload[BEXT_LOUDNESS_AT + 10..BEXT_FIXED_BYTES], [7; 180]);
        }
        // Before version 2 those bytes are reserved.
        let continued = bext(1, b"").with_history(&HISTORY);
        assert_eq!(continued.after[0].payload[BEXT_LOUDNESS_AT..BEXT_LOUDNESS_AT + 10], [7; 10]);
        assert!(continued.before.is_empty());
    }

    #[test]
    fn a_bext_that_is_cut_short_is_filled_up() {
        let short = Metadata { before: vec![Chunk { id: *b"bext", payload: vec![7; 30] }], after: vec![] };
        let payload = &short.with_history(&HISTORY).before[0].payload;
        assert_eq!(payload[..30], [7; 30]);
        assert_eq!(history(payload), LINE);
    }
}
