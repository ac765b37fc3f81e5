"""The main by EPANET meets the formula of Hazen and Williams, and none of the code's traps gives a wrong number."""

from __future__ import annotations

import math
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.examples.building import find_compiler
from otwrap.examples.epanet_net import Epanet

pytestmark = pytest.mark.services

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "epanet_net"
TEXTS = {"@D@": "200", "@Q@": "30", "@RC@": "100"}


@pytest.fixture
def epanet(need: Callable[[bool, str], None]) -> Epanet:
    """Return the example's wrapper, where the code is installed."""
    need(sys.platform == "linux" and find_spec("wntr") is not None, "wntr is not installed")
    need(bool(find_compiler()), "there is no C compiler")
    return Epanet()


def hazen_williams(D: float, Q: float, RC: float) -> float:
    """Return the pressure, from the loss of head in feet and cubic feet per second as in EPANET's manual."""
    foot, cubic_foot = 0.3048, 28.317
    resistance = 4.727 * RC**-1.852 * (D / 1000 / foot) ** -4.871 * (1000 / foot)
    return 50 - foot * resistance * math.copysign(abs(Q / cubic_foot) ** 1.852, Q)


def evaluation_of_text(
    epanet: Epanet,
    texts: dict[str, str],
    *,
    commands: Sequence[otw.Command] = (),
    template: Path = EXAMPLE / "net.inp.tmpl",
) -> otw.Evaluation:
    """Evaluate the example's command and parser with texts, as they stand, for some tokens."""
    constants = {f"@{name}@": text for name, text in texts.items()}
    inputs = [token for token in TEXTS if token not in constants]
    wrapper = otw.Wrapper(
        inputs=[token.strip("@") for token in inputs],
        outputs=["pressure"],
        templates={"net.inp": otw.Template(template, inputs, constants=constants)},
        command=commands or epanet.commands,
        parsers=epanet.parsers,
    )
    return wrapper.evaluate([float(TEXTS[token]) for token in inputs])


@pytest.mark.parametrize(
    ("point", "printed"),
    [
        ((218.8599318, 13.01698348, 119.0560684), 49.194878),
        ((188.6923544, 20.71764009, 101.941335), 44.773281),
        ((186.959871, 20.14871466, 82.24973951), 42.273521),
    ],
)
def test_known_values(point: tuple[float, ...], printed: float, epanet: Epanet) -> None:
    """The pressure is that of the report, and that of the formula."""
    (pressure,) = epanet.evaluate(point).output
    assert round(pressure, 6) == printed
    assert pressure == pytest.approx(hazen_williams(*point), rel=3e-7)


def test_random_points(epanet: Epanet) -> None:
    """Each of 20 points of the distribution meets the formula, to the seven digits of the binary file."""
    X = epanet.distribution.getSample(20)
    with otw.Parallelizer(epanet) as f:
        assert [y[0] for y in f(X)] == [pytest.approx(hazen_williams(*x), rel=3e-7) for x in X]


@pytest.mark.parametrize("point", [(100.0, 60.0, 100.0), (100.0, 500.0, 80.0), (200.0, -30.0, 100.0)])
def test_far_from_nominal(point: tuple[float, ...], epanet: Epanet) -> None:
    """A large negative pressure is the right number, and so is that of a node that feeds the network."""
    evaluation = epanet.evaluate(point)
    assert evaluation.output == (pytest.approx(hazen_williams(*point), rel=3e-7),)


def test_columns_that_touch(epanet: Epanet, tmp_path: Path) -> None:
    """The report of EXPECTED's row has columns that touch, and the number is the right one all the same."""
    epanet.prepare([100.0, 60.0, 100.0], tmp_path)
    epanet.run(epanet.commands[0], tmp_path)
    assert "60.00-805.395813" in (tmp_path / "net.rpt").read_text()
    assert epanet.parse(tmp_path) == (pytest.approx(-805.395813, abs=1e-5),)


@pytest.mark.parametrize(
    ("point", "status", "cause", "word", "exit_code"),
    [
        ([0.0, 30.0, 100.0], "failed", "exit code", "code 200", 200),
        ([-100.0, 30.0, 100.0], "failed", "exit code", "code 200", 200),
        ([200.0, 30.0, 0.0], "failed", "exit code", "code 110", 110),
        ([200.0, 30.0, -1.0], "invalid", "not a number", "net.bin", 0),
        ([200.0, 1e30, 100.0], "invalid", "not a number", "-inf", 0),
        ([float("nan"), 30.0, 100.0], "failed", "input", "input D = nan", None),
        ([200.0, float("inf"), 100.0], "failed", "input", "input Q = inf", None),
    ],
)
def test_traps(
    point: list[float], status: str, cause: str, word: str, exit_code: int | None, epanet: Epanet
) -> None:
    """An error, and a nan or inf after a good end, are failures."""
    evaluation = epanet.evaluate(point)
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == (status, cause, exit_code)
    assert word in evaluation.error


