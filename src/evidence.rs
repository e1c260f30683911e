//! How well a gain explains the decays: the misfit J.
//!
//! Subtract a gain `G` from every segment's levels, fit each segment robustly on its own (level, decay, shrunk second
//! stage), and average `log(1 + (r/s)²)` over all points. At the true gain J is at or near its minimum: a gain control
//! bends all decays at once, and nothing else does.

use crate::decay::Segment;
use crate::partials::Partials;
use crate::stft::Stft;

/// How decays are weighed.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceConfig {
    /// Residual scale `s` in dB.
    pub scale_db: f64,
    /// Time constant of the second stage, in seconds.
    pub second_stage_s: f64,
    /// Prior standard deviation of the second stage, in dB.
    pub second_stage_db: f64,
    /// Reweighting rounds of each robust fit.
    pub round_len: usize,
    /// What a segment's decay counts, in points, when it is compared with the same partial's decay at other times.
    pub kin_weight: f64,
    /// How much one partial's decay varies between strokes, in dB/s.
    pub kin_spread_db_per_s: f64,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self {
            scale_db: 0.5,
            second_stage_s: 0.4,
            second_stage_db: 10.0,
            round_len: 4,
            kin_weight: 3.0,
            kin_spread_db_per_s: 5.0,
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
    scale_db: f32,
    second_stage_db: f32,
    round_len: usize,
    /// Segments of one partial at different times, in groups: they should decay alike.
    kin: Vec<Vec<u32>>,
    kin_weight: f64,
    kin_spread: f64,
    /// Which of two halves of the frequencies each segment lies in.
    half: Vec<bool>,
}

