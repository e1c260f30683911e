//! Levels of two aligned recordings, made comparable: the static response between them, and the gain that is left.
//!
//! Two microphones in two places never have the same waveform. Their levels in third-octave bands differ by a constant of the
//! band (response and place) and by a gain that is common to all bands:
//!
//! ```text
//! P_b(t) - M_b(t) = H_b + G(t) + noise          all in dB
//! ```
//!
//! `G` and `H` are found in turns, each as a median of what the other leaves. The microphone filtered by `H` is the *matched*
//! microphone: what the phone would have recorded without its gain, but for the room. Its broadband level is compared with the
//! phone's on 10 ms steps of 20 ms windows.

use crate::audio::Audio;
use crate::error::Error;
use crate::stft::{Stft, StftConfig};
use realfft::RealFftPlanner;
use serde::Serialize;

/// Time between levels, in seconds.
pub const HOP_S: f64 = 0.010;
/// Length of a level's window, in seconds.
pub const WINDOW_S: f64 = 0.020;
/// Levels this far below the matched microphone's loudest are not compared, in dB: noise takes over.
pub const RANGE_DB: f64 = 50.0;

/// Third octaves from 50 Hz to 16 kHz: `1000 * 2^(k/3)`.
const BANDS: std::ops::RangeInclusive<i32> = -13..=12;
/// How far a band must stand clear of its quietest twentieth, in dB.
const CLEAR_DB: f64 = 8.0;
/// Frames below a band's loudest by more than this are not used, in dB.
const BAND_RANGE_DB: f64 = 45.0;
/// Fewest frames that tell a band's response.
const MIN_FRAMES: usize = 50;
/// Correlation of the two recordings' levels from which a band tells its response.
const FOLLOWS: f64 = 0.8;
/// Turns between `G` and `H`: both are settled after a few.
const TURNS: usize = 8;
/// Taps of the matching filter at 48 kHz: 85 ms, which resolves the lowest band.
const FILTER_SAMPLES: usize = 4096;

/// The response of one band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BandResponse {
    /// Centre of the third octave, in Hz.
    pub centre_hz: f64,
    /// Phone minus microphone, in dB; its mean over what is heard is 0 dB.
    pub gain_db: f64,
    /// Frames that told it; 0 where it was taken from the neighbours.
    pub frame_len: usize,
}

/// The static response between two aligned recordings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StaticMatch {
    /// One entry for each third octave below half the rate.
    pub bands: Vec<BandResponse>,
}

/// The microphone's channels as the phone would take them: mixed where the phone has one.
///
/// # Errors
/// As [`Audio::new`].
pub fn like_the_phone(phone: &Audio, mic: &Audio) -> Result<Audio, Error> {
    if phone.channels().len() == mic.channels().len() {
        return Ok(mic.clone());
    }
    Audio::new(mic.sample_rate_hz(), vec![super::align::mixed(mic)])
}

