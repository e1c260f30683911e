//! The alignment of a phone's recording with a microphone's: offset, drift, and how sure.

use super::coarse::{self, Coarse};
use super::drift::{self, Line};
use super::onset_strength::OnsetStrength;
use super::phat::{self, Delay};
use super::resample::{Positions, resample};
use crate::audio::Audio;
use crate::error::Error;
use serde::Serialize;

/// How two recordings are aligned.
#[derive(Debug, Clone, PartialEq)]
pub struct AlignConfig {
    /// Rough lines that are tried in turn before the two are called unrelated.
    pub candidate_len: usize,
    /// How far from a rough line delays are looked for, in seconds: the rough line is good to some 20 ms, and jumps of up
    /// to this size are followed.
    pub search_s: f64,
    /// Fewest windows that must agree.
    pub min_agreeing: usize,
    /// Smallest share of the audible windows that must agree. Unrelated recordings with many windows in common reach 0.1 to
    /// 0.2; overlaps of few windows, where chance reaches 0.5, are refused by `min_agreeing`.
    pub min_confidence: f64,
}

impl Default for AlignConfig {
    fn default() -> Self {
        Self { candidate_len: 3, search_s: 0.06, min_agreeing: 6, min_confidence: 0.3 }
    }
}

/// Whether one of the two has its polarity inverted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Polarity {
    /// Both the same.
    Same,
    /// One is inverted.
    Inverted,
}

/// How the phone's channels belong to the microphone's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChannelOrder {
    /// Left is left.
    Same,
    /// Left is right.
    Swapped,
    /// The channels do not tell: one of the two is not stereo, or its channels are too alike.
    Unclear,
}

/// A stretch of the recording with one offset and one drift.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AlignedPiece {
    /// Beginning on the microphone's clock, in seconds.
    pub from_s: f64,
    /// End on the microphone's clock, in seconds.
    pub to_s: f64,
    /// Microphone's time of the phone's first sample, were the whole recording like this piece; in seconds.
    pub offset_s: f64,
    /// Drift of the phone's clock, in ppm.
    pub drift_ppm: f64,
}

impl AlignedPiece {
    /// The phone's time that belongs to the microphone's: `t = (T - offset) (1 + drift)`.
    #[must_use]
    pub fn phone_time_s(&self, mic_time_s: f64) -> f64 {
        (mic_time_s - self.offset_s) * (1.0 + self.drift_ppm * 1e-6)
    }
}

/// How two recordings run together; symbols as in [`crate::pair`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alignment {
    /// Microphone's time of the phone's first sample, in seconds; negative where the phone began first.
    pub offset_s: f64,
    /// Its standard error, in seconds, from the scatter of the windows.
    pub offset_error_s: f64,
    /// Drift of the phone's clock, in ppm; positive where it runs fast.
    pub drift_ppm: f64,
    /// Its standard error, in ppm.
    pub drift_error_ppm: f64,
    /// Robust standard deviation of the windows' delays around the line, in seconds.
    pub jitter_s: f64,
    /// Windows with enough sound in both recordings.
    pub window_len: usize,
    /// Windows within a millisecond of the line.
    pub agreeing_len: usize,
    /// Their share, 0 to 1.
    pub confidence: f64,
    /// Length of what both recordings hold, in seconds.
    pub overlap_s: f64,
    /// Whether one is turned upside down.
    pub polarity: Polarity,
    /// Whether left and right are exchanged.
    pub channels: ChannelOrder,
    /// One piece, or several where the phone lost or repeated sound. The numbers above are those of the longest.
    pub pieces: Vec<AlignedPiece>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// They belong together.
    Aligned(Alignment),
    /// They are not the same performance, or share too little of it.
    Unrelated {
        /// Why, in one plain sentence.
        reason: String,
    },
}

/// Shortest common stretch, in seconds.
const MIN_OVERLAP_S: f64 = 3.0;
/// Search around a line that was refined already, in seconds.
const FINE_SEARCH_S: f64 = 0.006;
/// Rounds of refinement: after the first the windows are no longer smeared by drift.
const FINE_ROUNDS: usize = 2;
/// By how much one order of channels must correlate better than the other.
const CLEARLY: f64 = 1.15;

