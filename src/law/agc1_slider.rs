//! The slow controller of WebRTC's first gain control, and the microphone slider it moves.
//!
//! The slider has 256 positions. Its law is known where the device emulates the microphone (adaptive digital): +30/128 dB
//! per position above the middle, -20/127 dB below, and beyond position 255 an extra digital gain of up to 10 dB that
//! moves by one of 31 steps per frame. A real microphone's slider is taken as linear in amplitude.
//!
//! The controller compares the mean square of 20 ms, smoothed over 2 s and only while the voice measure sees activity,
//! with -20 dBov. Outside of +-1 dB for 520 ms (or +-5 dB for 340 ms) it moves the slider by one step, down by 3.5 % (5 %), up
//! by `1 + 3^(-2v)/8` (`1.05 + 32^(-2v)/2`, `v` the relative position). After 4 s inside the zone it widens to +-2 dB and
//! waits longer. Peaks near full scale pull the slider down by 9.7 % at once.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc/legacy/analog_agc`.

use super::agc1_hearing::{BLOCKS, FULL_SCALE, SUBFRAMES};
use super::agc1_voice::Voice;

/// Largest slider position.
const SLIDER_MAX: i32 = 255;
/// Slider position of an emulated microphone at the start: 0 dB.
const MIDDLE: i32 = 127;
/// Positions beyond the slider that the controller may ask for: a quarter of the range, worth 10 dB of digital gain.
const BEYOND: i32 = SLIDER_MAX / 4;
/// Lowest position that the controller asks for (4 %).
const LOWEST: i32 = (SLIDER_MAX + BEYOND) * 10 / 256;
/// Position that a very low slider is raised to at the start (10 %).
const RAISED: i32 = (SLIDER_MAX + BEYOND) * 51 / 512;
/// Emulated gain in dB per position above the middle.
const UP_DB: f64 = 30.0 / 128.0;
/// Emulated gain in dB per position below the middle.
const DOWN_DB: f64 = 20.0 / 127.0;
/// Steps of the extra digital gain, and its range in dB.
const EXTRA_STEPS: i32 = 31;
const EXTRA_DB: f64 = 10.0;

/// Target of the mean square in dB over that of a full-scale square wave.
const TARGET_DBOV: f64 = -20.0;
/// Half widths of the zones around the target, in dB: at first, after settling, and the outer one.
const ZONE_FIRST_DB: f64 = 1.0;
const ZONE_SETTLED_DB: f64 = 2.0;
const ZONE_OUTER_DB: f64 = 5.0;
/// Times outside of the inner and the outer zone before the slider moves, in ms: at first and after settling.
const WAIT_FIRST_MS: (i32, i32) = (520, 340);
const WAIT_SETTLED_MS: (i32, i32) = (1_000, 500);
/// Time inside of the zone until it has settled, in ms.
const SETTLED_MS: i32 = 4_000;
/// Milliseconds that one block counts for.
const BLOCK_MS: i32 = 2;
/// Blocks in the sliding mean square (two frames).
const WINDOW: usize = 10;
/// Mean square that the window starts from.
const POWER_START: f64 = 1_000.0;
/// Smoothed mean square of the first 128 ms at the start.
const SHORT_START: f64 = 16_284.0;
/// Share of the way per block of the 128 ms and the 2 s mean.
const SHORT_RATE: f64 = 1.0 / 64.0;
const LONG_RATE: f64 = 1.0 / 1_024.0;
/// Activity after which the 2 s mean is set from the largest 128 ms mean, in ms.
const ACTIVE_MS: i32 = 250;

/// Log-ratio (1/1024) above which the controller listens, and its value in long silence.
const VOICE_THRESHOLD: i32 = 400;
const VOICE_THRESHOLD_SILENCE: i32 = 1_500;
/// Long-term deviations below which the threshold is that of silence, and begins to rise.
const DEVIATION_SILENCE: i32 = 2_500;
const DEVIATION_LOW: i32 = 4_500;

/// Squared peak (in 2^20) from which a millisecond counts as saturated (-0.68 dBFS), the sum of such at which the slider
/// is pulled down, and its decay per frame.
const SATURATED: f64 = 875.0;
const SATURATION_SUM: f64 = 25_000.0;
const SATURATION_DECAY: f64 = 32_440.0 / 32_768.0;

/// Sum of a frame's ten squared peaks below which it counts as digital silence.
const ZERO_SUM: f64 = 500.0;
/// Silence after which a slider in the lower half is raised by 10 %, and for how long it may not rise after that, in ms.
const ZERO_MS: i32 = 500;
const MUTE_GUARD_MS: i32 = 8_000;
/// Milliseconds of one frame.
const FRAME_MS: i32 = 10;

