//! Axes: from values to pixels, with ticks at round places.

use super::palette::{FAINT, GREY, INK, PAPER};
use super::scene::{Anchor, Point, Scene, Text, Weight};

/// Size of tick labels, in pixels.
pub(super) const LABEL_SIZE: f64 = 15.0;
/// Size of a panel's heading, in pixels.
pub(super) const HEADING_SIZE: f64 = 18.0;

/// How an axis spreads its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spread {
    Linear,
    Log,
}

/// One axis: the values at its two ends and the pixels they fall on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    low_px: f64,
    high_px: f64,
    spread: Spread,
}

impl Axis {
    /// From `low` at pixel `low_px` to `high` at pixel `high_px`; an empty range is widened.
    pub(super) fn new(spread: Spread, (low, high): (f64, f64), (low_px, high_px): (f64, f64)) -> Self {
        let high = if high > low { high } else { low + 1.0 };
        Self { low, high, low_px, high_px, spread }
    }

    /// Pixel of a value, kept within the axis.
    pub(super) fn px(&self, value: f64) -> f64 {
        let share = match self.spread {
            Spread::Linear => (value - self.low) / (self.high - self.low),
            Spread::Log => (value / self.low).ln() / (self.high / self.low).ln(),
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.low_px + share * (self.high_px - self.low_px)
    }

    /// Value of a pixel.
    pub(super) fn value(&self, px: f64) -> f64 {
        let share = (px - self.low_px) / (self.high_px - self.low_px);
        match self.spread {
            Spread::Linear => self.low + share * (self.high - self.low),
            Spread::Log => self.low * (self.high / self.low).powf(share),
        }
    }

    /// Whether a value lies on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }

    /// Value at the upper end.
    pub(super) fn high(&self) -> f64 {
        self.high
    }

    /// Round values on the axis, at least `apart_px` apart, with their labels.
    pub(super) fn ticks(&self, apart_px: f64) -> Vec<(f64, String)> {
        match self.spread {
            Spread::Linear => {
                let per_px = (self.high - self.low) / (self.high_px - self.low_px).abs().max(1.0);
                let step = round_step(per_px * apart_px);
                let first = (self.low / step - 1e-9).ceil() as i64;
                let last = (self.high / step + 1e-9).floor() as i64;
                let decimals = (-step.log10().floor()).max(0.0) as usize;
                (first..=last).map(|i| (i as f64 * step, number(i as f64 * step, decimals))).collect()
            }
            Spread::Log => (-3..6)
                .flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| (digit * 10f64.powi(decade), decade)))
                .filter(|(value, _)| self.holds(*value))
                .map(|(value, decade)| (value, number(value, usize::try_from(-decade).unwrap_or(0))))
                .collect(),
        }
    }
}

/// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
fn round_step(step: f64) -> f64 {
    if !(step.is_finite() && step > 0.0) {
        return 1.0;
    }
    let decade = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|digit| digit * decade).find(|s| *s >= step * 0.999).unwrap_or(10.0 * decade)
}

/// A number for people: a true minus sign, and none on zero.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let plain = format!("{:.*}", decimals, value.abs());
    let is_zero = plain.chars().all(|c| matches!(c, '0' | '.'));
    if value < 0.0 && !is_zero { format!("−{plain}") } else { plain }
}

/// A time on an axis that ends at `end_s`: seconds, or minutes and seconds, or hours.
pub(super) fn time_label(value_s: f64, end_s: f64, seconds_label: &str) -> String {
    if end_s < 120.0 {
        return seconds_label.to_owned();
    }
    let whole = value_s.round() as i64;
    let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
    if end_s < 3600.0 { format!("{}:{s:02}", whole / 60) } else { format!("{h}:{m:02}:{s:02}") }
}

/// Time from 0 to `end_s` at round places of seconds, minutes or hours.
pub(super) fn time_ticks(axis: &Axis, apart_px: f64) -> Vec<(f64, String)> {
    const STEPS_S: [f64; 10] = [15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0];
    let end_s = axis.high();
    if end_s < 120.0 {
        return axis.ticks(apart_px);
    }
    let wanted_s = axis.value(axis.px(0.0) + apart_px);
    let step_s = STEPS_S.into_iter().find(|s| *s >= wanted_s).unwrap_or_else(|| round_step(wanted_s / 3600.0) * 3600.0);
    (0..=(end_s / step_s) as usize)
        .map(|i| {
            let at_s = i as f64 * step_s;
            (at_s, time_label(at_s, end_s, ""))
        })
        .collect()
}

/// Labels and unit of a time axis beneath a panel.
pub(super) fn time_axis(scene: &mut Scene, (left, right): (f64, f64), y: f64, duration_s: f64) {
    let axis = Axis::new(Spread::Linear, (0.0, duration_s), (left, right));
    for (value, label) in time_ticks(&axis, super::TIME_TICKS_APART) {
        scene.put(Text {
            at: (axis.px(value), y + 1.45 * LABEL_SIZE),
            text: label,
            size: LABEL_SIZE,
            anchor: Anchor::Middle,
            weight: Weight::Regular,
            colour: GREY,
        });
    }
    scene.put(Text {
        at: (right, y + 2.9 * LABEL_SIZE),
        text: time_unit(duration_s).to_owned(),
        size: LABEL_SIZE,
        anchor: Anchor::End,
        weight: Weight::Regular,
        colour: GREY,
    });
}

/// What the labels of a time axis count.
pub(super) fn time_unit(duration_s: f64) -> &'static str {
    match duration_s {
        d if d < 120.0 => "time in s",
        d if d < 3600.0 => "time in min:s",
        _ => "time in h:min:s",
    }
}

