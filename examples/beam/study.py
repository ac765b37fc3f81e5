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

import numpy as np
import openturns as ot

import otwrap as otw
from otwrap.examples.beam import MODELS, Beam, known_indices
from otwrap.examples.beam.executable import executable
from otwrap.examples.beam.results import draw, form_probability, print_table

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
step = 1e-3 * distribution.getStandardDeviation()
f.setGradient(ot.CenteredFiniteDifferenceGradient(step, f.getEvaluation()))
ours, reference = (form_probability(function, distribution, model.threshold) for function in (f, formula))
rows.append((f"P(y > {model.threshold:g}), FORM", ours, 1e-4 * reference, reference))

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
# The results
# -----------
# `z` counts the standard errors between ours and the reference.
draw(options.picture, np.ravel(Y), model.threshold, p_monte_carlo, names, first, errors, known)
far = print_table(rows)
print(
    f"{len(f.campaign.evaluations)} evaluations of the beam's code, recorded in {options.store}; picture in {options.picture}"
)
if far:
    sys.exit(f"More than three standard errors from the reference: {', '.join(far)}")
