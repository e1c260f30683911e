"""What can go wrong, one class a kind.

"Cannot tell" is no error: see :class:`agcfix.Verdict`, and :class:`agcfix.Unrelated`.
"""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "Error",
    "InvalidError",
    "IoError",
    "LimitError",
    "MalformedError",
    "UnsupportedError",
]


class Error(Exception):
    """Everything that agcfix refuses to do.

    Attributes
    ----------
    path : str or None
        The file concerned, where there is one.
    cause : str or None
        What is wrong, and where.
    remedy : str or None
        What would be right.
    """

    path: str | None = None
    cause: str | None = None
    remedy: str | None = None


class IoError(Error, OSError):
    """The operating system refused to read or write; ``errno`` and ``filename`` as with any :class:`OSError`."""


class MalformedError(Error, ValueError):
    """The file is damaged, or is not what it says it is."""


class UnsupportedError(Error, ValueError):
    """The file is sound, but its kind is not read; ``remedy`` names the command that converts it."""


class LimitError(Error, ValueError):
    """The recording is longer or larger than the caller allows."""


class InvalidError(Error, ValueError):
    """An argument is outside what the method allows."""


class CancelledError(Error):
    """The caller's ``progress`` function returned False."""
