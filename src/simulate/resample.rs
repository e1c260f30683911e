//! Samples between the samples: a windowed sinc, read from a table.
//!
//! One kernel serves drift, offsets and new rates alike, and its delay is nothing at all: sample `m` of the output is the
//! input at the place `first + m step`, whatever they are. That is why it is not rubato, whose ratio is the only thing
//! that can be asked for, and whose delay must be taken off by hand.
//!
//! Kaiser window (J. F. Kaiser, 1974), flat to within 0.01 dB up to 0.9 of half the lower rate, -90 dB from it on; places
//! between the table's rows are interpolated, which leaves errors near -105 dB.

/// Zero crossings of the sinc on either side.
const CROSSINGS: usize = 32;
/// Kaiser's β: 90 dB.
const BETA: f64 = 9.0;
/// The band's edge, as a share of half the lower rate: the middle of the filter's slope.
const EDGE: f64 = 0.95;
/// Rows of the table between two samples.
const ROWS: usize = 512;
/// Numbers that are summed side by side, so that the compiler can use vectors.
const LANES: usize = 8;

/// A kernel for one ratio of rates.
#[derive(Debug)]
pub(super) struct Resampler {
    /// Input samples from one output sample to the next.
    step: f64,
    /// Input samples that the kernel reaches to either side.
    half: usize,
    /// Row `r` weighs the samples around a place `r / ROWS` behind a sample; one more row than there are places.
    table: Vec<f32>,
}

impl Resampler {
    pub(super) fn new(step: f64) -> Self {
        let band = EDGE / step.max(1.0);
        let reach = CROSSINGS as f64 / band;
        let half = (reach.ceil() as usize).next_multiple_of(LANES / 2);
        let taps = 2 * half;
        let scale = 1.0 / bessel_i0(BETA);
        let mut table = Vec::with_capacity((ROWS + 1) * taps);
        for row in 0..=ROWS {
            let place = row as f64 / ROWS as f64;
            for tap in 0..taps {
                let at = tap as f64 - (half as f64 - 1.0) - place;
                let inside = 1.0 - (at / reach).powi(2);
                let window = if inside > 0.0 { scale * bessel_i0(BETA * inside.sqrt()) } else { 0.0 };
                table.push((band * sinc(band * at) * window) as f32);
            }
        }
        Self { step, half, table }
    }

    /// The channels at the places `first + m step`; beyond the ends there is silence.
    pub(super) fn run(&self, channels: &[Vec<f32>], first: f64, out_len: usize) -> Vec<Vec<f32>> {
        let taps = 2 * self.half;
        let mut out: Vec<Vec<f32>> = channels.iter().map(|_| Vec::with_capacity(out_len)).collect();
        let mut weights = vec![0f32; taps];
        let mut edge = vec![0f32; taps];
        for m in 0..out_len {
            let place = first + m as f64 * self.step;
            let whole = place.floor();
            let row = (place - whole) * ROWS as f64;
            let below = row as usize;
            let part = (row - below as f64) as f32;
            let rows = &self.table[below * taps..(below + 2) * taps];
            let (a, b) = rows.split_at(taps);
            for ((w, a), b) in weights.iter_mut().zip(a).zip(b) {
                *w = a + part * (b - a);
            }
            let start = whole as i64 - self.half as i64 + 1;
            for (channel, out) in channels.iter().zip(&mut out) {
                let inside = usize::try_from(start).ok().and_then(|s| channel.get(s..s + taps));
                let samples = inside.unwrap_or_else(|| {
                    for (i, x) in edge.iter_mut().enumerate() {
                        let at = usize::try_from(start + i as i64).ok();
                        *x = at.and_then(|at| channel.get(at)).copied().unwrap_or(0.0);
                    }
                    &edge
                });
                out.push(dot(&weights, samples));
            }
        }
        out
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    sums.iter().sum()
}

fn sinc(x: f64) -> f64 {
    let x = std::f64::consts::PI * x;
    if x.abs() < 1e-9 { 1.0 } else { x.sin() / x }
}

/// Modified Bessel function of the first kind, order 0, by its series.
fn bessel_i0(x: f64) -> f64 {
    let quarter = 0.25 * x * x;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..60 {
        term *= quarter / f64::from(k * k);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bessel_function_has_its_tabulated_values() {
        // Abramowitz and Stegun, table 9.8.
        assert!((bessel_i0(0.0) - 1.0).abs() < 1e-15);
        assert!((bessel_i0(1.0) - 1.266_065_877_752).abs() < 1e-11);
        assert!((bessel_i0(5.0) - 27.239_871_823_604).abs() < 1e-9);
    }

    #[test]
    fn the_band_is_flat() {
        let tone = |hz: f64, n: usize| (std::f64::consts::TAU * hz * n as f64 / 48_000.0).sin() as f32;
        // The places in between, where interpolation matters most.
        for hz in [100.0, 5_000.0, 15_000.0, 21_000.0] {
            let x: Vec<f32> = (0..8_000).map(|n| tone(hz, n)).collect();
            let y = Resampler::new(1.0).run(&[x], 1000.37, 4_800).remove(0);
            let power = y.iter().map(|y| f64::from(*y).powi(2)).sum::<f64>() / y.len() as f64;
            let gain_db = 10.0 * (2.0 * power).log10();
            assert!(gain_db.abs() < 0.02, "{gain_db} dB at {hz} Hz");
        }
    }
}
