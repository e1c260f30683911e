//! How well two recordings of one performance are aligned: seeded trials with known offset and drift, as a table.
//!
//! ```text
//! cargo run --release --example alignment -- CASES [--trials 200] [--write docs/alignment.md] [--wav DIR] [--others FILE.csv]
//! ```
//!
//! `CASES` is a folder as for the `accuracy` example. A trial takes one case's phone, starts phone and microphone up to 120 s
//! apart, lets the phone's clock drift by up to 200 ppm, puts an equalisation and a room on the phone, and noise of 10 to 40 dB
//! SNR. What the earlier recording holds before the music is its room's noise, in half of the trials another piece first.
//! `--wav` writes the trials' recordings for other tools. `--others` takes what those found (`examples/alignment_tools.py`),
//! does the same trials, and writes only the section that has all of them side by side.
//!
//! The null trials pair every phone with another performance.

use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::pair::align::{AlignConfig, Alignment, Outcome, align};
use agcfix::pair::resample::{Positions, resample};
use agcfix::{Audio, decode};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

/// Seed of the first trial; trial `k` has this plus `k`.
const SEED: u64 = 4_000;
/// What a trial may be off by.
const OFFSET_LIMIT_S: f64 = 1e-3;
/// What a trial may be off by, in ppm.
const DRIFT_LIMIT_PPM: f64 = 3.0;
/// What else a microphone hears, in dBFS.
const MIC_NOISE_DBFS: f64 = -75.0;

/// A phone with its microphone.
struct Case {
    name: String,
    agc: String,
    phone: Audio,
    mic: Audio,
}

/// What is done to a case, and what the right answer is.
struct Trial {
    index: u64,
    case: usize,
    offset_s: f64,
    /// Offset at the music's middle, were there no drift: what a tool that knows no drift can find.
    middle_offset_s: f64,
    drift_ppm: f64,
    snr_db: f64,
    direct_to_room_db: f64,
    phone: Audio,
    mic: Audio,
}

struct Row {
    agc: String,
    index: u64,
    offset_s: f64,
    middle_offset_s: f64,
    drift_ppm: f64,
    snr_db: f64,
    direct_to_room_db: f64,
    found: Option<Alignment>,
    seconds: f64,
}

impl Row {
    fn offset_error_s(&self) -> f64 {
        self.found.as_ref().map_or(f64::INFINITY, |a| (a.offset_s - self.offset_s).abs())
    }

    fn drift_error_ppm(&self) -> f64 {
        self.found.as_ref().map_or(f64::INFINITY, |a| (a.drift_ppm - self.drift_ppm).abs())
    }

    fn is_right(&self) -> bool {
        self.offset_error_s() <= OFFSET_LIMIT_S && self.drift_error_ppm() <= DRIFT_LIMIT_PPM
    }
}

struct Random(ChaCha8Rng);

impl Random {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normal, by the sum of twelve.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.between(-0.5, 0.5)).sum()
    }
}

fn cases(folder: &Path) -> Result<Vec<Case>, Failure> {
    let mut names =
        std::fs::read_dir(folder)?.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect::<Vec<_>>();
    names.sort();
    let mut out = Vec::new();
    for name in names {
        let Ok(meta) = std::fs::read_to_string(folder.join(&name).join("meta.json")) else { continue };
        let meta: serde_json::Value = serde_json::from_str(&meta)?;
        let text = |key: &str| meta[key].as_str().map(str::to_owned).ok_or_else(|| format!("{name}: no {key}"));
        let mono = |audio: Audio| Audio::new(audio.sample_rate_hz(), vec![audio.channels()[0].clone()]);
        out.push(Case {
            agc: text("agc")?,
            phone: mono(decode::read(&folder.join(&name).join("phone.flac"))?.audio)?,
            mic: mono(decode::read(&folder.join(text("reference")?))?.audio)?,
            name,
        });
    }
    Ok(out)
}

fn rms(x: &[f32]) -> f64 {
    (x.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / x.len().max(1) as f64).sqrt()
}

