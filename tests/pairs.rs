//! Two recordings of one performance through the built program: alignment, validation, and what is refused.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use agcfix::encode::{BitDepth, write_wav_file};
use agcfix::pair::align::{AlignConfig, Alignment, ChannelOrder, Outcome, Polarity, align, aligned};
use agcfix::pair::resample::{Positions, resample};
use agcfix::pair::validate::validate;
use agcfix::{Audio, decode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data").join(name)
}

fn read(name: &str) -> Audio {
    decode::read(&data(name)).unwrap().audio
}

fn agcfix(words: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_agcfix")).args(words).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    output
}

/// Checks a document against its schema in docs/, and that the schema notices what is missing and what is a word instead of a number.
#[track_caller]
fn obeys(document: &Value, faults: &[&str]) {
    let name = document["schema"].as_str().unwrap().replace('/', "-");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/{name}.schema.json"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let found = schema.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect::<Vec<_>>();
    assert!(found.is_empty(), "{found:#?}");
    for place in faults {
        let mut broken = document.clone();
        *broken.pointer_mut(place).unwrap() = Value::from("much");
        assert!(!schema.is_valid(&broken), "{place}");
        let (within, key) = place.rsplit_once('/').unwrap();
        let mut broken = document.clone();
        broken.pointer_mut(within).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        assert!(!schema.is_valid(&broken), "without {place}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// 12 s of the microphone from `from_s` on, as the phone of another clock would have them: left and right kept.
fn mic_excerpt(from_s: f64, seconds: f64, drift_ppm: f64) -> Audio {
    let mic = read("prelude-mic.flac");
    let clock = 1.0 + drift_ppm * 1e-6;
    let positions =
        Positions { first: from_s * 48_000.0, step: 1.0 / clock, len: (seconds * 48_000.0 * clock) as usize };
    Audio::new(48_000, resample(mic.channels(), positions).unwrap()).unwrap()
}

fn found(phone: &Audio, mic: &Audio) -> Alignment {
    match align(phone, mic, &AlignConfig::default()).unwrap() {
        Outcome::Aligned(alignment) => alignment,
        Outcome::Unrelated { reason } => panic!("{reason}"),
    }
}

#[test]
fn the_late_phone_is_found_as_its_readme_says() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("aligned.wav");
    let (late, mic) = (data("prelude-phone-late.m4a"), data("prelude-mic.flac"));
    let output = agcfix(&["align", text(&late), text(&mic), "--json", "-", "-o", text(&out)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |key: &str| json[key].as_f64().unwrap();
    // Made with -1.3704 s and 85 ppm: see examples/data/README.md. Half a millisecond or 2 ppm more must fail.
    assert!((number("offset_s") + 1.3704).abs() < 1e-4, "{json}");
    assert!((number("drift_ppm") - 85.0).abs() < 1.0, "{json}");
    assert!(number("confidence") > 0.9);
    assert_eq!(json["schema"], "agcfix.alignment/1");
    obeys(&json, &["/offset_s", "/polarity", "/pieces/0/from_s"]);
    // What was written runs with the microphone.
    let again = found(&decode::read(&out).unwrap().audio, &read("prelude-mic.flac"));
    assert!(again.offset_s.abs() < 5e-5 && again.drift_ppm.abs() < 1.0, "{again:?}");
}

#[test]
fn polarity_swapped_channels_and_another_rate_are_noticed() {
    let mic = read("prelude-mic.flac");
    let phone = mic_excerpt(8.0, 14.0, -120.0);
    let straight = found(&phone, &mic);
    assert!((straight.offset_s - 8.0).abs() < 2e-5 && (straight.drift_ppm + 120.0).abs() < 0.5, "{straight:?}");
    assert_eq!((straight.polarity, straight.channels), (Polarity::Same, ChannelOrder::Same));
    let mut channels = phone.clone().into_channels();
    channels.swap(0, 1);
    channels.iter_mut().flatten().for_each(|x| *x *= -0.2);
    let turned = found(&Audio::new(48_000, channels).unwrap(), &mic);
    assert_eq!((turned.polarity, turned.channels), (Polarity::Inverted, ChannelOrder::Swapped), "{turned:?}");
    // At 44.1 kHz the clock is the same clock.
    let positions = Positions { first: 0.0, step: 48_000.0 / 44_100.0, len: 44_100 * 13 };
    let other = Audio::new(44_100, resample(phone.channels(), positions).unwrap()).unwrap();
    let resampled = found(&other, &mic);
    assert!((resampled.offset_s - 8.0).abs() < 2e-5 && (resampled.drift_ppm + 120.0).abs() < 0.5, "{resampled:?}");
}

#[test]
fn lost_sound_makes_pieces_and_the_aligned_phone_has_it_in_place() {
    let mic = read("prelude-mic.flac");
    let whole = mic_excerpt(0.0, 40.0, 30.0);
    // 25 ms are missing after 20 s.
    let cut = |c: &Vec<f32>| c[..960_000].iter().chain(&c[961_200..]).copied().collect::<Vec<_>>();
    let phone = Audio::new(48_000, whole.channels().iter().map(cut).collect()).unwrap();
    let alignment = found(&phone, &mic);
    assert_eq!(alignment.pieces.len(), 2, "{alignment:?}");
    let jump_s = alignment.pieces[1].phone_time_s(20.0) - alignment.pieces[0].phone_time_s(20.0);
    assert!((jump_s + 0.025).abs() < 2e-4, "{jump_s}");
    let again = found(&aligned(&phone, &mic, &alignment).unwrap(), &mic);
    assert!(again.pieces.len() == 1 && again.offset_s.abs() < 1e-4, "{again:?}");
}

#[test]
fn the_microphone_against_itself_with_another_equalisation_has_no_gain() {
    let mic = read("prelude-mic.flac");
    // A one-pole shelf: 6 dB less above some 500 Hz.
    let shelved = mic
        .channels()
        .iter()
        .map(|c| {
            let mut low = 0f32;
            c.iter()
                .map(|x| {
                    low += 0.063 * (x - low);
                    0.5 * x + 0.5 * low
                })
                .collect()
        })
        .collect();
    let phone = Audio::new(48_000, shelved).unwrap();
    let alignment = found(&phone, &mic);
    let validation = validate(&phone, &mic, Some(&phone), &alignment).unwrap();
    let before = &validation.before;
    assert!((before.dynamics_slope - 1.0).abs() < 0.005, "{}", before.dynamics_slope);
    assert!(before.gain_rms_db < 0.15, "{}", before.gain_rms_db);
    assert!(before.decays.bias_db_per_s.abs() < 0.05, "{:?}", before.decays.bias_db_per_s);
    assert!((validation.response.at_db(8_000.0) - validation.response.at_db(60.0) + 6.0).abs() < 0.7);
    // A planted gain of 1 dB, up and down every two seconds, must show.
    let channels = phone.channels().iter().map(|c| {
        c.iter().enumerate().map(|(n, x)| if (n / 96_000).is_multiple_of(2) { *x } else { 0.794 * x }).collect()
    });
    let pumped = Audio::new(48_000, channels.collect()).unwrap();
    let validation = validate(&pumped, &mic, Some(&phone), &alignment).unwrap();
    assert!(validation.before.gain_rms_db > 0.8, "{}", validation.before.gain_rms_db);
    assert!(validation.ratio.unwrap() < 0.2);
}

#[test]
fn a_known_gain_is_measured_and_fail_over_ends_with_three() {
    let folder = tempfile::tempdir().unwrap();
    let (phone, mic) = (data("prelude-phone-compressor.flac"), data("prelude-mic.flac"));
    let (json, plot) = (folder.path().join("v.json"), folder.path().join("v.png"));
    let restored = folder.path().join("restored.wav");
    // The true gain, undone: the phone times nothing but its make-up.
    let ended = agcfix(&[
        "restore",
        text(&phone),
        "--gain",
        text(&data("prelude-phone-compressor.gain.csv")),
        "-o",
        text(&restored),
        "-q",
    ]);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    let words = [
        "validate",
        text(&phone),
        text(&mic),
        "--restored",
        text(&restored),
        "--json",
        text(&json),
        "--plot",
        text(&plot),
    ];
    let output = agcfix(&words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    assert_eq!(document["schema"], "agcfix.validation/1");
    obeys(&document, &["/ratio", "/alignment/drift_ppm", "/after/decays/bias_db_per_s", "/response/bands/0/gain_db"]);
    let of = |when: &str, key: &str| document[when][key].as_f64().unwrap();
    assert!(of("before", "gain_rms_db") > 2.5 && of("before", "dynamics_slope") < 0.8, "{document}");
    assert!(of("after", "gain_rms_db") < 0.15 && (of("after", "dynamics_slope") - 1.0).abs() < 0.01, "{document}");
    assert_eq!(&std::fs::read(&plot).unwrap()[..4], b"\x89PNG");
    let over = agcfix(&["validate", text(&phone), text(&mic), "--fail-over", "1", "-q"]);
    assert_eq!(over.status.code(), Some(3), "{over:?}");
    let within =
        agcfix(&["validate", text(&phone), text(&mic), "--restored", text(&restored), "--fail-over", "1", "-q"]);
    assert_eq!(within.status.code(), Some(0), "{within:?}");
}

#[test]
fn what_does_not_belong_together_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (mic, out) = (data("prelude-mic.flac"), at("out.wav"));
    // The prelude backwards has the same notes at other times.
    let mut channels = read("prelude-mic.flac").into_channels();
    channels.iter_mut().for_each(|c| c.reverse());
    let other = at("other.wav");
    write_wav_file(&other, false, &Audio::new(48_000, channels).unwrap(), BitDepth::Int16).unwrap();
    let refused = agcfix(&["align", text(&other), text(&mic), "-o", text(&out)]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not the same performance"));
    let silence = at("silence.wav");
    write_wav_file(&silence, false, &Audio::new(48_000, vec![vec![0.0; 480_000]]).unwrap(), BitDepth::Int16).unwrap();
    assert_eq!(agcfix(&["align", text(&silence), text(&mic), "-o", text(&out)]).status.code(), Some(3));
    assert_eq!(agcfix(&["validate", text(&other), text(&mic)]).status.code(), Some(3));
    assert!(!out.exists());
    // Mistakes that are seen before the work.
    assert_eq!(agcfix(&["align", text(&mic), text(&mic), "-o", text(&mic)]).status.code(), Some(1));
    assert_eq!(agcfix(&["validate", text(&mic), text(&mic), "--plot", "x.gif"]).status.code(), Some(2));
    assert_eq!(agcfix(&["validate", text(&mic), text(&mic), "--fail-over", "nan"]).status.code(), Some(2));
    let wrong = agcfix(&["validate", text(&data("prelude-phone.m4a")), text(&mic), "--restored", text(&silence)]);
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert_eq!(agcfix(&["profile", "learn", text(&mic), "-o", text(&at("p.toml"))]).status.code(), Some(2));
    std::fs::write(at("bad.toml"), "schema = 1").unwrap();
    let bad = agcfix(&["restore", text(&mic), "--profile", text(&at("bad.toml")), "-o", text(&out)]);
    assert_eq!(bad.status.code(), Some(1), "{bad:?}");
    assert!(!out.exists());
}

#[test]
fn a_data_set_resumes_goes_on_where_a_pair_fails_and_exports_frame_exact_pairs() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::copy(data("prelude-phone-late.m4a"), at("late.m4a")).unwrap();
    std::fs::copy(data("prelude-phone.m4a"), at("phone.m4a")).unwrap();
    std::fs::copy(data("prelude-mic.flac"), at("mic.flac")).unwrap();
    let manifest = "take,position,device,role,path\n1,near,late,phone,late.m4a\n2,near,plain,phone,phone.m4a\n\
                    1,near,m,mic,mic.flac\n2,near,m,mic,mic.flac\n2,near,gone,mic,gone.flac\n";
    std::fs::write(at("set.csv"), manifest).unwrap();
    let (set, results) = (at("set.csv"), at("results.jsonl"));
    let check = agcfix(&["dataset", "check", text(&set)]);
    assert_eq!(check.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&check.stderr).contains("gone.flac"));
    let run = || agcfix(&["dataset", "align", text(&set), "-o", text(&results)]);
    let first = run();
    assert_eq!(first.status.code(), Some(1), "{first:?}");
    assert!(
        String::from_utf8_lossy(&first.stdout).starts_with("2 pairs measured, 0 were known already, 1 failed"),
        "{first:?}"
    );
    let lines = std::fs::read_to_string(&results).unwrap();
    for (line, faults) in lines.lines().zip([&["/numbers/offset_s"][..], &[], &[]]) {
        let document = serde_json::from_str(line).unwrap();
        obeys(&document, if document["numbers"].is_null() { &["/phone_sha256"] } else { faults });
    }
    // A run that was stopped leaves half a line; what is done stays done, and the order is the same again.
    std::fs::write(&results, format!("{lines}{{\"schema\":\"agc")).unwrap();
    assert!(String::from_utf8_lossy(&run().stdout).starts_with("0 pairs measured, 2 were known already, 1 failed"));
    assert_eq!(std::fs::read_to_string(&results).unwrap(), lines);
    let report = agcfix(&["dataset", "report", text(&results)]);
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(report.contains("| late | 1 | 85.") && report.contains("gone.flac"), "{report}");

    let pairs = at("pairs");
    let export = agcfix(&["dataset", "export", text(&set), "-o", text(&pairs), "--segment-s", "10", "--test", "2"]);
    assert_eq!(export.status.code(), Some(0), "{export:?}");
    let table = std::fs::read_to_string(pairs.join("train/metadata.csv")).unwrap();
    assert_eq!(table.lines().count(), 5, "{table}");
    assert!(table.lines().skip(1).all(|l| l.contains(",1,near,late,m,")) && pairs.join("test/metadata.csv").exists());
    let member = |kind: &str| decode::read(&pairs.join(format!("train/1-near-late-m-0001.{kind}.flac"))).unwrap().audio;
    let (phone, mic) = (member("phone"), member("mic"));
    assert_eq!((phone.sample_len(), mic.sample_len()), (480_000, 480_000));
    assert!(found(&phone, &mic).offset_s.abs() < 1e-4);
    assert_eq!(agcfix(&["dataset", "export", text(&set), "-o", text(&pairs)]).status.code(), Some(1));
    let shards = at("shards");
    let web = ["dataset", "export", text(&set), "-o", text(&shards), "--segment-s", "20", "--layout", "webdataset"];
    assert_eq!(agcfix(&web).status.code(), Some(0));
    assert!(std::fs::metadata(shards.join("train-000000.tar")).unwrap().len() > 1_000_000);
}

/// What stands in the element of this id.
fn element<'a>(page: &'a str, id: &str) -> &'a str {
    page.split_once(&format!("id=\"{id}\">")).unwrap().1.split_once("</script>").unwrap().0
}

#[test]
fn pages_of_pairs_play_all_recordings_on_one_clock() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (late, mic) = (data("prelude-phone-late.m4a"), data("prelude-mic.flac"));
    let (v, c, json) = (at("v.html"), at("c.html"), at("v.json"));
    let words = ["validate", text(&late), text(&mic), "-q", "--report", text(&v), "--json", text(&json)];
    assert!(agcfix(&words).status.success());
    let page = std::fs::read_to_string(&v).unwrap();
    assert!(!page.contains("{{") && !page.contains("http://") && !page.contains("https://"));
    let told: Value = serde_json::from_str(element(&page, "page-data")).unwrap();
    let labels: Vec<&str> = told["tracks"].as_array().unwrap().iter().map(|t| t["label"].as_str().unwrap()).collect();
    assert_eq!(labels, ["Phone", "Microphone"]);
    // Cut to what both hold: the phone ran 1.37 s before the microphone, which has 45 s.
    let duration_s = told["duration_s"].as_f64().unwrap();
    assert!((duration_s - 45.0).abs() < 0.05, "{duration_s}");
    let line = told["gains"]["lines"][0]["gain_db"].as_array().unwrap();
    let least = line.iter().filter_map(Value::as_f64).fold(0.0, f64::min);
    // The chord at 35 s was turned down by some 13 dB.
    assert!((-16.0..-10.0).contains(&least), "{least}");
    // The document in the page is the one on disk.
    let document: Value = serde_json::from_str(element(&page, "analysis")).unwrap();
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
    assert_eq!(document, written);
    // A page that cannot be written takes the document with it.
    let (taken, other) = (at("taken.html"), at("other.json"));
    std::fs::write(&taken, "mine").unwrap();
    let refused = agcfix(&["validate", text(&late), text(&mic), "--report", text(&taken), "--json", text(&other)]);
    assert_eq!((refused.status.code(), other.exists()), (Some(1), false));
    assert_eq!(agcfix(&["validate", text(&late), text(&mic), "--report", "x.pdf"]).status.code(), Some(2));

    let phone = data("prelude-phone.m4a");
    let words = [
        "compare",
        "--reference",
        text(&mic),
        text(&phone),
        text(&late),
        "-q",
        "--audio",
        "none",
        "--report",
        text(&c),
    ];
    assert!(agcfix(&words).status.success());
    let page = std::fs::read_to_string(&c).unwrap();
    let told: Value = serde_json::from_str(element(&page, "page-data")).unwrap();
    assert_eq!(told["tracks"].as_array().unwrap().len(), 3);
    let lines = told["gains"]["lines"].as_array().unwrap();
    assert_eq!([&lines[0]["track"], &lines[1]["track"]], [1, 2]);
    assert!(page.contains("prelude-phone-late.m4a") && !page.contains("id=\"sound-0\""));
    assert!(page.len() < 3_000_000);
}

