//! The inverse gain applied to the samples, and one overall constant for the true peak.
//!
//! # Model
//! The device recorded `y_c[n] = g[n] x_c[n]`, one gain `g` for all channels `c`; so `x_c[n] = y_c[n] / g[n]`, times one
//! constant, because the recording does not tell `g`'s offset.
//!
//! # The constant
//! [`GainCurve`]s are offset free with a median of 0 dB: half of the recording gets louder and half softer, and the loud
//! notes, which the device had held down, may now exceed full scale. So the result is turned *down* as a whole until its
//! true peak is -1 dBTP, and never up: amplification would raise the noise for nothing that the physics asks for, and two
//! movements of one evening stay comparable wherever neither needs it. For 32-bit float, where nothing can clip, the level
//! may be kept.

use crate::analysis::{Analysis, GainCurve, Verdict};
use crate::analyze::Config;
use crate::audio::Audio;
use crate::error::Error;
use crate::law::{self, Direction, Law, LawFit};
use crate::units::{amplitude_from_db, db_from_amplitude};
use blocks::MedianGain;
use ebur128::{EbuR128, Mode};
use std::sync::Arc;

mod blocks;

pub use blocks::{Restoration, TakeRestored, curve_of_law, restore_sound};

/// Highest true peak of a restored recording, in dBTP. Source: EBU R 128, maximum permitted true peak level in production.
pub const MAX_TRUE_PEAK_DBTP: f64 = -1.0;
/// The constant aims this far below [`MAX_TRUE_PEAK_DBTP`], in dB: rounding and 16-bit dither (a step is 0.0003 dB there)
/// must not lift the peak above it.
const TRUE_PEAK_MARGIN_DB: f64 = 0.001;
/// Samples of silence behind the recording that bring the last peak out of the meter's interpolation filter, which has 49
/// taps at four times the rate (ITU-R BS.1770-4, annex 2): 13 samples, rounded up.
const METER_TAIL_SAMPLES: usize = 32;

/// What a restoration gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Restored {
    /// The samples: the input divided by the device's gain, times one constant.
    pub audio: Audio,
    /// That constant, in dB: 0 where nothing was changed.
    pub overall_gain_db: f64,
    /// True peak of the result, in dBTP (ITU-R BS.1770).
    pub true_peak_dbtp: f64,
}

/// What the overall constant is chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Level {
    /// Turn the result down, if need be, until its true peak is at most [`MAX_TRUE_PEAK_DBTP`]. Never up.
    #[default]
    KeepBelowMinusOneDbtp,
    /// The constant is 0 dB, whatever the peak: for 32-bit float.
    Keep,
}

/// What [`restore`] does with an analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreConfig {
    /// How the overall constant is chosen.
    pub level: Level,
    /// Whether the gain is undone although the verdict is undecided: somebody else vouches for the law.
    pub trust: Trust,
}

/// Who vouches for the gain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Trust {
    /// The verdict: only [`Verdict::Agc`] is undone.
    #[default]
    Verdict,
    /// The caller, who knows the device: [`Verdict::Undecided`] is undone as well.
    Caller,
}

/// Gives a recording its dynamics back: divides it by the gain that the analysis found.
///
/// The law is run backwards over the samples; where the analysis has a curve but no law (a curve that was measured
/// elsewhere), the curve is interpolated. Where the verdict is `none`, or `undecided` and nobody vouches, the input comes
/// back untouched.
///
/// **Shape.** Rate, channels and length of the input. **Units.** The result is the input times one gain per sample.
///
/// # Errors
/// [`Error::Invalid`] where the analysis names a law that the configuration does not have, or belongs to another
/// recording.
pub fn restore(audio: &Audio, analysis: &Analysis, config: &Config) -> Result<Restored, Error> {
    let restoration = restore_sound(audio, analysis, config, &())?;
    let mut channels = vec![Vec::with_capacity(audio.sample_len()); audio.channels().len()];
    restoration.blocks(&mut |block| {
        channels.iter_mut().zip(block).for_each(|(channel, block)| channel.extend_from_slice(block));
        Ok(())
    })?;
    let Restoration { overall_gain_db, true_peak_dbtp, .. } = restoration;
    let audio = Audio::new(audio.sample_rate_hz(), channels)?;
    Ok(Restored { audio, overall_gain_db, true_peak_dbtp })
}

