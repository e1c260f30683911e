//! Analyse samples that are in memory: was a gain control at work, which, and how sure is that?
//!
//! ```text
//! cargo run --release --example analyze_buffer
//! ```

use agcfix::law::{Compressor, Direction, Smoothed, gain_of};
use agcfix::{Audio, Config, Verdict, analyze};
use std::f64::consts::TAU;

const RATE_HZ: u32 = 24_000;

/// Twelve seconds of broken chords whose partials decay by 5 to 40 dB/s, loud and soft by turns.
fn strings() -> Vec<f32> {
    let mut out = vec![0f64; 12 * RATE_HZ as usize];
    for note in 0..40usize {
        let loudness = [0.02, 0.2, 0.05, 0.12, 0.01][note / 4 % 5];
        let key = [48, 55, 64, 67, 50, 57, 65, 69, 47, 55, 62, 71][note % 12];
        let start = (0.2 + 0.28 * note as f64) * f64::from(RATE_HZ);
        for k in 1..=10 {
            let hz = 440.0 * 2f64.powf((f64::from(key) - 69.0) / 12.0) * f64::from(k);
            let decay_per_s = 0.5 + hz / 1000.0;
            for (i, x) in out[start as usize..].iter_mut().take(2 * RATE_HZ as usize).enumerate() {
                let t = i as f64 / f64::from(RATE_HZ);
                *x += loudness / f64::from(k) * (-decay_per_s * t).exp() * (TAU * hz * t + f64::from(k)).sin();
            }
        }
    }
    out.iter().map(|x| *x as f32).collect()
}

fn main() -> Result<(), agcfix::Error> {
    let clean = strings();
    // What a phone would make of it: a compressor of 4:1 above -30 dBFS.
    let phone = Compressor::new(Smoothed::Power);
    let gain = gain_of(&phone, &[-30.0, 0.75, 6.0, 0.005, 0.2], f64::from(RATE_HZ), &clean, Direction::Forward);
    let recorded = clean.iter().zip(&gain).map(|(x, g)| x * g).collect();

    for (name, samples) in [("untouched", clean), ("compressed", recorded)] {
        let audio = Audio::new(RATE_HZ, vec![samples])?;
        let analysis = analyze(&audio, &Config::default(), &())?;
        match &analysis.verdict {
            Verdict::None => println!("{name}: no gain control"),
            Verdict::Undecided { reason } => println!("{name}: cannot tell, {reason}"),
            Verdict::Agc => {
                let events = analysis.events.len();
                println!("{name}: gain control, {:.1} dB, {events} events", analysis.evidence.gain_movement_db);
                for p in analysis.law.iter().flat_map(|law| &law.parameters) {
                    println!("  {:14} {:8.4} {} ({:.4} to {:.4})", p.name, p.value, p.unit, p.lower, p.upper);
                }
            }
        }
    }
    Ok(())
}
