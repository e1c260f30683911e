"""The native half; what it returns is wrapped by the package's functions."""

from typing import Any, Callable, Optional

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "__version__",
    "analyze",
    "restore",
    "laws",
    "load",
    "load_bytes",
    "write_wav",
    "align",
    "aligned",
    "validate",
    "learn",
    "parse",
    "analyze_with",
    "simulate",
    "presets",
]
__version__: str

_Channels = list[NDArray[np.float32]]
_Recording = tuple[_Channels, int]
_Progress = Optional[Callable[[str, float], Optional[bool]]]
_Curve = tuple[float, float, NDArray[np.float64]]

def analyze(
    channels: _Channels, sample_rate_hz: int, law: Optional[str], threads: Optional[int], progress: _Progress
) -> dict[str, Any]: ...
def restore(
    channels: _Channels,
    sample_rate_hz: int,
    law: Optional[str],
    curve: Optional[_Curve],
    keeps_level: bool,
    threads: Optional[int],
) -> tuple[_Channels, float, float]: ...
def laws() -> str: ...
def load(
    path: str, max_duration_s: Optional[float], is_strict: bool, is_zeroed: bool
) -> tuple[_Channels, int, str]: ...
def load_bytes(
    bytes: bytes, max_duration_s: Optional[float], is_strict: bool, is_zeroed: bool
) -> tuple[_Channels, int, str]: ...
def write_wav(path: str, channels: _Channels, sample_rate_hz: int, bits: str, is_forced: bool) -> int: ...
def align(phone: _Recording, mic: _Recording, threads: Optional[int]) -> str: ...
def aligned(phone: _Recording, mic: _Recording, alignment: str) -> _Channels: ...
def validate(
    phone: _Recording, mic: _Recording, restored: Optional[_Channels], threads: Optional[int]
) -> dict[str, Any]: ...
def learn(
    pairs: list[tuple[_Recording, _Recording]],
    name: str,
    maker: str,
    mode: str,
    recordings: list[str],
    threads: Optional[int],
) -> str: ...
def parse(text: str) -> str: ...
def analyze_with(
    channels: _Channels,
    sample_rate_hz: int,
    profile: str,
    volume_db: Optional[float],
    is_restored: bool,
    keeps_level: bool,
    threads: Optional[int],
    progress: _Progress,
) -> dict[str, Any]: ...
def simulate(
    channels: _Channels,
    sample_rate_hz: int,
    presets: list[str],
    laws: list[str],
    settings: list[str],
    seed: int,
) -> tuple[_Channels, int, str, NDArray[np.float64]]: ...
def presets() -> str: ...
