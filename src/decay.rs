//! Decay segments: stretches of a partial between onsets and dampers, and the decay fitted to each.
//!
//! Model of a segment, time `t` from its start: `m(t) = a - d t + c e^(-t/τ)`, in dB. `d` is the decay, `c` the second
//! stage (prompt sound over aftersound, convex: Weinreich 1977), shrunk towards zero. The fit is robust: residuals
//! `r` count as `log(1 + (r/s)²)`, by iterated reweighting.

use crate::partials::Partials;

/// How partials are cut into segments and decays are fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct DecayConfig {
    /// A rise of more than this, in dB from frame to frame, is a new stroke. At 6 dB true gains are seen in half as
    /// many recordings as at 1.5.
    pub onset_db: f32,
    /// The first frames of a segment still hold sound from before the stroke: this long, in seconds, is left out.
    pub skip_s: f64,
    /// Shorter segments, in seconds, are left out.
    pub min_s: f64,
    /// Longer segments, in seconds, are cut: beating and later stages of the decay wear out the two-stage model. Cut at
    /// one second, the slope of a known compressor is found to 0.005; uncut, it comes out 0.025 too steep.
    pub max_s: f64,
    /// A fall that stays faster than this, in dB/s, for longer than the window and an attack take is a damper.
    /// Dampers stop partials at 70 to 160 dB/s; strings alone rarely exceed 40 below 4 kHz.
    pub damper_db_per_s: f64,
    /// Time constant τ of the second stage, in seconds.
    pub second_stage_s: f64,
    /// Prior standard deviation of `c`, in dB: aftersound starts 15 to 25 dB down, but much of that is over before
    /// the first frame.
    pub second_stage_db: f64,
    /// Residual scale `s` in dB: beating of unisons leaves about this much.
    pub scale_db: f64,
}

impl Default for DecayConfig {
    fn default() -> Self {
        Self {
            onset_db: 1.2,
            skip_s: 0.03,
            min_s: 0.2,
            max_s: 1.0,
            damper_db_per_s: 60.0,
            second_stage_s: 0.25,
            second_stage_db: 5.0,
            scale_db: 0.7,
        }
    }
}

/// One segment: a range of points of [`Partials`], and what belongs to all of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// The partial it is part of.
    pub track_index: usize,
    /// Its points.
    pub points: std::ops::Range<usize>,
    /// Frame from which its time runs: its first before the skip.
    pub origin_frame: u32,
    /// Whether it began with a stroke that was seen: a rise, or a partial's birth.
    pub struck: bool,
}

/// Cuts every partial at onsets and dampers, after removing a gain given per frame in dB (empty: none).
///
/// A gain control hides and feigns onsets and dampers; cutting again with the gain that was found first removes that.
#[must_use]
pub fn segments(partials: &Partials, gain_db: &[f32], hop_s: f64, config: &DecayConfig) -> Vec<Segment> {
    let level = |i: usize| partials.level_db[i] - gain_db.get(partials.frame[i] as usize).copied().unwrap_or(0.0);
    let skip_frames = (config.skip_s / hop_s).round() as u32;
    let min_frames = (config.min_s / hop_s).round() as usize;
    let max_frames = (config.max_s / hop_s).round() as u32;
    let mut out = Vec::new();
    for track_index in 0..partials.track_len() {
        let track = partials.track(track_index);
        let mut start = track.start;
        let mut struck = true;
        for i in track.clone() {
            let is_last = i + 1 == track.end;
            let rises = !is_last && level(i + 1) - level(i) > config.onset_db;
            let is_long = !is_last && partials.frame[i + 1] - partials.frame[start] >= max_frames;
            if !(is_last || rises || is_long) {
                continue;
            }
            let origin_frame = partials.frame[start];
            let from = (start..=i).find(|&k| partials.frame[k] >= origin_frame + skip_frames).unwrap_or(i + 1);
            let to = damper(level, from..i + 1, hop_s, config);
            if to - from >= min_frames {
                out.push(Segment { track_index, points: from..to, origin_frame, struck });
            }
            struck = !is_long || rises;
            start = i + 1;
        }
    }
    out
}

