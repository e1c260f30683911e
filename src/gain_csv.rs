//! Gain curves as CSV: `time_s,gain_db,lower_db,upper_db`, the *device's* gain, not its inverse.
//!
//! The last two columns (the 90 % band) are optional when read. The constant offset is free: what is read is shifted to a
//! median of 0 dB. Times need not be equidistant; entries of `nan` are places where the gain is not known, and are bridged.

use crate::analysis::GainCurve;
use crate::error::Error;
use std::fmt::Write as _;

/// Entries of the equidistant curve that irregular times are laid onto: an hour at 1 ms.
const MAX_ENTRIES: usize = 3_600_000;
/// Times that are this close to a common grid, in fractions of its hop, are on it: CSV times are rounded.
const GRID_TOLERANCE: f64 = 0.02;

/// One line's numbers.
#[derive(Debug, Clone, Copy)]
struct Row {
    time_s: f64,
    /// Gain, lower and upper edge.
    db: [f64; 3],
}

/// Reads a gain curve.
///
/// **Shape.** Equidistant times stay as they are; others are interpolated linearly in dB at the smallest step. Without a band
/// in the file, both edges are the gain itself: a band is not known. **Units.** Seconds and dB.
///
/// # Errors
/// [`Error::Invalid`] naming the line: a header that is not `time_s,gain_db[,lower_db,upper_db]`, a line with another number of
/// columns, a number that is none, times that do not increase; and where no line has a gain.
pub fn read_gain_csv(text: &str) -> Result<GainCurve, Error> {
    let rows = rows(text)?;
    let Some(first) = rows.first().copied() else {
        return Err(invalid("no line has a gain".to_owned(), "give lines of time_s,gain_db"));
    };
    let (hop_s, entries) = match indices_on_grid(&rows) {
        Some((hop_s, indices)) => (hop_s, on_grid(&rows, &indices)),
        None => {
            let smallest_s = rows.windows(2).map(|w| w[1].time_s - w[0].time_s).fold(f64::INFINITY, f64::min);
            let span_s = rows.last().map_or(0.0, |last| last.time_s - first.time_s);
            let len = (span_s / smallest_s).ceil();
            if len.is_nan() || len >= MAX_ENTRIES as f64 {
                let cause = format!("steps of {smallest_s} s over {span_s} s");
                return Err(invalid(cause, "give times at most 3.6 million steps long"));
            }
            let hop_s = span_s / len;
            let at = |i: usize| interpolated(&rows, first.time_s + i as f64 * hop_s);
            (hop_s, (0..=len as usize).map(at).collect())
        }
    };
    let offset_db = median(entries.iter().map(|db| db[0]).collect());
    let column = |k: usize| entries.iter().map(|db| db[k] - offset_db).collect();
    Ok(GainCurve { start_s: first.time_s, hop_s, gain_db: column(0), lower_db: column(1), upper_db: column(2) })
}

/// Writes a gain curve; [`read_gain_csv`] reads it back to within the digits written (1 µs, 0.0001 dB).
#[must_use]
pub fn write_gain_csv(curve: &GainCurve) -> String {
    let mut out = String::from("time_s,gain_db,lower_db,upper_db\n");
    let band = curve.lower_db.iter().zip(&curve.upper_db);
    for (i, (gain_db, (lower_db, upper_db))) in curve.gain_db.iter().zip(band).enumerate() {
        let time_s = curve.start_s + i as f64 * curve.hop_s;
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{time_s:.6},{gain_db:.4},{lower_db:.4},{upper_db:.4}");
    }
    out
}

fn invalid(cause: String, remedy: &str) -> Error {
    Error::Invalid { what: "gain CSV".to_owned(), cause, remedy: remedy.to_owned() }
}

