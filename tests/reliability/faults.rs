//! Faults of the system and of the person at the keyboard, one test a scenario.

use super::make::{fmt, plain, tone, wav};
use super::{Desk, Ended, MAX_WAIT, os, written};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const NONE: [&str; 4] = ["restore", "in.wav", "--law", "none"];

/// A recording of a tenth of a second, and the bytes it must still have in the end.
fn desk() -> (Desk, Vec<u8>) {
    let desk = Desk::new();
    let recording = plain(&tone(800));
    desk.put("in.wav", &recording);
    (desk, recording)
}

fn restore<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&NONE[..], words].concat()
}

#[track_caller]
fn only_the_recording(desk: &Desk, recording: &[u8]) {
    assert_eq!(desk.names(), ["in.wav"]);
    assert!(fs::read(desk.at("in.wav")).unwrap() == recording);
}

// ---- The recording --------------------------------------------------------------------------------------------------

#[test]
fn a_recording_that_is_not_there() {
    let (desk, _) = desk();
    for name in ["absent.wav", "no/folder.wav", "in.wav/", "in.wav/x", "-"] {
        desk.run(&["restore", "--law", "none", "--", name]).fails(name.trim_end_matches('/'));
    }
    assert_eq!(desk.names(), ["in.wav"]);
}