#[test]
fn the_report_s_microphone_is_laid_on_the_recording_s_clock() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("p.html");
    let (out, gain) = (folder.path().join("out.wav"), folder.path().join("g.csv"));
    std::fs::write(&gain, "time_s,gain_db\n0,0\n50,0\n").unwrap();
    let late = data("prelude-phone-late.m4a");
    let restore = |mic: &Path, audio: &str| {
        let words =
            ["restore", text(&late), "--gain", text(&gain), "-o", text(&out), "-q", "--force", "--audio", audio];
        let report = format!("--report={}", text(&page));
        agcfix(&[&words[..], &[&report, "--microphone", text(mic)]].concat())
    };
    assert!(restore(&data("prelude-mic.flac"), "none").status.success());
    let html = std::fs::read_to_string(&page).unwrap();
    let told: Value = serde_json::from_str(element(&html, "page-data")).unwrap();
    // The chord is at one place in both, though the phone began 1.37 s before the microphone.
    let loudest = |track: usize| {
        let peaks = told["tracks"][track]["peaks_u8"].as_str().unwrap();
        let place = decoded(peaks).iter().enumerate().max_by_key(|(i, p)| (**p, std::cmp::Reverse(*i))).unwrap().0;
        place as f64 * told["duration_s"].as_f64().unwrap() / 8_000.0
    };
    let microphone = told["tracks"].as_array().unwrap().len() - 1;
    assert_eq!(told["tracks"][microphone]["label"], "Microphone");
    assert!((loudest(0) - loudest(microphone)).abs() < 0.1, "{} and {}", loudest(0), loudest(microphone));
    // Another performance is refused before the long work, and so is a file with a clock of its own.
    let other = folder.path().join("other.wav");
    let noise = (0..48_000i64 * 12).map(|n| ((n * n % 7919) as f32 / 7919.0 - 0.5) * 0.1).collect();
    write_wav_file(&other, false, &Audio::new(48_000, vec![noise]).unwrap(), BitDepth::Int16).unwrap();
    let refused = restore(&other, "none");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not the same performance"), "{refused:?}");
    assert_eq!(restore(&data("prelude-mic.flac"), "linked").status.code(), Some(2));
}

