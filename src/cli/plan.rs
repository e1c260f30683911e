//! What the typed words mean: defaults filled in, contradictions found.

use super::failure::Failure;
use super::laws::LawChoice;
use super::names::{Names, is_standard};
use super::outputs::{Export, Json, Outputs, Plot};
use super::pair::PairCommand;
use super::progress::Voice;
use super::report::Report;
use super::simulate::{InstrumentTyped, SimulatePlan};
use super::stdio::SummaryTo;
use super::typed::{AnalyzeTyped, Bits, Command, Common, NonFinite, PlotTyped, RestoreTyped, Typed};
use agcfix::Config;
use agcfix::decode::{self, Damage, ReadConfig};
use agcfix::profile::Volume;
use agcfix::report::plot::Format;
use agcfix::restore::Level;
use clap::ValueEnum as _;
use clap_complete::Shell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// What is to be done.
#[derive(Debug)]
pub enum Plan {
    Analyze(Vec<AnalyzePlan>),
    Restore(Vec<RestorePlan>),
    Pair(Box<PairCommand>),
    Simulate(SimulatePlan),
    Instrument(InstrumentTyped),
    Laws,
    Plot(Box<PlotPlan>),
    Completions(Shell),
    Man(Option<String>),
}

/// Draw one stage.
#[derive(Debug)]
pub struct PlotPlan {
    pub input: PathBuf,
    pub outputs: Outputs,
    pub voice: Voice,
}

/// Tell what the phone did.
#[derive(Debug)]
pub struct AnalyzePlan {
    pub input: PathBuf,
    pub reading: ReadConfig,
    pub config: Config,
    pub outputs: Outputs,
    pub summary_to: SummaryTo,
    pub voice: Voice,
    pub is_dry: bool,
}

/// Undo what the phone did.
#[derive(Debug)]
pub struct RestorePlan {
    pub input: PathBuf,
    pub reading: ReadConfig,
    pub output: PathBuf,
    pub gain: GainChoice,
    pub bits: Bits,
    pub outputs: Outputs,
    pub summary_to: SummaryTo,
    pub voice: Voice,
    pub is_dry: bool,
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
            Command::Analyze(typed) => {
                let inputs = once_each(&typed.common.inputs)?;
                inputs.iter().map(|input| AnalyzePlan::of(&typed, input)).collect::<Result<_, _>>().map(Self::Analyze)
            }
            Command::Restore(typed) => {
                let inputs = once_each(&typed.common.inputs)?;
                inputs.iter().map(|input| RestorePlan::of(&typed, input)).collect::<Result<_, _>>().map(Self::Restore)
            }
            Command::Simulate(typed) => SimulatePlan::of(*typed).map(Self::Simulate),
            Command::Instrument(typed) => Ok(Self::Instrument(typed)),
            Command::Pair(command) => Ok(Self::Pair(Box::new(command))),
            Command::Laws => Ok(Self::Laws),
            Command::Plot(typed) => PlotPlan::of(typed).map(Box::new).map(Self::Plot),
            Command::Completions { shell } => Ok(Self::Completions(shell)),
            Command::Man { of } => Ok(Self::Man(of)),
        }
    }
}

/// The inputs, none twice.
fn once_each(inputs: &[PathBuf]) -> Result<&[PathBuf], Failure> {
    let twice = inputs.iter().enumerate().find(|(i, input)| inputs[..*i].contains(input));
    match twice {
        Some((_, input)) => Err(Failure::Usage(format!("{}: named twice", input.display()))),
        None => Ok(inputs),
    }
}

fn names<'a>(common: &'a Common, input: &'a Path) -> Names<'a> {
    Names::new(input, common.output_dir.as_deref(), common.inputs.len() > 1)
}

impl AnalyzePlan {
    fn of(typed: &AnalyzeTyped, input: &Path) -> Result<Self, Failure> {
        let common = &typed.common;
        let names = names(common, input);
        let json = json(common, &names)?;
        let summary_to = match json {
            _ if common.quiet => SummaryTo::Nowhere,
            Some(Json::StandardOutput) => SummaryTo::StandardError,
            _ => SummaryTo::StandardOutput,
        };
        let outputs = Outputs {
            recording: None,
            plot: plot(common, &names, &names.default(".agcfix.png"))?,
            report: report(common, &names, &names.default(".agcfix.html"))?,
            json,
            gain: names.optional("--gain", typed.gain.as_deref())?,
            labels: names.optional("--labels", typed.labels.as_deref())?,
            partials: names.optional("--partials", typed.partials.as_deref())?,
            exports: exports(common, &names)?,
            detail: None,
            folder: common.output_dir.clone(),
            is_forced: common.force,
        };
        Ok(Self {
            input: input.to_owned(),
            reading: reading(common),
            config: Config::default(),
            outputs,
            summary_to,
            voice: common.voice(),
            is_dry: common.dry_run,
        })
    }
}

