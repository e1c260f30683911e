//! How well a gain explains the decays: the misfit J.
//!
//! Subtract a gain `G` from every segment's levels, fit each segment on its own (level, decay, shrunk second stage, and
//! the scale of its residuals), and average the residuals' negative logarithmic likelihood over all points. At the true
//! gain J is at or near its minimum: a gain control bends all decays at once, and nothing else does.
//!
//! Residuals follow Student's t distribution (K. Lange, R. Little, J. Taylor, 1989): most are small, some are not. Their
//! scale is each segment's own: a partial that stands free is known to a twentieth of a decibel and says much, one that
//! beats against others is known to one or two and says little.

use crate::decay::Segment;
use crate::partials::Partials;
use crate::stft::Stft;

/// How decays are weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceConfig {
    /// Degrees of freedom of the residuals' distribution: the fewer, the less an outlier counts.
    pub freedom: f64,
    /// Least and largest scale of a segment's residuals, in dB.
    pub scales_db: (f64, f64),
    /// What a point counts: frames share samples, so that only some of them are independent.
    pub point_weight: f64,
    /// Time constant of the second stage, in seconds.
    pub second_stage_s: f64,
    /// Prior standard deviation of the second stage, in dB.
    pub second_stage_db: f64,
    /// Reweighting rounds of each robust fit.
    pub round_len: usize,
    /// What a segment's decay counts when it is compared with the same partial's decay at other times.
    pub kin_weight: f64,
    /// Degrees of freedom of the decays' distribution around their median.
    pub kin_freedom: f64,
    /// Least spread of one partial's decays, in dB/s.
    pub kin_least_db_per_s: f64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self {
            freedom: 3.0,
            scales_db: (0.05, 3.0),
            point_weight: 0.4,
            second_stage_s: 0.4,
            second_stage_db: 20.0,
            round_len: 6,
            kin_weight: 2.0,
            kin_freedom: 4.0,
            kin_least_db_per_s: 2.0,
        }
    }
}

/// The decays of a recording, laid out for weighing many gains.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// Points of segment `s`: `first[s] .. first[s + 1]`.
    first: Vec<usize>,
    frame: Vec<u32>,
    level_db: Vec<f32>,
    /// Time from the segment's origin, in seconds.
    lag_s: Vec<f32>,
    /// `e^(-lag/τ)`.
    early: Vec<f32>,
    /// Note of each segment.
    note: Vec<u32>,
    note_len: usize,
    noise: Noise,
    second_stage_db: f32,
    round_len: usize,
    /// Segments of one partial at different times, in groups: they should decay alike.
    kin: Vec<Vec<u32>>,
    kin_weight: f64,
    kin_freedom: f64,
    kin_least: f64,
    /// Which of two halves of the frequencies each segment lies in.
    half: Vec<bool>,
}

/// How residuals are distributed.
#[derive(Debug, Clone, Copy)]
struct Noise {
    freedom: f32,
    /// Least and largest scale in dB; the same where it is given.
    least_db: f32,
    most_db: f32,
    /// What a point counts.
    weight: f64,
}

/// The fit of one segment.
struct Fit {
    loss: f64,
    /// Level against the first point in dB, slope in dB/s, second stage in dB.
    solution: [f32; 3],
    slope_error: f32,
    /// Scale of the residuals in dB.
    scale_db: f32,
}

/// Working space of a fit.
#[derive(Default)]
struct Scratch {
    level: Vec<f32>,
    residual: Vec<f32>,
}

/// Longest segment, in points, that fits the working buffers.
const LONGEST: usize = 4096;
/// Scale at which a fit begins, as a share of the root mean square of the residuals of least squares.
const FIRST_SCALE: f32 = 0.7;

