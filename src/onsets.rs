//! Onsets: where notes begin, which segments belong to which note, and the step that the gain takes there.
//!
//! When a louder note strikes, the partials that were already sounding dip together. `m = a - d t + h [t > t0]` is
//! fitted to each partial that lives on both sides of the onset, clear of the window that straddles it; partials that
//! were struck again are left out; the weighted median of `h` is the step. One slope on both sides makes it immune to
//! second stages, dampers and slow drifts. No gain law is assumed.

use crate::decay::Segment;
use crate::partials::Partials;

/// How steps are measured.
#[derive(Debug, Clone, PartialEq)]
pub struct StepConfig {
    /// Frames nearer to the onset than this, in seconds, straddle it.
    pub clear_s: f64,
    /// Frames farther from the onset than this, in seconds, are not used: the line is only locally straight.
    pub reach_s: f64,
    /// A partial that rises by more than this, in dB, was struck again.
    pub struck_db: f64,
    /// Fewest partials that make a vote.
    pub min_votes: usize,
}

impl Default for StepConfig {
    fn default() -> Self {
        Self { clear_s: 0.06, reach_s: 0.20, struck_db: 2.5, min_votes: 4 }
    }
}

/// Segments that begin within this many frames of each other began with one stroke.
const CHORD_FRAMES: usize = 3;
/// Fewest segments that make an onset.
const MIN_SEGMENTS: u32 = 3;

/// Frames at which notes begin, ascending: local maxima of the number of segments that begin.
#[must_use]
pub fn find(segments: &[Segment], frame_len: usize) -> Vec<u32> {
    let mut begun = vec![0u32; frame_len];
    for segment in segments {
        if let Some(count) = begun.get_mut(segment.origin_frame as usize) {
            *count += 1;
        }
    }
    let around = |n: usize, reach: usize| n.saturating_sub(reach)..(n + reach + 1).min(frame_len);
    let crowd = (0..frame_len).map(|n| begun[around(n, 1)].iter().sum::<u32>()).collect::<Vec<_>>();
    let mut out: Vec<u32> = Vec::new();
    for n in 0..frame_len {
        let is_top = around(n, CHORD_FRAMES).all(|k| crowd[k] < crowd[n] || (crowd[k] == crowd[n] && k >= n));
        if crowd[n] >= MIN_SEGMENTS && is_top {
            out.push(n as u32);
        }
    }
    out
}

/// Note of each segment: the last onset at or shortly before its begin. Note 0 is whatever sounds before the first
/// onset, note `k` begins at onset `k - 1`.
#[must_use]
pub fn notes(segments: &[Segment], onsets: &[u32]) -> Vec<u32> {
    segments
        .iter()
        .map(|s| onsets.partition_point(|&onset| onset <= s.origin_frame + CHORD_FRAMES as u32) as u32)
        .collect()
}

/// The common step of the partials that were sounding at one onset.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Frame of the onset.
    pub onset_frame: u32,
    /// Step in dB; negative where the gain fell.
    pub step_db: f64,
    /// Its standard error, in dB.
    pub error_db: f64,
    /// Partials that voted.
    pub votes: usize,
}

/// Measures the step at every onset where enough partials can vote.
#[must_use]
pub fn steps(partials: &Partials, onsets: &[u32], hop_s: f64, config: &StepConfig) -> Vec<Step> {
    let clear = (config.clear_s / hop_s).round() as i64;
    let reach = (config.reach_s / hop_s).round() as i64;
    let mut votes: Vec<Vec<(f64, f64)>> = vec![Vec::new(); onsets.len()];
    for track in 0..partials.track_len() {
        let points = partials.track(track);
        let frames = &partials.frame[points.clone()];
        let levels = &partials.level_db[points];
        let (Some(&begin), Some(&end)) = (frames.first(), frames.last()) else { continue };
        let from = onsets.partition_point(|&o| o < begin);
        let to = onsets.partition_point(|&o| o <= end);
        for k in from..to {
            let onset = i64::from(onsets[k]);
            let low = frames.partition_point(|&f| i64::from(f) < onset - reach);
            let high = frames.partition_point(|&f| i64::from(f) <= onset + reach);
            let points = frames[low..high]
                .iter()
                .zip(&levels[low..high])
                .map(|(&f, &m)| (i64::from(f) - onset, f64::from(m)))
                .filter(|(lag, _)| lag.abs() >= clear);
            if let Some((step, error)) = line_and_step(points, reach - clear)
                && step < config.struck_db
            {
                votes[k].push((step, 1.0 / (error * error)));
            }
        }
    }
    let mut out = Vec::new();
    for (votes, &onset_frame) in votes.iter_mut().zip(onsets) {
        if votes.len() >= config.min_votes {
            let (step_db, error_db) = weighted_median(votes);
            out.push(Step { onset_frame, step_db, error_db, votes: votes.len() });
        }
    }
    out
}