/// Aligns a phone's recording with a microphone's.
///
/// **Units.** Seconds and ppm. Rates may differ; levels, responses and channel counts do not matter.
///
/// # Errors
/// [`Error::Invalid`] as [`crate::stft::Stft::new`] and [`resample`]. Recordings that do not belong together are no error:
/// [`Outcome::Unrelated`].
pub fn align(phone: &Audio, mic: &Audio, config: &AlignConfig) -> Result<Outcome, Error> {
    let pair = Pair::new(phone, mic)?;
    let same_rate = Audio::new(mic.sample_rate_hz(), vec![pair.phone.clone()])?;
    let mono_mic = Audio::new(mic.sample_rate_hz(), vec![pair.mic.clone()])?;
    let rough = coarse::find(&OnsetStrength::of(&same_rate)?, &OnsetStrength::of(&mono_mic)?, config.candidate_len);
    if rough.is_empty() {
        return Ok(Outcome::Unrelated { reason: "they are too short, or silent".to_owned() });
    }
    let mut best: Option<(Vec<AlignedPiece>, Quality)> = None;
    for coarse in &rough {
        let guess = [whole(coarse)];
        let Some(found) = pair.refine(&guess, config.search_s)? else { continue };
        if best.as_ref().is_none_or(|(_, quality)| found.1.agreeing_len > quality.agreeing_len) {
            best = Some(found);
        }
        if best.as_ref().is_some_and(|(_, quality)| quality.confidence() > 0.6) {
            break;
        }
    }
    let Some((mut pieces, mut quality)) = best else {
        return Ok(Outcome::Unrelated { reason: "they share no passage with enough sound in both".to_owned() });
    };
    if quality.agreeing_len < config.min_agreeing || quality.confidence() < config.min_confidence {
        let reason = format!(
            "at the best of all offsets only {} of {} windows agree on the delay",
            quality.agreeing_len, quality.window_len
        );
        return Ok(Outcome::Unrelated { reason });
    }
    for _ in 0..FINE_ROUNDS {
        if let Some(found) = pair.refine(&pieces, FINE_SEARCH_S)?
            && found.1.agreeing_len + found.1.agreeing_len / 4 >= quality.agreeing_len
        {
            (pieces, quality) = found;
        }
    }
    let longest = pieces.iter().copied().max_by(|a, b| (a.to_s - a.from_s).total_cmp(&(b.to_s - b.from_s)));
    let Some(longest) = longest else {
        return Ok(Outcome::Unrelated { reason: "they share no passage with enough sound in both".to_owned() });
    };
    let channels = channel_order(phone, mic, &pieces)?;
    Ok(Outcome::Aligned(Alignment {
        offset_s: longest.offset_s,
        offset_error_s: quality.offset_error_s,
        drift_ppm: longest.drift_ppm,
        drift_error_ppm: quality.drift_error_ppm,
        jitter_s: quality.jitter_s,
        window_len: quality.window_len,
        agreeing_len: quality.agreeing_len,
        confidence: quality.confidence(),
        overlap_s: pieces.iter().map(|p| p.to_s - p.from_s).sum(),
        polarity: if quality.is_inverted { Polarity::Inverted } else { Polarity::Same },
        channels,
        pieces,
    }))
}

/// The phone's channels on the microphone's clock: as many samples as the microphone, at its rate; silence where the phone
/// has none. Polarity is turned back and swapped channels are exchanged.
///
/// # Errors
/// As [`resample`].
pub fn aligned(phone: &Audio, mic: &Audio, alignment: &Alignment) -> Result<Audio, Error> {
    let mut channels = on_mic_clock(
        phone.channels(),
        f64::from(phone.sample_rate_hz()),
        f64::from(mic.sample_rate_hz()),
        mic.sample_len(),
        &alignment.pieces,
    )?;
    if alignment.polarity == Polarity::Inverted {
        channels.iter_mut().flatten().for_each(|x| *x = -*x);
    }
    if alignment.channels == ChannelOrder::Swapped {
        channels.swap(0, 1);
    }
    Audio::new(mic.sample_rate_hz(), channels)
}

/// The microphone's channels on the phone's clock: as many samples as the phone, at its rate; silence where the microphone has
/// none.
///
/// # Errors
/// As [`resample`].
pub fn mic_on_phone_clock(phone: &Audio, mic: &Audio, alignment: &Alignment) -> Result<Audio, Error> {
    let (phone_rate_hz, mic_rate_hz) = (f64::from(phone.sample_rate_hz()), f64::from(mic.sample_rate_hz()));
    let len = phone.sample_len();
    let mut out = vec![Vec::with_capacity(len); mic.channels().len()];
    for (k, piece) in alignment.pieces.iter().enumerate() {
        let from = out.first().map_or(0, Vec::len);
        let end = (piece.phone_time_s(piece.to_s) * phone_rate_hz).max(0.0) as usize;
        let to = if k + 1 == alignment.pieces.len() { len } else { end.min(len) };
        if to <= from {
            continue;
        }
        let clock = 1.0 + piece.drift_ppm * 1e-6;
        let first = (piece.offset_s + from as f64 / phone_rate_hz / clock) * mic_rate_hz;
        let step = mic_rate_hz / phone_rate_hz / clock;
        for (out, part) in out.iter_mut().zip(resample(mic.channels(), Positions { first, step, len: to - from })?) {
            out.extend(part);
        }
    }
    Audio::new(phone.sample_rate_hz(), out)
}

