//! The `agcfix` program: what was typed, what it means, the library, what came out.

mod cli;

use agcfix::analysis::Verdict;
use clap::{CommandFactory as _, FromArgMatches as _};
use cli::engine;
use cli::failure::Failure;
use cli::input;
use cli::outputs::{Deliverable, Findings, Outputs};
use cli::plan::{AnalyzePlan, Plan, PlotPlan, RestorePlan};
use cli::progress::{Progress, Voice};
use cli::typed::Typed;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::interrupt::keep_quiet_about_decoders();
    cli::interrupt::watch();
    let words = Typed::command().color(cli::colour::typed()).get_matches();
    let typed = Typed::from_arg_matches(&words).unwrap_or_else(|error| error.exit());
    cli::colour::choose(typed.color);
    let outcome = Plan::of(typed).and_then(|plan| match plan {
        Plan::Analyze(plans) => each(&plans, |plan| (&plan.input, &plan.outputs, plan.is_dry), analyze),
        Plan::Restore(plans) => each(&plans, |plan| (&plan.input, &plan.outputs, plan.is_dry), restore),
        Plan::Simulate(plan) => cli::simulate::run_simulate(&plan).map(|()| ExitCode::SUCCESS),
        Plan::Instrument(plan) => cli::simulate::run_instrument(&plan).map(|()| ExitCode::SUCCESS),
        Plan::Pair(command) => command.run().map(|()| ExitCode::SUCCESS),
        Plan::Laws => cli::stdio::print(&cli::laws::table()).map(|()| ExitCode::SUCCESS),
        Plan::Plot(plan) => plot(&plan).map(|()| ExitCode::SUCCESS),
        Plan::Completions(shell) => cli::manual::completions(shell).map(|()| ExitCode::SUCCESS),
        Plan::Man(of) => cli::manual::man(of.as_deref()).map(|()| ExitCode::SUCCESS),
    });
    outcome.unwrap_or_else(Failure::report)
}

/// One recording after the other. All outputs are checked before the first is worked on; one that fails does not keep the
/// others back. The exit code is the worst: bad input before refusal.
fn each<P>(
    plans: &[P],
    parts: impl Fn(&P) -> (&Path, &Outputs, bool),
    run: impl Fn(&P, Option<&str>) -> Result<(), Failure>,
) -> Result<ExitCode, Failure> {
    let all: Vec<(&Path, &Outputs)> = plans.iter().map(|plan| (parts(plan).0, parts(plan).1)).collect();
    cli::targets::check_all(&all)?;
    let mut worst = None;
    let mut made = None;
    for plan in plans {
        let (input, outputs, is_dry) = parts(plan);
        if !is_dry && outputs.check(input).is_ok() && outputs.make_folder()? {
            made.clone_from(&outputs.folder);
        }
        let name = (plans.len() > 1).then(|| input.display().to_string());
        let outcome = if is_dry { foretell(input, outputs) } else { run(plan, name.as_deref()) };
        if let Err(failure) = outcome {
            failure.tell();
            let code = failure.code();
            worst = Some(worst.map_or(code, |worst: u8| worst.min(code)));
        }
    }
    if let Some(folder) = made {
        // Only where nothing came into it.
        let _ = std::fs::remove_dir(folder);
    }
    Ok(worst.map_or(ExitCode::SUCCESS, ExitCode::from))
}

/// What would be read and written.
fn foretell(input: &Path, outputs: &Outputs) -> Result<(), Failure> {
    outputs.check(input)?;
    let mut told = format!("would read {}\n", input.display());
    for target in outputs.targets() {
        told += &format!("would write {} ({})\n", target.path.display(), target.option);
    }
    cli::stdio::print(&told)
}

/// Recording in, findings out.
fn analyze(plan: &AnalyzePlan, name: Option<&str>) -> Result<(), Failure> {
    plan.outputs.check(&plan.input)?;
    let progress = Progress::new(plan.voice, name);
    let recording = match cli::long::open(&plan.input, &plan.reading, &plan.outputs)? {
        Ok(recording) => recording,
        Err(long) => return cli::long::analyze(plan, &long, &progress),
    };
    let microphone = plan.outputs.microphone(&recording.audio)?;
    let analysis = engine::analyze((&recording).into(), &plan.config, &progress)?;
    progress.finish();
    let findings = Findings { input: &plan.input, recording: &recording, analysis: &analysis, result: None };
    plan.outputs.write(&findings, microphone)?;
    tell_what_was_tried(&findings, plan.voice);
    cli::stdio::tell(&findings.summary(), plan.summary_to)
}

/// Recording in, restored recording out.
fn restore(plan: &RestorePlan, name: Option<&str>) -> Result<(), Failure> {
    plan.outputs.check(&plan.input)?;
    let progress = Progress::new(plan.voice, name);
    let recording = match cli::long::open(&plan.input, &plan.reading, &plan.outputs)? {
        Ok(recording) => recording,
        Err(long) => return cli::long::restore(plan, &long, &progress),
    };
    let microphone = plan.outputs.microphone(&recording.audio)?;
    let answer = engine::answer((&recording).into(), plan, &progress)?;
    let (analysis, source) = (&answer.analysis, answer.source);
    if let (Verdict::Undecided { reason }, false) = (&analysis.verdict, source.is_given()) {
        progress.finish();
        let findings = Findings { input: &plan.input, recording: &recording, analysis, result: None };
        tell_what_was_tried(&findings, plan.voice);
        let Some(outputs) = plan.outputs.only_report() else { return Err(Failure::refused(&plan.input, reason)) };
        outputs.write(&findings, microphone)?;
        let report = outputs.report.as_ref().map_or(Path::new("the report"), |report| &report.path);
        return Err(Failure::refused_but_reported(&plan.input, reason, report));
    }
    let restored = engine::restore(&recording.audio, &answer, plan.level())?;
    progress.finish();
    let result = Deliverable { restored: &restored, blocks: None, source, output: &plan.output, bits: plan.bits };
    let findings = Findings { input: &plan.input, recording: &recording, analysis, result: Some(result) };
    plan.outputs.write(&findings, microphone)?;
    tell_what_was_tried(&findings, plan.voice);
    cli::stdio::tell(&findings.summary(), plan.summary_to)
}

/// Recording in, one picture out.
fn plot(plan: &PlotPlan) -> Result<(), Failure> {
    plan.outputs.check(&plan.input)?;
    let progress = Progress::new(plan.voice, None);
    let recording = input::read(&plan.input, &agcfix::decode::ReadConfig::default())?;
    let analysis = engine::analyze((&recording).into(), &agcfix::Config::default(), &progress)?;
    progress.finish();
    let findings = Findings { input: &plan.input, recording: &recording, analysis: &analysis, result: None };
    plan.outputs.write(&findings, None)
}

/// The laws that were tried, for those who asked to hear more.
pub(crate) fn tell_what_was_tried(findings: &Findings<'_>, voice: Voice) {
    if voice == Voice::Verbose {
        for family in &findings.analysis.families {
            let (law, j, tries, end) = (&family.law, family.j, family.evaluation_len, &family.termination);
            cli::stdio::warn(&format!("tried {law}: J {j:.4} in {tries} tries, {end}"));
        }
    }
}
