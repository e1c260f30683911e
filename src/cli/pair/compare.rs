//! `agcfix compare`: what differs between devices that recorded one performance.

use super::align::{check, finish, json_file, json_text};
use super::report::{self, PairAudio, html_name};
use super::together::read;
use super::validate::format_of;
use crate::cli::failure::Failure;
use crate::cli::outputs::can_be_smaller;
use crate::cli::stdio;
use agcfix::Audio;
use agcfix::encode::Batch;
use agcfix::pair::align::aligned;
use agcfix::pair::compare::{DeviceReport, SCHEMA, compare};
use agcfix::profile::{LearnConfig, Take, learn};
use agcfix::report::page::pair::{ComparisonPage, comparison_html};
use agcfix::report::plot::comparison_picture;
use clap::Args;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
Examples:
  agcfix compare --reference mic.wav pixel.m4a iphone.m4a        a table
  agcfix compare --reference mic.wav *.m4a --plot=devices.png --json devices.json
  agcfix compare --reference mic.wav *.m4a --report=devices.html   a page to hear them side by side, on one clock
  agcfix compare --reference mic.wav pixel.m4a --law             ... and which gain law each has (slow)
";

/// What was typed.
#[derive(Debug, Args)]
pub struct Typed {
    /// Recordings of one performance
    #[arg(value_name = "RECORDING", required = true)]
    pub recordings: Vec<PathBuf>,
    /// What all are compared with: the best microphone
    #[arg(long, value_name = "MIC")]
    pub reference: PathBuf,
    /// Learn each device's gain law as well
    #[arg(long)]
    pub law: bool,
    /// Draw the responses and dynamics, as PNG or SVG by the name's ending
    #[arg(long, value_name = "FILE.png|.svg")]
    pub plot: Option<PathBuf>,
    /// Write a page that plays all of them on one clock, as one HTML file that opens offline
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Sound of the report: in the page, or none
    #[arg(long, value_enum, default_value = "embedded", value_name = "HOW")]
    pub audio: PairAudio,
    /// Write the numbers as JSON; - is standard output
    #[arg(long, value_name = "FILE|-")]
    pub json: Option<PathBuf>,
    /// Overwrite files that exist; the recordings never are
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    reference: String,
    devices: &'a [DeviceReport],
}

/// Reads, compares one after the other, writes, tells. Recordings of something else are named and left out.
pub fn run(typed: &Typed) -> Result<(), Failure> {
    let format = typed.plot.as_deref().map(format_of).transpose()?;
    typed.report.as_deref().map(html_name).transpose()?;
    let json_file = json_file(typed.json.as_deref());
    let mut inputs: Vec<&Path> = typed.recordings.iter().map(PathBuf::as_path).collect();
    inputs.push(&typed.reference);
    let wanted = [("--plot", typed.plot.as_deref()), ("--report", typed.report.as_deref()), ("--json", json_file)];
    check(&inputs, &wanted, typed.force)?;
    let reference = read(&typed.reference)?.audio;
    let file_name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Some(path) = &typed.report {
        let duration_s = reference.duration_s() * (typed.recordings.len() + 1) as f64;
        report::check_length(duration_s, typed.audio, path)?;
    }
    let mut devices = Vec::new();
    let mut sounds: Vec<(String, Audio)> = Vec::new();
    for path in &typed.recordings {
        let audio = read(path)?.audio;
        match compare(&file_name(path), &audio, &reference)? {
            Ok(mut report) => {
                if typed.law {
                    let take = Take::new(&audio, &reference, &report.validation.alignment, (0.0, f64::INFINITY))?;
                    report.law = learn(&[take], &LearnConfig::default())?.law.map(|law| law.name);
                }
                if typed.report.is_some() {
                    sounds.push((report.name.clone(), aligned(&audio, &reference, &report.validation.alignment)?));
                }
                devices.push(report);
            }
            Err(reason) => stdio::warn(&format!(
                "{}: not the same performance as {}: {reason}; left out",
                path.display(),
                typed.reference.display()
            )),
        }
    }
    if devices.is_empty() {
        return Err(Failure::Refused(format!("{}: no recording belongs to it", typed.reference.display())));
    }
    let mut batch = Batch::new(typed.force);
    if let (Some(path), Some(format)) = (&typed.plot, format) {
        let bytes = comparison_picture(&devices, &file_name(&typed.reference), format)?;
        batch.add(path, |writer| writer.write_all(&bytes)).map_err(can_be_smaller)?;
    }
    let reference_name = file_name(&typed.reference);
    let document = Document { schema: SCHEMA, reference: reference_name.clone(), devices: &devices };
    let text = json_text(&document)?;
    if let Some(path) = &typed.report {
        sounds.insert(0, (format!("{reference_name} (reference)"), reference));
        let tracks = report::tracks(&sounds, typed.audio, path)?;
        let page = ComparisonPage { reference: &reference_name, devices: &devices, tracks, json: &text };
        let html = comparison_html(&page)?;
        batch.add(path, |writer| writer.write_all(html.as_bytes())).map_err(can_be_smaller)?;
    }
    let summary_to = finish(batch, typed.json.as_deref(), &text, typed.quiet)?;
    stdio::tell(&table(&devices, typed.law), summary_to)
}

/// One row a device.
fn table(devices: &[DeviceReport], with_law: bool) -> String {
    let width = devices.iter().map(|d| d.name.chars().count()).max().unwrap_or(0).max(9);
    let mut out = format!(
        "{:width$}  gain moves  slope  quietest  loudest  clipped     LRA  drift ppm  100 Hz  300 Hz   1 kHz   3 kHz  10 kHz{}\n",
        "recording",
        if with_law { "  law" } else { "" }
    );
    for d in devices {
        let response = [100.0, 300.0, 1_000.0, 3_000.0, 10_000.0]
            .map(|hz| format!("{:+8.1}", d.validation.response.at_db(hz)))
            .concat();
        let law = if with_law { format!("  {}", d.law.as_deref().unwrap_or("none")) } else { String::new() };
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{:width$}  {:7.2} dB  {:5.2}  {:8.1}  {:7.1}  {:7}  {:6.1}  {:9.2}{response}{law}",
            d.name,
            d.gain_movement_db,
            d.dynamics_slope,
            d.quietest_dbfs,
            d.loudest_dbfs,
            d.clipped_len,
            d.loudness_range_lu,
            d.drift_ppm,
        );
    }
    out.push_str("Levels in dBFS (rms of 20 ms), LRA in LU, response in dB against the reference.\n");
    out
}
