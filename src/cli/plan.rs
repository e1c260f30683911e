//! What the typed words mean: defaults filled in, contradictions found.

use super::failure::Failure;
use super::laws::LawChoice;
use super::outputs::{Json, Outputs, Plot};
use super::pair::PairCommand;
use super::stdio::SummaryTo;
use super::typed::{AnalyzeTyped, Bits, Command, Common, RestoreTyped, Typed};
use agcfix::Config;
use agcfix::profile::Volume;
use agcfix::report::plot::Format;
use agcfix::restore::Level;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    Analyze(Box<AnalyzePlan>),
    Restore(Box<RestorePlan>),
    Pair(Box<PairCommand>),
    Laws,
}

/// Tell what the phone did.
#[derive(Debug)]
pub struct AnalyzePlan {
    pub input: PathBuf,
    pub config: Config,
    pub outputs: Outputs,
    pub summary_to: SummaryTo,
    pub is_quiet: bool,
}

/// Undo what the phone did.
#[derive(Debug)]
pub struct RestorePlan {
    pub input: PathBuf,
    pub output: PathBuf,
    pub gain: GainChoice,
    pub bits: Bits,
    pub outputs: Outputs,
    pub summary_to: SummaryTo,
    pub is_quiet: bool,
}

/// Which gain is to be undone.
#[derive(Debug)]
pub enum GainChoice {
    /// That of a law.
    Law(LawChoice),
    /// That of a gain CSV.
    Curve(PathBuf),
    /// That of a device profile.
    Profile(PathBuf, Volume),
}

impl Plan {
    /// Makes sense of what was typed.
    pub fn of(typed: Typed) -> Result<Self, Failure> {
        match typed.command {
            Command::Analyze(typed) => AnalyzePlan::of(typed).map(Box::new).map(Self::Analyze),
            Command::Restore(typed) => RestorePlan::of(typed).map(Box::new).map(Self::Restore),
            Command::Pair(command) => Ok(Self::Pair(Box::new(command))),
            Command::Laws => Ok(Self::Laws),
        }
    }
}

impl AnalyzePlan {
    fn of(typed: AnalyzeTyped) -> Result<Self, Failure> {
        let common = typed.common;
        let json = common.json.clone().map(json);
        let summary_to = match json {
            _ if common.quiet => SummaryTo::Nowhere,
            Some(Json::StandardOutput) => SummaryTo::StandardError,
            _ => SummaryTo::StandardOutput,
        };
        let outputs = Outputs {
            recording: None,
            plot: plot(&common, &renamed(&common.input, ".agcfix.png"))?,
            json,
            gain: typed.gain,
            labels: typed.labels,
            partials: typed.partials,
            is_forced: common.force,
        };
        Ok(Self { input: common.input, config: Config::default(), outputs, summary_to, is_quiet: common.quiet })
    }
}

impl RestorePlan {
    fn of(typed: RestoreTyped) -> Result<Self, Failure> {
        let common = typed.common;
        let volume = typed.profile_volume.map_or(Volume::Auto, Volume::Known);
        let gain = match (typed.gain, typed.profile) {
            (Some(path), _) => GainChoice::Curve(path),
            (None, Some(path)) => GainChoice::Profile(path, volume),
            (None, None) => GainChoice::Law(LawChoice::of(&typed.law).map_err(Failure::Usage)?),
        };
        let output = typed.output.unwrap_or_else(|| renamed(&common.input, ".restored.wav"));
        let outputs = Outputs {
            recording: Some((output.clone(), typed.bits)),
            plot: plot(&common, &output.with_extension("png"))?,
            json: common.json.clone().map(json),
            gain: typed.gain_out,
            labels: None,
            partials: None,
            is_forced: common.force,
        };
        let summary_to = if common.quiet { SummaryTo::Nowhere } else { SummaryTo::StandardError };
        let (input, bits, is_quiet) = (common.input, typed.bits, common.quiet);
        Ok(Self { input, output, gain, bits, outputs, summary_to, is_quiet })
    }

    /// Integers need room below full scale; floating point keeps the absolute level.
    pub fn level(&self) -> Level {
        match self.bits {
            Bits::Float32 => Level::Keep,
            Bits::Int16 | Bits::Int24 => Level::KeepBelowMinusOneDbtp,
        }
    }
}

fn json(path: PathBuf) -> Json {
    if path.as_os_str() == "-" { Json::StandardOutput } else { Json::File(path) }
}

/// The picture's file and format, where one is wanted.
fn plot(common: &Common, default: &Path) -> Result<Option<Plot>, Failure> {
    let Some(typed) = &common.plot else { return Ok(None) };
    let path = typed.as_deref().unwrap_or(default);
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    let format = match ending.as_deref().and_then(|ending| ending.to_str()) {
        Some("png") => Format::Png,
        Some("svg") => Format::Svg,
        _ => return Err(Failure::Usage(format!("--plot={}: the name must end in .png or .svg", path.display()))),
    };
    Ok(Some(Plot { path: path.to_owned(), format }))
}

/// A name beside the input: its own without the ending, and `ending`.
fn renamed(input: &Path, ending: &str) -> PathBuf {
    let mut name = input.file_stem().map_or_else(|| OsString::from("recording"), OsString::from);
    name.push(ending);
    input.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use clap::{CommandFactory, Parser};

    fn restore_plan(words: &[&str]) -> RestorePlan {
        let typed = Typed::try_parse_from(["agcfix", "restore"].iter().chain(words)).unwrap();
        let Plan::Restore(plan) = Plan::of(typed).unwrap() else { unreachable!("restore was typed") };
        *plan
    }

    #[test]
    fn the_arguments_are_sound() {
        Typed::command().debug_assert();
    }

    #[test]
    fn names_that_were_not_typed_stand_beside_the_input() {
        let plan = restore_plan(&["music/take 1.m4a", "--plot"]);
        assert_eq!(plan.output, Path::new("music/take 1.restored.wav"));
        assert_eq!(plan.outputs.plot.unwrap().path, Path::new("music/take 1.restored.png"));
        let plan = restore_plan(&["take.m4a", "-o", "x/out.wav", "--plot=shown.SVG"]);
        assert_eq!(plan.outputs.plot.unwrap(), Plot { path: "shown.SVG".into(), format: Format::Svg });
        assert_eq!(
            restore_plan(&["take.m4a", "-o", "x/out.wav", "--plot"]).outputs.plot.unwrap().path,
            Path::new("x/out.png")
        );
    }

    #[test]
    fn the_input_is_not_taken_for_the_picture_s_name() {
        let plan = restore_plan(&["--plot", "take.m4a"]);
        assert_eq!(plan.input, Path::new("take.m4a"));
    }
}
