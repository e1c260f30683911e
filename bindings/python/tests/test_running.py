"""Threads, progress, interruption."""

import _thread
import pickle
import threading
import time

import numpy as np
import pytest

import agcfix


def test_the_number_of_threads_does_not_matter(tune):
    results = [agcfix.analyze(*tune, law="compressor", threads=n) for n in (None, 1, 2, 5)]
    documents = [pickle.dumps((r.to_dict(), r.gain_curve.gain_db)) for r in results]
    assert len(set(documents)) == 1


def test_several_python_threads_get_the_same(tune):
    results: list[agcfix.Analysis] = []
    threads = [
        threading.Thread(target=lambda: results.append(agcfix.analyze(*tune, law="compressor", threads=1)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 3 and results[0].to_dict() == results[1].to_dict() == results[2].to_dict()


def test_other_threads_go_on_meanwhile(tune):
    ticks = []
    is_over = threading.Event()

    def tick():
        while not is_over.wait(0.001):
            ticks.append(time.perf_counter())

    thread = threading.Thread(target=tick)
    thread.start()
    begun = time.perf_counter()
    agcfix.analyze(*tune, threads=1)
    took = time.perf_counter() - begun
    is_over.set()
    thread.join()
    inside = [t for t in ticks if begun < t < begun + took]
    # Without the interpreter's lock a tick comes every millisecond or so; with it there would be none at all.
    assert len(inside) > 20 * took, (len(inside), took)


def test_progress_is_told_in_order_on_the_callers_thread(tune):
    told = []
    agcfix.analyze(*tune, progress=lambda stage, share: told.append((stage, share, threading.get_ident())))
    stages = list(dict.fromkeys(stage for stage, _, _ in told))
    assert stages[0] == "following partials" and "searching gain laws" in stages
    assert all(0.0 <= share <= 1.0 for _, share, _ in told)
    assert {thread for _, _, thread in told} == {threading.get_ident()}


def test_false_stops_and_none_does_not(tune):
    begun = time.perf_counter()
    with pytest.raises(agcfix.errors.CancelledError):
        agcfix.analyze(*tune, progress=lambda stage, share: stage != "searching gain laws")
    assert time.perf_counter() - begun < 30
    assert agcfix.analyze(*tune, law="compressor", progress=lambda stage, share: None)


def test_what_the_callers_function_raises_comes_back(tune):
    def progress(stage, share):
        raise LookupError(stage)

    with pytest.raises(LookupError, match="following partials"):
        agcfix.analyze(*tune, progress=progress)


def test_ctrl_c_stops_long_work(tune):
    long = np.tile(tune[0], 40)
    timer = threading.Timer(0.5, _thread.interrupt_main)
    begun = time.perf_counter()
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        agcfix.analyze(long, tune[1])
    assert time.perf_counter() - begun < 15


@pytest.mark.parametrize("threads", [0, -1, "two"])
def test_no_threads_are_refused(tune, threads):
    with pytest.raises((agcfix.errors.InvalidError, OverflowError, TypeError)):
        agcfix.analyze(*tune, threads=threads)
