//! Chains by name or from a TOML file.
//!
//! A preset is a TOML document with the fields of a [`Chain`]: `summary`, `source`, and a table for each stage. Instead
//! of stages it may hold three strengths, the tables `light`, `medium` and `heavy`, each with stages of its own.
//!
//! A device profile, as `agcfix profile learn` writes it, is a preset, too: its response is the microphone's, its law the gain.
//! What it knows of the noise is not taken over, because that was measured behind the gain and in the room of the recordings.
//!
//! Presets may be combined: the stages of later ones replace those of earlier ones, so that one can say what the phone is
//! like and another what its gain control is.

use super::Chain;
use super::gain::GainStage;
use crate::error::Error;
use crate::law::LawFit;
use crate::text;
use std::path::Path;
use toml::{Table, Value};

/// Every preset that is built in, by name.
const BUILT_IN: [(&str, &str); 14] = [
    ("compressor", include_str!("presets/compressor.toml")),
    ("phone-compressor", include_str!("presets/phone-compressor.toml")),
    ("webrtc-agc1-fixed", include_str!("presets/webrtc-agc1-fixed.toml")),
    ("webrtc-agc1-adaptive", include_str!("presets/webrtc-agc1-adaptive.toml")),
    ("webrtc-agc1-analog", include_str!("presets/webrtc-agc1-analog.toml")),
    ("webrtc-agc2", include_str!("presets/webrtc-agc2.toml")),
    ("webrtc-agc2-limiter", include_str!("presets/webrtc-agc2-limiter.toml")),
    ("speex", include_str!("presets/speex.toml")),
    ("android-dynamics", include_str!("presets/android-dynamics.toml")),
    ("normaliser", include_str!("presets/normaliser.toml")),
    ("camera", include_str!("presets/camera.toml")),
    ("feedback", include_str!("presets/feedback.toml")),
    ("limiter", include_str!("presets/limiter.toml")),
    ("phone", include_str!("presets/phone.toml")),
];

/// Strengths that a preset may have, the softest first.
pub const STRENGTHS: [&str; 3] = ["light", "medium", "heavy"];

/// What the schema of a device profile begins with: such a file is a preset, too.
const PROFILE: &str = "agcfix.profile/";

/// Fields of a preset that are not stages.
const WORDS: [&str; 2] = ["summary", "source"];

/// A built-in preset for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, without a strength.
    pub name: String,
    /// What it describes.
    pub summary: String,
    /// Where its constants come from.
    pub source: String,
    /// Strengths it has, to be put behind the name with a hyphen.
    pub strengths: Vec<String>,
}

/// The built-in presets.
#[must_use]
pub fn built_in() -> Vec<Listed> {
    BUILT_IN
        .iter()
        .map(|(name, text)| {
            let table: Table = text.parse().unwrap_or_default();
            let word = |key: &str| table.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let strengths = STRENGTHS.iter().filter(|s| table.contains_key(**s)).map(|s| (*s).to_owned()).collect();
            Listed { name: (*name).to_owned(), summary: word("summary"), source: word("source"), strengths }
        })
        .collect()
}

/// A chain being put together from presets, laws and single settings, the later ones winning.
#[derive(Debug, Clone, Default)]
pub struct Composer {
    table: Table,
    has_own_laws: bool,
}

impl Composer {
    /// Adds a preset: a built-in name with its strength (`speex-medium`; without one it is medium), or the path of a TOML
    /// file, which ends in `.toml` and may be followed by `:STRENGTH`.
    ///
    /// # Errors
    /// [`Error::Io`] and [`Error::Malformed`] for a file, [`Error::Invalid`] for a name that there is not.
    pub fn preset(&mut self, name: &str) -> Result<(), Error> {
        match file_and_strength(name) {
            Some((path, strength)) => self.document(&text::read_text(path)?, strength, path),
            None => {
                let (text, strength) = built_in_text(name)?;
                self.document(text, strength, Path::new(name))
            }
        }
    }

    /// Adds a preset's text, in the wanted strength; `path` names it in errors.
    ///
    /// # Errors
    /// As [`Composer::preset`], without what reading says.
    pub fn document(&mut self, text: &str, strength: Option<&str>, path: &Path) -> Result<(), Error> {
        let table = parse(text, path)?;
        let place = path.display().to_string();
        let table = match table.get("schema").and_then(Value::as_str) {
            Some(schema) if schema.starts_with(PROFILE) => profile::stages(text)?,
            _ => table,
        };
        self.add(stages_of(table, strength, &place)?);
        Ok(())
    }

    fn add(&mut self, table: Table) {
        for (key, value) in table {
            match (WORDS.contains(&key.as_str()), self.table.get_mut(&key)) {
                (true, Some(Value::String(before))) => {
                    before.push_str("; ");
                    before.push_str(value.as_str().unwrap_or_default());
                }
                _ => {
                    self.table.insert(key, value);
                }
            }
        }
    }

