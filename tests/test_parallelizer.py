"""The front for OpenTURNS."""

import math
import threading
import time

import numpy as np
import openturns as ot
import pytest

import otwrap as otw


class Recording(ot.OpenTURNSPythonFunction):
    """The deflection of a beam in closed form, noting the size of each sample it is asked for."""

    def __init__(self):
        super().__init__(2, 1)
        self.setInputDescription(["F", "L"])
        self.setOutputDescription(["y"])

    def _exec(self, x):
        return [x[0] * x[1] ** 3 / 3.0]


class Fails(ot.OpenTURNSPythonFunction):
    """A function that does not converge above one half."""

    def __init__(self):
        super().__init__(1, 1)

    def _exec(self, x):
        if x[0] > 0.5:
            raise ValueError("no convergence")
        return [x[0]]


@pytest.fixture
def function():
    """A function of two inputs in parallel."""
    with otw.Parallelizer(Recording(), "threads", 2) as function:
        yield function


def sizes(function, monkeypatch):
    """Return a list that gets the size of each sample."""
    seen = []
    original = function.campaign.outputs

    def outputs(X, on_failure):
        seen.append(len(X))
        return original(X, on_failure)

    monkeypatch.setattr(function.campaign, "outputs", outputs)
    return seen


def test_it_is_a_function_of_openturns(function):
    """isinstance says so, and the descriptions are those of the model."""
    assert isinstance(function, ot.Function)
    assert list(function.getInputDescription()) == ["F", "L"]
    assert list(function.getOutputDescription()) == ["y"]
    assert function([3.0, 2.0])[0] == 8.0
    assert function([[3.0, 2.0], [6.0, 1.0]])[1, 0] == 2.0


def test_finite_differences_go_out_as_one_sample(function, monkeypatch):
    """A gradient of two inputs is one sample of four points, a Hessian one of nine."""
    seen = sizes(function, monkeypatch)
    assert function.gradient([3.0, 2.0])[0, 0] == pytest.approx(8.0 / 3.0)
    assert seen == [4]
    function.hessian([3.0, 2.0])
    assert seen == [4, 9]


def test_own_derivatives_are_honoured():
    """A model with a gradient and a Hessian is asked for them."""

    class Own(Recording):
        def _gradient(self, x):
            return [[42.0], [43.0]]

        def _hessian(self, x):
            return [[[1.0], [2.0]], [[2.0], [3.0]]]

    with otw.Parallelizer(Own(), "serial") as function:
        assert np.ravel(function.gradient([1.0, 1.0])).tolist() == [42.0, 43.0]
        assert function.hessian([1.0, 1.0])[0, 1, 0] == 2.0
    with otw.Parallelizer(ot.SymbolicFunction(["x"], ["sin(x)"]), "serial") as function:
        assert function.gradient([0.5])[0, 0] == math.cos(0.5)
        assert function.campaign.evaluations == []


def test_monte_carlo_and_directional_algorithms(function):
    """A threshold probability by Monte Carlo, in blocks, and by FORM."""
    inputs = ot.RandomVector(ot.JointDistribution([ot.Normal(3.0, 0.3), ot.Normal(2.0, 0.1)]))
    event = ot.ThresholdEvent(ot.CompositeRandomVector(function, inputs), ot.Greater(), 9.0)
    algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
    algorithm.setBlockSize(500)
    algorithm.setMaximumOuterSampling(4)
    algorithm.setMaximumCoefficientOfVariation(0.0)
    ot.RandomGenerator.SetSeed(1)
    algorithm.run()
    estimate = algorithm.getResult().getProbabilityEstimate()
    form = ot.FORM(ot.Cobyla(), event, [3.0, 2.0])
    form.run()
    assert form.getResult().getEventProbability() == pytest.approx(estimate, rel=0.2)
    assert len(function.campaign.evaluations) >= 2000


def test_sobol_chaos_and_kriging(function):
    """Saltelli's Sobol' indices, a polynomial chaos and a Kriging metamodel agree with the closed form."""
    distribution = ot.JointDistribution([ot.Uniform(1.0, 2.0), ot.Uniform(1.0, 2.0)])
    ot.RandomGenerator.SetSeed(1)
    design = ot.SobolIndicesExperiment(distribution, 2000).generate()
    indices = ot.SaltelliSensitivityAlgorithm(design, function(design), 2000).getFirstOrderIndices()
    assert indices[1] > indices[0]
    X = ot.LHSExperiment(distribution, 60).generate()
    chaos = ot.FunctionalChaosAlgorithm(X, function(X), distribution)
    chaos.run()
    metamodel = chaos.getResult().getMetaModel()
    assert metamodel([1.5, 1.5])[0] == pytest.approx(function([1.5, 1.5])[0], rel=1e-3)
    kriging = ot.KrigingAlgorithm(
        X, function(X), ot.SquaredExponential([1.0, 1.0]), ot.ConstantBasisFactory(2).build()
    )
    kriging.run()
    assert kriging.getResult().getMetaModel()([1.5, 1.5])[0] == pytest.approx(
        function([1.5, 1.5])[0], rel=1e-2
    )


