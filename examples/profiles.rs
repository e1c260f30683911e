//! Profiles learnt beside a microphone, used on other music without one: every gain control of a folder, as a table.
//!
//! ```text
//! cargo run --release --example profiles -- CASES [--others 2] [--write docs/profiles.md] [FILTER...]
//! ```
//!
//! `CASES` is a folder as for the `accuracy` example. For every gain control with its settings (the case's name without the
//! music), a profile is learnt from the first half of one piece and its reference, and undone on other pieces without their
//! reference, which then judges. The ratio is that of the `accuracy` example; decays are those of `agcfix validate`.

use agcfix::pair::align::{AlignConfig, Alignment, Outcome, align};
use agcfix::pair::level::{level_db, median};
use agcfix::pair::validate::{Validation, validate};
use agcfix::profile::{LearnConfig, Profile, Take, Volume, analyze_with, learn};
use agcfix::{Audio, decode, restore};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

/// Pieces that a profile is tried on, unless `--others` says otherwise.
const OTHERS: usize = 2;

/// Levels this far below the reference's loudest are not scored, in dB: that of the `accuracy` example.
const RANGE_DB: f64 = 50.0;

struct Case {
    piece: String,
    phone: Audio,
    mic: Audio,
    /// What was done to the phone's recording afterwards so that it fits, in dB: its volume, if somebody knows it.
    volume_db: f64,
}

/// One piece undone by a profile.
struct Undone {
    piece: String,
    nothing_db: f64,
    /// Ratio with the volume known, and found.
    known: f64,
    found: f64,
    validation: Validation,
}

/// One gain control.
struct Row {
    control: String,
    learnt_on: String,
    law: String,
    has_ceiling: bool,
    left_db: f64,
    movement_db: f64,
    seconds: f64,
    undone: Vec<Undone>,
}

fn aligned(phone: &Audio, mic: &Audio) -> Result<Alignment, Failure> {
    match align(phone, mic, &AlignConfig::default())? {
        Outcome::Aligned(alignment) => Ok(alignment),
        Outcome::Unrelated { reason } => Err(reason.into()),
    }
}