impl Evidence {
    /// Lays out segments. `note` gives each segment's note, `0..note_len`.
    #[must_use]
    pub fn new(partials: &Partials, segments: &[Segment], note: &[u32], hop_s: f64, config: &EvidenceConfig) -> Self {
        let mut out = Self {
            first: vec![0],
            frame: Vec::new(),
            level_db: Vec::new(),
            lag_s: Vec::new(),
            early: Vec::new(),
            note: note.to_vec(),
            note_len: note.iter().max().map_or(0, |&m| m as usize + 1),
            noise: Noise {
                freedom: config.freedom as f32,
                least_db: config.scales_db.0 as f32,
                most_db: config.scales_db.1 as f32,
                weight: config.point_weight,
            },
            second_stage_db: config.second_stage_db as f32,
            round_len: config.round_len,
            kin: kin_of(partials, segments),
            kin_weight: config.kin_weight,
            kin_freedom: config.kin_freedom,
            kin_least: config.kin_least_db_per_s,
            half: segments.iter().map(|s| (partials.bin[s.points.start] / HALF_BINS) as u32 % 2 == 1).collect(),
        };
        for segment in segments {
            for i in segment.points.clone().take(LONGEST) {
                let lag_s = f64::from(partials.frame[i] - segment.origin_frame) * hop_s;
                out.frame.push(partials.frame[i]);
                out.level_db.push(partials.level_db[i]);
                out.lag_s.push(lag_s as f32);
                out.early.push((-lag_s / config.second_stage_s).exp() as f32);
            }
            out.first.push(out.frame.len());
        }
        out
    }

    /// Segments.
    #[must_use]
    pub fn segment_len(&self) -> usize {
        self.first.len() - 1
    }

    /// Points in all segments.
    #[must_use]
    pub fn point_len(&self) -> usize {
        self.frame.len()
    }

    /// Notes.
    #[must_use]
    pub fn note_len(&self) -> usize {
        self.note_len
    }

    /// Misfit J of a gain given per frame, in dB.
    #[must_use]
    pub fn misfit(&self, gain_db: &[f32]) -> f64 {
        self.loss_by_note(gain_db).iter().sum::<f64>() / self.point_len().max(1) as f64
    }

    /// Loss summed over each note's points: J is their sum over the number of points.
    #[must_use]
    pub fn loss_by_note(&self, gain_db: &[f32]) -> Vec<f64> {
        let mut out = vec![0.0; self.note_len];
        let mut decays = vec![(0f32, 0f32); self.segment_len()];
        let mut scratch = Scratch::default();
        for (s, decay) in decays.iter_mut().enumerate() {
            let fit = self.segment_fit(s, gain_db, &mut scratch);
            out[self.note[s] as usize] += fit.loss;
            *decay = (fit.solution[1], fit.slope_error);
        }
        if self.kin_weight > 0.0 {
            self.add_kin_loss(&decays, &mut out);
        }
        out
    }

    /// Decay does not depend on loudness, gain does: the decays of one partial at different times should agree.
    fn add_kin_loss(&self, decays: &[(f32, f32)], out: &mut [f64]) {
        let mut working = Vec::new();
        for kin in &self.kin {
            let (centre, spread) = self.kin_spread(kin, decays, &mut working);
            for &s in kin {
                let (slope, error) = decays[s as usize];
                let square = spread * spread + f64::from(error * error);
                let departure = (f64::from(slope) - centre).powi(2) / (self.kin_freedom * square);
                let loss =
                    (square / (self.kin_least * self.kin_least)).ln() + (self.kin_freedom + 1.0) * departure.ln_1p();
                out[self.note[s as usize] as usize] += self.kin_weight * loss;
            }
        }
    }

    /// Median of the decays of one partial at different times, and their spread about it beyond their errors.
    fn kin_spread(&self, kin: &[u32], decays: &[(f32, f32)], working: &mut Vec<f32>) -> (f64, f64) {
        let centre = middle(kin.iter().map(|&s| decays[s as usize].0), working);
        let departures =
            || kin.iter().map(|&s| (f64::from(decays[s as usize].0 - centre), f64::from(decays[s as usize].1)));
        let deviation = middle(departures().map(|d| d.0.abs() as f32), working);
        let mut spread = (1.4826 * f64::from(deviation)).max(self.kin_least);
        let unbiased = kin.len() as f64 / (kin.len() - 1) as f64 * (self.kin_freedom + 1.0) / self.kin_freedom;
        for _ in 0..KIN_ROUNDS {
            let (mut sum, mut weights) = (0.0, 0.0);
            for (r, error) in departures() {
                let square = spread * spread + error * error;
                let own = spread * spread / square;
                sum += own * r * r / (1.0 + r * r / (self.kin_freedom * square));
                weights += own;
            }
            spread = (unbiased * sum / weights.max(1.0)).sqrt().max(self.kin_least);
        }
        (f64::from(centre), spread)
    }

