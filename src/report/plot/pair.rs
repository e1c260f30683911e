//! A phone's recording against a microphone's: level against level, the gain over time, decays of the same partials.

use super::axes::{Frame, LABEL_SIZE, Spread, number, time_ticks};
use super::legend::{Key, legend};
use super::palette::{AFTER, BEFORE, Colour, GREY, INK};
use super::scene::{Anchor, Scene, Text, Weight};
use super::{Place, TIME_TICKS_APART};
use crate::pair::Validation;
use crate::pair::level::{HOP_S, median};
use crate::pair::validate::Measures;

/// Side of a cell of a density, in pixels.
const CELL: f64 = 5.0;
/// Levels shown below the loudest, in dB.
const RANGE_DB: f64 = 50.0;
/// Decays shown, in dB/s.
const DECAY_RANGE: (f64, f64) = (-20.0, 80.0);
/// Columns of the gain curve.
const COLUMNS: usize = 1400;

/// Puts the panels in their places.
pub(super) fn compose(size: (u32, u32), validation: &Validation, phone: &str, mic: &str) -> Scene {
    let mut scene = Scene::new(size);
    title(&mut scene, validation, phone, mic);
    let place = |left: f64, top: f64, right: f64, bottom: f64| Place { from: (left, top), to: (right, bottom) };
    gain(&mut scene, place(80.0, 170.0, 1570.0, 470.0), validation);
    let recordings = [("Phone", &validation.before, BEFORE)]
        .into_iter()
        .chain(validation.after.as_ref().map(|after| ("Restored", after, AFTER)));
    for (k, (name, measures, colour)) in recordings.enumerate() {
        let left = 80.0 + 520.0 * k as f64;
        levels(&mut scene, place(left, 600.0, left + 440.0, 1100.0), validation, name, measures, colour);
    }
    decays(&mut scene, place(1130.0, 600.0, 1570.0, 1100.0), validation);
    scene
}

fn title(scene: &mut Scene, validation: &Validation, phone: &str, mic: &str) {
    let put = |scene: &mut Scene, y: f64, text: String, size: f64, weight: Weight, colour: Colour| {
        scene.put(Text { at: (24.0, y), text, size, anchor: Anchor::Start, weight, colour });
    };
    let short = |name: &str| {
        if name.chars().count() > 48 { name.chars().take(47).chain(['…']).collect() } else { name.to_owned() }
    };
    put(scene, 52.0, format!("{} against {}", short(phone), short(mic)), 26.0, Weight::Semibold, INK);
    let after = validation.after.as_ref().map_or_else(String::new, |after| {
        format!("; restored {} dB, slope {}", number(after.gain_rms_db, 2), number(after.dynamics_slope, 2))
    });
    let line = format!(
        "The phone’s gain moves by {} dB rms, its level by {} dB for each dB of the microphone{after}.",
        number(validation.before.gain_rms_db, 2),
        number(validation.before.dynamics_slope, 2),
    );
    put(scene, 84.0, line, 17.0, Weight::Regular, INK);
    let a = &validation.alignment;
    let line = format!(
        "Offset {} s, drift {} ppm, scatter {} ms; static response matched in third octaves.",
        number(a.offset_s, 4),
        number(a.drift_ppm, 1),
        number(1e3 * a.jitter_s, 3)
    );
    put(scene, 110.0, line, LABEL_SIZE, Weight::Regular, GREY);
}

/// The phone's gain as measured with the microphone, and as it was undone.
fn gain(scene: &mut Scene, place: Place, validation: &Validation) {
    let measured = difference(&validation.before.level_db, &validation.matched_db, &validation.compared);
    let undone = validation
        .after
        .as_ref()
        .map(|after| difference(&validation.before.level_db, &after.level_db, &validation.compared));
    let all = || measured.iter().chain(undone.iter().flatten()).flatten();
    let low = all().copied().fold(-3.0, f64::min).max(-40.0);
    let high = all().copied().fold(3.0, f64::max).min(40.0);
    let end_s = validation.compared.len() as f64 * HOP_S;
    let frame = Frame::new(place.from, place.to, (Spread::Linear, 0.0, end_s), (Spread::Linear, low - 0.5, high + 0.5));
    frame.y_grid(scene, 32.0, true);
    frame.x_grid(scene, &time_ticks(&frame.x, TIME_TICKS_APART), true, true);
    let stride = measured.len().div_ceil(COLUMNS).max(1);
    let mut draw = |curve: &[Option<f64>], width: f64, colour: Colour| {
        let mut run = Vec::new();
        for (k, values) in curve.chunks(stride).enumerate() {
            let known = values.iter().flatten().copied().collect::<Vec<_>>();
            if known.is_empty() {
                scene.line(std::mem::take(&mut run), width, colour);
            } else {
                run.push(frame.at((k * stride) as f64 * HOP_S, median(&known)));
            }
        }
        scene.line(run, width, colour);
    };
    draw(&measured, 2.0, INK);
    if let Some(undone) = &undone {
        draw(undone, 1.5, AFTER);
    }
    frame.base_line(scene);
    frame.heading(scene, "The phone’s gain", "dB over s, medians set to 0");
    let mut keys = vec![Key::line("measured with the microphone", INK)];
    if undone.is_some() {
        keys.push(Key::line("undone", AFTER));
    }
    legend(scene, (place.to.0, place.from.1 - 12.0), &keys);
}

