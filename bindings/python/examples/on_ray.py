"""Recordings restored on Ray, from a manifest to Parquet and audio.

    python examples/on_ray.py takes.csv restored     a manifest of your own, on the cluster of RAY_ADDRESS or on this machine
    python examples/on_ray.py --demonstrate          small recordings made here; a worker is killed in mid-run, then all is checked
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import agcfix

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray  # noqa: E402

import agcfix.ray  # noqa: E402

DATA = Path(__file__).parents[3] / "examples" / "data"


class Watched(agcfix.ray.Restorer):
    """Tells, in a file that workers only append to, when it begins and ends a recording."""

    def _restored(self, path: Path) -> dict:
        self._tell("begin", path)
        row = super()._restored(path)
        self._tell("end", path)
        return row

    def _tell(self, what: str, path: Path) -> None:
        line = f"{time.time():.3f} {os.getpid()} {what} {path.name}\n"
        handle = os.open(self.folder / "told.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, line.encode())
        os.close(handle)


def make_recordings(folder: Path, count: int, seconds: float) -> Path:
    """Pieces of the phone's recording that comes with the project, one file that is no sound, and one that is missing."""
    samples, rate = agcfix.load(DATA / "prelude-phone-compressor.flac")
    length = int(seconds * rate)
    lines = ["take,path"]
    for k in range(count):
        start = (k * (len(samples) - length)) // max(1, count - 1)
        agcfix.write_wav(folder / f"piece{k}.wav", samples[start : start + length], rate, bits="16")
        lines.append(f"{k},piece{k}.wav")
    (folder / "broken.wav").write_bytes(b"RIFF this is no sound")
    lines += [f"{count},broken.wav", f"{count + 1},missing.wav"]
    (folder / "takes.csv").write_text("\n".join(lines) + "\n")
    return folder / "takes.csv"


def told(folder: Path) -> list[list[str]]:
    log = folder / "told.log"
    return [line.split(" ", 3) for line in log.read_text().splitlines()] if log.exists() else []


def kill_a_worker(folder: Path, killed: list[tuple[int, str]]) -> None:
    """Kills a worker in the middle of a recording, once another one has been finished."""
    while not killed:
        time.sleep(0.02)
        lines = told(folder)
        pieces = [line for line in lines if line[3].startswith("piece")]
        if not any(line[2] == "end" for line in pieces):
            continue
        ended = {line[3] for line in pieces if line[2] == "end"}
        running = [line for line in pieces if line[2] == "begin" and line[3] not in ended]
        if running and time.time() - float(running[-1][0]) > 0.2:
            killed.append((int(running[-1][1]), running[-1][3]))
            os.kill(killed[0][0], signal.SIGKILL)


def demonstrate(count: int, seconds: float, cpus: int) -> None:
    with tempfile.TemporaryDirectory(prefix="agcfix-ray-") as name:
        folder, out = Path(name), Path(name) / "restored"
        out.mkdir()
        takes = make_recordings(folder, count, seconds)
        start(cpus)
        killed: list[tuple[int, str]] = []
        threading.Thread(target=kill_a_worker, args=(out, killed), daemon=True).start()
        agcfix.ray.Restorer = Watched  # the same stage, with a log
        begun = time.perf_counter()
        agcfix.ray.restore(takes, out).write_parquet(str(out / "rows"))
        took = time.perf_counter() - begun
        rows = ray.data.read_parquet(str(out / "rows")).take_all()
        lines = told(out)

        # Every recording has one row; the two that cannot be used say why.
        names = sorted(Path(row["path"]).name for row in rows)
        assert names == sorted([f"piece{k}.wav" for k in range(count)] + ["broken.wav", "missing.wav"]), names
        failed = {Path(row["path"]).name: row["error"] for row in rows if row["error"]}
        assert set(failed) == {"broken.wav", "missing.wav"}, failed
        # One worker died; its recording was begun twice, and every recording was finished once.
        assert len(killed) == 1, "no worker was killed"
        pid, piece = killed[0]
        begun_times = {p: sum(line[2:] == ["begin", p] for line in lines) for p in names}
        ended_times = {p: sum(line[2:] == ["end", p] for line in lines) for p in names if p not in failed}
        assert begun_times[piece] == 2, begun_times
        assert all(n == 1 for n in ended_times.values()), ended_times
        assert all(n == 1 for p, n in begun_times.items() if p not in (piece, *failed)), begun_times
        assert not any(line[1] == str(pid) and line[2:] == ["end", piece] for line in lines)
        # What Ray wrote is what this process gets, to the last bit.
        row = next(row for row in rows if Path(row["path"]).name == piece)
        recording = agcfix.load(row["path"])
        analysis = agcfix.analyze(*recording)
        assert row["verdict"] == analysis.verdict.outcome
        assert np.array_equal(row["gain_db"], analysis.gain_curve.gain_db.round(3))
        if row["output"] is not None:
            agcfix.write_wav(folder / "here.wav", agcfix.restore(*recording, analysis).samples, recording.sample_rate)
            assert (folder / "here.wav").read_bytes() == (out / row["output"]).read_bytes()
        # A second run finds everything finished.
        again = agcfix.ray.restore(takes, out).take_all()
        assert len(again) == len(rows)
        assert all(a["elapsed_s"] == next(r for r in rows if r["path"] == a["path"])["elapsed_s"] for a in again if not a["error"])

        seconds_done = sum(row["duration_s"] or 0 for row in rows)
        print(f"{len(rows)} rows, {len(failed)} with an error, {sum(r['output'] is not None for r in rows)} restored")
        print(f"worker {pid} was killed in the middle of {piece}: begun twice, finished once; everything else once")
        print(f"{seconds_done:.0f} s of music in {took:.1f} s on {cpus} cores, Ray's start not counted")


def start(cpus: int | None) -> None:
    if cpus is not None and "RAY_ADDRESS" not in os.environ:
        ray.init(num_cpus=cpus, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    else:
        ray.init(log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", nargs="?", type=Path)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--demonstrate", action="store_true")
    parser.add_argument("--count", type=int, default=6, help="recordings that are made")
    parser.add_argument("--seconds", type=float, default=12.0, help="length of each")
    parser.add_argument("--cpus", type=int, default=2, help="cores of the local Ray")
    typed = parser.parse_args()
    if typed.demonstrate:
        demonstrate(typed.count, typed.seconds, typed.cpus)
    elif typed.manifest and typed.folder:
        start(None)
        rows = agcfix.ray.restore(typed.manifest, typed.folder).materialize()
        rows.write_parquet(str(typed.folder.absolute() / "rows"))
        failed = rows.filter(lambda row: row["error"] is not None).count()
        print(f"{rows.count()} recordings, {failed} with an error; rows in {typed.folder / 'rows'}")
        sys.exit(1 if failed else 0)
    else:
        parser.error("give a manifest and a folder, or --demonstrate")


if __name__ == "__main__":
    main()
