//! A profile on a recording without a microphone: the constants are the profile's, only the volume is the recording's.

use super::file::Profile;
use crate::analysis::{Analysis, Verdict};
use crate::analyze::{Config, analyze_sound};
use crate::error::Error;
use crate::fit::Weighing;
use crate::fit::search::polish;
use crate::law::{self, FittedParameter, GainControl, Landing, Law, Listened, Parameter, Scale};
use crate::partials;
use crate::progress::Observer;
use crate::sound::{Sound, held};
use crate::stft::Stft;
use crate::units::db_from_amplitude;
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
/// A changed volume must explain this share more of what the profile explains without it, and so many points.
const CLEARLY: f64 = 0.15;
const LEAST_POINTS: f64 = 10.0;
/// How far peaks may lie above the highest of the profile's recordings, in dB: attacks overshoot a ceiling.
const OVERSHOOT_DB: f64 = 1.0;
/// How much of a recording is asked for its volume, in seconds.
const ASKED_S: f64 = 60.0;
/// Volumes that are tried, and evaluations of the search around the best of them.
const GRID_LEN: usize = 16;
const REFINING_EVALUATIONS: usize = 24;

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

    /// What turns the recording into what the profile's device recorded.
    fn factor(&self, values: &[f64]) -> f32 {
        let volume_db = self.known_db.or(values.first().copied()).unwrap_or(0.0).clamp(-RANGE_DB, RANGE_DB);
        10f64.powf(-volume_db / 20.0) as f32
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

    fn needs_landings(&self) -> bool {
        self.law.needs_landings()
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let inner = self.law.start(&self.values, sample_rate_hz);
        Box::new(Scaled { inner, factor: self.factor(values), heard: Vec::new() })
    }

    fn listen(&self, recorded: &[f32], sample_rate_hz: f64) -> Option<Arc<dyn Listened>> {
        // At another volume something else is heard.
        let factor = self.known_db.map(|_| self.factor(&[]))?;
        let scaled = recorded.iter().map(|x| x * factor).collect::<Vec<_>>();
        let inner = self.law.listen(&scaled, sample_rate_hz)?;
        Some(Arc::new(HeardByProfile { inner, values: self.values.clone(), has_ceiling: self.has_ceiling() }))
    }
}

/// What a profile's law heard: its constants are the profile's.
#[derive(Debug)]
struct HeardByProfile {
    inner: Arc<dyn Listened>,
    values: Vec<f64>,
    has_ceiling: bool,
}

impl Listened for HeardByProfile {
    fn inverse_blocks(&self, _: &[f64], hop_samples: usize) -> Vec<f32> {
        self.inner.inverse_blocks(&self.values, hop_samples)
    }

    fn contacts_s(&self, _: &[f64]) -> Vec<f64> {
        self.inner.contacts_s(&self.values)
    }

    fn ceilings(&self) -> Vec<Vec<f64>> {
        if self.has_ceiling { vec![Vec::new()] } else { Vec::new() }
    }

