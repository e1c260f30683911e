//! The words on the picture: title, law, evidence, and what cannot be known.

use super::axes::{HEADING_SIZE, LABEL_SIZE, number};
use super::palette::{FAINT, GREY, INK};
use super::render::text_width;
use super::scene::{Anchor, Point, Scene, Text, Weight};
use super::{Caption, Place};
use crate::analysis::{Analysis, Verdict};
use crate::law::FittedParameter;
use crate::report::story::{GainSource, band_half_width_db, headline, probability};
use crate::restore::Restored;

const TITLE_SIZE: f64 = 30.0;
const SUBTITLE_SIZE: f64 = 18.0;
/// Distance of two baselines in the column of facts, in pixels.
const ROW: f64 = 23.0;

/// Draws the title and, beneath it, what was looked at and how sure the answer is.
pub(super) fn title(
    scene: &mut Scene,
    at: Point,
    width: f64,
    analysis: &Analysis,
    restored: Option<&Restored>,
    caption: &Caption,
) {
    let title = headline(analysis, caption.gain_source, restored.is_some());
    scene.put(Text {
        at,
        text: fitting(&title, TITLE_SIZE, Weight::Semibold, width),
        size: TITLE_SIZE,
        anchor: Anchor::Start,
        weight: Weight::Semibold,
        colour: INK,
    });
    let input = &analysis.input;
    let channels = match input.channel_len {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        n => format!("{n} channels"),
    };
    let mut parts = Vec::new();
    if !caption.name.is_empty() {
        parts.push(fitting(&caption.name, SUBTITLE_SIZE, Weight::Regular, 0.4 * width));
    }
    parts.push(duration(input.duration_s));
    parts.push(format!("{} kHz, {channels}", f64::from(input.sample_rate_hz) / 1000.0));
    if let (Verdict::Undecided { reason }, GainSource::Found) = (&analysis.verdict, caption.gain_source) {
        parts.push(reason.clone());
    }
    if let Some(restored) = restored {
        parts.push(format!("overall gain {} dB", number(restored.overall_gain_db, 1)));
    }
    let subtitle = fitting(&parts.join("   ·   "), SUBTITLE_SIZE, Weight::Regular, width);
    scene.text((at.0, at.1 + 30.0), subtitle, SUBTITLE_SIZE, GREY);
}

/// Draws the column of facts.
pub(super) fn facts(scene: &mut Scene, place: Place, analysis: &Analysis, caption: &Caption) {
    let mut writer =
        Writer { scene, left: place.from.0, right: place.to.0, baseline: place.from.1 - 12.0, end: place.to.1 };
    if let Some(law) = &analysis.law {
        let trust = match analysis.verdict {
            _ if caption.gain_source == GainSource::LawGiven => "as you named it",
            Verdict::Agc => "constants, 90 % range",
            Verdict::None | Verdict::Undecided { .. } => "best law, not trusted",
        };
        writer.heading(&law.name, trust);
        let room = ((writer.end - writer.baseline) / ROW) as usize;
        // Evidence and what is not knowable take eleven rows.
        let most = room.saturating_sub(11).max(3);
        for parameter in law.parameters.iter().take(most) {
            writer.row(&spoken(&parameter.name), &value(parameter), &range(parameter));
        }
        if law.parameters.len() > most {
            writer.row(&format!("and {} more", law.parameters.len() - most), "", "");
        }
        writer.space();
    }
    if !(analysis.evidence.segment_len == 0 && caption.gain_source.is_given()) {
        let evidence = &analysis.evidence;
        writer.heading("Evidence", "");
        let misfit =
            format!("{} without, {} with gain", number(evidence.j_without_gain, 3), number(evidence.j_with_gain, 3));
        writer.row("decay misfit J", &misfit, "");
        writer.row("chance without gain control", &probability(evidence.p_value), "");
        if let Some(slope) = evidence.step_slope {
            let error = evidence.step_slope_error.map_or(String::new(), |e| format!(" ± {}", number(e, 2)));
            writer.row("steps measured over predicted", &format!("{}{error}", number(slope, 2)), "");
        }
        if let (Verdict::Agc, Some(half_db)) = (&analysis.verdict, band_half_width_db(&analysis.gain_curve)) {
            writer.row("gain known to within", &format!("± {} dB", number(half_db, 1)), "");
        }
        writer.row("decays", &evidence.segment_len.to_string(), "");
        writer.row("notes", &evidence.note_len.to_string(), "");
        writer.row("onsets with a measured step", &evidence.onset_len.to_string(), "");
        writer.space();
    }
    writer.heading("Not knowable", "");
    writer.row("an overall volume; a gain that drifts", "", "");
    writer.row("in a straight line all the way through", "", "");
}

/// A column of text that grows downwards and stops at its end.
struct Writer<'a> {
    scene: &'a mut Scene,
    left: f64,
    right: f64,
    baseline: f64,
    end: f64,
}

