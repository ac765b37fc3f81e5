"""The ring by gmsh and GetDP meets its formula, and none of the codes' traps gives a wrong number."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.examples.gmsh_getdp import ring

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "gmsh_getdp"


@pytest.fixture(autouse=True)
def codes(need: Callable[[bool, str], None]) -> None:
    """Skip where one of the codes is not installed."""
    for code in ("gmsh", "getdp"):
        need(shutil.which(code) is not None, f"{code} is not installed")


def formula(inner: float, outer: float, conductivity: float, voltage: float) -> float:
    """Return the power that the ring takes."""
    return 2 * math.pi * conductivity * voltage**2 / math.log(outer / inner)


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        ((0.9295331059, 1.905594422, 2.127336183, 57.24362867), 61013.895),
        ((1.014352802, 2.055982242, 0.6449973119, 100.7435733), 58218.437),
        ((0.8149982634, 2.103551979, 0.6746385589, 59.07130133), 15599.459),
    ],
)
def test_known_values(point: tuple[float, ...], printed: float) -> None:
    """The codes give what they gave when they were measured, but for another mesh: a last digit is enough for one."""
    assert ring.evaluate(point).output == (pytest.approx(printed, rel=1e-5),)
    assert printed == pytest.approx(formula(*point), rel=2e-5)


def test_random_points() -> None:
    """Each of 8 points of the distribution meets the formula, in parallel."""
    with otw.Parallelizer(ring, verbosity=False) as f:
        X = ring.distribution.getSample(8)
        assert [y[0] for y in f(X)] == [pytest.approx(formula(*x), rel=2e-5) for x in X]


def test_nan_with_exit_code_0() -> None:
    """A ring that does not conduct gives nan and a good end, which is no power."""
    evaluation = ring.evaluate([1.0, 2.0, 0.0, 100.0])
    assert (evaluation.status, evaluation.cause) == ("invalid", "not a number")
    assert "power.dat, line 1" in evaluation.error
    assert "nan" in evaluation.error


@pytest.mark.parametrize(
    ("radii", "message"),
    [
        ((2.0, 1.0), "Could not apply operation"),
        ((1.0, 1.0), "Could not apply operation"),
        ((0.0, 1.0), "Disk radius should be positive"),
        ((-1.0, 1.0), "Disk radius should be positive"),
    ],
)
def test_no_ring(radii: tuple[float, float], message: str) -> None:
    """Radii of no ring fail in the first step, with gmsh's own message; GetDP does not run."""
    evaluation = ring.evaluate([*radii, 1.0, 100.0])
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("failed", "exit code", 1)
    assert "gmsh" in evaluation.error
    assert message in evaluation.error
    assert evaluation.workdir is not None
    assert not (Path(evaluation.workdir) / "power.dat").exists()


def test_negative_power() -> None:
    """A negative conductivity is computed with, and its power is out of range."""
    evaluation = ring.evaluate([1.0, 2.0, -1.0, 100.0])
    assert (evaluation.status, evaluation.cause) == ("invalid", "out of range")


@pytest.mark.parametrize("x", [[math.nan, 2.0, 1.0, 100.0], [1.0, 2.0, math.inf, 100.0]])
def test_not_finite(x: list[float]) -> None:
    """What is no number is not given to the codes."""
    evaluation = ring.evaluate(x)
    assert (evaluation.status, evaluation.cause) == ("failed", "input")


@pytest.mark.parametrize(("token", "text"), [("@RI@", "abc"), ("@K@", "50M"), ("@LC@", "many")])
def test_text_that_is_no_number(token: str, text: str) -> None:
    """A text that the codes cannot read fails with their message, in the first or in the second step."""
    names = {"@RI@": "RI", "@RO@": "RO", "@K@": "K", "@TI@": "TI"}
    others = {other: name for other, name in names.items() if other != token}

    def template(name: str) -> otw.Template:
        path = EXAMPLE / f"{name}.tmpl"
        known = {"@LC@": 0.08} if token != "@LC@" else {}
        constants = {key: value for key, value in {**known, token: text}.items() if key in path.read_text()}
        return otw.Template(path, constants=constants)

    wrapper = otw.Wrapper(
        inputs=list(others.values()),
        outputs=["power"],
        templates={name: template(name) for name in ("plate.geo", "heat.pro")},
        tokens=list(others),
        command=ring.commands,
        parsers=ring.parsers,
    )
    point = dict(zip(names.values(), ring.nominal, strict=True))
    evaluation = wrapper.evaluate([point[name] for name in others.values()])
    assert evaluation.status == "failed"
    assert evaluation.cause in ("exit code", "failure pattern")
    assert text in evaluation.error or "rror" in evaluation.error


def test_nominal_input(tmp_path: Path) -> None:
    """The nominal input files give what the templates give at the nominal point."""
    for name in ("plate.geo", "heat.pro"):
        shutil.copy(EXAMPLE / name, tmp_path)
    for command in ring.commands:
        ring.run(command, tmp_path)
    assert ring.parse(tmp_path) == ring.evaluate(ring.nominal).output


def test_study(tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerances only, and draws its picture."""
    said = run_study(EXAMPLE)
    assert "first-order Sobol' indices" in said
    assert (tmp_path / "gmsh_getdp.png").stat().st_size > 10_000
