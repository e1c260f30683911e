//! STUB, to be replaced where branches meet: the library's `analyze` and `restore` under the names the program uses.
//!
//! What stays: [`answer`], which turns the user's choice of a gain into an analysis. What goes: [`Config`], [`analyze`]
//! (here it never decides), and [`restore`], in favour of `agcfix::{Config, analyze, restore}`.

use super::failure::Failure;
use super::laws::LawChoice;
use super::plan::{GainChoice, RestorePlan};
use super::stdio;
use agcfix::analysis::{EvidenceSummary, GainCurve, InputSummary, PartialSummary, Verdict};
use agcfix::decode::Decoded;
use agcfix::gain_csv::read_gain_csv;
use agcfix::law::{Direction, Law, LawFit, drive, families, gain_of};
use agcfix::progress::{Observer, Stage};
use agcfix::report::story::GainSource;
use agcfix::restore::{Level, Restored, apply_gain, gain_at_samples, set_level};
use agcfix::units::db_from_amplitude;
use agcfix::{Analysis, Audio, Error};
use std::path::Path;
use std::sync::Arc;

/// Time between the entries of a given law's gain curve, in seconds: that of the analysis frames.
const CURVE_HOP_S: f64 = 0.01;
/// A given curve may end this much before the recording without a remark, in seconds.
const CURVE_SLACK_S: f64 = 0.5;

/// STUB for `agcfix::Config`.
#[derive(Debug, Default)]
#[expect(dead_code, reason = "the stub searches nothing")]
pub struct Config {
    /// Law families to search; all where empty.
    pub laws: Vec<Arc<dyn Law>>,
}

/// STUB for `agcfix::analyze`.
pub fn analyze(recording: &Decoded, _config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    if !observer.progress(Stage::Partials, 1.0) {
        return Err(Error::Cancelled);
    }
    let reason = "this build does not contain the estimator yet".to_owned();
    Ok(bare(recording, Verdict::Undecided { reason }, None, flat(recording)))
}

/// The analysis that the user's choice of a gain amounts to, and where its gain comes from.
pub fn answer(
    recording: &Decoded,
    plan: &RestorePlan,
    observer: &dyn Observer,
) -> Result<(Analysis, GainSource), Failure> {
    Ok(match &plan.gain {
        GainChoice::Law(LawChoice::Auto) => (analyze(recording, &Config::default(), observer)?, GainSource::Found),
        GainChoice::Law(LawChoice::None) => {
            (bare(recording, Verdict::None, None, flat(recording)), GainSource::NoneGiven)
        }
        GainChoice::Law(LawChoice::Fitted(law)) => {
            let analysis = analyze(recording, &Config { laws: vec![Arc::clone(law)] }, observer)?;
            // Naming a law decides what is undecided; where nothing was found there is nothing to undo.
            let is_decided = analysis.verdict != Verdict::None && analysis.law.is_some();
            (analysis, if is_decided { GainSource::LawGiven } else { GainSource::Found })
        }
        GainChoice::Law(LawChoice::Given(fit)) => {
            let curve = curve_of(fit, &recording.audio)?;
            (bare(recording, Verdict::Agc, Some(fit.clone()), curve), GainSource::LawGiven)
        }
        GainChoice::Curve(path) => {
            let curve = read_curve(path, &recording.audio)?;
            (bare(recording, Verdict::Agc, None, curve), GainSource::CurveGiven)
        }
    })
}

/// STUB for `agcfix::restore`: a given gain is undone whatever the verdict.
pub fn restore(audio: &Audio, analysis: &Analysis, source: GainSource, level: Level) -> Result<Restored, Error> {
    let is_trusted = analysis.verdict == Verdict::Agc || source.is_given();
    let gain = match (&analysis.law, source) {
        _ if !is_trusted || source == GainSource::NoneGiven => None,
        (Some(fit), _) => Some(gain_of_fit(fit, audio)?),
        (None, GainSource::CurveGiven) => {
            Some(gain_at_samples(&analysis.gain_curve, audio.sample_rate_hz(), audio.sample_len())?)
        }
        (None, _) => None,
    };
    match gain {
        Some(gain) => set_level(audio.sample_rate_hz(), apply_gain(audio, &gain)?, level),
        None => set_level(audio.sample_rate_hz(), audio.channels().to_vec(), Level::Keep),
    }
}

