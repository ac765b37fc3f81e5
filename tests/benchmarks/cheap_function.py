"""100,000 points of a Python function of a microsecond, through `multiprocessing` and a store.

The floor is `multiprocessing.Pool.map` of the same function with its best chunk size, plus one bare
`executemany` of the same rows. The figure is the median over the rounds of ours / the floor's mean
before and after.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pathlib
import sqlite3
import statistics
import tempfile
import time
from typing import Any

import numpy as np
import openturns as ot

import otwrap as otw


class Cheap(ot.OpenTURNSPythonFunction):
    """A function of about a microsecond."""

    def __init__(self) -> None:
        super().__init__(2, 1)

    def _exec(self, x: Any) -> list[float]:
        return cheap(x)


def cheap(x: Any) -> list[float]:
    """Return one number."""
    return [x[0] * x[1] + 1.0]


def pool_seconds(points: list[tuple[float, ...]]) -> float:
    """Return the seconds of `Pool.map` with the best of some chunk sizes."""
    times = []
    with multiprocessing.Pool(2) as pool:
        pool.map(cheap, points[:100])
        for chunk in (500, 2000, 10_000, 50_000):
            clock = time.perf_counter()
            pool.map(cheap, points, chunksize=chunk)
            times.append(time.perf_counter() - clock)
    return min(times)


def insert_seconds(rows: list[tuple[Any, ...]], folder: str) -> float:
    """Return the seconds of a bare `executemany` of the rows of a store."""
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        connection = sqlite3.connect(file.name, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"CREATE TABLE bare ({', '.join(f'c{i}' for i in range(len(rows[0])))})")
        clock = time.perf_counter()
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO bare VALUES ({', '.join('?' * len(rows[0]))})", rows)
        connection.execute("COMMIT")
        seconds = time.perf_counter() - clock
        connection.close()
    return seconds


def main() -> None:
    """Print the ratio."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--points", type=int, default=100_000)
    options = arguments.parse_args()
    random = np.random.default_rng(1)
    ratios, ours, floors = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "store.sqlite")
        with otw.Parallelizer(Cheap(), "multiprocessing", 2, False, store=path) as function:
            function(random.random((1000, 2)))
            for _ in range(options.rounds):
                points = ot.Sample(random.random((options.points, 2)))
                clock = time.perf_counter()
                function(points)
                ours.append(time.perf_counter() - clock)
                with sqlite3.connect(path) as reader:
                    rows = reader.execute(
                        "SELECT * FROM evaluations ORDER BY id DESC LIMIT ?", (options.points,)
                    ).fetchall()
                reader.close()
                tuples = list(map(tuple, np.array(points).tolist()))
                floors.append(pool_seconds(tuples) + insert_seconds(rows, folder))
                ratios.append(ours[-1] / floors[-1])
    print(
        f"cheap function: {statistics.median(ratios):.2f} times Pool.map + executemany "
        f"({min(ratios):.2f} to {max(ratios):.2f}); {statistics.median(ours):.2f} s against "
        f"{statistics.median(floors):.2f} s for {options.points} points (a shared machine)"
    )


if __name__ == "__main__":
    main()
