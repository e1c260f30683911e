//! WebRTC's second gain control, the fixed gain and its limiter.
//!
//! ```text
//! y = x G L(level)          G = 10^(gain_db/20)
//! peak_k  = max |x G| over 0.5 ms and channels; within a frame of 10 ms, max(peak_k, peak_(k+1))
//! level   = peak                                     if peak > level
//!           0.9971 level + 0.0029 peak               otherwise: up to -50 dB/s
//! output  = level                                    below -0.75 dBFS
//!           parabola                                 knee of 1 dB
//!           (level - 1)/5                            above +0.25 dBFS
//!           0 dBFS                                   above +1 dBFS: a ceiling
//! ```
//!
//! The gain `L = output - level` runs linearly between the ends of the 0.5 ms, except that the first 0.5 ms of a frame
//! keeps its old gain when it falls.
//!
//! # Inverse
//! Between -0.75 and +1 dBFS of level the output tells the level, above it does not: the smallest level that explains
//! the recorded peak is taken, so gain reductions there come out too small, never too large.
//!
//! Peaks are taken at the recording's rate over all frequencies; the device does so at its own rate. Its table of 32
//! straight pieces is replaced by the curve that it approximates (to 0.01 dB).
//!
//! Source: the WebRTC project, `modules/audio_processing/agc2` (`limiter`, `limiter_db_gain_curve`,
//! `fixed_digital_level_estimator`).

use super::agc1::value;
use super::agc1_hearing::LOUDEST;
use super::agc1_ramp::Ramp;
use super::{Direction, GainControl, Law, Parameter, Scale};

/// Parts of a frame, 0.5 ms each.
pub(super) const PARTS: usize = 20;
/// Length of a part, in s.
const PART_S: f64 = 0.000_5;

/// Input level at which the output reaches full scale, in dBFS.
const CEILING_DB: f64 = 1.0;
/// Width of the knee, in dB.
const KNEE_DB: f64 = 1.0;
/// Ratio above the knee.
const RATIO: f64 = 5.0;
/// Start of the knee, in dBFS: where the straight pieces, smoothed over the knee, leave the identity (-0.75).
const KNEE_START_DB: f64 = -KNEE_DB / 2.0 - CEILING_DB / (RATIO - 1.0);
/// Share of the level that is kept per part (-50 dB/s at most).
const DECAY: f64 = 0.997_125_9;

/// Lanes in which samples are scanned, so that the compiler can vectorise it.
const LANES: usize = 8;

/// Accuracy of the inverse's levels, relative.
const SETTLED: f64 = 1e-5;
/// Passes of the inverse over a frame.
const PASSES: usize = 4;
/// Smallest gain of the limiter: levels are bounded by the largest fixed gain.
const GAIN_MIN: f64 = 1e-3;
/// Share of a recorded peak that counts as explained: at the ceiling nothing explains more.
const EXPLAINED: f64 = 1.0 - 1e-5;

static PARAMETERS: [Parameter; 2] = [FIXED_GAIN, super::agc1::VOLUME];

/// Fixed gain before the limiter.
pub(super) const FIXED_GAIN: Parameter = Parameter {
    name: "gain_db",
    unit: "dB",
    low: 0.0,
    high: 50.0,
    default: 0.0,
    scale: Scale::Linear,
    meaning: "fixed gain before the limiter; the interface allows 0 to 50",
};

/// The fixed digital mode: a gain and a limiter.
#[derive(Debug, Clone, Copy, Default)]
pub struct Agc2Limiter;

