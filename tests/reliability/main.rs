//! Nothing breaks it, nothing is lost: odd and broken files, and faults of the system, against the built program.
//!
//! What is promised stands in `docs/reliability.md`. [`inputs`] has the files, [`faults`] the system's faults; both check
//! after every single run that the recording is as it was, that no temporary file is left, and that what was written is whole.
#![cfg(all(feature = "cli", unix))]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

mod faults;
mod inputs;
mod make;
mod metadata;
mod sounds;
mod written;

use std::ffi::OsStr;
use std::fs;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest that any run may take, waiting for a processor that others have not counted.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Longest that any run is waited for, however busy the machine is.
const MAX_WAIT: Duration = Duration::from_secs(150);
/// Most address space that any run gets, in KiB: more than its memory, so 500 MB of memory are never reached.
const MAX_ADDRESS_SPACE_KIB: u32 = 500_000_000 / 1024;

/// A folder to work in.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.at(name), bytes).unwrap();
    }

    /// The program, in this folder, with no more memory than it may have.
    fn program(&self) -> Command {
        self.program_under(&format!("ulimit -v {MAX_ADDRESS_SPACE_KIB}"))
    }

    /// The program behind other shell commands.
    fn program_under(&self, shell: &str) -> Command {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("{shell}; exec \"$0\" \"$@\"")).arg(env!("CARGO_BIN_EXE_agcfix"));
        command.current_dir(self.0.path()).stdin(Stdio::null()).env("RAYON_NUM_THREADS", "2");
        command
    }

    fn run(&self, words: &[&str]) -> Ended {
        Ended::of(self.program().args(words))
    }

    /// Names in the folder, sorted.
    fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.unwrap().file_name();
            name.as_bytes().escape_ascii().to_string()
        };
        let mut names: Vec<String> = fs::read_dir(self.0.path()).unwrap().map(name).collect();
        names.sort();
        names
    }
}

/// How a run ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    signal: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    fn of(command: &mut Command) -> Self {
        Self::of_child(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits, but not for ever.
    fn of_child(mut child: Child) -> Self {
        let drain = |stream: Option<Box<dyn std::io::Read + Send>>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.map(|mut stream| stream.read_to_end(&mut bytes));
                String::from_utf8_lossy(&bytes).into_owned()
            })
        };
        let out = drain(child.stdout.take().map(|stream| Box::new(stream) as _));
        let err = drain(child.stderr.take().map(|stream| Box::new(stream) as _));
        let start = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > MAX_TIME && (own_time(&child, start) > MAX_TIME || start.elapsed() > MAX_WAIT) {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("still running after {MAX_TIME:?}: {}", err.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Self { code: status.code(), signal: status.signal(), out: out.join().unwrap(), err: err.join().unwrap() }
    }

    /// Ended with this code, and without a panic.
    #[track_caller]
    fn is(&self, code: i32) -> &Self {
        assert_eq!((self.code, self.signal), (Some(code), None), "{self:?}");
        assert!(!self.err.contains("panicked") && !self.err.contains("fault of the program"), "{self:?}");
        self
    }

    #[track_caller]
    fn says(&self, words: &str) -> &Self {
        assert!(self.err.contains(words), "{words:?} is not in {self:?}");
        self
    }

    /// Failed with one line that names what it is about and says `words`.
    #[track_caller]
    fn fails(&self, words: &str) -> &Self {
        self.is(1).says(words);
        assert_eq!(self.err.trim_end().lines().count(), 1, "{self:?}");
        assert_eq!(self.out, "");
        self
    }
}

/// How long a run has been going on, less the time that its threads were ready and others had the processor. Where the system does
/// not tell that (Linux does), nothing is taken off.
fn own_time(child: &Child, start: Instant) -> Duration {
    let waited_ns = |task: fs::DirEntry| {
        let told = fs::read_to_string(task.path().join("schedstat")).ok()?;
        told.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    start.elapsed().saturating_sub(Duration::from_nanos(tasks.filter_map(waited_ns).max().unwrap_or(0)))
}

/// Samples of a file that was written; it must be whole.
#[track_caller]
fn written(path: &Path) -> agcfix::Audio {
    let decoded = agcfix::decode::read(path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(decoded.warnings, [], "{}", path.display());
    decoded.audio
}

fn os(bytes: &[u8]) -> &OsStr {
    OsStr::from_bytes(bytes)
}
