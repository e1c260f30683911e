//! What is written: the files appear together or not at all.

use super::failure::Failure;
use super::input::scratch;
use super::names::is_standard;
use super::report::{self, Extras, Report};
use super::stdio;
use super::targets::{self, Target};
use super::typed::Bits;
use agcfix::decode::Decoded;
use agcfix::encode::{self, Batch, BitDepth, Shape, WavWriter, Written, write_wav_with};
use agcfix::gain_csv::write_gain_csv;
use agcfix::metadata::{History, Metadata};
use agcfix::report::interchange::{self, ExportFormat};
use agcfix::report::plot::{Caption, Detail, Format, detail, picture};
use agcfix::report::story::GainSource;
use agcfix::report::summary::{Deed, summary};
use agcfix::report::{json, labels, table};
use agcfix::restore::{Restoration, Restored};
use agcfix::{Analysis, Audio, Error, Verdict};
use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write as _};
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

/// A file for another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    pub format: ExportFormat,
    pub path: PathBuf,
}

/// Every file that is to be written.
#[derive(Debug)]
pub struct Outputs {
    pub recording: Option<(PathBuf, Bits)>,
    pub plot: Option<Plot>,
    pub report: Option<Report>,
    pub json: Option<Json>,
    pub gain: Option<PathBuf>,
    pub labels: Option<PathBuf>,
    pub partials: Option<PathBuf>,
    pub exports: Vec<Export>,
    /// The one stage that the picture shows, instead of all.
    pub detail: Option<Detail>,
    /// Folder of all of them, which is made where it is missing.
    pub folder: Option<PathBuf>,
    pub is_forced: bool,
}

/// What the work brought.
#[derive(Debug)]
pub struct Findings<'a> {
    pub input: &'a Path,
    pub recording: &'a Decoded,
    pub analysis: &'a Analysis,
    pub result: Option<Deliverable<'a>>,
}

/// What a restoration brought.
#[derive(Debug, Clone, Copy)]
pub struct Deliverable<'a> {
    pub restored: &'a Restored,
    /// The samples, where they are not in memory: `restored` then has none.
    pub blocks: Option<&'a Restoration<'a>>,
    pub source: GainSource,
    pub output: &'a Path,
    pub bits: Bits,
}

impl Outputs {
    /// Every file, with the option that asked for it.
    pub fn targets(&self) -> Vec<Target<'_>> {
        let json = match &self.json {
            Some(Json::File(path)) => Some(path),
            Some(Json::StandardOutput) | None => None,
        };
        let recording = self.recording.as_ref().map(|(path, _)| path).filter(|path| !is_standard(path));
        let all = [
            ("-o", recording),
            (if self.detail.is_some() { "-o" } else { "--plot" }, self.plot.as_ref().map(|plot| &plot.path)),
            ("--report", self.report.as_ref().map(|report| &report.path)),
            ("--json", json),
            (if self.recording.is_some() { "--gain-out" } else { "--gain" }, self.gain.as_ref()),
            ("--labels", self.labels.as_ref()),
            ("--partials", self.partials.as_ref()),
        ];
        let exports = self.exports.iter().map(|export| ("--export", Some(&export.path)));
        all.into_iter().chain(exports).filter_map(|(option, path)| Some(Target { option, path: path? })).collect()
    }

    /// Makes the folder of all files where it is missing; says whether it did.
    pub fn make_folder(&self) -> Result<bool, Failure> {
        let Some(folder) = self.folder.as_deref().filter(|folder| !folder.exists()) else { return Ok(false) };
        match std::fs::create_dir(folder) {
            Ok(()) => Ok(true),
            Err(error) => Err(Failure::Input(format!("{}: {error}; name another --output-dir", folder.display()))),
        }
    }

    /// Refuses what could not be written at the end, before the work begins.
    pub fn check(&self, input: &Path) -> Result<(), Failure> {
        // A recording that is not there is the first thing to be told, also where its name gives the results'.
        if !is_standard(input) {
            std::fs::metadata(input).map_err(|source| Error::Io { path: input.to_owned(), source })?;
        }
        let targets = self.targets();
        if let Some(folder) = self.folder.as_deref().filter(|folder| !folder.exists()) {
            // Nothing can be in the way in a folder that is to be made; only where it stands must be there.
            let stands = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            return match stands.is_dir() {
                true => Ok(()),
                false => Err(Failure::Input(format!(
                    "{}: the folder {} does not exist; make it first",
                    folder.display(),
                    stands.display()
                ))),
            };
        }
        targets::check(input, &targets, self.is_forced)?;
        targets.iter().try_for_each(can_be_made)
    }

    /// What is left of them where nothing can be restored: the report, which says why.
    pub fn only_report(&self) -> Option<Self> {
        Some(Self {
            recording: None,
            plot: None,
            report: Some(self.report.clone()?),
            json: None,
            gain: None,
            labels: None,
            partials: None,
            exports: Vec::new(),
            detail: None,
            folder: self.folder.clone(),
            is_forced: self.is_forced,
        })
    }

    /// Whether something is written that is drawn or made from the samples as a whole, so that they are held in memory.
    pub fn needs_samples(&self) -> bool {
        self.plot.is_some() || self.report.is_some() || !self.exports.is_empty()
    }

    /// The other recording that the report plays, where it plays one.
    pub fn microphone(&self, recording: &Audio) -> Result<Option<Audio>, Failure> {
        self.report.as_ref().map_or(Ok(None), |report| report.microphone(recording))
    }

    /// Writes everything.
    ///
    /// `microphone` is only heard in the report.
    pub fn write(&self, findings: &Findings<'_>, microphone: Option<Audio>) -> Result<(), Failure> {
        let analysis = findings.analysis;
        let mut files: Vec<(&Path, Vec<u8>)> = Vec::new();
        if let Some(plot) = &self.plot {
            let drawn = match self.detail {
                Some(what) => findings.detail(what, plot.format)?,
                None => findings.picture(plot.format)?,
            };
            files.push((&plot.path, drawn));
        }
        if let Some(report) = &self.report {
            let extras = Extras::of(findings, microphone)?;
            let output = findings.output();
            files.push((&report.path, report::page(report, findings, &extras, findings.restoration(&output))?));
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

        for export in &self.exports {
            files.push((&export.path, findings.export(export.format, &export.path)?));
        }

        let mut batch = Batch::new(self.is_forced);
        let mut clamped_len = 0;
        let mut sound = None;
        if let (Some((path, bits)), Some(result)) = (&self.recording, findings.result) {
            let metadata = findings.metadata(&result);
            clamped_len = if is_standard(path) {
                let (written, whole) = result.whole_wav(*bits, &metadata).map_err(no_standard_output)?;
                sound = Some(whole);
                written.clamped_len
            } else {
                let written = batch.add(path, |writer| result.write_wav(writer, *bits, &metadata));
                written.map_err(can_be_smaller)?.clamped_len
            };
        }
        for (path, bytes) in files {
            batch.add(path, |writer| writer.write_all(&bytes)).map_err(can_be_smaller)?;
        }
        batch.commit()?;
        sound.map_or(Ok(()), Whole::print)?;
        if let (Some((path, _)), 1..) = (&self.recording, clamped_len) {
            let path = path.display();
            stdio::warn(&format!(
                "{path}: {clamped_len} samples beyond full scale were clipped; --bits 32f keeps them"
            ));
        }
        match (&self.json, document) {
            (Some(Json::StandardOutput), Some(document)) => stdio::print(&document),
            _ => Ok(()),
        }
    }
}

