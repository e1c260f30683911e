//! Where blind restoration works, and where it stops: simulate, analyse, score, one quantity at a time.
//!
//! ```text
//! cargo run --release --example recovery -- [--quick] [--write docs]
//! ```
//!
//! Studies of [`agcfix::instrument`] go through a compressor (4:1 above -30 dBFS, attack 5 ms, release 200 ms) of which one
//! quantity is varied, and through every gain control of the presets. The gain is then estimated from the result alone.
//! Measure: on 10 ms steps at which the phone's recording is within 50 dB of its loudest, the estimated minus the true gain
//! in dB, without its median; `error` is its rms, `movement` the same for no estimate at all. A recording that is refused
//! counts as no estimate: it is left as it was.
//!
//! `--quick` takes one study a point instead of three, every other point, and the middle strength of the gain controls only. `--write` writes
//! `recovery.md` and `images/recovery.png` there. With an ffmpeg installed, codecs are included.

use agcfix::instrument::{Instrument, Study, play};
use agcfix::simulate::gain::GainStage;
use agcfix::simulate::noise::Noise;
use agcfix::simulate::preset::{self, STRENGTHS};
use agcfix::simulate::{Chain, Codec, CodecName, simulate};
use agcfix::{Audio, Config, Verdict, analyze};
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Length of a study in seconds: the least that the program asks for, and a half more.
const STUDY_S: f64 = 30.0;
/// Steps this far below the loudest are not scored, in dB.
const SCORED_DB: f64 = 50.0;
const FONT: &[u8] = include_bytes!("../src/report/plot/font/OpenSans-Regular-subset.ttf");

/// One point of the study.
#[derive(Debug, Clone)]
struct Point {
    /// The varied quantity's value.
    value: f64,
    /// For people.
    label: String,
    chain: Chain,
    study: Study,
}

/// A point's score.
#[derive(Debug, Clone)]
struct Score {
    movement_db: f64,
    error_db: f64,
    /// How often out of how many the gain was found.
    found: usize,
    of: usize,
    laws: Vec<String>,
}

/// One varied quantity.
struct Sweep {
    title: &'static str,
    unit: &'static str,
    points: Vec<Point>,
}

/// The compressor from which one quantity at a time departs.
fn compressor(changes: &[(&str, f64)]) -> Chain {
    let mut constants =
        vec![("threshold_db", -30.0), ("slope", 0.75), ("knee_db", 6.0), ("attack_s", 0.005), ("release_s", 0.2)];
    for (name, value) in changes {
        constants.retain(|(n, _)| n != name);
        constants.push((name, *value));
    }
    chain_of(GainStage::new("compressor", &constants))
}

fn chain_of(stage: GainStage) -> Chain {
    let mut chain = Chain::default();
    chain.gain.push(stage);
    chain
}

