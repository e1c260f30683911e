//! The `agcfix` program: what was typed, what it means, the library, what came out.

mod cli;

use agcfix::analysis::Verdict;
use agcfix::decode;
use clap::Parser;
use cli::engine;
use cli::failure::Failure;
use cli::outputs::{Deliverable, Findings};
use cli::plan::{AnalyzePlan, Plan, RestorePlan};
use cli::progress::Progress;
use cli::typed::Typed;
use std::process::ExitCode;

fn main() -> ExitCode {
    let outcome = Plan::of(Typed::parse()).and_then(|plan| match plan {
        Plan::Analyze(plan) => analyze(&plan),
        Plan::Restore(plan) => restore(&plan),
        Plan::Pair(command) => command.run(),
        Plan::Laws => cli::stdio::print(&cli::laws::table()),
    });
    outcome.map_or_else(Failure::report, |()| ExitCode::SUCCESS)
}

/// Recording in, findings out.
fn analyze(plan: &AnalyzePlan) -> Result<(), Failure> {
    plan.outputs.check(&plan.input)?;
    let progress = Progress::new(plan.is_quiet);
    let recording = decode::read(&plan.input)?;
    let analysis = engine::analyze(&recording, &plan.config, &progress)?;
    progress.finish();
    let findings = Findings { input: &plan.input, audio: &recording.audio, analysis: &analysis, result: None };
    plan.outputs.write(&findings)?;
    cli::stdio::tell(&findings.summary(), plan.summary_to)
}

/// Recording in, restored recording out.
fn restore(plan: &RestorePlan) -> Result<(), Failure> {
    plan.outputs.check(&plan.input)?;
    let progress = Progress::new(plan.is_quiet);
    let recording = decode::read(&plan.input)?;
    let answer = engine::answer(&recording, plan, &progress)?;
    let (analysis, source) = (&answer.analysis, answer.source);
    if let (Verdict::Undecided { reason }, false) = (&analysis.verdict, source.is_given()) {
        return Err(Failure::refused(&plan.input, reason));
    }
    let restored = engine::restore(&recording.audio, &answer, plan.level())?;
    progress.finish();
    let result = Deliverable { restored: &restored, source, output: &plan.output, bits: plan.bits };
    let findings = Findings { input: &plan.input, audio: &recording.audio, analysis, result: Some(result) };
    plan.outputs.write(&findings)?;
    cli::stdio::tell(&findings.summary(), plan.summary_to)
}