fn centred_rms(values: &[f64]) -> f64 {
    let centre = median(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

/// rms of the level difference to the reference.
fn left(audio: &Audio, mic: &Audio) -> f64 {
    let (a, m) = (level_db(audio), level_db(mic));
    let top = m.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    centred_rms(&a.iter().zip(&m).filter(|(_, m)| **m > top - RANGE_DB).map(|(a, m)| a - m).collect::<Vec<_>>())
}

fn cases(folder: &Path, filters: &[String]) -> Result<BTreeMap<String, Vec<Case>>, Failure> {
    let mut names =
        std::fs::read_dir(folder)?.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect::<Vec<_>>();
    names.sort();
    let mut out: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for name in names {
        let Ok(meta) = std::fs::read_to_string(folder.join(&name).join("meta.json")) else { continue };
        if !filters.is_empty() && !filters.iter().any(|f| name.contains(f.as_str())) {
            continue;
        }
        let meta: serde_json::Value = serde_json::from_str(&meta)?;
        let reference = meta["reference"].as_str().ok_or("no reference")?;
        let parts = name.split("__").collect::<Vec<_>>();
        let case = Case {
            piece: parts[..2].join(" "),
            phone: decode::read(&folder.join(&name).join("phone.flac"))?.audio,
            mic: decode::read(&folder.join(reference))?.audio,
            volume_db: 20.0 * meta["scaled_to_fit"].as_f64().unwrap_or(1.0).log10(),
        };
        out.entry(parts[2..].join(" ")).or_default().push(case);
    }
    Ok(out)
}

fn undone(case: &Case, profile: &Profile) -> Result<Undone, Failure> {
    let nothing_db = left(&case.phone, &case.mic);
    let restored = |volume: Volume| -> Result<(Audio, f64), Failure> {
        if profile.law.is_none() {
            return Ok((case.phone.clone(), case.volume_db));
        }
        let (analysis, config) = analyze_with(profile, volume, &case.phone, &())?;
        let volume_db = analysis.law.as_ref().and_then(|l| l.parameters.last()).map_or(f64::NAN, |p| p.value);
        Ok((restore(&case.phone, &analysis, &config)?.audio, volume_db))
    };
    let (by_found, volume_db) = restored(Volume::Auto)?;
    let is_known = (volume_db - case.volume_db).abs() < 1e-9;
    let by_known = if is_known { by_found.clone() } else { restored(Volume::Known(case.volume_db))?.0 };
    let validation = validate(&case.phone, &case.mic, Some(&by_found), &aligned(&case.phone, &case.mic)?)?;
    Ok(Undone {
        piece: case.piece.clone(),
        nothing_db,
        known: left(&by_known, &case.mic) / nothing_db,
        found: left(&by_found, &case.mic) / nothing_db,
        validation,
    })
}

fn row(control: String, cases: &[Case], other_len: usize) -> Result<Row, Failure> {
    let first = cases.first().ok_or("no case")?;
    let half = (0.0, 0.5 * first.phone.duration_s());
    let takes = [Take::new(&first.phone, &first.mic, &aligned(&first.phone, &first.mic)?, half)?];
    let began = std::time::Instant::now();
    let learnt = learn(&takes, &LearnConfig::default())?;
    let seconds = began.elapsed().as_secs_f64();
    let profile = Profile::of(&control, &takes, &learnt, Vec::new());
    // As a profile is used: from its file.
    let profile = Profile::from_toml(&profile.to_toml()?)?;
    let law = learnt.law.as_ref().map_or("none", |l| l.name.as_str());
    let has_ceiling = agcfix::law::families().iter().any(|l| l.name() == law && l.has_ceiling());
    println!("{control:28} {law:20} left {:.3} of {:.2} dB, {seconds:.0} s", learnt.left_db, learnt.movement_db);
    println!("    {}", learnt.families.iter().map(|(n, l)| format!("{n} {l:.3}")).collect::<Vec<_>>().join(", "));
    for p in learnt.law.iter().flat_map(|l| &l.parameters) {
        println!("    {:20} {:.5} ({:.5} to {:.5}) {}", p.name, p.value, p.lower, p.upper, p.unit);
    }
    let is_untouched = control.starts_with("none");
    let mut all = Vec::new();
    for case in cases[1..].iter().take(if is_untouched { 0 } else { other_len }) {
        let undone = undone(case, &profile)?;
        println!(
            "    {:32} of {:.2} dB: known {:.3}, found {:.3}; decays {:+.2} -> {:+.2} dB/s",
            undone.piece,
            undone.nothing_db,
            undone.known,
            undone.found,
            undone.validation.before.decays.bias_db_per_s,
            undone.validation.after.as_ref().map_or(f64::NAN, |a| a.decays.bias_db_per_s)
        );
        all.push(undone);
    }
    Ok(Row {
        learnt_on: first.piece.clone(),
        law: law.to_owned(),
        has_ceiling,
        left_db: learnt.left_db,
        movement_db: learnt.movement_db,
        seconds,
        undone: all,
        control,
    })
}

/// Median bias over pairs, median over all their decays together, and how many those are.
fn decays<'a>(of: impl Iterator<Item = &'a agcfix::pair::validate::DecayAgreement>) -> (f64, f64, usize) {
    let all = of.collect::<Vec<_>>();
    let each = all.iter().map(|d| d.bias_db_per_s).collect::<Vec<_>>();
    let pooled = all.iter().flat_map(|d| d.pairs.iter().map(|(mic, phone)| phone - mic)).collect::<Vec<_>>();
    (median(&each), median(&pooled), pooled.len())
}

fn document(rows: &[Row]) -> String {
    let mut out = String::from(
        "# Device profiles\n\nWritten by `cargo run --release --example profiles -- CASES --write docs/profiles.md`; not typed.\n\n\
         A profile is learnt from the first half (22 s) of one piece with its reference, and undone on other pieces without theirs. A\n\
         ratio is the share of the gain's movement that is left (0 perfect, 1 as good as doing nothing). *Found*: as `agcfix restore\n\
         --profile` does it, which asks the recording for its volume. *Known*: with `--profile-volume`.\n\n\
         | gain control | law that was learnt | left on the learnt half, dB | seconds | ratios, volume found | median | ratios, volume known | median |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let list = |r: &[f64]| r.iter().map(|r| format!("{r:.3}")).collect::<Vec<_>>().join(" ");
    let (mut found_all, mut known_all) = (Vec::new(), Vec::new());
    let (mut open, mut ceiling) = (Vec::new(), Vec::new());
    for row in rows {
        let found = row.undone.iter().map(|u| u.found).collect::<Vec<_>>();
        let known = row.undone.iter().map(|u| u.known).collect::<Vec<_>>();
        let left = format!("{:.3} of {:.2}", row.left_db, row.movement_db);
        if found.is_empty() {
            let _ = writeln!(out, "| {} | {} | {left} | {:.0} | - | - | - | - |", row.control, row.law, row.seconds);
            continue;
        }
        let medians = (median(&found), median(&known));
        let _ = writeln!(
            out,
            "| {} | {}{} | {left} | {:.0} | {} | {:.3} | {} | {:.3} |",
            row.control,
            row.law,
            if row.has_ceiling { " (ceiling)" } else { "" },
            row.seconds,
            list(&found),
            medians.0,
            list(&known),
            medians.1
        );
        found_all.push(medians.0);
        known_all.push(medians.1);
        if row.has_ceiling { &mut ceiling } else { &mut open }.push(medians.1);
    }
    let _ = writeln!(
        out,
        "| **median of {} gain controls** | | | | | **{:.3}** | | **{:.3}** |\n\n\
         Laws without a ceiling: medians {}. Laws with a ceiling: {} (volume known).\n\n\
         Learnt on {}. The gain controls called `none` are the null case: their profile must have no law.\n",
        found_all.len(),
        median(&found_all),
        median(&known_all),
        list(&open),
        list(&ceiling),
        rows.first().map_or("", |r| r.learnt_on.as_str())
    );
    out.push_str(
        "## Decay rates\n\nEvery decay that the reference shows, against the same partial in the phone's recording, before and after its\n\
         restoration by the profile: the median of phone minus reference, in dB/s, as `agcfix validate` measures it.\n\n\
         | gain control | pairs | decays | before | after | spread before | spread after |\n|---|---|---|---|---|---|---|\n",
    );
    for row in rows.iter().filter(|r| !r.undone.is_empty()) {
        let (before, _, len) = decays(row.undone.iter().map(|u| &u.validation.before.decays));
        let (after, _, _) = decays(row.undone.iter().filter_map(|u| Some(&u.validation.after.as_ref()?.decays)));
        let spread =
            |of: &dyn Fn(&Undone) -> Option<f64>| median(&row.undone.iter().filter_map(of).collect::<Vec<_>>());
        let _ = writeln!(
            out,
            "| {} | {} | {len} | {before:+.2} | {after:+.2} | {:.2} | {:.2} |",
            row.control,
            row.undone.len(),
            spread(&|u| Some(u.validation.before.decays.spread_db_per_s)),
            spread(&|u| Some(u.validation.after.as_ref()?.decays.spread_db_per_s)),
        );
    }
    let all = || rows.iter().flat_map(|r| &r.undone);
    let (before, before_pooled, len) = decays(all().map(|u| &u.validation.before.decays));
    let (after, after_pooled, _) = decays(all().filter_map(|u| Some(&u.validation.after.as_ref()?.decays)));
    let _ = writeln!(
        out,
        "| **all, median of the pairs** | {} | {len} | **{before:+.2}** | **{after:+.2}** | | |\n\
         | **all decays together** | {} | {len} | **{before_pooled:+.2}** | **{after_pooled:+.2}** | | |",
        all().count(),
        all().count()
    );
    out
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).collect::<Vec<_>>();
    let mut option = |name: &str| {
        let k = arguments.iter().position(|a| a == name)?;
        let value = arguments.get(k + 1).cloned();
        arguments.drain(k..(k + 2).min(arguments.len()));
        value
    };
    let write_to = option("--write").map(PathBuf::from);
    let other_len = option("--others").map_or(Ok(OTHERS), |n| n.parse())?;
    let Some(folder) = arguments.first().map(PathBuf::from).filter(|folder| folder.is_dir()) else {
        println!(
            "usage: profiles CASES [--others {OTHERS}] [--write docs/profiles.md] [FILTER...]; without CASES there is nothing to measure"
        );
        return Ok(());
    };
    let mut rows = Vec::new();
    for (control, cases) in cases(&folder, &arguments[1..])? {
        match row(control.clone(), &cases, other_len) {
            Ok(row) => rows.push(row),
            Err(error) => println!("{control}: {error}"),
        }
    }
    let text = document(&rows);
    println!("\n{text}");
    if let Some(path) = write_to {
        std::fs::write(path, text)?;
    }
    Ok(())
}
