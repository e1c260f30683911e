//! What WebRTC's first gain control hears: the band below 8 kHz, boiled down to a few numbers per 10 ms.
//!
//! The device splits its input and looks at the band of 0-8 kHz alone, sampled at 16 kHz. Everything it needs from
//! there is homogeneous in the signal's scale: peaks and energies of a millisecond, and a count of sign changes. A gain
//! that hardly moves within a millisecond therefore passes through them, and one [`Heard`] of the *recorded* signal
//! serves every guess of the gain: `peak(y/g) = peak(y)/g`. That is what makes the inverse cheap, and why nothing here
//! depends on the constants of the law.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/digital_agc` (envelope, voice measure) and
//! `analog_agc` (block energies, low-level test).

use std::f64::consts::PI;

/// Sampling rate of the band the device looks at, in Hz.
pub(super) const BAND_RATE_HZ: f64 = 16_000.0;
/// Milliseconds in a frame: the device works in blocks of 10 ms.
pub(super) const SUBFRAMES: usize = 10;
/// Samples of the band per millisecond.
const SUBFRAME_LEN: usize = 16;
/// Samples of the band per frame.
const FRAME_LEN: usize = SUBFRAMES * SUBFRAME_LEN;
/// Blocks per frame of the slow controller.
pub(super) const BLOCKS: usize = SUBFRAMES / 2;

/// What the slow controller's blocks of 16 samples are: its five blocks per frame were made for 8 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// Nobody listens.
    None,
    /// A device that runs at 16 kHz halves the rate: blocks of 2 ms of the band below 4 kHz.
    Halved,
    /// A device that runs at 32 or 48 kHz does not: the first five milliseconds of each frame, the rest is not heard.
    FirstHalf,
}

/// Largest 16-bit sample: the device's arithmetic, and so its thresholds, are in such units.
pub(super) const FULL_SCALE: f64 = 32_768.0;

/// Edge of the low-pass in front of the 16 kHz band, in Hz: halfway through a transition of 6 to 9 kHz, where a piano
/// has next to nothing.
const EDGE_HZ: f64 = 7_500.0;
/// Length of the low-pass, in s: 24 taps at 48 kHz, 35 dB of rejection above 9 kHz.
const LENGTH_S: f64 = 0.000_5;
/// Finest division of a sample period that a fractional position is rounded to.
const PHASES_MAX: u64 = 512;
/// Largest sample that is listened to, 48 dB over full scale: beyond it, sums of squares would leave their range.
pub(super) const LOUDEST: f32 = 256.0;
/// Lanes the convolution is summed in, so that the compiler can vectorise it.
const LANES: usize = 8;

/// Coefficients of the two branches of the all-pass half-band filter, as in WebRTC's signal processing library
/// (`resample_by_2`, there in units of 1/65536).
const BRANCH_FIRST: [f32; 3] = [12_199.0 / 65_536.0, 37_471.0 / 65_536.0, 60_255.0 / 65_536.0];
const BRANCH_SECOND: [f32; 3] = [3_284.0 / 65_536.0, 24_441.0 / 65_536.0, 49_528.0 / 65_536.0];

/// Pole of the high-pass before the voice measure, at 4 kHz: a corner of about 300 Hz.
const HIGH_PASS_POLE: f32 = 600.0 / 1_024.0;

/// One frame of 10 ms, in the units of 16-bit samples.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    /// Largest magnitude in each millisecond.
    pub peak: [f64; SUBFRAMES],
    /// Where in its millisecond that peak lies, 0 to 1.
    pub peak_at: [f64; SUBFRAMES],
    /// Energy of the 4 kHz high-passed signal per millisecond, in 64ths of squared samples.
    pub voice: [f64; SUBFRAMES],
    /// Mean square of each block of the slow controller, see [`Blocks`].
    pub power: [f64; BLOCKS],
    /// Sum of squares over the frame.
    pub energy: f64,
    /// Sign changes over the frame.
    pub crossings: u32,
}

impl Heard {
    /// The same frame of a signal that is `factor` times as large.
    pub fn scaled(&self, factor: f64) -> Self {
        let square = factor * factor;
        Self {
            peak: self.peak.map(|peak| factor * peak),
            peak_at: self.peak_at,
            voice: self.voice.map(|voice| square * voice),
            power: self.power.map(|power| square * power),
            energy: square * self.energy,
            crossings: self.crossings,
        }
    }
}

/// Halves the sampling rate with two chains of all-pass sections.
#[derive(Debug, Clone, Default)]
struct Halver {
    first: [(f32, f32); 3],
    second: [(f32, f32); 3],
}

impl Halver {
    fn pass(sections: &mut [(f32, f32); 3], coefficients: &[f32; 3], input: f32) -> f32 {
        let mut x = input;
        for (state, a) in sections.iter_mut().zip(coefficients) {
            let y = state.0 + a * (x - state.1);
            *state = (x, y);
            x = y;
        }
        x
    }

