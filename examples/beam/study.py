"""
The beam, from its input file to its failure probability
========================================================

An external code computes the deviation of the tip of a cantilever beam. This study runs it a few thousand
times, in parallel, for the central dispersion of the deviation, the probability that it exceeds a
threshold, and Sobol' indices. Each answer stands beside a value that is known by quadrature.
"""

# %%
# The code and its model
# ----------------------
# The wrapper says how one point is run; ``Parallelizer`` makes an OpenTURNS function of it that runs samples
# on all CPUs. The store keeps every evaluation, and none is run again the next time.
import argparse
import sys

import matplotlib
import numpy as np
import openturns as ot

import otwrap as otw
from otwrap.examples.beam import MODELS, Beam, known_indices
from otwrap.examples.beam.executable import executable

parser = argparse.ArgumentParser(description="Uncertainty study of the beam.")
parser.add_argument("--model", choices=MODELS, default="guide", help="which probabilistic model")
parser.add_argument(
    "--size", type=int, help="runs for the central dispersion; default 2000, or 500 without a C compiler"
)
parser.add_argument("--backend", default="multiprocessing", help="where the evaluations run")
parser.add_argument("--store", default="beam_study.sqlite", help="SQLite file that keeps the evaluations")
parser.add_argument("--picture", default="beam_study.png", help="file that the picture is written to")
options = parser.parse_args()

ot.RandomGenerator.SetSeed(0)
model = MODELS[options.model]
distribution = model.distribution()
f = otw.Parallelizer(Beam(), backend=options.backend, store=options.store)
# Where the beam's code cannot be compiled, its stand-in needs ten times as long.
size = options.size or (2000 if len(executable()) == 1 else 500)
rows = []  # quantity, ours, standard error, reference

# %%
# Central dispersion
# ------------------
# The standard error of a standard deviation comes from the fourth moment.
Y = f(distribution.getSample(size))
mean, std = Y.computeMean()[0], Y.computeStandardDeviation()[0]
rows.append(("mean", mean, std / size**0.5, model.mean))
rows.append(("standard deviation", std, std * ((Y.computeKurtosis()[0] - 1) / (4 * size)) ** 0.5, model.std))

# %%
# Probability of exceeding the threshold
# --------------------------------------
# Monte Carlo asks for blocks of points, and a block is what runs in parallel. The standard error is that of
# the reference: the estimator's own would be zero if no point of a rare event were drawn.
event = ot.ThresholdEvent(
    ot.CompositeRandomVector(f, ot.RandomVector(distribution)), ot.Greater(), model.threshold
)
monte_carlo = ot.ProbabilitySimulationAlgorithm(event, ot.MonteCarloExperiment())
monte_carlo.setBlockSize(size // 4)
monte_carlo.setMaximumOuterSampling(16)
monte_carlo.setMaximumCoefficientOfVariation(0.0)
monte_carlo.run()
p, runs = model.probability, monte_carlo.getResult().getOuterSampling() * (size // 4)
p_monte_carlo = monte_carlo.getResult().getProbabilityEstimate()
rows.append((f"P(y > {model.threshold:g}), Monte Carlo", p_monte_carlo, (p * (1 - p) / runs) ** 0.5, p))

# %%
# FORM approximates that probability with a few dozen runs, gradients included. Its own reference is FORM on
# the formula, which finite differences through the code meet to four digits. Each input has a step of its own:
# the one that OpenTURNS takes for all, 1e-5, is too much for a moment of inertia in m^4 and lost in Young's modulus.
formula = ot.SymbolicFunction(["F", "E", "L", "I"], ["F * L^3 / (3 * E * I)"])


def form_probability(function):
    """Return the probability that the function exceeds the threshold, according to FORM."""
    output = ot.CompositeRandomVector(function, ot.RandomVector(distribution))
    solver = ot.AbdoRackwitz()
    solver.setStartingPoint(distribution.getMean())
    form = ot.FORM(solver, ot.ThresholdEvent(output, ot.Greater(), model.threshold))
    form.run()
    return form.getResult().getEventProbability()


step = 1e-3 * distribution.getStandardDeviation()
f.setGradient(ot.CenteredFiniteDifferenceGradient(step, f.getEvaluation()))
reference = form_probability(formula)
rows.append((f"P(y > {model.threshold:g}), FORM", form_probability(f), 1e-4 * reference, reference))

# %%
# Sobol' indices
# --------------
# For independent inputs; the deviation is a product, so the indices are known.
independent = ot.JointDistribution([distribution.getMarginal(i) for i in range(4)])
sobol = ot.SaltelliSensitivityAlgorithm(independent, size // 2, f, False)
sobol.setUseAsymptoticDistribution(True)
first = np.array(sobol.getFirstOrderIndices())
errors = np.array(sobol.getFirstOrderIndicesDistribution().getStandardDeviation())

known = known_indices(independent)
names = distribution.getDescription()
rows += [(f"Sobol' index of {names[i]}", first[i], errors[i], known[i]) for i in range(4)]

# %%
# The picture
# -----------
matplotlib.use("Agg")
from matplotlib import pyplot as plt

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.hist(np.ravel(Y), bins=50, density=True, color="tab:blue")
left.axvline(model.threshold, color="tab:red", label=f"threshold, P = {p_monte_carlo:.2g}")
left.set(xlabel="deviation", ylabel="density", title=f"{size} runs of the code")
left.legend()
right.bar(np.arange(4) - 0.2, first, 0.4, yerr=errors, label="from the code's runs")
right.bar(np.arange(4) + 0.2, known, 0.4, label="known")
right.set(title="First-order Sobol' indices", xticks=range(4), xticklabels=names)
right.legend()
figure.savefig(options.picture, dpi=120)

# %%
# The table
# ---------
# `z` counts the standard errors between ours and the reference.
print(f"{'quantity':28} {'ours':>10} {'std. error':>10} {'reference':>10} {'z':>6}")
far = []
for quantity, ours, error, reference in rows:
    z = (ours - reference) / error
    print(f"{quantity:28} {ours:10.5g} {error:10.2g} {reference:10.5g} {z:6.2f}")
    if not abs(z) <= 3:
        far.append(quantity)
print(
    f"{len(f.campaign.evaluations)} evaluations of the beam's code, recorded in {options.store}; picture in {options.picture}"
)
if far:
    sys.exit(f"More than three standard errors from the reference: {', '.join(far)}")
