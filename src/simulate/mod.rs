//! The phone, simulated: a clean recording in, a phone's recording out, and the truth of every step.
//!
//! # The chain
//! Sound passes these stages in this order, each of them optional, each in a file of its own:
//!
//! [`room`] → [`microphone`] → [`noise`] → [`preamp`] → [`clock`] (drift, offset, sample rate) → [`suppressor`] →
//! [`gain`] (one law or several, each hearing what the one before put out) → limiter (a law as well) → [`converter`]
//! (clipping, then word length) → codec
//!
//! The room stands before the microphone because it does in life; the two are linear, so only the noise, which the
//! microphone adds behind its own response, knows the difference.
//!
//! # The truth
//! [`Truth`] holds the gain that all channels have received at every millisecond and every 10 ms *of the output's time*,
//! each stage's constants with the defaults filled in, its delay, what was measured on the way, and the seed.
//! Noise suppression, soft limiting, clipping and codecs change the sound too, but not by one gain for everything: they
//! are in the stages, not in the gain curve.
//!
//! # Seeds
//! The same input, chain and seed give the same samples. Each random stage draws from a stream of its own, so that adding
//! one leaves the others' noise as it was.

#[cfg(all(feature = "files", feature = "decode", feature = "presets"))]
pub mod batch;
pub mod clock;
#[cfg(all(feature = "files", feature = "decode"))]
mod codec;
pub mod converter;
pub mod gain;
pub mod microphone;
pub mod noise;
pub mod preamp;
#[cfg(feature = "presets")]
pub mod preset;
mod resample;
pub mod room;
pub mod suppressor;
pub mod truth;

use crate::audio::Audio;
use crate::error::Error;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use truth::{StageTruth, Truth};

/// A phone's chain: which stages it has, with their constants. The default has none and changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Chain {
    /// What it describes, in one sentence.
    pub summary: String,
    /// Where its constants come from.
    pub source: String,
    /// Distance and early reflections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<room::Room>,
    /// The microphone's response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microphone: Option<microphone::Microphone>,
    /// The microphone's own noise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<noise::Noise>,
    /// Analog gain and soft limiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preamp: Option<preamp::Preamp>,
    /// The device's clock: rate, drift, offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<clock::Clock>,
    /// Noise suppression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressor: Option<suppressor::Suppressor>,
    /// Gain laws, in the order in which the sound passes them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gain: Vec<gain::GainStage>,
    /// Peak limiter behind them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limiter: Option<gain::PeakLimiter>,
    /// Hard clipping.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip: Option<converter::Clip>,
    /// Word length and dither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits: Option<converter::Bits>,
    /// Lossy coding and decoding, by an installed ffmpeg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<Codec>,
}

/// Lossy coding and decoding. Needs `ffmpeg` on the machine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Codec {
    /// Which one.
    pub name: CodecName,
    /// Bit rate of all channels together in kbit/s, 8 to 512. Phones write AAC at 64 to 256.
    pub bit_rate_kbps: f64,
}

impl Default for Codec {
    fn default() -> Self {
        Self { name: CodecName::Aac, bit_rate_kbps: 128.0 }
    }
}

/// Codecs that phones write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CodecName {
    /// AAC-LC in MP4, ffmpeg's own encoder.
    Aac,
    /// Opus in Ogg, libopus.
    Opus,
}

/// What a simulation gives back.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The phone's recording.
    pub audio: Audio,
    /// What was done to it.
    pub truth: Truth,
}

/// Sound on its way through the chain.
#[derive(Debug, Clone)]
pub(crate) struct Sound {
    pub(crate) rate_hz: u32,
    pub(crate) channels: Vec<Vec<f32>>,
}

impl Sound {
    pub(crate) fn sample_len(&self) -> usize {
        self.channels.first().map_or(0, Vec::len)
    }
}

/// What a stage has to tell beside its parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Told {
    /// Later than what came in, in samples at the stage's output; negative where the beginning is cut off.
    pub(crate) delay_samples: f64,
    /// What was measured on the way.
    pub(crate) measured: Map<String, Value>,
}

impl Told {
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.measured.insert(name.to_owned(), value.into());
        self
    }
}

impl Chain {
    /// Refuses constants that are out of their ranges, naming the first.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self) -> Result<(), Error> {
        self.room.as_ref().map_or(Ok(()), room::Room::check)?;
        self.microphone.as_ref().map_or(Ok(()), microphone::Microphone::check)?;
        self.noise.as_ref().map_or(Ok(()), noise::Noise::check)?;
        self.preamp.as_ref().map_or(Ok(()), preamp::Preamp::check)?;
        self.clock.as_ref().map_or(Ok(()), clock::Clock::check)?;
        self.suppressor.as_ref().map_or(Ok(()), suppressor::Suppressor::check)?;
        self.gain.iter().try_for_each(gain::GainStage::check)?;
        self.limiter.as_ref().map_or(Ok(()), gain::PeakLimiter::check)?;
        self.clip.as_ref().map_or(Ok(()), converter::Clip::check)?;
        self.bits.as_ref().map_or(Ok(()), converter::Bits::check)?;
        self.codec
            .as_ref()
            .map_or(Ok(()), |codec| within("codec.bit_rate_kbps", codec.bit_rate_kbps, (8.0, 512.0), "kbit/s"))
    }

    /// Whether a stage needs a program that this one does not bring along.
    #[must_use]
    pub fn needs_ffmpeg(&self) -> bool {
        self.codec.is_some()
    }
}

