//! The summary for people: a few plain sentences. What was found, how sure, what was done, what cannot be known.

use super::story::{GainSource, band_half_width_db, change, gain_swing_db, headline, probability};
use crate::analysis::{Analysis, EventKind, Verdict};
use crate::restore::Restored;

/// What was done with the analysis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Deed<'a> {
    /// It was only looked at.
    Analyzed,
    /// Its gain, or one the user gave, was undone.
    Restored {
        /// The result.
        restored: &'a Restored,
        /// Where the gain came from.
        source: GainSource,
        /// Name of the file that was written.
        output: &'a str,
    },
}

/// Tells the story of one recording in a few lines that end in a line break.
#[must_use]
pub fn summary(name: &str, analysis: &Analysis, deed: Deed<'_>) -> String {
    let (source, is_restored) = match deed {
        Deed::Analyzed => (GainSource::Found, false),
        Deed::Restored { source, .. } => (source, true),
    };
    let mut lines = vec![format!("{name}: {}.", lower_first(&headline(analysis, source, is_restored)))];
    match source {
        GainSource::Found => found(&mut lines, analysis),
        GainSource::LawGiven | GainSource::CurveGiven | GainSource::NoneGiven => {}
    }
    match deed {
        Deed::Analyzed if analysis.verdict == Verdict::Agc => {
            lines.push(format!("To undo it: agcfix restore {}", quoted(name)));
        }
        Deed::Analyzed => {}
        Deed::Restored { restored, output, .. } => lines.push(done(restored, output)),
    }
    if is_restored && restored_something(deed) || analysis.verdict == Verdict::Agc {
        lines.push(
            "Not knowable: an overall volume, and a gain that drifts in a straight line (in dB) over the whole passage."
                .to_owned(),
        );
    }
    lines.extend(analysis.warnings.iter().map(|warning| format!("Note: {warning}.")));
    lines.join("\n") + "\n"
}

/// What was found, and how sure.
fn found(lines: &mut Vec<String>, analysis: &Analysis) {
    let evidence = &analysis.evidence;
    match &analysis.verdict {
        Verdict::Agc => {
            let width = band_half_width_db(&analysis.gain_curve)
                .map_or(String::new(), |half_db| format!(" The gain is known to within ±{half_db:.1} dB (90 %)."));
            let decays = format!("{} decays of {} notes", evidence.segment_len, evidence.note_len);
            lines.push(format!(
                "How sure: {decays} fit better with it; the chance of that without a gain control is {}.{width}",
                probability(evidence.p_value)
            ));
            let strongest = analysis.events.iter().filter(|e| e.kind == EventKind::Attack);
            if let Some(event) = strongest.min_by(|a, b| a.change_db.total_cmp(&b.change_db)) {
                let size = change(event.change_db, event.error_db);
                let count = analysis.events.len();
                lines.push(format!("It moved {count} times; the deepest fall is at {:.1} s: {size}.", event.start_s));
            }
        }
        Verdict::None => lines.push(format!(
            "How sure: no law makes the {} decays of {} notes fit significantly better (chance {}).",
            evidence.segment_len,
            evidence.note_len,
            probability(evidence.p_value)
        )),
        Verdict::Undecided { reason } => {
            lines.push(format!("Why: {reason}."));
            if let Some(law) = &analysis.law {
                let swing_db = gain_swing_db(&analysis.gain_curve);
                lines.push(format!("The best guess would be {}, moving the level by {swing_db:.1} dB.", law.name));
            }
        }
    }
}

/// What was done.
fn done(restored: &Restored, output: &str) -> String {
    let overall = match restored.overall_gain_db {
        0.0 => "overall level unchanged".to_owned(),
        gain_db => {
            format!("turned {} by {:.1} dB as a whole", if gain_db < 0.0 { "down" } else { "up" }, gain_db.abs())
        }
    };
    let peak = if restored.true_peak_dbtp.is_finite() {
        format!("true peak {:.1} dBTP", restored.true_peak_dbtp)
    } else {
        "silent".to_owned()
    };
    format!("Written: {output} ({overall}, {peak}).")
}

fn restored_something(deed: Deed<'_>) -> bool {
    matches!(deed, Deed::Restored { source: GainSource::LawGiven | GainSource::CurveGiven, .. })
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_lowercase().chain(letters).collect())
}

/// A name as one would type it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/+".contains(c);
    if name.chars().all(plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Audio;
    use crate::report::specimen;

    fn audio() -> Audio {
        specimen::audio(8.0, |_| 0.0)
    }

    #[test]
    fn a_gain_control_is_told_with_its_certainty_and_what_to_do() {
        let analysis = specimen::analysis(&audio(), Verdict::Agc, |t| -t);
        let text = summary("my take.m4a", &analysis, Deed::Analyzed);
        let expected = "\
            my take.m4a: gain control found: compressor, moving the level by 7.8 dB.\n\
            How sure: 32 decays of 8 notes fit better with it; the chance of that without a gain control is 0.002. \
            The gain is known to within ±0.5 dB (90 %).\n\
            It moved 8 times; the deepest fall is at 0.0 s: -3.2 ± 0.4 dB.\n\
            To undo it: agcfix restore 'my take.m4a'\n\
            Not knowable: an overall volume, and a gain that drifts in a straight line (in dB) over the whole passage.\n\
            Note: only 8.0 s of sound: record at least 20 s for a sure verdict.\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_restoration_names_its_file_and_its_constant() {
        let analysis = specimen::analysis(&audio(), Verdict::Agc, |t| -t);
        let restored = Restored { audio: audio(), overall_gain_db: -5.64, true_peak_dbtp: -1.0 };
        let deed = Deed::Restored { restored: &restored, source: GainSource::Found, output: "take.restored.wav" };
        let text = summary("take.m4a", &analysis, deed);
        assert!(text.starts_with("take.m4a: gain control found and undone: compressor"), "{text}");
        assert!(
            text.contains("Written: take.restored.wav (turned down by 5.6 dB as a whole, true peak -1.0 dBTP)."),
            "{text}"
        );
    }

    #[test]
    fn nothing_found_and_cannot_tell_are_said_plainly() {
        let analysis = specimen::analysis(&audio(), Verdict::None, |_| 0.0);
        let text = summary("take.wav", &analysis, Deed::Analyzed);
        assert!(text.starts_with("take.wav: no gain control found: the level is left as it is.\n"), "{text}");
        assert!(!text.contains("Not knowable"), "{text}");
        let reason = "the notes are too dense".to_owned();
        let analysis = specimen::analysis(&audio(), Verdict::Undecided { reason }, |_| 0.0);
        let text = summary("take.wav", &analysis, Deed::Analyzed);
        assert!(text.contains("cannot tell") && text.contains("Why: the notes are too dense.\n"), "{text}");
    }
}
