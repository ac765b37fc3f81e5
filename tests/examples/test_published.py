"""The published problems: the code has their formulas, the references are theirs, and ours are within three errors."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import openturns as ot
import pytest

from otwrap.examples.building import built, find_compiler
from otwrap.examples.published import PROBLEMS, Published, estimates, solve

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "examples" / "published"

#: The formulas as they are published.
FORMULAS = {
    "r-s": "x1 - x2",
    "stressed-beam": "x1 - x2 / (100 * pi_)",
    "rp31": "2 - x2 + 256 * x1^4",
    "rp35": "min(2 - x2 + exp(-0.1 * x1^2) + (0.2 * x1)^4, 4.5 - x1 * x2)",
    "rp53": "sin(5 * x1 / 2) + 2 - (x1^2 + 4) * (x2 - 1) / 20",
    "rp55": "min(0.2 + 0.6 * (x1 - x2)^4 - abs(x1 - x2) / sqrt(2), 5 / sqrt(2) - 2.2 - abs(x1 - x2))",
    "four-branch": "min(3 + 0.1 * (x1 - x2)^2 - abs(x1 + x2) / sqrt(2), 7 / sqrt(2) - abs(x1 - x2))",
    "flood-height": "(x1 / (x2 * x5 * sqrt((x4 - x3) / x6)))^(3 / 5)",
    "flood-overflow": "(x1 / (x2 * x5 * sqrt((x4 - x3) / x6)))^(3 / 5) + x3 - x7 - x8",
    "cantilever": "x2 * x3^3 / (3 * x1 * x4)",
    "ishigami": "sin(x1) + 7 * sin(x2)^2 + 0.1 * x3^4 * sin(x1)",
    "borgonovo": "x1 * x2 + x3",
    "sum": "x1 + x2",
    "product": "x1 * x2",
}
#: Problems that take several seconds.
LONG = {"RP35", "four branches"}
BEAMS = ["beam of the guide", "beam of the use case"]
SOBOL = ["Ishigami", "x1 x2 + x3", "x1 + x2", "x1 x2"]


@pytest.fixture(autouse=True)
def compiler(need: Callable[[bool, str], None]) -> None:
    """Skip where the code cannot be compiled."""
    need(bool(find_compiler()), "there is no C compiler")


def formula(name: str) -> ot.Function:
    """Return the function of a problem without any executable."""
    inputs = [f"x{i + 1}" for i in range(len(PROBLEMS[name]["inputs"]))]
    return ot.SymbolicFunction(inputs, [FORMULAS[PROBLEMS[name]["formula"]]])


def references(name: str, algorithm: str = "") -> dict[str, float]:
    """Return the references of a problem, of one algorithm or of all that draw at random."""
    return {
        answer: value
        for chosen, _, answers in PROBLEMS[name]["answers"]
        for answer, value in answers.items()
        if (chosen == algorithm if algorithm else chosen != "FORM")
    }


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in PROBLEMS]
)
def test_answers_are_within_three_standard_errors(name: str) -> None:
    """What OpenTURNS finds through the executable is what is published, for each answer of a problem."""
    rows = list(solve(name))
    assert len(rows) == sum(len(answers) for _, _, answers in PROBLEMS[name]["answers"])
    far = [row for row in rows if not abs(row["z"]) <= 3]
    assert not far
    # A standard error that is large enough would hide anything.
    assert all(row["std. error"] < 0.2 * max(row["reference"], 0.6) for row in rows)


def test_standard_errors_are_honest() -> None:
    """Over many seeds, the distances in standard errors are as those of a standard normal variable."""
    z = []
    for name, problem in PROBLEMS.items():
        f, law = formula(name), Published(name).distribution
        for algorithm, size, answers in problem["answers"]:
            # FORM has no chance in it, and NAIS takes its time.
            for seed in range(0 if algorithm in ("FORM", "NAIS") else 25):
                ot.RandomGenerator.SetSeed(1000 + seed)
                found = estimates(f, law, algorithm, size, next(iter(answers)))
                z += [(a - b) / e for (a, e), b in zip(found, answers.values(), strict=False)]
    assert len(z) > 700
    assert abs(np.mean(z)) < 0.15
    assert 0.9 < np.std(z) < 1.1


@pytest.mark.parametrize("name", PROBLEMS)
def test_code_has_the_published_formula(name: str) -> None:
    """The executable gives what the published formula gives, at the mean and at random points."""
    ot.RandomGenerator.SetSeed(0)
    model, expected = Published(name), formula(name)
    X, mean = model.distribution.getSample(20), model.distribution.getMean()
    if len(model.inputs) <= 3:
        # These functions have no bounds, and branches that stand far out.
        X = [mean + 3 * (x - mean) for x in X]
    assert [model(x)[0] for x in [mean, *X]] == pytest.approx(
        [expected(x)[0] for x in [mean, *X]], rel=1e-11, abs=1e-14
    )


def test_models_are_those_of_openturns() -> None:
    """Flood, beam and Ishigami's function are OpenTURNS' use cases, formulas and distributions."""
    from openturns.usecases.cantilever_beam import CantileverBeam
    from openturns.usecases.flood_model import FloodModel
    from openturns.usecases.ishigami_function import IshigamiModel

    flood, beam, ishigami = FloodModel(), CantileverBeam(), IshigamiModel()
    for name, function, law in (
        ("flood, overflow", flood.model.getMarginal(1), flood.distribution),
        ("flood, height", None, flood.distribution.getMarginal(range(6))),
        ("beam of the use case", beam.model, beam.distribution),
        ("Ishigami", ishigami.model, ishigami.inputDistribution),
    ):
        X, ours = law.getSample(5), Published(name).distribution
        assert ours.getMean() == pytest.approx(list(law.getMean()))
        assert [ours.computePDF(x) for x in X] == pytest.approx([law.computePDF(x) for x in X])
        if function is not None:
            assert [Published(name)(x)[0] for x in X] == pytest.approx([function(x)[0] for x in X])


def test_point_of_the_guide() -> None:
    """The deviation that the guide gives for one point."""
    assert Published("beam of the guide")([3e7, 3e4, 255.0, 400.0])[0] == pytest.approx(13.8178, abs=5e-5)


# The references, each by quadrature or in closed form.


def gauss(count: int, *breaks: float) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of a Gauss-Legendre rule between each two breaks."""
    x, w = np.polynomial.legendre.leggauss(count)
    halves = np.diff(breaks) / 2
    nodes = [a + h * (1 + x) for a, h in zip(breaks, halves, strict=False)]
    return np.concatenate(nodes), np.concatenate([w * h for h in halves])