fn is_undone(analysis: &Analysis, config: &Config) -> bool {
    match analysis.verdict {
        Verdict::Agc => true,
        Verdict::Undecided { .. } => config.restore.trust == Trust::Caller,
        Verdict::None => false,
    }
}

fn law_named<'a>(fit: &LawFit, laws: &'a [Arc<dyn Law>]) -> Result<&'a Arc<dyn Law>, Error> {
    laws.iter().find(|law| law.name() == fit.name).ok_or_else(|| Error::Invalid {
        what: "law".to_owned(),
        cause: format!("none is called {}", fit.name),
        remedy: "name one of the configuration's laws".to_owned(),
    })
}

/// The device's gain at every sample, from its law; its median over the recording is 1 (to 0.004 dB).
///
/// # Errors
/// [`Error::Invalid`] where `laws` does not have the law that `fit` names.
pub fn gain_of_law(audio: &Audio, fit: &LawFit, laws: &[Arc<dyn Law>]) -> Result<Vec<f32>, Error> {
    let law = law_named(fit, laws)?;
    let drive = law::drive(audio.channels());
    let mut gain = gains_of_law(law.as_ref(), fit, f64::from(audio.sample_rate_hz()), &drive);
    let mut median = MedianGain::new();
    median.hear(&gain);
    let median = median.finish();
    gain.iter_mut().for_each(|g| *g /= median);
    Ok(gain)
}

/// The gain of every sample, as the law has it.
fn gains_of_law(law: &dyn Law, fit: &LawFit, rate_hz: f64, drive: &[f32]) -> Vec<f32> {
    let landed = || Some(law.listen(drive, rate_hz)?.landed_marks(&fit.values(), &fit.landings));
    match if fit.landings.is_empty() { None } else { landed() } {
        Some(marks) if !marks.is_empty() => law::samples_of(&marks, rate_hz, drive.len()),
        _ => law::gain_of(law, &fit.values(), rate_hz, drive, Direction::Inverse),
    }
}

/// Divides every channel by the device's gain: `x_c[n] = y_c[n] / g[n]`.
///
/// **Shape.** One gain per sample, as from [`gain_at_samples`] or [`crate::law::gain_of`]; the result has the input's
/// channels and length. **Units.** Amplitude factors. A gain of exactly 1 leaves a sample bit-identical.
///
/// # Errors
/// [`Error::Invalid`] where lengths differ, a gain is not positive and finite, or a result is beyond the range of `f32`.
pub fn apply_gain(audio: &Audio, device_gain: &[f32]) -> Result<Vec<Vec<f32>>, Error> {
    if device_gain.len() != audio.sample_len() {
        return Err(Error::Invalid {
            what: "gain".to_owned(),
            cause: format!("{} values for {} samples", device_gain.len(), audio.sample_len()),
            remedy: "give one gain per sample".to_owned(),
        });
    }
    let mut channels = audio.channels().to_vec();
    divide(&mut channels, device_gain, 0)?;
    Ok(channels)
}

/// Divides a block that begins with sample `start`.
fn divide(channels: &mut [Vec<f32>], device_gain: &[f32], start: usize) -> Result<(), Error> {
    // Looked for only where there is one: a fold without a way out becomes vector instructions.
    let is_wrong = |gain: &f32| !gain.is_normal() || *gain <= 0.0;
    if device_gain.iter().fold(false, |any, gain| any | is_wrong(gain))
        && let Some((n, gain)) = device_gain.iter().enumerate().find(|(_, gain)| is_wrong(gain))
    {
        return Err(Error::Invalid {
            what: "gain".to_owned(),
            cause: format!("the gain of sample {} is {gain}", start + n),
            remedy: "a gain must be positive and finite".to_owned(),
        });
    }
    for (c, channel) in channels.iter_mut().enumerate() {
        channel.iter_mut().zip(device_gain).for_each(|(y, gain)| *y /= gain);
        if channel.iter().fold(false, |any, x| any | !x.is_finite())
            && let Some(n) = channel.iter().position(|x| !x.is_finite())
        {
            let (gain, n) = (device_gain[n], start + n);
            return Err(Error::Invalid {
                what: "gain".to_owned(),
                cause: format!("undoing the gain of {gain} at sample {n} of channel {c} overflows"),
                remedy: "a device's gain stays within some ±60 dB".to_owned(),
            });
        }
    }
    Ok(())
}

