//! One recording, from its bytes to its restored sound.

use agcfix::encode::{BitDepth, write_wav};
use agcfix::progress::Observer;
use agcfix::report::json;
use agcfix::report::story::{band_half_width_db, gain_swing_db};
use agcfix::units::db_from_power;
use agcfix::{Analysis, Audio, Config, Error, Verdict, analyze, decode, restore};
use std::path::Path;

/// Steps of the level that is drawn, in seconds.
pub const LEVEL_HOP_S: f64 = 0.05;
/// Level that is drawn for silence, in dBFS.
const SILENCE_DBFS: f64 = -100.0;

/// Levels over time, in dBFS, every [`LEVEL_HOP_S`].
pub type Level = Vec<f32>;

/// The numbers of the finding, as the command line tells them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Story {
    /// How far the gain moved, in dB.
    pub swing_db: f64,
    /// Half width of its 90 % band, in dB.
    pub band_db: Option<f64>,
}

/// A recording and what is known of it so far.
#[derive(Debug)]
pub struct Session {
    recording: decode::Decoded,
    analysis: Option<Analysis>,
}

impl Session {
    /// Decodes a recording; `name` is only used in errors.
    ///
    /// # Errors
    /// As [`decode::read_bytes`].
    pub fn open(bytes: Vec<u8>, name: &str) -> Result<Self, Error> {
        Ok(Self { recording: decode::read_bytes(bytes, Path::new(name))?, analysis: None })
    }

    /// The recording.
    #[must_use]
    pub fn audio(&self) -> &Audio {
        &self.recording.audio
    }

    /// The whole analysis: its document, and what people are told of it.
    ///
    /// # Errors
    /// As [`analyze`].
    pub fn analyze(&mut self, name: &str, observer: &dyn Observer) -> Result<(Vec<u8>, Story), Error> {
        let mut analysis = analyze(&self.recording.audio, &Config::default(), observer)?;
        analysis.warnings.splice(0..0, self.recording.warnings.iter().cloned());
        let mut text = Vec::new();
        // Writing to memory cannot fail.
        let _ = json::write(&mut text, Some(name), &analysis, None);
        let curve = &analysis.gain_curve;
        let story = Story { swing_db: gain_swing_db(curve), band_db: band_half_width_db(curve) };
        self.analysis = Some(analysis);
        Ok((text, story))
    }

    /// The restored recording; none before an analysis, or where nothing is to be undone.
    ///
    /// # Errors
    /// As [`restore`].
    pub fn restore(&self) -> Result<Option<Audio>, Error> {
        match &self.analysis {
            Some(analysis) if analysis.verdict == Verdict::Agc => {
                Ok(Some(restore(&self.recording.audio, analysis, &Config::default())?.audio))
            }
            _ => Ok(None),
        }
    }
}

/// Rms of all channels together, every [`LEVEL_HOP_S`].
#[must_use]
pub fn level_of(audio: &Audio) -> Level {
    let hop = (LEVEL_HOP_S * f64::from(audio.sample_rate_hz())) as usize;
    (0..audio.sample_len().div_ceil(hop))
        .map(|i| {
            let range = i * hop..((i + 1) * hop).min(audio.sample_len());
            let heard = audio.channels().iter().flat_map(|channel| &channel[range.clone()]);
            let len = (range.len() * audio.channels().len()).max(1) as f64;
            let power = heard.map(|x| f64::from(*x).powi(2)).sum::<f64>() / len;
            db_from_power(power).max(SILENCE_DBFS) as f32
        })
        .collect()
}

/// A WAV file of 16 bits, to listen to.
#[must_use]
pub fn preview_of(audio: &Audio) -> Vec<u8> {
    wav(audio, BitDepth::Int16)
}

/// A WAV file of 24 bits, as `agcfix restore` writes it.
#[must_use]
pub fn wav_of(audio: &Audio) -> Vec<u8> {
    wav(audio, BitDepth::Int24)
}

fn wav(audio: &Audio, bits: BitDepth) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory cannot fail.
    let _ = write_wav(&mut bytes, audio, bits);
    bytes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn the_level_is_the_rms_of_every_twentieth_of_a_second() {
        let half = (0..16_000).map(|n| if n < 8_000 { 0.5 } else { 0.0 }).collect();
        let level = level_of(&Audio::new(16_000, vec![half]).unwrap());
        assert_eq!(level.len(), 20);
        assert!((level[9] + 6.0206).abs() < 1e-3 && level[10] == -100.0, "{level:?}");
    }

    #[test]
    fn a_recording_that_does_not_tell_is_not_restored() {
        let silence = Audio::new(8_000, vec![vec![0.0; 16_000]]).unwrap();
        let mut session = Session::open(wav_of(&silence), "silence.wav").unwrap();
        assert!(session.restore().unwrap().is_none());
        let (document, story) = session.analyze("silence.wav", &()).unwrap();
        assert_eq!(story.swing_db, 0.0);
        let document = String::from_utf8(document).unwrap();
        assert!(document.contains("undecided") && document.contains("silence.wav"), "{document}");
        assert!(session.restore().unwrap().is_none());
        assert!(Session::open(b"no sound".to_vec(), "text").is_err());
        assert_eq!(preview_of(&silence).len(), 44 + 2 * 16_000);
    }
}