/// Frames over which a fall has to stay fast to be a damper: longer than the window and an attack.
const DAMPER_FRAMES: usize = 16;

/// End of the undamped part of `points`.
fn damper(level: impl Fn(usize) -> f32, points: std::ops::Range<usize>, hop_s: f64, config: &DecayConfig) -> usize {
    let half_fall = (config.damper_db_per_s * hop_s * (DAMPER_FRAMES / 2) as f64) as f32;
    (points.start..points.end.saturating_sub(DAMPER_FRAMES).max(points.start))
        .find(|&i| {
            let (a, b, c) = (level(i), level(i + DAMPER_FRAMES / 2), level(i + DAMPER_FRAMES));
            a - b > half_fall && b - c > half_fall
        })
        .unwrap_or(points.end)
}

/// The decay fitted to one segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecayFit {
    /// Level `a` at the segment's origin, in dBFS.
    pub level_db: f64,
    /// Decay `d` in dB/s.
    pub decay_db_per_s: f64,
    /// Standard error of `d`, in dB/s.
    pub decay_error_db_per_s: f64,
    /// Second stage `c` in dB.
    pub second_stage_db: f64,
    /// Robust standard deviation of the residual, in dB.
    pub residual_db: f64,
}

/// Neighbouring frames share samples: this many frames count as one independent measurement.
const CORRELATED_FRAMES: f64 = 4.0;

/// Fits one decay, robustly.
///
/// **Shape.** `time_s` and `level_db` are paired, time from the segment's origin. At least three points are needed.
#[must_use]
pub fn fit(time_s: &[f64], level_db: &[f64], config: &DecayConfig) -> Option<DecayFit> {
    if time_s.len() < 3 || time_s.len() != level_db.len() {
        return None;
    }
    let mut weight = vec![1.0; time_s.len()];
    // An exponential costs more than all else that is done with a point, and there are twenty rounds.
    let early = time_s.iter().map(|t| (-t / config.second_stage_s).exp()).collect::<Vec<_>>();
    let mut solution = nalgebra::Vector3::zeros();
    let mut inverse = nalgebra::Matrix3::zeros();
    for _ in 0..20 {
        let mut normal = nalgebra::Matrix3::from_diagonal(&nalgebra::Vector3::new(
            1e-9,
            1e-6,
            (config.scale_db / config.second_stage_db).powi(2),
        ));
        let mut right = nalgebra::Vector3::zeros();
        for (((&t, &m), &w), &e) in time_s.iter().zip(level_db).zip(&weight).zip(&early) {
            let basis = nalgebra::Vector3::new(1.0, -t, e);
            normal += w * basis * basis.transpose();
            right += w * m * basis;
        }
        inverse = normal.try_inverse()?;
        solution = inverse * right;
        for (((&t, &m), w), &e) in time_s.iter().zip(level_db).zip(&mut weight).zip(&early) {
            let residual = m - predict(&solution, t, e);
            *w = 1.0 / (1.0 + (residual / config.scale_db).powi(2));
        }
    }
    let residuals = time_s.iter().zip(level_db).zip(&early).map(|((&t, &m), &e)| (m - predict(&solution, t, e)).abs());
    let mut residuals = residuals.collect::<Vec<_>>();
    residuals.sort_by(f64::total_cmp);
    // 1.4826 makes the median deviation of a normal distribution its standard deviation.
    let residual_db = 1.4826 * residuals[residuals.len() / 2];
    Some(DecayFit {
        level_db: solution[0],
        decay_db_per_s: solution[1],
        decay_error_db_per_s: residual_db.max(0.02) * (inverse[(1, 1)] * CORRELATED_FRAMES).sqrt(),
        second_stage_db: solution[2],
        residual_db,
    })
}

