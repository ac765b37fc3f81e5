"""What tests of engines share, and a small cluster of ipyparallel on the loopback address."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["MPIEXEC", "Missing", "PATIENCE", "in_private_network", "ipyparallel", "until"]

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