    /// Sets one constant: `noise.level_dbfs=-60`, `codec.name=opus`, `gain.0.parameters.slope=0.5`.
    ///
    /// # Errors
    /// [`Error::Invalid`] where it is not of the form `key=value`, or the key leads nowhere.
    pub fn set(&mut self, setting: &str) -> Result<(), Error> {
        let invalid = |cause: &str| Error::Invalid {
            what: format!("setting {setting:?}"),
            cause: cause.to_owned(),
            remedy: "write STAGE.FIELD=VALUE, such as noise.level_dbfs=-60".to_owned(),
        };
        let (key, value) = setting.split_once('=').ok_or_else(|| invalid("it has no ="))?;
        let names: Vec<&str> = key.trim().split('.').collect();
        if names.len() < 2 || names.iter().any(|name| name.is_empty()) {
            return Err(invalid("the key must name a stage and its field"));
        }
        let value = value_of(value.trim());
        place(&mut self.table, &names, value).map_err(|cause| invalid(&cause))
    }

    /// Adds a gain law behind those that were added like this before; the first replaces the laws of all presets.
    pub fn law(&mut self, stage: &GainStage) {
        let mut entry = Table::new();
        entry.insert("law".to_owned(), Value::String(stage.law.clone()));
        entry.insert("make_up_db".to_owned(), Value::Float(stage.make_up_db));
        let parameters = stage.parameters.iter().map(|(name, value)| (name.clone(), Value::Float(*value))).collect();
        entry.insert("parameters".to_owned(), Value::Table(parameters));
        match self.table.get_mut("gain") {
            Some(Value::Array(laws)) if self.has_own_laws => laws.push(Value::Table(entry)),
            _ => {
                self.table.insert("gain".to_owned(), Value::Array(vec![Value::Table(entry)]));
            }
        }
        self.has_own_laws = true;
    }

    /// The chain, checked.
    ///
    /// # Errors
    /// [`Error::Invalid`] naming the field that is unknown, of the wrong kind, or out of its range.
    pub fn finish(self) -> Result<Chain, Error> {
        let chain = Chain::deserialize_from(self.table)?;
        chain.check()?;
        Ok(chain)
    }
}

impl Chain {
    fn deserialize_from(table: Table) -> Result<Self, Error> {
        table.try_into().map_err(|error: toml::de::Error| Error::Invalid {
            what: "chain".to_owned(),
            cause: text::one_line(&error.to_string()),
            remedy: "docs/simulate.md lists the stages and their fields".to_owned(),
        })
    }
}

impl From<&LawFit> for GainStage {
    /// A law as it was found in a recording, or learnt.
    fn from(fit: &LawFit) -> Self {
        let parameters = fit.parameters.iter().map(|p| (p.name.clone(), p.value)).collect();
        Self { law: fit.name.clone(), parameters, make_up_db: 0.0 }
    }
}

/// The chain of one preset by name.
///
/// # Errors
/// As [`Composer::preset`] and [`Composer::finish`].
pub fn chain(name: &str) -> Result<Chain, Error> {
    let mut composer = Composer::default();
    composer.preset(name)?;
    composer.finish()
}

/// The path and strength where a name is that of a file.
fn file_and_strength(name: &str) -> Option<(&Path, Option<&str>)> {
    let is_toml = |path: &str| Path::new(path).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
    match name.rsplit_once(':') {
        Some((path, strength)) if is_toml(path) => Some((Path::new(path), Some(strength))),
        _ if is_toml(name) => Some((Path::new(name), None)),
        _ => None,
    }
}

fn built_in_text(name: &str) -> Result<(&'static str, Option<&str>), Error> {
    let find = |name: &str| BUILT_IN.iter().find(|(n, _)| *n == name).map(|(_, text)| *text);
    if let Some(text) = find(name) {
        return Ok((text, None));
    }
    if let Some((stem, strength)) = name.rsplit_once('-')
        && let Some(text) = find(stem)
    {
        return Ok((text, Some(strength)));
    }
    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    Err(Error::Invalid {
        what: "preset".to_owned(),
        cause: format!("there is none called {name:?}"),
        remedy: format!("there are {}, each -light, -medium or -heavy; or name a .toml file", names.join(", ")),
    })
}

fn parse(text: &str, path: &Path) -> Result<Table, Error> {
    text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text::line_of(text.as_bytes(), span.start));
        Error::Malformed {
            path: path.to_owned(),
            cause: format!("line {line}: {}", text::one_line(error.message())),
            remedy: "give a TOML file as docs/simulate.md describes it".to_owned(),
        }
    })
}

