"""The published problems, solved by the algorithms of OpenTURNS."""

from __future__ import annotations

import time

import openturns as ot

import otwrap as otw
from otwrap.examples.published.wrapper import PROBLEMS, Published

__all__ = ["estimates", "solve"]


def solve(name, seed=0, store=None):
    """Yield a row for each answer of a problem; all problems may share one store."""
    ot.RandomGenerator.SetSeed(seed)
    law = Published(name).distribution
    # The work is done by external processes: threads are enough, and start at once.
    with otw.Parallelizer(Published(name), "threads", verbosity=False, store=store, on_change="rerun") as f:
        step = 1e-3 * law.getStandardDeviation()
        f.setGradient(ot.CenteredFiniteDifferenceGradient(step, f.getEvaluation()))
        for algorithm, size, answers in PROBLEMS[name]["answers"]:
            runs, clock = f.getEvaluationCallsNumber(), time.perf_counter()
            found = estimates(f, law, algorithm, size, next(iter(answers)))
            work = {"runs": f.getEvaluationCallsNumber() - runs, "seconds": time.perf_counter() - clock}
            for (answer, reference), (ours, error) in zip(answers.items(), found, strict=False):
                row = {"problem": name, "answer": answer, "algorithm": algorithm, "reference": reference}
                yield row | {"ours": ours, "std. error": error, "z": (ours - reference) / error} | work


def estimates(f, law, algorithm, size, answer):
    """Return pairs of an estimate and its standard error; `algorithm` is a class of OpenTURNS."""
    if algorithm == "Sample":
        Y = f(law.getSample(size))
        mean, std, kurtosis = Y.computeMean()[0], Y.computeStandardDeviation()[0], Y.computeKurtosis()[0]
        return (mean, std / size**0.5), (std, std * ((kurtosis - 1) / (4 * size)) ** 0.5)
    if algorithm.endswith("SensitivityAlgorithm"):
        sobol = getattr(ot, algorithm)(law, size, f, False)
        sobol.setUseAsymptoticDistribution(True)
        laws = sobol.getFirstOrderIndicesDistribution(), sobol.getTotalOrderIndicesDistribution()
        ours = [*sobol.getFirstOrderIndices(), *sobol.getTotalOrderIndices()]
        return zip(ours, [error for law in laws for error in law.getStandardDeviation()], strict=True)
    side, threshold = (ot.Less() if "<" in answer else ot.Greater()), float(answer.strip("P(y <>)"))
    start = ot.ThresholdEvent(ot.CompositeRandomVector(f, ot.RandomVector(law)), side, threshold)
    if algorithm in ("FORM", "PostAnalyticalImportanceSampling"):
        solver = ot.AbdoRackwitz()
        solver.setStartingPoint(law.getMean())
        form = ot.FORM(solver, start)
        form.run()
        start = form.getResult()
    if algorithm == "FORM":  # there is no chance in it: this is what finite differences leave
        return [(start.getEventProbability(), 1e-6 * start.getEventProbability())]
    simulation = getattr(ot, algorithm)(start)
    simulation.setBlockSize(size)  # one block, which runs in parallel; to stop when it looks good would bias
    simulation.setMaximumOuterSampling(1)
    simulation.setMaximumCoefficientOfVariation(0.0)
    simulation.run()
    return [(simulation.getResult().getProbabilityEstimate(), simulation.getResult().getStandardDeviation())]
