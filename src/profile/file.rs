//! A profile on disk: TOML for people, with a version.

use super::learn::{Learnt, Take};
use crate::error::Error;
use crate::pair::level::{StaticMatch, median};
use crate::text::{line_of, one_line};
use serde::{Deserialize, Serialize};

/// Name and version of the document.
pub const SCHEMA: &str = "agcfix.profile/1";

/// What is known of a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name and version of this document.
    pub schema: String,
    /// The device's name.
    pub name: String,
    /// Its maker.
    #[serde(default)]
    pub maker: String,
    /// Its recording mode or app.
    #[serde(default)]
    pub mode: String,
    /// Level of its noise in the recordings that were learnt from, in dBFS.
    pub noise_floor_dbfs: f64,
    /// Level that no sample exceeded, in dBFS; at 0 it clips.
    pub clipping_dbfs: f64,
    /// The law; absent where no gain control was found.
    pub law: Option<ProfiledLaw>,
    /// Its static response against the microphone.
    pub response: Response,
    /// What it was learnt from.
    pub learnt: Provenance,
}

/// A law with its constants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfiledLaw {
    /// As in `agcfix laws`.
    pub name: String,
    /// Every constant.
    pub constants: Vec<Constant>,
}

/// One constant with its 90 % range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// Name, with the unit as suffix.
    pub name: String,
    /// Best value.
    pub value: f64,
    /// Lower edge of the 90 % range.
    pub lower: f64,
    /// Upper edge of the 90 % range.
    pub upper: f64,
}

/// The static response.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Response {
    /// Peaking filters that come near it, in a chain (R. Bristow-Johnson, Audio EQ Cookbook).
    pub sections: Vec<Section>,
    /// As measured, by third octaves: frequency in Hz, phone minus microphone in dB.
    pub third_octaves: Vec<[f64; 2]>,
}

/// A peaking biquad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Centre in Hz.
    pub hz: f64,
    /// Quality.
    pub q: f64,
    /// Gain at the centre, in dB.
    pub gain_db: f64,
}

/// What a profile was learnt from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// The program and its version.
    pub program: String,
    /// The recordings, phone and microphone in turns.
    pub recordings: Vec<String>,
    /// How far the device's gain moved in them, in dB rms.
    pub movement_db: f64,
    /// What the law leaves of it, in dB rms.
    pub left_db: f64,
}

impl Profile {
    /// What was learnt from some takes.
    #[must_use]
    pub fn of(name: &str, takes: &[Take], learnt: &Learnt, recordings: Vec<String>) -> Self {
        let rounded = |x: f64| (x * 100.0).round() / 100.0;
        let law = learnt.law.as_ref().map(|fit| ProfiledLaw {
            name: fit.name.clone(),
            constants: fit
                .parameters
                .iter()
                .map(|p| Constant { name: p.name.clone(), value: p.value, lower: p.lower, upper: p.upper })
                .collect(),
        });
        let third_octaves = takes.first().map_or_else(Vec::new, |first| {
            (0..first.response.bands.len())
                .map(|b| {
                    let gains = takes.iter().filter_map(|t| Some(t.response.bands.get(b)?.gain_db)).collect::<Vec<_>>();
                    [rounded(first.response.bands[b].centre_hz), rounded(median(&gains))]
                })
                .collect()
        });
        let floors = takes.iter().map(|t| t.noise_floor_dbfs).collect::<Vec<_>>();
        Self {
            schema: SCHEMA.to_owned(),
            name: name.to_owned(),
            maker: String::new(),
            mode: String::new(),
            noise_floor_dbfs: rounded(median(&floors)),
            clipping_dbfs: rounded(takes.iter().map(|t| t.peak_dbfs).fold(-200.0, f64::max)),
            law,
            response: Response { sections: sections(&third_octaves), third_octaves },
            learnt: Provenance {
                program: concat!("agcfix ", env!("CARGO_PKG_VERSION")).to_owned(),
                recordings,
                movement_db: rounded(learnt.movement_db),
                left_db: rounded(learnt.left_db),
            },
        }
    }

    /// As TOML.
    ///
    /// # Errors
    /// [`Error::Invalid`] where a value cannot be written.
    pub fn to_toml(&self) -> Result<String, Error> {
        toml::to_string_pretty(self).map_err(|e| invalid(e.to_string()))
    }