impl Law for Agc2Limiter {
    fn name(&self) -> &'static str {
        "agc2-limiter"
    }

    fn summary(&self) -> &'static str {
        "WebRTC's second gain control in fixed digital mode: a gain and a limiter on peaks of 0.5 ms \
         (WebRTC project, audio_processing/agc2)"
    }

    fn parameters(&self) -> &[Parameter] {
        &PARAMETERS
    }

    fn has_ceiling(&self) -> bool {
        true
    }

    fn start(&self, values: &[f64], sample_rate_hz: f64) -> Box<dyn GainControl> {
        let gain = 10f64.powf(value(&PARAMETERS, values, 0) / 20.0);
        let volume = 10f64.powf(value(&PARAMETERS, values, 1) / 20.0);
        let parts = Parts::new(sample_rate_hz);
        let ramp = Ramp::new(parts.latency_samples(), parts.part_samples(), gain * volume);
        Box::new(Device { parts, ramp, limiter: Limiter::new(gain), gain, volume })
    }
}

struct Device {
    parts: Parts,
    ramp: Ramp,
    limiter: Limiter,
    gain: f64,
    volume: f64,
}

impl Device {
    fn run(&mut self, drive: &[f32], out: &mut [f32], direction: Direction) {
        let Self { parts, ramp, limiter, gain, volume } = self;
        let scale = if direction == Direction::Forward { *gain } else { 1.0 / *volume };
        parts.feed(drive, scale, |heard| {
            let pieces = match direction {
                Direction::Forward => limiter.forward(&heard.peak),
                Direction::Inverse => limiter.inverse(heard),
            };
            ramp.push(pieces.iter().map(|(left, right)| (left * *gain * *volume, right * *gain * *volume)));
        });
        ramp.pop(out);
    }
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

/// One frame as the device sees it, full scale 1.
#[derive(Debug, Clone, Default)]
pub(super) struct HeardParts {
    /// Largest magnitude of each part.
    pub peak: [f64; PARTS],
    /// Where in its part that peak lies, 0 to 1.
    pub peak_at: [f64; PARTS],
    /// Mean square of each part.
    pub power: [f64; PARTS],
    /// Samples in the frame.
    pub sample_len: usize,
}

/// Cuts a signal into frames of 20 parts.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    part_samples: f64,
    /// Parts completed so far.
    index: u64,
    /// Samples seen so far.
    seen: u64,
    /// Sample at which the present part ends.
    end: u64,
    begin: u64,
    peak: f32,
    peak_index: u64,
    energies: [f32; LANES],
    heard: HeardParts,
}

impl Parts {
    pub fn new(sample_rate_hz: f64) -> Self {
        let part_samples = (PART_S * sample_rate_hz).max(0.05);
        Self {
            part_samples,
            index: 0,
            seen: 0,
            begin: 0,
            end: part_samples.ceil() as u64,
            peak: 0.0,
            peak_index: 0,
            energies: [0.0; LANES],
            heard: HeardParts::default(),
        }
    }

    /// Samples in a part, not necessarily whole.
    pub fn part_samples(&self) -> f64 {
        self.part_samples
    }

    /// Samples until a frame's gains are known.
    pub fn latency_samples(&self) -> usize {
        (self.part_samples * PARTS as f64).ceil() as usize + 1
    }