impl Writer<'_> {
    fn heading(&mut self, heading: &str, remark: &str) {
        if self.baseline > self.end {
            return;
        }
        self.put((self.left, self.baseline), heading, HEADING_SIZE, Anchor::Start, Weight::Semibold);
        self.scene.put(Text {
            at: (self.right, self.baseline),
            text: remark.to_owned(),
            size: LABEL_SIZE,
            anchor: Anchor::End,
            weight: Weight::Regular,
            colour: GREY,
        });
        let y = self.baseline + 8.0;
        self.scene.line(vec![(self.left, y), (self.right, y)], 1.0, FAINT);
        self.baseline += ROW + 6.0;
    }

    /// A name, its value, and its range, in three columns; a value without range moves to the right edge.
    fn row(&mut self, name: &str, value: &str, range: &str) {
        if self.baseline > self.end {
            return;
        }
        let width = self.right - self.left;
        let value_end = if range.is_empty() { self.right } else { self.left + 0.58 * width };
        let room = if value.is_empty() { width } else { width - 1.15 * text_width(value, LABEL_SIZE, Weight::Regular) };
        let name = fitting(name, LABEL_SIZE, Weight::Regular, room);
        self.scene.text((self.left, self.baseline), name, LABEL_SIZE, GREY);
        self.put((value_end, self.baseline), value, LABEL_SIZE, Anchor::End, Weight::Regular);
        self.scene.put(Text {
            at: (self.right, self.baseline),
            text: range.to_owned(),
            size: LABEL_SIZE,
            anchor: Anchor::End,
            weight: Weight::Regular,
            colour: GREY,
        });
        self.baseline += ROW;
    }

    fn space(&mut self) {
        self.baseline += 0.6 * ROW;
    }

    fn put(&mut self, at: Point, text: &str, size: f64, anchor: Anchor, weight: Weight) {
        self.scene.put(Text { at, text: text.to_owned(), size, anchor, weight, colour: INK });
    }
}

/// `attack_s` as people read it: the unit stands with the value.
fn spoken(name: &str) -> String {
    let bare = ["_db_per_s", "_per_s", "_db", "_hz", "_s"].into_iter().find_map(|unit| name.strip_suffix(unit));
    bare.unwrap_or(name).replace('_', " ")
}

/// Value and unit; times below a second in milliseconds.
fn value(parameter: &FittedParameter) -> String {
    let (factor, unit) = scaled(parameter);
    format!("{} {unit}", significant(factor * parameter.value)).trim_end().to_owned()
}

/// Range in the unit of [`value`], or nothing where it is not known.
fn range(parameter: &FittedParameter) -> String {
    if !(parameter.lower.is_finite() && parameter.upper.is_finite() && parameter.upper > parameter.lower) {
        return String::new();
    }
    let (factor, _) = scaled(parameter);
    format!("{} … {}", significant(factor * parameter.lower), significant(factor * parameter.upper))
}

fn scaled(parameter: &FittedParameter) -> (f64, &str) {
    if parameter.unit == "s" && parameter.value.abs() < 1.0 { (1000.0, "ms") } else { (1.0, &parameter.unit) }
}

/// Three significant digits.
fn significant(value: f64) -> String {
    let decimals = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v == 0.0 || v >= 1.0 => 2,
        _ => 3,
    };
    number(value, decimals)
}

/// A length in time for people.
fn duration(duration_s: f64) -> String {
    if duration_s < 120.0 {
        return format!("{duration_s:.1} s");
    }
    let whole_s = duration_s.round() as u64;
    let (h, min, s) = (whole_s / 3600, whole_s / 60 % 60, whole_s % 60);
    if h == 0 { format!("{min} min {s} s") } else { format!("{h} h {min} min {s} s") }
}

/// The text, or as much of it as fits, with an ellipsis; a tenth is left for a viewer's wider font.
fn fitting(text: &str, size: f64, weight: Weight, width: f64) -> String {
    let fits = |text: &str| 1.1 * text_width(text, size, weight) <= width;
    if fits(text) {
        return text.to_owned();
    }
    let mut short = text.to_owned();
    while short.pop().is_some() {
        let candidate = format!("{}…", short.trim_end());
        if fits(&candidate) {
            return candidate;
        }
    }
    String::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: &str, unit: &str, value: f64) -> FittedParameter {
        FittedParameter { name: name.to_owned(), unit: unit.to_owned(), value, lower: 0.9 * value, upper: 1.1 * value }
    }

    #[test]
    fn constants_read_as_people_say_them() {
        assert_eq!(spoken("attack_s"), "attack");
        assert_eq!(spoken("slow_decay_db_per_s"), "slow decay");
        assert_eq!(value(&parameter("attack_s", "s", 0.0024)), "2.40 ms");
        assert_eq!(range(&parameter("release_s", "s", 0.16)), "144 … 176");
        assert_eq!(value(&parameter("slope", "", 0.75)), "0.750");
        assert_eq!(range(&parameter("slope", "", f64::NAN)), "");
    }

    #[test]
    fn long_names_are_cut_and_short_ones_kept() {
        assert_eq!(fitting("short", 15.0, Weight::Regular, 400.0), "short");
        let cut = fitting(&"long ".repeat(100), 15.0, Weight::Regular, 400.0);
        assert!(cut.ends_with('…') && text_width(&cut, 15.0, Weight::Regular) < 400.0);
    }
}
