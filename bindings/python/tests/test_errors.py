"""What is refused, by kind, with path, cause and remedy; and what is data instead."""

import pickle

import numpy as np
import pytest

import agcfix
from agcfix import errors


def test_a_missing_file_is_the_systems_error(tmp_path):
    with pytest.raises(errors.IoError) as raised:
        agcfix.load(tmp_path / "none.wav")
    assert isinstance(raised.value, OSError) and raised.value.errno == 2
    assert raised.value.filename == str(tmp_path / "none.wav")


def test_files_that_are_none_are_told_apart(tmp_path, data):
    (tmp_path / "text.wav").write_text("this is no sound")
    with pytest.raises(errors.MalformedError) as raised:
        agcfix.load(tmp_path / "text.wav")
    assert raised.value.path == str(tmp_path / "text.wav") and raised.value.cause and raised.value.remedy
    assert isinstance(raised.value, ValueError)
    with pytest.raises(errors.UnsupportedError) as raised:
        agcfix.load(data.parents[1] / "tests" / "data" / "chirp.opus")
    assert "ffmpeg" in raised.value.remedy
    with pytest.raises(errors.LimitError):
        agcfix.load(data / "prelude-phone.m4a", max_duration_s=1.0)
    cut = (data / "prelude-phone.m4a").read_bytes()[:-100_000]
    with pytest.raises(errors.Error):
        agcfix.load(cut, strict=True)


def test_errors_travel_between_processes():
    try:
        agcfix.analyze(np.zeros(9000, np.float32), 4000)
    except errors.InvalidError as error:
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is errors.InvalidError and copy.remedy == error.remedy and str(copy) == str(error)
        assert "8000" in copy.remedy
    else:
        pytest.fail("4000 Hz was taken")


@pytest.mark.parametrize("rate", [0, -1, 44_100.5, float("nan"), 1e12, 193_000])
def test_rates_that_cannot_be_are_refused(tune, rate):
    with pytest.raises((errors.InvalidError, ValueError)):
        agcfix.analyze(tune[0], rate)


def test_laws_that_there_are_not_are_refused_with_those_that_there_are(tune):
    with pytest.raises(errors.InvalidError, match="compressor"):
        agcfix.analyze(*tune, law="nonsense")
    with pytest.raises(errors.InvalidError, match="has no constant"):
        agcfix.restore(*tune, law=agcfix.Law.of("compressor", treshold_db=-20))
    with pytest.raises(errors.InvalidError, match="out of its range"):
        agcfix.restore(*tune, law=agcfix.Law.of("compressor", slope=7))
    with pytest.raises(errors.InvalidError, match="one of them"):
        agcfix.restore(*tune, law="compressor", gain=agcfix.GainCurve.of([0.0], 0.01))


def test_gains_that_no_device_has_are_refused(tune):
    for gain_db in ([float("nan")], [500.0], []):
        with pytest.raises(errors.InvalidError):
            agcfix.restore(*tune, gain=agcfix.GainCurve.of(gain_db, 0.01))
    with pytest.raises(errors.InvalidError):
        agcfix.restore(*tune, gain=agcfix.GainCurve.of([0.0, 1.0], -0.01))


def test_the_analysis_of_another_recording_is_refused(tune, found):
    with pytest.raises(errors.InvalidError, match="another recording"):
        agcfix.restore(*tune, found)


def test_files_are_not_overwritten_unless_that_is_asked_for(tune, tmp_path):
    path = tmp_path / "out.wav"
    agcfix.write_wav(path, *tune)
    with pytest.raises(errors.IoError) as raised:
        agcfix.write_wav(path, *tune)
    assert "exists" in str(raised.value)
    agcfix.write_wav(path, 4 * tune[0], tune[1], overwrite=True)
    with pytest.raises(errors.InvalidError, match="bits"):
        agcfix.write_wav(path, *tune, bits="17", overwrite=True)


def test_cannot_tell_is_data(tune):
    silence = np.zeros(48_000, np.float32)
    analysis = agcfix.analyze(silence, 48_000)
    assert analysis.verdict.outcome == "undecided" and analysis.verdict.reason
    restored = agcfix.restore(silence, 48_000)
    assert not restored.is_restored and np.array_equal(restored.samples, silence)
    assert restored.true_peak_dbtp == float("-inf") and restored.to_dict()["true_peak_dbtp"] is None
    unrelated = agcfix.align(*tune, silence, 48_000)
    assert not unrelated and unrelated.reason
    assert not agcfix.validate(*tune, silence, 48_000)
