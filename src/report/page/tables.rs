//! The page's tables, as HTML that needs no script.

use super::escaped;
use super::words::clock;
use crate::analysis::{Analysis, Event, EventKind, Verdict};
use crate::report::json::Restoration;
use crate::report::story::{band_half_width_db, probability};
use std::fmt::Write as _;

/// Rows of the events' table: the largest.
const MOST_ROWS: usize = 40;
/// Rows that are shown at once; the others unfold.
const OPEN_ROWS: usize = 8;

/// The places where the gain moved most, in the order of the music; nothing where it did not.
pub(super) fn events(analysis: &Analysis) -> String {
    if analysis.events.is_empty() {
        return String::new();
    }
    let mut largest: Vec<&Event> = analysis.events.iter().collect();
    largest.sort_by(|a, b| b.change_db.abs().total_cmp(&a.change_db.abs()));
    largest.truncate(MOST_ROWS);
    let count = analysis.events.len();
    let (open, folded) = largest.split_at(OPEN_ROWS.min(largest.len()));
    let mut out = format!(
        "<section id=\"events\">\n<h2>Where the volume was moved</h2>\n{}",
        events_table(
            open,
            if count > OPEN_ROWS { "The largest; a time plays the spot." } else { "A time plays the spot." }
        )
    );
    if !folded.is_empty() {
        let more =
            if count > MOST_ROWS { format!("The next {} of {count}", folded.len()) } else { "The others".to_owned() };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "<details><summary>{more}</summary>\n{}</details>", events_table(folded, ""));
    }
    out + "</section>\n"
}

/// Events in the order of the music.
fn events_table(events: &[&Event], caption: &str) -> String {
    let mut ordered = events.to_vec();
    ordered.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
    let mut rows = String::new();
    for event in ordered {
        let (class, way) = match event.kind {
            EventKind::Attack => ("attack", "turned down"),
            EventKind::Release => ("release", "turned up"),
        };
        let measured = event.measured_db.map_or("–".to_owned(), |db| format!("{} dB", signed(db, 1)));
        let _ = writeln!(
            rows,
            "<tr><td><button type=\"button\" data-at=\"{:.3}\">▶ {}</button></td><td class=\"{class}\">{way}</td>\
             <td class=\"number\">{} ± {} dB</td><td class=\"number\">{:.0} ms</td>\
             <td class=\"number\">{measured}</td><td class=\"number\">{}</td></tr>",
            finite(event.start_s),
            clock(event.start_s),
            signed(event.change_db, 1),
            number(event.error_db, 1),
            1000.0 * (event.end_s - event.start_s),
            event.partials_voted,
        );
    }
    let caption = if caption.is_empty() { String::new() } else { format!("<caption>{caption}</caption>\n") };
    let header = ["time", "the device", "by", "within", "measured at the onset", "by partials"];
    let cells = header.iter().enumerate().map(|(k, name)| {
        let class = if k < 2 { "" } else { " class=\"number\"" };
        format!("<th scope=\"col\"{class}>{name}</th>")
    });
    format!(
        "<div class=\"table\"><table>\n{caption}<thead><tr>{}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n",
        cells.collect::<String>()
    )
}

