"""Samples as callers have them, and as the engine takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import InvalidError

#: Most channels that are analysed together.
MAX_CHANNELS = 8


def _invalid(cause: str, remedy: str) -> InvalidError:
    error = InvalidError(f"samples: {cause}; {remedy}")
    error.cause, error.remedy = cause, remedy
    return error


@dataclass(frozen=True)
class Layout:
    """How the caller's array lies: its number of axes, and which of them are the channels."""

    axes: int
    channel_axis: int

    def laid_out(self, channels: list[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Channels as the caller's array; a single channel without copying it."""
        if self.axes == 1:
            return channels[0]
        if len(channels) == 1:
            return channels[0][:, None] if self.channel_axis == 1 else channels[0][None, :]
        return np.stack(channels, axis=self.channel_axis)


def _full_scale(array: NDArray[Any]) -> NDArray[np.float32]:
    """Any samples at a full scale of 1, as 32-bit floats; those that are so already are not copied."""
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128.0) / 128.0
    if array.dtype.kind == "i":
        bits = 8 * array.dtype.itemsize
        # A power of two: exact up to 24 bits, and rounded once beyond.
        return (array.astype(np.float64) * 2.0 ** (1 - bits)).astype(np.float32)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return array.astype(np.float32, copy=False)
    raise _invalid(f"they are {array.dtype}", "give floats at a full scale of 1, or signed integers")


def take(samples: Any) -> tuple[list[NDArray[np.float32]], Layout]:
    """Channels of whatever holds samples: a numpy array, a torch tensor, a list.

    A contiguous array of float32, mono or channels first, is used where it lies. Everything else is converted once.
    """
    if hasattr(samples, "detach"):  # torch: a tensor that still has its gradient cannot become an array
        samples = samples.detach().cpu()
    try:
        array = np.asarray(samples)
    except (TypeError, ValueError) as error:
        raise _invalid(f"they are no array ({error})", "give a numpy array") from error
    if array.dtype.byteorder not in "=|" and not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.kind not in "fiu":
        raise _invalid(f"they are {array.dtype}", "give floats at a full scale of 1, or signed integers")
    if array.size == 0:
        raise _invalid("there are none", "give some")
    if array.ndim == 1:
        layout, planes = Layout(1, 0), [array]
    elif array.ndim == 2:
        rows, columns = array.shape
        if rows <= MAX_CHANNELS and columns <= MAX_CHANNELS and rows != 1 and columns != 1:
            raise _invalid(
                f"an array of {rows} x {columns} does not tell channels from samples", "give more than 8 samples"
            )
        if rows <= MAX_CHANNELS and (columns > MAX_CHANNELS or rows == 1):
            layout, planes = Layout(2, 0), list(array)
        elif columns <= MAX_CHANNELS:
            layout, planes = Layout(2, 1), list(array.T)
        else:
            raise _invalid(f"an array of {rows} x {columns} has more than 8 channels", "8 can be analysed together")
    else:
        raise _invalid(f"an array of {array.ndim} axes", "give one axis, or two with at most 8 channels")
    return [np.ascontiguousarray(_full_scale(plane)) for plane in planes], layout


def take_rate(sample_rate: Any) -> int:
    """A sample rate in Hz; the engine checks its range."""
    rate = float(sample_rate)
    if not rate.is_integer() or not 0 < rate < 2**32:
        error = InvalidError(f"sample rate: {sample_rate} Hz; give a whole number of Hz, 8000 to 192000")
        error.cause, error.remedy = f"{sample_rate} Hz", "give a whole number of Hz, 8000 to 192000"
        raise error
    return int(rate)
