//! What people and programs hold in their hands: the report, the documents, the files for other programs, through the built
//! program. How the page behaves in a browser is tested by `.ci/browser`.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const GAIN_CSV: &str = "time_s,gain_db\n0.0,0.0\n1.0,-6.0\n2.0,0.0\n";
const CLEAN: &[&str] = &["NO_COLOR"];

/// A folder with two seconds of a decaying tone in it, `take.wav`, and a gain curve, `take.csv`.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        desk.tone("take.wav", 16_000);
        fs::write(desk.at("take.csv"), GAIN_CSV).unwrap();
        desk
    }

    fn tone(&self, name: &str, len: i32) {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: 8_000,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut writer = hound::WavWriter::create(self.at(name), spec).unwrap();
        for n in 0..len {
            let t = f64::from(n) / 8_000.0;
            writer.write_sample((8_000.0 * (-t).exp() * (2_764.6 * t).sin()) as i16).unwrap();
        }
        writer.finalize().unwrap();
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agcfix"));
        CLEAN.iter().for_each(|name| {
            command.env_remove(name);
        });
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Exit code, standard output, standard error.
    fn run(&self, words: &[&str]) -> (Option<i32>, Vec<u8>, String) {
        let output = self.command(words).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(!told.contains("panicked"), "{told}");
        (output.status.code(), output.stdout, told)
    }

    #[track_caller]
    fn succeeds(&self, words: &[&str]) -> String {
        let (code, out, told) = self.run(words);
        assert_eq!(code, Some(0), "{words:?}: {told}");
        String::from_utf8_lossy(&out).into_owned()
    }
}

fn schema() -> jsonschema::Validator {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/agcfix.analysis-1.schema.json");
    let schema = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

#[track_caller]
fn obeys(document: &str) {
    let document = serde_json::from_str(document).unwrap();
    let faults: Vec<String> = schema().iter_errors(&document).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// What stands in the element of this id.
fn element<'a>(page: &'a str, id: &str) -> &'a str {
    let (_, behind) = page.split_once(&format!("id=\"{id}\">")).unwrap();
    behind.split_once("</script>").unwrap().0
}

#[test]
fn documents_obey_the_schema_and_broken_ones_do_not() {
    let desk = Desk::new();
    obeys(&desk.succeeds(&["analyze", "take.wav", "--json", "-", "-q"]));
    desk.succeeds(&["restore", "take.wav", "--gain", "take.csv", "--json", "given.json", "-q"]);
    obeys(&desk.text("given.json"));
    let example = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let example = example.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    obeys(example);
    // The planted faults: a field gone, a unit turned into a word, an outcome that is none.
    for (field, value) in [("/input/duration_s", "\"long\""), ("/verdict/outcome", "\"maybe\""), ("/law", "7")] {
        let mut broken: serde_json::Value = serde_json::from_str(example).unwrap();
        *broken.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
        assert!(!schema().is_valid(&broken), "{field}");
    }
    let mut broken: serde_json::Value = serde_json::from_str(example).unwrap();
    broken.as_object_mut().unwrap().remove("evidence");
    assert!(!schema().is_valid(&broken));
}

#[test]
fn a_report_is_one_file_that_asks_for_nothing() {
    let desk = Desk::new();
    let name = "a <take> & \"more\".wav";
    fs::rename(desk.at("take.wav"), desk.at(name)).unwrap();
    desk.succeeds(&["restore", name, "--gain", "take.csv", "--report=page.html", "-q"]);
    let page = desk.text("page.html");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
    assert!(!page.contains("{{"), "a blank was left");
    // No address of the outside world, in any attribute; names are escaped.
    assert!(!page.contains("http://") && !page.contains("https://"));
    assert!(!page.contains("<take>") && page.contains("a &lt;take&gt; &amp; &quot;more&quot;.wav"));
    assert!(page.contains("default-src 'none'"));
    obeys(element(&page, "analysis"));
    let data: serde_json::Value = serde_json::from_str(element(&page, "page-data")).unwrap();
    let tracks = data["tracks"].as_array().unwrap();
    assert_eq!(tracks.len(), 2);
    // Before and after are as long as each other, and as the recording.
    for id in ["sound-0", "sound-1"] {
        assert!(element(&page, id).starts_with("ZkxhQ"), "{id} is no FLAC");
    }
    let sound: usize = ["sound-0", "sound-1"].iter().map(|id| element(&page, id).len()).sum();
    assert!(page.len() - sound < 3_000_000);
    // A second run gives the same bytes.
    desk.succeeds(&["restore", name, "--gain", "take.csv", "--report=again.html", "--force", "-q"]);
    assert!(page == desk.text("again.html"));
}

