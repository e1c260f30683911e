"""Recordings and the command line that the tests share."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

import agcfix

ROOT = Path(__file__).parents[3]
DATA = ROOT / "examples" / "data"


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


@pytest.fixture(scope="session")
def command():
    """The built program: the environment's AGCFIX, or the release build of this repository."""
    program = os.environ.get("AGCFIX", str(ROOT / "target" / "release" / "agcfix"))
    if not Path(program).is_file():
        pytest.fail(f"{program}: build it with cargo build --release, or name it in AGCFIX")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run([program, *map(str, words)], capture_output=True, text=True, check=True)

    return run


@pytest.fixture(scope="session")
def phone() -> agcfix.Recording:
    return agcfix.load(DATA / "prelude-phone.m4a")


@pytest.fixture(scope="session")
def mic() -> agcfix.Recording:
    return agcfix.load(DATA / "prelude-mic.flac")


@pytest.fixture(scope="session")
def found(phone: agcfix.Recording) -> agcfix.Analysis:
    """The one analysis of the whole fixture that all tests use."""
    return agcfix.analyze(*phone)


@pytest.fixture(scope="session")
def by_command(command, tmp_path_factory) -> tuple[dict, np.ndarray]:
    """What the command line makes of the fixture: its document and its samples, 32-bit floats."""
    folder = tmp_path_factory.mktemp("command")
    document, wav = folder / "out.json", folder / "out.wav"
    command("restore", DATA / "prelude-phone.m4a", "-o", wav, "--bits", "32f", "--json", document, "--quiet")
    return json.loads(document.read_text()), agcfix.load(wav).samples


@pytest.fixture(scope="session")
def tune() -> tuple[np.ndarray, int]:
    """Six seconds of decaying strings at 16 kHz, float32: enough for everything but a verdict."""
    rate = 16_000
    t = np.arange(6 * rate) / rate
    sound = np.zeros_like(t)
    for k, (onset_s, hz) in enumerate([(0.1, 262), (0.9, 330), (1.8, 392), (2.7, 523), (3.6, 294), (4.6, 440)]):
        since = np.clip(t - onset_s, 0, None)
        for partial in (1, 2, 3):
            sound += (t >= onset_s) * 10 ** (-(9 + k) * partial * since / 20) * np.sin(2 * np.pi * hz * partial * since) / partial
    return (0.2 * sound).astype(np.float32), rate
