//! The report: one HTML file that tells the story, plays before and after, and holds every number.
//!
//! # Contract
//! - **One file, no network.** Script, style, picture, sound and JSON are in it; a content security policy forbids the
//!   browser to fetch anything else. Only with [`Sound::Linked`] does it play files that lie beside it.
//! - **Readable without script:** words and tables are plain HTML; players and the zooming picture need JavaScript.
//! - **Bounded:** at most 3 MB without the sound, whatever the recording's length: long gain curves are thinned, and of the
//!   decays the longest are kept.
//! - **Fair:** tracks are played equally loud (EBU R 128 integrated loudness; the louder is turned down), because of two
//!   recordings the louder one always seems the better one.
//! - **Deterministic:** the same input gives the same bytes.
//!
//! The page's own code is in `template.html`, `style.css`, `player.js`, `view.js` and `page.js` beside this file.

mod flac;
mod overview;
#[cfg(feature = "pairs")]
pub mod pair;
mod tables;
mod words;

use super::json::{self, Restoration};
use crate::analysis::{Analysis, GainCurve, Verdict};
use crate::audio::Audio;
use crate::error::Error;
use overview::Overview;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Write as _;

/// Most entries of the gain curve in the page: six minutes at 10 ms, at most 0.9 MB of JSON.
const MOST_CURVE_ENTRIES: usize = 36_000;
/// Most events in the page's JSON: some 0.4 MB. The largest are kept.
const MOST_EVENTS: usize = 3_000;
/// Most decays drawn; the longest are kept.
const MOST_DECAYS: usize = 4_000;

/// How a track's sound gets to the listener.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Sound {
    /// In the page, as 16-bit FLAC: the smallest form that every browser plays sample for sample.
    #[default]
    Embedded,
    /// In a file beside the page; this is its address relative to the page, not yet percent-encoded.
    Linked(String),
    /// Not at all; the track is only drawn.
    Absent,
}

/// One recording of the performance.
#[derive(Debug, Clone)]
pub struct Track<'a> {
    /// What it is called on the page: `As recorded`, `Restored`.
    pub label: &'a str,
    /// Its samples; must begin at the same moment as the first track's.
    pub audio: &'a Audio,
    /// How it is heard.
    pub sound: Sound,
}

/// Everything the page is made from.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The recording's name, for people.
    pub name: &'a str,
    /// What was found.
    pub analysis: &'a Analysis,
    /// What was written, where something was.
    pub restoration: Option<Restoration<'a>>,
    /// The recording itself, then what else there is to hear: restored, microphone.
    pub tracks: Vec<Track<'a>>,
}

/// Writes the page.
///
/// **Shape.** UTF-8 text of one HTML document.
///
/// # Errors
/// [`Error::Invalid`] where there is no track, or the sound cannot be coded or measured.
pub fn html(page: &Page<'_>) -> Result<String, Error> {
    let Some(first) = page.tracks.first() else {
        return Err(invalid("it has no track".to_owned(), "give at least the recording itself"));
    };
    let (analysis, thinned) = thinned(page.analysis);
    let overview = Overview::of(&page.tracks)?;
    let (sounds, tracks) = sounds(&page.tracks, &overview)?;
    let json_name = format!("{}.agcfix.json", page.name);
    let data = Data {
        duration_s: first.audio.duration_s(),
        json_name: &json_name,
        tracks,
        spectrogram: SpectrogramOut { low_hz: overview::RANGE_HZ.0, high_hz: overview::RANGE_HZ.1 },
        loudest_decay_db: round(loudest_decay_db(&analysis), 1),
        decays: drawn_decays(&analysis),
        gains: None,
        spots: Vec::new(),
    };
    let spectrogram = overview::spectrogram_png(first.audio)?;
    let story = words::Story::of(page, &overview);
    let fields = Fields {
        schema: json::SCHEMA,
        title: escaped(&format!("{}: {}", page.name, story.headline)),
        name: escaped(page.name),
        verdict: match &analysis.verdict {
            Verdict::Agc => "agc",
            Verdict::None => "none",
            Verdict::Undecided { .. } => "undecided",
        },
        headline: escaped(&story.headline),
        story: story.lead_html(),
        why: story.rest_html(),
        tracks: choices(&page.tracks),
        duration: words::clock(first.audio.duration_s()),
        duration_s: format!("{:.3}", first.audio.duration_s()),
        spectrogram: format!("data:image/png;base64,{}", super::base64(&spectrogram)),
        events: tables::events(&analysis),
        numbers: tables::numbers(&analysis, page.restoration),
        thinned,
        json_name: escaped(&json_name),
        footer: escaped(&words::footer()),
        sounds,
        data: in_script(&serde_json::to_string(&data).map_err(unwritten)?),
        json: in_script(&document(page, &analysis)?),
    };
    Ok(fields.fill(include_str!("template.html")))
}

