"""Times this program and its peers on the same files, and writes docs/performance.md. Started by benches/peers.sh."""

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RECORDING = ROOT / "examples/data/prelude-phone.m4a"
CURVE = ROOT / "examples/data/prelude-phone.gain.csv"
# ffmpeg's acompressor at about what phones do.
ACOMPRESSOR = "acompressor=threshold=0.05:ratio=3:attack=10:release=200"
COMPAND = ["compand", "0.01,0.2", "6:-70,-60,-20"]
RUNS = 3


def run(command, threads=None):
    """Wall time, processor time (both in s) and peak resident memory (in MB) of one command, by GNU time.

    Not by this process's own children: the system counts the memory of the process that started them as theirs.
    """
    env = dict(os.environ, **({"RAYON_NUM_THREADS": str(threads)} if threads else {}))
    with tempfile.NamedTemporaryFile("r") as figures:
        timed = ["time", "--quiet", "-o", figures.name, "-f", "%e %U %S %M", *map(str, command)]
        ended = subprocess.run(timed, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        # A recording that does not tell ends with 3: the work was done all the same.
        if ended.returncode not in (0, 3):
            sys.exit(f"{' '.join(map(str, command))}: {ended.stderr.decode(errors='replace')}")
        wall, user, system, memory = map(float, figures.read().split())
    return wall, user + system, memory / 1024


def best(command, runs=RUNS, **kwargs):
    """The fastest of several runs, by processor time: the others waited for something."""
    return min((run(command, **kwargs) for _ in range(runs)), key=lambda r: r[1])


def sms_tools(samples, rate):
    import numpy
    from scipy.signal import get_window
    from smstools.models import sineModel
    window = get_window("hann", 4095)
    begun = time.process_time()
    sineModel.sineModelAnal(samples.astype(numpy.float64), rate, window, 4096, 480, -85, 100, 0.12, 20, 0.01)
    return time.process_time() - begun


def librosa_piptrack(samples, rate):
    import librosa
    librosa.piptrack(y=samples[:rate], sr=rate, n_fft=4096, hop_length=480)
    begun = time.process_time()
    librosa.piptrack(y=samples, sr=rate, n_fft=4096, hop_length=480, fmin=50, fmax=6000)
    return time.process_time() - begun


def librosa_stft(samples, rate):
    import librosa
    librosa.stft(samples[:rate], n_fft=4096, hop_length=480)
    begun = time.process_time()
    librosa.stft(samples, n_fft=4096, hop_length=480)
    return time.process_time() - begun


def started_in(program):
    begun = time.monotonic()
    subprocess.run([program, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - begun


def peer(measure, samples, rate):
    try:
        return min(measure(samples, rate) for _ in range(2))
    except ImportError:
        return None


def factor(sound_s, seconds):
    return "not installed" if seconds is None else f"{sound_s / seconds:,.0f}x"


def of(seconds):
    return "not installed" if seconds is None else f"{seconds:.3f}"


def exponent(a, b):
    """How a figure grows from one length to the next: 1 is in proportion, 0 is not at all."""
    (m, x), (n, y) = a, b
    return f"{math.log(y / x) / math.log(n / m):.2f}"


def as_long(curve, sound_s, path):
    """The gain curve over and over, until a recording ends: where a curve ends its last gain is held, which costs nothing."""
    head, *rows = curve.read_text().split()
    gains = [row.split(",")[1] for row in rows]
    hop_s = float(rows[1].split(",")[0]) - float(rows[0].split(",")[0])
    times = range(round(sound_s / hop_s) + 1)
    path.write_text("\n".join([head, *(f"{k * hop_s:.4f},{gains[k % len(gains)]}" for k in times)]) + "\n")
    return path


def sox(*words):
    subprocess.run(["sox", "-D", *map(str, words)], check=True)


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    flags = next((line for line in open("/proc/cpuinfo") if line.startswith("flags")), "")
    widest = next((name for name in ("avx512f", "avx2", "avx", "sse2") if f" {name} " in flags + " "), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    return (f"{model or platform.machine()} ({widest}), {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"{platform.system()} {platform.release()}; load when the run began: {load:.1f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--stages", type=Path, required=True)
    parser.add_argument("--write", type=Path, required=True)
    parser.add_argument("--long", action="store_true", help="60 and 180 minutes as well")
    options = parser.parse_args()
    for needed in ("ffmpeg", "sox", "time"):
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is missing: apt install {needed}")
    lines = []
    say = lines.append
    with tempfile.TemporaryDirectory(prefix="agcfix-peers-", dir=os.environ.get("TMPDIR", "/var/tmp")) as folder:
        write(Path(folder), options, say)
    options.write.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def write(folder, options, say):
    program = options.program
    say("# Performance")
    say("")
    say("Written by `benches/peers.sh" + (" --long" if options.long else "") + "`: this program and its peers on the same "
        "files, in one run. Times are processor time unless said otherwise, the best of several runs; `60x` means sixty "
        "seconds of sound in one second. Times move from machine to machine, ratios hardly.")
    say("")
    say(f"Machine: {machine()}.")

    one = folder / "one.wav"
    subprocess.run(["ffmpeg", "-loglevel", "error", "-i", RECORDING, one], check=True)
    eighty = folder / "eighty.wav"
    sox(one, eighty, "repeat", 1, "trim", 0, 80)
    stages = json.loads(subprocess.run([options.stages, eighty], check=True, stdout=subprocess.PIPE,
                                       env=dict(os.environ, RAYON_NUM_THREADS="1")).stdout)
    samples, rate = None, 48000
    try:
        import soundfile
        samples, rate = soundfile.read(eighty, dtype="float32")
    except ImportError:
        pass
    ours = stages["partials_s"] + stages["decays_s"]
    bare = stages["bare_transforms_s"]
    peers = {name: None if samples is None else peer(measure, samples, rate) for name, measure in
             [("sms-tools, sinusoidal analysis", sms_tools), ("librosa, piptrack", librosa_piptrack),
              ("librosa, transforms alone", librosa_stft)]}
    say("")
    say("## From sound to decays")
    say("")
    say("80 s, mono, 48 kHz, one thread; windows of 4096 every 480 samples everywhere.")
    say("")
    say("| | s | speed | time, in bare transforms |")
    say("|---|---|---|---|")
    rows = [("agcfix, bare transforms", bare), ("agcfix, transforms, peaks and partials", stages["partials_s"]),
            ("agcfix, segments and decays", stages["decays_s"]), ("**agcfix, all of these**", ours), *peers.items()]
    for name, seconds in rows:
        share = "" if seconds is None else f"{seconds / bare:.2f}"
        say(f"| {name} | {of(seconds)} | {factor(80, seconds)} | {share} |")
    say("")
    say("Loris is not among them: Debian has no package of it, and what PyPI calls `loris` is another program.")

    say("")
    say("## A known gain, file to file")
    say("")
    ten = folder / "ten.wav"
    sox(one, "-c", 2, ten, "repeat", 13, "trim", 0, 600)
    say("10 minutes, stereo, 48 kHz, 16-bit WAV in; one thread. `restore` also measures the true peak (ITU-R BS.1770), turns the "
        "result down where it needs room, and writes 24 bits.")
    say("")
    say("| | s | speed | peak memory, MB |")
    say("|---|---|---|---|")
    out = folder / "out.wav"
    curve = as_long(CURVE, 600, folder / "ten.csv")
    known = best([program, "restore", ten, "--gain", curve, "-o", out, "--force", "--quiet"], threads=1)
    law = best([program, "restore", ten, "--law", "compressor:threshold_db=-30,slope=0.67", "-o", out, "--force",
                "--quiet"], threads=1)
    ffmpeg = best(["ffmpeg", "-loglevel", "error", "-y", "-threads", 1, "-i", ten, "-af", ACOMPRESSOR, "-c:a",
                   "pcm_s24le", out])
    compand = best(["sox", "-D", ten, "-b", 24, out, *COMPAND])
    for name, (_, seconds, memory) in [("**agcfix restore, with a curve**", known),
                                       ("agcfix restore, with a law and its constants", law),
                                       ("ffmpeg acompressor", ffmpeg), ("sox compand", compand)]:
        say(f"| {name} | {seconds:.2f} | {600 / seconds:,.0f}x | {memory:.0f} |")
    say("")
    say(f"With a curve, restoring is {ffmpeg[1] / known[1]:.2f} times as fast as ffmpeg's acompressor; with a law, whose constants have "
        f"to be followed sample by sample, {ffmpeg[1] / law[1]:.2f} times.")

    say("")
    say("## A blind analysis")
    say("")
    minute = folder / "minute.wav"
    sox(one, minute, "repeat", 1, "trim", 0, 60)
    analyse = [program, "analyze", minute, "--quiet"]
    alone = best(analyse, threads=1)
    cores = os.cpu_count() or 1
    both = min((run(analyse, threads=cores) for _ in range(RUNS)), key=lambda r: r[0])
    alone_wall = min((run(analyse, threads=1) for _ in range(RUNS)), key=lambda r: r[0])
    say("60 s, mono, 48 kHz: every law is tried.")
    say("")
    say("| threads | wall, s | processor, s | speed by the clock |")
    say("|---|---|---|---|")
    say(f"| 1 | {alone_wall[0]:.2f} | {alone[1]:.2f} | {60 / alone_wall[0]:.1f}x |")
    say(f"| {cores} | {both[0]:.2f} | {both[1]:.2f} | {60 / both[0]:.1f}x |")
    say("")
    say(f"{cores} threads are {alone_wall[0] / both[0]:.2f} times as fast as one. Times by the clock hold for a machine that "
        "does nothing else.")

    say("")
    say("## Length")
    say("")
    say("Stereo, 48 kHz, 16-bit WAV; all threads; one run each. An exponent of 1 means in proportion to the length, 0 not at "
        "all. Recordings of more than 16.8 million samples (almost three minutes of stereo) are worked on in pieces.")
    say("")
    say("| minutes | analyse: wall, s | processor, s | exponent | memory, MB | restore with a curve: processor, s | exponent "
        "| memory, MB |")
    say("|---|---|---|---|---|---|---|---|")
    before = None
    for minutes in [1, 2, 10, *([60, 180] if options.long else [])]:
        sound = folder / "long.wav"
        sox(minute, "-c", 2, sound, "repeat", minutes - 1)
        a = run([program, "analyze", sound, "--quiet"])
        curve = as_long(CURVE, 60 * minutes, folder / "long.csv")
        r = run([program, "restore", sound, "--gain", curve, "-o", out, "--force", "--quiet"])
        grows = ["", ""] if before is None else [exponent((before[0], before[k]), (minutes, x)) for k, x in
                                                 [(1, a[1]), (2, r[1])]]
        say(f"| {minutes} | {a[0]:.1f} | {a[1]:.1f} | {grows[0]} | {a[2]:.0f} | {r[1]:.1f} | {grows[1]} | {r[2]:.0f} |")
        before = (minutes, a[1], r[1])

    say("")
    say("## Starting")
    say("")
    started = min(started_in(program) for _ in range(20))
    say(f"`agcfix --help`: {1000 * started:.1f} ms by the clock.")
    say("")
    say("## Every stage")
    say("")
    say("`cargo bench --bench stages` times each stage by itself. What was hot, and what was changed about it, is in "
        "[decisions](decisions.md).")


if __name__ == "__main__":
    main()
