"""The filter by ngspice meets its closed form as a number and as a curve, and no trap gives a wrong number."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import openturns as ot
import pytest

import otwrap as otw
from otwrap.examples.ngspice_rlc import rlc

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "ngspice_rlc"
FREQUENCIES = 10 ** np.linspace(2, 6, 401)


@pytest.fixture(autouse=True)
def ngspice(need: Callable[[bool, str], None]) -> None:
    """Skip where ngspice is not installed."""
    need(shutil.which("ngspice") is not None, "ngspice is not installed")


def cut_off(R: float, L: float, C: float) -> float:
    """Return the frequency at which |H|^2 = 1/2, the root of a quadratic in its square."""
    a, b = (L * C) ** 2, (R * C) ** 2 - 2 * L * C
    return math.sqrt((math.sqrt(b * b + 4 * a) - b) / (2 * a)) / (2 * math.pi)


def gains(R: float, L: float, C: float) -> np.ndarray:
    """Return |H| at the frequencies of the curve."""
    w = 2 * math.pi * FREQUENCIES
    return 1 / abs(1 - w**2 * L * C + 1j * w * R * C)


def evaluation_of_text(text: str) -> otw.Evaluation:
    """Evaluate the example's command and parsers with a text, as it stands, for the resistance."""
    template = otw.Template(EXAMPLE / "rlc.cir.tmpl", ["@L@", "@C@"], constants={"@R@": text})
    wrapper = otw.Wrapper(
        inputs=["L", "C"],
        outputs=["f3db", "gain"],
        fields=rlc.fields,
        templates={"rlc.cir": template},
        command=rlc.commands,
        parsers=rlc.parsers,
    )
    return wrapper.evaluate([1e-3, 1e-7])


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        ((78.28989767, 0.0007262737609, 1.47640171e-07), 18480.3),
        ((33.0385316, 0.001303823006, 1.048533375e-07), 20821.1),
        ((30.43980646, 0.0012611536, 5.562434877e-08), 29311.9),
    ],
)
def test_known_values(point: tuple[float, ...], printed: float) -> None:
    """The code gives the cut-off frequency that it gave when it was measured, to the digits noted then."""
    assert rlc.evaluate(point).output[0] == pytest.approx(printed, abs=0.05)


def test_random_points() -> None:
    """At each of 20 points, the number and every value of the curve meet the closed form."""
    ot.RandomGenerator.SetSeed(1)
    for x in rlc.distribution.getSample(20):
        f3db, *gain = rlc.evaluate(x).output
        assert f3db == pytest.approx(cut_off(*x), rel=1e-4)
        np.testing.assert_allclose(gain, gains(*x), rtol=1e-9)


@pytest.mark.parametrize("backend", ["serial", "threads", "multiprocessing"])
def test_curve_is_a_field(backend: str, tmp_path: Path) -> None:
    """The curves come as a process sample over log10 of the frequency, through any backend and the store."""
    X = rlc.distribution.getSample(4)
    with otw.Parallelizer(rlc, backend=backend, store=tmp_path / "rlc.sqlite", verbosity=False) as f:
        gain = f.field("gain")
        assert isinstance(gain, ot.PointToFieldFunction)
        curves = gain(X)
        np.testing.assert_allclose(10 ** np.ravel(curves.getMesh().getVertices()), FREQUENCIES)
        for x, curve in zip(X, curves, strict=True):
            np.testing.assert_allclose(np.ravel(curve), gains(*x), rtol=1e-9)
        f3db = f(X).getMarginal(["f3db"])
        assert [y[0] for y in f3db] == [pytest.approx(cut_off(*x), rel=1e-4) for x in X]
        assert len(f.campaign.evaluations) == 4


def test_frequencies_are_those_of_the_mesh(tmp_path: Path) -> None:
    """The code's abscissae are the vertices that the wrapper declares."""
    rlc.prepare(rlc.nominal, tmp_path)
    rlc.run(rlc.commands, tmp_path)
    written = [float(line.split()[0]) for line in (tmp_path / "rlc.csv").read_text().splitlines()]
    np.testing.assert_allclose(np.log10(written), np.ravel(rlc.fields["gain"].getVertices()), atol=1e-9)


def test_measurement_failed() -> None:
    """A filter that never passes -3 dB fails, though ngspice ends with 0."""
    evaluation = rlc.evaluate([1e6, 1e-3, 1e-4])
    assert (evaluation.status, evaluation.cause) == ("failed", "failure pattern")
    assert "measure  f3db" in evaluation.error


def test_milli_is_not_mega() -> None:
    """A resistance of 50M, which ngspice takes for 0.05 ohm, fails."""
    evaluation = evaluation_of_text("50M")
    assert (evaluation.status, evaluation.cause) == ("failed", "failure pattern")
    assert "R=50M" in evaluation.error


@pytest.mark.parametrize("text", ["50Meg", "50e6"])
def test_mega_is_no_filter(text: str) -> None:
    """What 50M may have meant cuts off below the lowest frequency: that fails, too."""
    evaluation = evaluation_of_text(text)
    assert evaluation.status == "failed"
    assert "measure  f3db" in evaluation.error


def test_same_resistance() -> None:
    """A resistance given as a text with a small unit is understood."""
    assert evaluation_of_text("50000m").output == rlc.evaluate(rlc.nominal).output


def test_not_a_number() -> None:
    """A resistance of 'abc' fails with the code's exit code."""
    evaluation = evaluation_of_text("abc")
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("failed", "exit code", 1)


@pytest.mark.parametrize("resistance", [float("inf"), float("nan")])
def test_not_finite(resistance: float) -> None:
    """A resistance that is no number is not given to ngspice."""
    evaluation = rlc.evaluate([resistance, 1e-3, 1e-7])
    assert (evaluation.status, evaluation.cause) == ("failed", "input")


def test_curve_cut_short(fake_program: Callable[[str, str], Path]) -> None:
    """A table that was not written to its end is no curve."""
    real = shutil.which("ngspice", path=os.environ["PATH"])
    fake_program("ngspice", f'PATH="${{PATH#*:}}" {real} "$@" && sed -i 401d rlc.csv')
    evaluation = rlc.evaluate(rlc.nominal)
    assert evaluation.status == "failed"
    assert "401 value(s) were parsed" in evaluation.error and "402 in all" in evaluation.error


def test_nominal_input(tmp_path: Path) -> None:
    """The nominal input file gives what the template gives at the nominal point."""
    shutil.copy(EXAMPLE / "rlc.cir", tmp_path)
    rlc.run(rlc.commands, tmp_path)
    assert rlc.parse(tmp_path) == rlc.evaluate(rlc.nominal).output


def test_study(tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerances only, and draws its picture."""
    said = run_study(EXAMPLE)
    assert "largest relative error" in said
    assert (tmp_path / "ngspice_rlc.png").stat().st_size > 10_000
