//! Spectral peaks of one frame, with log-parabolic interpolation.
//!
//! Three log levels `a, b, c` around a maximum lie on a parabola; its top is `q = (a - c) / 2(a - 2b + c)` bins off
//! the middle, at `b - (a - c) q / 4`. (J. O. Smith and X. Serra, PARSHL, 1987.)

/// Which maxima count as peaks.
#[derive(Debug, Clone, PartialEq)]
pub struct PeakConfig {
    /// Lowest frequency in Hz. The lowest piano partial is 27.5 Hz, but phones hear nothing below 50 Hz.
    pub low_hz: f64,
    /// Highest frequency in Hz: above, partials decay within a few frames.
    pub high_hz: f64,
    /// Peaks this far below the frame's loudest, in dB, are left out: they are its side lobes and noise.
    pub range_db: f64,
    /// Peaks below this level, in dBFS, are left out.
    pub floor_db: f64,
}

impl Default for PeakConfig {
    fn default() -> Self {
        Self { low_hz: 50.0, high_hz: 6_000.0, range_db: 70.0, floor_db: -85.0 }
    }
}

/// A maximum of the spectrum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Position in bins, fractional.
    pub bin: f32,
    /// Level in dBFS; a sine of full scale is 0.
    pub level_db: f32,
}

/// Finds the peaks of a power spectrum, ascending in frequency.
///
/// A peak is above its four neighbours. `power` is as [`crate::stft::Stft::power`] leaves it, `bin_hz` its spacing.
pub fn find(power: &[f32], bin_hz: f64, config: &PeakConfig, peaks: &mut Vec<Peak>) {
    peaks.clear();
    let low = ((config.low_hz / bin_hz) as usize).max(3);
    let high = ((config.high_hz / bin_hz) as usize).min(power.len().saturating_sub(3));
    if low >= high {
        return;
    }
    let least = (highest(&power[low..high]) * ratio(-config.range_db)).max(ratio(config.floor_db));
    for start in (low..high).step_by(MARKS) {
        let near = |offset: usize| &power[start + offset - 2..high.min(start + MARKS) + offset - 2];
        let marks = maxima(std::array::from_fn(near), least);
        for (word, bytes) in marks.as_chunks::<8>().0.iter().enumerate() {
            let mut left = u64::from_le_bytes(*bytes);
            while left != 0 {
                peaks.push(interpolated(power, start + 8 * word + left.trailing_zeros() as usize / 8));
                left &= left - 1;
            }
        }
    }
}

/// Bins that are looked at together.
const MARKS: usize = 64;

/// A 1 for each bin that is above its four neighbours and above `least`. Five views of the same bins, each one bin
/// further on; all questions are asked of each, so that the loop becomes vector instructions: few bins are maxima.
fn maxima([far_left, left, here, right, far_right]: [&[f32]; 5], least: f32) -> [u8; MARKS] {
    let mut marks = [0; MARKS];
    let neighbours = far_left.iter().zip(left).zip(right.iter().zip(far_right));
    for ((mark, here), ((far_left, left), (right, far_right))) in marks.iter_mut().zip(here).zip(neighbours) {
        let is_peak = (*here > least) & (here > left) & (here >= right) & (here > far_left) & (here > far_right);
        *mark = u8::from(is_peak);
    }
    marks
}

/// The top of the parabola through a maximum.
fn interpolated(power: &[f32], k: usize) -> Peak {
    // In doubles: the last bits of a single-precision logarithm differ from machine to machine.
    let level_db = |p: f32| (10.0 * f64::from(p.max(f32::MIN_POSITIVE)).log10()) as f32;
    let [a, b, c] = [power[k - 1], power[k], power[k + 1]].map(level_db);
    let curvature = a - 2.0 * b + c;
    let q = if curvature < 0.0 { 0.5 * (a - c) / curvature } else { 0.0 };
    Peak { bin: k as f32 + q, level_db: b - 0.25 * (a - c) * q }
}

/// The largest of some powers, in lanes.
fn highest(power: &[f32]) -> f32 {
    let (eights, rest) = power.as_chunks::<8>();
    let mut lanes = [0f32; 8];
    for eight in eights {
        for (lane, p) in lanes.iter_mut().zip(eight) {
            *lane = if p > lane { *p } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(0f32, |m, &p| m.max(p))
}

fn ratio(level_db: f64) -> f32 {
    10f64.powf(level_db / 10.0) as f32
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::stft::{Stft, StftConfig};

    #[test]
    fn frequency_and_level_of_two_sines_are_found() {
        let stft = Stft::new(&StftConfig::default(), 48_000.0).unwrap();
        let sines = [(440.3, 0.5), (1234.5, 0.02)];
        let x = (0..4096)
            .map(|n| {
                let t = f64::from(n) / 48_000.0;
                sines.iter().map(|(f, a)| a * (std::f64::consts::TAU * f * t).cos()).sum::<f64>() as f32
            })
            .collect::<Vec<_>>();
        let mut power = vec![0.0; stft.bin_len()];
        stft.power(&[x], 0, &mut stft.scratch(), &mut power);
        let mut peaks = Vec::new();
        find(&power, stft.bin_hz(), &PeakConfig { range_db: 50.0, ..Default::default() }, &mut peaks);
        assert_eq!(peaks.len(), 2);
        for (peak, (f, a)) in peaks.iter().zip(sines) {
            assert!((f64::from(peak.bin) * stft.bin_hz() - f).abs() < 0.3, "{peak:?}");
            // The parabola through a Hann window's log peak is up to 0.25 dB off, the same at every frame.
            assert!((f64::from(peak.level_db) - 20.0 * f64::log10(a)).abs() < 0.26, "{peak:?}");
        }
    }

    #[test]
    fn bins_looked_at_together_are_the_bins_looked_at_one_by_one() {
        let mut state = 1u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Few values, so that neighbours are equal now and then.
            ((state >> 40) % 12) as f32 * 1e-3
        };
        for len in [7, 8, 70, 135, 500, 2049] {
            let power = (0..len).map(|_| random()).collect::<Vec<_>>();
            let config = PeakConfig { low_hz: 1.0, high_hz: 1e6, range_db: 6.0, ..Default::default() };
            let (low, high) = (3, len - 3);
            let least = power[low..high].iter().fold(0f32, |m, p| m.max(*p)) * ratio(-6.0);
            let is_peak = |k: &usize| {
                let p = |k: usize| power[k];
                p(*k) > least && [k - 2, k - 1, k + 2].iter().all(|n| p(*k) > p(*n)) && p(*k) >= p(k + 1)
            };
            let mut peaks = Vec::new();
            find(&power, 1.0, &config, &mut peaks);
            let expected = (low..high).filter(is_peak).map(|k| interpolated(&power, k)).collect::<Vec<_>>();
            assert_eq!(peaks, expected, "{len}");
            assert!(len < 70 || !peaks.is_empty());
        }
    }

    #[test]
    fn silence_has_no_peaks() {
        let mut peaks = vec![Peak { bin: 1.0, level_db: 0.0 }];
        find(&[0.0; 2049], 11.7, &PeakConfig::default(), &mut peaks);
        assert!(peaks.is_empty());
        find(&[0.0; 2], 11.7, &PeakConfig::default(), &mut peaks);
    }
}
