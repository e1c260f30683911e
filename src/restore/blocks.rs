//! The same restoration of a recording that need not be in memory: block by block, as often as somebody asks.
//!
//! The blocks are bit for bit those of [`super::restore`], but for laws with landings, which are followed in pieces of a
//! minute and a half that each begin ten seconds early.

use super::{Curve, Level, Meter, divide, is_undone, law_named, overall_gain_db, turn_down};
use crate::analysis::{Analysis, GainCurve};
use crate::analyze::Config;
use crate::analyze::pieces::{TakeBlock, each_block, frame_pieces, landed_piece};
use crate::error::Error;
use crate::law::{self, GainControl, Law, LawFit};
use crate::progress::{Observer, Stage};
use crate::sound::Sound;
use crate::stft::Stft;
use crate::units::db_from_amplitude;
use std::sync::Arc;

/// Samples of each channel in a block.
const BLOCK_SAMPLES: usize = 1 << 16;

/// A restoration that is worked out block by block, whenever it is asked for.
pub struct Restoration<'a> {
    sound: &'a dyn Sound,
    undo: Undo,
    /// The device's median gain, which counts as 1.
    median: f32,
    /// The overall constant in dB: 0 where nothing was changed.
    pub overall_gain_db: f64,
    /// True peak of the result, in dBTP (ITU-R BS.1770).
    pub true_peak_dbtp: f64,
}

impl std::fmt::Debug for Restoration<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restoration")
            .field("undo", &self.undo)
            .field("overall_gain_db", &self.overall_gain_db)
            .field("true_peak_dbtp", &self.true_peak_dbtp)
            .finish_non_exhaustive()
    }
}

/// Where the gain comes from.
#[derive(Debug)]
enum Undo {
    Nothing,
    Law(Arc<dyn Law>, Vec<f64>),
    Landed(Arc<dyn Law>, LawFit, Stft),
    Curve(Curve),
}

impl Undo {
    fn of_law(fit: &LawFit, sound: &dyn Sound, config: &Config) -> Result<Self, Error> {
        let law = Arc::clone(law_named(fit, &config.fit.laws)?);
        let stft = Stft::new(&config.stft, f64::from(sound.sample_rate_hz()))?;
        if fit.landings.is_empty() || !law.has_ceiling() || stft.frame_len(sound.sample_len()) == 0 {
            return Ok(Self::Law(law, fit.values()));
        }
        Ok(Self::Landed(law, fit.clone(), stft))
    }
}

/// As [`super::restore`], of a recording that need not be in memory. The recording is read twice, and for laws twice more,
/// to know their median gain; every call of [`Restoration::blocks`] reads it again.
///
/// # Errors
/// As [`super::restore`]; [`Error::Io`] where the samples cannot be read, [`Error::Cancelled`] when the observer says so.
pub fn restore_sound<'a>(
    sound: &'a dyn Sound,
    analysis: &Analysis,
    config: &Config,
    observer: &dyn Observer,
) -> Result<Restoration<'a>, Error> {
    let is_undone = is_undone(analysis, config);
    let undo = match &analysis.law {
        _ if !is_undone => Undo::Nothing,
        None => Undo::Curve(Curve::new(&analysis.gain_curve, sound.sample_rate_hz())?),
        Some(fit) => Undo::of_law(fit, sound, config)?,
    };
    let mut out = Restoration { sound, undo, median: 1.0, overall_gain_db: 0.0, true_peak_dbtp: 0.0 };
    let go_on =
        |fraction: f64| if observer.progress(Stage::Restore, fraction) { Ok(()) } else { Err(Error::Cancelled) };
    if matches!(out.undo, Undo::Law(..) | Undo::Landed(..)) {
        out.median = out.median_gain(&go_on)?;
    }
    let mut meter = Meter::new(sound.sample_rate_hz(), sound.channel_len())?;
    out.divided(&mut |start, channels| {
        go_on(0.5 + 0.5 * start as f64 / sound.sample_len() as f64)?;
        meter.hear(channels)
    })?;
    let peak_dbtp = meter.finish()?;
    let level = if is_undone { config.restore.level } else { Level::Keep };
    out.overall_gain_db = overall_gain_db(peak_dbtp, level);
    out.true_peak_dbtp = peak_dbtp + out.overall_gain_db;
    Ok(out)
}

