//! Ceilings: a limiter puts out one level whatever goes in, and its landings have to come from the decays.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use agcfix::instrument::{Instrument, Study, play};
use agcfix::law::{Direction, drive, families, gain_of};
use agcfix::restore::gain_of_law;
use agcfix::{Analysis, Audio, Config, Verdict, analyze, restore};

/// A flowing study, as loud as the limiter below needs it.
fn study() -> Audio {
    let study = Study { duration_s: 25.0, ..Study::named("flowing").unwrap() };
    play(&study.passage(), &Instrument::default()).unwrap().audio
}

/// Look-ahead 5 ms, release 1 s; the ceiling lies `above_db` below the loudest sample. Audio and gain per sample.
fn limited(clean: &Audio, depth_db: f64) -> (Audio, Vec<f32>) {
    let law = families().into_iter().find(|law| law.name() == "limiter").unwrap();
    let heard = drive(clean.channels());
    let loudest = heard.iter().fold(0f32, |top, x| top.max(x.abs()));
    let ceiling_db = 20.0 * f64::from(loudest).log10() - depth_db;
    let values = [ceiling_db, 0.005, 1.0, 6.0, 10.0];
    let gain = gain_of(law.as_ref(), &values, f64::from(clean.sample_rate_hz()), &heard, Direction::Forward);
    let channels =
        clean.channels().iter().map(|c| c.iter().zip(&gain).map(|(x, g)| x * g).collect()).collect::<Vec<_>>();
    (Audio::new(clean.sample_rate_hz(), channels).unwrap(), gain)
}

fn centred_rms(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let centre = sorted[sorted.len() / 2];
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}

/// What is left of the gain's movement, by the law of an analysis.
fn left(audio: &Audio, analysis: &Analysis, gain: &[f32]) -> f64 {
    let found = gain_of_law(audio, analysis.law.as_ref().unwrap(), &families()).unwrap();
    let decibels = |g: f32| 20.0 * f64::from(g).log10();
    let true_db = gain.iter().step_by(97).map(|&g| decibels(g)).collect::<Vec<_>>();
    let left_db = gain.iter().zip(&found).step_by(97).map(|(&g, &f)| decibels(g) - decibels(f)).collect::<Vec<_>>();
    centred_rms(&left_db) / centred_rms(&true_db)
}

#[test]
fn a_limiter_is_found_and_its_landings_are_told_by_the_decays() {
    let (audio, gain) = limited(&study(), 14.0);
    let analysis = analyze(&audio, &Config::default(), &()).unwrap();
    assert_eq!(analysis.verdict, Verdict::Agc, "{:?}", analysis.evidence);
    let law = analysis.law.as_ref().unwrap();
    assert_eq!(law.name, "limiter");
    assert!(law.landings.len() > 20);
    let with_landings = left(&audio, &analysis, &gain);
    // Planted fault: the same law without what the decays told of its landings.
    let mut without = analysis.clone();
    without.law.as_mut().unwrap().landings.clear();
    let without = left(&audio, &without, &gain);
    println!("left with landings {with_landings:.3}, without {without:.3}");
    assert!(with_landings < 0.4, "{with_landings}");
    assert!(without > 1.3 * with_landings, "{without} without landings, {with_landings} with them");
}

#[test]
fn what_never_touches_a_ceiling_is_left_alone() {
    let clean = study();
    let analysis = analyze(&clean, &Config::default(), &()).unwrap();
    assert_ne!(analysis.verdict, Verdict::Agc, "{:?}", analysis.evidence);
    let back = restore(&clean, &analysis, &Config::default()).unwrap().audio;
    assert_eq!(back.channels(), clean.channels());
}
