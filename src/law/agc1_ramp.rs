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
}
