//! Distance and early reflections: the sound's way from the soundboard to the phone.
//!
//! A box-shaped room with the same absorption on all six walls. Each wall mirrors the source; an image at distance `r` that
//! was reflected `k` times arrives after `r / c`, as loud as
//!
//! ```text
//! a = (r0 / r) (1 - absorption)^(k/2)          r0: distance of the source itself
//! ```
//!
//! so that the direct sound keeps its level and distance changes what comes with it: the overall level of a recording is
//! not knowable anyway. Images of up to two reflections, at whole samples. Late reverberation is not made.
//!
//! **Source.** J. B. Allen, D. A. Berkley, "Image method for efficiently simulating small-room acoustics" (JASA 1979).

use super::{Sound, Told, within};
use crate::error::Error;
use serde::{Deserialize, Serialize};

/// Speed of sound at 20 °C, in m/s.
const SPEED_OF_SOUND_M_PER_S: f64 = 343.2;
/// Most reflections of one image.
const MAX_REFLECTIONS: u32 = 2;
/// Height of piano and phone above the floor, in metres: a soundboard's middle, a phone on a table.
const HEIGHT_M: f64 = 0.9;
/// Place between piano and phone, as a share of the room's length: off its middle, where echoes would coincide.
const MIDDLE_SHARE: f64 = 0.43;
/// Greatest distance as a share of the room's length: both keep off the walls.
const FARTHEST_SHARE: f64 = 0.8;
/// Samples that are worked on at a time: they stay in the cache while all images are added.
const BLOCK_SAMPLES: usize = 8192;

/// A room with a piano and a phone in it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Room {
    /// Length, width and height of the room in metres, each 2 to 100. A living room.
    pub size_m: [f64; 3],
    /// Distance from piano to phone in metres, 0.1 to 30. Across a living room.
    pub distance_m: f64,
    /// Share of the energy that a wall swallows, 0.05 to 1: 0.3 is a furnished room, 1 is outdoors.
    pub absorption: f64,
    /// Distance of the phone's microphones from each other in metres, 0 to 0.5; channel `c` stands `c` of them further to
    /// the side. The length of a phone.
    pub spacing_m: f64,
}

impl Default for Room {
    fn default() -> Self {
        Self { size_m: [6.0, 4.5, 2.6], distance_m: 1.5, absorption: 0.35, spacing_m: 0.14 }
    }
}

/// One way for the sound: whole samples late, and an amplitude.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tap {
    delay_samples: usize,
    amplitude: f32,
}

impl Room {
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, size_m) in ["length", "width", "height"].iter().zip(self.size_m) {
            within(&format!("room.size_m ({name})"), size_m, (2.0, 100.0), "m")?;
        }
        let farthest_m = (FARTHEST_SHARE * self.size_m[0]).min(30.0);
        within("room.distance_m", self.distance_m, (0.1, farthest_m), "m in a room of this length")?;
        within("room.absorption", self.absorption, (0.05, 1.0), "")?;
        within("room.spacing_m", self.spacing_m, (0.0, 0.5f64.min(0.1 * self.size_m[1])), "m")
    }

    /// Every way from the piano to the microphone of a channel, the direct one first.
    fn taps(&self, channel: usize, rate_hz: f64) -> Vec<Tap> {
        let [length_m, width_m, _] = self.size_m;
        let middle_m = MIDDLE_SHARE * length_m;
        let source_m = [middle_m - 0.5 * self.distance_m, 0.55 * width_m, HEIGHT_M];
        let side_m = 0.45 * width_m + channel as f64 * self.spacing_m;
        let phone_m = [middle_m + 0.5 * self.distance_m, side_m.min(width_m - 0.2), HEIGHT_M];
        // The image number i along one side: even ones are shifted, odd ones mirrored.
        let image_m = |axis: usize, i: i32| {
            let (size_m, at_m) = (self.size_m[axis], source_m[axis]);
            f64::from(i) * size_m + if i % 2 == 0 { at_m } else { size_m - at_m }
        };
        let reach = MAX_REFLECTIONS as i32;
        let mut out = Vec::new();
        for i in -reach..=reach {
            for j in -reach..=reach {
                for k in -reach..=reach {
                    let reflections = i.unsigned_abs() + j.unsigned_abs() + k.unsigned_abs();
                    if reflections > MAX_REFLECTIONS {
                        continue;
                    }
                    let offset = [(0, i), (1, j), (2, k)].map(|(axis, i)| image_m(axis, i) - phone_m[axis]);
                    let distance_m = offset.iter().map(|d| d * d).sum::<f64>().sqrt();
                    out.push((reflections, distance_m));
                }
            }
        }
        out.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let direct_m = out[0].1;
        out.iter()
            .map(|(reflections, distance_m)| Tap {
                delay_samples: (distance_m / SPEED_OF_SOUND_M_PER_S * rate_hz).round() as usize,
                amplitude: (direct_m / distance_m
                    * (1.0 - self.absorption).max(0.0).powf(0.5 * f64::from(*reflections)))
                    as f32,
            })
            .filter(|tap| tap.amplitude > 0.0)
            .collect()
    }

    pub(crate) fn apply(&self, sound: &mut Sound) -> Told {
        let rate_hz = f64::from(sound.rate_hz);
        let mut told = Told::default();
        for (c, channel) in sound.channels.iter_mut().enumerate() {
            let taps = self.taps(c, rate_hz);
            if c == 0 {
                let reflected = taps[1..].iter().map(|tap| f64::from(tap.amplitude).powi(2)).sum::<f64>();
                told.delay_samples = taps[0].delay_samples as f64;
                told = told.with("path_len", taps.len()).with(
                    "reflected_to_direct_db",
                    if reflected > 0.0 { 10.0 * reflected.log10() } else { f64::NEG_INFINITY },
                );
            }
            *channel = through(channel, &taps);
        }
        told
    }
}