def test_a_failing_point_raises_the_typed_error_with_its_text():
    """Called from Python the error keeps its type; inside an algorithm its text says all."""
    with otw.Parallelizer(Fails(), "serial") as function:
        with pytest.raises(otw.SampleError, match="no convergence"):
            function([[0.1], [0.7]])
        assert len(function.campaign.evaluations) == 2
        event = ot.ThresholdEvent(
            ot.CompositeRandomVector(function, ot.RandomVector(ot.Uniform())), ot.Greater(), 0.1
        )
        algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
        algorithm.setMaximumOuterSampling(50)
        with pytest.raises(RuntimeError, match="no convergence"):
            algorithm.run()


def test_a_nan_reaches_nobody_who_did_not_ask_for_it():
    """A nan of the model is a failure; on_failure='nan' lets it through by name."""
    model = ot.PythonFunction(1, 1, lambda x: [math.sqrt(x[0]) if x[0] >= 0.0 else math.nan])
    with otw.Parallelizer(model, "serial") as function, pytest.raises(otw.SampleError, match="not a number"):
        function([-1.0])
    with otw.Parallelizer(model, "serial", on_failure="nan") as function:
        assert math.isnan(function([-1.0])[0])
        assert function([4.0])[0] == 2.0


def test_ctrl_c_arrives_as_ctrl_c():
    """KeyboardInterrupt inside the model of a direct call is not turned into a RuntimeError."""

    class Interrupted(ot.OpenTURNSPythonFunction):
        def __init__(self):
            super().__init__(1, 1)

        def _exec(self, x):
            raise KeyboardInterrupt

    with otw.Parallelizer(Interrupted(), "serial") as function, pytest.raises(KeyboardInterrupt):
        function([1.0])


def test_pool_lives_as_long_as_the_function():
    """The workers of the first sample serve the second one."""
    with otw.Parallelizer(Recording(), "multiprocessing", 2) as function:
        function([[1.0, 1.0], [2.0, 2.0]])
        first = [worker.process.pid for worker in function.campaign.backend._crew.all]
        function([[3.0, 1.0], [4.0, 2.0]])
        assert [worker.process.pid for worker in function.campaign.backend._crew.all] == first


def test_a_study_goes_on_where_it_stopped(tmp_path):
    """The same script on the same store runs nothing again, inside an algorithm too."""
    answers = []
    for _ in range(2):
        with otw.Parallelizer(Recording(), "serial", store=tmp_path / "s") as function:
            ot.RandomGenerator.SetSeed(3)
            inputs = ot.RandomVector(ot.Normal(2))
            answers.append(ot.CompositeRandomVector(function, inputs).getSample(50))
            count = len(function.campaign.evaluations)
    assert answers[0] == answers[1]
    assert count == 50


def test_positional_arguments_of_otwrapy():
    """Parallelizer(wrapper, backend, n_cpus, verbosity) as in otwrapy 0.13."""
    with otw.Parallelizer(Recording(), "concurrent/thread", 2, False) as function:
        assert function([3.0, 2.0])[0] == 8.0


def test_functions_of_openturns_are_welcome():
    """ot.PythonFunction, ot.SymbolicFunction and a function of samples only."""
    models = [
        ot.PythonFunction(1, 1, lambda x: [2.0 * x[0]]),
        ot.SymbolicFunction(["x"], ["2 * x"]),
        ot.PythonFunction(1, 1, func_sample=lambda X: [[2.0 * x[0]] for x in X]),
    ]
    for model in models:
        for backend in ("serial", "multiprocessing"):
            with otw.Parallelizer(model, backend, 2) as function:
                assert function([[1.0], [2.0]])[1, 0] == 4.0


def test_closing_ends_the_workers():
    """No thread and no process of ours is left after the `with` block."""
    before = threading.active_count()
    with otw.Parallelizer(Recording(), "multiprocessing", 2) as function:
        function([[1.0, 1.0], [2.0, 2.0]])
        workers = [worker.process for worker in function.campaign.backend._crew.all]
    assert all(worker.poll() is not None for worker in workers)
    with otw.Parallelizer(Recording(), "threads", 2) as function:
        function([[1.0, 1.0], [2.0, 2.0]])
    deadline = time.monotonic() + 5.0
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_functions_of_openturns_are_made_of_it():
    """It can be renamed, combined and composed inside OpenTURNS, and stays one campaign."""
    with otw.Parallelizer(ot.SymbolicFunction(["x"], ["x^2"]), backend="threads") as f:
        renamed = ot.Function(f)
        renamed.setInputDescription(["q"])
        twice = ot.ComposedFunction(ot.SymbolicFunction(["y"], ["2 * y"]), renamed)
        assert [renamed([3.0])[0], twice([3.0])[0], ot.MemoizeFunction(f)([3.0])[0]] == [9.0, 18.0, 9.0]
        assert len(f.campaign.evaluations) == 1
