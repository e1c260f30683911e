//! A recording in memory: planar samples and their rate, checked once at the door.

use crate::error::Error;

/// Lowest sample rate that is analysed, in Hz.
pub const MIN_SAMPLE_RATE_HZ: u32 = 8_000;
/// Highest sample rate that is analysed, in Hz.
pub const MAX_SAMPLE_RATE_HZ: u32 = 192_000;
/// Most channels that are analysed together.
pub const MAX_CHANNELS: usize = 8;

/// A recording: 1 to 8 channels of equal length, every sample finite.
///
/// **Shape.** `channels()[c][n]` is sample `n` of channel `c`.
/// **Units.** Full scale is ±1; values beyond it are legal (AAC decodes to them).
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    sample_rate_hz: u32,
    channels: Vec<Vec<f32>>,
}

impl Audio {
    /// Takes planar samples in.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the rate or the number of channels is out of range, the channels differ in length, or
    /// a sample is not finite (the message names the first such sample).
    pub fn new(sample_rate_hz: u32, channels: Vec<Vec<f32>>) -> Result<Self, Error> {
        let invalid = |what: &str, cause: String, remedy: &str| {
            Err(Error::Invalid { what: what.to_owned(), cause, remedy: remedy.to_owned() })
        };
        if !(MIN_SAMPLE_RATE_HZ..=MAX_SAMPLE_RATE_HZ).contains(&sample_rate_hz) {
            return invalid("sample rate", format!("{sample_rate_hz} Hz"), "8000 to 192000 Hz can be analysed");
        }
        if channels.is_empty() || channels.len() > MAX_CHANNELS {
            return invalid("channels", format!("{} of them", channels.len()), "1 to 8 can be analysed together");
        }
        let sample_len = channels[0].len();
        for (c, channel) in channels.iter().enumerate() {
            if channel.len() != sample_len {
                let cause = format!("channel {c} has {} samples, channel 0 has {sample_len}", channel.len());
                return invalid("channels", cause, "give all channels the same length");
            }
            if let Some(n) = channel.iter().position(|x| !x.is_finite()) {
                let cause = format!("sample {n} of channel {c} is {}", channel[n]);
                return invalid("samples", cause, "replace samples that are not finite");
            }
        }
        Ok(Self { sample_rate_hz, channels })
    }

    /// Samples per second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sample_rate_hz
    }

    /// The samples, one slice a channel.
    #[must_use]
    pub fn channels(&self) -> &[Vec<f32>] {
        &self.channels
    }

    /// Samples in each channel.
    #[must_use]
    pub fn sample_len(&self) -> usize {
        self.channels[0].len()
    }

    /// Length in seconds.
    #[must_use]
    pub fn duration_s(&self) -> f64 {
        self.sample_len() as f64 / f64::from(self.sample_rate_hz)
    }

    /// The samples by value, planar.
    #[must_use]
    pub fn into_channels(self) -> Vec<Vec<f32>> {
        self.channels
    }
}
