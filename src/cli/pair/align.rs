//! `agcfix align`: offset and drift, and the phone's recording on the microphone's clock.

use super::together::{Together, together, told};
use crate::cli::failure::Failure;
use crate::cli::stdio::{self, SummaryTo};
use crate::cli::targets::{self, Target};
use agcfix::encode::{BitDepth, write_atomically, write_wav_file};
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
    let json_file = typed.json.as_deref().filter(|path| path.as_os_str() != "-");
    let wanted = [("-o", typed.output.as_deref()), ("--json", json_file)];
    check(&[&typed.phone, &typed.mic], &wanted, typed.force)?;
    let Together { phone, mic, alignment } = together(&typed.phone, &typed.mic)?;
    if let Some(path) = &typed.output {
        let audio = aligned(&phone.audio, &mic.audio, &alignment)?;
        write_wav_file(path, typed.force, &audio, BitDepth::Float32)?;
    }
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let document = Document {
        schema: "agcfix.alignment/1",
        phone: name(&typed.phone),
        microphone: name(&typed.mic),
        alignment: &alignment,
    };
    let summary_to = write_json(typed.json.as_deref(), &document, typed.force, typed.quiet)?;
    let mut summary = told(&alignment);
    if let Some(path) = &typed.output {
        summary.push_str(&format!("Written: {}\n", path.display()));
    }
    stdio::tell(&summary, summary_to)
}

/// Refuses outputs that are one of the inputs, each other, or exist already.
pub fn check(inputs: &[&Path], wanted: &[(&'static str, Option<&Path>)], is_forced: bool) -> Result<(), Failure> {
    let targets: Vec<Target<'_>> =
        wanted.iter().filter_map(|(option, path)| Some(Target { option, path: (*path)? })).collect();
    inputs.iter().try_for_each(|input| targets::check(input, &targets, is_forced))
}

/// Writes a document where it was asked for; says where the summary goes then.
pub fn write_json(
    to: Option<&Path>,
    document: &impl Serialize,
    is_forced: bool,
    is_quiet: bool,
) -> Result<SummaryTo, Failure> {
    let is_standard_output = to.is_some_and(|path| path.as_os_str() == "-");
    if let Some(path) = to {
        let mut text = serde_json::to_string_pretty(document).map_err(|e| Failure::Input(format!("JSON: {e}")))?;
        text.push('\n');
        if is_standard_output {
            stdio::print(&text)?;
        } else {
            write_atomically(path, is_forced, |writer| writer.write_all(text.as_bytes()))?;
        }
    }
    Ok(match (is_quiet, is_standard_output) {
        (true, _) => SummaryTo::Nowhere,
        (false, true) => SummaryTo::StandardError,
        (false, false) => SummaryTo::StandardOutput,
    })
}
