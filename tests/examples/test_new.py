"""`otwrap new` makes the wrapper of every example anew, from its nominal input and an answers file."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from otwrap.cli.group import otwrap
from otwrap.examples.building import find_compiler
from otwrap.models import find_model

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def new(*arguments: object) -> str:
    """Run `otwrap new` and return what it prints."""
    result = CliRunner().invoke(otwrap, ["new", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stdout


def program(folder: Path, name: str, command: list[str]) -> None:
    """Put a program into a folder that does what a command does."""
    path = folder / name
    path.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
    path.chmod(0o755)


def made(name: str, folder: Path, case: str = ".") -> tuple[Any, str]:
    """Return the wrapper that the answers of an example make, and what was said."""
    example = EXAMPLES / name
    said = new("--case", example / case, "--answers", example / "answers.toml", "--into", folder)
    return find_model(f"{folder / 'wrapper.py'}").model, said


def check(theirs: Any, ours: Any, said: str) -> None:
    """Check that two wrappers give the same at the nominal point, to the last bit."""
    assert (ours.inputs, ours.outputs, ours.nominal) == (theirs.inputs, theirs.outputs, theirs.nominal)
    evaluation = ours.evaluate(ours.nominal)
    assert evaluation.output == theirs.evaluate(theirs.nominal).output, evaluation.error
    assert "NOT" not in said and "as in the nominal case" in said


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of programs that are found first; the doctor looks around in a folder where nobody else works."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "path", list(sys.path))
    return folder


def test_beam(path: Path, tmp_path: Path) -> None:
    """The beam's XML becomes a wrapper that gives the same deviation."""
    from otwrap.examples.beam import Beam
    from otwrap.examples.beam.executable import executable

    theirs, case = Beam(), tmp_path / "case"
    case.mkdir()
    theirs.prepare(theirs.nominal, case)
    program(path, "beam", executable())
    said = new("--case", case, "--answers", EXAMPLES / "beam" / "answers.toml", "--into", tmp_path / "new")
    check(theirs, find_model(str(tmp_path / "new" / "wrapper.py")).model, said)


@pytest.mark.services
@pytest.mark.parametrize(
    ("name", "wrapper", "programs", "case"),
    [
        ("ccx_beam", "beam", ["ccx"], "."),
        ("ngspice_rlc", "rlc", ["ngspice"], "."),
        ("gmsh_getdp", "ring", ["gmsh", "getdp"], "."),
        pytest.param(
            *("openfoam_heat", "bar", ["blockMesh", "laplacianFoam"], "case"), marks=pytest.mark.openfoam
        ),
    ],
)
def test_code(
    name: str,
    wrapper: str,
    programs: list[str],
    case: str,
    tmp_path: Path,
    need: Callable[[bool, str], None],
) -> None:
    """The nominal case of a real code becomes a wrapper that gives the same as the example's."""
    for command in programs:
        need(shutil.which(command) is not None, f"{command} is not installed")
    theirs = getattr(import_module(f"otwrap.examples.{name}"), wrapper)
    check(theirs, *made(name, tmp_path / "new", case))


@pytest.mark.services
@pytest.mark.parametrize(
    ("name", "wrapper", "package", "front_end"),
    [("swmm_net", "Swmm", "swmm", "runswmm"), ("epanet_net", "Epanet", "wntr", "runepanet")],
)
def test_library_with_a_front_end(
    name: str,
    wrapper: str,
    package: str,
    front_end: str,
    path: Path,
    tmp_path: Path,
    need: Callable[[bool, str], None],
) -> None:
    """The same for a code whose program is the example's own front end to a library."""
    need(sys.platform == "linux" and find_spec(package) is not None, f"{package} is not installed")
    need(bool(find_compiler()), "there is no C compiler")
    theirs = getattr(import_module(f"otwrap.examples.{name}"), wrapper)()
    program(path, front_end, [theirs.commands[0].argv[0]])
    check(theirs, *made(name, tmp_path / "new"))
