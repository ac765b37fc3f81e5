"""The beam by CalculiX meets the theory, and none of the code's traps gives a wrong number."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.examples.ccx_beam import beam

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ccx_beam"
TOKENS = {"@F@": "-100", "@E@": "210000", "@H@": "30", "@B@": "20"}


@pytest.fixture(autouse=True)
def ccx(need: Callable[[bool, str], None]) -> None:
    """Skip where CalculiX is not installed."""
    need(shutil.which("ccx") is not None, "ccx (CalculiX) is not installed")


def theory(load: float, young: float, height: float, width: float) -> float:
    """Return Timoshenko's displacement of the tip, without Poisson's ratio."""
    length, area, inertia = 1000.0, width * height, width * height**3 / 12
    return load * length**3 / (3 * young * inertia) + load * length / (5 / 6 * young / 2 * area)


def evaluation_of_text(token: str, text: str) -> otw.Evaluation:
    """Evaluate the example's command and parser with a text, as it stands, for one token."""
    inputs = [other for other in TOKENS if other != token]
    template = otw.Template(EXAMPLE / "beam.inp.tmpl", inputs, constants={token: text})
    wrapper = otw.Wrapper(
        inputs=[name.strip("@") for name in inputs],
        outputs=["tip"],
        templates={"beam.inp": template},
        command=beam.commands,
        parsers=beam.parsers,
    )
    return wrapper.evaluate([float(TOKENS[other]) for other in inputs])


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        ((-151.4250853, 187542.4587, 31.50934473, 15.72436287), -6.568762),
        ((-119.6176994, 198284.4458, 25.57998925, 20.07435733), -7.184008),
        ((-194.3756512, 201682.2842, 25.69855424, 15.90713013), -14.28434),
    ],
)
def test_known_values(point: tuple[float, ...], printed: float) -> None:
    """The code gives what it gave when it was measured, to the digits that it prints."""
    assert beam.evaluate(point).output == (pytest.approx(printed, rel=1e-6),)


def test_random_points() -> None:
    """Each of 20 points of the distribution meets the theory."""
    with otw.Parallelizer(beam) as f:
        X = beam.distribution.getSample(20)
        assert [y[0] for y in f(X)] == [pytest.approx(theory(*x), rel=3e-4) for x in X]


@pytest.mark.parametrize("load", [-1.23456789012345e02, -1.2345678901234567e02])
def test_long_number(load: float) -> None:
    """A load with more digits than CalculiX reads gives the right displacement, not a hundredth of it."""
    assert beam.evaluate([load, 210000.0, 30.0, 20.0]).output == (-4.356707,)


@pytest.mark.parametrize("scale", [1e-5, 1e-3, 0.1, 10.0])
@pytest.mark.parametrize("digits", [-1.2345678901234567, 9.876543210987654, -2.0 / 3.0])
def test_every_magnitude_fits(scale: float, digits: float) -> None:
    """Loads with all their digits are read as they are, whatever their exponent."""
    load = scale * digits
    (tip,) = beam.evaluate([load, 210000.0, 30.0, 20.0]).output
    assert tip == pytest.approx(theory(load, 210000.0, 30.0, 20.0), rel=3e-4)


@pytest.mark.parametrize("text", ["-1.23456789012345e+02", "-1.2345678901234567e+02"])
def test_long_text(text: str) -> None:
    """A number of more than 20 characters in the input file fails, however it came there."""
    evaluation = evaluation_of_text("@F@", text)
    assert evaluation.status == "failed"
    assert evaluation.cause in ("failure pattern", "exit code")
    assert text in evaluation.error or "*ERROR" in evaluation.error


@pytest.mark.parametrize("load", [float("inf"), float("-inf"), float("nan")])
def test_not_finite(load: float) -> None:
    """An infinite load is not given to CalculiX."""
    evaluation = beam.evaluate([load, 210000.0, 30.0, 20.0])
    assert (evaluation.status, evaluation.cause) == ("failed", "input")
    assert f"input F = {load}" in evaluation.error


def test_nan_with_exit_code_0() -> None:
    """The NaN that CalculiX computes from 'inf', with a good end, is no displacement."""
    evaluation = evaluation_of_text("@F@", "inf")
    assert (evaluation.status, evaluation.cause) == ("invalid", "not a number")
    assert "beam.dat, line 4" in evaluation.error


def test_no_stiffness() -> None:
    """A Young's modulus of 0 fails with the code's own message."""
    evaluation = beam.evaluate([-100.0, 0.0, 30.0, 20.0])
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("failed", "exit code", 201)
    assert "modulus should exceed 0.0" in evaluation.error


def test_large_displacement() -> None:
    """A displacement for which the linear analysis makes no sense is out of range."""
    evaluation = beam.evaluate([-1e30, 210000.0, 30.0, 20.0])
    assert (evaluation.status, evaluation.cause) == ("invalid", "out of range")


def test_nominal_input(tmp_path: Path) -> None:
    """The nominal input file gives what the template gives at the nominal point."""
    shutil.copy(EXAMPLE / "beam.inp", tmp_path)
    beam.run(["ccx", "-i", "beam"], tmp_path)
    assert beam.parse(tmp_path) == beam.evaluate(beam.nominal).output


def test_study(tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerance only, and draws its picture."""
    said = run_study(EXAMPLE)
    assert "importance sampling" in said
    assert (tmp_path / "ccx_beam.png").stat().st_size > 10_000
