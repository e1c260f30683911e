//! The partials and their fitted decays, over the spectrogram.

use super::axes::{Frame, LABEL_SIZE, Spread, time_ticks, time_unit};
use super::legend::{Key, legend};
use super::palette::{Colour, DECAY, GREY, cividis};
use super::scene::{Anchor, Scene, Text, Weight};
use super::{Place, TIME_TICKS_APART, spectrogram};
use crate::analysis::{Analysis, DecaySegment};
use crate::audio::Audio;

/// Lowest and highest frequency shown, in Hz.
const RANGE_HZ: (f64, f64) = (50.0, 6_000.0);
/// Most segments drawn; the longest are kept.
const MOST_SEGMENTS: usize = 4_000;
/// A fitted line fades away over this many dB below the loudest start of any.
const FADE_DB: f64 = 70.0;
/// Most pieces of one fading line, and least length of one in pixels.
const MOST_PIECES: usize = 5;
const LEAST_PIECE: f64 = 8.0;

/// Draws the panel.
pub(super) fn panel(scene: &mut Scene, place: Place, audio: &Audio, analysis: &Analysis) {
    let x = (Spread::Linear, 0.0, audio.duration_s());
    let frame = Frame::new(place.from, place.to, x, (Spread::Log, RANGE_HZ.0, RANGE_HZ.1));
    let at = (place.from.0 as u32, place.from.1 as u32);
    let size = ((place.to.0 - place.from.0) as u32, (place.to.1 - place.from.1) as u32);
    scene.images.push(spectrogram::image(audio, at, size, RANGE_HZ));
    frame.y_grid(scene, 30.0, false);
    frame.x_grid(scene, &time_ticks(&frame.x, TIME_TICKS_APART), false, true);
    scene.put(Text {
        at: (place.to.0, place.to.1 + 2.9 * LABEL_SIZE),
        text: time_unit(audio.duration_s()).to_owned(),
        size: LABEL_SIZE,
        anchor: Anchor::End,
        weight: Weight::Regular,
        colour: GREY,
    });

    let loudest_db = analysis.decays.iter().map(|d| d.level_db).filter(|l| l.is_finite()).fold(-120.0, f64::max);
    for decay in longest(&analysis.decays) {
        draw(scene, &frame, decay, loudest_db);
    }
    frame.heading(scene, "Partials and their fitted decays", "Hz");
    if analysis.decays.is_empty() {
        frame.note(scene, "no partial long enough to fit a decay");
    } else {
        let ground = Colour { rgb: cividis(0.2), opacity: 1.0 };
        legend(
            scene,
            (place.to.0, place.from.1 - 12.0),
            &[Key::line_on("a decay, fading as its fit does", DECAY, ground)],
        );
    }
}

/// The segments to draw, at most [`MOST_SEGMENTS`].
fn longest(decays: &[DecaySegment]) -> Vec<&DecaySegment> {
    let shown = |d: &&DecaySegment| (RANGE_HZ.0..=RANGE_HZ.1).contains(&d.frequency_hz) && d.end_s > d.start_s;
    let mut out: Vec<&DecaySegment> = decays.iter().filter(shown).collect();
    if out.len() > MOST_SEGMENTS {
        out.sort_by(|a, b| (b.end_s - b.start_s).total_cmp(&(a.end_s - a.start_s)));
        out.truncate(MOST_SEGMENTS);
    }
    out
}

/// One fitted decay as a line at its frequency, as opaque as its fitted level is high.
fn draw(scene: &mut Scene, frame: &Frame, decay: &DecaySegment, loudest_db: f64) {
    let length_s = decay.end_s - decay.start_s;
    let y = frame.y.px(decay.frequency_hz);
    let length_px = frame.x.px(decay.end_s) - frame.x.px(decay.start_s);
    let pieces = ((length_px / LEAST_PIECE) as usize).clamp(1, MOST_PIECES);
    for piece in 0..pieces {
        let time_s = |edge: usize| decay.start_s + length_s * edge as f64 / pieces as f64;
        let middle_s = length_s * (piece as f64 + 0.5) / pieces as f64;
        let level_db = decay.level_db - decay.decay_db_per_s * middle_s;
        let opacity = 0.9 * (1.0 - (loudest_db - level_db) / FADE_DB).clamp(0.12, 1.0);
        let (from, to) = (frame.x.px(time_s(piece)), frame.x.px(time_s(piece + 1)));
        scene.line(vec![(from, y), (to, y)], 1.5, DECAY.at(opacity));
    }
}
