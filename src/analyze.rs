//! The whole analysis of one recording, stage after stage.

use crate::analysis::{
    Analysis, DecaySegment, EvidenceSummary, FamilyReport, GainCurve, InputSummary, OctaveDecay, PartialSummary,
    Verdict, Warning,
};
use crate::audio::Audio;
use crate::decay::{self, DecayConfig};
use crate::error::Error;
use crate::events;
use crate::evidence::EvidenceConfig;
use crate::fit::verdict::{self, VerdictConfig, Weight};
use crate::fit::{self, Candidate, FitConfig, Weighing, devices, landings};
use crate::law::{self, FittedParameter, Landing, Law, LawFit};
use crate::onsets::{self, StepConfig};
use crate::partials::{self, LinkConfig, Partials};
use crate::peaks::PeakConfig;
use crate::progress::{Observer, Stage};
use crate::sound::{self, Sound};
use crate::stft::{Stft, StftConfig};
use crate::threads::{self, map_all};
use crate::units;
use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) mod pieces;

/// Everything that can be set, stage by stage. The defaults are what was measured to work.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Transforms.
    pub stft: StftConfig,
    /// Peaks.
    pub peaks: PeakConfig,
    /// Linking of peaks to partials.
    pub link: LinkConfig,
    /// Segments and decays.
    pub decay: DecayConfig,
    /// Steps at onsets.
    pub steps: StepConfig,
    /// Misfit of the decays.
    pub evidence: EvidenceConfig,
    /// Search over laws.
    pub fit: FitConfig,
    /// Significance.
    pub verdict: VerdictConfig,
    /// What [`crate::restore()`] does with an analysis.
    pub restore: crate::restore::RestoreConfig,
}

/// Recordings shorter than this, in seconds, are warned about.
const SHORT_S: f64 = 20.0;
/// Levels at or above this are full scale: one step of 16 bits below it.
const FULL_SCALE: f32 = 1.0 - 1.0 / 32_768.0;
/// A lone sample at full scale is a peak; this many in a row are clipped.
const CLIPPED_RUN: usize = 3;

/// Finds out whether a gain control was at work, which, and what it did.
///
/// **Units.** Times in seconds, levels and gains in dB; see [`Analysis`].
///
/// # Errors
/// [`Error::Invalid`] for a setting out of its range, [`Error::Cancelled`] when the observer says so. A recording that
/// does not tell is no error: [`Verdict::Undecided`].
pub fn analyze(audio: &Audio, config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    if !sound::is_held(audio) {
        // As it is analysed where it is not in memory: the same recording gives the same result.
        return pieces::analyze(audio, config, observer);
    }
    whole(audio, config, observer)
}

