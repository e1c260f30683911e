//! How much of the dynamics is there: a phone's recording, and its restoration, against a microphone's.
//!
//! Everything is compared after alignment and static matching ([`super::level`]), never as raw waveforms. Per recording:
//!
//! - **gain error** `e(t) = level - matched level`, its median removed (an overall volume is free): rms and 95th percentile;
//! - **dynamics slope**: how many dB its level moves when the microphone's moves by one, by least squares; 1 is intact;
//! - **decays**: every decay that the microphone shows, fitted on the same frames of the same partial; the median of the
//!   differences and their robust spread, in dB/s;
//! - **onsets**: the loudest level in the 150 ms after every onset of the microphone, by the same slope and rms;
//! - **loudness** (EBU R 128), **loudness range** (EBU Tech 3342), **crest factor**.

use super::align::{Alignment, aligned};
use super::level::{StaticMatch, compared, level_db, like_the_phone, median};
use crate::analyze::Config;
use crate::audio::Audio;
use crate::decay;
use crate::error::Error;
use crate::onsets;
use crate::partials::{self, Partials};
use crate::stft::Stft;
use crate::units::db_from_amplitude;
use ebur128::{EbuR128, Mode};
use serde::Serialize;

/// Name and version of the JSON document.
pub const SCHEMA: &str = "agcfix.validation/1";
/// Frames of one partial in both recordings that a decay comparison needs, as a share of the microphone's.
const MIN_COVERED: f64 = 0.8;
/// Largest difference in frequency of one partial in two recordings, in bins.
const SAME_BINS: f32 = 0.4;
/// Decays less certain than this are not compared, in dB/s.
const MAX_DECAY_ERROR: f64 = 5.0;
/// How long after an onset its loudest level is looked for, in levels of 10 ms.
const ONSET_LEVELS: usize = 15;

/// Agreement of decay rates, phone minus microphone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecayAgreement {
    /// Decays found in both.
    pub pair_len: usize,
    /// Median difference, in dB/s.
    pub bias_db_per_s: f64,
    /// Robust standard deviation of the difference, in dB/s.
    pub spread_db_per_s: f64,
    /// Microphone's and phone's rate of every pair, in dB/s, for pictures.
    #[serde(skip)]
    pub pairs: Vec<(f64, f64)>,
}

/// Agreement of levels at onsets.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnsetAgreement {
    /// Onsets.
    pub onset_len: usize,
    /// dB of the recording for each dB of the microphone.
    pub slope: f64,
    /// rms of the difference, its median removed, in dB.
    pub rms_db: f64,
}

/// What is measured on any recording by itself.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Loudness {
    /// Integrated loudness, in LUFS; absent for silence.
    pub integrated_lufs: Option<f64>,
    /// Loudness range, in LU.
    pub range_lu: f64,
    /// Crest factor: sample peak over rms, in dB; absent for silence.
    pub crest_db: Option<f64>,
}

/// One recording against the microphone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// rms of the gain error, in dB.
    pub gain_rms_db: f64,
    /// 95th percentile of its magnitude, in dB.
    pub gain_p95_db: f64,
    /// dB of the recording for each dB of the microphone; 1 is intact.
    pub dynamics_slope: f64,
    /// Decay rates.
    pub decays: DecayAgreement,
    /// Levels at onsets.
    pub onsets: OnsetAgreement,
    /// Loudness.
    pub loudness: Loudness,
    /// Level on 10 ms steps, for pictures.
    #[serde(skip)]
    pub level_db: Vec<f64>,
}

/// A validation; its JSON is [`SCHEMA`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Validation {
    /// Name and version of this document.
    pub schema: &'static str,
    /// How the two run together.
    pub alignment: Alignment,
    /// The static response that was matched, phone minus microphone.
    pub response: StaticMatch,
    /// The microphone by itself, as matched.
    pub microphone: Loudness,
    /// The phone's recording.
    pub before: Measures,
    /// The restored recording.
    pub after: Option<Measures>,
    /// Share of the gain's movement that is left: rms after over rms before.
    pub ratio: Option<f64>,
    /// Level of the matched microphone on 10 ms steps, for pictures.
    #[serde(skip)]
    pub matched_db: Vec<f64>,
    /// Which of them are compared.
    #[serde(skip)]
    pub compared: Vec<bool>,
}