/// A rough line as one piece over all time.
fn whole(coarse: &Coarse) -> AlignedPiece {
    AlignedPiece {
        from_s: f64::NEG_INFINITY,
        to_s: f64::INFINITY,
        offset_s: coarse.offset_s,
        drift_ppm: coarse.drift_ppm,
    }
}

/// Channels of the phone at the microphone's sample times `0 .. len`; the first piece reaches back and the last one on.
fn on_mic_clock(
    channels: &[Vec<f32>],
    phone_rate_hz: f64,
    mic_rate_hz: f64,
    len: usize,
    pieces: &[AlignedPiece],
) -> Result<Vec<Vec<f32>>, Error> {
    let mut out = vec![Vec::with_capacity(len); channels.len()];
    for (k, piece) in pieces.iter().enumerate() {
        let from = out.first().map_or(0, Vec::len);
        let to = if k + 1 == pieces.len() { len } else { ((piece.to_s * mic_rate_hz).max(0.0) as usize).min(len) };
        if to <= from {
            continue;
        }
        let first = piece.phone_time_s(from as f64 / mic_rate_hz) * phone_rate_hz;
        let step = (1.0 + piece.drift_ppm * 1e-6) * phone_rate_hz / mic_rate_hz;
        for (out, part) in out.iter_mut().zip(resample(channels, Positions { first, step, len: to - from })?) {
            out.extend(part);
        }
    }
    Ok(out)
}

/// How well a line holds.
#[derive(Debug, Clone, Copy)]
struct Quality {
    offset_error_s: f64,
    drift_error_ppm: f64,
    jitter_s: f64,
    window_len: usize,
    agreeing_len: usize,
    is_inverted: bool,
}

impl Quality {
    fn confidence(&self) -> f64 {
        self.agreeing_len as f64 / self.window_len.max(1) as f64
    }
}

/// Both recordings as one channel each, at the microphone's nominal rate.
struct Pair {
    phone: Vec<f32>,
    mic: Vec<f32>,
    rate_hz: f64,
}

impl Pair {
    fn new(phone: &Audio, mic: &Audio) -> Result<Self, Error> {
        let (phone_rate_hz, rate_hz) = (f64::from(phone.sample_rate_hz()), f64::from(mic.sample_rate_hz()));
        let mut phone_mono = mixed(phone);
        if phone.sample_rate_hz() != mic.sample_rate_hz() {
            let step = phone_rate_hz / rate_hz;
            let len = (phone_mono.len() as f64 / step) as usize;
            phone_mono = resample(&[phone_mono], Positions { first: 0.0, step, len })?.swap_remove(0);
        }
        Ok(Self { phone: phone_mono, mic: mixed(mic), rate_hz })
    }

    /// Pieces again, from the delays that are left when the phone is laid on the microphone's clock by `pieces`.
    fn refine(&self, pieces: &[AlignedPiece], search_s: f64) -> Result<Option<(Vec<AlignedPiece>, Quality)>, Error> {
        let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else { return Ok(None) };
        let phone_s = self.phone.len() as f64 / self.rate_hz;
        let mic_s = self.mic.len() as f64 / self.rate_hz;
        let begin_s = first.offset_s.max(0.0);
        let end_s = (last.offset_s + phone_s / (1.0 + last.drift_ppm * 1e-6)).min(mic_s);
        if end_s - begin_s < MIN_OVERLAP_S {
            return Ok(None);
        }
        let (begin, end) = ((begin_s * self.rate_hz).ceil() as usize, (end_s * self.rate_hz) as usize);
        let start_s = begin as f64 / self.rate_hz;
        let shifted = pieces
            .iter()
            .map(|p| AlignedPiece {
                from_s: p.from_s - start_s,
                to_s: p.to_s - start_s,
                offset_s: p.offset_s - start_s,
                ..*p
            })
            .collect::<Vec<_>>();
        let phone = on_mic_clock(std::slice::from_ref(&self.phone), self.rate_hz, self.rate_hz, end - begin, &shifted)?;
        let mic = &self.mic[begin..end.min(self.mic.len())];
        let mut delays = phat::delays(&phone[0], mic, self.rate_hz, search_s);
        delays.iter_mut().for_each(|d| d.time_s += start_s);
        let inverted_len = delays.iter().filter(|d| d.is_inverted).map(|d| d.height).sum::<f64>();
        let upright_len = delays.iter().filter(|d| !d.is_inverted).map(|d| d.height).sum::<f64>();
        // Known pieces are refined one by one, all or none; from a single one, more may come.
        let lines = if pieces.len() == 1 {
            drift::pieces(&delays)
        } else {
            pieces.iter().map(|p| line_within(&delays, p)).collect::<Option<Vec<_>>>().unwrap_or_default()
        };
        Ok(combine(pieces, &lines, &delays, (begin_s, end_s), inverted_len > upright_len))
    }
}

