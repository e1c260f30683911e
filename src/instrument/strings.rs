//! The strings of a key: where their partials lie, how they decay, what a damper does.
//!
//! # Frequencies
//! `f_n = n f_1 sqrt((1 + B n²) / (1 + B))`, with the inharmonicity `B` of the key. Octaves are tuned so that the second
//! partial of the lower key beats with nothing: that stretches the tuning as tuners do.
//!
//! # Decays
//! Losses grow with the square of frequency, `d(f) = s (4.35 + 2.16 (f / 1 kHz)²)` dB/s, which gives C4's 4.5 dB/s at 262 Hz,
//! 6.5 at 1 kHz, 13 at 2 kHz and 39 at 4 kHz with `s = 1`. The factor `s` of a key is such that the median of its partials
//! up to 2 kHz is the slow-stage decay that was measured for that key (C4: 9 dB/s, `s` = 1.34). The prompt stage decays three times as fast; the
//! aftersound starts 15 to 25 dB below it.
//!
//! **Sources.** Weinreich 1977 (stages); Cheng, Dixon and Mauch 2015 (slow-stage decays by key); Bensa 2003 (losses over
//! frequency); Rigaud 2013 (inharmonicity and stretch); the CLM and Faust-STK piano calibrations (dampers, unison detuning).

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Lowest and highest key.
pub(super) const KEYS: std::ops::RangeInclusive<u8> = 21..=108;
/// Keys above this have no damper.
const HIGHEST_DAMPED_KEY: u8 = 88;
/// Most partials of a key.
const MOST_PARTIALS: u32 = 64;
/// Highest frequency that a piano's strings put out to speak of, in Hz.
const HIGHEST_HZ: f64 = 16_000.0;
/// Frequencies of which the slow-stage decays were measured end here, in Hz.
const MEASURED_TO_HZ: f64 = 2_000.0;

/// Slow-stage decay in dB/s, by key.
const SLOW_DB_PER_S: [(f64, f64); 7] =
    [(21.0, 3.0), (36.0, 5.0), (48.0, 7.0), (60.0, 9.0), (72.0, 10.0), (84.0, 12.0), (96.0, 13.0)];
/// Decay under the damper in dB/s, by key.
const DAMPER_DB_PER_S: [(f64, f64); 6] =
    [(21.0, 75.0), (36.0, 73.0), (48.0, 107.0), (60.0, 141.0), (72.0, 162.0), (84.0, 119.0)];
/// Inharmonicity, by key.
const INHARMONICITY: [(f64, f64); 7] =
    [(21.0, 5e-4), (36.0, 2e-4), (48.0, 1.5e-4), (60.0, 3.3e-4), (72.0, 9e-4), (84.0, 2.9e-3), (96.0, 9e-3)];
/// Losses at low frequency, and their growth with frequency squared: dB/s, and dB/s per kHz².
const LOSS: (f64, f64) = (4.35, 2.16);
/// The prompt stage decays this many times as fast as the slow one.
const PROMPT: f64 = 3.0;
/// Spread of the natural logarithm of decays from partial to partial. Across pianos 0.6 was measured; within one it is less.
const DECAY_SPREAD: f64 = 0.25;
/// Start of the aftersound below the prompt sound, in dB.
const AFTERSOUND_DB: (f64, f64) = (15.0, 25.0);
/// Detuning of a unison's strings at their first partial, in Hz.
const DETUNING_HZ: (f64, f64) = (0.003, 0.3);
/// Largest detuning of a partial, in Hz.
const MOST_DETUNING_HZ: f64 = 1.0;

/// One mode of a partial, at the moment it is struck.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StringMode {
    pub(super) frequency_hz: f64,
    pub(super) decay_db_per_s: f64,
    /// Against the partial's prompt sound.
    pub(super) level_db: f64,
    pub(super) phase_rad: f64,
}

/// One partial of a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StringPartial {
    pub(super) order: u32,
    pub(super) frequency_hz: f64,
    /// The prompt sound first.
    pub(super) modes: Vec<StringMode>,
}

/// A value between measured keys: straight in its logarithm; held beyond the ends.
fn at_key(table: &[(f64, f64)], key: f64) -> f64 {
    let upper = table.iter().position(|(k, _)| *k >= key).unwrap_or(table.len());
    if upper == 0 {
        return table[0].1;
    }
    let (k0, v0) = table[upper - 1];
    let Some((k1, v1)) = table.get(upper) else { return v0 };
    v0 * (v1 / v0).powf((key - k0) / (k1 - k0))
}