/// Peaking filter. Source: R. Bristow-Johnson, Audio EQ Cookbook.
fn peaking(x: &mut [f32], rate_hz: f64, centre_hz: f64, q: f64, gain_db: f64) {
    let amplitude = 10f64.powf(gain_db / 40.0);
    let w = TAU * centre_hz / rate_hz;
    let alpha = w.sin() / (2.0 * q);
    let a0 = 1.0 + alpha / amplitude;
    let b = [1.0 + alpha * amplitude, -2.0 * w.cos(), 1.0 - alpha * amplitude].map(|v| v / a0);
    let a = [-2.0 * w.cos() / a0, (1.0 - alpha / amplitude) / a0];
    let (mut s1, mut s2) = (0.0, 0.0);
    for x in x {
        let input = f64::from(*x);
        let y = b[0] * input + s1;
        s1 = b[1] * input - a[0] * y + s2;
        s2 = b[2] * input - a[1] * y;
        *x = y as f32;
    }
}

/// A room: the direct sound, and sparse reflections that die away with a T60 of 0.4 s.
fn room(x: &[f32], rate_hz: f64, direct_to_room_db: f64, random: &mut Random) -> Vec<f32> {
    let taps = (0..120)
        .map(|_| {
            let at_s = random.between(0.003, 0.35);
            ((at_s * rate_hz) as usize, random.normal() * 10f64.powf(-3.0 * at_s / 0.4))
        })
        .collect::<Vec<_>>();
    let energy = taps.iter().map(|t| t.1 * t.1).sum::<f64>();
    let scale = (10f64.powf(-direct_to_room_db / 10.0) / energy).sqrt();
    let mut out = x.to_vec();
    for (delay, gain) in taps {
        let gain = (gain * scale) as f32;
        for (y, x) in out[delay.min(x.len())..].iter_mut().zip(x) {
            *y += gain * x;
        }
    }
    out
}

fn add_noise(x: &mut [f32], level: f64, random: &mut Random) {
    // Brownish below, white above: one pole at 500 Hz, half the power each.
    let (mut low, pole) = (0.0, 0.935);
    let low_scale = f64::sqrt((1.0 + pole) / (1.0 - pole));
    for x in x {
        let white = random.normal();
        low = pole * low + (1.0 - pole) * random.normal();
        *x += (level * std::f64::consts::FRAC_1_SQRT_2 * (white + low * low_scale)) as f32;
    }
}

fn trial(cases: &[Case], index: u64) -> Result<Trial, Failure> {
    let mut random = Random(ChaCha8Rng::seed_from_u64(SEED + index));
    let case = index as usize % cases.len();
    let Case { phone, mic, .. } = &cases[case];
    let rate_hz = f64::from(mic.sample_rate_hz());
    let offset_s = random.between(-120.0, 120.0);
    let drift_ppm = random.between(-200.0, 200.0);
    let snr_db = random.between(10.0, 40.0);
    let direct_to_room_db = random.between(0.0, 20.0);
    let (short_s, after_s) = (random.between(0.0, 10.0), random.between(0.0, 5.0));
    let mic_before_s = if offset_s >= 0.0 { short_s + offset_s } else { short_s };
    let other = &cases[(case + 3 * cases.len() / 7) % cases.len()];
    let has_other_music = index % 2 == 1;

    // The microphone.
    let len_s = mic_before_s + mic.duration_s() + after_s;
    let mut mic_signal = vec![0f32; (len_s * rate_hz) as usize];
    let at = (mic_before_s * rate_hz).round();
    let mic_before_s = at / rate_hz;
    let phone_before_s = mic_before_s - offset_s;
    put(&mut mic_signal, at as usize, &mic.channels()[0]);
    if has_other_music && offset_s > 50.0 {
        put(&mut mic_signal, 0, &other.mic.channels()[0][..(44.0 * rate_hz) as usize]);
    }
    add_noise(&mut mic_signal, 10f64.powf(MIC_NOISE_DBFS / 20.0), &mut random);

    // The phone: its sample n is taken at n / (rate (1 + drift)) of time since it began.
    let mut heard = room(&phone.channels()[0], rate_hz, direct_to_room_db, &mut random);
    for _ in 0..2 {
        let centre_hz = 200.0 * 2f64.powf(random.between(0.0, 5.0));
        let (q, gain_db) = (random.between(0.5, 2.0), random.between(-8.0, 8.0));
        peaking(&mut heard, rate_hz, centre_hz, q, gain_db);
    }
    let level = rms(&heard) * 10f64.powf(-snr_db / 20.0);
    let mut before = vec![0f32; ((phone_before_s + 1.0) * rate_hz) as usize];
    if has_other_music && offset_s < -50.0 {
        put(&mut before, 0, &other.phone.channels()[0][..(44.0 * rate_hz) as usize]);
    }
    let clock = 1.0 + drift_ppm * 1e-6;
    let phone_len = ((phone_before_s + phone.duration_s() + after_s) * rate_hz * clock) as usize;
    let middle_s = mic_before_s + 0.5 * mic.duration_s();
    let middle_offset_s = middle_s - (middle_s - offset_s) * clock;
    let taken = |signal: Vec<f32>, first_s: f64| {
        resample(&[signal], Positions { first: first_s * rate_hz, step: 1.0 / clock, len: phone_len })
    };
    let mut phone_signal = taken(heard, -phone_before_s)?.swap_remove(0);
    for (x, y) in phone_signal.iter_mut().zip(&taken(before, 0.0)?[0]) {
        *x += y;
    }
    add_noise(&mut phone_signal, level, &mut random);
    Ok(Trial {
        index,
        case,
        offset_s,
        middle_offset_s,
        drift_ppm,
        snr_db,
        direct_to_room_db,
        phone: Audio::new(phone.sample_rate_hz(), vec![phone_signal])?,
        mic: Audio::new(mic.sample_rate_hz(), vec![mic_signal])?,
    })
}