/// Lines with a known gain, times increasing.
fn rows(text: &str) -> Result<Vec<Row>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let expected = "the first line must be time_s,gain_db or time_s,gain_db,lower_db,upper_db";
    let Some((n, header)) = lines.next() else { return Err(invalid("it is empty".to_owned(), expected)) };
    let names: Vec<&str> = header.split(',').map(str::trim).collect();
    let has_band = match names.as_slice() {
        ["time_s", "gain_db"] => false,
        ["time_s", "gain_db", "lower_db", "upper_db"] => true,
        _ => return Err(invalid(format!("line {} is {header:?}", n + 1), expected)),
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut previous_s = f64::NEG_INFINITY;
    for (n, line) in lines {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let line_number = n + 1;
        if fields.len() != names.len() {
            let cause = format!("line {line_number} has {} columns, the header {}", fields.len(), names.len());
            return Err(invalid(cause, "give every line the header's columns"));
        }
        let mut numbers = [f64::NAN; 4];
        for (number, (field, name)) in numbers.iter_mut().zip(fields.iter().zip(&names)) {
            *number = field.parse().map_err(|_| {
                invalid(
                    format!("line {line_number}: {name} is {field:?}"),
                    "write numbers with a decimal point, or nan",
                )
            })?;
        }
        let [time_s, gain_db, lower_db, upper_db] = numbers;
        if !time_s.is_finite() || time_s <= previous_s {
            let cause = format!("line {line_number}: the time {time_s} s does not follow {previous_s} s");
            return Err(invalid(cause, "times must be finite and increase"));
        }
        previous_s = time_s;
        if gain_db.is_infinite() {
            return Err(invalid(
                format!("line {line_number}: the gain is {gain_db} dB"),
                "write nan where it is unknown",
            ));
        }
        if gain_db.is_nan() {
            continue;
        }
        let edge_or_gain = |edge_db: f64| if has_band && edge_db.is_finite() { edge_db } else { gain_db };
        rows.push(Row { time_s, db: [gain_db, edge_or_gain(lower_db), edge_or_gain(upper_db)] });
    }
    Ok(rows)
}

/// The hop and each row's index, where all times are on one grid (with gaps where the gain was not known).
fn indices_on_grid(rows: &[Row]) -> Option<(f64, Vec<usize>)> {
    let first = rows.first()?;
    let steps_s: Vec<f64> = rows.windows(2).map(|w| w[1].time_s - w[0].time_s).collect();
    if steps_s.is_empty() {
        // A single value: any hop will do.
        return Some((1.0, vec![0]));
    }
    let typical_s = median(steps_s.clone());
    let mut indices = vec![0usize];
    let mut index = 0f64;
    for step_s in steps_s {
        index += (step_s / typical_s).round();
        if index.is_nan() || index >= MAX_ENTRIES as f64 {
            return None;
        }
        indices.push(index as usize);
    }
    let last = rows.last()?;
    let hop_s = (last.time_s - first.time_s) / index;
    let is_on_grid = |(row, index): (&Row, &usize)| {
        (row.time_s - first.time_s - *index as f64 * hop_s).abs() <= GRID_TOLERANCE * hop_s
    };
    let increases = indices.windows(2).all(|w| w[0] < w[1]);
    (increases && rows.iter().zip(&indices).all(is_on_grid)).then_some((hop_s, indices))
}

/// Fills the gaps of a grid linearly.
fn on_grid(rows: &[Row], indices: &[usize]) -> Vec<[f64; 3]> {
    let mut out: Vec<[f64; 3]> = rows.first().map(|row| row.db).into_iter().collect();
    for (pair, ends) in rows.windows(2).zip(indices.windows(2)) {
        let len = ends[1] - ends[0];
        for i in 1..=len {
            out.push(if i == len { pair[1].db } else { blend(pair[0].db, pair[1].db, i as f64 / len as f64) });
        }
    }
    out
}

/// Linear interpolation in dB, edges held.
fn interpolated(rows: &[Row], time_s: f64) -> [f64; 3] {
    let after = rows.partition_point(|row| row.time_s <= time_s);
    match (after.checked_sub(1).and_then(|before| rows.get(before)), rows.get(after)) {
        (Some(a), Some(b)) => blend(a.db, b.db, (time_s - a.time_s) / (b.time_s - a.time_s)),
        (Some(only), None) | (None, Some(only)) => only.db,
        (None, None) => [0.0; 3],
    }
}

