//! Files that appear whole or not at all, several of them together or not at all.
//!
//! Each is written into a temporary file beside its target, flushed and synced; when all are there they are renamed, one
//! after the other. If a rename fails, those before it are taken back.

use super::{BitDepth, Written, write_wav};
use crate::audio::Audio;
use crate::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tempfile::{NamedTempFile, TempPath};

/// Bytes that are gathered before they are written.
const BUFFER_BYTES: usize = 1 << 18;

/// Writes a file so that it appears whole or not at all: into a temporary file beside it, flushed, synced, renamed.
///
/// An existing file is replaced with `force` only. Until the rename, and after any failure, the target is as it was
/// and the temporary file is gone.
///
/// # Errors
/// [`Error::Io`] with `path`: whatever `write` or the system says, and [`io::ErrorKind::AlreadyExists`] for an existing
/// target without `force`.
pub fn write_atomically<T>(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>,
) -> Result<T, Error> {
    let mut batch = Batch::new(force);
    let result = batch.add(path, write)?;
    batch.commit()?;
    Ok(result)
}

/// Writes a recording as a WAV file, whole or not at all.
///
/// # Errors
/// As [`write_atomically`] and [`write_wav`].
pub fn write_wav_file(path: &Path, force: bool, audio: &Audio, bits: BitDepth) -> Result<Written, Error> {
    write_atomically(path, force, |writer| write_wav(writer, audio, bits))
}

/// Several files that appear together or not at all.
///
/// [`Batch::add`] writes each into a temporary file, [`Batch::commit`] puts all in their places. A batch that is dropped
/// before that, or aborted, leaves nothing behind.
#[derive(Debug)]
pub struct Batch {
    is_forced: bool,
    staged: Vec<Staged>,
    state: Arc<Mutex<State>>,
}

/// A file that is written but not in its place yet.
#[derive(Debug)]
struct Staged {
    temporary: NamedTempFile,
    target: PathBuf,
}

/// What a batch shares with those who may abort it.
#[derive(Debug, Default)]
struct State {
    outcome: Outcome,
    temporary: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Outcome {
    #[default]
    Open,
    Aborted,
    Committed,
}

/// Aborts a [`Batch`] from another thread, such as one that waits for signals.
#[derive(Debug, Clone)]
pub struct Abort(Arc<Mutex<State>>);

impl Abort {
    /// Removes the temporary files, and makes the batch fail with [`Error::Cancelled`]; waits for a commit that has begun.
    /// Returns `false` where all files are in their places already.
    #[must_use]
    pub fn abort(&self) -> bool {
        let mut state = locked(&self.0);
        if state.outcome == Outcome::Committed {
            return false;
        }
        state.outcome = Outcome::Aborted;
        for path in state.temporary.drain(..) {
            // Whoever comes first removes it.
            let _ = fs::remove_file(path);
        }
        true
    }
}

/// Every batch of this process that is not done.
static OPEN: Mutex<Vec<Weak<Mutex<State>>>> = Mutex::new(Vec::new());
/// Whether any batch of this process has put its files in their places.
static IS_ANY_COMMITTED: AtomicBool = AtomicBool::new(false);

/// Aborts every batch of this process, as [`Abort::abort`] does one, and keeps new ones from beginning: for a program that
/// is about to end. Returns whether files had been put in their places before.
#[must_use]
pub fn abort_all() -> bool {
    let open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    let states: Vec<Arc<Mutex<State>>> = open.iter().filter_map(Weak::upgrade).collect();
    for state in states {
        // Whether it was too late is told by what is committed.
        let _ = Abort(state).abort();
    }
    // Whoever begins another waits, until the process is gone.
    std::mem::forget(open);
    IS_ANY_COMMITTED.load(Ordering::SeqCst)
}

/// A thread that panicked while it held the lock has left a list that is still true.
fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Batch {
    /// An empty batch; `force` allows it to replace files that exist.
    #[must_use]
    pub fn new(force: bool) -> Self {
        let state = Arc::default();
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|state| state.strong_count() > 0);
        open.push(Arc::downgrade(&state));
        Self { is_forced: force, staged: vec![], state }
    }

    /// The means to abort it from another thread.
    #[must_use]
    pub fn abort_handle(&self) -> Abort {
        Abort(Arc::clone(&self.state))
    }

