//! Where one recording lies in the other, over their whole range, to some ten milliseconds.
//!
//! Blocks of the phone's onset strength are correlated with all of the microphone's, through the FFT and summed over bands.
//! Each block names its best lags; a line through the blocks' lags (an offset and a drift within ±[`MAX_DRIFT_PPM`])
//! collects their votes. Blocks of silence or of music that the other recording does not have are outvoted.
//! (Voting for a line through noisy points: M. Fischler and R. Bolles, RANSAC, 1981; here every pair is tried.)

use super::onset_strength::OnsetStrength;
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Largest drift that is considered, in ppm: sound cards and phones stay within ±200.
pub const MAX_DRIFT_PPM: f64 = 1000.0;
/// Length of a block, in frames: 20 s hold enough notes to be unmistakable.
const BLOCK_FRAMES: usize = 2000;
/// Most blocks: more tell nothing new, and each costs a correlation over the whole.
const MAX_BLOCKS: usize = 24;
/// Fewest frames that make a block: 3 s.
const MIN_FRAMES: usize = 300;
/// Lags that each block names.
const PEAKS: usize = 6;
/// How close a block's lag must be to the line to vote for it, in frames.
const REACH_FRAMES: f64 = 4.0;

/// A rough line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Coarse {
    /// Microphone's time of the phone's first sample, in seconds.
    pub offset_s: f64,
    /// Drift of the phone's clock, in ppm.
    pub drift_ppm: f64,
    /// Votes: squared peak heights, in standard deviations of a block's correlation, summed over the blocks.
    pub votes: f64,
}

struct Peak {
    block: usize,
    /// Centre of the block in the phone, in frames.
    centre: f64,
    lag: f64,
    height: f64,
}

/// Finds the most voted lines, best first; lines within a second of a better one are left out.
///
/// **Shape.** Both onset strengths have the same time between frames.
#[must_use]
pub fn find(phone: &OnsetStrength, mic: &OnsetStrength, most: usize) -> Vec<Coarse> {
    let peaks = peaks(phone, mic);
    let block_len = peaks.iter().map(|p| p.block + 1).max().unwrap_or(0);
    let max_slope = MAX_DRIFT_PPM * 1e-6;
    let mut lines = Vec::new();
    for (i, a) in peaks.iter().enumerate() {
        lines.push(votes(&peaks, block_len, a.lag, a.centre, 0.0, mic.hop_s));
        for b in &peaks[i + 1..] {
            let slope = (b.lag - a.lag) / (b.centre - a.centre);
            if b.block != a.block && slope.abs() <= max_slope {
                lines.push(votes(&peaks, block_len, a.lag, a.centre, slope, mic.hop_s));
            }
        }
    }
    lines.sort_by(|a, b| b.votes.total_cmp(&a.votes).then(a.drift_ppm.abs().total_cmp(&b.drift_ppm.abs())));
    let mut out: Vec<Coarse> = Vec::new();
    for line in lines {
        if out.len() < most && out.iter().all(|other| (other.offset_s - line.offset_s).abs() > 1.0) {
            out.push(line);
        }
    }
    out
}

fn votes(peaks: &[Peak], block_len: usize, lag: f64, centre: f64, slope: f64, hop_s: f64) -> Coarse {
    let mut by_block = vec![0f64; block_len];
    for p in peaks {
        let distance = (p.lag - lag - slope * (p.centre - centre)) / REACH_FRAMES;
        let vote = p.height * p.height * (1.0 - distance * distance);
        by_block[p.block] = by_block[p.block].max(vote);
    }
    Coarse {
        offset_s: (lag - slope * centre) * hop_s,
        // T = offset + t / (1 + d): the lag falls by d for each unit of time.
        drift_ppm: (1.0 / (1.0 + slope) - 1.0) * 1e6,
        votes: by_block.iter().sum(),
    }
}

