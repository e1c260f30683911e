//! Sound that is no piano, and buffers that are hardly sound: nothing stops, nothing is invented.
#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use agcfix::restore::{Level, RestoreConfig, Trust};
use agcfix::{Analysis, Audio, Config, Verdict, analyze, restore};
use std::f64::consts::TAU;

/// Numbers between -1 and 1 that are the same everywhere. (D. Knuth, MMIX.)
fn noise(sample_len: usize) -> Vec<f32> {
    let mut state = 11u64;
    (0..sample_len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 / (1u64 << 52) as f64 - 1.0) as f32
        })
        .collect()
}

fn sine(sample_len: usize, rate_hz: u32, frequency_hz: f64) -> Vec<f32> {
    let phase = |n: usize| TAU * frequency_hz * n as f64 / f64::from(rate_hz);
    (0..sample_len).map(|n| (0.5 * phase(n).sin()) as f32).collect()
}

/// A decaying tone of ten partials, struck every 0.4 s.
fn struck(sample_len: usize, rate_hz: u32) -> Vec<f32> {
    let mut out = vec![0f64; sample_len];
    let gap = (0.4 * f64::from(rate_hz)) as usize;
    for (note, start) in (0..sample_len).step_by(gap).enumerate() {
        for k in 1..=10u32 {
            let hz = 220.0 * [1.0, 1.5, 1.25][note % 3] * f64::from(k);
            for (i, x) in out[start..].iter_mut().take(2 * gap).enumerate() {
                let t = i as f64 / f64::from(rate_hz);
                *x += 0.1 / f64::from(k) * (-(0.5 + hz / 1000.0) * t).exp() * (TAU * hz * t).sin();
            }
        }
    }
    out.iter().map(|x| *x as f32).collect()
}

fn assert_sound(name: &str, audio: &Audio, analysis: &Analysis) {
    let curve = &analysis.gain_curve;
    assert!(!curve.gain_db.is_empty() && curve.hop_s > 0.0, "{name}");
    for values in [&curve.gain_db, &curve.lower_db, &curve.upper_db] {
        assert_eq!(values.len(), curve.gain_db.len(), "{name}");
        assert!(values.iter().all(|v| v.is_finite()), "{name}: a gain is not finite");
    }
    let band = curve.lower_db.iter().zip(&curve.gain_db).zip(&curve.upper_db);
    assert!(band.into_iter().all(|((l, g), u)| l <= g && g <= u), "{name}: the gain is outside its band");
    assert!((0.0..=1.0).contains(&analysis.evidence.p_value), "{name}");
    assert!(analysis.decays.iter().all(|d| d.decay_db_per_s.is_finite() && d.level_db.is_finite()), "{name}");
    assert_eq!(analysis.input.sample_len, audio.sample_len(), "{name}");
}

/// Analyses and restores, as the verdict says and as a caller who trusts the law would have it.
fn run(name: &str, audio: &Audio) -> Analysis {
    let mut config = Config::default();
    let analysis = analyze(audio, &config, &()).unwrap();
    assert_sound(name, audio, &analysis);
    let restored = restore(audio, &analysis, &config).unwrap();
    if analysis.verdict != Verdict::Agc {
        assert_eq!(&restored.audio, audio, "{name}: changed without a gain control");
    }
    config.restore = RestoreConfig { level: Level::KeepBelowMinusOneDbtp, trust: Trust::Caller };
    let trusted = restore(audio, &analysis, &config).unwrap();
    assert_eq!(trusted.audio.sample_len(), audio.sample_len(), "{name}");
    assert_eq!(trusted.audio.channels().len(), audio.channels().len(), "{name}");
    analysis
}

#[test]
fn no_sound_and_hardly_any() {
    for sample_len in [0, 1, 100, 4_095, 4_096, 4_097, 30_000] {
        for (kind, samples) in [
            ("silence", vec![0.0; sample_len]),
            ("full scale", vec![1.0; sample_len]),
            ("tiny", vec![f32::MIN_POSITIVE / 4.0; sample_len]),
            ("noise", noise(sample_len)),
        ] {
            let name = format!("{sample_len} samples of {kind}");
            let analysis = run(&name, &Audio::new(48_000, vec![samples]).unwrap());
            assert!(matches!(analysis.verdict, Verdict::Undecided { .. }), "{name}: {:?}", analysis.verdict);
        }
    }
}

#[test]
fn sound_without_decay_is_never_a_gain_control() {
    let sample_len = 3 * 48_000;
    let mut click = vec![0.0; sample_len];
    click[sample_len / 2] = 1.0;
    for (name, samples) in [
        ("silence", vec![0.0; sample_len]),
        ("a constant", vec![0.25; sample_len]),
        ("noise", noise(sample_len)),
        ("a steady sine", sine(sample_len, 48_000, 440.0)),
        ("a click", click),
        ("a clipped sine", sine(sample_len, 48_000, 441.0).iter().map(|x| (9.0 * x).clamp(-1.0, 1.0)).collect()),
        ("huge noise", noise(sample_len).iter().map(|x| 1e6 * x).collect()),
    ] {
        let analysis = run(name, &Audio::new(48_000, vec![samples]).unwrap());
        assert_ne!(analysis.verdict, Verdict::Agc, "{name}: {:?}", analysis.evidence);
    }
}

#[test]
fn every_rate_and_eight_channels() {
    for rate_hz in [8_000, 11_025, 44_100, 192_000] {
        let samples = struck(3 * rate_hz as usize, rate_hz);
        let analysis = run(&format!("{rate_hz} Hz"), &Audio::new(rate_hz, vec![samples]).unwrap());
        assert_ne!(analysis.verdict, Verdict::Agc, "{rate_hz} Hz: {:?}", analysis.evidence);
        assert!(analysis.partials.segment_len > 30, "{rate_hz} Hz: {} decays", analysis.partials.segment_len);
    }
    let samples = struck(5 * 16_000, 16_000);
    let channels = (0..8u8).map(|c| samples.iter().map(|x| x / f32::from(c + 1)).collect()).collect();
    let analysis = run("eight channels", &Audio::new(16_000, channels).unwrap());
    assert_eq!(analysis.input.channel_len, 8);
}

/// Exactly in opposite phase: a mono sum would hear nothing.
#[test]
fn opposite_channels_do_not_cancel() {
    let samples = struck(5 * 16_000, 16_000);
    let opposite = samples.iter().map(|x| -x).collect();
    let both = run("opposite phase", &Audio::new(16_000, vec![samples.clone(), opposite]).unwrap());
    let one = run("one channel", &Audio::new(16_000, vec![samples]).unwrap());
    assert_eq!(both.partials, one.partials);
}

#[test]
fn a_settings_range_is_checked_at_the_door() {
    let audio = Audio::new(8_000, vec![vec![0.0; 8_000]]).unwrap();
    for window_s in [0.0, -1.0, 10.0, f64::NAN] {
        let mut config = Config::default();
        config.stft.window_s = window_s;
        assert!(analyze(&audio, &config, &()).is_err(), "window {window_s} s");
    }
    let mut config = Config::default();
    config.fit.laws.clear();
    assert!(matches!(analyze(&audio, &config, &()).unwrap().verdict, Verdict::Undecided { .. }));
}
