//! The recording, from a file or from standard input.

use super::failure::Failure;
use super::names::is_standard;
use agcfix::decode::{self, Decoded, ReadConfig};
use std::io::Read as _;
use std::path::Path;

/// Most bytes taken from standard input: what a WAV file can hold.
const MAX_BYTES: u64 = 1 << 32;

/// Reads a recording; `-` is standard input, read to its end.
pub fn read(input: &Path, config: &ReadConfig) -> Result<Decoded, Failure> {
    if !is_standard(input) {
        return Ok(decode::read_with(input, config)?);
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::Input(format!("- (standard input): {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Failure::Input("- (standard input): more than 4 GiB; give a file, or a part of it".to_owned()));
    }
    Ok(decode::read_bytes_with(bytes, input, config)?)
}