fn put(into: &mut [f32], at: usize, signal: &[f32]) {
    for (x, y) in into.iter_mut().skip(at).zip(signal) {
        *x += y;
    }
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (share * sorted.len().saturating_sub(1) as f64).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}

fn table_row(name: &str, rows: &[&Row]) -> String {
    let offsets = rows.iter().map(|r| r.offset_error_s() * 1e3).collect::<Vec<_>>();
    let drifts = rows.iter().map(|r| r.drift_error_ppm()).collect::<Vec<_>>();
    let right = rows.iter().filter(|r| r.is_right()).count();
    format!(
        "| {name} | {} | {right} | {:.4} | {:.4} | {:.4} | {:.2} | {:.2} | {:.2} |\n",
        rows.len(),
        quantile(&offsets, 0.5),
        quantile(&offsets, 0.95),
        quantile(&offsets, 1.0),
        quantile(&drifts, 0.5),
        quantile(&drifts, 0.95),
        quantile(&drifts, 1.0),
    )
}

/// What other tools found: `tool,trial,offset_s,seconds`; an empty offset is a failure.
struct Found {
    tool: String,
    trial: u64,
    offset_s: Option<f64>,
    seconds: f64,
}

fn others_found(path: &Path) -> Result<Vec<Found>, Failure> {
    let text = std::fs::read_to_string(path)?;
    let found = text
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split(',');
            let (tool, trial) = (fields.next()?.to_owned(), fields.next()?.parse::<u64>().ok()?);
            Some(Found { tool, trial, offset_s: fields.next()?.parse().ok(), seconds: fields.next()?.parse().ok()? })
        })
        .collect::<Vec<_>>();
    if found.is_empty() {
        return Err(format!("{}: no line of tool,trial,offset_s,seconds", path.display()).into());
    }
    Ok(found)
}

/// Every tool on the trials that the other tools did.
fn others_table(found: &[Found], rows: &[Row]) -> String {
    let mut tools = found.iter().map(|f| f.tool.as_str()).collect::<Vec<_>>();
    tools.sort_unstable();
    tools.dedup();
    let mut out = String::from(
        "| tool | trials | within 1 ms | within 10 ms | within 50 ms | median error, ms | drift | median time, s |\n|---|---|---|---|---|---|---|---|\n",
    );
    let mut row = |name: &str, errors: &[f64], drift: &str, seconds: &[f64]| {
        let within = |limit_ms: f64| errors.iter().filter(|e| **e <= limit_ms).count();
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {:.3} | {drift} | {:.1} |",
            errors.len(),
            within(1.0),
            within(10.0),
            within(50.0),
            quantile(errors, 0.5),
            quantile(seconds, 0.5)
        );
    };
    let errors = rows.iter().map(|r| r.offset_error_s() * 1e3).collect::<Vec<_>>();
    row("agcfix align", &errors, "yes", &rows.iter().map(|r| r.seconds).collect::<Vec<_>>());
    for tool in tools {
        let of_tool = found.iter().filter(|f| f.tool == tool).collect::<Vec<_>>();
        let error = |found: &Found| {
            let truth = rows.iter().find(|r| r.index == found.trial).map(|r| r.middle_offset_s);
            truth.zip(found.offset_s).map_or(f64::INFINITY, |(truth, found)| (found - truth).abs() * 1e3)
        };
        let errors = of_tool.iter().map(|f| error(f)).collect::<Vec<_>>();
        row(tool, &errors, "no", &of_tool.iter().map(|f| f.seconds).collect::<Vec<_>>());
    }
    out
}

