//! The analysis as JSON, schema `agcfix.analysis/1`: `docs/json.md` describes every field.
//!
//! The document's types stand apart from [`crate::analysis`] so that the library may grow without changing what programs
//! read. Numbers are rounded to what they mean; what is not a finite number is `null`.

use super::story::GainSource;
use crate::analysis::{Analysis, Event, EvidenceSummary, FamilyReport, InputSummary, PartialSummary, Verdict, Warning};
use crate::law::LawFit;
use crate::restore::Restored;
use serde::{Serialize, Serializer};
use std::io;

/// Name and version of the schema. A field may be added within a version; none is removed, renamed or redefined.
pub const SCHEMA: &str = "agcfix.analysis/1";

/// What was done with the analysis, for the document's `restoration`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Restoration<'a> {
    /// Name of the file that was written.
    pub output: &'a str,
    /// Bits of its samples: `16`, `24` or `32f`.
    pub bits: &'a str,
    /// Where the gain that was undone came from.
    pub gain_source: GainSource,
    /// The result.
    pub restored: &'a Restored,
}

/// Writes the document, with a line break at its end.
///
/// `file` is the recording's name; `None` for a buffer.
///
/// # Errors
/// What the writer says.
pub fn write(
    mut writer: impl io::Write,
    file: Option<&str>,
    analysis: &Analysis,
    restoration: Option<Restoration<'_>>,
) -> io::Result<()> {
    let document = Document::new(file, analysis, restoration);
    let mut serializer = serde_json::Serializer::with_formatter(&mut writer, Tidy::default());
    document.serialize(&mut serializer)?;
    writer.write_all(b"\n")
}

/// The document.
#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    program: Program,
    input: Input<'a>,
    verdict: &'a Verdict,
    evidence: Evidence,
    law: Option<LawUsed<'a>>,
    events: Vec<EventOut>,
    gain_curve: Curve<'a>,
    partials: Partials,
    families: Vec<Family<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restoration: Option<RestorationOut<'a>>,
    warnings: Vec<WarningOut<'a>>,
}

#[derive(Serialize)]
struct Program {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Input<'a> {
    file: Option<&'a str>,
    sample_rate_hz: u32,
    channel_len: usize,
    sample_len: usize,
    duration_s: Decimals<6>,
}

#[derive(Serialize)]
struct Evidence {
    j_without_gain: Decimals<5>,
    j_with_gain: Decimals<5>,
    p_value: Digits,
    step_slope: Option<Decimals<3>>,
    step_slope_error: Option<Decimals<3>>,
    segment_len: usize,
    note_len: usize,
    onset_len: usize,
    gain_movement_db: Decimals<3>,
}

#[derive(Serialize)]
struct LawUsed<'a> {
    name: &'a str,
    parameters: Vec<Parameter<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    landings: Vec<LandingOut>,
}

#[derive(Serialize)]
struct LandingOut {
    at_s: Decimals<3>,
    rise_db: Decimals<2>,
    continues: bool,
}

#[derive(Serialize)]
struct Parameter<'a> {
    name: &'a str,
    unit: &'a str,
    value: Digits,
    lower: Digits,
    upper: Digits,
}

#[derive(Serialize)]
struct EventOut {
    start_s: Decimals<4>,
    end_s: Decimals<4>,
    kind: crate::analysis::EventKind,
    change_db: Decimals<3>,
    error_db: Decimals<3>,
    confidence: Decimals<3>,
    partials_voted: usize,
    measured_db: Option<Decimals<3>>,
}

#[derive(Serialize)]
struct Curve<'a> {
    start_s: Decimals<6>,
    hop_s: Decimals<9>,
    gain_db: Levels<'a>,
    lower_db: Levels<'a>,
    upper_db: Levels<'a>,
}

#[derive(Serialize)]
struct Partials {
    track_len: usize,
    segment_len: usize,
    point_len: usize,
    decay_by_octave: Vec<Octave>,
}

#[derive(Serialize)]
struct Octave {
    centre_hz: Decimals<2>,
    median_db_per_s: Decimals<3>,
    segment_len: usize,
}