/// Inharmonicity of a key.
pub(super) fn inharmonicity(key: u8) -> f64 {
    at_key(&INHARMONICITY, f64::from(key))
}

/// Decay that the damper adds, in dB/s; none for keys without one.
pub(super) fn damper_db_per_s(key: u8) -> Option<f64> {
    (key <= HIGHEST_DAMPED_KEY).then(|| at_key(&DAMPER_DB_PER_S, f64::from(key)))
}

/// Strings of a key: one in the deep bass, then two, then three.
fn string_len(key: u8) -> usize {
    match key {
        0..=29 => 1,
        30..=44 => 2,
        _ => 3,
    }
}

/// Frequency of partial `n` over that of the first.
fn ratio(n: u32, inharmonicity: f64) -> f64 {
    let n = f64::from(n);
    n * ((1.0 + inharmonicity * n * n) / (1.0 + inharmonicity)).sqrt()
}

/// Frequency of a key's first partial: equal temperament between A3 and A4, octaves stretched from there.
pub(super) fn first_hz(key: u8) -> f64 {
    let key = i32::from(key);
    // The octave A3 to A4 is as wide as A3's second partial makes it.
    let low =
        |key: i32| 440.0 / ratio(2, inharmonicity(57)) * ratio(2, inharmonicity(57)).powf(f64::from(key - 57) / 12.0);
    match key {
        57..=69 => low(key),
        ..57 => first_hz((key + 12) as u8) / ratio(2, inharmonicity(key as u8)),
        _ => first_hz((key - 12) as u8) * ratio(2, inharmonicity((key - 12) as u8)),
    }
}

/// Slow-stage decay of a key's partial at a frequency, before the spread.
fn slow_db_per_s(key: u8, frequency_hz: f64) -> f64 {
    let loss = |hz: f64| LOSS.0 + LOSS.1 * (hz / 1000.0).powi(2);
    let (first_hz, b) = (first_hz(key), inharmonicity(key));
    let mut measured: Vec<f64> = (1..=MOST_PARTIALS)
        .map(|n| first_hz * ratio(n, b))
        .take_while(|hz| *hz <= MEASURED_TO_HZ.max(first_hz))
        .map(loss)
        .collect();
    measured.sort_by(f64::total_cmp);
    let median = measured[measured.len() / 2];
    at_key(&SLOW_DB_PER_S, f64::from(key)) / median * loss(frequency_hz)
}

/// The partials of a key on the piano `seed`, up to `below_hz`: always the same ones.
pub(super) fn partials(key: u8, seed: u64, below_hz: f64) -> Vec<StringPartial> {
    let mut random = Draw::new(seed, u64::from(key));
    let (first_hz, b) = (first_hz(key), inharmonicity(key));
    let detuning_hz: Vec<f64> = (1..3)
        .map(|_| {
            let sign = if random.uniform(-1.0, 1.0) < 0.0 { -1.0 } else { 1.0 };
            sign * random.uniform(DETUNING_HZ.0.ln(), DETUNING_HZ.1.ln()).exp()
        })
        .collect();
    let mode_len = string_len(key).max(2);
    (1..=MOST_PARTIALS)
        .map(|order| {
            let frequency_hz = first_hz * ratio(order, b);
            let slow = slow_db_per_s(key, frequency_hz);
            // Every partial draws the same amount, so that the highest frequency changes none of them.
            let mut decay = |stage: f64| stage * slow * (DECAY_SPREAD * random.gaussian()).exp();
            let (prompt, after, third) = (decay(PROMPT), decay(1.0), decay(1.0));
            let mut below_db = |more: f64| -random.uniform(AFTERSOUND_DB.0, AFTERSOUND_DB.1) - more;
            let levels_db = [0.0, below_db(0.0), below_db(3.0)];
            let phase = random.uniform(0.0, std::f64::consts::TAU);
            let phases = [phase, phase + random.uniform(-0.8, 0.8), phase + random.uniform(-2.5, 2.5)];
            let detuned = |hz: f64| (hz * f64::from(order)).clamp(-MOST_DETUNING_HZ, MOST_DETUNING_HZ);
            let offsets_hz = [0.0, detuned(detuning_hz[0]), detuned(detuning_hz[1])];
            let modes = (0..mode_len)
                .map(|i| StringMode {
                    frequency_hz: frequency_hz + offsets_hz[i],
                    // The aftersound never decays faster than the prompt sound.
                    decay_db_per_s: [prompt, after.min(prompt), third.min(prompt)][i],
                    level_db: levels_db[i],
                    phase_rad: phases[i],
                })
                .collect();
            StringPartial { order, frequency_hz, modes }
        })
        .take_while(|partial| partial.frequency_hz < below_hz.min(HIGHEST_HZ))
        .collect()
}

