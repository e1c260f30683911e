//! A long recording, in memory that does not grow with it.
//!
//! Its beginning tells the law, as it does for shorter ones. The law is then followed once from the first sample to the
//! last, with its state carried from block to block: the gain is bit for bit that of a run over the whole. Decays are weighed
//! piece by piece; partials are cut where a piece ends, and compared with those of their own piece.
//!
//! Where a law has a ceiling its landings are sought piece by piece. Each piece begins [`PIECE_LEAD_S`] early, from rest: by
//! its own beginning the law has forgotten how it was started.

use super::{
    BAND_SHARE, Clipped, Config, LANDED_BAND_SHARE, PIECE_LEAD_S, PIECE_S, Told, centred, curve_with_band, decays_of,
    flat, in_doubles, law_fit, most_picked, nothing_to_weigh, standard_deviation, summary_of, tell, warnings_about,
    weighing_of,
};
use crate::analysis::{Analysis, DecaySegment, EvidenceSummary, InputSummary, PartialSummary, Verdict};
use crate::error::Error;
use crate::events;
use crate::evidence::FrameGain;
use crate::fit::verdict;
use crate::law::{self, Landing, Law, LawFit};
use crate::onsets::Step;
use crate::partials::{self, Partials};
use crate::progress::{Observer, Stage};
use crate::sound::Sound;
use crate::stft::Stft;
use crate::threads::{each_mut, map_all};
use std::ops::Range;
use std::sync::Arc;

/// Curves kept for the band of a long recording: each is a run over all of it.
const CURVES: usize = 8;
/// Pieces weighed at the same time: with more, memory would grow with the number of threads.
const PIECES_AT_ONCE: usize = 4;
/// Hops that laws are run over at a time.
const BLOCK_HOPS: usize = 1024;

