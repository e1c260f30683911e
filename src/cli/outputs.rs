//! What is written: everything is made in memory first, then the files appear one after the other, each whole.

use super::failure::Failure;
use super::stdio;
use super::targets::{self, Target};
use super::typed::Bits;
use agcfix::encode::{BitDepth, write_atomically, write_wav_file};
use agcfix::gain_csv::write_gain_csv;
use agcfix::report::plot::{Caption, Format, picture};
use agcfix::report::story::GainSource;
use agcfix::report::summary::{Deed, summary};
use agcfix::report::{json, labels, table};
use agcfix::restore::Restored;
use agcfix::{Analysis, Audio};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Where the JSON goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    File(PathBuf),
    StandardOutput,
}

/// The picture's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plot {
    pub path: PathBuf,
    pub format: Format,
}

/// Every file that is to be written.
#[derive(Debug)]
pub struct Outputs {
    pub recording: Option<(PathBuf, Bits)>,
    pub plot: Option<Plot>,
    pub json: Option<Json>,
    pub gain: Option<PathBuf>,
    pub labels: Option<PathBuf>,
    pub partials: Option<PathBuf>,
    pub is_forced: bool,
}

/// What the work brought.
#[derive(Debug)]
pub struct Findings<'a> {
    pub input: &'a Path,
    pub audio: &'a Audio,
    pub analysis: &'a Analysis,
    pub result: Option<Deliverable<'a>>,
}

/// What a restoration brought.
#[derive(Debug, Clone, Copy)]
pub struct Deliverable<'a> {
    pub restored: &'a Restored,
    pub source: GainSource,
    pub output: &'a Path,
    pub bits: Bits,
}

impl Outputs {
    /// Refuses what could not be written at the end, before the work begins.
    pub fn check(&self, input: &Path) -> Result<(), Failure> {
        let json = match &self.json {
            Some(Json::File(path)) => Some(path),
            Some(Json::StandardOutput) | None => None,
        };
        let all = [
            ("-o", self.recording.as_ref().map(|(path, _)| path)),
            ("--plot", self.plot.as_ref().map(|plot| &plot.path)),
            ("--json", json),
            (if self.recording.is_some() { "--gain-out" } else { "--gain" }, self.gain.as_ref()),
            ("--labels", self.labels.as_ref()),
            ("--partials", self.partials.as_ref()),
        ];
        let targets: Vec<Target<'_>> =
            all.into_iter().filter_map(|(option, path)| Some(Target { option, path: path? })).collect();
        targets::check(input, &targets, self.is_forced)
    }

    /// Writes everything.
    pub fn write(&self, findings: &Findings<'_>) -> Result<(), Failure> {
        let analysis = findings.analysis;
        let mut files: Vec<(&Path, Vec<u8>)> = Vec::new();
        if let Some(plot) = &self.plot {
            files.push((&plot.path, findings.picture(plot.format)?));
        }
        let document = self.json.is_some().then(|| findings.json()).transpose()?;
        if let (Some(Json::File(path)), Some(document)) = (&self.json, &document) {
            files.push((path, document.clone().into_bytes()));
        }
        if let Some(path) = &self.gain {
            files.push((path, write_gain_csv(&analysis.gain_curve).into_bytes()));
        }
        if let Some(path) = &self.labels {
            files.push((path, labels::labels(analysis).into_bytes()));
        }
        if let Some(path) = &self.partials {
            files.push((path, table::partials_csv(analysis).into_bytes()));
        }

        if let (Some((path, bits)), Some(result)) = (&self.recording, findings.result) {
            let depth = match bits {
                Bits::Int16 => BitDepth::Int16,
                Bits::Int24 => BitDepth::Int24,
                Bits::Float32 => BitDepth::Float32,
            };
            let written = write_wav_file(path, self.is_forced, &result.restored.audio, depth)?;
            if written.clamped_len > 0 {
                stdio::warn(&format!(
                    "{}: {} samples beyond full scale were clipped; --bits 32f keeps them",
                    path.display(),
                    written.clamped_len
                ));
            }
        }
        for (path, bytes) in files {
            write_atomically(path, self.is_forced, |writer| writer.write_all(&bytes))?;
        }
        match (&self.json, document) {
            (Some(Json::StandardOutput), Some(document)) => stdio::print(&document),
            _ => Ok(()),
        }
    }
}

impl Findings<'_> {
    /// The story in a few lines.
    pub fn summary(&self) -> String {
        let output = self.result.map(|result| result.output.display().to_string()).unwrap_or_default();
        let deed = match self.result {
            Some(Deliverable { restored, source, .. }) => Deed::Restored { restored, source, output: &output },
            None => Deed::Analyzed,
        };
        summary(&self.input.display().to_string(), self.analysis, deed)
    }

    fn picture(&self, format: Format) -> Result<Vec<u8>, Failure> {
        let gain_source = self.result.map(|result| result.source).unwrap_or_default();
        let caption = Caption { name: self.file_name(), gain_source };
        let restored = self.result.map(|result| result.restored);
        Ok(picture(self.audio, self.analysis, restored, &caption, format)?)
    }

    fn json(&self) -> Result<String, Failure> {
        let output = self.result.map(|result| result.output.display().to_string()).unwrap_or_default();
        let restoration = self.result.map(|result| json::Restoration {
            output: &output,
            bits: result.bits.name(),
            gain_source: result.source,
            restored: result.restored,
        });
        let mut document = Vec::new();
        let written = json::write(&mut document, Some(&self.file_name()), self.analysis, restoration);
        let text =
            written.map_err(|e| e.to_string()).and_then(|()| String::from_utf8(document).map_err(|e| e.to_string()));
        text.map_err(|cause| Failure::Input(format!("JSON: {cause}")))
    }

    fn file_name(&self) -> String {
        self.input.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
