"""What a backend adds to its engine: time per point over the engine's own bare `map` of the same evaluation.

The evaluation sleeps, for 10 ms and for 1 ms, two at a time. Both are up before the clock starts, each with two
places of the same engine, and take turns in one run: the figure of a backend is the median over the rounds of
its time divided by the mean of the bare maps before and after it. Ours returns the answers of an OpenTURNS
function, with a record each; the bare map makes a call of each point, no chunks.

Engines that are not installed are left out. That of MPI runs in a job of its own, for which mpiexec must be there.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import pathlib
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from multiprocessing import get_context

import openturns as ot

import otwrap as otw

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
from engines import MPIEXEC, in_private_network, ipyparallel, until  # noqa: E402

#: A bare map: how long an evaluation sleeps in seconds, and how many there are.
Bare = Callable[[float, int], object]
PLACES = 2
#: What every backend is to stay below, for evaluations of 10 ms.
AIM = 1.15


def sleep(seconds: float) -> float:
    """Do what the model does."""
    import time

    time.sleep(seconds)
    return seconds


class Sleep(ot.OpenTURNSPythonFunction):
    """The model; its second input tells points apart."""

    def __init__(self) -> None:
        super().__init__(2, 1)

    def _exec(self, x: list[float]) -> list[float]:
        import time

        time.sleep(x[0])
        return [x[0]]


def of_executor(executor: Executor) -> Bare:
    """Return the map of an executor."""
    return lambda seconds, size: list(executor.map(time.sleep, [seconds] * size, chunksize=1))


@contextmanager
def bare_threads() -> Iterator[Bare]:
    with ThreadPoolExecutor(PLACES) as executor:
        yield of_executor(executor)


@contextmanager
def bare_multiprocessing() -> Iterator[Bare]:
    with get_context("spawn").Pool(PLACES) as pool:
        yield lambda seconds, size: pool.map(sleep, [seconds] * size, chunksize=1)


@contextmanager
def bare_joblib() -> Iterator[Bare]:
    import joblib

    with joblib.Parallel(PLACES, batch_size=1) as parallel:
        yield lambda seconds, size: parallel(joblib.delayed(sleep)(seconds) for _ in range(size))


@contextmanager
def bare_executor() -> Iterator[Bare]:
    with ProcessPoolExecutor(PLACES, get_context("spawn")) as executor:
        yield of_executor(executor)


@contextmanager
def bare_ipyparallel() -> Iterator[Bare]:
    import ipyparallel as ipp

    with ipyparallel(PLACES), ipp.Client() as client:
        view = client.load_balanced_view()
        yield lambda seconds, size: view.map_sync(sleep, [seconds] * size)


@contextmanager
def bare_dask() -> Iterator[Bare]:
    from distributed import Client, LocalCluster

    settings = {"dashboard_address": None, "worker_dashboard_address": None}
    with (
        LocalCluster(n_workers=PLACES, threads_per_worker=1, host="127.0.0.1", **settings) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield lambda seconds, size: client.gather(client.map(sleep, [seconds] * size, pure=False))


@contextmanager
def bare_dispy() -> Iterator[Bare]:
    import dispy

    node = shutil.which("dispynode.py") or str(pathlib.Path(sys.executable).with_name("dispynode.py"))
    secret, address = secrets.token_hex(), "127.0.0.2"
    before = os.getcwd()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chdir(folder)  # it writes into the current one
        options = [
            "--daemon",
            "-c",
            str(PLACES),
            "-i",
            address,
            "-s",
            secret,
            "--clean",
            "--dest_path_prefix",
            folder,
        ]
        process = subprocess.Popen(
            [sys.executable, node, *options], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
        )
        try:
            cluster = dispy.JobCluster(
                sleep, nodes=[address], host="127.0.0.1", secret=secret, loglevel=logging.ERROR
            )
            yield lambda seconds, size: [job() for job in [cluster.submit(seconds) for _ in range(size)]]
            cluster.close()
        finally:
            process.terminate()
            process.wait()
            os.chdir(before)


@contextmanager
def bare_mpi() -> Iterator[Bare]:
    from mpi4py.futures import MPIPoolExecutor

    with MPIPoolExecutor(main=False, path=sys.path) as executor:
        # Those that our workers leave over.
        assert until(lambda: executor.num_workers == 2 * PLACES)
        yield of_executor(executor)


#: Backend -> the package that it needs, and the engine's own map.
ENGINES: dict[str, tuple[str, Callable[[], AbstractContextManager[Bare]]]] = {
    "threads": ("concurrent", bare_threads),
    "multiprocessing": ("multiprocessing", bare_multiprocessing),
    "joblib": ("joblib", bare_joblib),
    "executor": ("concurrent", bare_executor),
    "ipyparallel": ("ipyparallel", bare_ipyparallel),
    "dask": ("distributed", bare_dask),
    "dispy": ("dispy", bare_dispy),
    "mpi": ("mpi4py", bare_mpi),
}


@contextmanager
def started(name: str) -> Iterator[otw.Campaign]:
    """Run our backend on an engine of its own."""
    if name == "executor":
        with (
            ProcessPoolExecutor(PLACES, get_context("spawn")) as executor,
            otw.Campaign(Sleep(), executor, PLACES, verbosity=False) as campaign,
        ):
            yield campaign
    elif name == "ipyparallel":
        with ipyparallel(PLACES), otw.Campaign(Sleep(), name, PLACES, verbosity=False) as campaign:
            campaign.outputs([[0.0, -1.0]])  # while it finds this cluster, and not the other one
            yield campaign
    else:
        with otw.Campaign(Sleep(), name, PLACES, verbosity=False) as campaign:
            yield campaign


def timed(function: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of a call."""
    clock = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - clock


