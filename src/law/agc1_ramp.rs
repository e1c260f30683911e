//! Gains at the marks of a block-wise device, brought to the recording's samples and handed out in order.

/// A queue of gains, one per sample, fed with straight pieces of equal length.
#[derive(Debug, Clone)]
pub(super) struct Ramp {
    latency: usize,
    piece_samples: f64,
    /// Pieces received.
    pieces: u64,
    /// Samples produced, without the latency.
    produced: u64,
    ready: Vec<f32>,
    taken: usize,
}

impl Ramp {
    /// Pieces of `piece_samples` (it need not be whole), the first of which comes out `latency` samples late; until then
    /// the gain is `first`.
    pub fn new(latency: usize, piece_samples: f64, first: f64) -> Self {
        Self { latency, piece_samples, pieces: 0, produced: 0, ready: vec![first as f32; latency], taken: 0 }
    }

    /// Samples by which gains come late.
    pub fn latency_samples(&self) -> usize {
        self.latency
    }

    /// Appends pieces, each from a gain to a gain.
    pub fn push(&mut self, pieces: impl Iterator<Item = (f64, f64)>) {
        for (left, right) in pieces {
            let begin = self.pieces as f64 * self.piece_samples;
            self.pieces += 1;
            let end = (self.pieces as f64 * self.piece_samples).ceil() as u64;
            let slope = (right - left) / self.piece_samples;
            let start = (left + slope * (self.produced as f64 - begin).max(0.0)) as f32;
            let samples = end.saturating_sub(self.produced);
            let slope = slope as f32;
            self.ready.extend((0..samples as u32).map(|n| start + slope * n as f32));
            self.produced += samples;
        }
    }

    /// Takes the next gains. If too few are ready the last one is repeated; with the promised latency they never are.
    pub fn pop(&mut self, gain: &mut [f32]) {
        let last = self.ready.last().copied().unwrap_or(1.0);
        let ready = &self.ready[self.taken..];
        let taken = ready.len().min(gain.len());
        gain[..taken].copy_from_slice(&ready[..taken]);
        gain[taken..].fill(last);
        self.taken += taken;
        if self.taken > self.ready.len() / 2 {
            self.ready.drain(..self.taken);
            self.taken = 0;
        }
    }
}

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
    fn pieces_of_broken_length_meet_at_their_ends() {
        let mut ramp = Ramp::new(3, 2.5, 9.0);
        ramp.push([(0.0, 2.5), (2.5, 5.0)].into_iter());
        let mut gain = [0.0; 8];
        ramp.pop(&mut gain);
        assert_eq!(gain, [9.0, 9.0, 9.0, 0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn means_of_a_straight_line_lie_on_it() {
        let mut means = BlockMeans::new(2.5, 4, 9);
        for k in 0..4 {
            means.push(2.5 * f64::from(k), 2.5 * f64::from(k + 1));
        }
        assert_eq!(means.finish(), [2.0, 6.0, 8.5]);
    }
}
