"""What a record costs in a small store and in one of a million, and what it costs to open the latter.

    python tests/benchmarks/store_scale.py [--records 1000000] [--rounds 41]

Records are put in commits of 100, as a busy campaign does. A small store, of 1,000 records to begin with,
and the large one are timed in turns: shared machines jump between speeds, and the median of the ratios
survives that. To open and to resume are timed in processes of their own, which also tell how much memory
they took beside Python and otwrap. Times are CPU times, unless the wall clock is named: what other programs
on the machine take is not the store's.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from otwrap.evaluation import Evaluation, point_keys
from otwrap.store import Store

NAMES = ["a", "b", "c", "d"]
PRINTS = {"input": "a", "run": "b", "parsers": "c"}
BATCH = 100

OPEN = """
import resource, sys, time
import openturns, numpy
from otwrap.campaign import Campaign
from otwrap.store import Store

def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

store = Store()
store.select(["a"], ["y"], {})
store.close()
before, clock, cpu = peak(), time.perf_counter(), time.process_time()
store = Store(sys.argv[1])
store.select(["a", "b", "c", "d"], ["y"], {"input": "a", "run": "b", "parsers": "c"})
wall, opened = time.perf_counter() - clock, time.process_time() - cpu
for key in list(store.keys())[:: max(len(store) // 10000, 1)]:
    assert store.known(key)[0] == "done" and store.last(key).done
print(wall, opened, time.process_time() - cpu, peak() - before)
"""


def batches(seed: int) -> Iterator[list[tuple[bytes, Evaluation]]]:
    """Yield what a campaign puts at a time, random points without end."""
    random = np.random.default_rng(seed)
    while True:
        points = list(map(tuple, random.random((BATCH, len(NAMES))).tolist()))
        yield [
            (key, Evaluation(point, (1.0,), "done", "", "", 1.5, 1.25, 10**7, 0, 1, "machine", None, 1.7e9))
            for key, point in zip(point_keys(points), points, strict=True)
        ]


def filled(path: Path, records: int, source: Iterator[list[tuple[bytes, Evaluation]]]) -> Store:
    """Return a store with so many records."""
    store = Store(path)
    store.select(NAMES, ["y"], PRINTS)
    while len(store) < records:
        store.put_many([record for _ in range(10) for record in next(source)])
    return store


def seconds(store: Store, source: Iterator[list[tuple[bytes, Evaluation]]], commits: int = 20) -> float:
    """Return how long a record takes to be put, in seconds."""
    work = [next(source) for _ in range(commits)]
    gc.collect()
    clock = time.process_time()
    for batch in work:
        store.put_many(batch)
    return (time.process_time() - clock) / (commits * BATCH)


def growth(folder: Path, records: int, rounds: int) -> tuple[float, float, float]:
    """Return the costs of a record in a small and in a large store, in seconds, and the median ratio."""
    source = batches(1)
    with filled(folder / "large.db", records, source) as large:
        pairs = []
        for number in range(rounds):
            # A fresh one each time, so that it stays small.
            with filled(folder / f"small{number}.db", 1000, source) as small:
                pairs.append((seconds(small, source), seconds(large, source)))
    small_cost, large_cost = (statistics.median(column) for column in zip(*pairs, strict=True))
    return small_cost, large_cost, statistics.median(large / small for small, large in pairs)


def opening(path: Path, rounds: int = 3) -> tuple[float, ...]:
    """Return seconds to open by the wall clock and of CPU, seconds to serve 10,000 points too, and MiB."""
    told = []
    for _ in range(rounds):
        ended = subprocess.run(
            [sys.executable, "-c", OPEN, os.fspath(path)], capture_output=True, text=True, check=True
        )
        told.append(tuple(map(float, ended.stdout.split())))
    return tuple(statistics.median(column) for column in zip(*told, strict=True))


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--records", type=int, default=1_000_000)
    arguments.add_argument("--rounds", type=int, default=41)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large, ratio = growth(folder, options.records, options.rounds)
        print(f"cost of a record: {small * 1e6:.1f} us at 1,000, {large * 1e6:.1f} us at {options.records:,}")
        print(f"ratio: {ratio:.3f}")
        wall, opened, resumed, memory = opening(folder / "large.db")
        print(f"opened in {opened:.2f} s ({wall:.2f} s by the wall clock), with {memory:.0f} MiB more")
        print(f"resumed, with 10,000 points served, in {resumed:.2f} s")


if __name__ == "__main__":
    main()
