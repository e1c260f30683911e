//! Progress for people: the stage, how far it is and how long it may still take, on a terminal only.

use super::stdio;
use agcfix::progress::{Observer, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Steps of the bar.
const STEPS: u64 = 1000;
/// How far the whole is at which part of each stage, as a share of the time; measured with `-v` on the recordings in
/// `examples/data`. Weighing takes from a tenth of the time to more than half of it, where a law with a ceiling is in question,
/// which nothing tells beforehand: the marks lie between.
const MARKS: [(Stage, f64, f64); 8] = [
    (Stage::Partials, 0.0, 0.0),
    (Stage::Partials, 1.0, 0.04),
    (Stage::Fit, 0.0, 0.04),
    (Stage::Fit, 1.0, 0.75),
    (Stage::Verdict, 0.0, 0.75),
    (Stage::Verdict, 1.0, 0.99),
    (Stage::Restore, 0.0, 0.99),
    (Stage::Restore, 1.0, 1.0),
];
/// Before this share of the whole no time is foretold: it would jump.
const FIRST_FORETOLD: f64 = 0.04;
/// How often the time left is told anew where nothing is heard of the work.
const TICK: Duration = Duration::from_millis(500);

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
    /// When it will all be done, as far as that is known.
    end: Arc<Mutex<Option<Instant>>>,
}

impl Progress {
    /// Shows a bar when standard error is a terminal; `name` says which recording it is, where there are several.
    pub fn new(voice: Voice, name: Option<&str>) -> Self {
        let begun = Instant::now();
        let end: Arc<Mutex<Option<Instant>>> = Arc::default();
        let is_seen = voice != Voice::Quiet && stderr().is_terminal();
        let bar = is_seen.then(|| {
            let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr_with_hz(10));
            let named = name.map_or(String::new(), |name| format!("{}  ", name.replace(['{', '}'], "")));
            if let Ok(style) = ProgressStyle::with_template(&format!("{named}{{msg:<22}} {{bar:30}} {{left}}")) {
                let end = Arc::clone(&end);
                let left = move |_: &ProgressState, out: &mut dyn Write| {
                    let end = end.lock().ok().and_then(|end| *end);
                    // Writing to the bar's own text cannot fail.
                    let _ = out.write_str(&end.map_or(String::new(), |end| told_left(end, Instant::now())));
                };
                bar.set_style(style.with_key("left", left));
            }
            bar.set_message("reading");
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar, voice, begun, stage: Mutex::new(None), end }
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
            if let (Ok(mut end), true) = (self.end.lock(), whole >= FIRST_FORETOLD) {
                *end = self.begun.checked_add(self.begun.elapsed().div_f64(whole));
            }
        }
        true
    }
}

/// How far a stage is in the whole: between its marks in a straight line.
fn whole(stage: Stage, fraction: f64) -> f64 {
    let done = fraction.clamp(0.0, 1.0);
    let marks: Vec<(f64, f64)> =
        MARKS.iter().filter(|(of, ..)| *of == stage).map(|(_, at, whole)| (*at, *whole)).collect();
    let around = marks.windows(2).find(|pair| done <= pair[1].0);
    around.map_or(0.0, |pair| {
        let share = (done - pair[0].0) / (pair[1].0 - pair[0].0);
        (1.0 - share) * pair[0].1 + share * pair[1].1
    })
}

/// The time that is left, for people: a guess, so no more digits than a guess has.
fn told_left(end: Instant, now: Instant) -> String {
    match end.checked_duration_since(now).map(|left| left.as_secs_f64()) {
        None => "takes longer than most".to_owned(),
        Some(left_s) if left_s < 1.5 => "almost done".to_owned(),
        Some(left_s) if left_s < 90.0 => format!("about {left_s:.0} s left"),
        Some(left_s) => format!("about {:.0} min left", left_s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_only_grows_from_nothing_to_all() {
        let stages = [Stage::Partials, Stage::Fit, Stage::Verdict, Stage::Restore];
        let way: Vec<f64> =
            stages.iter().flat_map(|s| [0.0, 0.3, 0.5, 0.6, 0.7, 1.0].map(|done| whole(*s, done))).collect();
        assert!(way.is_sorted() && way[0] == 0.0 && way[way.len() - 1] == 1.0, "{way:?}");
        // No stage begins where another ended without it.
        assert!(MARKS.windows(2).all(|pair| pair[0].0 == pair[1].0 || pair[0].2 == pair[1].2));
    }

    #[test]
    fn the_time_left_is_what_is_missing_and_never_less_than_nothing() {
        let now = Instant::now();
        let told = |left_s: u64| told_left(now + Duration::from_secs(left_s), now);
        assert_eq!(told(30), "about 30 s left");
        assert_eq!(told(540), "about 9 min left");
        assert_eq!(told(1), "almost done");
        assert_eq!(told_left(now, now + Duration::from_secs(1)), "takes longer than most");
    }
}
