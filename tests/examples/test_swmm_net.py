"""The channel by EPA SWMM 5 meets Manning's formula, and none of the code's traps gives a wrong number."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import openturns as ot
import pytest

import otwrap as otw
from otwrap.examples.building import find_compiler
from otwrap.examples.swmm_net import Swmm

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "swmm_net"
TEXTS = {"@N@": "0.02", "@SLOPE@": "0.8", "@Q@": "10", "@W@": "4"}


@pytest.fixture
def swmm(need: Callable[[bool, str], None]) -> Swmm:
    """Return the example's wrapper, where the code is installed."""
    need(sys.platform == "linux" and find_spec("swmm") is not None, "swmm-toolkit is not installed")
    need(bool(find_compiler()), "there is no C compiler")
    return Swmm()


def manning(N: float, drop: float, Q: float, W: float) -> float:
    """Return the velocity at normal depth, whose equation is solved by bisection."""
    low, high = 0.0, 1e3
    for _ in range(200):
        y = (low + high) / 2
        if W * y * (W * y / (W + 2 * y)) ** (2 / 3) * (drop / 400) ** 0.5 / N < Q:
            low = y
        else:
            high = y
    return Q / (W * low)


def evaluation_of_text(
    swmm: Swmm, texts: dict[str, str], commands: Sequence[otw.Command] = ()
) -> otw.Evaluation:
    """Evaluate the example's command and parser with texts, as they stand, for some tokens."""
    constants = {f"@{name}@": text for name, text in texts.items()}
    inputs = [token for token in TEXTS if token not in constants]
    wrapper = otw.Wrapper(
        inputs=[token.strip("@") for token in inputs],
        outputs=["velocity"],
        templates={"net.inp": otw.Template(EXAMPLE / "net.inp.tmpl", inputs, constants=constants)},
        command=commands or swmm.commands,
        parsers=swmm.parsers,
    )
    return wrapper.evaluate([float(TEXTS[token]) for token in inputs])


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        ((0.01782898977, 0.6413586783, 11.50934473, 3.21730886), 2.01),
        ((0.02164587608, 0.9851022671, 5.579989248, 4.5223072), 1.59),
        ((0.01267492185, 1.093833094, 5.698554236, 3.27213904), 2.54),
    ],
)
def test_known_values(point: tuple[float, ...], printed: float, swmm: Swmm) -> None:
    """The velocity is that of the report, but with all the digits of the binary file."""
    (velocity,) = swmm.evaluate(point).output
    assert round(velocity, 2) == printed
    assert velocity == pytest.approx(manning(*point), rel=5e-5)


def test_random_points(swmm: Swmm) -> None:
    """Each of 20 points of the distribution, and each of its corners, meets Manning's formula."""
    ranges = [swmm.distribution.getMarginal(i).getRange() for i in range(4)]
    corners = itertools.product(*[(r.getLowerBound()[0], r.getUpperBound()[0]) for r in ranges])
    X = swmm.distribution.getSample(20)
    X.add(ot.Sample(list(corners)))
    with otw.Parallelizer(swmm) as f:
        assert [y[0] for y in f(X)] == [pytest.approx(manning(*x), rel=5e-5) for x in X]


@pytest.mark.parametrize(
    ("point", "cause", "word"),
    [
        ([0.0, 0.8, 10.0, 4.0], "failure pattern", "ERROR 113: invalid roughness"),
        ([-0.02, 0.8, 10.0, 4.0], "failure pattern", "ERROR 113: invalid roughness"),
        ([0.02, -0.8, 10.0, 4.0], "failure pattern", "ERROR 115: adverse slope"),
        ([0.02, 0.0, 10.0, 4.0], "failure pattern", "WARNING 04: minimum elevation drop"),
        ([0.02, 450.0, 10.0, 4.0], "failure pattern", "WARNING 08: elevation drop exceeds length"),
        ([0.02, 0.8, 10.0, 0.0], "failure pattern", "ERROR 211: invalid number"),
        ([0.02, 0.8, 1e4, 4.0], "success pattern missing", "No nodes were flooded"),
        ([0.02, 0.8, 10.0, 1e-3], "success pattern missing", "No nodes were flooded"),
        ([0.02, 0.8, -10.0, 4.0], "success pattern missing", "Continuity Error"),
        ([float("nan"), 0.8, 10.0, 4.0], "input", "input N = nan"),
        ([0.02, 0.8, float("inf"), 4.0], "input", "input Q = inf"),
    ],
)
def test_traps(point: list[float], cause: str, word: str, swmm: Swmm) -> None:
    """What SWMM tells in its report only, with exit code 0, is a failure; so is an inflow that it floods away."""
    evaluation = swmm.evaluate(point)
    assert (evaluation.status, evaluation.cause) == ("failed", cause)
    assert word in evaluation.error
    assert evaluation.exit_code == (None if cause == "input" else 0)