fn report(rows: &[Row], null: (usize, usize, f64)) -> String {
    let all = rows.iter().collect::<Vec<_>>();
    let mut out = String::from(
        "# Alignment\n\nWritten by `cargo run --release --example alignment -- CASES --write docs/alignment.md`; not typed.\n\n\
         A trial starts phone and microphone up to 120 s apart, lets the phone's clock drift by up to 200 ppm, and puts an\n\
         equalisation, a room (direct sound 0 to 20 dB above it) and noise (SNR 10 to 40 dB) on the phone, behind a real gain\n\
         control. Both hold 45 s of the same music. Right is within 1 ms at the phone's first sample, which may lie two\n\
         minutes outside the music, and within 3 ppm.\n\n\
         | gain control | trials | right | offset error, ms: median | 95 % | worst | drift error, ppm: median | 95 % | worst |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let mut names = rows.iter().map(|r| r.agc.clone()).collect::<Vec<_>>();
    names.sort();
    names.dedup();
    for name in names {
        out.push_str(&table_row(&name, &rows.iter().filter(|r| r.agc == name).collect::<Vec<_>>()));
    }
    out.push_str(&table_row("**all**", &all));
    let seconds = rows.iter().map(|r| r.seconds).collect::<Vec<_>>();
    let _ = write!(
        out,
        "\nUnrelated recordings (every phone with another performance): {} of {} refused; at most {:.0} % of the windows agreed.\n\
         The smallest share of agreeing windows in a trial above was {:.0} %.\nMedian time: {:.1} s a pair.\n",
        null.0,
        null.1,
        100.0 * null.2,
        100.0 * quantile(&rows.iter().map(|r| r.found.as_ref().map_or(0.0, |a| a.confidence)).collect::<Vec<_>>(), 0.0),
        quantile(&seconds, 0.5),
    );
    out
}

/// Heading of what other tools found.
const BESIDE: &str = "## Beside other tools";

/// The section with the other tools, in the place of the one that a document had.
fn with_others(document: &str, table: &str) -> String {
    let before = document.split(BESIDE).next().unwrap_or_default().trim_end();
    format!(
        "{before}\n\n{BESIDE}\n\nThe first of the same trials (written with `--wav`, run by `examples/alignment_tools.py`, put here with `--others`). \
         The error is\nthat of the offset alone, at the phone's first sample; the other tools tell no drift, so the offset that is meant is \
         the one at the\nmusic's middle: theirs is scored against that. Times are by the clock of one busy machine.\n\n{table}"
    )
}

/// Makes a trial, writes it where that is wanted, and aligns it.
fn tried(cases: &[Case], index: u64, config: &AlignConfig, wav_to: Option<&Path>) -> Result<Row, Failure> {
    let trial = trial(cases, index)?;
    if let Some(folder) = wav_to {
        for (name, audio) in [("phone", &trial.phone), ("mic", &trial.mic)] {
            write_wav_file(&folder.join(format!("{index:03}-{name}.wav")), true, audio, BitDepth::Int16)?;
        }
    }
    let began = std::time::Instant::now();
    let found = match align(&trial.phone, &trial.mic, config)? {
        Outcome::Aligned(alignment) => Some(alignment),
        Outcome::Unrelated { .. } => None,
    };
    let row = Row {
        agc: cases[trial.case].agc.clone(),
        index: trial.index,
        offset_s: trial.offset_s,
        middle_offset_s: trial.middle_offset_s,
        drift_ppm: trial.drift_ppm,
        snr_db: trial.snr_db,
        direct_to_room_db: trial.direct_to_room_db,
        found,
        seconds: began.elapsed().as_secs_f64(),
    };
    println!(
        "{index:3} {} {:48} offset {:8.3} s off by {:9.4} ms, drift {:6.1} off by {:6.2} ppm, SNR {:4.1} room {:4.1} agreeing {:3.0} % jitter {:5.1} us pieces {} {:.1} s",
        if row.is_right() { "right" } else { "WRONG" },
        cases[trial.case].name,
        row.offset_s,
        row.offset_error_s() * 1e3,
        row.drift_ppm,
        row.drift_error_ppm(),
        row.snr_db,
        row.direct_to_room_db,
        100.0 * row.found.as_ref().map_or(0.0, |a| a.confidence),
        1e6 * row.found.as_ref().map_or(0.0, |a| a.jitter_s),
        row.found.as_ref().map_or(0, |a| a.pieces.len()),
        row.seconds,
    );
    Ok(row)
}

/// Those trials, several at a time, in their order.
fn all_tried(
    cases: &[Case],
    indices: &[u64],
    config: &AlignConfig,
    wav_to: Option<&Path>,
) -> Result<Vec<Row>, Failure> {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let rows = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let workers = (0..4)
            .map(|_| {
                scope.spawn(|| -> Result<(), String> {
                    loop {
                        let place = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                        let Some(index) = indices.get(place) else { return Ok(()) };
                        let row = tried(cases, *index, config, wav_to).map_err(|e| e.to_string())?;
                        rows.lock().map_err(|e| e.to_string())?.push(row);
                    }
                })
            })
            .collect::<Vec<_>>();
        workers.into_iter().try_for_each(|w| w.join().map_err(|_| "a worker stopped".to_owned())?)
    })?;
    let mut rows = rows.into_inner().map_err(|e| e.to_string())?;
    rows.sort_by_key(|row| row.index);
    Ok(rows)
}