/// Longest segment, in points, that fits the working buffers.
const LONGEST: usize = 4096;

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
            scale_db: config.scale_db as f32,
            second_stage_db: config.second_stage_db as f32,
            round_len: config.round_len,
            kin: kin_of(partials, segments),
            kin_weight: config.kin_weight,
            kin_spread: config.kin_spread_db_per_s,
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
        let mut levels = Vec::with_capacity(LONGEST);
        for (s, decay) in decays.iter_mut().enumerate() {
            let (loss, slope, error) = self.segment_loss(s, gain_db, &mut levels);
            out[self.note[s] as usize] += loss;
            *decay = (slope, error);
        }
        if self.kin_weight > 0.0 {
            self.add_kin_loss(&decays, &mut out);
        }
        out
    }

    /// Decay does not depend on loudness, gain does: the decays of one partial at different times should agree.
    fn add_kin_loss(&self, decays: &[(f32, f32)], out: &mut [f64]) {
        let mut sorted = Vec::new();
        for kin in &self.kin {
            let centre = middle(kin.iter().map(|&s| decays[s as usize].0), &mut sorted);
            for &s in kin {
                let (slope, error) = decays[s as usize];
                let r = f64::from(slope - centre) / self.kin_spread.hypot(f64::from(error));
                out[self.note[s as usize] as usize] += self.kin_weight * (r * r).ln_1p();
            }
        }
    }

    /// The same decays, judged by another residual scale in dB.
    pub(crate) fn with_scale(&self, scale_db: f64) -> Self {
        Self { scale_db: scale_db as f32, ..self.clone() }
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
        let mut levels = Vec::with_capacity(LONGEST);
        let fits = (0..self.segment_len()).map(|s| self.segment_fit(s, gain_db, &mut levels)).collect::<Vec<_>>();
        let mut centre = vec![None; self.segment_len()];
        let mut sorted = Vec::new();
        for kin in &self.kin {
            let middle = middle(kin.iter().map(|&s| fits[s as usize].1[1]), &mut sorted);
            for &s in kin {
                centre[s as usize] = Some(middle);
            }
        }
        for (s, (_, solution, slope_error)) in fits.iter().enumerate() {
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
                let scaled = f64::from(r / self.scale_db);
                let w = 1.0 / (1.0 + scaled * scaled) / f64::from(self.scale_db * self.scale_db);
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
            own[(2, 2)] += 1.0 / f64::from(self.second_stage_db * self.second_stage_db);
            let Some(inverse) = own.try_inverse() else { continue };
            let solved = inverse * &cross;
            inner -= cross.transpose() * &solved;
            if let Some(centre) = centre[s].filter(|_| self.kin_weight > 0.0) {
                let spread = self.kin_spread.hypot(f64::from(*slope_error));
                let q = f64::from(solution[1] - centre) / spread;
                let w = self.kin_weight / (1.0 + q * q);
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

    /// Robust loss of one segment after its own best fit, its slope in dB/s and the slope's error; `z` is working space.
    fn segment_loss(&self, s: usize, gain_db: &[f32], z: &mut Vec<f32>) -> (f64, f32, f32) {
        let (total, solution, slope_error) = self.segment_fit(s, gain_db, z);
        (total, solution[1], slope_error)
    }

    fn segment_fit(&self, s: usize, gain_db: &[f32], z: &mut Vec<f32>) -> (f64, [f32; 3], f32) {
        let points = self.first[s]..self.first[s + 1];
        let len = points.len();
        let lag = &self.lag_s[points.clone()];
        let early = &self.early[points.clone()];
        let base = self.level_db[points.start];
        z.clear();
        let levels = self.level_db[points.clone()].iter().zip(&self.frame[points]);
        z.extend(levels.map(|(level, frame)| level - base - gain_db[*frame as usize]));
        let inverse_scale = 1.0 / self.scale_db;
        let ridge = (self.scale_db / self.second_stage_db).powi(2);
        let mut solution = [0f32; 3];
        let mut slope_error = 1e3f32;
        for round in 0..self.round_len {
            let mut sums = [[0f32; LANES]; 9];
            let mut add = |k: usize, w: f32, t: f32, e: f32, z: f32| {
                let (wt, we) = (w * t, w * e);
                sums[0][k] += w;
                sums[1][k] += wt;
                sums[2][k] += we;
                sums[3][k] += wt * t;
                sums[4][k] += wt * e;
                sums[5][k] += we * e;
                sums[6][k] += w * z;
                sums[7][k] += wt * z;
                sums[8][k] += we * z;
            };
            let weight = |t: f32, e: f32, z: f32| {
                let r = (z - solution[0] - solution[1] * t - solution[2] * e) * inverse_scale;
                if round == 0 { 1.0 } else { 1.0 / (1.0 + r * r) }
            };
            let whole = len - len % LANES;
            for ((t, e), z) in
                lag[..whole].chunks_exact(LANES).zip(early.chunks_exact(LANES)).zip(z.chunks_exact(LANES))
            {
                for k in 0..LANES {
                    add(k, weight(t[k], e[k], z[k]), t[k], e[k], z[k]);
                }
            }
            for i in whole..len {
                add(0, weight(lag[i], early[i], z[i]), lag[i], early[i], z[i]);
            }
            let m = sums.map(|lanes| f64::from(lanes.iter().sum::<f32>()));
            let Some(next) = solve(&m, f64::from(ridge)) else { break };
            solution = next;
            // Variance of the slope, second stage aside; frames that share samples count as one in four.
            let spread = m[3] - m[1] * m[1] / m[0];
            slope_error = self.scale_db * (4.0 / spread.max(1e-3)).sqrt() as f32;
        }
        // The logarithm of a product is the sum of logarithms, and one logarithm is cheaper than sixteen.
        let mut total = 0f64;
        for ((t, e), z) in lag.chunks(16).zip(early.chunks(16)).zip(z.chunks(16)) {
            let mut product = 1f32;
            for ((t, e), z) in t.iter().zip(e).zip(z) {
                let r = ((z - solution[0] - solution[1] * t - solution[2] * e) * inverse_scale).clamp(-100.0, 100.0);
                product *= 1.0 + r * r;
                if product > 1e30 {
                    total += f64::from(product).ln();
                    product = 1.0;
                }
            }
            total += f64::from(product).ln();
        }
        (total, solution, slope_error)
    }
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

const LANES: usize = 8;

/// Solves the 3x3 normal equations `[[w, t, e], [t, tt, te], [e, te, ee + ridge]] β = [z, tz, ez]`.
fn solve(m: &[f64; 9], ridge: f64) -> Option<[f32; 3]> {
    let normal = nalgebra::Matrix3::new(
        m[0] + 1e-9,
        m[1],
        m[2], //
        m[1],
        m[3] + 1e-6,
        m[4], //
        m[2],
        m[4],
        m[5] + ridge,
    );
    let right = nalgebra::Vector3::new(m[6], m[7], m[8]);
    let solution = normal.cholesky()?.solve(&right);
    Some([solution[0] as f32, solution[1] as f32, solution[2] as f32])
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
