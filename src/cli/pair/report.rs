//! The HTML reports of pairs: sounds on one clock.

use crate::cli::failure::Failure;
use crate::cli::report::LONGEST_EMBEDDED_S;
use agcfix::pair::align::Alignment;
use agcfix::pair::validate::common;
use agcfix::report::page::{Sound, Track};
use agcfix::{Audio, Error};
use clap::ValueEnum;
use std::path::Path;

/// How the report's sound gets to the listener. It cannot be linked: the files beside the page have clocks of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PairAudio {
    /// In the page
    Embedded,
    /// Not at all
    None,
}

/// Refuses names that no browser would open.
pub fn html_name(path: &Path) -> Result<(), Failure> {
    let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
    match ending.is_some_and(|ending| ending == "html" || ending == "htm") {
        true => Ok(()),
        false => Err(Failure::Usage(format!("--report {}: the name must end in .html", path.display()))),
    }
}

/// Refuses more sound than a page can hold: as much as three tracks of the longest recording.
pub fn check_length(duration_s: f64, audio: PairAudio, page: &Path) -> Result<(), Failure> {
    if audio == PairAudio::Embedded && duration_s > 3.0 * LONGEST_EMBEDDED_S {
        return Err(Failure::Input(format!(
            "{}: {:.0} minutes of sound are too much for one page; use --audio none",
            page.display(),
            duration_s / 60.0
        )));
    }
    Ok(())
}

/// Recordings with the phone's clock, and the microphone behind them: on the microphone's clock, cut to what all hold.
pub fn on_one_clock(
    phones: &[(&str, &Audio)],
    mic: &Audio,
    alignment: &Alignment,
) -> Result<Vec<(String, Audio)>, Error> {
    let mut out = Vec::with_capacity(phones.len() + 1);
    let mut heard = None;
    for (name, phone) in phones {
        let (phone, mic) = common(phone, mic, alignment)?;
        out.push(((*name).to_owned(), phone));
        heard = Some(mic);
    }
    out.extend(heard.map(|mic| ("Microphone".to_owned(), mic)));
    Ok(out)
}

/// The tracks of a page.
pub fn tracks<'a>(sounds: &'a [(String, Audio)], how: PairAudio, page: &Path) -> Result<Vec<Track<'a>>, Failure> {
    check_length(sounds.iter().map(|(_, audio)| audio.duration_s()).sum(), how, page)?;
    let sound = || if how == PairAudio::Embedded { Sound::Embedded } else { Sound::Absent };
    Ok(sounds.iter().map(|(label, audio)| Track { label, audio, sound: sound() }).collect())
}
