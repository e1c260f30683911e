//! The pitch period, as the network was taught to see it.

use super::{LONGEST, MEMORY, TWO_FRAMES, dot};

/// Shortest period, at 24 kHz; for a first search, and for what is found by dividing.
const SHORTEST_FIRST: usize = 90;
const SHORTEST: usize = 30;
/// Starts of the earlier frame that a first search tries at 12 kHz, and that a second one may at 24 kHz.
const STARTS_12: usize = (LONGEST - SHORTEST_FIRST) / 2;
const STARTS_24: usize = LONGEST - SHORTEST_FIRST;
/// Neighbours of a candidate that are tried.
const NEIGHBOURS: usize = 2;
/// Another multiple of a divided period, which has to repeat as well: for division by 2, 3 and so on.
const WITNESSES: [usize; 14] = [3, 2, 3, 2, 5, 2, 3, 2, 3, 2, 5, 2, 3, 2];

/// The last period, in samples at 48 kHz, and how strongly the sound repeated after it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pitch {
    period: usize,
    strength: f32,
}

/// How well a frame repeats: products with the earlier frame, and that one's energy.
#[derive(Debug, Clone, Copy)]
struct Repeat {
    start: usize,
    product: f32,
    energy: f32,
}

impl Repeat {
    const NONE: Self = Self { start: 0, product: -1.0, energy: 0.0 };

    /// Compares squared products by energy, without division.
    fn beats(&self, other: &Self) -> bool {
        self.product * other.energy > other.product * self.energy
    }
}

impl Pitch {
    /// The pitch period, in samples at 48 kHz.
    pub(super) fn estimate(&mut self, sound: &[f32; MEMORY]) -> usize {
        let candidates = candidates(sound);
        let energies = energies(sound);
        let start = refined(sound, &energies, candidates.map(|start| 2 * start));
        *self = self.divided(sound, &energies, (2 * LONGEST - start) / 2);
        self.period
    }

    /// The period itself, or an integer part of it that repeats nearly as well.
    fn divided(self, sound: &[f32; MEMORY], energies: &[f32; LONGEST + 1], period: usize) -> Self {
        let own_energy = energies[LONGEST];
        let strength = |product: f32, energy: f32| product / (1.0 + own_energy * energy).sqrt();
        let measured = |period: usize| (product(sound, LONGEST - period), energies[LONGEST - period]);
        let last = self.period / 2;

        let first = period.min(LONGEST - 1);
        let (mut best_product, mut best_energy) = measured(first);
        let first_strength = strength(best_product, best_energy);
        let (mut best, mut best_strength) = (first, first_strength);
        for (divisor, witness) in (2..=2 * first / (2 * SHORTEST - 1)).zip(WITNESSES) {
            let rounded = |multiple: usize| (2 * multiple * first + divisor) / (2 * divisor);
            let period = rounded(1);
            let witness = if divisor == 2 && rounded(witness) > LONGEST { first } else { rounded(witness) };
            let (here, there) = (measured(period), measured(witness));
            let (product, energy) = (0.5 * (here.0 + there.0), 0.5 * (here.1 + there.1));
            // What lasts is believed more easily.
            let ease = match period.abs_diff(last) {
                0 | 1 => self.strength,
                2 if first > 5 * divisor * divisor => 0.5 * self.strength,
                _ => 0.0,
            };
            let short = period < 3 * SHORTEST;
            let (least, share) = if short { (0.4, 0.85) } else { (0.3, 0.7) };
            let strength = strength(product, energy);
            if strength > f32::max(least, share * first_strength - ease) {
                (best, best_strength, best_product, best_energy) = (period, strength, product, energy);
            }
        }

        let product = best_product.max(0.0);
        let whole = if best_energy <= product { 1.0 } else { product / (best_energy + 1.0) };
        Self { period: doubled(sound, best).max(2 * SHORTEST), strength: best_strength.min(whole) }
    }
}

/// Product of the latest two frames and the two that start at `start`.
fn product(sound: &[f32; MEMORY], start: usize) -> f32 {
    dot(&sound[LONGEST..], &sound[start..start + TWO_FRAMES])
}

/// The two best starts, at 12 kHz.
fn candidates(sound: &[f32; MEMORY]) -> [usize; 2] {
    const LEN: usize = MEMORY / 2;
    const FRAME: usize = TWO_FRAMES / 2;
    let half: [f32; LEN] = std::array::from_fn(|n| sound[2 * n]);
    let (mut best, mut second) = (Repeat::NONE, Repeat { start: 1, ..Repeat::NONE });
    let mut energy = 1.0 + dot(&half[..=FRAME], &half[..=FRAME]);
    for start in 0..STARTS_12 {
        let product = dot(&half[LEN - FRAME..], &half[start..start + FRAME]);
        let here = Repeat { start, product: product * product, energy };
        if product > 0.0 && here.beats(&second) {
            if here.beats(&best) {
                (best, second) = (here, best);
            } else {
                second = here;
            }
        }
        energy -= half[start] * half[start];
        energy += half[start + FRAME] * half[start + FRAME];
        energy = energy.max(0.0);
    }
    [best.start, second.start]
}

/// Energies of two frames from each start on.
fn energies(sound: &[f32; MEMORY]) -> [f32; LONGEST + 1] {
    let mut energy = dot(&sound[..TWO_FRAMES], &sound[..TWO_FRAMES]);
    let mut out = [energy; LONGEST + 1];
    for start in 0..LONGEST {
        energy -= sound[start] * sound[start];
        energy += sound[start + TWO_FRAMES] * sound[start + TWO_FRAMES];
        energy = energy.max(1.0);
        out[start + 1] = energy;
    }
    out
}

/// The best start near the candidates, at 48 kHz.
fn refined(sound: &[f32; MEMORY], energies: &[f32; LONGEST + 1], mut candidates: [usize; 2]) -> usize {
    candidates.sort_unstable();
    let near = |start: usize| (start.saturating_sub(NEIGHBOURS), (start + NEIGHBOURS).min(STARTS_24 - 1));
    let (low, high) = (near(candidates[0]), near(candidates[1]));
    // What lies next to what was tried counts as no repeat.
    let mut products = [0f32; STARTS_24];
    let mut best = Repeat::NONE;
    // Neighbourhoods that touch are one.
    for start in (low.0..=low.1).chain(high.0.max(low.1 + 1)..=high.1) {
        products[start] = product(sound, start);
        let here = Repeat { start, product: products[start] * products[start], energy: energies[start] };
        if products[start] > 0.0 && here.beats(&best) {
            best = here;
        }
    }
    if best.start == 0 || best.start >= STARTS_24 - 1 {
        return 2 * best.start;
    }
    // The device adds a lag to a start here; the network was taught with it.
    let towards = lean(products[best.start + 1], products[best.start], products[best.start - 1]);
    (2 * best.start).saturating_add_signed(towards)
}

/// Twice a period, moved by one to where the neighbours lean.
fn doubled(sound: &[f32; MEMORY], period: usize) -> usize {
    if period == 0 || period >= LONGEST {
        return 2 * period;
    }
    let at = |period: usize| product(sound, LONGEST - period);
    (2 * period).saturating_add_signed(lean(at(period - 1), at(period), at(period + 1)))
}

/// Which neighbour of a product is nearly as large: -1, 0 or 1.
fn lean(previous: f32, here: f32, next: f32) -> isize {
    if next - previous > 0.7 * (here - previous) {
        1
    } else if previous - next > 0.7 * (here - next) {
        -1
    } else {
        0
    }
}