    /// The same decays, their residuals judged by one scale in dB, the same for all.
    pub(crate) fn with_scale(&self, scale_db: f64) -> Self {
        let scale_db = scale_db as f32;
        let noise = Noise { freedom: 1.0, least_db: scale_db, most_db: scale_db, weight: 1.0 };
        Self { noise, second_stage_db: ROUGH_SECOND_STAGE_DB, ..self.clone() }
    }

    /// The segments in every other band of frequencies; notes stay the same.
    pub(crate) fn half(&self, odd: bool) -> Self {
        let kept = (0..self.segment_len()).filter(|&s| self.half[s] == odd).collect::<Vec<_>>();
        let mut place = vec![None; self.segment_len()];
        let mut out = Self {
            first: vec![0],
            frame: Vec::new(),
            level_db: Vec::new(),
            lag_s: Vec::new(),
            early: Vec::new(),
            note: kept.iter().map(|&s| self.note[s]).collect(),
            kin: Vec::new(),
            half: vec![odd; kept.len()],
            ..*self
        };
        for (k, &s) in kept.iter().enumerate() {
            place[s] = Some(k as u32);
            let points = self.first[s]..self.first[s + 1];
            out.frame.extend_from_slice(&self.frame[points.clone()]);
            out.level_db.extend_from_slice(&self.level_db[points.clone()]);
            out.lag_s.extend_from_slice(&self.lag_s[points.clone()]);
            out.early.extend_from_slice(&self.early[points]);
            out.first.push(out.frame.len());
        }
        out.kin = self
            .kin
            .iter()
            .map(|kin| kin.iter().filter_map(|&s| place[s as usize]).collect::<Vec<_>>())
            .filter(|kin| kin.len() >= MIN_KIN)
            .collect();
        out
    }

