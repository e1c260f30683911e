//! The hammer: how loud and how bright a strike is, and the knock that goes with it.
//!
//! ```text
//! level of partial n = 40 log10(v / 127) + comb(n) + felt(f_n) + board(f_n) + a few dB of its own
//! comb   20 log10 |sin(π n x)|           x: striking point, 1/8 of the string in the bass; not below -20 dB
//! felt   -20 log10(1 + (f / f_c)²)       f_c = 1.1 / contact time, times (v / 64)^0.5
//! board  -20 log10(1 + (90 Hz / f)²)     a soundboard is too small for the lowest partials
//! ```
//!
//! Felt is harder the harder it is struck: contact is shorter and more of the high partials are excited. The contact times
//! are measured (4 ms in the bass, under 1 ms in the treble); the exponent 0.5 and the numbers around it are chosen so that
//! spectra look like those that were published, and matter to no test but that louder must be brighter.
//!
//! **Sources.** Askenfelt and Jansson 1988, 1991 (contact times, spectra); Fletcher and Rossing 1998 (striking point,
//! soundboard); Dannenberg 2006 (level over MIDI velocity).

use super::strings::Draw;

/// Contact time of hammer and string at mezzo-forte, in seconds, by key.
const CONTACT_S: [(f64, f64); 5] = [(21.0, 0.004), (36.0, 0.0033), (60.0, 0.002), (84.0, 0.0009), (108.0, 0.000_35)];
/// Velocity at which those hold.
const MEZZO_FORTE: f64 = 64.0;
/// Below this corner the soundboard hardly radiates, in Hz.
const BOARD_HZ: f64 = 90.0;
/// Notches of the comb are filled up to this, in dB: hammers are wide.
const COMB_FLOOR_DB: f64 = -20.0;

/// Modes of the soundboard that knock.
const KNOCK_MODES: usize = 24;
/// Their lowest and highest frequency, in Hz.
const KNOCK_HZ: (f64, f64) = (55.0, 1200.0);
/// Their decay: a T60 of 0.45 s.
const KNOCK_DB_PER_S: f64 = 60.0 / 0.45;
/// Level of the lowest of them against a fortissimo note.
const KNOCK_DB: f64 = -38.0;
/// Level of the felt's hiss against a fortissimo note, rms at its start.
const HISS_DB: f64 = -50.0;
/// The hiss is gone within this: its T60, in seconds.
pub(super) const HISS_T60_S: f64 = 0.06;

/// Contact time at a velocity, in seconds.
pub(super) fn contact_s(key: u8, velocity: u8) -> f64 {
    let key = f64::from(key);
    let upper = CONTACT_S.iter().position(|(k, _)| *k >= key).unwrap_or(CONTACT_S.len() - 1).max(1);
    let ((k0, v0), (k1, v1)) = (CONTACT_S[upper - 1], CONTACT_S[upper]);
    let at_mezzo_forte = v0 * (v1 / v0).powf(((key - k0) / (k1 - k0)).clamp(0.0, 1.0));
    at_mezzo_forte / (f64::from(velocity) / MEZZO_FORTE).sqrt()
}

/// Level of a strike, in dB below the hardest.
pub(super) fn strength_db(velocity: u8) -> f64 {
    40.0 * (f64::from(velocity) / 127.0).log10()
}

/// Level of a partial's prompt sound against the hardest strike's, before what is its own.
pub(super) fn partial_db(key: u8, velocity: u8, order: u32, frequency_hz: f64) -> f64 {
    // From 1/8 of the string in bass and middle to 1/16 at the top (Fletcher and Rossing).
    let place = 1.0 / (8.0 + 8.0 * ((f64::from(key) - 60.0) / 48.0).clamp(0.0, 1.0));
    let comb_db = 20.0 * (std::f64::consts::PI * f64::from(order) * place).sin().abs().log10();
    let corner_hz = 1.1 / contact_s(key, velocity);
    let felt_db = -20.0 * (1.0 + (frequency_hz / corner_hz).powi(2)).log10();
    let board_db = -20.0 * (1.0 + (BOARD_HZ / frequency_hz).powi(2)).log10();
    strength_db(velocity) + comb_db.max(COMB_FLOOR_DB) + felt_db + board_db
}