/// Applies the overall constant.
///
/// # Errors
/// [`Error::Invalid`] as [`Audio::new`], and where the meter refuses the recording.
pub fn set_level(sample_rate_hz: u32, mut channels: Vec<Vec<f32>>, level: Level) -> Result<Restored, Error> {
    let peak_dbtp = true_peak_dbtp(sample_rate_hz, &channels)?;
    let overall_gain_db = overall_gain_db(peak_dbtp, level);
    turn_down(&mut channels, overall_gain_db);
    let audio = Audio::new(sample_rate_hz, channels)?;
    Ok(Restored { audio, overall_gain_db, true_peak_dbtp: peak_dbtp + overall_gain_db })
}

/// The overall constant for a true peak.
fn overall_gain_db(peak_dbtp: f64, level: Level) -> f64 {
    let is_turned_down = level == Level::KeepBelowMinusOneDbtp && peak_dbtp > MAX_TRUE_PEAK_DBTP;
    if is_turned_down { MAX_TRUE_PEAK_DBTP - TRUE_PEAK_MARGIN_DB - peak_dbtp } else { 0.0 }
}

/// Applies it; the result is as good as bit-identical where it is 0.
fn turn_down(channels: &mut [Vec<f32>], overall_gain_db: f64) {
    if overall_gain_db < 0.0 {
        let factor = amplitude_from_db(overall_gain_db);
        for x in channels.iter_mut().flatten() {
            *x = (f64::from(*x) * factor) as f32;
        }
    }
}

/// True peak over all channels, in dBTP; minus infinity for silence.
///
/// Source: ITU-R BS.1770-4 annex 2, through the `ebur128` crate: four times oversampled below 96 kHz, twice below 192 kHz.
///
/// # Errors
/// [`Error::Invalid`] where the meter refuses rate or channels.
pub fn true_peak_dbtp(sample_rate_hz: u32, channels: &[Vec<f32>]) -> Result<f64, Error> {
    let mut meter = Meter::new(sample_rate_hz, channels.len())?;
    meter.hear(channels)?;
    meter.finish()
}

/// Measures a true peak block by block. Blocks that cannot hold it, whatever lies between their samples, are not looked at
/// closely: most of a recording is far softer than its peak.
struct Meter {
    meter: EbuR128,
    channel_len: usize,
    sample_rate_hz: u32,
    sample_peak: f32,
    /// The highest peak so far.
    peak: f64,
    /// The last samples of a block that was passed over.
    passed_over: Option<Vec<[f32; METER_TAIL_SAMPLES]>>,
}

/// Samples that are looked at together.
const CLOSE_SAMPLES: usize = 1024;
/// No interpolated sample is louder than the samples around it by more than this factor. The sum of the magnitudes of the
/// filter's taps is 1.87 at four times the rate and 2.31 at twice (49 taps of a sinc under a Hann window).
const MOST_BETWEEN: f64 = 2.4;

impl Meter {
    fn new(sample_rate_hz: u32, channel_len: usize) -> Result<Self, Error> {
        let meter = EbuR128::new(channel_len as u32, sample_rate_hz, Mode::TRUE_PEAK);
        let meter = meter.map_err(|error| refused(error, channel_len, sample_rate_hz))?;
        Ok(Self { meter, channel_len, sample_rate_hz, sample_peak: 0.0, peak: 0.0, passed_over: None })
    }

    fn hear(&mut self, channels: &[Vec<f32>]) -> Result<(), Error> {
        let sample_len = channels.iter().map(Vec::len).min().unwrap_or(0);
        for start in (0..sample_len).step_by(CLOSE_SAMPLES) {
            let end = sample_len.min(start + CLOSE_SAMPLES);
            let block: Vec<&[f32]> = channels.iter().map(|channel| &channel[start..end]).collect();
            self.hear_block(&block)?;
        }
        Ok(())
    }

