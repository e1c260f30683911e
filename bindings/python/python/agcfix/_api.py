"""The functions of the package."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Optional, Union

import numpy as np

from . import _agcfix, _samples
from .errors import InvalidError
from .results import (
    Alignment,
    Analysis,
    AnalysisWarning,
    GainCurve,
    Law,
    LawFamily,
    LawParameter,
    Recording,
    Restored,
    Simulated,
    Unrelated,
    Validation,
)

#: Called with the name of a stage and the share of it that is done; returning False stops the work.
Progress = Callable[[str, float], Optional[bool]]
StrPath = Union[str, "os.PathLike[str]"]


def analyze(
    samples: Any,
    sample_rate: int,
    *,
    law: Optional[str] = None,
    threads: Optional[int] = None,
    progress: Optional[Progress] = None,
) -> Analysis:
    """Find out whether a gain control was at work, which, and what it did.

    Parameters
    ----------
    samples : array_like, shape (n,), (channels, n) or (n, channels)
        1 to 8 channels at a full scale of ±1; integers are divided by their own full scale. Anything that numpy takes for
        an array will do: soundfile's and librosa's arrays, torch tensors. A contiguous float32 array, mono or channels
        first, is not converted.
    sample_rate : int
        Samples per second, 8000 to 192000.
    law : str, optional
        Search this law only (see :func:`laws`). By default all that are known from phones.
    threads : int, optional
        Threads to use; by default all. The result does not depend on it.
    progress : callable, optional
        ``progress(stage, fraction)``, called on this thread; return False to stop (:class:`agcfix.errors.CancelledError`).

    Returns
    -------
    Analysis
        Verdict, evidence, law, events, gain curve with its band, decays. A recording that does not tell is no error: its
        verdict is ``"undecided"``.

    Raises
    ------
    agcfix.errors.InvalidError
        For samples, a rate or a law outside what can be analysed.

    Notes
    -----
    The interpreter is free while this runs: other Python threads go on. Do not change the samples meanwhile. Ctrl-C stops it.

    Examples
    --------
    >>> recording = agcfix.load("examples/data/prelude-phone.m4a")  # doctest: +SKIP
    >>> agcfix.analyze(*recording).verdict.outcome  # doctest: +SKIP
    'agc'
    """
    channels, _ = _samples.take(samples)
    rate = _samples.take_rate(sample_rate)
    return Analysis._of(_agcfix.analyze(channels, rate, law, threads, progress))


def restore(
    samples: Any,
    sample_rate: int,
    analysis: Optional[Analysis] = None,
    *,
    law: Union[Law, str, None] = None,
    gain: Optional[GainCurve] = None,
    keep_level: bool = False,
    threads: Optional[int] = None,
    progress: Optional[Progress] = None,
) -> Restored:
    """Give a recording its dynamics back.

    Parameters
    ----------
    samples, sample_rate, threads, progress
        As in :func:`analyze`.
    analysis : Analysis, optional
        What :func:`analyze` found in these samples. Without it (and without `law` and `gain`) it is found now.
    law : Law or str, optional
        A :class:`Law` with constants is undone as it is; the name of one has its constants searched, and is undone unless
        nothing was found, because who names it vouches for it.
    gain : GainCurve, optional
        A gain in dB that is known from elsewhere.
    keep_level : bool
        Leave the overall level as it is, even where peaks then exceed full scale. By default the result is turned down until
        its true peak is -1 dBTP, if need be; never up.

    Returns
    -------
    Restored
        Samples in the layout of the input. Check ``is_restored``: where the recording does not tell, the samples come back
        as they were.
    """
    if sum(given is not None for given in (analysis, law, gain)) > 1:
        raise _invalid("restore", "analysis, law and gain were given", "give one of them, or none")
    channels, layout = _samples.take(samples)
    rate = _samples.take_rate(sample_rate)
    undone: Optional[Law] = None
    if isinstance(law, Law):
        undone = law
    elif gain is None:
        if analysis is None:
            analysis = Analysis._of(_agcfix.analyze(channels, rate, law, threads, progress))
        elif (analysis.input.sample_len, analysis.input.sample_rate_hz) != (len(channels[0]), rate):
            raise _invalid("analysis", "it belongs to another recording", "give these samples' own")
        outcome = analysis.verdict.outcome
        if outcome == "agc" or (law is not None and outcome != "none"):
            undone = analysis.law
            gain = analysis.gain_curve if undone is None else None
    curve = None if gain is None else (gain.start_s, gain.hop_s, np.ascontiguousarray(gain.gain_db, np.float64))
    told = None if undone is None else json.dumps(undone.to_dict())
    is_restored = told is not None or curve is not None
    out, overall_gain_db, true_peak_dbtp = _agcfix.restore(channels, rate, told, curve, keep_level, threads)
    return Restored(layout.laid_out(out), rate, is_restored, overall_gain_db, true_peak_dbtp, analysis)


def align(
    phone: Any, phone_rate: int, mic: Any, mic_rate: int, *, threads: Optional[int] = None
) -> Union[Alignment, Unrelated]:
    """Offset and clock drift between a phone's and a microphone's recording of one performance.

    Parameters
    ----------
    phone, mic : array_like
        Samples, as in :func:`analyze`. Levels, responses, rates and channel counts may differ.
    phone_rate, mic_rate : int
        Samples per second.
    threads : int, optional
        As in :func:`analyze`.

    Returns
    -------
    Alignment or Unrelated
        Unrelated recordings are no error; ``Unrelated`` is false in conditions.
    """
    facts = json.loads(_agcfix.align(_recording(phone, phone_rate), _recording(mic, mic_rate), threads))
    return Unrelated(facts["unrelated"]) if "unrelated" in facts else Alignment._of(facts)


def aligned(phone: Any, phone_rate: int, mic: Any, mic_rate: int, alignment: Alignment) -> np.ndarray:
    """The phone's recording on the microphone's clock.

    Returns
    -------
    ndarray of float32
        As many samples as the microphone's, at its rate, in the phone's layout; silence where the phone has none. Polarity
        and channels are as the microphone's.
    """
    channels, layout = _samples.take(phone)
    recording = (channels, _samples.take_rate(phone_rate))
    told = json.dumps({"polarity": alignment.polarity, "channels": alignment.channels, "pieces": _pieces(alignment)})
    return layout.laid_out(_agcfix.aligned(recording, _recording(mic, mic_rate), told))


def _pieces(alignment: Alignment) -> list[dict[str, Any]]:
    return [piece.to_dict() for piece in alignment.pieces]


def validate(
    phone: Any,
    phone_rate: int,
    mic: Any,
    mic_rate: int,
    restored: Any = None,
    *,
    threads: Optional[int] = None,
) -> Union[Validation, Unrelated]:
    """How much of the dynamics a phone's recording has, and how much came back, against a microphone's.

    Parameters
    ----------
    phone, phone_rate, mic, mic_rate, threads
        As in :func:`align`.
    restored : array_like, optional
        What :func:`restore` made of `phone`, at its rate.

    Returns
    -------
    Validation or Unrelated
        See ``docs/pairs.md`` for what is compared.
    """
    after = None if restored is None else _samples.take(restored)[0]
    told = _agcfix.validate(_recording(phone, phone_rate), _recording(mic, mic_rate), after, threads)
    facts = json.loads(told["facts"])
    return Unrelated(facts["unrelated"]) if "unrelated" in facts else Validation._of(told)


def simulate(
    samples: Any,
    sample_rate: int,
    presets: Union[str, Iterable[str]] = (),
    *,
    laws: Union[Law, Iterable[Law]] = (),
    settings: Optional[dict[str, Any]] = None,
    seed: int = 1,
) -> Simulated:
    """A phone's recording made out of a clean one, with the truth of every step.

    Parameters
    ----------
    samples, sample_rate
        The clean recording, as in :func:`analyze`.
    presets : str or iterable of str
        Built-in chains (see :func:`presets`), such as ``"phone-heavy"``, or paths of TOML files; several combine, stage by
        stage.
    laws : Law or iterable of Law
        Gain laws instead of the presets', one after the other.
    settings : dict, optional
        Single constants, such as ``{"noise.level_dbfs": -60}``; ``docs/simulate.md`` lists them.
    seed : int
        Seed of all that is random: the same gives the same samples.

    Returns
    -------
    Simulated
        Samples, true gain, truth.
    """
    channels, layout = _samples.take(samples)
    rate = _samples.take_rate(sample_rate)
    stages = [laws] if isinstance(laws, Law) else list(laws)
    typed = [json.dumps({"law": s.name, "parameters": {p.name: p.value for p in s.parameters}}) for s in stages]
    names = [presets] if isinstance(presets, str) else list(presets)
    set_to = [f"{key}={value}" for key, value in (settings or {}).items()]
    out, out_rate, truth, gain_db = _agcfix.simulate(channels, rate, names, typed, set_to, seed)
    document = json.loads(truth)
    return Simulated(layout.laid_out(out), out_rate, GainCurve.of(gain_db, document["gain_1ms"]["hop_s"]), document)


def load(
    source: Union[StrPath, bytes, bytearray, memoryview],
    *,
    max_duration_s: Optional[float] = None,
    strict: bool = False,
    zero_nonfinite: bool = False,
) -> Recording:
    """Read a recording: WAV, m4a, MP3, FLAC, Ogg Vorbis, AIFF, CAF; a video's sound track.

    Parameters
    ----------
    source : path or bytes
        The file, or its contents.
    max_duration_s : float, optional
        Longest recording that is taken in, in seconds of stereo at 48 kHz; by default 4 hours.
    strict : bool
        Refuse damaged files instead of using what can be decoded.
    zero_nonfinite : bool
        Replace samples that are NaN or infinite by silence instead of refusing them.

    Returns
    -------
    Recording
        Can be unpacked: ``samples, sample_rate = agcfix.load(path)``. Encoder delay and padding are removed.

    Raises
    ------
    agcfix.errors.IoError, agcfix.errors.MalformedError, agcfix.errors.UnsupportedError, agcfix.errors.LimitError
        Each names the file, the cause and the remedy.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        read = _agcfix.load_bytes(bytes(source), max_duration_s, strict, zero_nonfinite)
    else:
        read = _agcfix.load(os.fspath(source), max_duration_s, strict, zero_nonfinite)
    channels, sample_rate, told = read
    facts = json.loads(told)
    samples = channels[0] if len(channels) == 1 else np.stack(channels)
    warnings = tuple(AnalysisWarning(**warning) for warning in facts.pop("warnings"))
    return Recording(samples, sample_rate, **facts, warnings=warnings)