/// Both recordings on the microphone's clock, cut to what both hold.
///
/// **Shape.** Equal rate and length; the microphone's channels as the phone would take them.
///
/// # Errors
/// As [`super::resample::resample`].
pub fn common(phone: &Audio, mic: &Audio, alignment: &Alignment) -> Result<(Audio, Audio), Error> {
    let rate_hz = f64::from(mic.sample_rate_hz());
    let at = |time_s: f64| ((time_s * rate_hz).max(0.0) as usize).min(mic.sample_len());
    let from = at(alignment.pieces.first().map_or(0.0, |p| p.from_s));
    let to = at(alignment.pieces.last().map_or(0.0, |p| p.to_s)).max(from);
    let cut = |audio: &Audio| {
        Audio::new(audio.sample_rate_hz(), audio.channels().iter().map(|c| c[from..to].to_vec()).collect())
    };
    let phone = cut(&aligned(phone, mic, alignment)?)?;
    let mic = like_the_phone(&phone, &cut(mic)?)?;
    Ok((phone, mic))
}

/// Compares a phone's recording, and a restoration of it on the same clock, with a microphone's.
///
/// # Errors
/// As [`common`]; [`Error::Invalid`] where the restoration is not of this recording.
pub fn validate(
    phone: &Audio,
    mic: &Audio,
    restored: Option<&Audio>,
    alignment: &Alignment,
) -> Result<Validation, Error> {
    if let Some(restored) = restored {
        check_same_clock(phone, restored)?;
    }
    let restored = restored.map(|restored| common(restored, mic, alignment)).transpose()?;
    let (phone, mic) = common(phone, mic, alignment)?;
    let response = StaticMatch::of(&phone, &mic)?;
    let matched = response.matched(&mic)?;
    let matched_db = level_db(&matched);
    let on = compared(&matched_db, &level_db(&phone));
    let reference = Reference::new(&matched, &matched_db, &on)?;
    let before = reference.measure(&phone)?;
    let after = restored.map(|(restored, _)| reference.measure(&restored)).transpose()?;
    let ratio = after.as_ref().filter(|_| before.gain_rms_db > 0.1).map(|a| a.gain_rms_db / before.gain_rms_db);
    Ok(Validation {
        schema: SCHEMA,
        alignment: alignment.clone(),
        response,
        microphone: loudness(&matched)?,
        before,
        after,
        ratio,
        matched_db,
        compared: on,
    })
}

fn check_same_clock(phone: &Audio, restored: &Audio) -> Result<(), Error> {
    let is_same = phone.sample_rate_hz() == restored.sample_rate_hz() && phone.sample_len() == restored.sample_len();
    if is_same {
        return Ok(());
    }
    Err(Error::Invalid {
        what: "restored recording".to_owned(),
        cause: format!(
            "it has {} samples at {} Hz, the phone's recording {} at {} Hz",
            restored.sample_len(),
            restored.sample_rate_hz(),
            phone.sample_len(),
            phone.sample_rate_hz()
        ),
        remedy: "give the restoration of this very recording".to_owned(),
    })
}

/// The microphone, laid out for comparing recordings with it.
struct Reference<'a> {
    level_db: &'a [f64],
    compared: &'a [bool],
    stft: Stft,
    config: Config,
    partials: Partials,
    segments: Vec<decay::Segment>,
    /// Levels at onsets, as indices into `level_db`.
    onsets: Vec<usize>,
}