fn whole(audio: &Audio, config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    let stft = Stft::new(&config.stft, f64::from(audio.sample_rate_hz()))?;
    let partials = partials::follow(audio, &stft, &config.peaks, &config.link, observer)?;
    let drive: Arc<[f32]> = law::drive(audio.channels()).into();
    let whole = weighing_of(&drive, drive.len(), &stft, &partials, &[], config);
    let warnings = warnings_of(audio);
    if whole.evidence.point_len() == 0 || config.fit.laws.is_empty() {
        return Ok(nothing_to_weigh(InputSummary::of(audio), &stft, &partials, warnings));
    }
    // A long recording tells its law in its beginning; a law's state needs the first sample, so it is always that end.
    let beginning = |seconds: f64| {
        let sample_len = drive.len().min((seconds * stft.sample_rate_hz()) as usize);
        (sample_len, partials.prefix(stft.frame_len(sample_len)))
    };
    let (scout_len, scout_partials) = beginning(config.fit.scout_s);
    let scout = weighing_of(&drive, scout_len, &stft, &scout_partials, &[], config);
    let (searched_len, searched_partials) = beginning(config.fit.search_s);
    let shorter =
        (searched_len < drive.len()).then(|| weighing_of(&drive, searched_len, &stft, &searched_partials, &[], config));
    let weighing = shorter.as_ref().unwrap_or(&whole);
    if weighing.evidence.point_len() == 0 {
        return Ok(nothing_to_weigh(InputSummary::of(audio), &stft, &partials, warnings));
    }
    let scout = scout.as_scout_of(weighing);
    let cut_again = |gain_db: &[f32]| weighing_of(&drive, searched_len, &stft, &searched_partials, gain_db, config);
    let Told { best, mut candidates, mut weight, ceiling, families } =
        tell(weighing, &scout, cut_again, config, observer)?;
    // From here on the whole recording.
    let null = whole.null();
    let law_index = ceiling.as_ref().map_or(best.law_index, |c| c.candidate.law_index);
    let law = &config.fit.laws[law_index];
    let (found, strokes) = match &ceiling {
        None => {
            let gain_db = whole.frame_gain_db(law.as_ref(), &best.values, false);
            (whole.weigh_law(law.as_ref(), law_index, best.values.clone(), gain_db), Vec::new())
        }
        Some(ceiling) => {
            weight = verdict::weigh(weighing, std::slice::from_ref(&ceiling.crossed), &config.verdict);
            weight.has_landings = true;
            candidates = vec![ceiling.candidate.clone()];
            let values = &ceiling.candidate.values;
            let strokes = if searched_len < drive.len() {
                land_in_pieces(&drive, &stft, &partials, law.as_ref(), values, config)
            } else {
                ceiling.landings.clone()
            };
            let gain_db = whole.landed_db(law.as_ref(), values, &strokes);
            (whole.weigh(law_index, values.clone(), gain_db), strokes)
        }
    };
    weight.share = weight.share.min((null.loss - found.loss) / null.loss);
    let gain_db = in_doubles(&centred(&found.gain_db));
    let movement_db = standard_deviation(&gain_db);
    let verdict = verdict::decide(weighing, movement_db, &weight, &config.verdict);
    let curves =
        if verdict == Verdict::None { BTreeMap::new() } else { curves_of(&weight, &candidates, &whole, config) };
    let halves = ceiling.iter().flat_map(|c| &c.halves_db).map(|h| centred(h)).collect::<Vec<_>>();
    let of_halves = halves.iter().map(Vec::as_slice).filter(|h| h.len() == gain_db.len());
    // Landings were asked of halves of the partials, not of resamples.
    let resample_len = if ceiling.is_some() { 1 } else { weight.picks.len() };
    let of_picks = weight.picks.iter().take(resample_len).filter_map(|k| curves.get(k).map(Vec::as_slice));
    let resampled = of_picks.chain(of_halves).collect::<Vec<_>>();
    let band_share = if ceiling.is_some() { LANDED_BAND_SHARE } else { BAND_SHARE };
    let gain_curve = match verdict {
        Verdict::None => flat(&stft, partials.frame_len),
        _ => curve_with_band(&stft, &gain_db, &resampled, band_share),
    };
    let events = match verdict {
        Verdict::Agc => events::find(&gain_curve, &resampled, &whole.steps, |f| stft.frame_time_s(f as usize)),
        _ => Vec::new(),
    };
    let points = whole.evidence.point_len() as f64;
    let j = |c: &Candidate| c.loss_by_note.iter().map(|&l| f64::from(l)).sum::<f64>() / points;
    let removed = if verdict == Verdict::Agc { found.gain_db.as_slice() } else { &[] };
    let decays = decays_of(&partials, removed, &stft, config);
    Ok(Analysis {
        input: InputSummary::of(audio),
        evidence: EvidenceSummary {
            j_without_gain: j(&null),
            j_with_gain: j(&found),
            p_value: weight.p_value,
            step_slope: weight.step_slope.map(|s| s.0),
            step_slope_error: weight.step_slope.map(|s| s.1),
            segment_len: whole.evidence.segment_len(),
            note_len: whole.evidence.note_len(),
            onset_len: whole.steps.len(),
            gain_movement_db: movement_db,
        },
        verdict,
        law: Some(LawFit { landings: strokes, ..law_fit(law.as_ref(), &found.values, &candidates, &weight) }),
        events,
        gain_curve,
        partials: summary_of(&partials, &decays),
        decays,
        families,
        warnings,
    })
}