def write_wav(
    path: StrPath, samples: Any, sample_rate: int, *, bits: str = "24", overwrite: bool = False
) -> int:
    """Write a WAV file, which appears whole or not at all.

    Parameters
    ----------
    path : path
        The file.
    samples, sample_rate
        As in :func:`analyze`.
    bits : {"16", "24", "32f"}
        Samples of the file.
    overwrite : bool
        Replace a file that exists.

    Returns
    -------
    int
        Samples beyond full scale that were clamped to it; 0 for ``"32f"``.
    """
    channels, _ = _samples.take(samples)
    return int(_agcfix.write_wav(os.fspath(path), channels, _samples.take_rate(sample_rate), bits, overwrite))


def laws() -> tuple[LawFamily, ...]:
    """Every gain law that is known, with the ranges of its constants."""
    return tuple(
        LawFamily(law["name"], law["summary"], tuple(LawParameter(**p) for p in law["parameters"]))
        for law in json.loads(_agcfix.laws())
    )


def presets() -> list[dict[str, Any]]:
    """The chains of :func:`simulate` that are built in: name, summary, source, strengths."""
    return list(json.loads(_agcfix.presets()))


class Profile:
    """What a device does, learnt beside a microphone; for recordings without one.

    Attributes
    ----------
    name, maker, mode : str
        The device.
    law : Law or None
        Its gain law; None where no gain control was learnt.
    """

    def __init__(self, toml: str) -> None:
        facts = json.loads(_agcfix.parse(toml))
        self._toml = toml
        self._facts = facts
        self.name: str = facts["name"]
        self.maker: str = facts["maker"]
        self.mode: str = facts["mode"]
        law = facts["law"]
        constants = {} if law is None else {c["name"]: c["value"] for c in law["constants"]}
        self.law: Optional[Law] = None if law is None else Law.of(law["name"], **constants)

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, law={self.law.name if self.law else None!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Profile, (self._toml,))

    @classmethod
    def learn(
        cls,
        pairs: Sequence[tuple[Any, int, Any, int]],
        name: str,
        *,
        maker: str = "",
        mode: str = "",
        recordings: Sequence[str] = (),
        threads: Optional[int] = None,
    ) -> Profile:
        """Learn from pairs of ``(phone, phone_rate, mic, mic_rate)``; `recordings` names them in the profile."""
        taken = [(_recording(phone, pr), _recording(mic, mr)) for phone, pr, mic, mr in pairs]
        return cls(_agcfix.learn(taken, name, maker, mode, list(recordings), threads))

    @classmethod
    def load(cls, path: StrPath) -> Profile:
        """Read a profile that ``agcfix profile learn`` or :meth:`save` wrote."""
        return cls(Path(path).read_text(encoding="utf-8"))

    def save(self, path: StrPath, *, overwrite: bool = False) -> None:
        """Write it as TOML."""
        with open(path, "w" if overwrite else "x", encoding="utf-8") as file:
            file.write(self._toml)

    def to_toml(self) -> str:
        """The document ``agcfix.profile/1``."""
        return self._toml

    def to_dict(self) -> dict[str, Any]:
        """The same as dictionaries and lists."""
        return dict(json.loads(json.dumps(self._facts)))

    def analyze(
        self,
        samples: Any,
        sample_rate: int,
        *,
        volume_db: Optional[float] = None,
        threads: Optional[int] = None,
        progress: Optional[Progress] = None,
    ) -> Analysis:
        """What the profile's law did to a recording.

        Parameters
        ----------
        samples, sample_rate, threads, progress
            As in :func:`analyze`.
        volume_db : float, optional
            How much louder the recording is than those that the profile was learnt from, in dB; by default it is looked for.
        """
        channels, _ = _samples.take(samples)
        rate = _samples.take_rate(sample_rate)
        told = _agcfix.analyze_with(channels, rate, self._toml, volume_db, False, False, threads, progress)
        return Analysis._of(told)

    def restore(
        self,
        samples: Any,
        sample_rate: int,
        *,
        volume_db: Optional[float] = None,
        keep_level: bool = False,
        threads: Optional[int] = None,
        progress: Optional[Progress] = None,
    ) -> Restored:
        """Undo it; who gives a profile vouches for it. A profile without a law leaves the recording as it is."""
        if self.law is None:
            restored = restore(samples, sample_rate, gain=GainCurve.of([0.0], 1.0), keep_level=True, threads=threads)
            return replace(restored, is_restored=False)
        channels, layout = _samples.take(samples)
        rate = _samples.take_rate(sample_rate)
        told = _agcfix.analyze_with(channels, rate, self._toml, volume_db, True, keep_level, threads, progress)
        out, overall_gain_db, true_peak_dbtp = told["restored"]
        analysis = Analysis._of(told)
        return Restored(layout.laid_out(out), rate, True, overall_gain_db, true_peak_dbtp, analysis)


def _recording(samples: Any, sample_rate: int) -> tuple[list[np.ndarray], int]:
    return _samples.take(samples)[0], _samples.take_rate(sample_rate)


def _invalid(what: str, cause: str, remedy: str) -> InvalidError:
    error = InvalidError(f"{what}: {cause}; {remedy}")
    error.cause, error.remedy = cause, remedy
    return error
