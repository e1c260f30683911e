//! Whether a recording ends at a frequency, as one does that a slower device made.
//!
//! A device that runs at 16 kHz leaves nothing above 8 kHz. Music has less and less towards higher frequencies, but it does
//! not break off.

use realfft::RealFftPlanner;

/// Length of a spectrum in samples, and the seconds from one to the next.
const SPECTRUM_SAMPLES: usize = 4096;
const STRIDE_S: f64 = 0.25;
/// Spectra at most: the edge stays where it is.
const SPECTRA: usize = 480;
/// Bands just below and just above an edge, in its frequency: clear of a soft resampler's slope.
const BELOW: (f64, f64) = (0.88, 0.95);
const ABOVE: (f64, f64) = (1.10, 1.20);
/// Power below over power above that makes an edge (12 dB); pianos fall by up to 9 dB from one band to the other.
const EDGE_RATIO: f64 = 16.0;

/// Mean power of a recording in each bin of a spectrum.
#[derive(Debug, Clone)]
pub(super) struct MeanSpectrum {
    power: Vec<f64>,
    bin_hz: f64,
}

impl MeanSpectrum {
    pub(super) fn new(recorded: &[f32], sample_rate_hz: f64) -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(SPECTRUM_SAMPLES);
        let (mut input, mut spectrum) = (fft.make_input_vec(), fft.make_output_vec());
        let mut power = vec![0.0; spectrum.len()];
        let stride = ((STRIDE_S * sample_rate_hz) as usize).max(1);
        for start in (0..recorded.len().saturating_sub(SPECTRUM_SAMPLES)).step_by(stride).take(SPECTRA) {
            for (n, (to, x)) in input.iter_mut().zip(&recorded[start..]).enumerate() {
                let phase = std::f64::consts::TAU * n as f64 / SPECTRUM_SAMPLES as f64;
                *to = f64::from(*x) * (0.5 - 0.5 * phase.cos());
            }
            // The lengths are those the plan made, the only thing that can go wrong.
            if fft.process(&mut input, &mut spectrum).is_ok() {
                power.iter_mut().zip(&spectrum).for_each(|(p, x)| *p += x.norm_sqr());
            }
        }
        Self { power, bin_hz: sample_rate_hz / SPECTRUM_SAMPLES as f64 }
    }

    /// Whether the recording ends at a frequency.
    pub(super) fn ends_at(&self, edge_hz: f64) -> bool {
        let mean = |band: (f64, f64)| {
            let bin = |share: f64| ((share * edge_hz / self.bin_hz).round() as usize).min(self.power.len());
            let bins = &self.power[bin(band.0)..bin(band.1)];
            (!bins.is_empty()).then(|| bins.iter().sum::<f64>() / bins.len() as f64)
        };
        match (mean(BELOW), mean(ABOVE)) {
            (Some(below), Some(above)) => below > EDGE_RATIO * above,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hiss from a linear congruential generator, low-passed at a share of the rate by a long windowed sinc.
    fn hiss(edge_hz: Option<f64>, rate_hz: f64) -> Vec<f32> {
        let mut state = 1u32;
        let white = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state) / f64::from(u32::MAX) - 0.5
        });
        let white = white.take(48_000).collect::<Vec<_>>();
        let Some(edge_hz) = edge_hz else { return white.iter().map(|x| *x as f32).collect() };
        let half = 200i32;
        let kernel = (-half..=half).map(|k| {
            let x = 2.0 * edge_hz / rate_hz * f64::from(k) * std::f64::consts::PI;
            let window = 0.5 + 0.5 * (std::f64::consts::PI * f64::from(k) / f64::from(half + 1)).cos();
            window * if k == 0 { 1.0 } else { x.sin() / x }
        });
        let kernel = kernel.collect::<Vec<_>>();
        white.windows(kernel.len()).map(|w| w.iter().zip(&kernel).map(|(x, k)| x * k).sum::<f64>() as f32).collect()
    }

    #[test]
    fn a_recording_that_was_made_at_a_lower_rate_ends_there_and_nowhere_else() {
        let slow = MeanSpectrum::new(&hiss(Some(7_900.0), 48_000.0), 48_000.0);
        assert!(slow.ends_at(8_000.0) && !slow.ends_at(4_000.0) && !slow.ends_at(16_000.0));
        let whole = MeanSpectrum::new(&hiss(None, 48_000.0), 48_000.0);
        assert!(![4_000.0, 8_000.0, 16_000.0, 24_000.0].iter().any(|&hz| whole.ends_at(hz)));
        assert!(!MeanSpectrum::new(&[], 48_000.0).ends_at(8_000.0));
    }
}