impl StaticMatch {
    /// Finds the static response of two aligned recordings of equal rate.
    ///
    /// # Errors
    /// As [`Stft::new`].
    pub fn of(phone: &Audio, mic: &Audio) -> Result<Self, Error> {
        let (phone_db, mic_db, centres) = (band_levels(phone)?, band_levels(mic)?, centres(mic.sample_rate_hz()));
        let frame_len = phone_db[0].len().min(mic_db[0].len());
        let difference = |b: usize, n: usize| phone_db[b][n] - mic_db[b][n];
        let heard = centres
            .iter()
            .enumerate()
            .map(|(b, _)| {
                let (mic, phone) = (clear_of_noise(&mic_db[b]), clear_of_noise(&phone_db[b]));
                (0..frame_len).map(|n| mic(n) && phone(n)).collect::<Vec<_>>()
            })
            .collect::<Vec<_>>();
        let counts = heard.iter().map(|h| h.iter().filter(|h| **h).count()).collect::<Vec<_>>();
        let mut response = vec![0f64; centres.len()];
        let mut gain = vec![0f64; frame_len];
        let mut column = Vec::new();
        for _ in 0..TURNS {
            for (n, gain) in gain.iter_mut().enumerate() {
                column.clear();
                let told = (0..centres.len()).filter(|&b| counts[b] >= MIN_FRAMES && heard[b][n]);
                // Loud bands tell the gain best: each counts by its level over the frame's loudest.
                column.extend(told.map(|b| (difference(b, n) - response[b], 10f64.powf(0.05 * mic_db[b][n]))));
                *gain = weighted_median(&mut column).unwrap_or(*gain);
            }
            for ((b, response), heard) in response.iter_mut().enumerate().zip(&heard) {
                column.clear();
                column.extend((0..frame_len).filter(|&n| heard[n]).map(|n| (difference(b, n) - gain[n], 1.0)));
                if counts[b] >= MIN_FRAMES {
                    *response = weighted_median(&mut column).unwrap_or(*response);
                }
            }
            let told = (0..centres.len()).filter(|&b| counts[b] >= MIN_FRAMES).map(|b| (response[b], counts[b] as f64));
            let (sum, weight) = told.fold((0.0, 0.0), |(s, w), (r, c)| (s + r * c, w + c));
            let mean = if weight > 0.0 { sum / weight } else { 0.0 };
            response.iter_mut().for_each(|r| *r -= mean);
        }
        // A band in which one recording does not follow the other holds noise: its difference is no response.
        let follows = |b: usize| {
            let pairs = (0..frame_len).filter(|&n| heard[b][n]).map(|n| (mic_db[b][n], phone_db[b][n] - gain[n]));
            counts[b] >= MIN_FRAMES && correlation(&pairs.collect::<Vec<_>>()) > FOLLOWS
        };
        let is_told = (0..centres.len()).map(follows).collect::<Vec<_>>();
        let bands = (0..centres.len())
            .map(|b| {
                let nearest = (0..centres.len()).filter(|&k| is_told[k]).min_by_key(|k| k.abs_diff(b));
                let is_told = is_told[b];
                let gain_db = if is_told { response[b] } else { nearest.map_or(0.0, |k| response[k]) };
                BandResponse { centre_hz: centres[b], gain_db, frame_len: if is_told { counts[b] } else { 0 } }
            })
            .collect();
        Ok(Self { bands })
    }

    /// The response at a frequency, in dB: interpolated over the logarithm of the frequency, held at the ends.
    #[must_use]
    pub fn at_db(&self, frequency_hz: f64) -> f64 {
        let k = self.bands.partition_point(|b| b.centre_hz <= frequency_hz);
        match (k.checked_sub(1).and_then(|k| self.bands.get(k)), self.bands.get(k)) {
            (Some(low), Some(high)) => {
                let share = (frequency_hz / low.centre_hz).ln() / (high.centre_hz / low.centre_hz).ln();
                low.gain_db + share * (high.gain_db - low.gain_db)
            }
            (Some(edge), None) | (None, Some(edge)) => edge.gain_db,
            (None, None) => 0.0,
        }
    }

    /// The microphone with the phone's response: filtered without any delay (zero phase).
    ///
    /// # Errors
    /// As [`Audio::new`].
    pub fn matched(&self, mic: &Audio) -> Result<Audio, Error> {
        let rate_hz = f64::from(mic.sample_rate_hz());
        let channels = mic.channels().iter().map(|channel| self.filtered(channel, rate_hz)).collect();
        Audio::new(mic.sample_rate_hz(), channels)
    }

    /// Zero-phase filtering by blocks in the frequency domain (overlap-add).
    fn filtered(&self, signal: &[f32], rate_hz: f64) -> Vec<f32> {
        let taps = FILTER_SAMPLES;
        let fft_len = 4 * taps;
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, inverse) = (planner.plan_fft_forward(fft_len), planner.plan_fft_inverse(fft_len));
        let mut spectrum = inverse.make_input_vec();
        for (k, z) in spectrum.iter_mut().enumerate() {
            let hz = (k as f64 * rate_hz / fft_len as f64).max(1.0);
            z.re = 10f64.powf(self.at_db(hz) / 20.0) as f32;
        }
        let mut impulse = inverse.make_output_vec();
        // Lengths are right by construction, here and below.
        let _ = inverse.process(&mut spectrum, &mut impulse);
        let half = taps as i64 / 2;
        for (n, x) in impulse.iter_mut().enumerate() {
            let lag = if n > fft_len / 2 { n as i64 - fft_len as i64 } else { n as i64 };
            let window = if lag.abs() < half {
                0.5 + 0.5 * (std::f32::consts::PI * lag as f32 / half as f32).cos()
            } else {
                0.0
            };
            *x *= window / fft_len as f32;
        }
        let mut response = forward.make_output_vec();
        let _ = forward.process(&mut impulse, &mut response);

