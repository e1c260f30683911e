//! A profile on a recording without a microphone: the constants are the profile's, only the volume is the recording's.

use super::file::Profile;
use crate::analysis::{Analysis, Verdict};
use crate::analyze::{Config, analyze};
use crate::audio::Audio;
use crate::error::Error;
use crate::law::{self, GainControl, Law, Parameter, Scale};
use crate::progress::Observer;
use std::sync::Arc;

/// How loud a recording is, compared with those that the profile was learnt from.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Volume {
    /// The same, unless the recording's decays clearly say otherwise.
    #[default]
    Auto,
    /// By this many dB: 0 for recordings straight from the device.
    Known(f64),
}

/// Name of a profile's law in an analysis.
pub const LAW_NAME: &str = "profile";
/// Largest change of volume that is looked for, in dB.
const RANGE_DB: f64 = 20.0;
/// A changed volume must explain this share more of what the profile explains without it.
const CLEARLY: f64 = 0.15;

/// A profile's law, with the recording's volume as its only constant.
#[derive(Debug)]
pub struct ProfileLaw {
    law: Arc<dyn Law>,
    values: Vec<f64>,
    /// Volume in dB where it is known; it is searched where not.
    known_db: Option<f64>,
}

const VOLUME: [Parameter; 1] = [Parameter {
    name: "volume_db",
    unit: "dB",
    low: -RANGE_DB,
    high: RANGE_DB,
    default: 0.0,
    scale: Scale::Linear,
    meaning: "how much louder the recording is than those of the profile",
}];

impl ProfileLaw {
    /// The law of a profile.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the profile has no law, or one that this program does not know.
    pub fn new(profile: &Profile, known_db: Option<f64>) -> Result<Self, Error> {
        let invalid = |cause: String, remedy: &str| Error::Invalid {
            what: format!("profile {:?}", profile.name),
            cause,
            remedy: remedy.to_owned(),
        };
        let Some(fitted) = &profile.law else {
            return Err(invalid("no gain control was learnt".to_owned(), "there is nothing to undo"));
        };
        let known = law::families().into_iter().find(|law| law.name() == fitted.name);
        let Some(law) = known else {
            return Err(invalid(format!("no law is called {:?}", fitted.name), "see agcfix laws"));
        };
        let values = law
            .parameters()
            .iter()
            .map(|p| {
                let value = fitted.constants.iter().find(|c| c.name == p.name).map(|c| c.value);
                match value {
                    Some(value) if (p.low..=p.high).contains(&value) => Ok(value),
                    Some(value) => Err(invalid(
                        format!("{} = {value} is out of its range, {} to {}", p.name, p.low, p.high),
                        "learn it again",
                    )),
                    None => Err(invalid(format!("{} has no constant {}", fitted.name, p.name), "learn it again")),
                }
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { law, values, known_db })
    }
}

impl Law for ProfileLaw {
    fn name(&self) -> &'static str {
        LAW_NAME
    }

    fn summary(&self) -> &'static str {
        "The law of a device profile, learnt beside a microphone."
    }

    fn parameters(&self) -> &[Parameter] {
        if self.known_db.is_some() { &[] } else { &VOLUME }
    }

    fn has_ceiling(&self) -> bool {
        self.law.has_ceiling()
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let volume_db = self.known_db.or(values.first().copied()).unwrap_or(0.0).clamp(-RANGE_DB, RANGE_DB);
        let inner = self.law.start(&self.values, sample_rate_hz);
        Box::new(Scaled { inner, factor: 10f64.powf(-volume_db / 20.0) as f32, heard: Vec::new() })
    }
}

/// A law that hears the recording at another volume.
struct Scaled {
    inner: Box<dyn GainControl>,
    factor: f32,
    heard: Vec<f32>,
}

impl Scaled {
    fn hear(&mut self, drive: &[f32]) {
        self.heard.clear();
        self.heard.extend(drive.iter().map(|x| x * self.factor));
    }
}

impl GainControl for Scaled {
    fn latency_samples(&self) -> usize {
        self.inner.latency_samples()
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        self.hear(drive);
        self.inner.forward(&self.heard, gain);
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.hear(recorded);
        self.inner.inverse(&self.heard, gain);
    }

    fn inverse_coarse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.hear(recorded);
        self.inner.inverse_coarse(&self.heard, gain);
    }
}

/// The analysis of a recording by a profile, and the configuration whose laws include it.
///
/// The verdict tells what the recording says of the profile; whoever gives a profile vouches for it, so
/// [`crate::restore::Trust::Caller`] is set, and a verdict of `none` becomes undecided.
///
/// # Errors
/// As [`ProfileLaw::new`] and [`analyze`].
pub fn analyze_with(
    profile: &Profile,
    volume: Volume,
    audio: &Audio,
    observer: &dyn Observer,
) -> Result<(Analysis, Config), Error> {
    let configured = |laws: Vec<Arc<dyn Law>>| {
        let mut config = Config::default();
        config.fit.laws = laws;
        config.restore.trust = crate::restore::Trust::Caller;
        config
    };
    let fixed = |volume_db: f64| ProfileLaw::new(profile, Some(volume_db)).map(|law| Arc::new(law) as Arc<dyn Law>);
    let free = Arc::new(ProfileLaw::new(profile, None)?) as Arc<dyn Law>;
    let volume_db = match volume {
        Volume::Known(volume_db) => volume_db,
        Volume::Auto => {
            let by_volume = analyze(audio, &configured(vec![free]), observer)?;
            let same = analyze(audio, &configured(vec![fixed(0.0)?]), observer)?;
            let found_db = by_volume.law.as_ref().and_then(|law| law.parameters.first()).map_or(0.0, |p| p.value);
            let explained = same.evidence.j_without_gain - same.evidence.j_with_gain;
            let explained_free = by_volume.evidence.j_without_gain - by_volume.evidence.j_with_gain;
            if explained_free > explained.max(0.0) * (1.0 + CLEARLY) + 1e-4 { found_db } else { 0.0 }
        }
    };
    let config = configured(vec![fixed(volume_db)?]);
    let mut analysis = analyze(audio, &config, observer)?;
    if analysis.verdict == Verdict::None {
        analysis.verdict =
            Verdict::Undecided { reason: "the recording alone does not show the profile's gain control".to_owned() };
    }
    Ok((analysis, config))
}