/// Whether a file can be made in its folder, found out by making one: permissions alone do not tell.
pub fn can_be_made(target: &Target<'_>) -> Result<(), Failure> {
    let path = target.path;
    let refuse =
        |error: std::io::Error, remedy: &str| Err(Failure::Input(format!("{}: {error}; {remedy}", path.display())));
    match path.symlink_metadata() {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return refuse(error, &format!("give {} another name", target.option)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match tempfile::Builder::new().prefix(".agcfix-").suffix(".part").tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => {
            // tempfile names its own attempt behind the system's words.
            let error = error.raw_os_error().map_or(error, std::io::Error::from_raw_os_error);
            refuse(error, &format!("name a folder that can be written to with {}", target.option))
        }
    }
}

fn no_standard_output(error: std::io::Error) -> Failure {
    Failure::Input(format!("standard output: {error}"))
}

/// A whole file on its way to standard output, which gets it when all else is in its place.
enum Whole {
    Held(Vec<u8>),
    Aside(File),
}

impl Whole {
    fn print(self) -> Result<(), Failure> {
        match self {
            Self::Held(bytes) => stdio::print_bytes(&bytes),
            Self::Aside(file) => stdio::print_file(file),
        }
    }
}

impl Deliverable<'_> {
    /// The restored recording as a file for standard output; one that is not in memory is put aside on disk.
    fn whole_wav(&self, bits: Bits, metadata: &Metadata) -> std::io::Result<(Written, Whole)> {
        if self.blocks.is_none() {
            let mut bytes = Vec::new();
            return Ok((self.write_wav(&mut bytes, bits, metadata)?, Whole::Held(bytes)));
        }
        let mut file = BufWriter::new(tempfile::tempfile_in(scratch())?);
        let written = self.write_wav(&mut file, bits, metadata)?;
        Ok((written, Whole::Aside(file.into_inner().map_err(std::io::IntoInnerError::into_error)?)))
    }

    /// Writes the restored recording, from memory or block by block.
    fn write_wav(&self, writer: impl std::io::Write, bits: Bits, metadata: &Metadata) -> std::io::Result<Written> {
        let Some(blocks) = self.blocks else {
            return write_wav_with(writer, &self.restored.audio, bits.depth(), metadata);
        };
        let told = |error: Error| match error {
            Error::Io { path, source } => std::io::Error::new(source.kind(), format!("{}: {source}", path.display())),
            other => std::io::Error::other(other.to_string()),
        };
        let mut is_on_16_bit_grid = bits == Bits::Int16;
        if is_on_16_bit_grid {
            let asked = blocks.blocks(&mut |block| {
                is_on_16_bit_grid &= encode::is_on_16_bit_grid(block);
                Ok(())
            });
            asked.map_err(told)?;
        }
        let shape = Shape {
            sample_rate_hz: blocks.sample_rate_hz(),
            channel_len: blocks.channel_len(),
            sample_len: blocks.sample_len(),
            is_on_16_bit_grid,
        };
        let mut wav = WavWriter::new(writer, shape, bits.depth(), metadata)?;
        let mut failed = None;
        let handed_out = blocks.blocks(&mut |block| {
            wav.push(block).map_err(|error| {
                failed = Some(error);
                Error::Cancelled
            })
        });
        match (failed, handed_out) {
            (Some(error), _) => Err(error),
            (None, handed_out) => handed_out.map_err(told).and_then(|()| wav.finish(metadata)),
        }
    }
}

