"""What otwrap adds to spawning a code: 200 points of a compiled code, two at a time.

The floor is a C loop in two processes that spawns the code alone, in folders prepared beforehand. Each
contestant runs between two floors, and its figure is the median over the rounds of its time divided by
the mean of its two floors: shared machines jump between two speeds, and a ratio survives that.

Every contestant makes its folders, writes the input from a template, sends the streams to files, parses
the output, checks it and commits a record to a store on disk. Its workers are up before it is timed, as
they live as long as the function; the time of the first sample, start included, is printed too.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import otwrap as otw

HERE = pathlib.Path(__file__).parent


def build(folder: pathlib.Path, name: str) -> str:
    """Compile one of the C files."""
    program = folder / name
    subprocess.run(["cc", "-O2", "-o", program, HERE / f"{name}.c"], check=True)
    return str(program)


def floor(program: str, code: str, points: np.ndarray) -> float:
    """Return the seconds of the C loop, in fresh folders."""
    with tempfile.TemporaryDirectory() as folder:
        for i, x in enumerate(points):
            place = pathlib.Path(folder, str(i))
            place.mkdir()
            (place / "input.txt").write_text(" ".join(map(repr, x.tolist())))
        ended = subprocess.run([program, code, str(len(points)), folder], capture_output=True, check=True)
    return float(ended.stdout)


def wrapper(folder: pathlib.Path, code: str) -> otw.Wrapper:
    """Return the code as a wrapper."""
    template = folder / "template.txt"
    template.write_text("@a @b @c @d\n")
    return otw.Wrapper(
        inputs=["a", "b", "c", "d"],
        outputs=["y"],
        templates={"input.txt": template},
        tokens=["@a", "@b", "@c", "@d"],
        command=[code],
        parsers=[otw.parsers.Value("output.txt", "y =")],
    )


def main() -> None:
    """Print a ratio for each backend."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--points", type=int, default=200)
    arguments.add_argument("--backends", nargs="+", default=["multiprocessing", "threads", "joblib"])
    options = arguments.parse_args()
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        code, loop = build(folder, "code"), build(folder, "floor")
        model = wrapper(folder, code)
        functions, first = {}, {}
        for backend in options.backends:
            clock = time.perf_counter()
            functions[backend] = otw.Parallelizer(
                model, backend, 2, False, store=folder / f"{backend}.sqlite"
            )
            functions[backend](random.random((options.points, 4)) + 1.0)
            first[backend] = time.perf_counter() - clock
        ratios: dict[str, list[float]] = {backend: [] for backend in functions}
        floors = []
        for _ in range(options.rounds):
            for backend, function in functions.items():
                points = random.random((options.points, 4)) + 1.0
                before = floor(loop, code, points)
                clock = time.perf_counter()
                answer = function(points)
                seconds = time.perf_counter() - clock
                after = floor(loop, code, points)
                expected = points[:, 0] * points[:, 1] + points[:, 2] / points[:, 3]
                if not np.array_equal(np.array(answer)[:, 0], expected):
                    sys.exit(f"{backend}: a wrong answer")
                ratios[backend].append(seconds / ((before + after) / 2))
                floors += [before, after]
        print(f"floor: {statistics.median(floors) / options.points * 1e3:.3f} ms a point (a shared machine)")
        for backend, values in ratios.items():
            print(
                f"{backend:16} {statistics.median(values):.2f} times the floor "
                f"({min(values):.2f} to {max(values):.2f}); first sample, start included: {first[backend]:.2f} s"
            )
            functions[backend].close()


if __name__ == "__main__":
    main()