/// Sends a recording through a chain.
///
/// **Shape.** Channels of the input; rate and length of the input, unless the chain has a clock. **Units.** Full scale is
/// ±1 throughout.
///
/// # Errors
/// [`Error::Invalid`] for constants out of their ranges, and where a stage leaves no sound; [`Error::Unsupported`] where a
/// codec is asked for and no ffmpeg is installed.
pub fn simulate(audio: &Audio, chain: &Chain, seed: u64) -> Result<Simulated, Error> {
    chain.check()?;
    let mut run = Run {
        sound: Sound { rate_hz: audio.sample_rate_hz(), channels: audio.channels().to_vec() },
        stages: Vec::new(),
        gain: None,
    };
    let random = |stream: u64| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        random
    };
    if let Some(room) = &chain.room {
        run.stage("room", room, |sound| Ok(room.apply(sound)))?;
    }
    if let Some(microphone) = &chain.microphone {
        run.stage("microphone", microphone, |sound| Ok(microphone.apply(sound)))?;
    }
    if let Some(noise) = &chain.noise {
        run.stage("noise", noise, |sound| Ok(noise.apply(sound, &mut random(1))))?;
    }
    if let Some(preamp) = &chain.preamp {
        run.stage("preamp", preamp, |sound| Ok(preamp.apply(sound)))?;
    }
    if let Some(clock) = &chain.clock {
        run.stage("clock", clock, |sound| clock.apply(sound))?;
    }
    if let Some(suppressor) = &chain.suppressor {
        run.stage("suppressor", suppressor, |sound| Ok(suppressor.apply(sound)))?;
    }
    for stage in &chain.gain {
        run.gain_stage("gain", stage, |sound, gain| stage.apply(sound, gain))?;
    }
    if let Some(limiter) = &chain.limiter {
        run.gain_stage("limiter", limiter, |sound, gain| limiter.apply(sound, gain))?;
    }
    if let Some(clip) = &chain.clip {
        run.stage("clip", clip, |sound| Ok(clip.apply(sound)))?;
    }
    if let Some(bits) = &chain.bits {
        run.stage("bits", bits, |sound| Ok(bits.apply(sound, &mut random(2))))?;
    }
    if let Some(codec) = &chain.codec {
        run.stage("codec", codec, |sound| coded(codec, sound))?;
    }
    let Run { sound, stages, gain } = run;
    let output = Audio::new(sound.rate_hz, sound.channels)?;
    let truth = Truth::new(audio, &output, (chain, seed), stages, gain.as_deref());
    Ok(Simulated { audio: output, truth })
}

#[cfg(all(feature = "files", feature = "decode"))]
fn coded(codec: &Codec, sound: &mut Sound) -> Result<Told, Error> {
    codec::round_trip(codec, sound)
}

#[cfg(not(all(feature = "files", feature = "decode")))]
fn coded(_: &Codec, _: &mut Sound) -> Result<Told, Error> {
    Err(Error::Invalid {
        what: "codec".to_owned(),
        cause: "this build of the library cannot write and read files".to_owned(),
        remedy: "build it with the features files and decode".to_owned(),
    })
}

/// The chain at work.
struct Run {
    sound: Sound,
    stages: Vec<StageTruth>,
    /// Product of all gains so far, per sample; none before the first law.
    gain: Option<Vec<f32>>,
}

impl Run {
    fn stage<P: Serialize>(
        &mut self,
        name: &str,
        parameters: &P,
        apply: impl FnOnce(&mut Sound) -> Result<Told, Error>,
    ) -> Result<(), Error> {
        let told = apply(&mut self.sound)?;
        self.stages.push(StageTruth {
            stage: name.to_owned(),
            sample_rate_hz: self.sound.rate_hz,
            delay_samples: told.delay_samples,
            parameters: serde_json::to_value(parameters).unwrap_or(Value::Null),
            measured: told.measured,
        });
        Ok(())
    }

    fn gain_stage<P: Serialize>(
        &mut self,
        name: &str,
        parameters: &P,
        apply: impl FnOnce(&mut Sound, &mut [f32]) -> Result<Told, Error>,
    ) -> Result<(), Error> {
        let mut gain = self.gain.take().unwrap_or_else(|| vec![1.0; self.sound.sample_len()]);
        self.stage(name, parameters, |sound| apply(sound, &mut gain))?;
        self.gain = Some(gain);
        Ok(())
    }
}

/// Refuses a number outside its range.
pub(crate) fn within(what: &str, value: f64, (low, high): (f64, f64), unit: &str) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::Invalid {
        what: what.to_owned(),
        cause: format!("{value} is out of its range"),
        remedy: format!("give {low} to {high} {unit}").trim_end().to_owned(),
    })
}

/// Level of all samples together, in dBFS rms; `None` for digital silence.
pub(crate) fn rms_dbfs(channels: &[Vec<f32>]) -> Option<f64> {
    let len = channels.iter().map(Vec::len).sum::<usize>().max(1);
    let power = channels.iter().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>() / len as f64;
    (power > 0.0).then(|| 10.0 * power.log10())
}