/// The stages of the wanted strength, medium where none is named.
fn stages_of(mut table: Table, strength: Option<&str>, place: &str) -> Result<Table, Error> {
    let strengths: Vec<&str> = STRENGTHS.into_iter().filter(|s| table.contains_key(*s)).collect();
    if strengths.is_empty() && strength.is_none() {
        return Ok(table);
    }
    let wanted = strength.unwrap_or("medium");
    let Some(Value::Table(mut stages)) = table.remove(wanted) else {
        let known = if strengths.is_empty() { "no strengths".to_owned() } else { strengths.join(", ") };
        return Err(Error::Invalid {
            what: "preset".to_owned(),
            cause: format!("{place} has no strength {wanted:?}"),
            remedy: format!("it has {known}"),
        });
    };
    for (key, value) in table.into_iter().filter(|(key, _)| !STRENGTHS.contains(&key.as_str())) {
        // What stands outside the strengths belongs to all of them.
        stages.entry(key).or_insert(value);
    }
    if let Some(Value::String(summary)) = stages.get_mut("summary") {
        summary.push_str(&format!(" ({wanted})"));
    }
    Ok(stages)
}

/// A value as typed: TOML where it is, else a string.
fn value_of(typed: &str) -> Value {
    format!("v = {typed}")
        .parse::<Table>()
        .ok()
        .and_then(|mut table| table.remove("v"))
        .unwrap_or_else(|| Value::String(typed.to_owned()))
}

fn place(table: &mut Table, names: &[&str], value: Value) -> Result<(), String> {
    let [name, rest @ ..] = names else { return Err("the key is empty".to_owned()) };
    if rest.is_empty() {
        table.insert((*name).to_owned(), value);
        return Ok(());
    }
    match table.entry((*name).to_owned()).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => place(inner, rest, value),
        Value::Array(list) => {
            let len = list.len();
            let entry = rest[0].parse::<usize>().ok().and_then(|i| list.get_mut(i));
            match entry {
                Some(Value::Table(inner)) if rest.len() > 1 => place(inner, &rest[1..], value),
                _ => Err(format!("{name} is a list of {len}: name one of them, counting from 0, and its field")),
            }
        }
        _ => Err(format!("{name} has no fields")),
    }
}

/// Device profiles as presets.
#[cfg(feature = "pairs")]
mod profile {
    use super::{Error, GainStage, Table, Value};
    use crate::profile::Profile;
    use crate::simulate::microphone::{Kind, Microphone, Section};

    /// The stages of a profile.
    pub(super) fn stages(text: &str) -> Result<Table, Error> {
        let profile = Profile::from_toml(text)?;
        let section = |s: &crate::profile::file::Section| Section {
            kind: Kind::Peak,
            frequency_hz: s.hz,
            q: s.q,
            gain_db: s.gain_db,
        };
        let sections: Vec<Section> = profile.response.sections.iter().map(section).collect();
        let gain: Vec<GainStage> = profile
            .law
            .iter()
            .map(|law| GainStage {
                law: law.name.clone(),
                parameters: law.constants.iter().map(|c| (c.name.clone(), c.value)).collect(),
                make_up_db: 0.0,
            })
            .collect();
        let value = |value: Result<Value, toml::ser::Error>| {
            value.map_err(|e| Error::Invalid {
                what: "profile".to_owned(),
                cause: crate::text::one_line(&e.to_string()),
                remedy: "learn it again".to_owned(),
            })
        };
        let mode = if profile.mode.is_empty() { String::new() } else { format!(", {}", profile.mode) };
        let mut table = Table::new();
        table.insert(
            "summary".to_owned(),
            Value::String(format!("{}{mode}, as learnt beside a microphone", profile.name)),
        );
        table.insert("source".to_owned(), Value::String(format!("a profile by {}", profile.learnt.program)));
        if !sections.is_empty() {
            table.insert("microphone".to_owned(), value(Value::try_from(Microphone { sections }))?);
        }
        if !gain.is_empty() {
            table.insert("gain".to_owned(), value(Value::try_from(gain))?);
        }
        Ok(table)
    }
}

/// Without the feature `pairs` there are no profiles.
#[cfg(not(feature = "pairs"))]
mod profile {
    use super::{Error, Table};

