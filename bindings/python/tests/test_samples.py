"""Arrays as people have them."""

import subprocess
import sys

import numpy as np
import pytest

import agcfix
from agcfix import _samples


def same(a: agcfix.Analysis, b: agcfix.Analysis) -> bool:
    return a.to_dict() == b.to_dict() and a.gain_curve.gain_db.tobytes() == b.gain_curve.gain_db.tobytes()


@pytest.fixture(scope="module")
def expected(tune) -> agcfix.Analysis:
    return agcfix.analyze(*tune, law="compressor")


def test_views_lists_and_wider_floats_are_the_same_recording(tune, expected):
    samples, rate = tune
    spread = np.zeros(2 * len(samples), np.float32)
    spread[::2] = samples
    strided = spread[::2]
    assert not strided.flags.c_contiguous
    backwards = samples[::-1].copy()[::-1]
    big_endian = samples.astype(">f4")
    for view in (strided, backwards, big_endian, samples.astype(np.float64), samples.tolist(), samples[None, :]):
        assert same(agcfix.analyze(view, rate, law="compressor"), expected)
    assert not same(agcfix.analyze(1.5 * samples, rate, law="compressor"), expected)


@pytest.mark.parametrize(("dtype", "scale"), [(np.int16, 2**15), (np.int32, 2**31), (np.int8, 2**7)])
def test_integers_are_divided_by_their_full_scale(tune, dtype, scale):
    integers = np.round(tune[0].astype(np.float64) * (scale - 1)).astype(dtype)
    (channel,), _ = _samples.take(integers)
    assert channel.dtype == np.float32
    assert np.array_equal(channel, (integers / scale).astype(np.float32))
    assert _samples.take(np.array([0, 128, 255], np.uint8))[0][0].tolist() == [-1.0, 0.0, 127 / 128]


def test_integers_are_what_the_decoder_makes_of_a_file_with_them(tune, tmp_path):
    agcfix.write_wav(tmp_path / "i.wav", *tune, bits="16")
    integers = np.frombuffer((tmp_path / "i.wav").read_bytes()[44:], "<i2")
    assert np.array_equal(_samples.take(integers)[0][0], agcfix.load(tmp_path / "i.wav").samples)


def test_channels_first_and_last_keep_their_layout(tune):
    samples, rate = tune
    stereo = np.stack([samples, 0.5 * samples])
    law = agcfix.Law.of("compressor", threshold_db=-30.0)
    first = agcfix.restore(stereo, rate, law=law)
    last = agcfix.restore(stereo.T, rate, law=law)
    mono = agcfix.restore(samples, rate, law=law)
    assert first.samples.shape == stereo.shape and last.samples.shape == stereo.T.shape
    assert np.array_equal(first.samples, last.samples.T)
    assert mono.samples.shape == samples.shape
    # One gain for both channels.
    assert np.allclose(first.samples[1], 0.5 * first.samples[0], atol=1e-7)
    assert not np.allclose(first.samples, stereo, atol=1e-3)


def test_the_input_is_never_touched_and_may_be_read_only(tune):
    samples = tune[0].copy()
    samples.flags.writeable = False
    before = samples.tobytes()
    restored = agcfix.restore(samples, tune[1], law=agcfix.Law.of("compressor", threshold_db=-30.0))
    assert samples.tobytes() == before
    assert not np.shares_memory(restored.samples, samples)


def test_a_tensor_with_a_gradient_is_taken(tune, expected):
    class Tensor:
        """What torch does: no array while the gradient is there."""

        def __init__(self, values, has_gradient=True):
            self.values, self.has_gradient = values, has_gradient

        def detach(self):
            return Tensor(self.values, False)

        def cpu(self):
            return self

        def __array__(self, dtype=None, copy=None):
            if self.has_gradient:
                raise RuntimeError("call detach() first")
            return self.values

    assert same(agcfix.analyze(Tensor(tune[0]), tune[1], law="compressor"), expected)


def test_soundfile_reads_what_was_written(tune, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    stereo = np.stack([tune[0], -tune[0]])
    agcfix.write_wav(tmp_path / "s.wav", stereo, tune[1], bits="32f")
    samples, rate = soundfile.read(tmp_path / "s.wav", dtype="float32")
    assert rate == tune[1] and np.array_equal(samples, stereo.T)
    recording = agcfix.load((tmp_path / "s.wav").read_bytes())
    assert np.array_equal(recording.samples, stereo) and recording.duration_s == pytest.approx(6.0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Of librosa's own dependencies.
def test_librosa_reads_what_was_written(tune, expected, tmp_path):
    librosa = pytest.importorskip("librosa")
    agcfix.write_wav(tmp_path / "l.wav", tune[0], tune[1], bits="32f")
    samples, rate = librosa.load(tmp_path / "l.wav", sr=None, mono=False)
    assert same(agcfix.analyze(samples, rate, law="compressor"), expected)


def test_torch_tensors_are_taken(tune, expected):
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(tune[0].copy()).requires_grad_()
    assert same(agcfix.analyze(tensor[None, :], tune[1], law="compressor"), expected)


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (np.zeros((9, 9000), np.float32), "more than 8 channels"),
        (np.zeros((2, 3, 4000), np.float32), "3 axes"),
        (np.zeros((3, 3), np.float32), "does not tell channels from samples"),
        (np.zeros(0, np.float32), "there are none"),
        (np.zeros((2, 0), np.float32), "there are none"),
        (np.zeros(100, np.complex64), "complex64"),
        (np.zeros(100, bool), "bool"),
        (["a", "b"], "<U1"),
        ([[1.0], [1.0, 2.0]], "no array"),
        (np.full(9000, np.nan, np.float32), "not finite"),
        (np.full(9000, 1e300), "not finite"),
        (None, "object"),
    ],
)
def test_what_holds_no_samples_is_refused(samples, told):
    with pytest.raises(agcfix.errors.InvalidError, match=told) as raised:
        agcfix.analyze(samples, 48_000)
    assert raised.value.remedy


MEMORY = """
import resource, sys
import numpy as np
import agcfix

samples = np.zeros(2 * 3600 * 16_000, np.float32)
samples[::16_000] = 0.1
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    agcfix.analyze(samples, 16_000, progress=lambda stage, fraction: False)
except agcfix.errors.CancelledError:
    pass
grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
print(grown / samples.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as on Linux")
def test_two_hours_are_not_copied_in_python():
    """The engine keeps one copy of its own; nothing on the way to it makes another."""
    run = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 1.2, run.stdout
