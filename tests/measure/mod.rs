//! How far two recordings, or two gains, are apart: levels on 10 ms steps of 20 ms windows, an overall volume free.

use agcfix::Audio;

/// Time between two levels, in seconds.
pub const HOP_S: f64 = 0.010;
/// Time over which a level is taken, in seconds.
pub const WINDOW_S: f64 = 0.020;
/// Where the reference is further than this below its loudest level, in dB, nothing is compared.
const RANGE_DB: f64 = 50.0;

/// Mean power of each window over all channels, in dB.
pub fn levels_db(audio: &Audio) -> Vec<f64> {
    let rate_hz = f64::from(audio.sample_rate_hz());
    let (hop, window) = ((HOP_S * rate_hz).round() as usize, (WINDOW_S * rate_hz).round() as usize);
    let power = |n: usize| {
        audio.channels().iter().map(|c| f64::from(c[n]).powi(2)).sum::<f64>() / audio.channels().len() as f64
    };
    let mut sums = vec![0.0];
    for n in 0..audio.sample_len() {
        sums.push(sums[n] + power(n));
    }
    let starts = (0..(audio.sample_len() + 1).saturating_sub(window)).step_by(hop);
    starts.map(|k| 10.0 * ((sums[k + window] - sums[k]) / window as f64 + 1e-13).log10()).collect()
}

/// Differences `a - b` where the reference is loud enough to compare.
pub fn differences(a: &[f64], b: &[f64], reference_db: &[f64]) -> Vec<f64> {
    let loudest_db = reference_db.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let pairs = a.iter().zip(b).zip(reference_db);
    pairs.filter(|(_, level)| **level > loudest_db - RANGE_DB).map(|((a, b), _)| a - b).collect()
}

/// Root mean square about the median: what is left when an overall volume is free.
pub fn centred_rms(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let median =
        if sorted.len().is_multiple_of(2) { 0.5 * (sorted[middle - 1] + sorted[middle]) } else { sorted[middle] };
    (values.iter().map(|v| (v - median).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
}