fn sweeps(has_ffmpeg: bool) -> Vec<Sweep> {
    let study = Study { duration_s: STUDY_S, ..Study::default() };
    let law = |name: &'static str, unit: &str, scale: f64, values: &[f64]| -> Vec<Point> {
        let point = |value: &f64| Point {
            value: value * scale,
            label: format!("{} {unit}", trimmed(value * scale)).trim_end().to_owned(),
            chain: compressor(&[(name, *value)]),
            study,
        };
        values.iter().map(point).collect()
    };
    let density = [1.0, 2.0, 3.5, 6.0, 10.0, 16.0].map(|notes_per_s| Point {
        value: notes_per_s,
        label: format!("{} /s", trimmed(notes_per_s)),
        chain: compressor(&[]),
        study: Study { notes_per_s, held_s: (1.8 / notes_per_s).max(0.1), is_pedalled: false, ..study },
    });
    let noise = [-90.0, -75.0, -65.0, -55.0, -45.0].map(|level_dbfs| Point {
        value: level_dbfs,
        label: format!("{} dBFS", trimmed(level_dbfs)),
        chain: {
            let mut chain = compressor(&[]);
            chain.noise = Some(Noise { level_dbfs, ..Noise::default() });
            chain
        },
        study,
    });
    let mut out = vec![
        Sweep {
            title: "gain depth",
            unit: "slope (1 - 1/ratio)",
            points: law("slope", "", 1.0, &[0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 0.95]),
        },
        Sweep {
            title: "attack",
            unit: "ms",
            points: law("attack_s", "ms", 1000.0, &[0.0005, 0.002, 0.01, 0.04, 0.15]),
        },
        Sweep { title: "release", unit: "ms", points: law("release_s", "ms", 1000.0, &[0.03, 0.1, 0.3, 1.0, 3.0]) },
        Sweep { title: "note density, dry", unit: "strikes per second", points: density.to_vec() },
        Sweep { title: "noise", unit: "dBFS rms, before the gain", points: noise.to_vec() },
    ];
    if has_ffmpeg {
        let codec = [24.0, 48.0, 96.0, 192.0].map(|bit_rate_kbps| Point {
            value: bit_rate_kbps,
            label: format!("{} kbit/s", trimmed(bit_rate_kbps)),
            chain: {
                let mut chain = compressor(&[]);
                chain.codec = Some(Codec { name: CodecName::Aac, bit_rate_kbps });
                chain
            },
            study,
        });
        out.push(Sweep { title: "AAC, one channel", unit: "kbit/s", points: codec.to_vec() });
    }
    out
}

/// Every gain control, on a flowing study.
fn controls(is_quick: bool) -> Result<Vec<Point>, agcfix::Error> {
    let mut out = Vec::new();
    let study = Study { duration_s: STUDY_S, ..Study::default() };
    out.push(Point { value: 0.0, label: "none".to_owned(), chain: Chain::default(), study });
    for listed in preset::built_in() {
        for strength in STRENGTHS.iter().filter(|s| !is_quick || **s == "medium") {
            let label = format!("{}-{strength}", listed.name);
            let chain = preset::chain(&label)?;
            if !chain.gain.is_empty() {
                out.push(Point { value: 0.0, label, chain, study });
            }
        }
    }
    Ok(out)
}

