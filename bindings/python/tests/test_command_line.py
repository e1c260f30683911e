"""The same engine: what Python gets is what the command line writes, to the last bit."""

import json

import numpy as np
import pytest

import agcfix


def test_the_document_is_the_command_lines(found, by_command):
    document = dict(by_command[0])
    restoration = document.pop("restoration")
    document["input"]["file"] = None
    assert found.to_dict() == document
    assert found.verdict.outcome == "agc"
    assert restoration["gain_source"] == "found"


def test_restored_samples_are_the_command_lines_bit_for_bit(phone, found, by_command):
    restored = agcfix.restore(*phone, found, keep_level=True)
    assert restored.is_restored and restored.overall_gain_db == 0.0
    assert restored.samples.tobytes() == by_command[1].tobytes()
    # A fault of one bit in one sample is seen.
    assert np.nextafter(restored.samples, np.float32(2)).tobytes() != by_command[1].tobytes()


def test_attributes_have_what_the_document_rounds(found):
    document = found.to_dict()
    curve = document["gain_curve"]
    assert np.allclose(found.gain_curve.gain_db, curve["gain_db"], atol=5.1e-4, rtol=0)
    assert np.any(found.gain_curve.gain_db != curve["gain_db"])
    assert [event.kind for event in found.events] == [event["kind"] for event in document["events"]]
    assert found.law["slope"] == pytest.approx(document["law"]["parameters"][1]["value"], rel=1e-4)
    assert len(found.decays) == found.partials.segment_len
    assert np.all(found.decays.end_s > found.decays.start_s)
    time_s = found.gain_curve.time_s
    assert time_s[1] - time_s[0] == pytest.approx(found.gain_curve.hop_s)
    assert json.dumps(document)


def test_the_written_file_is_the_command_lines(phone, found, command, data, tmp_path):
    constants = ",".join(f"{p.name}={p.value!r}" for p in found.law.parameters)
    law = agcfix.Law.of("compressor", **{p.name: p.value for p in found.law.parameters})
    command("restore", data / "prelude-phone.m4a", "-o", tmp_path / "c.wav", "--law", f"compressor:{constants}", "-q")
    restored = agcfix.restore(*phone, law=law)
    agcfix.write_wav(tmp_path / "p.wav", restored.samples, restored.sample_rate)
    assert np.array_equal(agcfix.load(tmp_path / "c.wav").samples, agcfix.load(tmp_path / "p.wav").samples)
    assert restored.true_peak_dbtp <= -1.0
    # Constants come back into the engine as the very doubles that left it.
    kept = agcfix.restore(*phone, law=law, keep_level=True)
    words = ("--law", f"compressor:{constants}", "--bits", "32f", "-q")
    command("restore", data / "prelude-phone.m4a", "-o", tmp_path / "f.wav", *words)
    assert kept.samples.tobytes() == agcfix.load(tmp_path / "f.wav").samples.tobytes()


def test_alignment_and_validation_are_the_command_lines(phone, mic, command, data, tmp_path):
    paths = data / "prelude-phone.m4a", data / "prelude-mic.flac"
    command("align", *paths, "--json", tmp_path / "a.json", "-q", "-o", tmp_path / "a.wav")
    document = json.loads((tmp_path / "a.json").read_text())
    alignment = agcfix.align(*phone, *mic)
    assert alignment.to_dict() == {k: v for k, v in document.items() if k not in ("schema", "phone", "microphone")}
    on_mic_clock = agcfix.aligned(*phone, *mic, alignment)
    assert on_mic_clock.shape == mic.samples.shape[-1:]
    assert on_mic_clock.tobytes() == agcfix.load(tmp_path / "a.wav").samples.tobytes()

    command("validate", *paths, "--json", tmp_path / "v.json", "-q")
    document = json.loads((tmp_path / "v.json").read_text())
    validation = agcfix.validate(*phone, *mic)
    without_names = {k: v for k, v in document.items() if k not in ("phone", "microphone_file", "restored")}
    assert validation.to_dict() == without_names
    assert validation.before.gain_rms_db == document["before"]["gain_rms_db"]
    assert len(validation.compared) == len(validation.matched_db) == len(validation.before.level_db)


def test_a_simulation_is_the_command_lines(mic, command, data, tmp_path):
    words = ("--preset", "phone-heavy", "--preset", "camera-heavy", "--set", "noise.level_dbfs=-60", "--seed", 7)
    command("simulate", data / "prelude-mic.flac", "-o", tmp_path / "s.wav", *words, "--bits", "32f")
    simulated = agcfix.simulate(*mic, ["phone-heavy", "camera-heavy"], settings={"noise.level_dbfs": -60}, seed=7)
    assert simulated.samples.tobytes() == agcfix.load(tmp_path / "s.wav").samples.tobytes()
    truth = json.loads((tmp_path / "s.truth.json").read_text())
    assert simulated.truth["stages"] == truth["stages"]
    assert simulated.gain_curve.movement_db > 1.0
