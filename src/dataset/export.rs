//! Training pairs: aligned, equally long segments of phone and microphone, frame-exact, with what is known of them.
//!
//! A folder for each split, with `metadata.csv` (`file_name` is the phone's segment, `target_file_name` the microphone's: the
//! audio-folder convention) and a JSON a segment with the gain curve; or WebDataset shards with the same members. Whole takes go
//! to one split, so that no performance is in two.

use super::manifest::{Manifest, Pair};
use super::run::aligned;
use crate::audio::Audio;
use crate::error::Error;
use crate::pair::level::{HOP_S, StaticMatch, compared, level_db, median};
use crate::pair::validate::common;
use flacenc::component::BitRepr;
use flacenc::error::Verify;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How training pairs are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Files in folders, with `metadata.csv`.
    Folder,
    /// Tar shards.
    WebDataset,
}

/// What is exported.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportConfig {
    /// Length of a segment, in seconds.
    pub segment_s: f64,
    /// Takes that go to the test split.
    pub test: Vec<String>,
    /// Takes that go to the validation split.
    pub validation: Vec<String>,
    /// Files or shards.
    pub layout: Layout,
}

/// Segments in one shard.
const SHARD_LEN: usize = 500;
/// Shortest and longest segment, in seconds.
const SEGMENT_S: std::ops::RangeInclusive<f64> = 0.5..=600.0;

