//! What was done, for those who want to check an estimate: schema `agcfix.simulation/1`, described in `docs/simulate.md`.

use super::Chain;
use crate::analysis::GainCurve;
use crate::audio::Audio;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::io;

/// Name and version of the schema. A field may be added within a version; none is removed, renamed or redefined.
pub const SCHEMA: &str = "agcfix.simulation/1";

/// Steps of the two gain curves, in milliseconds.
const CURVES_MS: [u32; 2] = [1, 10];

/// The truth of one simulation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Version of this library.
    pub version: &'static str,
    /// What decides the output: version, chain, seed and the input's file, as 64 bits in hexadecimal. Only where a file was
    /// simulated; see [`Truth::of_file`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Name of the input's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What the chain says of itself.
    pub summary: String,
    /// Where it says that its constants come from.
    pub source: String,
    /// What went in.
    pub input: Shape,
    /// What came out.
    pub output: Shape,
    /// Seed of all that is random.
    pub seed: u64,
    /// Where the sound of the input's time `t` is in the output: at `(t + delay_s) * speed`, in the output's nominal time.
    pub delay_s: f64,
    /// `1 + drift`, see [`super::clock`].
    pub speed: f64,
    /// Every stage that the sound passed, in order.
    pub stages: Vec<StageTruth>,
    /// The gain of all laws together, every millisecond of the output.
    pub gain_1ms: Curve,
    /// The same every 10 ms.
    pub gain_10ms: Curve,
}

/// Rate, channels and length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Shape {
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channel_len: usize,
    /// Samples in each channel.
    pub sample_len: usize,
}

impl Shape {
    fn of(audio: &Audio) -> Self {
        Self {
            sample_rate_hz: audio.sample_rate_hz(),
            channel_len: audio.channels().len(),
            sample_len: audio.sample_len(),
        }
    }
}

/// One stage: what it was told and what it found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageTruth {
    /// Its name in the chain.
    pub stage: String,
    /// Sample rate behind it.
    pub sample_rate_hz: u32,
    /// How much later the sound leaves it, in samples at that rate, to the sample where whole and else as a fraction; negative
    /// where the beginning was cut off.
    pub delay_samples: f64,
    /// Its constants, defaults filled in.
    pub parameters: Value,
    /// What it measured on the way.
    pub measured: Map<String, Value>,
}

/// A gain curve, absolute: no offset is removed.
///
/// Entry `i` is the mean gain over `hop_s` around the output's time `i * hop_s`, as a level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// Time between entries in seconds; the first is at 0.
    pub hop_s: f64,
    /// The gain in dB.
    #[serde(serialize_with = "rounded")]
    pub gain_db: Vec<f64>,
}

/// Written to a ten-thousandth of a dB.
fn rounded<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|v| (v * 1e4).round() / 1e4))
}

impl Curve {
    /// As the rest of the library knows gain curves, without a band.
    #[must_use]
    pub fn to_gain_curve(&self) -> GainCurve {
        GainCurve {
            start_s: 0.0,
            hop_s: self.hop_s,
            gain_db: self.gain_db.clone(),
            lower_db: self.gain_db.clone(),
            upper_db: self.gain_db.clone(),
        }
    }

    /// Standard deviation of the gain over the recording, in dB: how much there is to undo.
    #[must_use]
    pub fn movement_db(&self) -> f64 {
        let len = self.gain_db.len().max(1) as f64;
        let mean = self.gain_db.iter().sum::<f64>() / len;
        (self.gain_db.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / len).sqrt()
    }
}