    /// Writes one file beside `path`; it comes to its place with [`Batch::commit`].
    ///
    /// # Errors
    /// [`Error::Io`] with `path`: whatever `write` or the system says, and [`io::ErrorKind::AlreadyExists`] for an existing
    /// target without `force`; [`Error::Cancelled`] after an abort.
    pub fn add<T>(
        &mut self,
        path: &Path,
        write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>,
    ) -> Result<T, Error> {
        let mut temporary = self.begin(path)?;
        let fill = |file: &mut File| {
            let mut writer = BufWriter::with_capacity(BUFFER_BYTES, file);
            let result = write(&mut writer)?;
            writer.flush()?;
            Ok(result)
        };
        let written = fill(temporary.as_file_mut());
        let synced = written.and_then(|result| temporary.as_file().sync_all().map(|()| result));
        self.staged.push(Staged { temporary, target: path.to_owned() });
        if locked(&self.state).outcome == Outcome::Aborted {
            return Err(Error::Cancelled);
        }
        synced.map_err(|source| Error::Io { path: path.to_owned(), source })
    }

    /// Makes the temporary file, and notes it before anybody could want to remove it.
    fn begin(&self, path: &Path) -> Result<NamedTempFile, Error> {
        let io = |source| Error::Io { path: path.to_owned(), source };
        if path.is_dir() {
            return Err(io(io::Error::new(io::ErrorKind::IsADirectory, "this is a directory")));
        }
        if !self.is_forced && path.symlink_metadata().is_ok() {
            return Err(io(exists()));
        }
        let mut builder = tempfile::Builder::new();
        builder.prefix(".agcfix-").suffix(".part");
        #[cfg(unix)]
        {
            // As any new file: the process's umask takes its part. tempfile's own default is private to the user.
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let mut state = locked(&self.state);
        if state.outcome != Outcome::Open {
            return Err(Error::Cancelled);
        }
        let temporary = builder.tempfile_in(folder_of(path)).map_err(io)?;
        state.temporary.push(temporary.path().to_owned());
        Ok(temporary)
    }

    /// Puts all files in their places, or none.
    ///
    /// # Errors
    /// [`Error::Io`] with the file that could not be put in its place; [`Error::Cancelled`] after an abort.
    pub fn commit(mut self) -> Result<(), Error> {
        let mut state = locked(&self.state);
        if state.outcome != Outcome::Open {
            return Err(Error::Cancelled);
        }
        let mut done: Vec<Placed> = Vec::new();
        for staged in self.staged.drain(..) {
            let target = staged.target.clone();
            match staged.place(self.is_forced) {
                Ok(placed) => done.push(placed),
                Err(source) => {
                    done.into_iter().rev().for_each(Placed::take_back);
                    return Err(Error::Io { path: target, source });
                }
            }
        }
        state.outcome = Outcome::Committed;
        IS_ANY_COMMITTED.store(true, Ordering::SeqCst);
        let mut folders: Vec<PathBuf> = done.iter().map(|placed| folder_of(&placed.target)).collect();
        folders.dedup();
        for folder in folders {
            // The renames reach the disk with their folder. Some file systems cannot sync a folder; the files are whole
            // without it.
            #[cfg(unix)]
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
            #[cfg(not(unix))]
            let _ = folder;
        }
        Ok(())
    }
}

/// A file in its place, and the one that was there before.
struct Placed {
    target: PathBuf,
    before: Option<TempPath>,
}

impl Staged {
    fn place(self, is_forced: bool) -> io::Result<Placed> {
        let Self { temporary, target } = self;
        if !is_forced {
            temporary.persist_noclobber(&target).map_err(|error| match error.error.kind() {
                io::ErrorKind::AlreadyExists => exists(),
                _ => error.error,
            })?;
            return Ok(Placed { target, before: None });
        }
        let before = match target.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "this is a directory"));
            }
            Ok(found) => {
                if found.is_file() {
                    // The new file is for the same people as the old one; where that cannot be said, the umask's will do.
                    let _ = temporary.as_file().set_permissions(found.permissions());
                }
                Some(keep(&target)?)
            }
            Err(_) => None,
        };
        let placed = Placed { target, before };
        match temporary.persist(&placed.target) {
            Ok(_) => Ok(placed),
            Err(error) => {
                placed.restore_before();
                Err(error.error)
            }
        }
    }
}