    fn next(&mut self, even: f32, odd: f32) -> f32 {
        0.5 * (Self::pass(&mut self.first, &BRANCH_FIRST, even) + Self::pass(&mut self.second, &BRANCH_SECOND, odd))
    }
}

/// Brings a signal of any rate to the 16 kHz band, sample by sample as soon as its filter allows.
#[derive(Debug, Clone)]
struct Resampler {
    /// One row of taps per phase.
    taps: Vec<f32>,
    taps_len: usize,
    phases: u64,
    /// Input samples per band sample: `step / denominator`.
    step: u64,
    denominator: u64,
    /// Position of the next band sample relative to `buffer[taps_len / 2 - 1]`: whole samples and remainder.
    whole: usize,
    remainder: u64,
    buffer: Vec<f32>,
}

impl Resampler {
    fn new(sample_rate_hz: f64) -> Self {
        let step = sample_rate_hz.round().clamp(1.0, 4e6) as u64;
        let denominator = BAND_RATE_HZ as u64;
        let divisor = greatest_common_divisor(step, denominator);
        let (step, denominator) = (step / divisor, denominator / divisor);
        let phases = denominator.min(PHASES_MAX);
        let taps_len = ((LENGTH_S * sample_rate_hz / LANES as f64).ceil() as usize).max(3) * LANES;
        let edge = (EDGE_HZ / sample_rate_hz).min(0.45);
        let half = taps_len as f64 / 2.0;
        let mut taps = Vec::with_capacity(taps_len * phases as usize);
        for phase in 0..phases {
            let centre = half - 1.0 + phase as f64 / phases as f64;
            let row: Vec<f64> = (0..taps_len)
                .map(|k| {
                    let t = k as f64 - centre;
                    let sinc = if t.abs() < 1e-9 { 2.0 * edge } else { (2.0 * PI * edge * t).sin() / (PI * t) };
                    sinc * (0.5 + 0.5 * (PI * t / half).cos()).max(0.0)
                })
                .collect();
            let sum: f64 = row.iter().sum();
            taps.extend(row.iter().map(|tap| (tap / sum) as f32));
        }
        // The history before the recording is silence.
        let buffer = vec![0.0; taps_len / 2 - 1];
        Self { taps, taps_len, phases, step, denominator, whole: 0, remainder: 0, buffer }
    }

    /// Input samples after its own position that a band sample waits for.
    fn lookahead_samples(&self) -> usize {
        self.taps_len / 2 + 1
    }

    /// Appends the band samples that the input completes to `out`.
    fn feed(&mut self, input: &[f32], out: &mut Vec<f32>) {
        self.buffer.extend(input.iter().map(|x| x.clamp(-LOUDEST, LOUDEST)));
        while let Some(window) = self.buffer.get(self.whole..self.whole + self.taps_len) {
            let phase = (self.remainder * self.phases / self.denominator) as usize;
            let row = &self.taps[phase * self.taps_len..(phase + 1) * self.taps_len];
            let mut lanes = [0f32; LANES];
            for (x, h) in window.as_chunks::<LANES>().0.iter().zip(row.as_chunks::<LANES>().0) {
                for lane in 0..LANES {
                    lanes[lane] += x[lane] * h[lane];
                }
            }
            out.push(lanes.iter().sum());
            self.remainder += self.step;
            while self.remainder >= self.denominator {
                self.remainder -= self.denominator;
                self.whole += 1;
            }
        }
        let spent = self.whole.min(self.buffer.len());
        self.buffer.drain(..spent);
        self.whole -= spent;
    }
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Turns samples into [`Heard`] frames.
#[derive(Debug, Clone)]
pub(super) struct Hearing {
    resampler: Resampler,
    /// Samples of frames that are not complete yet.
    band: Vec<f32>,
    halver: Halver,
    voice_halver: Halver,
    high_pass: (f32, f32),
    blocks: Blocks,
}

impl Hearing {
    /// Listens at the recording's rate.
    pub fn new(sample_rate_hz: f64, blocks: Blocks) -> Self {
        Self {
            blocks,
            resampler: Resampler::new(sample_rate_hz),
            band: Vec::with_capacity(2 * FRAME_LEN),
            halver: Halver::default(),
            voice_halver: Halver::default(),
            high_pass: (0.0, 0.0),
        }
    }

    /// Input samples after the end of a frame that it waits for.
    pub fn lookahead_samples(&self) -> usize {
        self.resampler.lookahead_samples()
    }

