"""How much music a core restores in an hour, and in how much memory: the numbers of docs/scale.md.

    python examples/throughput.py [PROGRAM]     PROGRAM is agcfix [default: target/release/agcfix]

Processor time is what counts: it does not depend on what else the machine is doing, as the elapsed time does.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import agcfix

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
ROOT = Path(__file__).parents[3]
PROGRAM = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target" / "release" / "agcfix")
SOURCE = ROOT / "examples" / "data" / "prelude-phone-compressor.flac"

ONE = """
import json, resource, sys, time
import agcfix
begun = time.process_time()
recording = agcfix.load(sys.argv[1])
restored = agcfix.restore(*recording, threads=1)
agcfix.write_wav(sys.argv[2], restored.samples, restored.sample_rate)
print(json.dumps([recording.duration_s, time.process_time() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def one_core(folder: Path) -> list[list[float]]:
    """Length (s), processor time (s) and memory (MB) of recordings of several lengths on one thread."""
    samples, rate = agcfix.load(SOURCE)
    out = []
    for times in (1, 4, 12):
        path = folder / f"{times}.wav"
        agcfix.write_wav(path, np.tile(samples, times), rate, bits="16")
        run = subprocess.run([sys.executable, "-c", ONE, path, folder / f"{times}.out.wav"], capture_output=True, text=True, check=True)
        out.append(json.loads(run.stdout))
    return out


def manifest(folder: Path, count: int, seconds: float) -> Path:
    samples, rate = agcfix.load(SOURCE)
    length = int(seconds * rate)
    lines = ["take,position,device,role,path"]
    for k in range(count):
        start = k * (len(samples) - length) // max(1, count - 1)
        agcfix.write_wav(folder / f"p{k}.wav", samples[start : start + length], rate, bits="16")
        lines.append(f"{k},near,phone,phone,p{k}.wav")
    (folder / "set.csv").write_text("\n".join(lines) + "\n")
    return folder / "set.csv"


def by_command(takes: Path, folder: Path, cores: int) -> tuple[float, float]:
    """Elapsed and processor time of `agcfix dataset restore`."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    words = [PROGRAM, "dataset", "restore", takes, "-o", folder, "-q"]
    subprocess.run(words, check=True, env={**os.environ, "RAYON_NUM_THREADS": str(cores)})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - begun, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def on_ray(takes: Path, folder: Path, cores: int) -> tuple[float, float]:
    """Elapsed and processor time of the Ray stage, Ray's start not counted."""
    import logging

    import ray

    import agcfix.ray

    ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    begun = time.perf_counter()
    rows = agcfix.ray.restore(takes, folder).take_all()
    took = time.perf_counter() - begun
    ray.shutdown()
    assert not any(row["error"] for row in rows), rows
    return took, sum(row["cpu_s"] for row in rows)


#: What is extrapolated to: name, hours of music, minutes of one recording (assumed), cores.
SETS = (("178 hours, the size of MAESTRO", 178, 8, 2), ("100,000 hours", 100_000, 8, 1000))
#: Assumed, in USD: what a core costs in an hour where such things are rented by the day.
CORE_HOUR_USD = 0.04
#: Phones' m4a files, in bit/s, and the restored mono file of 24 bits at 48 kHz, in byte/s.
M4A_BPS, WAV_BYTES_PER_S = 128_000, 48_000 * 3


def extrapolated(measured: list[list[float]]) -> None:
    """What a straight line through the measured processor times means for larger sets."""
    lengths, times = np.array([m[:2] for m in measured]).T
    per_s, each = np.polyfit(lengths, times, 1)
    print(f"\nProcessor time of one recording: {each:.1f} s, and {60 * per_s:.2f} s for each minute of it.")
    print("\n| set | recordings | core hours | elapsed | read (m4a) | written (mono WAV) | at 0.04 USD a core hour |")
    print("|---|---|---|---|---|---|---|")
    for name, hours, minutes, cores in SETS:
        count = hours * 60 / minutes
        core_hours = (count * each + hours * 3600 * per_s) / 3600
        read, written = hours * 3600 * M4A_BPS / 8e9, hours * 3600 * WAV_BYTES_PER_S / 1e9
        elapsed = f"{core_hours / cores:.0f} h on {cores} cores"
        usd = f"{core_hours * CORE_HOUR_USD:,.0f} USD"
        print(f"| {name} | {count:,.0f} of {minutes:.1f} min | {core_hours:,.0f} | {elapsed} | {read:,.0f} GB | {written:,.0f} GB | {usd} |")


def main() -> None:
    count, seconds = 4, 15.0
    with tempfile.TemporaryDirectory(prefix="agcfix-throughput-") as name:
        folder = Path(name)
        print("| one recording, one thread | processor time | hours of music a core does in an hour | memory |")
        print("|---|---|---|---|")
        measured = one_core(folder)
        for length_s, cpu_s, memory_mb in measured:
            print(f"| {length_s / 60:.2f} min | {cpu_s:.1f} s | {length_s / cpu_s:.1f} | {memory_mb:.0f} MB |", flush=True)
        extrapolated(measured)
        takes = manifest(folder, count, seconds)
        print(f"\n| {count} recordings of {seconds:.0f} s | cores | elapsed | processor time |")
        print("|---|---|---|---|")
        for cores in (1, 2):
            took, cpu_s = by_command(takes, folder / f"command{cores}", cores)
            print(f"| `agcfix dataset restore` | {cores} | {took:.1f} s | {cpu_s:.1f} s |", flush=True)
        for cores in (1, 2):
            took, cpu_s = on_ray(takes, folder / f"ray{cores}", cores)
            print(f"| `agcfix.ray.restore` | {cores} | {took:.1f} s | {cpu_s:.1f} s |", flush=True)
        load = os.getloadavg()[0]
        print(f"\nLoad of the machine at the end: {load:.1f} on {os.cpu_count()} cores, where this run alone makes 2.")


if __name__ == "__main__":
    main()
