//! Undo a gain that is known, block by block, as samples come in: for a plug-in, or a file too long for memory.
//!
//! ```text
//! cargo run --release --example known_curve_blocks
//! ```
//! The curve is interpolated for one block at a time; the result is that of the whole recording at once.

use agcfix::analysis::GainCurve;
use agcfix::restore::{apply_gain, gain_at_samples};
use agcfix::{Audio, Error};

const RATE_HZ: u32 = 48_000;
const BLOCK_SAMPLES: usize = 1_024;
/// Entries of the curve kept on either side of a block: its cubic looks two entries around.
const MARGIN: usize = 3;

/// The part of a curve that a block needs, with time 0 at the block's first sample.
fn around(curve: &GainCurve, start_s: f64, end_s: f64) -> GainCurve {
    let index = |time_s: f64| ((time_s - curve.start_s) / curve.hop_s).max(0.0) as usize;
    let last = curve.gain_db.len().saturating_sub(1);
    let first = index(start_s).min(last).saturating_sub(MARGIN);
    let end = (index(end_s) + MARGIN + 1).min(last + 1);
    let part = |values: &[f64]| values[first..end].to_vec();
    GainCurve {
        start_s: curve.start_s + first as f64 * curve.hop_s - start_s,
        hop_s: curve.hop_s,
        gain_db: part(&curve.gain_db),
        lower_db: part(&curve.lower_db),
        upper_db: part(&curve.upper_db),
    }
}

fn main() -> Result<(), Error> {
    // A gain that falls by 6 dB every second and recovers, as read by `agcfix::gain_csv::read_gain_csv`, and a tone under it.
    let gain_db: Vec<f64> = (0..500).map(|i| -6.0 * (-(f64::from(i % 100)) / 30.0).exp()).collect();
    let curve = GainCurve { start_s: 0.0, hop_s: 0.01, lower_db: gain_db.clone(), upper_db: gain_db.clone(), gain_db };
    let tone: Vec<f32> = (0..5 * RATE_HZ).map(|n| 0.3 * (n as f32 * 0.03).sin()).collect();
    let gain = gain_at_samples(&curve, RATE_HZ, tone.len())?;
    let recorded: Vec<f32> = tone.iter().zip(&gain).map(|(x, g)| x * g).collect();

    let mut undone = Vec::with_capacity(recorded.len());
    for (k, block) in recorded.chunks(BLOCK_SAMPLES).enumerate() {
        let start_s = (k * BLOCK_SAMPLES) as f64 / f64::from(RATE_HZ);
        let end_s = start_s + block.len() as f64 / f64::from(RATE_HZ);
        let gain = gain_at_samples(&around(&curve, start_s, end_s), RATE_HZ, block.len())?;
        let block = Audio::new(RATE_HZ, vec![block.to_vec()])?;
        undone.extend(apply_gain(&block, &gain)?.remove(0));
    }

    let farthest = undone.iter().zip(&tone).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    println!(
        "{} blocks of {BLOCK_SAMPLES} samples; farthest from the tone: {farthest:.1e}",
        recorded.len().div_ceil(BLOCK_SAMPLES)
    );
    assert!(farthest < 1e-6, "the blocks do not join");
    Ok(())
}