#[test]
fn a_recording_that_does_not_tell_has_a_page_that_says_what_helps() {
    let desk = Desk::new();
    desk.succeeds(&["analyze", "take.wav", "--report", "-q"]);
    let page = desk.text("take.agcfix.html");
    assert!(page.contains("data-verdict=\"undecided\"") && page.contains("--law NAME"));
    assert_eq!(page.matches("type=\"radio\"").count(), 1);
    // restore refuses as ever, but leaves the report that was asked for.
    let (code, _, told) = desk.run(&["restore", "take.wav", "--report=why.html"]);
    assert_eq!(code, Some(3));
    assert!(told.contains("why.html shows what was found"), "{told}");
    assert!(desk.at("why.html").exists() && !desk.at("take.restored.wav").exists());
}

#[test]
fn sound_can_lie_beside_the_page_or_nowhere() {
    let desk = Desk::new();
    fs::create_dir(desk.at("pages")).unwrap();
    let report = ["restore", "take.wav", "--gain", "take.csv", "-q", "--report=pages/p.html", "--force", "--audio"];
    desk.succeeds(&[&report[..], &["linked"]].concat());
    let page = desk.text("pages/p.html");
    assert!(page.contains("../take.wav") && page.contains("../take.restored.wav") && !page.contains("id=\"sound-0\""));
    desk.succeeds(&[&report[..], &["none"]].concat());
    let page = desk.text("pages/p.html");
    assert!(!page.contains("../take.wav\"") && !page.contains("id=\"sound-0\""));
    let (code, _, told) = desk.run(&["analyze", "take.wav", "--report=page.pdf"]);
    assert_eq!(code, Some(2));
    assert!(told.contains(".html"));
}