/// A value after its option, both taken out.
fn option(arguments: &mut Vec<String>, name: &str) -> Option<String> {
    let k = arguments.iter().position(|a| a == name)?;
    let value = arguments.get(k + 1).cloned();
    arguments.drain(k..(k + 2).min(arguments.len()));
    value
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let write_to = option(&mut arguments, "--write").map(PathBuf::from);
    let wav_to = option(&mut arguments, "--wav").map(PathBuf::from);
    let others = option(&mut arguments, "--others").map(PathBuf::from);
    let first = option(&mut arguments, "--first").map_or(Ok(0), |n| n.parse::<u64>())?;
    let trials = option(&mut arguments, "--trials").map_or(Ok(200), |n| n.parse::<u64>())?;
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        println!(
            "usage: alignment CASES [--trials 200] [--write docs/alignment.md] [--wav DIR] [--others FILE.csv]; without CASES there is nothing to measure"
        );
        return Ok(());
    };
    let cases = cases(&folder)?;
    if cases.is_empty() {
        return Err(format!("{}: no cases in it; give the folder that holds them", folder.display()).into());
    }
    let config = AlignConfig::default();
    let found = others.as_deref().map(others_found).transpose()?;
    let indices = match &found {
        // A set in order: every trial once.
        Some(found) => found.iter().map(|f| f.trial).collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
        None => (first..first + trials).collect::<Vec<_>>(),
    };
    let rows = all_tried(&cases, &indices, &config, wav_to.as_deref())?;
    if let Some(found) = &found {
        let table = others_table(found, &rows);
        println!("\n{table}");
        if let Some(path) = write_to {
            let document = std::fs::read_to_string(&path)?;
            std::fs::write(&path, with_others(&document, &table))?;
        }
        return Ok(());
    }
    let unlimited = AlignConfig { min_agreeing: 0, min_confidence: 0.0, ..config.clone() };
    let (mut refused, mut tried, mut most) = (0, 0, 0f64);
    for (k, case) in cases.iter().enumerate() {
        let piece = |c: &Case| c.name.split("__").next().unwrap_or_default().to_owned();
        let Some(other) = cases[k..].iter().chain(&cases[..k]).find(|c| piece(c) != piece(case)) else { continue };
        tried += 1;
        refused += usize::from(matches!(align(&case.phone, &other.mic, &config)?, Outcome::Unrelated { .. }));
        if let Outcome::Aligned(a) = align(&case.phone, &other.mic, &unlimited)? {
            most = most.max(a.confidence);
        }
    }
    let text = report(&rows, (refused, tried, most));
    println!("\n{text}");
    if let Some(path) = write_to {
        // What the other tools found stays.
        let before = std::fs::read_to_string(&path).unwrap_or_default();
        let beside = before.find(BESIDE).map_or(String::new(), |at| format!("\n{}", &before[at..]));
        std::fs::write(&path, text + &beside)?;
    }
    Ok(())
}