    /// Feeds samples times `scale`; `sink` receives each frame as it is complete.
    pub fn feed(&mut self, drive: &[f32], scale: f64, mut sink: impl FnMut(&HeardParts)) {
        let scale = scale as f32;
        let mut rest = drive;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min((self.end - self.seen) as usize));
            // Each sample has its lane by its place in the part, so that the sum does not hang on where calls begin.
            let lane_of = |n: usize| (self.seen - self.begin) as usize + n;
            let (mut peaks, energies) = ([0f32; LANES], &mut self.energies);
            let head = (LANES - lane_of(0) % LANES) % LANES;
            let (first, aligned) = now.split_at(head.min(now.len()));
            let (chunks, last) = aligned.as_chunks::<LANES>();
            for (n, x) in first.iter().enumerate() {
                let x = (x * scale).abs().min(LOUDEST);
                peaks[0] = peaks[0].max(x);
                energies[lane_of(n) % LANES] += x * x;
            }
            for chunk in chunks {
                for lane in 0..LANES {
                    let x = (chunk[lane] * scale).abs().min(LOUDEST);
                    peaks[lane] = if x > peaks[lane] { x } else { peaks[lane] };
                    energies[lane] += x * x;
                }
            }
            for (lane, x) in last.iter().enumerate() {
                let x = (x * scale).abs().min(LOUDEST);
                peaks[lane] = peaks[lane].max(x);
                energies[lane] += x * x;
            }
            let peak = peaks.iter().fold(0f32, |a, &b| a.max(b));
            if peak > self.peak {
                self.peak = peak;
                let at = now.iter().position(|&x| (x * scale).abs().min(LOUDEST) == peak).unwrap_or(0);
                self.peak_index = self.seen + at as u64;
            }
            self.seen += now.len() as u64;
            rest = later;
            while self.seen == self.end {
                self.finish_part(&mut sink);
            }
        }
    }

    fn finish_part(&mut self, sink: &mut impl FnMut(&HeardParts)) {
        let k = (self.index % PARTS as u64) as usize;
        let begin = self.index as f64 * self.part_samples;
        self.heard.peak[k] = f64::from(self.peak);
        self.heard.peak_at[k] = ((self.peak_index as f64 - begin) / self.part_samples).clamp(0.0, 1.0);
        let part_len = (self.end - self.begin) as usize;
        self.heard.sample_len = if k == 0 { part_len } else { self.heard.sample_len + part_len };
        let energy = self.energies.iter().sum::<f32>();
        self.heard.power[k] = f64::from(energy) / part_len.max(1) as f64;
        self.index += 1;
        self.begin = self.end;
        self.end = ((self.index + 1) as f64 * self.part_samples).ceil() as u64;
        (self.peak, self.energies) = (0.0, [0.0; LANES]);
        if k == PARTS - 1 {
            sink(&self.heard);
        }
    }
}

/// Gains of the parts of a frame, each from its start to its end.
pub(super) type Pieces = [(f64, f64); PARTS];

/// The limiter at work.
#[derive(Debug, Clone)]
pub(super) struct Limiter {
    level: f64,
    gain: f64,
    /// Largest level there can be: full scale times the largest gain before it.
    level_max: f64,
}

impl Limiter {
    pub fn new(gain_max: f64) -> Self {
        Self { level: 0.0, gain: 1.0, level_max: gain_max.max(1.0) * 1.5 }
    }

    /// Level after the last frame, full scale 1.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Gains of a frame whose peaks before the limiter are known.
    pub fn forward(&mut self, peaks: &[f64; PARTS]) -> Pieces {
        let mut pieces = [(1.0, 1.0); PARTS];
        let mut start = self.gain;
        for k in 0..PARTS {
            let next = peaks.get(k + 1).copied().unwrap_or(0.0);
            self.level = follow(self.level, peaks[k].max(next));
            self.gain = curve(self.level);
            pieces[k] = piece(k, start, self.gain);
            start = self.gain;
        }
        pieces
    }

    /// Gains of a frame whose peaks after the limiter are known.
    pub fn inverse(&mut self, recorded: &HeardParts) -> Pieces {
        let knee = 10f64.powf(KNEE_START_DB / 20.0);
        if self.gain == 1.0 && self.level <= knee && recorded.peak.iter().all(|&peak| peak <= knee) {
            return self.forward(&recorded.peak);
        }
        let mut peaks = recorded.peak;
        for _ in 0..PASSES {
            // Levels after the part before last and after the last one.
            let (mut before, mut level) = (self.level, self.level);
            let mut change = 0f64;
            for k in 0..PARTS {
                let next = peaks.get(k + 1).copied().unwrap_or(0.0);
                let last = if k > 0 { peaks[k - 1] } else { 0.0 };
                // A peak reaches back to the start of its own part, except in the first of a frame.
                let reached = |peak: f64| if k > 0 { follow(before, last.max(peak)) } else { level };
                let gain_at = |peak: f64| {
                    let from = reached(peak);
                    let start = if k > 0 { curve(from) } else { self.gain };
                    let (left, right) = piece(k, start, curve(follow(from, peak.max(next))));
                    left + recorded.peak_at[k] * (right - left)
                };
                let peak = explain(recorded.peak[k], self.level_max, gain_at);
                change = change.max((peak - peaks[k]).abs() / peak.max(1e-9));
                peaks[k] = peak;
                before = reached(peak);
                level = follow(before, peak.max(next));
            }
            if change < SETTLED {
                break;
            }
        }
        self.forward(&peaks)
    }
}

