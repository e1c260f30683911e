//! The library under the names the program uses: the user's choice of a gain turned into an analysis, and its undoing.

use super::failure::Failure;
use super::laws::LawChoice;
use super::plan::{GainChoice, RestorePlan};
use super::stdio;
use agcfix::analysis::{GainCurve, Verdict, Warning};
use agcfix::decode::Decoded;
use agcfix::fit::FitConfig;
use agcfix::gain_csv::read_gain_csv;
use agcfix::law::{Law, LawFit, families};
use agcfix::profile::{Profile, Volume};
use agcfix::progress::Observer;
use agcfix::report::story::GainSource;
use agcfix::restore::{Level, Restoration, RestoreConfig, Restored, Trust, curve_of_law};
use agcfix::sound::Sound;
use agcfix::{Analysis, Audio, Config, Error, text};
use std::path::Path;
use std::sync::Arc;

/// A recording, wherever its samples are, and what was met when it was read.
#[derive(Clone, Copy)]
pub struct Input<'a> {
    pub sound: &'a dyn Sound,
    pub warnings: &'a [Warning],
}

impl<'a> From<&'a Decoded> for Input<'a> {
    fn from(decoded: &'a Decoded) -> Self {
        Self { sound: &decoded.audio, warnings: &decoded.warnings }
    }
}

/// Time between the entries of a given law's gain curve, in seconds: that of the analysis frames.
const CURVE_HOP_S: f64 = 0.01;
/// A given curve may end this much before the recording without a remark, in seconds.
const CURVE_SLACK_S: f64 = 0.5;

/// A configuration that searches one law only.
fn config_with(law: Arc<dyn Law>) -> Config {
    let mut config = Config::default();
    config.fit.laws = vec![law];
    config
}

/// What the recording itself tells.
pub fn analyze(recording: Input<'_>, config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    let mut analysis = agcfix::analyze_sound(recording.sound, config, observer)?;
    analysis.warnings.splice(0..0, recording.warnings.iter().cloned());
    Ok(analysis)
}

/// What the user's choice of a gain amounts to.
#[derive(Debug)]
pub struct Answer {
    pub analysis: Analysis,
    /// Where its gain comes from.
    pub source: GainSource,
    /// The laws that it may name.
    laws: Vec<Arc<dyn Law>>,
}

/// The analysis that the user's choice of a gain amounts to, and where its gain comes from.
pub fn answer(recording: Input<'_>, plan: &RestorePlan, observer: &dyn Observer) -> Result<Answer, Failure> {
    if let GainChoice::Profile(path, volume) = &plan.gain {
        return profiled(recording, path, *volume, observer);
    }
    let (analysis, source) = match &plan.gain {
        GainChoice::Profile(..) => return Err(Failure::Usage("--profile was not read".to_owned())),
        GainChoice::Law(LawChoice::Auto) => (analyze(recording, &Config::default(), observer)?, GainSource::Found),
        GainChoice::Law(LawChoice::None) => {
            (bare(recording, Verdict::None, None, flat(recording)), GainSource::NoneGiven)
        }
        GainChoice::Law(LawChoice::Fitted(law)) => {
            let analysis = analyze(recording, &config_with(Arc::clone(law)), observer)?;
            // Naming a law decides what is undecided; where nothing was found there is nothing to undo.
            let is_decided = analysis.verdict != Verdict::None && analysis.law.is_some();
            (analysis, if is_decided { GainSource::LawGiven } else { GainSource::Found })
        }
        GainChoice::Law(LawChoice::Given(fit)) => {
            let curve = curve_of(fit, recording.sound)?;
            (bare(recording, Verdict::Agc, Some(fit.clone()), curve), GainSource::LawGiven)
        }
        GainChoice::Curve(path) => {
            let curve = read_curve(path, recording.sound)?;
            (bare(recording, Verdict::Agc, None, curve), GainSource::CurveGiven)
        }
    };
    Ok(Answer { analysis, source, laws: families() })
}

