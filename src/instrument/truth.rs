//! What was played, mode by mode: schema `agcfix.instrument/1`, described in `docs/simulate.md`.

use super::render::RenderedNote;
use super::{Instrument, Passage, Pedal};
use crate::audio::Audio;
use crate::units::DB_PER_NEPER;
use serde::{Serialize, Serializer};
use std::f64::consts::TAU;
use std::io;

/// Name and version of the schema. A field may be added within a version; none is removed, renamed or redefined.
pub const SCHEMA: &str = "agcfix.instrument/1";

/// The truth of one passage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Truth {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Version of this library.
    pub version: &'static str,
    /// Samples per second.
    pub sample_rate_hz: u32,
    /// Channels.
    pub channel_len: usize,
    /// Samples in each.
    pub sample_len: usize,
    /// Which piano.
    pub seed: u64,
    /// Moves of the pedal.
    pub pedal: Vec<Pedal>,
    /// Every note, by onset.
    pub notes: Vec<NoteTruth>,
}

/// One note.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NoteTruth {
    /// MIDI key.
    pub key: u8,
    /// MIDI velocity.
    pub velocity: u8,
    /// When the hammer strikes, in seconds, to the sample.
    pub onset_s: f64,
    /// How long the hammer touches the strings, in seconds: the attack. Levels hold from its end.
    pub contact_s: f64,
    /// When the key is let go, in seconds.
    pub release_s: f64,
    /// Decay that the damper adds, in dB/s; none where the key has no damper.
    pub damper_db_per_s: Option<f64>,
    /// Stretches in which the damper lies on the strings, in seconds; the last ends with the recording where it is open.
    pub damped_s: Vec<(f64, f64)>,
    /// The partials, by order.
    pub partials: Vec<PartialTruth>,
}

/// One partial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartialTruth {
    /// 1 is the lowest.
    pub order: u32,
    /// Its modes, the prompt sound first.
    pub modes: Vec<ModeTruth>,
}

/// One decaying sine.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ModeTruth {
    /// Frequency.
    #[serde(serialize_with = "to_micro")]
    pub frequency_hz: f64,
    /// Level at the onset; a sine of full scale is 0. Powers of the channels are averaged.
    #[serde(serialize_with = "to_micro")]
    pub level_dbfs: f64,
    /// Decay without damper.
    #[serde(serialize_with = "to_micro")]
    pub decay_db_per_s: f64,
    /// Phase at the onset against that of the partial's other modes; channels add the same to all of them.
    #[serde(serialize_with = "to_micro")]
    pub phase_rad: f64,
}

/// Written to a millionth.
fn to_micro<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e6).round() / 1e6)
}

impl NoteTruth {
    /// Level of a partial at a time, in dBFS: its modes added up with their phases, so that it shows stages and beating.
    /// Before the onset there is none.
    #[must_use]
    pub fn level_dbfs(&self, partial: &PartialTruth, time_s: f64) -> Option<f64> {
        let since_s = time_s - self.onset_s;
        if since_s < 0.0 {
            return None;
        }
        let damped_s: f64 = self.damped_s.iter().map(|(from, to)| (to.min(time_s) - from).max(0.0)).sum();
        let (mut re, mut im) = (0.0, 0.0);
        for mode in &partial.modes {
            let level_db =
                mode.level_dbfs - mode.decay_db_per_s * since_s - self.damper_db_per_s.unwrap_or(0.0) * damped_s;
            let angle = TAU * mode.frequency_hz * since_s + mode.phase_rad;
            let amplitude = (level_db / DB_PER_NEPER).exp();
            re += amplitude * angle.cos();
            im += amplitude * angle.sin();
        }
        Some(20.0 * re.hypot(im).log10())
    }
}

impl Truth {
    pub(super) fn new(audio: &Audio, passage: &Passage, instrument: &Instrument, notes: &[RenderedNote]) -> Self {
        let rate_hz = f64::from(audio.sample_rate_hz());
        let end = audio.sample_len();
        let note = |rendered: &RenderedNote| NoteTruth {
            key: rendered.note.key,
            velocity: rendered.note.velocity,
            onset_s: rendered.onset_sample as f64 / rate_hz,
            contact_s: rendered.contact_s,
            release_s: rendered.note.release_s,
            damper_db_per_s: rendered.damper_db_per_s,
            damped_s: if rendered.damper_db_per_s.is_none() {
                Vec::new()
            } else {
                let inside = rendered.damped.iter().filter(|(from, _)| *from < end);
                inside.map(|(from, to)| (*from as f64 / rate_hz, (*to).min(end) as f64 / rate_hz)).collect()
            },
            partials: rendered.partials.clone(),
        };
        Self {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            sample_rate_hz: audio.sample_rate_hz(),
            channel_len: audio.channels().len(),
            sample_len: end,
            seed: instrument.seed,
            pedal: passage.pedal.clone(),
            notes: notes.iter().map(note).collect(),
        }
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
