//! Many simulations: inputs times presets times seeds, from a manifest.
//!
//! ```toml
//! inputs = ["takes/nocturne.wav", "takes/fugue.flac"]      # relative to the manifest
//! presets = ["speex-medium", "phone-light + camera-heavy"] # as after --preset; + combines
//! seeds = [1, 2]                                           # 1 where not given
//! ```
//!
//! Each job writes `FOLDER/INPUT/PRESET.sSEED.wav` and its truth, `.truth.json`, the truth last: a job whose truth is there and
//! bears its fingerprint is done and is not done again. A table of all jobs, `FOLDER/simulations.csv`, is written at the end.

use super::preset::Composer;
use super::{Chain, simulate};
use crate::decode;
use crate::encode::{BitDepth, write_atomically, write_wav_file};
use crate::error::Error;
use crate::text;
use serde::Deserialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Jobs beyond this are a mistake.
const MOST_JOBS: usize = 1_000_000;
/// Name of the table.
const TABLE: &str = "simulations.csv";

/// The manifest as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    inputs: Vec<String>,
    presets: Vec<String>,
    #[serde(default = "one_seed")]
    seeds: Vec<u64>,
}

fn one_seed() -> Vec<u64> {
    vec![1]
}

/// One simulation that is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The recording.
    pub input: PathBuf,
    /// The presets as written.
    pub preset: String,
    /// What they amount to.
    pub chain: Chain,
    /// Seed.
    pub seed: u64,
    /// The output without its ending, relative to the folder.
    pub name: String,
}

/// What became of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Whether it had been done before.
    pub is_old: bool,
    /// Rate of the output.
    pub sample_rate_hz: u32,
    /// Length of the output in seconds.
    pub duration_s: f64,
    /// Standard deviation of the gain, in dB.
    pub movement_db: f64,
    /// As in [`super::Truth::delay_s`].
    pub delay_s: f64,
}

/// Reads a manifest.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] naming the line or the field; [`Error::Invalid`] where a preset is wrong, or two inputs
/// would write to one folder.
pub fn read_manifest(path: &Path) -> Result<Vec<Job>, Error> {
    parse_manifest(&text::read_text(path)?, path)
}

/// The jobs of a manifest's text; `path` names it in errors, and its inputs are relative to the folder of `path`.
///
/// # Errors
/// As [`read_manifest`], without what reading says.
pub fn parse_manifest(text: &str, path: &Path) -> Result<Vec<Job>, Error> {
    let malformed = |cause: String| Error::Malformed {
        path: path.to_owned(),
        cause,
        remedy: "give inputs, presets and seeds as docs/simulate.md describes them".to_owned(),
    };
    let written: Written = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text::line_of(text.as_bytes(), span.start));
        malformed(format!("line {line}: {}", text::one_line(error.message())))
    })?;
    if written.inputs.is_empty() || written.presets.is_empty() || written.seeds.is_empty() {
        return Err(malformed("inputs, presets or seeds are empty".to_owned()));
    }
    let job_len = written.inputs.len().saturating_mul(written.presets.len()).saturating_mul(written.seeds.len());
    if job_len > MOST_JOBS {
        return Err(malformed(format!("it asks for {job_len} simulations; {MOST_JOBS} are the most")));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let chains =
        written.presets.iter().map(|preset| Ok((preset, chain(preset)?))).collect::<Result<Vec<_>, Error>>()?;
    let mut jobs = Vec::with_capacity(job_len);
    for input in &written.inputs {
        let input = folder.join(input);
        let stem = slug(&input.file_stem().unwrap_or_default().to_string_lossy());
        for (preset, chain) in &chains {
            for seed in &written.seeds {
                let name = format!("{stem}/{}.s{seed}", slug(preset));
                jobs.push(Job {
                    input: input.clone(),
                    preset: (*preset).clone(),
                    chain: chain.clone(),
                    seed: *seed,
                    name,
                });
            }
        }
    }
    let mut names: Vec<&str> = jobs.iter().map(|job| job.name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        let cause = format!("two simulations would be written to {}", twice[0]);
        return Err(malformed(format!("{cause}: give inputs different names, and list presets and seeds once")));
    }
    Ok(jobs)
}

fn chain(presets: &str) -> Result<Chain, Error> {
    let mut composer = Composer::default();
    presets.split('+').try_for_each(|preset| composer.preset(preset.trim()))?;
    composer.finish()
}

/// A name that every file system takes.
fn slug(name: &str) -> String {
    let name = name.strip_suffix(".toml").unwrap_or(name);
    let keep = |c: char| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let mut out: String = name.chars().map(keep).collect();
    while out.contains("--") {
        out = out.replace("--", "-");
    }
    let out = out.trim_matches('-');
    if out.is_empty() { "recording".to_owned() } else { out.to_owned() }
}

/// FNV-1a of 64 bits (Fowler, Noll and Vo): tells files apart that differ by accident.
#[derive(Debug, Clone, Copy)]
struct Fingerprint(u64);

impl Fingerprint {
    fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        self
    }
}

/// What decides a simulation's output, as 64 bits in hexadecimal.
#[must_use]
pub fn fingerprint(input_bytes: &[u8], chain: &Chain, seed: u64) -> String {
    let chain = serde_json::to_vec(chain).unwrap_or_default();
    let parts = [env!("CARGO_PKG_VERSION").as_bytes(), &chain, &seed.to_le_bytes(), input_bytes];
    // The length between the parts keeps them apart.
    let all = parts.iter().fold(Fingerprint::new(), |f, part| f.add(&(part.len() as u64).to_le_bytes()).add(part));
    format!("{:016x}", all.0)
}