/// As [`analyze`], of a recording that need not be in memory.
///
/// A short recording ([`sound::is_held`]) is worked on as a whole: the result is that of [`analyze`]. Of a long one, the
/// beginning ([`FitConfig::search_s`]) tells the law; the law is then followed from the first sample to the last, its state
/// carried along, and the decays are weighed in pieces. Memory does not grow with its length, but for the results: a few
/// numbers for each frame, and one entry for each event and decay.
///
/// # Errors
/// As [`analyze`]; [`Error::Io`] where the samples cannot be read.
pub fn analyze_sound(sound: &dyn Sound, config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    if sound::is_held(sound) {
        return analyze(&sound::held(sound, 0..sound.sample_len())?, config, observer);
    }
    pieces::analyze(sound, config, observer)
}

/// What the beginning of a recording told.
struct Told {
    /// The best law that can be run backwards, its constants settled.
    best: Candidate,
    /// That one first, then all that were kept.
    candidates: Vec<Candidate>,
    weight: Weight,
    /// The law with a ceiling that is better than all of them.
    ceiling: Option<landings::CeilingFit>,
    families: Vec<FamilyReport>,
}

/// Searches the laws, and weighs what was found. `cut_again` lays out the beginning once more, with a gain removed.
fn tell(
    weighing: &Weighing,
    scout: &Weighing,
    cut_again: impl Fn(&[f32]) -> Weighing,
    config: &Config,
    observer: &dyn Observer,
) -> Result<Told, Error> {
    let search = fit::search(weighing, scout, &config.fit, observer)?;
    if !observer.progress(Stage::Verdict, 0.0) {
        return Err(Error::Cancelled);
    }
    // Cut again with the best gain removed, then settle the constants on those cuts.
    let again = cut_again(&search.candidates[0].gain_db).hearing_with(weighing);
    let (mut best, ceiling) =
        threads::both(|| fit::settle(&again, &search, &config.fit), || landings::search(weighing, &config.fit.laws));
    let best_law = config.fit.laws[best.law_index].as_ref();
    let mut candidates = vec![weighing.weigh_law(best_law, best.law_index, best.values.clone(), best.gain_db.clone())];
    candidates.extend(search.candidates);
    let mut weight = verdict::weigh(weighing, &candidates, &config.verdict);
    let as_published = |candidate: &Candidate, weight: Weight| {
        let law = config.fit.laws[candidate.law_index].as_ref();
        Weight { is_published: true, has_few_devices: devices::are_few(law), ..weight }
    };
    let alone = |candidate: &Candidate| {
        as_published(candidate, verdict::weigh(weighing, std::slice::from_ref(candidate), &config.verdict))
    };
    let is_found = |candidate: &Candidate, weight: &Weight| {
        let movement_db = standard_deviation(&in_doubles(&centred(&candidate.gain_db)));
        verdict::decide(weighing, movement_db, weight, &config.verdict) == Verdict::Agc
    };
    if devices::is_usual(best_law, &best.values) {
        // Nothing was chosen, so there is no choice whose luck the resamples would have to allow for.
        weight.p_value = weight.p_value.min(alone(&candidates[0]).p_value);
        weight = as_published(&candidates[0], weight);
        weight.has_rival =
            devices::has_rival(&candidates[0], &devices::published(weighing, scout, &config.fit), &config.fit.laws);
    } else if !is_found(&candidates[0], &weight) {
        let published = devices::published(weighing, scout, &config.fit);
        if let Some(first) = published.first().filter(|first| first.loss < candidates[0].loss) {
            let first_weight =
                Weight { has_rival: devices::has_rival(first, &published, &config.fit.laws), ..alone(first) };
            if is_found(first, &first_weight) {
                (best, weight, candidates) = (first.clone(), first_weight, vec![first.clone()]);
            }
        }
    }
    // Of what was found in the end, which may be a published device by now.
    let law = config.fit.laws[best.law_index].as_ref();
    weight.lost_s = weighing.listened(law).and_then(|listened| listened.lost_s(&best.values));
    if !observer.progress(Stage::Verdict, 0.5) {
        return Err(Error::Cancelled);
    }
    scout.forget();
    // A law with a ceiling has to be better than all that can be run backwards.
    let ceiling = ceiling.filter(|ceiling| ceiling.cost < candidates[0].loss);
    if !observer.progress(Stage::Verdict, 0.7) {
        return Err(Error::Cancelled);
    }
    let families = search
        .families
        .iter()
        .map(|f| FamilyReport {
            law: config.fit.laws[f.best.law_index].name().to_owned(),
            j: f.best.loss_by_note.iter().map(|&l| f64::from(l)).sum::<f64>() / weighing.evidence.point_len() as f64,
            evaluation_len: f.evaluation_len,
            termination: f.termination.clone(),
        })
        .collect();
    Ok(Told { best, candidates, weight, ceiling, families })
}

