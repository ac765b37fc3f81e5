"""The probability that the tip is colder than 60 degC: an algorithm that waits for a queue."""

import openturns as ot
from wrapper import distribution, fin

import otwrap as otw

cluster = otw.backends.Slurm(profile="cluster")
with otw.Parallelizer(fin, backend=cluster, store="fin.sqlite") as f:
    tip = ot.CompositeRandomVector(f, ot.RandomVector(distribution))
    event = ot.ThresholdEvent(tip, ot.Less(), 60.0)
    algorithm = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
    algorithm.setBlockSize(100)
    algorithm.setMaximumOuterSampling(4)
    ot.RandomGenerator.SetSeed(4)
    algorithm.run()
    print(algorithm.getResult())