/// What helps where the disk or a limit is the reason.
pub fn can_be_smaller(error: Error) -> Failure {
    match &error {
        Error::Io { source, .. }
            if matches!(source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) =>
        {
            Failure::Input(format!("{error}; nothing was written. Make room, or name another disk with -o"))
        }
        _ => Failure::from(error),
    }
}

impl Bits {
    fn depth(self) -> BitDepth {
        match self {
            Self::Int16 => BitDepth::Int16,
            Self::Int24 => BitDepth::Int24,
            Self::Float32 => BitDepth::Float32,
        }
    }
}

impl Findings<'_> {
    /// The story in a few lines.
    pub fn summary(&self) -> String {
        let output = self.output();
        let deed = match self.result {
            Some(Deliverable { restored, source, .. }) => Deed::Restored { restored, source, output: &output },
            None => Deed::Analyzed,
        };
        summary(&self.input.display().to_string(), self.analysis, deed)
    }

    /// What the recording said about itself, and what was done to it.
    fn metadata(&self, result: &Deliverable<'_>) -> Metadata {
        let audio = &result.restored.audio;
        let deed = match (&self.analysis.verdict, &self.analysis.law, result.source) {
            (Verdict::None, ..) => "nothing changed".to_owned(),
            (_, _, GainSource::CurveGiven) => "gain curve undone".to_owned(),
            (_, Some(law), _) => format!("gain control undone ({})", law.name),
            (_, None, _) => "nothing changed".to_owned(),
        };
        let treatment = format!(
            "agcfix {}; {deed}; from {} {}",
            env!("CARGO_PKG_VERSION"),
            self.recording.source.container,
            self.recording.source.codec
        );
        self.recording.metadata.clone().with_history(&History {
            sample_rate_hz: audio.sample_rate_hz(),
            bits: 8 * result.bits.depth().sample_bytes() as u16,
            channel_len: audio.channels().len(),
            treatment: &treatment,
        })
    }

    fn picture(&self, format: Format) -> Result<Vec<u8>, Failure> {
        let gain_source = self.result.map(|result| result.source).unwrap_or_default();
        let caption = Caption { name: self.file_name(), gain_source };
        let restored = self.result.map(|result| result.restored);
        Ok(picture(&self.recording.audio, self.analysis, restored, &caption, format)?)
    }

    /// One stage of the analysis, drawn large.
    fn detail(&self, what: Detail, format: Format) -> Result<Vec<u8>, Failure> {
        let caption = Caption { name: self.file_name(), gain_source: GainSource::Found };
        Ok(detail(&self.recording.audio, self.analysis, what, &caption, format)?)
    }

    /// A file for another program; `to` is its name, for formats that name the recording.
    fn export(&self, format: ExportFormat, to: &Path) -> Result<Vec<u8>, Failure> {
        let audio = &self.recording.audio;
        let recording = match format {
            ExportFormat::Reaper => report::address(to, self.input)?,
            _ => self.file_name(),
        };
        Ok(interchange::export(format, audio, self.analysis, &recording)?)
    }

    fn output(&self) -> String {
        let name = |output: &Path| match is_standard(output) {
            true => "standard output".to_owned(),
            false => output.display().to_string(),
        };
        self.result.map(|result| name(result.output)).unwrap_or_default()
    }

    fn restoration<'a>(&'a self, output: &'a str) -> Option<json::Restoration<'a>> {
        self.result.map(|result| json::Restoration {
            output,
            bits: result.bits.name(),
            gain_source: result.source,
            restored: result.restored,
        })
    }

    fn json(&self) -> Result<String, Failure> {
        let mut document = Vec::new();
        let restoration = self.output();
        let restoration = self.restoration(&restoration);
        let written = json::write(&mut document, Some(&self.file_name()), self.analysis, restoration);
        let text =
            written.map_err(|e| e.to_string()).and_then(|()| String::from_utf8(document).map_err(|e| e.to_string()));
        text.map_err(|cause| Failure::Input(format!("JSON: {cause}")))
    }

    fn file_name(&self) -> String {
        self.input.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}
