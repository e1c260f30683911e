//! What the page draws and matches: peaks, loudness, spectrogram.

use super::{Track, invalid};
use crate::audio::Audio;
use crate::error::Error;
use crate::report::plot::{indexed_png, spectrogram};
use ebur128::{EbuR128, Mode};

/// Lowest and highest frequency of the spectrogram, in Hz.
pub(super) const RANGE_HZ: (f64, f64) = (50.0, 6_000.0);
/// Rows of the spectrogram.
const ROWS: u32 = 288;
/// Columns of the spectrogram: one per [`COLUMN_S`], within these bounds. Wider pictures are more than browsers hold.
const COLUMNS: (f64, f64) = (64.0, 6_000.0);
/// Time between two columns, in seconds: a quarter of the spectrogram's window.
const COLUMN_S: f64 = 0.02;
/// Stretches whose highest sample is kept for the waveform.
const PEAKS: usize = 8_000;
/// Samples handed to the meter at a time.
const METER_BLOCK_SAMPLES: usize = 1 << 16;

/// All tracks as they are drawn and heard.
#[derive(Debug)]
pub(super) struct Overview {
    pub(super) tracks: Vec<Heard>,
}

/// One track as it is drawn and heard.
#[derive(Debug)]
pub(super) struct Heard {
    /// Highest sample of each stretch, 255 is full scale; rounded up, so that no peak is lost.
    pub(super) peaks: Vec<u8>,
    /// Integrated loudness in LUFS (EBU R 128); absent for silence.
    pub(super) loudness_lufs: Option<f64>,
    /// Loudness range in LU (EBU Tech 3342); absent where too little is loud enough.
    pub(super) range_lu: Option<f64>,
    /// What makes it as loud as the softest track, in dB; never positive.
    pub(super) matched_db: f64,
}

impl Overview {
    /// Measures all tracks.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the loudness meter refuses rate or channels.
    pub(super) fn of(tracks: &[Track<'_>]) -> Result<Self, Error> {
        let mut heard = tracks.iter().map(|track| Heard::of(track.audio)).collect::<Result<Vec<_>, _>>()?;
        let softest_lufs = heard.iter().filter_map(|h| h.loudness_lufs).fold(f64::INFINITY, f64::min);
        for track in &mut heard {
            track.matched_db = track.loudness_lufs.map_or(0.0, |loudness| (softest_lufs - loudness).min(0.0));
        }
        Ok(Self { tracks: heard })
    }
}

impl Heard {
    fn of(audio: &Audio) -> Result<Self, Error> {
        let (loudness_lufs, range_lu) = loudness(audio)?;
        Ok(Self { peaks: peaks(audio), loudness_lufs, range_lu, matched_db: 0.0 })
    }
}

/// Highest sample of each of at most [`PEAKS`] equal stretches.
fn peaks(audio: &Audio) -> Vec<u8> {
    let sample_len = audio.sample_len();
    let len = PEAKS.min(sample_len);
    let edge = |i: usize| (i as u128 * sample_len as u128 / len as u128) as usize;
    (0..len)
        .map(|i| {
            let stretch = audio.channels().iter().flat_map(|channel| &channel[edge(i)..edge(i + 1)]);
            let peak = stretch.fold(0f32, |peak, x| peak.max(x.abs()));
            (peak.min(1.0) * 255.0).ceil() as u8
        })
        .collect()
}

/// Integrated loudness in LUFS and loudness range in LU, where they are known.
fn loudness(audio: &Audio) -> Result<(Option<f64>, Option<f64>), Error> {
    let channels = audio.channels();
    let refused = |error: ebur128::Error| {
        let rate_hz = audio.sample_rate_hz();
        invalid(
            format!("the loudness meter does not take {} channels at {rate_hz} Hz: {error}", channels.len()),
            "give 1 to 8 channels at 8000 to 192000 Hz",
        )
    };
    let mut meter =
        EbuR128::new(channels.len() as u32, audio.sample_rate_hz(), Mode::I | Mode::LRA).map_err(refused)?;
    for start in (0..audio.sample_len()).step_by(METER_BLOCK_SAMPLES) {
        let end = audio.sample_len().min(start + METER_BLOCK_SAMPLES);
        let block: Vec<&[f32]> = channels.iter().map(|channel| &channel[start..end]).collect();
        meter.add_frames_planar_f32(&block).map_err(refused)?;
    }
    let loudness_lufs = meter.loudness_global().map_err(refused)?;
    let range_lu = meter.loudness_range().map_err(refused)?;
    Ok((Some(loudness_lufs).filter(|l| l.is_finite()), Some(range_lu).filter(|r| r.is_finite() && *r > 0.0)))
}

/// The spectrogram of the recording as PNG, time from left to right, low frequencies at the bottom.
pub(super) fn spectrogram_png(audio: &Audio) -> Result<Vec<u8>, Error> {
    let columns = (audio.duration_s() / COLUMN_S).clamp(COLUMNS.0, COLUMNS.1) as u32;
    let image = spectrogram::image(audio, (0, 0), (columns, ROWS), RANGE_HZ);
    indexed_png(image.size, &image.rgb).map_err(super::unwritten)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::report::page::Sound;

    fn sine(amplitude: f32, len: usize) -> Audio {
        let sample = |n: usize| amplitude * (std::f32::consts::TAU * 1_000.0 * n as f32 / 48_000.0).sin();
        Audio::new(48_000, vec![(0..len).map(sample).collect()]).unwrap()
    }

    fn track(audio: &Audio) -> Track<'_> {
        Track { label: "x", audio, sound: Sound::Absent }
    }

    #[test]
    fn the_louder_track_is_turned_down_to_the_softer_one() {
        let (loud, soft, silent) = (sine(0.4, 96_000), sine(0.1, 96_000), sine(0.0, 96_000));
        let overview = Overview::of(&[track(&loud), track(&soft), track(&silent)]).unwrap();
        let matched: Vec<f64> = overview.tracks.iter().map(|t| t.matched_db).collect();
        // A quarter of the amplitude is -12.04 dB; the meter counts in blocks, not in samples.
        assert!((matched[0] + 12.04).abs() < 0.05, "{matched:?}");
        assert_eq!(matched[1..], [0.0, 0.0]);
        // A full-scale sine of 997 Hz in one channel reads -3.01 LUFS (ITU-R BS.1770), at 0.1 thus -23.01.
        assert!((overview.tracks[1].loudness_lufs.unwrap() + 23.01).abs() < 0.1);
        assert_eq!(overview.tracks[2].loudness_lufs, None);
    }

    #[test]
    fn no_peak_is_lost_and_short_recordings_have_fewer() {
        let mut samples = vec![0.0; 100_000];
        samples[77_777] = -0.5;
        let audio = Audio::new(48_000, vec![vec![0.0; 100_000], samples]).unwrap();
        let peaks = peaks(&audio);
        assert_eq!(peaks.len(), PEAKS);
        assert_eq!(peaks.iter().filter(|p| **p == 128).count(), 1);
        assert_eq!(peaks[77_777 * PEAKS / 100_000], 128);
        assert_eq!(super::peaks(&Audio::new(8_000, vec![vec![0.25]]).unwrap()), [64]);
    }
}