/// The fields of a truth by which a finished job is known.
#[derive(Debug, Deserialize)]
struct Finished {
    fingerprint: Option<String>,
    output: FinishedShape,
    delay_s: f64,
    gain_10ms: FinishedCurve,
}

#[derive(Debug, Deserialize)]
struct FinishedShape {
    sample_rate_hz: u32,
    sample_len: usize,
}

#[derive(Debug, Deserialize)]
struct FinishedCurve {
    gain_db: Vec<f64>,
}

/// Makes one simulation, unless it has been made.
///
/// # Errors
/// What reading, simulating and writing say; [`Error::Io`] where another job's files are in the way and `force` is not set.
pub fn run(job: &Job, folder: &Path, bits: BitDepth, force: bool) -> Result<Done, Error> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    let (wav, truth_path) = (folder.join(format!("{}.wav", job.name)), folder.join(format!("{}.truth.json", job.name)));
    let bytes = std::fs::read(&job.input).map_err(io(&job.input))?;
    let fingerprint = fingerprint(&bytes, &job.chain, job.seed);
    if wav.is_file()
        && let Ok(text) = std::fs::read(&truth_path)
        && let Ok(finished) = serde_json::from_slice::<Finished>(&text)
        && finished.fingerprint.as_deref() == Some(&fingerprint)
    {
        return Ok(Done {
            is_old: true,
            sample_rate_hz: finished.output.sample_rate_hz,
            duration_s: finished.output.sample_len as f64 / f64::from(finished.output.sample_rate_hz.max(1)),
            movement_db: deviation_db(&finished.gain_10ms.gain_db),
            delay_s: finished.delay_s,
        });
    }
    // A recording whose truth is missing was interrupted: it is this job's own, and may be replaced.
    let is_interrupted = wav.is_file() && !truth_path.exists();
    let audio = decode::read_bytes(bytes, &job.input)?.audio;
    let simulated = simulate(&audio, &job.chain, job.seed)?;
    let truth =
        simulated.truth.of_file(job.input.file_name().unwrap_or_default().to_string_lossy().into_owned(), fingerprint);
    if let Some(parent) = wav.parent() {
        std::fs::create_dir_all(parent).map_err(io(parent))?;
    }
    write_wav_file(&wav, force || is_interrupted, &simulated.audio, bits)?;
    write_atomically(&truth_path, force, |writer| truth.write(writer))?;
    Ok(Done {
        is_old: false,
        sample_rate_hz: simulated.audio.sample_rate_hz(),
        duration_s: simulated.audio.duration_s(),
        movement_db: truth.gain_10ms.movement_db(),
        delay_s: truth.delay_s,
    })
}

fn deviation_db(gain_db: &[f64]) -> f64 {
    super::truth::Curve { hop_s: 0.01, gain_db: gain_db.to_vec() }.movement_db()
}

/// Writes the table of the jobs that are done; it is always written anew.
///
/// # Errors
/// [`Error::Io`].
pub fn write_table(folder: &Path, jobs: &[(&Job, &Done)]) -> Result<(), Error> {
    let mut out = String::from("file,truth,input,preset,seed,sample_rate_hz,duration_s,gain_movement_db,delay_s\n");
    for (job, done) in jobs {
        // Writing to a String cannot fail.
        let _ = writeln!(
            out,
            "{name}.wav,{name}.truth.json,{},{},{},{},{:.3},{:.3},{:.6}",
            quoted(&job.input.to_string_lossy()),
            quoted(&job.preset),
            job.seed,
            done.sample_rate_hz,
            done.duration_s,
            done.movement_db,
            done.delay_s,
            name = job.name,
        );
    }
    write_atomically(&folder.join(TABLE), true, |writer| writer.write_all(out.as_bytes()))
}

/// A CSV field (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn manifest(text: &str) -> Result<Vec<Job>, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.toml");
        std::fs::write(&path, text).unwrap();
        read_manifest(&path)
    }

    #[test]
    fn a_manifest_is_the_product_of_its_lists() {
        let jobs = manifest(
            "inputs = [\"a b.wav\", \"c.flac\"]\npresets = [\"speex-light\", \"phone-light + camera-heavy\"]\nseeds = [1, 9]\n",
        )
        .unwrap();
        assert_eq!(jobs.len(), 8);
        assert_eq!(jobs[0].name, "a-b/speex-light.s1");
        assert_eq!(jobs[7].name, "c/phone-light-camera-heavy.s9");
        assert!(jobs[7].chain.room.is_some() && jobs[7].chain.gain.len() == 1);
    }

    #[test]
    fn what_is_wrong_with_a_manifest_is_told() {
        for (text, told) in [
            ("inputs = [", "line 1"),
            ("inputs = []\npresets = [\"speex\"]", "empty"),
            ("inputs = [\"a.wav\"]\npresets = [\"speex\"]\nseed = [1]", "unknown field"),
            ("inputs = [\"a.wav\"]\npresets = [\"spex\"]", "there are compressor"),
            ("inputs = [\"a.wav\", \"x/a.flac\"]\npresets = [\"speex\"]", "different names"),
        ] {
            let error = manifest(text).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn the_fingerprint_has_its_published_values_and_sees_every_part() {
        // http://www.isthe.com/chongo/tech/comp/fnv: the hash of "foobar".
        assert_eq!(Fingerprint::new().add(b"foobar").0, 0x8594_4171_f739_67e8);
        let chain = Chain::default();
        let other = Chain { summary: "x".to_owned(), ..Chain::default() };
        let all = [
            fingerprint(b"a", &chain, 1),
            fingerprint(b"b", &chain, 1),
            fingerprint(b"a", &chain, 2),
            fingerprint(b"a", &other, 1),
        ];
        assert!((1..4).all(|i| !all[..i].contains(&all[i])));
    }
}