        let step = fft_len - taps;
        let mut out = vec![0f32; signal.len()];
        let mut block = forward.make_input_vec();
        let mut transformed = forward.make_output_vec();
        for start in (0..signal.len()).step_by(step) {
            let end = (start + step).min(signal.len());
            block.fill(0.0);
            block[..end - start].copy_from_slice(&signal[start..end]);
            let _ = forward.process(&mut block, &mut transformed);
            transformed.iter_mut().zip(&response).for_each(|(z, h)| *z *= h);
            // The products of real ends are real.
            transformed[0].im = 0.0;
            transformed[fft_len / 2].im = 0.0;
            let _ = inverse.process(&mut transformed, &mut block);
            for (n, y) in block.iter().enumerate() {
                let lag = if n >= fft_len - taps / 2 { n as i64 - fft_len as i64 } else { n as i64 };
                if let Some(x) = usize::try_from(start as i64 + lag).ok().and_then(|at| out.get_mut(at)) {
                    *x += y / fft_len as f32;
                }
            }
        }
        out
    }
}

fn centres(sample_rate_hz: u32) -> Vec<f64> {
    let top_hz = 0.45 * f64::from(sample_rate_hz);
    BANDS.map(|k| 1000.0 * (f64::from(k) / 3.0).exp2()).filter(|hz| *hz < top_hz).collect()
}

/// Third-octave levels in dB, `[band][frame]`, mean over the channels.
fn band_levels(audio: &Audio) -> Result<Vec<Vec<f64>>, Error> {
    let stft = Stft::new(&StftConfig { hop_s: HOP_S, ..StftConfig::default() }, f64::from(audio.sample_rate_hz()))?;
    let centres = centres(audio.sample_rate_hz());
    let edge = |hz: f64| ((hz / stft.bin_hz()).round() as usize).min(stft.bin_len());
    let edges = centres
        .iter()
        .map(|hz| {
            let low = edge(hz * (-1.0f64 / 6.0).exp2());
            low..edge(hz * (1.0f64 / 6.0).exp2()).max(low + 1).min(stft.bin_len())
        })
        .collect::<Vec<_>>();
    let frame_len = stft.frame_len(audio.sample_len());
    let mut out = vec![vec![0f64; frame_len]; centres.len()];
    let mut scratch = stft.scratch();
    let mut power = vec![0f32; stft.bin_len()];
    for n in 0..frame_len {
        stft.power(audio.channels(), n, &mut scratch, &mut power);
        for (band, edges) in out.iter_mut().zip(&edges) {
            let sum = power[edges.clone()].iter().map(|&p| f64::from(p)).sum::<f64>();
            band[n] = 10.0 * (sum + 1e-14).log10();
        }
    }
    Ok(out)
}

/// Whether a frame's level stands clear of the band's quietest frames and is not far below its loudest.
fn clear_of_noise(level_db: &[f64]) -> impl Fn(usize) -> bool + '_ {
    let mut sorted = level_db.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quiet = sorted.get(sorted.len() / 50).copied().unwrap_or(0.0);
    let loud = sorted.last().copied().unwrap_or(0.0);
    let least = (quiet + CLEAR_DB).max(loud - BAND_RANGE_DB);
    move |n| level_db[n] > least
}

/// Pearson's correlation; 0 where one does not move.
fn correlation(pairs: &[(f64, f64)]) -> f64 {
    let len = pairs.len().max(1) as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / len, y + p.1 / len));
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for (a, b) in pairs {
        let (a, b) = (a - x, b - y);
        (xx, xy, yy) = (xx + a * a, xy + a * b, yy + b * b);
    }
    if xx * yy > 0.0 { xy / (xx * yy).sqrt() } else { 0.0 }
}

fn weighted_median(values: &mut [(f64, f64)]) -> Option<f64> {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = 0.5 * values.iter().map(|v| v.1).sum::<f64>();
    let mut sum = 0.0;
    values
        .iter()
        .find(|v| {
            sum += v.1;
            sum >= half
        })
        .map(|v| v.0)
}

