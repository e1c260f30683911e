//! Onset strength in bands: what two recordings of one performance have in common whatever the microphone, the room and
//! the gain control.
//!
//! Per band, the rise of the level in dB over 30 ms, where it rises. A microphone's response and a slow gain cancel in the
//! difference; noise is kept out by a floor at the band's own quiet level.
//! (Spectral flux in bands: P. Masri, 1996; S. Böck and G. Widmer, 2013.)

use crate::audio::Audio;
use crate::error::Error;
use crate::stft::{Stft, StftConfig};

/// Time between frames, in seconds, but for rounding to samples.
const HOP_S: f64 = 0.010;
/// Window, in seconds: short enough to place an onset, long enough to part bands a quarter of an octave wide.
const WINDOW_S: f64 = 2048.0 / 48_000.0;
/// Lowest band edge in Hz: below it rooms rumble.
const LOWEST_HZ: f64 = 110.0;
/// Bands in an octave.
const PER_OCTAVE: f64 = 4.0;
/// Bands: to 3.5 kHz, which recordings at 8 kHz still have.
const BAND_LEN: usize = 20;
/// Frames over which a rise is taken.
const RISE_FRAMES: usize = 3;
/// Greatest rise that counts, in dB: a first note out of silence must not outweigh all others.
const MAX_RISE_DB: f64 = 20.0;
/// Share of the frames that are taken for a band's quiet level.
const QUIET_SHARE: f64 = 0.2;
/// Power, as a share of the band's loudest, below which nothing counts: -60 dB, so that digital silence is no note's eve.
const FLOOR_SHARE: f64 = 1e-6;
/// Frames over which the mean is taken away: 1 s.
const MEAN_FRAMES: usize = 100;

/// Onset strength of a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct OnsetStrength {
    /// One row a band, one value a frame; zero in the mean over a second.
    pub bands: Vec<Vec<f32>>,
    /// Time between frames, in seconds.
    pub hop_s: f64,
}

impl OnsetStrength {
    /// Listens to a recording, all channels together.
    ///
    /// # Errors
    /// As [`Stft::new`].
    pub fn of(audio: &Audio) -> Result<Self, Error> {
        let rate_hz = f64::from(audio.sample_rate_hz());
        let stft = Stft::new(&StftConfig { window_s: WINDOW_S, hop_s: HOP_S }, rate_hz)?;
        let edge = |b: usize| {
            let hz = LOWEST_HZ * (b as f64 / PER_OCTAVE).exp2();
            ((hz / stft.bin_hz()).round() as usize).min(stft.bin_len())
        };
        let frame_len = stft.frame_len(audio.sample_len());
        let mut level = vec![vec![0f64; frame_len]; BAND_LEN];
        let mut scratch = stft.scratch();
        let mut power = vec![0f32; stft.bin_len()];
        for n in 0..frame_len {
            stft.power(audio.channels(), n, &mut scratch, &mut power);
            for (b, level) in level.iter_mut().enumerate() {
                level[n] = power[edge(b)..edge(b + 1)].iter().map(|&p| f64::from(p)).sum();
            }
        }
        Ok(Self { bands: level.iter().map(|power| rises(power)).collect(), hop_s: stft.hop_s() })
    }

    /// Frames.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.bands.first().map_or(0, Vec::len)
    }
}

/// Rises of a band's level, their running mean taken away.
fn rises(power: &[f64]) -> Vec<f32> {
    let mut sorted = power.to_vec();
    sorted.sort_by(f64::total_cmp);
    let loudest = sorted.last().copied().unwrap_or(0.0);
    let quiet = sorted.get((QUIET_SHARE * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
    let quiet = quiet.max(FLOOR_SHARE * loudest);
    let level = power.iter().map(|p| 10.0 * (p + quiet + 1e-12).log10()).collect::<Vec<_>>();
    let rise = (0..level.len())
        .map(|n| if n < RISE_FRAMES { 0.0 } else { (level[n] - level[n - RISE_FRAMES]).clamp(0.0, MAX_RISE_DB) })
        .collect::<Vec<_>>();
    let mut sums = vec![0.0; rise.len() + 1];
    for (n, r) in rise.iter().enumerate() {
        sums[n + 1] = sums[n] + r;
    }
    (0..rise.len())
        .map(|n| {
            let (from, to) = (n.saturating_sub(MEAN_FRAMES / 2), (n + MEAN_FRAMES / 2).min(rise.len()));
            (rise[n] - (sums[to] - sums[from]) / (to - from).max(1) as f64) as f32
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn note(at: usize, len: usize, gain: f32) -> Audio {
        let x = (0..len)
            .map(|n| {
                if n < at {
                    return 0.0;
                }
                let t = (n - at) as f32 / 48_000.0;
                gain * (1.0 - (-t / 0.01).exp()) * (-2.0 * t).exp() * (2.0 * std::f32::consts::PI * 500.0 * t).sin()
            })
            .collect();
        Audio::new(48_000, vec![x]).unwrap()
    }

    #[test]
    fn a_note_rises_at_its_time_however_loud() {
        let loudest = |audio: &Audio| {
            let strength = OnsetStrength::of(audio).unwrap();
            let (mut best, mut at) = (0f32, 0);
            for n in 0..strength.frame_len() {
                let sum = strength.bands.iter().map(|b| b[n]).sum::<f32>();
                if sum > best {
                    (best, at) = (sum, n);
                }
            }
            at
        };
        let frame = loudest(&note(48_000, 96_000, 0.5));
        assert!((94..=103).contains(&frame), "{frame}");
        // A frame's grace: several reach the greatest rise that counts.
        assert!(loudest(&note(48_000, 96_000, 0.005)).abs_diff(frame) <= 1);
    }
}
