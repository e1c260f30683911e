//! Files for the programs that are already in use: editors, annotators, workstations, spreadsheets.
//!
//! `docs/interchange.md` has one command per format that opens it. Times are in seconds from the first sample. Every format is
//! made from an [`Analysis`]; [`ExportFormat::ControlWav`] and [`ExportFormat::PartialsCsv`] look at the recording too.
//!
//! **Sources.** Audacity manual, "Importing and Exporting Labels" (extended format with frequency ranges); Sonic Visualiser,
//! "Import annotation layer" (comma-separated values without header); REAPER state chunk definitions (Cockos wiki).

use super::labels::words;
use super::table::partials_csv;
use crate::analysis::{Analysis, DecaySegment, Event};
use crate::analyze::Config;
use crate::audio::Audio;
use crate::encode::{BitDepth, write_wav};
use crate::error::Error;
use crate::partials;
use crate::restore::gain_at_samples;
use crate::stft::Stft;
use crate::units::amplitude_from_db;
use std::fmt::Write as _;

/// A file format of another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportFormat {
    /// Audacity label track of the events, each with the frequency range of the partials that were sounding.
    AudacityEvents,
    /// Audacity label track of the decays, each at its frequency.
    AudacityDecays,
    /// Sonic Visualiser time values: the device's gain in dB.
    SvGain,
    /// Sonic Visualiser time instants: the events.
    SvEvents,
    /// Sonic Visualiser regions: the decays, value is the frequency in Hz.
    SvDecays,
    /// REAPER project: the recording with a volume envelope that undoes the gain.
    Reaper,
    /// WAV of the device's gain as amplitude factor, at the recording's rate, 32-bit float.
    ControlWav,
    /// Every fitted decay: [`partials_csv`].
    DecaysCsv,
    /// Every point of every partial: index, time, frequency, level.
    PartialsCsv,
}

impl ExportFormat {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::AudacityEvents,
        Self::AudacityDecays,
        Self::SvGain,
        Self::SvEvents,
        Self::SvDecays,
        Self::Reaper,
        Self::ControlWav,
        Self::DecaysCsv,
        Self::PartialsCsv,
    ];

    /// As it is typed.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AudacityEvents => "audacity-events",
            Self::AudacityDecays => "audacity-decays",
            Self::SvGain => "sv-gain",
            Self::SvEvents => "sv-events",
            Self::SvDecays => "sv-decays",
            Self::Reaper => "reaper",
            Self::ControlWav => "control-wav",
            Self::DecaysCsv => "decays-csv",
            Self::PartialsCsv => "partials-csv",
        }
    }
}

/// Makes a file.
///
/// `recording` is the recording's address as seen from the file; only [`ExportFormat::Reaper`] names it.
///
/// # Errors
/// [`Error::Invalid`] where the gain curve is no gain (see [`gain_at_samples`]), or the WAV would exceed 4 GiB.
pub fn export(format: ExportFormat, audio: &Audio, analysis: &Analysis, recording: &str) -> Result<Vec<u8>, Error> {
    Ok(match format {
        ExportFormat::AudacityEvents => audacity_events(analysis).into_bytes(),
        ExportFormat::AudacityDecays => audacity_decays(analysis).into_bytes(),
        ExportFormat::SvGain => sv_gain(analysis).into_bytes(),
        ExportFormat::SvEvents => sv_events(analysis).into_bytes(),
        ExportFormat::SvDecays => sv_decays(analysis).into_bytes(),
        ExportFormat::Reaper => reaper(analysis, recording).into_bytes(),
        ExportFormat::ControlWav => control_wav(audio, analysis)?,
        ExportFormat::DecaysCsv => partials_csv(analysis).into_bytes(),
        ExportFormat::PartialsCsv => partial_points_csv(audio)?.into_bytes(),
    })
}

/// Half a bin of the analysis, in Hz: how wide a label of a partial is drawn, on either side.
const HALF_WIDTH_HZ: f64 = 6.0;

/// The events as an Audacity label track with frequency ranges.
///
/// A label's range spans the decays that were sounding when it began; it has none where there were none.
#[must_use]
pub fn audacity_events(analysis: &Analysis) -> String {
    let mut out = String::new();
    for event in analysis.events.iter().filter(|e| e.start_s.is_finite() && e.end_s.is_finite()) {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:.6}\t{:.6}\t{}", event.start_s, event.end_s, words(event));
        if let Some((low_hz, high_hz)) = sounding_hz(analysis, event) {
            let _ = writeln!(out, "\\\t{low_hz:.6}\t{high_hz:.6}");
        }
    }
    out
}

