r"""
Calibrating the roughness of a channel, by EPA SWMM 5
=====================================================

How rough is an old concrete channel? A handbook says :math:`N` = 0.013 s/m\ :sup:`1/3`. Twelve gaugings tell
more: the hydraulic code is run for each roughness that the calibration tries. At normal depth :math:`y` there is
Manning's formula, here for a channel of 400 m with a drop :math:`d`:

.. math:: v = \frac{1}{N} \left(\frac{W y}{W + 2 y}\right)^{2/3} \sqrt{\frac{d}{400}}, \qquad y = \frac{Q}{W v}
"""

# %%
# The flows in m\ :sup:`3`/s and the velocities in m/s that were measured there, to about 0.03 m/s. They are made
# up, with a roughness of 0.017.
import sys

import openturns as ot
from matplotlib import pyplot as plt

import otwrap as otw
from otwrap.examples.swmm_net import Swmm

flow = ot.Sample([[q] for q in range(3, 15)])
velocity = [1.43, 1.56, 1.72, 1.84, 1.96, 2.01, 2.06, 2.12, 2.23, 2.31, 2.32, 2.33]

# %%
# SWMM becomes a function of the flow with the roughness as its parameter; drop and width are known. The results are
# floats of seven digits, so that the steps of finite differences must not be tiny.
f = otw.Parallelizer(Swmm(), store="swmm_net.sqlite")
f.setGradient(ot.CenteredFiniteDifferenceGradient([1e-4, 1e-2, 1e-1, 1e-2], f.getEvaluation()))
model = ot.ParametricFunction(ot.ParametricFunction(f, [1, 3], [0.8, 4.0]), [0], [0.013])

# %%
# Least squares. Far from the handbook's value, and with an interval that says how much twelve gaugings tell.
calibration = ot.NonLinearLeastSquaresCalibration(model, flow, ot.Sample.BuildFromPoint(velocity), [0.013])
calibration.setBootstrapSize(0)
calibration.run()
posterior = calibration.getResult().getParameterPosterior()
low, best, high = (posterior.computeQuantile(p)[0] for p in (0.025, 0.5, 0.975))
print(f"roughness {best:.5f}, with 95 % confidence from {low:.5f} to {high:.5f}; the true one is 0.017")

# %%
figure, axes = plt.subplots(layout="constrained")
for N, style in [(0.013, "--"), (low, "C1:"), (best, "C1"), (high, "C1:")]:
    model.setParameter([N])
    axes.plot(flow, model(flow), style, label=f"SWMM, N = {N:.4f}")
axes.plot(flow, velocity, "k.", label="gaugings")
axes.set(xlabel="flow (m$^3$/s)", ylabel="velocity (m/s)")
axes.legend()
figure.savefig("swmm_net.png", dpi=120)

# %%
# Every run that the calibration asked for, against Manning's formula.
X, Y = f.campaign.clean()
(N, drop, Q, W), v = X.T, Y[:, 0]
error = abs((Q / (W + 2 * Q / (W * v)) / v) ** (2 / 3) * (drop / 400) ** 0.5 / N / v - 1).max()
print(f"{len(X)} runs of SWMM; largest relative error {error:.0e}")
if not (error < 1e-4 and low < 0.017 < high):
    sys.exit("SWMM is off Manning's formula by more than 1e-4, or the calibration is off the true roughness")
