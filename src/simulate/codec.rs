//! Lossy coding there and back, by an installed ffmpeg.
//!
//! The sound is written as a floating-point WAV into a temporary folder, coded, decoded by ffmpeg again, and read back.
//! ffmpeg removes the encoder's delay as the file tells it; how well it did is measured by correlation, and told.

use super::{Codec, CodecName, Sound, Told};
use crate::audio::Audio;
use crate::decode;
use crate::encode::{BitDepth, write_wav_file};
use crate::error::Error;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

/// The program that is looked for on the path.
const FFMPEG: &str = "ffmpeg";
/// Rates that Opus knows; others are resampled by ffmpeg on the way.
const OPUS_RATE_HZ: u32 = 48_000;

pub(super) fn round_trip(codec: &Codec, sound: &mut Sound) -> Result<Told, Error> {
    let folder = tempfile::tempdir().map_err(|source| Error::Io { path: std::env::temp_dir(), source })?;
    let (plain, coded, decoded) =
        (folder.path().join("plain.wav"), folder.path().join(file_name(codec)), folder.path().join("decoded.wav"));
    let (sample_len, rate_hz) = (sound.sample_len(), sound.rate_hz);
    let channels = std::mem::take(&mut sound.channels);
    let audio = Audio::new(rate_hz, channels)?;
    write_wav_file(&plain, true, &audio, BitDepth::Float32)?;
    let bit_rate = format!("{}", (codec.bit_rate_kbps * 1000.0).round());
    let (encoder, encoder_rate_hz) = match codec.name {
        CodecName::Aac => ("aac", rate_hz),
        CodecName::Opus => ("libopus", OPUS_RATE_HZ),
    };
    let encoder_rate = encoder_rate_hz.to_string();
    run(&[&"-i", &plain, &"-c:a", &encoder, &"-b:a", &bit_rate, &"-ar", &encoder_rate, &"-bitexact", &coded])?;
    let coded_bytes = std::fs::metadata(&coded).map_or(0, |m| m.len());
    run(&[&"-i", &coded, &"-c:a", &"pcm_f32le", &"-ar", &rate_hz.to_string(), &"-bitexact", &decoded])?;
    let mut channels = decode::read(&decoded)?.audio.into_channels();
    if channels.len() != audio.channels().len() {
        return Err(failed(format!("{} channels came back of {}", channels.len(), audio.channels().len())));
    }
    let decoded_len = channels.first().map_or(0, Vec::len);
    channels.iter_mut().for_each(|channel| channel.resize(sample_len, 0.0));
    let delay_samples = delay(&audio.channels()[0], &channels[0]);
    sound.channels = channels;
    let kbps = coded_bytes as f64 * 8.0 / 1000.0 / audio.duration_s().max(1e-3);
    Ok(Told { delay_samples: delay_samples as f64, ..Told::default() }
        .with("decoded_sample_len", decoded_len)
        .with("file_kbps", (kbps * 10.0).round() / 10.0)
        .with("encoder", encoder))
}

fn file_name(codec: &Codec) -> &'static str {
    match codec.name {
        CodecName::Aac => "coded.m4a",
        CodecName::Opus => "coded.opus",
    }
}

fn run(words: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<(), Error> {
    let mut command = Command::new(FFMPEG);
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-y"]);
    command.args(words.iter().map(|word| word.as_ref()));
    let output = command.stdin(Stdio::null()).output().map_err(|source| match source.kind() {
        ErrorKind::NotFound => Error::Unsupported {
            path: Path::new(FFMPEG).to_owned(),
            what: "a codec without this program, which is not installed,".to_owned(),
            remedy: "install ffmpeg, or leave out the chain's codec".to_owned(),
        },
        _ => Error::Io { path: Path::new(FFMPEG).to_owned(), source },
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(failed(said.lines().last().unwrap_or("it said nothing").trim().to_owned()))
}

fn failed(cause: String) -> Error {
    Error::Invalid {
        what: "codec".to_owned(),
        cause: format!("ffmpeg failed: {cause}"),
        remedy: "try another bit rate or sample rate, or leave out the chain's codec".to_owned(),
    }
}

/// How many samples `y` is later than `x`: the greatest correlation among ±4096, over the loudest second.
fn delay(x: &[f32], y: &[f32]) -> i64 {
    const REACH: i64 = 4096;
    const STRETCH: usize = 16_384;
    let power = |stretch: &[f32]| stretch.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>();
    let from =
        x.chunks(STRETCH).map(power).enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(i, _)| i * STRETCH);
    let stretch = &x[from.min(x.len())..(from + STRETCH).min(x.len())];
    let likeness = |shift: i64| {
        let sum = |(n, x): (usize, &f32)| {
            let at = usize::try_from((from + n) as i64 + shift).ok();
            f64::from(*x) * at.and_then(|at| y.get(at)).map_or(0.0, |y| f64::from(*y))
        };
        stretch.iter().enumerate().map(sum).sum::<f64>()
    };
    if power(stretch) == 0.0 {
        return 0;
    }
    let mut best = (f64::NEG_INFINITY, 0);
    for shift in -REACH..=REACH {
        let likeness = likeness(shift);
        // Of equals, the shorter shift.
        if likeness > best.0 || (likeness == best.0 && shift.abs() < i64::abs(best.1)) {
            best = (likeness, shift);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_delay_is_found_and_silence_has_none() {
        let x: Vec<f32> =
            (0..60_000).map(|n| (1e-6 * f64::from(n).powi(2)).sin() as f32 * (n as f32 / 60_000.0)).collect();
        for shift in [-1500i64, 0, 3, 2112] {
            let y: Vec<f32> = (0..x.len() as i64)
                .map(|n| usize::try_from(n - shift).ok().and_then(|n| x.get(n)).copied().unwrap_or(0.0))
                .collect();
            assert_eq!(delay(&x, &y), shift);
        }
        assert_eq!(delay(&[0.0; 100], &[0.0; 100]), 0);
        assert_eq!(delay(&[], &[]), 0);
    }
}
