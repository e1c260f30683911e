//! Files that are to be written: every conflict is found before the work begins.

use super::failure::Failure;
use super::outputs::Outputs;
use std::path::{Path, PathBuf};

/// One file that is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The option that asked for it.
    pub option: &'static str,
    pub path: &'a Path,
}

/// Refuses targets that are the input, each other, exist already, or cannot be made.
pub fn check(input: &Path, targets: &[Target<'_>], is_forced: bool) -> Result<(), Failure> {
    for (i, target) in targets.iter().enumerate() {
        let refuse = |cause: String| Err(Failure::Input(format!("{}: {cause}", target.path.display())));
        if target.path.file_name().is_none() {
            return refuse(format!("this is no file name; give {} a file", target.option));
        }
        if is_same(target.path, input) {
            return refuse(format!("this is the recording itself; give {} another name", target.option));
        }
        if let Some(other) = targets[..i].iter().find(|other| is_same(target.path, other.path)) {
            return refuse(format!("{} and {} name the same file; give each its own", other.option, target.option));
        }
        if !folder_of(target.path).is_dir() {
            let folder = folder_of(target.path);
            return refuse(format!("the folder {} does not exist; make it first", folder.display()));
        }
        // Renaming over a device or a folder would not write to it but replace it.
        match (target.path.metadata(), target.path.symlink_metadata()) {
            (Ok(found), _) if found.is_dir() => return refuse("this is a folder; name a file in it".to_owned()),
            (Ok(found), _) if !found.is_file() => return refuse("this is not a regular file; name another".to_owned()),
            (_, Ok(_)) if !is_forced => {
                return refuse("the file exists already; choose another name or use --force".to_owned());
            }
            _ => {}
        }
    }
    Ok(())
}

/// Refuses outputs that one recording would take from another, or from its input.
pub fn check_all(plans: &[(&Path, &Outputs)]) -> Result<(), Failure> {
    let mut seen: Vec<(&Path, &Path)> = Vec::new();
    for (input, outputs) in plans {
        for target in outputs.targets() {
            let refuse = |cause: String| Err(Failure::Input(format!("{}: {cause}", target.path.display())));
            if let Some((other, _)) = seen.iter().find(|(other, path)| other != input && is_same(path, target.path)) {
                let (a, b) = (other.display(), input.display());
                return refuse(format!("{a} and {b} would both be written here; use --output-dir, or one at a time"));
            }
            if let Some((other, _)) = plans.iter().find(|(other, _)| other != input && is_same(other, target.path)) {
                return refuse(format!("this is the recording {} itself; choose another name", other.display()));
            }
            seen.push((input, target.path));
        }
    }
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Whether two names lead to one file: by spelling, by folder, by symbolic or by hard link.
fn is_same(a: &Path, b: &Path) -> bool {
    if a == b || resolved(a).is_some_and(|a| Some(a) == resolved(b)) {
        return true;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        if let (Ok(a), Ok(b)) = (a.metadata(), b.metadata()) {
            return (a.dev(), a.ino()) == (b.dev(), b.ino());
        }
    }
    false
}

/// The one name of a file without links, also where the file is yet to be made.
fn resolved(path: &Path) -> Option<PathBuf> {
    path.canonicalize()
        .or_else(|_| folder_of(path).canonicalize().map(|folder| folder.join(path.file_name().unwrap_or_default())))
        .ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use std::fs;

    fn told(input: &Path, paths: &[&Path], is_forced: bool) -> String {
        let options = ["-o", "--plot"];
        let targets: Vec<Target<'_>> =
            paths.iter().zip(options).map(|(path, option)| Target { option, path }).collect();
        match check(input, &targets, is_forced) {
            Ok(()) => String::new(),
            Err(Failure::Input(message) | Failure::Usage(message) | Failure::Refused(message)) => message,
        }
    }

    #[test]
    fn the_recording_is_safe_from_every_name_it_has() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in.wav"), "x").unwrap();
        fs::hard_link(at("in.wav"), at("hard.wav")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(at("in.wav"), at("soft.wav")).unwrap();
        fs::create_dir(at("sub")).unwrap();
        for name in [
            "in.wav",
            "hard.wav",
            "sub/../in.wav",
            #[cfg(unix)]
            "soft.wav",
        ] {
            assert!(told(&at("in.wav"), &[&at(name)], true).contains("the recording itself"), "{name}");
        }
    }

    #[test]
    fn what_exists_needs_force_and_what_cannot_be_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("in.wav"), "x").unwrap();
        fs::write(at("old.wav"), "x").unwrap();
        let input = at("in.wav");
        assert_eq!(told(&input, &[&at("new.wav"), &at("new.png")], false), "");
        assert!(told(&input, &[&at("old.wav")], false).contains("--force"));
        assert_eq!(told(&input, &[&at("old.wav")], true), "");
        assert!(told(&input, &[&at("new.wav"), &at("./new.wav")], true).contains("-o and --plot name the same file"));
        assert!(told(&input, &[&at("no/new.wav")], true).contains("does not exist"));
        assert!(told(&input, &[folder.path()], true).contains("folder"));
        assert!(told(&input, &[Path::new("..")], true).contains("no file name"));
        assert!(told(&input, &[Path::new("")], true).contains("no file name"));
        #[cfg(unix)]
        assert!(told(&input, &[Path::new("/dev/null")], true).contains("not a regular file"));
    }
}