/// Evidence, law, loudness, laws tried.
pub(super) fn numbers(analysis: &Analysis, restoration: Option<Restoration<'_>>) -> String {
    let mut columns = Vec::new();
    let evidence = &analysis.evidence;
    if evidence.segment_len > 0 {
        let mut rows = vec![
            ("decay misfit J as recorded".to_owned(), number(evidence.j_without_gain, 4)),
            ("decay misfit J with the gain removed".to_owned(), number(evidence.j_with_gain, 4)),
            ("chance without a gain control".to_owned(), probability(evidence.p_value)),
        ];
        if let Some(slope) = evidence.step_slope {
            let error = evidence.step_slope_error.map_or(String::new(), |e| format!(" ± {}", number(e, 2)));
            rows.push(("steps measured over predicted".to_owned(), format!("{}{error}", number(slope, 2))));
        }
        rows.push((
            "gain moves by (standard deviation)".to_owned(),
            format!("{} dB", number(evidence.gain_movement_db, 2)),
        ));
        if let (Verdict::Agc, Some(half_db)) = (&analysis.verdict, band_half_width_db(&analysis.gain_curve)) {
            rows.push(("gain known to within (90 %)".to_owned(), format!("± {} dB", number(half_db, 1))));
        }
        for (name, count) in [
            ("decays weighed", evidence.segment_len),
            ("notes weighed", evidence.note_len),
            ("onsets with a measured step", evidence.onset_len),
        ] {
            rows.push((name.to_owned(), count.to_string()));
        }
        columns.push(table(
            "Evidence",
            &[],
            &rows.into_iter().map(|(name, value)| vec![name, value]).collect::<Vec<_>>(),
        ));
    }
    if let Some(law) = &analysis.law {
        let trust = if analysis.verdict == Verdict::Agc { "" } else { " (best guess, not trusted)" };
        let rows: Vec<Vec<String>> = law
            .parameters
            .iter()
            .map(|p| {
                let digits = |value: f64| significant(value, 4);
                let name = if p.unit.is_empty() { p.name.clone() } else { format!("{}, {}", p.name, p.unit) };
                vec![name, digits(p.value), format!("{} to {}", digits(p.lower), digits(p.upper))]
            })
            .collect();
        columns.push(table(&format!("Law: {}{trust}", law.name), &["constant", "value", "90 % range"], &rows));
    }
    if let Some(restoration) = restoration {
        let peak = restoration.restored.true_peak_dbtp;
        let peak = if peak.is_finite() { format!("{} dBTP", signed(peak, 1)) } else { "silent".to_owned() };
        columns.push(table(
            "Written",
            &[],
            &[
                vec!["file".to_owned(), restoration.output.to_owned()],
                vec!["bits".to_owned(), restoration.bits.to_owned()],
                vec![
                    "turned as a whole by".to_owned(),
                    format!("{} dB", signed(restoration.restored.overall_gain_db, 1)),
                ],
                vec!["true peak".to_owned(), peak],
            ],
        ));
    }
    if !analysis.families.is_empty() {
        let rows: Vec<Vec<String>> = analysis
            .families
            .iter()
            .map(|f| vec![f.law.clone(), number(f.j, 4), f.evaluation_len.to_string()])
            .collect();
        columns.push(table("Laws that were tried", &["law", "lowest J", "tries"], &rows));
    }
    if !analysis.partials.decay_by_octave.is_empty() {
        let rows: Vec<Vec<String>> = analysis
            .partials
            .decay_by_octave
            .iter()
            .map(|o| {
                vec![format!("{} Hz", number(o.centre_hz, 0)), number(o.median_db_per_s, 1), o.segment_len.to_string()]
            })
            .collect();
        columns.push(table("How fast the strings fade", &["octave around", "dB/s, median", "decays"], &rows));
    }
    if columns.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"numbers\">\n<h2>The numbers</h2>\n<div class=\"columns\">\n{}</div>\n</section>\n",
        columns.join("")
    )
}

/// A small table: the first column names, the others hold numbers.
pub(super) fn table(caption: &str, header: &[&str], rows: &[Vec<String>]) -> String {
    let class = |column: usize| if column == 0 { "" } else { " class=\"number\"" };
    let mut out = format!("<div class=\"table\"><table>\n<caption>{}</caption>\n", escaped(caption));
    if !header.is_empty() {
        let cells =
            header.iter().enumerate().map(|(k, name)| format!("<th scope=\"col\"{}>{}</th>", class(k), escaped(name)));
        let _ = writeln!(out, "<thead><tr>{}</tr></thead>", cells.collect::<String>());
    }
    out.push_str("<tbody>\n");
    for row in rows {
        let cells = row.iter().enumerate().map(|(k, cell)| format!("<td{}>{}</td>", class(k), escaped(cell)));
        let _ = writeln!(out, "<tr>{}</tr>", cells.collect::<String>());
    }
    out.push_str("</tbody></table></div>\n");
    out
}

/// A number with a true minus sign; a question mark where it is none.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let plain = format!("{:.decimals$}", value.abs());
    let is_zero = plain.chars().all(|c| matches!(c, '0' | '.'));
    if value < 0.0 && !is_zero { format!("−{plain}") } else { plain }
}

pub(super) fn signed(value: f64, decimals: usize) -> String {
    let plain = number(value, decimals);
    let is_zero = plain.chars().all(|c| matches!(c, '0' | '.'));
    if value > 0.0 && !is_zero { format!("+{plain}") } else { plain }
}

/// A number to so many significant digits.
fn significant(value: f64, digits: i32) -> String {
    let size = if value == 0.0 || !value.is_finite() { 0 } else { value.abs().log10().floor() as i32 };
    number(value, usize::try_from(digits - 1 - size).unwrap_or(0).min(9))
}

fn finite(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_true_minus_and_no_more_digits_than_asked() {
        assert_eq!(number(-0.04, 1), "0.0");
        assert_eq!(number(-13.66, 1), "−13.7");
        assert_eq!(signed(2.0, 1), "+2.0");
        assert_eq!(signed(0.04, 1), "0.0");
        assert_eq!(significant(0.002_168_9, 4), "0.002169");
        assert_eq!(significant(-17.832, 4), "−17.83");
        assert_eq!(significant(0.0, 4), "0.000");
        assert_eq!(number(f64::NAN, 2), "?");
    }
}
