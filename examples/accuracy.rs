//! How much of a known gain is undone: every case of a folder, scored, as a table.
//!
//! ```text
//! cargo run --release --example accuracy -- CASES [--write docs/accuracy.md] [--laws NAME,...] [--trust] [FILTER...]
//! ```
//!
//! `--laws` searches those families only, `--trust` undoes the best law also where the verdict is undecided.
//!
//! `CASES/<case>/phone.flac` is what the device recorded; `CASES/<case>/meta.json` names its gain control (`agc`, `none`
//! where there was none) and its reference (`reference`, relative to `CASES`: the same sound without the gain), and may
//! give `oracle_expander_rms`. Measure per case, on 10 ms steps of 20 ms windows in which the reference is within 50 dB of
//! its loudest: `e = level(restored) - level(reference)` without its median; `rms` of `e`; `rms0` the same for the
//! untouched recording; `ratio = rms / rms0`. Without a gain control, `harm = rms(level(restored) - level(phone))`.

use agcfix::law::families;
use agcfix::restore::Trust;
use agcfix::{Analysis, Audio, Config, Verdict, analyze, decode, restore};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

const HOP_S: f64 = 0.010;
const WINDOW_S: f64 = 0.020;
const RANGE_DB: f64 = 50.0;

/// One scored case.
struct Row {
    case: String,
    agc: String,
    oracle: Option<f64>,
    rms: f64,
    rms0: f64,
    harm: f64,
    coverage: f64,
    analysis: Analysis,
    seconds: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.rms / self.rms0
    }

    /// Whether less is left than the oracle leaves, which is known to a thousandth of a decibel: where both did nothing,
    /// neither is better.
    fn beats_oracle(&self) -> bool {
        self.oracle.is_some_and(|oracle| (1e3 * self.rms).round() < (1e3 * oracle).round())
    }

    fn has_gain(&self) -> bool {
        self.agc != "none"
    }
}

fn level_db(audio: &Audio) -> Vec<f64> {
    let rate_hz = f64::from(audio.sample_rate_hz());
    let (hop, window) = ((HOP_S * rate_hz).round() as usize, (WINDOW_S * rate_hz).round() as usize);
    let mut sums = vec![0.0; audio.sample_len() + 1];
    for n in 0..audio.sample_len() {
        let square = audio.channels().iter().map(|c| f64::from(c[n]).powi(2)).sum::<f64>();
        sums[n + 1] = sums[n] + square / audio.channels().len() as f64;
    }
    (0..(audio.sample_len() + 1).saturating_sub(window))
        .step_by(hop)
        .map(|k| 10.0 * ((sums[k + window] - sums[k]) / window as f64 + 1e-13).log10())
        .collect()
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[n / 2],
        n => 0.5 * (sorted[n / 2 - 1] + sorted[n / 2]),
    }
}

fn centred_rms(values: &[f64]) -> f64 {
    let centre = median(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// Share of the steps at which the band, moved by the best constant, holds the true gain.
fn coverage(analysis: &Analysis, gain_db: &[f64], on: &[bool]) -> f64 {
    let curve = &analysis.gain_curve;
    let at = |k: usize| {
        let position = (k as f64 * HOP_S + 0.5 * WINDOW_S - curve.start_s) / curve.hop_s;
        (position.max(0.0).round() as usize).min(curve.gain_db.len() - 1)
    };
    let used = (0..gain_db.len()).filter(|&k| on[k]).collect::<Vec<_>>();
    let offset = median(&used.iter().map(|&k| gain_db[k] - curve.gain_db[at(k)]).collect::<Vec<_>>());
    let inside = used
        .iter()
        .filter(|&&k| (curve.lower_db[at(k)]..=curve.upper_db[at(k)]).contains(&(gain_db[k] - offset)))
        .count();
    inside as f64 / used.len().max(1) as f64
}

fn score(cases: &Path, case: &str, config: &Config) -> Result<Option<Row>, Failure> {
    let meta_path = cases.join(case).join("meta.json");
    if !meta_path.exists() {
        return Ok(None);
    }
    let meta: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(meta_path)?)?;
    let text =
        |key: &str| meta[key].as_str().map(str::to_owned).ok_or_else(|| format!("{case}: no {key} in meta.json"));
    let phone = decode::read(&cases.join(case).join("phone.flac"))?.audio;
    let reference = decode::read(&cases.join(text("reference")?))?.audio;
    let began = std::time::Instant::now();
    let analysis = analyze(&phone, config, &())?;
    let restored = restore(&phone, &analysis, config)?;
    let seconds = began.elapsed().as_secs_f64();
    let (mut phone_db, mut restored_db, mut reference_db) =
        (level_db(&phone), level_db(&restored.audio), level_db(&reference));
    let len = phone_db.len().min(restored_db.len()).min(reference_db.len());
    for levels in [&mut phone_db, &mut restored_db, &mut reference_db] {
        levels.truncate(len);
    }
    let top = reference_db.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let on = reference_db.iter().map(|l| *l > top - RANGE_DB).collect::<Vec<_>>();
    let difference = |a: &[f64], b: &[f64]| {
        a.iter().zip(b).zip(&on).filter(|(_, on)| **on).map(|((a, b), _)| a - b).collect::<Vec<_>>()
    };
    let gain_db = phone_db.iter().zip(&reference_db).map(|(p, r)| p - r).collect::<Vec<_>>();
    Ok(Some(Row {
        case: case.to_owned(),
        agc: text("agc")?,
        oracle: meta["oracle_expander_rms"].as_f64(),
        rms: centred_rms(&difference(&restored_db, &reference_db)),
        rms0: centred_rms(&difference(&phone_db, &reference_db)),
        harm: centred_rms(&difference(&restored_db, &phone_db)),
        coverage: coverage(&analysis, &gain_db, &on),
        analysis,
        seconds,
    }))
}

fn verdict_word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::None => "none",
        Verdict::Agc => "agc",
        Verdict::Undecided { .. } => "undecided",
    }
}

fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let position = share * sorted.len().saturating_sub(1) as f64;
    let (low, high) = (position.floor() as usize, position.ceil() as usize);
    if sorted.is_empty() { f64::NAN } else { sorted[low] + (position - low as f64) * (sorted[high] - sorted[low]) }
}

/// A table row of ratios over a group of cases.
fn group_row(name: &str, rows: &[&Row]) -> String {
    let ratios = rows.iter().map(|r| r.ratio()).collect::<Vec<_>>();
    let oracle = rows.iter().filter_map(|r| r.oracle.map(|o| o / r.rms0)).collect::<Vec<_>>();
    let beaten = rows.iter().filter(|r| r.beats_oracle()).count();
    let counted = |word: &str| rows.iter().filter(|r| verdict_word(&r.analysis.verdict) == word).count();
    format!(
        "| {name} | {} | 1.00 | {:.2} | {:.2} | {:.2} | {beaten} | {} / {} / {} |\n",
        rows.len(),
        median(&oracle),
        median(&ratios),
        quantile(&ratios, 0.9),
        counted("agc"),
        counted("undecided"),
        counted("none"),
    )
}

fn report(rows: &[Row]) -> String {
    let gained = rows.iter().filter(|r| r.has_gain()).collect::<Vec<_>>();
    let untouched = rows.iter().filter(|r| !r.has_gain()).collect::<Vec<_>>();
    let mut out = String::from(
        "# Accuracy\n\nWritten by `cargo run --release --example accuracy -- CASES --write docs/accuracy.md`; not typed.\n\n\
         `ratio` is the share of the gain's movement that is left after restoring (0 perfect, 1 as good as doing nothing);\n\
         `oracle` is the same for the best general expander, tuned by someone who has the microphone track. The gain is\n\
         estimated from the recording alone.\n\n",
    );
    let ratios = gained.iter().map(|r| r.ratio()).collect::<Vec<_>>();
    let oracle = gained.iter().filter_map(|r| r.oracle.map(|o| o / r.rms0)).collect::<Vec<_>>();
    let beaten = gained.iter().filter(|r| r.beats_oracle()).count();
    let worse = ratios.iter().filter(|r| **r > 1.02).count();
    let harm = untouched.iter().map(|r| r.harm).fold(0.0, f64::max);
    let decided = gained.iter().filter(|r| r.analysis.verdict == Verdict::Agc).collect::<Vec<_>>();
    let covered = decided.iter().map(|r| r.coverage).collect::<Vec<_>>();
    let _ = write!(
        out,
        "| | doing nothing | oracle expander | agcfix |\n|---|---|---|---|\n\
         | ratio, median of {} | 1.00 | {:.2} | **{:.3}** |\n\
         | ratio, 90th percentile | 1.00 | {:.2} | **{:.3}** |\n\
         | ratio, worst | 1.00 | {:.2} | {:.3} |\n\
         | cases made worse (ratio above 1.02) | 0 | 0 | {worse} |\n\
         | cases that beat the oracle | 0 | - | {beaten} |\n\
         | worst harm on the {} untouched, dB rms | 0 | 0 | {harm:.3} |\n\
         | true gain inside the 90 % band, median of {} restored | - | - | {:.0} % |\n\n",
        gained.len(),
        median(&oracle),
        median(&ratios),
        quantile(&oracle, 0.9),
        quantile(&ratios, 0.9),
        quantile(&oracle, 1.0),
        quantile(&ratios, 1.0),
        untouched.len(),
        decided.len(),
        100.0 * median(&covered),
    );
    let header = "| | cases | nothing | oracle | agcfix median | agcfix 90 % | beat the oracle | agc / undecided / none |\n|---|---|---|---|---|---|---|---|\n";
    let parts = |row: &Row, k: usize| row.case.split("__").nth(k).unwrap_or("").to_owned();
    for (title, key) in [("By gain control", 2usize), ("By music", 0), ("By piano", 1)] {
        let _ = write!(out, "## {title}\n\n{header}");
        let mut names = gained.iter().map(|r| parts(r, key)).collect::<Vec<_>>();
        names.sort();
        names.dedup();
        for name in names {
            let group = gained.iter().copied().filter(|r| parts(r, key) == name).collect::<Vec<_>>();
            out.push_str(&group_row(&name, &group));
        }
        out.push('\n');
    }
    out.push_str("## Every case\n\n| case | verdict | law | rms dB | of dB | ratio | oracle dB | J without | J with | p | step slope | band |\n|---|---|---|---|---|---|---|---|---|---|---|---|\n");
    for row in rows {
        let e = &row.analysis.evidence;
        let (rms, rms0, ratio) = if row.has_gain() {
            (format!("{:.2}", row.rms), format!("{:.2}", row.rms0), format!("{:.2}", row.ratio()))
        } else {
            (format!("harm {:.3}", row.harm), "0".to_owned(), "-".to_owned())
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {rms} | {rms0} | {ratio} | {} | {:.4} | {:.4} | {:.3} | {} | {:.0} % |",
            row.case,
            verdict_word(&row.analysis.verdict),
            row.analysis.law.as_ref().map_or("-", |l| l.name.as_str()),
            row.oracle.map_or_else(|| "-".to_owned(), |o| format!("{o:.2}")),
            e.j_without_gain,
            e.j_with_gain,
            e.p_value,
            e.step_slope.zip(e.step_slope_error).map_or_else(|| "-".to_owned(), |(s, d)| format!("{s:.2} ± {d:.2}")),
            100.0 * row.coverage,
        );
    }
    out
}

