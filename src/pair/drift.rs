//! A robust line through delays: offset and drift, in pieces where the phone lost or repeated sound.
//!
//! Start: of all lines through two points the one that most points are near (least truncated squares). Then reweighting with
//! Tukey's biweight, its width from the median deviation. (F. Hampel et al., Robust Statistics, 1986.)

use super::phat::Delay;

/// How near a point must be to the line to agree with it, in seconds: less than rooms and positions scatter.
pub const AGREES_S: f64 = 1.0e-3;
/// Steepest line that is considered beside the one already known, in ppm.
const MAX_SLOPE_PPM: f64 = 1200.0;
/// Smallest width of the biweight, in seconds: a quarter of a sample at 48 kHz.
const MIN_WIDTH_S: f64 = 5e-6;
/// Points that lines are drawn through; of more, as many are picked evenly.
const DRAWN: usize = 160;
/// Fewest agreeing points of a piece.
const MIN_PIECE: usize = 6;
/// Most pieces.
const MAX_PIECES: usize = 8;

/// `delay(t) = delay_s + slope * (t - time_s)` over a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// Where the piece begins and ends, in seconds.
    pub from_s: f64,
    /// End of the piece.
    pub to_s: f64,
    /// The time that `delay_s` belongs to: the points' centre, where its error is least.
    pub time_s: f64,
    /// The delay there.
    pub delay_s: f64,
    /// Standard error of `delay_s`.
    pub delay_error_s: f64,
    /// Change of the delay, in seconds per second.
    pub slope: f64,
    /// Standard error of `slope`.
    pub slope_error: f64,
    /// Robust standard deviation of the agreeing points around the line, in seconds.
    pub jitter_s: f64,
    /// Points within [`AGREES_S`] of the line.
    pub agreeing_len: usize,
    /// Points in the stretch.
    pub point_len: usize,
}

impl Line {
    /// The line's delay at a time.
    #[must_use]
    pub fn at(&self, time_s: f64) -> f64 {
        self.delay_s + self.slope * (time_s - self.time_s)
    }
}

/// One line through all points; absent with fewer than three.
#[must_use]
pub fn line(points: &[Delay]) -> Option<Line> {
    let (first, last) = (points.first()?, points.last()?);
    if points.len() < 3 {
        return None;
    }
    let (mut intercept, mut slope) = start(points);
    let mut width = AGREES_S;
    let mut sums = Sums::default();
    for _ in 0..30 {
        let residual = |p: &Delay| p.delay_s - intercept - slope * p.time_s;
        let mut near = points.iter().map(|p| residual(p).abs()).filter(|r| *r < AGREES_S).collect::<Vec<_>>();
        if near.len() < 3 {
            break;
        }
        near.sort_by(f64::total_cmp);
        // 4.685 standard deviations: 95 % efficient where the scatter is normal.
        width = (4.685 * 1.4826 * near[near.len() / 2]).clamp(MIN_WIDTH_S, AGREES_S);
        sums = Sums::default();
        for p in points {
            let u = residual(p) / width;
            if u.abs() < 1.0 {
                sums.add(p, (1.0 - u * u).powi(2) * p.height.min(30.0));
            }
        }
        let Some(next) = sums.solve() else { break };
        let is_still = (next.0 - intercept).abs() < 1e-9 && (next.1 - slope).abs() < 1e-11;
        (intercept, slope) = next;
        if is_still {
            break;
        }
    }
    let time_s = if sums.w > 0.0 { sums.wt / sums.w } else { 0.5 * (first.time_s + last.time_s) };
    let residuals = points.iter().map(|p| (p.delay_s - intercept - slope * p.time_s).abs());
    let mut near = residuals.filter(|r| *r < AGREES_S).collect::<Vec<_>>();
    near.sort_by(f64::total_cmp);
    let jitter_s = near.get(near.len() / 2).map_or(width, |m| 1.4826 * m);
    // Neighbouring windows share half their samples: two count as one.
    let independent = (0.5 * near.len() as f64).max(1.0);
    let spread = if sums.w > 0.0 { sums.spread().sqrt() } else { 0.0 };
    let delay_error_s = jitter_s / independent.sqrt();
    Some(Line {
        from_s: first.time_s,
        to_s: last.time_s,
        time_s,
        delay_s: intercept + slope * time_s,
        delay_error_s,
        slope,
        slope_error: if spread > 0.0 { delay_error_s / spread } else { f64::INFINITY },
        jitter_s,
        agreeing_len: near.len(),
        point_len: points.len(),
    })
}

/// As few lines as explain the points, in order of time; more than one only where each more brings many points into
/// agreement.
#[must_use]
pub fn pieces(points: &[Delay]) -> Vec<Line> {
    let mut out = line(points).map_or_else(Vec::new, |whole| vec![(0..points.len(), whole)]);
    while out.len() < MAX_PIECES {
        let better =
            out.iter().enumerate().find_map(|(k, (range, whole))| Some((k, split(points, range.clone(), whole)?)));
        let Some((k, halves)) = better else { break };
        out.splice(k..=k, halves);
    }
    // Pieces meet half way between their points.
    let mut lines = out.into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    for k in 1..lines.len() {
        let middle = 0.5 * (lines[k - 1].to_s + lines[k].from_s);
        (lines[k - 1].to_s, lines[k].from_s) = (middle, middle);
    }
    lines
}

type Piece = (std::ops::Range<usize>, Line);

