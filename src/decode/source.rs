//! Where the bytes come from: a file or memory, with a known length and an optional new beginning.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::Path;

#[derive(Debug)]
enum Bytes {
    File(File),
    Memory(Cursor<Vec<u8>>),
}

/// Seekable bytes. Position 0 is [`Source::begin_at`]'s, so that a tag in front of a stream can be left out.
#[derive(Debug)]
pub(super) struct Source {
    bytes: Bytes,
    begin: u64,
    len: u64,
    /// Length that symphonia is told instead of the true one: its MP4 reader refuses the sound of a file whose last box is
    /// cut off, where reading on to the true end is wanted.
    pub(super) claimed_len: Option<u64>,
    /// Shown to symphonia, whose AIFF reader gives up on a truncated file only where it could seek.
    pub(super) seekable: bool,
    /// ID3v2 tags that stood before the present beginning.
    pub(super) id3: Vec<Vec<u8>>,
}

impl Source {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::from_file(File::open(path)?)
    }

    pub(super) fn from_file(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self { bytes: Bytes::File(file), begin: 0, len, claimed_len: None, seekable: true, id3: vec![] })
    }

    /// The file itself and the byte in it that is this source's beginning; nothing where the bytes are in memory.
    pub(super) fn into_file(self) -> Option<(File, u64)> {
        match self.bytes {
            Bytes::File(file) => Some((file, self.begin)),
            Bytes::Memory(_) => None,
        }
    }

    /// Whether the bytes are in a file.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.bytes, Bytes::File(_))
    }

    pub(super) fn from_bytes(bytes: Vec<u8>) -> Self {
        let len = bytes.len() as u64;
        Self { bytes: Bytes::Memory(Cursor::new(bytes)), begin: 0, len, claimed_len: None, seekable: true, id3: vec![] }
    }

    /// Bytes from the beginning to the end.
    pub(super) fn len(&self) -> u64 {
        self.len.saturating_sub(self.begin)
    }

    /// Makes byte `offset` (from the present beginning) the new beginning, and goes there.
    pub(super) fn begin_at(&mut self, offset: u64) -> io::Result<()> {
        self.begin = self.begin.saturating_add(offset).min(self.len);
        self.seek(SeekFrom::Start(0)).map(|_| ())
    }

    /// Up to `len` bytes from `offset`; fewer at the end of the file.
    pub(super) fn read_at(&mut self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.seek(SeekFrom::Start(offset))?;
        let mut out = Vec::new();
        self.by_ref().take(len as u64).read_to_end(&mut out)?;
        Ok(out)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::File(file) => file.read(buffer),
            Bytes::Memory(cursor) => cursor.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(offset) => SeekFrom::Start(self.begin.saturating_add(offset)),
            SeekFrom::End(0) if self.claimed_len.is_some() => {
                // Files cannot be sought beyond 2^63.
                let end = self.begin.saturating_add(self.claimed_len.unwrap_or(0));
                SeekFrom::Start(end.min(1 << 62))
            }
            other => other,
        };
        let position = match &mut self.bytes {
            Bytes::File(file) => file.seek(to),
            Bytes::Memory(cursor) => cursor.seek(to),
        }?;
        position
            .checked_sub(self.begin)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "seek before the beginning"))
    }
}

impl symphonia::core::io::MediaSource for Source {
    fn is_seekable(&self) -> bool {
        self.seekable
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.claimed_len.unwrap_or(self.len()))
    }
}

/// Fixed-size fields out of a byte slice; `None` beyond its end.
pub(super) mod field {
    /// `N` bytes at `offset`.
    pub(crate) fn bytes<const N: usize>(data: &[u8], offset: usize) -> Option<[u8; N]> {
        data.get(offset..offset.checked_add(N)?)?.try_into().ok()
    }

    pub(crate) fn u16_le(data: &[u8], offset: usize) -> Option<u16> {
        bytes(data, offset).map(u16::from_le_bytes)
    }

    pub(crate) fn u32_le(data: &[u8], offset: usize) -> Option<u32> {
        bytes(data, offset).map(u32::from_le_bytes)
    }

    pub(crate) fn u16_be(data: &[u8], offset: usize) -> Option<u16> {
        bytes(data, offset).map(u16::from_be_bytes)
    }

    pub(crate) fn u32_be(data: &[u8], offset: usize) -> Option<u32> {
        bytes(data, offset).map(u32::from_be_bytes)
    }

    pub(crate) fn u64_be(data: &[u8], offset: usize) -> Option<u64> {
        bytes(data, offset).map(u64::from_be_bytes)
    }
}