/// The sound of all tracks as elements of the page, and what the script is told of each.
fn sounds<'a>(tracks: &[Track<'a>], overview: &Overview) -> Result<(String, Vec<TrackOut<'a>>), Error> {
    let mut sounds = String::new();
    let mut out = Vec::new();
    for (index, (track, heard)) in tracks.iter().zip(&overview.tracks).enumerate() {
        let sound = match &track.sound {
            Sound::Embedded if track.audio.sample_len() >= flac::MIN_SAMPLES => {
                let id = format!("sound-{index}");
                let coded = super::base64(&flac::encode(track.audio)?);
                // Writing to a String cannot fail.
                let _ = writeln!(sounds, "<script type=\"application/octet-stream\" id=\"{id}\">{coded}</script>");
                Some(SoundOut::Embedded { id, rate_hz: flac::coded_rate_hz(track.audio.sample_rate_hz()) })
            }
            Sound::Linked(path) => Some(SoundOut::Linked { href: percent_encoded(path) }),
            Sound::Embedded | Sound::Absent => None,
        };
        out.push(TrackOut {
            label: track.label,
            matched_db: round(heard.matched_db, 2),
            peaks_u8: super::base64(&heard.peaks),
            sound,
        });
    }
    Ok((sounds, out))
}

/// The JSON document of the page.
fn document(page: &Page<'_>, analysis: &Analysis) -> Result<String, Error> {
    let mut out = Vec::new();
    json::write(&mut out, Some(page.name), analysis, page.restoration).map_err(unwritten)?;
    String::from_utf8(out).map_err(unwritten)
}

fn invalid(cause: String, remedy: &str) -> Error {
    Error::Invalid { what: "report".to_owned(), cause, remedy: remedy.to_owned() }
}

fn unwritten(cause: impl std::fmt::Display) -> Error {
    invalid(cause.to_string(), "leave it out and report this as a bug")
}

/// The analysis with its curve and events small enough for a page, and what to say about that.
fn thinned(analysis: &Analysis) -> (Cow<'_, Analysis>, String) {
    let entry_len = analysis.gain_curve.gain_db.len();
    let step = entry_len.div_ceil(MOST_CURVE_ENTRIES);
    let event_len = analysis.events.len();
    if step <= 1 && event_len <= MOST_EVENTS {
        return (Cow::Borrowed(analysis), String::new());
    }
    let mut out = analysis.clone();
    let curve = &analysis.gain_curve;
    let every = |values: &[f64]| values.iter().copied().step_by(step).collect();
    out.gain_curve = GainCurve {
        start_s: curve.start_s,
        hop_s: curve.hop_s * step as f64,
        gain_db: every(&curve.gain_db),
        lower_db: every(&curve.lower_db),
        upper_db: every(&curve.upper_db),
    };
    if event_len > MOST_EVENTS {
        out.events.sort_by(|a, b| b.change_db.abs().total_cmp(&a.change_db.abs()));
        out.events.truncate(MOST_EVENTS);
        out.events.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    }
    let told = format!(
        "; the recording is long, so it has every {step}th entry of the gain curve and {} of {event_len} events \
         (<code>--json</code> has them all)",
        out.events.len()
    );
    (Cow::Owned(out), told)
}