/// Takes a block: its first sample's place, its channels, and its gains where it has any.
type Take<'t> = &'t mut dyn FnMut(usize, &mut Vec<Vec<f32>>, &mut [f32]) -> Result<(), Error>;

/// Takes a block of restored samples: its channels.
pub type TakeRestored<'t> = dyn FnMut(&[Vec<f32>]) -> Result<(), Error> + 't;

impl Restoration<'_> {
    /// Samples per second.
    #[must_use]
    pub fn sample_rate_hz(&self) -> u32 {
        self.sound.sample_rate_hz()
    }

    /// Channels.
    #[must_use]
    pub fn channel_len(&self) -> usize {
        self.sound.channel_len()
    }

    /// Samples in each channel.
    #[must_use]
    pub fn sample_len(&self) -> usize {
        self.sound.sample_len()
    }

    /// Hands the restored samples out, front to back: planar blocks of any length.
    ///
    /// # Errors
    /// [`Error::Io`] where the samples cannot be read, [`Error::Invalid`] as [`super::apply_gain`], and whatever `take` says.
    pub fn blocks(&self, take: &mut TakeRestored<'_>) -> Result<(), Error> {
        self.divided(&mut |_, channels| {
            turn_down(channels, self.overall_gain_db);
            take(channels)
        })
    }

    /// The recording divided by the gain, before the overall constant.
    fn divided(&self, take: &mut TakeBlock<'_>) -> Result<(), Error> {
        let median = self.median;
        self.gains(&mut |start, channels, gain| {
            if !gain.is_empty() {
                if median != 1.0 {
                    gain.iter_mut().for_each(|g| *g /= median);
                }
                divide(channels, gain, start)?;
            }
            take(start, channels)
        })
    }

    /// The recording with the gain of each sample.
    fn gains(&self, take: Take<'_>) -> Result<(), Error> {
        let sound = self.sound;
        let mut gain = Vec::new();
        match &self.undo {
            Undo::Nothing => each_block(sound, BLOCK_SAMPLES, &mut |start, channels| take(start, channels, &mut [])),
            Undo::Curve(curve) => each_block(sound, BLOCK_SAMPLES, &mut |start, channels| {
                gain.resize(channels[0].len(), 1.0);
                curve.fill(start, &mut gain);
                take(start, channels, &mut gain)
            }),
            Undo::Law(law, values) => {
                let mut running = law.start(values, f64::from(sound.sample_rate_hz()));
                let latency = running.latency_samples();
                let mut ahead = Ahead { sound, heard_len: 0, channels: Vec::new() };
                if latency > 0 {
                    ahead.hear(running.as_mut(), latency, &mut gain)?;
                }
                each_block(sound, BLOCK_SAMPLES, &mut |start, channels| {
                    if latency == 0 {
                        follow(running.as_mut(), &law::drive(channels), &mut gain);
                    } else {
                        ahead.hear(running.as_mut(), channels[0].len(), &mut gain)?;
                    }
                    take(start, channels, &mut gain)
                })
            }
            Undo::Landed(law, fit, stft) => self.landed_gains(law.as_ref(), fit, stft, take),
        }
    }

    fn landed_gains(&self, law: &dyn Law, fit: &LawFit, stft: &Stft, take: Take<'_>) -> Result<(), Error> {
        let sound = self.sound;
        let pieces = frame_pieces(stft, sound.sample_len());
        let hop = stft.hop_samples();
        let mut channels = Vec::new();
        for (k, frames) in pieces.iter().enumerate() {
            let piece = landed_piece(sound, stft, law, &fit.values(), &fit.landings, frames.clone())?;
            // What follows the last whole window belongs to the last piece.
            let end = if k + 1 == pieces.len() { sound.sample_len() } else { frames.end * hop };
            let lead_samples = piece.lead * hop;
            let mut gain =
                law::samples_of(&piece.marks, stft.sample_rate_hz(), lead_samples + end - frames.start * hop);
            for start in (frames.start * hop..end).step_by(BLOCK_SAMPLES) {
                let stop = end.min(start + BLOCK_SAMPLES);
                sound.read(start..stop, &mut channels)?;
                let from = lead_samples + start - frames.start * hop;
                take(start, &mut channels, &mut gain[from..from + stop - start])?;
            }
        }
        Ok(())
    }

    /// The median of all samples' gains: that which [`slice::select_nth_unstable`] finds at the middle of all of them.
    ///
    /// Positive floats are in the order of their bits, so that counting their upper bits, and then the lower bits of those
    /// that share the median's upper ones, is exact.
    fn median_gain(&self, go_on: &dyn Fn(f64) -> Result<(), Error>) -> Result<f32, Error> {
        let sample_len = self.sound.sample_len();
        let middle = (sample_len / 2) as u64;
        let mut upper = vec![0u64; 1 << (32 - LOWER_BITS)];
        self.gains(&mut |start, _, gain| {
            go_on(0.25 * start as f64 / sample_len as f64)?;
            gain.iter().for_each(|g| upper[(g.to_bits() >> LOWER_BITS) as usize] += 1);
            Ok(())
        })?;
        let (bin, before) = bin_at(&upper, middle);
        let mut lower = vec![0u64; 1 << LOWER_BITS];
        self.gains(&mut |start, _, gain| {
            go_on(0.25 + 0.25 * start as f64 / sample_len as f64)?;
            let own = gain.iter().map(|g| g.to_bits()).filter(|bits| (bits >> LOWER_BITS) as usize == bin);
            own.for_each(|bits| lower[(bits & ((1 << LOWER_BITS) - 1)) as usize] += 1);
            Ok(())
        })?;
        let (low, _) = bin_at(&lower, middle - before);
        Ok(f32::from_bits(((bin as u32) << LOWER_BITS) | low as u32))
    }
}

