r"""
The response of a filter, by ngspice
====================================

Resistors, inductors and capacitors have tolerances, here of 5, 10 and 5 %. What do they do to the response of a
filter, and which of them should be bought better? Each run of the circuit simulator gives a curve, the gain over
the frequency, and a number, the cut-off frequency. The closed form of both:

.. math:: |H(f)| = \frac{1}{|1 - \omega^2 L C + j \omega R C|}, \ \omega = 2 \pi f, \quad |H(f_{3dB})| = \frac{1}{\sqrt{2}}
"""

# %%
import sys

import numpy as np
import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.ngspice_rlc import rlc

X = ot.LowDiscrepancyExperiment(ot.SobolSequence(), rlc.distribution, 256).generate()
f = otw.Parallelizer(rlc, store="ngspice_rlc.sqlite")

# %%
# The curves come as an ``ot.ProcessSample``; the numbers are of the same runs, and known by then.
curves = f.field("gain")(X)
f3db = np.array(f(X).getMarginal(["f3db"]))
print("f3db in Hz, 2.5 %, median, 97.5 %:", np.quantile(f3db, [0.025, 0.5, 0.975]).round())

# %%
# Every value of every curve, and each cut-off frequency, against the closed form.
frequency = 10 ** np.ravel(curves.getMesh().getVertices())
gain = np.array([np.ravel(curve) for curve in curves])
R, L, C = np.array(X).T[:, :, None]
theory, half = (1 / abs(1 - w**2 * L * C + 1j * w * R * C) for w in (2 * np.pi * frequency, 2 * np.pi * f3db))
errors = abs(gain / theory - 1).max(), abs(half * 2**0.5 - 1).max()
print(f"{len(X)} runs of ngspice; largest relative error {errors[0]:.0e} of a curve, {errors[1]:.0e} at f3db")

# %%
# The share of each component in the variance, frequency by frequency: the square of its correlation with the gain,
# for it is almost linear in such tolerances. The resistor counts at the resonance only, and the inductor but there.
U = (X - X.computeMean()) / X.computeStandardDeviation()
shares = (np.array(U).T @ (gain - gain.mean(axis=0)) / len(X)) ** 2 / gain.var(axis=0)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
low, median, high = (np.ravel(curves.computeQuantilePerComponent(p)) for p in (0.025, 0.5, 0.975))
left.fill_between(frequency / 1e3, low, high, alpha=0.4, label="95 % of the filters")
left.plot(frequency / 1e3, median, label="median")
left.set(xlabel="frequency (kHz)", ylabel="gain", xlim=(0, 40))
left.legend()
right.plot(frequency / 1e3, shares.T, label=rlc.inputs)
right.set(xlabel="frequency (kHz)", ylabel="share in the variance of the gain", xlim=(0, 40))
right.legend()
figure.savefig("ngspice_rlc.png", dpi=120)
if not (errors[0] < 1e-9 and errors[1] < 2e-4):
    sys.exit(f"ngspice is off the closed form by {errors}, more than 1e-9 and 2e-4")