/// Lowest and highest frequency of the decays that span an event's begin.
fn sounding_hz(analysis: &Analysis, event: &Event) -> Option<(f64, f64)> {
    let sounding = analysis.decays.iter().filter(|d| d.start_s <= event.start_s && event.start_s <= d.end_s);
    let hz = sounding.map(|d| d.frequency_hz).filter(|hz| hz.is_finite());
    let (low, high) = hz.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), hz| (low.min(hz), high.max(hz)));
    (low <= high).then_some(((low - HALF_WIDTH_HZ).max(0.0), high + HALF_WIDTH_HZ))
}

/// The decays as an Audacity label track with frequency ranges.
#[must_use]
pub fn audacity_decays(analysis: &Analysis) -> String {
    let mut out = String::new();
    for d in &analysis.decays {
        if [d.start_s, d.end_s, d.frequency_hz, d.decay_db_per_s].iter().all(|x| x.is_finite()) {
            let _ = writeln!(out, "{:.6}\t{:.6}\t{:.1} dB/s", d.start_s, d.end_s, d.decay_db_per_s);
            let low_hz = (d.frequency_hz - HALF_WIDTH_HZ).max(0.0);
            let _ = writeln!(out, "\\\t{low_hz:.6}\t{:.6}", d.frequency_hz + HALF_WIDTH_HZ);
        }
    }
    out
}

/// The gain as lines of `time,gain_db`, under the headings by which Sonic Visualiser knows what they are.
#[must_use]
pub fn sv_gain(analysis: &Analysis) -> String {
    let curve = &analysis.gain_curve;
    let mut out = String::from("TIME,VALUE\n");
    for (i, gain_db) in curve.gain_db.iter().enumerate().filter(|(_, gain_db)| gain_db.is_finite()) {
        let _ = writeln!(out, "{:.6},{gain_db:.4}", curve.start_s + i as f64 * curve.hop_s);
    }
    out
}

/// The events as lines of `time,label`, under headings.
#[must_use]
pub fn sv_events(analysis: &Analysis) -> String {
    let mut out = String::from("TIME,LABEL\n");
    for event in analysis.events.iter().filter(|e| e.start_s.is_finite()) {
        let _ = writeln!(out, "{:.6},\"{}\"", event.start_s, words(event));
    }
    out
}

/// The decays as lines of `time,frequency_hz,duration,label`, under headings, in the order of their beginnings.
#[must_use]
pub fn sv_decays(analysis: &Analysis) -> String {
    let mut out = String::from("TIME,VALUE,DURATION,LABEL\n");
    let mut decays: Vec<&DecaySegment> = analysis.decays.iter().collect();
    decays.sort_by(|a, b| a.start_s.total_cmp(&b.start_s).then(a.frequency_hz.total_cmp(&b.frequency_hz)));
    for d in decays {
        if [d.start_s, d.end_s, d.frequency_hz, d.decay_db_per_s].iter().all(|x| x.is_finite()) {
            let length_s = d.end_s - d.start_s;
            let label = format!("{:.1} dB/s", d.decay_db_per_s);
            let _ = writeln!(out, "{:.6},{:.3},{length_s:.6},\"{label}\"", d.start_s, d.frequency_hz);
        }
    }
    out
}

/// Largest departure of the envelope from the curve between its points, in dB: a tenth of what the curve is known to.
const ENVELOPE_TOLERANCE_DB: f64 = 0.05;

/// A REAPER project of one track: the recording, and a volume envelope that divides it by the gain.
///
/// The envelope joins its points by straight lines; it follows a curve of one point per 10 ms, so attacks of a few
/// milliseconds are smoother in it than in what [`crate::restore()`] gives.
#[must_use]
pub fn reaper(analysis: &Analysis, recording: &str) -> String {
    let curve = &analysis.gain_curve;
    let points: Vec<(f64, f64)> = curve
        .gain_db
        .iter()
        .enumerate()
        .filter(|(_, gain_db)| gain_db.is_finite())
        .map(|(i, gain_db)| (curve.start_s + i as f64 * curve.hop_s, -gain_db))
        .collect();
    let name = quoted(recording.rsplit('/').next().unwrap_or(recording));
    let mut out = format!(
        "<REAPER_PROJECT 0.1 \"6.0\" 0\n  <TRACK\n    NAME {name}\n    <VOLENV2\n      ACT 1\n      VIS 1 1 1\n      LANEHEIGHT 0 0\n      \
         ARM 0\n      DEFSHAPE 0 -1 -1\n"
    );
    for (time_s, gain_db) in thinned(&points) {
        let _ = writeln!(out, "      PT {time_s:.6} {:.6} 0", amplitude_from_db(gain_db));
    }
    let length_s = analysis.input.duration_s;
    let source = source_type(recording);
    let file = quoted(recording);
    let _ = write!(
        out,
        "    >\n    <ITEM\n      POSITION 0\n      LENGTH {length_s:.6}\n      NAME {name}\n      <SOURCE {source}\n        FILE \
         {file}\n      >\n    >\n  >\n>\n"
    );
    out
}

