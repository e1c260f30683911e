//! The voice measure of WebRTC's first gain control: how far the level now is above its long-term mean.
//!
//! Once per frame the energy of the 4 kHz high-passed signal is reduced to a whole number of octaves, and running means
//! and variances of it are kept: short-term over 16 frames, long-term over up to 2.5 s. The device counts in whole
//! numbers and truncates; its thresholds stand where these statistics are small, so the same is done here.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/digital_agc` (voice activity part).

/// Frames over which the long-term statistics settle (2.5 s).
const LONG_TERM_FRAMES: i32 = 250;
/// Frames the statistics count as seen at the start.
const FIRST_COUNT: i32 = 3;
/// One octave of energy, 3.01 dB, in the units of the means.
const OCTAVE: i32 = 2_048;
/// Octave of energy at which the level counts as zero: 2^16 sixty-fourths of a squared sample.
const ZERO_OCTAVE: i32 = 16;
/// Bound on the log-ratio, in 1/1024.
const LOG_RATIO_MAX: i64 = 2_048;

/// Running statistics of the level, and the voice measure that follows from them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    count: i32,
    mean_short: i32,
    variance_short: i32,
    mean_long: i32,
    variance_long: i32,
    /// Short-term standard deviation of the level; 2048 is 3.01 dB.
    pub deviation_short: i32,
    /// Long-term standard deviation of the level; 2048 is 3.01 dB.
    pub deviation_long: i32,
    /// Log-ratio of activity to silence, in 1/1024, within +-2048.
    pub log_ratio: i32,
}

impl Voice {
    /// At the start of a recording: means 15/16 of the way to nowhere, a wide variance, no opinion.
    pub fn new() -> Self {
        Self {
            count: FIRST_COUNT,
            mean_short: 15 << 10,
            variance_short: 500 << 8,
            mean_long: 15 << 10,
            variance_long: 500 << 8,
            deviation_short: 0,
            deviation_long: 0,
            log_ratio: 0,
        }
    }

    /// Takes the energy of one frame, in 64ths of squared 16-bit samples.
    pub fn hear(&mut self, energy: f64) {
        let octave = if energy >= 1.0 { energy.min(4e9).log2().floor() as i32 } else { 0 };
        let level = (octave - ZERO_OCTAVE) * OCTAVE;
        let square = ((i64::from(level) * i64::from(level)) >> 12) as i32;
        self.count = (self.count + 1).min(LONG_TERM_FRAMES);

        self.mean_short = (self.mean_short * 15 + level) >> 4;
        self.variance_short = (self.variance_short * 15 + square) / 16;
        self.deviation_short = deviation(self.variance_short, self.mean_short);

        self.mean_long = (self.mean_long * self.count + level) / (self.count + 1);
        self.variance_long = (self.variance_long * self.count + square) / (self.count + 1);
        self.deviation_long = deviation(self.variance_long, self.mean_long);

        // log_ratio <- 13/16 log_ratio + 192 (level - mean) / deviation, the difference in 16 bits as on the device.
        let surprise = i64::from((level - self.mean_long) as i16) * (3 << 12);
        let normalised =
            if self.deviation_long == 0 { i64::from(i32::MAX) } else { surprise / i64::from(self.deviation_long) };
        let log_ratio = (normalised + i64::from(self.log_ratio) * 52) >> 6;
        self.log_ratio = log_ratio.clamp(-LOG_RATIO_MAX, LOG_RATIO_MAX) as i32;
    }
}

fn deviation(variance: i32, mean: i32) -> i32 {
    let squared = (i64::from(variance) << 12) - i64::from(mean) * i64::from(mean);
    (squared.unsigned_abs() as f64).sqrt().min(f64::from(i16::MAX)) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_from_a_constant_level_is_silence_and_a_return_is_noticed() {
        let mut voice = Voice::new();
        for _ in 0..3_000 {
            voice.hear(1e6);
        }
        assert!(voice.deviation_short < 500, "{voice:?}");
        for _ in 0..20 {
            voice.hear(1e4);
        }
        assert!(voice.log_ratio < 0, "{voice:?}");
        assert!(voice.deviation_short > 500, "{voice:?}");
        let before = voice.log_ratio;
        voice.hear(1e8);
        assert!(voice.log_ratio > before, "{before} then {voice:?}");
    }

    #[test]
    fn silence_and_nonsense_are_taken_calmly() {
        let mut voice = Voice::new();
        for energy in [0.0, f64::INFINITY, f64::NAN, -1.0, 1e300] {
            for _ in 0..300 {
                voice.hear(energy);
            }
        }
        assert!(voice.log_ratio.abs() <= 2_048);
    }
}