#[derive(Serialize)]
struct Family<'a> {
    law: &'a str,
    j: Decimals<5>,
    evaluation_len: usize,
    termination: &'a str,
}

#[derive(Serialize)]
struct RestorationOut<'a> {
    output: &'a str,
    bits: &'a str,
    gain_source: GainSource,
    overall_gain_db: Decimals<3>,
    true_peak_dbtp: Decimals<3>,
}

#[derive(Serialize)]
struct WarningOut<'a> {
    #[serde(flatten)]
    warning: &'a Warning,
    message: String,
}

impl<'a> Document<'a> {
    fn new(file: Option<&'a str>, analysis: &'a Analysis, restoration: Option<Restoration<'a>>) -> Self {
        let curve = &analysis.gain_curve;
        Self {
            schema: SCHEMA,
            program: Program { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            input: Input::new(file, &analysis.input),
            verdict: &analysis.verdict,
            evidence: Evidence::from(&analysis.evidence),
            law: analysis.law.as_ref().map(LawUsed::from),
            events: analysis.events.iter().map(EventOut::from).collect(),
            gain_curve: Curve {
                start_s: Decimals(curve.start_s),
                hop_s: Decimals(curve.hop_s),
                gain_db: Levels(&curve.gain_db),
                lower_db: Levels(&curve.lower_db),
                upper_db: Levels(&curve.upper_db),
            },
            partials: Partials::from(&analysis.partials),
            families: analysis.families.iter().map(Family::from).collect(),
            restoration: restoration.map(RestorationOut::from),
            warnings: analysis.warnings.iter().map(|w| WarningOut { warning: w, message: w.to_string() }).collect(),
        }
    }
}

impl<'a> Input<'a> {
    fn new(file: Option<&'a str>, input: &InputSummary) -> Self {
        Self {
            file,
            sample_rate_hz: input.sample_rate_hz,
            channel_len: input.channel_len,
            sample_len: input.sample_len,
            duration_s: Decimals(input.duration_s),
        }
    }
}

impl From<&EvidenceSummary> for Evidence {
    fn from(evidence: &EvidenceSummary) -> Self {
        Self {
            j_without_gain: Decimals(evidence.j_without_gain),
            j_with_gain: Decimals(evidence.j_with_gain),
            p_value: Digits(evidence.p_value),
            step_slope: evidence.step_slope.map(Decimals),
            step_slope_error: evidence.step_slope_error.map(Decimals),
            segment_len: evidence.segment_len,
            note_len: evidence.note_len,
            onset_len: evidence.onset_len,
            gain_movement_db: Decimals(evidence.gain_movement_db),
        }
    }
}

impl<'a> From<&'a LawFit> for LawUsed<'a> {
    fn from(law: &'a LawFit) -> Self {
        let parameter = |p: &'a crate::law::FittedParameter| Parameter {
            name: &p.name,
            unit: &p.unit,
            value: Digits(p.value),
            lower: Digits(p.lower),
            upper: Digits(p.upper),
        };
        let landing = |l: &crate::law::Landing| LandingOut {
            at_s: Decimals(l.at_s),
            rise_db: Decimals(l.rise_db),
            continues: l.continues,
        };
        Self {
            name: &law.name,
            parameters: law.parameters.iter().map(parameter).collect(),
            landings: law.landings.iter().map(landing).collect(),
        }
    }
}

impl From<&Event> for EventOut {
    fn from(event: &Event) -> Self {
        Self {
            start_s: Decimals(event.start_s),
            end_s: Decimals(event.end_s),
            kind: event.kind,
            change_db: Decimals(event.change_db),
            error_db: Decimals(event.error_db),
            confidence: Decimals(event.confidence),
            partials_voted: event.partials_voted,
            measured_db: event.measured_db.map(Decimals),
        }
    }
}

impl From<&PartialSummary> for Partials {
    fn from(partials: &PartialSummary) -> Self {
        let octave = |o: &crate::analysis::OctaveDecay| Octave {
            centre_hz: Decimals(o.centre_hz),
            median_db_per_s: Decimals(o.median_db_per_s),
            segment_len: o.segment_len,
        };
        Self {
            track_len: partials.track_len,
            segment_len: partials.segment_len,
            point_len: partials.point_len,
            decay_by_octave: partials.decay_by_octave.iter().map(octave).collect(),
        }
    }
}