/// Energies of a frame (160 squared samples) below which it is quiet anyway, or if it also has many sign changes.
const QUIET_ENERGY: f64 = 500.0;
const QUIET_ENERGY_NOISE: f64 = 11_000.0;
/// Sign changes up to which a frame is quiet (rumble), up to which it is not, and from which it is (hiss).
const CROSSINGS: (u32, u32, u32) = (5, 15, 20);

/// Whether the device holds its adaptation: next to no energy, rumble, or hiss. Energy is that before the microphone.
pub(super) fn is_quiet(energy: f64, crossings: u32) -> bool {
    if energy < QUIET_ENERGY || crossings <= CROSSINGS.0 {
        true
    } else if crossings <= CROSSINGS.1 {
        false
    } else {
        energy <= QUIET_ENERGY_NOISE || crossings >= CROSSINGS.2
    }
}

/// Which microphone the slider belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Microphone {
    /// Emulated before the digital stage; it can see its own overloads.
    Emulated,
    /// A real one with a slider linear in amplitude, at this position at the start.
    Real(i32),
}

/// The controller with its slider.
#[derive(Debug, Clone)]
pub(super) struct Slider {
    microphone: Microphone,
    /// Position asked for; above [`SLIDER_MAX`] the rest is digital.
    position: i32,
    /// Largest position that may be asked for; shrinks towards the slider's own range when it was too loud.
    position_max: i32,
    /// Position that the controller was last told.
    told: i32,
    started: bool,
    /// Step of the extra digital gain.
    extra: i32,
    powers: [f64; WINDOW],
    next: usize,
    window: f64,
    short: f64,
    short_max: f64,
    long: f64,
    active_ms: i32,
    high_ms: i32,
    low_ms: i32,
    inside_ms: i32,
    settled: bool,
    threshold: i32,
    saturation: f64,
    zero_ms: i32,
    zero_position_max: i32,
    guard_ms: i32,
}

/// The gain before the digital stage in one frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Capture {
    /// Amplitude factor per millisecond.
    pub gain: [f64; SUBFRAMES],
    /// Slider position at the end of the frame.
    position: i32,
}

impl Slider {
    pub fn new(microphone: Microphone) -> Self {
        let position = match microphone {
            Microphone::Emulated => MIDDLE,
            Microphone::Real(start) => start.clamp(0, SLIDER_MAX),
        };
        Self {
            microphone,
            position,
            position_max: SLIDER_MAX + BEYOND,
            told: 0,
            started: false,
            extra: 0,
            powers: [POWER_START; WINDOW],
            next: 0,
            window: POWER_START,
            short: SHORT_START,
            short_max: 0.0,
            long: mean_square(TARGET_DBOV),
            active_ms: 0,
            high_ms: 0,
            low_ms: 0,
            inside_ms: 0,
            settled: false,
            threshold: VOICE_THRESHOLD,
            saturation: 0.0,
            zero_ms: 0,
            zero_position_max: SLIDER_MAX,
            guard_ms: 0,
        }
    }

    /// Whether the microphone is an emulated one.
    pub fn is_emulated(&self) -> bool {
        self.microphone == Microphone::Emulated
    }

    /// Gain of a slider position, without the extra digital gain.
    fn slider_gain(&self, position: i32) -> f64 {
        match self.microphone {
            Microphone::Emulated => {
                let above = f64::from(position - MIDDLE);
                10f64.powf(above * if above > 0.0 { UP_DB } else { DOWN_DB } / 20.0)
            }
            Microphone::Real(start) => f64::from(position.max(1)) / f64::from(start.max(1)),
        }
    }

    fn extra_gain(&mut self) -> f64 {
        if self.position > SLIDER_MAX && self.position_max > SLIDER_MAX {
            let wanted = EXTRA_STEPS * (self.position - SLIDER_MAX) / (self.position_max - SLIDER_MAX);
            self.extra += (wanted - self.extra).signum();
        } else {
            self.extra = 0;
        }
        10f64.powf(f64::from(self.extra) * EXTRA_DB / f64::from(EXTRA_STEPS) / 20.0)
    }