@pytest.mark.parametrize(
    ("texts", "status", "cause", "exit_code"),
    [
        ({"D": "nan", "RC": "100"}, "invalid", "not a number", 0),
        ({"Q": "nan"}, "invalid", "not a number", 0),
        ({"Q": "inf"}, "invalid", "not a number", 0),
        ({"D": "inf"}, "invalid", "not a number", 0),
        ({"D": "abc"}, "failed", "exit code", 200),
        ({"Q": "50M"}, "failed", "exit code", 200),
    ],
)
def test_text_traps(texts: dict[str, str], status: str, cause: str, exit_code: int, epanet: Epanet) -> None:
    """A text that EPANET cannot use, or takes for a nan and completes, is a failure whoever wrote it."""
    evaluation = evaluation_of_text(epanet, texts)
    assert (evaluation.status, evaluation.cause, evaluation.exit_code) == (status, cause, exit_code)


def test_texts_are_run(epanet: Epanet) -> None:
    """The same with good texts gives the pressure, so that it is the texts that fail above."""
    evaluation = evaluation_of_text(epanet, {"D": "2e2"})
    assert evaluation.output == (pytest.approx(hazen_williams(200.0, 30.0, 100.0), rel=3e-7),)


def test_missing_input(epanet: Epanet) -> None:
    """Error 302, which an exit code keeps as 46, is a failure."""
    (command,) = epanet.commands
    missing = command.replace(argv=[command.argv[0], "missing.inp", *command.argv[2:]])
    evaluation = evaluation_of_text(epanet, {}, commands=[missing])
    assert (evaluation.cause, evaluation.exit_code) == ("exit code", 46)
    assert "code 302" in evaluation.error


def test_unbalanced_network(epanet: Epanet, tmp_path: Path) -> None:
    """A warning that the network is not balanced, with exit code 0 and a number, is a failure."""
    text = (EXAMPLE / "net.inp.tmpl").read_text().replace("TRIALS    100", "TRIALS    1")
    template = tmp_path / "net.inp.tmpl"
    template.write_text(text)
    evaluation = evaluation_of_text(epanet, {}, template=template)
    assert (evaluation.status, evaluation.cause) == ("failed", "success pattern missing")
    assert evaluation.exit_code == 0
    assert "code 1" in evaluation.error


@pytest.mark.parametrize("cut", [1, 4, 28, 76, 1000])
def test_truncated_output(cut: int, epanet: Epanet) -> None:
    """A binary file that lost its end gives no number from another place."""
    shorter = otw.Command(
        [sys.executable, "-c", f"f = open('net.bin', 'r+b'); f.truncate(f.seek(-{cut}, 2))"]
    )
    evaluation = evaluation_of_text(epanet, {}, commands=[*epanet.commands, shorter])
    assert (evaluation.status, evaluation.cause) == ("failed", "output")
    assert "net.bin" in evaluation.error


def test_nominal_input(epanet: Epanet, tmp_path: Path) -> None:
    """The nominal input file gives what the template gives at the nominal point."""
    shutil.copy(EXAMPLE / "net.inp", tmp_path)
    epanet.run(epanet.commands[0], tmp_path)
    assert epanet.parse(tmp_path) == epanet.evaluate(epanet.nominal).output


def test_study(epanet: Epanet, tmp_path: Path, run_study: Callable[[Path], str]) -> None:
    """The study ends well, which it does within its tolerance only, and draws its picture."""
    said = run_study(EXAMPLE)
    by_sample, by_form = (float(word) for word in re.findall(r"([.\d]+) by", said))
    # The formula's own, by samples of 10^6 points.
    assert by_sample == pytest.approx(0.0315, abs=0.006)
    assert by_form == pytest.approx(0.0315, abs=0.002)
    indices = [float(word) for word in re.findall(r"-?\d+\.\d+", said.partition("[")[2].partition("]")[0])]
    assert indices == [pytest.approx(known, abs=0.06) for known in (0.014, 0.677, 0.267)]
    assert (tmp_path / "epanet_net.png").stat().st_size > 10_000