    fn hear_block(&mut self, block: &[&[f32]]) -> Result<(), Error> {
        let loudest = block.iter().map(|samples| loudest(samples)).fold(0f32, f32::max);
        self.sample_peak = self.sample_peak.max(loudest);
        let len = block.first().map_or(0, |samples| samples.len());
        let is_soft = f64::from(loudest) * MOST_BETWEEN <= self.peak.max(f64::from(self.sample_peak));
        if is_soft && len >= 2 * METER_TAIL_SAMPLES {
            if self.passed_over.is_none() {
                // What came before reaches into this block.
                let begin = block.iter().map(|samples| &samples[..METER_TAIL_SAMPLES]).collect::<Vec<_>>();
                self.add(&begin)?;
            }
            let end = |samples: &&[f32]| std::array::from_fn(|k| samples[len - METER_TAIL_SAMPLES + k]);
            self.passed_over = Some(block.iter().map(end).collect());
            return Ok(());
        }
        if let Some(before) = self.passed_over.take() {
            // Soft samples behind soft samples: where they do not belong together, nothing loud comes of it.
            self.add(&before.iter().map(|samples| samples.as_slice()).collect::<Vec<_>>())?;
        }
        self.add(block)
    }

    fn add(&mut self, block: &[&[f32]]) -> Result<(), Error> {
        let refused = |error| refused(error, self.channel_len, self.sample_rate_hz);
        self.meter.add_frames_planar_f32(block).map_err(refused)?;
        for c in 0..self.channel_len as u32 {
            self.peak = self.peak.max(self.meter.true_peak(c).map_err(refused)?);
        }
        Ok(())
    }

    fn finish(mut self) -> Result<f64, Error> {
        if self.passed_over.is_none() {
            let silence = [0f32; METER_TAIL_SAMPLES];
            self.add(&vec![&silence[..]; self.channel_len])?;
        }
        // The interpolation is not exact: it can fall short of the samples themselves.
        Ok(db_from_amplitude(self.peak.max(f64::from(self.sample_peak))))
    }
}

/// The largest magnitude, in lanes, which the compiler turns into vector instructions.
fn loudest(samples: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = samples.chunks_exact(8);
    let rest = chunks.remainder().iter().fold(0f32, |peak, x| peak.max(x.abs()));
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            let x = x.abs();
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().fold(rest, |peak, x| peak.max(*x))
}

fn refused(error: ebur128::Error, channel_len: usize, sample_rate_hz: u32) -> Error {
    Error::Invalid {
        what: "true peak".to_owned(),
        cause: format!("the meter does not take {channel_len} channels at {sample_rate_hz} Hz: {error}"),
        remedy: "give 1 to 8 channels of equal length at 8000 to 192000 Hz".to_owned(),
    }
}

/// A gain curve at every sample, as amplitude factors: monotone cubic interpolation in dB, edges held.
///
/// Cubic, so that the slope is continuous and nothing is heard at the curve's own points (zipper noise); monotone, so that
/// it never overshoots a step (Fritsch and Carlson 1980, with the harmonic-mean slopes of Fritsch and Butland 1984).
///
/// **Shape.** `sample_len` values; value `n` belongs to time `n / sample_rate_hz`. **Units.** dB in, amplitude out; 0 dB is
/// exactly 1.
///
/// # Errors
/// [`Error::Invalid`] where the curve is empty, its hop is not positive, a value is not finite, or one is beyond ±200 dB.
pub fn gain_at_samples(curve: &GainCurve, sample_rate_hz: u32, sample_len: usize) -> Result<Vec<f32>, Error> {
    let curve = Curve::new(curve, sample_rate_hz)?;
    let mut out = vec![0.0; sample_len];
    curve.fill(0, &mut out);
    Ok(out)
}

/// A gain curve that can be asked for any sample.
#[derive(Debug)]
struct Curve {
    gain_db: Vec<f64>,
    slopes: Vec<f64>,
    step_per_sample: f64,
    start: f64,
}

impl Curve {
    fn new(curve: &GainCurve, sample_rate_hz: u32) -> Result<Self, Error> {
        check_curve(curve)?;
        if sample_rate_hz == 0 {
            return Err(Error::Invalid {
                what: "gain curve".to_owned(),
                cause: "a sample rate of 0".to_owned(),
                remedy: "give the recording's rate".to_owned(),
            });
        }
        Ok(Self {
            slopes: monotone_slopes(&curve.gain_db),
            gain_db: curve.gain_db.clone(),
            step_per_sample: 1.0 / (f64::from(sample_rate_hz) * curve.hop_s),
            start: curve.start_s / curve.hop_s,
        })
    }

    fn position(&self, n: usize) -> f64 {
        n as f64 * self.step_per_sample - self.start
    }