/// As [`super::analyze_sound`], whatever the length.
pub(super) fn analyze(sound: &dyn Sound, config: &Config, observer: &dyn Observer) -> Result<Analysis, Error> {
    let rate_hz = f64::from(sound.sample_rate_hz());
    let stft = Stft::new(&config.stft, rate_hz)?;
    let searched_len = sound.sample_len().min((config.fit.search_s * rate_hz) as usize);
    let frame_len = stft.frame_len(searched_len);
    let mut told = |done: usize| observer.progress(Stage::Partials, done as f64 / frame_len as f64);
    let partials = partials::follow_frames(sound, 0..frame_len, &stft, &config.peaks, &config.link, &mut told)?;
    let drive: Arc<[f32]> = law::drive_of(sound, 0..searched_len)?.into();
    let weighing = weighing_of(&drive, searched_len, &stft, &partials, &[], config);
    if weighing.evidence.point_len() == 0 || config.fit.laws.is_empty() {
        let mut clipped = Clipped::default();
        each_block(sound, BLOCK_HOPS * stft.hop_samples(), &mut |_, channels| {
            clipped.hear(channels);
            Ok(())
        })?;
        let mut analysis = nothing_to_weigh(InputSummary::of(sound), &stft, &partials, warnings_about(sound, clipped));
        analysis.gain_curve = flat(&stft, stft.frame_len(sound.sample_len()));
        return Ok(analysis);
    }
    let scout_len = searched_len.min((config.fit.scout_s * rate_hz) as usize);
    let scout_partials = partials.prefix(stft.frame_len(scout_len));
    let scout = weighing_of(&drive, scout_len, &stft, &scout_partials, &[], config).as_scout_of(&weighing);
    let cut_again = |gain_db: &[f32]| weighing_of(&drive, searched_len, &stft, &partials, gain_db, config);
    let Told { best, mut candidates, mut weight, ceiling, families } =
        tell(&weighing, &scout, cut_again, config, observer)?;
    drop((scout, scout_partials, partials));
    weighing.forget();

    let law_index = ceiling.as_ref().map_or(best.law_index, |c| c.candidate.law_index);
    let law = config.fit.laws[law_index].as_ref();
    let values = ceiling.as_ref().map_or(&best.values, |c| &c.candidate.values).clone();
    let curves = match &ceiling {
        Some(ceiling) => {
            weight = verdict::weigh(&weighing, std::slice::from_ref(&ceiling.crossed), &config.verdict);
            weight.has_landings = true;
            candidates = vec![ceiling.candidate.clone()];
            Vec::new()
        }
        None => most_picked(&weight, CURVES),
    };
    let coarse = curves.iter().map(|&pick| {
        let candidate = &candidates[pick];
        Runner::new(config.fit.laws[candidate.law_index].as_ref(), &candidate.values, true, &stft, sound.sample_len())
    });
    let exact = ceiling.is_none().then(|| Runner::new(law, &values, false, &stft, sound.sample_len()));
    let mut runners = exact.into_iter().chain(coarse).collect::<Vec<_>>();
    let mut clipped = Clipped::default();
    each_block(sound, BLOCK_HOPS * stft.hop_samples(), &mut |_, channels| {
        if !observer.progress(Stage::Verdict, 0.7) {
            return Err(Error::Cancelled);
        }
        clipped.hear(channels);
        let drive = law::drive(channels);
        each_mut(&mut runners, |runner| runner.hear(&drive));
        Ok(())
    })?;
    let frames = FrameGain::new(&stft, sound.sample_len());
    let mut runners = runners.into_iter().map(|runner| frames.frames_db(&runner.finish()));
    let followed = if ceiling.is_none() { runners.next() } else { None };
    let resampled = runners.map(|gain_db| centred(&gain_db)).collect::<Vec<_>>();

    let plan = Plan { sound, stft: &stft, config, law, law_index, values: &values };
    // Decays are told with the gain removed where there is one; that there is none may turn out only now.
    let may_be_agc = verdict::decide(&weighing, f64::INFINITY, &weight, &config.verdict) == Verdict::Agc;
    let mut whole = plan.weigh(followed.as_deref(), may_be_agc, observer)?;
    if ceiling.is_some() {
        whole.gain_db = plan.landed_db(&whole.landings)?;
    }
    weight.share = weight.share.min((whole.null_loss - whole.found_loss) / whole.null_loss);
    let gain_db = in_doubles(&centred(&whole.gain_db));
    let movement_db = standard_deviation(&gain_db);
    let verdict = verdict::decide(&weighing, movement_db, &weight, &config.verdict);
    let of_picks = weight.picks.iter().filter_map(|pick| curves.iter().position(|c| c == pick));
    let resampled = of_picks.map(|k| resampled[k].as_slice()).collect::<Vec<_>>();
    let band_share = if ceiling.is_some() { LANDED_BAND_SHARE } else { BAND_SHARE };
    let gain_curve = match verdict {
        Verdict::None => flat(&stft, gain_db.len()),
        _ => curve_with_band(&stft, &gain_db, &resampled, band_share),
    };
    let events = match verdict {
        Verdict::Agc => events::find(&gain_curve, &resampled, &whole.steps, |f| stft.frame_time_s(f as usize)),
        _ => Vec::new(),
    };
    if may_be_agc && verdict != Verdict::Agc {
        whole = plan.weigh(followed.as_deref(), false, observer)?;
    }
    let decays = whole.decays;
    let points = whole.point_len.max(1) as f64;
    let fitted = law_fit(law, &values, &candidates, &weight);
    Ok(Analysis {
        input: InputSummary::of(sound),
        evidence: EvidenceSummary {
            j_without_gain: whole.null_notes_loss / points,
            j_with_gain: whole.found_notes_loss / points,
            p_value: weight.p_value,
            step_slope: weight.step_slope.map(|s| s.0),
            step_slope_error: weight.step_slope.map(|s| s.1),
            segment_len: whole.segment_len,
            note_len: whole.note_len,
            onset_len: whole.steps.len(),
            gain_movement_db: movement_db,
        },
        verdict,
        law: Some(LawFit { landings: whole.landings, ..fitted }),
        events,
        gain_curve,
        partials: PartialSummary {
            track_len: whole.track_len,
            point_len: whole.track_point_len,
            ..summary_of(&Partials::default(), &decays)
        },
        decays,
        families,
        warnings: warnings_about(sound, clipped),
    })
}

/// Takes a block of a recording: its first sample's place and its channels.
pub(crate) type TakeBlock<'t> = dyn FnMut(usize, &mut Vec<Vec<f32>>) -> Result<(), Error> + 't;

/// Hands a recording out in blocks of equal length, each with its first sample's place.
pub(crate) fn each_block(sound: &dyn Sound, block_len: usize, take: &mut TakeBlock<'_>) -> Result<(), Error> {
    let mut channels = Vec::new();
    for start in (0..sound.sample_len()).step_by(block_len) {
        sound.read(start..sound.sample_len().min(start + block_len), &mut channels)?;
        take(start, &mut channels)?;
    }
    Ok(())
}

