//! Whether WebRTC's second gain control takes a frame for speech.
//!
//! A small recurrent network hears 42 features of every 10 ms: the cepstrum of twenty bands, how it moves, how much of the sound
//! repeats after a pitch period, and that period. On a piano its answer is erratic, but it is the same each time: the gain
//! rises only while it says "speech", so nothing can stand in for it.
//!
//! ```text
//! 24 kHz -> prediction residual -> pitch period -> features of 20 ms and of the 20 ms one period before
//!        -> 24 tanh units -> 24 gated recurrent units -> probability
//! ```
//!
//! The network forgets every 1.5 s and in silence, the features never.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc2/rnn_vad`, after J.-M. Valin, "A hybrid DSP/deep learning approach to
//! real-time full-band speech enhancement", 2018 (RNNoise). The network's constants in `network.i8` are RNNoise's, under
//! their own licence ([BSD, three clauses](https://opensource.org/license/bsd-3-clause)), which lies beside them.

mod network;
mod pitch;
mod resampled;
mod spectrum;

use network::Network;
use pitch::Pitch;
use resampled::Resampled;
use spectrum::Spectrum;

/// Rate at which speech is sought.
const RATE_HZ: f64 = 24_000.0;
/// Samples of 10 ms and of 20 ms.
const FRAME: usize = 240;
const TWO_FRAMES: usize = 2 * FRAME;
/// Longest pitch period (62.5 Hz) and all that is remembered.
const LONGEST: usize = 384;
const MEMORY: usize = LONGEST + TWO_FRAMES;
/// Features of a frame.
const FEATURES: usize = 42;
/// Frames after which the network forgets.
const RESET_FRAMES: u32 = 150;
/// Full scale of the features: 16-bit samples.
const FULL_SCALE: f32 = 32_768.0;

/// The detector, frame after frame.
pub(super) struct Voice {
    resampled: Resampled,
    /// The last 36 ms, oldest first.
    memory: [f32; MEMORY],
    pitch: Pitch,
    spectrum: Spectrum,
    network: Network,
    until_reset: u32,
}

impl Voice {
    pub(super) fn new(sample_rate_hz: f64) -> Self {
        Self {
            resampled: Resampled::new(sample_rate_hz),
            memory: [0.0; MEMORY],
            pitch: Pitch::default(),
            spectrum: Spectrum::new(),
            network: Network::new(),
            until_reset: RESET_FRAMES,
        }
    }

    /// Probability of speech in the next 10 ms, full scale 1.
    pub(super) fn hear(&mut self, frame: &[f32]) -> f32 {
        self.until_reset -= 1;
        if self.until_reset == 0 {
            self.network.forget();
            self.until_reset = RESET_FRAMES;
        }
        self.memory.copy_within(FRAME.., 0);
        self.resampled.next(frame, FULL_SCALE, &mut self.memory[MEMORY - FRAME..]);
        match self.features() {
            Some(features) => self.network.probability(&features),
            None => {
                self.network.forget();
                0.0
            }
        }
    }

    /// Features of the last 20 ms; absent in silence.
    fn features(&mut self) -> Option<[f32; FEATURES]> {
        let period = self.pitch.estimate(&residual(&self.memory));
        let now = &self.memory[LONGEST..];
        let before = &self.memory[LONGEST - period / 2..][..TWO_FRAMES];
        let mut features = [0.0; FEATURES];
        self.spectrum.features(now, before, &mut features)?;
        features[FEATURES - 2] = 0.01 * (period as f32 - 300.0);
        Some(features)
    }
}

/// Sum of products, in eight lanes that the compiler makes vectors of; the order is fixed.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; 8];
    let (a_chunks, a_rest) = a.as_chunks::<8>();
    let (b_chunks, b_rest) = b.as_chunks::<8>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum::<f32>();
    sums.iter().sum::<f32>() + rest
}

/// Order of the prediction, before the zero that is put behind it.
const ORDER: usize = 4;

/// What a linear prediction of fourth order, softened, leaves of a sound.
fn residual(x: &[f32; MEMORY]) -> [f32; MEMORY] {
    let mut correlation: [f32; ORDER + 1] = std::array::from_fn(|lag| dot(&x[..MEMORY - lag], &x[lag..]));
    if correlation[0] == 0.0 {
        return *x;
    }
    // A noise floor 40 dB below, and a slight blur.
    correlation[0] *= 1.0001;
    for (lag, c) in correlation.iter_mut().enumerate().skip(1) {
        let blur = 0.008 * lag as f32;
        *c -= *c * (blur * blur);
    }
    let mut poles = predictor(&correlation);
    // Poles are drawn inwards, and a zero is put at -0.8.
    let mut shrink = 1.0;
    for pole in &mut poles {
        shrink *= 0.9;
        *pole *= shrink;
    }
    let filter: [f32; ORDER + 1] = std::array::from_fn(|k| {
        let own = if k < ORDER { poles[k] } else { 0.0 };
        let zero = if k == 0 { 1.0 } else { poles[k - 1] };
        own + 0.8 * zero
    });
    let mut out = *x;
    for (k, coefficient) in filter.iter().enumerate() {
        for (y, x) in out[k + 1..].iter_mut().zip(x) {
            *y += coefficient * x;
        }
    }
    out
}

