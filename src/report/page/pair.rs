//! Pages about several recordings of one performance: a validation, and devices side by side.
//!
//! All tracks must run on one clock, the microphone's: [`crate::pair::validate::common`] and
//! [`crate::pair::align::aligned`] lay them there. Otherwise these pages hold to the contract of [`super`]: one file, no
//! network, bounded, fair, deterministic.

use super::tables::{number, signed, table};
use super::words::{self, clock, paragraphs};
use super::{
    Data, Fields, GainsOut, LineOut, Overview, SpectrogramOut, Track, choices, escaped, in_script, invalid, overview,
    round, sounds, unwritten,
};
use crate::error::Error;
use crate::pair::align::Alignment;
use crate::pair::compare::{self, DeviceReport};
use crate::pair::level::{HOP_S, median};
use crate::pair::validate::{self, Measures, Validation};
use std::fmt::Write as _;

/// Most numbers of all lines together: at most 0.6 MB of JSON.
const MOST_NUMBERS: usize = 90_000;
/// Places that the table names: those where the phone's gain is farthest from its usual one.
const SPOTS: usize = 12;
/// Least distance between two of them, in seconds.
const SPOTS_APART_S: f64 = 1.5;
/// A gain closer to the usual one than this is no place to go to, in dB.
const LEAST_SPOT_DB: f64 = 1.0;
/// Over how many levels of [`HOP_S`] a place is averaged, so that it is no single spike.
const SPOT_LEVELS: usize = 10;

/// What the page of a validation is made from.
#[derive(Debug, Clone)]
pub struct ValidationPage<'a> {
    /// The phone's recording, for people.
    pub phone: &'a str,
    /// The microphone's.
    pub mic: &'a str,
    /// What was measured.
    pub validation: &'a Validation,
    /// Phone, restored where there is one, microphone: on one clock, cut to what all hold.
    pub tracks: Vec<Track<'a>>,
    /// The JSON document that the page carries.
    pub json: &'a str,
}

/// What the page of a comparison is made from.
#[derive(Debug, Clone)]
pub struct ComparisonPage<'a> {
    /// The reference, for people.
    pub reference: &'a str,
    /// What was measured of each device.
    pub devices: &'a [DeviceReport],
    /// The reference, then the devices in their order, on the reference's clock.
    pub tracks: Vec<Track<'a>>,
    /// The JSON document that the page carries.
    pub json: &'a str,
}

/// Writes the page of a validation.
///
/// **Shape.** UTF-8 text of one HTML document.
///
/// # Errors
/// [`Error::Invalid`] where there is no track, or the sound cannot be coded or measured.
pub fn validation_html(page: &ValidationPage<'_>) -> Result<String, Error> {
    let validation = page.validation;
    let measures = || std::iter::once(&validation.before).chain(&validation.after);
    let curves: Vec<Vec<Option<f64>>> = measures().map(|m| difference(m, validation)).collect();
    let stride = stride(&curves);
    let lines = curves.iter().enumerate().map(|(track, curve)| line(track, 0.0, curve, stride)).collect();
    let spots = spots(&curves[0]);
    let heading = match &validation.after {
        None => format!("{} dB of level for each dB of playing", number(validation.before.dynamics_slope, 2)),
        Some(after) => format!(
            "{} dB of level for each dB of playing; restored, {} dB",
            number(validation.before.dynamics_slope, 2),
            number(after.dynamics_slope, 2)
        ),
    };
    Plain {
        name: format!("{} against {}", page.phone, page.mic),
        headline: heading,
        schema: validate::SCHEMA,
        lead: validation_story(validation),
        why: how_they_run_together(&validation.alignment, page.phone),
        gains: GainsOut {
            heading: "Level against the microphone’s",
            remark: "dB, medians at 0; a flat line has the dynamics that were played",
            lines,
        },
        spots_html: spots_table(&spots, &curves),
        spots: spots.iter().map(|spot| round(spot.0, 3)).collect(),
        numbers: validation_numbers(validation),
        json_name: format!("{}.validation.json", page.phone),
    }
    .html(&page.tracks, page.json)
}

