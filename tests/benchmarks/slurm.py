"""What a batch system costs: points in chunks against one job per point, on a real Slurm of two nodes here.

One job per point is what is written by hand, and by tools that write a script for each: a folder with a script, an
`sbatch` of each, and the points' own program in it. Ours is one array whose tasks evaluate a chunk each, from the
call that submits to the last record in the store. Both evaluate the same function, which sleeps for a millisecond; the
job of one point runs a Python that does so, without otwrap or OpenTURNS. The peer's time is measured on fewer points,
and scaled: it is the same for each point.

Then 100,000 points are submitted: how long until the call returns, and how large the folder is when all have come.

Root, `sbatch`, `slurmctld` and `munged` are needed, nothing else: the Slurm is started here, on the loopback address,
and ended.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import openturns as ot

import otwrap as otw

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from servers import slurm  # noqa: E402

#: How many times the throughput of one job per point is aimed at, seconds to submit, and bytes of the folder.
AIM, SECONDS, BYTES = 50.0, 5.0, 50e6
#: Points of a task.
CHUNK = 500


class Sleep(ot.OpenTURNSPythonFunction):
    """The model; its second input tells points apart."""

    def __init__(self) -> None:
        super().__init__(2, 1)

    def _exec(self, x: list[float]) -> list[float]:
        import time

        time.sleep(x[0])
        return [x[0]]


def one_job_per_point(folder: pathlib.Path, size: int) -> float:
    """Return the seconds from the first `sbatch` to the last output."""
    for number in range(size):
        place = folder / f"{number:06d}"
        place.mkdir(parents=True)
        code = "import time; time.sleep(0.001); open('out.txt', 'w').write('0.001')"
        script = f'#!/bin/sh\n#SBATCH --output=log.txt\n{sys.executable} -c "{code}"\n'
        (place / "jobscript").write_text(script)
    clock = time.perf_counter()
    for number in range(size):
        command = ["sbatch", "--parsable", "jobscript"]
        subprocess.run(command, cwd=folder / f"{number:06d}", check=True, stdout=subprocess.DEVNULL)
    while len(list(folder.glob("*/out.txt"))) < size:
        time.sleep(0.05)
    return time.perf_counter() - clock


def in_chunks(folder: pathlib.Path, size: int, chunk: int) -> tuple[float, float]:
    """Return the seconds until `submit` has returned, and until the last record is in the store."""
    points = [[0.001, float(number)] for number in range(size)]
    clock = time.perf_counter()
    submission = otw.submit(Sleep(), points, scheduler="slurm", folder=folder, chunk=chunk)
    submitted = time.perf_counter() - clock
    status = submission.wait()
    assert status.done == size, status
    return submitted, time.perf_counter() - clock


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=2000)
    parser.add_argument("--peer-points", type=int, default=200)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with slurm(cpus=2), tempfile.TemporaryDirectory(prefix="otwrap-benchmark-") as name:
        place = pathlib.Path(name)
        ratios = []
        for number in range(options.rounds):
            peer = one_job_per_point(place / f"peer-{number}", options.peer_points) / options.peer_points
            _, seconds = in_chunks(place / f"ours-{number}", options.points, CHUNK)
            ratios.append(peer / (seconds / options.points))
            print(
                f"{options.points} points of 1 ms: {1e3 * peer:.1f} ms a point with one job each, "
                f"{seconds:.2f} s in chunks of {CHUNK}: {ratios[-1]:.0f} times the throughput",
                flush=True,
            )
        print(f"median {sorted(ratios)[len(ratios) // 2]:.0f} times, aim {AIM:.0f}")
        submitted, seconds = in_chunks(place / "many", options.many, 2000)
        size = sum(path.stat().st_size for path in (place / "many").rglob("*") if path.is_file())
        print(
            f"{options.many} points: submitted in {submitted:.2f} s (aim {SECONDS:.0f}), all there after {seconds:.0f} s; "
            f"the folder has {size / 1e6:.1f} MB (aim {BYTES / 1e6:.0f}), the store in it included"
        )


if __name__ == "__main__":
    main()
