//! `agcfix align`: offset and drift, and the phone's recording on the microphone's clock.

use super::together::{Together, together, told};
use crate::cli::failure::Failure;
use crate::cli::outputs::{can_be_made, can_be_smaller};
use crate::cli::stdio::{self, SummaryTo};
use crate::cli::targets::{self, Target};
use agcfix::encode::{Batch, BitDepth, write_wav};
use agcfix::pair::align::{Alignment, aligned};
use clap::Args;
use serde::Serialize;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
Examples:
  agcfix align phone.m4a mic.wav                      tell offset and drift
  agcfix align phone.m4a mic.wav -o phone.mic.wav     ... and write the phone on the microphone's clock
  agcfix align phone.m4a mic.wav --json - | jq .drift_ppm
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
    /// Write the phone's recording on the microphone's clock: same rate, same length, 32-bit float
    #[arg(long, short, value_name = "OUT.wav")]
    pub output: Option<PathBuf>,
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

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    phone: String,
    microphone: String,
    #[serde(flatten)]
    alignment: &'a Alignment,
}

/// Reads, aligns, writes, tells.
pub fn run(typed: &Typed) -> Result<(), Failure> {
    let wanted = [("-o", typed.output.as_deref()), ("--json", json_file(typed.json.as_deref()))];
    check(&[&typed.phone, &typed.mic], &wanted, typed.force)?;
    let Together { phone, mic, alignment } = together(&typed.phone, &typed.mic)?;
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let document = Document {
        schema: "agcfix.alignment/1",
        phone: name(&typed.phone),
        microphone: name(&typed.mic),
        alignment: &alignment,
    };
    let mut batch = Batch::new(typed.force);
    if let Some(path) = &typed.output {
        let audio = aligned(&phone.audio, &mic.audio, &alignment)?;
        batch.add(path, |writer| write_wav(writer, &audio, BitDepth::Float32)).map_err(can_be_smaller)?;
    }
    let summary_to = finish(batch, typed.json.as_deref(), &json_text(&document)?, typed.quiet)?;
    let mut summary = told(&alignment);
    if let Some(path) = &typed.output {
        summary.push_str(&format!("Written: {}\n", path.display()));
    }
    stdio::tell(&summary, summary_to)
}

/// Refuses outputs that are one of the inputs, each other, exist already, or could not be written at the end.
pub fn check(inputs: &[&Path], wanted: &[(&'static str, Option<&Path>)], is_forced: bool) -> Result<(), Failure> {
    let targets: Vec<Target<'_>> =
        wanted.iter().filter_map(|(option, path)| Some(Target { option, path: (*path)? })).collect();
    inputs.iter().try_for_each(|input| targets::check(input, &targets, is_forced))?;
    targets.iter().try_for_each(can_be_made)
}

/// The file that the JSON goes to, where it goes to one.
pub fn json_file(typed: Option<&Path>) -> Option<&Path> {
    typed.filter(|path| path.as_os_str() != "-")
}

/// A document as text.
pub fn json_text(document: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(document).map_err(|e| Failure::Input(format!("JSON: {e}")))?;
    text.push('\n');
    Ok(text)
}

/// Adds the JSON to what is written, puts all of it in its place, and says where the summary goes then.
pub fn finish(mut batch: Batch, json: Option<&Path>, document: &str, is_quiet: bool) -> Result<SummaryTo, Failure> {
    if let Some(path) = json_file(json) {
        batch.add(path, |writer| writer.write_all(document.as_bytes())).map_err(can_be_smaller)?;
    }
    batch.commit()?;
    let is_standard_output = json.is_some() && json_file(json).is_none();
    if is_standard_output {
        stdio::print(document)?;
    }
    Ok(match (is_quiet, is_standard_output) {
        (true, _) => SummaryTo::Nowhere,
        (false, true) => SummaryTo::StandardError,
        (false, false) => SummaryTo::StandardOutput,
    })
}