#[test]
fn a_recording_that_is_no_file() {
    let (desk, _) = desk();
    fs::create_dir(desk.at("folder.wav")).unwrap();
    assert!(Command::new("mkfifo").arg(desk.at("pipe.wav")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(desk.at("socket.wav")).unwrap();
    symlink("loop.wav", desk.at("loop.wav")).unwrap();
    symlink("nowhere", desk.at("dangling.wav")).unwrap();
    for (name, words) in [
        ("folder.wav", "this is a directory"),
        ("pipe.wav", "this is not a regular file"),
        ("socket.wav", "this is not a regular file"),
        ("/dev/zero", "this is not a regular file"),
        ("/dev/full", "this is not a regular file"),
        ("/dev/null", "this is not a regular file"),
        ("loop.wav", "loop.wav: "),
        ("dangling.wav", "check the name"),
        (".", "this is a directory"),
    ] {
        for command in ["analyze", "restore"] {
            // The default name of the output must not be what fails.
            let output: &[&str] = if command == "restore" { &["-o", "out.wav", "--law", "none"] } else { &[] };
            desk.run(&[&[command, name], output].concat()).fails(words);
        }
    }
    assert!(fs::metadata(desk.at("pipe.wav")).unwrap().file_type().is_fifo());
}

#[test]
fn a_recording_that_cannot_be_read() {
    // Memory that is not there: reading fails with an I/O error also for the superuser.
    let (desk, recording) = desk();
    desk.run(&["restore", "/proc/self/mem", "--law", "none", "-o", "out.wav"]).fails("/proc/self/mem: ");
    if !is_superuser() {
        fs::set_permissions(desk.at("in.wav"), fs::Permissions::from_mode(0o000)).unwrap();
        desk.run(&restore(&[])).fails("in.wav: ");
        fs::set_permissions(desk.at("in.wav"), fs::Permissions::from_mode(0o644)).unwrap();
    }
    only_the_recording(&desk, &recording);
}

#[test]
fn a_recording_behind_links_and_strange_names() {
    let (desk, recording) = desk();
    fs::create_dir(desk.at("far")).unwrap();
    symlink(desk.at("in.wav"), desk.at("far/link.wav")).unwrap();
    desk.run(&["restore", "far/link.wav", "--law", "none"]).is(0);
    assert!(desk.at("far/link.restored.wav").is_file(), "beside the link, where it was asked for");
    for name in [
        &b"caf\xe9.wav"[..],
        b"two\nlines.wav",
        b" .wav",
        b"it's \"$HOME\" *.wav",
        b"\xff\xfe.wav",
        "Прелюдия.wav".as_bytes(),
    ] {
        fs::write(desk.at(os(name)), &recording).unwrap();
        let ended = Ended::of(desk.program().args(["restore", "--law", "none", "--"]).arg(os(name)));
        ended.is(0);
        let mut stem = name[..name.len() - 4].to_vec();
        stem.extend(b".restored.wav");
        assert_eq!(written(&desk.at(os(&stem))).sample_len(), 800);
    }
    fs::write(desk.at("-o.wav"), &recording).unwrap();
    desk.run(&["restore", "--law", "none", "--", "-o.wav"]).is(0);
    assert!(desk.at("-o.restored.wav").is_file());
}

#[test]
fn a_name_too_long_for_a_second_one() {
    let (desk, recording) = desk();
    let name = format!("{}.wav", "x".repeat(251));
    fs::rename(desk.at("in.wav"), desk.at(&name)).unwrap();
    desk.run(&["restore", &name, "--law", "none"]).fails("too long").says("give -o another name");
    desk.run(&["restore", &name, "--law", "none", "-o", "in.wav"]).is(0);
    fs::remove_file(desk.at("in.wav")).unwrap();
    fs::rename(desk.at(&name), desk.at("in.wav")).unwrap();
    let long = format!("{}.wav", "y".repeat(300));
    desk.run(&restore(&["-o", &long])).fails("too long");
    let deep = format!("{}out.wav", "./".repeat(3000));
    desk.run(&restore(&["-o", &deep])).fails("out.wav: ");
    only_the_recording(&desk, &recording);
}

// ---- The results ----------------------------------------------------------------------------------------------------

#[test]
fn a_result_that_is_the_recording_by_any_path() {
    let (desk, recording) = desk();
    fs::create_dir(desk.at("far")).unwrap();
    symlink(desk.at("in.wav"), desk.at("soft.wav")).unwrap();
    symlink(desk.0.path(), desk.at("far/back")).unwrap();
    fs::hard_link(desk.at("in.wav"), desk.at("hard.wav")).unwrap();
    let absolute = desk.at("in.wav").display().to_string();
    for name in ["in.wav", "./in.wav", "far/../in.wav", "far/back/in.wav", "soft.wav", "hard.wav", &absolute] {
        desk.run(&restore(&["-o", name, "--force"])).fails("this is the recording itself");
        desk.run(&restore(&["-o", "out.wav", "--gain-out", name, "--force"])).fails("this is the recording itself");
        desk.run(&["analyze", "in.wav", "--json", name, "--force"]).fails("this is the recording itself");
    }
    assert!(fs::read(desk.at("in.wav")).unwrap() == recording);
    assert!(!desk.at("out.wav").exists());
}

#[test]
fn a_result_that_exists_is_not_overwritten() {
    let (desk, recording) = desk();
    desk.put("old.wav", "precious");
    symlink("nowhere", desk.at("dangling.wav")).unwrap();
    desk.run(&restore(&["-o", "old.wav"])).fails("--force");
    desk.run(&restore(&["-o", "dangling.wav"])).fails("--force");
    desk.run(&restore(&["-o", "new.wav", "--json", "old.wav"])).fails("--force");
    assert_eq!(fs::read(desk.at("old.wav")).unwrap(), b"precious");
    assert_eq!(desk.names(), ["dangling.wav", "in.wav", "old.wav"]);
    // Forced, the link is replaced and not what it leads to.
    symlink("old.wav", desk.at("soft.wav")).unwrap();
    desk.run(&restore(&["-o", "soft.wav", "--force"])).is(0);
    assert_eq!(fs::read(desk.at("old.wav")).unwrap(), b"precious");
    assert!(desk.at("soft.wav").symlink_metadata().unwrap().is_file());
    assert!(fs::read(desk.at("in.wav")).unwrap() == recording);
}

#[test]
fn a_result_that_cannot_be_a_file() {
    let (desk, recording) = desk();
    for (name, words) in [
        ("no/folder/out.wav", "does not exist"),
        (".", "this is no file name"),
        ("..", "this is no file name"),
        ("/dev/null", "not a regular file"),
        ("/dev/full", "not a regular file"),
        ("/dev/stdout", "not a regular file"),
        ("in.wav/out.wav", "does not exist"),
        ("/", "this is no file name"),
    ] {
        desk.run(&restore(&["-o", name, "--force"])).fails(words);
    }
    desk.run(&restore(&["-o", "out.wav", "--json", "out.wav"])).fails("name the same file");
    desk.run(&restore(&["-o", "out.wav", "--json", "./out.wav", "--force"])).fails("name the same file");
    only_the_recording(&desk, &recording);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_told_before_the_work() {
    let (desk, recording) = desk();
    // Where even the superuser cannot make files.
    desk.run(&restore(&["-o", "/proc/out.wav"])).fails("name a folder that can be written to");
    desk.run(&restore(&["-o", "out.wav", "--json", "/proc/out.json"])).fails("with --json");
    if !is_superuser() {
        fs::create_dir(desk.at("locked")).unwrap();
        fs::set_permissions(desk.at("locked"), fs::Permissions::from_mode(0o555)).unwrap();
        desk.run(&restore(&["-o", "locked/out.wav"])).fails("name a folder that can be written to");
        fs::remove_dir(desk.at("locked")).unwrap();
    }
    only_the_recording(&desk, &recording);
}

#[test]
fn a_result_is_as_readable_as_the_user_has_it() {
    let (desk, _) = desk();
    for (umask, mode) in [("022", 0o644), ("077", 0o600)] {
        Ended::of(desk.program_under(&format!("umask {umask}")).args(restore(&["-o", "out.wav", "--force"]))).is(0);
        assert_eq!(desk.at("out.wav").metadata().unwrap().mode() & 0o777, mode);
        fs::remove_file(desk.at("out.wav")).unwrap();
    }
}

#[test]
fn two_runs_for_one_name_leave_one_whole_file() {
    let (desk, recording) = desk();
    for round in 0..5 {
        let words = restore(&["-o", "out.wav"]);
        let start = || desk.program().args(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let both = [start(), start()].map(Ended::of_child);
        let mut codes = both.each_ref().map(|ended| ended.code.unwrap());
        codes.sort_unstable();
        assert_eq!(codes, [0, 1], "round {round}: {both:?}");
        assert_eq!(written(&desk.at("out.wav")).sample_len(), 800);
        fs::remove_file(desk.at("out.wav")).unwrap();
    }
    only_the_recording(&desk, &recording);
}

// ---- The disk -------------------------------------------------------------------------------------------------------

fn is_superuser() -> bool {
    fs::metadata("/proc/self").is_ok_and(|found| found.uid() == 0)
}

/// Runs the program on a file system of its own, `disk`, of 64 kB. `None` where the system does not let tests mount.
fn on_a_small_disk(desk: &Desk, prepare: &str, words: &[&str]) -> Option<Ended> {
    fs::create_dir_all(desk.at("disk")).unwrap();
    let possible = Command::new("unshare").args(["-rm", "true"]).stderr(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        println!("skipped: this system does not let tests mount a disk of their own");
        return None;
    }
    // What is on the disk in the end is told behind the program's own output.
    let script =
        format!("mount -t tmpfs -o size=64k none disk && {prepare} \"$0\" \"$@\"; code=$?; ls -A disk; exit $code");
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, env!("CARGO_BIN_EXE_agcfix")]).args(words);
    command.current_dir(desk.0.path()).stdin(Stdio::null());
    Some(Ended::of(&mut command))
}

#[test]
fn a_disk_that_is_full_in_the_middle_of_the_sound() {
    let (desk, recording) = desk();
    desk.put("in.wav", plain(&tone(100_000)));
    let Some(ended) = on_a_small_disk(&desk, "", &restore(&["-o", "disk/out.wav"])) else { return };
    ended.is(1).says("disk/out.wav: ").says("nothing was written. Make room");
    assert_eq!(ended.out, "", "something is left on the disk");
    desk.put("in.wav", &recording);
    let ended = on_a_small_disk(&desk, "", &restore(&["-o", "disk/out.wav"])).unwrap();
    ended.is(0);
    assert_eq!(ended.out, "out.wav\n");
}

#[test]
fn a_disk_that_is_full_at_the_last_of_several_files() {
    let (desk, _) = desk();
    // 48 kB of sound fit into 64; the curve and the picture behind it do not.
    desk.put("in.wav", plain(&tone(16_000)));
    for sidecar in [["--plot=disk/p.png", "--json=disk/j.json"], ["--json=disk/j.json", "--plot=disk/p.png"]] {
        let words = restore(&[&["-o", "disk/out.wav"], &sidecar[..]].concat());
        let Some(ended) = on_a_small_disk(&desk, "", &words) else { return };
        ended.is(1).says("nothing was written");
        assert_eq!(ended.out, "", "something is left on the disk");
    }
}

#[test]
fn a_disk_that_is_full_keeps_the_file_that_was_to_be_replaced() {
    let (desk, _) = desk();
    desk.put("in.wav", plain(&tone(100_000)));
    let words = restore(&["-o", "disk/out.wav", "--force"]);
    let Some(ended) = on_a_small_disk(&desk, "echo precious > disk/out.wav;", &words) else { return };
    ended.is(1);
    assert_eq!(ended.out, "out.wav\n");
}

#[test]
fn a_disk_that_can_only_be_read() {
    let (desk, recording) = desk();
    let prepare = "mount -o remount,ro none disk &&";
    let Some(ended) = on_a_small_disk(&desk, prepare, &restore(&["-o", "disk/out.wav"])) else { return };
    ended.is(1).says("name a folder that can be written to");
    assert_eq!(ended.out, "");
    fs::remove_dir(desk.at("disk")).unwrap();
    only_the_recording(&desk, &recording);
}

#[test]
fn a_limit_on_the_size_of_files() {
    let (desk, recording) = desk();
    desk.put("in.wav", plain(&tone(100_000)));
    // 64 blocks of 512 or 1024 bytes; without care the signal SIGXFSZ would end the program in mid-write.
    let ended = Ended::of(desk.program_under("ulimit -f 64").args(restore(&[])));
    ended.fails("nothing was written");
    desk.put("in.wav", &recording);
    only_the_recording(&desk, &recording);
}

#[test]
fn a_limit_on_file_size_leaves_neither_simulation_nor_truth() {
    let desk = Desk::new();
    let recording = plain(&tone(100_000));
    desk.put("in.wav", &recording);
    // The sound, 200 kB, is within the limit of 420 blocks of 512 bytes; the gain curve behind it is not.
    let words =
        ["simulate", "in.wav", "--law", "compressor", "--bits", "16", "-o", "out.wav", "--gain-out", "gain.csv", "-q"];
    let ended = Ended::of(desk.program_under("ulimit -f 420").args(words));
    ended.fails("gain.csv: ");
    only_the_recording(&desk, &recording);
    desk.run(&words).is(0);
    assert_eq!(desk.names(), ["gain.csv", "in.wav", "out.truth.json", "out.wav"]);
    assert!(fs::metadata(desk.at("gain.csv")).unwrap().len() > 512 * 420);
}

#[test]
fn a_limit_on_open_files_and_on_memory() {
    let (desk, recording) = desk();
    for files in [3, 4, 5, 6] {
        let ended = Ended::of(desk.program_under(&format!("ulimit -n {files}")).args(restore(&[])));
        // With too few even the program's own libraries cannot be opened (127, by the system's loader).
        assert!(matches!(ended.code, Some(0 | 1 | 127)), "{files}: {ended:?}");
        if ended.code == Some(0) {
            fs::remove_file(desk.at("in.restored.wav")).unwrap();
        }
        only_the_recording(&desk, &recording);
    }
    // 40 MB of sound in 30 MB of memory: it cannot work, and nothing may be left of the attempt.
    desk.put("in.wav", plain(&tone(5_000_000)));
    let ended = Ended::of(desk.program_under("ulimit -v 30000").args(restore(&[])));
    assert_ne!(ended.code, Some(0));
    assert_eq!(desk.names(), ["in.wav"]);
}

// ---- Signals --------------------------------------------------------------------------------------------------------

/// Tries to catch the program in the middle of something: a busy machine misses many.
const TRIES: usize = 30;

/// A recording that takes a while to write: 40 s of eight channels, 61 MB.
fn long_recording(desk: &Desk) {
    desk.put("long.wav", wav(&fmt(1, 8, 48_000, 16), &[0x11, 0x20].repeat(8 * 48_000 * 40)));
}

/// Starts a run, waits for its temporary file, sends the signal. `None` where the run was over before.
fn interrupted(desk: &Desk, signal: &str) -> Option<Ended> {
    interrupted_at(desk, &["restore", "long.wav", "--law", "none", "--bits", "32f", "-o", "out.wav"], signal)
}

/// The same of any command that writes into the folder.
fn interrupted_at(desk: &Desk, words: &[&str], signal: &str) -> Option<Ended> {
    let mut command = desk.program();
    command.args(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    let mut is_hit = false;
    while start.elapsed() < MAX_WAIT && child.try_wait().unwrap().is_none() {
        let is_writing = |path: &Path| {
            path.extension().is_some_and(|ending| ending == "part")
                && path.metadata().is_ok_and(|found| found.len() > 0)
        };
        if fs::read_dir(desk.0.path()).unwrap().any(|entry| is_writing(&entry.unwrap().path())) {
            let id = child.id().to_string();
            is_hit = Command::new("kill").args([signal, &id]).status().unwrap().success();
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = Ended::of_child(child);
    is_hit.then_some(ended)
}

/// Sends a signal in mid-write; `signal_number` is what the program must then have died of.
fn is_stopped_in_the_middle_by(signal: &str, signal_number: i32) {
    let desk = Desk::new();
    long_recording(&desk);
    let mut hits = 0;
    for _ in 0..TRIES {
        let Some(ended) = interrupted(&desk, signal) else { continue };
        if ended.code == Some(0) {
            // The renames had begun: then they are finished, and the file is whole.
            assert_eq!(written(&desk.at("out.wav")).sample_len(), 48_000 * 40);
            fs::remove_file(desk.at("out.wav")).unwrap();
            continue;
        }
        assert_eq!(ended.signal, Some(signal_number), "{ended:?}");
        ended.says("interrupted; nothing was written");
        assert_eq!(desk.names(), ["long.wav"]);
        hits += 1;
        if hits == 2 {
            return;
        }
    }
    panic!("the program was never caught in mid-write");
}

#[test]
fn an_interrupt_in_the_middle_of_writing() {
    is_stopped_in_the_middle_by("-INT", 2);
}

#[test]
fn a_termination_in_the_middle_of_writing() {
    is_stopped_in_the_middle_by("-TERM", 15);
}

#[test]
fn a_terminal_that_closes_in_the_middle_of_writing() {
    is_stopped_in_the_middle_by("-HUP", 1);
}

#[test]
fn a_kill_leaves_no_half_written_result() {
    // Nothing can tidy up after it; what stays has a name of its own and is not the result.
    let desk = Desk::new();
    long_recording(&desk);
    for _ in 0..TRIES {
        let Some(ended) = interrupted(&desk, "-KILL") else { continue };
        if ended.signal == Some(9) {
            assert!(!desk.at("out.wav").exists());
            return;
        }
        let _ = fs::remove_file(desk.at("out.wav"));
    }
    panic!("the program was never caught in mid-write");
}

#[test]
fn a_closing_terminal_that_is_to_be_ignored() {
    let (desk, _) = desk();
    // What `nohup` does.
    let ended =
        Ended::of(desk.program_under("trap '' HUP; { sleep 0.05; kill -HUP $$; } & true").args(["analyze", "in.wav"]));
    ended.is(0);
}

#[test]
fn an_interrupt_in_the_middle_of_writing_a_simulation() {
    let desk = Desk::new();
    long_recording(&desk);
    for _ in 0..TRIES {
        let words = ["simulate", "long.wav", "--set", "bits.depth=16", "--bits", "32f", "-o", "out.wav"];
        let Some(ended) = interrupted_at(&desk, &words, "-INT") else { continue };
        if ended.signal == Some(2) {
            ended.says("interrupted; nothing was written");
            assert_eq!(desk.names(), ["long.wav"]);
            return;
        }
        // The renames had begun: then both are there.
        assert_eq!(desk.names(), ["long.wav", "out.truth.json", "out.wav"]);
        ["out.truth.json", "out.wav"].iter().for_each(|name| fs::remove_file(desk.at(name)).unwrap());
    }
    panic!("the program was never caught in mid-write");
}

#[test]
fn an_interrupt_while_thinking() {
    let desk = Desk::new();
    long_recording(&desk);
    // A fast machine may be done before: then sooner.
    for wait_ms in [400, 200, 100, 50, 25].repeat(TRIES / 5) {
        let mut command = desk.program_under(":");
        command.args(["restore", "long.wav", "--plot", "--force"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait_ms));
        let is_done = child.try_wait().unwrap().is_some();
        if !is_done {
            assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        }
        let ended = Ended::of_child(child);
        // Done before the signal came, or while it was on its way.
        if is_done || (ended.signal.is_none() && matches!(ended.code, Some(0 | 3))) {
            desk.names()
                .iter()
                .filter(|name| *name != "long.wav")
                .for_each(|name| fs::remove_file(desk.at(name)).unwrap());
            continue;
        }
        assert_eq!(ended.signal, Some(2), "{ended:?}");
        assert_eq!(desk.names(), ["long.wav"]);
        return;
    }
    panic!("the program was never caught while thinking");
}

// ---- Pipes and surroundings -----------------------------------------------------------------------------------------

#[test]
fn a_reader_that_went_away() {
    let (desk, recording) = desk();
    for words in [&["laws"][..], &["analyze", "in.wav", "--json", "-"], &["--help"]] {
        let mut command = desk.program_under(":");
        let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = Ended::of_child(child);
        assert!(!ended.err.contains("panicked") && ended.code.is_some(), "{words:?}: {ended:?}");
    }
    only_the_recording(&desk, &recording);
}

#[test]
fn an_output_that_is_full() {
    let (desk, recording) = desk();
    for words in [&["laws"][..], &["analyze", "in.wav"], &["analyze", "in.wav", "--json", "-", "--quiet"]] {
        let full = || fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = desk.program_under(":");
        let ended = Ended::of_child(command.args(words).stdout(full()).stderr(Stdio::piped()).spawn().unwrap());
        ended.is(1).says("standard output: ");
        // And where not even the message can be told, the exit code still is.
        let mut command = desk.program_under(":");
        Ended::of_child(command.args(words).stdout(full()).stderr(full()).spawn().unwrap()).is(1);
    }
    only_the_recording(&desk, &recording);
}

#[test]
fn streams_that_are_closed() {
    let (desk, _) = desk();
    for (n, closed) in ["exec 0<&-", "exec 1>&-", "exec 2>&-", "exec 0<&- 1>&- 2>&-"].iter().enumerate() {
        let name = format!("out{n}.wav");
        Ended::of(desk.program_under(closed).args(restore(&["-o", &name]))).is(0);
        assert_eq!(written(&desk.at(&name)).sample_len(), 800, "{closed}");
        let ended = Ended::of(desk.program_under(closed).args(["restore", "absent.wav"]));
        assert_eq!(ended.code, Some(1), "{closed}: {ended:?}");
    }
}

#[test]
fn surroundings_that_are_bare() {
    let (desk, _) = desk();
    Ended::of(desk.program_under(":").env_clear().args(restore(&["-o", "bare.wav"]))).is(0);
    let odd = [
        ("TMPDIR", "/nowhere"),
        ("HOME", "/nowhere"),
        ("TERM", "nonsense"),
        ("COLUMNS", "0"),
        ("LANG", "xx_XX"),
        ("NO_COLOR", ""),
    ];
    Ended::of(desk.program_under(":").envs(odd).args(restore(&["-o", "odd.wav"]))).is(0);
    Ended::of(desk.program_under(":").env("RAYON_NUM_THREADS", "many").args(restore(&["-o", "threads.wav"]))).is(0);
    let bytes = |name: &str| fs::read(desk.at(name)).unwrap();
    assert!(bytes("bare.wav") == bytes("odd.wav") && bytes("bare.wav") == bytes("threads.wav"));
}

#[test]
fn a_folder_that_is_gone() {
    let (desk, recording) = desk();
    let absolute = desk.at("in.wav").display().to_string();
    let gone = "mkdir gone && cd gone && rmdir ../gone";
    let ended = Ended::of(desk.program_under(gone).args(["restore", &absolute, "--law", "none", "-o", "out.wav"]));
    ended.fails("out.wav: ");
    only_the_recording(&desk, &recording);
}

// ---- The gain curve -------------------------------------------------------------------------------------------------

#[test]
fn a_gain_curve_that_is_none() {
    let (desk, recording) = desk();
    let folder = Desk::new();
    assert!(Command::new("mkfifo").arg(folder.at("pipe.csv")).status().unwrap().success());
    folder.put("huge.csv", "time_s,gain_db\n0,0\n1,500\n2,0\n3,0\n4,0\n5,0\n");
    folder.put("nan.csv", "time_s,gain_db\n0,nan\n1,nan\n");
    folder.put("inf.csv", "time_s,gain_db\n0,inf\n");
    folder.put("back.csv", "time_s,gain_db\n1,0\n0,0\n");
    folder.put("fine.csv", format!("time_s,gain_db\n0,0\n1e-9,1\n{}", "1e9,2\n"));
    folder.put("binary.csv", [0xff, 0xfe, 0, 1]);
    folder.put("empty.csv", "");
    folder.put("semicolons.csv", "time_s;gain_db\n0;0\n");
    let sparse = fs::File::create(folder.at("sparse.csv")).unwrap();
    sparse.set_len(20 << 30).unwrap();
    for name in [
        "pipe.csv",
        "nan.csv",
        "inf.csv",
        "back.csv",
        "fine.csv",
        "binary.csv",
        "empty.csv",
        "semicolons.csv",
        "sparse.csv",
        "absent.csv",
        ".",
    ] {
        let path = folder.at(name).display().to_string();
        desk.run(&["restore", "in.wav", "--gain", &path]).fails(&path);
    }
    for (name, words) in [("/dev/zero", "not a regular file"), ("/dev/stdin", "not a regular file")] {
        desk.run(&["restore", "in.wav", "--gain", name]).fails(words);
    }
    let path = folder.at("huge.csv").display().to_string();
    desk.run(&["restore", "in.wav", "--gain", &path]).fails("within ±200 dB");
    only_the_recording(&desk, &recording);
}
