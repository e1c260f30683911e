//! The restoration of a recording that need not be in memory: block by block, as often as somebody asks.
//!
//! Of a recording that is held ([`sound::is_held`]), the gains are worked out once and kept. Of a longer one they are worked
//! out at every round, landings in pieces of a minute and a half that each begin ten seconds early.

use super::{
    Curve, Level, Meter, divide, gain_at_samples, gains_of_law, is_undone, law_named, overall_gain_db, turn_down,
};
use crate::analysis::{Analysis, GainCurve};
use crate::analyze::Config;
use crate::analyze::pieces::{each_block, frame_pieces, landed_piece};
use crate::error::Error;
use crate::law::{self, GainControl, Law, LawFit};
use crate::progress::{Observer, Stage};
use crate::sound::{self, Sound};
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
    /// A law that was followed, or a curve: the gain of every sample.
    Followed(Vec<f32>),
    Curve(Curve),
}

impl Undo {
    fn of_law(fit: &LawFit, sound: &dyn Sound, config: &Config) -> Result<Self, Error> {
        let law = Arc::clone(law_named(fit, &config.fit.laws)?);
        if sound::is_held(sound) {
            let drive = law::drive(sound::held(sound, 0..sound.sample_len())?.channels());
            return Ok(Self::Followed(gains_of_law(law.as_ref(), fit, f64::from(sound.sample_rate_hz()), &drive)));
        }
        let stft = Stft::new(&config.stft, f64::from(sound.sample_rate_hz()))?;
        if fit.landings.is_empty() || !law.has_ceiling() || stft.frame_len(sound.sample_len()) == 0 {
            return Ok(Self::Law(law, fit.values()));
        }
        Ok(Self::Landed(law, fit.clone(), stft))
    }

    fn of_curve(gain_curve: &GainCurve, sound: &dyn Sound) -> Result<Self, Error> {
        if sound::is_held(sound) {
            return Ok(Self::Followed(gain_at_samples(gain_curve, sound.sample_rate_hz(), sound.sample_len())?));
        }
        Ok(Self::Curve(Curve::new(gain_curve, sound.sample_rate_hz())?))
    }
}