/// Random numbers of one piano's one key.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    pub(super) fn new(seed: u64, stream: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        Self(random)
    }

    /// Uniform from `low` to `high`.
    pub(super) fn uniform(&mut self, low: f64, high: f64) -> f64 {
        // 53 bits: all that an f64 holds.
        low + (high - low) * (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Standard Gaussian (Box and Muller 1958).
    pub(super) fn gaussian(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform(0.0, 1.0)).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform(0.0, 1.0)).cos()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c4_decays_as_it_was_measured_and_so_does_every_key_in_the_median() {
        // The two measurements differ by a third for C4 itself; between pianos it is a factor of 1.8 (e^0.6).
        for (hz, db_per_s) in [(262.0, 4.5), (1000.0, 6.5), (2000.0, 13.0), (4000.0, 39.0)] {
            let ratio = slow_db_per_s(60, hz) / db_per_s;
            assert!((0.75..1.36).contains(&ratio), "{hz} Hz: {ratio}");
        }
        for (key, expected) in SLOW_DB_PER_S {
            let key = key as u8;
            let mut slow: Vec<f64> = partials(key, 3, 20_000.0)
                .iter()
                .filter(|p| p.frequency_hz <= MEASURED_TO_HZ.max(1.01 * first_hz(key)))
                .map(|p| slow_db_per_s(key, p.frequency_hz))
                .collect();
            slow.sort_by(f64::total_cmp);
            let median = slow[slow.len() / 2];
            assert!((median / expected - 1.0).abs() < 0.02, "key {key}: {median} dB/s");
        }
    }

    #[test]
    fn octaves_beat_with_nothing_and_the_tuning_is_stretched() {
        assert!((first_hz(69) - 440.0).abs() < 1e-9);
        for key in 21..=96 {
            let second = first_hz(key) * ratio(2, inharmonicity(key));
            assert!((second / first_hz(key + 12) - 1.0).abs() < 1e-3, "key {key}");
        }
        let cents = |key: u8| 1200.0 * (first_hz(key) / 440.0).log2() - 100.0 * (f64::from(key) - 69.0);
        // Railsback's curve: flat basses, sharp trebles, by some 10 to 40 cents.
        assert!(
            (-40.0..-2.0).contains(&cents(21)) && (10.0..70.0).contains(&cents(108)),
            "{} {}",
            cents(21),
            cents(108)
        );
    }

    #[test]
    fn a_key_is_the_same_whenever_it_is_struck_and_whatever_the_sample_rate() {
        let (all, few) = (partials(48, 7, 20_000.0), partials(48, 7, 4_000.0));
        assert!(few.len() < all.len());
        assert_eq!(few[..], all[..few.len()]);
        assert_ne!(all, partials(48, 8, 20_000.0));
    }

    #[test]
    fn modes_are_a_prompt_sound_and_a_detuned_aftersound_below_it() {
        for key in KEYS {
            for partial in partials(key, 1, 20_000.0) {
                let [prompt, after @ ..] = &partial.modes[..] else { unreachable!("two modes at least") };
                assert_eq!(prompt.level_db, 0.0);
                assert!(!after.is_empty());
                for mode in after {
                    assert!((-28.0..=-15.0).contains(&mode.level_db));
                    assert!(mode.decay_db_per_s <= prompt.decay_db_per_s);
                    let detuned = (mode.frequency_hz - prompt.frequency_hz).abs();
                    assert!((0.003..=1.0).contains(&detuned), "{detuned} Hz");
                }
            }
        }
    }

    #[test]
    fn the_highest_keys_have_no_dampers() {
        assert_eq!(damper_db_per_s(89), None);
        assert_eq!(damper_db_per_s(60), Some(141.0));
    }
}
