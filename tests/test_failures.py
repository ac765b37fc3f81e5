"""A hopeless campaign ends early, and the bounds of what failures leave open are told."""

from __future__ import annotations

import sys
import time

import numpy as np
import openturns as ot
import pytest

import otwrap as otw
from otwrap.errors import SampleError
from otwrap.failures import FailureLimit

BACKENDS = ["serial", "threads", "multiprocessing", "joblib"]


def picky(**settings):
    """Return a wrapper of a code that fails for negative values, and gives their double otherwise."""
    code = "import sys; x = float(sys.argv[1]); print(2 * x) if x >= 0 else sys.exit(3)"
    return otw.Wrapper(
        inputs=["x"],
        outputs=["y"],
        command=[sys.executable, "-I", "-S", "-c", code, "{x}"],
        parsers=[otw.parsers.Stdout()],
        keep="none",
        **settings,
    )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_hopeless_campaign_ends_early(backend, tmp_path):
    """After `max_failures` the rest is not run, what is done is kept, and the error says what failed most."""
    X = [[1.0], *([-1.0 - i] for i in range(200))]
    with otw.Parallelizer(
        picky(), backend=backend, n_cpus=2, max_failures=5, store=tmp_path / "s.sqlite"
    ) as f:
        # Two workers take turns: which of them is first is nobody's promise.
        f(X[:1])
        with pytest.raises(
            SampleError, match=r"stopped early: .* of 201 points failed, .*exit code \("
        ) as caught:
            f(X)
        assert 6 <= len(caught.value.failures) < 60
        assert len(f.campaign.clean()[0]) == 1
        assert len(f.campaign.evaluations) < 60


def test_a_fraction_is_of_the_sample():
    """A fraction counts from the whole sample, so that one early failure ends nothing."""
    limit = FailureLimit(0.5)
    assert [limit.reached(n, 4) for n in (1, 2, 3)] == [False, False, True]
    assert FailureLimit(0).reached(1, 100) and not FailureLimit(None).reached(100, 100)
    with otw.Parallelizer(picky(), backend="serial", max_failures=0.5, on_failure="nan") as f:
        Y = f([[-1.0], [-2.0], [3.0], [4.0]])
    assert np.isnan(Y[0, 0]) and Y[3, 0] == 8.0


@pytest.mark.parametrize("value", [-1, 1.5, True, -0.1, float("nan")])
def test_a_limit_that_means_nothing_is_told(value):
    """A negative number or a fraction above 1 is told when the function is made."""
    with pytest.raises(ValueError, match="max_failures="):
        otw.Parallelizer(picky(), backend="serial", max_failures=value)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_straggler_ends_at_a_multiple_of_the_median(backend):
    """Once ten are done, an evaluation that takes many times as long as the others ends with the status timeout."""
    code = "import sys, time; x = float(sys.argv[1]); time.sleep(60 if x == 30 else 0.05); print(x)"
    model = otw.Wrapper(
        inputs=["x"],
        outputs=["y"],
        command=[sys.executable, "-I", "-S", "-c", code, "{x}"],
        parsers=[otw.parsers.Stdout()],
        keep="none",
    )
    clock = time.monotonic()
    with otw.Campaign(model, backend, 2, straggler_factor=10.0, verbosity=False) as campaign:
        records = campaign.map([[float(i)] for i in range(40)])
    assert time.monotonic() - clock < 40
    assert [record.point[0] for record in records if not record.done] == [30.0]
    assert (records[30].status, records[30].cause) == ("timeout", "time limit")
    assert records[30].settings is not None and records[30].settings["timeout"] < 20


def test_clean_pairs_come_with_a_report():
    """The good pairs of a sample stand in its order, and the report says what is missing and why."""
    with otw.Parallelizer(picky(), backend="serial", on_failure="nan") as f:
        X = [[1.0], [-1.0], [2.0], [1.0]]
        f(X)
        pairs = f.campaign.clean([*X, [7.0]])
        everything = f.campaign.clean()
    x, y = pairs
    assert x.tolist() == [[1.0], [2.0], [1.0]] and y.tolist() == [[2.0], [4.0], [2.0]]
    assert pairs.kept == [0, 2, 3] and pairs.dropped == [1, 4]
    assert pairs.report == "3 of 5 points are kept; 2 failed: exit code (1), not evaluated (1)"
    assert sorted(everything.X.ravel()) == [1.0, 2.0]