/// One level less another where they are compared, the median removed.
fn difference(one: &[f64], other: &[f64], compared: &[bool]) -> Vec<Option<f64>> {
    let values = one
        .iter()
        .zip(other)
        .zip(compared)
        .map(|((a, b), on)| (*on && (a - b).is_finite()).then_some(a - b))
        .collect::<Vec<_>>();
    let centre = median(&values.iter().flatten().copied().collect::<Vec<_>>());
    values.into_iter().map(|v| v.map(|v| v - centre)).collect()
}

/// Level of a recording over the microphone's, as a density.
fn levels(scene: &mut Scene, place: Place, validation: &Validation, name: &str, measures: &Measures, colour: Colour) {
    let pairs = validation
        .matched_db
        .iter()
        .zip(&measures.level_db)
        .zip(&validation.compared)
        .filter_map(|((m, p), on)| on.then_some((*m, *p)))
        .collect::<Vec<_>>();
    let top = pairs.iter().map(|p| p.0).fold(-200.0, f64::max);
    let offset = median(&pairs.iter().map(|(m, p)| p - m).collect::<Vec<_>>());
    let range = (Spread::Linear, -RANGE_DB, 3.0);
    let frame = Frame::new(place.from, place.to, range, (Spread::Linear, -RANGE_DB, 12.0));
    frame.y_grid(scene, 40.0, true);
    let ticks = frame.x.ticks(60.0);
    frame.x_grid(scene, &ticks, true, true);
    let columns = ((place.to.0 - place.from.0) / CELL) as usize + 1;
    let rows = ((place.to.1 - place.from.1) / CELL) as usize + 1;
    let mut count = vec![0u32; columns * rows];
    for (m, p) in &pairs {
        let (x, y) = frame.at(m - top, p - offset - top);
        let cell = ((y - place.from.1) / CELL) as usize * columns + ((x - place.from.0) / CELL) as usize;
        if let Some(count) = count.get_mut(cell) {
            *count += 1;
        }
    }
    let most = f64::from(count.iter().copied().max().unwrap_or(1).max(1));
    for (cell, &n) in count.iter().enumerate().filter(|(_, n)| **n > 0) {
        let from = (place.from.0 + (cell % columns) as f64 * CELL, place.from.1 + (cell / columns) as f64 * CELL);
        let to = ((from.0 + CELL).min(place.to.0), (from.1 + CELL).min(place.to.1));
        scene.block(from, to, colour.at(0.15 + 0.85 * (f64::from(n) / most).sqrt()));
    }
    let line = |slope: f64, through: f64| {
        // Clipped to the frame: the axis would hold it at its edge.
        let y = |x: f64| slope * (x - through) + through;
        (0..=106)
            .map(|k| -RANGE_DB + f64::from(k) * 0.5)
            .filter(|x| frame.y.holds(y(*x)) && frame.x.holds(*x))
            .map(|x| frame.at(x, y(x)))
            .collect::<Vec<_>>()
    };
    let centre = median(&pairs.iter().map(|p| p.0 - top).collect::<Vec<_>>());
    scene.line(line(1.0, centre), 1.0, GREY);
    scene.line(line(measures.dynamics_slope, centre), 2.5, INK);
    frame.base_line(scene);
    frame.heading(
        scene,
        name,
        &format!("level over the microphone’s, dB; slope {}", number(measures.dynamics_slope, 2)),
    );
}

/// Decay rates of the same partials in both.
fn decays(scene: &mut Scene, place: Place, validation: &Validation) {
    let range = (Spread::Linear, DECAY_RANGE.0, DECAY_RANGE.1);
    let frame = Frame::new(place.from, place.to, range, range);
    frame.y_grid(scene, 40.0, true);
    let ticks = frame.x.ticks(60.0);
    frame.x_grid(scene, &ticks, true, true);
    let recordings = [(&validation.before, BEFORE)].into_iter().chain(validation.after.iter().map(|a| (a, AFTER)));
    for (measures, colour) in recordings {
        let stride = measures.decays.pairs.len().div_ceil(3000).max(1);
        for (mic, phone) in measures.decays.pairs.iter().step_by(stride) {
            if frame.x.holds(*mic) && frame.y.holds(*phone) {
                scene.dot(frame.at(*mic, *phone), 2.0, colour.at(0.35));
            }
        }
    }
    scene.line(vec![frame.at(DECAY_RANGE.0, DECAY_RANGE.0), frame.at(DECAY_RANGE.1, DECAY_RANGE.1)], 1.0, INK);
    frame.base_line(scene);
    frame.heading(scene, "Decays", "dB/s, over the microphone’s");
    let bias = |m: &Measures| format!("off by {} dB/s", number(m.decays.bias_db_per_s, 1));
    let mut keys = vec![Key::dot(&bias(&validation.before), BEFORE)];
    if let Some(after) = &validation.after {
        keys.push(Key::dot(&bias(after), AFTER));
    }
    legend(scene, (place.to.0, place.to.1 + 50.0), &keys);
}
