//! Signals: whoever stops the program finds no half-written file.
//!
//! A thread waits for them; it removes what is temporary, and then the program ends as the signal has it. A commit that has
//! begun is finished first: it is a handful of renames.

use super::stdio;

/// Removes what is temporary; nothing new can begin after that.
#[cfg(unix)]
fn clean() {
    let is_written = agcfix::encode::abort_all();
    stdio::warn(if is_written { "agcfix: interrupted" } else { "agcfix: interrupted; nothing was written" });
}

/// Begins to wait for signals. Where that is impossible the program works without.
#[cfg(unix)]
pub fn watch() {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    // A file that grows beyond the user's limit (`ulimit -f`) is then a write that fails, and not the end.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)));
    // What was ignored when the program was started stays so: `nohup` means it.
    let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            clean();
            // Shells tell a program that was interrupted from one that failed.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            std::process::exit(128 + signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

/// Whether the program was started with a signal ignored; known on Linux only.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Elsewhere the system ends the program; a temporary file may stay.
#[cfg(not(unix))]
pub fn watch() {}

/// Keeps quiet about panics that the library catches: the decoder is not ours, and its user gets a line that says more.
pub fn keep_quiet_about_decoders() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if agcfix::decode::is_decoding() {
            return;
        }
        stdio::warn(
            "agcfix: this is a fault of the program, not of your recording; nothing was written. Please report it:",
        );
        loud(info);
    }));
}