fn weighing_of(
    drive: &Arc<[f32]>,
    sample_len: usize,
    stft: &Stft,
    partials: &Partials,
    gain_db: &[f32],
    config: &Config,
) -> Weighing {
    Weighing::new(
        drive,
        sample_len,
        stft,
        partials,
        gain_db,
        &config.decay,
        &config.evidence,
        &config.steps,
        config.fit.step_weight,
    )
}

/// The gain curves, over the whole recording, of the candidates that the resamples picked most often.
fn curves_of(
    weight: &Weight,
    candidates: &[Candidate],
    whole: &Weighing,
    config: &Config,
) -> BTreeMap<usize, Vec<f32>> {
    let picks = most_picked(weight, MOST_CURVES);
    let curves = map_all(&picks, |&pick| {
        let candidate = &candidates[pick];
        if candidate.gain_db.len() == whole.frame_len() {
            return (pick, centred(&candidate.gain_db));
        }
        let law = config.fit.laws[candidate.law_index].as_ref();
        (pick, centred(&whole.frame_gain_db(law, &candidate.values, true)))
    });
    curves.into_iter().collect()
}

/// The candidates that the resamples picked most often, at most so many.
fn most_picked(weight: &Weight, most: usize) -> Vec<usize> {
    let mut times_picked = BTreeMap::new();
    for &pick in &weight.picks {
        *times_picked.entry(pick).or_insert(0usize) += 1;
    }
    let mut picks = times_picked.into_iter().collect::<Vec<_>>();
    picks.sort_by_key(|&(pick, times)| (std::cmp::Reverse(times), pick));
    picks.into_iter().take(most).map(|(pick, _)| pick).collect()
}

/// Curves kept for the band: rarer picks do not move its edges, and each costs a run over the recording.
const MOST_CURVES: usize = 60;

fn warnings_of(audio: &Audio) -> Vec<Warning> {
    let mut clipped = Clipped::default();
    clipped.hear(audio.channels());
    warnings_about(audio, clipped)
}

fn warnings_about(sound: &dyn Sound, clipped: Clipped) -> Vec<Warning> {
    let mut out = Vec::new();
    if sound.duration_s() < SHORT_S {
        out.push(Warning::Short { duration_s: sound.duration_s() });
    }
    let sample_len = clipped.sample_len();
    if sample_len > 0 {
        out.push(Warning::Clipped { sample_len });
    }
    out
}

/// Counts samples in runs at full scale, block by block.
#[derive(Debug, Default)]
struct Clipped {
    total: usize,
    /// Length of the run that each channel ends with.
    run: Vec<usize>,
}

impl Clipped {
    fn hear(&mut self, channels: &[Vec<f32>]) {
        self.run.resize(channels.len(), 0);
        for (run, channel) in self.run.iter_mut().zip(channels) {
            for x in channel {
                if x.abs() >= FULL_SCALE {
                    *run += 1;
                } else if *run > 0 {
                    self.total += counted(*run);
                    *run = 0;
                }
            }
        }
    }

    fn sample_len(&self) -> usize {
        self.total + self.run.iter().map(|&run| counted(run)).sum::<usize>()
    }
}

/// What a run of samples at full scale counts.
fn counted(run: usize) -> usize {
    if run >= CLIPPED_RUN { run } else { 0 }
}

/// What is left to say where no decay could be followed.
fn nothing_to_weigh(input: InputSummary, stft: &Stft, partials: &Partials, warnings: Vec<Warning>) -> Analysis {
    Analysis {
        input,
        verdict: Verdict::Undecided { reason: "no partial rings long enough to show its decay".to_owned() },
        evidence: EvidenceSummary {
            j_without_gain: 0.0,
            j_with_gain: 0.0,
            p_value: 1.0,
            step_slope: None,
            step_slope_error: None,
            segment_len: 0,
            note_len: 0,
            onset_len: 0,
            gain_movement_db: 0.0,
        },
        law: None,
        events: Vec::new(),
        gain_curve: flat(stft, partials.frame_len),
        partials: summary_of(partials, &[]),
        decays: Vec::new(),
        families: Vec::new(),
        warnings,
    }
}