impl<'a> From<&'a FamilyReport> for Family<'a> {
    fn from(family: &'a FamilyReport) -> Self {
        Self {
            law: &family.law,
            j: Decimals(family.j),
            evaluation_len: family.evaluation_len,
            termination: &family.termination,
        }
    }
}

impl<'a> From<Restoration<'a>> for RestorationOut<'a> {
    fn from(restoration: Restoration<'a>) -> Self {
        Self {
            output: restoration.output,
            bits: restoration.bits,
            gain_source: restoration.gain_source,
            overall_gain_db: Decimals(restoration.restored.overall_gain_db),
            true_peak_dbtp: Decimals(restoration.restored.true_peak_dbtp),
        }
    }
}

/// A number with `N` digits behind the point; `null` where it is not finite.
#[derive(Debug, Clone, Copy)]
struct Decimals<const N: i32>(f64);

impl<const N: i32> Serialize for Decimals<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scale = 10f64.powi(N);
        let rounded = (self.0 * scale).round() / scale;
        // Numbers so large that scaling overflows have no digits behind the point anyway.
        finite_or_null(if rounded.is_finite() { rounded } else { self.0 }, serializer)
    }
}

/// A number with five significant digits, for values whose size is not known beforehand.
#[derive(Debug, Clone, Copy)]
struct Digits(f64);

impl Serialize for Digits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = format!("{:.4e}", self.0).parse().unwrap_or(self.0);
        finite_or_null(rounded, serializer)
    }
}

fn finite_or_null<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    // Adding zero turns minus zero into zero.
    if value.is_finite() { serializer.serialize_f64(value + 0.0) } else { serializer.serialize_none() }
}

/// Levels in dB, to a thousandth.
struct Levels<'a>(&'a [f64]);

impl Serialize for Levels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|level_db| Decimals::<3>(*level_db)))
    }
}

/// Lays a document out so that people can read it too: objects are indented, but numbers of an array share a line, and an
/// object in an array takes one line.
#[derive(Debug, Default)]
struct Tidy {
    /// For every open bracket, from the outside: what it is.
    open: Vec<Bracket>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bracket {
    /// An object with one field a line.
    Tall,
    /// An object on one line.
    Flat,
    /// An array; whether it holds objects is told by its first element.
    Array { holds_objects: bool },
}

impl Tidy {
    fn indent<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\n")?;
        let depth = self.open.iter().filter(|b| **b != Bracket::Flat).count();
        (0..depth).try_for_each(|_| writer.write_all(b"  "))
    }
}