@pytest.mark.parametrize(
    ("texts", "cause", "word"),
    [
        ({"N": "0"}, "failure pattern", "ERROR 113"),
        ({"N": "nan"}, "failure pattern", "ERROR 103: cannot solve KW equations"),
        ({"Q": "inf"}, "success pattern missing", "No nodes were flooded"),
        ({"Q": "1e4"}, "success pattern missing", "No nodes were flooded"),
        ({"Q": "50M"}, "failure pattern", "ERROR 211: invalid number 50M"),
        ({"W": "abc"}, "failure pattern", "ERROR 211: invalid number abc"),
    ],
)
def test_text_traps(texts: dict[str, str], cause: str, word: str, swmm: Swmm) -> None:
    """A text that SWMM cannot use, or takes for an infinite inflow, is a failure whoever wrote it."""
    evaluation = evaluation_of_text(swmm, texts)
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("failed", cause, 0)
    assert word in evaluation.error


def test_texts_are_run(swmm: Swmm) -> None:
    """The same with good texts gives the velocity, so that it is the texts that fail above."""
    evaluation = evaluation_of_text(swmm, {"N": "0.02", "Q": "1e1"})
    assert evaluation.output == (pytest.approx(manning(0.02, 0.8, 10.0, 4.0), rel=5e-5),)


def test_no_continuity(swmm: Swmm) -> None:
    """The continuity error of an infinite inflow, -nan, is a failure even where no node counts as flooded."""
    command = swmm.commands[0].replace(success=[swmm.commands[0].success[1]])
    evaluation = evaluation_of_text(swmm, {"Q": "inf"}, [command])
    assert (evaluation.status, evaluation.cause) == ("failed", "success pattern missing")
    assert "Continuity Error" in evaluation.error
    assert evaluation_of_text(swmm, {"Q": "1e1"}, [command]).status == "done"


@pytest.mark.parametrize("cut", [1, 4, 8, 96, 19000])
def test_truncated_output(cut: int, swmm: Swmm) -> None:
    """A binary file that lost its end gives no number from another place."""
    shorter = otw.Command(
        [sys.executable, "-c", f"f = open('net.out', 'r+b'); f.truncate(f.seek(-{cut}, 2))"]
    )
    evaluation = evaluation_of_text(swmm, {"N": "0.02"}, [*swmm.commands, shorter])
    assert (evaluation.status, evaluation.cause) == ("failed", "output")
    assert "net.out" in evaluation.error


def test_exit_code_is_always_0(swmm: Swmm, tmp_path: Path) -> None:
    """The front end ends well whatever happens, as EPA's does: without arguments, and without an input file."""
    program = swmm.commands[0].argv[0]
    for arguments in ([], ["missing.inp", "net.rpt", "net.out"]):
        assert subprocess.run([program, *arguments], cwd=tmp_path, capture_output=True).returncode == 0


def test_nominal_input(swmm: Swmm, tmp_path: Path) -> None:
    """The nominal input file gives what the template gives at the nominal point."""
    shutil.copy(EXAMPLE / "net.inp", tmp_path)
    swmm.run(swmm.commands[0], tmp_path)
    assert swmm.parse(tmp_path) == swmm.evaluate(swmm.nominal).output


def test_study(swmm: Swmm, tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerances only, and draws its picture."""
    said = run_study(EXAMPLE)
    assert "95 % confidence" in said
    assert (tmp_path / "swmm_net.png").stat().st_size > 10_000