/// Base64 (RFC 4648) back to bytes.
fn decoded(coded: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let four = |part: &[u8]| {
        let bits = part.iter().fold(0u32, |bits, c| bits << 6 | u32::from(value(*c))) << (6 * (4 - part.len()));
        bits.to_be_bytes()[1..part.len()].to_vec()
    };
    coded.trim_end_matches('=').as_bytes().chunks(4).flat_map(four).collect()
}

#[test]
fn devices_are_compared_side_by_side_and_a_stranger_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (json, plot, reference) = (at("c.json"), at("c.svg"), at("mic.wav"));
    write_wav_file(&reference, false, &mic_excerpt(0.0, 16.0, 0.0), BitDepth::Int16).unwrap();
    let mut backwards = mic_excerpt(20.0, 16.0, 0.0).into_channels();
    backwards.iter_mut().for_each(|c| c.reverse());
    write_wav_file(&at("other.wav"), false, &Audio::new(48_000, backwards).unwrap(), BitDepth::Int16).unwrap();
    let (phone, other) = (data("prelude-phone-compressor.flac"), at("other.wav"));
    let words = [
        "compare",
        "--reference",
        text(&reference),
        text(&phone),
        text(&reference),
        text(&other),
        "--json",
        text(&json),
        "--plot",
        text(&plot),
    ];
    let output = agcfix(&words);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("other.wav: not the same performance"), "{output:?}");
    let document: Value = serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    obeys(&document, &["/devices/0/drift_ppm", "/devices/0/dynamics_slope", "/devices/1/response/0/centre_hz"]);
    let of = |device: usize, key: &str| document["devices"][device][key].as_f64().unwrap();
    assert_eq!(document["devices"].as_array().unwrap().len(), 2);
    assert!(of(0, "gain_movement_db") > 1.0 && of(0, "dynamics_slope") < 0.9, "{document}");
    assert!(of(1, "gain_movement_db") < 0.01 && (of(1, "dynamics_slope") - 1.0).abs() < 1e-3, "{document}");
    assert!(std::fs::read_to_string(&plot).unwrap().starts_with("<svg"));
}