/// The model's level; `early` is `e^(-t/τ)`.
fn predict(solution: &nalgebra::Vector3<f64>, t: f64, early: f64) -> f64 {
    solution[0] - solution[1] * t + solution[2] * early
}

/// Expected slow-stage decay of a string by pitch: knots of MIDI key and dB/s, from the calibrations of the CLM and
/// Faust-STK pianos and Cheng, Dixon and Mauch 2015. Single strings scatter around it with a standard deviation of
/// about 0.6 in the natural logarithm.
pub const EXPECTED_DECAY: [(f64, f64); 7] =
    [(21.0, 3.0), (36.0, 5.0), (48.0, 7.0), (60.0, 9.0), (72.0, 10.0), (84.0, 12.0), (96.0, 13.0)];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn times(len: usize) -> Vec<f64> {
        (0..len).map(|n| 0.01 * n as f64).collect()
    }

    #[test]
    fn a_plain_exponential_is_found_exactly() {
        let t = times(80);
        let m = t.iter().map(|t| -20.0 - 12.5 * t).collect::<Vec<_>>();
        let fit = fit(&t, &m, &DecayConfig::default()).unwrap();
        // The shrinkage of the second stage leaves less than a thousandth.
        assert!((fit.decay_db_per_s - 12.5).abs() < 1e-3, "{fit:?}");
        assert!((fit.level_db + 20.0).abs() < 1e-3);
        assert!(fit.residual_db < 1e-3);
    }

    #[test]
    fn outliers_and_a_second_stage_do_not_bend_the_decay() {
        let t = times(150);
        let mut m = t.iter().map(|t| -20.0 - 8.0 * t + 4.0 * (-t / 0.25).exp()).collect::<Vec<_>>();
        m[40..48].iter_mut().for_each(|m| *m -= 9.0);
        let fit = fit(&t, &m, &DecayConfig::default()).unwrap();
        assert!((fit.decay_db_per_s - 8.0).abs() < 0.3, "{fit:?}");
        assert!((fit.second_stage_db - 4.0).abs() < 0.3, "{fit:?}");
    }

    #[test]
    fn the_standard_error_covers_the_scatter() {
        // Noise from a fixed congruential sequence: 200 fits, the error must match the spread of the fitted decays.
        let mut state = 1u64;
        let mut noise = || {
            (0..12)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 33) as f64 / f64::from(1u32 << 31) - 0.5
                })
                .sum::<f64>()
        };
        let t = times(60);
        let fits = (0..200)
            .map(|_| {
                // Four frames share one draw, as overlapping windows do.
                let draws = (0..15).map(|_| 0.3 * noise()).collect::<Vec<_>>();
                let m = t.iter().enumerate().map(|(n, t)| -10.0 * t + draws[n / 4]).collect::<Vec<_>>();
                fit(&t, &m, &DecayConfig::default()).unwrap()
            })
            .collect::<Vec<_>>();
        let z = fits.iter().map(|f| ((f.decay_db_per_s - 10.0) / f.decay_error_db_per_s).powi(2)).sum::<f64>() / 200.0;
        assert!((0.5..2.0).contains(&z), "{z}");
    }

    #[test]
    fn onsets_and_dampers_end_a_segment() {
        let mut level = (0..60).map(|n| -20.0 - 0.1 * n as f32).collect::<Vec<_>>();
        level.extend((0..60).map(|n| -15.0 - 0.1 * n as f32));
        level.extend((0..40).map(|n| -21.0 - 1.0 * n as f32));
        let partials = Partials {
            frame_len: 160,
            first: vec![0, 160],
            frame: (0..160).collect(),
            bin: vec![40.0; 160],
            level_db: level,
        };
        let cut = segments(&partials, &[], 0.01, &DecayConfig::default());
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].points, 3..60);
        assert_eq!(cut[1].points.start, 63);
        assert!((115..=121).contains(&cut[1].points.end), "{:?}", cut[1]);
    }
}
