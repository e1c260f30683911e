//! Every pair of a data set, in parallel: what is done already is skipped, what fails is noted and left behind.

use super::manifest::{Manifest, Pair};
use super::results::{Numbers, Results, Row, SCHEMA, content_hash};
use super::shard::Shard;
use crate::audio::Audio;
use crate::decode;
use crate::error::Error;
use crate::pair::align::{AlignConfig, Alignment, Outcome, align};
use crate::pair::validate::validate;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// What is done with each pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Offset and drift.
    Align,
    /// Dynamics as well.
    Validate,
}

impl Task {
    /// Name and version, as in the results: another version measures again.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Align => concat!("align ", env!("CARGO_PKG_VERSION")),
            Self::Validate => concat!("validate ", env!("CARGO_PKG_VERSION")),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Pairs measured now.
    pub measured_len: usize,
    /// Pairs whose result was there already.
    pub skipped_len: usize,
    /// Pairs that failed.
    pub failed_len: usize,
}

/// Runs a task over every pair of a part; `tick` is called after each.
///
/// # Errors
/// [`Error::Io`] where the results cannot be written. A pair that fails is a line in the results, not an error.
pub fn run(
    manifest: &Manifest,
    task: Task,
    shard: Shard,
    results: &mut Results,
    tick: &(dyn Fn() + Sync),
) -> Result<Done, Error> {
    let pairs = shard.of(manifest.pairs()).collect::<Vec<_>>();
    let files = pairs.iter().flat_map(|p| [&p.phone, &p.mic]).map(|r| manifest.path_of(r)).collect::<BTreeSet<_>>();
    let hashes = files
        .into_par_iter()
        .map(|path| {
            let hash = content_hash(&path);
            (path, hash.map_err(|e| e.to_string()))
        })
        .collect::<BTreeMap<_, _>>();
    let hash_of = |r| hashes.get(&manifest.path_of(r)).cloned().unwrap_or_else(|| Err("not read".to_owned()));
    let mut done = Done::default();
    let mut open = Vec::new();
    for pair in &pairs {
        let (phone, mic) = (hash_of(&pair.phone), hash_of(&pair.mic));
        let is_done = matches!((&phone, &mic), (Ok(p), Ok(m)) if results.done(task.name(), pair, p, m));
        if is_done {
            done.skipped_len += 1;
            tick();
        } else {
            open.push((pair, phone, mic));
        }
    }
    let shared = Mutex::new((results, done));
    open.par_iter().try_for_each(|(pair, phone, mic)| {
        let outcome = match (phone, mic) {
            (Err(error), _) | (_, Err(error)) => Err(error.clone()),
            (Ok(_), Ok(_)) => measure(manifest, pair, task),
        };
        let (numbers, error) = match outcome {
            Ok(numbers) => (Some(numbers), None),
            Err(error) => (None, Some(error)),
        };
        let row = Row {
            schema: SCHEMA.to_owned(),
            task: task.name().to_owned(),
            take: pair.phone.take.clone(),
            position: pair.phone.position.clone(),
            phone: pair.phone.device.clone(),
            mic: pair.mic.device.clone(),
            phone_sha256: phone.clone().unwrap_or_default(),
            mic_sha256: mic.clone().unwrap_or_default(),
            numbers,
            found: None,
            error,
        };
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        if row.numbers.is_some() {
            shared.1.measured_len += 1
        } else {
            shared.1.failed_len += 1
        }
        shared.0.add(row)?;
        drop(shared);
        tick();
        Ok::<(), Error>(())
    })?;
    let (results, done) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.finish()?;
    Ok(done)
}

/// Both recordings of a pair and how they lie to each other; an error in words.
pub(super) fn aligned(manifest: &Manifest, pair: &Pair) -> Result<(Audio, Audio, Alignment), String> {
    let told = |e: Error| e.to_string();
    let phone = decode::read(&manifest.path_of(&pair.phone)).map_err(told)?.audio;
    let mic = decode::read(&manifest.path_of(&pair.mic)).map_err(told)?.audio;
    let alignment = match align(&phone, &mic, &AlignConfig::default()).map_err(told)? {
        Outcome::Aligned(alignment) => alignment,
        Outcome::Unrelated { reason } => return Err(format!("not the same performance: {reason}")),
    };
    Ok((phone, mic, alignment))
}

fn measure(manifest: &Manifest, pair: &Pair, task: Task) -> Result<Numbers, String> {
    let told = |e: Error| e.to_string();
    let (phone, mic, alignment) = aligned(manifest, pair)?;
    let mut numbers = Numbers::of(&alignment);
    if task == Task::Validate {
        let validation = validate(&phone, &mic, None, &alignment).map_err(told)?;
        numbers.gain_rms_db = Some(validation.before.gain_rms_db);
        numbers.dynamics_slope = Some(validation.before.dynamics_slope);
        numbers.decay_bias_db_per_s = Some(validation.before.decays.bias_db_per_s);
        numbers.onset_slope = Some(validation.before.onsets.slope);
        numbers.loudness_range_lu = Some(validation.before.loudness.range_lu);
    }
    Ok(numbers)
}
