//! The story in plain words: for somebody who plays the piano and has never heard of a compressor.

use super::overview::Overview;
use super::{Page, escaped};
use crate::analysis::{Analysis, EventKind, Verdict};
use crate::report::story::{GainSource, band_half_width_db, headline, probability};
use std::fmt::Write as _;

/// Headline and paragraphs.
pub(super) struct Story {
    pub(super) headline: String,
    paragraphs: Vec<String>,
    advice: Vec<&'static str>,
    notes: Vec<String>,
}

impl Story {
    pub(super) fn of(page: &Page<'_>, overview: &Overview) -> Self {
        let analysis = page.analysis;
        let source = page.restoration.map(|r| r.gain_source).unwrap_or_default();
        let mut story = Self {
            headline: headline(analysis, source, page.restoration.is_some()),
            paragraphs: Vec::new(),
            advice: Vec::new(),
            notes: analysis.warnings.iter().map(|w| format!("Note: {w}.")).collect(),
        };
        let paragraphs = &mut story.paragraphs;
        match (source, &analysis.verdict) {
            (GainSource::Found, Verdict::Agc) => {
                paragraphs.push(what_it_did(analysis));
                paragraphs.push(how_it_is_known(analysis));
                paragraphs.push(what_was_done(page, overview));
                paragraphs.push(NOT_KNOWABLE.to_owned());
            }
            (GainSource::Found, Verdict::None) => {
                let evidence = &analysis.evidence;
                paragraphs.push(format!(
                    "Nothing turned the volume up and down while this was recorded, by more than can be heard in how the \
                     strings fade: {} fading partials of {} notes keep to their own steady rates, and no gain control that \
                     is known explains them better (chance {}).",
                    evidence.segment_len,
                    evidence.note_len,
                    probability(evidence.p_value)
                ));
                paragraphs.push("The recording was left exactly as it is. There is nothing to undo.".to_owned());
            }
            (GainSource::Found, Verdict::Undecided { reason }) => {
                paragraphs.push(format!("The music does not tell: {reason}."));
                paragraphs.push(
                    "A gain control shows when ringing notes bend together as they fade. Dense, dry or very short music has \
                     too few of them. Rather than guess, the recording was left exactly as it is. What helps:"
                        .to_owned(),
                );
                story.advice = vec![
                    "more of the same recording: the phone did not change between movements, and slow music tells most;",
                    "the name of the gain control, if you know the device: --law NAME;",
                    "the gain itself, if you have it: --gain FILE.csv.",
                ];
            }
            (GainSource::LawGiven | GainSource::CurveGiven, _) => {
                paragraphs.push(what_was_done(page, overview));
                paragraphs.push(NOT_KNOWABLE.to_owned());
            }
            (GainSource::NoneGiven, _) => paragraphs.push("You said that there was nothing to undo.".to_owned()),
        }
        if page.tracks.len() > 1 {
            story.paragraphs.push(
                "Listen: press play, then switch to and fro. Both are played equally loud, so that the louder one does not \
                 win for being loud; listen for how much the notes differ from each other."
                    .to_owned(),
            );
        }
        story
    }

    /// As HTML.
    pub(super) fn html(&self) -> String {
        let mut out = String::new();
        for paragraph in &self.paragraphs {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "<p>{}</p>", escaped(paragraph));
        }
        if !self.advice.is_empty() {
            out.push_str("<ul>\n");
            for advice in &self.advice {
                let _ = writeln!(out, "<li>{}</li>", escaped(advice));
            }
            out.push_str("</ul>\n");
        }
        for note in &self.notes {
            let _ = writeln!(out, "<p class=\"note\">{}</p>", escaped(note));
        }
        out
    }
}

const NOT_KNOWABLE: &str = "Two things no recording can tell: an overall volume, and a volume that drifts evenly from \
                            beginning to end.";

/// The footer's one sentence.
pub(super) fn footer() -> String {
    format!("Made by agcfix {}. This page is complete: it loads nothing and sends nothing.", env!("CARGO_PKG_VERSION"))
}

fn what_it_did(analysis: &Analysis) -> String {
    let fall = |e: &&crate::analysis::Event| e.kind == EventKind::Attack;
    let deepest = analysis.events.iter().filter(fall).min_by(|a, b| a.change_db.total_cmp(&b.change_db));
    let mut out = "While this was recorded, the device turned the volume down when you played loudly and up again \
                   afterwards, so that loud and soft came out more alike than you played them."
        .to_owned();
    if let Some(event) = deepest {
        let _ = write!(
            out,
            " It moved {} times; the deepest fall, by {:.1} dB, is at {}.",
            analysis.events.len(),
            -event.change_db,
            clock(event.start_s)
        );
    }
    out
}

fn how_it_is_known(analysis: &Analysis) -> String {
    let evidence = &analysis.evidence;
    let known = band_half_width_db(&analysis.gain_curve)
        .map_or(String::new(), |half_db| format!(" The device’s gain is known to within ±{half_db:.1} dB (90 %)."));
    format!(
        "The strings told: every partial of a struck string fades at its own steady rate, and nothing but a change of volume \
         bends all of them at once. {} fading partials of {} notes were weighed; the chance that they would agree this well \
         without a gain control is {}.{known}",
        evidence.segment_len,
        evidence.note_len,
        probability(evidence.p_value)
    )
}

fn what_was_done(page: &Page<'_>, overview: &Overview) -> String {
    let mut out = match page.restoration {
        Some(restoration) => format!("It was undone, moment by moment, and written to {}.", restoration.output),
        None if page.tracks.len() > 1 => {
            "The restored version on this page is what agcfix restore would write.".to_owned()
        }
        None => "agcfix restore undoes it.".to_owned(),
    };
    let range = |index: usize| overview.tracks.get(index).and_then(|track| track.range_lu);
    if let (Some(before), Some(after)) = (range(0), range(1)) {
        let _ = write!(out, " Between soft and loud there were {before:.1} LU; now there are {after:.1} LU.");
    }
    if let Some(restoration) = page.restoration.filter(|r| r.restored.overall_gain_db < 0.0) {
        let _ = write!(
            out,
            " Loud notes need room again, so the whole was turned down by {:.1} dB.",
            -restoration.restored.overall_gain_db
        );
    }
    out
}

/// A time for people: `0:35.6`.
pub(super) fn clock(time_s: f64) -> String {
    if !time_s.is_finite() {
        return "?".to_owned();
    }
    let tenths = (time_s.max(0.0) * 10.0).round() as u64;
    format!("{}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_carries_its_tenths() {
        assert_eq!(clock(35.61), "0:35.6");
        assert_eq!(clock(59.96), "1:00.0");
        assert_eq!(clock(3_725.0), "62:05.0");
        assert_eq!(clock(f64::NAN), "?");
    }
}
