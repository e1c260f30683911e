//! Means of a gain over the blocks of a recording, from straight pieces.

/// Means over blocks of equal length of a gain that comes in straight pieces of equal length.
#[derive(Debug, Clone)]
pub(super) struct BlockMeans {
    piece_samples: f64,
    hop_samples: f64,
    sample_len: f64,
    /// Pieces received.
    pieces: u64,
    sums: Vec<f64>,
}

impl BlockMeans {
    /// Blocks of `hop_samples` over a recording; what comes after its end is left out.
    pub fn new(piece_samples: f64, hop_samples: usize, sample_len: usize) -> Self {
        let sums = vec![0.0; sample_len.div_ceil(hop_samples)];
        Self { piece_samples, hop_samples: hop_samples as f64, sample_len: sample_len as f64, pieces: 0, sums }
    }

    /// Appends a piece.
    pub fn push(&mut self, left: f64, right: f64) {
        let begin = self.pieces as f64 * self.piece_samples;
        self.pieces += 1;
        let end = (self.pieces as f64 * self.piece_samples).min(self.sample_len);
        let slope = (right - left) / self.piece_samples;
        let mut at = begin;
        while at < end {
            let block = (at / self.hop_samples) as usize;
            let until = end.min((block + 1) as f64 * self.hop_samples);
            self.sums[block] += (until - at) * (left + slope * (0.5 * (at + until) - begin));
            at = until;
        }
    }

    /// The mean of every block.
    pub fn finish(self) -> Vec<f32> {
        let len = |block: usize| (self.sample_len - block as f64 * self.hop_samples).min(self.hop_samples);
        self.sums.iter().enumerate().map(|(block, sum)| (sum / len(block)) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_of_a_straight_line_lie_on_it() {
        let mut means = BlockMeans::new(2.5, 4, 9);
        for k in 0..4 {
            means.push(2.5 * f64::from(k), 2.5 * f64::from(k + 1));
        }
        assert_eq!(means.finish(), [2.0, 6.0, 8.5]);
    }
}
