//! Where the gain moved, how sure that is, and how many partials voted.
//!
//! A gain curve is cut at its turning points; turns of less than the threshold are part of the movement around them.

use crate::analysis::{Event, EventKind, GainCurve};
use crate::onsets::Step;

/// Movements smaller than this, in dB, are no events.
pub const MIN_CHANGE_DB: f64 = 0.5;
/// An event lasts from where the gain has left one turning point by this much, in dB, to where it is as near to the next: a
/// gain that rests is no event.
const REST_DB: f64 = 0.1;
/// A step at an onset belongs to the attack that begins within this time of it, in seconds.
const SAME_ONSET_S: f64 = 0.12;

/// Finds the events of a curve.
///
/// `resampled` holds the curve as other resamples of the notes have it, in dB, same shape as `curve.gain_db`; `steps` are the
/// measured steps and `frame_time_s` turns their frames into seconds.
#[must_use]
pub fn find(curve: &GainCurve, resampled: &[&[f32]], steps: &[Step], frame_time_s: impl Fn(u32) -> f64) -> Vec<Event> {
    turning_points(&curve.gain_db)
        .windows(2)
        .map(|ends| {
            let (start, end) = (ends[0], ends[1]);
            let change_db = curve.gain_db[end] - curve.gain_db[start];
            let mut changes = resampled.iter().map(|c| f64::from(c[end]) - f64::from(c[start])).collect::<Vec<_>>();
            changes.sort_by(f64::total_cmp);
            let quantile = |share: f64| {
                changes.get((share * changes.len().saturating_sub(1) as f64) as usize).copied().unwrap_or(change_db)
            };
            let agree = changes.iter().filter(|c| c.signum() == change_db.signum()).count();
            let (left, reached) = without_rests(&curve.gain_db, start, end);
            let start_s = curve.start_s + left as f64 * curve.hop_s;
            let end_s = curve.start_s + reached as f64 * curve.hop_s;
            let kind = if change_db < 0.0 { EventKind::Attack } else { EventKind::Release };
            let step = steps.iter().find(|s| {
                let onset_s = frame_time_s(s.onset_frame);
                kind == EventKind::Attack && onset_s > start_s - SAME_ONSET_S && onset_s < end_s + SAME_ONSET_S
            });
            Event {
                start_s,
                end_s,
                kind,
                change_db,
                error_db: 0.5 * (quantile(0.95) - quantile(0.05)),
                confidence: if changes.is_empty() { 1.0 } else { agree as f64 / changes.len() as f64 },
                partials_voted: step.map_or(0, |s| s.votes),
                measured_db: step.map(|s| s.step_db),
            }
        })
        .collect()
}

/// The last index that is still near the gain of `start`, and the first after it that is near that of `end`.
fn without_rests(gain_db: &[f64], start: usize, end: usize) -> (usize, usize) {
    let near = |i: usize, turn: usize| (gain_db[i] - gain_db[turn]).abs() <= REST_DB;
    let left = (start..=end).rev().find(|&i| near(i, start)).unwrap_or(start);
    let reached = (left..=end).find(|&i| near(i, end)).unwrap_or(end);
    (left, reached)
}

/// Indices where the curve turns by at least [`MIN_CHANGE_DB`], alternating between tops and bottoms.
fn turning_points(gain_db: &[f64]) -> Vec<usize> {
    let mut out: Vec<usize> = Vec::new();
    let (mut top, mut bottom) = (0, 0);
    // Direction is unknown until the curve has moved enough.
    let mut rising: Option<bool> = None;
    for (i, &g) in gain_db.iter().enumerate() {
        if g > gain_db[top] {
            top = i;
        }
        if g < gain_db[bottom] {
            bottom = i;
        }
        let has_fallen = gain_db[top] - g >= MIN_CHANGE_DB;
        let has_risen = g - gain_db[bottom] >= MIN_CHANGE_DB;
        match rising {
            None if has_fallen => {
                out.push(top);
                (rising, bottom) = (Some(false), i);
            }
            None if has_risen => {
                out.push(bottom);
                (rising, top) = (Some(true), i);
            }
            Some(true) if has_fallen => {
                out.push(top);
                (rising, bottom) = (Some(false), i);
            }
            Some(false) if has_risen => {
                out.push(bottom);
                (rising, top) = (Some(true), i);
            }
            _ => {}
        }
    }
    match rising {
        Some(true) => out.push(top),
        Some(false) => out.push(bottom),
        None => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(gain_db: Vec<f64>) -> GainCurve {
        GainCurve { start_s: 0.0, hop_s: 0.01, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db }
    }

    #[test]
    fn one_dip_is_an_attack_and_a_release() {
        let mut gain = vec![0.0; 50];
        gain.extend((0..10).map(|n| -0.4 * f64::from(n)));
        gain.extend((0..60).map(|n| -3.6 + 0.06 * f64::from(n)));
        let step = Step { onset_frame: 50, step_db: -3.4, error_db: 0.2, votes: 9 };
        let events = find(&curve(gain), &[], &[step], |frame| 0.01 * f64::from(frame));
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].kind, EventKind::Attack);
        assert!((events[0].change_db + 3.6).abs() < 1e-9);
        assert!((events[0].start_s - 0.49).abs() < 0.02 && (events[0].end_s - 0.59).abs() < 0.011);
        assert_eq!(events[0].partials_voted, 9);
        assert_eq!(events[1].kind, EventKind::Release);
        assert_eq!(events[1].partials_voted, 0);
    }

    #[test]
    fn a_flat_curve_and_ripples_below_the_threshold_have_no_events() {
        assert!(find(&curve(vec![0.0; 100]), &[], &[], f64::from).is_empty());
        assert!(find(&curve((0..100).map(|n| 0.2 * f64::from(n % 2)).collect()), &[], &[], f64::from).is_empty());
        assert!(find(&curve(vec![]), &[], &[], f64::from).is_empty());
    }
}