    /// From TOML.
    ///
    /// # Errors
    /// [`Error::Invalid`] for what is no profile of this version, with the place.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let profile: Self = toml::from_str(text).map_err(|e| {
            let line = e.span().map_or(1, |span| line_of(text.as_bytes(), span.start));
            invalid(format!("line {line}: {}", one_line(e.message())))
        })?;
        if profile.schema != SCHEMA {
            return Err(invalid(format!("its schema is {:?}", profile.schema)));
        }
        Ok(profile)
    }

    /// The response as a match, for use on other recordings.
    #[must_use]
    pub fn response_match(&self) -> StaticMatch {
        let band =
            |&[centre_hz, gain_db]: &[f64; 2]| crate::pair::level::BandResponse { centre_hz, gain_db, frame_len: 0 };
        StaticMatch { bands: self.response.third_octaves.iter().map(band).collect() }
    }
}

fn invalid(cause: String) -> Error {
    Error::Invalid {
        what: "profile".to_owned(),
        cause,
        remedy: format!("give a {SCHEMA} file, as agcfix profile learn writes it"),
    }
}

/// Gain of a peaking section at a frequency, in dB: `H(s) = (s² + s A/Q + 1) / (s² + s/(A Q) + 1)` at `s = j f/hz`.
fn section_db(section: &Section, hz: f64) -> f64 {
    let a = 10f64.powf(section.gain_db / 40.0);
    let w = hz / section.hz;
    let real = (1.0 - w * w).powi(2);
    let part = |k: f64| real + (w * k / section.q).powi(2);
    10.0 * (part(a) / part(1.0 / a)).log10()
}

/// One section an octave, its gain from the response there; a few rounds make up for the neighbours' skirts.
fn sections(third_octaves: &[[f64; 2]]) -> Vec<Section> {
    let mut out = third_octaves
        .iter()
        .skip(1)
        .step_by(3)
        .map(|&[hz, _]| Section { hz, q: std::f64::consts::SQRT_2, gain_db: 0.0 })
        .collect::<Vec<_>>();
    for _ in 0..30 {
        let error = out
            .iter()
            .map(|s| {
                let near = third_octaves.iter().filter(|t| (t[0] / s.hz).log2().abs() < 0.4);
                let miss =
                    near.map(|t| t[1] - out.iter().map(|o| section_db(o, t[0])).sum::<f64>()).collect::<Vec<_>>();
                miss.iter().sum::<f64>() / miss.len().max(1) as f64
            })
            .collect::<Vec<_>>();
        out.iter_mut().zip(error).for_each(|(s, e)| s.gain_db = (s.gain_db + 0.5 * e).clamp(-24.0, 24.0));
    }
    out.iter_mut().for_each(|s| s.gain_db = (s.gain_db * 100.0).round() / 100.0);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn profile() -> Profile {
        Profile {
            schema: SCHEMA.to_owned(),
            name: "test".to_owned(),
            maker: String::new(),
            mode: "video".to_owned(),
            noise_floor_dbfs: -63.2,
            clipping_dbfs: 0.0,
            law: Some(ProfiledLaw {
                name: "compressor".to_owned(),
                constants: vec![Constant { name: "slope".to_owned(), value: 0.75, lower: 0.7, upper: 0.8 }],
            }),
            response: Response::default(),
            learnt: Provenance::default(),
        }
    }

    #[test]
    fn a_profile_survives_the_disk_and_strange_files_are_refused_with_their_place() {
        let text = profile().to_toml().unwrap();
        assert_eq!(Profile::from_toml(&text).unwrap(), profile());
        let wrong = text.replace("noise_floor_dbfs = -63.2", "noise_floor_dbfs = \"loud\"");
        assert!(Profile::from_toml(&wrong).unwrap_err().to_string().contains("line 5"), "{wrong}");
        let other = text.replace(SCHEMA, "agcfix.profile/9");
        assert!(Profile::from_toml(&other).unwrap_err().to_string().contains("agcfix.profile/9"));
        assert!(Profile::from_toml("").is_err());
    }

    #[test]
    fn sections_come_near_a_smooth_response() {
        let wanted = |hz: f64| 6.0 * (-((hz / 2000.0).log2() / 1.5).powi(2)).exp();
        let measured =
            (-13..=12).map(|k| 1000.0 * (f64::from(k) / 3.0).exp2()).map(|hz| [hz, wanted(hz)]).collect::<Vec<_>>();
        let sections = sections(&measured);
        for [hz, db] in &measured[2..24] {
            let sum = sections.iter().map(|s| section_db(s, *hz)).sum::<f64>();
            // One section an octave over a bump one and a half octaves wide.
            assert!((sum - db).abs() < 0.8, "{hz}: {sum} for {db}");
        }
    }
}
