"""What the functions return: plain, frozen, picklable objects. Units stand in the names, as in the JSON documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal, Optional

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "AlignedPiece",
    "Alignment",
    "Analysis",
    "AnalysisWarning",
    "Decays",
    "Evidence",
    "Event",
    "FamilyReport",
    "GainCurve",
    "Input",
    "Landing",
    "Law",
    "LawFamily",
    "LawParameter",
    "Measures",
    "OctaveDecay",
    "Parameter",
    "Partials",
    "Recording",
    "Restored",
    "Simulated",
    "Unrelated",
    "Validation",
    "Verdict",
]

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]


def _plain(value: Any) -> Any:
    """Lists, dictionaries and numbers; what is not a finite number becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = (f for f in fields(value) if not f.name.startswith("_"))
        return {f.name: _plain(getattr(value, f.name)) for f in shown}
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value


class _Result:
    """Base of all results."""

    def to_dict(self) -> dict[str, Any]:
        """Lists, dictionaries and numbers, ready for :func:`json.dumps`; what is not a finite number is None."""
        return dict(_plain(self))


def _float(value: Optional[float]) -> float:
    return float("nan") if value is None else float(value)


@dataclass(frozen=True)
class Verdict(_Result):
    """Whether a gain control was at work.

    Attributes
    ----------
    outcome : {"none", "agc", "undecided"}
        ``"none"``: no gain control moved the level by more than can be told. ``"agc"``: one was at work, and its gain is
        known to within the band. ``"undecided"``: the music does not carry enough evidence to say.
    reason : str or None
        Why it is undecided, in one plain sentence.
    """

    outcome: Literal["none", "agc", "undecided"]
    reason: Optional[str] = None


@dataclass(frozen=True)
class Input(_Result):
    """What was analysed."""

    sample_rate_hz: int
    channel_len: int
    sample_len: int
    duration_s: float


@dataclass(frozen=True)
class Evidence(_Result):
    """The numbers behind the verdict; ``docs/json.md`` says what each means."""

    j_without_gain: float
    j_with_gain: float
    p_value: float
    step_slope: Optional[float]
    step_slope_error: Optional[float]
    segment_len: int
    note_len: int
    onset_len: int
    gain_movement_db: float


@dataclass(frozen=True)
class Parameter(_Result):
    """One constant of a law with its 90 % range."""

    name: str
    unit: str
    value: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Landing(_Result):
    """How far the level rose (dB) when the output of a law with a ceiling touched it at a time (s)."""

    at_s: float
    rise_db: float
    continues: bool


@dataclass(frozen=True)
class Law(_Result):
    """A gain law with its constants.

    Attributes
    ----------
    name : str
        As :func:`agcfix.laws` lists it.
    parameters : tuple of Parameter
        Every constant, in the law's order.
    landings : tuple of Landing
        Where a law with a ceiling landed; empty for others.
    """

    name: str
    parameters: tuple[Parameter, ...] = ()
    landings: tuple[Landing, ...] = ()

    @classmethod
    def of(cls, name: str, **constants: float) -> Law:
        """A law with constants that are known; those that are not named have their defaults.

        Examples
        --------
        >>> Law.of("compressor", threshold_db=-18.0, slope=0.75)["slope"]
        0.75
        """
        known = (Parameter(key, "", float(value), float(value), float(value)) for key, value in constants.items())
        return cls(name, tuple(known))

    def __getitem__(self, name: str) -> float:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter.value
        raise KeyError(name)


@dataclass(frozen=True)
class GainCurve(_Result):
    """The *device's* gain over time, offset free: its median over the recording is 0 dB.

    Attributes
    ----------
    start_s, hop_s : float
        Entry ``i`` belongs to the time ``start_s + i * hop_s``.
    gain_db, lower_db, upper_db : ndarray of float64, shape (n,)
        The gain, and the edges of its 90 % band.
    """

    start_s: float
    hop_s: float
    gain_db: Floats
    lower_db: Floats
    upper_db: Floats

    @classmethod
    def of(cls, gain_db: Any, hop_s: float, start_s: float = 0.0) -> GainCurve:
        """A curve that is known from elsewhere, without a band."""
        values = np.ascontiguousarray(gain_db, dtype=np.float64)
        return cls(float(start_s), float(hop_s), values, values, values)

    @property
    def time_s(self) -> Floats:
        """Times of the entries, in seconds; shape (n,)."""
        return self.start_s + self.hop_s * np.arange(len(self.gain_db), dtype=np.float64)

    @property
    def movement_db(self) -> float:
        """Standard deviation of the gain over the recording, in dB."""
        return float(np.std(self.gain_db))