/// The best two lines in place of one, where they bring enough more points into agreement.
fn split(points: &[Delay], range: std::ops::Range<usize>, whole: &Line) -> Option<[Piece; 2]> {
    let enough = whole.agreeing_len + MIN_PIECE.max(whole.point_len / 8);
    if range.len() < 2 * MIN_PIECE || enough > range.len() {
        return None;
    }
    let step = (range.len() / 60).max(1);
    let candidates = (range.start + MIN_PIECE..=range.end - MIN_PIECE).step_by(step);
    let mut best: Option<(usize, [Piece; 2])> = None;
    for at in candidates {
        let (left, right) = (line(&points[range.start..at])?, line(&points[at..range.end])?);
        let agreeing = left.agreeing_len + right.agreeing_len;
        let is_sound = left.agreeing_len >= MIN_PIECE && right.agreeing_len >= MIN_PIECE;
        let is_plain = [left, right].iter().all(|l| l.slope.abs() < MAX_SLOPE_PPM * 1e-6);
        if is_sound && is_plain && agreeing >= enough && best.as_ref().is_none_or(|(most, _)| agreeing > *most) {
            best = Some((agreeing, [(range.start..at, left), (at..range.end, right)]));
        }
    }
    best.map(|(_, halves)| halves)
}

/// Intercept (at time 0) and slope of the line through two of the points that the most points are near.
fn start(points: &[Delay]) -> (f64, f64) {
    let stride = points.len().div_ceil(DRAWN);
    let drawn = points.iter().step_by(stride).collect::<Vec<_>>();
    let cost = |intercept: f64, slope: f64| {
        points
            .iter()
            .map(|p| {
                let r = (p.delay_s - intercept - slope * p.time_s) / AGREES_S;
                p.height.min(30.0) * (r * r).min(1.0)
            })
            .sum::<f64>()
    };
    let mut best = (points[0].delay_s, 0.0);
    let mut least = cost(best.0, best.1);
    for (i, a) in drawn.iter().enumerate() {
        for b in &drawn[i + 1..] {
            let slope = (b.delay_s - a.delay_s) / (b.time_s - a.time_s);
            if slope.abs() > MAX_SLOPE_PPM * 1e-6 {
                continue;
            }
            let intercept = a.delay_s - slope * a.time_s;
            let c = cost(intercept, slope);
            if c < least {
                (best, least) = ((intercept, slope), c);
            }
        }
    }
    best
}

/// Weighted sums of a straight-line fit.
#[derive(Default)]
struct Sums {
    w: f64,
    wt: f64,
    wtt: f64,
    wd: f64,
    wtd: f64,
}

impl Sums {
    fn add(&mut self, p: &Delay, w: f64) {
        self.w += w;
        self.wt += w * p.time_s;
        self.wtt += w * p.time_s * p.time_s;
        self.wd += w * p.delay_s;
        self.wtd += w * p.time_s * p.delay_s;
    }

    /// Variance of the points' times, in s².
    fn spread(&self) -> f64 {
        (self.wtt / self.w - (self.wt / self.w).powi(2)).max(0.0)
    }

    fn solve(&self) -> Option<(f64, f64)> {
        let determinant = self.w * self.wtt - self.wt * self.wt;
        if determinant.is_nan() || determinant <= 1e-9 * self.w * self.w {
            return None;
        }
        let slope = (self.w * self.wtd - self.wt * self.wd) / determinant;
        Some(((self.wd - slope * self.wt) / self.w, slope))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;

    fn points(len: usize, delay_s: impl Fn(usize, f64) -> f64) -> Vec<Delay> {
        (0..len)
            .map(|n| {
                let time_s = 0.7 * n as f64;
                Delay { time_s, delay_s: delay_s(n, time_s), height: 10.0, is_inverted: false }
            })
            .collect()
    }

    #[test]
    fn a_line_is_found_exactly_though_two_windows_in_five_are_wrong() {
        let all = points(100, |n, t| if n % 5 < 2 { 0.05 * ((n * 7919) as f64).sin() } else { 0.003 - 85e-6 * t });
        let found = line(&all).unwrap();
        assert!((found.at(0.0) - 0.003).abs() < 1e-8 && (found.slope + 85e-6).abs() < 1e-10, "{found:?}");
        assert!(found.agreeing_len >= 60 && found.agreeing_len < 70);
        assert_eq!(pieces(&all).len(), 1);
    }

    #[test]
    fn the_errors_cover_the_scatter() {
        let scatter = |n: usize| 1e-4 * (((n * 2654435761) % 1000) as f64 / 500.0 - 1.0);
        let found = line(&points(200, |n, t| 2e-5 * t + scatter(n))).unwrap();
        assert!((found.slope - 2e-5).abs() < 3.0 * found.slope_error, "{found:?}");
        // Even from -1e-4 to 1e-4: the robust deviation is 1.4826 * 0.5e-4.
        assert!((found.jitter_s - 0.74e-4).abs() < 0.1e-4, "{found:?}");
    }

    #[test]
    fn lost_sound_makes_two_pieces() {
        let all = points(100, |n, t| if n < 40 { 1e-5 * t } else { 0.020 + 1e-5 * t });
        let found = pieces(&all);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            (found[0].to_s - 0.7 * 39.5).abs() < 0.8 && (found[1].at(50.0) - found[0].at(50.0) - 0.02).abs() < 1e-6
        );
        assert!(line(&all[..2]).is_none());
    }
}
