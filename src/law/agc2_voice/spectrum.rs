//! The spectral features of 20 ms.

use super::{FEATURES, FRAME, TWO_FRAMES};
use crate::law::elementary::log10;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use std::sync::Arc;

/// Bins of 50 Hz between one band's centre and the next one's; each bin counts for both, by its distance.
const SPACINGS: [usize; 19] = [4, 4, 4, 4, 4, 4, 4, 4, 8, 8, 8, 8, 16, 16, 16, 24, 24, 32, 48];
const BANDS: usize = SPACINGS.len() + 1;
/// Coefficients of the cepstrum; two bands lie above 12 kHz and are empty.
const CEPSTRUM: usize = BANDS + 2;
/// Coefficients that are followed in time.
const LOW: usize = 6;
/// Cepstra that are remembered.
const HISTORY: usize = 8;
/// Energy below which there is silence.
const SILENCE: f32 = 0.04;
/// Logarithm of an empty band's energy.
const EMPTY: f32 = -2.0;

type Bands = [f32; BANDS];

/// Turns frames into features.
pub(super) struct Spectrum {
    fft: Arc<dyn RealToComplex<f64>>,
    input: Vec<f64>,
    now: Vec<Complex<f64>>,
    before: Vec<Complex<f64>>,
    window: Vec<f64>,
    /// Cosines, by coefficient and band.
    cosines: [[f32; CEPSTRUM]; CEPSTRUM],
    /// The last cepstra, newest first.
    history: [[f32; CEPSTRUM]; HISTORY],
}

impl Spectrum {
    pub(super) fn new() -> Self {
        let fft = RealFftPlanner::<f64>::new().plan_fft_forward(TWO_FRAMES);
        let window = |n: usize| {
            let half_turn = std::f64::consts::FRAC_PI_2;
            let sine = (half_turn * (n as f64 + 0.5) / FRAME as f64).sin();
            // Vorbis's power-complementary window, scaled for the transform.
            (half_turn * sine * sine).sin() / TWO_FRAMES as f64
        };
        let cosine = |coefficient: usize, band: usize| {
            let turn = (band as f64 + 0.5) * coefficient as f64 * std::f64::consts::PI / CEPSTRUM as f64;
            let scale = if coefficient == 0 { 0.5f64.sqrt() } else { 1.0 };
            (turn.cos() * scale * (2.0 / CEPSTRUM as f64).sqrt()) as f32
        };
        Self {
            input: fft.make_input_vec(),
            now: fft.make_output_vec(),
            before: fft.make_output_vec(),
            window: (0..TWO_FRAMES).map(window).collect(),
            cosines: std::array::from_fn(|k| std::array::from_fn(|band| cosine(k, band))),
            history: [[0.0; CEPSTRUM]; HISTORY],
            fft,
        }
    }

    /// Fills in all features but the period of what sounds now and what sounded one period before; absent in silence.
    pub(super) fn features(&mut self, now: &[f32], before: &[f32], out: &mut [f32; FEATURES]) -> Option<()> {
        transform(self.fft.as_ref(), &self.window, &mut self.input, now, &mut self.now)?;
        let energies = bands(&self.now, &self.now);
        if energies.iter().sum::<f32>() < SILENCE {
            return None;
        }
        transform(self.fft.as_ref(), &self.window, &mut self.input, before, &mut self.before)?;
        let energies_before = bands(&self.before, &self.before);

        let mut cepstrum = self.cepstrum(&log_energies(&energies));
        // Means of what the network was taught with.
        cepstrum[0] -= 12.0;
        cepstrum[1] -= 4.0;
        self.history.rotate_right(1);
        self.history[0] = cepstrum;

        let mut repeat = bands(&self.now, &self.before);
        for (product, (a, b)) in repeat.iter_mut().zip(energies.iter().zip(&energies_before)) {
            *product /= (0.001 + a * b).sqrt();
        }
        let mut repeat = self.cepstrum(&repeat);
        repeat[0] -= 1.3;
        repeat[1] -= 0.9;

        let [newest, last, earlier, ..] = &self.history;
        for k in 0..LOW {
            out[k] = newest[k] + last[k] + earlier[k];
            out[CEPSTRUM + k] = newest[k] - earlier[k];
            out[CEPSTRUM + LOW + k] = newest[k] - 2.0 * last[k] + earlier[k];
            out[CEPSTRUM + 2 * LOW + k] = repeat[k];
        }
        out[LOW..CEPSTRUM].copy_from_slice(&cepstrum[LOW..]);
        out[FEATURES - 1] = self.variability();
        Some(())
    }

    fn cepstrum(&self, bands: &[f32]) -> [f32; CEPSTRUM] {
        std::array::from_fn(|k| bands.iter().zip(&self.cosines[k]).map(|(x, cosine)| x * cosine).sum())
    }

    /// How far each remembered cepstrum is from the one most like it, on average.
    fn variability(&self) -> f32 {
        let distance = |a: usize, b: usize| {
            self.history[a].iter().zip(&self.history[b]).map(|(x, y)| (x - y) * (x - y)).sum::<f32>()
        };
        let nearest = |a: usize| (0..HISTORY).filter(|&b| b != a).map(|b| distance(a, b)).fold(f32::MAX, f32::min);
        (0..HISTORY).map(nearest).sum::<f32>() / HISTORY as f32 - 2.1
    }
}

fn transform(
    fft: &dyn RealToComplex<f64>,
    window: &[f64],
    input: &mut [f64],
    frame: &[f32],
    out: &mut [Complex<f64>],
) -> Option<()> {
    for ((x, sample), weight) in input.iter_mut().zip(frame).zip(window) {
        *x = f64::from(*sample) * weight;
    }
    // The lengths are those the plan made, the only thing that can go wrong.
    fft.process(input, out).ok()
}

/// Products of two spectra in each band.
fn bands(a: &[Complex<f64>], b: &[Complex<f64>]) -> Bands {
    let mut out = [0f64; BANDS];
    let mut bins = a.iter().zip(b);
    for (band, &spacing) in SPACINGS.iter().enumerate() {
        for (k, (a, b)) in bins.by_ref().take(spacing).enumerate() {
            let product = a.re * b.re + a.im * b.im;
            let share = product * k as f64 / spacing as f64;
            out[band] += product - share;
            out[band + 1] += share;
        }
    }
    // The first band has no lower half.
    out[0] *= 2.0;
    out.map(|x| x as f32)
}

/// Logarithms of energies that fall by 15 dB from band to band at most, and 70 dB below the loudest.
fn log_energies(energies: &Bands) -> [f32; CEPSTRUM] {
    let (mut loudest, mut follow) = (EMPTY, EMPTY);
    std::array::from_fn(|band| {
        let own = energies.get(band).map_or(EMPTY, |energy| log10(0.01 + energy));
        let level = own.max(follow - 1.5).max(loudest - 7.0);
        loudest = loudest.max(level);
        follow = level.max(follow - 1.5);
        level
    })
}