    /// The normal equations, to first order, of unknowns that move the gain of each frame: `answers` says by how much. The
    /// segments' own levels, decays and second stages are projected out.
    ///
    /// **Shape.** `unknown_len` squared, and `unknown_len`.
    pub(crate) fn normal(
        &self,
        gain_db: &[f32],
        answers: &[Vec<(u32, f32)>],
        unknown_len: usize,
    ) -> (nalgebra::DMatrix<f64>, nalgebra::DVector<f64>) {
        let mut normal = nalgebra::DMatrix::zeros(unknown_len, unknown_len);
        let mut right = nalgebra::DVector::zeros(unknown_len);
        let mut scratch = Scratch::default();
        let fits = (0..self.segment_len()).map(|s| self.segment_fit(s, gain_db, &mut scratch)).collect::<Vec<_>>();
        let decays = fits.iter().map(|fit| (fit.solution[1], fit.slope_error)).collect::<Vec<_>>();
        let mut relatives = vec![None; self.segment_len()];
        let mut working = Vec::new();
        for kin in self.kin.iter().filter(|_| self.kin_weight > 0.0) {
            let of_kin = self.kin_spread(kin, &decays, &mut working);
            for &s in kin {
                relatives[s as usize] = Some(of_kin);
            }
        }
        for (s, fit) in fits.iter().enumerate() {
            let solution = &fit.solution;
            // Half the loss of a residual `r` has the slope `counts r / (softness + r²)`.
            let softness = self.noise.freedom * fit.scale_db * fit.scale_db;
            let counts = self.noise.weight * f64::from(self.noise.freedom + 1.0) / 2.0;
            let points = self.first[s]..self.first[s + 1];
            let mut owners =
                points.clone().flat_map(|i| answers[self.frame[i] as usize].iter().map(|a| a.0)).collect::<Vec<_>>();
            owners.sort_unstable();
            owners.dedup();
            if owners.is_empty() {
                continue;
            }
            let base = self.level_db[points.start];
            let mut own = nalgebra::Matrix3::<f64>::zeros();
            let mut cross = nalgebra::DMatrix::<f64>::zeros(3, owners.len());
            let mut inner = nalgebra::DMatrix::<f64>::zeros(owners.len(), owners.len());
            let mut pull = nalgebra::DVector::<f64>::zeros(owners.len());
            let mut row = vec![0f64; owners.len()];
            for i in points {
                let frame = self.frame[i] as usize;
                let (t, e) = (self.lag_s[i], self.early[i]);
                let r = self.level_db[i] - base - gain_db[frame] - solution[0] - solution[1] * t - solution[2] * e;
                let w = counts / f64::from(softness + r * r);
                let basis = nalgebra::Vector3::new(1.0, f64::from(t), f64::from(e));
                own += w * basis * basis.transpose();
                row.fill(0.0);
                for (owner, slope) in &answers[frame] {
                    if let Ok(k) = owners.binary_search(owner) {
                        row[k] += f64::from(*slope);
                    }
                }
                for (k, &v) in row.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                    for d in 0..3 {
                        cross[(d, k)] += w * basis[d] * v;
                    }
                    pull[k] += w * v * f64::from(r);
                    for (l, &u) in row.iter().enumerate() {
                        inner[(k, l)] += w * v * u;
                    }
                }
            }
            own[(0, 0)] += 1e-9;
            own[(1, 1)] += 1e-6;
            own[(2, 2)] += counts / f64::from(self.noise.freedom * self.second_stage_db * self.second_stage_db);
            let Some(inverse) = own.try_inverse() else { continue };
            let solved = inverse * &cross;
            inner -= cross.transpose() * &solved;
            if let Some((centre, spread)) = relatives[s] {
                let spread = spread.hypot(f64::from(fit.slope_error));
                let q = (f64::from(solution[1]) - centre) / spread;
                let w = self.kin_weight * (self.kin_freedom + 1.0) / (self.kin_freedom + q * q);
                for k in 0..owners.len() {
                    let v = -solved[(1, k)] / spread;
                    pull[k] -= w * v * q;
                    for l in 0..owners.len() {
                        inner[(k, l)] += w * v * (-solved[(1, l)] / spread);
                    }
                }
            }
            for (k, &a) in owners.iter().enumerate() {
                right[a as usize] += pull[k];
                for (l, &b) in owners.iter().enumerate() {
                    normal[(a as usize, b as usize)] += inner[(k, l)];
                }
            }
        }
        (normal, right)
    }

    /// Fits one segment by reweighting (Student's t, its scale estimated along with the rest).
    fn segment_fit(&self, s: usize, gain_db: &[f32], scratch: &mut Scratch) -> Fit {
        let points = self.first[s]..self.first[s + 1];
        let len = points.len();
        let lag = &self.lag_s[points.clone()];
        let early = &self.early[points.clone()];
        let base = self.level_db[points.start];
        let Scratch { level, residual } = scratch;
        level.clear();
        let levels = self.level_db[points.clone()].iter().zip(&self.frame[points]);
        level.extend(levels.map(|(level, frame)| level - base - gain_db[*frame as usize]));
        let Noise { freedom, least_db, most_db, weight } = self.noise;
        let bounded = |scale_db: f32| scale_db.max(least_db).min(most_db);
        // Scale of the residuals by maximum likelihood: their mean square, reweighted.
        let scale_of = |sum: f32| bounded(((freedom + 1.0) / freedom * sum / len as f32).sqrt());
        let mut scale_db = most_db;
        let mut solution = [0f32; 3];
        let mut slope_error = 1e3f32;
        residual.clear();
        residual.resize(len, 0.0);
        for round in 0..self.round_len {
            let softness = if round == 0 { 0.0 } else { 1.0 / (freedom * scale_db * scale_db) };
            let sums = normal_sums(lag, early, level, residual, softness);
            let ridge = f64::from(scale_db / self.second_stage_db).powi(2);
            let Some(next) = solve(&sums, ridge) else { break };
            solution = next;
            let sum = residuals(lag, early, level, &solution, residual, softness);
            scale_db = if round == 0 { bounded(FIRST_SCALE * (sum / len as f32).sqrt()) } else { scale_of(sum) };
            // Variance of the slope, second stage aside.
            let spread = sums[3] - sums[1] * sums[1] / sums[0];
            slope_error = scale_db * (SHARED_FRAMES / spread.max(1e-3)).sqrt() as f32;
        }
        // The logarithm of a product is the sum of logarithms, and one logarithm is cheaper than sixteen.
        let softness = 1.0 / (freedom * scale_db * scale_db);
        let mut total = 0f64;
        for residual in residual.chunks(16) {
            let mut product = 1f32;
            for r in residual {
                product *= 1.0 + (r * r * softness).min(1e4);
                if product > 1e30 {
                    total += f64::from(product).ln();
                    product = 1.0;
                }
            }
            total += f64::from(product).ln();
        }
        let narrow = len as f64 * f64::from(scale_db / least_db).ln();
        let loss = weight * (narrow + 0.5 * f64::from(freedom + 1.0) * total);
        Fit { loss, solution, slope_error, scale_db }
    }
}

