//! Seconds that each stage takes on one recording and one thread, as JSON: for `benches/peers.sh`.
//!
//! Seconds of processor time where the system tells them (Linux), so that a busy machine does not count; else by the clock.
//!
//! `cargo run --release --example stages -- [RECORDING [RUNS]]`
#![allow(clippy::unwrap_used, reason = "an example may stop where it fails")]

use agcfix::stft::Stft;
use agcfix::{Config, decay, decode, partials};
use std::hint::black_box;
use std::path::PathBuf;
use std::time::Instant;

/// Runs of which the fastest counts: the others waited for something.
const RUNS: usize = 5;

/// Processor time of all threads so far, in s.
fn processor_s() -> Option<f64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let one = |thread: std::fs::DirEntry| {
        let told = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        told.split(' ').next()?.parse::<f64>().ok()
    };
    threads.map(|thread| one(thread.ok()?)).sum::<Option<f64>>().map(|ns| 1e-9 * ns)
}

fn fastest(runs: usize, mut run: impl FnMut()) -> f64 {
    let timed = |_| {
        let (begun, processor) = (Instant::now(), processor_s());
        run();
        let spent = processor.zip(processor_s()).map(|(before, after)| after - before);
        spent.unwrap_or_else(|| begun.elapsed().as_secs_f64())
    };
    (0..runs).map(timed).fold(f64::INFINITY, f64::min)
}

fn main() {
    let shipped = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/prelude-phone.m4a");
    let path = std::env::args_os().nth(1).map_or_else(shipped, PathBuf::from);
    let runs = std::env::args().nth(2).map_or(RUNS, |typed| typed.parse().unwrap());
    let decoding_s = fastest(runs, || drop(black_box(decode::read(&path).unwrap())));
    let audio = decode::read(&path).unwrap().audio;
    let config = Config::default();
    let stft = Stft::new(&config.stft, f64::from(audio.sample_rate_hz())).unwrap();
    let transforms_s = fastest(runs, || {
        let mut scratch = stft.scratch();
        let mut power = vec![0.0; stft.bin_len()];
        for frame in 0..stft.frame_len(audio.sample_len()) {
            stft.power(audio.channels(), frame, &mut scratch, &mut power);
            black_box(&power);
        }
    });
    let follow = || partials::follow(&audio, &stft, &config.peaks, &config.link, &()).unwrap();
    let partials_s = fastest(runs, || drop(black_box(follow())));
    let partials = follow();
    let decays_s = fastest(runs, || {
        for segment in decay::segments(&partials, &[], stft.hop_s(), &config.decay) {
            let points = segment.points.clone();
            let time = |f: &u32| f64::from(f - segment.origin_frame) * stft.hop_s();
            let time_s = partials.frame[points.clone()].iter().map(time).collect::<Vec<_>>();
            let level_db = partials.level_db[points].iter().map(|m| f64::from(*m)).collect::<Vec<_>>();
            black_box(decay::fit(&time_s, &level_db, &config.decay));
        }
    });
    println!(
        "{{\"sound_s\":{:.3},\"decoding_s\":{decoding_s:.4},\"bare_transforms_s\":{transforms_s:.4},\"partials_s\":{partials_s:.4},\"decays_s\":{decays_s:.4}}}",
        audio.duration_s()
    );
}
