//! Progress for people: the stage and how far it is, on a terminal only.

use agcfix::progress::{Observer, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, stderr};

/// Steps of the bar.
const STEPS: u64 = 1000;

/// A bar on standard error, or nothing where nobody would see it.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Shows a bar when standard error is a terminal.
    pub fn new(is_quiet: bool) -> Self {
        if is_quiet || !stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = ProgressBar::with_draw_target(Some(STEPS), ProgressDrawTarget::stderr_with_hz(10));
        if let Ok(style) = ProgressStyle::with_template("{msg:<22} {bar:30} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_message("reading");
        Self { bar: Some(bar) }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

impl Observer for Progress {
    fn progress(&self, stage: Stage, fraction: f64) -> bool {
        if let Some(bar) = &self.bar {
            bar.set_message(stage.name());
            bar.set_position((fraction.clamp(0.0, 1.0) * STEPS as f64) as u64);
        }
        true
    }
}
