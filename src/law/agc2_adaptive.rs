//! WebRTC's second gain control, the adaptive gain before the fixed one and the limiter.
//!
//! Per frame of 10 ms, from what the device hears before its gain:
//!
//! ```text
//! level     weighted mean of rms dBFS over speech frames, of all the first 0.4 s, then with a memory of 400 frames
//! headroom  12..25 dB, following (peak of 0.4 s, four such ago) - level, up in 8.7 s, down in 43 s
//! noise     smallest frame of 5 s, down at once, up by half per 5 s
//! target    -(headroom + margin) - level, within 0..max gain, and noise + gain below its limit
//! gain      towards the target by at most the slew rate; upwards only after 12 speech frames on end
//! ```
//!
//! Whether a frame is speech is what the device's own network says of it ([`agc2_voice`](super::agc2_voice)): on music it is erratic,
//! and the gain rises only while it lasts.
//!
//! Source: the WebRTC project, `modules/audio_processing/agc2` (`adaptive_digital_gain_controller`,
//! `speech_level_estimator`, `saturation_protector`, `noise_level_estimator`).

use super::agc1::{VOLUME, value};
use super::agc1_hearing::LOUDEST;
use super::agc1_ramp::Ramp;
use super::agc2_limiter::{FIXED_GAIN, HeardParts, Limiter, PARTS, Parts, Pieces};
use super::agc2_voice::Voice;
use super::{Direction, GainControl, Habit, Law, Parameter, Scale};

/// Frame of the device, in s and in ms.
const FRAME_S: f64 = 0.010;
const FRAME_MS: i32 = 10;
/// Lowest level that is told apart from silence, in dBFS: one 16-bit step.
const LEVEL_MIN_DBFS: f64 = -90.31;
/// Range of the speech level estimate, in dBFS.
const SPEECH_RANGE_DBFS: (f64, f64) = (-90.0, 30.0);
/// Time over which the first estimate is a plain mean, in ms.
const CONFIDENCE_MS: i32 = 400;
/// Memory of the estimate per speech frame afterwards.
const LEAK: f64 = 1.0 - 1.0 / 400.0;
/// Probability from which a frame is speech.
const SPEECH: f64 = 0.95;
/// Speech frames on end before estimates and increases count.
const ADJACENT: i32 = 12;
/// Limiter level above which a young estimate must not push, in dBFS.
const LIMITER_THRESHOLD_DBFS: f64 = -1.0;
/// Headroom at the start and its range, in dB.
const HEADROOM_START_DB: f64 = 20.0;
const HEADROOM_RANGE_DB: (f64, f64) = (12.0, 25.0);
/// Memory of the headroom per frame, upwards and downwards.
const HEADROOM_UP: f64 = 0.998_849_37;
const HEADROOM_DOWN: f64 = 0.999_769_77;
/// Time that one entry of the peak history covers, in ms, and entries.
const PEAK_MS: i32 = 400;
const PEAKS: usize = 4;
/// Frames between updates of the noise level (5 s).
const NOISE_FRAMES: u32 = 500;
/// Mean square below which a frame says nothing about noise: 2 steps of 16 bits (-84 dBFS).
const NOISE_MIN: f64 = 4.0 / (32_768.0 * 32_768.0);
/// Refinements of the inverse: the gain moves by at most 0.3 dB a frame, and levels are smoothed after that.
const REFINEMENTS: usize = 4;

