//! The device's gain over time, with its band and the events.

use super::axes::{Frame, Spread, time_ticks};
use super::legend::{Key, legend, triangle_down, triangle_up};
use super::palette::{AFTER, ATTACK, GREY, INK, PAPER, RELEASE};
use super::scene::{Point, Scene};
use super::{Place, TIME_TICKS_APART};
use crate::analysis::{Analysis, Event, EventKind, GainCurve, Verdict};

/// Least height of the gain axis, in dB: smaller movements should look small.
const LEAST_SPAN_DB: f64 = 6.0;
/// Least distance of two event marks of one kind, in pixels; the larger change is kept.
const MARKS_APART: f64 = 11.0;

/// Draws the panel.
pub(super) fn panel(scene: &mut Scene, place: Place, duration_s: f64, analysis: &Analysis) {
    let curve = &analysis.gain_curve;
    let columns = Column::over(curve, place, duration_s);
    let known = columns.iter().filter(|c| c.low_db.is_finite() && c.high_db.is_finite());
    let edge = |value: f64, other: f64| if value.is_finite() { value } else { other };
    let (low_db, high_db) = known.fold((0.0, 0.0), |(low, high): (f64, f64), c| {
        (low.min(edge(c.lower_db, c.low_db)).min(c.low_db), high.max(edge(c.upper_db, c.high_db)).max(c.high_db))
    });
    let spare_db = 0.5 * (LEAST_SPAN_DB - (high_db - low_db)).max(0.0) + 0.06 * (high_db - low_db);
    let y = (Spread::Linear, low_db - spare_db, high_db + spare_db);
    let frame = Frame::new(place.from, place.to, (Spread::Linear, 0.0, duration_s), y);
    frame.y_grid(scene, 32.0, true);
    frame.x_grid(scene, &time_ticks(&frame.x, TIME_TICKS_APART), true, false);
    let zero = frame.y.px(0.0);
    scene.line(vec![(place.from.0, zero), (place.to.0, zero)], 1.0, GREY);

    let trusted = analysis.verdict == Verdict::Agc;
    let colour = if trusted { AFTER } else { GREY };
    for run in columns.split(|c| !c.low_db.is_finite()) {
        let upper = run.iter().map(|c| (c.x, frame.y.px(edge(c.upper_db, c.high_db))));
        let lower = run.iter().rev().map(|c| (c.x, frame.y.px(edge(c.lower_db, c.low_db))));
        scene.area(upper.chain(lower).collect(), colour.at(0.25));
        // A column's whole reach keeps a drop visible that is narrower than a pixel.
        let reach = |c: &Column| [c.first_db, c.low_db, c.high_db, c.last_db].map(|g| (c.x, frame.y.px(g)));
        scene.line(run.iter().flat_map(reach).collect(), 1.8, if trusted { INK } else { GREY });
    }
    frame.base_line(scene);

    let mut keys =
        vec![Key::line(if trusted { "gain" } else { "best law, not trusted" }, if trusted { INK } else { GREY })];
    if columns.iter().any(|c| c.upper_db > c.lower_db) {
        keys.push(Key::block("90 % band", colour.at(0.25)));
    }
    if trusted {
        let gain_at = |event: &Event| beside(&columns, frame.x.px(marked_at_s(event)), event.kind);
        for (kind, paint) in [(EventKind::Attack, ATTACK), (EventKind::Release, RELEASE)] {
            for event in widely_spaced(&analysis.events, kind, &frame) {
                let at_s = marked_at_s(event);
                let Some(gain_db) = gain_at(event) else { continue };
                mark(scene, frame.at(at_s, gain_db), kind, paint.at(0.35 + 0.65 * event.confidence));
            }
        }
        if analysis.events.iter().any(|e| e.kind == EventKind::Attack) {
            keys.push(Key::down("attack: gain falls", ATTACK));
        }
        if analysis.events.iter().any(|e| e.kind == EventKind::Release) {
            keys.push(Key::up("release: gain rises", RELEASE));
        }
    }
    let remark = match analysis.verdict {
        _ if columns.iter().all(|c| !c.low_db.is_finite()) => "dB; not known",
        Verdict::None => "dB",
        _ => "dB, median set to 0",
    };
    frame.heading(scene, "The device’s gain", remark);
    match &analysis.verdict {
        Verdict::None => {
            frame.note(scene, "no gain control found");
        }
        Verdict::Undecided { .. } if low_db == 0.0 && high_db == 0.0 => frame.note(scene, "cannot tell"),
        Verdict::Undecided { .. } | Verdict::Agc => {}
    }
    if analysis.verdict != Verdict::None {
        legend(scene, (place.to.0, place.from.1 - 12.0), &keys);
    }
}