/// What the script reads besides the JSON document.
#[derive(Serialize)]
struct Data<'a> {
    duration_s: f64,
    json_name: &'a str,
    tracks: Vec<TrackOut<'a>>,
    spectrogram: SpectrogramOut,
    loudest_decay_db: f64,
    /// Start and end in seconds, frequency in Hz, level in dBFS, decay in dB/s.
    decays: Vec<[f64; 5]>,
    /// Lines instead of the analysis's one curve.
    #[serde(skip_serializing_if = "Option::is_none")]
    gains: Option<GainsOut<'a>>,
    /// Times to go to, in seconds, where no events tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spots: Vec<f64>,
}

/// Level differences over time, one line a track.
#[derive(Debug, Serialize)]
struct GainsOut<'a> {
    heading: &'a str,
    remark: &'a str,
    lines: Vec<LineOut>,
}

#[derive(Debug, Serialize)]
struct LineOut {
    /// Index of the track whose colour it has.
    track: usize,
    start_s: f64,
    hop_s: f64,
    /// `null` where nothing can be compared.
    gain_db: Vec<Option<f64>>,
}

#[derive(Serialize)]
struct TrackOut<'a> {
    label: &'a str,
    matched_db: f64,
    peaks_u8: String,
    sound: Option<SoundOut>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum SoundOut {
    Embedded { id: String, rate_hz: u32 },
    Linked { href: String },
}

#[derive(Serialize)]
struct SpectrogramOut {
    low_hz: f64,
    high_hz: f64,
}

fn loudest_decay_db(analysis: &Analysis) -> f64 {
    analysis.decays.iter().map(|d| d.level_db).filter(|l| l.is_finite()).fold(-120.0, f64::max)
}

fn drawn_decays(analysis: &Analysis) -> Vec<[f64; 5]> {
    let mut decays: Vec<[f64; 5]> = analysis
        .decays
        .iter()
        .map(|d| {
            [
                round(d.start_s, 3),
                round(d.end_s, 3),
                round(d.frequency_hz, 1),
                round(d.level_db, 1),
                round(d.decay_db_per_s, 1),
            ]
        })
        .filter(|d| d.iter().all(|x| x.is_finite()))
        .collect();
    if decays.len() > MOST_DECAYS {
        decays.sort_by(|a, b| (b[1] - b[0]).total_cmp(&(a[1] - a[0])));
        decays.truncate(MOST_DECAYS);
    }
    decays
}

/// The radio buttons that choose what is heard.
fn choices(tracks: &[Track<'_>]) -> String {
    let mut out = String::new();
    for (index, track) in tracks.iter().enumerate() {
        let checked = if index == 0 { " checked" } else { "" };
        let label = escaped(track.label);
        let key = index + 1;
        let _ = writeln!(
            out,
            "<label class=\"track-{index}\"><input type=\"radio\" name=\"track\" value=\"{index}\"{checked}> {label} \
             <kbd aria-hidden=\"true\">{key}</kbd></label>"
        );
    }
    out
}

/// The template's blanks.
struct Fields {
    schema: &'static str,
    title: String,
    name: String,
    verdict: &'static str,
    headline: String,
    story: String,
    why: String,
    tracks: String,
    duration: String,
    duration_s: String,
    spectrogram: String,
    events: String,
    numbers: String,
    thinned: String,
    json_name: String,
    footer: String,
    sounds: String,
    data: String,
    json: String,
}

impl Fields {
    /// Fills the blanks, `{{name}}`, in one pass: what is filled in is never looked at again.
    fn fill(&self, template: &str) -> String {
        let mut out = String::with_capacity(template.len() + self.sounds.len() + self.json.len() + self.data.len());
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            out.push_str(before);
            let Some((name, after)) = after.split_once("}}") else {
                rest = after;
                break;
            };
            out.push_str(self.get(name));
            rest = after;
        }
        out.push_str(rest);
        out
    }

    fn get(&self, name: &str) -> &str {
        match name {
            "generator" => concat!("agcfix ", env!("CARGO_PKG_VERSION")),
            "schema" => self.schema,
            "style" => include_str!("style.css"),
            "player_js" => include_str!("player.js"),
            "view_js" => include_str!("view.js"),
            "page_js" => include_str!("page.js"),
            "title" => &self.title,
            "name" => &self.name,
            "verdict" => self.verdict,
            "headline" => &self.headline,
            "story" => &self.story,
            "why" => &self.why,
            "tracks" => &self.tracks,
            "duration" => &self.duration,
            "duration_s" => &self.duration_s,
            "spectrogram" => &self.spectrogram,
            "events" => &self.events,
            "numbers" => &self.numbers,
            "thinned" => &self.thinned,
            "json_name" => &self.json_name,
            "footer" => &self.footer,
            "sounds" => &self.sounds,
            "data" => &self.data,
            "json" => &self.json,
            _ => "",
        }
    }
}