/// What a device profile says of the recording.
fn profiled(recording: Input<'_>, path: &Path, volume: Volume, observer: &dyn Observer) -> Result<Answer, Failure> {
    let profile = read_profile(path)?;
    if profile.law.is_none() {
        stdio::warn(&format!(
            "{}: no gain control was learnt for this device; the level is left as it is",
            path.display()
        ));
        let analysis = bare(recording, Verdict::None, None, flat(recording));
        return Ok(Answer { analysis, source: GainSource::NoneGiven, laws: families() });
    }
    let named = |e: Error| match e {
        Error::Invalid { .. } => Failure::Input(format!("{}: {e}", path.display())),
        other => other.into(),
    };
    let (mut analysis, config) =
        agcfix::profile::analyze_with(&profile, volume, recording.sound, observer).map_err(named)?;
    analysis.warnings.splice(0..0, recording.warnings.iter().cloned());
    Ok(Answer { analysis, source: GainSource::LawGiven, laws: config.fit.laws })
}

/// Reads a device profile.
pub fn read_profile(path: &Path) -> Result<Profile, Failure> {
    let text = text::read_text(path)?;
    Profile::from_toml(&text).map_err(|e| Failure::Input(format!("{}: {e}", path.display())))
}

/// How the gain is undone.
fn undoing(answer: &Answer, level: Level) -> Config {
    let trust = if answer.source.is_given() { Trust::Caller } else { Trust::Verdict };
    let mut config = Config { restore: RestoreConfig { level, trust }, ..Config::default() };
    config.fit.laws.clone_from(&answer.laws);
    config
}

/// Undoes the gain of a long recording, block by block.
pub fn restore_sound<'a>(
    sound: &'a dyn Sound,
    answer: &Answer,
    level: Level,
    observer: &dyn Observer,
) -> Result<Restoration<'a>, Error> {
    agcfix::restore_sound(sound, &answer.analysis, &undoing(answer, level), observer)
}

/// Undoes the gain. A gain that the user gave is undone whatever the verdict.
pub fn restore(audio: &Audio, answer: &Answer, level: Level) -> Result<Restored, Error> {
    agcfix::restore(audio, &answer.analysis, &undoing(answer, level))
}

/// The gain curve of a given law; its band is not known.
fn curve_of(fit: &LawFit, sound: &dyn Sound) -> Result<GainCurve, Error> {
    let config = Config::default();
    let laws = families();
    curve_of_law(sound, fit, &Config { fit: FitConfig { laws, ..config.fit }, ..config }, CURVE_HOP_S)
}

fn read_curve(path: &Path, audio: &dyn Sound) -> Result<GainCurve, Failure> {
    let named = |cause: String| Failure::Input(format!("{}: {cause}", path.display()));
    let text = text::read_text(path)?;
    let curve = read_gain_csv(&text).map_err(|e| named(e.to_string()))?;
    let end_s = curve.start_s + curve.hop_s * curve.gain_db.len().saturating_sub(1) as f64;
    if end_s + CURVE_SLACK_S < audio.duration_s() {
        let duration_s = audio.duration_s();
        let path = path.display();
        stdio::warn(&format!("{path}: ends at {end_s:.1} s of {duration_s:.1} s; its last gain is held until the end"));
    }
    Ok(curve)
}

/// An analysis that knows only what it was told, and what reading the recording warned of.
fn bare(recording: Input<'_>, verdict: Verdict, law: Option<LawFit>, gain_curve: GainCurve) -> Analysis {
    let told = Analysis::told(recording.sound, verdict, law, gain_curve);
    Analysis { warnings: recording.warnings.to_vec(), ..told }
}

/// A gain that never moves.
fn flat(recording: Input<'_>) -> GainCurve {
    let entry_len = (recording.sound.duration_s() / CURVE_HOP_S) as usize + 1;
    let zero = vec![0.0; entry_len];
    GainCurve { start_s: 0.0, hop_s: CURVE_HOP_S, gain_db: zero.clone(), lower_db: zero.clone(), upper_db: zero }
}