/// The sums of the normal equations of `level = a + b lag + c early`, each point counting `1 / (1 + softness r²)`.
fn normal_sums(lag: &[f32], early: &[f32], level: &[f32], residual: &[f32], softness: f32) -> [f64; 9] {
    let mut sums = [[0f32; LANES]; 9];
    let whole = lag.len() - lag.len() % LANES;
    let chunks = lag[..whole].as_chunks().0.iter().zip(early[..whole].as_chunks().0);
    let chunks = chunks.zip(level[..whole].as_chunks().0).zip(residual[..whole].as_chunks().0);
    for (((t, e), z), r) in chunks {
        add_points(&mut sums, t, e, z, r, softness);
    }
    let mut rest = [[0f32; 1]; 9];
    for i in whole..lag.len() {
        add_points(&mut rest, &[lag[i]], &[early[i]], &[level[i]], &[residual[i]], softness);
    }
    std::array::from_fn(|k| f64::from(sums[k].iter().sum::<f32>() + rest[k][0]))
}

/// Adds points side by side: one array after the other, so that the compiler makes vectors of them.
#[inline(always)]
fn add_points<const L: usize>(
    sums: &mut [[f32; L]; 9],
    t: &[f32; L],
    e: &[f32; L],
    z: &[f32; L],
    r: &[f32; L],
    softness: f32,
) {
    let w: [f32; L] = std::array::from_fn(|k| 1.0 / (1.0 + softness * r[k] * r[k]));
    let times = |a: &[f32; L], b: &[f32; L]| -> [f32; L] { std::array::from_fn(|k| a[k] * b[k]) };
    let (wt, we) = (times(&w, t), times(&w, e));
    let terms = [w, wt, we, times(&wt, t), times(&wt, e), times(&we, e), times(&w, z), times(&wt, z), times(&we, z)];
    for (sum, term) in sums.iter_mut().zip(&terms) {
        *sum = std::array::from_fn(|k| sum[k] + term[k]);
    }
}

/// Fills in the residuals; the sum of their squares, each counting `1 / (1 + softness r²)`.
fn residuals(
    lag: &[f32],
    early: &[f32],
    level: &[f32],
    solution: &[f32; 3],
    residual: &mut [f32],
    softness: f32,
) -> f32 {
    let mut sums = [0f32; LANES];
    let mut add = |k: usize, t: f32, e: f32, z: f32, r: &mut f32| {
        *r = z - solution[0] - solution[1] * t - solution[2] * e;
        let square = *r * *r;
        sums[k] += square / (1.0 + softness * square);
    };
    let whole = lag.len() - lag.len() % LANES;
    let (chunks, rest) = residual.split_at_mut(whole);
    let inputs = lag[..whole].chunks_exact(LANES).zip(early.chunks_exact(LANES)).zip(level.chunks_exact(LANES));
    for (r, ((t, e), z)) in chunks.chunks_exact_mut(LANES).zip(inputs) {
        for k in 0..LANES {
            add(k, t[k], e[k], z[k], &mut r[k]);
        }
    }
    for (r, i) in rest.iter_mut().zip(whole..) {
        add(0, lag[i], early[i], level[i], r);
    }
    sums.iter().sum()
}

/// Median of at least one value; `sorted` is working space.
fn middle(values: impl Iterator<Item = f32>, sorted: &mut Vec<f32>) -> f32 {
    sorted.clear();
    sorted.extend(values);
    sorted.sort_by(f32::total_cmp);
    0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2])
}

