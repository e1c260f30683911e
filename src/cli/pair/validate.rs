//! `agcfix validate`: how much of the dynamics is there, before and after restoration.

use super::align::{check, finish, json_file, json_text};
use super::report::{self, PairAudio, html_name};
use super::together::{Together, read, together, told};
use crate::cli::failure::Failure;
use crate::cli::outputs::can_be_smaller;
use crate::cli::stdio;
use agcfix::encode::Batch;
use agcfix::pair::validate::{Measures, Validation, validate};
use agcfix::report::page::pair::{ValidationPage, validation_html};
use agcfix::report::plot::{Format, pair_picture};
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
Examples:
  agcfix validate phone.m4a mic.wav                              how much of the dynamics the phone kept
  agcfix validate phone.m4a mic.wav --restored phone.restored.wav   ... and how much came back
  agcfix validate phone.m4a mic.wav --restored out.wav --plot=v.png --json v.json
  agcfix validate phone.m4a mic.wav --restored out.wav --report=v.html   a page to hear all three, on one clock
  agcfix validate phone.m4a mic.wav --restored out.wav --fail-over 0.5   exit code 3 above 0.5 dB rms
";

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// The phone's recording
    #[arg(value_name = "PHONE")]
    pub phone: PathBuf,
    /// The microphone's recording of the same performance
    #[arg(value_name = "MIC")]
    pub mic: PathBuf,
    /// What agcfix restore made of the phone's recording
    #[arg(long, value_name = "FILE")]
    pub restored: Option<PathBuf>,
    /// Draw the comparison, as PNG or SVG by the name's ending
    #[arg(long, value_name = "FILE.png|.svg")]
    pub plot: Option<PathBuf>,
    /// Write a page that tells the story and plays phone, restored and microphone, as one HTML file that opens offline
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Sound of the report: in the page, or none
    #[arg(long, value_enum, default_value = "embedded", value_name = "HOW")]
    pub audio: PairAudio,
    /// Write the numbers as JSON; - is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Exit with code 3 when the gain error (after restoration, where one is given) exceeds this many dB rms
    #[arg(long, value_name = "DB")]
    pub fail_over: Option<f64>,
    /// Overwrite files that exist; the recordings never are
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    phone: String,
    #[serde(rename = "microphone_file")]
    mic: String,
    restored: Option<String>,
    #[serde(flatten)]
    validation: &'a Validation,
}

/// Reads, aligns, compares, writes, tells.
pub fn run(typed: &Typed) -> Result<(), Failure> {
    let limit_db = match typed.fail_over {
        Some(limit) if !limit.is_finite() || limit < 0.0 => {
            return Err(Failure::Usage(format!("--fail-over {limit}: give a number of dB, 0 or more")));
        }
        limit => limit,
    };
    let format = typed.plot.as_deref().map(format_of).transpose()?;
    typed.report.as_deref().map(html_name).transpose()?;
    let json_file = json_file(typed.json.as_deref());
    let wanted = [("--plot", typed.plot.as_deref()), ("--report", typed.report.as_deref()), ("--json", json_file)];
    let mut inputs: Vec<&Path> = vec![&typed.phone, &typed.mic];
    inputs.extend(typed.restored.as_deref());
    check(&inputs, &wanted, typed.force)?;

    let Together { phone, mic, alignment } = together(&typed.phone, &typed.mic)?;
    let restored = typed.restored.as_deref().map(read).transpose()?;
    let restored_audio = restored.as_ref().map(|decoded| &decoded.audio);
    let validation =
        validate(&phone.audio, &mic.audio, restored_audio, &alignment).map_err(|e| match &typed.restored {
            Some(path) if restored_audio.is_some() => Failure::Input(format!("{}: {e}", path.display())),
            _ => e.into(),
        })?;

    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut batch = Batch::new(typed.force);
    if let (Some(path), Some(format)) = (&typed.plot, format) {
        let bytes = pair_picture(&validation, &name(&typed.phone), &name(&typed.mic), format)?;
        batch.add(path, |writer| writer.write_all(&bytes)).map_err(can_be_smaller)?;
    }
    let document = Document {
        phone: name(&typed.phone),
        mic: name(&typed.mic),
        restored: typed.restored.as_deref().map(name),
        validation: &validation,
    };
    let text = json_text(&document)?;
    if let Some(path) = &typed.report {
        let heard = [Some(("Phone", &phone.audio)), restored_audio.map(|audio| ("Restored", audio))];
        let heard: Vec<_> = heard.into_iter().flatten().collect();
        let sounds = report::on_one_clock(&heard, &mic.audio, &alignment)?;
        let page = ValidationPage {
            phone: &name(&typed.phone),
            mic: &name(&typed.mic),
            validation: &validation,
            tracks: report::tracks(&sounds, typed.audio, path)?,
            json: &text,
        };
        let html = validation_html(&page)?;
        batch.add(path, |writer| writer.write_all(html.as_bytes())).map_err(can_be_smaller)?;
    }
    let summary_to = finish(batch, typed.json.as_deref(), &text, typed.quiet)?;
    stdio::tell(&format!("{}{}", told(&alignment), table(&validation)), summary_to)?;

    let error_db = validation.after.as_ref().unwrap_or(&validation.before).gain_rms_db;
    match limit_db {
        Some(limit_db) if error_db.is_nan() || error_db > limit_db => Err(Failure::Refused(format!(
            "{}: the gain error is {error_db:.2} dB rms, more than --fail-over {limit_db}",
            typed.restored.as_ref().unwrap_or(&typed.phone).display()
        ))),
        _ => Ok(()),
    }
}

