"""The study of the points that a cluster has evaluated: they come from the store, nothing is run."""

import openturns as ot
from wrapper import distribution, fin

import otwrap as otw

ot.RandomGenerator.SetSeed(0)
X = distribution.getSample(1000)

with otw.Parallelizer(fin, store="fin.sqlite") as f:
    Y = f(X)
    print(f"mean {Y.computeMean()[0]:.2f} degC, 95 % quantile {Y.computeQuantile(0.95)[0]:.2f} degC")
    print(f"{len(f.campaign.evaluations)} evaluations on record")
