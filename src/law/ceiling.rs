//! The ceiling that loud milliseconds touch, if there is one, seen in how many of them reach which level.
//!
//! Music has fewer and fewer milliseconds the louder they are. A ceiling breaks their number off, and how it does so tells
//! devices apart before any decay is looked at. A limiter that looks ahead puts every stroke on the very same level and none
//! above: a spike. A gain table in ramps of a millisecond has a ripple below its ceiling and overshoots it at attacks: a step.

/// A ceiling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ceiling {
    /// Its level in dBFS. Attacks overshoot it, so that the loudest peaks may lie above.
    pub level_db: f64,
    /// How the number of peaks breaks off there.
    pub edge: Edge,
}

/// How the number of peaks breaks off at a ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Many peaks lie on one level, and next to none above.
    Spike,
    /// Peaks lie below it as music has them, and next to none above.
    Step,
    /// It breaks off over some tenths of a dB: something came after the device.
    Soft,
}

/// Width of the bins in which a ceiling is sought, in dB, how many of them, and how many make an edge.
const BIN_DB: f64 = 0.1;
const BINS: usize = 60;
const EDGE_BINS: usize = 4;
/// Contacts for each louder peak that make a ceiling: attacks overshoot it for a moment, music does so for good.
const MIN_TOUCHING: f64 = 2.0;
/// Peaks in a spike over those in as many bins below it. Limiters of known ceiling have 5.8 to 7.1, gain tables up to 3.0.
const SPIKE: f64 = 4.2;
/// Fewest peaks in a spike.
const SPIKE_PEAKS: i64 = 10;
/// Peaks at an edge for each just above it that make it a step. Gain tables have 17 to 51.
const STEP: f64 = 14.0;

/// Finds the ceiling in the largest peak of each millisecond, 1 being full scale.
pub(super) fn find(peaks: impl Iterator<Item = f64>) -> Option<Ceiling> {
    let levels_db = peaks.map(|p| 20.0 * p.max(1e-6).log10()).collect::<Vec<_>>();
    let top_db = levels_db.iter().copied().fold(-120.0, f64::max);
    let mut count = [0i64; BINS + 3 * EDGE_BINS];
    for level_db in levels_db {
        let below = ((top_db - level_db) / BIN_DB) as usize + EDGE_BINS;
        if let Some(count) = count.get_mut(below) {
            *count += 1;
        }
    }
    let sum = |from: usize, len: usize| count[from..from + len].iter().sum::<i64>();
    let edge_at = |k: &usize| sum(*k, EDGE_BINS) - sum(*k - EDGE_BINS, EDGE_BINS);
    let bin = (EDGE_BINS..EDGE_BINS + BINS).max_by_key(edge_at).unwrap_or(EDGE_BINS);
    let above = sum(0, bin);
    let touching = sum(bin, EDGE_BINS);
    if (touching as f64) < MIN_TOUCHING * above as f64 {
        return None;
    }
    // A spike may lie across two bins; the bin just above an edge belongs to neither side.
    let spike = sum(bin, 2);
    let beside = sum(bin + 2, EDGE_BINS) as f64 / EDGE_BINS as f64;
    let beyond = if bin > EDGE_BINS { sum(bin - EDGE_BINS, EDGE_BINS - 1) } else { 0 };
    let edge = if spike >= SPIKE_PEAKS && spike as f64 >= SPIKE * beside.max(1.0) {
        Edge::Spike
    } else if touching as f64 >= STEP * beyond as f64 {
        Edge::Step
    } else {
        Edge::Soft
    };
    Some(Ceiling { level_db: top_db - (bin - EDGE_BINS) as f64 * BIN_DB, edge })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    /// Levels in dBFS as music has them: ever fewer the louder, one in eighty above -3 dBFS.
    fn levels() -> Vec<f64> {
        let shares = (0..20_000).map(|k| (f64::from(k * 7_919 % 20_000) + 0.5) / 20_000.0);
        shares.map(|u| -14.0 + 2.5 * (u / (1.0 - u)).ln()).collect()
    }

    fn found(levels_db: &[f64]) -> Option<Ceiling> {
        find(levels_db.iter().map(|l| 10f64.powf(l / 20.0)))
    }

    #[test]
    fn a_limiter_makes_a_spike() {
        let limited = levels().into_iter().map(|l| l.min(-3.1)).collect::<Vec<_>>();
        let ceiling = found(&limited).unwrap();
        assert_eq!(ceiling.edge, Edge::Spike);
        assert!((ceiling.level_db + 3.1).abs() < 0.11, "{ceiling:?}");
    }

    #[test]
    fn a_table_with_a_ripple_and_overshoots_makes_a_step() {
        // What lies above the ceiling comes to rest up to 0.39 dB below it; one peak in 30 overshoots it.
        let rippled = levels()
            .into_iter()
            .enumerate()
            .map(|(k, l)| match l {
                l if l < -3.0 => l,
                l if k % 30 == 0 => (-2.6 + 0.2 * (l + 3.0)).min(-0.5),
                _ => -2.6 - 0.39 * (0.618 * k as f64).fract(),
            })
            .collect::<Vec<_>>();
        let ceiling = found(&rippled).unwrap();
        assert_eq!(ceiling.edge, Edge::Step);
        assert!((ceiling.level_db + 2.6).abs() < 0.15, "{ceiling:?}");
    }

    #[test]
    fn an_untouched_recording_has_no_spike() {
        assert_ne!(found(&levels()).map(|c| c.edge), Some(Edge::Spike));
    }
}