    fn landed_marks(&self, _: &[f64], landings: &[Landing]) -> Vec<f32> {
        self.inner.landed_marks(&self.values, landings)
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
/// [`crate::restore::Trust::Caller`] is set, and a verdict of `none` becomes undecided. The law's parameters are the profile's
/// constants, then the volume.
///
/// # Errors
/// As [`ProfileLaw::new`] and [`analyze_sound`].
pub fn analyze_with(
    profile: &Profile,
    volume: Volume,
    sound: &dyn Sound,
    observer: &dyn Observer,
) -> Result<(Analysis, Config), Error> {
    let volume_db = match volume {
        Volume::Known(volume_db) => volume_db,
        Volume::Auto => volume_of(profile, sound)?,
    };
    let mut config = Config::default();
    config.fit.laws = vec![Arc::new(ProfileLaw::new(profile, Some(volume_db))?)];
    config.restore.trust = crate::restore::Trust::Caller;
    let mut analysis = analyze_sound(sound, &config, observer)?;
    if analysis.verdict == Verdict::None {
        analysis.verdict =
            Verdict::Undecided { reason: "the recording alone does not show the profile's gain control".to_owned() };
    }
    if let (Some(fit), Some(fitted)) = (&mut analysis.law, &profile.law) {
        let own = |c: &super::file::Constant| {
            let unit = unit_of(&fitted.name, &c.name).unwrap_or_default().to_owned();
            FittedParameter { name: c.name.clone(), unit, value: c.value, lower: c.lower, upper: c.upper }
        };
        fit.parameters = fitted.constants.iter().map(own).collect();
        fit.parameters.push(FittedParameter {
            name: "recording_volume_db".to_owned(),
            unit: VOLUME[0].unit.to_owned(),
            value: volume_db,
            lower: volume_db,
            upper: volume_db,
        });
    }
    Ok((analysis, config))
}

fn unit_of(law_name: &str, constant: &str) -> Option<&'static str> {
    let law = law::families().into_iter().find(|law| law.name() == law_name)?;
    law.parameters().iter().find(|p| p.name == constant).map(|p| p.unit)
}

/// Samples of each channel that are read at a time.
const BLOCK_SAMPLES: usize = 1 << 16;

/// How much louder the recording is than those of the profile, in dB.
///
/// A law with a ceiling lets nothing pass that is louder than what it was learnt from. Of other laws the decays tell, and how far
/// the gain would drift; the volume is unchanged unless they clearly disagree.
fn volume_of(profile: &Profile, sound: &dyn Sound) -> Result<f64, Error> {
    let law = ProfileLaw::new(profile, None)?;
    if law.has_ceiling() {
        let mut peak = 0f32;
        let mut block = Vec::new();
        for from in (0..sound.sample_len()).step_by(BLOCK_SAMPLES) {
            sound.read(from..(from + BLOCK_SAMPLES).min(sound.sample_len()), &mut block)?;
            peak = block.iter().flatten().fold(peak, |peak, x| peak.max(x.abs()));
        }
        let louder_db = db_from_amplitude(f64::from(peak).max(1e-9)) - profile.clipping_dbfs;
        return Ok(if louder_db > OVERSHOOT_DB { louder_db.min(RANGE_DB) } else { 0.0 });
    }
    let config = Config::default();
    let stft = Stft::new(&config.stft, f64::from(sound.sample_rate_hz()))?;
    let sample_len = sound.sample_len().min((ASKED_S * stft.sample_rate_hz()) as usize);
    let beginning = held(sound, 0..sample_len)?;
    let partials = partials::follow(&beginning, &stft, &config.peaks, &config.link, &())?;
    let drive: Arc<[f32]> = law::drive(beginning.channels()).into();
    let weighing = Weighing::new(
        &drive,
        sample_len,
        &stft,
        &partials,
        &[],
        &config.decay,
        &config.evidence,
        &config.steps,
        config.fit.step_weight,
    );
    if weighing.evidence.point_len() == 0 {
        return Ok(0.0);
    }
    let loss = |position: f64| weighing.score(&law, 0, &[position]).loss;
    let unchanged = loss(0.5);
    let grid = (0..=GRID_LEN).map(|k| k as f64 / GRID_LEN as f64);
    let (start, _) = grid.map(|u| (u, loss(u))).fold((0.5, unchanged), |a, b| if b.1 < a.1 { b } else { a });
    let found = polish(&[start], 0.3 / GRID_LEN as f64, REFINING_EVALUATIONS, |u| loss(u[0]));
    let explained = (weighing.null().loss - unchanged).max(0.0);
    let is_clear = unchanged - found.cost > CLEARLY * explained + LEAST_POINTS;
    Ok(if is_clear { RANGE_DB * (2.0 * found.position[0] - 1.0) } else { 0.0 })
}