    /// The gains of the samples from `start` on.
    fn fill(&self, start: usize, out: &mut [f32]) {
        let last = self.gain_db.len() - 1;
        let mut begin = 0;
        while begin < out.len() {
            // Samples between the same two entries of the curve are one cubic; beyond its ends, and where two entries are
            // equal, the gain is held exactly: the polynomial would only add rounding.
            let position = self.position(start + begin);
            let index = (position.max(0.0) as usize).min(last);
            let is_held = position < 0.0 || index == last || self.gain_db[index] == self.gain_db[index + 1];
            let next = if position < 0.0 { 0.0 } else { (index + 1) as f64 };
            let is_inside = |n: usize| {
                let position = self.position(start + n);
                if next == 0.0 { position <= 0.0 } else { index == last || position < next }
            };
            // About as many as fit, then those that rounding moved across.
            let about = ((next - position) / self.step_per_sample).ceil().max(1.0);
            let mut end = if index == last { out.len() } else { out.len().min(begin + about.min(1e9) as usize) };
            while end > begin + 1 && !is_inside(end - 1) {
                end -= 1;
            }
            let gains = &mut out[begin..end];
            if is_held {
                gains.fill(amplitude_from_db(self.gain_db[index]) as f32);
            } else {
                let cubic = Cubic::between(&self.gain_db, &self.slopes, index);
                for (n, gain) in gains.iter_mut().enumerate() {
                    *gain = amplitude(cubic.at(self.position(start + begin + n) - index as f64)) as f32;
                }
            }
            begin = end;
        }
    }
}

/// Largest gain that is believed, in dB: beyond it, a curve is not a device's.
const MAX_GAIN_DB: f64 = 200.0;

fn check_curve(curve: &GainCurve) -> Result<(), Error> {
    let invalid = |cause: String, remedy: &str| {
        Err(Error::Invalid { what: "gain curve".to_owned(), cause, remedy: remedy.to_owned() })
    };
    if curve.gain_db.is_empty() {
        return invalid("it is empty".to_owned(), "give at least one value");
    }
    if !(curve.hop_s > 0.0 && curve.hop_s.is_finite() && curve.start_s.is_finite()) {
        return invalid(format!("start {} s, hop {} s", curve.start_s, curve.hop_s), "both finite, the hop positive");
    }
    if let Some((i, gain_db)) =
        curve.gain_db.iter().enumerate().find(|(_, gain_db)| gain_db.is_nan() || gain_db.abs() > MAX_GAIN_DB)
    {
        return invalid(format!("value {i} is {gain_db} dB"), "gains must be finite and within ±200 dB");
    }
    Ok(())
}

/// Slopes at equidistant points, per step: the harmonic mean of the neighbouring differences where they agree in sign,
/// else 0 (Fritsch and Butland 1984 at equal steps); 0 at the ends, beyond which the curve is held.
fn monotone_slopes(values: &[f64]) -> Vec<f64> {
    let difference = |i: usize| values[i + 1] - values[i];
    let len = values.len();
    (0..len)
        .map(|i| {
            if i == 0 || i + 1 == len {
                return 0.0;
            }
            let (before, after) = (difference(i - 1), difference(i));
            if before * after > 0.0 { 2.0 * before * after / (before + after) } else { 0.0 }
        })
        .collect()
}

/// Cubic Hermite interpolation between two entries.
#[derive(Debug, Clone, Copy)]
struct Cubic {
    a: f64,
    b: f64,
    slope_a: f64,
    slope_b: f64,
}

impl Cubic {
    fn between(values: &[f64], slopes: &[f64], index: usize) -> Self {
        Self { a: values[index], b: values[index + 1], slope_a: slopes[index], slope_b: slopes[index + 1] }
    }

    /// At `t` steps behind the first, 0 to 1.
    #[inline]
    fn at(&self, t: f64) -> f64 {
        let (t2, t3) = (t * t, t * t * t);
        self.a
            + (self.b - self.a) * (3.0 * t2 - 2.0 * t3)
            + self.slope_a * (t3 - 2.0 * t2 + t)
            + self.slope_b * (t3 - t2)
    }
}