    /// The gain that the next frame meets; `overloads` says per millisecond whether a gain drives it over full scale.
    ///
    /// The emulated microphone goes back by one position per overloaded sample. Peaks alone do not count samples: up to
    /// four per millisecond are taken to do so.
    pub fn capture(&mut self, overloads: impl Fn(usize, f64) -> bool) -> Capture {
        let mut position = self.position.min(SLIDER_MAX);
        let extra = self.extra_gain();
        let mut gain = [extra * self.slider_gain(position); SUBFRAMES];
        if self.microphone == Microphone::Emulated {
            for k in 0..SUBFRAMES {
                let before = position;
                for _ in 0..4 {
                    if position > 0 && overloads(k, self.slider_gain(position)) {
                        position -= 1;
                    }
                }
                if position != before {
                    gain[k..].fill(extra * self.slider_gain(position));
                }
            }
        }
        Capture { gain, position }
    }

    /// Hears a frame as the microphone gave it: squared peaks, mean squares of blocks, voice measure.
    pub fn hear(&mut self, told: i32, peaks: &[f64; SUBFRAMES], powers: &[f64; BLOCKS], voice: &Voice) {
        let mut position = told;
        if !self.started {
            self.started = true;
            if position < RAISED && self.microphone != Microphone::Emulated {
                position = RAISED;
            }
            self.position = position;
        }
        if position == SLIDER_MAX && self.position > SLIDER_MAX {
            position = self.position;
        }
        if position != self.position {
            if position < LOWEST {
                position = RAISED;
                self.position = position;
            } else if told == self.told {
                position = self.position;
            } else {
                self.position = position;
            }
        }
        self.told = told;
        let last = self.position;

        self.protect_from_saturation(&mut position, last, peaks);
        self.wake_from_silence(&mut position, peaks);
        self.adapt_threshold(voice);
        for &power in powers {
            self.follow_level(&mut position, last, power, voice);
        }
        if self.guard_ms > 0 && self.guard_ms < MUTE_GUARD_MS {
            self.position = self.position.min(last);
        }
        self.position = self.position.min(self.position_max).max(LOWEST);
    }

    fn restart_measure(&mut self) {
        self.active_ms = 0;
        self.short_max = 0.0;
    }

    fn protect_from_saturation(&mut self, position: &mut i32, last: i32, peaks: &[f64; SUBFRAMES]) {
        for peak in peaks {
            let peak = (peak / f64::from(1 << 20)).floor();
            if peak > SATURATED {
                self.saturation += peak;
            }
        }
        if self.saturation > SATURATION_SUM {
            self.saturation = 0.0;
            self.long *= 0.875;
            self.zero_position_max = self.position;
            self.position = ((29_591 * *position) >> 15).min(last - 2);
            *position = self.position;
            self.high_ms = -100;
            self.restart_measure();
            self.settled = false;
            self.inside_ms = 0;
            self.guard_ms = 0;
        }
        self.saturation = (self.saturation * SATURATION_DECAY).floor();
    }

    fn wake_from_silence(&mut self, position: &mut i32, peaks: &[f64; SUBFRAMES]) {
        if peaks.iter().sum::<f64>() < ZERO_SUM {
            self.zero_ms += FRAME_MS;
        } else {
            self.zero_ms = 0;
        }
        self.guard_ms = (self.guard_ms - FRAME_MS).max(0);
        if self.zero_ms > ZERO_MS {
            self.zero_ms = 0;
            if *position < (SLIDER_MAX + 1) / 2 {
                *position = ((1_126 * *position) >> 10).min(self.zero_position_max);
                self.position = *position;
            }
            self.restart_measure();
            self.guard_ms = MUTE_GUARD_MS;
        }
    }

    fn adapt_threshold(&mut self, voice: &Voice) {
        if voice.deviation_long < DEVIATION_SILENCE {
            self.threshold = VOICE_THRESHOLD_SILENCE;
        } else {
            let wanted = VOICE_THRESHOLD + (DEVIATION_LOW - voice.deviation_long).max(0) / 2;
            self.threshold = (wanted + 31 * self.threshold) >> 5;
        }
    }

