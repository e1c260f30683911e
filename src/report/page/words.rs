//! The story in plain words: for somebody who plays the piano and has never heard of a compressor.

use super::overview::Overview;
use super::{Page, escaped};
use crate::analysis::{Analysis, EventKind, Verdict};
use crate::report::story::{GainSource, band_half_width_db, headline, probability};
use std::fmt::Write as _;

/// Headline and paragraphs.
pub(super) struct Story {
    pub(super) headline: String,
    /// Before the players: what happened, and what to do now.
    lead: Vec<String>,
    advice: Vec<&'static str>,
    notes: Vec<String>,
    /// Behind the picture: why to believe it.
    rest: Vec<String>,
}

impl Story {
    pub(super) fn of(page: &Page<'_>, overview: &Overview) -> Self {
        let analysis = page.analysis;
        let source = page.restoration.map(|r| r.gain_source).unwrap_or_default();
        let mut story = Self {
            headline: headline(analysis, source, page.restoration.is_some()),
            lead: Vec::new(),
            advice: Vec::new(),
            notes: analysis.warnings.iter().map(|w| format!("Note: {w}.")).collect(),
            rest: Vec::new(),
        };
        let (lead, rest) = (&mut story.lead, &mut story.rest);
        match (source, &analysis.verdict) {
            (GainSource::Found, Verdict::Agc) => {
                lead.push(what_it_did(analysis));
                lead.push(what_was_done(page, overview));
                rest.push(how_it_is_known(analysis));
                rest.push(NOT_KNOWABLE.to_owned());
            }
            (GainSource::Found, Verdict::None) => {
                let evidence = &analysis.evidence;
                lead.push(format!(
                    "Nothing turned the volume up and down while this was recorded, by more than can be heard in how the \
                     strings fade: {} fading partials of {} notes keep to their own steady rates, and no gain control that \
                     is known explains them better (chance {}).",
                    evidence.segment_len,
                    evidence.note_len,
                    probability(evidence.p_value)
                ));
                lead.push("The recording was left exactly as it is. There is nothing to undo.".to_owned());
            }
            (GainSource::Found, Verdict::Undecided { reason }) => {
                lead.push(format!("The music does not tell: {reason}."));
                lead.push(
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
                lead.push(what_was_done(page, overview));
                rest.push(NOT_KNOWABLE.to_owned());
            }
            (GainSource::NoneGiven, _) => lead.push("You said that there was nothing to undo.".to_owned()),
        }
        if page.tracks.len() > 1 {
            story.lead.push(
                "Press play, then switch to and fro. Both are played equally loud, so that the louder one does not win for \
                 being loud: listen for how much the notes differ from each other."
                    .to_owned(),
            );
        }
        story
    }

    /// The lead as HTML.
    pub(super) fn lead_html(&self) -> String {
        let mut out = paragraphs(&self.lead, "<p>");
        if !self.advice.is_empty() {
            let items: String = self.advice.iter().map(|advice| format!("<li>{}</li>\n", escaped(advice))).collect();
            out += &format!("<ul>\n{items}</ul>\n");
        }
        out + &paragraphs(&self.notes, "<p class=\"note\">")
    }

    /// The rest as HTML; nothing where all was said.
    pub(super) fn rest_html(&self) -> String {
        if self.rest.is_empty() {
            return String::new();
        }
        format!("<section id=\"why\">\n<h2>How that is known</h2>\n{}</section>\n", paragraphs(&self.rest, "<p>"))
    }
}

pub(super) fn paragraphs(texts: &[String], opening: &str) -> String {
    texts.iter().map(|text| format!("{opening}{}</p>\n", escaped(text))).collect()
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
        let _ = write!(out, " The loudness range was {before:.1} LU; now it is {after:.1} LU (1 LU is 1 dB).");
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
