r"""
A curve and its uncertainty, by OpenFOAM
========================================

How warm is it in the middle of the bar, when, and what decides it? A run gives a curve, and the answers are curves
too: the band that holds 90 % of the runs, and the Sobol' indices. Each run should have given, at each time,

.. math:: T(t) = T_1 \left(\frac{1}{2} - \sum_n \frac{2}{n \pi} \sin\frac{n \pi}{2} e^{-n^2 \pi^2 \alpha t}\right).
"""

# %%
import sys

import numpy as np
import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.openfoam_heat import bar

time = np.ravel(bar.fields["T"].getVertices())


def series(X):
    """Return the curves of points."""
    n = np.arange(1, 100)[:, None, None]
    terms = 2 / (n * np.pi) * np.sin(n * np.pi / 2) * np.exp(-((n * np.pi) ** 2) * X[:, [0]] * time)
    return X[:, [1]] * (0.5 - terms.sum(axis=0))


# %%
# The runs, as curves. The error counts as a part of the hot end's temperature, for the middle is cold at first.
X = ot.LowDiscrepancyExperiment(ot.SobolSequence(), bar.distribution, 64).generate()
curves = np.array(otw.Parallelizer(bar, store="openfoam_heat.sqlite").field("T")(X))[:, :, 0]
error = np.max(np.abs(curves - series(np.array(X))) / X[:, 1])
print(f"{len(X)} curves of OpenFOAM, at all {len(time)} times within {error:.1e} T1 of the series")

# %%
# A polynomial chaos, with an output per time, and how far it is from the series at 1000 points that it has not seen.
margins = bar.distribution.getMarginal([0, 1])
basis = ot.OrthogonalProductPolynomialFactory([margins.getMarginal(0), margins.getMarginal(1)])
chaos = ot.FunctionalChaosAlgorithm(X[:, :2], curves, margins, ot.FixedStrategy(basis, 15))
chaos.run()
sobol = ot.FunctionalChaosSobolIndices(chaos.getResult())
first = np.array([[sobol.getSobolIndex(i, t) for i in (0, 1)] for t in range(len(time))])
new = margins.getSample(1000)
fitted = np.array(chaos.getResult().getMetaModel()(new))
off = np.max(np.abs(fitted - series(np.array(new))) / new[:, 1])
print(f"the chaos is within {off:.1e} T1; Sobol' index of ALPHA after 0.1 s: {first[-1, 0]:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(time, curves.T, "k", lw=0.2)
left.fill_between(time, *np.quantile(fitted, [0.05, 0.95], axis=0), color="tab:orange")
left.set(xlabel="time (s)", ylabel="temperature (K)", title=f"{len(X)} runs and the band of 90 %")
right.plot(time, first, label=bar.inputs[:2])
right.set(xlabel="time (s)", title="First-order Sobol' indices")
right.legend()
figure.savefig("openfoam_heat.png", dpi=120)
if not max(error, off) < 4e-4:
    sys.exit(f"OpenFOAM is {error:.1e} T1 off the series, or the chaos {off:.1e} T1; 4e-4 is allowed")