@dataclass(frozen=True)
class Event(_Result):
    """One place where the gain moved, by ``change_db`` ± ``error_db`` (90 %)."""

    start_s: float
    end_s: float
    kind: Literal["attack", "release"]
    change_db: float
    error_db: float
    confidence: float
    partials_voted: int
    measured_db: Optional[float]


@dataclass(frozen=True)
class OctaveDecay(_Result):
    """Median decay of the partials in one octave."""

    centre_hz: float
    median_db_per_s: float
    segment_len: int


@dataclass(frozen=True)
class Partials(_Result):
    """Counts and medians over all partials."""

    track_len: int
    segment_len: int
    point_len: int
    decay_by_octave: tuple[OctaveDecay, ...]


@dataclass(frozen=True)
class Decays(_Result):
    """Every decay that was fitted, as columns; all have the shape (segments,).

    Attributes
    ----------
    note_index : ndarray of int64
        Which note (group of decays with a common onset) it belongs to.
    start_s, end_s : ndarray of float64
        First and last frame, in seconds.
    frequency_hz : ndarray of float64
        Median frequency, in Hz.
    level_db : ndarray of float64
        Level at the start of the fitted line, in dBFS.
    decay_db_per_s, decay_error_db_per_s : ndarray of float64
        Decay with the device's gain removed, and its standard error, in dB/s.
    alpha_per_s, t60_s : ndarray of float64
        The same in 1/s, and as the time to fall by 60 dB in s (nan where the decay is not positive).
    second_stage_db : ndarray of float64
        Amplitude of the second stage, in dB.
    residual_db : ndarray of float64
        Robust standard deviation of the residual, in dB.
    """

    note_index: NDArray[np.int64]
    start_s: Floats
    end_s: Floats
    frequency_hz: Floats
    level_db: Floats
    decay_db_per_s: Floats
    decay_error_db_per_s: Floats
    alpha_per_s: Floats
    t60_s: Floats
    second_stage_db: Floats
    residual_db: Floats

    def __len__(self) -> int:
        return len(self.note_index)


@dataclass(frozen=True)
class FamilyReport(_Result):
    """What one law family reached in the search."""

    law: str
    j: float
    evaluation_len: int
    termination: str


@dataclass(frozen=True)
class AnalysisWarning(_Result):
    """Something to know that did not stop the work."""

    kind: str
    message: str


@dataclass(frozen=True)
class Analysis(_Result):
    """Everything that one recording told.

    Attributes
    ----------
    input : Input
        What was analysed.
    verdict : Verdict
        Whether a gain control was at work.
    evidence : Evidence
        The numbers behind the verdict.
    law : Law or None
        The best law, also where the verdict does not trust it.
    events : tuple of Event
        Where the gain moved; empty unless the verdict is ``"agc"``.
    gain_curve : GainCurve
        The device's gain; flat where there is none.
    partials : Partials
        Counts and medians.
    decays : Decays
        Every decay that was fitted.
    families : tuple of FamilyReport
        What each law family reached.
    warnings : tuple of AnalysisWarning
        What to know.
    """

    input: Input
    verdict: Verdict
    evidence: Evidence
    law: Optional[Law]
    events: tuple[Event, ...]
    gain_curve: GainCurve
    partials: Partials
    decays: Decays
    families: tuple[FamilyReport, ...]
    warnings: tuple[AnalysisWarning, ...]
    _document: str = field(repr=False, compare=False, default="{}")

    def to_dict(self) -> dict[str, Any]:
        """The document ``agcfix.analysis/1``, as ``agcfix analyze --json`` writes it (with ``input.file`` None).

        Its numbers are rounded to what they mean, and decays are not in it; the attributes have everything.
        """
        return dict(json.loads(self._document))

    @classmethod
    def _of(cls, told: dict[str, Any]) -> Analysis:
        facts = json.loads(told["facts"])
        evidence = facts["evidence"]
        for name in ("j_without_gain", "j_with_gain", "p_value", "gain_movement_db"):
            evidence[name] = _float(evidence[name])
        law = facts["law"]
        partials = facts["partials"]
        octaves = tuple(OctaveDecay(**octave) for octave in partials.pop("decay_by_octave"))
        return cls(
            input=Input(**facts["input"]),
            verdict=Verdict(**facts["verdict"]),
            evidence=Evidence(**evidence),
            law=None if law is None else _law_of(law),
            events=tuple(Event(**event) for event in facts["events"]),
            gain_curve=GainCurve(
                facts["start_s"], facts["hop_s"], told["gain_db"], told["lower_db"], told["upper_db"]
            ),
            partials=Partials(**partials, decay_by_octave=octaves),
            decays=Decays(**told["decays"]),
            families=tuple(FamilyReport(**{**f, "j": _float(f["j"])}) for f in facts["families"]),
            warnings=tuple(AnalysisWarning(**warning) for warning in facts["warnings"]),
            _document=told["document"],
        )