fn line_within(delays: &[Delay], piece: &AlignedPiece) -> Option<Line> {
    let inside = delays.iter().filter(|d| (piece.from_s..piece.to_s).contains(&d.time_s)).copied().collect::<Vec<_>>();
    drift::line(&inside).map(|line| Line { from_s: piece.from_s, to_s: piece.to_s, ..line })
}

/// The phone is late by `delay(T)` after being read at `t(T)`: it should be read at `t(T + delay(T))`.
fn combine(
    pieces: &[AlignedPiece],
    lines: &[Line],
    delays: &[Delay],
    range_s: (f64, f64),
    is_inverted: bool,
) -> Option<(Vec<AlignedPiece>, Quality)> {
    let longest = lines.iter().max_by(|a, b| (a.to_s - a.from_s).total_cmp(&(b.to_s - b.from_s)))?;
    let last = lines.len() - 1;
    let out = lines
        .iter()
        .enumerate()
        .map(|(k, line)| {
            let old = if pieces.len() == lines.len() { &pieces[k] } else { &pieces[0] };
            // t = (T + delay(T) - offset)(1 + d), linear in T with slope (1 + s)(1 + d).
            let rate = (1.0 + line.slope) * (1.0 + old.drift_ppm * 1e-6);
            let at_zero = (line.at(0.0) - old.offset_s) * (1.0 + old.drift_ppm * 1e-6);
            AlignedPiece {
                from_s: if k == 0 { range_s.0 } else { line.from_s },
                to_s: if k == last { range_s.1 } else { line.to_s },
                offset_s: -at_zero / rate,
                drift_ppm: (rate - 1.0) * 1e6,
            }
        })
        .collect::<Vec<_>>();
    let agreeing_len = lines.iter().map(|l| l.agreeing_len).sum();
    let quality = Quality {
        offset_error_s: longest.delay_error_s.hypot(longest.slope_error * (out[0].offset_s - longest.time_s)),
        drift_error_ppm: longest.slope_error * 1e6,
        jitter_s: longest.jitter_s,
        window_len: delays.len(),
        agreeing_len,
        is_inverted,
    };
    Some((out, quality))
}

/// Mean of all channels; of the loudest channel alone where the mean cancels.
pub(super) fn mixed(audio: &Audio) -> Vec<f32> {
    let channels = audio.channels();
    if channels.len() == 1 {
        return channels[0].clone();
    }
    let mean = (0..audio.sample_len())
        .map(|n| channels.iter().map(|c| c[n]).sum::<f32>() / channels.len() as f32)
        .collect::<Vec<_>>();
    let power = |x: &[f32]| x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
    let loudest = channels.iter().max_by(|a, b| power(a).total_cmp(&power(b)));
    match loudest {
        // Channels without anything in common have a mean of half the power each: far less means that they cancel.
        Some(loudest) if power(&mean) < 0.1 * power(loudest) => loudest.clone(),
        _ => mean,
    }
}

/// Compares left with left and right with right against left with right, by the heights of the delay peaks.
fn channel_order(phone: &Audio, mic: &Audio, pieces: &[AlignedPiece]) -> Result<ChannelOrder, Error> {
    let ([_, _], [mic_left, mic_right]) = (phone.channels(), mic.channels()) else {
        return Ok(ChannelOrder::Unclear);
    };
    let rate_hz = f64::from(mic.sample_rate_hz());
    let phone = on_mic_clock(phone.channels(), f64::from(phone.sample_rate_hz()), rate_hz, mic.sample_len(), pieces)?;
    let agreement = |a: &[f32], b: &[f32]| {
        let delays = phat::delays(a, b, rate_hz, FINE_SEARCH_S);
        delays.iter().map(|d| d.height).sum::<f64>()
    };
    let same = agreement(&phone[0], mic_left) + agreement(&phone[1], mic_right);
    let swapped = agreement(&phone[0], mic_right) + agreement(&phone[1], mic_left);
    Ok(if same > CLEARLY * swapped {
        ChannelOrder::Same
    } else if swapped > CLEARLY * same {
        ChannelOrder::Swapped
    } else {
        ChannelOrder::Unclear
    })
}
