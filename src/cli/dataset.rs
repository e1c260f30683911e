//! `agcfix dataset`: many recordings, by a manifest.

use super::failure::Failure;
use super::stdio::{self, SummaryTo};
use agcfix::dataset::export::{ExportConfig, Layout, export};
use agcfix::dataset::run::Done;
use agcfix::dataset::summary::summary;
use agcfix::dataset::{Manifest, Results, Role, Shard, Task, restore, run};
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};

pub const EXAMPLES: &str = "\
Examples:
  agcfix dataset check set.csv                              do all files exist, and is none alone?
  agcfix dataset validate set.csv -o results.jsonl          every phone with every microphone of its take and position
  agcfix dataset restore set.csv -o restored                every phone's recording by itself, into a folder
  agcfix dataset restore set.csv -o restored --shard 2/8    one machine's eighth of it
  agcfix dataset merge restored/results.*.jsonl -o all.jsonl   what all machines wrote, as one
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
    /// Restore every phone's recording by itself, into a folder
    Restore(Measured),
    /// Put the results of all parts together
    Merge {
        /// What the parts wrote
        #[arg(value_name = "RESULTS.jsonl", required = true)]
        results: Vec<PathBuf>,
        /// All of it; lines that are in it already stay
        #[arg(long, short, value_name = "RESULTS.jsonl")]
        output: PathBuf,
        /// Say nothing but errors
        #[arg(long, short)]
        quiet: bool,
    },
    /// Medians by device and by position, as Markdown
    Report {
        /// What align or validate wrote
        #[arg(value_name = "RESULTS.jsonl")]
        results: PathBuf,
    },
    /// Cut aligned training pairs
    Export(Exported),
}

/// What align, validate and restore take.
#[derive(Debug, Args)]
pub struct Measured {
    /// The manifest
    #[arg(value_name = "MANIFEST")]
    pub manifest: PathBuf,
    /// One JSON line a pair; pairs that are in it already, from the same contents, are not measured again. For restore a folder
    #[arg(long, short, value_name = "RESULTS.jsonl|FOLDER")]
    pub output: PathBuf,
    /// Only this part of the work: the I-th of N machines. Its results are called RESULTS.I-of-N.jsonl
    #[arg(long, value_name = "I/N", default_value = "1/1", hide_default_value = true)]
    pub shard: Shard,
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
            Self::Restore(restored) => restore_all(restored),
            Self::Merge { results, output, quiet } => merge(results, output, *quiet),
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
    let output = typed.shard.path(&typed.output);
    let is_input = |path: &Path| path.canonicalize().ok().is_some_and(|p| output.canonicalize().ok() == Some(p));
    if is_input(&typed.manifest) || manifest.recordings.iter().any(|r| is_input(&manifest.path_of(r))) {
        let path = output.display();
        return Err(Failure::Input(format!("{path}: this is one of the inputs; give -o another name")));
    }
    let mut results = Results::open(&output)?;
    let bar = bar(typed.shard.of(manifest.pairs()).count(), "pairs", typed.quiet);
    let done = run(&manifest, task, typed.shard, &mut results, &|| bar.inc(1))?;
    bar.finish_and_clear();
    tell(done, "pairs measured", &output, typed.quiet)
}

fn restore_all(typed: &Measured) -> Result<(), Failure> {
    let manifest = Manifest::read(&typed.manifest)?;
    let mut results = restore::open(&typed.output, typed.shard)?;
    let phone_len = typed.shard.of(manifest.recordings.iter().filter(|r| r.role == Role::Phone)).count();
    let bar = bar(phone_len, "recordings", typed.quiet);
    let done = restore::restore(&manifest, typed.shard, &typed.output, &mut results, &|| bar.inc(1))?;
    bar.finish_and_clear();
    tell(done, "recordings analysed", results.path(), typed.quiet)
}

/// The parts' results as one file. A part that is missing is an error: nobody would miss its lines.
fn merge(parts: &[PathBuf], output: &Path, is_quiet: bool) -> Result<(), Failure> {
    if let Some(gone) = parts.iter().find(|path| !path.is_file()) {
        return Err(Failure::Input(format!("{}: no such file; agcfix dataset --shard writes it", gone.display())));
    }
    let missing = Shard::missing(parts);
    if !missing.is_empty() {
        let told = missing.join(", ");
        return Err(Failure::Input(format!(
            "{}: of the parts, {told} is not there; run agcfix dataset ... --shard {}",
            output.display(),
            missing[0]
        )));
    }
    let mut merged = Results::open(output)?;
    for path in parts {
        merged.take_over(Results::open(path)?)?;
    }
    merged.finish()?;
    let failed_len = merged.rows().filter(|row| row.error.is_some()).count();
    let told = format!(
        "{} lines of {} files, {failed_len} of them failures\nWritten: {}\n",
        merged.rows().count(),
        parts.len(),
        output.display()
    );
    stdio::tell(&told, if is_quiet { SummaryTo::Nowhere } else { SummaryTo::StandardOutput })
}

fn tell(done: Done, what: &str, results: &Path, is_quiet: bool) -> Result<(), Failure> {
    let path = results.display();
    let summary_to = if is_quiet { SummaryTo::Nowhere } else { SummaryTo::StandardOutput };
    stdio::tell(
        &format!(
            "{} {what}, {} were known already, {} failed\nWritten: {path}\n",
            done.measured_len, done.skipped_len, done.failed_len,
        ),
        summary_to,
    )?;
    match done.failed_len {
        0 => Ok(()),
        n => Err(Failure::Input(format!("{n} {} failed; agcfix dataset report {path} names them", what_of(what)))),
    }
}

/// `pairs measured` without the participle.
fn what_of(what: &str) -> &str {
    what.split(' ').next().unwrap_or(what)
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
    let bar = bar(manifest.pairs().len(), "pairs", typed.quiet);
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

/// A bar on standard error, or nothing where nobody would see it.
fn bar(len: usize, of_what: &str, is_quiet: bool) -> ProgressBar {
    if is_quiet || !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(len as u64), ProgressDrawTarget::stderr_with_hz(10));
    if let Ok(style) =
        ProgressStyle::with_template(&format!("{{pos}} of {{len}} {of_what} {{bar:30}} {{elapsed}}, {{eta}} to go"))
    {
        bar.set_style(style);
    }
    bar
}