    /// Feeds samples of full scale 1 times `scale`; `sink` receives each frame as it is complete. `rounded` rounds them
    /// to 16 bits as the device does at its input: silence below the last bit is silence, and the voice measure knows.
    pub fn feed(&mut self, drive: &[f32], scale: f64, rounded: bool, mut sink: impl FnMut(&Heard)) {
        let Self { resampler, band, halver, voice_halver, high_pass, blocks } = self;
        let scale = (scale * FULL_SCALE) as f32;
        let known = band.len();
        resampler.feed(drive, band);
        if rounded {
            band[known..].iter_mut().for_each(|x| *x = round(*x * scale));
        } else {
            band[known..].iter_mut().for_each(|x| *x *= scale);
        }
        let (frames, rest) = band.as_chunks::<FRAME_LEN>();
        for frame in frames {
            sink(&summarise(frame, *blocks, halver, voice_halver, high_pass));
        }
        let spent = band.len() - rest.len();
        band.drain(..spent);
    }
}

/// Rounds to a whole number, for magnitudes below 2^22: far above them the last bits of an `f32` are whole.
fn round(x: f32) -> f32 {
    const ONE_AND_A_HALF_TO_THE_23: f32 = 12_582_912.0;
    if x.abs() < 4_194_304.0 { (x + ONE_AND_A_HALF_TO_THE_23) - ONE_AND_A_HALF_TO_THE_23 } else { x }
}

fn summarise(
    frame: &[f32; FRAME_LEN],
    blocks: Blocks,
    halver: &mut Halver,
    voice_halver: &mut Halver,
    high_pass: &mut (f32, f32),
) -> Heard {
    let mut heard = Heard::default();
    if blocks != Blocks::None {
        heard.crossings = frame.windows(2).map(|two| u32::from((two[0] < 0.0) != (two[1] < 0.0))).sum();
    }
    for (k, subframe) in frame.as_chunks::<SUBFRAME_LEN>().0.iter().enumerate() {
        let (mut peaks, mut energies) = ([0f32; LANES], [0f32; LANES]);
        for eight in subframe.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                let x = eight[lane];
                peaks[lane] = if x.abs() > peaks[lane] { x.abs() } else { peaks[lane] };
                energies[lane] += x * x;
            }
        }
        let peak = peaks.iter().fold(0f32, |a, &b| a.max(b));
        let at = subframe.iter().position(|x| x.abs() == peak).unwrap_or(0);
        let energy = energies.iter().sum::<f32>();
        let (mut voice, mut power) = (0f32, 0f32);
        for four in subframe.chunks_exact(4) {
            if blocks == Blocks::Halved {
                let (first, second) = (halver.next(four[0], four[1]), halver.next(four[2], four[3]));
                power += first * first + second * second;
            }
            let x = voice_halver.next(0.5 * (four[0] + four[1]), 0.5 * (four[2] + four[3]));
            let out = x - high_pass.0 + HIGH_PASS_POLE * high_pass.1;
            *high_pass = (x, out);
            voice += out * out;
        }
        heard.peak[k] = f64::from(peak);
        heard.peak_at[k] = (at as f64 + 0.5) / SUBFRAME_LEN as f64;
        heard.voice[k] = f64::from(voice) / 64.0;
        match blocks {
            Blocks::None => {}
            Blocks::Halved => heard.power[k / 2] += f64::from(power) / SUBFRAME_LEN as f64,
            Blocks::FirstHalf if k < BLOCKS => heard.power[k] = f64::from(energy) / SUBFRAME_LEN as f64,
            Blocks::FirstHalf => {}
        }
        heard.energy += f64::from(energy);
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(sample_rate_hz: f64, frequency_hz: f64, blocks: Blocks) -> Vec<Heard> {
        let drive: Vec<f32> = (0..(sample_rate_hz as usize))
            .map(|n| 0.5 * (2.0 * PI * frequency_hz * n as f64 / sample_rate_hz).sin() as f32)
            .collect();
        let mut heard = Vec::new();
        Hearing::new(sample_rate_hz, blocks).feed(&drive, 1.0, false, |frame| heard.push(frame.clone()));
        heard
    }

    #[test]
    fn a_sine_of_one_kilohertz_is_heard_alike_at_every_rate() {
        for rate in [16_000.0, 22_050.0, 32_000.0, 44_100.0, 48_000.0, 96_000.0] {
            let heard = frames(rate, 1_000.0, if rate > 40_000.0 { Blocks::FirstHalf } else { Blocks::Halved });
            assert!(heard.len() >= 99, "{rate}: {} frames", heard.len());
            for frame in &heard[2..98] {
                for peak in frame.peak {
                    assert!((peak / 16_384.0 - 1.0).abs() < 0.025, "{rate}: peak {peak}");
                }
                for power in frame.power {
                    let expected = 16_384.0f64.powi(2) / 2.0;
                    assert!((power / expected - 1.0).abs() < 0.03, "{rate}: power {power} for {expected}");
                }
                assert!((19..=21).contains(&frame.crossings), "{rate}: {} crossings", frame.crossings);
            }
        }
    }

    #[test]
    fn what_lies_above_the_band_is_not_heard() {
        for frame in &frames(48_000.0, 12_000.0, Blocks::None)[2..98] {
            assert!(frame.peak.iter().all(|&p| p < 16_384.0 * 0.03), "{:?}", frame.peak);
        }
    }
}