Phi = np.vectorize(lambda t: 0.5 * math.erfc(-t / math.sqrt(2)))


def normal_mean(function: Callable[[np.ndarray], np.ndarray], *breaks: float) -> float:
    """Return the mean of a function of a standard normal variable, with breaks where it has a kink."""
    nodes, weights = gauss(40, *sorted({*np.linspace(-9, 9, 37).tolist(), *breaks}))
    return float(weights @ (np.exp(-(nodes**2) / 2) / math.sqrt(2 * math.pi) * function(nodes)))


def root(function: Callable[[float], float], a: float, b: float) -> float:
    """Return where a function changes its sign."""
    return ot.Brent(1e-15, 1e-15, 0.0, 200).solve(
        ot.PythonFunction(1, 1, lambda x: [function(x[0])]), 0.0, a, b
    )


def rp35() -> float:
    """Return the probability that x2 is above the one curve or beyond the other."""

    def above(x: np.ndarray) -> np.ndarray:
        return 2 + np.exp(-0.1 * x**2) + (0.2 * x) ** 4

    def both(x: np.ndarray) -> np.ndarray:
        right = Phi(-np.minimum(above(x), 4.5 / x))
        return np.where(x > 0, right, Phi(4.5 / x) + Phi(-above(x)))

    return normal_mean(both, root(lambda x: float(above(x)) - 4.5 / x, 1.0, 2.0))