impl<'a> Reference<'a> {
    fn new(matched: &Audio, level_db: &'a [f64], compared: &'a [bool]) -> Result<Self, Error> {
        let config = Config::default();
        let stft = Stft::new(&config.stft, f64::from(matched.sample_rate_hz()))?;
        let partials = partials::follow(matched, &stft, &config.peaks, &config.link, &())?;
        let segments = decay::segments(&partials, &[], stft.hop_s(), &config.decay);
        let onsets = onsets::find(&segments, partials.frame_len)
            .into_iter()
            .map(|frame| (stft.frame_time_s(frame as usize) / super::level::HOP_S) as usize)
            .filter(|&k| compared.get(k) == Some(&true))
            .collect();
        Ok(Self { level_db, compared, stft, config, partials, segments, onsets })
    }

    fn measure(&self, recording: &Audio) -> Result<Measures, Error> {
        let level_db = level_db(recording);
        let used = (0..level_db.len().min(self.level_db.len())).filter(|&k| self.compared[k]).collect::<Vec<_>>();
        let error = used.iter().map(|&k| level_db[k] - self.level_db[k]).collect::<Vec<_>>();
        let (gain_rms_db, gain_p95_db) = scatter(&error);
        let pairs = used.iter().map(|&k| (self.level_db[k], level_db[k])).collect::<Vec<_>>();
        Ok(Measures {
            gain_rms_db,
            gain_p95_db,
            dynamics_slope: slope(&pairs),
            decays: self.decays(recording)?,
            onsets: self.onset_levels(&level_db),
            loudness: loudness(recording)?,
            level_db,
        })
    }

    fn onset_levels(&self, level_db: &[f64]) -> OnsetAgreement {
        let len = level_db.len().min(self.level_db.len());
        let loudest = |levels: &[f64], k: usize| {
            levels[k..(k + ONSET_LEVELS).min(len)].iter().copied().fold(f64::NEG_INFINITY, f64::max)
        };
        let pairs = self
            .onsets
            .iter()
            .filter(|&&k| k < len)
            .map(|&k| (loudest(self.level_db, k), loudest(level_db, k)))
            .collect::<Vec<_>>();
        let difference = pairs.iter().map(|(mic, phone)| phone - mic).collect::<Vec<_>>();
        OnsetAgreement { onset_len: pairs.len(), slope: slope(&pairs), rms_db: scatter(&difference).0 }
    }

    /// Every decay of the microphone, fitted on the same frames of the recording's nearest partial.
    fn decays(&self, recording: &Audio) -> Result<DecayAgreement, Error> {
        let other = partials::follow(recording, &self.stft, &self.config.peaks, &self.config.link, &())?;
        let mut by_bin = (0..other.track_len())
            .filter_map(|p| {
                let bins = &other.bin[other.track(p)];
                let mean = bins.iter().sum::<f32>() / bins.len().max(1) as f32;
                (!bins.is_empty()).then_some((mean, p))
            })
            .collect::<Vec<_>>();
        by_bin.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut pairs = Vec::new();
        for segment in &self.segments {
            let points = segment.points.clone();
            let bins = &self.partials.bin[points.clone()];
            let bin = bins.iter().sum::<f32>() / bins.len().max(1) as f32;
            let from = by_bin.partition_point(|b| b.0 < bin - SAME_BINS);
            let near = by_bin[from..].iter().take_while(|b| b.0 <= bin + SAME_BINS);
            let best = near.map(|(_, p)| common_points(&self.partials, points.clone(), &other, other.track(*p)));
            let Some(common) = best.max_by_key(Vec::len) else { continue };
            if (common.len() as f64) < MIN_COVERED * points.len() as f64 {
                continue;
            }
            let time_s = common
                .iter()
                .map(|&(i, _)| f64::from(self.partials.frame[i] - segment.origin_frame) * self.stft.hop_s())
                .collect::<Vec<_>>();
            let fit = |levels: Vec<f64>| decay::fit(&time_s, &levels, &self.config.decay);
            let mic = fit(common.iter().map(|&(i, _)| f64::from(self.partials.level_db[i])).collect());
            let phone = fit(common.iter().map(|&(_, k)| f64::from(other.level_db[k])).collect());
            if let (Some(mic), Some(phone)) = (mic, phone)
                && mic.decay_error_db_per_s.max(phone.decay_error_db_per_s) <= MAX_DECAY_ERROR
            {
                pairs.push((mic.decay_db_per_s, phone.decay_db_per_s));
            }
        }
        let difference = pairs.iter().map(|(mic, phone)| phone - mic).collect::<Vec<_>>();
        let bias_db_per_s = median(&difference);
        let deviation = difference.iter().map(|d| (d - bias_db_per_s).abs()).collect::<Vec<_>>();
        // 1.4826 makes the median deviation of a normal distribution its standard deviation.
        Ok(DecayAgreement { pair_len: pairs.len(), bias_db_per_s, spread_db_per_s: 1.4826 * median(&deviation), pairs })
    }
}

