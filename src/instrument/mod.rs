//! A piano whose every partial is known: the test signal of the project, and a source of recordings with truth.
//!
//! # The model
//! A struck key excites the modes of its strings; each mode is one decaying sine,
//!
//! ```text
//! x(t) = Σ a e^(-αt) sin(2πft + φ)
//! ```
//!
//! A partial has two or three of them: the strings of a unison are coupled at the bridge, which makes one mode that moves
//! the soundboard and decays fast (prompt sound), and others, slightly detuned, that hardly do (aftersound). Their sum is
//! the two-stage decay and the beating of real pianos (Weinreich 1977). Nothing is filtered afterwards: what the truth says
//! is what is in the samples, before the attack's first milliseconds and apart from the knock.
//!
//! `strings` (frequencies and decays of a key) · `hammer` (loudness, brightness, knock) · `passage` and `midi`
//! (what is played) → [`render`](play) → [`Truth`]
//!
//! # What it leaves out
//! Sympathetic resonance of strings that were not struck, the una corda pedal, half pedalling, longitudinal waves.

mod hammer;
#[cfg(feature = "midi")]
pub mod midi;
pub mod passage;
mod render;
mod strings;
pub mod truth;

use crate::audio::{Audio, MAX_SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ};
use crate::error::Error;
use crate::units::{amplitude_from_db, db_from_amplitude};
pub use passage::{Note, Passage, Pedal, Study};
pub use truth::Truth;

/// Longest passage that is played, in seconds.
const LONGEST_S: f64 = 3.0 * 3600.0;

/// Which piano, recorded how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Instrument {
    /// Samples per second, 8000 to 192000. Studios record at 48,000.
    pub sample_rate_hz: u32,
    /// 1 or 2 channels: a spaced pair over the strings.
    pub channel_len: usize,
    /// Which piano: its unisons, soundboard and regulation are drawn from this.
    pub seed: u64,
    /// Highest sample of the passage in dBFS, -60 to 0. Some headroom, as engineers leave.
    pub peak_dbfs: f64,
    /// Level of the hammers' and soundboard's knock against the notes', in dB, -100 to 20; 0 is a grand's.
    pub knock_db: f64,
}

impl Default for Instrument {
    fn default() -> Self {
        Self { sample_rate_hz: 48_000, channel_len: 2, seed: 1, peak_dbfs: -3.0, knock_db: 0.0 }
    }
}

/// A passage as it sounds, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Played {
    /// The recording.
    pub audio: Audio,
    /// Every mode of every note in it.
    pub truth: Truth,
}

/// Plays a passage.
///
/// **Shape.** From time 0 to the passage's end, when the last notes have died away or three seconds after the last damper.
/// **Units.** Full scale is ±1.
///
/// # Errors
/// [`Error::Invalid`] for a setting out of its range, a passage without notes, or one of more than three hours.
pub fn play(passage: &Passage, instrument: &Instrument) -> Result<Played, Error> {
    instrument.check()?;
    let invalid = |cause: String, remedy: &str| {
        Err(Error::Invalid { what: "passage".to_owned(), cause, remedy: remedy.to_owned() })
    };
    if passage.notes.is_empty() {
        return invalid("it has no notes".to_owned(), "give at least one note of the piano's 88 keys");
    }
    if let Some(note) = passage.notes.iter().find(|note| !note.is_sound()) {
        return invalid(format!("{note:?}"), "give keys 21 to 108, velocities 1 to 127 and times that increase");
    }
    let end_s = passage.end_s();
    if end_s.is_nan() || end_s > LONGEST_S {
        return invalid(format!("it is {:.1} hours long", end_s / 3600.0), "give at most three hours");
    }
    let mut notes = render::notes(passage, instrument);
    let mut channels = render::sound(&notes, (end_s * f64::from(instrument.sample_rate_hz)) as usize, instrument);
    let peak = channels.iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
    let overall_db = if peak > 0.0 { instrument.peak_dbfs - db_from_amplitude(f64::from(peak)) } else { 0.0 };
    let factor = amplitude_from_db(overall_db) as f32;
    channels.iter_mut().flatten().for_each(|x| *x *= factor);
    notes.iter_mut().for_each(|note| note.turn(overall_db));
    let audio = Audio::new(instrument.sample_rate_hz, channels)?;
    let truth = Truth::new(&audio, passage, instrument, &notes);
    Ok(Played { audio, truth })
}

impl Instrument {
    fn check(&self) -> Result<(), Error> {
        let range = |what: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::Invalid {
                what: what.to_owned(),
                cause: format!("{value} is out of its range"),
                remedy: format!("give {low} to {high}"),
            })
        };
        let rates = (f64::from(MIN_SAMPLE_RATE_HZ), f64::from(MAX_SAMPLE_RATE_HZ));
        range("instrument's sample rate (Hz)", f64::from(self.sample_rate_hz), rates.0, rates.1)?;
        range("instrument's channels", self.channel_len as f64, 1.0, 2.0)?;
        range("instrument's peak (dBFS)", self.peak_dbfs, -60.0, 0.0)?;
        range("instrument's knock (dB)", self.knock_db, -100.0, 20.0)
    }
}