fn gain_of_fit(fit: &LawFit, audio: &Audio) -> Result<Vec<f32>, Error> {
    let law = families().into_iter().find(|law| law.name() == fit.name).ok_or_else(|| Error::Invalid {
        what: "law".to_owned(),
        cause: format!("none is called {}", fit.name),
        remedy: "agcfix laws lists them".to_owned(),
    })?;
    let drive = drive(audio.channels());
    Ok(gain_of(law.as_ref(), &fit.values(), f64::from(audio.sample_rate_hz()), &drive, Direction::Inverse))
}

/// The gain curve of a given law; its band is not known.
fn curve_of(fit: &LawFit, audio: &Audio) -> Result<GainCurve, Error> {
    let gain = gain_of_fit(fit, audio)?;
    let hop_samples = CURVE_HOP_S * f64::from(audio.sample_rate_hz());
    let entry_len = (gain.len() as f64 / hop_samples) as usize + 1;
    let at = |i: usize| gain[((i as f64 * hop_samples) as usize).min(gain.len() - 1)];
    let mut gain_db: Vec<f64> = (0..entry_len).map(|i| db_from_amplitude(f64::from(at(i)))).collect();
    let mut sorted = gain_db.clone();
    sorted.sort_by(f64::total_cmp);
    let median_db = sorted[sorted.len() / 2];
    gain_db.iter_mut().for_each(|gain_db| *gain_db -= median_db);
    Ok(GainCurve { start_s: 0.0, hop_s: CURVE_HOP_S, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db })
}

fn read_curve(path: &Path, audio: &Audio) -> Result<GainCurve, Failure> {
    let named = |cause: String| Failure::Input(format!("{}: {cause}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|e| named(e.to_string()))?;
    let curve = read_gain_csv(&text).map_err(|e| named(e.to_string()))?;
    let end_s = curve.start_s + curve.hop_s * curve.gain_db.len().saturating_sub(1) as f64;
    if end_s + CURVE_SLACK_S < audio.duration_s() {
        let duration_s = audio.duration_s();
        let path = path.display();
        stdio::warn(&format!("{path}: ends at {end_s:.1} s of {duration_s:.1} s; its last gain is held until the end"));
    }
    Ok(curve)
}

/// An analysis that knows only what it was told.
fn bare(recording: &Decoded, verdict: Verdict, law: Option<LawFit>, gain_curve: GainCurve) -> Analysis {
    let audio = &recording.audio;
    Analysis {
        input: InputSummary {
            sample_rate_hz: audio.sample_rate_hz(),
            channel_len: audio.channels().len(),
            sample_len: audio.sample_len(),
            duration_s: audio.duration_s(),
        },
        verdict,
        evidence: EvidenceSummary {
            j_without_gain: f64::NAN,
            j_with_gain: f64::NAN,
            p_value: f64::NAN,
            step_slope: None,
            step_slope_error: None,
            segment_len: 0,
            note_len: 0,
            onset_len: 0,
            gain_movement_db: f64::NAN,
        },
        law,
        events: Vec::new(),
        gain_curve,
        partials: PartialSummary { track_len: 0, segment_len: 0, point_len: 0, decay_by_octave: Vec::new() },
        decays: Vec::new(),
        families: Vec::new(),
        warnings: recording.warnings.clone(),
    }
}

/// A gain that never moves.
fn flat(recording: &Decoded) -> GainCurve {
    let entry_len = (recording.audio.duration_s() / CURVE_HOP_S) as usize + 1;
    let zero = vec![0.0; entry_len];
    GainCurve { start_s: 0.0, hop_s: CURVE_HOP_S, gain_db: zero.clone(), lower_db: zero.clone(), upper_db: zero }
}
