//! Samples that stay on disk: in the WAV file itself, or in a temporary file that has no name.

use super::pcm::Coding;
use crate::error::Error;
use crate::sound::Sound;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// A long recording, read from disk as often as its samples are asked for.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    file: Mutex<File>,
    /// Byte of the first frame in the file.
    start: u64,
    coding: Coding,
    sample_rate_hz: u32,
    channel_len: usize,
    /// The frames that are the recording, one range after the other.
    kept: Vec<Range<u64>>,
    sample_len: usize,
}

/// Bytes read at a time.
const BLOCK_BYTES: usize = 1 << 18;

impl Stored {
    pub(super) fn new(
        path: &Path,
        file: File,
        start: u64,
        coding: Coding,
        (sample_rate_hz, channel_len): (u32, usize),
        kept: Vec<Range<u64>>,
    ) -> Self {
        let sample_len = kept.iter().map(|range| range.end.saturating_sub(range.start)).sum::<u64>();
        let path = path.to_owned();
        let sample_len = usize::try_from(sample_len).unwrap_or(usize::MAX);
        Self { path, file: Mutex::new(file), start, coding, sample_rate_hz, channel_len, kept, sample_len }
    }

    /// Whether a sample may be no number, so that somebody has to look.
    pub(super) fn may_be_not_finite(&self) -> bool {
        matches!(self.coding, Coding::Float32 | Coding::Float64)
    }

    /// As [`Sound::read`], samples that are no numbers included.
    pub(super) fn read_raw(&self, range: Range<usize>, out: &mut Vec<Vec<f32>>) -> io::Result<()> {
        out.resize_with(self.channel_len, Vec::new);
        out.iter_mut().for_each(Vec::clear);
        let mut begin = 0u64;
        for kept in &self.kept {
            let len = kept.end - kept.start;
            let from = (range.start as u64).max(begin);
            let to = (range.end as u64).min(begin + len);
            if from < to {
                self.read_frames(kept.start + (from - begin)..kept.start + (to - begin), out)?;
            }
            begin += len;
        }
        Ok(())
    }

    fn read_frames(&self, frames: Range<u64>, out: &mut [Vec<f32>]) -> io::Result<()> {
        let frame_bytes = self.channel_len * self.coding.byte_len();
        let mut left = usize::try_from(frames.end - frames.start).unwrap_or(usize::MAX).saturating_mul(frame_bytes);
        let mut block = vec![0; left.min(BLOCK_BYTES / frame_bytes * frame_bytes)];
        // A thread that panicked while it read has left a file that is sought again.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + frames.start * frame_bytes as u64))?;
        while left > 0 {
            let len = left.min(block.len());
            let block = &mut block[..len];
            file.read_exact(block)?;
            self.coding.extend(block, out);
            left -= len;
        }
        Ok(())
    }
}

impl Sound for Stored {
    fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    fn channel_len(&self) -> usize {
        self.channel_len
    }

    fn sample_len(&self) -> usize {
        self.sample_len
    }

    fn read(&self, range: Range<usize>, out: &mut Vec<Vec<f32>>) -> Result<(), Error> {
        self.read_raw(range, out).map_err(|source| Error::Io { path: self.path.clone(), source })?;
        if self.may_be_not_finite() {
            // Where they are not allowed, the recording was refused when it was opened.
            out.iter_mut().flatten().filter(|x| !x.is_finite()).for_each(|x| *x = 0.0);
        }
        Ok(())
    }
}
