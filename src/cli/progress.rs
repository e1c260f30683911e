//! Progress for people: the stage, how far it is and how long it may still take, on a terminal only.

use super::stdio;
use agcfix::progress::{Observer, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Steps of the bar.
const STEPS: u64 = 1000;
/// Where each stage begins and ends in the whole, as shares of the time; measured with `-v`.
const SHARES: [(Stage, f64, f64); 4] =
    [(Stage::Partials, 0.0, 0.05), (Stage::Fit, 0.05, 0.9), (Stage::Verdict, 0.9, 0.99), (Stage::Restore, 0.99, 1.0)];
/// Before this share of the whole no time is foretold: it would jump.
const FIRST_FORETOLD: f64 = 0.04;

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Voice {
    /// Errors only.
    Quiet,
    #[default]
    Usual,
    /// What every stage took, and what was tried.
    Verbose,
}

/// A bar on standard error, or nothing where nobody would see it.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    voice: Voice,
    begun: Instant,
    /// The stage that runs, and when it began.
    stage: Mutex<Option<(Stage, Instant)>>,
}

impl Progress {
    /// Shows a bar when standard error is a terminal; `name` says which recording it is, where there are several.
    pub fn new(voice: Voice, name: Option<&str>) -> Self {
        let begun = Instant::now();
        let is_seen = voice != Voice::Quiet && stderr().is_terminal();
        let bar = is_seen.then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr_with_hz(10));
            let named = name.map_or(String::new(), |name| format!("{}  ", name.replace(['{', '}'], "")));
            if let Ok(style) = ProgressStyle::with_template(&format!("{named}{{msg:<22}} {{bar:30}} {{prefix}}")) {
                bar.set_style(style);
            }
            bar.set_message("reading");
            bar
        });
        Self { bar, voice, begun, stage: Mutex::new(None) }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.enter(None);
    }

    /// Notes that a stage has begun; tells what the one before it took.
    fn enter(&self, next: Option<Stage>) {
        let Ok(mut stage) = self.stage.lock() else { return };
        if stage.map(|(stage, _)| stage) == next {
            return;
        }
        if let (Voice::Verbose, Some((done, since))) = (self.voice, *stage) {
            let told = format!("{}: {:.1} s", done.name(), since.elapsed().as_secs_f64());
            match &self.bar {
                Some(bar) => bar.suspend(|| stdio::warn(&told)),
                None => stdio::warn(&told),
            }
        }
        *stage = next.map(|next| (next, Instant::now()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Observer for Progress {
    fn progress(&self, stage: Stage, fraction: f64) -> bool {
        self.enter(Some(stage));
        if let Some(bar) = &self.bar {
            let whole = whole(stage, fraction);
            bar.set_message(stage.name());
            bar.set_position((whole * STEPS as f64) as u64);
            bar.set_prefix(time_left(whole, self.begun.elapsed()));
        }
        true
    }
}

/// How far a stage is in the whole.
fn whole(stage: Stage, fraction: f64) -> f64 {
    let share = SHARES.iter().find(|(known, ..)| *known == stage);
    let (from, to) = share.map_or((0.0, 1.0), |(_, from, to)| (*from, *to));
    let done = fraction.clamp(0.0, 1.0);
    (1.0 - done) * from + done * to
}

/// The time that is left, for people: a guess, so no more digits than a guess has.
fn time_left(whole: f64, elapsed: Duration) -> String {
    if whole < FIRST_FORETOLD {
        return String::new();
    }
    match elapsed.as_secs_f64() * (1.0 - whole) / whole {
        left_s if left_s < 1.5 => "almost done".to_owned(),
        left_s if left_s < 90.0 => format!("about {left_s:.0} s left"),
        left_s => format!("about {:.0} min left", left_s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_only_grows_and_the_time_left_is_what_is_missing() {
        let stages = [Stage::Partials, Stage::Fit, Stage::Verdict, Stage::Restore];
        let way: Vec<f64> = stages.iter().flat_map(|s| [whole(*s, 0.0), whole(*s, 1.0)]).collect();
        assert!(way.is_sorted() && way[0] == 0.0 && way[7] == 1.0);
        assert_eq!(time_left(0.25, Duration::from_secs(10)), "about 30 s left");
        assert_eq!(time_left(0.1, Duration::from_secs(60)), "about 9 min left");
        assert_eq!(time_left(0.01, Duration::from_secs(60)), "");
    }
}
