"""What all tests share."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from clusters import ENGINES, QUEUES, Engine
from engines import Missing
from gridengine import GridEngine, gridengine
from servers import Slurm, slurm

Server = TypeVar("Server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is slow, visibly, unless ``-m`` speaks of it."""
    if "slow" in config.getoption("-m"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run it with `pytest -m slow`"))


@pytest.fixture(autouse=True, scope="session")
def temporary_folder() -> Iterator[None]:
    """Have the work directories that tests keep go where they are cleaned up."""
    with tempfile.TemporaryDirectory(prefix="otwrap-tests-", ignore_cleanup_errors=True) as folder:
        # Some tests give up their privileges, and still need a temporary folder.
        Path(folder).chmod(0o1777)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TMPDIR", folder)
            patch.setattr("tempfile.tempdir", None)
            yield


@pytest.fixture(autouse=True)
def same_place() -> Iterator[None]:
    """Check that no test leaves the process in another folder."""
    before = Path.cwd()
    yield
    after = Path.cwd()
    os.chdir(before)
    assert after == before, f"the test left the process in {after}"


@pytest.fixture(params=["plain", "with space", "a'b; echo c", 'a"=0"', "été_{x}_%d_$HOME"])
def odd_folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a folder whose name is not what a shell or a format string expects."""
    folder = tmp_path / request.param
    folder.mkdir()
    return folder


@pytest.fixture
def fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], Path]:
    """Return a function of a name and a shell script that puts such a program first in the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(name: str, script: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    return make


@pytest.fixture(scope="session")
def need() -> Callable[[bool, str], None]:
    """Return a function that skips a test whose service is not there, and fails it where CI requires it."""

    def need(found: bool, reason: str) -> None:
        if not found and os.environ.get("OTWRAP_REQUIRE_SERVICES") == "1":
            pytest.fail(f"required, but {reason}")
        if not found:
            pytest.skip(reason)

    return need


@pytest.fixture(scope="session")
def started_engines() -> Iterator[Callable[[str], Engine]]:
    """Return a function that starts an engine, once for all tests."""
    started: dict[str, Engine] = {}
    with ExitStack() as stack:

        def start(name: str) -> Engine:
            if name not in started:
                started[name] = stack.enter_context({**ENGINES, **QUEUES}[name]())
            return started[name]

        yield start


@pytest.fixture
def engine(
    need: Callable[[bool, str], None], started_engines: Callable[[str], Engine]
) -> Callable[[str], Engine]:
    """Return a function that starts an engine, or skips the test where it is not installed."""

    def start(name: str) -> Engine:
        try:
            return started_engines(name)
        except Missing as missing:
            need(False, str(missing))
            raise

    return start


@pytest.fixture(scope="module")
def slurm_cluster(need: Callable[[bool, str], None]) -> Iterator[Slurm]:
    """Return a Slurm of two nodes, of two CPUs each, that the commands of this process find."""
    with ExitStack() as stack:
        yield _entered(stack, slurm(), need)


@pytest.fixture(scope="module")
def gridengine_cell(need: Callable[[bool, str], None]) -> Iterator[GridEngine]:
    """Return a Grid Engine of one node with four slots that the commands of this process find."""
    with ExitStack() as stack:
        yield _entered(stack, gridengine(), need)


def _entered(
    stack: ExitStack, server: AbstractContextManager[Server], need: Callable[[bool, str], None]
) -> Server:
    """Return a server that is started, or skip the test where it is not installed."""
    try:
        return stack.enter_context(server)
    except Missing as missing:
        need(False, str(missing))
        raise
