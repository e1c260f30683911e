//! What is played: notes and pedal, from a file or made by rule.

use super::strings::{Draw, KEYS};
use serde::Serialize;

/// Silence before a study's first note, in seconds.
const BEGIN_S: f64 = 0.4;
/// Time that is recorded after the last key was released, in seconds.
const END_S: f64 = 3.0;

/// One strike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Note {
    /// MIDI key, 21 (A0) to 108 (C8).
    pub key: u8,
    /// MIDI velocity, 1 to 127.
    pub velocity: u8,
    /// When the hammer strikes, in seconds.
    pub onset_s: f64,
    /// When the key is let go, in seconds.
    pub release_s: f64,
}

impl Note {
    pub(super) fn is_sound(&self) -> bool {
        KEYS.contains(&self.key)
            && (1..=127).contains(&self.velocity)
            && self.onset_s >= 0.0
            && self.release_s >= self.onset_s
            && self.release_s.is_finite()
    }
}

/// A move of the sustaining pedal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pedal {
    /// When, in seconds.
    pub time_s: f64,
    /// Down: all dampers are up.
    pub is_down: bool,
}

/// Notes and pedal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Passage {
    /// In any order.
    pub notes: Vec<Note>,
    /// In the order of time; up at the beginning.
    pub pedal: Vec<Pedal>,
}

impl Passage {
    /// When the recording ends, in seconds.
    #[must_use]
    pub fn end_s(&self) -> f64 {
        let pedal_up = self.pedal.iter().filter(|p| !p.is_down).map(|p| p.time_s);
        self.notes.iter().map(|n| n.release_s).chain(pedal_up).fold(0.0, f64::max) + END_S
    }
}

/// A passage made by rule: broken chords over five octaves in phrases that swell and fade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Study {
    /// Length in seconds, without its end.
    pub duration_s: f64,
    /// Strikes per second.
    pub notes_per_s: f64,
    /// How long keys are held, in seconds.
    pub held_s: f64,
    /// Whether the pedal is held through each bar.
    pub is_pedalled: bool,
    /// Distance from the softest to the loudest bar, in dB.
    pub dynamics_db: f64,
    /// Which one.
    pub seed: u64,
}

impl Default for Study {
    /// A flowing piece with pedal.
    fn default() -> Self {
        Self { duration_s: 40.0, notes_per_s: 3.5, held_s: 0.5, is_pedalled: true, dynamics_db: 24.0, seed: 1 }
    }
}

impl Study {
    /// Studies with names: `slow`, `flowing`, `dense` (dry and fast) and `singing` (a sparse line, long notes, no pedal).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let flowing = Self::default();
        Some(match name {
            "slow" => Self { notes_per_s: 1.6, held_s: 1.2, ..flowing },
            "flowing" => flowing,
            "dense" => Self { notes_per_s: 11.0, held_s: 0.12, is_pedalled: false, ..flowing },
            "singing" => Self { notes_per_s: 1.1, held_s: 1.8, is_pedalled: false, ..flowing },
            _ => return None,
        })
    }

    /// Names that [`Study::named`] knows.
    pub const NAMES: [&str; 4] = ["slow", "flowing", "dense", "singing"];

    /// The notes.
    #[must_use]
    pub fn passage(&self) -> Passage {
        // Chords by their keys over C, a bar each.
        const CHORDS: [[u8; 4]; 8] = [
            [0, 4, 7, 12],
            [9, 12, 16, 21],
            [5, 9, 12, 17],
            [7, 11, 14, 17],
            [4, 7, 11, 16],
            [9, 12, 17, 21],
            [2, 5, 9, 14],
            [7, 11, 14, 19],
        ];
        const BAR_S: f64 = 2.4;
        let mut draw = Draw::new(self.seed, 4 << 32);
        let mut passage = Passage::default();
        let step_s = 1.0 / self.notes_per_s.clamp(0.05, 50.0);
        let duration_s = self.duration_s.clamp(BAR_S, 3600.0);
        let bar_len = (duration_s / BAR_S).ceil() as usize;
        // A phrase is six bars long; its loudest bar moves from phrase to phrase.
        for bar in 0..bar_len {
            let start_s = BEGIN_S + bar as f64 * BAR_S;
            let end_s = (start_s + BAR_S).min(BEGIN_S + duration_s);
            let chord = CHORDS[(bar + self.seed as usize % 5) % CHORDS.len()];
            let swell = 0.5 - 0.5 * (std::f64::consts::TAU * (bar as f64 + draw.uniform(-0.5, 0.5)) / 6.0).cos();
            if self.is_pedalled {
                passage.pedal.push(Pedal { time_s: start_s + 0.08, is_down: true });
                passage.pedal.push(Pedal { time_s: end_s, is_down: false });
            }
            let mut at_s = start_s;
            let mut k = 0;
            while at_s < end_s - 0.5 * step_s {
                let key = if k == 0 {
                    36 + chord[0] % 12
                } else {
                    let octave = 48 + 12 * draw.uniform(0.0, 3.999) as u8;
                    octave + chord[draw.uniform(0.0, 3.999) as usize] % 12
                };
                let level_db = self.dynamics_db * (swell - 1.0) + draw.uniform(-5.0, 0.0) - f64::from(k != 0);
                let velocity = (120.0 * 10f64.powf(level_db / 40.0)).round().clamp(8.0, 127.0) as u8;
                let held_s = self.held_s * draw.uniform(0.8, 1.25);
                let onset_s = at_s.max(0.0);
                // A key that is still down is let go before it is struck again.
                for earlier in passage.notes.iter_mut().filter(|n| n.key == key && n.release_s > onset_s - 0.04) {
                    earlier.release_s = (onset_s - 0.04).max(earlier.onset_s);
                }
                passage.notes.push(Note { key, velocity, onset_s, release_s: onset_s + held_s });
                at_s += step_s * draw.uniform(0.85, 1.15);
                k += 1;
            }
        }
        passage
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn every_study_keeps_to_its_length_and_density_and_the_piano_s_keys() {
        for name in Study::NAMES {
            let study = Study::named(name).unwrap();
            let passage = study.passage();
            let density = passage.notes.len() as f64 / study.duration_s;
            assert!((density / study.notes_per_s - 1.0).abs() < 0.2, "{name}: {density} notes per s");
            assert!(passage.notes.iter().all(Note::is_sound), "{name}");
            assert!(passage.notes.iter().all(|n| n.onset_s < BEGIN_S + study.duration_s), "{name}");
            let velocities = passage.notes.iter().map(|n| n.velocity);
            let (low, high) = (velocities.clone().min().unwrap(), velocities.max().unwrap());
            let range_db = 40.0 * (f64::from(high) / f64::from(low)).log10();
            assert!((range_db - study.dynamics_db).abs() < 8.0, "{name}: {range_db} dB");
            assert_eq!(passage, study.passage());
        }
        assert_eq!(Study::named("fast"), None);
    }
}
