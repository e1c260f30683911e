//! Recordings that are too long to be held in memory: read again for every pass, the result written as it goes.

use super::engine;
use super::failure::Failure;
use super::input;
use super::outputs::{Deliverable, Findings, Outputs};
use super::plan::{AnalyzePlan, RestorePlan};
use super::progress::Progress;
use super::stdio;
use crate::tell_what_was_tried;
use agcfix::analysis::Verdict;
use agcfix::decode::{Decoded, Opened, ReadConfig};
use agcfix::restore::Restored;
use agcfix::{Audio, Error};
use std::path::Path;

/// Opens a recording: in memory where it is short, or where something is to be made that needs all of it.
pub fn open(input: &Path, reading: &ReadConfig, outputs: &Outputs) -> Result<Result<Decoded, Box<Opened>>, Failure> {
    if outputs.needs_samples() {
        return input::read(input, reading).map(Ok);
    }
    input::open(input, reading).map(Opened::into_decoded)
}

impl<'a> From<&'a Opened> for engine::Input<'a> {
    fn from(opened: &'a Opened) -> Self {
        Self { sound: opened.samples.sound(), warnings: &opened.warnings }
    }
}

/// All that is known of a recording but its samples.
fn without_samples(long: &Opened) -> Result<Decoded, Error> {
    let sound = long.samples.sound();
    Ok(Decoded {
        audio: Audio::new(sound.sample_rate_hz(), vec![Vec::new(); sound.channel_len()])?,
        source: long.source.clone(),
        warnings: long.warnings.clone(),
        metadata: long.metadata.clone(),
    })
}

/// Long recording in, findings out.
pub fn analyze(plan: &AnalyzePlan, long: &Opened, progress: &Progress) -> Result<(), Failure> {
    let analysis = engine::analyze(long.into(), &plan.config, progress)?;
    progress.finish();
    let recording = without_samples(long)?;
    let findings = Findings { input: &plan.input, recording: &recording, analysis: &analysis, result: None };
    plan.outputs.write(&findings, None)?;
    tell_what_was_tried(&findings, plan.voice);
    stdio::tell(&findings.summary(), plan.summary_to)
}

/// Long recording in, restored recording out.
pub fn restore(plan: &RestorePlan, long: &Opened, progress: &Progress) -> Result<(), Failure> {
    let answer = engine::answer(long.into(), plan, progress)?;
    let (analysis, source) = (&answer.analysis, answer.source);
    let recording = without_samples(long)?;
    let findings = Findings { input: &plan.input, recording: &recording, analysis, result: None };
    if let (Verdict::Undecided { reason }, false) = (&analysis.verdict, source.is_given()) {
        progress.finish();
        tell_what_was_tried(&findings, plan.voice);
        return Err(Failure::refused(&plan.input, reason));
    }
    let restoration = engine::restore_sound(long.samples.sound(), &answer, plan.level(), progress)?;
    progress.finish();
    let restored = Restored {
        audio: recording.audio.clone(),
        overall_gain_db: restoration.overall_gain_db,
        true_peak_dbtp: restoration.true_peak_dbtp,
    };
    let (blocks, output) = (Some(&restoration), plan.output.as_path());
    let result = Deliverable { restored: &restored, blocks, source, output, bits: plan.bits };
    let findings = Findings { result: Some(result), ..findings };
    plan.outputs.write(&findings, None)?;
    tell_what_was_tried(&findings, plan.voice);
    stdio::tell(&findings.summary(), plan.summary_to)
}