fn flat(stft: &Stft, frame_len: usize) -> GainCurve {
    let zero = vec![0.0; frame_len.max(1)];
    GainCurve {
        start_s: stft.frame_time_s(0),
        hop_s: stft.hop_s(),
        gain_db: zero.clone(),
        lower_db: zero.clone(),
        upper_db: zero,
    }
}

/// A gain with its median taken away: the offset is not knowable.
fn centred(gain_db: &[f32]) -> Vec<f32> {
    let mut sorted = gain_db.to_vec();
    sorted.sort_by(f32::total_cmp);
    let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0.0);
    gain_db.iter().map(|g| g - median).collect()
}

fn in_doubles(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn standard_deviation(values: &[f64]) -> f64 {
    let len = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / len;
    (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / len).sqrt()
}

/// The 90 % band: what the resamples of the notes picked, frame by frame.
fn curve_with_band(stft: &Stft, gain_db: &[f64], resampled: &[&[f32]], band_share: f64) -> GainCurve {
    let movement_db = standard_deviation(gain_db);
    let mut lower_db = Vec::with_capacity(gain_db.len());
    let mut upper_db = Vec::with_capacity(gain_db.len());
    let mut column = Vec::with_capacity(resampled.len());
    for (n, &gain) in gain_db.iter().enumerate() {
        column.clear();
        column.extend(resampled.iter().map(|c| f64::from(c[n])));
        column.sort_by(f64::total_cmp);
        let at = |share: f64| column.get((share * column.len() as f64) as usize).copied().unwrap_or(gain);
        // Resamples share the law; where the device's own law is a little different, they are wrong together.
        let least = BAND_FLOOR_DB + band_share * movement_db;
        lower_db.push(at(0.05).min(gain - least));
        upper_db.push(at(0.95).max(gain + least));
    }
    GainCurve { start_s: stft.frame_time_s(0), hop_s: stft.hop_s(), gain_db: gain_db.to_vec(), lower_db, upper_db }
}

/// Narrowest half width of the band, in dB: quantisation, the window, and what the law leaves out.
const BAND_FLOOR_DB: f64 = 0.2;
/// Narrowest half width of the band as a share of the gain's standard deviation: what laws of the right family, with
/// constants found blind, typically leave behind.
const BAND_SHARE: f64 = 0.2;
/// The same where landings had to be estimated.
const LANDED_BAND_SHARE: f64 = 0.7;

/// Longest piece of a recording in which landings are sought together, in seconds, and what of it is given up at its
/// start, where the law's state is not known.
const PIECE_S: f64 = 100.0;
const PIECE_LEAD_S: f64 = 10.0;

/// The landings of a long recording, piece by piece: they are rises over what the law has recovered to, so that those of
/// all pieces fit together.
fn land_in_pieces(
    drive: &Arc<[f32]>,
    stft: &Stft,
    partials: &Partials,
    law: &dyn Law,
    values: &[f64],
    config: &Config,
) -> Vec<Landing> {
    let hop = stft.hop_samples();
    let hops_of = |seconds: f64| (seconds / stft.hop_s()).round() as usize;
    let (piece, lead) = (hops_of(PIECE_S), hops_of(PIECE_LEAD_S));
    let mut out: Vec<Landing> = Vec::new();
    let mut from = 0;
    while from * hop < drive.len() {
        let samples = from * hop..((from + piece) * hop).min(drive.len());
        let heard: Arc<[f32]> = drive[samples].into();
        let window = partials.window(from..from + stft.frame_len(heard.len()));
        let weighing = weighing_of(&heard, heard.len(), stft, &window, &[], config);
        let start_s = from as f64 * stft.hop_s();
        let kept_from_s = if from == 0 { 0.0 } else { PIECE_LEAD_S };
        let landed = if weighing.evidence.point_len() > 0 { weighing.land(law, values) } else { Vec::new() };
        out.extend(
            landed.into_iter().filter(|l| l.at_s >= kept_from_s).map(|l| Landing { at_s: l.at_s + start_s, ..l }),
        );
        from += piece - lead;
    }
    out.dedup_by(|later, earlier| later.at_s <= earlier.at_s);
    out
}

fn law_fit(law: &dyn Law, values: &[f64], candidates: &[Candidate], weight: &Weight) -> LawFit {
    let parameters = law
        .parameters()
        .iter()
        .enumerate()
        .map(|(k, p)| {
            let of_same_law = |&&pick: &&usize| candidates[pick].values.len() == values.len();
            let mut seen =
                weight.picks.iter().filter(of_same_law).map(|&pick| candidates[pick].values[k]).collect::<Vec<_>>();
            seen.sort_by(f64::total_cmp);
            let at = |share: f64| seen.get((share * seen.len() as f64) as usize).copied().unwrap_or(values[k]);
            FittedParameter {
                name: p.name.to_owned(),
                unit: p.unit.to_owned(),
                value: values[k],
                lower: at(0.05).min(values[k]),
                upper: at(0.95).max(values[k]),
            }
        })
        .collect();
    LawFit { name: law.name().to_owned(), parameters, landings: Vec::new() }
}

fn decays_of(partials: &Partials, gain_db: &[f32], stft: &Stft, config: &Config) -> Vec<DecaySegment> {
    let segments = decay::segments(partials, gain_db, stft.hop_s(), &config.decay);
    let notes = onsets::notes(&segments, &onsets::find(&segments, partials.frame_len));
    let segments = segments.into_iter().zip(notes).collect::<Vec<_>>();
    let fitted = map_all(&segments, |(segment, note)| {
        let points = segment.points.clone();
        let frames = &partials.frame[points.clone()];
        let removed = |f: u32| f64::from(gain_db.get(f as usize).copied().unwrap_or(0.0));
        let time_s = frames.iter().map(|f| f64::from(f - segment.origin_frame) * stft.hop_s()).collect::<Vec<_>>();
        let level_db = frames
            .iter()
            .zip(&partials.level_db[points.clone()])
            .map(|(f, m)| f64::from(*m) - removed(*f))
            .collect::<Vec<_>>();
        let fit = decay::fit(&time_s, &level_db, &config.decay)?;
        let mut bins = partials.bin[points].to_vec();
        bins.sort_by(f32::total_cmp);
        let decay_db_per_s = fit.decay_db_per_s;
        Some(DecaySegment {
            note_index: *note as usize,
            start_s: stft.frame_time_s(*frames.first()? as usize),
            end_s: stft.frame_time_s(*frames.last()? as usize),
            frequency_hz: f64::from(bins[bins.len() / 2]) * stft.bin_hz(),
            level_db: fit.level_db,
            decay_db_per_s,
            decay_error_db_per_s: fit.decay_error_db_per_s,
            alpha_per_s: units::alpha_from_db_per_s(decay_db_per_s),
            t60_s: (decay_db_per_s > 0.0).then(|| units::t60_s_from_db_per_s(decay_db_per_s)),
            second_stage_db: fit.second_stage_db,
            residual_db: fit.residual_db,
        })
    });
    fitted.into_iter().flatten().collect()
}

/// Lowest octave of the table, by its centre in Hz.
const LOWEST_OCTAVE_HZ: f64 = 62.5;

fn summary_of(partials: &Partials, decays: &[DecaySegment]) -> PartialSummary {
    let decay_by_octave = (0..8)
        .filter_map(|octave| {
            let centre_hz = LOWEST_OCTAVE_HZ * f64::from(1u32 << octave);
            let half = std::f64::consts::SQRT_2;
            let mut inside = decays
                .iter()
                .filter(|d| d.frequency_hz >= centre_hz / half && d.frequency_hz < centre_hz * half)
                .map(|d| d.decay_db_per_s)
                .collect::<Vec<_>>();
            inside.sort_by(f64::total_cmp);
            let median_db_per_s = *inside.get(inside.len() / 2)?;
            Some(OctaveDecay { centre_hz, median_db_per_s, segment_len: inside.len() })
        })
        .collect();
    PartialSummary {
        track_len: partials.track_len(),
        segment_len: decays.len(),
        point_len: partials.frame.len(),
        decay_by_octave,
    }
}