/// Text for HTML, in elements and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// JSON that may stand in a script element: nothing in it can end the element.
fn in_script(json: &str) -> String {
    json.trim_end().replace('<', "\\u003c")
}

/// A relative path as a URL (RFC 3986): unreserved characters and slashes stay.
fn percent_encoded(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    // A colon in the first segment would read as a scheme; it is encoded above. A leading slash stays a path.
    out
}

/// A number with `decimals` digits behind the point.
fn round(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::report::specimen;

    fn page_of(audio: &Audio, analysis: &Analysis) -> String {
        let track = Track { label: "As recorded", audio, sound: Sound::Absent };
        html(&Page { name: "take.m4a", analysis, restoration: None, tracks: vec![track] }).unwrap()
    }

    #[test]
    fn an_hour_s_findings_stay_below_three_megabytes_and_the_document_says_that_it_is_thinned() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let mut analysis = specimen::analysis(&audio, Verdict::Agc, |_| 0.0);
        let hour: Vec<f64> = (0..360_000).map(|i| -12.345 - 1e-5 * f64::from(i)).collect();
        analysis.gain_curve.lower_db = hour.clone();
        analysis.gain_curve.upper_db = hour.clone();
        analysis.gain_curve.gain_db = hour;
        analysis.events = vec![analysis.events; 1_200].concat();
        analysis.decays = vec![analysis.decays; 1_000].concat();
        let page = page_of(&audio, &analysis);
        // The spectrogram of an hour has 6000 columns: 15 times this one's.
        let spectrogram = overview::spectrogram_png(&audio).unwrap().len() * 4 / 3;
        assert!(page.len() + 14 * spectrogram < 3_000_000, "{} and {spectrogram}", page.len());
        assert!(page.contains("every 10th entry of the gain curve and 3000 of 9600 events"));
        assert!(page.contains("\"hop_s\": 0.1,"));
        // Untouched where it is short.
        let short = specimen::analysis(&audio, Verdict::Agc, |_| 0.0);
        assert!(!page_of(&audio, &short).contains("every 1th"));
    }

    #[test]
    fn names_cannot_break_out_of_the_page() {
        let audio = specimen::audio(2.0, |_| 0.0);
        let analysis = specimen::analysis(&audio, Verdict::None, |_| 0.0);
        let name = "</script><script>alert(1)</script>{{json}}'\"&.wav";
        let track = Track { label: "<b id=x>", audio: &audio, sound: Sound::Linked("a b/ü?#%.wav".to_owned()) };
        let page = html(&Page { name, analysis: &analysis, restoration: None, tracks: vec![track] }).unwrap();
        assert!(!page.contains("<script>alert") && !page.contains("<b id=x>"));
        assert!(page.contains("a%20b/%C3%BC%3F%23%25.wav"));
        // As many scripts as the template has, and each is closed.
        assert_eq!(page.matches("<script").count(), 3);
        assert_eq!(page.matches("</script>").count(), 3);
    }

    #[test]
    fn a_page_needs_a_track() {
        let audio = specimen::audio(1.0, |_| 0.0);
        let analysis = specimen::analysis(&audio, Verdict::None, |_| 0.0);
        assert!(html(&Page { name: "x", analysis: &analysis, restoration: None, tracks: vec![] }).is_err());
    }
}