def measure(name: str, options: argparse.Namespace) -> bool:
    """Print what a backend adds; return whether it stays below the aim."""
    good, number = True, 0
    with started(name) as campaign, ENGINES[name][1]() as bare:

        def ours(seconds: float, size: int) -> None:
            nonlocal number
            number += size
            campaign.outputs([[seconds, float(number + i)] for i in range(size)])

        for seconds in (0.010, 0.001):
            ours(seconds, 20 * PLACES)
            bare(seconds, 20 * PLACES)
            ratios, floors, times = [], [timed(bare, seconds, options.points)], []
            for _ in range(options.rounds):
                times.append(timed(ours, seconds, options.points))
                floors.append(timed(bare, seconds, options.points))
                ratios.append(2 * times[-1] / (floors[-1] + floors[-2]))
            ratio = statistics.median(ratios)
            good = good and (seconds < 0.010 or ratio <= AIM)
            each = [statistics.median(values) / options.points * PLACES * 1e3 for values in (times, floors)]
            print(
                f"{name:16} {seconds * 1e3:4.0f} ms: {ratio:.3f} times the bare map ({min(ratios):.3f} to {max(ratios):.3f}); "
                f"a place is busy for {each[0]:.2f} ms a point, by the bare map {each[1]:.2f} ms",
                flush=True,
            )
    return good


def in_a_job(options: argparse.Namespace) -> bool:
    """Measure MPI in a job of one driver, two places for us and two for the bare map."""
    command = [*MPIEXEC[:-1], str(1 + 2 * PLACES), sys.executable, "-m", "mpi4py.futures", __file__]
    sizes = ["--rounds", str(options.rounds), "--points", str(options.points)]
    return subprocess.run(in_private_network([*command, "--backends", "mpi", *sizes])).returncode == 0


def main() -> int:
    """Print two ratios for each backend; the exit code says whether all stay below the aim."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--points", type=int, default=200)
    arguments.add_argument("--backends", nargs="+", choices=ENGINES, default=list(ENGINES))
    options = arguments.parse_args()
    good = True
    for name in options.backends:
        package = ENGINES[name][0]
        if importlib.util.find_spec(package) is None:
            print(f"{name:16} left out: {package} is not installed")
        elif name == "mpi" and "mpi4py.futures._core" not in sys.modules:
            if shutil.which("mpiexec") is None:
                print(f"{name:16} left out: there is no mpiexec")
            else:
                good = in_a_job(options) and good
        else:
            good = measure(name, options) and good
    if not good:
        print(f"more than {AIM} times the bare map of 10 ms")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