/// Gives a file a second name until all is done: a link where the file system has links, so that its place is never empty.
fn keep(target: &Path) -> io::Result<TempPath> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".agcfix-").suffix(".old");
    let folder = folder_of(target);
    let linked = builder.make_in(&folder, |path| fs::hard_link(target, path));
    let kept = linked.or_else(|_| builder.make_in(&folder, |path| fs::rename(target, path)))?;
    Ok(kept.into_temp_path())
}

impl Placed {
    fn take_back(self) {
        if self.before.is_none() {
            // Nothing better can be done about a failure of this.
            let _ = fs::remove_file(&self.target);
        }
        self.restore_before();
    }

    fn restore_before(mut self) {
        if let Some(before) = self.before.take() {
            // Where even this fails, the old file keeps its second name rather than being lost.
            if let Err(failed) = before.persist(&self.target) {
                let _ = failed.path.keep();
            }
        }
    }
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn exists() -> io::Error {
    io::Error::new(io::ErrorKind::AlreadyExists, "the file exists already; choose another name or use --force")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
    use super::*;

    /// Names in a folder, sorted.
    fn names(folder: &Path) -> Vec<String> {
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
        names.sort();
        names
    }

    fn put(batch: &mut Batch, path: &Path, text: &str) {
        batch.add(path, |writer| writer.write_all(text.as_bytes())).unwrap();
    }

    #[test]
    fn files_appear_together() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("a"), "old").unwrap();
        let mut batch = Batch::new(true);
        put(&mut batch, &at("a"), "new a");
        put(&mut batch, &at("b"), "new b");
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "old");
        assert!(!at("b").exists());
        batch.commit().unwrap();
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "new a");
        assert_eq!(names(folder.path()), ["a", "b"]);
    }

    #[test]
    fn a_file_that_cannot_be_placed_takes_the_others_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for force in [false, true] {
            if force {
                fs::write(at("a"), "old").unwrap();
            }
            let mut batch = Batch::new(force);
            for name in ["a", "b", "c"] {
                put(&mut batch, &at(name), "new");
            }
            // Somebody makes a folder of that name in the meantime.
            fs::create_dir(at("c")).unwrap();
            let error = batch.commit().unwrap_err();
            assert!(matches!(&error, Error::Io { path, .. } if *path == at("c")), "{error}");
            assert_eq!(names(folder.path()), if force { vec!["a", "c"] } else { vec!["c"] });
            fs::remove_dir(at("c")).unwrap();
        }
        assert_eq!(fs::read_to_string(at("a")).unwrap(), "old");
    }

    #[test]
    fn a_writer_that_fails_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut batch = Batch::new(false);
        put(&mut batch, &folder.path().join("a"), "new");
        let failed = batch.add(&folder.path().join("b"), |writer| {
            writer.write_all(&[0; 1 << 20])?;
            Err::<(), _>(io::Error::from(io::ErrorKind::StorageFull))
        });
        assert!(matches!(failed, Err(Error::Io { .. })));
        drop(batch);
        assert_eq!(names(folder.path()), [""; 0]);
    }

    #[test]
    fn an_abort_removes_what_is_there_and_stops_what_would_come() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut batch = Batch::new(false);
        let abort = batch.abort_handle();
        put(&mut batch, &at("a"), "new");
        // In the middle of a write.
        let cut_off = batch.add(&at("b"), |writer| {
            assert!(abort.abort());
            writer.write_all(b"half")
        });
        assert!(matches!(cut_off, Err(Error::Cancelled)));
        assert_eq!(names(folder.path()), [""; 0]);
        assert!(matches!(batch.add(&at("c"), |_| Ok(())), Err(Error::Cancelled)));
        assert!(matches!(batch.commit(), Err(Error::Cancelled)));
        assert_eq!(names(folder.path()), [""; 0]);

        let mut batch = Batch::new(false);
        let abort = batch.abort_handle();
        put(&mut batch, &at("a"), "new");
        batch.commit().unwrap();
        assert!(!abort.abort());
        assert_eq!(names(folder.path()), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_keeps_its_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write_atomically(&path, true, |writer| writer.write_all(b"new")).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    }
}
