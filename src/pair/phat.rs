//! Delays between two recordings that already run roughly together, window by window.
//!
//! Generalised cross-correlation with phase transform: every frequency votes with its phase alone, so neither microphone's
//! response nor a gain shifts the peak; frequencies that do not stand clear of a recording's own noise do not vote.
//!
//! ```text
//! R(τ) = IFFT( W(f) X(f) conj Y(f) / |X(f) Y(f)| ),     W = max(0, 1 - 4 N_x/|X|²) max(0, 1 - 4 N_y/|Y|²)
//! ```
//!
//! `N` is the noise floor, per band the quietest tenth of the windows. (C. Knapp and G. Carter, The generalized correlation
//! method for estimation of time delay, 1976.)

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Length of a window, in seconds, but for rounding to a power of two of samples.
const WINDOW_S: f64 = 65_536.0 / 48_000.0;
/// Most windows; beyond, they are spread further apart.
const MAX_WINDOWS: usize = 900;
/// Frequencies that vote: rooms rumble below, phones and codecs end above.
const BAND_HZ: (f64, f64) = (80.0, 12_000.0);
/// Bins that share one noise floor.
const FLOOR_BINS: usize = 64;
/// Share of the windows that are taken for noise.
const QUIET_SHARE: f64 = 0.1;
/// How far a bin's power must exceed the floor: power of noise alone exceeds four times its mean in one bin of 55.
const CLEAR_OF_NOISE: f32 = 4.0;
/// Fewest bins' worth of votes for a window to count as audible.
const MIN_VOTES: f32 = 60.0;

/// One window's delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Centre of the window, in seconds from the start of the two signals.
    pub time_s: f64,
    /// By how much the first signal is late, in seconds.
    pub delay_s: f64,
    /// Height of the peak over the standard deviation of the correlation within the search.
    pub height: f64,
    /// Whether the peak is negative: one of the two has its polarity inverted.
    pub is_inverted: bool,
}

/// Delay of `first` against `second` in every audible window, within ±`search_s`.
///
/// **Shape.** Both signals have the same rate; what the longer has more is left out.
#[must_use]
pub fn delays(first: &[f32], second: &[f32], rate_hz: f64, search_s: f64) -> Vec<Delay> {
    let len = first.len().min(second.len());
    let mut window_len = ((WINDOW_S * rate_hz).log2().round()).exp2() as usize;
    while window_len > 4096 && 4 * window_len > len {
        window_len /= 2;
    }
    if len < window_len {
        return Vec::new();
    }
    let hop = (window_len / 2).max((len - window_len) / MAX_WINDOWS);
    let starts = (0..=len - window_len).step_by(hop).collect::<Vec<_>>();
    let mut transform = Transform::new(window_len, rate_hz);

    // Noise floors first: they need all windows.
    let floors = [first, second].map(|signal| {
        let mut by_window = Vec::with_capacity(starts.len());
        for &start in &starts {
            let spectrum = transform.spectrum(&signal[start..start + window_len]);
            let mean = |bins: &[Complex<f32>]| bins.iter().map(Complex::norm_sqr).sum::<f32>() / bins.len() as f32;
            by_window.push(spectrum.chunks(FLOOR_BINS).map(mean).collect::<Vec<_>>());
        }
        let band_len = by_window.first().map_or(0, Vec::len);
        (0..band_len)
            .map(|b| {
                let mut column = by_window.iter().map(|w| w[b]).collect::<Vec<_>>();
                column.sort_by(f32::total_cmp);
                column[((QUIET_SHARE * column.len() as f64) as usize).min(column.len() - 1)]
            })
            .collect::<Vec<_>>()
    });

    let search = ((search_s * rate_hz).ceil() as usize).clamp(2, window_len / 2 - 2);
    starts
        .iter()
        .filter_map(|&start| {
            let x = transform.spectrum(&first[start..start + window_len]);
            let y = transform.spectrum(&second[start..start + window_len]);
            let correlation = transform.correlation(&x, &y, &floors)?;
            let (delay, height, is_inverted) = peak(&correlation, search);
            let time_s = (start as f64 + 0.5 * window_len as f64) / rate_hz;
            Some(Delay { time_s, delay_s: delay / rate_hz, height, is_inverted })
        })
        .collect()
}

/// Windowed transforms of one length.
struct Transform {
    window: Vec<f32>,
    voting: std::ops::Range<usize>,
    forward: std::sync::Arc<dyn realfft::RealToComplex<f32>>,
    inverse: std::sync::Arc<dyn realfft::ComplexToReal<f32>>,
}