impl serde_json::ser::Formatter for Tidy {
    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let bracket = match self.open.last_mut() {
            Some(Bracket::Array { holds_objects }) => {
                *holds_objects = true;
                self.indent(writer)?;
                Bracket::Flat
            }
            Some(Bracket::Flat) => Bracket::Flat,
            Some(Bracket::Tall) | None => Bracket::Tall,
        };
        self.open.push(bracket);
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.open.pop() == Some(Bracket::Tall) {
            self.indent(writer)?;
        }
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if !first {
            writer.write_all(b",")?;
        }
        match self.open.last() {
            Some(Bracket::Tall) => self.indent(writer),
            _ if first => Ok(()),
            _ => writer.write_all(b" "),
        }
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open.push(Bracket::Array { holds_objects: false });
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.open.pop() == Some(Bracket::Array { holds_objects: true }) {
            self.indent(writer)?;
        }
        writer.write_all(b"]")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]
    use super::*;
    use crate::report::specimen;
    use serde_json::{Value, json};

    fn text(analysis: &Analysis, restoration: Option<Restoration<'_>>) -> String {
        let mut out = Vec::new();
        write(&mut out, Some("take.m4a"), analysis, restoration).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_document_has_the_documented_fields_in_order() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let analysis = specimen::analysis(&audio, Verdict::Agc, |t| -t / 3.0);
        let restored = Restored { audio: audio.clone(), overall_gain_db: -5.64321, true_peak_dbtp: f64::NEG_INFINITY };
        let restoration = Restoration {
            output: "take.restored.wav",
            bits: "24",
            gain_source: GainSource::Found,
            restored: &restored,
        };
        let text = text(&analysis, Some(restoration));
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["schema"], "agcfix.analysis/1");
        assert_eq!(value["input"]["file"], "take.m4a");
        assert_eq!(value["verdict"], json!({"outcome": "agc"}));
        assert_eq!(value["gain_curve"]["gain_db"][1], json!(-0.003));
        assert_eq!(value["law"]["parameters"][3]["name"], "attack_s");
        assert_eq!(value["law"]["parameters"][3]["value"], json!(0.0102));
        assert_eq!(value["events"][0]["kind"], "attack");
        assert_eq!(value["restoration"]["overall_gain_db"], json!(-5.643));
        assert_eq!(value["restoration"]["true_peak_dbtp"], Value::Null);
        assert_eq!(value["warnings"][0]["kind"], "short");
        let documented = [
            "schema",
            "program",
            "input",
            "verdict",
            "evidence",
            "law",
            "events",
            "gain_curve",
            "partials",
            "families",
            "restoration",
            "warnings",
        ];
        let places: Vec<usize> = documented.iter().map(|f| text.find(&format!("\n  \"{f}\": ")).unwrap()).collect();
        assert!(places.is_sorted());
        assert_eq!(value.as_object().unwrap().len(), documented.len());
    }

    #[test]
    fn the_documented_example_has_the_fields_that_are_written() {
        let text_of = |value: &Value| {
            let mut names = Vec::new();
            collect_names(value, "", &mut names);
            names
        };
        let docs = include_str!("../../docs/json.md");
        let example = docs.split("```json").nth(1).unwrap().split("```").next().unwrap();
        let audio = specimen::audio(8.0, |_| 0.0);
        let mut analysis = specimen::analysis(&audio, Verdict::Agc, |_| 0.0);
        analysis.warnings.clear();
        let restored = Restored { audio: audio.clone(), overall_gain_db: 0.0, true_peak_dbtp: -1.0 };
        let gain_source = GainSource::Found;
        let restoration = Restoration { output: "take.restored.wav", bits: "24", gain_source, restored: &restored };
        let written = serde_json::from_str(&text(&analysis, Some(restoration))).unwrap();
        assert_eq!(text_of(&serde_json::from_str(example).unwrap()), text_of(&written));
    }

    /// Paths of all fields, those of an array's objects once.
    fn collect_names(value: &Value, path: &str, names: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    names.push(format!("{path}.{name}"));
                    collect_names(value, &format!("{path}.{name}"), names);
                }
            }
            Value::Array(values) => {
                values.first().into_iter().for_each(|v| collect_names(v, &format!("{path}[]"), names))
            }
            _ => {}
        }
    }

    #[test]
    fn what_is_no_number_is_null() {
        let audio = specimen::audio(8.0, |_| 0.0);
        let reason = "…".to_owned();
        let mut analysis = specimen::analysis(&audio, Verdict::Undecided { reason }, |_| f64::NAN);
        analysis.evidence.p_value = f64::NAN;
        analysis.evidence.step_slope = Some(f64::INFINITY);
        let value: Value = serde_json::from_str(&text(&analysis, None)).unwrap();
        assert_eq!(value["gain_curve"]["gain_db"][0], Value::Null);
        assert_eq!(value["evidence"]["p_value"], Value::Null);
        assert_eq!(value["evidence"]["step_slope"], Value::Null);
        assert_eq!(value["verdict"], json!({"outcome": "undecided", "reason": "…"}));
        assert!(value.get("restoration").is_none());
    }

    #[test]
    fn numbers_share_a_line_and_objects_in_arrays_take_one() {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Tidy::default());
        json!({"a": [1, 2], "b": [{"c": 1, "d": [3, 4]}, {}], "e": {"f": []}}).serialize(&mut serializer).unwrap();
        let expected = "{\n  \"a\": [1,2],\n  \"b\": [\n    {\"c\": 1, \"d\": [3,4]},\n    {}\n  ],\n  \"e\": {\n    \"f\": []\n  }\n}";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