static PARAMETERS: [Parameter; 7] = [
    Parameter {
        name: "margin_db",
        unit: "dB",
        low: 0.0,
        high: 20.0,
        default: 5.0,
        scale: Scale::Linear,
        meaning: "distance that peaks keep from full scale (the interface's headroom); 5 by default, 1 in older versions",
    },
    Parameter {
        name: "max_gain_db",
        unit: "dB",
        low: 1.0,
        high: 60.0,
        default: 50.0,
        scale: Scale::Linear,
        meaning: "largest gain; 50 by default, 30 in older versions",
    },
    Parameter {
        name: "initial_gain_db",
        unit: "dB",
        low: 0.0,
        high: 40.0,
        default: 15.0,
        scale: Scale::Linear,
        meaning: "gain at the start; 15 by default, 8 in older versions",
    },
    Parameter {
        name: "slew_db_per_s",
        unit: "dB/s",
        low: 1.0,
        high: 30.0,
        default: 6.0,
        scale: Scale::Log,
        meaning: "largest change of the gain; 6 by default, 3 in older versions",
    },
    Parameter {
        name: "max_noise_dbfs",
        unit: "dB",
        low: -90.0,
        high: 0.0,
        default: -50.0,
        scale: Scale::Linear,
        meaning: "level above which the gain must not lift the noise; -50 by default",
    },
    FIXED_GAIN,
    VOLUME,
];

/// Today's and older versions' constants, then what nobody changes.
const HABITS: [Habit; 7] = [
    Habit::any_of(&[5.0, 1.0], 40.0),
    Habit::any_of(&[50.0], 40.0),
    Habit::any_of(&[15.0, 8.0], 40.0),
    Habit::any_of(&[6.0, 3.0], 40.0),
    Habit::any_of(&[-50.0], 40.0),
    Habit::any_of(&[0.0], 40.0),
    Habit::any_of(&[0.0], 40.0),
];

/// The adaptive digital mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agc2Adaptive;

