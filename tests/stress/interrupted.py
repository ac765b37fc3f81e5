"""A user's study for Ctrl-C: ``interrupted.py FOLDER BACKEND WHAT``. Two points are done fast, the others hang."""

import sys
from pathlib import Path

import openturns as ot

import otwrap as otw
from otwrap.testing import FakeSimulator, Fault

folder, backend, what = Path(sys.argv[1]), *sys.argv[2:4]
ot.Log.Show(ot.Log.NONE)


def sample(f):
    """A design of experiments."""
    f([[0.0], [0.1], [0.6], [0.7], [0.8]])


def montecarlo(f):
    """A simulation algorithm, in blocks."""
    inputs = ot.RandomVector(ot.Uniform(0.0, 1.0))
    event = ot.ThresholdEvent(ot.CompositeRandomVector(f, inputs), ot.Greater(), 2.0)
    algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
    algorithm.setBlockSize(8)
    ot.RandomGenerator.SetSeed(1)
    algorithm.run()


model = FakeSimulator(
    1,
    faults=[Fault("hang", where="x0 > 0.5")],
    folder=folder / "code",
    base_temp_work_dir=folder / "work",
)
with otw.Parallelizer(model, backend, 2, store=folder / "study.sqlite") as f:
    {"sample": sample, "montecarlo": montecarlo}[what](f)
