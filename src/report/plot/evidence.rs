//! What the verdict rests on: how well each law explains the decays, and steps measured at onsets against the law's.

use super::Place;
use super::axes::{Axis, Frame, LABEL_SIZE, Spread, number};
use super::legend::{Key, legend};
use super::palette::{AFTER, ATTACK, GREY, INK};
use super::scene::{Anchor, Scene, Text, Weight};
use crate::analysis::{Analysis, Verdict};
use crate::report::story::probability;

/// Most laws that have room beneath each other.
const MOST_LAWS: usize = 18;
/// Steps are shown at least to this many dB on either side.
const LEAST_RANGE_DB: f64 = 3.0;

/// Draws both halves.
pub(super) fn panel(scene: &mut Scene, place: Place, analysis: &Analysis) {
    let middle = 0.5 * (place.from.0 + place.to.0);
    laws(scene, Place { from: (place.from.0 + 130.0, place.from.1), to: (middle - 60.0, place.to.1) }, analysis);
    steps(scene, Place { from: (middle + 60.0, place.from.1), to: place.to }, analysis);
}

/// The misfit that each law leaves, best at the top; the line is what there is without any.
fn laws(scene: &mut Scene, place: Place, analysis: &Analysis) {
    let evidence = &analysis.evidence;
    let mut families: Vec<_> = analysis.families.iter().filter(|f| f.j.is_finite()).collect();
    families.sort_by(|a, b| a.j.total_cmp(&b.j));
    families.truncate(MOST_LAWS);
    let known = families.iter().map(|f| f.j).chain([evidence.j_without_gain]).filter(|j| j.is_finite());
    let (low, high) = known.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), j| (l.min(j), h.max(j)));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let room = 0.1 * (high - low).max(0.01);
    let y = (Spread::Linear, 0.0, families.len().max(1) as f64);
    let frame = Frame::new(place.from, place.to, (Spread::Linear, low - room, high + room), y);
    frame.x_grid(scene, &Axis::ticks(&frame.x, 110.0), true, true);
    for (row, family) in families.iter().enumerate() {
        let (x, y) = frame.at(family.j, families.len() as f64 - row as f64 - 0.5);
        scene.line(vec![(place.from.0, y), (x, y)], 2.0, GREY.at(0.5));
        scene.dot((x, y), 7.0, if row == 0 { INK } else { AFTER });
        scene.put(Text {
            at: (place.from.0 - 10.0, y + 0.35 * LABEL_SIZE),
            text: family.law.clone(),
            size: LABEL_SIZE,
            anchor: Anchor::End,
            weight: if row == 0 { Weight::Semibold } else { Weight::Regular },
            colour: INK,
        });
    }
    frame.base_line(scene);
    if evidence.j_without_gain.is_finite() {
        let x = frame.x.px(evidence.j_without_gain);
        scene.line(vec![(x, place.from.1), (x, place.to.1)], 2.5, ATTACK);
    }
    frame.heading(scene, "Misfit of the decays", "J, lower is better");
    legend(scene, (place.to.0, place.from.1 - 12.0), &[Key::line("without any gain", ATTACK)]);
    if families.is_empty() {
        frame.note(scene, "no law was weighed");
        return;
    }
    let told = format!("chance of this without a gain control: {}", probability(evidence.p_value));
    scene.text((place.from.0, place.to.1 + 2.9 * LABEL_SIZE), told, LABEL_SIZE, GREY);
}

/// What the strings measured at each event against what the law says; on the diagonal both agree.
fn steps(scene: &mut Scene, place: Place, analysis: &Analysis) {
    let measured = |e: &&crate::analysis::Event| e.measured_db.is_some_and(f64::is_finite) && e.change_db.is_finite();
    let events: Vec<_> = analysis.events.iter().filter(measured).collect();
    let both = events.iter().flat_map(|e| [e.change_db, e.measured_db.unwrap_or(0.0)]);
    let (low, high) = both.fold((-LEAST_RANGE_DB, LEAST_RANGE_DB), |(l, h), db| (l.min(db), h.max(db)));
    let (low, high) = (low.floor(), high.ceil());
    let frame = Frame::new(place.from, place.to, (Spread::Linear, low, high), (Spread::Linear, low, high));
    frame.x_grid(scene, &Axis::ticks(&frame.x, 90.0), true, true);
    frame.y_grid(scene, 40.0, true);
    scene.line(vec![frame.at(low, low), frame.at(high, high)], 1.5, GREY);
    for event in &events {
        let at = frame.at(event.change_db, event.measured_db.unwrap_or(0.0));
        // More partials weigh more.
        let radius = 2.5 + (event.partials_voted as f64).sqrt().min(6.0);
        scene.dot(at, radius, AFTER.at(0.55));
    }
    frame.base_line(scene);
    let slope = match (analysis.evidence.step_slope, analysis.evidence.step_slope_error) {
        (Some(slope), Some(error)) => format!("; all onsets together: {} ± {}", number(slope, 2), number(error, 2)),
        _ => String::new(),
    };
    frame.heading(scene, "Steps at onsets", "dB, measured by the strings over the law’s");
    scene.text((place.from.0, place.to.1 + 2.9 * LABEL_SIZE), format!("the law’s step, dB{slope}"), LABEL_SIZE, GREY);
    if events.is_empty() {
        let told = match analysis.verdict {
            Verdict::Agc => "no onset with enough partials to measure",
            Verdict::None | Verdict::Undecided { .. } => "no event was found",
        };
        frame.note(scene, told);
    }
}