    fn follow_level(&mut self, position: &mut i32, last: i32, power: f64, voice: &Voice) {
        self.window += (power - self.powers[self.next]) / WINDOW as f64;
        self.powers[self.next] = power;
        self.next = (self.next + 1) % WINDOW;
        self.short += SHORT_RATE * (power - self.short);
        if voice.log_ratio <= self.threshold {
            return;
        }
        if self.active_ms < ACTIVE_MS {
            self.active_ms += BLOCK_MS;
            self.short_max = self.short_max.max(self.short);
        } else if self.active_ms == ACTIVE_MS {
            self.active_ms += BLOCK_MS;
            self.long = self.short_max;
        }
        self.long += LONG_RATE * (self.window - self.long);

        let zone_db = if self.settled { ZONE_SETTLED_DB } else { ZONE_FIRST_DB };
        let (inner_ms, outer_ms) = if self.settled { WAIT_SETTLED_MS } else { WAIT_FIRST_MS };
        let above = |db: f64| self.long > mean_square(TARGET_DBOV + db);
        let below = |db: f64| self.long < mean_square(TARGET_DBOV - db);
        if above(ZONE_OUTER_DB) {
            self.too_high(position, last, outer_ms, 31_130, true);
        } else if above(zone_db) {
            self.too_high(position, last, inner_ms, 31_621, false);
        } else if below(ZONE_OUTER_DB) {
            self.too_low(position, last, outer_ms, 2, |v| 1.05 + 0.5 * 32f64.powf(-2.0 * v));
        } else if below(zone_db) {
            self.too_low(position, last, inner_ms, 1, |v| 1.0 + 0.125 * 3f64.powf(-2.0 * v));
        } else {
            if self.inside_ms > SETTLED_MS {
                self.settled = true;
            } else {
                self.inside_ms += BLOCK_MS;
            }
            self.low_ms = 0;
            self.high_ms = 0;
            self.position = *position;
        }
    }

    fn too_high(&mut self, position: &mut i32, last: i32, wait_ms: i32, factor: i32, restart: bool) {
        self.high_ms += BLOCK_MS;
        self.low_ms = 0;
        self.inside_ms = 0;
        if self.high_ms > wait_ms {
            self.high_ms = 0;
            self.long *= 53.0 / 64.0;
            self.position_max = ((15 * self.position_max + self.position) / 16).max(SLIDER_MAX);
            self.zero_position_max = self.position;
            self.position = ((factor * *position) >> 15).min(last - 1);
            *position = self.position;
            if restart {
                self.restart_measure();
            }
        }
    }

    fn too_low(&mut self, position: &mut i32, last: i32, wait_ms: i32, least: i32, weight: impl Fn(f64) -> f64) {
        self.high_ms = 0;
        self.inside_ms = 0;
        self.low_ms += BLOCK_MS;
        if self.low_ms > wait_ms {
            self.low_ms = 0;
            self.long *= 67.0 / 64.0;
            let relative = f64::from(*position) / f64::from(SLIDER_MAX + BEYOND);
            let raised = f64::from(*position) * straightened(&weight, relative);
            self.position = (raised.min(1e6) as i32).max(last + least);
            *position = self.position;
        }
    }
}

impl Capture {
    /// The position the controller is told after this frame.
    pub fn told(&self) -> i32 {
        self.position
    }
}

/// A curve made of straight pieces between the positions at which the device holds it.
fn straightened(curve: &impl Fn(f64) -> f64, v: f64) -> f64 {
    /// Ends of the pieces: 0.08 of the range apart at first (in 1/16384).
    const ENDS: [f64; 9] = [
        0.0,
        1_311.0 / 16_384.0,
        2_621.0 / 16_384.0,
        3_932.0 / 16_384.0,
        5_243.0 / 16_384.0,
        6_554.0 / 16_384.0,
        7_864.0 / 16_384.0,
        12_124.0 / 16_384.0,
        1.0,
    ];
    let piece = ENDS[1..8].iter().take_while(|&&end| v > end).count();
    let (left, right) = (ENDS[piece], ENDS[piece + 1]);
    curve(left) + (v - left) / (right - left) * (curve(right) - curve(left))
}

/// Mean square in squared 16-bit samples of a level in dBov.
fn mean_square(dbov: f64) -> f64 {
    FULL_SCALE * FULL_SCALE * 10f64.powf(dbov / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_meet_the_published_constants() {
        // At the left end 1.55 and 1.125; the first pieces fall by 2.66 and 0.252 per unit.
        let steep = |v: f64| 1.05 + 0.5 * 32f64.powf(-2.0 * v);
        assert!((straightened(&steep, 0.0) - 1.55).abs() < 1e-9);
        assert!((straightened(&steep, 0.04) - (1.55 - 0.04 * 2.66)).abs() < 1e-3);
        assert!((straightened(&steep, 0.6) - (1.0956 - 0.6 * 0.0576)).abs() < 2e-3);
    }

    #[test]
    fn quiet_frames_are_those_without_energy_rumble_and_hiss() {
        assert!(is_quiet(100.0, 10));
        assert!(is_quiet(1e9, 3));
        assert!(!is_quiet(1e9, 10));
        assert!(!is_quiet(1e9, 18));
        assert!(is_quiet(1e3, 18));
        assert!(is_quiet(1e9, 40));
    }
}