/// One law at work on a long recording: the mean gain of every hop, as [`crate::fit::Weighing::frame_gain_db`] has it.
struct Runner {
    running: Box<dyn law::GainControl>,
    is_coarse: bool,
    latency: usize,
    hop: usize,
    sample_len: usize,
    sums: Vec<f32>,
    gain: Vec<f32>,
    at: usize,
}

impl Runner {
    fn new(law: &dyn Law, values: &[f64], is_coarse: bool, stft: &Stft, sample_len: usize) -> Self {
        let running = law.start(values, stft.sample_rate_hz());
        let hop = stft.hop_samples();
        let sums = vec![0.0; sample_len.div_ceil(hop)];
        let latency = running.latency_samples();
        Self { running, is_coarse, latency, hop, sample_len, sums, gain: vec![0.0; hop], at: 0 }
    }

    /// Blocks of whole hops, but for the last.
    fn hear(&mut self, drive: &[f32]) {
        for block in drive.chunks(self.hop) {
            let gain = &mut self.gain[..block.len()];
            if self.is_coarse {
                self.running.inverse_coarse(block, gain);
            } else {
                self.running.inverse(block, gain);
            }
            if self.latency == 0 {
                self.sums[self.at / self.hop] = law::sum(gain);
            } else {
                for (k, g) in gain.iter().enumerate() {
                    let sample = (self.at + k).checked_sub(self.latency);
                    if let Some(sum) = sample.and_then(|n| self.sums.get_mut(n / self.hop)) {
                        *sum += g;
                    }
                }
            }
            self.at += block.len();
        }
    }

    fn finish(mut self) -> Vec<f32> {
        let silence = vec![0f32; self.latency];
        self.hear(&silence);
        let (hop, sample_len) = (self.hop, self.sample_len);
        for (b, sum) in self.sums.iter_mut().enumerate() {
            *sum /= hop.min(sample_len - b * hop) as f32;
        }
        self.sums
    }
}

/// What is weighed in pieces, and how.
struct Plan<'a> {
    sound: &'a dyn Sound,
    stft: &'a Stft,
    config: &'a Config,
    law: &'a dyn Law,
    law_index: usize,
    values: &'a [f64],
}

/// What the pieces told together.
#[derive(Default)]
struct Whole {
    null_loss: f64,
    found_loss: f64,
    null_notes_loss: f64,
    found_notes_loss: f64,
    point_len: usize,
    segment_len: usize,
    note_len: usize,
    track_len: usize,
    track_point_len: usize,
    steps: Vec<Step>,
    decays: Vec<DecaySegment>,
    landings: Vec<Landing>,
    gain_db: Vec<f32>,
}