/// What is known of a segment.
#[derive(Debug, Clone, Serialize)]
struct Known {
    key: String,
    split: &'static str,
    take: String,
    position: String,
    phone: String,
    mic: String,
    /// Beginning on the microphone's clock.
    start_s: f64,
    duration_s: f64,
    offset_s: f64,
    drift_ppm: f64,
    sample_rate_hz: u32,
    /// The phone's gain on 10 ms steps, in dB, the pair's median removed; null where it is not known.
    gain_db: Vec<Option<f64>>,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exported {
    /// Segments by split: train, validation, test.
    pub segment_len: [usize; 3],
    /// Pairs that failed, with the reason.
    pub failed: Vec<String>,
}

const SPLITS: [&str; 3] = ["train", "validation", "test"];

/// Exports every pair into a new folder, which appears whole or not at all.
///
/// # Errors
/// [`Error::Invalid`] for a take that the manifest does not have or a strange segment length; [`Error::Io`] where `folder` exists
/// or cannot be written. A pair that cannot be aligned is left out and named.
pub fn export(
    manifest: &Manifest,
    folder: &Path,
    config: &ExportConfig,
    tick: &(dyn Fn() + Sync),
) -> Result<Exported, Error> {
    check(manifest, config)?;
    let io = |source| Error::Io { path: folder.to_owned(), source };
    if folder.symlink_metadata().is_ok() {
        return Err(io(std::io::Error::new(std::io::ErrorKind::AlreadyExists, "it exists already; name a new folder")));
    }
    let parent = folder.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let making = tempfile::Builder::new().prefix(".agcfix-").tempdir_in(parent).map_err(io)?;
    let mut out = Exported::default();
    let mut writer = Writer { root: making.path().to_owned(), layout: config.layout, shards: Default::default() };
    for pair in manifest.pairs() {
        let split = split_of(&pair, config);
        match segments(manifest, &pair, split, config) {
            Ok(segments) => {
                for (known, phone, mic) in segments {
                    writer.put(split, &known, &phone, &mic)?;
                    out.segment_len[split] += 1;
                }
            }
            Err(reason) => out.failed.push(format!(
                "take {}, {}, {} with {}: {reason}",
                pair.phone.take, pair.phone.position, pair.phone.device, pair.mic.device
            )),
        }
        tick();
    }
    writer.finish()?;
    std::fs::rename(making.keep(), folder).map_err(io)?;
    Ok(out)
}

fn check(manifest: &Manifest, config: &ExportConfig) -> Result<(), Error> {
    let invalid = |what: &str, cause: String, remedy: &str| {
        Err(Error::Invalid { what: what.to_owned(), cause, remedy: remedy.to_owned() })
    };
    if !SEGMENT_S.contains(&config.segment_s) {
        return invalid("segment length", format!("{} s", config.segment_s), "use 0.5 to 600 s");
    }
    let takes = manifest.recordings.iter().map(|r| r.take.as_str()).collect::<BTreeSet<_>>();
    for take in config.test.iter().chain(&config.validation) {
        if !takes.contains(take.as_str()) {
            let known = takes.iter().copied().collect::<Vec<_>>().join(", ");
            return invalid("split", format!("no take is called {take}"), &format!("the manifest has {known}"));
        }
    }
    if let Some(take) = config.test.iter().find(|take| config.validation.contains(take)) {
        return invalid("split", format!("take {take} is in two splits"), "give each take to one");
    }
    Ok(())
}

fn split_of(pair: &Pair, config: &ExportConfig) -> usize {
    if config.test.contains(&pair.phone.take) { 2 } else { usize::from(config.validation.contains(&pair.phone.take)) }
}

type Segment = (Known, Audio, Audio);

fn segments(manifest: &Manifest, pair: &Pair, split: usize, config: &ExportConfig) -> Result<Vec<Segment>, String> {
    let told = |e: Error| e.to_string();
    let (phone, mic, alignment) = aligned(manifest, pair)?;
    let begin_s = alignment.pieces.first().map_or(0.0, |p| p.from_s.max(0.0));
    let (phone, mic) = common(&phone, &mic, &alignment).map_err(told)?;
    let response = StaticMatch::of(&phone, &mic).map_err(told)?;
    let (phone_db, matched_db) = (level_db(&phone), level_db(&response.matched(&mic).map_err(told)?));
    let on = compared(&matched_db, &phone_db);
    let gain = (0..phone_db.len()).map(|k| on[k].then(|| phone_db[k] - matched_db[k])).collect::<Vec<_>>();
    let centre = median(&gain.iter().flatten().copied().collect::<Vec<_>>());
    let rate_hz = f64::from(mic.sample_rate_hz());
    let segment_samples = (config.segment_s * rate_hz).round() as usize;
    let cut = |audio: &Audio, from: usize| {
        let channels = audio.channels().iter().map(|c| c[from..from + segment_samples].to_vec()).collect();
        Audio::new(audio.sample_rate_hz(), channels).map_err(told)
    };
    (0..mic.sample_len() / segment_samples)
        .map(|n| {
            let from = n * segment_samples;
            let steps = (config.segment_s / HOP_S) as usize;
            let first = (from as f64 / rate_hz / HOP_S).round() as usize;
            let curve = (first..first + steps)
                .map(|k| gain.get(k).copied().flatten().map(|g| ((g - centre) * 1e3).round() / 1e3))
                .collect();
            let names = [&pair.phone.take, &pair.phone.position, &pair.phone.device, &pair.mic.device];
            let known = Known {
                key: format!("{}-{n:04}", names.map(|name| plain(name)).join("-")),
                split: SPLITS[split],
                take: pair.phone.take.clone(),
                position: pair.phone.position.clone(),
                phone: pair.phone.device.clone(),
                mic: pair.mic.device.clone(),
                start_s: begin_s + from as f64 / rate_hz,
                duration_s: config.segment_s,
                offset_s: alignment.offset_s,
                drift_ppm: alignment.drift_ppm,
                sample_rate_hz: mic.sample_rate_hz(),
                gain_db: curve,
            };
            Ok((known, cut(&phone, from)?, cut(&mic, from)?))
        })
        .collect()
}

/// A name that is safe in file names and shard members: a point would end a WebDataset key.
pub(super) fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Writes segments into folders or shards.
struct Writer {
    root: PathBuf,
    layout: Layout,
    /// Per split: segments so far, the open shard, rows of the metadata.
    shards: [Shard; 3],
}

#[derive(Default)]
struct Shard {
    segment_len: usize,
    tar: Option<tar::Builder<std::fs::File>>,
    rows: Vec<[String; 11]>,
}

impl Writer {
    fn put(&mut self, split: usize, known: &Known, phone: &Audio, mic: &Audio) -> Result<(), Error> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| Error::Io { path, source }
        };
        let json = serde_json::to_vec(known).unwrap_or_default();
        let members = [("phone.flac", flac(phone)?), ("mic.flac", flac(mic)?), ("json", json)];
        let folder = match self.layout {
            Layout::Folder => self.root.join(SPLITS[split]),
            Layout::WebDataset => self.root.clone(),
        };
        std::fs::create_dir_all(&folder).map_err(io(&folder))?;
        let shard = &mut self.shards[split];
        match self.layout {
            Layout::Folder => {
                for (ending, bytes) in &members {
                    let path = folder.join(format!("{}.{ending}", known.key));
                    std::fs::write(&path, bytes).map_err(io(&path))?;
                }
                shard.rows.push([
                    format!("{}.phone.flac", known.key),
                    format!("{}.mic.flac", known.key),
                    format!("{}.json", known.key),
                    known.take.clone(),
                    known.position.clone(),
                    known.phone.clone(),
                    known.mic.clone(),
                    known.start_s.to_string(),
                    known.duration_s.to_string(),
                    known.offset_s.to_string(),
                    known.drift_ppm.to_string(),
                ]);
            }
            Layout::WebDataset => {
                if shard.segment_len.is_multiple_of(SHARD_LEN) {
                    if let Some(tar) = shard.tar.take() {
                        tar.into_inner().map_err(io(&folder))?;
                    }
                    let path = folder.join(format!("{}-{:06}.tar", SPLITS[split], shard.segment_len / SHARD_LEN));
                    shard.tar = Some(tar::Builder::new(std::fs::File::create(&path).map_err(io(&path))?));
                }
                if let Some(tar) = &mut shard.tar {
                    for (ending, bytes) in &members {
                        let mut header = tar::Header::new_ustar();
                        header.set_size(bytes.len() as u64);
                        header.set_mode(0o644);
                        let name = format!("{}.{ending}", known.key);
                        tar.append_data(&mut header, name, bytes.as_slice()).map_err(io(&folder))?;
                    }
                }
            }
        }
        shard.segment_len += 1;
        Ok(())
    }

    fn finish(self) -> Result<(), Error> {
        for (split, shard) in self.shards.into_iter().enumerate() {
            if let Some(tar) = shard.tar {
                tar.into_inner().map_err(|source| Error::Io { path: self.root.clone(), source })?;
            }
            if shard.rows.is_empty() {
                continue;
            }
            let path = self.root.join(SPLITS[split]).join("metadata.csv");
            let io = |e: csv::Error| Error::Io { path: path.clone(), source: e.into() };
            let mut writer = csv::Writer::from_path(&path).map_err(io)?;
            let header = [
                "file_name",
                "target_file_name",
                "gain_file_name",
                "take",
                "position",
                "phone",
                "mic",
                "start_s",
                "duration_s",
                "offset_s",
                "drift_ppm",
            ];
            writer.write_record(header).map_err(io)?;
            for row in &shard.rows {
                writer.write_record(row).map_err(io)?;
            }
            writer.flush().map_err(|source| Error::Io { path: path.clone(), source })?;
        }
        Ok(())
    }
}