/// Simulates, estimates and scores one point over its studies; mono, as phones are.
fn score(point: &Point, study_len: u64) -> Result<Score, agcfix::Error> {
    let mut out = Score { movement_db: 0.0, error_db: 0.0, found: 0, of: 0, laws: Vec::new() };
    let instrument = Instrument { channel_len: 1, ..Instrument::default() };
    for seed in 1..=study_len {
        let played = play(&Study { seed, ..point.study }.passage(), &Instrument { seed, ..instrument })?;
        let simulated = simulate(&played.audio, &point.chain, seed)?;
        let analysis = analyze(&simulated.audio, &Config::default(), &())?;
        let is_found = analysis.verdict == Verdict::Agc;
        let truth = &simulated.truth.gain_10ms;
        let curve = &analysis.gain_curve;
        let estimate = |time_s: f64| {
            let last = curve.gain_db.len().saturating_sub(1);
            let at = (((time_s - curve.start_s) / curve.hop_s).round().max(0.0) as usize).min(last);
            if is_found { curve.gain_db.get(at).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let levels_db = levels_db(&simulated.audio, truth.hop_s, truth.gain_db.len());
        let loudest_db = levels_db.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let scored = |i: &usize| levels_db[*i] > loudest_db - SCORED_DB;
        let steps: Vec<usize> = (0..truth.gain_db.len()).filter(scored).collect();
        let deviation = |gain_db: &dyn Fn(usize) -> f64| spread(steps.iter().map(|i| gain_db(*i)).collect());
        out.movement_db += deviation(&|i| truth.gain_db[i]).powi(2);
        out.error_db += deviation(&|i| estimate(i as f64 * truth.hop_s) - truth.gain_db[i]).powi(2);
        out.found += usize::from(is_found);
        out.of += 1;
        out.laws.push(match (&analysis.verdict, &analysis.law) {
            (Verdict::Agc, Some(law)) => law.name.clone(),
            (Verdict::None, _) => "none".to_owned(),
            _ => "undecided".to_owned(),
        });
    }
    out.movement_db = (out.movement_db / out.of as f64).sqrt();
    out.error_db = (out.error_db / out.of as f64).sqrt();
    out.laws.dedup();
    Ok(out)
}

/// Level of 20 ms around every step.
fn levels_db(audio: &Audio, hop_s: f64, len: usize) -> Vec<f64> {
    let hop = hop_s * f64::from(audio.sample_rate_hz());
    let x = &audio.channels()[0];
    let level = |i: usize| {
        let middle = i as f64 * hop;
        let (from, to) = (((middle - hop).max(0.0) as usize).min(x.len()), ((middle + hop) as usize).min(x.len()));
        let power: f64 = x[from..to].iter().map(|x| f64::from(*x).powi(2)).sum();
        10.0 * (power / (to - from).max(1) as f64 + 1e-30).log10()
    };
    (0..len).map(level).collect()
}

/// Rms about the median.
fn spread(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    values.sort_by(f64::total_cmp);
    let median = values[values.len() / 2];
    (values.iter().map(|v| (v - median).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

fn trimmed(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn row(label: &str, score: &Score) -> String {
    let left = if score.movement_db > 0.005 { 100.0 * score.error_db / score.movement_db } else { f64::NAN };
    let left = if left.is_finite() { format!("{left:.0} %") } else { "-".to_owned() };
    let Score { movement_db, error_db, found, of, laws } = score;
    format!("| {label} | {movement_db:.2} | {error_db:.2} | {left} | {found} of {of} | {} |", laws.join(", "))
}

const HEADER: &str = "movement, dB rms | error, dB rms | left | found | law |\n|---|---|---|---|---|---|";

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let is_quick = words.iter().any(|word| word == "--quick");
    let write_to = words.iter().position(|word| word == "--write").and_then(|i| words.get(i + 1)).map(PathBuf::from);
    let study_len = if is_quick { 1 } else { 3 };
    let has_ffmpeg = std::process::Command::new("ffmpeg").arg("-version").output().is_ok();

    let mut tables = String::new();
    let mut scored: Vec<(Sweep, Vec<Score>)> = Vec::new();
    for mut sweep in sweeps(has_ffmpeg) {
        if is_quick {
            sweep.points = sweep.points.into_iter().step_by(2).collect();
        }
        let _ = writeln!(tables, "\n### {}\n\n| {} | {HEADER}", capital(sweep.title), sweep.unit);
        let mut scores = Vec::new();
        for point in &sweep.points {
            let score = score(point, study_len)?;
            let line = row(&point.label, &score);
            eprintln!("{}: {line}", sweep.title);
            let _ = writeln!(tables, "{line}");
            scores.push(score);
        }
        scored.push((sweep, scores));
    }
    let _ = writeln!(tables, "\n### Gain controls\n\n| preset | {HEADER}");
    for point in controls(is_quick)? {
        let line = row(&point.label, &score(&point, study_len)?);
        eprintln!("{line}");
        let _ = writeln!(tables, "{line}");
    }
    let document = document(&tables, is_quick, study_len);
    match write_to {
        None => print!("{document}"),
        Some(folder) => {
            std::fs::create_dir_all(folder.join("images"))?;
            std::fs::write(folder.join("recovery.md"), document)?;
            draw(&scored, &folder.join("images").join("recovery.png"))?;
        }
    }
    Ok(())
}

fn capital(title: &str) -> String {
    let mut letters = title.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn document(tables: &str, is_quick: bool, study_len: u64) -> String {
    let quick = if is_quick { " --quick" } else { "" };
    let studies = if study_len == 1 { "one study".to_owned() } else { format!("{study_len} studies") };
    format!(
        "# Recovery\n\nWhere blind restoration works, and where it stops. Written by `cargo run --release --example recovery \
         --{quick} --write docs`: {studies} of {STUDY_S:.0} s a point, played by the [instrument](simulate.md#the-instrument), \
         sent through a simulated gain control, and estimated from the result alone.\n\n\
         *Movement* is what the gain control did, *error* what is wrong with the estimate, both as rms in dB without their \
         median, where the sound is within {SCORED_DB:.0} dB of its loudest. *Left* is error over movement. What is refused is left \
         as it was, so that error and movement agree.\n\n\
         ![Error and movement over each varied quantity](images/recovery.png)\n\n\
         The compressor that is varied: 4:1 above -30 dBFS, knee 6 dB, attack 5 ms, release 200 ms; 3.5 strikes a second \
         with pedal, peak at -3 dBFS.\n{tables}"
    )
}

/// One panel for each quantity: what was done, and what is left of it.
fn draw(scored: &[(Sweep, Vec<Score>)], path: &std::path::Path) -> Result<(), Box<dyn Error>> {
    register_font("sans-serif", FontStyle::Normal, FONT).map_err(|_| "the font cannot be read")?;
    const SIZE: (u32, u32) = (1500, 860);
    let mut pixels = vec![255u8; 3 * SIZE.0 as usize * SIZE.1 as usize];
    let root = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
    let (done, left) = (RGBColor(230, 159, 0), RGBColor(0, 114, 178));
    for (panel, (sweep, scores)) in root.split_evenly((2, 3)).iter().zip(scored) {
        // Even places: the quantities are chosen evenly, and their labels say what they are.
        let place = |i: usize| i as f64;
        let labels: Vec<String> = sweep.points.iter().map(|p| trimmed(p.value)).collect();
        let highest = scores.iter().map(|s| s.movement_db.max(s.error_db)).fold(1.0, f64::max);
        let mut chart = ChartBuilder::on(panel)
            .caption(capital(sweep.title), ("sans-serif", 24))
            .margin(14)
            .x_label_area_size(48)
            .y_label_area_size(54)
            .build_cartesian_2d(-0.3..place(scores.len() - 1) + 0.3, 0.0..1.4 * highest)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .x_labels(scores.len())
            .x_label_formatter(&|x| {
                let near = x.round();
                let at = if (x - near).abs() < 0.01 && near >= 0.0 { labels.get(near as usize) } else { None };
                at.cloned().unwrap_or_default()
            })
            .y_label_formatter(&|y| trimmed((y * 10.0).round() / 10.0))
            .x_desc(sweep.unit)
            .y_desc("dB rms")
            .label_style(("sans-serif", 17))
            .axis_desc_style(("sans-serif", 18))
            .light_line_style(WHITE)
            .draw()?;
        let line =
            |pick: fn(&Score) -> f64| scores.iter().enumerate().map(|(i, s)| (place(i), pick(s))).collect::<Vec<_>>();
        chart
            .draw_series([PathElement::new(line(|s| s.movement_db), done.stroke_width(3))])?
            .label("what the gain control did")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], done.stroke_width(3)));
        chart
            .draw_series([PathElement::new(line(|s| s.error_db), left.stroke_width(3))])?
            .label("error of the estimate")
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 22, y)], left.stroke_width(3)));
        // Open where nothing was found, so that the error is all there was.
        chart.draw_series(scores.iter().enumerate().map(|(i, s)| {
            let style = if s.found * 2 > s.of { left.filled() } else { left.stroke_width(2) };
            Circle::new((place(i), s.error_db), 7, style)
        }))?;
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 16))
            .background_style(WHITE.mix(0.7))
            .draw()?;
    }
    root.present()?;
    drop(root);
    let mut encoder = png::Encoder::new(std::fs::File::create(path)?, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}