/// Coefficients of the filter that takes the prediction off, by Levinson's recursion.
fn predictor(correlation: &[f32; ORDER + 1]) -> [f32; ORDER] {
    let mut filter = [0f32; ORDER];
    let mut error = correlation[0];
    for order in 0..ORDER {
        let predicted = (0..order).map(|k| filter[k] * correlation[order - k]).sum::<f32>();
        if error.abs() < 1e-6 {
            error = 1e-6f32.copysign(error);
        }
        let reflection = -(predicted + correlation[order + 1]) / error;
        filter[order] = reflection;
        for k in 0..order.div_ceil(2) {
            let (near, far) = (filter[k], filter[order - 1 - k]);
            filter[k] = near + reflection * far;
            filter[order - 1 - k] = far + reflection * near;
        }
        error -= reflection * reflection * error;
        if error < 0.001 * correlation[0] {
            break;
        }
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    /// Eight harmonics that sway by three semitones and swell four times a second, silence, and a struck string.
    fn sound(t: f64) -> f64 {
        let turns = 150.0 * t + 15.0 / (TAU * 1.5) * (1.0 - (TAU * 1.5 * t).cos());
        let harmonic = |h: u32| (TAU * f64::from(h) * turns).sin() / f64::from(h);
        let partial = |h: u32| {
            let (h, t) = (f64::from(h), t - 1.0);
            (-(1.0 + h) * t).exp() * (TAU * 440.0 * h * t).sin() / h
        };
        match t {
            t if t < 0.8 => 0.05 * (0.55 + 0.45 * (TAU * 4.0 * t).sin()) * (1..=8).map(harmonic).sum::<f64>(),
            t if t < 1.0 => 0.0,
            _ => 0.05 * (1..=6).map(partial).sum::<f64>(),
        }
    }

    /// Probabilities of every tenth frame, at a volume.
    fn probabilities(rate_hz: u32, volume: f64) -> Vec<f32> {
        let mut voice = Voice::new(f64::from(rate_hz));
        let frame_len = rate_hz / 100;
        let frame = |k: u32| {
            let sample = |n: u32| (volume * sound(f64::from(k * frame_len + n) / f64::from(rate_hz))) as f32;
            (0..frame_len).map(sample).collect::<Vec<_>>()
        };
        let all = (0..240).map(|k| voice.hear(&frame(k))).collect::<Vec<_>>();
        all.into_iter().skip(9).step_by(10).collect()
    }

    /// What the real library answers (version 2.1, crate webrtc-audio-processing-sys 2.1.0).
    const AT_48_KHZ: [f32; 24] = [
        0.9982, 0.9917, 0.9989, 0.9992, 0.9988, 0.9998, 0.9986, 0.9998, 0.0, 0.0, 0.9968, 0.9963, 0.9974, 0.9982,
        0.9537, 0.9982, 0.998, 0.9968, 0.9943, 0.99, 0.9841, 0.9761, 0.9666, 0.9578,
    ];
    const AT_32_KHZ: [f32; 24] = [
        0.998, 0.9911, 0.9988, 0.9992, 0.9987, 0.9998, 0.9985, 0.9998, 0.0, 0.0, 0.9974, 0.9965, 0.9974, 0.9982,
        0.9567, 0.9983, 0.9981, 0.9969, 0.9943, 0.99, 0.984, 0.9758, 0.9659, 0.9567,
    ];

    fn worst(ours: &[f32], theirs: &[f32]) -> f32 {
        ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn speech_is_what_the_real_library_takes_for_it() {
        for (rate_hz, theirs) in [(48_000, AT_48_KHZ), (32_000, AT_32_KHZ)] {
            let ours = probabilities(rate_hz, 1.0);
            assert!(worst(&ours, &theirs) < 2e-4, "{rate_hz}: {ours:?}");
        }
        // Another rate, or another volume, shows.
        assert!(worst(&probabilities(48_000, 1.0), &AT_32_KHZ) > 2e-3);
        assert!(worst(&probabilities(48_000, 0.5), &AT_48_KHZ) > 2e-3);
    }

    #[test]
    fn hostile_sound_ends_in_a_probability() {
        for level in [0.0, 1e-30, 1e30, f32::MAX] {
            let mut voice = Voice::new(44_100.0);
            for _ in 0..200 {
                let probability = voice.hear(&[level; 441]);
                assert!((0.0..=1.0).contains(&probability), "{level}: {probability}");
            }
        }
    }
}
