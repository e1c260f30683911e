//! Decay over pitch, against what pianos do.

use super::Place;
use super::axes::{Frame, LABEL_SIZE, Spread};
use super::legend::{Key, legend};
use super::palette::{AFTER, GREY, INK, PAPER};
use super::scene::{Anchor, Point, Scene, Text, Weight};
use crate::analysis::{Analysis, DecaySegment};
use crate::decay::EXPECTED_DECAY;
use crate::units::midi_key_from_hz;

/// Frequencies shown, in Hz: from below the lowest key to the highest partials that are followed.
const RANGE_HZ: (f64, f64) = (25.0, 8_000.0);
/// Decays shown, in dB/s.
const RANGE_DB_PER_S: (f64, f64) = (0.7, 300.0);
/// Most decays drawn as dots; beyond it they are thinned evenly.
const MOST_DOTS: usize = 4_000;

/// Spread of that decay between strings and instruments, as the standard deviation of its logarithm (see
/// [`EXPECTED_DECAY`]).
const SLOW_STAGE_SIGMA: f64 = 0.6;
/// The prompt stage decays this many times faster (same sources).
const PROMPT_STAGE_FACTOR: f64 = 3.0;
/// 90 % of a normal distribution lie within this many standard deviations.
const SIGMAS_90: f64 = 1.645;

/// Slow-stage decay in dB/s that is expected at a frequency: straight lines between the keys of [`EXPECTED_DECAY`].
fn expected_db_per_s(frequency_hz: f64) -> f64 {
    let key = midi_key_from_hz(frequency_hz);
    let pair = EXPECTED_DECAY.windows(2).find(|pair| key <= pair[1].0);
    let [(low_key, low), (high_key, high)] =
        pair.map_or([EXPECTED_DECAY[5], EXPECTED_DECAY[6]], |pair| [pair[0], pair[1]]);
    let share = ((key - low_key) / (high_key - low_key)).clamp(0.0, 1.0);
    low + share * (high - low)
}

/// Draws the panel.
pub(super) fn panel(scene: &mut Scene, place: Place, analysis: &Analysis) {
    let x = (Spread::Log, RANGE_HZ.0, RANGE_HZ.1);
    // The names of the keys stand between heading and data.
    let top = place.from.1 + 1.6 * LABEL_SIZE;
    let y = (Spread::Log, RANGE_DB_PER_S.0, RANGE_DB_PER_S.1);
    let frame = Frame::new((place.from.0, top), place.to, x, y);
    let factor = (SIGMAS_90 * SLOW_STAGE_SIGMA).exp();
    scene.area(band(&frame, 1.0 / factor, PROMPT_STAGE_FACTOR * factor), GREY.at(0.13));
    scene.area(band(&frame, 1.0 / factor, factor), GREY.at(0.20));
    frame.y_grid(scene, 30.0, true);
    frame.x_grid(scene, &hertz_ticks(), true, true);
    for (key, name) in [(24, "C1"), (36, "C2"), (48, "C3"), (60, "C4"), (72, "C5"), (84, "C6"), (96, "C7"), (108, "C8")]
    {
        let x = frame.x.px(440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0));
        scene.line(vec![(x, top - 5.0), (x, top)], 1.0, GREY);
        centred(scene, (x, top - 9.0), name);
    }
    for decay in thinned(&analysis.decays) {
        let spread = decay.decay_error_db_per_s / decay.decay_db_per_s;
        let opacity = if spread < 0.1 { 0.5 } else { 0.22 };
        scene.dot(frame.at(decay.frequency_hz, decay.decay_db_per_s), 2.2, AFTER.at(opacity));
    }
    let octaves = analysis
        .partials
        .decay_by_octave
        .iter()
        .filter(|o| o.segment_len > 0 && frame.x.holds(o.centre_hz) && frame.y.holds(o.median_db_per_s));
    let medians: Vec<Point> = octaves.map(|o| frame.at(o.centre_hz, o.median_db_per_s)).collect();
    for at in &medians {
        scene.dot(*at, 8.0, PAPER);
        scene.dot(*at, 6.0, INK);
    }
    frame.base_line(scene);
    if analysis.decays.is_empty() && medians.is_empty() {
        frame.note(scene, "no decay could be fitted");
    }
    centred(scene, (0.5 * (place.from.0 + place.to.0), place.to.1 + 2.9 * LABEL_SIZE), "frequency in Hz; keys above");
    Frame { from: place.from, ..frame }.heading(scene, "Decay over pitch", "dB/s, gain removed");
    let row = |i: f64| (place.to.0, place.to.1 + (4.5 + 1.5 * i) * LABEL_SIZE);
    legend(scene, row(0.0), &[Key::dot("one decay", AFTER), Key::dot("median of an octave", INK)]);
    let expected = [Key::block("piano: slow stage", GREY.at(0.33)), Key::block("and prompt stage", GREY.at(0.13))];
    legend(scene, row(1.0), &expected);
}

/// Outline of the expected decays, from `low` to `high` times the centre.
fn band(frame: &Frame, low: f64, high: f64) -> Vec<Point> {
    let frequency_hz = |i: usize| RANGE_HZ.0 * (RANGE_HZ.1 / RANGE_HZ.0).powf(i as f64 / 60.0);
    let edge = |i: usize, times: f64| frame.at(frequency_hz(i), times * expected_db_per_s(frequency_hz(i)));
    (0..=60).map(|i| edge(i, high)).chain((0..=60).rev().map(|i| edge(i, low))).collect()
}

fn hertz_ticks() -> Vec<(f64, String)> {
    [(50.0, "50"), (200.0, "200"), (1_000.0, "1000"), (5_000.0, "5000")]
        .map(|(hz, label)| (hz, label.to_owned()))
        .to_vec()
}

/// Decays that have a place on the axes, at most [`MOST_DOTS`] of them, evenly over the recording.
fn thinned(decays: &[DecaySegment]) -> impl Iterator<Item = &DecaySegment> {
    let shown = |d: &&DecaySegment| {
        (RANGE_HZ.0..=RANGE_HZ.1).contains(&d.frequency_hz)
            && (RANGE_DB_PER_S.0..=RANGE_DB_PER_S.1).contains(&d.decay_db_per_s)
    };
    let step = decays.len().div_ceil(MOST_DOTS).max(1);
    decays.iter().step_by(step).filter(shown)
}

fn centred(scene: &mut Scene, at: Point, text: &str) {
    scene.put(Text {
        at,
        text: text.to_owned(),
        size: LABEL_SIZE,
        anchor: Anchor::Middle,
        weight: Weight::Regular,
        colour: GREY,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_decay_is_that_of_the_table_and_flat_beyond_it() {
        let hz = |key: f64| 440.0 * 2f64.powf((key - 69.0) / 12.0);
        for (key, decay) in EXPECTED_DECAY {
            assert!((expected_db_per_s(hz(key)) - decay).abs() < 1e-9);
        }
        assert!((expected_db_per_s(hz(66.0)) - 9.5).abs() < 1e-9);
        assert!((expected_db_per_s(20.0) - 3.0).abs() < 1e-9);
        assert!((expected_db_per_s(8_000.0) - 13.0).abs() < 1e-9);
    }
}
