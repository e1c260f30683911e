//! The microphone's response: second-order sections in a row.
//!
//! **Source.** R. Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".

use super::{Sound, Told, within};
use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::f64::consts::TAU;

/// Sections beyond this are a mistake.
const MAX_SECTIONS: usize = 16;
/// Sections reach at most this share of half the sample rate; a section higher up is left out.
const HIGHEST_SHARE: f64 = 0.95;

/// The sections of a response, applied one after the other.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Microphone {
    /// At most 16.
    pub sections: Vec<Section>,
}

/// One second-order section.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Its shape.
    pub kind: Kind,
    /// Corner or centre in Hz, 5 to 90,000.
    pub frequency_hz: f64,
    /// Quality, 0.1 to 20; 0.71 has no bump.
    #[serde(default = "butterworth")]
    pub q: f64,
    /// Gain of a peak or shelf in dB, -40 to 40.
    #[serde(default)]
    pub gain_db: f64,
}

fn butterworth() -> f64 {
    std::f64::consts::FRAC_1_SQRT_2
}

/// Shapes of sections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Lets pass what is above the corner.
    HighPass,
    /// Lets pass what is below the corner.
    LowPass,
    /// Lifts around the centre.
    Peak,
    /// Lifts what is below the corner.
    LowShelf,
    /// Lifts what is above the corner.
    HighShelf,
}

impl Microphone {
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("microphone.sections (number of them)", self.sections.len() as f64, (0.0, MAX_SECTIONS as f64), "")?;
        for (i, section) in self.sections.iter().enumerate() {
            let name = |field: &str| format!("microphone.sections[{i}].{field}");
            within(&name("frequency_hz"), section.frequency_hz, (5.0, 90_000.0), "Hz")?;
            within(&name("q"), section.q, (0.1, 20.0), "")?;
            within(&name("gain_db"), section.gain_db, (-40.0, 40.0), "dB")?;
        }
        Ok(())
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Told {
        let rate_hz = f64::from(sound.rate_hz);
        let highest_hz = HIGHEST_SHARE * 0.5 * rate_hz;
        let (used, left_out): (Vec<&Section>, Vec<&Section>) =
            self.sections.iter().partition(|section| section.frequency_hz <= highest_hz);
        for channel in &mut sound.channels {
            for section in &used {
                section.biquad(rate_hz).run(channel);
            }
        }
        Told::default().with("sections_left_out_len", left_out.len())
    }
}

impl Section {
    fn biquad(&self, rate_hz: f64) -> Biquad {
        let omega = TAU * self.frequency_hz / rate_hz;
        let (sin, cos) = omega.sin_cos();
        let alpha = sin / (2.0 * self.q);
        let a = 10f64.powf(self.gain_db / 40.0);
        let root = 2.0 * a.sqrt() * alpha;
        let (b, a) = match self.kind {
            Kind::HighPass => {
                let c = 1.0 + cos;
                ([0.5 * c, -c, 0.5 * c], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
            }
            Kind::LowPass => {
                let c = 1.0 - cos;
                ([0.5 * c, c, 0.5 * c], [1.0 + alpha, -2.0 * cos, 1.0 - alpha])
            }
            Kind::Peak => {
                ([1.0 + alpha * a, -2.0 * cos, 1.0 - alpha * a], [1.0 + alpha / a, -2.0 * cos, 1.0 - alpha / a])
            }
            Kind::LowShelf => (
                [
                    a * ((a + 1.0) - (a - 1.0) * cos + root),
                    2.0 * a * ((a - 1.0) - (a + 1.0) * cos),
                    a * ((a + 1.0) - (a - 1.0) * cos - root),
                ],
                [
                    (a + 1.0) + (a - 1.0) * cos + root,
                    -2.0 * ((a - 1.0) + (a + 1.0) * cos),
                    (a + 1.0) + (a - 1.0) * cos - root,
                ],
            ),
            Kind::HighShelf => (
                [
                    a * ((a + 1.0) + (a - 1.0) * cos + root),
                    -2.0 * a * ((a - 1.0) + (a + 1.0) * cos),
                    a * ((a + 1.0) + (a - 1.0) * cos - root),
                ],
                [
                    (a + 1.0) - (a - 1.0) * cos + root,
                    2.0 * ((a - 1.0) - (a + 1.0) * cos),
                    (a + 1.0) - (a - 1.0) * cos - root,
                ],
            ),
        };
        Biquad { b: b.map(|b| b / a[0]), a: [a[1] / a[0], a[2] / a[0]] }
    }
}

/// Coefficients, normalised to `a0 = 1`.
#[derive(Debug, Clone, Copy)]
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
}

impl Biquad {
    /// Transposed direct form II in double precision: low corners at high rates lose bits in single.
    fn run(&self, samples: &mut [f32]) {
        let (mut s1, mut s2) = (0.0, 0.0);
        for sample in samples {
            let x = f64::from(*sample);
            let y = self.b[0] * x + s1;
            s1 = self.b[1] * x - self.a[0] * y + s2;
            s2 = self.b[2] * x - self.a[1] * y;
            *sample = y as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gain of a section at a frequency, from a steady sine.
    fn gain_db(section: Section, frequency_hz: f64) -> f64 {
        let rate_hz = 48_000.0;
        let sine = |n: usize| (TAU * frequency_hz * n as f64 / rate_hz).sin() as f32;
        let mut x: Vec<f32> = (0..96_000).map(sine).collect();
        section.biquad(rate_hz).run(&mut x);
        let rms = (x[48_000..].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 48_000.0).sqrt();
        20.0 * (rms * 2f64.sqrt()).log10()
    }

    #[test]
    fn sections_do_what_their_names_say() {
        let section = |kind, gain_db| Section { kind, frequency_hz: 1000.0, q: butterworth(), gain_db };
        for (kind, lift_db, at_hz, expected_db) in [
            // -3.01 dB at the corner; 12 dB per octave two octaves away, which the bilinear map bends a little.
            (Kind::HighPass, 0.0, 1000.0, -3.01),
            (Kind::HighPass, 0.0, 250.0, -24.1),
            (Kind::HighPass, 0.0, 10_000.0, 0.0),
            (Kind::LowPass, 0.0, 1000.0, -3.01),
            (Kind::LowPass, 0.0, 50.0, 0.0),
            (Kind::Peak, 6.0, 1000.0, 6.0),
            (Kind::Peak, 6.0, 50.0, 0.0),
            (Kind::LowShelf, -8.0, 20.0, -8.0),
            (Kind::LowShelf, -8.0, 1000.0, -4.0),
            (Kind::LowShelf, -8.0, 15_000.0, 0.0),
            (Kind::HighShelf, 5.0, 20_000.0, 5.0),
            (Kind::HighShelf, 5.0, 1000.0, 2.5),
            (Kind::HighShelf, 5.0, 20.0, 0.0),
        ] {
            let found_db = gain_db(section(kind, lift_db), at_hz);
            assert!((found_db - expected_db).abs() < 0.1, "{kind:?} at {at_hz} Hz: {found_db} dB");
        }
    }

    #[test]
    fn a_section_above_the_band_is_left_out_and_said() {
        let high = Section { kind: Kind::Peak, frequency_hz: 9000.0, q: 1.0, gain_db: 6.0 };
        let mut sound = Sound { rate_hz: 16_000, channels: vec![vec![1.0, 0.0, 0.0]] };
        let told = Microphone { sections: vec![high] }.apply(&mut sound);
        assert_eq!(sound.channels[0], [1.0, 0.0, 0.0]);
        assert_eq!(told.measured["sections_left_out_len"], 1);
    }
}
