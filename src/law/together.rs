//! Several sets of constants of one law, run over a recording at the same time.
//!
//! A law's state at one sample depends on that at the sample before, so that a processor spends most of its time waiting for
//! the last result. With several sets of constants side by side it has something to do meanwhile. Every operation is that of
//! a single run, in its order: the results are the same to the last bit.

/// Sets of constants that run side by side.
pub(super) const LANES: usize = 8;

/// Sums a gain over a hop as [`super::sum`] does: in eight partial sums, and what is left over apart.
#[derive(Debug, Clone)]
pub(super) struct HopSums<const L: usize> {
    /// Eight partial sums, and what is left over.
    sums: [[f32; L]; 9],
    at: usize,
    whole_len: usize,
}

impl<const L: usize> HopSums<L> {
    /// For a hop of that many samples.
    pub(super) fn new(len: usize) -> Self {
        Self { sums: [[0.0; L]; 9], at: 0, whole_len: len - len % 8 }
    }

    /// Adds the gains of the next sample.
    #[inline]
    pub(super) fn add(&mut self, gain: &[f32; L]) {
        let index = if self.at < self.whole_len { self.at % 8 } else { 8 };
        let sum = self.sums[index];
        self.sums[index] = std::array::from_fn(|k| sum[k] + gain[k]);
        self.at += 1;
    }

    /// The mean gains of the hop.
    pub(super) fn mean(&self, len: usize) -> [f32; L] {
        let all = self.sums.iter().fold([0f32; L], |all, sum| std::array::from_fn(|k| all[k] + sum[k]));
        all.map(|sum| sum / len as f32)
    }
}

/// Sum in lanes, which the compiler turns into vector instructions.
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let chunks = values.chunks_exact(8);
    let rest = chunks.remainder().iter().sum::<f32>();
    for chunk in chunks {
        for (lane, v) in lanes.iter_mut().zip(chunk) {
            *lane += v;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::law::Law;

    /// Two seconds of a string, struck every half second, softly and hard.
    pub(in crate::law) fn struck_notes() -> Vec<f32> {
        (0..96_000)
            .map(|n| {
                let t = f64::from(n) / 48_000.0;
                let since = t % 0.5;
                let loud = [0.5, 0.05, 0.8, 0.2][(t / 0.5) as usize % 4];
                (loud * (-3.0 * since).exp() * (std::f64::consts::TAU * 330.0 * t).sin()) as f32
            })
            .collect()
    }

    /// Sets of constants side by side give what each gives alone, to the last bit.
    pub(in crate::law) fn assert_same_alone(law: &dyn Law, many: &[Vec<f64>]) {
        let heard = &struck_notes()[..50_001];
        // Hops of whole groups of three samples, and others; the last is cut off.
        for hop in [480usize, 110, 441] {
            for len in [1, 3, many.len()] {
                let together = law.inverse_blocks_of(&many[..len], 48_000.0, heard, hop).unwrap_or_default();
                assert_eq!(together.len(), len);
                for (values, together) in many.iter().zip(&together) {
                    let mut running = law.start(values, 48_000.0);
                    let mut gain = vec![0.0; hop];
                    let alone = heard.chunks(hop).map(|block| {
                        let gain = &mut gain[..block.len()];
                        running.inverse_coarse(block, gain);
                        sum(gain) / block.len() as f32
                    });
                    assert!(alone.eq(together.iter().copied()), "{} hop {hop} of {len}", law.name());
                }
            }
        }
    }

    #[test]
    fn sums_side_by_side_are_single_sums_to_the_last_bit() {
        for len in [1usize, 7, 8, 110, 441, 480] {
            let gain = |n: usize, lane: usize| 1.0 / (1.0 + n as f32 * 0.37 + lane as f32);
            let mut sums = HopSums::<3>::new(len);
            (0..len).for_each(|n| sums.add(&[gain(n, 0), gain(n, 1), gain(n, 2)]));
            let mean = sums.mean(len);
            for (lane, mean) in mean.iter().enumerate() {
                let alone = (0..len).map(|n| gain(n, lane)).collect::<Vec<_>>();
                assert_eq!(mean.to_bits(), (sum(&alone) / len as f32).to_bits(), "{len} samples");
            }
        }
    }
}