    pub(super) fn stages(_: &str) -> Result<Table, Error> {
        Err(Error::Invalid {
            what: "preset".to_owned(),
            cause: "this is a device profile, which this build of the library does not read".to_owned(),
            remedy: "build it with the feature pairs".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn every_built_in_preset_is_sound_in_every_strength_and_says_its_source() {
        for listed in built_in() {
            assert_eq!(listed.strengths, STRENGTHS, "{}", listed.name);
            assert!(!listed.summary.is_empty() && !listed.source.is_empty(), "{}", listed.name);
            for strength in STRENGTHS {
                let chain = chain(&format!("{}-{strength}", listed.name)).unwrap();
                let is_gain_control = listed.name != "phone";
                assert_eq!(is_gain_control, !chain.gain.is_empty(), "{}", listed.name);
            }
        }
    }

    #[test]
    fn presets_laws_and_settings_combine_and_the_later_ones_win() {
        let mut composer = Composer::default();
        composer.preset("phone-medium").unwrap();
        composer.preset("compressor-heavy").unwrap();
        composer.set("noise.level_dbfs=-60").unwrap();
        composer.set("codec.name=opus").unwrap();
        composer.set("gain.0.parameters.slope=0.5").unwrap();
        let chain = composer.clone().finish().unwrap();
        assert_eq!(chain.noise.unwrap().level_dbfs, -60.0);
        assert_eq!(chain.codec.unwrap().name, super::super::CodecName::Opus);
        assert_eq!(chain.gain[0].parameters["slope"], 0.5);
        assert_eq!(chain.gain[0].parameters["threshold_db"], -40.0);
        assert!(chain.room.is_some());
        // Laws of one's own replace those of presets, and are then a row.
        composer.law(&GainStage::new("speex", &[]));
        composer.law(&GainStage::new("limiter", &[("ceiling_db", -3.0)]));
        let chain = composer.finish().unwrap();
        assert_eq!(chain.gain.iter().map(|g| g.law.as_str()).collect::<Vec<_>>(), ["speex", "limiter"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let told = |build: &dyn Fn(&mut Composer) -> Result<(), Error>| {
            let mut composer = Composer::default();
            build(&mut composer).and_then(|()| composer.finish().map(|_| ())).unwrap_err().to_string()
        };
        assert!(told(&|c| c.preset("speex-loud")).contains("it has light, medium, heavy"));
        assert!(told(&|c| c.preset("spex")).contains("there are compressor"));
        assert!(told(&|c| c.preset("/no/such.toml")).contains("/no/such.toml"));
        assert!(told(&|c| c.set("noise.level=-3")).contains("unknown field"));
        assert!(told(&|c| c.set("noise.level_dbfs=loud")).contains("level_dbfs"));
        assert!(told(&|c| c.set("noise.level_dbfs=-999")).contains("-150 to 0 dBFS"));
        assert!(told(&|c| c.set("noise")).contains("no ="));
        assert!(told(&|c| c.set("=3")).contains("must name a stage"));
        assert!(told(&|c| c.set("summary.x=3")).contains("invalid type"));
        assert!(told(&|c| c.preset("speex").and_then(|()| c.set("gain.7.law=x"))).contains("list of 1"));
        assert!(told(&|c| c.preset("speex").and_then(|()| c.set("gain.0=x"))).contains("list of 1"));
    }

    #[cfg(feature = "pairs")]
    #[test]
    fn a_device_profile_is_a_preset() {
        let text = "schema = \"agcfix.profile/1\"\nname = \"p\"\nmode = \"video\"\nnoise_floor_dbfs = -60\nclipping_dbfs = 0\n\
            [law]\nname = \"compressor\"\nconstants = [{ name = \"slope\", value = 0.75, lower = 0.7, upper = 0.8 }]\n\
            [response]\nthird_octaves = []\nsections = [{ hz = 250.0, q = 1.4, gain_db = -3.0 }]\n\
            [learnt]\nprogram = \"agcfix 0.1.0\"\nrecordings = []\nmovement_db = 4.2\nleft_db = 0.3\n";
        let chain_of = |text: &str| {
            let mut composer = Composer::default();
            composer.document(text, None, Path::new("p.toml")).and_then(|()| composer.finish())
        };
        let chain = chain_of(text).unwrap();
        assert_eq!((chain.gain[0].law.as_str(), chain.gain[0].parameters["slope"]), ("compressor", 0.75));
        let section = chain.microphone.unwrap().sections[0];
        assert_eq!((section.frequency_hz, section.gain_db), (250.0, -3.0));
        assert!(chain.noise.is_none() && chain.summary.contains("p, video"), "{}", chain.summary);
        // What a profile must not say is told as of a profile, what a law must not be as of a law.
        assert!(chain_of(&text.replace("/1", "/9")).unwrap_err().to_string().contains("agcfix.profile/9"));
        assert!(chain_of(&text.replace("0.75", "75")).unwrap_err().to_string().contains("give 0.05 to 0.98"));
    }

    #[test]
    fn files_are_read_with_their_strengths() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my.toml");
        std::fs::write(&path, "summary = \"mine\"\n[bits]\ndepth = 16\n[heavy.clip]\nlevel_dbfs = -6\n").unwrap();
        let chain = chain(&format!("{}:heavy", path.display())).unwrap();
        assert_eq!((chain.bits.unwrap().depth, chain.clip.unwrap().level_dbfs), (16, -6.0));
        std::fs::write(&path, "[bits]\ndepth = \n").unwrap();
        let error = super::chain(&path.display().to_string()).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
