//! The events as an Audacity label track: `start`, `end` and text, separated by tabs, one event a line.
//!
//! In Audacity: File > Import > Labels.

use super::story::change;
use crate::analysis::{Analysis, Event, EventKind};
use std::fmt::Write as _;

/// The label track of all events; empty where nothing was found.
///
/// **Units.** Seconds, to the microsecond. Labels are plain text without tabs.
#[must_use]
pub fn labels(analysis: &Analysis) -> String {
    let mut out = String::new();
    for event in &analysis.events {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{:.6}\t{:.6}\t{}", event.start_s, event.end_s, words(event));
    }
    out
}

/// An event in a few words.
pub(super) fn words(event: &Event) -> String {
    let kind = match event.kind {
        EventKind::Attack => "attack",
        EventKind::Release => "release",
    };
    let voters = match event.partials_voted {
        0 => "by the law alone".to_owned(),
        1 => "1 partial".to_owned(),
        n => format!("{n} partials"),
    };
    format!("{kind} {}, {voters}", change(event.change_db, event.error_db))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::analysis::Verdict;
    use crate::report::specimen;

    #[test]
    fn every_event_is_a_line_of_start_end_and_text() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let labels = labels(&specimen::analysis(&audio, Verdict::Agc, |_| 0.0));
        assert_eq!(labels.lines().next().unwrap(), "0.000000\t0.030000\tattack -3.2 ± 0.4 dB, 9 partials");
        assert_eq!(labels.lines().nth(1).unwrap(), "1.000000\t1.030000\trelease +2.5 ± 0.4 dB, 9 partials");
        assert!(labels.lines().all(|line| line.split('\t').count() == 3));
    }

    #[test]
    fn without_events_there_is_no_line() {
        let audio = specimen::audio(8.0, |_| 0.0);
        assert_eq!(labels(&specimen::analysis(&audio, Verdict::None, |_| 0.0)), "");
    }
}
