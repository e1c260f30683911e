"""Results as objects, gains that are given, simulation and profiles."""

import copy
import json
import pickle

import numpy as np
import pytest

import agcfix


def test_results_are_pickled_whole(found):
    again = pickle.loads(pickle.dumps(found))
    assert again.to_dict() == found.to_dict() and again.law == found.law
    assert again.gain_curve.gain_db.tobytes() == found.gain_curve.gain_db.tobytes()
    with pytest.raises(AttributeError):
        found.verdict = None


def test_a_known_gain_is_undone_as_it_says(tune):
    samples, rate = tune
    # A flat 6.0206 dB is a factor of two; with a median that is not 0 the curve is absolute.
    flat = agcfix.restore(samples, rate, gain=agcfix.GainCurve.of(np.full(10, 20 * np.log10(2)), 0.01), keep_level=True)
    assert np.allclose(flat.samples, samples / 2, rtol=1e-6, atol=0)
    # A ramp from 0 to 6 dB over one second, then held.
    ramp = agcfix.GainCurve.of(np.linspace(0, 6, 101), 0.01, start_s=1.0)
    ramped = agcfix.restore(samples, rate, gain=ramp, keep_level=True)
    loud = np.abs(samples) > 0.01
    gain_db = 20 * np.log10(samples[loud] / ramped.samples[loud])
    time_s = np.flatnonzero(loud) / rate
    assert np.allclose(gain_db, np.clip(6 * (time_s - 1), 0, 6), atol=0.03)


def test_simulate_then_restore_by_the_same_law_gives_the_sound_back(tune):
    samples, rate = tune
    law = agcfix.Law.of("compressor", threshold_db=-30.0, slope=0.75, knee_db=6.0, attack_s=0.005, release_s=0.2)
    simulated = agcfix.simulate(samples, rate, laws=law)
    assert simulated.gain_curve.movement_db > 1.0 and simulated.truth["schema"] == "agcfix.simulation/1"
    restored = agcfix.restore(simulated.samples, simulated.sample_rate, law=law, keep_level=True)
    loud = np.abs(samples) > 0.01
    left_db = 20 * np.log10(np.abs(restored.samples[loud] / samples[loud]))
    assert np.std(left_db) < 0.1
    done_db = 20 * np.log10(np.abs(simulated.samples[loud] / samples[loud]))
    assert np.std(done_db) > 1.0


def test_laws_and_presets_are_listed():
    compressor = next(law for law in agcfix.laws() if law.name == "compressor")
    threshold = compressor.parameters[0]
    assert threshold.low < threshold.default < threshold.high and threshold.unit == "dB"
    assert any(preset["name"] == "phone" for preset in agcfix.presets())
    assert json.dumps([law.to_dict() for law in agcfix.laws()])


def test_a_profile_is_learnt_kept_and_used(phone, mic, tmp_path):
    rate = phone.sample_rate
    # Where the gain moves: in the first seconds it rests, and there is nothing to learn. The law is that of the fixture's truth:
    # a compressor of 4:1 above -18 dB (examples/data/README.md).
    piece = slice(10 * rate, 24 * rate)
    profile = agcfix.Profile.learn([(phone.samples[piece], rate, mic.samples[:, piece], rate)], "Example", maker="Somebody")
    assert profile.name == "Example" and profile.law is not None and profile.law.name == "compressor"
    assert profile.law["threshold_db"] == pytest.approx(-18, abs=0.3) and profile.law["slope"] == pytest.approx(0.75, abs=0.02)
    profile.save(tmp_path / "p.toml")
    again = agcfix.Profile.load(tmp_path / "p.toml")
    assert again.to_dict() == profile.to_dict() == copy.deepcopy(again).to_dict()
    restored = again.restore(phone.samples[piece], rate, volume_db=0.0)
    assert restored.is_restored and restored.analysis.law.name == "profile"
    validation = agcfix.validate(phone.samples[piece], rate, mic.samples[:, piece], rate, restored.samples)
    assert validation.ratio < 0.1, validation
    # Planted fault: a threshold 2 dB too high is seen.
    wrong = agcfix.Profile(again.to_toml().replace(f"value = {again.law['threshold_db']!r}", f"value = {again.law['threshold_db'] + 2!r}"))
    assert wrong.law["threshold_db"] == again.law["threshold_db"] + 2
    left = wrong.restore(phone.samples[piece], rate, volume_db=0.0)
    assert agcfix.validate(phone.samples[piece], rate, mic.samples[:, piece], rate, left.samples).ratio > 0.1
    with pytest.raises(agcfix.errors.InvalidError):
        agcfix.Profile("schema = 3")


def test_every_public_name_is_documented():
    for name in agcfix.__all__:
        thing = getattr(agcfix, name)
        assert name == "__version__" or thing.__doc__, name