/// The step that a gain, given per frame in dB, predicts at an onset, by the same line and the same frames; none where it could
/// not have been measured.
#[must_use]
pub fn predicted_step(gain_db: &[f32], onset_frame: u32, hop_s: f64, config: &StepConfig) -> Option<f64> {
    let clear = (config.clear_s / hop_s).round() as i64;
    let reach = (config.reach_s / hop_s).round() as i64;
    let onset = i64::from(onset_frame);
    let points = (-reach..=reach)
        .filter(|lag| lag.abs() >= clear)
        .filter_map(|lag| Some((lag, f64::from(*gain_db.get(usize::try_from(onset + lag).ok()?)?))));
    let (step, _) = line_and_step(points, reach - clear)?;
    // A rise as high as that of a new stroke is taken for one, so that it cannot be measured.
    (step < config.struck_db).then_some(step)
}

/// Least-squares fit of `a - d t + h [t > 0]`; the step `h` and its error. Both sides must be at least half full.
fn line_and_step(points: impl Iterator<Item = (i64, f64)>, side_frames: i64) -> Option<(f64, f64)> {
    let mut normal = nalgebra::Matrix3::zeros();
    let mut right = nalgebra::Vector3::zeros();
    let mut square = 0.0;
    let (mut before, mut after) = (0i64, 0i64);
    let mut reference = None;
    for (lag, level) in points {
        let level = level - *reference.get_or_insert(level);
        let basis = nalgebra::Vector3::new(1.0, lag as f64, f64::from(u8::from(lag > 0)));
        normal += basis * basis.transpose();
        right += level * basis;
        square += level * level;
        if lag > 0 { after += 1 } else { before += 1 }
    }
    if before * 2 < side_frames || after * 2 < side_frames {
        return None;
    }
    let inverse = normal.try_inverse()?;
    let solution = inverse * right;
    let variance = (square - right.dot(&solution)).max(0.0) / (before + after - 3).max(1) as f64;
    // Neighbouring frames share most of their samples, and no partial is steadier than a tenth of a decibel.
    let error = (4.0 * variance * inverse[(2, 2)]).sqrt().max(0.1);
    Some((solution[2], error))
}

/// Weighted median and its standard error. Weights are inverse variances, capped so that no single vote decides.
fn weighted_median(votes: &mut [(f64, f64)]) -> (f64, f64) {
    votes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut weights = votes.iter().map(|v| v.1).collect::<Vec<_>>();
    weights.sort_by(f64::total_cmp);
    let cap = 4.0 * weights[weights.len() / 2];
    let total: f64 = votes.iter().map(|v| v.1.min(cap)).sum();
    let quantile = |share: f64| {
        let mut sum = 0.0;
        for vote in votes.iter() {
            sum += vote.1.min(cap);
            if sum >= share * total {
                return vote.0;
            }
        }
        votes[votes.len() - 1].0
    };
    let median = quantile(0.5);
    // Half the interquartile range is 0.674 standard deviations; a median is 1.25 times less sure than a mean.
    let spread = 0.5 * (quantile(0.75) - quantile(0.25)) / 0.674;
    (median, (1.25 * spread / (votes.len() as f64).sqrt()).max(0.1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    /// Ten partials of different decay that share one gain, and an onset at frame 50.
    fn dipping(step_db: f32) -> Partials {
        let mut out = Partials { frame_len: 100, first: vec![0], ..Partials::default() };
        for p in 0..10 {
            for n in 0..100u32 {
                let gain = if n > 50 { step_db } else { 0.0 };
                out.frame.push(n);
                out.bin.push(20.0 + 5.0 * p as f32);
                out.level_db.push(-20.0 - (0.03 + 0.02 * p as f32) * n as f32 + gain);
            }
            out.first.push(out.frame.len());
        }
        out
    }

    #[test]
    fn a_common_dip_is_measured_whatever_the_decays_are() {
        for dip in [-3.0, -0.5, 0.0, 1.0] {
            let steps = steps(&dipping(dip), &[50], 0.01, &StepConfig::default());
            assert_eq!(steps[0].votes, 10);
            assert!((steps[0].step_db - f64::from(dip)).abs() < 1e-4, "{steps:?}");
        }
    }

    #[test]
    fn partials_that_were_struck_again_do_not_vote() {
        let mut partials = dipping(-2.0);
        for n in 51..100 {
            partials.level_db[n] += 12.0;
        }
        let steps = steps(&partials, &[50], 0.01, &StepConfig::default());
        assert_eq!(steps[0].votes, 9);
        assert!((steps[0].step_db + 2.0).abs() < 1e-4);
    }

    #[test]
    fn a_gain_predicts_its_own_step() {
        let gain = (0..100).map(|n| 0.02 * n as f32 - if n > 50 { 4.0 } else { 0.0 }).collect::<Vec<_>>();
        assert!((predicted_step(&gain, 50, 0.01, &StepConfig::default()).unwrap() + 4.0).abs() < 1e-3);
        assert_eq!(predicted_step(&gain, 0, 0.01, &StepConfig::default()), None);
    }
}
