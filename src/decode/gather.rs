//! Decoded samples on their way in: held in memory, and put on disk once there are many.

use super::limits::Keep;
use super::pcm::Coding;
use super::stored::Stored;
use crate::audio::Audio;
use crate::sound::Sound;
use std::fs::File;
#[cfg(feature = "files")]
use std::io::Write;
use std::io::{self, BufWriter};
use std::ops::Range;

/// The samples of a recording, wherever they are.
#[derive(Debug)]
pub enum Samples {
    /// In memory.
    Held(Audio),
    /// On disk, because the recording is long.
    Stored(Stored),
}

impl Samples {
    /// The samples, to be asked for.
    #[must_use]
    pub fn sound(&self) -> &dyn Sound {
        match self {
            Self::Held(audio) => audio,
            Self::Stored(stored) => stored,
        }
    }
}

/// Samples that have come in before the rate and the cuts are known.
#[derive(Debug)]
pub(super) enum Gathered {
    Held(Vec<Vec<f32>>),
    /// Interleaved 32-bit floats in a file without a name.
    #[cfg_attr(not(feature = "files"), allow(dead_code, reason = "without files nothing is put on disk"))]
    Spooled(File),
}

/// Samples held before they are written to disk together, over all channels.
#[cfg(feature = "files")]
const SPOOL_BLOCK_SAMPLES: usize = 1 << 18;

/// Takes samples in.
#[derive(Debug)]
#[cfg_attr(not(feature = "files"), allow(dead_code, reason = "without files nothing is put on disk"))]
pub(super) struct Gather {
    keep: Keep,
    planes: Vec<Vec<f32>>,
    spooled_len: u64,
    spool: Option<BufWriter<File>>,
}

impl Gather {
    pub(super) fn new(keep: &Keep) -> Self {
        Self { keep: keep.clone(), planes: Vec::new(), spooled_len: 0, spool: None }
    }

    /// Frames so far.
    pub(super) fn len(&self) -> u64 {
        self.spooled_len + self.planes.first().map_or(0, |plane| plane.len() as u64)
    }

    /// Channels; 0 before [`Gather::begin`].
    pub(super) fn channel_len(&self) -> usize {
        self.planes.len()
    }

    /// Says how many channels there are, and begins with silence.
    pub(super) fn begin(&mut self, channel_len: usize, silence: u64) -> io::Result<()> {
        self.planes = vec![Vec::new(); channel_len];
        self.silence(silence)
    }

    pub(super) fn extend(&mut self, new: &[Vec<f32>]) -> io::Result<()> {
        for (plane, new) in self.planes.iter_mut().zip(new) {
            plane.extend_from_slice(new);
        }
        self.settle()
    }

    pub(super) fn silence(&mut self, len: u64) -> io::Result<()> {
        for plane in &mut self.planes {
            plane.resize(plane.len().saturating_add(len as usize), 0.0);
        }
        self.settle()
    }

    /// Puts on disk what is too much for memory.
    #[cfg(feature = "files")]
    fn settle(&mut self) -> io::Result<()> {
        let held_len = self.planes.len() * self.planes.first().map_or(0, Vec::len);
        let most = if self.spool.is_some() { SPOOL_BLOCK_SAMPLES } else { self.keep.most_held_samples };
        if held_len > most { self.spool_out() } else { Ok(()) }
    }

    #[cfg(not(feature = "files"))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "without files nothing is put on disk")]
    fn settle(&mut self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(feature = "files")]
    fn spool_out(&mut self) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            none => none.insert(BufWriter::with_capacity(1 << 18, self.keep.temporary()?)),
        };
        let len = self.planes.first().map_or(0, Vec::len);
        for n in 0..len {
            for plane in &self.planes {
                spool.write_all(&plane[n].to_le_bytes())?;
            }
        }
        self.spooled_len += len as u64;
        // What stood in memory until now is given back.
        self.planes.iter_mut().for_each(|plane| *plane = Vec::new());
        Ok(())
    }

    /// All that came in.
    #[cfg(feature = "files")]
    pub(super) fn finish(mut self) -> io::Result<Gathered> {
        if self.spool.is_none() {
            return Ok(Gathered::Held(self.planes));
        }
        self.spool_out()?;
        match self.spool {
            Some(spool) => spool.into_inner().map(Gathered::Spooled).map_err(io::IntoInnerError::into_error),
            None => Ok(Gathered::Held(self.planes)),
        }
    }

    #[cfg(not(feature = "files"))]
    #[allow(clippy::unnecessary_wraps, reason = "as with files")]
    pub(super) fn finish(self) -> io::Result<Gathered> {
        Ok(Gathered::Held(self.planes))
    }
}

/// What was spooled, cut to `kept`.
pub(super) fn stored(path: &std::path::Path, file: File, shape: (u32, usize), kept: Vec<Range<u64>>) -> Stored {
    Stored::new(path, file, 0, Coding::Float32, shape, kept)
}
