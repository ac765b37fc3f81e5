"""The bar by OpenFOAM meets its series over time, and none of the code's traps gives a wrong curve."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import otwrap as otw
from otwrap.errors import OutputError
from otwrap.examples.openfoam_heat import bar

pytestmark = [pytest.mark.services, pytest.mark.openfoam]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "openfoam_heat"
PROBE = "postProcessing/probes/0/T"
TIMES = np.arange(1, 101) / 1000


@pytest.fixture(autouse=True)
def openfoam(need: Callable[[bool, str], None]) -> None:
    """Skip where OpenFOAM is not installed."""
    found = all(map(shutil.which, ("blockMesh", "laplacianFoam")))
    need(found, "blockMesh and laplacianFoam (OpenFOAM) are not installed")


def series(alpha: float, hot: float) -> np.ndarray:
    """Return the temperature in the middle at the times of the curve."""
    n = np.arange(1, 200, 2)[:, None]
    terms = 2 / (n * math.pi) * np.sin(n * math.pi / 2) * np.exp(-((n * math.pi) ** 2) * alpha * TIMES)
    return hot * (0.5 - terms.sum(axis=0))


def evaluation_with(folder: Path, old: str, new: str) -> otw.Evaluation:
    """Evaluate the example at its nominal point, with another text in its templates."""
    shutil.copytree(EXAMPLE / "case.tmpl", folder)
    files = [file for file in folder.rglob("*") if file.is_file() and old in file.read_text()]
    assert files
    for file in files:
        file.write_text(file.read_text().replace(old, new))
    nominal = {name: value for name, value in zip(bar.inputs, bar.nominal, strict=True) if f"@{name}@" != old}
    wrapper = otw.Wrapper(
        inputs=list(nominal),
        outputs=["T"],
        fields=bar.fields,
        templates=otw.Tree(
            folder, [f"@{name}@" for name in nominal], formats={"NX": "d"} if "NX" in nominal else None
        ),
        command=bar.commands,
        parsers=bar.parsers,
    )
    return wrapper.evaluate(list(nominal.values()))


@pytest.mark.parametrize(
    ("alpha", "hot", "last"),
    [
        (0.9857491472, 65.08491739, 16.880522),
        (1.47640171, 57.24362867, 20.132416),
        (1.303823006, 86.56889169, 28.062573),
    ],
)
def test_known_values(alpha: float, hot: float, last: float) -> None:
    """The code gives what it gave when it was measured, and its curve meets the series."""
    curve = bar.evaluate([alpha, hot, 101.0]).output
    assert curve is not None
    assert curve[-1] == pytest.approx(last, rel=1e-7)
    assert curve[-1] == pytest.approx(series(alpha, hot)[-1], rel=3e-4)
    assert np.abs(np.array(curve) - series(alpha, hot)).max() < 4e-4 * hot


def test_random_points() -> None:
    """Each of 12 curves meets the series at each of its times, through the function of fields."""
    with otw.Parallelizer(bar, verbosity=False) as f:
        X = np.array(bar.distribution.getSample(12))
        curves = np.array(f.field("T")(X))[:, :, 0]
    for x, curve in zip(X, curves, strict=True):
        assert np.abs(curve - series(*x[:2])).max() < 4e-4 * x[1]


@pytest.mark.parametrize("cells", [100.0, 64.0])
def test_probe_between_two_cells(cells: float) -> None:
    """An even number of cells, none of which has its centre in the middle, gives the middle's temperature."""
    curve = np.array(bar.evaluate([1.0, 100.0, cells]).output)
    assert np.abs(curve - series(1.0, 100.0)).max() < 4e-4 * 100.0


@pytest.mark.parametrize("alpha", [-5.0, -1e-6])
def test_negative_diffusivity(alpha: float) -> None:
    """A solution that blows up to 1e106, with a good end, is out of range; so is what was about to."""
    evaluation = bar.evaluate([alpha, 100.0, 101.0])
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("invalid", "out of range", 0)
    assert PROBE in evaluation.error


def test_nothing_is_conducted() -> None:
    """Without diffusivity, the middle stays cold, but for a boundary that nothing holds back at the first time."""
    curve = np.array(bar.evaluate([0.0, 100.0, 101.0]).output)
    assert np.abs(curve).max() < 0.1


@pytest.mark.parametrize(("cells", "signal"), [(0.0, 11), (-3.0, 6)])
def test_no_cells(cells: float, signal: int) -> None:
    """blockMesh is ended by a signal, which is told; laplacianFoam does not run."""
    evaluation = bar.evaluate([1.0, 100.0, cells])
    assert (evaluation.status, evaluation.cause) == ("failed", "signal")
    assert f"signal {signal}" in evaluation.error
    assert "blockMesh" in evaluation.error
    assert evaluation.workdir is not None
    assert not (Path(evaluation.workdir) / "postProcessing").exists()