def rp55() -> float:
    """Return the probability that the difference of two uniform variables, |d| <= 2, is where g < 0."""

    def g(d: float) -> float:
        return min(0.2 + 0.6 * d**4 - d / math.sqrt(2), 5 / math.sqrt(2) - 2.2 - d)

    def below(d: float) -> float:
        return 1 - (1 - d / 2) ** 2

    return below(root(g, 0.5, 1.1)) - below(root(g, 0.1, 0.5)) + 1 - below(root(g, 1.1, 2.0))


def stressed_beam() -> float:
    """Return the mean over the load of the probability that the strength is below the stress."""
    sigma = math.sqrt(math.log1p(0.1**2))
    mu = math.log(300) - sigma**2 / 2
    return normal_mean(lambda u: Phi((np.log((75000 + 5000 * u) / (100 * math.pi)) - mu) / sigma))


EXACT = {
    "R - S": (lambda: float(Phi(-math.sqrt(2))), 1e-11),
    "axial stressed beam": (stressed_beam, 1e-13),
    "RP31": (lambda: normal_mean(lambda x: Phi(-2 - 256 * x**4)), 1e-14),
    "RP35": (rp35, 5e-9),
    "RP53": (
        lambda: normal_mean(
            lambda u: Phi(1.5 - 20 * (np.sin(2.5 * (u + 1.5)) + 2) / ((u + 1.5) ** 2 + 4)),
            *np.linspace(-9, 9, 200),
        ),
        1e-6,
    ),
    "RP55": (rp55, 1e-13),
    "four branches": (
        lambda: normal_mean(lambda u: np.where(abs(u) < 3.5, 2 * Phi(-3 - 0.2 * u**2), 1.0), -3.5, 3.5),
        1e-12,
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_reference_of_reliability(name: str) -> None:
    """A published probability is that of the formula, to all its digits."""
    exact, digits = EXACT[name]
    assert references(name) == {"P(y < 0)": pytest.approx(exact(), rel=digits)}


@pytest.mark.parametrize("name", ["R - S", "axial stressed beam"])
def test_reference_of_form(name: str) -> None:
    """A published result of FORM is that of the formula, with its exact gradient."""
    law = Published(name).distribution
    event = ot.ThresholdEvent(ot.CompositeRandomVector(formula(name), ot.RandomVector(law)), ot.Less(), 0.0)
    solver = ot.AbdoRackwitz()
    solver.setStartingPoint(law.getMean())
    for error in ("Absolute", "Relative", "Residual", "Constraint"):
        getattr(solver, f"setMaximum{error}Error")(1e-10)
    form = ot.FORM(solver, event)
    form.run()
    expected = pytest.approx(form.getResult().getEventProbability(), rel=2e-8)
    assert references(name, "FORM") == {"P(y < 0)": expected}


@pytest.mark.parametrize("name", SOBOL)
def test_reference_of_sensitivity(name: str) -> None:
    """Published Sobol' indices are the shares of the variance that a product of Gauss rules finds."""
    law, f = Published(name).distribution, formula(name)
    nodes, d = 24, law.getDimension()
    X, weights = ot.GaussProductExperiment(law, [nodes] * d).generateWithWeights()
    # The first input varies fastest.
    w, y = (np.reshape(v, [nodes] * d, order="F") for v in (list(weights), np.ravel(f(X))))
    variance = np.sum(w * y**2) - np.sum(w * y) ** 2

    def explained(axes: tuple[int, ...]) -> float:
        """Return the share of the variance that is left when the axes are averaged out."""
        mass = w.sum(axis=axes)
        mean = (w * y).sum(axis=axes) / mass
        return float((np.sum(mass * mean**2) - np.sum(w * y) ** 2) / variance)

    first = [explained(tuple(j for j in range(d) if j != i)) for i in range(d)]
    total = [1 - explained((i,)) for i in range(d)]
    assert list(references(name).values()) == pytest.approx(first + total, abs=1e-10)


def test_reference_of_the_flood_height() -> None:
    """The mean height is a product of means, since each input but Zm - Zv stands for itself."""
    Q, Ks, Zv, Zm, B, L = (Published("flood, height").distribution.getMarginal(i) for i in range(6))
    difference = ot.Triangular(3.0, 5.0, 7.0)  # of two uniform variables of the same width
    assert (Zm.getMean() - Zv.getMean())[0] == 5.0
    mean = 1.0
    for law, power, breaks in (
        (Q, 0.6, np.linspace(0, 3e4, 50)),
        (Ks, -0.6, np.linspace(0, 100, 50)),
        (B, -0.6, [295, 300, 305]),
        (L, 0.3, [4990, 5000, 5010]),
        (difference, -0.3, [3, 5, 7]),
    ):
        # With x = t^5, the integrand is smooth at 0.
        t, w = gauss(30, *np.power(breaks, 0.2))
        mean *= w @ (5 * t**4 * t ** (5 * power) * np.ravel(law.computePDF(t[:, None] ** 5)))
    assert references("flood, height") == {"mean": pytest.approx(mean, rel=3e-7)}


def test_reference_of_the_flood() -> None:
    """The probability of a flood is the mean over all other inputs of that of the flow it takes."""
    law = Published("flood, overflow").distribution
    Q, Ks = law.getMarginal(0), law.getMarginal(1)

    def nodes(i: int, count: int, *breaks: float) -> tuple[np.ndarray, np.ndarray]:
        x, w = gauss(count, *breaks)
        return x, w * np.ravel(law.getMarginal(i).computePDF(x[:, None]))

    (zv, a), (zm, b) = nodes(2, 8, 49, 51), nodes(3, 6, 54, 56)
    (B, c), (L, d) = nodes(4, 2, 295, 300, 305), nodes(5, 2, 4990, 5000, 5010)
    (zb, e), (hd, g) = nodes(6, 3, 55, 55.5, 56), nodes(7, 6, 2, 4)
    ks, h = gauss(30, 0, 15, 90)
    h = h * np.ravel(Ks.computePDF(ks[:, None]))
    p = 0.0
    for k, weight in zip(ks, h, strict=True):
        axes = np.ix_(zv, zm, B, L, zb, hd)
        flow = k * axes[2] * np.sqrt((axes[1] - axes[0]) / axes[3]) * (axes[4] + axes[5] - axes[0]) ** (5 / 3)
        exceeded = -np.expm1(-np.exp((1013 - flow) / 558))
        p += weight * np.einsum("ijklmn,i,j,k,l,m,n", exceeded, a, b, c, d, e, g, optimize=True)
    # Q is truncated at 0.
    p /= -math.expm1(-math.exp(1013 / 558))
    assert Q.computeComplementaryCDF(3000.0) == pytest.approx(
        math.expm1(-math.exp((1013 - 3000) / 558)) / math.expm1(-math.exp(1013 / 558))
    )
    assert references("flood, overflow") == {"P(y > 0)": pytest.approx(p, rel=1e-6)}


@pytest.mark.parametrize("name", BEAMS)
def test_reference_of_the_beam(name: str) -> None:
    """Mean, standard deviation and probability of a beam's deviation, by quadrature."""
    law = Published(name).distribution
    E, F = law.getMarginal(0), law.getMarginal(1)
    # Load and modulus are independent of the rest; length and inertia are functions of two normal variables.
    modulus, e = ot.GaussProductExperiment(E, [20]).generateWithWeights()
    modulus, e = np.ravel(modulus), np.array(e)
    u, w = np.polynomial.hermite_e.hermegauss(24)
    pairs = np.array([[a, b] for a in u for b in u])
    w = np.outer(w, w).ravel() / w.sum() ** 2
    rest = np.array(law.getMarginal([2, 3]).getInverseIsoProbabilisticTransformation()(pairs))
    shape = rest[:, 0] ** 3 / (3 * rest[:, 1])
    load = F.getMean()[0]
    square = load**2 + F.getCovariance()[0, 0]
    mean = load * (e @ (1 / modulus)) * (w @ shape)
    variance = square * (e @ modulus**-2.0) * (w @ shape**2) - mean**2
    answers = references(name)
    probability, limit = next((a, float(a[6:-1])) for a in answers if a.startswith("P(y > "))
    needed = limit * np.outer(modulus, 1 / shape)
    p = e @ np.reshape(F.computeComplementaryCDF(needed.reshape(-1, 1)), needed.shape) @ w
    assert answers == {
        "mean": pytest.approx(mean, rel=3e-6),
        "standard deviation": pytest.approx(math.sqrt(variance), rel=3e-6),
        probability: pytest.approx(p, rel=2e-6),
    }


# The code and the study.


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[[str | None], tuple[int, str, str]]]:
    """Return a function that runs the code on a text; it returns exit code, messages and output."""
    program = str(built(FOLDER / "published.c"))

    def run(text: str | None) -> tuple[int, str, str]:
        source, output = tmp_path / "problem.in", tmp_path / "problem.out"
        output.unlink(missing_ok=True)
        if text is not None:
            source.write_text(text, encoding="utf-8")
        done = subprocess.run([program, str(source), str(output)], capture_output=True, text=True)
        return done.returncode, done.stderr, output.read_text() if output.exists() else ""

    return run


SUM = "problem = sum\nx1 = 1\nx2 = 2\n"


@pytest.mark.parametrize(
    ("text", "exit_code", "told"),
    [
        (SUM, 0, ""),
        (SUM.replace("\n", "\r\n"), 0, ""),
        ("# x1 = 9\nx10 = 9\n  \n" + SUM.replace(" = ", "="), 0, ""),
        (None, 3, "cannot read"),
        ("", 4, "problem"),
        (SUM.replace("sum", "total"), 4, "unknown problem total"),
        (SUM.replace("x2 = 2\n", ""), 4, "x2"),
        (SUM.replace("x2 = 2\n", "x2 ="), 4, "x2"),
        (SUM.replace("2\n", "2 m\n"), 4, "x2"),
        (SUM.replace("2\n", "2 é\n"), 4, "x2"),
        (SUM.replace("2\n", "unused\n"), 4, "x2 is not a number: unused"),
        (SUM.replace("2\n", "nan\n"), 4, "x2 is not a number: nan"),
        (SUM.replace("2\n", "1e999\n"), 4, "x2 is not a number: 1e999"),
        (SUM.replace("2\n", "0x10\n"), 4, "x2 is not a number: 0x10"),
        (SUM.replace("2\n", "1,5\n"), 4, "x2 is not a number: 1,5"),
        ("problem = cantilever\nx1 = 0\nx2 = 1\nx3 = 1\nx4 = 1\n", 4, "no answer"),
        (
            SUM.replace("sum", "product").replace("1\n", "1e300\n").replace("= 2\n", "= 1e300\n"),
            4,
            "no answer",
        ),
    ],
)
def test_code_refuses_bad_input(
    run: Callable[[str | None], tuple[int, str, str]], text: str | None, exit_code: int, told: str
) -> None:
    """Bad input ends with an exit code and a message, and never with an answer."""
    code, messages, output = run(text)
    assert code == exit_code
    assert told in messages
    assert output == ("y = 3\n" if exit_code == 0 else "")


def test_point_out_of_the_domain_is_a_failure() -> None:
    """A river that flows uphill is a failed evaluation, with the code's own message."""
    evaluation = Published("flood, height").evaluate([1000.0, 30.0, 56.0, 50.0, 300.0, 5000.0])
    assert (evaluation.status, evaluation.exit_code) == ("failed", 4)
    assert "flood-height has no answer there" in evaluation.error


def test_template_gives_all_digits(run: Callable[[str | None], tuple[int, str, str]]) -> None:
    """No digit is lost on the way to the code and back; what a problem does not need is no number."""
    x = [0.1 + 0.2, 1 / 3, math.pi]
    bound = Published("x1 x2 + x3").templates["problem.in"]
    text = bound.render(x).decode()
    assert text.endswith("x8 = unused\n")
    assert run(text)[2] == f"y = {x[0] * x[1] + x[2]:.17g}\n"


@pytest.mark.slow
def test_study(tmp_path: Path) -> None:
    """The gallery's page runs, saves its picture, and needs no run of the code the second time."""
    pytest.importorskip("pandas")
    pytest.importorskip("matplotlib")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(FOLDER / "study.py")],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (tmp_path / "published.png").stat().st_size > 10_000
        for name in PROBLEMS:
            assert name in done.stdout