fn print_row(row: &Row) {
    let e = &row.analysis.evidence;
    let law = row.analysis.law.as_ref().map_or_else(String::new, |law| {
        let values = law.parameters.iter().map(|p| format!("{:.4}", p.value)).collect::<Vec<_>>().join(" ");
        format!("{} [{values}]", law.name)
    });
    println!(
        "{:52} {:9} rms {:5.2} of {:5.2} ratio {:4.2} oracle {:5.2} harm {:5.2} | share {:.4} p {:.3} slope {:5.2} ± {:4.2} moves {:4.2} band {:3.0}% {:4.1} s | {law}",
        row.case,
        verdict_word(&row.analysis.verdict),
        row.rms,
        row.rms0,
        row.ratio(),
        row.oracle.unwrap_or(f64::NAN),
        row.harm,
        1.0 - e.j_with_gain / e.j_without_gain,
        e.p_value,
        e.step_slope.unwrap_or(f64::NAN),
        e.step_slope_error.unwrap_or(f64::NAN),
        e.gain_movement_db,
        100.0 * row.coverage,
        row.seconds,
    );
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let write_to = arguments.iter().position(|a| a == "--write").map(|k| {
        let path = arguments.get(k + 1).cloned().unwrap_or_else(|| "docs/accuracy.md".to_owned());
        arguments.drain(k..(k + 2).min(arguments.len()));
        PathBuf::from(path)
    });
    let laws = arguments.iter().position(|a| a == "--laws").map(|k| {
        let names = arguments.get(k + 1).cloned().unwrap_or_default();
        arguments.drain(k..(k + 2).min(arguments.len()));
        names
    });
    let is_trusted = arguments.iter().position(|a| a == "--trust").map(|k| arguments.remove(k)).is_some();
    let Some(cases) = arguments.first().map(PathBuf::from) else {
        println!(
            "usage: accuracy CASES [--write docs/accuracy.md] [--laws NAME,...] [--trust] [FILTER...]; without CASES there is nothing to measure"
        );
        return Ok(());
    };
    if !cases.is_dir() {
        return Err(format!("{}: no such folder; give the folder that holds the cases", cases.display()).into());
    }
    let mut names = std::fs::read_dir(&cases)?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| arguments.len() < 2 || arguments[1..].iter().any(|f| name.contains(f.as_str())))
        .collect::<Vec<_>>();
    names.sort();
    let mut config = Config::default();
    if let Some(names) = laws {
        config.fit.laws = families().into_iter().filter(|law| names.split(',').any(|n| n == law.name())).collect();
    }
    if is_trusted {
        config.restore.trust = Trust::Caller;
    }
    let mut rows = Vec::new();
    for name in names {
        if let Some(row) = score(&cases, &name, &config)? {
            print_row(&row);
            rows.push(row);
        }
    }
    let text = report(&rows);
    println!(
        "\n{}",
        text.lines()
            .skip_while(|l| !l.starts_with("| |"))
            .take_while(|l| !l.starts_with("## Every"))
            .collect::<Vec<_>>()
            .join("\n")
    );
    if let Some(path) = write_to {
        std::fs::write(&path, text)?;
    }
    Ok(())
}
