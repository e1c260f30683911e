//! The HTML report: which tracks it plays, and from where.

use super::failure::Failure;
use super::outputs::Findings;
use super::typed::AudioChoice;
use agcfix::Config;
use agcfix::analysis::Verdict;
use agcfix::pair::align::{AlignConfig, Outcome, align, mic_on_phone_clock};
use agcfix::report::json::Restoration;
use agcfix::report::page::{Page, Sound, Track, html};
use agcfix::report::story::GainSource;
use agcfix::restore::Restored;
use agcfix::{Audio, decode};
use std::path::{Component, Path, PathBuf};

/// Longest recording whose sound is put into the page, in seconds: beyond, browsers run out of memory.
pub const LONGEST_EMBEDDED_S: f64 = 1_800.0;

/// What the report is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub path: PathBuf,
    pub audio: AudioChoice,
    pub microphone: Option<PathBuf>,
}

/// What the report needs besides the findings.
#[derive(Debug)]
pub struct Extras {
    /// Another recording of the performance.
    microphone: Option<Audio>,
    /// What restoring would give, where nothing is written.
    preview: Option<Restored>,
}

impl Report {
    /// Reads what the report needs and refuses what it cannot hold, before the long work.
    pub fn microphone(&self, recording: &Audio) -> Result<Option<Audio>, Failure> {
        if self.audio == AudioChoice::Embedded && recording.duration_s() > LONGEST_EMBEDDED_S {
            return Err(Failure::Input(format!(
                "{}: {:.0} minutes of sound are too much for one page; use --audio linked or --audio none",
                self.path.display(),
                recording.duration_s() / 60.0
            )));
        }
        self.microphone.as_ref().map(|path| on_its_clock(recording, path)).transpose()
    }
}

/// Another recording of the performance on the clock of this one, so that both are heard at the same moment.
fn on_its_clock(recording: &Audio, path: &Path) -> Result<Audio, Failure> {
    let microphone = decode::read(path)?.audio;
    match align(recording, &microphone, &AlignConfig::default())? {
        Outcome::Aligned(alignment) => Ok(mic_on_phone_clock(recording, &microphone, &alignment)?),
        Outcome::Unrelated { reason } => Err(Failure::Input(format!(
            "{}: this is not the same performance: {reason}; give --microphone a recording made at the same time, or leave \
             it out",
            path.display()
        ))),
    }
}

impl Extras {
    /// What restoring would give is computed only where somebody wants to hear it.
    pub fn of(findings: &Findings<'_>, microphone: Option<Audio>) -> Result<Self, Failure> {
        let is_wanted = findings.result.is_none() && findings.analysis.verdict == Verdict::Agc;
        let restore = || agcfix::restore(&findings.recording.audio, findings.analysis, &Config::default());
        let preview = is_wanted.then(restore).transpose()?;
        Ok(Self { microphone, preview })
    }
}

/// The page, as the bytes of its file.
pub fn page(
    report: &Report,
    findings: &Findings<'_>,
    extras: &Extras,
    restoration: Option<Restoration<'_>>,
) -> Result<Vec<u8>, Failure> {
    let linked = |path: Option<&Path>| match (report.audio, path) {
        (AudioChoice::Embedded, _) => Ok(Sound::Embedded),
        (AudioChoice::Linked, Some(path)) => address(&report.path, path).map(Sound::Linked),
        (AudioChoice::Linked | AudioChoice::None, _) => Ok(Sound::Absent),
    };
    let name = findings.input.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut tracks =
        vec![Track { label: "As recorded", audio: &findings.recording.audio, sound: linked(Some(findings.input))? }];
    let is_changed = |source: GainSource| match source {
        GainSource::Found => findings.analysis.verdict == Verdict::Agc,
        GainSource::LawGiven | GainSource::CurveGiven => true,
        GainSource::NoneGiven => false,
    };
    match (&findings.result, &extras.preview) {
        (Some(result), _) if is_changed(result.source) => {
            let (audio, sound) = (&result.restored.audio, linked(Some(result.output))?);
            tracks.push(Track { label: "Restored", audio, sound });
        }
        (None, Some(preview)) => tracks.push(Track { label: "Restored", audio: &preview.audio, sound: linked(None)? }),
        _ => {}
    }
    if let Some(audio) = &extras.microphone {
        let sound = if report.audio == AudioChoice::None { Sound::Absent } else { Sound::Embedded };
        tracks.push(Track { label: "Microphone", audio, sound });
    }
    Ok(html(&Page { name: &name, analysis: findings.analysis, restoration, tracks })?.into_bytes())
}

/// The way from the page's folder to a file, with slashes.
pub fn address(page: &Path, file: &Path) -> Result<String, Failure> {
    let whole = |path: &Path| std::path::absolute(path).map_err(|e| Failure::Input(format!("{}: {e}", path.display())));
    let (page, file) = (whole(page)?, whole(file)?);
    let folder: Vec<Component<'_>> = page.parent().unwrap_or(&page).components().collect();
    let target: Vec<Component<'_>> = file.components().collect();
    let common = folder.iter().zip(&target).take_while(|(a, b)| a == b).count();
    if common == 0 {
        let cause = "it is on another drive than the page; write the page beside it, or use --audio embedded";
        return Err(Failure::Input(format!("{}: {cause}", file.display())));
    }
    let up = std::iter::repeat_n("..".to_owned(), folder.len() - common);
    let down = target[common..].iter().map(|part| part.as_os_str().to_string_lossy().into_owned());
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    #[test]
    fn an_address_leads_from_the_page_to_the_file() {
        let way = |page: &str, file: &str| address(Path::new(page), Path::new(file)).unwrap();
        assert_eq!(way("a/page.html", "a/take 1.m4a"), "take 1.m4a");
        assert_eq!(way("a/b/page.html", "a/take.m4a"), "../take.m4a");
        assert_eq!(way("page.html", "music/take.m4a"), "music/take.m4a");
        assert_eq!(way("/x/page.html", "/y/z/take.m4a"), "../y/z/take.m4a");
    }
}