#[test]
fn several_recordings_have_names_of_their_own() {
    let desk = Desk::new();
    desk.tone("other.wav", 9_000);
    let words = ["restore", "take.wav", "other.wav", "--law", "none", "--output-dir", "out", "--json", "{name}.json"];
    let foretold = desk.succeeds(&[&words[..], &["--dry-run"]].concat());
    assert!(
        foretold.contains("would write out/take.restored.wav (-o)") && foretold.contains("would write out/other.json")
    );
    assert!(!desk.at("out").exists());
    // The folder is made, and goes again where nothing came into it.
    let (code, ..) = desk.run(&["restore", "take.wav", "--output-dir", "out", "--law", "auto", "-q"]);
    assert_eq!((code, desk.at("out").exists()), (Some(3), false));
    let (code, _, told) = desk.run(&["restore", "take.wav", "--output-dir", "no/out", "--law", "none"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("the folder no does not exist; make it first"), "{told}");
    desk.succeeds(&words);
    for name in ["take.restored.wav", "other.restored.wav", "take.json", "other.json"] {
        assert!(desk.at("out").join(name).exists(), "{name}");
    }
    // One that cannot be read does not keep the other back, and the exit code tells.
    let (code, _, told) = desk.run(&["restore", "missing.wav", "take.wav", "--law", "none"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("missing.wav") && desk.at("take.restored.wav").exists());
    // Names that would meet are refused before anything is done.
    fs::copy(desk.at("take.wav"), desk.at("take.wave")).unwrap();
    for (words, part) in [
        (&["restore", "take.wav", "take.wave", "--law", "none", "--force"][..], "would both be written here"),
        (&["restore", "take.wav", "other.wav", "--law", "none", "-o", "x.wav"], "{name}"),
        (&["restore", "take.wav", "take.wav"], "named twice"),
        (&["analyze", "take.wav", "other.wav", "--json", "-"], "standard output"),
    ] {
        let (code, _, told) = desk.run(words);
        assert!(matches!(code, Some(1 | 2)) && told.contains(part), "{words:?}: {told}");
    }
}

#[test]
fn sound_goes_through_pipes() {
    let desk = Desk::new();
    let output = desk
        .command(&["restore", "-", "--law", "none", "--bits", "16"])
        .stdin(fs::File::open(desk.at("take.wav")).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let samples =
        |bytes: &[u8]| -> Vec<i16> { hound::WavReader::new(bytes).unwrap().samples().map(Result::unwrap).collect() };
    assert_eq!(samples(&output.stdout), samples(&fs::read(desk.at("take.wav")).unwrap()));
    let (code, _, told) = desk.run(&["restore", "take.wav", "--law", "none", "-o", "-", "--json", "-"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("cannot be both"));
}

#[test]
fn every_format_is_written_and_every_stage_drawn() {
    let desk = Desk::new();
    let formats: Vec<String> =
        agcfix::report::interchange::ExportFormat::ALL.iter().map(|f| format!("{0}={{name}}.{0}", f.name())).collect();
    let mut words = vec!["restore", "take.wav", "--gain", "take.csv", "-q"];
    formats.iter().for_each(|format| words.extend(["--export", format]));
    desk.succeeds(&words);
    for format in agcfix::report::interchange::ExportFormat::ALL {
        assert!(desk.at(&format!("take.{}", format.name())).exists(), "{format:?}");
    }
    assert!(desk.text("take.reaper").contains("FILE \"take.wav\""));
    let documented = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/interchange.md")).unwrap();
    for format in agcfix::report::interchange::ExportFormat::ALL {
        assert!(documented.contains(&format!("| `{}` |", format.name())), "{format:?} is not documented");
    }
    for stage in ["partials", "decays", "gain", "evidence", "levels"] {
        desk.succeeds(&["plot", stage, "take.wav", "-q"]);
        assert!(fs::read(desk.at(&format!("take.{stage}.png"))).unwrap().starts_with(b"\x89PNG"));
        let svg = format!("{stage}.svg");
        desk.succeeds(&["plot", stage, "take.wav", "-q", "-o", &svg]);
        assert!(desk.text(&svg).starts_with("<svg"));
    }
    let (code, _, told) = desk.run(&["analyze", "take.wav", "--export", "wordstar=x"]);
    assert_eq!(code, Some(2));
    assert!(told.contains("sv-gain"));
}

#[test]
fn completions_and_manuals_know_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let words = desk.succeeds(&["completions", shell]);
        assert!(words.contains("restore") && words.contains("report"), "{shell}");
    }
    assert!(desk.succeeds(&["man"]).contains(".TH agcfix"));
    assert!(desk.succeeds(&["man", "restore"]).contains("output\\-dir"));
    assert_eq!(desk.run(&["man", "nothing"]).0, Some(2));
}

#[test]
fn colour_is_shown_when_asked_for_and_never_in_a_pipe() {
    let desk = Desk::new();
    let told = |words: &[&str]| desk.run(words).2;
    assert!(!told(&["analyze", "missing.wav"]).contains('\u{1b}'));
    assert!(told(&["analyze", "missing.wav", "--color", "always"]).contains("\u{1b}[1;31magcfix:\u{1b}[0m"));
    assert!(!told(&["analyze", "missing.wav", "--color=never"]).contains('\u{1b}'));
}

#[test]
fn verbose_tells_what_was_done_and_quiet_nothing() {
    let desk = Desk::new();
    let (_, _, told) = desk.run(&["analyze", "take.wav", "-v"]);
    assert!(told.contains("following partials: "), "{told}");
    assert_eq!(desk.run(&["analyze", "take.wav", "-q"]).2, "");
    assert_eq!(desk.run(&["analyze", "take.wav", "-q", "-v"]).0, Some(2));
}
