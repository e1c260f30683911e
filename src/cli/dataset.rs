//! `agcfix dataset`: many recordings, by a manifest.

use super::failure::Failure;
use super::stdio::{self, SummaryTo};
use agcfix::dataset::export::{ExportConfig, Layout, export};
use agcfix::dataset::summary::summary;
use agcfix::dataset::{Manifest, Results, Task, run};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
Examples:
  agcfix dataset check set.csv                              do all files exist, and is none alone?
  agcfix dataset validate set.csv -o results.jsonl          every phone with every microphone of its take and position
  agcfix dataset report results.jsonl                       medians by device and position
  agcfix dataset export set.csv -o pairs --segment-s 10 --test 4   training pairs, take 4 kept for testing
A manifest is a CSV with the header take,position,device,role,path (role: phone or mic), or a TOML with [[recording]] tables.
";

/// What can be done with a data set.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Read every file, and name what is missing or has no partner
    Check {
        /// The manifest
        #[arg(value_name = "MANIFEST")]
        manifest: PathBuf,
    },
    /// Offset and drift of every pair
    Align(Measured),
    /// Dynamics of every pair
    Validate(Measured),
    /// Medians by device and by position, as Markdown
    Report {
        /// What align or validate wrote
        #[arg(value_name = "RESULTS.jsonl")]
        results: PathBuf,
    },
    /// Cut aligned training pairs
    Export(Exported),
}

/// What align and validate take.
#[derive(Debug, Args)]
pub struct Measured {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// One JSON line a pair; pairs that are in it already, from the same contents, are not measured again
    #[arg(long, short, value_name = "RESULTS.jsonl")]
    pub output: PathBuf,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// What export takes.
#[derive(Debug, Args)]
pub struct Exported {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// A new folder
    #[arg(long, short, value_name = "DIR")]
    pub output: PathBuf,
    /// Length of a segment, in seconds
    #[arg(long, default_value_t = 10.0)]
    pub segment_s: f64,
    /// Takes for testing
    #[arg(long, value_delimiter = ',', value_name = "TAKE,...")]
    pub test: Vec<String>,
    /// Takes for validation
    #[arg(long, value_delimiter = ',', value_name = "TAKE,...")]
    pub validation: Vec<String>,
    /// Files with metadata.csv, or WebDataset shards
    #[arg(long, value_enum, default_value = "folder")]
    pub layout: LayoutTyped,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// Layouts as typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayoutTyped {
    /// Folders with metadata.csv
    Folder,
    /// Tar shards
    Webdataset,
}

impl DatasetCommand {
    /// Does what was typed.
    pub fn run(&self) -> Result<(), Failure> {
        match self {
            Self::Check { manifest } => check(manifest),
            Self::Align(measured) => measure(measured, Task::Align),
            Self::Validate(measured) => measure(measured, Task::Validate),
            Self::Report { results } => {
                if !results.is_file() {
                    let path = results.display();
                    return Err(Failure::Input(format!("{path}: no such file; agcfix dataset validate writes it")));
                }
                stdio::print(&summary(Results::open(results)?.rows()))
            }
            Self::Export(exported) => cut(exported),
        }
    }
}

fn check(path: &Path) -> Result<(), Failure> {
    let manifest = Manifest::read(path)?;
    let complaints = manifest.complaints();
    for complaint in &complaints {
        stdio::warn(complaint);
    }
    let told = format!("{} recordings, {} pairs\n", manifest.recordings.len(), manifest.pairs().len());
    stdio::print(&told)?;
    match complaints.len() {
        0 => Ok(()),
        n => Err(Failure::Input(format!("{}: {n} of its recordings cannot be used as they are", path.display()))),
    }
}

fn measure(typed: &Measured, task: Task) -> Result<(), Failure> {
    let manifest = Manifest::read(&typed.manifest)?;
    let is_input = |path: &Path| path.canonicalize().ok().is_some_and(|p| typed.output.canonicalize().ok() == Some(p));
    if is_input(&typed.manifest) || manifest.recordings.iter().any(|r| is_input(&manifest.path_of(r))) {
        let path = typed.output.display();
        return Err(Failure::Input(format!("{path}: this is one of the inputs; give -o another name")));
    }
    let mut results = Results::open(&typed.output)?;
    let bar = bar(manifest.pairs().len(), typed.quiet);
    let done = run(&manifest, task, &mut results, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let summary_to = if typed.quiet { SummaryTo::Nowhere } else { SummaryTo::StandardOutput };
    stdio::tell(
        &format!(
            "{} pairs measured, {} were known already, {} failed\nWritten: {}\n",
            done.measured_len,
            done.skipped_len,
            done.failed_len,
            typed.output.display()
        ),
        summary_to,
    )?;
    match done.failed_len {
        0 => Ok(()),
        n => Err(Failure::Input(format!(
            "{n} pairs failed; agcfix dataset report {} names them",
            typed.output.display()
        ))),
    }
}

fn cut(typed: &Exported) -> Result<(), Failure> {
    let manifest = Manifest::read(&typed.manifest)?;
    let layout = match typed.layout {
        LayoutTyped::Folder => Layout::Folder,
        LayoutTyped::Webdataset => Layout::WebDataset,
    };
    let config = ExportConfig {
        segment_s: typed.segment_s,
        test: typed.test.clone(),
        validation: typed.validation.clone(),
        layout,
    };
    let bar = bar(manifest.pairs().len(), typed.quiet);
    let exported = export(&manifest, &typed.output, &config, &|| bar.inc(1))?;
    bar.finish_and_clear();
    for reason in &exported.failed {
        stdio::warn(reason);
    }
    let [train, validation, test] = exported.segment_len;
    let summary_to = if typed.quiet { SummaryTo::Nowhere } else { SummaryTo::StandardOutput };
    let told = format!(
        "Segments: {train} train, {validation} validation, {test} test; {} pairs failed\nWritten: {}\n",
        exported.failed.len(),
        typed.output.display()
    );
    stdio::tell(&told, summary_to)
}

/// A bar over pairs on standard error, or nothing where nobody would see it.
fn bar(pair_len: usize, is_quiet: bool) -> ProgressBar {
    if is_quiet || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(pair_len as u64), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) = ProgressStyle::with_template("{pos} of {len} pairs {bar:30} {elapsed}, {eta} to go") {
        bar.set_style(style);
    }
    bar
}
