//! Every phone's recording of a data set restored, into a folder: what is done already is skipped, what fails is noted and left
//! behind.

use super::export::plain;
use super::manifest::{Manifest, Recording, Role};
use super::results::{Found, Results, Row, SCHEMA, content_hash};
use super::run::Done;
use super::shard::Shard;
use crate::analysis::Verdict;
use crate::analyze::{Config, analyze};
use crate::decode;
use crate::encode::{BitDepth, write_wav_file};
use crate::error::Error;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Name and version, as in the results: another version restores again.
const TASK: &str = concat!("restore ", env!("CARGO_PKG_VERSION"));
/// The results' file in the folder.
const RESULTS: &str = "results.jsonl";

/// Takes up the results of a part in a folder: a new one, an empty one, or one that this was begun in.
///
/// # Errors
/// [`Error::Io`], also where the folder holds something else; [`Error::Malformed`] where its results are none.
pub fn open(folder: &Path, shard: Shard) -> Result<Results, Error> {
    let io = |source| Error::Io { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(io)?;
    let names = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| entry.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>())
        .map_err(io)?;
    let is_results = |name: &str| name.starts_with("results.") && name.ends_with(".jsonl");
    if !names.is_empty() && !names.iter().any(|name| name.to_str().is_some_and(is_results)) {
        let told = "it holds other files; name a new folder, or one that agcfix dataset restore began";
        return Err(io(std::io::Error::new(std::io::ErrorKind::AlreadyExists, told)));
    }
    let mut results = Results::open(&shard.path(&folder.join(RESULTS)))?;
    // From here on the folder is known as one of these, whatever other machine looks at it.
    results.touch()?;
    Ok(results)
}

/// Restores the phones' recordings of one part; `tick` is called after each.
///
/// A recording without gain control, or one that does not tell, is left alone: its line has no output.
///
/// # Errors
/// [`Error::Invalid`] where two recordings would have one name; [`Error::Io`] where the results cannot be written. A recording
/// that fails is a line in the results, not an error.
pub fn restore(
    manifest: &Manifest,
    shard: Shard,
    folder: &Path,
    results: &mut Results,
    tick: &(dyn Fn() + Sync),
) -> Result<Done, Error> {
    let mut names = BTreeSet::new();
    let phones = manifest.recordings.iter().filter(|r| r.role == Role::Phone).collect::<Vec<_>>();
    if let Some(twice) = phones.iter().find(|r| !names.insert(name_of(r))) {
        return Err(Error::Invalid {
            what: "manifest".to_owned(),
            cause: format!("two recordings would be called {}", name_of(twice)),
            remedy: "name take, position and device differently".to_owned(),
        });
    }
    let phones = shard.of(phones).collect::<Vec<_>>();
    let shared = Mutex::new((results, Done::default()));
    let locked = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let one = |recording: &Recording| -> Result<(), Error> {
        let path = manifest.path_of(recording);
        let hash = content_hash(&path);
        let mut row = Row {
            schema: SCHEMA.to_owned(),
            task: TASK.to_owned(),
            take: recording.take.clone(),
            position: recording.position.clone(),
            phone: recording.device.clone(),
            phone_sha256: hash.as_ref().map_or_else(|_| String::new(), Clone::clone),
            ..Row::default()
        };
        let is_there = |found: &Found| found.output.as_ref().is_none_or(|name| folder.join(name).is_file());
        if hash.is_ok() && locked().0.known(&row).and_then(|row| row.found.as_ref()).is_some_and(is_there) {
            locked().1.skipped_len += 1;
        } else {
            match hash.and_then(|_| restored(&path, folder, &name_of(recording))) {
                Ok(found) => row.found = Some(found),
                Err(error) => row.error = Some(error.to_string()),
            }
            let mut shared = locked();
            if row.found.is_some() {
                shared.1.measured_len += 1;
            } else {
                shared.1.failed_len += 1;
            }
            shared.0.add(row)?;
        }
        tick();
        Ok(())
    };
    // Threads of their own, as many as rayon has: on rayon's, one that waits for a part of its recording's search would begin
    // another recording, and then another, and all of them would be in memory.
    let next = AtomicUsize::new(0);
    let outcome = std::thread::scope(|scope| {
        let all = || {
            while let Some(recording) = phones.get(next.fetch_add(1, Ordering::Relaxed)) {
                one(recording)?;
            }
            Ok(())
        };
        let threads = (0..rayon::current_num_threads().min(phones.len())).map(|_| scope.spawn(all)).collect::<Vec<_>>();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect::<Result<Vec<()>, Error>>()
    });
    let (results, done) = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    outcome?;
    results.finish()?;
    Ok(done)
}

/// The restored recording's name in the folder.
fn name_of(recording: &Recording) -> String {
    let names = [&recording.take, &recording.position, &recording.device].map(|name| plain(name));
    format!("{}.restored.wav", names.join("-"))
}

fn restored(path: &Path, folder: &Path, name: &str) -> Result<Found, Error> {
    let audio = decode::read(path)?.audio;
    let config = Config::default();
    let analysis = analyze(&audio, &config, &())?;
    let target: PathBuf = folder.join(name);
    let mut found = Found {
        duration_s: audio.duration_s(),
        verdict: match analysis.verdict {
            Verdict::None => "none",
            Verdict::Agc => "agc",
            Verdict::Undecided { .. } => "undecided",
        }
        .to_owned(),
        law: analysis.law.as_ref().map(|law| law.name.clone()),
        p_value: analysis.evidence.p_value,
        gain_movement_db: analysis.evidence.gain_movement_db,
        event_len: analysis.events.len(),
        overall_gain_db: None,
        output: None,
    };
    if analysis.verdict == Verdict::Agc {
        let restored = crate::restore(&audio, &analysis, &config)?;
        // The folder is this program's own; a file without its line was left by a run that was stopped.
        write_wav_file(&target, true, &restored.audio, BitDepth::Int24)?;
        found.overall_gain_db = Some(restored.overall_gain_db);
        found.output = Some(name.to_owned());
    }
    Ok(found)
}
