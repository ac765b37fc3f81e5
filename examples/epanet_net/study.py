r"""
The probability of too low a pressure, by EPANET
================================================

A main of 1 km has to leave 20 m of pressure at its end, from 50 m at the reservoir. The diameter is known to some
millimetres, the wall is aged and the peak demand uncertain. How often is the pressure too low, and which input is to
blame? The formula of Hazen and Williams is, in mm and l/s:

.. math:: p = 50 - 4727 \left(\frac{Q}{28.317 \, RC}\right)^{1.852} \left(\frac{D}{304.8}\right)^{-4.871}
"""

# %%
import sys

import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.epanet_net import Epanet

f = otw.Parallelizer(Epanet(), store="epanet_net.sqlite")
law = Epanet().distribution

# %%
# A sample gives a first probability and, by the order of its points, first-order Sobol' indices. The points must be
# random for that: those of a low-discrepancy sequence have too regular an order.
ot.RandomGenerator.SetSeed(0)
X = law.getSample(1000)
Y = f(X)
print("Sobol' indices of D, Q, RC:", ot.RankSobolSensitivityAlgorithm(X, Y).getFirstOrderIndices())

# %%
# FORM needs some dozen runs more, and also gives the most likely of all states with too low a pressure. EPANET's
# results are floats of seven digits: finite differences need steps that they resolve.
f.setGradient(ot.CenteredFiniteDifferenceGradient(0.01 * law.getStandardDeviation(), f.getEvaluation()))
solver = ot.AbdoRackwitz()
solver.setStartingPoint(law.getMean())
form = ot.FORM(solver, ot.ThresholdEvent(ot.CompositeRandomVector(f, ot.RandomVector(law)), ot.Less(), 20.0))
form.run()
probability, worst = form.getResult().getEventProbability(), form.getResult().getPhysicalSpaceDesignPoint()
print(f"P(p < 20 m): {Y.computeEmpiricalCDF([20.0]):.4f} by sample, {probability:.4f} by FORM, at {worst}")

# %%
figure, axes = plt.subplots(layout="constrained")
points = axes.scatter(X[:, 1], X[:, 2], s=9, c=Y, vmin=10, vmax=30, cmap="coolwarm_r")
axes.plot(*worst[1:], "k*", markersize=12)
axes.set(xlabel="demand Q (l/s)", ylabel="roughness coefficient RC", title="Star: the design point of FORM")
figure.colorbar(points, extend="both", label="pressure (m)")
figure.savefig("epanet_net.png", dpi=120)

# %%
# Every run, those of FORM included, against the formula.
X, Y = f.campaign.clean()
D, Q, RC = X.T
error = abs(Y[:, 0] / (50 - 4727 * (Q / 28.317 / RC) ** 1.852 * (304.8 / D) ** 4.871) - 1).max()
print(f"{len(X)} runs of EPANET; largest relative error {error:.0e}")
if not error < 1e-6:
    sys.exit("EPANET is off the formula of Hazen and Williams by more than 1e-6")
