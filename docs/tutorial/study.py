"""A small study of the fin: run it twice, and nothing is run twice."""

import openturns as ot
from wrapper import distribution, fin

import otwrap as otw

ot.RandomGenerator.SetSeed(0)
X = distribution.getSample(100)

with otw.Parallelizer(fin, store="fin.sqlite") as f:
    Y = f(X)
    mean, std = Y.computeMean()[0], Y.computeStandardDeviation()[0]
    print(f"mean {mean:.2f} degC, standard deviation {std:.2f} degC")
    print(f"{len(f.campaign.evaluations)} evaluations on record")