impl Transform {
    fn new(len: usize, rate_hz: f64) -> Self {
        let mut planner = RealFftPlanner::new();
        let hann = |n: usize| (0.5 - 0.5 * (std::f64::consts::TAU * n as f64 / len as f64).cos()) as f32;
        let bin = |hz: f64| ((hz / rate_hz * len as f64) as usize).min((len as f64 * 0.45) as usize);
        Self {
            window: (0..len).map(hann).collect(),
            voting: bin(BAND_HZ.0)..bin(BAND_HZ.1),
            forward: planner.plan_fft_forward(len),
            inverse: planner.plan_fft_inverse(len),
        }
    }

    fn spectrum(&self, signal: &[f32]) -> Vec<Complex<f32>> {
        let mut windowed = signal.iter().zip(&self.window).map(|(x, w)| x * w).collect::<Vec<_>>();
        let mut out = self.forward.make_output_vec();
        // Lengths are right by construction.
        let _ = self.forward.process(&mut windowed, &mut out);
        out
    }

    /// `R(τ)`, circular; absent where too little stands clear of the noise.
    fn correlation(&mut self, x: &[Complex<f32>], y: &[Complex<f32>], floors: &[Vec<f32>; 2]) -> Option<Vec<f32>> {
        let mut cross = self.inverse.make_input_vec();
        let mut votes = 0f32;
        for k in self.voting.clone() {
            let clear = |z: Complex<f32>, floor: f32| {
                let power = z.norm_sqr();
                if power > 0.0 { (1.0 - CLEAR_OF_NOISE * floor / power).max(0.0) } else { 0.0 }
            };
            let weight = clear(x[k], floors[0][k / FLOOR_BINS]) * clear(y[k], floors[1][k / FLOOR_BINS]);
            let product = x[k] * y[k].conj();
            let size = product.norm();
            if weight > 0.0 && size > 0.0 {
                cross[k] = product * (weight / size);
                votes += weight;
            }
        }
        if votes < MIN_VOTES {
            return None;
        }
        let mut out = self.inverse.make_output_vec();
        let _ = self.inverse.process(&mut cross, &mut out);
        Some(out)
    }
}

/// Place of the largest magnitude within ±`search`, refined by a parabola; its height in standard deviations; whether it is
/// negative.
fn peak(correlation: &[f32], search: usize) -> (f64, f64, bool) {
    let at = |lag: i64| f64::from(correlation[lag.rem_euclid(correlation.len() as i64) as usize]);
    let range = -(search as i64)..=search as i64;
    let best = range.clone().fold(0, |best, lag| if at(lag).abs() > at(best).abs() { lag } else { best });
    let count = (2 * search + 1) as f64;
    let deviation = (range.map(|lag| at(lag).powi(2)).sum::<f64>() / count).sqrt().max(1e-12);
    let is_inverted = at(best) < 0.0;
    let [a, b, c] = [-1, 0, 1].map(|d| at(best + d).abs());
    let curvature = a - 2.0 * b + c;
    let shift = if curvature < 0.0 { (0.5 * (a - c) / curvature).clamp(-0.5, 0.5) } else { 0.0 };
    (best as f64 + shift, b / deviation, is_inverted)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::pair::resample::{Positions, resample};

    /// Bursts of decaying noise over silence.
    fn bursts(len: usize, seed: u64) -> Vec<f32> {
        let mut state = seed;
        (0..len)
            .map(|n| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let noise = (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0;
                noise * (-((n % 16_000) as f32) / 4_000.0).exp()
            })
            .collect()
    }

    #[test]
    fn a_fractional_delay_is_found_to_a_twentieth_of_a_sample_and_so_is_a_turned_polarity() {
        let x = bursts(400_000, 1);
        let late = resample(std::slice::from_ref(&x), Positions { first: -100.3, step: 1.0, len: 400_000 }).unwrap();
        let turned = late[0].iter().map(|y| -y).collect::<Vec<_>>();
        for (signal, is_inverted) in [(&late[0], false), (&turned, true)] {
            let found = delays(signal, &x, 48_000.0, 0.01);
            assert!(found.len() > 5);
            for d in found {
                assert!((d.delay_s * 48_000.0 - 100.3).abs() < 0.05, "{d:?}");
                assert_eq!(d.is_inverted, is_inverted);
                assert!(d.height > 8.0);
            }
        }
    }

    #[test]
    fn silence_and_short_signals_say_nothing() {
        assert!(delays(&[0.0; 100_000], &[0.0; 100_000], 48_000.0, 0.01).is_empty());
        assert!(delays(&[1.0; 100], &[1.0; 100], 48_000.0, 0.01).is_empty());
    }
}