/// REAPER's name for what reads a file.
fn source_type(recording: &str) -> &'static str {
    let ending = recording.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    match ending.as_str() {
        "mp3" => "MP3",
        "flac" => "FLAC",
        "ogg" | "oga" => "VORBIS",
        "m4a" | "mp4" | "mov" | "caf" => "VIDEO",
        _ => "WAVE",
    }
}

/// A name as REAPER reads it: in a kind of quotes that it does not contain.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    match ['"', '\'', '`'].into_iter().find(|quote| !text.contains(*quote)) {
        Some(quote) => format!("{quote}{text}{quote}"),
        None => format!("`{}`", text.replace('`', "'")),
    }
}

/// Fewer points whose straight lines stay within [`ENVELOPE_TOLERANCE_DB`] of all of them.
///
/// Each line runs as far as it can: the slopes that pass every point since the last kept one form a cone that only narrows
/// (Imai and Iri 1986, the simpler form with points kept).
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let Some(&first) = points.first() else { return Vec::new() };
    let mut out = vec![first];
    let (mut anchor, mut low, mut high) = (first, f64::NEG_INFINITY, f64::INFINITY);
    for pair in points.windows(2) {
        let (before, point) = (pair[0], pair[1]);
        let slope = |db: f64| (db - anchor.1) / (point.0 - anchor.0);
        if slope(point.1) < low || slope(point.1) > high {
            out.push(before);
            (anchor, low, high) = (before, f64::NEG_INFINITY, f64::INFINITY);
        }
        let slope = |db: f64| (db - anchor.1) / (point.0 - anchor.0);
        low = low.max(slope(point.1 - ENVELOPE_TOLERANCE_DB));
        high = high.min(slope(point.1 + ENVELOPE_TOLERANCE_DB));
    }
    if let Some(&last) = points.last().filter(|_| points.len() > 1) {
        out.push(last);
    }
    out
}

/// The gain as sound: one channel of amplitude factors, 1 is no change.
///
/// # Errors
/// As [`gain_at_samples`]; [`Error::Invalid`] where it would exceed 4 GiB.
pub fn control_wav(audio: &Audio, analysis: &Analysis) -> Result<Vec<u8>, Error> {
    let gain = gain_at_samples(&analysis.gain_curve, audio.sample_rate_hz(), audio.sample_len())?;
    let signal = Audio::new(audio.sample_rate_hz(), vec![gain])?;
    let mut out = Vec::new();
    write_wav(&mut out, &signal, BitDepth::Float32).map_err(|error| Error::Invalid {
        what: "control signal".to_owned(),
        cause: error.to_string(),
        remedy: "export the gain as CSV".to_owned(),
    })?;
    Ok(out)
}