/// Points of two partials in the same frames: index into the one, index into the other.
fn common_points(
    one: &Partials,
    points: std::ops::Range<usize>,
    other: &Partials,
    track: std::ops::Range<usize>,
) -> Vec<(usize, usize)> {
    let mut k = track.start;
    let mut out = Vec::new();
    for i in points {
        while k < track.end && other.frame[k] < one.frame[i] {
            k += 1;
        }
        if k < track.end && other.frame[k] == one.frame[i] {
            out.push((i, k));
        }
    }
    out
}

/// rms and 95th percentile of the magnitude, the median removed.
fn scatter(values: &[f64]) -> (f64, f64) {
    let centre = median(values);
    let mut size = values.iter().map(|v| (v - centre).abs()).collect::<Vec<_>>();
    size.sort_by(f64::total_cmp);
    let rms = (size.iter().map(|s| s * s).sum::<f64>() / size.len().max(1) as f64).sqrt();
    let place = (0.95 * size.len().saturating_sub(1) as f64).round() as usize;
    (rms, size.get(place).copied().unwrap_or(0.0))
}

/// Slope of the second on the first by least squares; 1 where the first does not move.
fn slope(pairs: &[(f64, f64)]) -> f64 {
    let len = pairs.len().max(1) as f64;
    let (x, y) = pairs.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / len, y + p.1 / len));
    let square = pairs.iter().map(|p| (p.0 - x).powi(2)).sum::<f64>();
    if square > 0.0 { pairs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum::<f64>() / square } else { 1.0 }
}

/// Loudness, loudness range and crest factor of a recording.
///
/// Sources: EBU R 128 and EBU Tech 3342, through the `ebur128` crate.
///
/// # Errors
/// [`Error::Invalid`] where the meter refuses rate or channels.
pub fn loudness(audio: &Audio) -> Result<Loudness, Error> {
    let refused = |error: ebur128::Error| Error::Invalid {
        what: "loudness".to_owned(),
        cause: format!(
            "the meter does not take {} channels at {} Hz: {error}",
            audio.channels().len(),
            audio.sample_rate_hz()
        ),
        remedy: "give 1 to 8 channels at 8000 to 192000 Hz".to_owned(),
    };
    let mut meter =
        EbuR128::new(audio.channels().len() as u32, audio.sample_rate_hz(), Mode::I | Mode::LRA).map_err(refused)?;
    for start in (0..audio.sample_len()).step_by(1 << 16) {
        let end = audio.sample_len().min(start + (1 << 16));
        let block = audio.channels().iter().map(|c| &c[start..end]).collect::<Vec<_>>();
        meter.add_frames_planar_f32(&block).map_err(refused)?;
    }
    let integrated = meter.loudness_global().map_err(refused)?;
    let range_lu = meter.loudness_range().map_err(refused)?;
    let samples = || audio.channels().iter().flatten();
    let peak = samples().fold(0f32, |peak, x| peak.max(x.abs()));
    let power = samples().map(|x| f64::from(*x).powi(2)).sum::<f64>() / samples().count().max(1) as f64;
    Ok(Loudness {
        integrated_lufs: integrated.is_finite().then_some(integrated),
        range_lu,
        crest_db: (power > 0.0).then(|| db_from_amplitude(f64::from(peak) / power.sqrt())),
    })
}