/// Bits that are counted in the second round.
const LOWER_BITS: u32 = 12;

/// The bin that holds the value of a rank, and how many values lie before it.
fn bin_at(counts: &[u64], rank: u64) -> (usize, u64) {
    let mut before = 0;
    for (bin, count) in counts.iter().enumerate() {
        if before + count > rank {
            return (bin, before);
        }
        before += count;
    }
    (0, 0)
}

/// The gain curve of a law that is given, as the device's gain at every `hop_s`, offset free; its band is not known.
///
/// # Errors
/// As [`restore_sound`].
pub fn curve_of_law(sound: &dyn Sound, fit: &LawFit, config: &Config, hop_s: f64) -> Result<GainCurve, Error> {
    let undo = Undo::of_law(fit, sound, config)?;
    let followed = Restoration { sound, undo, median: 1.0, overall_gain_db: 0.0, true_peak_dbtp: 0.0 };
    let hop_samples = hop_s * f64::from(sound.sample_rate_hz());
    let entry_len = (sound.sample_len() as f64 / hop_samples) as usize + 1;
    let mut gain_db = Vec::with_capacity(entry_len);
    followed.gains(&mut |start, _, gain| {
        let end = start + gain.len();
        let is_last = end == sound.sample_len();
        while gain_db.len() < entry_len {
            let n = (gain_db.len() as f64 * hop_samples) as usize;
            let n = if is_last { n.min(end - 1) } else { n };
            let Some(gain) = n.checked_sub(start).and_then(|n| gain.get(n)) else { break };
            gain_db.push(db_from_amplitude(f64::from(*gain)));
        }
        Ok(())
    })?;
    gain_db.resize(entry_len, gain_db.last().copied().unwrap_or(0.0));
    let mut sorted = gain_db.clone();
    sorted.sort_by(f64::total_cmp);
    let median_db = sorted[sorted.len() / 2];
    gain_db.iter_mut().for_each(|gain_db| *gain_db -= median_db);
    Ok(GainCurve { start_s: 0.0, hop_s, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db })
}

/// Runs a law over one block, in the same steps as over a whole recording.
fn follow(running: &mut dyn GainControl, drive: &[f32], gain: &mut Vec<f32>) {
    gain.resize(drive.len(), 1.0);
    for (drive, gain) in drive.chunks(law::BLOCK_SAMPLES).zip(gain.chunks_mut(law::BLOCK_SAMPLES)) {
        running.inverse(drive, gain);
    }
}

/// What a law that looks ahead hears: the recording, some samples before they are its turn, and silence behind its end.
struct Ahead<'a> {
    sound: &'a dyn Sound,
    heard_len: usize,
    channels: Vec<Vec<f32>>,
}