impl Plan<'_> {
    /// Weighs all pieces; `followed` is the gain where the law can be run backwards, and whether it is removed from the decays
    /// that are told.
    fn weigh(&self, followed: Option<&[f32]>, is_removed: bool, observer: &dyn Observer) -> Result<Whole, Error> {
        let pieces = frame_pieces(self.stft, self.sound.sample_len());
        let mut out = Whole::default();
        for (index, batch) in pieces.chunks(PIECES_AT_ONCE).enumerate() {
            let done = (index * PIECES_AT_ONCE) as f64 / pieces.len() as f64;
            if !observer.progress(Stage::Verdict, 0.7 + 0.3 * done) {
                return Err(Error::Cancelled);
            }
            let told = map_all(batch, |frames| self.piece(frames.clone(), followed, is_removed));
            for (frames, told) in batch.iter().zip(told) {
                out.take(told?, frames.start, self.stft);
            }
        }
        Ok(out)
    }

    /// One piece, by itself: frames, times and notes are its own.
    fn piece(&self, frames: Range<usize>, followed: Option<&[f32]>, is_removed: bool) -> Result<Whole, Error> {
        let Self { sound, stft, config, .. } = *self;
        let partials =
            partials::follow_frames(sound, frames.clone(), stft, &config.peaks, &config.link, &mut |_| true)?;
        let nothing: Arc<[f32]> = Arc::new([]);
        let weighing = weighing_of(&nothing, 0, stft, &partials, &[], config);
        let (gain_db, landings) = match followed {
            Some(gain_db) => (gain_db[frames].to_vec(), Vec::new()),
            None => self.landed(frames)?,
        };
        let null = weighing.weigh(usize::MAX, Vec::new(), vec![0.0; gain_db.len()]);
        let found = weighing.weigh(self.law_index, self.values.to_vec(), gain_db.clone());
        let sum = |notes: &[f32]| notes.iter().map(|&l| f64::from(l)).sum::<f64>();
        Ok(Whole {
            null_loss: null.loss,
            found_loss: found.loss,
            null_notes_loss: sum(&null.loss_by_note),
            found_notes_loss: sum(&found.loss_by_note),
            point_len: weighing.evidence.point_len(),
            segment_len: weighing.evidence.segment_len(),
            note_len: weighing.evidence.note_len(),
            track_len: partials.track_len(),
            track_point_len: partials.frame.len(),
            decays: decays_of(&partials, if is_removed { &gain_db } else { &[] }, stft, config),
            steps: weighing.steps,
            landings,
            gain_db,
        })
    }

    /// The landings in a piece, and the gain that its frames see; times are the recording's.
    fn landed(&self, frames: Range<usize>) -> Result<(Vec<f32>, Vec<Landing>), Error> {
        let Self { sound, stft, config, law, values, .. } = *self;
        let lead = lead_frames(stft, &frames);
        let from = frames.start - lead;
        let end = sound.sample_len().min((frames.end - 1) * stft.hop_samples() + stft.window_samples());
        let partials =
            partials::follow_frames(sound, from..frames.end, stft, &config.peaks, &config.link, &mut |_| true)?;
        let drive: Arc<[f32]> = law::drive_of(sound, from * stft.hop_samples()..end)?.into();
        let weighing = weighing_of(&drive, drive.len(), stft, &partials, &[], config);
        let landed = if weighing.evidence.point_len() > 0 { weighing.land(law, values) } else { Vec::new() };
        let gain_db = weighing.landed_db(law, values, &landed);
        let start_s = from as f64 * stft.hop_s();
        let kept = landed.into_iter().filter(|l| l.at_s >= lead as f64 * stft.hop_s());
        let landings = kept.map(|l| Landing { at_s: l.at_s + start_s, ..l }).collect();
        Ok((gain_db[lead..lead + frames.len()].to_vec(), landings))
    }
}

impl Plan<'_> {
    /// The gain that every frame sees, of the landings of the whole recording: as the restoration undoes it.
    fn landed_db(&self, landings: &[Landing]) -> Result<Vec<f32>, Error> {
        let Self { sound, stft, law, values, .. } = *self;
        let pieces = frame_pieces(stft, sound.sample_len());
        let mut out = Vec::with_capacity(stft.frame_len(sound.sample_len()));
        for batch in pieces.chunks(PIECES_AT_ONCE) {
            let gains = map_all(batch, |frames| {
                let LandedPiece { marks, lead, sample_len } =
                    landed_piece(sound, stft, law, values, landings, frames.clone())?;
                let means = law::block_means_of(&marks, stft.sample_rate_hz(), stft.hop_samples(), sample_len);
                let gain_db = FrameGain::new(stft, sample_len).frames_db(&means);
                Ok(gain_db[lead..lead + frames.len()].to_vec())
            });
            for gain_db in gains {
                out.extend(gain_db?);
            }
        }
        Ok(out)
    }
}

/// The gain in a piece with known landings, at every millisecond from `lead` frames before the piece on.
pub(crate) struct LandedPiece {
    pub(crate) marks: Vec<f32>,
    pub(crate) lead: usize,
    pub(crate) sample_len: usize,
}

pub(crate) fn landed_piece(
    sound: &dyn Sound,
    stft: &Stft,
    law: &dyn Law,
    values: &[f64],
    landings: &[Landing],
    frames: Range<usize>,
) -> Result<LandedPiece, Error> {
    let lead = lead_frames(stft, &frames);
    let from = frames.start - lead;
    let end = sound.sample_len().min((frames.end - 1) * stft.hop_samples() + stft.window_samples());
    let drive = law::drive_of(sound, from * stft.hop_samples()..end)?;
    let start_s = from as f64 * stft.hop_s();
    let own = landings.iter().map(|l| Landing { at_s: l.at_s - start_s, ..*l }).filter(|l| l.at_s >= 0.0);
    let own = own.take_while(|l| l.at_s * stft.sample_rate_hz() < drive.len() as f64).collect::<Vec<_>>();
    let listened = law.listen(&drive, stft.sample_rate_hz());
    let marks = listened.map_or_else(Vec::new, |l| l.landed_marks(values, &own));
    Ok(LandedPiece { marks, lead, sample_len: drive.len() })
}

