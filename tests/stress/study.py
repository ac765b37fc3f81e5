"""A user's study, which the tests kill: ``study.py FOLDER NUMBER BACKEND WHAT [with-limits | in-memory]``.

The number is that of the run: the first one is killed, the second one resumes. It changes nothing but where the
code and this script note what they do. In memory, it is the same study without a code, a store and kills.
"""

import os
import sys
from pathlib import Path

import openturns as ot

import otwrap as otw
from otwrap.testing import FakeSimulator, Fault

N_CPUS = 2
SIZE = 24

folder, number, backend, what = Path(sys.argv[1]), *sys.argv[2:5]
ot.Log.Show(ot.Log.NONE)


def noting(put_many):
    """Have the store say, in a file of its own, which points it has recorded."""

    def put(self, records):
        put_many(self, records)
        lines = "".join(f"{e.status} {' '.join(map(float.hex, e.point))}\n" for _, e in records)
        file = os.open(folder / f"recorded-{number}", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, lines.encode())
        os.close(file)

    return put


def sample(f):
    """Return the outputs of a design of experiments."""
    return [y[0] for y in f([[i / SIZE, 0.5] for i in range(SIZE)])]


def event_of(f, threshold):
    """Return the event that the output is above a threshold."""
    inputs = ot.RandomVector(ot.JointDistribution([ot.Uniform(0.0, 1.0), ot.Normal(0.5, 0.1)]))
    return ot.ThresholdEvent(ot.CompositeRandomVector(f, inputs), ot.Greater(), threshold)


def montecarlo(f):
    """Return a threshold probability by Monte Carlo, in blocks."""
    ot.RandomGenerator.SetSeed(7)
    algorithm = ot.ProbabilitySimulationAlgorithm(event_of(f, 1.0), ot.MonteCarloExperiment())
    algorithm.setBlockSize(6)
    algorithm.setMaximumOuterSampling(4)
    algorithm.setMaximumCoefficientOfVariation(0.0)
    algorithm.run()
    result = algorithm.getResult()
    return [result.getProbabilityEstimate(), result.getVarianceEstimate()]


def form(f):
    """Return the reliability index and the design point by FORM."""
    search = ot.AbdoRackwitz()
    search.setStartingPoint([0.5, 0.5])
    algorithm = ot.FORM(search, event_of(f, 1.4))
    algorithm.run()
    result = algorithm.getResult()
    return [result.getHasoferReliabilityIndex(), *result.getStandardSpaceDesignPoint()]


def simulation():
    """Return the function that runs the code."""
    otw.Store.put_many = noting(otw.Store.put_many)
    model = FakeSimulator(
        ["a", "b"],
        # Children that went away and ignore TERM at some points; not all points take the same time.
        faults=[Fault("children", where="a < 0.07"), Fault("slow", share=0.5, value=0.1)],
        seconds=0.05,
        folder=folder / f"code-{number}",
        base_temp_work_dir=folder / "work",
    )
    limits = {"licence": N_CPUS} if "with-limits" in sys.argv else None
    return otw.Parallelizer(model, backend, N_CPUS, store=folder / "stores" / "study.sqlite", limits=limits)


def formula():
    """Return the same function without a code."""
    return otw.Parallelizer(ot.PythonFunction(2, 1, lambda x: [x[0] + x[1]]), backend, N_CPUS)


with formula() if "in-memory" in sys.argv else simulation() as f:
    answers = {"sample": sample, "montecarlo": montecarlo, "form": form}[what](f)
(folder / f"result-{number}").write_text("\n".join(map(float.hex, answers)), encoding="ascii")
