//! Results on disk: one JSON line a pair. A line is valid for as long as both recordings have the contents that it was made from.

use super::manifest::Pair;
use crate::error::Error;
use crate::pair::align::Alignment;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// Name and version of a line.
pub const SCHEMA: &str = "agcfix.dataset/1";

/// What was measured of one pair, in numbers that can be summarised.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Numbers {
    /// Microphone's time of the phone's first sample, in seconds.
    pub offset_s: f64,
    /// Drift of the phone's clock, in ppm.
    pub drift_ppm: f64,
    /// Scatter of the delays, in seconds.
    pub jitter_s: f64,
    /// Share of agreeing windows.
    pub confidence: f64,
    /// Length in common, in seconds.
    pub overlap_s: f64,
    /// How far the phone's gain moves, in dB rms; absent where only the alignment was asked for, like what follows.
    pub gain_rms_db: Option<f64>,
    /// dB of the phone for each dB of the microphone.
    pub dynamics_slope: Option<f64>,
    /// Median difference of decay rates, in dB/s.
    pub decay_bias_db_per_s: Option<f64>,
    /// Slope of the onset levels.
    pub onset_slope: Option<f64>,
    /// Loudness range of the phone, in LU.
    pub loudness_range_lu: Option<f64>,
}

impl Numbers {
    /// Those of an alignment.
    #[must_use]
    pub fn of(alignment: &Alignment) -> Self {
        Self {
            offset_s: alignment.offset_s,
            drift_ppm: alignment.drift_ppm,
            jitter_s: alignment.jitter_s,
            confidence: alignment.confidence,
            overlap_s: alignment.overlap_s,
            ..Self::default()
        }
    }
}

/// What one recording told, and what became of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Found {
    /// Length in seconds.
    pub duration_s: f64,
    /// `none`, `agc` or `undecided`.
    pub verdict: String,
    /// The best law, also where the verdict does not trust it.
    pub law: Option<String>,
    /// Chance of the evidence without a gain control.
    pub p_value: f64,
    /// Standard deviation of the gain, in dB.
    pub gain_movement_db: f64,
    /// Places where the gain moved.
    pub event_len: usize,
    /// The constant that keeps the true peak below -1 dBTP.
    pub overall_gain_db: Option<f64>,
    /// The restored recording's file in the folder; absent where there was nothing to undo, or no telling.
    pub output: Option<String>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// [`SCHEMA`].
    pub schema: String,
    /// What was done, and by which version: `align 0.1.0`.
    pub task: String,
    /// The performance.
    pub take: String,
    /// Where the devices stood.
    pub position: String,
    /// The phone.
    pub phone: String,
    /// The microphone; empty where the phone was restored by itself.
    pub mic: String,
    /// SHA-256 of the phone's file.
    pub phone_sha256: String,
    /// SHA-256 of the microphone's file.
    pub mic_sha256: String,
    /// What was measured of the pair; absent where it failed.
    pub numbers: Option<Numbers>,
    /// What was found in the phone's recording by itself; absent where it failed, and in lines of pairs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Row {
    /// What tells one line from another.
    fn key(&self) -> Key {
        [&self.task, &self.take, &self.position, &self.phone, &self.mic].map(Clone::clone)
    }
}

type Key = [String; 5];

/// A file of lines.
#[derive(Debug)]
pub struct Results {
    path: PathBuf,
    rows: BTreeMap<Key, Row>,
}

impl Results {
    /// Takes up what is in the file; a missing file is empty, a line that was cut off is left out.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Malformed`] where the file holds something else.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let text = match crate::text::read_text(path) {
            Ok(text) => text,
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let lines = text.lines().collect::<Vec<_>>();
        let mut rows = BTreeMap::new();
        for (n, line) in lines.iter().enumerate() {
            match serde_json::from_str::<Row>(line) {
                Ok(row) if row.schema == SCHEMA => drop(rows.insert(row.key(), row)),
                // The last line of a run that was stopped.
                _ if n + 1 == lines.len() && n > 0 => {}
                _ => {
                    return Err(Error::Malformed {
                        path: path.to_owned(),
                        cause: format!("line {} is no result of agcfix dataset", n + 1),
                        remedy: "name another file for the results".to_owned(),
                    });
                }
            }
        }
        Ok(Self { path: path.to_owned(), rows })
    }

    /// The line that stands for another one: of the same task, recordings and contents, if it succeeded.
    #[must_use]
    pub fn known(&self, row: &Row) -> Option<&Row> {
        self.rows.get(&row.key()).filter(|known| {
            known.error.is_none() && (&known.phone_sha256, &known.mic_sha256) == (&row.phone_sha256, &row.mic_sha256)
        })
    }

    /// Makes the file where there is none.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn touch(&mut self) -> Result<(), Error> {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(&self.path);
        opened.map(drop).map_err(|source| Error::Io { path: self.path.clone(), source })
    }

    /// Takes over the lines of another file. Where both have one, a success stands before a failure.
    ///
    /// # Errors
    /// [`Error::Malformed`] where both have results of one pair from different contents.
    pub fn take_over(&mut self, other: Self) -> Result<(), Error> {
        for (key, row) in other.rows {
            let Some(own) = self.rows.get(&key).filter(|own| own.error.is_none()) else {
                self.rows.insert(key, row);
                continue;
            };
            let is_same = (&own.phone_sha256, &own.mic_sha256) == (&row.phone_sha256, &row.mic_sha256);
            if row.error.is_none() && !is_same {
                return Err(Error::Malformed {
                    path: other.path,
                    cause: format!(
                        "take {}, {}, {} was measured from other contents than in the files before",
                        row.take, row.position, row.phone
                    ),
                    remedy: "run its part again, or leave the file out".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The line of a pair that was made from these contents, if it succeeded.
    #[must_use]
    pub fn done(&self, task: &str, pair: &Pair, phone_sha256: &str, mic_sha256: &str) -> bool {
        let key =
            [task, &pair.phone.take, &pair.phone.position, &pair.phone.device, &pair.mic.device].map(str::to_owned);
        self.rows.get(&key).is_some_and(|row| {
            row.numbers.is_some() && row.phone_sha256 == phone_sha256 && row.mic_sha256 == mic_sha256
        })
    }

    /// Adds a line at the end of the file, at once.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn add(&mut self, row: Row) -> Result<(), Error> {
        let io = |source| Error::Io { path: self.path.clone(), source };
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&self.path).map_err(io)?;
        file.write_all(format!("{}\n", line_of(&row)).as_bytes()).map_err(io)?;
        self.rows.insert(row.key(), row);
        Ok(())
    }

    /// Writes all lines anew, sorted, one a pair.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn finish(&self) -> Result<(), Error> {
        crate::encode::write_atomically(&self.path, true, |writer| {
            self.rows.values().try_for_each(|row| writeln!(writer, "{}", line_of(row)))
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All lines, sorted.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }
}

fn line_of(row: &Row) -> String {
    // A struct of strings and numbers has a JSON form.
    serde_json::to_string(row).unwrap_or_default()
}

/// SHA-256 of a file's contents, in hexadecimal.
///
/// # Errors
/// [`Error::Io`].
pub fn content_hash(path: &Path) -> Result<String, Error> {
    let io = |source| Error::Io { path: path.to_owned(), source };
    let mut file = std::fs::File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut block = vec![0u8; 1 << 16];
    loop {
        match file.read(&mut block).map_err(io)? {
            0 => break,
            len => hash.update(&block[..len]),
        }
    }
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