impl Whole {
    /// Appends what a piece told that begins with frame `from`.
    fn take(&mut self, piece: Self, from: usize, stft: &Stft) {
        self.null_loss += piece.null_loss;
        self.found_loss += piece.found_loss;
        self.null_notes_loss += piece.null_notes_loss;
        self.found_notes_loss += piece.found_notes_loss;
        self.point_len += piece.point_len;
        self.segment_len += piece.segment_len;
        self.track_len += piece.track_len;
        self.track_point_len += piece.track_point_len;
        let later = |step: Step| Step { onset_frame: step.onset_frame + from as u32, ..step };
        self.steps.extend(piece.steps.into_iter().map(later));
        let from_s = from as f64 * stft.hop_s();
        let notes = self.note_len;
        let later = |d: DecaySegment| DecaySegment {
            note_index: d.note_index + notes,
            start_s: d.start_s + from_s,
            end_s: d.end_s + from_s,
            ..d
        };
        self.decays.extend(piece.decays.into_iter().map(later));
        self.note_len += piece.note_len;
        self.landings.extend(piece.landings);
        self.gain_db.extend(piece.gain_db);
    }
}

/// The frames of each piece of a recording.
pub(crate) fn frame_pieces(stft: &Stft, sample_len: usize) -> Vec<Range<usize>> {
    let piece = hops(stft, PIECE_S - PIECE_LEAD_S);
    let frame_len = stft.frame_len(sample_len);
    (0..frame_len).step_by(piece.max(1)).map(|from| from..frame_len.min(from + piece)).collect()
}

/// Frames before a piece in which its law finds its state.
fn lead_frames(stft: &Stft, frames: &Range<usize>) -> usize {
    hops(stft, PIECE_LEAD_S).min(frames.start)
}

