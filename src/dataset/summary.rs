//! Results gathered by device and by position: medians over pairs.

use super::results::{Found, Numbers, Row};
use crate::pair::level::median;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Tables in Markdown: by phone, by position, and what failed.
#[must_use]
pub fn summary<'a>(rows: impl Iterator<Item = &'a Row>) -> String {
    let mut latest: BTreeMap<[&str; 4], &Row> = BTreeMap::new();
    for row in rows {
        let key = [&row.take, &row.position, &row.phone, &row.mic].map(String::as_str);
        let place = latest.entry(key).or_insert(row);
        // A validation tells what an alignment tells, and more.
        let is_fuller = |r: &Row| r.numbers.as_ref().map_or(0, |n| 1 + usize::from(n.gain_rms_db.is_some()));
        if is_fuller(row) >= is_fuller(place) {
            *place = row;
        }
    }
    let rows = latest.into_values().collect::<Vec<_>>();
    let mut out = String::new();
    if rows.iter().any(|row| !row.mic.is_empty()) {
        let pairs = rows.iter().copied().filter(|row| !row.mic.is_empty()).collect::<Vec<_>>();
        table(&mut out, "phone", &pairs, |row| &row.phone);
        out.push('\n');
        table(&mut out, "position", &pairs, |row| &row.position);
    }
    restored(&mut out, &rows);
    let failed = rows.iter().filter(|row| row.numbers.is_none() && row.found.is_none()).collect::<Vec<_>>();
    if !failed.is_empty() {
        out.push_str("\nFailed:\n");
        for row in failed {
            let why = row.error.as_deref().unwrap_or("unknown");
            // Writing to a String cannot fail.
            let with = if row.mic.is_empty() { String::new() } else { format!(" with {}", row.mic) };
            let _ = writeln!(out, "- take {}, {}, {}{with}: {why}", row.take, row.position, row.phone);
        }
    }
    out
}

/// What was found in recordings by themselves, where that was asked for.
fn restored(out: &mut String, rows: &[&Row]) {
    let mut phones: BTreeMap<&str, Vec<&Found>> = BTreeMap::new();
    for row in rows {
        if let Some(found) = &row.found {
            phones.entry(&row.phone).or_default().push(found);
        }
    }
    if phones.is_empty() {
        return;
    }
    out.push_str("\n| phone | recordings | restored | without gain control | undecided | gain moves dB |\n|---|---|---|---|---|---|\n");
    for (phone, found) in phones {
        let count = |verdict: &str| found.iter().filter(|f| f.verdict == verdict).count();
        let moved = found.iter().filter(|f| f.verdict == "agc").map(|f| f.gain_movement_db).collect::<Vec<_>>();
        let moved = if moved.is_empty() { "-".to_owned() } else { format!("{:.2}", median(&moved)) };
        let (agc, none, undecided) = (count("agc"), count("none"), count("undecided"));
        // Writing to a String cannot fail.
        let _ = writeln!(out, "| {phone} | {} | {agc} | {none} | {undecided} | {moved} |", found.len());
    }
}

fn table<'a>(out: &mut String, title: &str, rows: &[&'a Row], group: impl Fn(&'a Row) -> &'a str) {
    let mut groups: BTreeMap<&str, Vec<&Numbers>> = BTreeMap::new();
    for row in rows {
        groups.entry(group(row)).or_default().extend(&row.numbers);
    }
    let _ = writeln!(
        out,
        "| {title} | pairs | drift ppm | jitter ms | agreeing % | gain moves dB | slope | decay bias dB/s | LRA LU |\n|---|---|---|---|---|---|---|---|---|"
    );
    for (name, numbers) in groups {
        let of = |value: &dyn Fn(&Numbers) -> Option<f64>, decimals: usize| {
            let known = numbers.iter().filter_map(|n| value(n)).collect::<Vec<_>>();
            if known.is_empty() { "-".to_owned() } else { format!("{:.decimals$}", median(&known)) }
        };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} |",
            numbers.len(),
            of(&|n| Some(n.drift_ppm), 2),
            of(&|n| Some(1e3 * n.jitter_s), 3),
            of(&|n| Some(100.0 * n.confidence), 0),
            of(&|n| n.gain_rms_db, 2),
            of(&|n| n.dynamics_slope, 3),
            of(&|n| n.decay_bias_db_per_s, 2),
            of(&|n| n.loudness_range_lu, 1),
        );
    }
}
