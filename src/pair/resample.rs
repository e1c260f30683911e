//! One recording on another clock: band-limited interpolation at evenly spaced positions (rubato's windowed sinc).
//!
//! Rubato converts from one rate to another, but begins where it begins: the fraction of a sample by which the first
//! position is off its grid is made up for in a run-in block at a slightly different rate, which is thrown away.

use crate::error::Error;
use rubato::audioadapter_buffers::direct::SequentialSliceOfVecs;
use rubato::{
    Adjustable, Async, FixedAsync, Indexing, Resampler, SincInterpolationParameters, SincInterpolationType,
    WindowFunction,
};

/// Samples on either side of a position, times two: at 48 kHz the response is flat to 21 kHz.
const SINC_SAMPLES: usize = 128;
/// Positions tabulated between two samples; cubic interpolation between them leaves less than -120 dB.
const OVERSAMPLING: usize = 256;
/// Samples that come out at a time.
const BLOCK_SAMPLES: usize = 1024;
/// How far the run-in's rate may be from the final one.
const MAX_RELATIVE_RATIO: f64 = 1.01;

/// Evenly spaced positions in a recording, in its samples: `first + k * step`, `k = 0 .. len`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Positions {
    /// Position of the first, in samples of the input; fractional, may be before its beginning.
    pub first: f64,
    /// Distance, in samples of the input: above 1 the result has fewer samples, and what would alias is filtered out.
    pub step: f64,
    /// How many.
    pub len: usize,
}

/// The signal at these positions; silence outside the recording.
///
/// **Shape.** All channels of equal length in; `positions.len` samples a channel out.
///
/// # Errors
/// [`Error::Invalid`] where the positions are not finite, or the step is outside 1/16 to 16.
pub fn resample(channels: &[Vec<f32>], positions: Positions) -> Result<Vec<Vec<f32>>, Error> {
    let Positions { first, step, len } = positions;
    if !first.is_finite() || !(1.0 / 16.0..=16.0).contains(&step) {
        return Err(Error::Invalid {
            what: "resampling".to_owned(),
            cause: format!("first position {first}, step {step}"),
            remedy: "give a finite position and a step of 1/16 to 16".to_owned(),
        });
    }
    let mut out = vec![vec![0f32; len]; channels.len()];
    let sample_len = channels.first().map_or(0, Vec::len);
    // Only what falls on the recording is computed.
    let reach = SINC_SAMPLES as f64 * step.max(1.0);
    let begin = ((-reach - first) / step).ceil().max(0.0) as usize;
    let end = (((sample_len as f64 + reach - first) / step).ceil().max(0.0) as usize).min(len);
    if begin >= end {
        return Ok(out);
    }
    let first = first + begin as f64 * step;
    let parameters = SincInterpolationParameters::new(SINC_SAMPLES, WindowFunction::BlackmanHarris2)
        .oversampling_factor(OVERSAMPLING)
        .interpolation(SincInterpolationType::Cubic);
    let failed = |cause: String| Error::Invalid {
        what: "resampling".to_owned(),
        cause,
        remedy: "give a finite position and a step of 1/16 to 16".to_owned(),
    };
    let mut resampler = Async::<f32>::new_sinc(
        1.0 / step,
        MAX_RELATIVE_RATIO,
        &parameters,
        BLOCK_SAMPLES,
        channels.len(),
        FixedAsync::Output,
    )
    .map_err(|e| failed(e.to_string()))?;

    // Output `j` lies at input position `(j + 1) * step - lead` while the step is constant: half the sinc, less one of its
    // tabulated positions.
    let lead = SINC_SAMPLES as f64 / 2.0 - 1.0 / OVERSAMPLING as f64;
    let run_in = BLOCK_SAMPLES as f64;
    let source_start = (first - (run_in + 1.0) * step + lead).floor();
    let run_in_step = (first - source_start + lead - step) / run_in;
    resampler.set_resample_ratio(1.0 / run_in_step, false).map_err(|e| failed(e.to_string()))?;

    let mut at = source_start as i64;
    let mut block = vec![vec![0f32; BLOCK_SAMPLES]; channels.len()];
    let mut source = Vec::new();
    let mut written = begin;
    let mut is_run_in = true;
    while written < end {
        let need = resampler.input_frames_next();
        source.clear();
        source.extend(channels.iter().map(|channel| excerpt(channel, at, need)));
        let input = SequentialSliceOfVecs::new(&source, channels.len(), need).map_err(|e| failed(e.to_string()))?;
        let mut output = SequentialSliceOfVecs::new_mut(&mut block, channels.len(), BLOCK_SAMPLES)
            .map_err(|e| failed(e.to_string()))?;
        resampler
            .process_into_buffer(&input, &mut output, Some(&Indexing::new()))
            .map_err(|e| failed(e.to_string()))?;
        at += need as i64;
        if is_run_in {
            is_run_in = false;
            resampler.set_resample_ratio(1.0 / step, false).map_err(|e| failed(e.to_string()))?;
            continue;
        }
        let count = BLOCK_SAMPLES.min(end - written);
        for (out, block) in out.iter_mut().zip(&block) {
            out[written..written + count].copy_from_slice(&block[..count]);
        }
        written += count;
    }
    Ok(out)
}

/// `len` samples from `start`, silence outside.
fn excerpt(channel: &[f32], start: i64, len: usize) -> Vec<f32> {
    let mut out = vec![0f32; len];
    let from = start.clamp(0, channel.len() as i64);
    let to = (start + len as i64).clamp(from, channel.len() as i64);
    if to > from {
        let at = (from - start) as usize;
        out[at..at + (to - from) as usize].copy_from_slice(&channel[from as usize..to as usize]);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use std::f64::consts::TAU;

    fn sine(frequency: f64, len: usize) -> Vec<f32> {
        (0..len).map(|n| (TAU * frequency * n as f64).sin() as f32).collect()
    }

    #[test]
    fn a_sine_comes_out_where_it_should_to_a_thousandth_of_a_sample() {
        let frequency = 0.05;
        let x = sine(frequency, 20_000);
        for (first, step) in [(2000.0, 1.0), (2000.37, 1.0), (2000.5, 1.000_085), (2000.9, 48.0 / 44.1), (2000.1, 0.5)]
        {
            let y = resample(std::slice::from_ref(&x), Positions { first, step, len: 4000 }).unwrap();
            // A shift of a thousandth of a sample changes the sine by at most 2 pi f / 1000 = 3e-4.
            for (k, y) in y[0].iter().enumerate() {
                let true_value = (TAU * frequency * (first + k as f64 * step)).sin();
                assert!((f64::from(*y) - true_value).abs() < 3e-4, "{first} {step} {k}: {y} for {true_value}");
            }
        }
    }

    #[test]
    fn what_would_alias_is_filtered_and_what_lies_outside_is_silence() {
        let x = sine(0.4, 20_000);
        let y = resample(std::slice::from_ref(&x), Positions { first: 500.0, step: 2.0, len: 4000 }).unwrap();
        assert!(y[0].iter().all(|y| y.abs() < 1e-3));
        let positions = Positions { first: -50_000.0, step: 1.0, len: 100_000 };
        let y = resample(std::slice::from_ref(&x), positions).unwrap();
        assert!(y[0][..49_000].iter().chain(&y[0][71_000..]).all(|y| *y == 0.0));
        assert!((y[0][60_001] - x[10_001]).abs() < 1e-3, "{} {}", y[0][60_001], x[10_001]);
        let far = Positions { first: 1e9, step: 1.0, len: 10 };
        assert_eq!(resample(&[x], far).unwrap()[0], vec![0.0; 10]);
    }
}
