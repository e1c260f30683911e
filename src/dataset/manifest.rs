//! The list of recordings, as CSV or TOML.
//!
//! CSV has the header `take,position,device,role,path`; TOML has `[[recording]]` tables with the same keys. `role` is `phone` or
//! `mic`; paths are relative to the manifest.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// A device whose gain is in question.
    Phone,
    /// What it is compared with.
    Mic,
}

/// One recording.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// The performance.
    pub take: String,
    /// Where the devices stood.
    pub position: String,
    /// The device.
    pub device: String,
    /// Phone or microphone.
    pub role: Role,
    /// The file, relative to the manifest.
    pub path: PathBuf,
}

/// One phone with one microphone of the same take and position.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The phone.
    pub phone: Recording,
    /// The microphone.
    pub mic: Recording,
}

/// All recordings of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Folder that the paths are relative to.
    pub folder: PathBuf,
    /// The recordings, in the manifest's order.
    pub recordings: Vec<Recording>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    recording: Vec<Recording>,
}

impl Manifest {
    /// Reads a manifest; its name ends in `.csv` or `.toml`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] with the line for what is no manifest, for two recordings of the same take, position
    /// and device, and for an empty one.
    pub fn read(path: &Path) -> Result<Self, Error> {
        Self::parse(&crate::text::read_text(path)?, path)
    }

    /// The manifest of a text; `path` tells which of the two forms it has, and the recordings are relative to its folder.
    ///
    /// # Errors
    /// As [`Manifest::read`], without what reading says.
    pub fn parse(text: &str, path: &Path) -> Result<Self, Error> {
        let malformed = |cause: String| Error::Malformed {
            path: path.to_owned(),
            cause,
            remedy: "give a CSV with the header take,position,device,role,path, or a TOML with [[recording]] tables"
                .to_owned(),
        };
        let is_toml = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml"));
        let recordings = if is_toml {
            toml::from_str::<Document>(text)
                .map_err(|e| {
                    let line = e.span().map_or(1, |span| crate::text::line_of(text.as_bytes(), span.start));
                    malformed(format!("line {line}: {}", crate::text::one_line(e.message())))
                })?
                .recording
        } else {
            csv::ReaderBuilder::new()
                .trim(csv::Trim::All)
                .comment(Some(b'#'))
                .from_reader(text.as_bytes())
                .deserialize()
                .collect::<Result<Vec<Recording>, _>>()
                .map_err(|e| malformed(crate::text::one_line(&e.to_string())))?
        };
        if recordings.is_empty() {
            return Err(malformed("it lists no recording".to_owned()));
        }
        let mut seen = BTreeSet::new();
        for r in &recordings {
            if !seen.insert((&r.take, &r.position, &r.device)) {
                let cause = format!("take {}, position {}, device {} is listed twice", r.take, r.position, r.device);
                let cause = crate::text::one_line(&cause);
                return Err(malformed(cause));
            }
        }
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Ok(Self { folder, recordings })
    }

    /// Every phone with every microphone of its take and position, sorted.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let of = |role: Role| self.recordings.iter().filter(move |r| r.role == role);
        let mut out = of(Role::Phone)
            .flat_map(|phone| {
                of(Role::Mic)
                    .filter(move |mic| mic.take == phone.take && mic.position == phone.position)
                    .map(move |mic| Pair { phone: phone.clone(), mic: mic.clone() })
            })
            .collect::<Vec<_>>();
        out.sort();
        out
    }

    /// Where a recording's file is.
    #[must_use]
    pub fn path_of(&self, recording: &Recording) -> PathBuf {
        self.folder.join(&recording.path)
    }

    /// What is wrong with the files, one line each: missing, unreadable, or without a partner.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut out = Vec::new();
        for r in &self.recordings {
            let path = self.path_of(r);
            if let Err(error) = crate::decode::read(&path) {
                out.push(error.to_string());
            }
            let has_partner = self
                .recordings
                .iter()
                .any(|other| other.role != r.role && other.take == r.take && other.position == r.position);
            if !has_partner {
                let other = if r.role == Role::Phone { "microphone" } else { "phone" };
                out.push(format!("{}: take {}, position {} has no {other}", path.display(), r.take, r.position));
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn read(name: &str, text: &str) -> Result<Manifest, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path)
    }

    const CSV: &str = "take,position,device,role,path\n1,near,a,phone,1a.m4a\n1,near,m,mic,1m.wav\n1,near,n,mic,1n.wav\n1,far,a,phone,x.m4a\n";

    #[test]
    fn phones_are_paired_with_the_microphones_of_their_take_and_position() {
        let manifest = read("m.csv", CSV).unwrap();
        let names = manifest.pairs().iter().map(|p| format!("{}-{}", p.phone.device, p.mic.device)).collect::<Vec<_>>();
        assert_eq!(names, ["a-m", "a-n"]);
        assert!(manifest.complaints().iter().any(|c| c.contains("position far has no microphone")));
        let toml =
            "[[recording]]\ntake = \"1\"\nposition = \"near\"\ndevice = \"a\"\nrole = \"phone\"\npath = \"1a.m4a\"\n";
        assert_eq!(read("m.toml", toml).unwrap().recordings[0], manifest.recordings[0]);
    }

    #[test]
    fn strange_manifests_are_refused_with_their_place() {
        let told = |name: &str, text: &str| read(name, text).unwrap_err().to_string();
        assert!(
            told("m.csv", "take,position\n1,near\n").contains("line: 2"),
            "{}",
            told("m.csv", "take,position\n1,near\n")
        );
        assert!(told("m.csv", &CSV.replace("mic,1m", "speaker,1m")).contains("speaker"));
        assert!(told("m.csv", &format!("{CSV}1,far,a,phone,y.m4a\n")).contains("listed twice"));
        assert!(told("m.csv", "take,position,device,role,path\n").contains("no recording"));
        assert!(told("m.toml", "recording = 3").contains("m.toml"));
    }
}
