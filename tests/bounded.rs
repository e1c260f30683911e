//! Memory does not grow with the recording: the peak of what is allocated, counted, on a recording and on one twice as long.
//! Counts do not depend on how fast or how busy the machine is.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

use agcfix::law::{Compressor, Smoothed};
use agcfix::restore::{RestoreConfig, Trust};
use agcfix::sound::is_held;
use agcfix::{Config, Error, Sound, analyze_sound, restore_sound};
use peak_alloc::PeakAlloc;
use std::ops::Range;
use std::sync::Arc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

/// Notes without end, made whenever somebody reads them.
struct Notes {
    sample_len: usize,
}

const RATE_HZ: u32 = 8_000;
const CHANNELS: usize = 4;

impl Sound for Notes {
    fn sample_rate_hz(&self) -> u32 {
        RATE_HZ
    }

    fn channel_len(&self) -> usize {
        CHANNELS
    }

    fn sample_len(&self) -> usize {
        self.sample_len
    }

    fn read(&self, range: Range<usize>, out: &mut Vec<Vec<f32>>) -> Result<(), Error> {
        let sample = |n: usize| {
            let note = n / 4_000;
            let since = (n % 4_000) as f32 / RATE_HZ as f32;
            let phase = since * [1_382.3, 1_741.7, 2_070.9][note % 3];
            [0.5, 0.05, 0.8, 0.2][note % 4] * (-2.0 * since).exp() * (phase.sin() + 0.5 * (2.0 * phase).sin())
        };
        out.resize_with(CHANNELS, Vec::new);
        for channel in out {
            channel.clear();
            channel.extend(range.clone().map(sample));
        }
        Ok(())
    }
}

/// Most bytes allocated at a time while a recording of that many minutes is analysed and restored.
fn peak_bytes(minutes: usize) -> (usize, usize) {
    let sound = Notes { sample_len: minutes * 60 * RATE_HZ as usize };
    assert!(!is_held(&sound), "{minutes} minutes are short");
    let mut config =
        Config { restore: RestoreConfig { trust: Trust::Caller, ..RestoreConfig::default() }, ..Config::default() };
    config.fit.laws = vec![Arc::new(Compressor::new(Smoothed::Power))];
    config.fit.generations = 1;
    config.fit.polish_evaluations = 10;
    config.fit.scout_s = 10.0;
    config.fit.search_s = 15.0;
    ALLOCATED.reset_peak_usage();
    let analysis = analyze_sound(&sound, &config, &()).unwrap();
    let of_analysis = ALLOCATED.peak_usage();
    ALLOCATED.reset_peak_usage();
    let restoration = restore_sound(&sound, &analysis, &config, &()).unwrap();
    let mut sample_len = 0;
    restoration
        .blocks(&mut |block| {
            sample_len += block[0].len();
            Ok(())
        })
        .unwrap();
    assert_eq!(sample_len, sound.sample_len);
    (of_analysis, ALLOCATED.peak_usage())
}

#[test]
fn twice_the_length_takes_hardly_more_memory() {
    const SHORT: usize = 10;
    const MB: usize = 1_000_000;
    let short = peak_bytes(SHORT);
    let long = peak_bytes(2 * SHORT);
    // What grows are results: for each minute 6,000 frames of eleven curves and the entries for decays and events. Samples
    // alone would be 7.7 MB a minute.
    let most = SHORT * MB * 3 / 2;
    assert!(long.0 < short.0 + most, "analysis: {short:?} {long:?}");
    assert!(long.1 < short.1 + most, "restoration: {short:?} {long:?}");
    assert!(long.0 < 100 * MB && long.1 < 60 * MB, "{long:?}");
}
