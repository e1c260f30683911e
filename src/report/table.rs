//! The fitted decays as CSV, one decay a line, for spreadsheets and statistics.

use crate::analysis::Analysis;
use crate::units::midi_key_from_hz;
use std::fmt::Write as _;

/// The table's first line: every column with its unit.
const HEADER: &str = "note_index,start_s,end_s,frequency_hz,midi_key,level_dbfs,decay_db_per_s,decay_error_db_per_s,\
                      alpha_per_s,t60_s,second_stage_db,residual_db";

/// The table of [`Analysis::decays`]. A cell is empty where there is no number.
///
/// **Units.** In the header; columns are those of [`crate::analysis::DecaySegment`], and the MIDI key of the frequency
/// (69 is A4 at 440 Hz; fractional).
#[must_use]
pub fn partials_csv(analysis: &Analysis) -> String {
    let mut out = format!("{HEADER}\n");
    for decay in &analysis.decays {
        let numbers = [
            cell(decay.start_s, 4),
            cell(decay.end_s, 4),
            cell(decay.frequency_hz, 3),
            cell(midi_key_from_hz(decay.frequency_hz), 2),
            cell(decay.level_db, 3),
            cell(decay.decay_db_per_s, 3),
            cell(decay.decay_error_db_per_s, 3),
            cell(decay.alpha_per_s, 4),
            decay.t60_s.map_or(String::new(), |t60_s| cell(t60_s, 3)),
            cell(decay.second_stage_db, 3),
            cell(decay.residual_db, 3),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{},{}", decay.note_index, numbers.join(","));
    }
    out
}

fn cell(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { String::new() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::analysis::Verdict;
    use crate::report::specimen;

    #[test]
    fn every_line_has_the_header_s_columns_and_only_numbers_or_nothing() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let mut analysis = specimen::analysis(&audio, Verdict::Agc, |_| 0.0);
        analysis.decays[0].t60_s = None;
        analysis.decays[1].frequency_hz = f64::NAN;
        let table = partials_csv(&analysis);
        let mut lines = table.lines();
        let columns = lines.next().unwrap().split(',').count();
        assert_eq!(columns, 12);
        assert_eq!(lines.clone().count(), analysis.decays.len());
        for line in lines {
            assert_eq!(line.split(',').count(), columns);
            assert!(line.split(',').all(|cell| cell.is_empty() || cell.parse::<f64>().unwrap().is_finite()));
        }
    }
}