/// The smallest peak that a gain depending on it turns into the recorded one.
fn explain(recorded: f64, most: f64, gain_at: impl Fn(f64) -> f64) -> f64 {
    let output = |peak: f64| peak * gain_at(peak).max(GAIN_MIN);
    let aim = recorded * EXPLAINED;
    // The gain is at most 1, so the peak is at least what was recorded.
    let (mut low, mut high) = (recorded.min(most), recorded.min(most));
    while output(high) < aim {
        if high >= most {
            return most;
        }
        low = high;
        high = (high * 1.25).max(1e-9).min(most);
    }
    // The output never falls as the peak rises. Where the gain does not depend on this peak it is proportional, and one
    // guess is enough; at the ceiling it is flat, and the interval is halved.
    while high - low > SETTLED * high {
        let guess = (high * recorded / output(high)).clamp(low, high);
        let guess = if guess < high && guess > low { guess } else { 0.5 * (low + high) };
        if output(guess) < aim {
            low = guess;
        } else {
            high = guess;
            let below = guess * (1.0 - 2.0 * (1.0 - EXPLAINED));
            if output(below) < aim {
                break;
            }
        }
        let middle = 0.5 * (low + high);
        if output(middle) < aim {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn follow(level: f64, peak: f64) -> f64 {
    if peak > level { peak } else { DECAY * level + (1.0 - DECAY) * peak }
}

fn piece(k: usize, start: f64, end: f64) -> (f64, f64) {
    if k == 0 && start > end { (start, start) } else { (start, end) }
}

/// Gain of a level (full scale 1).
fn curve(level: f64) -> f64 {
    const KNEE_START: f64 = 0.917_275_935; // 10^(-0.75/20)
    if level <= KNEE_START {
        return 1.0;
    }
    let input = 20.0 * level.log10();
    let output = if input < KNEE_START_DB + KNEE_DB {
        let over = input - KNEE_START_DB;
        input - over * over * (RATIO - 1.0) / (2.0 * KNEE_DB * RATIO)
    } else {
        ((input - CEILING_DB) / RATIO).min(0.0)
    };
    10f64.powf((output - input) / 20.0).max(GAIN_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curve_has_its_published_corners() {
        let out = |dbfs: f64| dbfs + 20.0 * curve(10f64.powf(dbfs / 20.0)).log10();
        for (input, expected) in [(-40.0, -40.0), (-0.75, -0.75), (0.25, -0.15), (1.0, 0.0), (6.0, 0.0), (30.0, 0.0)] {
            assert!((out(input) - expected).abs() < 1e-6, "{input}: {}", out(input));
        }
        assert!((KNEE_START_DB + 0.75).abs() < 1e-12);
    }

    #[test]
    fn the_smallest_explanation_is_found() {
        let gain = |peak: f64| curve(peak);
        for peak in [0.1, 0.9, 0.95, 1.0, 1.05, 1.1] {
            let found = explain(peak * gain(peak), 30.0, gain);
            assert!((20.0 * (found / peak).log10()).abs() < 3e-3, "{peak}: {found}");
        }
        let found = explain(1.0, 30.0, gain);
        assert!((20.0 * found.log10() - CEILING_DB).abs() < 3e-3, "{found}");
    }
}
