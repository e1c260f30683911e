//! Kind refusals: what the file is, and the one command that turns it into something that is read.

use crate::audio::MAX_CHANNELS;
use crate::error::Error;
use std::path::{Path, PathBuf};

/// A codec or container that is known but not read.
pub(super) fn unsupported(path: &Path, what: &str) -> Error {
    // 32-bit float: whatever the decoder puts out arrives here unclipped and undithered.
    refusal(path, what.to_owned(), "-c:a pcm_f32le")
}

pub(super) fn unsupported_rate(path: &Path, sample_rate_hz: u32) -> Error {
    let what = format!("a sample rate of {sample_rate_hz} Hz (8000 to 192000 Hz can be analysed)");
    refusal(path, what, "-ar 48000 -c:a pcm_f32le")
}

pub(super) fn unsupported_channels(path: &Path, channel_len: usize) -> Error {
    let what = format!("sound of {channel_len} channels (1 to {MAX_CHANNELS} can be analysed together)");
    refusal(path, what, "-ac 2 -c:a pcm_f32le")
}

fn refusal(path: &Path, what: String, options: &str) -> Error {
    let command = format!("ffmpeg -i {} -vn {options} {}", quoted(path), quoted(&converted(path)));
    Error::Unsupported { path: path.to_owned(), what, remedy: format!("convert it first: {command}") }
}

/// The converted file's name, which is never the input's.
fn converted(path: &Path) -> PathBuf {
    let is_wav = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("wav"));
    path.with_extension(if is_wav { "converted.wav" } else { "wav" })
}

/// The path as it is typed in a shell.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    // ffmpeg would take a leading dash for an option.
    let text = if text.starts_with('-') { format!("./{text}") } else { text.into_owned() };
    let plain = |c: char| c.is_alphanumeric() || "._-/+,:@%\\".contains(c);
    if !text.is_empty() && text.chars().all(plain) && (cfg!(windows) || !text.contains('\\')) {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_command_survives_spaces_quotes_dashes_and_never_overwrites_its_input() {
        let command = |name: &str| unsupported(Path::new(name), "Opus").to_string();
        assert!(command("a b.opus").ends_with("ffmpeg -i 'a b.opus' -vn -c:a pcm_f32le 'a b.wav'"));
        assert!(command("it's.opus").contains(r"-i 'it'\''s.opus'"));
        assert!(command("-x.opus").contains("-i ./-x.opus -vn -c:a pcm_f32le ./-x.wav"));
        assert!(command("x.WAV").contains("-i x.WAV -vn -c:a pcm_f32le x.converted.wav"));
    }
}
