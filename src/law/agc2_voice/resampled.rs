//! A sound at the detector's rate.

use super::{FRAME, RATE_HZ};

/// Rates at which the device runs; a recording at another rate was made at the highest.
const DEVICE_RATES_HZ: [f64; 4] = [48_000.0, 32_000.0, 16_000.0, 8_000.0];
/// Half the length of the device's filter, in its samples.
const HALF_TAPS: f64 = 16.0;
/// Cut-off, as a share of the lower of both bands.
const CUTOFF: f64 = 0.9;
/// Positions between two samples for which a filter is made.
const PHASES: usize = 320;

/// Resampling by a windowed sine, late by 16 of the device's samples.
#[derive(Debug, Clone)]
pub(super) struct Resampled {
    /// Recorded samples per sample of the result, and per device sample.
    step: f64,
    per_device_sample: f64,
    /// Cut-off, as a share of the device's band.
    cutoff: f64,
    /// The last samples, as many as the filter needs, then the new ones.
    recent: Vec<f32>,
    /// Samples taken, of which `recent` holds the last.
    taken: u64,
    /// Samples made.
    made: u64,
    /// Filters by phase, made when first needed.
    filters: Vec<Vec<f32>>,
}

impl Resampled {
    pub(super) fn new(sample_rate_hz: f64) -> Self {
        let is_its_own = |rate_hz: &&f64| **rate_hz == sample_rate_hz;
        let device_hz = *DEVICE_RATES_HZ.iter().find(is_its_own).unwrap_or(&DEVICE_RATES_HZ[0]);
        Self {
            step: sample_rate_hz / RATE_HZ,
            per_device_sample: sample_rate_hz / device_hz,
            cutoff: CUTOFF * (RATE_HZ / device_hz).min(1.0),
            recent: Vec::new(),
            taken: 0,
            made: 0,
            filters: vec![Vec::new(); PHASES],
        }
    }

    /// Takes 10 ms and makes 10 ms.
    pub(super) fn next(&mut self, frame: &[f32], scale: f32, out: &mut [f32]) {
        self.recent.extend(frame.iter().map(|x| x * scale));
        self.taken += frame.len() as u64;
        let first = self.taken as f64 - self.recent.len() as f64;
        let reach = HALF_TAPS * self.per_device_sample;
        for y in out {
            // From here on the filter, which is twice `reach` long, weighs samples.
            let begin = self.made as f64 * self.step - 2.0 * reach;
            self.made += 1;
            let position = (begin * PHASES as f64).round();
            let whole = (position / PHASES as f64).floor();
            let phase = (position - whole * PHASES as f64) as usize;
            if self.filters[phase].is_empty() {
                self.filters[phase] = self.filter(phase as f64 / PHASES as f64);
            }
            let filter = &self.filters[phase];
            let offset = whole - first;
            // Before the recording there is silence.
            let missing = ((-offset).max(0.0) as usize).min(filter.len());
            let samples = &self.recent[(offset.max(0.0) as usize).min(self.recent.len())..];
            let filter = &filter[missing..];
            let len = samples.len().min(filter.len());
            *y = super::dot(&samples[..len], &filter[..len]);
        }
        let keep = (2.0 * reach + self.step).ceil() as usize + 2;
        let over = self.recent.len().saturating_sub(keep);
        self.recent.drain(..over);
        debug_assert!(self.made.is_multiple_of(FRAME as u64));
    }

    /// Weights of the samples from `phase` behind the filter's beginning on.
    fn filter(&self, phase: f64) -> Vec<f32> {
        let len = (2.0 * HALF_TAPS * self.per_device_sample).ceil() as usize;
        let weight = |n: usize| {
            let at = (n as f64 - phase) / self.per_device_sample;
            if !(0.0..2.0 * HALF_TAPS).contains(&at) {
                return 0.0;
            }
            let x = std::f64::consts::PI * (at - HALF_TAPS);
            let turn = std::f64::consts::TAU * at / (2.0 * HALF_TAPS);
            let blackman = 0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos();
            let sinc = if x == 0.0 { self.cutoff } else { (self.cutoff * x).sin() / x };
            (blackman * sinc / self.per_device_sample) as f32
        };
        (0..=len).map(weight).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sine_keeps_its_level_at_any_rate_and_comes_late() {
        for rate_hz in [48_000.0, 44_100.0, 32_000.0, 96_000.0, 22_050.0] {
            let device_hz = if rate_hz == 32_000.0 { rate_hz } else { 48_000.0 };
            let frame_len = rate_hz / 100.0;
            let mut resampled = Resampled::new(rate_hz);
            let mut worst = 0f64;
            let mut taken = 0;
            for frame in 1..=20u32 {
                let end = (f64::from(frame) * frame_len).ceil() as usize;
                let sine = |n: usize| (std::f64::consts::TAU * 440.0 * n as f64 / rate_hz).sin() as f32;
                let samples = (taken..end).map(sine).collect::<Vec<_>>();
                taken = end;
                let mut out = [0f32; FRAME];
                resampled.next(&samples, 1.0, &mut out);
                for (k, y) in out.iter().enumerate() {
                    let at_s = f64::from(frame - 1) / 100.0 + k as f64 / RATE_HZ - HALF_TAPS / device_hz;
                    if frame > 1 {
                        worst = worst.max((f64::from(*y) - (std::f64::consts::TAU * 440.0 * at_s).sin()).abs());
                    }
                }
            }
            assert!(worst < 0.002, "{rate_hz}: {worst}");
        }
    }
}