/// Every point of every partial, as the analysis follows them by default: `partial_index,time_s,frequency_hz,level_dbfs`.
///
/// # Errors
/// [`Error::Invalid`] as [`Stft::new`]; no [`Audio`] makes it.
pub fn partial_points_csv(audio: &Audio) -> Result<String, Error> {
    let config = Config::default();
    let stft = Stft::new(&config.stft, f64::from(audio.sample_rate_hz()))?;
    let partials = partials::follow(audio, &stft, &config.peaks, &config.link, &())?;
    let mut out = String::from("partial_index,time_s,frequency_hz,level_dbfs\n");
    for index in 0..partials.track_len() {
        for point in partials.track(index) {
            let time_s = stft.frame_time_s(partials.frame[point] as usize);
            let frequency_hz = f64::from(partials.bin[point]) * stft.bin_hz();
            let _ = writeln!(out, "{index},{time_s:.4},{frequency_hz:.3},{:.3}", partials.level_db[point]);
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::analysis::Verdict;
    use crate::report::specimen;

    fn found() -> (Audio, Analysis) {
        let audio = specimen::audio(8.0, |_| 0.0);
        let analysis = specimen::analysis(&audio, Verdict::Agc, |t| if t < 4.0 { 0.0 } else { 6.0206 });
        (audio, analysis)
    }

    #[test]
    fn audacity_s_labels_have_their_frequencies_on_a_second_line() {
        let (_, analysis) = found();
        let events = audacity_events(&analysis);
        let mut lines = events.lines();
        // Nothing sounds before the first note; the second event is struck between two notes.
        assert_eq!(lines.next().unwrap(), "0.000000\t0.030000\tattack -3.2 ± 0.4 dB, 9 partials");
        assert_eq!(lines.next().unwrap(), "1.000000\t1.030000\trelease +2.5 ± 0.4 dB, 9 partials");
        let decays = audacity_decays(&analysis);
        let mut lines = decays.lines();
        assert_eq!(lines.next().unwrap(), "0.020000\t0.980000\t8.0 dB/s");
        assert_eq!(lines.next().unwrap(), "\\\t124.800000\t136.800000");
        let mut amid = analysis.clone();
        amid.events[0].start_s = 0.5;
        // Four partials of 130.8 Hz are sounding.
        assert_eq!(audacity_events(&amid).lines().nth(1).unwrap(), "\\\t124.800000\t529.200000");
    }

    #[test]
    fn sonic_visualiser_s_layers_are_lines_of_numbers_and_a_label() {
        let (_, analysis) = found();
        assert_eq!(sv_gain(&analysis).lines().count(), 1 + analysis.gain_curve.gain_db.len());
        assert_eq!(sv_gain(&analysis).lines().nth(501).unwrap(), "5.000000,6.0206");
        assert_eq!(sv_events(&analysis).lines().nth(1).unwrap(), "0.000000,\"attack -3.2 ± 0.4 dB, 9 partials\"");
        assert_eq!(sv_decays(&analysis).lines().nth(1).unwrap(), "0.020000,130.800,0.960000,\"8.0 dB/s\"");
    }

    #[test]
    fn reaper_s_envelope_is_the_inverse_and_no_longer_than_needed() {
        let (_, analysis) = found();
        let project = reaper(&analysis, "../music/my \"take\".flac");
        let points: Vec<&str> = project.lines().filter(|l| l.trim_start().starts_with("PT ")).map(str::trim).collect();
        // A step has two corners, and the curve two ends: 6.02 dB of gain are undone by half the amplitude.
        assert_eq!(
            points,
            ["PT 0.000000 1.000000 0", "PT 3.990000 1.000000 0", "PT 4.000000 0.500000 0", "PT 8.000000 0.500000 0"]
        );
        assert!(project.contains("<SOURCE FLAC\n        FILE '../music/my \"take\".flac'"), "{project}");
        let (opened, closed) = (project.matches('<').count(), project.lines().filter(|l| l.trim() == ">").count());
        assert_eq!(opened, closed);
    }

    #[test]
    fn a_thinned_curve_stays_within_its_tolerance() {
        let curve: Vec<(f64, f64)> = (0..4000)
            .map(|i| (0.01 * f64::from(i), 5.0 * (0.013 * f64::from(i)).sin() + 0.01 * f64::from(i % 3)))
            .collect();
        let kept = thinned(&curve);
        assert!(kept.len() < curve.len() / 10, "{}", kept.len());
        let at = |time_s: f64| {
            let after = kept.partition_point(|p| p.0 < time_s).clamp(1, kept.len() - 1);
            let (a, b) = (kept[after - 1], kept[after]);
            a.1 + (b.1 - a.1) * (time_s - a.0) / (b.0 - a.0)
        };
        let farthest = curve.iter().map(|p| (p.1 - at(p.0)).abs()).fold(0.0, f64::max);
        assert!(farthest <= ENVELOPE_TOLERANCE_DB + 1e-9, "{farthest}");
    }

    #[test]
    fn the_control_signal_is_the_gain_sample_by_sample() {
        let (audio, analysis) = found();
        let wav = control_wav(&audio, &analysis).unwrap();
        let samples: Vec<f32> = wav[wav.len() - 4 * audio.sample_len()..]
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        assert_eq!((samples[0], samples[24_000]), (1.0, 1.0));
        assert!((samples[40_000] - 2.0).abs() < 1e-4, "{}", samples[40_000]);
    }

    #[test]
    fn a_partial_s_points_lie_on_its_frequency() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let csv = partial_points_csv(&audio).unwrap();
        let near = csv.lines().skip(1).filter(|line| {
            let hz: f64 = line.split(',').nth(2).unwrap().parse().unwrap();
            (hz - 130.8).abs() < 3.0
        });
        assert!(near.count() > 30);
    }

    #[test]
    fn nothing_found_is_an_empty_file_and_no_number_is_left_out() {
        let audio = specimen::audio(1.0, |_| 0.0);
        let mut analysis = specimen::analysis(&audio, Verdict::None, |_| f64::NAN);
        analysis.decays.iter_mut().for_each(|d| d.frequency_hz = f64::NAN);
        for made in [
            audacity_events(&analysis),
            audacity_decays(&analysis),
            sv_gain(&analysis),
            sv_events(&analysis),
            sv_decays(&analysis),
        ] {
            // Layers keep their heading.
            assert!(made.lines().count() <= 1 && !made.contains("NaN"), "{made}");
        }
        assert!(!reaper(&analysis, "a.wav").contains("NaN"));
        assert!(control_wav(&audio, &analysis).is_err());
    }
}
