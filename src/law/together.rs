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
    partial: [[f32; L]; 8],
    rest: [f32; L],
    at: usize,
    whole_len: usize,
}

impl<const L: usize> HopSums<L> {
    /// For a hop of that many samples.
    pub(super) fn new(len: usize) -> Self {
        Self { partial: [[0.0; L]; 8], rest: [0.0; L], at: 0, whole_len: len - len % 8 }
    }

    /// Adds the gains of the next sample.
    #[inline]
    pub(super) fn add(&mut self, gain: &[f32; L]) {
        let sums = if self.at < self.whole_len { &mut self.partial[self.at % 8] } else { &mut self.rest };
        for (sum, g) in sums.iter_mut().zip(gain) {
            *sum += g;
        }
        self.at += 1;
    }

    /// The mean gains of the hop.
    pub(super) fn mean(&self, len: usize) -> [f32; L] {
        let mut out = [0f32; L];
        for partial in &self.partial {
            for (out, p) in out.iter_mut().zip(partial) {
                *out += p;
            }
        }
        for (out, rest) in out.iter_mut().zip(&self.rest) {
            *out = (*out + rest) / len as f32;
        }
        out
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
mod tests {
    use super::*;

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
