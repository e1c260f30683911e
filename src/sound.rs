//! Sound that is read piece by piece, as often as needed: in memory or on disk, the stages need not know.

use crate::audio::Audio;
use crate::error::Error;
use std::ops::Range;

/// Samples, over all channels, up to which a recording is held in memory and worked on as a whole: 64 MiB, almost three
/// minutes of stereo at 48 kHz. What is longer is worked on in pieces, in memory that does not grow with it.
pub const MOST_HELD_SAMPLES: usize = 1 << 24;

/// A recording whose samples can be asked for.
///
/// **Shape.** [`Sound::channel_len`] channels of [`Sound::sample_len`] samples each, all finite. **Units.** Full scale is ±1.
pub trait Sound: Send + Sync {
    /// Samples per second.
    fn sample_rate_hz(&self) -> u32;

    /// Channels, 1 to 8.
    fn channel_len(&self) -> usize;

    /// Samples in each channel.
    fn sample_len(&self) -> usize;

    /// Reads the samples `range`, which must lie within the recording: `out[c][n]` becomes sample `range.start + n` of
    /// channel `c`.
    ///
    /// # Errors
    /// [`Error::Io`] where the samples are not in memory and cannot be read.
    fn read(&self, range: Range<usize>, out: &mut Vec<Vec<f32>>) -> Result<(), Error>;

    /// Length in seconds.
    fn duration_s(&self) -> f64 {
        self.sample_len() as f64 / f64::from(self.sample_rate_hz())
    }
}

impl Sound for Audio {
    fn sample_rate_hz(&self) -> u32 {
        Self::sample_rate_hz(self)
    }

    fn channel_len(&self) -> usize {
        self.channels().len()
    }

    fn sample_len(&self) -> usize {
        Self::sample_len(self)
    }

    fn read(&self, range: Range<usize>, out: &mut Vec<Vec<f32>>) -> Result<(), Error> {
        out.resize_with(self.channels().len(), Vec::new);
        for (out, channel) in out.iter_mut().zip(self.channels()) {
            out.clear();
            out.extend_from_slice(channel.get(range.clone()).unwrap_or_default());
        }
        Ok(())
    }
}

/// Whether a recording is worked on as a whole.
#[must_use]
pub fn is_held(sound: &dyn Sound) -> bool {
    sound.sample_len().saturating_mul(sound.channel_len()) <= MOST_HELD_SAMPLES
}

/// A stretch of a recording, in memory.
///
/// # Errors
/// As [`Sound::read`].
pub fn held(sound: &dyn Sound, range: Range<usize>) -> Result<Audio, Error> {
    let mut channels = Vec::new();
    sound.read(range, &mut channels)?;
    Audio::new(sound.sample_rate_hz(), channels)
}