/// What is a partial's own: the soundboard's response there, for each channel, as level in dB and phase in radians.
pub(super) fn response(key: u8, order: u32, seed: u64, channel_len: usize) -> Vec<(f64, f64)> {
    let mut draw = Draw::new(seed, 1 << 32 | u64::from(key) << 16 | u64::from(order));
    let common_db = 2.5 * draw.gaussian();
    // The pair hangs over the strings: basses to the left, trebles to the right.
    let side_db = 4.0 * (f64::from(key) - 64.5) / 43.5;
    (0..2)
        .map(|channel| {
            let pan_db = if channel == 0 { -side_db } else { side_db };
            let own_db = 1.5 * draw.gaussian();
            let phase = draw.uniform(-1.2, 1.2);
            if channel_len == 1 { (common_db, 0.0) } else { (common_db + own_db + pan_db, phase) }
        })
        .take(channel_len)
        .collect()
}

/// One mode of the soundboard's knock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct KnockMode {
    pub(super) frequency_hz: f64,
    pub(super) level_db: f64,
    pub(super) decay_db_per_s: f64,
    pub(super) phase_rad: f64,
}

/// The soundboard's knock under a strike: the same modes for all keys, excited differently by each.
pub(super) fn knock(key: u8, velocity: u8, seed: u64) -> Vec<KnockMode> {
    let (mut board, mut own) = (Draw::new(seed, 2 << 32), Draw::new(seed, 3 << 32 | u64::from(key)));
    let spacing = (KNOCK_HZ.1 / KNOCK_HZ.0).powf(1.0 / KNOCK_MODES as f64);
    (0..KNOCK_MODES)
        .map(|i| {
            let frequency_hz = KNOCK_HZ.0 * spacing.powf(i as f64 + board.uniform(0.1, 0.9));
            let slope_db = -20.0 * (1.0 + (frequency_hz / 250.0).powi(2)).log10();
            KnockMode {
                frequency_hz,
                level_db: KNOCK_DB + strength_db(velocity) + slope_db + 3.0 * own.gaussian(),
                decay_db_per_s: KNOCK_DB_PER_S * board.uniform(0.7, 1.4),
                phase_rad: own.uniform(0.0, std::f64::consts::TAU),
            }
        })
        .collect()
}

/// Level of the felt's hiss under a strike.
pub(super) fn hiss_db(velocity: u8) -> f64 {
    // Half as loud again for hard strikes: noise grows faster than tone.
    HISS_DB + 1.2 * strength_db(velocity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn louder_is_brighter_and_twice_the_velocity_is_12_db() {
        assert!((strength_db(126) - strength_db(63) - 12.04).abs() < 0.01);
        for key in [30, 60, 90] {
            let hz =
                |n: u32| crate::units::amplitude_from_db(0.0) * super::super::strings::first_hz(key) * f64::from(n);
            let tilt_db = |v: u8| partial_db(key, v, 5, hz(5)) - partial_db(key, v, 1, hz(1));
            let (soft, loud) = (tilt_db(25), tilt_db(110));
            assert!(loud > soft + 4.0, "key {key}: {soft} {loud}");
        }
    }

    #[test]
    fn contact_is_short_in_the_treble_and_for_hard_strikes() {
        assert!((contact_s(60, 64) - 0.002).abs() < 1e-9);
        assert!(contact_s(108, 64) < 0.0005 && contact_s(21, 64) > 0.0035);
        assert!((contact_s(60, 16) - 0.004).abs() < 1e-9);
    }
}
