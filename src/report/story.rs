//! What an analysis amounts to, in words and single numbers: shared by the summary and the picture.

use crate::analysis::{Analysis, GainCurve, Verdict};
use serde::Serialize;

/// Where the gain that was undone came from, when a restoration was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GainSource {
    /// The analysis found it.
    #[default]
    Found,
    /// The user named a law.
    LawGiven,
    /// The user gave a gain curve.
    CurveGiven,
    /// The user said that there was none.
    NoneGiven,
}

impl GainSource {
    /// Whether the user decided, and not the analysis.
    #[must_use]
    pub fn is_given(self) -> bool {
        self != Self::Found
    }
}

/// Share of the curve left out at each end when its swing is measured: single spikes do not count.
const SWING_TAIL: f64 = 0.01;

/// How far the gain moved over the recording, in dB: from its 1 % to its 99 % quantile. 0 where nothing is known.
#[must_use]
pub fn gain_swing_db(curve: &GainCurve) -> f64 {
    let mut known: Vec<f64> = curve.gain_db.iter().copied().filter(|g| g.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let Some(last) = known.len().checked_sub(1) else { return 0.0 };
    let at = |share: f64| known[(share * last as f64).round() as usize];
    at(1.0 - SWING_TAIL) - at(SWING_TAIL)
}

/// Median half width of the 90 % band, in dB, where it is known.
#[must_use]
pub fn band_half_width_db(curve: &GainCurve) -> Option<f64> {
    let widths = curve.lower_db.iter().zip(&curve.upper_db).map(|(lower, upper)| 0.5 * (upper - lower));
    let mut known: Vec<f64> = widths.filter(|w| w.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}

/// A probability for people: no more digits than mean anything.
#[must_use]
pub fn probability(p_value: f64) -> String {
    match p_value {
        p if !p.is_finite() => "not known".to_owned(),
        p if p < 0.001 => "less than 0.001".to_owned(),
        p if p < 0.1 => format!("{p:.3}"),
        p => format!("{p:.2}"),
    }
}

/// A change of gain with its error, signed, in plain characters.
pub(super) fn change(change_db: f64, error_db: f64) -> String {
    if error_db.is_finite() { format!("{change_db:+.1} ± {error_db:.1} dB") } else { format!("{change_db:+.1} dB") }
}

/// The law's name as people say it: `webrtc-agc1` stays, hyphens and all; nothing is a law.
pub(super) fn law_name(analysis: &Analysis) -> &str {
    analysis.law.as_ref().map_or("no law", |law| law.name.as_str())
}

/// One line that tells it all.
#[must_use]
pub fn headline(analysis: &Analysis, source: GainSource, restored: bool) -> String {
    let swing_db = gain_swing_db(&analysis.gain_curve);
    let law = law_name(analysis);
    match (source, &analysis.verdict) {
        (GainSource::CurveGiven, _) => format!("Restored with the gain curve you gave: it moves by {swing_db:.1} dB"),
        (GainSource::NoneGiven, _) => "No gain was undone, as you said: the level is left as it is".to_owned(),
        (GainSource::LawGiven, _) => {
            format!("Restored with the law you named, {law}: it moves the level by {swing_db:.1} dB")
        }
        (GainSource::Found, Verdict::None) => "No gain control found: the level is left as it is".to_owned(),
        (GainSource::Found, Verdict::Undecided { .. }) => "Cannot tell whether a gain control was at work".to_owned(),
        (GainSource::Found, Verdict::Agc) => {
            let done = if restored { "Gain control found and undone" } else { "Gain control found" };
            format!("{done}: {law}, moving the level by {swing_db:.1} dB")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(gain_db: Vec<f64>) -> GainCurve {
        let lower_db = gain_db.iter().map(|g| g - 0.5).collect();
        let upper_db = gain_db.iter().map(|g| g + 0.5).collect();
        GainCurve { start_s: 0.0, hop_s: 0.01, gain_db, lower_db, upper_db }
    }

    #[test]
    fn a_swing_forgets_single_spikes_and_what_is_not_known() {
        let mut gain_db: Vec<f64> = (0..=1000).map(|i| f64::from(i) / 100.0).collect();
        gain_db.extend([40.0, f64::NAN]);
        assert!((gain_swing_db(&curve(gain_db)) - 9.8).abs() < 0.03);
        assert_eq!(gain_swing_db(&curve(vec![])), 0.0);
        assert_eq!(gain_swing_db(&curve(vec![f64::NAN; 3])), 0.0);
    }

    #[test]
    fn the_band_is_half_its_width() {
        assert_eq!(band_half_width_db(&curve(vec![1.0, 2.0])), Some(0.5));
        assert_eq!(band_half_width_db(&curve(vec![f64::NAN])), None);
    }
}