impl RestorePlan {
    fn of(typed: &RestoreTyped, input: &Path) -> Result<Self, Failure> {
        let common = &typed.common;
        let names = names(common, input);
        let volume = typed.profile_volume.map_or(Volume::Auto, Volume::Known);
        let gain = match (&typed.gain, &typed.profile) {
            (Some(path), _) => GainChoice::Curve(path.clone()),
            (None, Some(path)) => GainChoice::Profile(path.clone(), volume),
            (None, None) => GainChoice::Law(LawChoice::of(&typed.law).map_err(Failure::Usage)?),
        };
        let output = match &typed.output {
            Some(typed) => names.typed("-o", typed)?,
            None if is_standard(input) && common.output_dir.is_none() => PathBuf::from(super::names::STANDARD),
            None => names.default(".restored.wav"),
        };
        let json = json(common, &names)?;
        if is_standard(&output) {
            if json == Some(Json::StandardOutput) {
                return Err(Failure::Usage(
                    "-o - and --json -: standard output cannot be both; name a file".to_owned(),
                ));
            }
            if std::io::stdout().is_terminal() {
                let told = "standard output is a terminal, which cannot play sound; name a file with -o, or send it on";
                return Err(Failure::Usage(told.to_owned()));
            }
        }
        // What is drawn of a recording that goes to standard output needs a name of its own.
        let beside = |ending: &str| match is_standard(&output) {
            true => names.default(&format!(".restored{ending}")),
            false => output.with_extension(&ending[1..]),
        };
        let outputs = Outputs {
            recording: Some((output.clone(), typed.bits)),
            plot: plot(common, &names, &beside(".png"))?,
            report: report(common, &names, &beside(".html"))?,
            json,
            gain: names.optional("--gain-out", typed.gain_out.as_deref())?,
            labels: None,
            partials: None,
            exports: exports(common, &names)?,
            detail: None,
            folder: common.output_dir.clone(),
            is_forced: common.force,
        };
        let summary_to = if common.quiet { SummaryTo::Nowhere } else { SummaryTo::StandardError };
        Ok(Self {
            input: input.to_owned(),
            reading: reading(common),
            output,
            gain,
            bits: typed.bits,
            outputs,
            summary_to,
            voice: common.voice(),
            is_dry: common.dry_run,
        })
    }

    /// Integers need room below full scale; floating point keeps the absolute level.
    pub fn level(&self) -> Level {
        match self.bits {
            Bits::Float32 => Level::Keep,
            Bits::Int16 | Bits::Int24 => Level::KeepBelowMinusOneDbtp,
        }
    }
}

/// What is put up with when the recording is read.
fn reading(common: &Common) -> ReadConfig {
    ReadConfig {
        max_duration_s: common.max_duration,
        damage: if common.strict { Damage::Refuse } else { Damage::Warn },
        nonfinite: match common.nonfinite {
            NonFinite::Error => decode::NonFinite::Refuse,
            NonFinite::Zero => decode::NonFinite::Zero,
        },
    }
}

impl PlotPlan {
    fn of(typed: PlotTyped) -> Result<Self, Failure> {
        let names = Names::new(&typed.input, None, false);
        let what = typed.what.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
        let path = match &typed.output {
            Some(typed) => names.typed("-o", typed)?,
            None => names.default(&format!(".{what}.png")),
        };
        let outputs = Outputs {
            recording: None,
            plot: Some(Plot { format: format("-o", &path)?, path }),
            report: None,
            json: None,
            gain: None,
            labels: None,
            partials: None,
            exports: Vec::new(),
            detail: Some(typed.what.detail()),
            folder: None,
            is_forced: typed.force,
        };
        let voice = if typed.quiet { Voice::Quiet } else { Voice::Usual };
        Ok(Self { input: typed.input, outputs, voice })
    }
}

fn json(common: &Common, names: &Names<'_>) -> Result<Option<Json>, Failure> {
    let path = names.optional("--json", common.json.as_deref())?;
    Ok(path.map(|path| if is_standard(&path) { Json::StandardOutput } else { Json::File(path) }))
}

fn exports(common: &Common, names: &Names<'_>) -> Result<Vec<Export>, Failure> {
    let named = |(format, file): &(_, PathBuf)| Ok(Export { format: *format, path: names.typed("--export", file)? });
    common.export.iter().map(named).collect()
}

/// The picture's format, by its name's ending.
fn format(option: &str, path: &Path) -> Result<Format, Failure> {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.as_deref().and_then(|ending| ending.to_str()) {
        Some("png") => Ok(Format::Png),
        Some("svg") => Ok(Format::Svg),
        _ => Err(Failure::Usage(format!("{option}={}: the name must end in .png or .svg", path.display()))),
    }
}

/// The picture's file and format, where one is wanted.
fn plot(common: &Common, names: &Names<'_>, default: &Path) -> Result<Option<Plot>, Failure> {
    let Some(typed) = &common.plot else { return Ok(None) };
    let path = typed.as_deref().map_or_else(|| Ok(default.to_owned()), |typed| names.typed("--plot", typed))?;
    Ok(Some(Plot { format: format("--plot", &path)?, path }))
}

/// The page's file, where one is wanted.
fn report(common: &Common, names: &Names<'_>, default: &Path) -> Result<Option<Report>, Failure> {
    let Some(typed) = &common.report else { return Ok(None) };
    let path = typed.as_deref().map_or_else(|| Ok(default.to_owned()), |typed| names.typed("--report", typed))?;
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    if !ending.is_some_and(|ending| ending == "html" || ending == "htm") {
        return Err(Failure::Usage(format!("--report={}: the name must end in .html", path.display())));
    }
    if common.audio == super::typed::AudioChoice::Linked && common.microphone.is_some() {
        let told =
            "--microphone and --audio linked: the microphone's file has a clock of its own; use --audio embedded";
        return Err(Failure::Usage(told.to_owned()));
    }
    Ok(Some(Report { path, audio: common.audio, microphone: common.microphone.clone() }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use clap::{CommandFactory, Parser};

    fn restore_plan(words: &[&str]) -> RestorePlan {
        let typed = Typed::try_parse_from(["agcfix", "restore"].iter().chain(words)).unwrap();
        let Plan::Restore(plans) = Plan::of(typed).unwrap() else { unreachable!("restore was typed") };
        let [plan] = plans.try_into().unwrap();
        plan
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