/// As [`amplitude_from_db`], by a power of two: a fifth of the time of a power of ten. The two differ by no more than the
/// rounding of the exponent, which is far below what an `f32` can tell.
#[inline]
fn amplitude(gain_db: f64) -> f64 {
    (gain_db * (std::f64::consts::LOG2_10 / 20.0)).exp2()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn amplitudes_are_powers_of_ten() {
        // Three roundings of the exponent, at most 33.2 octaves, half a unit of the last place each; and two of results.
        let most = f64::EPSILON * (1.5 * 33.2 * std::f64::consts::LN_2 + 1.0);
        for k in 0..200_000 {
            let gain_db = (f64::from(k) * 0.618_033_988_75).fract() * 400.0 - 200.0;
            let (fast, plain) = (amplitude(gain_db), amplitude_from_db(gain_db));
            assert!((fast / plain - 1.0).abs() < most, "{gain_db} dB: {fast} {plain}");
        }
        assert_eq!(amplitude(0.0), 1.0);
    }

    /// Every sample by itself, as the documentation says it.
    fn plainly(curve: &GainCurve, rate_hz: u32, n: usize) -> f32 {
        let slopes = monotone_slopes(&curve.gain_db);
        let position = n as f64 / (f64::from(rate_hz) * curve.hop_s) - curve.start_s / curve.hop_s;
        let last = curve.gain_db.len() - 1;
        let index = (position.max(0.0) as usize).min(last);
        let gain_db = if position <= 0.0 || index == last {
            curve.gain_db[index]
        } else {
            Cubic::between(&curve.gain_db, &slopes, index).at(position - index as f64)
        };
        amplitude_from_db(gain_db) as f32
    }

    #[test]
    fn curves_are_filled_as_sample_by_sample() {
        for (hop_s, start_s, rate_hz) in
            [(0.01, 0.0, 48_000), (0.013, 0.05, 44_100), (0.00001, -0.1, 8_000), (3.0, 0.2, 8_000)]
        {
            let gain_db = (0..50).map(|k| if k % 7 < 2 { -3.0 } else { 8.0 * f64::from(k).sin() }).collect::<Vec<_>>();
            let curve = GainCurve { start_s, hop_s, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db };
            let all = gain_at_samples(&curve, rate_hz, 40_000).unwrap();
            for (n, gain) in all.iter().enumerate() {
                let plain = plainly(&curve, rate_hz, n);
                assert!((gain / plain - 1.0).abs() < 2e-6, "hop {hop_s}, sample {n}: {gain} {plain}");
            }
            // And in parts.
            let filled = Curve::new(&curve, rate_hz).unwrap();
            let mut part = vec![0.0; 1_003];
            for start in (0..39_000).step_by(1_003) {
                filled.fill(start, &mut part);
                assert_eq!(part, all[start..start + 1_003], "hop {hop_s}, part at {start}");
            }
        }
    }

    #[test]
    fn a_meter_that_skips_what_is_too_soft_measures_the_same() {
        let mut state = 1u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        for rate_hz in [48_000, 96_000, 192_000] {
            for kind in 0..4 {
                // Loud and soft, in turns that fall on blocks and between them; loud ends; rising; one click.
                let loudness = |n: usize| match kind {
                    0 => [1.0, 0.3, 0.05, 0.6][n / 777 % 4],
                    1 => (1.0 - n as f32 / 40_000.0).max(0.01),
                    2 => n as f32 / 40_000.0,
                    _ => {
                        if n == 20_479 {
                            1.0
                        } else {
                            0.1
                        }
                    }
                };
                let channel = |scale: f32, noise: &mut dyn FnMut() -> f32| {
                    (0..40_001).map(|n| scale * loudness(n) * noise()).collect::<Vec<f32>>()
                };
                let channels = [channel(0.8, &mut noise), channel(0.7, &mut noise)];
                let mut plain = EbuR128::new(2, rate_hz, Mode::TRUE_PEAK).unwrap();
                plain.add_frames_planar_f32(&[&channels[0], &channels[1]]).unwrap();
                let silence = [0f32; METER_TAIL_SAMPLES];
                plain.add_frames_planar_f32(&[&silence, &silence]).unwrap();
                let expected = plain.true_peak(0).unwrap().max(plain.true_peak(1).unwrap());
                let sample_peak = channels.iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
                let expected = db_from_amplitude(expected.max(f64::from(sample_peak)));
                assert_eq!(true_peak_dbtp(rate_hz, &channels).unwrap(), expected, "{rate_hz} Hz, kind {kind}");
            }
        }
    }
}
