//! Conversions between the units the field uses. Levels are in decibels of amplitude unless a name says otherwise.

/// 20 log10(e): decibels in one neper.
pub const DB_PER_NEPER: f64 = 8.685_889_638_065_036;

/// Amplitude ratio to decibels: `20 log10 a`.
#[must_use]
pub fn db_from_amplitude(amplitude: f64) -> f64 {
    20.0 * amplitude.log10()
}

/// Decibels to amplitude ratio: `10^(dB/20)`.
#[must_use]
pub fn amplitude_from_db(level_db: f64) -> f64 {
    10f64.powf(level_db / 20.0)
}

/// Power ratio to decibels: `10 log10 p`.
#[must_use]
pub fn db_from_power(power: f64) -> f64 {
    10.0 * power.log10()
}

/// Decay in dB/s to α in 1/s, where `A(t) = A0 e^(-αt)`.
#[must_use]
pub fn alpha_from_db_per_s(decay_db_per_s: f64) -> f64 {
    decay_db_per_s / DB_PER_NEPER
}

/// Decay in dB/s to the time in seconds in which the level falls by 60 dB.
#[must_use]
pub fn t60_s_from_db_per_s(decay_db_per_s: f64) -> f64 {
    60.0 / decay_db_per_s
}

/// MIDI key number (69 is A4) of a frequency in Hz, at A4 = 440 Hz; fractional.
#[must_use]
pub fn midi_key_from_hz(frequency_hz: f64) -> f64 {
    69.0 + 12.0 * (frequency_hz / 440.0).log2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_db_per_second_is_a_t60_of_one_second_and_an_alpha_of_6_9() {
        assert!((t60_s_from_db_per_s(60.0) - 1.0).abs() < 1e-12);
        assert!((alpha_from_db_per_s(60.0) - 1000f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn decibels_and_amplitudes_are_each_others_inverse() {
        for level_db in [-90.0, -6.0, 0.0, 12.5] {
            assert!((db_from_amplitude(amplitude_from_db(level_db)) - level_db).abs() < 1e-12);
        }
        assert!((db_from_power(100.0) - 20.0).abs() < 1e-12);
        assert!((midi_key_from_hz(440.0) - 69.0).abs() < 1e-12);
    }
}