fn blend(a: [f64; 3], b: [f64; 3], t: f64) -> [f64; 3] {
    std::array::from_fn(|k| a[k] + (b[k] - a[k]) * t)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match (values.get((values.len().max(1) - 1) / 2), values.get(values.len() / 2)) {
        (Some(a), Some(b)) => 0.5 * (a + b),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
    use super::*;

    fn curve(hop_s: f64, gain_db: &[f64]) -> GainCurve {
        let shifted = |by: f64| gain_db.iter().map(|g| g + by).collect();
        GainCurve {
            start_s: 0.0425,
            hop_s,
            gain_db: gain_db.to_vec(),
            lower_db: shifted(-0.4),
            upper_db: shifted(0.25),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        // An odd hop, so that rounded times are not exactly equidistant; a median of zero.
        let gain_db: Vec<f64> = (0..4001).map(|i| 6.0 * (f64::from(i - 2000) / 700.0).sin()).collect();
        let written = curve(480.0 / 44_100.0, &gain_db);
        let read = read_gain_csv(&write_gain_csv(&written)).unwrap();
        assert_eq!(read.gain_db.len(), written.gain_db.len());
        // Half a microsecond at either end, over 4000 hops; half a digit of 0.0001 dB, twice (the median has one too).
        assert!((read.hop_s - written.hop_s).abs() <= 1e-6 / 4000.0);
        assert!((read.start_s - written.start_s).abs() <= 0.5e-6 + 1e-12);
        let pairs = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-4 + 1e-12);
        assert!(pairs(&read.gain_db, &written.gain_db));
        assert!(pairs(&read.lower_db, &written.lower_db) && pairs(&read.upper_db, &written.upper_db));
        // A planted fault of three digits' worth is seen.
        let mut fault = written.gain_db.clone();
        fault[1234] += 3e-4;
        assert!(!pairs(&read.gain_db, &fault));
    }

    #[test]
    fn the_offset_is_free() {
        let read = read_gain_csv("time_s,gain_db\n0,10\n1,12\n2,17\n").unwrap();
        assert_eq!(read.gain_db, [-2.0, 0.0, 5.0]);
        assert_eq!((read.start_s, read.hop_s), (0.0, 1.0));
        assert_eq!((&read.lower_db, &read.upper_db), (&read.gain_db, &read.gain_db));
    }

    #[test]
    fn unknown_entries_are_bridged_and_missing_ends_left_out() {
        let read = read_gain_csv("time_s,gain_db\r\n0,nan\r\n1,0\r\n2,NaN\r\n3,4\r\n4,2\r\n5,nan\r\n").unwrap();
        assert_eq!((read.start_s, read.hop_s), (1.0, 1.0));
        assert_eq!(read.gain_db, [-2.0, 0.0, 2.0, 0.0]);
    }

    #[test]
    fn irregular_times_are_laid_onto_a_grid() {
        let read = read_gain_csv("time_s,gain_db\n0,0\n1,10\n3.5,-15\n").unwrap();
        let at = |time_s: f64| read.gain_db[(time_s / read.hop_s).round() as usize];
        assert!(read.hop_s <= 1.0);
        assert!((at(0.0) - at(3.5) - 15.0).abs() < 1e-9);
        assert!((read.hop_s * (read.gain_db.len() - 1) as f64 - 3.5).abs() < 1e-9);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, part) in [
            ("", "empty"),
            ("time;gain\n", "line 1"),
            ("time_s,gain_db\n", "no line has a gain"),
            ("time_s,gain_db\n0,nan\n", "no line has a gain"),
            ("time_s,gain_db\n0,1\n1,2,3\n", "line 3"),
            ("time_s,gain_db\n\n0,1\n1,two\n", "line 4"),
            ("time_s,gain_db\n0,1\n0,2\n", "line 3"),
            ("time_s,gain_db\n0,1\nnan,2\n", "line 3"),
            ("time_s,gain_db\n0,inf\n", "line 2"),
            ("time_s,gain_db\n0,1\n1e-300,2\n1e300,0\n", "million"),
        ] {
            let error = read_gain_csv(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
