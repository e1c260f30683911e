//! Sound that is no piano under a gain control: nothing is ever done to it.

use super::make::{fmt, wav};
use super::{Desk, written};
use std::f64::consts::TAU;
use std::fs;

const RATE_HZ: u32 = 8_000;
const LEN_S: f64 = 2.0;

/// A recording of two seconds at 8 kHz, 16 bits.
fn recorded(value: impl Fn(f64) -> f64) -> Vec<u8> {
    let sample = |n: u32| (value(f64::from(n) / f64::from(RATE_HZ)).clamp(-1.0, 1.0) * 32_767.0) as i16;
    let sample_len = (LEN_S * f64::from(RATE_HZ)) as u32;
    wav(&fmt(1, 1, RATE_HZ, 16), &(0..sample_len).map(sample).flat_map(i16::to_le_bytes).collect::<Vec<_>>())
}

/// Numbers between -1 and 1, the same for the same time. (A hash of the bits; T. Wang.)
fn noise(t: f64) -> f64 {
    let mut x = (t * 1e6).round() as u64;
    x = (!x).wrapping_add(x << 21);
    x = (x ^ x >> 24).wrapping_mul(265);
    x = (x ^ x >> 14).wrapping_mul(21);
    x ^= x >> 28;
    (x % 20_001) as f64 / 10_000.0 - 1.0
}

fn harmonics(t: f64, hz: f64, count: u32) -> f64 {
    (1..=count).map(|k| (TAU * hz * f64::from(k) * t).sin() / f64::from(k)).sum()
}

#[test]
fn what_is_no_piano_is_left_alone() {
    let cases: [(&str, Vec<u8>); 14] = [
        ("silence", recorded(|_| 0.0)),
        ("a constant", recorded(|_| 0.3)),
        ("full scale", recorded(|_| 1.0)),
        ("noise", recorded(|t| 0.3 * noise(t))),
        ("loud noise, clipped", recorded(|t| 4.0 * noise(t))),
        ("a sine", recorded(|t| 0.5 * (TAU * 440.0 * t).sin())),
        ("a clipped sine", recorded(|t| 9.0 * (TAU * 440.0 * t).sin())),
        ("a sweep", recorded(|t| 0.5 * (TAU * 400.0 * t * t).sin())),
        ("a click", recorded(|t| if (1.0..1.0002).contains(&t) { 1.0 } else { 0.0 })),
        ("clicks", recorded(|t| if t % 0.25 < 0.0002 { 1.0 } else { 0.0 })),
        (
            "a sine that is switched on and off",
            recorded(|t| if t % 0.5 < 0.25 { 0.5 * (TAU * 440.0 * t).sin() } else { 0.0 }),
        ),
        // Syllables at 4 Hz on a gliding pitch, with breath.
        (
            "speech",
            recorded(|t| {
                (TAU * 2.0 * t).sin().abs()
                    * (0.2 * harmonics(t, 120.0 + 30.0 * (TAU * 0.7 * t).sin(), 12) + 0.02 * noise(t))
            }),
        ),
        // Sustained chords with vibrato that swell and fade: levels move together, and nothing decays.
        (
            "an orchestra",
            recorded(|t| {
                let vibrato = 0.3 * (TAU * 5.5 * t).sin() / 5.5;
                (0.3 + 0.25 * (TAU * 0.5 * t).sin())
                    * [220.0, 277.2, 329.6, 440.0]
                        .iter()
                        .map(|hz| 0.2 * harmonics(t + vibrato / hz, *hz, 6))
                        .sum::<f64>()
            }),
        ),
        // An organ with a tremulant: a gain control of sorts, and no decay to tell it by.
        ("an organ", recorded(|t| (0.3 + 0.1 * (TAU * 6.0 * t).sin()) * harmonics(t, 261.6, 5))),
    ];
    println!("{} sounds that are no piano", cases.len());
    for (name, file) in cases {
        let desk = Desk::new();
        desk.put("in.wav", &file);
        let ended = desk.run(&["restore", "in.wav", "--bits", "16"]);
        match ended.code {
            Some(0) => {
                let before = agcfix::decode::read(&desk.at("in.wav")).unwrap().audio;
                assert_eq!(written(&desk.at("in.restored.wav")), before, "{name}: {ended:?}");
            }
            Some(3) => assert_eq!(desk.names(), ["in.wav"], "{name}"),
            _ => panic!("{name}: {ended:?}"),
        }
        assert_eq!(fs::read(desk.at("in.wav")).unwrap(), file, "{name}");
    }
}