/// Writes the page of a comparison.
///
/// **Shape.** UTF-8 text of one HTML document.
///
/// # Errors
/// [`Error::Invalid`] where there is no track, or the sound cannot be coded or measured.
pub fn comparison_html(page: &ComparisonPage<'_>) -> Result<String, Error> {
    let devices = page.devices;
    let curves: Vec<Vec<Option<f64>>> =
        devices.iter().map(|d| difference(&d.validation.before, &d.validation)).collect();
    let stride = stride(&curves);
    let start_s =
        |device: &DeviceReport| device.validation.alignment.pieces.first().map_or(0.0, |piece| piece.from_s.max(0.0));
    let lines = devices.iter().zip(&curves).enumerate();
    let lines = lines.map(|(k, (device, curve))| line(k + 1, start_s(device), curve, stride)).collect();
    Plain {
        name: format!("against {}", page.reference),
        headline: comparison_headline(devices),
        schema: compare::SCHEMA,
        lead: comparison_story(devices),
        why: Vec::new(),
        gains: GainsOut {
            heading: "Level against the reference’s",
            remark: "dB, medians at 0; a flat line has the dynamics that were played",
            lines,
        },
        spots_html: String::new(),
        spots: Vec::new(),
        numbers: comparison_numbers(devices),
        json_name: "comparison.json".to_owned(),
    }
    .html(&page.tracks, page.json)
}

/// A page in words and lines, before it is put into the template.
struct Plain<'a> {
    name: String,
    headline: String,
    schema: &'static str,
    lead: Vec<String>,
    why: Vec<String>,
    gains: GainsOut<'a>,
    spots_html: String,
    spots: Vec<f64>,
    numbers: String,
    json_name: String,
}

impl Plain<'_> {
    fn html(self, tracks: &[Track<'_>], json: &str) -> Result<String, Error> {
        let Some(first) = tracks.first() else {
            return Err(invalid("it has no track".to_owned(), "give at least one recording"));
        };
        let overview = Overview::of(tracks)?;
        let (sounds, told) = sounds(tracks, &overview)?;
        let duration_s = first.audio.duration_s();
        let data = Data {
            duration_s,
            json_name: &self.json_name,
            tracks: told,
            spectrogram: SpectrogramOut { low_hz: overview::RANGE_HZ.0, high_hz: overview::RANGE_HZ.1 },
            loudest_decay_db: 0.0,
            decays: Vec::new(),
            gains: Some(self.gains),
            spots: self.spots,
        };
        let spectrogram = overview::spectrogram_png(first.audio)?;
        let why = if self.why.is_empty() {
            String::new()
        } else {
            format!("<section id=\"why\">\n<h2>How that is known</h2>\n{}</section>\n", paragraphs(&self.why, "<p>"))
        };
        let fields = Fields {
            schema: self.schema,
            title: escaped(&format!("{}: {}", self.name, self.headline)),
            name: escaped(&self.name),
            verdict: "pair",
            headline: escaped(&self.headline),
            story: paragraphs(&self.lead, "<p>"),
            why,
            tracks: choices(tracks),
            duration: clock(duration_s),
            duration_s: format!("{duration_s:.3}"),
            spectrogram: format!("data:image/png;base64,{}", crate::report::base64(&spectrogram)),
            events: self.spots_html,
            numbers: self.numbers,
            thinned: String::new(),
            json_name: escaped(&self.json_name),
            footer: escaped(&words::footer()),
            sounds,
            data: in_script(&serde_json::to_string(&data).map_err(unwritten)?),
            json: in_script(json),
        };
        Ok(fields.fill(include_str!("template.html")))
    }
}

/// A recording's level less the matched microphone's where they are compared, the median removed; in dB.
fn difference(measures: &Measures, validation: &Validation) -> Vec<Option<f64>> {
    let levels = measures.level_db.iter().zip(&validation.matched_db).zip(&validation.compared);
    let values: Vec<Option<f64>> = levels.map(|((a, b), on)| (*on && (a - b).is_finite()).then_some(a - b)).collect();
    let centre_db = median(&values.iter().flatten().copied().collect::<Vec<_>>());
    values.into_iter().map(|value| value.map(|value| value - centre_db)).collect()
}

