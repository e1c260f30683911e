//! Profiles learnt beside a microphone, used on other music without one: every gain control of a folder, as a table.
//!
//! ```text
//! cargo run --release --example profiles -- CASES [--write docs/profiles.md] [FILTER...]
//! ```
//!
//! `CASES` is a folder as for the `accuracy` example. For every gain control with its settings (the case's name without the
//! music), a profile is learnt from the first half of one piece and its reference, and undone on every other piece without its
//! reference. The ratio is that of the `accuracy` example.

use agcfix::pair::align::{AlignConfig, Outcome, align};
use agcfix::pair::level::{level_db, median};
use agcfix::profile::{LearnConfig, Profile, Take, Volume, analyze_with, learn};
use agcfix::{Audio, decode, restore};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

type Failure = Box<dyn std::error::Error>;

/// Levels this far below the reference's loudest are not scored, in dB: that of the `accuracy` example.
const RANGE_DB: f64 = 50.0;

struct Case {
    piece: String,
    phone: Audio,
    mic: Audio,
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
        };
        out.entry(parts[2..].join(" ")).or_default().push(case);
    }
    Ok(out)
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
    let Some(folder) = arguments.first().map(PathBuf::from) else {
        println!(
            "usage: profiles CASES [--write docs/profiles.md] [FILTER...]; without CASES there is nothing to measure"
        );
        return Ok(());
    };
    let mut table = String::from(
        "| gain control | learnt on | law | left on the learnt half, dB | undone on | ratios, volume known | median | ratios, volume found | median |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let (mut all_known, mut all_found) = (Vec::new(), Vec::new());
    for (control, cases) in cases(&folder, &arguments[1..])? {
        let Some(first) = cases.first() else { continue };
        let Outcome::Aligned(alignment) = align(&first.phone, &first.mic, &AlignConfig::default())? else {
            println!("{control}: does not align");
            continue;
        };
        let half = (0.0, 0.5 * first.phone.duration_s());
        let takes = [Take::new(&first.phone, &first.mic, &alignment, half)?];
        let began = std::time::Instant::now();
        let learnt = learn(&takes, &LearnConfig::default())?;
        let seconds = began.elapsed().as_secs_f64();
        let profile = Profile::of(&control, &takes, &learnt, Vec::new());
        let law = learnt.law.as_ref().map_or("none", |l| l.name.as_str());
        println!(
            "{control:28} {law:20} left {:.2} of {:.2} dB, {seconds:.0} s | {}",
            learnt.left_db,
            learnt.movement_db,
            learnt.families.iter().take(4).map(|(n, l)| format!("{n} {l:.2}")).collect::<Vec<_>>().join(", ")
        );
        let (mut known, mut found) = (Vec::new(), Vec::new());
        for case in &cases[1..] {
            let nothing = left(&case.phone, &case.mic);
            let undone = |volume: Volume| -> Result<f64, Failure> {
                if profile.law.is_none() {
                    return Ok(1.0);
                }
                let (analysis, config) = analyze_with(&profile, volume, &case.phone, &())?;
                let restored = restore(&case.phone, &analysis, &config)?;
                Ok(left(&restored.audio, &case.mic) / nothing)
            };
            known.push(undone(Volume::Known(0.0))?);
            found.push(undone(Volume::Auto)?);
            println!(
                "    {:32} of {nothing:.2} dB: known {:.3}, found {:.3}",
                case.piece,
                known[known.len() - 1],
                found[found.len() - 1]
            );
        }
        let list = |r: &[f64]| r.iter().map(|r| format!("{r:.2}")).collect::<Vec<_>>().join(" ");
        let is_untouched = control.starts_with("none");
        if !is_untouched {
            all_known.extend_from_slice(&known);
            all_found.extend_from_slice(&found);
        }
        let _ = writeln!(
            table,
            "| {control} | {} | {law} | {:.2} of {:.2} | {} others | {} | {:.3} | {} | {:.3} |",
            first.piece,
            learnt.left_db,
            learnt.movement_db,
            known.len(),
            if is_untouched { "-".to_owned() } else { list(&known) },
            if is_untouched { f64::NAN } else { median(&known) },
            if is_untouched { "-".to_owned() } else { list(&found) },
            if is_untouched { f64::NAN } else { median(&found) },
        );
    }
    let _ = writeln!(
        table,
        "| **all with gain** | | | | {} | | **{:.3}** | | **{:.3}** |",
        all_known.len(),
        median(&all_known),
        median(&all_found)
    );
    println!("\n{table}");
    if let Some(path) = write_to {
        let text = format!(
            "# Device profiles\n\nWritten by `cargo run --release --example profiles -- CASES --write docs/profiles.md`; not typed.\n\n\
             A profile is learnt from the first half (22 s) of one piece with its reference, and undone on the other pieces without\n\
             theirs. A ratio is the share of the gain's movement that is left (0 perfect, 1 as good as doing nothing). With the volume\n\
             *known*, the recording is taken to be as loud as those of the profile; *found* means that the recording was asked.\n\n{}",
            table.replace("NaN", "-")
        );
        std::fs::write(path, text)?;
    }
    Ok(())
}