@pytest.mark.parametrize("second_order", [False, True])
def test_whole_blocks_of_a_sobol_design_are_dropped(second_order):
    """Where one row of a Sobol' design failed, its row in every block goes, and the indices are those of the rest."""
    size, dimension = 50, 2
    ot.RandomGenerator.SetSeed(0)
    distribution = ot.JointDistribution([ot.Uniform(-0.1, 1.0)] * dimension)
    design = ot.SobolIndicesExperiment(distribution, size, second_order).generate()
    # Fails below -0.09 in the first input; elsewhere it is smooth.
    model = ot.PythonFunction(2, 1, lambda x: [x[0] + 2 * x[1] if x[0] > -0.03 else 1 / 0])
    with otw.Parallelizer(model, backend="serial", on_failure="nan") as f:
        f(design)
        pairs = f.campaign.clean(design, block_size=size)
        with pytest.raises(ValueError, match="base size of the design"):
            f.campaign.clean(design[:-1], block_size=size)
        with pytest.raises(ValueError, match="give it as X too"):
            f.campaign.clean(block_size=size)
    assert 0 < pairs.block_size < size
    assert len(pairs.X) % pairs.block_size == 0
    assert np.isfinite(pairs.Y).all()
    blocks = len(pairs.X) // pairs.block_size
    assert blocks == len(design) // size
    # Row i of the blocks A, B, E1... still belongs together: E1 is A but for its first column.
    A, B, E1 = (pairs.X[k * pairs.block_size : (k + 1) * pairs.block_size] for k in range(3))
    assert np.array_equal(E1[:, 1], A[:, 1]) and np.array_equal(E1[:, 0], B[:, 0])
    ot.SaltelliSensitivityAlgorithm(ot.Sample(pairs.X), ot.Sample(pairs.Y), pairs.block_size)


def test_a_probability_stands_between_bounds():
    """m events and k failures among N points leave the probability open between m/N and (m + k)/N."""
    with otw.Parallelizer(picky(), backend="serial", on_failure="nan") as f:
        X = [[1.0], [2.0], [3.0], [-1.0], [-2.0]]
        f(X)
        bounds = f.campaign.probability_bounds(X, ot.Greater(), 3.0, "y")
        assert bounds == (2 / 5, 4 / 5, 2, 2, 5)
        assert f.campaign.probability_bounds(X, ot.GreaterOrEqual(), 6.0)[:2] == (1 / 5, 3 / 5)
        with pytest.raises(ValueError, match="the outputs are y"):
            f.campaign.probability_bounds(X, ot.Greater(), 3.0, "z")


def test_one_point_at_a_time_is_told_once():
    """An algorithm that asks for single points gets one warning that names the setting; blocks get none."""
    model = ot.SymbolicFunction(["x"], ["x"])
    event = None

    def simulate(f, block):
        nonlocal event
        vector = ot.CompositeRandomVector(f, ot.RandomVector(ot.Normal()))
        event = ot.ThresholdEvent(vector, ot.Greater(), 1.0)
        algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
        algorithm.setBlockSize(block)
        algorithm.setMaximumOuterSampling(60)
        algorithm.setMaximumCoefficientOfVariation(0.0)
        algorithm.run()

    with otw.Parallelizer(model, backend="threads", n_cpus=4) as f:
        with pytest.warns(RuntimeWarning, match=r"3 of 4 workers idle.*setBlockSize\(4\)") as told:
            simulate(f, 1)
        assert len(told) == 1
    for backend, n_cpus, block in (("threads", 4, 10), ("threads", 1, 1), ("serial", 4, 1)):
        with otw.Parallelizer(model, backend=backend, n_cpus=n_cpus) as f:
            simulate(f, block)
    with otw.Parallelizer(model, backend="threads", n_cpus=4) as f:
        for _ in range(100):
            f([1.0])  # known after the first: nobody idles
        problem = ot.OptimizationProblem(ot.ComposedFunction(ot.SymbolicFunction(["x"], ["(x - 2)^2"]), f))
        solver = ot.Cobyla(problem)
        solver.setStartingPoint([0.1])
        solver.setMaximumAbsoluteError(1e-10)
        solver.setMaximumRelativeError(1e-10)
        solver.run()  # an optimizer has no such setting: no warning
        assert len(f.campaign.evaluations) > 25
        with pytest.warns(RuntimeWarning, match=r"pass the whole sample: f\(X\)"):
            for i in range(30):
                f([float(i) + 0.5])