/// The sum of all delayed copies; what would come after the end is cut off.
fn through(x: &[f32], taps: &[Tap]) -> Vec<f32> {
    let mut out = vec![0f32; x.len()];
    for (block, out) in out.chunks_mut(BLOCK_SAMPLES).enumerate() {
        let first = block * BLOCK_SAMPLES;
        for tap in taps {
            let skipped = tap.delay_samples.saturating_sub(first).min(out.len());
            let from = first + skipped;
            if from < tap.delay_samples {
                continue;
            }
            let source = &x[from - tap.delay_samples..];
            for (y, x) in out[skipped..].iter_mut().zip(source) {
                *y += tap.amplitude * x;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_direct_sound_comes_first_at_its_level_and_a_known_wall_reflects_as_on_paper() {
        // Opposite each other in the middle: the images behind the near walls of the long axis are one length away.
        let room = Room { size_m: [10.0, 40.0, 30.0], distance_m: 4.0, absorption: 0.19, spacing_m: 0.0 };
        let taps = room.taps(0, 48_000.0);
        let side_m = 0.1 * 40.0;
        let direct_m = f64::hypot(4.0, side_m);
        assert_eq!(taps[0].delay_samples, (direct_m / 343.2 * 48_000.0).round() as usize);
        assert!((taps[0].amplitude - 1.0).abs() < 1e-6);
        // The piano stands 2.3 m from the wall behind it: an image 4.6 m further away. (1 - 0.19)^(1/2) = 0.9.
        let image_m = f64::hypot(4.0 + 2.0 * 2.3, side_m);
        let expected = Tap {
            delay_samples: (image_m / 343.2 * 48_000.0).round() as usize,
            amplitude: (0.9 * direct_m / image_m) as f32,
        };
        let found = taps.iter().filter(|tap| {
            tap.delay_samples == expected.delay_samples && (tap.amplitude - expected.amplitude).abs() < 1e-6
        });
        assert_eq!(found.count(), 1, "{taps:?}");
        assert_eq!(taps.len(), 25);
    }

    #[test]
    fn an_impulse_becomes_the_taps_wherever_the_blocks_are_cut() {
        let room = Room::default();
        let taps = room.taps(0, 48_000.0);
        for at in [0, 8_000, 8_191, 8_192] {
            let mut x = vec![0f32; 20_000];
            x[at] = 1.0;
            let y = through(&x, &taps);
            let mut expected = vec![0f32; x.len()];
            taps.iter().for_each(|tap| expected[at + tap.delay_samples] += tap.amplitude);
            assert_eq!(y, expected);
        }
        // Shorter than the way: silence, no panic.
        assert_eq!(through(&[1.0, 1.0], &taps), [0.0, 0.0]);
    }

    #[test]
    fn outdoors_nothing_is_reflected() {
        let taps = Room { absorption: 1.0, ..Room::default() }.taps(0, 48_000.0);
        assert_eq!(taps.len(), 1);
    }
}
