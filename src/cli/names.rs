//! Names of the files that are written: templates, and where they are.

use super::failure::Failure;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What stands for the recording's own name, without folder and ending.
const NAME: &str = "{name}";
/// What stands for standard input and standard output.
pub const STANDARD: &str = "-";

/// Whether a name means standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path.as_os_str() == STANDARD
}

/// The names that belong to one recording.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    input: &'a Path,
    folder: Option<&'a Path>,
    is_one_of_several: bool,
}

impl<'a> Names<'a> {
    pub fn new(input: &'a Path, folder: Option<&'a Path>, is_one_of_several: bool) -> Self {
        Self { input, folder, is_one_of_several }
    }

    /// The recording's own name without its ending; sound from standard input has none.
    fn stem(&self) -> OsString {
        let stem = self.input.file_stem().filter(|_| !is_standard(self.input));
        stem.map_or_else(|| OsString::from("recording"), OsString::from)
    }

    /// The name that a file has where none was typed: the recording's own and `ending`, beside it or in the folder.
    pub fn default(&self, ending: &str) -> PathBuf {
        let mut name = self.stem();
        name.push(ending);
        match self.folder {
            Some(folder) => folder.join(name),
            None if is_standard(self.input) => PathBuf::from(name),
            None => self.input.with_file_name(name),
        }
    }

    /// A name as it was typed after `option`, `{name}` filled in; in the folder unless it is absolute.
    pub fn typed(&self, option: &str, typed: &Path) -> Result<PathBuf, Failure> {
        if is_standard(typed) {
            if self.is_one_of_several {
                return Err(Failure::Usage(format!(
                    "{option} -: standard output holds one recording's; name files with {NAME}, as in {option} {NAME}.json"
                )));
            }
            return Ok(typed.to_owned());
        }
        let text = typed.to_string_lossy();
        if self.is_one_of_several && !text.contains(NAME) {
            return Err(Failure::Usage(format!(
                "{option} {text}: every recording needs a file of its own; put {NAME} into the name"
            )));
        }
        let filled = if text.contains(NAME) {
            PathBuf::from(text.replace(NAME, &self.stem().to_string_lossy()))
        } else {
            typed.to_owned()
        };
        Ok(self.folder.map_or_else(|| filled.clone(), |folder| folder.join(&filled)))
    }

    /// [`Names::typed`] where something was typed.
    pub fn optional(&self, option: &str, typed: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
        typed.map(|typed| self.typed(option, typed)).transpose()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn told(failure: Failure) -> String {
        match failure {
            Failure::Input(told) | Failure::Usage(told) | Failure::Refused(told) => told,
        }
    }

    #[test]
    fn templates_are_filled_and_folders_obeyed() {
        let names = |folder| Names::new(Path::new("music/take 1.m4a"), folder, false);
        assert_eq!(names(None).default(".restored.wav"), Path::new("music/take 1.restored.wav"));
        assert_eq!(names(Some(Path::new("out"))).default(".restored.wav"), Path::new("out/take 1.restored.wav"));
        let typed = |folder, name: &str| names(folder).typed("-o", Path::new(name)).unwrap();
        assert_eq!(typed(None, "{name}-x/{name}.wav"), Path::new("take 1-x/take 1.wav"));
        assert_eq!(typed(Some(Path::new("out")), "{name}.wav"), Path::new("out/take 1.wav"));
        assert_eq!(typed(Some(Path::new("out")), "/a/{name}.wav"), Path::new("/a/take 1.wav"));
        assert_eq!(typed(Some(Path::new("out")), "-"), Path::new("-"));
        assert_eq!(Names::new(Path::new("-"), None, false).default(".png"), Path::new("recording.png"));
    }

    #[test]
    fn several_recordings_need_several_names() {
        let names = Names::new(Path::new("a.wav"), None, true);
        assert_eq!(names.typed("--json", Path::new("{name}.json")).unwrap(), Path::new("a.json"));
        assert!(told(names.typed("--json", Path::new("x.json")).unwrap_err()).contains("{name}"));
        assert!(told(names.typed("--json", Path::new("-")).unwrap_err()).contains("standard output"));
    }
}