/// Where a panel's data go, and its two axes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Upper left corner.
    pub(super) from: Point,
    /// Lower right corner.
    pub(super) to: Point,
}

impl Frame {
    /// A frame from corner to corner; `y` grows upwards.
    pub(super) fn new(from: Point, to: Point, x: (Spread, f64, f64), y: (Spread, f64, f64)) -> Self {
        let x = Axis::new(x.0, (x.1, x.2), (from.0, to.0));
        let y = Axis::new(y.0, (y.1, y.2), (to.1, from.1));
        Self { x, y, from, to }
    }

    /// Pixel of a pair of values.
    pub(super) fn at(&self, x: f64, y: f64) -> Point {
        (self.x.px(x), self.y.px(y))
    }

    /// Grid lines and labels of the vertical axis.
    pub(super) fn y_grid(&self, scene: &mut Scene, apart_px: f64, lines: bool) {
        for (value, label) in self.y.ticks(apart_px) {
            let y = self.y.px(value);
            if lines {
                scene.line(vec![(self.from.0, y), (self.to.0, y)], 1.0, FAINT);
            } else {
                scene.line(vec![(self.from.0 - 5.0, y), (self.from.0, y)], 1.0, GREY);
            }
            scene.put(Text {
                at: (self.from.0 - 9.0, y + 0.35 * LABEL_SIZE),
                text: label,
                size: LABEL_SIZE,
                anchor: Anchor::End,
                weight: Weight::Regular,
                colour: GREY,
            });
        }
    }

    /// Grid lines of the horizontal axis, and its labels where `labelled`.
    pub(super) fn x_grid(&self, scene: &mut Scene, ticks: &[(f64, String)], lines: bool, labelled: bool) {
        for (value, label) in ticks {
            let x = self.x.px(*value);
            if lines {
                scene.line(vec![(x, self.from.1), (x, self.to.1)], 1.0, FAINT);
            } else {
                scene.line(vec![(x, self.to.1), (x, self.to.1 + 5.0)], 1.0, GREY);
            }
            if labelled {
                scene.put(Text {
                    at: (x, self.to.1 + 1.45 * LABEL_SIZE),
                    text: label.clone(),
                    size: LABEL_SIZE,
                    anchor: Anchor::Middle,
                    weight: Weight::Regular,
                    colour: GREY,
                });
            }
        }
    }

    /// The line on which the data stand.
    pub(super) fn base_line(&self, scene: &mut Scene) {
        scene.line(vec![(self.from.0, self.to.1), (self.to.0, self.to.1)], 1.0, GREY);
    }

    /// What the panel shows, above its upper left corner: a heading, then its unit and remarks in grey.
    pub(super) fn heading(&self, scene: &mut Scene, heading: &str, remark: &str) {
        let baseline = self.from.1 - 12.0;
        scene.put(Text {
            at: (self.from.0, baseline),
            text: heading.to_owned(),
            size: HEADING_SIZE,
            anchor: Anchor::Start,
            weight: Weight::Semibold,
            colour: INK,
        });
        let width = super::render::text_width(heading, HEADING_SIZE, Weight::Semibold);
        // An SVG viewer's own bold may be wider than the embedded one, DejaVu's by 18 %.
        scene.text((self.from.0 + 1.2 * width + 4.0, baseline), remark, LABEL_SIZE, GREY);
    }

    /// A sentence above the middle of a panel that has nothing to show.
    pub(super) fn note(&self, scene: &mut Scene, text: &str) {
        let (x, y) = (0.5 * (self.from.0 + self.to.0), 0.5 * (self.from.1 + self.to.1) - 16.0);
        let half = 0.55 * super::render::text_width(text, HEADING_SIZE, Weight::Regular) + 12.0;
        scene.block((x - half, y - 22.0), (x + half, y + 14.0), PAPER.at(0.85));
        scene.put(Text {
            at: (x, y),
            text: text.to_owned(),
            size: HEADING_SIZE,
            anchor: Anchor::Middle,
            weight: Weight::Regular,
            colour: GREY,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = Axis::new(Spread::Linear, (-27.0, 3.0), (0.0, 300.0));
        let labels: Vec<String> = axis.ticks(60.0).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["−20", "−10", "0"]);
        let axis = Axis::new(Spread::Log, (50.0, 6000.0), (0.0, 300.0));
        let labels: Vec<String> = axis.ticks(60.0).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["50", "100", "200", "500", "1000", "2000", "5000"]);
    }

    #[test]
    fn short_axes_show_fractions_and_long_ones_hours() {
        let axis = Axis::new(Spread::Linear, (0.0, 0.1), (0.0, 500.0));
        assert_eq!(time_ticks(&axis, 90.0)[1].1, "0.02");
        let axis = Axis::new(Spread::Linear, (0.0, 3600.0), (0.0, 500.0));
        assert_eq!(time_ticks(&axis, 90.0)[1].1, "0:15:00");
    }

    #[test]
    fn values_and_pixels_are_each_others_inverse_and_strange_values_stay_in_the_frame() {
        for spread in [Spread::Linear, Spread::Log] {
            let axis = Axis::new(spread, (50.0, 6000.0), (10.0, 400.0));
            assert!((axis.value(axis.px(440.0)) - 440.0).abs() < 1e-9);
            assert!((10.0..=400.0).contains(&axis.px(f64::NAN)));
            assert!((10.0..=400.0).contains(&axis.px(f64::NEG_INFINITY)));
        }
    }
}
