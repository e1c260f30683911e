"""Many recordings on a cluster: a stage for Ray Data.

Each recording is one row: a path goes in; what was found, the restored file's name, or an error come out. A worker that dies takes
nothing with it: its recording is done again by another, and everything that was finished before stays, because a recording is
finished when its row lies in the output folder, and rows that lie there are not made again. So a run that was stopped goes on where
it was, too.

>>> import agcfix.ray  # doctest: +SKIP
>>> rows = agcfix.ray.restore("takes.csv", "/shared/restored")  # doctest: +SKIP
>>> rows.write_parquet("/shared/restored/rows")  # doctest: +SKIP

Needs ``pip install agcfix[ray]``. The folder must be one that all workers see.
"""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Any, Optional, Union

import agcfix

try:
    import ray.data
except ImportError as error:  # pragma: no cover
    raise ImportError("agcfix.ray needs Ray Data: pip install 'agcfix[ray]'") from error

__all__ = ["MOST_BLOCKS", "Restorer", "manifest", "restore"]

StrPath = Union[str, "os.PathLike[str]"]

#: More blocks than this are not made: the driver keeps track of each.
MOST_BLOCKS = 10_000

#: Columns of a row beside those of the manifest, with what they hold before anything is known.
_COLUMNS: dict[str, Any] = {
    "error": None,
    "verdict": None,
    "reason": None,
    "law": None,
    "p_value": None,
    "gain_movement_db": None,
    "event_len": None,
    "duration_s": None,
    "overall_gain_db": None,
    "output": None,
    "sha256": None,
    "gain_hop_s": None,
    "gain_db": [],
    "elapsed_s": None,
    "cpu_s": None,
}


def manifest(path: StrPath) -> list[dict[str, Any]]:
    """Rows of a CSV with a column ``path``; paths are relative to it.

    A manifest of ``agcfix dataset`` (``take,position,device,role,path``) gives its phones' rows.

    Raises
    ------
    agcfix.errors.MalformedError
        Where there is no such column, or no row.
    """
    with open(path, newline="", encoding="utf-8") as file:
        lines = (line for line in file if not line.startswith("#"))
        rows = [{key: value for key, value in row.items() if key} for row in csv.DictReader(lines)]
    rows = [row for row in rows if row.get("role", "phone") == "phone"]
    if not rows or "path" not in rows[0]:
        error = agcfix.errors.MalformedError(f"{path}: it lists no recording; give a CSV with a column called path")
        error.path, error.cause = str(path), "it lists no recording"
        error.remedy = "give a CSV with a column called path"
        raise error
    folder = Path(path).absolute().parent
    return [{**row, "path": str(folder / row["path"])} for row in rows]