impl Law for Agc2Adaptive {
    fn name(&self) -> &'static str {
        "agc2-adaptive"
    }

    fn summary(&self) -> &'static str {
        "WebRTC's second gain control in adaptive digital mode: a gain that slews to a speech level while a voice detector \
         hears speech, then a limiter (WebRTC project, audio_processing/agc2)"
    }

    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn is_searched(&self) -> bool {
        false
    }

    fn habits(&self) -> &[Habit] {
        &HABITS
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let value = |index| value(&PARAMETERS, values, index);
        let settings = Settings {
            margin_db: value(0),
            max_gain_db: value(1),
            slew_db: value(3) * FRAME_S,
            max_noise_dbfs: value(4),
        };
        let fixed = ratio(value(5));
        let volume = ratio(value(6));
        let start_db = value(2);
        let parts = Parts::new(sample_rate_hz);
        let ramp = Ramp::new(parts.latency_samples(), parts.part_samples(), ratio(start_db) * fixed * volume);
        Box::new(Device {
            unheard: Vec::new(),
            voice: Voice::new(sample_rate_hz),
            parts,
            ramp,
            leveller: Leveller::new(settings, start_db),
            limiter: Limiter::new(ratio(settings.max_gain_db.max(start_db)) * fixed),
            fixed,
            volume,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Settings {
    margin_db: f64,
    max_gain_db: f64,
    /// Largest change per frame.
    slew_db: f64,
    max_noise_dbfs: f64,
}

struct Device {
    parts: Parts,
    voice: Voice,
    /// Samples that the voice detector has not heard yet.
    unheard: Vec<f32>,
    ramp: Ramp,
    leveller: Leveller,
    limiter: Limiter,
    fixed: f64,
    volume: f64,
}

impl Device {
    fn run(&mut self, drive: &[f32], out: &mut [f32], direction: Direction) {
        let Self { parts, voice, unheard, ramp, leveller, limiter, fixed, volume } = self;
        let scale = if direction == Direction::Forward { 1.0 } else { 1.0 / *volume };
        unheard.extend(drive.iter().map(|x| (x * scale as f32).clamp(-LOUDEST, LOUDEST)));
        parts.feed(drive, scale, |heard| {
            let mut frame = unheard.drain(..heard.sample_len).collect::<Vec<_>>();
            let left = ratio(leveller.gain_db) * *fixed;
            let envelope_dbfs = dbfs(limiter.level());
            let limited = match direction {
                Direction::Forward => {
                    let speech = voice.hear(&frame);
                    leveller.hear(Levels::of(heard), f64::from(speech), envelope_dbfs);
                    let right = ratio(leveller.gain_db) * *fixed;
                    let mut peaks = heard.peak;
                    for (k, peak) in peaks.iter_mut().enumerate() {
                        *peak *= along(left, right, k as f64 + heard.peak_at[k]);
                    }
                    limiter.forward(&peaks)
                }
                Direction::Inverse => {
                    // The limiter's own input follows from its output alone; the leveller's from that and its gain,
                    // which moves so little that a few repetitions settle it, and the detector hears none of it.
                    let limited = limiter.inverse(heard);
                    let part_len = frame.len() as f64 / PARTS as f64;
                    for (n, sample) in frame.iter_mut().enumerate() {
                        let part = (n as f64 + 0.5) / part_len;
                        let (from, to) = limited[part as usize];
                        *sample /= ((from + part.fract() * (to - from)) * left) as f32;
                    }
                    let speech = voice.hear(&frame);
                    let start = leveller.clone();
                    let mut right = left;
                    for _ in 0..REFINEMENTS {
                        *leveller = start.clone();
                        let levels = Levels::of(&before(heard, &limited, left, right));
                        leveller.hear(levels, f64::from(speech), envelope_dbfs);
                        let next = ratio(leveller.gain_db) * *fixed;
                        let settled = next == right;
                        right = next;
                        if settled {
                            break;
                        }
                    }
                    limited
                }
            };
            let right = ratio(leveller.gain_db) * *fixed;
            ramp.push(limited.iter().enumerate().map(|(k, &(from, to))| {
                let k = k as f64;
                (from * along(left, right, k) * *volume, to * along(left, right, k + 1.0) * *volume)
            }));
        });
        ramp.pop(out);
    }
}

/// Gain at a part's position in a frame, running linearly from left to right.
fn along(left: f64, right: f64, part: f64) -> f64 {
    left + (right - left) * part / PARTS as f64
}

/// A recorded frame taken back to what stood before limiter and gain.
fn before(recorded: &HeardParts, limited: &Pieces, left: f64, right: f64) -> HeardParts {
    let mut out = recorded.clone();
    for (k, &(from, to)) in limited.iter().enumerate() {
        let gain = |part: f64| (from + part * (to - from)) * along(left, right, k as f64 + part);
        out.peak[k] /= gain(recorded.peak_at[k]);
        out.power[k] /= gain(0.5).powi(2);
    }
    out
}

impl GainControl for Device {
    fn latency_samples(&self) -> usize {
        self.ramp.latency_samples()
    }

    fn forward(&mut self, drive: &[f32], gain: &mut [f32]) {
        self.run(drive, gain, Direction::Forward);
    }

    fn inverse(&mut self, recorded: &[f32], gain: &mut [f32]) {
        self.run(recorded, gain, Direction::Inverse);
    }
}

/// What the leveller asks of a frame.
#[derive(Debug, Clone, Copy)]
struct Levels {
    peak_dbfs: f64,
    rms_dbfs: f64,
    power: f64,
}

impl Levels {
    fn of(heard: &HeardParts) -> Self {
        let power = heard.power.iter().sum::<f64>() / PARTS as f64;
        let peak = heard.peak.iter().fold(0f64, |a, &b| a.max(b));
        Self { peak_dbfs: dbfs(peak), rms_dbfs: dbfs(power.sqrt()), power }
    }
}

fn dbfs(amplitude: f64) -> f64 {
    (20.0 * amplitude.max(1e-30).log10()).max(LEVEL_MIN_DBFS)
}

fn ratio(db: f64) -> f64 {
    10f64.powf(db / 20.0)
}

/// The gain before the limiter, frame after frame.
#[derive(Debug, Clone)]
struct Leveller {
    settings: Settings,
    gain_db: f64,
    /// Speech frames on end.
    adjacent: i32,
    /// Frames until increases are allowed.
    wait: i32,
    speech_dbfs: f64,
    headroom_db: f64,
    /// Estimates that include the present run of speech frames, and those before it.
    tentative: Estimate,
    reliable: Estimate,
    noise: Noise,
}

/// Speech level and headroom as far as they are known.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    remaining_ms: i32,
    sum: f64,
    weight: f64,
    headroom_db: f64,
    /// Peaks of the last spans of 0.4 s, oldest first.
    peaks: [f64; PEAKS],
    peaks_len: usize,
    peak_dbfs: f64,
    peak_ms: i32,
}

impl Leveller {
    fn new(settings: Settings, start_db: f64) -> Self {
        let (low, high) = SPEECH_RANGE_DBFS;
        let speech_dbfs = (-HEADROOM_START_DB - start_db - settings.margin_db).clamp(low, high);
        let estimate = Estimate {
            remaining_ms: CONFIDENCE_MS,
            sum: speech_dbfs,
            weight: 1.0,
            headroom_db: HEADROOM_START_DB,
            peaks: [0.0; PEAKS],
            peaks_len: 0,
            peak_dbfs: LEVEL_MIN_DBFS,
            peak_ms: 0,
        };
        Self {
            settings,
            gain_db: start_db,
            adjacent: 0,
            wait: ADJACENT,
            speech_dbfs,
            headroom_db: HEADROOM_START_DB,
            tentative: estimate,
            reliable: estimate,
            noise: Noise::new(),
        }
    }

    fn hear(&mut self, levels: Levels, probability: f64, limiter_dbfs: f64) {
        let noise_dbfs = self.noise.hear(levels.power);
        let speech = probability >= SPEECH;
        self.estimate(levels, probability);

        let input_dbfs = self.speech_dbfs + self.headroom_db;
        let mut target_db = (-self.settings.margin_db - input_dbfs).clamp(0.0, self.settings.max_gain_db);
        target_db = target_db.min((self.settings.max_noise_dbfs - noise_dbfs).max(0.0));
        if !self.is_confident() && limiter_dbfs > LIMITER_THRESHOLD_DBFS {
            target_db = target_db.min((LIMITER_THRESHOLD_DBFS - (limiter_dbfs - self.gain_db)).max(0.0));
        }

        let mut rise_db = 0.0;
        if !speech {
            self.wait = ADJACENT;
        } else if self.wait > 0 {
            self.wait -= 1;
            if self.wait == 0 {
                // What was withheld while waiting is given back at once.
                rise_db = self.settings.slew_db * f64::from(ADJACENT);
            }
        } else {
            rise_db = self.settings.slew_db;
        }
        self.gain_db += (target_db - self.gain_db).clamp(-self.settings.slew_db, rise_db);
    }

    fn estimate(&mut self, levels: Levels, probability: f64) {
        if probability < SPEECH {
            if self.adjacent >= ADJACENT {
                self.reliable = self.tentative;
            } else if self.adjacent > 0 {
                self.tentative = self.reliable;
            }
            self.adjacent = 0;
            return;
        }
        self.adjacent = self.adjacent.saturating_add(1);
        self.tentative.hear_level(levels.rms_dbfs, probability);
        let counts = self.adjacent >= ADJACENT;
        if counts {
            let (low, high) = SPEECH_RANGE_DBFS;
            self.speech_dbfs = (self.tentative.sum / self.tentative.weight).clamp(low, high);
        }
        self.tentative.hear_peak(levels.peak_dbfs, self.speech_dbfs);
        if counts {
            self.headroom_db = self.tentative.headroom_db;
        }
    }

    fn is_confident(&self) -> bool {
        self.reliable.remaining_ms == 0 || (self.adjacent >= ADJACENT && self.tentative.remaining_ms == 0)
    }
}

impl Estimate {
    fn hear_level(&mut self, rms_dbfs: f64, probability: f64) {
        let keep = if self.remaining_ms == 0 { LEAK } else { 1.0 };
        self.remaining_ms = (self.remaining_ms - FRAME_MS).max(0);
        self.sum = keep * self.sum + rms_dbfs * probability;
        self.weight = keep * self.weight + probability;
    }

    fn hear_peak(&mut self, peak_dbfs: f64, speech_dbfs: f64) {
        self.peak_dbfs = self.peak_dbfs.max(peak_dbfs);
        self.peak_ms += FRAME_MS;
        if self.peak_ms > PEAK_MS {
            if self.peaks_len == PEAKS {
                self.peaks.rotate_left(1);
                self.peaks_len -= 1;
            }
            self.peaks[self.peaks_len] = self.peak_dbfs;
            self.peaks_len += 1;
            self.peak_dbfs = LEVEL_MIN_DBFS;
            self.peak_ms = 0;
        }
        let delayed = if self.peaks_len > 0 { self.peaks[0] } else { self.peak_dbfs };
        let wanted = delayed - speech_dbfs;
        let keep = if wanted > self.headroom_db { HEADROOM_UP } else { HEADROOM_DOWN };
        let (low, high) = HEADROOM_RANGE_DB;
        self.headroom_db = (keep * self.headroom_db + (1.0 - keep) * wanted).clamp(low, high);
    }
}

/// The level of the quietest frames.
#[derive(Debug, Clone, Copy)]
struct Noise {
    power: f64,
    smallest: f64,
    remaining: u32,
    first: bool,
}

impl Noise {
    fn new() -> Self {
        Self { power: NOISE_MIN, smallest: f64::INFINITY, remaining: NOISE_FRAMES, first: true }
    }

    fn hear(&mut self, power: f64) -> f64 {
        if power > NOISE_MIN {
            self.smallest = self.smallest.min(power);
            if self.remaining == 0 {
                self.first = false;
                let rising = self.smallest > self.power;
                self.power = if rising { 0.5 * (self.power + self.smallest) } else { self.smallest };
                self.remaining = NOISE_FRAMES;
                self.smallest = f64::INFINITY;
            } else {
                self.power = if self.first { self.smallest } else { self.power.min(self.smallest) };
                self.remaining -= 1;
            }
        }
        dbfs(self.power.sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let default = |k: usize| PARAMETERS[k].default;
        Settings {
            margin_db: default(0),
            max_gain_db: default(1),
            slew_db: default(3) * FRAME_S,
            max_noise_dbfs: default(4),
        }
    }

    #[test]
    fn a_steady_tone_is_brought_to_its_target_at_the_slew_rate() {
        // Sine at -50 dBFS rms after a quiet start: level -> -50, headroom -> 12, so gain -> -5 - 12 + 50 = 33 dB.
        let mut leveller = Leveller::new(settings(), 15.0);
        leveller.hear(Levels { peak_dbfs: -88.0, rms_dbfs: -83.9, power: NOISE_MIN * 1.01 }, 0.0, -90.0);
        let tone = Levels { peak_dbfs: -47.0, rms_dbfs: -50.0, power: 1e-5 };
        let mut last = leveller.gain_db;
        for n in 0..490 {
            leveller.hear(tone, 1.0, -90.0);
            let rise = leveller.gain_db - last;
            assert!(rise <= if n == 11 { 0.721 } else { 0.061 }, "{n}: {rise}");
            last = leveller.gain_db;
        }
        assert!((15.0..=33.0).contains(&leveller.gain_db), "{}", leveller.gain_db);
    }

    #[test]
    fn without_speech_the_gain_never_rises() {
        let mut leveller = Leveller::new(settings(), 15.0);
        for _ in 0..1_000 {
            leveller.hear(Levels { peak_dbfs: -47.0, rms_dbfs: -50.0, power: 1e-5 }, 0.9, -90.0);
            assert!(leveller.gain_db <= 15.0);
        }
    }
}