/// How many levels become one number, so that the page stays small.
fn stride(curves: &[Vec<Option<f64>>]) -> usize {
    curves.iter().map(Vec::len).sum::<usize>().div_ceil(MOST_NUMBERS).max(1)
}

/// A curve for the script: means over `stride` levels; a gap where fewer than half of them are known.
fn line(track: usize, start_s: f64, curve: &[Option<f64>], stride: usize) -> LineOut {
    let mean = |values: &[Option<f64>]| {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        (2 * known.len() >= values.len()).then(|| round(known.iter().sum::<f64>() / known.len() as f64, 2))
    };
    let gain_db = curve.chunks(stride).map(mean).collect();
    LineOut { track, start_s: round(start_s, 4), hop_s: HOP_S * stride as f64, gain_db }
}

/// Places where the first recording's level is farthest from its usual one: time in seconds and difference in dB, in the order
/// of the music.
fn spots(curve: &[Option<f64>]) -> Vec<(f64, f64)> {
    let mean = |values: &[Option<f64>]| {
        let known: Vec<f64> = values.iter().flatten().copied().collect();
        (known.len() == values.len()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let mut all: Vec<(f64, f64)> = curve
        .chunks_exact(SPOT_LEVELS)
        .enumerate()
        .filter_map(|(k, values)| Some(((k * SPOT_LEVELS) as f64 * HOP_S, mean(values)?)))
        .filter(|(_, db)| db.abs() >= LEAST_SPOT_DB)
        .collect();
    all.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.total_cmp(&b.0)));
    let mut out: Vec<(f64, f64)> = Vec::new();
    for spot in all {
        if out.len() < SPOTS && out.iter().all(|kept| (kept.0 - spot.0).abs() >= SPOTS_APART_S) {
            out.push(spot);
        }
    }
    out.sort_by(|a, b| a.0.total_cmp(&b.0));
    out
}