fn hops(stft: &Stft, seconds: f64) -> usize {
    (seconds / stft.hop_s()).round() as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::audio::Audio;
    use crate::law::{Compressor, Direction, Smoothed, families, gain_of};

    /// Chords that decay, one of four loudnesses each half second; a compressor was at work.
    fn recorded(rate_hz: u32, seconds: u32) -> Audio {
        let rate = f64::from(rate_hz);
        let mut state = 1u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1u32 << 24) - 0.5
        };
        let played = (0..rate_hz * seconds).map(|n| {
            let t = f64::from(n) / rate;
            // What was struck before goes on ringing: at an onset its partials show the gain's step.
            let chord = |back: usize| {
                let Some(chord) = ((t / 0.5) as usize).checked_sub(back) else { return 0.0 };
                let since = t - 0.5 * chord as f64;
                let (loud, hz) = ([0.5, 0.05, 0.8, 0.2][chord % 4], [220.0, 277.2, 329.6, 440.0, 370.0][chord % 5]);
                let partial = |k: f64| (-2.0 * k * since).exp() / k * (std::f64::consts::TAU * hz * k * t).sin();
                loud * (1..6).map(|k| partial(f64::from(k))).sum::<f64>()
            };
            (0.4 * (0..4).map(chord).sum::<f64>() + 1e-5 * noise()) as f32
        });
        let played = played.collect::<Vec<_>>();
        let constants = [-30.0, 0.7, 6.0, 0.005, 0.2];
        let gain = gain_of(&Compressor::new(Smoothed::Power), &constants, rate, &played, Direction::Forward);
        Audio::new(rate_hz, vec![played.iter().zip(&gain).map(|(x, g)| x * g).collect()]).unwrap()
    }

    fn config() -> Config {
        let mut config = Config::default();
        config.fit.laws = vec![Arc::new(Compressor::new(Smoothed::Power))];
        config.fit.generations = 4;
        config.fit.search_s = 30.0;
        config
    }

    #[test]
    fn a_law_followed_in_blocks_is_the_law_followed_whole() {
        // Odd lengths: the last hop and the last block are cut off.
        let audio = recorded(16_000, 12);
        let audio = Audio::new(16_000, vec![audio.channels()[0][..190_001].to_vec()]).unwrap();
        let stft = Stft::new(&Config::default().stft, 16_000.0).unwrap();
        let drive: Arc<[f32]> = law::drive(audio.channels()).into();
        let weighing = weighing_of(&drive, drive.len(), &stft, &Partials::default(), &[], &Config::default());
        for law in families() {
            let values = law.parameters().iter().map(|p| p.default).collect::<Vec<_>>();
            let mut runner = Runner::new(law.as_ref(), &values, false, &stft, drive.len());
            each_block(&audio, 7 * stft.hop_samples(), &mut |_, channels| {
                runner.hear(&law::drive(channels));
                Ok(())
            })
            .unwrap();
            let frames = FrameGain::new(&stft, drive.len()).frames_db(&runner.finish());
            assert_eq!(frames, weighing.frame_gain_db(law.as_ref(), &values, false), "{}", law.name());
        }
    }

    #[test]
    fn pieces_tell_what_the_whole_tells() {
        // Three pieces, the last a short one.
        let audio = recorded(8_000, 200);
        let config = config();
        let whole = super::super::whole(&audio, &config, &()).unwrap();
        let pieces = analyze(&audio, &config, &()).unwrap();
        assert_eq!(pieces.verdict, Verdict::Agc, "{:?}", pieces.evidence);
        assert_eq!(pieces.verdict, whole.verdict);
        let values = |a: &Analysis| a.law.as_ref().unwrap().values();
        for (a, b) in values(&pieces).iter().zip(values(&whole)) {
            assert!((a / b - 1.0).abs() < 1e-3, "{a} {b}");
        }
        assert_eq!(pieces.gain_curve.gain_db.len(), whole.gain_curve.gain_db.len());
        for (a, b) in pieces.gain_curve.gain_db.iter().zip(&whole.gain_curve.gain_db) {
            assert!((a - b).abs() < 0.01, "{a} {b}");
        }
        assert_eq!(pieces.events.len(), whole.events.len());
        // Partials are cut at two borders: nothing but the decays that ring across them may differ.
        let near = |a: usize, b: usize| a.abs_diff(b) <= 20;
        assert!(near(pieces.decays.len(), whole.decays.len()), "{} {}", pieces.decays.len(), whole.decays.len());
        assert!(
            near(pieces.evidence.onset_len, whole.evidence.onset_len),
            "{:?} {:?}",
            pieces.evidence,
            whole.evidence
        );
        assert!((pieces.evidence.j_with_gain / whole.evidence.j_with_gain - 1.0).abs() < 0.02);
        let last = |a: &Analysis| a.decays.iter().map(|d| d.end_s).fold(0.0, f64::max);
        assert!((last(&pieces) - last(&whole)).abs() < 1e-6 && last(&whole) > 190.0);
        assert_eq!(pieces.input, whole.input);
        assert_eq!(pieces.warnings, whole.warnings);
    }

    #[test]
    fn a_long_recording_without_a_gain_control_is_left_alone() {
        let audio = recorded(8_000, 120);
        let undone = {
            let drive = law::drive(audio.channels());
            let law = Compressor::new(Smoothed::Power);
            let gain = gain_of(&law, &[-30.0, 0.7, 6.0, 0.005, 0.2], 8_000.0, &drive, Direction::Inverse);
            drive.iter().zip(&gain).map(|(y, g)| y / g).collect::<Vec<_>>()
        };
        let analysis = analyze(&Audio::new(8_000, vec![undone]).unwrap(), &config(), &()).unwrap();
        assert_ne!(analysis.verdict, Verdict::Agc, "{:?}", analysis.evidence);
        assert!(analysis.events.is_empty() && !analysis.decays.is_empty());
    }

    #[test]
    fn an_observer_stops_a_long_analysis_in_its_pieces() {
        struct UpTo(f64);
        impl Observer for UpTo {
            fn progress(&self, stage: Stage, fraction: f64) -> bool {
                stage != Stage::Verdict || fraction < self.0
            }
        }
        // Two rounds of pieces.
        let audio = recorded(8_000, 370);
        for up_to in [0.1, 0.6, 0.71] {
            assert!(matches!(analyze(&audio, &config(), &UpTo(up_to)), Err(Error::Cancelled)), "{up_to}");
        }
    }

    #[cfg(feature = "parallel")]
    #[test]
    fn one_two_and_four_threads_tell_the_same() {
        let audio = recorded(8_000, 100);
        let mut config = config();
        // A law that runs side by side, one that does not, and one with a ceiling.
        config.fit.laws =
            families().into_iter().filter(|l| ["compressor", "leveller", "limiter"].contains(&l.name())).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let both = || (analyze(&audio, &config, &()).unwrap(), super::super::whole(&audio, &config, &()).unwrap());
            format!("{:?}", pool.install(both))
        };
        let one = on(1);
        assert!(one == on(2) && one == on(4));
    }
}