/// Draws an event on the curve: the mark stands clear of the line, on the side the gain comes from.
fn mark(scene: &mut Scene, (x, y): Point, kind: EventKind, colour: super::palette::Colour) {
    match kind {
        EventKind::Attack => {
            triangle_down(scene, (x, y - 9.0), 7.0, PAPER);
            triangle_down(scene, (x, y - 9.0), 5.5, colour);
        }
        EventKind::Release => {
            triangle_up(scene, (x, y + 9.0), 7.0, PAPER);
            triangle_up(scene, (x, y + 9.0), 5.5, colour);
        }
    }
}

/// An attack is marked where it strikes, a release midway.
fn marked_at_s(event: &Event) -> f64 {
    match event.kind {
        EventKind::Attack => event.start_s,
        EventKind::Release => 0.5 * (event.start_s + event.end_s),
    }
}

/// Events of one kind, the largest first to claim their place, none closer than [`MARKS_APART`] to another.
fn widely_spaced<'a>(events: &'a [Event], kind: EventKind, frame: &Frame) -> Vec<&'a Event> {
    let mut of_kind: Vec<&Event> = events.iter().filter(|e| e.kind == kind).collect();
    of_kind.sort_by(|a, b| b.change_db.abs().total_cmp(&a.change_db.abs()));
    let left = frame.from.0;
    let mut taken = vec![false; ((frame.to.0 - left) / MARKS_APART) as usize + 2];
    of_kind.retain(|event| {
        let slot = ((frame.x.px(marked_at_s(event)) - left) / MARKS_APART) as usize;
        !std::mem::replace(&mut taken[slot], true)
    });
    of_kind
}

/// What the curve does within one column of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Column {
    x: f64,
    first_db: f64,
    last_db: f64,
    low_db: f64,
    high_db: f64,
    lower_db: f64,
    upper_db: f64,
}

impl Column {
    /// The curve in columns of one pixel, or in its own points where those are fewer.
    fn over(curve: &GainCurve, place: Place, duration_s: f64) -> Vec<Self> {
        let width = place.to.0 - place.from.0;
        // Points before the start and after the end of the recording have no place.
        let index_at = |time_s: f64| ((time_s - curve.start_s) / curve.hop_s).max(0.0);
        let first = (index_at(0.0).ceil() as usize).min(curve.gain_db.len());
        let end = (index_at(duration_s).floor() as usize + 1).clamp(first, curve.gain_db.len().max(first));
        let point_len = end - first;
        let column_len = (width as usize).min(point_len);
        let x_of = |index: f64| {
            let share = (curve.start_s + index * curve.hop_s) / duration_s.max(f64::MIN_POSITIVE);
            place.from.0 + width * share.clamp(0.0, 1.0)
        };
        (0..column_len)
            .map(|column| {
                let edge = |column: usize| first + column * point_len / column_len;
                let (from, to) = (edge(column), edge(column + 1));
                let lowest = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
                let highest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let part = |values: &[f64]| values.get(from..to).unwrap_or(&[]).to_vec();
                let gain_db: Vec<f64> = part(&curve.gain_db).into_iter().filter(|g| g.is_finite()).collect();
                Self {
                    x: x_of(0.5 * (from + to - 1) as f64),
                    first_db: gain_db.first().copied().unwrap_or(f64::NAN),
                    last_db: gain_db.last().copied().unwrap_or(f64::NAN),
                    low_db: lowest(&gain_db),
                    high_db: highest(&gain_db),
                    lower_db: lowest(&part(&curve.lower_db)),
                    upper_db: highest(&part(&curve.upper_db)),
                }
            })
            .collect()
    }
}

/// Gain at a pixel that a mark must stand clear of: above it an attack's, below it a release's.
fn beside(columns: &[Column], x: f64, kind: EventKind) -> Option<f64> {
    let here = columns.partition_point(|c| c.x < x).min(columns.len().checked_sub(1)?);
    let near = columns[here.saturating_sub(1)..=here].iter().filter(|c| c.low_db.is_finite());
    match kind {
        EventKind::Attack => near.map(|c| c.high_db).reduce(f64::max),
        EventKind::Release => near.map(|c| c.low_db).reduce(f64::min),
    }
}
