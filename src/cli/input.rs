//! The recording, from a file or from standard input.

use super::failure::Failure;
use super::names::is_standard;
use agcfix::decode::{self, Decoded, Keep, Opened, ReadConfig};
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// Most bytes taken from standard input: what a WAV file can hold.
const MAX_BYTES: u64 = 1 << 32;
/// Bytes of standard input that are held in memory; more is put aside on disk.
const MAX_HELD_BYTES: u64 = 1 << 26;

/// Reads a recording into memory; `-` is standard input, read to its end.
pub fn read(input: &Path, config: &ReadConfig) -> Result<Decoded, Failure> {
    let opened = open_keeping(input, config, &Keep { most_held_samples: usize::MAX, folder: Some(scratch()) })?;
    opened.into_decoded().map_err(|_| Failure::Input(format!("{}: too long for the memory", input.display())))
}

/// Opens a recording; a long one stays on disk.
pub fn open(input: &Path, config: &ReadConfig) -> Result<Opened, Failure> {
    open_keeping(input, config, &Keep { folder: Some(scratch()), ..Keep::default() })
}

fn open_keeping(input: &Path, config: &ReadConfig, keep: &Keep) -> Result<Opened, Failure> {
    if !is_standard(input) {
        return Ok(decode::open(input, config, keep)?);
    }
    let failed = |error| Failure::Input(format!("- (standard input): {error}"));
    let mut standard = std::io::stdin().lock().take(MAX_BYTES + 1);
    let mut bytes = Vec::new();
    standard.by_ref().take(MAX_HELD_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    if (bytes.len() as u64) < MAX_HELD_BYTES {
        return Ok(decode::open_bytes(bytes, input, config, keep)?);
    }
    let mut file: File = tempfile::tempfile_in(scratch()).map_err(failed)?;
    file.write_all(&bytes).map_err(failed)?;
    drop(bytes);
    std::io::copy(&mut standard, &mut file).map_err(failed)?;
    if standard.limit() == 0 {
        return Err(Failure::Input("- (standard input): more than 4 GiB; give a file, or a part of it".to_owned()));
    }
    file.rewind().map_err(failed)?;
    Ok(decode::open_file(file, input, config, keep)?)
}

/// The folder for temporary files that may be as large as recordings: what `TMPDIR` says, else `/var/tmp`, which unlike `/tmp`
/// is never kept in memory, where there is one.
pub fn scratch() -> PathBuf {
    let lasting = Path::new("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && lasting.is_dir() { lasting.to_owned() } else { std::env::temp_dir() }
}
