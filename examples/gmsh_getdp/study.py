r"""
The polynomial chaos of a ring, by gmsh and GetDP
=================================================

Which of radii, conductivity and voltage is to blame for the scatter of the power that a ring takes? A run of the two
codes takes half a second. A polynomial that is fitted to 40 runs answers at once: its coefficients are the Sobol'
indices, and it can be asked thousands of times more. Each run should have answered

.. math:: P = \frac{2 \pi K T_I^2}{\ln(R_O / R_I)}.
"""

# %%
import sys

import numpy as np
import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.gmsh_getdp import ring

# %%
# The runs of the codes, and how far they are from the formula.
formula = ot.SymbolicFunction(ring.inputs, ["2 * pi_ * K * TI^2 / ln(RO / RI)"])
X = ot.LowDiscrepancyExperiment(ot.SobolSequence(), ring.distribution, 40).generate()
Y = otw.Parallelizer(ring, store="gmsh_getdp.sqlite")(X)
error = np.max(np.abs(np.divide(Y, formula(X)) - 1))
print(f"{len(X)} runs of gmsh and GetDP, each within {error:.1e} of the formula")

# %%
# All polynomials of four variables and of degree 3 at most make 35 terms: those that matter are selected.
basis = ot.OrthogonalProductPolynomialFactory([ring.distribution.getMarginal(i) for i in range(4)])
terms = ot.FixedStrategy(basis, basis.getEnumerateFunction().getBasisSizeFromTotalDegree(3))
selection = ot.LeastSquaresStrategy(ot.LeastSquaresMetaModelSelectionFactory())
chaos = ot.FunctionalChaosAlgorithm(X, Y, ring.distribution, terms, selection)
chaos.run()
sobol = ot.FunctionalChaosSobolIndices(chaos.getResult())
print("first-order Sobol' indices:", *(f"{ring.inputs[i]} {sobol.getSobolIndex(i):.3f}" for i in range(4)))

# %%
# The polynomial against the formula, at 10000 points that it has not seen.
new = ring.distribution.getSample(10000)
known, fitted = formula(new), chaos.getResult().getMetaModel()(new)
R2 = ot.MetaModelValidation(known, fitted).computeR2Score()[0]
print(f"share of the variance that the polynomial explains: {R2:.5f}")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(known, fitted, ".", ms=1)
left.set(xlabel="power by the formula (W)", ylabel="power by the polynomial (W)", title=f"$R^2$ = {R2:.5f}")
right.bar(ring.inputs, [sobol.getSobolTotalIndex(i) for i in range(4)], label="total")
right.bar(ring.inputs, [sobol.getSobolIndex(i) for i in range(4)], label="first order")
right.set(title=f"Sobol' indices from {len(X)} runs")
right.legend()
figure.savefig("gmsh_getdp.png", dpi=120)
if not (error < 2e-5 and R2 > 0.999):
    sys.exit(f"the codes are {error:.1e} off the formula (2e-5 allowed), or R2 = {R2:.5f} is below 0.999")