/// The picture's format by its name.
pub fn format_of(path: &Path) -> Result<Format, Failure> {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_deref().and_then(|ending| ending.to_str()) {
        Some("png") => Ok(Format::Png),
        Some("svg") => Ok(Format::Svg),
        _ => Err(Failure::Usage(format!("--plot {}: the name must end in .png or .svg", path.display()))),
    }
}

/// The numbers for people.
fn table(validation: &Validation) -> String {
    let mut out = String::new();
    let columns: Vec<&Measures> = std::iter::once(&validation.before).chain(&validation.after).collect();
    let mut row = |name: &str, value: &dyn Fn(&Measures) -> String, microphone: Option<String>| {
        let values: Vec<String> = columns.iter().map(|m| format!("{:>10}", value(m))).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:44}{}{:>12}", values.concat(), microphone.unwrap_or_default());
    };
    let header = |m: &Measures| {
        if std::ptr::eq(m, &raw const validation.before) { "phone".to_owned() } else { "restored".to_owned() }
    };
    row("", &header, Some("microphone".to_owned()));
    row("gain error, rms (dB)", &|m| format!("{:.2}", m.gain_rms_db), None);
    row("gain error, 95th percentile (dB)", &|m| format!("{:.2}", m.gain_p95_db), None);
    row("dynamics slope (dB per dB)", &|m| format!("{:.3}", m.dynamics_slope), Some("1".to_owned()));
    row("decays: bias (dB/s)", &|m| format!("{:+.2}", m.decays.bias_db_per_s), Some("0".to_owned()));
    row("decays: spread (dB/s)", &|m| format!("{:.2}", m.decays.spread_db_per_s), None);
    row("decays: compared", &|m| m.decays.pair_len.to_string(), None);
    row("onset levels: slope (dB per dB)", &|m| format!("{:.3}", m.onsets.slope), Some("1".to_owned()));
    row("onset levels: rms difference (dB)", &|m| format!("{:.2}", m.onsets.rms_db), None);
    let some = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.1}"));
    let mic = validation.microphone;
    row("loudness range (LU)", &|m| format!("{:.1}", m.loudness.range_lu), Some(format!("{:.1}", mic.range_lu)));
    row("crest factor (dB)", &|m| some(m.loudness.crest_db), Some(some(mic.crest_db)));
    row("integrated loudness (LUFS)", &|m| some(m.loudness.integrated_lufs), Some(some(mic.integrated_lufs)));
    out
}
