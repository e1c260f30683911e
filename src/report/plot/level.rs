//! Level before and after: the dynamics that were lost and what came back.

use super::axes::{Frame, Spread, time_ticks};
use super::legend::{Key, legend};
use super::palette::{AFTER, BEFORE};
use super::scene::{Point, Scene};
use super::{Place, TIME_TICKS_APART};
use crate::analysis::{Analysis, GainCurve, Verdict};
use crate::audio::Audio;
use crate::restore::Restored;
use crate::units::db_from_power;

/// Shortest stretch whose power is averaged, in seconds: as long as the ear takes for loudness of short notes.
const WINDOW_S: f64 = 0.05;
/// Levels are shown at most this far below the loudest, in dB.
const RANGE_DB: f64 = 60.0;
/// Below this level all is silence, in dBFS: under the noise of 16 bits.
const SILENCE_DB: f64 = -100.0;

/// Draws the panel.
pub(super) fn panel(scene: &mut Scene, place: Place, audio: &Audio, analysis: &Analysis, restored: Option<&Restored>) {
    let columns = (place.to.0 - place.from.0) as usize;
    let before = levels_db(audio, columns);
    let (after, after_name) = match (restored, &analysis.verdict) {
        (Some(restored), _) => (Some(levels_db(&restored.audio, columns)), "after: restored"),
        (None, Verdict::Agc) => {
            let preview = without_gain(&before, &analysis.gain_curve, audio.duration_s());
            (Some(preview), "after: what restoring would give, up to a constant")
        }
        (None, _) => (None, ""),
    };
    let all = before.iter().chain(after.iter().flatten()).copied().filter(|l| *l > SILENCE_DB);
    let (lowest_db, loudest_db) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    let (low_db, high_db) = if loudest_db.is_finite() {
        let high_db = (loudest_db / 5.0).ceil() * 5.0;
        (((lowest_db / 5.0).floor() * 5.0).max(high_db - RANGE_DB), high_db)
    } else {
        (-RANGE_DB, 0.0)
    };

    let x = (Spread::Linear, 0.0, audio.duration_s());
    let frame = Frame::new(place.from, place.to, x, (Spread::Linear, low_db, high_db.max(low_db + 10.0)));
    frame.y_grid(scene, 32.0, true);
    frame.x_grid(scene, &time_ticks(&frame.x, TIME_TICKS_APART), true, false);
    let trace = |levels: &[f64]| -> Vec<Point> {
        let x = |i: usize| place.from.0 + (i as f64 + 0.5) * (place.to.0 - place.from.0) / levels.len() as f64;
        levels.iter().enumerate().map(|(i, level_db)| (x(i), frame.y.px(*level_db))).collect()
    };
    let mut keys = vec![Key::line(if after.is_some() { "before: as recorded" } else { "as recorded" }, BEFORE)];
    scene.line(trace(&before), 2.0, BEFORE);
    if let Some(after) = &after {
        scene.line(trace(after), 1.5, AFTER);
        keys.push(Key::line(after_name, AFTER));
    }
    frame.base_line(scene);
    if !loudest_db.is_finite() {
        frame.note(scene, "silence");
    }
    let window_s = window_s(audio, columns);
    let window = if window_s < 1.0 { format!("{:.0} ms", 1000.0 * window_s) } else { format!("{window_s:.1} s") };
    frame.heading(scene, "Level", &format!("dBFS, mean power of {window}"));
    legend(scene, (place.to.0, place.from.1 - 12.0), &keys);
}

/// Stretch whose power is averaged, in seconds: [`WINDOW_S`], or one column of a long recording.
fn window_s(audio: &Audio, columns: usize) -> f64 {
    WINDOW_S.max(audio.duration_s() / columns.max(1) as f64)
}

/// Mean power of all channels around the middle of each of `columns` equal stretches, in dBFS; [`SILENCE_DB`] at least.
fn levels_db(audio: &Audio, columns: usize) -> Vec<f64> {
    // Running sums at four places a column bound memory by the picture, not by the recording.
    let sample_len = audio.sample_len();
    let block_len = (columns * 4).clamp(1, sample_len.max(1));
    let edge = |i: usize| (i as u128 * sample_len as u128 / block_len as u128) as usize;
    let mut sums = Vec::with_capacity(block_len + 1);
    let mut sum = 0.0;
    sums.push(0.0);
    for i in 0..block_len {
        for channel in audio.channels() {
            sum += channel[edge(i)..edge(i + 1)].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
        }
        sums.push(sum);
    }
    let window = (window_s(audio, columns) / audio.duration_s().max(f64::MIN_POSITIVE) * block_len as f64)
        .round()
        .max(1.0) as usize;
    (0..columns)
        .map(|column| {
            let centre = (2 * column + 1) * block_len / (2 * columns);
            let (first, last) = (centre.saturating_sub(window / 2), (centre + window.div_ceil(2)).min(block_len));
            let samples = (edge(last) - edge(first)) * audio.channels().len();
            let power = (sums[last] - sums[first]).max(0.0) / samples.max(1) as f64;
            db_from_power(power).max(SILENCE_DB)
        })
        .collect()
}

/// Levels with the device's gain taken off; where the gain is not known they stay as they are.
fn without_gain(levels_db: &[f64], curve: &GainCurve, duration_s: f64) -> Vec<f64> {
    let at = |column: usize| {
        let time_s = (column as f64 + 0.5) / levels_db.len() as f64 * duration_s;
        let index = ((time_s - curve.start_s) / curve.hop_s).round().max(0.0) as usize;
        curve.gain_db.get(index.min(curve.gain_db.len().saturating_sub(1))).copied().filter(|g| g.is_finite())
    };
    levels_db.iter().enumerate().map(|(i, level_db)| (level_db - at(i).unwrap_or(0.0)).max(SILENCE_DB)).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn a_square_wave_of_half_scale_is_at_minus_6_db_all_along() {
        for sample_len in [1, 10, 4_800, 480_000] {
            let audio = Audio::new(48_000, vec![vec![0.5; sample_len]; 2]).unwrap();
            let levels = levels_db(&audio, 700);
            assert_eq!(levels.len(), 700);
            assert!(levels.iter().all(|l| (l + 6.0206).abs() < 1e-3), "{sample_len} samples");
        }
    }

    #[test]
    fn taking_a_gain_off_raises_what_it_had_lowered() {
        let curve = GainCurve {
            start_s: 0.0,
            hop_s: 0.5,
            gain_db: vec![-6.0, f64::NAN],
            lower_db: vec![-6.0; 2],
            upper_db: vec![-6.0; 2],
        };
        assert_eq!(without_gain(&[-20.0; 4], &curve, 0.6), vec![-14.0, -14.0, -20.0, -20.0]);
    }
}