def _law_of(law: dict[str, Any]) -> Law:
    return Law(
        law["name"],
        tuple(Parameter(**parameter) for parameter in law["parameters"]),
        tuple(Landing(**landing) for landing in law.get("landings", ())),
    )


@dataclass(frozen=True)
class Restored(_Result):
    """A recording with its dynamics back.

    Attributes
    ----------
    samples : ndarray of float32
        In the layout of the samples that were given. Where nothing was undone, the input as 32-bit floats, bit for bit.
    sample_rate : int
        Samples per second.
    is_restored : bool
        Whether a gain was undone: not where the verdict is ``"none"``, nor, unless a law or a gain was given, where it is
        ``"undecided"``.
    overall_gain_db : float
        The one constant that keeps the true peak below -1 dBTP; 0 where it was not needed.
    true_peak_dbtp : float
        True peak of the result (ITU-R BS.1770), in dBTP.
    analysis : Analysis or None
        What was undone, where it was found in the recording.
    """

    samples: Samples = field(repr=False)
    sample_rate: int
    is_restored: bool
    overall_gain_db: float
    true_peak_dbtp: float
    analysis: Optional[Analysis] = field(repr=False, default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the samples."""
        told = {name: _plain(getattr(self, name)) for name in ("sample_rate", "is_restored", "overall_gain_db")}
        told["true_peak_dbtp"] = _plain(self.true_peak_dbtp)
        told["analysis"] = None if self.analysis is None else self.analysis.to_dict()
        return told


@dataclass(frozen=True)
class Recording(_Result):
    """A recording as read from a file.

    Attributes
    ----------
    samples : ndarray of float32, shape (n,) or (channels, n)
        Full scale is ±1; lossy codecs may exceed it.
    sample_rate : int
        Samples per second.
    container, codec : str
        What the file was.
    bits_per_sample : int or None
        Bits of the stored samples, where the codec has such.
    warnings : tuple of AnalysisWarning
        Damage that was met.
    """

    samples: Samples = field(repr=False)
    sample_rate: int
    container: str
    codec: str
    bits_per_sample: Optional[int]
    warnings: tuple[AnalysisWarning, ...]

    def __iter__(self) -> Iterator[Any]:
        """``samples, sample_rate = agcfix.load(path)``, as with soundfile and librosa."""
        return iter((self.samples, self.sample_rate))

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return float(self.samples.shape[-1] / self.sample_rate)


@dataclass(frozen=True)
class Unrelated(_Result):
    """Two recordings that are not the same performance, or share too little of it. False in conditions."""

    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class AlignedPiece(_Result):
    """A stretch with one offset and one drift; times on the microphone's clock."""

    from_s: float
    to_s: float
    offset_s: float
    drift_ppm: float


@dataclass(frozen=True)
class Alignment(_Result):
    """How two recordings run together: the phone's time ``t`` is the microphone's ``offset_s + t / (1 + drift_ppm * 1e-6)``.

    Attributes
    ----------
    offset_s, offset_error_s : float
        The microphone's time of the phone's first sample, and its standard error, in s.
    drift_ppm, drift_error_ppm : float
        Drift of the phone's clock (positive where it runs fast), and its standard error, in ppm.
    jitter_s : float
        Robust standard deviation of the windows' delays, in s.
    window_len, agreeing_len : int
        Windows with enough sound in both, and those within a millisecond of the line.
    confidence : float
        Their share, 0 to 1.
    overlap_s : float
        Length of what both hold, in s.
    polarity : {"same", "inverted"}
    channels : {"same", "swapped", "unclear"}
    pieces : tuple of AlignedPiece
        Several where the phone lost or repeated sound.
    """

    offset_s: float
    offset_error_s: float
    drift_ppm: float
    drift_error_ppm: float
    jitter_s: float
    window_len: int
    agreeing_len: int
    confidence: float
    overlap_s: float
    polarity: Literal["same", "inverted"]
    channels: Literal["same", "swapped", "unclear"]
    pieces: tuple[AlignedPiece, ...]

    @classmethod
    def _of(cls, facts: dict[str, Any]) -> Alignment:
        pieces = tuple(AlignedPiece(**{k: _float(v) for k, v in piece.items()}) for piece in facts["pieces"])
        numbers = {k: _float(v) for k, v in facts.items() if k.endswith(("_s", "_ppm")) or k == "confidence"}
        rest: dict[str, Any] = {**facts, **numbers, "pieces": pieces}
        return cls(**rest)


@dataclass(frozen=True)
class Measures(_Result):
    """One recording against the microphone.

    Attributes
    ----------
    gain_rms_db, gain_p95_db : float
        How far its level strays from the microphone's, rms and 95th percentile, in dB.
    dynamics_slope : float
        dB of the recording for each dB of the microphone; 1 is intact.
    decays, onsets, loudness : dict
        As in the document ``agcfix.validation/1``.
    level_db : ndarray of float64, shape (n,)
        Its level every 10 ms, in dBFS.
    mic_decay_db_per_s, decay_db_per_s : ndarray of float64, shape (pairs,)
        Decay of every partial that both hold: the microphone's and the recording's, in dB/s.
    """

    gain_rms_db: float
    gain_p95_db: float
    dynamics_slope: float
    decays: dict[str, Any]
    onsets: dict[str, Any]
    loudness: dict[str, Any]
    level_db: Floats = field(repr=False)
    mic_decay_db_per_s: Floats = field(repr=False)
    decay_db_per_s: Floats = field(repr=False)


@dataclass(frozen=True)
class Validation(_Result):
    """How much of the dynamics is there.

    Attributes
    ----------
    alignment : Alignment
        How the two run together.
    before : Measures
        The phone's recording.
    after : Measures or None
        The restored recording, where one was given.
    ratio : float or None
        Share of the gain's movement that is left: rms after over rms before.
    response : dict
        The static response that was matched, phone minus microphone.
    microphone : dict
        Loudness of the matched microphone.
    matched_db : ndarray of float64, shape (n,)
        Level of the matched microphone every 10 ms, in dBFS.
    compared : ndarray of bool, shape (n,)
        Which of them are compared.
    """

    alignment: Alignment
    before: Measures
    after: Optional[Measures]
    ratio: Optional[float]
    response: dict[str, Any]
    microphone: dict[str, Any]
    matched_db: Floats = field(repr=False)
    compared: NDArray[np.bool_] = field(repr=False)
    _document: str = field(repr=False, compare=False, default="{}")

    def to_dict(self) -> dict[str, Any]:
        """The document ``agcfix.validation/1``, as ``agcfix validate --json`` writes it, without the names of the files."""
        return dict(json.loads(self._document))

    @classmethod
    def _of(cls, told: dict[str, Any]) -> Validation:
        facts = json.loads(told["facts"])

        def measures(name: str) -> Optional[Measures]:
            numbers = facts[name]
            if numbers is None:
                return None
            level_db, mic, device = told[name]
            for key in ("gain_rms_db", "gain_p95_db", "dynamics_slope"):
                numbers[key] = _float(numbers[key])
            return Measures(**numbers, level_db=level_db, mic_decay_db_per_s=mic, decay_db_per_s=device)

        before = measures("before")
        assert before is not None
        return cls(
            alignment=Alignment._of(facts["alignment"]),
            before=before,
            after=measures("after"),
            ratio=facts["ratio"],
            response=facts["response"],
            microphone=facts["microphone"],
            matched_db=told["matched_db"],
            compared=told["compared"],
            _document=told["facts"],
        )


@dataclass(frozen=True)
class Simulated(_Result):
    """A phone's recording, made out of a clean one.

    Attributes
    ----------
    samples : ndarray of float32
        In the layout of the samples that were given; the length is another where the chain has a clock.
    sample_rate : int
        Samples per second.
    gain_curve : GainCurve
        The true gain of all laws together, every millisecond, in dB; absolute, no offset is removed.
    truth : dict
        The document ``agcfix.simulation/1``: every stage with its constants.
    """

    samples: Samples = field(repr=False)
    sample_rate: int
    gain_curve: GainCurve = field(repr=False)
    truth: dict[str, Any] = field(repr=False)

    def to_dict(self) -> dict[str, Any]:
        """The truth."""
        return self.truth


@dataclass(frozen=True)
class LawParameter(_Result):
    """A constant that a law has: range, default, meaning."""

    name: str
    unit: str
    low: float
    high: float
    default: float
    meaning: str


@dataclass(frozen=True)
class LawFamily(_Result):
    """A gain law that is known."""

    name: str
    summary: str
    parameters: tuple[LawParameter, ...]
