//! `agcfix simulate` and `agcfix instrument`: recordings with a known truth.

use super::failure::Failure;
use super::laws::LawChoice;
use super::outputs::{can_be_made, can_be_smaller};
use super::stdio;
use super::targets::{self, Target};
use super::typed::Bits;
use agcfix::decode;
use agcfix::encode::{Batch, BitDepth, write_wav};
use agcfix::gain_csv::write_gain_csv;
use agcfix::instrument::{Instrument, Study, midi, play};
use agcfix::simulate::batch::{self, Done, Job};
use agcfix::simulate::gain::GainStage;
use agcfix::simulate::preset::{Composer, built_in};
use agcfix::simulate::{Chain, simulate};
use agcfix::units::db_from_amplitude;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rayon::prelude::*;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::path::{Path, PathBuf};

pub const SIMULATE_EXAMPLES: &str = "\
Examples:
  agcfix simulate clean.wav -o phone.wav --preset speex-medium
                                          write phone.wav and its truth, phone.truth.json
  agcfix simulate clean.wav -o phone.wav --preset phone-heavy --preset camera-medium
                                          a phone with that gain control
  agcfix simulate clean.wav -o phone.wav --law compressor:threshold_db=-30 --set noise.level_dbfs=-60
                                          a law and stages of your own
  agcfix simulate clean.wav -o phone.wav --preset device.toml
                                          what agcfix profile learn found out about a device
  agcfix simulate --manifest many.toml -o folder    many inputs, presets and seeds
  agcfix simulate --list                            the presets that are built in
";

pub const INSTRUMENT_EXAMPLES: &str = "\
Examples:
  agcfix instrument -o piano.wav                      play a study, truth in piano.truth.json
  agcfix instrument prelude.mid -o prelude.wav        play a MIDI file
  agcfix instrument --passage dense --seed 7 -o d.wav another study on another piano
";