/// The highest correlation lags of every block: microphone's frame minus the phone's.
fn peaks(phone: &OnsetStrength, mic: &OnsetStrength) -> Vec<Peak> {
    let (phone_len, mic_len) = (phone.frame_len(), mic.frame_len());
    let block_frames = BLOCK_FRAMES.min(phone_len);
    if block_frames < MIN_FRAMES || mic_len < MIN_FRAMES {
        return Vec::new();
    }
    let block_len = (2 * phone_len / block_frames).clamp(1, MAX_BLOCKS);
    let fft_len = (mic_len + block_frames).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(fft_len), planner.plan_fft_inverse(fft_len));
    let spectrum = |values: &[f32]| {
        let mut padded = forward.make_input_vec();
        padded[..values.len()].copy_from_slice(values);
        let mut out = forward.make_output_vec();
        // Lengths are right by construction; a spectrum of zeros has no peaks.
        let _ = forward.process(&mut padded, &mut out);
        out
    };
    let starts = (0..block_len)
        .map(|b| if block_len == 1 { 0 } else { b * (phone_len - block_frames) / (block_len - 1) })
        .collect::<Vec<_>>();
    let mut sums = vec![vec![Complex::new(0f32, 0.0); fft_len / 2 + 1]; block_len];
    for (phone_band, mic_band) in phone.bands.iter().zip(&mic.bands) {
        let mic_spectrum = spectrum(mic_band);
        for (start, sum) in starts.iter().zip(&mut sums) {
            let block_spectrum = spectrum(&phone_band[*start..start + block_frames]);
            for ((s, m), p) in sum.iter_mut().zip(&mic_spectrum).zip(&block_spectrum) {
                *s += m * p.conj();
            }
        }
    }
    let mut out = Vec::new();
    for (block, (start, mut sum)) in starts.iter().zip(sums).enumerate() {
        let mut correlation = inverse.make_output_vec();
        // The imaginary parts of the ends are rounding.
        sum[0].im = 0.0;
        sum[fft_len / 2].im = 0.0;
        let _ = inverse.process(&mut sum, &mut correlation);
        // Lag from -(block_frames - 1) to mic_len - 1; negative lags stand at the end.
        let at = |lag: i64| correlation[lag.rem_euclid(fft_len as i64) as usize];
        let range = -(block_frames as i64 - 1)..mic_len as i64;
        let count = range.clone().count().max(1) as f64;
        let deviation = (range.clone().map(|l| f64::from(at(l)).powi(2)).sum::<f64>() / count).sqrt();
        if deviation <= 0.0 {
            continue;
        }
        let mut tops = range
            .filter(|&l| at(l) > 0.0 && at(l) >= at(l - 1) && at(l) > at(l + 1))
            .map(|l| (l, at(l)))
            .collect::<Vec<_>>();
        tops.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let centre = *start as f64 + 0.5 * block_frames as f64;
        out.extend(tops.iter().take(PEAKS).map(|&(lag, height)| Peak {
            block,
            centre,
            lag: lag as f64 - *start as f64,
            height: f64::from(height) / deviation,
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random onsets in all bands, the same for the same seed.
    fn performance(seed: u64, frame_len: usize) -> Vec<Vec<f32>> {
        let mut state = seed;
        (0..20)
            .map(|_| {
                (0..frame_len)
                    .map(|_| {
                        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                        if state >> 59 == 0 { 10.0 } else { -0.3 }
                    })
                    .collect()
            })
            .collect()
    }

    fn window(all: &[Vec<f32>], from: usize, to: usize) -> OnsetStrength {
        OnsetStrength { bands: all.iter().map(|b| b[from..to].to_vec()).collect(), hop_s: 0.01 }
    }

    #[test]
    fn an_excerpt_is_found_in_the_whole_and_the_whole_around_an_excerpt() {
        let all = performance(1, 20_000);
        let whole = window(&all, 0, 20_000);
        let excerpt = window(&all, 7_000, 12_000);
        let found = find(&excerpt, &whole, 1);
        assert!((found[0].offset_s - 70.0).abs() < 0.011 && found[0].drift_ppm.abs() < 1e-6, "{found:?}");
        let found = find(&whole, &excerpt, 1);
        assert!((found[0].offset_s + 70.0).abs() < 0.011, "{found:?}");
    }

    #[test]
    fn unrelated_performances_get_few_votes() {
        let a = window(&performance(1, 12_000), 0, 12_000);
        let b = window(&performance(2, 12_000), 0, 12_000);
        let votes = |a: &OnsetStrength, b: &OnsetStrength| find(a, b, 1).first().map_or(0.0, |c| c.votes);
        assert!(votes(&a, &a) > 20.0 * votes(&a, &b), "{} {}", votes(&a, &a), votes(&a, &b));
    }
}