class Restorer:
    """Restores one recording a row; for :meth:`ray.data.Dataset.map`.

    Parameters
    ----------
    folder : path
        Where restored recordings and finished rows go; seen by all workers.
    threads : int
        Threads of each worker. One, and as many workers as cores, is the fastest.
    bits : {"24", "16", "32f"}
        Samples of the restored files.
    """

    def __init__(self, folder: StrPath, threads: int = 1, bits: str = "24") -> None:
        self.folder = Path(folder)
        self.threads = threads
        self.bits = bits
        for name in ("audio", "finished"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """The row with what was found; with ``error`` instead where the recording cannot be used."""
        out = {**row, **_COLUMNS}
        try:
            out.update(self._restored(Path(row["path"])))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a defect of the engine's must not cost the other rows
            out["error"] = f"{type(error).__name__}: {error}"
        return out

    def _restored(self, path: Path) -> dict[str, Any]:
        contents = path.read_bytes()
        sha256 = hashlib.sha256(contents).hexdigest()
        name = f"{re.sub(r'[^A-Za-z0-9_-]', '_', path.stem)}-{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
        finished = self.folder / "finished" / f"{name}.json"
        key = {"sha256": sha256, "version": agcfix.__version__, "bits": self.bits}
        known = _read(finished)
        if known is not None and known["key"] == key:
            output = known["row"]["output"]
            if output is None or (self.folder / output).is_file():
                return dict(known["row"])
        begun, worked = time.perf_counter(), time.process_time()
        recording = agcfix.load(path)
        samples, sample_rate = recording.samples, recording.sample_rate
        analysis = agcfix.analyze(samples, sample_rate, threads=self.threads)
        told: dict[str, Any] = {
            "verdict": analysis.verdict.outcome,
            "reason": analysis.verdict.reason,
            "law": None if analysis.law is None else json.dumps(analysis.law.to_dict()),
            "p_value": analysis.evidence.p_value,
            "gain_movement_db": analysis.evidence.gain_movement_db,
            "event_len": len(analysis.events),
            "duration_s": analysis.input.duration_s,
            "sha256": sha256,
            "gain_hop_s": analysis.gain_curve.hop_s,
            "gain_db": analysis.gain_curve.gain_db.round(3).tolist(),
        }
        if analysis.verdict.outcome == "agc":
            restored = agcfix.restore(samples, sample_rate, analysis, threads=self.threads)
            told["output"] = f"audio/{name}.wav"
            told["overall_gain_db"] = restored.overall_gain_db
            target = self.folder / told["output"]
            agcfix.write_wav(target, restored.samples, restored.sample_rate, bits=self.bits, overwrite=True)
        told["elapsed_s"] = time.perf_counter() - begun
        told["cpu_s"] = time.process_time() - worked
        row = {**_COLUMNS, **told}
        _write(finished, {"key": key, "row": row})
        return row


def _read(path: Path) -> Optional[dict[str, Any]]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _write(path: Path, document: dict[str, Any]) -> None:
    """Whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(document, file)
    os.replace(temporary, path)


def restore(
    recordings: Any,
    folder: StrPath,
    *,
    workers: Union[int, tuple[int, int], None] = None,
    threads: int = 1,
    bits: str = "24",
) -> Any:
    """A lazy data set of restored recordings.

    Parameters
    ----------
    recordings : path, list of dict, or ray.data.Dataset
        A manifest (see :func:`manifest`), rows, or a data set with a column ``path``.
    folder : path
        Where restored recordings and finished rows go; seen by all workers.
    workers : int or (int, int), optional
        How many workers, or fewest and most; by default as many as the cluster has cores for.
    threads : int
        Threads (and cores) of each worker.
    bits : {"24", "16", "32f"}
        Samples of the restored files.

    Returns
    -------
    ray.data.Dataset
        A row a recording, with the manifest's columns and ``error`` (None where all went well), ``verdict``, ``reason``,
        ``law`` (JSON), ``p_value``, ``gain_movement_db`` (dB), ``event_len``, ``duration_s`` (s), ``overall_gain_db`` (dB),
        ``output`` (file in `folder`, None where there was nothing to undo), ``sha256``, ``gain_hop_s`` (s), ``gain_db`` (list,
        dB), ``elapsed_s`` and ``cpu_s`` (s that it took, and of them at work).
    """
    # Workers may have another working directory.
    folder = Path(folder).absolute()
    if isinstance(recordings, (str, os.PathLike)):
        recordings = manifest(recordings)
    if isinstance(recordings, list):
        recordings = ray.data.from_items(recordings, override_num_blocks=min(len(recordings), MOST_BLOCKS))
    if workers is None:
        resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call,unused-ignore]
        workers = max(1, math.floor(resources.get("CPU", 1) / threads))
    if isinstance(workers, int):
        # One recording at a time and none waiting, so that no worker is left with two long ones at the end.
        strategy = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    else:
        strategy = ray.data.ActorPoolStrategy(min_size=workers[0], max_size=workers[1])
    return recordings.map(
        Restorer,
        fn_constructor_kwargs={"folder": str(folder), "threads": threads, "bits": bits},
        compute=strategy,
        num_cpus=threads,
    )