/// Broadband level in dBFS (rms) on steps of [`HOP_S`], windows of [`WINDOW_S`], mean power of the channels.
#[must_use]
pub fn level_db(audio: &Audio) -> Vec<f64> {
    let rate_hz = f64::from(audio.sample_rate_hz());
    let window = (WINDOW_S * rate_hz).round().max(1.0) as usize;
    let mut sums = vec![0.0; audio.sample_len() + 1];
    for n in 0..audio.sample_len() {
        let square = audio.channels().iter().map(|c| f64::from(c[n]).powi(2)).sum::<f64>();
        sums[n + 1] = sums[n] + square / audio.channels().len() as f64;
    }
    let level_len = ((audio.sample_len() as f64 - window as f64) / (HOP_S * rate_hz)).max(-1.0) + 1.0;
    (0..level_len as usize)
        .map(|k| {
            let at = ((k as f64 * HOP_S * rate_hz).round() as usize).min(audio.sample_len() - window);
            10.0 * ((sums[at + window] - sums[at]).max(0.0) / window as f64 + 1e-13).log10()
        })
        .collect()
}

/// Which levels are compared: those of the matched microphone within [`RANGE_DB`] of its loudest, and where the recording stands
/// clear of the noise that it has when the microphone hears nothing.
#[must_use]
pub fn compared(matched_db: &[f64], recorded_db: &[f64]) -> Vec<bool> {
    let top = matched_db.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let silent = matched_db.iter().zip(recorded_db).filter(|(m, _)| **m < top - RANGE_DB).map(|(_, r)| *r);
    let silent = silent.collect::<Vec<_>>();
    let noise_db = if silent.len() >= MIN_FRAMES { median(&silent) } else { f64::NEG_INFINITY };
    let is_clear = |(m, r): (&f64, &f64)| *m > top - RANGE_DB && *r > noise_db + CLEAR_DB;
    matched_db.iter().zip(recorded_db).map(is_clear).collect()
}

/// Middle value; 0 of none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    /// Notes of decaying noise, so that every band is heard.
    fn sound(len: usize) -> Vec<f32> {
        let mut state = 1u64;
        (0..len)
            .map(|n| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                ((state >> 40) as f32 / (1u32 << 23) as f32 - 1.0) * (-((n % 24_000) as f32) / 9_000.0).exp() * 0.3
            })
            .collect()
    }

    #[test]
    fn a_constant_band_difference_is_found_and_a_gain_is_not_taken_for_it() {
        let mic = Audio::new(48_000, vec![sound(480_000)]).unwrap();
        let tilt = StaticMatch {
            bands: [50.0, 500.0, 5_000.0, 20_000.0]
                .iter()
                .zip([-6.0, 0.0, 4.0, 4.0])
                .map(|(&centre_hz, gain_db)| BandResponse { centre_hz, gain_db, frame_len: 1 })
                .collect(),
        };
        let mut phone = tilt.matched(&mic).unwrap().into_channels();
        for (n, x) in phone[0].iter_mut().enumerate() {
            *x *= if (n / 96_000).is_multiple_of(2) { 1.0 } else { 0.3 };
        }
        let phone = Audio::new(48_000, phone).unwrap();
        let found = StaticMatch::of(&phone, &mic).unwrap();
        let offset = found.at_db(500.0);
        for hz in [100.0, 200.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0] {
            let error = found.at_db(hz) - offset - tilt.at_db(hz);
            assert!(error.abs() < 0.5, "{hz} Hz: {error}");
        }
        // What is left between the levels is the gain: 0 and -10.5 dB.
        let (p, m) = (level_db(&phone), level_db(&found.matched(&mic).unwrap()));
        let on = compared(&m, &p);
        let gain =
            |from: usize| median(&(from..from + 190).filter(|&k| on[k]).map(|k| p[k] - m[k]).collect::<Vec<_>>());
        assert!((gain(0) - gain(200) - 10.46).abs() < 0.15, "{} {}", gain(0), gain(200));
    }

    #[test]
    fn a_sine_of_full_scale_has_minus_three_dbfs_and_a_flat_match_changes_nothing() {
        let x = (0..48_000).map(|n| (n as f32 * 0.1).sin()).collect::<Vec<_>>();
        let audio = Audio::new(48_000, vec![x.clone()]).unwrap();
        assert!(level_db(&audio).iter().all(|l| (l + 3.01).abs() < 0.05));
        let flat = StaticMatch { bands: vec![BandResponse { centre_hz: 1000.0, gain_db: 0.0, frame_len: 1 }] };
        let same = flat.matched(&audio).unwrap();
        assert!(same.channels()[0].iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-5));
        let short = Audio::new(8_000, vec![vec![0.5; 3]]).unwrap();
        assert!(level_db(&short).is_empty());
        flat.matched(&short).unwrap();
    }
}