impl Ahead<'_> {
    /// Lets the law hear the next `len` samples.
    fn hear(&mut self, running: &mut dyn GainControl, len: usize, gain: &mut Vec<f32>) -> Result<(), Error> {
        let sample_len = self.sound.sample_len();
        let start = self.heard_len.min(sample_len);
        self.sound.read(start..sample_len.min(start + len), &mut self.channels)?;
        let mut drive = law::drive(&self.channels);
        drive.resize(len, 0.0);
        self.heard_len += len;
        follow(running, &drive, gain);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::analysis::Verdict;
    use crate::audio::Audio;
    use crate::law::families;
    use crate::report::specimen;
    use crate::restore::{RestoreConfig, Trust, restore};

    /// Three blocks, the last cut off, in two channels of which either may be the louder.
    fn audio() -> Audio {
        let sample = |n: usize, hz: f64| {
            let t = n as f64 / 16_000.0;
            (0.7 * (-2.0 * (t % 0.7)).exp() * (std::f64::consts::TAU * hz * t).sin()) as f32
        };
        let channel = |hz: f64| (0..2 * BLOCK_SAMPLES + 7_777).map(|n| sample(n, hz)).collect();
        Audio::new(16_000, vec![channel(330.0), channel(247.0)]).unwrap()
    }

    fn config(level: Level) -> Config {
        let mut config = Config { restore: RestoreConfig { level, trust: Trust::Caller }, ..Config::default() };
        config.fit.laws = families();
        config
    }

    fn blocks_of(restoration: &Restoration<'_>) -> Vec<Vec<f32>> {
        let mut out = vec![Vec::new(); restoration.channel_len()];
        let take = &mut |block: &[Vec<f32>]| {
            out.iter_mut().zip(block).for_each(|(out, block)| out.extend_from_slice(block));
            Ok(())
        };
        restoration.blocks(take).unwrap();
        out
    }

    fn assert_same(analysis: &Analysis, config: &Config, of: &str) {
        let audio = audio();
        let whole = restore(&audio, analysis, config).unwrap();
        let blocks = restore_sound(&audio, analysis, config, &()).unwrap();
        assert_eq!(blocks.overall_gain_db, whole.overall_gain_db, "{of}");
        assert_eq!(blocks.true_peak_dbtp, whole.true_peak_dbtp, "{of}");
        assert!(blocks_of(&blocks) == whole.audio.channels(), "{of}: samples differ");
    }

    #[test]
    fn laws_and_curves_undone_in_blocks_are_undone_whole_to_the_last_bit() {
        let curve = specimen::analysis(&audio(), Verdict::Agc, |t| 6.0 * (3.0 * t).sin());
        let config = config(Level::KeepBelowMinusOneDbtp);
        assert_same(&Analysis { law: None, ..curve.clone() }, &config, "curve");
        assert_same(&Analysis { verdict: Verdict::None, ..curve.clone() }, &config, "nothing");
        for law in families() {
            let parameter = |p: &law::Parameter| law::FittedParameter {
                name: p.name.to_owned(),
                unit: p.unit.to_owned(),
                value: p.default,
                lower: p.default,
                upper: p.default,
            };
            let parameters = law.parameters().iter().map(parameter).collect();
            let fit = LawFit { name: law.name().to_owned(), parameters, landings: Vec::new() };
            assert_same(&Analysis { law: Some(fit), ..curve.clone() }, &config, law.name());
        }
    }

    #[test]
    fn the_median_is_that_of_all_samples() {
        let audio = audio();
        let mut analysis = specimen::analysis(&audio, Verdict::Agc, |t| 6.0 * (3.0 * t).sin());
        analysis.law = None;
        let restoration = restore_sound(&audio, &analysis, &config(Level::Keep), &()).unwrap();
        let mut all = Vec::new();
        restoration
            .gains(&mut |_, _, gain| {
                all.extend_from_slice(gain);
                Ok(())
            })
            .unwrap();
        let middle = all.len() / 2;
        let expected = *all.select_nth_unstable_by(middle, f32::total_cmp).1;
        assert_eq!(restoration.median_gain(&|_| Ok(())).unwrap().to_bits(), expected.to_bits());
    }
}
