//! Embed the analysis where somebody watches: a window or a server follows its progress, and may stop it.
//!
//! ```text
//! cargo run --release --example follow_and_stop -- [IN]
//! ```
//! The work runs on a thread of its own and never blocks the one that draws. This "window" is bored after a third of the
//! search and presses its stop button; a real one would go on drawing until the answer is there.

use agcfix::progress::{Observer, Stage};
use agcfix::{Config, Error, analyze, decode};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// What the worker tells the window.
enum News {
    Progress(Stage, f64),
    Done(Box<Result<agcfix::Analysis, Error>>),
}

/// Hands progress on, and the wish to stop back.
struct Line {
    news: Sender<News>,
    is_stopped: Arc<AtomicBool>,
}

impl Observer for Line {
    fn progress(&self, stage: Stage, fraction: f64) -> bool {
        // Where the window has gone there is nobody to work for.
        let is_heard = self.news.send(News::Progress(stage, fraction)).is_ok();
        is_heard && !self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Starts the work; the window keeps the receiver and the stop button.
fn start(input: PathBuf) -> (Receiver<News>, Arc<AtomicBool>) {
    let (news, heard) = channel();
    let is_stopped = Arc::new(AtomicBool::new(false));
    let line = Line { news: news.clone(), is_stopped: Arc::clone(&is_stopped) };
    thread::spawn(move || {
        let outcome = decode::read(&input).and_then(|read| analyze(&read.audio, &Config::default(), &line));
        // A window that has gone needs no answer.
        let _ = news.send(News::Done(Box::new(outcome)));
    });
    (heard, is_stopped)
}

fn main() -> Result<(), Error> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/prelude-phone.m4a");
    let input = std::env::args_os().nth(1).map_or_else(|| shipped.into(), PathBuf::from);
    let (heard, stop) = start(input);
    let mut shown = None;
    for news in heard {
        match news {
            News::Progress(stage, fraction) => {
                // Draw only what has changed.
                let tenth = (stage, (fraction * 10.0) as u32);
                if shown.replace(tenth) != Some(tenth) {
                    println!("{:24} {:3.0} %", stage.name(), 100.0 * fraction);
                }
                if stage == Stage::Fit && fraction > 0.33 {
                    stop.store(true, Ordering::Relaxed);
                }
            }
            News::Done(outcome) => match *outcome {
                Ok(analysis) => println!("verdict: {:?}", analysis.verdict),
                Err(Error::Cancelled) => println!("stopped, as asked"),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(())
}
