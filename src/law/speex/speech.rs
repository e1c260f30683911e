//! How likely Speex takes a frame for speech: bark bands, a noise estimate that follows minima, a signal-to-noise ratio.
//!
//! Source: as for the law itself, `speex`.

/// Bark bands of the speech estimate.
pub(super) const BANDS_LEN: usize = 24;

/// Largest signal-to-noise ratio that the speech estimate knows.
const LARGEST_SNR: f32 = 100.0;

/// Gain of the loudness-domain estimator, `gamma(1.25)^2 M(-1/4; 1; -x)`, at x = 0, 0.5 ... 10.
const ESTIMATOR: [f32; 21] = [
    0.82157, 1.02017, 1.20461, 1.37534, 1.53363, 1.68092, 1.81865, 1.94811, 2.07038, 2.18638, 2.29688, 2.40255,
    2.50391, 2.60144, 2.69551, 2.78647, 2.87458, 2.96015, 3.04333, 3.12431, 3.20326,
];

/// How the bins of a spectrum share in the bark bands: each bin belongs to two neighbours.
#[derive(Debug, Clone)]
pub(super) struct Bands {
    /// First bin of each lower neighbour, and the end.
    pub edges: [usize; BANDS_LEN],
    /// Share of each bin that goes to its upper neighbour.
    pub upper_share: Vec<f32>,
}

impl Bands {
    pub fn new(bins_len: usize, sample_rate_hz: f64) -> Self {
        let bark = |hz: f64| 13.1 * (0.000_74 * hz).atan() + 2.24 * (hz * hz * 1.85e-8).atan() + 1e-4 * hz;
        let width = bark((sample_rate_hz / 2.0).floor()) / (BANDS_LEN - 1) as f64;
        let position = |i: usize| bark(i as f64 * sample_rate_hz / (2.0 * bins_len as f64)) / width;
        let lower = |i: usize| (position(i).floor() as usize).min(BANDS_LEN - 2);
        let edges = std::array::from_fn(|band| (0..bins_len).find(|i| lower(*i) >= band).unwrap_or(bins_len));
        let upper_share = (0..bins_len).map(|i| (position(i) - lower(i) as f64).min(1.0) as f32).collect();
        Self { edges, upper_share }
    }

    pub fn sums(&self, bins: &[f32]) -> [f32; BANDS_LEN] {
        let mut out = [0f32; BANDS_LEN];
        for (band, edges) in self.edges.windows(2).enumerate() {
            let bins = &bins[edges[0]..edges[1]];
            let upper = dot(bins, &self.upper_share[edges[0]..edges[1]]);
            out[band] += sum(bins) - upper;
            out[band + 1] += upper;
        }
        out
    }
}

/// Sums run in this many independent lanes, so that they need not wait for each other.
const LANES: usize = 8;

fn sum(a: &[f32]) -> f32 {
    let (chunks, rest) = a.as_chunks::<LANES>();
    let mut lanes = [0f32; LANES];
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().chain(rest).sum()
}

pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0f32; LANES];
    for (a, b) in a.iter().zip(b) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
    lanes.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// Probability of speech: minimum-tracking noise estimate per bin, a-priori signal-to-noise ratio per band.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    pub bands: Bands,
    pub frames_len: u32,
    /// Frames since the minima were last renewed.
    minima_age: u32,
    smoothed: Vec<f32>,
    minimum: Vec<f32>,
    next_minimum: Vec<f32>,
    noise: Vec<f32>,
    old_power: [f32; BANDS_LEN],
    zeta: [f32; BANDS_LEN],
}

impl Speech {
    pub fn new(bins_len: usize, bands: Bands) -> Self {
        Self {
            bands,
            frames_len: 0,
            minima_age: 0,
            smoothed: vec![0.0; bins_len],
            minimum: vec![0.0; bins_len],
            next_minimum: vec![0.0; bins_len],
            noise: vec![1.0; bins_len],
            old_power: [1.0; BANDS_LEN],
            zeta: [0.0; BANDS_LEN],
        }
    }

    /// Hears the power spectrum of one frame and returns the probability that it is speech.
    pub fn hear(&mut self, power: &[f32]) -> f32 {
        let last = power.len() - 1;
        for (s, p) in self.smoothed[1..last].iter_mut().zip(power.windows(3)) {
            *s = 0.8 * *s + 0.05 * p[0] + 0.1 * p[1] + 0.05 * p[2];
        }
        self.smoothed[0] = 0.8 * self.smoothed[0] + 0.2 * power[0];
        self.smoothed[last] = 0.8 * self.smoothed[last] + 0.2 * power[last];
        self.track_noise(power);
        let (band_power, band_noise) = (self.bands.sums(power), self.bands.sums(&self.noise));
        self.probability(band_power, band_noise)
    }

