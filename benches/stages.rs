//! Every stage on the recording that comes with the program, one thread: `cargo bench --bench stages`.
//!
//! Throughput is in samples of one channel: 48,000 of them are a second of sound.
#![allow(missing_docs, clippy::unwrap_used, reason = "a bench may stop where it fails")]

use agcfix::decay;
use agcfix::evidence::Evidence;
use agcfix::law::{Compressor, Direction, Law, Smoothed, gain_of};
use agcfix::partials::Partials;
use agcfix::restore::{apply_gain, gain_at_samples, true_peak_dbtp};
use agcfix::stft::Stft;
use agcfix::{Audio, Config, decode, onsets, partials};
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use std::path::PathBuf;

fn main() {
    divan::main();
}

/// A compressor's constants: threshold, slope, knee, attack, release.
const CONSTANTS: [f64; 5] = [-30.0, 0.7, 6.0, 0.005, 0.2];

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/data/prelude-phone.m4a")
}

struct Stages {
    audio: Audio,
    config: Config,
    stft: Stft,
}

impl Stages {
    fn new() -> Self {
        let audio = decode::read(&path()).unwrap().audio;
        let config = Config::default();
        let stft = Stft::new(&config.stft, f64::from(audio.sample_rate_hz())).unwrap();
        Self { audio, config, stft }
    }

    fn items(&self) -> ItemsCount {
        ItemsCount::new(self.audio.sample_len())
    }

    fn partials(&self) -> Partials {
        // One thread: peaks are otherwise found on all of them.
        let follow = || partials::follow(&self.audio, &self.stft, &self.config.peaks, &self.config.link, &()).unwrap();
        rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(follow)
    }

    fn transforms(&self) -> f32 {
        let mut scratch = self.stft.scratch();
        let mut power = vec![0.0; self.stft.bin_len()];
        let mut sum = 0.0;
        for frame in 0..self.stft.frame_len(self.audio.sample_len()) {
            self.stft.power(self.audio.channels(), frame, &mut scratch, &mut power);
            sum += power[100];
        }
        sum
    }

    /// Segments and their decays, in dB/s.
    fn decays(&self, partials: &Partials) -> Vec<f64> {
        let hop_s = self.stft.hop_s();
        let segments = decay::segments(partials, &[], hop_s, &self.config.decay);
        let fit = |segment: &decay::Segment| {
            let points = segment.points.clone();
            let time = |f: &u32| f64::from(f - segment.origin_frame) * hop_s;
            let time_s = partials.frame[points.clone()].iter().map(time).collect::<Vec<_>>();
            let level_db = partials.level_db[points].iter().map(|m| f64::from(*m)).collect::<Vec<_>>();
            Some(decay::fit(&time_s, &level_db, &self.config.decay)?.decay_db_per_s)
        };
        segments.iter().filter_map(fit).collect()
    }
}

#[divan::bench]
fn decoding(bencher: Bencher) {
    bencher.counter(Stages::new().items()).bench(|| decode::read(&path()).unwrap());
}

#[divan::bench]
fn bare_transforms(bencher: Bencher) {
    let stages = Stages::new();
    bencher.counter(stages.items()).bench_local(|| black_box(stages.transforms()));
}

#[divan::bench]
fn transforms_peaks_and_partials(bencher: Bencher) {
    let stages = Stages::new();
    bencher.counter(stages.items()).bench_local(|| stages.partials());
}

#[divan::bench]
fn segments_and_decays(bencher: Bencher) {
    let stages = Stages::new();
    let partials = stages.partials();
    bencher.counter(stages.items()).bench_local(|| stages.decays(&partials));
}

#[divan::bench]
fn one_misfit(bencher: Bencher) {
    let stages = Stages::new();
    let partials = stages.partials();
    let segments = decay::segments(&partials, &[], stages.stft.hop_s(), &stages.config.decay);
    let notes = onsets::notes(&segments, &onsets::find(&segments, partials.frame_len));
    let evidence = Evidence::new(&partials, &segments, &notes, stages.stft.hop_s(), &stages.config.evidence);
    let gain_db = vec![0.0; partials.frame_len];
    bencher.counter(stages.items()).bench_local(|| evidence.misfit(&gain_db));
}

#[divan::bench(args = [1, 4, 8])]
fn coarse_inverses_side_by_side(bencher: Bencher, len: usize) {
    let stages = Stages::new();
    let law = Compressor::new(Smoothed::Power);
    let many = vec![CONSTANTS.to_vec(); len];
    let drive = &stages.audio.channels()[0];
    bencher
        .counter(ItemsCount::new(len * stages.audio.sample_len()))
        .bench_local(|| law.inverse_blocks_of(black_box(&many), 48_000.0, drive, 480));
}

#[divan::bench]
fn exact_inverse(bencher: Bencher) {
    let stages = Stages::new();
    let law = Compressor::new(Smoothed::Power);
    let drive = &stages.audio.channels()[0];
    bencher
        .counter(stages.items())
        .bench_local(|| gain_of(&law, &CONSTANTS, 48_000.0, black_box(drive), Direction::Inverse));
}

#[divan::bench]
fn undoing_a_known_curve(bencher: Bencher) {
    let stages = Stages::new();
    let csv = std::fs::read_to_string(path().with_file_name("prelude-phone.gain.csv")).unwrap();
    let curve = agcfix::gain_csv::read_gain_csv(&csv).unwrap();
    bencher.counter(stages.items()).bench_local(|| {
        let gain = gain_at_samples(&curve, 48_000, stages.audio.sample_len()).unwrap();
        apply_gain(&stages.audio, &gain).unwrap()
    });
}

#[divan::bench]
fn true_peak(bencher: Bencher) {
    let stages = Stages::new();
    bencher.counter(stages.items()).bench_local(|| true_peak_dbtp(48_000, stages.audio.channels()).unwrap());
}

#[divan::bench(sample_count = 3)]
fn blind_analysis_of_the_whole_on_all_threads(bencher: Bencher) {
    let stages = Stages::new();
    bencher.counter(stages.items()).bench_local(|| agcfix::analyze(&stages.audio, &stages.config, &()).unwrap());
}