/// As [`super::restore`], of a recording that need not be in memory. It is read once to know the median gain and the true
/// peak; every call of [`Restoration::blocks`] reads it again.
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
        None => Undo::of_curve(&analysis.gain_curve, sound)?,
        Some(fit) => Undo::of_law(fit, sound, config)?,
    };
    let mut out = Restoration { sound, undo, median: 1.0, overall_gain_db: 0.0, true_peak_dbtp: 0.0 };
    let go_on =
        |fraction: f64| if observer.progress(Stage::Restore, fraction) { Ok(()) } else { Err(Error::Cancelled) };
    let mut meter = Meter::new(sound.sample_rate_hz(), sound.channel_len())?;
    // A law's median gain turns out only here: until then it counts as 1. A curve's level is its own.
    let mut gains = (is_undone && analysis.law.is_some()).then(MedianGain::new);
    out.divided(&mut |start, channels, gain| {
        go_on(start as f64 / sound.sample_len() as f64)?;
        if let Some(gains) = &mut gains {
            gains.hear(gain);
        }
        meter.hear(channels)
    })?;
    if let Some(gains) = gains {
        out.median = gains.finish();
    }
    let peak_dbtp = meter.finish()? + db_from_amplitude(f64::from(out.median));
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
        self.divided(&mut |_, channels, _| {
            turn_down(channels, self.overall_gain_db);
            take(channels)
        })
    }

    /// The recording divided by the gain, before the overall constant.
    fn divided(&self, take: Take<'_>) -> Result<(), Error> {
        let median = self.median;
        self.gains(&mut |start, channels, gain| {
            if !gain.is_empty() {
                if median != 1.0 {
                    gain.iter_mut().for_each(|g| *g /= median);
                }
                divide(channels, gain, start)?;
            }
            take(start, channels, gain)
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
            Undo::Followed(all) => each_block(sound, BLOCK_SAMPLES, &mut |start, channels| {
                gain.clear();
                gain.extend_from_slice(&all[start..start + channels[0].len()]);
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
}

/// Finds the median of gains that come one after the other, rounded down to eleven binary digits (0.004 dB): it is an overall
/// volume, which is free.
///
/// Positive floats are in the order of their bits, so that counting their upper bits is enough.
pub(super) struct MedianGain {
    counts: Vec<u64>,
}

/// Bits that are not counted.
const LOWER_BITS: u32 = 12;

impl MedianGain {
    pub(super) fn new() -> Self {
        Self { counts: vec![0; 1 << (32 - LOWER_BITS)] }
    }

    pub(super) fn hear(&mut self, gains: &[f32]) {
        gains.iter().for_each(|gain| self.counts[(gain.to_bits() >> LOWER_BITS) as usize] += 1);
    }

    /// The median; 1 of no gains.
    pub(super) fn finish(&self) -> f32 {
        let middle = self.counts.iter().sum::<u64>() / 2;
        let mut up_to = 0;
        let holds_it = |count: &u64| {
            up_to += count;
            up_to > middle
        };
        self.counts.iter().position(holds_it).map_or(1.0, |bin| f32::from_bits((bin as u32) << LOWER_BITS))
    }
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
    use crate::restore::{RestoreConfig, Trust, apply_gain, gain_of_law, set_level};

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

    /// Undone in blocks and all at once.
    fn assert_same(analysis: &Analysis, config: &Config, of: &str) {
        let audio = audio();
        let gain = match &analysis.law {
            _ if analysis.verdict == Verdict::None => vec![1.0; audio.sample_len()],
            Some(fit) => gain_of_law(&audio, fit, &config.fit.laws).unwrap(),
            None => gain_at_samples(&analysis.gain_curve, audio.sample_rate_hz(), audio.sample_len()).unwrap(),
        };
        let level = if analysis.verdict == Verdict::None { Level::Keep } else { config.restore.level };
        let whole = set_level(audio.sample_rate_hz(), apply_gain(&audio, &gain).unwrap(), level).unwrap();
        let mut blocks = restore_sound(&audio, analysis, config, &()).unwrap();
        // The peak was measured before the median was known.
        assert!((blocks.overall_gain_db - whole.overall_gain_db).abs() < 1e-5, "{of}");
        assert!((blocks.true_peak_dbtp - whole.true_peak_dbtp).abs() < 1e-5, "{of}");
        blocks.overall_gain_db = whole.overall_gain_db;
        assert!(blocks_of(&blocks) == whole.audio.channels(), "{of}: samples differ");
    }

    /// Worked out at every round, as it is of long recordings, and kept.
    fn assert_held_alike(long: Undo, held: Undo, of: &str) {
        assert!(matches!(held, Undo::Followed(_)), "{of}");
        let audio = audio();
        let blocks = |undo| {
            blocks_of(&Restoration { sound: &audio, undo, median: 1.0, overall_gain_db: 0.0, true_peak_dbtp: 0.0 })
        };
        assert!(blocks(long) == blocks(held), "{of}: samples differ");
    }

    #[test]
    fn laws_and_curves_undone_in_blocks_are_undone_whole_to_the_last_bit() {
        let curve = specimen::analysis(&audio(), Verdict::Agc, |t| 6.0 * (3.0 * t).sin());
        let config = config(Level::KeepBelowMinusOneDbtp);
        assert_same(&Analysis { law: None, ..curve.clone() }, &config, "curve");
        let by_curve = Curve::new(&curve.gain_curve, audio().sample_rate_hz()).unwrap();
        assert_held_alike(Undo::Curve(by_curve), Undo::of_curve(&curve.gain_curve, &audio()).unwrap(), "curve");
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
            let by_law = Undo::Law(Arc::clone(&law), fit.values());
            assert_held_alike(by_law, Undo::of_law(&fit, &audio(), &config).unwrap(), law.name());
            assert_same(&Analysis { law: Some(fit), ..curve.clone() }, &config, law.name());
        }
    }

    #[test]
    fn the_median_is_that_of_all_gains() {
        let mut gains = MedianGain::new();
        assert_eq!(gains.finish(), 1.0);
        gains.hear(&[3.0, 0.25]);
        gains.hear(&[1.5]);
        assert_eq!(gains.finish(), 1.5);
        gains.hear(&[2.0, 2.0, 2.0]);
        assert_eq!(gains.finish(), 2.0);
        let median = |gain: f32| {
            let mut gains = MedianGain::new();
            gains.hear(&[gain]);
            gains.finish()
        };
        for gain in [1e-3f32, 0.7, 1.234_567, 1e3] {
            assert!((0.999_5..=1.0).contains(&(median(gain) / gain)), "{gain}");
        }
    }
}
