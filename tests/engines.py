"""The engines of the backends, started for the tests on the loopback address and ended afterwards.

Each is a context manager, after whose entry the backend of this name finds the engine by itself.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

__all__ = ["ENGINES", "MPIEXEC", "Missing", "PATIENCE", "dask", "in_private_network", "ipyparallel", "until"]

#: Seconds that engines have to start on a machine that is busy with other things.
PATIENCE = 60.0


class Missing(Exception):
    """What an engine needs is not installed; the text says what."""


def until(condition: Callable[[], object], seconds: float = PATIENCE) -> bool:
    """Wait for something; return whether it came."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def in_private_network(command: list[str]) -> list[str]:
    """Return a command that sees the loopback address only, where that can be had; it is root's."""
    inside = ["unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    try:
        tried = subprocess.run([*inside, "true"], capture_output=True, check=False)
    except OSError:
        return command
    return [*inside, *command] if tried.returncode == 0 else command


@contextmanager
def ipyparallel(engines: int = 2) -> Iterator[Path]:
    """Run a controller and engines under the default profile of a folder of their own; yield the folder."""
    if importlib.util.find_spec("ipyparallel") is None:
        raise Missing("ipyparallel is not installed: pip install 'otwrap[ipyparallel]'")
    folder = Path(tempfile.mkdtemp(prefix="otwrap-tests-ipython-"))
    file = folder / "profile_default" / "security" / "ipcontroller-client.json"
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPYTHONDIR", str(folder))
        try:
            with (folder / "log.txt").open("w") as log:
                controller = [
                    sys.executable,
                    "-m",
                    "ipyparallel.controller",
                    "--ip=127.0.0.1",
                    "--log-level=40",
                ]
                started.append(subprocess.Popen(controller, stdout=log, stderr=log))
                assert until(lambda: file.exists() and _is_json(file)), (folder / "log.txt").read_text()
                for _ in range(engines):
                    engine = [sys.executable, "-m", "ipyparallel.engine", "--log-level=40"]
                    started.append(subprocess.Popen(engine, stdout=log, stderr=log))
            _wait_for_engines(engines)
            yield folder
        finally:
            for process in reversed(started):
                process.terminate()
            for process in started:
                try:
                    process.wait(timeout=5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def dask() -> Iterator[None]:
    """See that dask is there: the backend starts a cluster of its own."""
    if importlib.util.find_spec("distributed") is None:
        raise Missing("dask is not installed: pip install 'otwrap[dask]'")
    yield


@contextmanager
def dispy() -> Iterator[None]:
    """See that dispy is there: the backend starts a node of its own."""
    if importlib.util.find_spec("dispy") is None:
        raise Missing("dispy is not installed: pip install 'otwrap[dispy]'")
    yield


def _is_json(file: Path) -> bool:
    """Whether a file is written to its end."""
    try:
        return bool(json.loads(file.read_text()))
    except ValueError:
        return False


def _wait_for_engines(engines: int) -> None:
    """Wait until engines have registered."""
    import ipyparallel as ipp

    client = ipp.Client(timeout=PATIENCE)
    client.wait_for_engines(engines, timeout=PATIENCE, interactive=False)
    client.close()


#: Starts three processes of an MPI job on this machine, however few CPUs it has, and be it as root.
MPIEXEC = [
    *(
        "env",
        "OMPI_ALLOW_RUN_AS_ROOT=1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1",
        "OMPI_MCA_rmaps_base_oversubscribe=1",
    ),
    *("mpiexec", "-n", "3"),
]

#: Backend -> its engine.
ENGINES: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "ipyparallel": ipyparallel,
    "dask": dask,
    "dispy": dispy,
}
if "mpi4py.futures._core" in sys.modules:
    # Then these tests run inside an MPI job, see tests/services/test_mpi.py, and there is nothing to start.
    from contextlib import nullcontext

    ENGINES = {"mpi": nullcontext}