#[derive(Debug, Args)]
pub struct SimulateTyped {
    /// The clean recording
    #[arg(value_name = "IN", required_unless_present_any = ["manifest", "list"])]
    pub input: Option<PathBuf>,
    /// The phone's recording; with --manifest the folder for all of them
    #[arg(long, short, value_name = "OUT.wav|FOLDER", required_unless_present = "list")]
    pub output: Option<PathBuf>,
    /// A built-in chain (NAME-light, -medium or -heavy), a TOML file, or a device profile of agcfix profile learn; several
    /// combine, stage by stage
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub preset: Vec<String>,
    /// A gain law instead of the presets'; several are passed one after the other
    #[arg(long, value_name = "NAME[:key=value,...]")]
    pub law: Vec<String>,
    /// One constant of the chain, such as clock.drift_ppm=20 or codec.name=aac
    #[arg(long, value_name = "STAGE.FIELD=VALUE")]
    pub set: Vec<String>,
    /// Seed of all that is random: the same gives the same bytes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What was done, as JSON [default: OUT.truth.json]
    #[arg(long, value_name = "FILE.json")]
    pub truth: Option<PathBuf>,
    /// The gain at every millisecond, as time_s,gain_db,lower_db,upper_db
    #[arg(long, value_name = "FILE.csv")]
    pub gain_out: Option<PathBuf>,
    /// Samples of the result
    #[arg(long, value_enum, default_value = "24")]
    pub bits: Bits,
    /// Simulate many: a TOML file with inputs, presets and seeds; what is done already is not done again
    #[arg(long, value_name = "FILE.toml", conflicts_with_all = ["input", "preset", "law", "set", "truth", "gain_out", "seed"])]
    pub manifest: Option<PathBuf>,
    /// List the presets that are built in
    #[arg(long)]
    pub list: bool,
    /// Overwrite files that exist; the recording itself never is
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

#[derive(Debug, Args)]
pub struct InstrumentTyped {
    /// A standard MIDI file; without it a study is played
    #[arg(value_name = "IN.mid", conflicts_with_all = ["passage", "duration"])]
    pub input: Option<PathBuf>,
    /// The recording
    #[arg(long, short, value_name = "OUT.wav")]
    pub output: PathBuf,
    /// Which study
    #[arg(long, value_parser = Study::NAMES, default_value = "flowing")]
    pub passage: String,
    /// Length of the study in seconds, 3 to 3600
    #[arg(long, value_name = "SECONDS", default_value_t = 40.0)]
    pub duration: f64,
    /// Which piano, and which study of its kind
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Sample rate in Hz
    #[arg(long, value_name = "HZ", default_value_t = 48_000)]
    pub rate: u32,
    /// One channel instead of two
    #[arg(long)]
    pub mono: bool,
    /// Highest sample in dBFS, -60 to 0
    #[arg(long, value_name = "DBFS", default_value_t = -3.0, allow_negative_numbers = true)]
    pub peak: f64,
    /// Every mode of every note, as JSON [default: OUT.truth.json]
    #[arg(long, value_name = "FILE.json")]
    pub truth: Option<PathBuf>,
    /// Samples of the result
    #[arg(long, value_enum, default_value = "24")]
    pub bits: Bits,
    /// Overwrite files that exist
    #[arg(long)]
    pub force: bool,
    /// Say nothing but errors
    #[arg(long, short)]
    pub quiet: bool,
}

/// What `agcfix simulate` is to do.
#[derive(Debug)]
pub enum SimulatePlan {
    List,
    One(Box<OnePlan>),
    Many { manifest: PathBuf, folder: PathBuf, bits: BitDepth, is_forced: bool, is_quiet: bool },
}

/// One simulation.
#[derive(Debug)]
pub struct OnePlan {
    input: PathBuf,
    output: PathBuf,
    chain: Chain,
    seed: u64,
    truth: PathBuf,
    gain_out: Option<PathBuf>,
    bits: BitDepth,
    is_forced: bool,
    is_quiet: bool,
}

impl SimulatePlan {
    pub fn of(typed: SimulateTyped) -> Result<Self, Failure> {
        if typed.list {
            return Ok(Self::List);
        }
        let output = typed.output.ok_or_else(|| Failure::Usage("-o is missing".to_owned()))?;
        let bits = depth(typed.bits);
        let (is_forced, is_quiet) = (typed.force, typed.quiet);
        if let Some(manifest) = typed.manifest {
            return Ok(Self::Many { manifest, folder: output, bits, is_forced, is_quiet });
        }
        let input = typed.input.ok_or_else(|| Failure::Usage("the recording is missing".to_owned()))?;
        if typed.preset.is_empty() && typed.law.is_empty() && typed.set.is_empty() {
            let told = "say what to simulate with --preset, --law or --set; agcfix simulate --list shows the presets";
            return Err(Failure::Usage(told.to_owned()));
        }
        let mut composer = Composer::default();
        for preset in &typed.preset {
            composer.preset(preset).map_err(|e| wrongly_typed(&format!("--preset {preset}"), e))?;
        }
        for law in &typed.law {
            composer.law(&stage_of(law)?);
        }
        for setting in &typed.set {
            composer.set(setting).map_err(|e| wrongly_typed("--set", e))?;
        }
        let chain = composer.finish().map_err(|e| wrongly_typed("the chain", e))?;
        let truth = typed.truth.unwrap_or_else(|| output.with_extension("truth.json"));
        let (seed, gain_out) = (typed.seed, typed.gain_out);
        Ok(Self::One(Box::new(OnePlan { input, output, chain, seed, truth, gain_out, bits, is_forced, is_quiet })))
    }
}

/// Errors in what was typed are usage; those in files are not.
fn wrongly_typed(what: &str, error: agcfix::Error) -> Failure {
    match error {
        agcfix::Error::Invalid { .. } => Failure::Usage(format!("{what}: {error}")),
        other => other.into(),
    }
}

fn stage_of(typed: &str) -> Result<GainStage, Failure> {
    match LawChoice::of(typed).map_err(Failure::Usage)? {
        LawChoice::Fitted(law) => Ok(GainStage::new(law.name(), &[])),
        LawChoice::Given(fit) => Ok(GainStage::from(&fit)),
        LawChoice::Auto | LawChoice::None => {
            Err(Failure::Usage(format!("--law {typed}: name a gain law; agcfix laws lists them")))
        }
    }
}

fn depth(bits: Bits) -> BitDepth {
    match bits {
        Bits::Int16 => BitDepth::Int16,
        Bits::Int24 => BitDepth::Int24,
        Bits::Float32 => BitDepth::Float32,
    }
}

/// Clean recordings in, phone recordings out.
pub fn run_simulate(plan: &SimulatePlan) -> Result<(), Failure> {
    match plan {
        SimulatePlan::List => stdio::print(&list()),
        SimulatePlan::One(plan) => one(plan),
        SimulatePlan::Many { manifest, folder, bits, is_forced, is_quiet } => {
            many(manifest, folder, *bits, *is_forced, *is_quiet)
        }
    }
}

fn one(plan: &OnePlan) -> Result<(), Failure> {
    let mut targets =
        vec![Target { option: "-o", path: &plan.output }, Target { option: "--truth", path: &plan.truth }];
    targets.extend(plan.gain_out.as_deref().map(|path| Target { option: "--gain-out", path }));
    targets::check(&plan.input, &targets, plan.is_forced)?;
    targets.iter().try_for_each(can_be_made)?;
    let bytes = || std::fs::read(&plan.input).map_err(|source| agcfix::Error::Io { path: plan.input.clone(), source });
    let recording = decode::read(&plan.input)?;
    recording.warnings.iter().for_each(|warning| stdio::warn(&format!("{}: {}", plan.input.display(), warning)));
    let simulated = simulate(&recording.audio, &plan.chain, plan.seed)?;
    let name = plan.input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let fingerprint = batch::fingerprint(&bytes()?, &plan.chain, plan.seed);
    let truth = simulated.truth.of_file(name, fingerprint);
    let mut batch = Batch::new(plan.is_forced);
    let clamped_len = add_sound(&mut batch, &plan.output, &simulated.audio, plan.bits)?;
    batch.add(&plan.truth, |writer| truth.write(writer)).map_err(can_be_smaller)?;
    if let Some(path) = &plan.gain_out {
        let csv = write_gain_csv(&truth.gain_1ms.to_gain_curve());
        batch.add(path, |writer| writer.write_all(csv.as_bytes())).map_err(can_be_smaller)?;
    }
    batch.commit()?;
    tell_of_clamped(&plan.output, clamped_len);
    if !plan.is_quiet {
        let stages: Vec<&str> = truth.stages.iter().map(|stage| stage.stage.as_str()).collect();
        let curve = &truth.gain_1ms.gain_db;
        let extreme = |pick: fn(f64, f64) -> f64| curve.iter().copied().reduce(pick).unwrap_or(0.0);
        stdio::warn(&format!(
            "{}: {} ({}); the gain moved between {:.1} and {:.1} dB. What was done is in {}",
            plan.output.display(),
            if truth.summary.is_empty() { "simulated" } else { &truth.summary },
            if stages.is_empty() { "no stages".to_owned() } else { stages.join(", ") },
            extreme(f64::min),
            extreme(f64::max),
            plan.truth.display(),
        ));
    }
    Ok(())
}

/// Adds a recording to what is written, and counts the samples that were clipped for that.
fn add_sound(batch: &mut Batch, path: &Path, audio: &agcfix::Audio, bits: BitDepth) -> Result<u64, Failure> {
    let written = batch.add(path, |writer| write_wav(writer, audio, bits)).map_err(can_be_smaller)?;
    Ok(written.clamped_len)
}

fn tell_of_clamped(path: &Path, clamped_len: u64) {
    if clamped_len > 0 {
        let path = path.display();
        stdio::warn(&format!(
            "{path}: {clamped_len} samples beyond full scale were clipped in the file; --bits 32f keeps them, \
             --set clip.level_dbfs=0 makes it part of the chain"
        ));
    }
}

fn many(manifest: &Path, folder: &Path, bits: BitDepth, is_forced: bool, is_quiet: bool) -> Result<(), Failure> {
    let jobs = batch::read_manifest(manifest)?;
    std::fs::create_dir_all(folder).map_err(|source| agcfix::Error::Io { path: folder.to_owned(), source })?;
    let bar = if is_quiet || !std::io::stderr().is_terminal() {
        ProgressBar::hidden()
    } else {
        let bar = ProgressBar::with_draw_target(Some(jobs.len() as u64), ProgressDrawTarget::stderr_with_hz(10));
        ProgressStyle::with_template("{pos}/{len} {bar:30} {elapsed} {eta} left")
            .map_or(bar.clone(), |s| bar.with_style(s))
    };
    let results: Vec<Result<Done, String>> = jobs
        .par_iter()
        .map(|job| {
            let result = batch::run(job, folder, bits, is_forced);
            bar.inc(1);
            result.map_err(|error| error.to_string())
        })
        .collect();
    bar.finish_and_clear();
    let mut done: Vec<(&Job, &Done)> = Vec::new();
    for (job, result) in jobs.iter().zip(&results) {
        match result {
            Ok(result) => done.push((job, result)),
            Err(error) => stdio::warn(&format!("{}: {error}", job.name)),
        }
    }
    batch::write_table(folder, &done)?;
    let old_len = done.iter().filter(|(_, done)| done.is_old).count();
    if !is_quiet {
        stdio::warn(&format!(
            "{}: {} simulated, {old_len} were there already, {} failed",
            folder.display(),
            done.len() - old_len,
            jobs.len() - done.len()
        ));
    }
    if done.len() < jobs.len() {
        let failed_len = jobs.len() - done.len();
        return Err(Failure::Input(format!(
            "{failed_len} of {} simulations failed; run it again for those",
            jobs.len()
        )));
    }
    Ok(())
}

/// The presets for people.
fn list() -> String {
    let mut out = String::from("Presets, as typed after --preset NAME-STRENGTH (light, medium or heavy)\n");
    let presets = built_in();
    let width = presets.iter().map(|preset| preset.name.len()).max().unwrap_or(0);
    for preset in presets {
        // Writing to a String cannot fail.
        let _ = write!(out, "\n{:width$}  {}\n{:width$}  after {}\n", preset.name, preset.summary, "", preset.source);
    }
    out
}

/// Notes in, piano out.
pub fn run_instrument(plan: &InstrumentTyped) -> Result<(), Failure> {
    let truth_path = plan.truth.clone().unwrap_or_else(|| plan.output.with_extension("truth.json"));
    let targets = [Target { option: "-o", path: &plan.output }, Target { option: "--truth", path: &truth_path }];
    targets::check(plan.input.as_deref().unwrap_or(Path::new("")), &targets, plan.force)?;
    targets.iter().try_for_each(can_be_made)?;
    let passage = match &plan.input {
        Some(path) => {
            let bytes = agcfix::text::read_bytes(path)?;
            let read = midi::read(&bytes, path)?;
            if read.out_of_range_len > 0 {
                let len = read.out_of_range_len;
                stdio::warn(&format!("{}: {len} notes beyond the piano's keys were left out", path.display()));
            }
            read.passage
        }
        None => {
            if !(3.0..=3600.0).contains(&plan.duration) {
                return Err(Failure::Usage(format!("--duration {}: give 3 to 3600 seconds", plan.duration)));
            }
            let study = Study::named(&plan.passage).unwrap_or_default();
            Study { duration_s: plan.duration, seed: plan.seed, ..study }.passage()
        }
    };
    let instrument = Instrument {
        sample_rate_hz: plan.rate,
        channel_len: if plan.mono { 1 } else { 2 },
        seed: plan.seed,
        peak_dbfs: plan.peak,
        ..Instrument::default()
    };
    let played = play(&passage, &instrument)?;
    let mut batch = Batch::new(plan.force);
    let clamped_len = add_sound(&mut batch, &plan.output, &played.audio, depth(plan.bits))?;
    batch.add(&truth_path, |writer| played.truth.write(writer)).map_err(can_be_smaller)?;
    batch.commit()?;
    tell_of_clamped(&plan.output, clamped_len);
    if !plan.quiet {
        let peak = played.audio.channels().iter().flatten().fold(0f32, |peak, x| peak.max(x.abs()));
        stdio::warn(&format!(
            "{}: {} notes, {:.1} s, peak {:.1} dBFS. Every partial is in {}",
            plan.output.display(),
            played.truth.notes.len(),
            played.audio.duration_s(),
            db_from_amplitude(f64::from(peak)),
            truth_path.display()
        ));
    }
    Ok(())
}