/// Groups segments by partial frequency, first cuts of a stroke apart from later ones (their stages differ).
fn kin_of(partials: &Partials, segments: &[Segment]) -> Vec<Vec<u32>> {
    let mut keyed = segments
        .iter()
        .enumerate()
        .map(|(s, segment)| {
            let bins = &partials.bin[segment.points.clone()];
            let mut sorted = bins.to_vec();
            sorted.sort_by(f32::total_cmp);
            (!segment.struck, sorted[sorted.len() / 2], s as u32)
        })
        .collect::<Vec<_>>();
    keyed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    keyed
        .chunk_by(|a, b| a.0 == b.0 && b.1 - a.1 < KIN_BINS)
        .filter(|group| group.len() >= MIN_KIN)
        .map(|group| group.iter().map(|k| k.2).collect())
        .collect()
}

/// Segments whose frequencies differ by less than this, in bins, are of one partial.
const KIN_BINS: f32 = 0.08;
/// Width of the bands of which every other makes a half, in bins: partials of one string lie farther apart.
const HALF_BINS: f32 = 4.0;
/// Fewest segments of a partial that can be compared.
const MIN_KIN: usize = 3;
/// Prior standard deviation of the second stage where one scale is given, in dB.
const ROUGH_SECOND_STAGE_DB: f32 = 10.0;
/// Rounds in which the spread of a partial's decays is found.
const KIN_ROUNDS: usize = 8;
/// Frames that share samples with one that counts as independent, where the error of a slope is concerned.
const SHARED_FRAMES: f64 = 8.0;

const LANES: usize = 8;

/// Solves the 3x3 normal equations `[[w, t, e], [t, tt, te], [e, te, ee + ridge]] β = [z, tz, ez]` by elimination; none where
/// they are not positive definite.
fn solve(m: &[f64; 9], ridge: f64) -> Option<[f32; 3]> {
    let [w, t, e, tt, te, ee, z, tz, ez] = *m;
    let w = w + 1e-9;
    let (of_t, of_e) = (t / w, e / w);
    let (tt, te, ee) = (tt + 1e-6 - of_t * t, te - of_t * e, ee + ridge - of_e * e);
    let (tz, ez) = (tz - of_t * z, ez - of_e * z);
    let of_e_in_t = te / tt;
    let (ee, ez) = (ee - of_e_in_t * te, ez - of_e_in_t * tz);
    if !(w > 0.0 && tt > 0.0 && ee > 0.0) {
        return None;
    }
    let c = ez / ee;
    let b = (tz - te * c) / tt;
    let a = (z - t * b - e * c) / w;
    Some([a as f32, b as f32, c as f32])
}

/// Gathers a law's gain, sample by sample, into what each STFT frame sees of it: the linear average under the window.
#[derive(Debug, Clone)]
pub struct FrameGain {
    block_weights: Vec<f64>,
    hop_samples: usize,
    frame_len: usize,
}

impl FrameGain {
    /// For a recording of that many samples.
    #[must_use]
    pub fn new(stft: &Stft, sample_len: usize) -> Self {
        Self {
            block_weights: stft.block_weights(),
            hop_samples: stft.hop_samples(),
            frame_len: stft.frame_len(sample_len),
        }
    }

    /// Frames in the recording.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.frame_len
    }

    /// Samples in a window.
    #[must_use]
    pub fn window_samples(&self) -> usize {
        (self.block_weights.len()) * self.hop_samples
    }

    /// Samples in a block.
    #[must_use]
    pub fn hop_samples(&self) -> usize {
        self.hop_samples
    }

    /// Gain in dB that each frame sees, from the mean gain of each hop-long block. The last block is held.
    #[must_use]
    pub fn frames_db(&self, block_gain: &[f32]) -> Vec<f32> {
        let last = block_gain.last().copied().unwrap_or(1.0);
        (0..self.frame_len)
            .map(|n| {
                let mean: f64 = self
                    .block_weights
                    .iter()
                    .enumerate()
                    .map(|(b, w)| w * f64::from(block_gain.get(n + b).copied().unwrap_or(last)))
                    .sum();
                20.0 * mean.max(1e-10).log10() as f32
            })
            .collect()
    }
}