/// The mean gain around every step of `hop_ms`; without a gain law a curve of zeros.
fn curve(gain: Option<&[f32]>, sample_len: usize, rate_hz: u32, hop_ms: u32) -> Curve {
    let hop_s = f64::from(hop_ms) / 1000.0;
    let hop = hop_s * f64::from(rate_hz);
    let entry_len = (sample_len as f64 / hop).ceil().max(1.0) as usize;
    let gain_db = match gain {
        None => vec![0.0; entry_len],
        Some(gain) => {
            let edge = |i: f64| ((i * hop).round().max(0.0) as usize).min(gain.len());
            let level = |i: usize| {
                let (from, to) = (edge(i as f64 - 0.5), edge(i as f64 + 0.5));
                // The last step may lie beyond the last sample's half.
                let around = &gain[from.min(gain.len() - 1)..to.max(from + 1).min(gain.len())];
                let mean = around.iter().map(|g| f64::from(*g)).sum::<f64>() / around.len() as f64;
                20.0 * mean.log10()
            };
            if gain.is_empty() { vec![0.0] } else { (0..entry_len).map(level).collect() }
        }
    };
    Curve { hop_s, gain_db }
}

impl Truth {
    pub(super) fn new(
        input: &Audio,
        output: &Audio,
        (chain, seed): (&Chain, u64),
        stages: Vec<StageTruth>,
        gain: Option<&[f32]>,
    ) -> Self {
        let speed = 1.0 + 1e-6 * chain.clock.map_or(0.0, |clock| clock.drift_ppm);
        let delay_s = stages
            .iter()
            .map(|stage| {
                // From the clock on, samples are counted by the device's clock.
                let is_device_time = stage.stage == "clock";
                let rate_hz = f64::from(stage.sample_rate_hz) * if is_device_time { speed } else { 1.0 };
                stage.delay_samples / rate_hz
            })
            .sum();
        let curves = CURVES_MS.map(|ms| curve(gain, output.sample_len(), output.sample_rate_hz(), ms));
        let [gain_1ms, gain_10ms] = curves;
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            fingerprint: None,
            file: None,
            summary: chain.summary.clone(),
            source: chain.source.clone(),
            input: Shape::of(input),
            output: Shape::of(output),
            seed,
            delay_s,
            speed,
            stages,
            gain_1ms,
            gain_10ms,
        }
    }

    /// Adds which file was simulated, and the fingerprint by which a finished job is known again.
    #[must_use]
    pub fn of_file(self, name: String, fingerprint: String) -> Self {
        Self { file: Some(name), fingerprint: Some(fingerprint), ..self }
    }

    /// Writes the document, on one line, with a line break at its end.
    ///
    /// # Errors
    /// What the writer says.
    pub fn write(&self, mut writer: impl io::Write) -> io::Result<()> {
        serde_json::to_writer(&mut writer, self)?;
        writer.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_means_around_their_times() {
        // Gain 1 for a second, then 1/2, at a rate that no millisecond divides.
        let gain: Vec<f32> = (0..22_050).map(|n| if n < 11_025 { 1.0 } else { 0.5 }).collect();
        for ms in CURVES_MS {
            let curve = curve(Some(&gain), gain.len(), 11_025, ms);
            assert_eq!(curve.gain_db.len(), 2000 / ms as usize);
            let step = 1000 / ms as usize;
            assert!(curve.gain_db[step - 1].abs() < 1e-12);
            // Half of either: 0.75.
            assert!((curve.gain_db[step] - 20.0 * 0.75f64.log10()).abs() < 0.35, "{}", curve.gain_db[step]);
            assert!((curve.gain_db[step + 1] + 6.0206).abs() < 1e-3);
        }
    }

    #[test]
    fn the_shortest_recordings_have_a_curve_too() {
        for len in [1, 2, 7] {
            let curve = curve(Some(&vec![2.0; len]), len, 192_000, 1);
            assert_eq!(curve.gain_db.len(), 1);
            assert!((curve.gain_db[0] - 6.0206).abs() < 1e-3);
        }
        assert_eq!(curve(Some(&[]), 0, 8000, 1).gain_db, [0.0]);
        assert_eq!(curve(None, 80, 8000, 1).gain_db, [0.0; 10]);
    }
}
