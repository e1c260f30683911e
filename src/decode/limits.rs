//! How much sound is taken in, and what is done about damage: the caller's choice.

use crate::error::Error;
use std::path::{Path, PathBuf};

/// What [`super::read_with`] puts up with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ReadConfig {
    /// Longest recording that is taken in, in seconds. Size is limited with it, to that much stereo at 48 kHz: a recording
    /// of more channels or a higher rate must be shorter. Default: 4 hours, longer than any recital, and 5.5 GB of samples.
    pub max_duration_s: f64,
    /// Damage that can be passed over.
    pub damage: Damage,
    /// Samples that are NaN or infinite.
    pub nonfinite: NonFinite,
}

impl Default for ReadConfig {
    fn default() -> Self {
        Self { max_duration_s: 4.0 * 3600.0, damage: Damage::default(), nonfinite: NonFinite::default() }
    }
}

/// What damage in a file means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Damage {
    /// What can be decoded is, with a warning that gives the time.
    #[default]
    Warn,
    /// An error.
    Refuse,
}

/// What samples that are no numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NonFinite {
    /// An error that names the first.
    #[default]
    Refuse,
    /// They become zero, with a warning that names the first.
    Zero,
}

/// What is held in memory, and where the rest goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// Samples, over all channels, up to which a recording is held in memory.
    pub most_held_samples: usize,
    /// Folder for temporary files without a name, which vanish with the program: four bytes for each sample of a long
    /// recording that is not PCM in a WAV file. Default: the system's.
    pub folder: Option<PathBuf>,
}

impl Default for Keep {
    fn default() -> Self {
        Self { most_held_samples: crate::sound::MOST_HELD_SAMPLES, folder: None }
    }
}

impl Keep {
    /// Everything in memory.
    pub(super) fn all() -> Self {
        Self { most_held_samples: usize::MAX, folder: None }
    }

    /// A file without a name.
    #[cfg(feature = "files")]
    pub(super) fn temporary(&self) -> std::io::Result<std::fs::File> {
        match &self.folder {
            Some(folder) => tempfile::tempfile_in(folder),
            None => tempfile::tempfile(),
        }
    }
}

/// The rate and channels that [`ReadConfig::max_duration_s`] counts in: what phones and recorders write at most.
const STEREO_HZ: f64 = 2.0 * 48_000.0;
/// Samples, over all channels, that any file may hold, however small it is: 134 MB.
const FREE_SAMPLES: u64 = 1 << 25;
/// Beyond those, samples per byte of the file. Speech at 6 kbit/s and 48 kHz has 64; only silence is denser, and files that are
/// made to fill the memory.
const MAX_SAMPLES_PER_BYTE: u64 = 64;

/// How many frames one file may hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Budget {
    max_duration_s: f64,
    file_len: u64,
}

impl Budget {
    pub(super) fn new(config: &ReadConfig, file_len: u64) -> Self {
        Self { max_duration_s: config.max_duration_s, file_len }
    }

    /// Whether so much sound is allowed: asked of what a header claims, and again of what was decoded.
    ///
    /// # Errors
    /// [`Error::Limit`]; [`Error::Malformed`] for more sound than the file's bytes can mean.
    pub(super) fn check(
        &self,
        path: &Path,
        frame_len: u64,
        channel_len: usize,
        sample_rate_hz: u32,
    ) -> Result<(), Error> {
        let rate_hz = f64::from(sample_rate_hz.max(1));
        let duration_s = frame_len as f64 / rate_hz;
        let sample_len = frame_len.saturating_mul(channel_len as u64);
        if duration_s > self.max_duration_s || sample_len as f64 > self.max_duration_s * STEREO_HZ {
            let needed_s = duration_s.max(sample_len as f64 / STEREO_HZ).ceil();
            return Err(Error::Limit {
                path: path.to_owned(),
                what: format!(
                    "more sound than the limit allows: {} of {channel_len} channels at {sample_rate_hz} Hz, where {} of \
                     stereo at 48000 Hz are allowed",
                    clock(duration_s),
                    clock(self.max_duration_s)
                ),
                remedy: format!("split it, or allow it with --max-duration {needed_s} if the memory suffices"),
            });
        }
        if sample_len > FREE_SAMPLES && sample_len / MAX_SAMPLES_PER_BYTE > self.file_len {
            return Err(Error::Malformed {
                path: path.to_owned(),
                cause: format!("a file of {} bytes cannot hold {} of music", self.file_len, clock(duration_s)),
                remedy: "check that the recording plays elsewhere".to_owned(),
            });
        }
        Ok(())
    }
}

/// A length as people write it.
fn clock(seconds: f64) -> String {
    // `as` saturates.
    let whole = seconds.round() as u64;
    format!("{}:{:02}:{:02} h", whole / 3600, whole / 60 % 60, whole % 60)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
    use super::*;

    const HUGE_FILE: u64 = 1 << 40;

    #[test]
    fn four_hours_are_allowed_and_no_more() {
        let budget = Budget::new(&ReadConfig::default(), HUGE_FILE);
        let check = |hours: u64, channel_len| budget.check(Path::new("x"), hours * 3600 * 48_000, channel_len, 48_000);
        assert!(check(4, 1).is_ok() && check(4, 2).is_ok() && check(1, 8).is_ok());
        assert!(check(5, 1).is_err() && check(3, 3).is_err());
        let told = check(2, 8).unwrap_err().to_string();
        assert!(told.contains("2:00:00 h of 8 channels") && told.contains("--max-duration 28800"), "{told}");
        assert!(budget.check(Path::new("x"), u64::MAX, 8, 1).is_err());
    }

    #[test]
    fn a_small_file_holds_no_hours() {
        let small = Budget::new(&ReadConfig::default(), 100_000);
        assert!(small.check(Path::new("x"), FREE_SAMPLES, 1, 48_000).is_ok());
        assert!(small.check(Path::new("x"), FREE_SAMPLES + 64, 1, 48_000).is_err());
        // An hour at 16 kbit/s.
        assert!(Budget::new(&ReadConfig::default(), 7_200_000).check(Path::new("x"), 3600 * 48_000, 1, 48_000).is_ok());
    }
}