/// 24-bit FLAC, samples beyond full scale clamped.
fn flac(audio: &Audio) -> Result<Vec<u8>, Error> {
    let failed = |cause: String| Error::Invalid {
        what: "FLAC".to_owned(),
        cause,
        remedy: "FLAC takes 1 to 8 channels at up to 96 kHz; resample the microphone's recording".to_owned(),
    };
    let full = f64::from(1 << 23);
    let samples = (0..audio.sample_len())
        .flat_map(|n| {
            audio.channels().iter().map(move |c| (f64::from(c[n]) * full).round().clamp(-full, full - 1.0) as i32)
        })
        .collect::<Vec<_>>();
    let config = flacenc::config::Encoder::default().into_verified().map_err(|(_, e)| failed(e.to_string()))?;
    let source =
        flacenc::source::MemSource::from_samples(&samples, audio.channels().len(), 24, audio.sample_rate_hz() as usize);
    let stream =
        flacenc::encode_with_fixed_block_size(&config, source, config.block_size).map_err(|e| failed(e.to_string()))?;
    let mut sink = flacenc::bitsink::ByteSink::new();
    stream.write(&mut sink).map_err(|e| failed(e.to_string()))?;
    let mut bytes = sink.as_slice().to_vec();
    // The smallest block size is not to count the last block (RFC 9639, 8.2); flacenc counts it, and decoders take the stream for
    // one of variable blocks. "fLaC", a block header of 4 bytes, then smallest and largest block size of 2 bytes each.
    if bytes.len() >= 12 {
        bytes.copy_within(10..12, 8);
    }
    Ok(bytes)
}
