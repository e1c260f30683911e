"""Undo a phone's automatic gain control on piano recordings, by the physics of decaying strings.

>>> import agcfix
>>> samples, sample_rate = agcfix.load("take.m4a")  # doctest: +SKIP
>>> restored = agcfix.restore(samples, sample_rate)  # doctest: +SKIP
>>> restored.analysis.verdict.outcome  # doctest: +SKIP
'agc'

The engine is the same as the command line's, with the same results to the last bit on one machine.
"""

from . import errors
from ._agcfix import __version__
from ._api import (
    Profile,
    align,
    aligned,
    analyze,
    laws,
    load,
    presets,
    restore,
    simulate,
    validate,
    write_wav,
)
from .results import *  # noqa: F403
from .results import __all__ as _results

__all__ = [
    "Profile",
    "__version__",
    "align",
    "aligned",
    "analyze",
    "errors",
    "laws",
    "load",
    "presets",
    "restore",
    "simulate",
    "validate",
    "write_wav",
    *_results,
]