def test_part_of_a_cell() -> None:
    """A number of cells that is not whole is not given to OpenFOAM."""
    evaluation = bar.evaluate([1.0, 100.0, 50.5])
    assert (evaluation.status, evaluation.cause) == ("failed", "input")
    assert "50.5 is not a whole number" in evaluation.error


def test_step_of_no_time(tmp_path: Path) -> None:
    """A time step of 0 ends laplacianFoam by a signal."""
    evaluation = evaluation_with(tmp_path / "case", "deltaT 0.001;", "deltaT 0;")
    assert (evaluation.status, evaluation.cause) == ("failed", "signal")
    assert "signal 8" in evaluation.error
    assert "laplacianFoam" in evaluation.error


def test_signal_through_a_shell(tmp_path: Path) -> None:
    """Where a script of one's own runs both, the signal comes as exit code 139 and fails as well."""
    script = otw.Command("blockMesh && laplacianFoam; exit $?", setup=bar.commands[0].setup, shell=True)
    wrapper = otw.Wrapper(
        inputs=["ALPHA", "T1", "NX"],
        outputs=["T"],
        fields=bar.fields,
        templates=otw.Tree(EXAMPLE / "case.tmpl", ["@ALPHA@", "@T1@", "@NX@"], formats={"NX": "d"}),
        command=script,
        parsers=bar.parsers,
    )
    assert wrapper.evaluate(bar.nominal).output == bar.evaluate(bar.nominal).output
    evaluation = wrapper.evaluate([1.0, 100.0, 0.0])
    assert evaluation.status == "failed"
    assert evaluation.exit_code == 139
    assert "SIGSEGV" in evaluation.error or "139" in evaluation.error


@pytest.mark.parametrize("rows", [0, 50])
def test_incomplete_curve(rows: int, tmp_path: Path) -> None:
    """A probe file with its header only, or with half of its rows, is no curve."""
    file = tmp_path / PROBE
    file.parent.mkdir(parents=True)
    header = "# Probe 0 (0.5 0.5 0.5)\n#             Probe                   0\n#              Time\n"
    file.write_text(header + "".join(f"  {t / 1000}  1.0\n" for t in range(1, rows + 1)))
    with pytest.raises(OutputError, match="no rows" if rows == 0 else "100"):
        bar.parse(tmp_path)


@pytest.mark.parametrize("token", ["@ALPHA@", "@T1@", "@NX@"])
def test_text_that_is_no_number(token: str, tmp_path: Path) -> None:
    """A text that OpenFOAM cannot read fails with its own message."""
    evaluation = evaluation_with(tmp_path / "case", token, "abc")
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == ("failed", "exit code", 1)
    assert "FOAM FATAL" in evaluation.error


@pytest.mark.parametrize("x", [[math.nan, 100.0, 101.0], [1.0, math.inf, 101.0], [1.0, 100.0, math.nan]])
def test_not_finite(x: list[float]) -> None:
    """What is no number is not given to OpenFOAM."""
    evaluation = bar.evaluate(x)
    assert (evaluation.status, evaluation.cause) == ("failed", "input")


@pytest.mark.parametrize(
    "x", [[1.0, 1e300, 101.0], [1e300, 100.0, 101.0], [1.0, -100.0, 101.0], [-1.0, 100.0, 101.0]]
)
def test_out_of_all_proportion(x: list[float]) -> None:
    """Numbers that make no sense fail or are out of range; none gives a curve."""
    evaluation = bar.evaluate(x)
    assert evaluation.output is None
    assert evaluation.cause in ("signal", "out of range")


def test_environment_of_the_user_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without WM_PROJECT_DIR, Debian's place is taken; with one, that one, right or wrong."""
    monkeypatch.delenv("WM_PROJECT_DIR", raising=False)
    assert bar.evaluate(bar.nominal).status == "done"
    monkeypatch.setenv("WM_PROJECT_DIR", str(tmp_path))
    evaluation = bar.evaluate(bar.nominal)
    assert evaluation.status == "failed"
    assert "Could not find mandatory etc entry" in evaluation.error


def test_nominal_input(tmp_path: Path) -> None:
    """The nominal input files give what the templates give at the nominal point."""
    case = tmp_path / "case"
    shutil.copytree(EXAMPLE / "case", case)
    for command in bar.commands:
        bar.run(command, case)
    assert bar.parse(case) == bar.evaluate(bar.nominal).output


def test_study(tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerance only, and draws its picture."""
    said = run_study(EXAMPLE)
    assert "64 curves of OpenFOAM" in said
    assert (tmp_path / "openfoam_heat.png").stat().st_size > 10_000
