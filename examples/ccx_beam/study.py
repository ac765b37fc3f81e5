r"""
The reliability of a beam, by CalculiX
======================================

A beam may sag by 1/200 of its length, 5 mm. With what probability does it sag more, and what is to blame? FORM
finds the most likely failure, importance sampling corrects the probability around it: some 400 runs of the finite
element code, where Monte Carlo needs 60000. Timoshenko's theory says what each run should have answered:

.. math:: u = \frac{F L^3}{3 E I} + \frac{F L}{\frac{5}{6} G A}, \quad I = \frac{B H^3}{12}, A = B H, G = \frac{E}{2}
"""

# %%
import sys

import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.ccx_beam import beam

f = otw.Parallelizer(beam, store="ccx_beam.sqlite")

# %%
# The code prints seven digits, so that differences over tiny steps would be noise. Steps of a tenth of a standard
# deviation are not, and FORM's gradients are good enough.
step = 0.1 * beam.distribution.getStandardDeviation()
f.setGradient(ot.CenteredFiniteDifferenceGradient(step, f.getEvaluation()))
tip = ot.CompositeRandomVector(f, ot.RandomVector(beam.distribution))
solver = ot.AbdoRackwitz()
solver.setStartingPoint(beam.nominal)
form = ot.FORM(solver, ot.ThresholdEvent(tip, ot.Less(), -5.0))
form.run()
print(f"FORM: P(sag > 5 mm) = {form.getResult().getEventProbability():.3g}")

# %%
# Importance sampling runs its points in parallel, 50 at a time.
ot.RandomGenerator.SetSeed(0)
sampling = ot.PostAnalyticalImportanceSampling(form.getResult())
sampling.setBlockSize(50)
sampling.run()
print("importance sampling:", sampling.getResult())

# %%
# All runs, against the theory.
X, Y = f.campaign.clean()
theory = ot.SymbolicFunction(["F", "E", "H", "B"], ["4e9 * F / (E * B * H^3) + 2400 * F / (E * B * H)"])
error = abs(Y / theory(X) - 1).max()
print(f"{len(X)} runs of CalculiX, each within {error:.1e} of the theory")
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.scatter(-X[:, 0], X[:, 2], c=Y < -5.0, cmap="coolwarm")
left.set(
    xlabel="load (N)", ylabel="height of the section (mm)", title="Runs; red: the beam sags more than 5 mm"
)
right.bar(beam.inputs, form.getResult().getImportanceFactors())
right.set(title="What is to blame: FORM's importance factors")
figure.savefig("ccx_beam.png", dpi=120)
if not error < 3e-4:
    sys.exit(f"CalculiX is {error:.1e} off the theory, more than 3e-4")