/// The places as a table whose times play them; nothing where there are none.
fn spots_table(spots: &[(f64, f64)], curves: &[Vec<Option<f64>>]) -> String {
    if spots.is_empty() {
        return String::new();
    }
    let restored_at = |time_s: f64| {
        let from = (time_s / HOP_S).round() as usize;
        let values = curves.get(1)?.get(from..from + SPOT_LEVELS)?.iter().flatten().copied().collect::<Vec<_>>();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let mut rows = String::new();
    for (time_s, db) in spots {
        let restored = if curves.len() > 1 {
            let told = restored_at(*time_s).map_or("–".to_owned(), |db| format!("{} dB", signed(db, 1)));
            format!("<td class=\"number\">{told}</td>")
        } else {
            String::new()
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            rows,
            "<tr><td><button type=\"button\" data-at=\"{time_s:.3}\">▶ {}</button></td>\
             <td class=\"number\">{} dB</td>{restored}</tr>",
            clock(*time_s),
            signed(*db, 1),
        );
    }
    let restored = if curves.len() > 1 { "<th scope=\"col\" class=\"number\">restored</th>" } else { "" };
    format!(
        "<section id=\"events\">\n<h2>Where the phone is farthest off</h2>\n<div class=\"table\"><table>\n\
         <caption>Level against the microphone’s; a time plays the spot.</caption>\n<thead><tr><th scope=\"col\">time</th>\
         <th scope=\"col\" class=\"number\">phone</th>{restored}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n</section>\n"
    )
}

fn validation_story(validation: &Validation) -> Vec<String> {
    let before = &validation.before;
    let mut lead = format!(
        "A microphone heard the same performance. Where its level moves by 10 dB, the phone’s recording moves by {} dB: the \
         phone’s volume moved by {} dB (rms) by itself.",
        number(10.0 * before.dynamics_slope, 1),
        number(before.gain_rms_db, 1)
    );
    if let Some(after) = &validation.after {
        let _ = write!(
            lead,
            " The restored recording moves by {} dB for those 10; {} dB (rms) of wrong volume are left",
            number(10.0 * after.dynamics_slope, 1),
            number(after.gain_rms_db, 1)
        );
        let _ = match validation.ratio {
            Some(ratio) => write!(lead, ", {}\u{a0}% of what was there.", number(100.0 * ratio, 0)),
            None => write!(lead, "."),
        };
    }
    vec![
        lead,
        "Press play, then switch to and fro. All are played equally loud and on one clock, so that neither loudness nor time \
         tells them apart: listen for how much the notes differ from each other. The microphone stood elsewhere and sounds \
         different; only how loud its notes are among themselves is compared."
            .to_owned(),
    ]
}

/// Offset, clock, and what speaks for them.
fn how_they_run_together(alignment: &Alignment, phone: &str) -> Vec<String> {
    let a = alignment;
    let earlier = if a.offset_s < 0.0 { "before" } else { "after" };
    let way = if a.drift_ppm < 0.0 { "slow" } else { "fast" };
    let mut out = vec![format!(
        "{phone} began {:.3} s {earlier} the microphone, and its clock runs {} ppm {way}: {} of {} windows agree within a \
         millisecond. The two were laid on one clock, and what one place and one microphone always do to the sound was taken \
         out of the comparison in third octaves.",
        a.offset_s.abs(),
        number(a.drift_ppm.abs(), 1),
        a.agreeing_len,
        a.window_len
    )];
    if a.pieces.len() > 1 {
        out.push(format!("The phone lost or repeated sound at {} places.", a.pieces.len() - 1));
    }
    out
}

fn validation_numbers(validation: &Validation) -> String {
    let columns: Vec<&Measures> = std::iter::once(&validation.before).chain(&validation.after).collect();
    let mic = validation.microphone;
    let some = |value: Option<f64>| value.map_or("–".to_owned(), |value| number(value, 1));
    let row = |name: &str, value: &dyn Fn(&Measures) -> String, mic: &str| {
        let values = columns.iter().map(|m| value(m));
        std::iter::once(name.to_owned()).chain(values).chain([mic.to_owned()]).collect::<Vec<String>>()
    };
    let rows = vec![
        row("gain error, dB rms", &|m| number(m.gain_rms_db, 2), ""),
        row("gain error, 95th percentile, dB", &|m| number(m.gain_p95_db, 2), ""),
        row("level for each dB of the microphone, dB", &|m| number(m.dynamics_slope, 3), "1"),
        row("decays against the microphone’s, dB/s", &|m| signed(m.decays.bias_db_per_s, 2), "0"),
        row("… their spread, dB/s", &|m| number(m.decays.spread_db_per_s, 2), ""),
        row("… decays compared", &|m| m.decays.pair_len.to_string(), ""),
        row("strikes: level for each dB, dB", &|m| number(m.onsets.slope, 3), "1"),
        row("strikes: difference, dB rms", &|m| number(m.onsets.rms_db, 2), ""),
        row("loudness range, LU", &|m| number(m.loudness.range_lu, 1), &number(mic.range_lu, 1)),
        row("crest factor, dB", &|m| some(m.loudness.crest_db), &some(mic.crest_db)),
        row("loudness, LUFS", &|m| some(m.loudness.integrated_lufs), &some(mic.integrated_lufs)),
    ];
    let header: &[&str] = if validation.after.is_some() {
        &["", "phone", "restored", "microphone"]
    } else {
        &["", "phone", "microphone"]
    };
    let bands = validation.response.bands.iter().filter(|band| band.frame_len > 0);
    let response: Vec<Vec<String>> =
        bands.map(|band| vec![number(band.centre_hz, 0), signed(band.gain_db, 1)]).collect();
    format!(
        "<section id=\"numbers\">\n<h2>The numbers</h2>\n{}<details><summary>What the phone’s place and microphone do to the \
         sound</summary>\n{}</details>\n</section>\n",
        table("", header, &rows),
        table("Phone against microphone, by third octaves", &["Hz", "dB"], &response)
    )
}

fn comparison_headline(devices: &[DeviceReport]) -> String {
    let best = devices.iter().min_by(|a, b| a.gain_movement_db.total_cmp(&b.gain_movement_db));
    match (devices, best) {
        ([one], _) => format!("{}: its volume moved by {} dB", one.name, number(one.gain_movement_db, 1)),
        (_, Some(best)) => format!(
            "Of {} recordings the volume moved least in {}: by {} dB",
            devices.len(),
            best.name,
            number(best.gain_movement_db, 1)
        ),
        (_, None) => "No recordings".to_owned(),
    }
}

fn comparison_story(devices: &[DeviceReport]) -> Vec<String> {
    let all = if devices.len() == 1 { "The recording was" } else { "All recordings were" };
    vec![
        format!(
            "{all} laid on the reference’s clock and compared with it. A gain control moves the volume by itself: how far, and \
             how much of each dB of playing arrives, stands in the table."
        ),
        "Press play, then switch to and fro: all are played equally loud.".to_owned(),
    ]
}

/// Two tables, each as wide as a page: what became of the dynamics, and what became of the sound and the clock.
fn comparison_numbers(devices: &[DeviceReport]) -> String {
    let mut dynamics_header = vec![
        "recording",
        "volume moved, dB rms",
        "dB for each dB",
        "quietest, dBFS",
        "loudest, dBFS",
        "range, LU",
        "clipped",
    ];
    let has_laws = devices.iter().any(|d| d.law.is_some());
    if has_laws {
        dynamics_header.push("law");
    }
    let dynamics = devices.iter().map(|d| {
        let mut row = vec![
            d.name.clone(),
            number(d.gain_movement_db, 2),
            number(d.dynamics_slope, 2),
            number(d.quietest_dbfs, 1),
            number(d.loudest_dbfs, 1),
            number(d.loudness_range_lu, 1),
            d.clipped_len.to_string(),
        ];
        if has_laws {
            row.push(d.law.clone().unwrap_or("–".to_owned()));
        }
        row
    });
    let sound_header = ["recording", "100 Hz", "300 Hz", "1 kHz", "3 kHz", "10 kHz", "decays, dB/s", "clock, ppm"];
    let sound = devices.iter().map(|d| {
        let response = |hz: f64| signed(d.validation.response.at_db(hz), 1);
        let bands = [100.0, 300.0, 1_000.0, 3_000.0, 10_000.0].map(response);
        let clock = [signed(d.decay_bias_db_per_s, 1), signed(d.drift_ppm, 1)];
        std::iter::once(d.name.clone()).chain(bands).chain(clock).collect::<Vec<_>>()
    });
    format!(
        "<section id=\"numbers\" class=\"wide\">\n<h2>The numbers</h2>\n{}\
         <p class=\"dim\">How far the volume moved by itself, and how much of each dB of playing arrives; samples at full scale.</p>\n{}\
         <p class=\"dim\">Response in dB against the reference, how much faster the strings fade in it, and how fast its clock \
         runs.</p>\n</section>\n",
        table("Dynamics", &dynamics_header, &dynamics.collect::<Vec<_>>()),
        table("Sound and clock", &sound_header, &sound.collect::<Vec<_>>()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_means_and_gaps_stay_gaps() {
        let curve = [Some(1.0), Some(2.0), None, None, Some(3.0), None];
        let line = line(1, 0.5, &curve, 2);
        assert_eq!(line.gain_db, [Some(1.5), None, Some(3.0)]);
        assert_eq!((line.track, line.start_s, line.hop_s), (1, 0.5, 0.02));
        assert_eq!(stride(&[vec![None; 90_001]]), 2);
        assert_eq!(stride(&[vec![None; 10]]), 1);
    }

    #[test]
    fn spots_are_the_farthest_places_apart_from_each_other() {
        // 10 s at 0 dB, with -5 dB for half a second at 2 s, a spike at 4 s, +3 dB at 7 s, and a stretch that is not compared.
        let level = |k: usize| match k {
            200..250 => Some(-5.0),
            400 => Some(-9.0),
            500..600 => None,
            700..720 => Some(3.0),
            _ => Some(0.0),
        };
        let curve: Vec<Option<f64>> = (0..1000).map(level).collect();
        assert_eq!(spots(&curve), [(2.0, -5.0), (7.0, 3.0)]);
        assert_eq!(spots(&[]), []);
    }
}
