"""Probabilistic models of the beam, each with known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import openturns as ot

__all__ = ["MODELS", "Model", "known_indices"]


class Model(NamedTuple):
    """A distribution of (F, E, L, I), and what is known of the deviation `y`.

    Attributes
    ----------
    distribution : callable
        Returns the :class:`openturns.Distribution` of the inputs.
    mean, std : float
        Of the deviation.
    threshold : float
        The deviation not to be exceeded.
    probability : float
        That the deviation exceeds the threshold.
    """

    distribution: Callable[[], ot.Distribution]
    mean: float
    std: float
    threshold: float
    probability: float


def _joint(F: ot.Distribution, E: ot.Distribution, L: ot.Distribution, I: ot.Distribution) -> ot.Distribution:  # noqa: E741
    """Return the joint distribution where a longer beam is a thinner one: Spearman(L, I) = -0.2."""
    spearman = ot.CorrelationMatrix(4)
    spearman[2, 3] = -0.2
    copula = ot.NormalCopula(ot.NormalCopula.GetCorrelationFromSpearmanCorrelation(spearman))
    joint = ot.JointDistribution([F, E, L, I], copula)
    joint.setDescription(["F", "E", "L", "I"])
    return joint


def _guide() -> ot.Distribution:
    """Return the model of Persalys and of OpenTURNS' former guide."""
    return _joint(
        ot.ParametrizedDistribution(ot.LogNormalMuSigma(30000.0, 9000.0, 15000.0)),  # in N
        ot.Beta(0.93, 2.27, 2.8e7, 4.8e7),  # in N/cm^2
        ot.Uniform(250.0, 260.0),  # in cm
        ot.Beta(2.5, 1.5, 310.0, 450.0),  # in cm^4
    )


def _usecase() -> ot.Distribution:
    """Return the model of OpenTURNS' use case, in the order of the code's inputs."""
    from openturns.usecases.cantilever_beam import CantileverBeam

    beam = CantileverBeam()
    return _joint(beam.F, beam.E, beam.L, beam.II)  # in N, N/m^2, m, m^4


#: The models by name. The answers were found by quadrature; the two are not to be mixed.
MODELS = {
    "guide": Model(_guide, 12.6246, 4.298227, 30.0, 0.00566592),
    "usecase": Model(_usecase, 0.17074, 0.02081, 0.25, 5.3e-4),
}


def known_indices(distribution: ot.Distribution) -> np.ndarray:
    """Return the first-order Sobol' indices of the deviation for independent inputs, by quadrature.

    The deviation is a product of functions of one input each. With :math:`c_i` their squared coefficients of
    variation, :math:`S_i = c_i / (\\prod_j (1 + c_j) - 1)`.

    Parameters
    ----------
    distribution : :class:`openturns.Distribution`
        Of (F, E, L, I); only its margins count.

    Returns
    -------
    indices : array, shape (4,)
        Of F, E, L and I.
    """
    c = []
    for i, power in enumerate([1, -1, 3, -1]):
        margin = distribution.getMarginal(i)
        moments = [
            ot.PythonFunction(1, 1, lambda x, k=k, law=margin: [x[0] ** k * law.computePDF(x)])
            for k in (power, 2 * power)
        ]
        first, second = (ot.GaussKronrod().integrate(f, margin.getRange())[0] for f in moments)
        c.append(second / first**2 - 1)
    return np.array(c) / (np.prod(1 + np.array(c)) - 1)