    /// As [`Speech::hear`] for a few bins that stand for all; `across` is their power smoothed over neighbours.
    pub fn hear_few(&mut self, power: &[f32], across: &[f32], band_power: [f32; BANDS_LEN], few: &FewBins) -> f32 {
        for (s, p) in self.smoothed.iter_mut().zip(across) {
            *s = 0.8 * *s + 0.2 * p;
        }
        self.track_noise(power);
        self.probability(band_power, few.sums(&self.noise))
    }

    fn probability(&mut self, band_power: [f32; BANDS_LEN], band_noise: [f32; BANDS_LEN]) -> f32 {
        if self.frames_len == 1 {
            self.old_power = band_power;
        }
        let mut zeta_sum = 0.0;
        for band in 0..BANDS_LEN {
            let noise = 1.0 + band_noise[band];
            let posterior = (band_power[band] / noise - 1.0).min(LARGEST_SNR);
            let old = self.old_power[band];
            let trust = 0.1 + 0.89 * (old / (old + noise)).powi(2);
            let prior = (trust * posterior.max(0.0) + (1.0 - trust) * old / noise).min(LARGEST_SNR);
            self.zeta[band] = 0.7 * self.zeta[band] + 0.3 * prior;
            zeta_sum += self.zeta[band];
            let wiener = prior / (prior + 1.0);
            let gain = (wiener * estimator(wiener * (1.0 + posterior))).min(1.0);
            self.old_power[band] = 0.2 * old + 0.8 * gain * gain * band_power[band];
        }
        let zeta = zeta_sum / BANDS_LEN as f32;
        0.1 + 0.899 * zeta / (zeta + 0.15)
    }

    /// Counts the frame, whose power is already in `smoothed`, and follows the noise.
    fn track_noise(&mut self, power: &[f32]) {
        self.frames_len = (self.frames_len + 1).min(20_000);
        self.minima_age += 1;
        let longest_age = match self.frames_len {
            0..100 => 15,
            100..1000 => 50,
            1000..10_000 => 150,
            _ => 300,
        };
        if self.minima_age > longest_age {
            self.minima_age = 0;
            self.minimum.copy_from_slice(&self.next_minimum);
            self.next_minimum.copy_from_slice(&self.smoothed);
        }
        let smaller = |a: f32, b: f32| if a < b { a } else { b };
        for ((minimum, next), s) in self.minimum.iter_mut().zip(&mut self.next_minimum).zip(&self.smoothed) {
            *minimum = smaller(*minimum, *s);
            *next = smaller(*next, *s);
        }
        let rate = (1.0 / self.frames_len as f32).max(0.03);
        for (((noise, p), s), minimum) in self.noise.iter_mut().zip(power).zip(&self.smoothed).zip(&self.minimum) {
            let quiet = (0.4 * s <= *minimum) | (*p < *noise);
            *noise += if quiet { rate * (p - *noise) } else { 0.0 };
        }
    }
}

fn estimator(x: f32) -> f32 {
    let position = 2.0 * x;
    if position < 0.0 {
        return 1.0;
    }
    let index = position.floor() as usize;
    if index > 19 {
        return 1.0 + 0.1296 / x;
    }
    let share = position - index as f32;
    ((1.0 - share) * ESTIMATOR[index] + share * ESTIMATOR[index + 1]) / (x + 0.0001).sqrt()
}

/// Bins at least in which the noise of a wide band is followed. On struck notes over hiss the gain then agrees with that
/// of all bins to 0.16 dB rms; with 4 it drifts by 0.7 to 1 dB.
const FEW_PER_BAND: usize = 8;

/// Some bins that stand for their neighbours in the same band.
#[derive(Debug, Clone)]
pub(super) struct FewBins {
    pub bins: Vec<usize>,
    /// First of `bins` in each lower neighbour of two bands, and the end.
    edges: [usize; BANDS_LEN],
    /// What each counts for in its lower and its upper band.
    lower_weight: Vec<f32>,
    upper_weight: Vec<f32>,
}

impl FewBins {
    pub fn new(bands: &Bands) -> Self {
        let mut few = Self { bins: vec![], edges: [0; BANDS_LEN], lower_weight: vec![], upper_weight: vec![] };
        for (band, edges) in bands.edges.windows(2).enumerate() {
            let stride = ((edges[1] - edges[0]) / FEW_PER_BAND).max(1);
            for start in (edges[0]..edges[1]).step_by(stride) {
                let stands_for = start..(start + stride).min(edges[1]);
                let upper = sum(&bands.upper_share[stands_for.clone()]);
                few.bins.push((stands_for.start + stands_for.end) / 2);
                few.lower_weight.push(stands_for.len() as f32 - upper);
                few.upper_weight.push(upper);
            }
            few.edges[band + 1] = few.bins.len();
        }
        few
    }

    fn sums(&self, few: &[f32]) -> [f32; BANDS_LEN] {
        let mut out = [0f32; BANDS_LEN];
        for (band, edges) in self.edges.windows(2).enumerate() {
            let range = edges[0]..edges[1];
            out[band] += dot(&few[range.clone()], &self.lower_weight[range.clone()]);
            out[band + 1] += dot(&few[range.clone()], &self.upper_weight[range]);
        }
        out
    }
}
