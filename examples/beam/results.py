"""The probability by FORM, the table and the picture of the beam's study."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import openturns as ot

__all__ = ["draw", "form_probability", "print_table"]

#: Quantity, ours, its standard error, reference.
Row = tuple[str, float, float, float]


def form_probability(function: ot.Function, distribution: ot.Distribution, threshold: float) -> float:
    """Return the probability that a function exceeds a threshold, according to FORM.

    Parameters
    ----------
    function : ot.Function
        Of one output.
    distribution : ot.Distribution
        Of its input.
    threshold : float
        In the unit of the output.

    Returns
    -------
    probability : float
    """
    output = ot.CompositeRandomVector(function, ot.RandomVector(distribution))
    solver = ot.AbdoRackwitz()
    solver.setStartingPoint(distribution.getMean())
    form = ot.FORM(solver, ot.ThresholdEvent(output, ot.Greater(), threshold))
    form.run()
    return form.getResult().getEventProbability()


def print_table(rows: Sequence[Row]) -> list[str]:
    """Print quantities beside their references.

    Parameters
    ----------
    rows : sequence of (str, float, float, float)
        Quantity, ours, its standard error, reference.

    Returns
    -------
    far : list of str
        The quantities that are more than three standard errors from their reference.
    """
    print(f"{'quantity':28} {'ours':>10} {'std. error':>10} {'reference':>10} {'z':>6}")
    far = []
    for quantity, ours, error, reference in rows:
        z = (ours - reference) / error
        print(f"{quantity:28} {ours:10.5g} {error:10.2g} {reference:10.5g} {z:6.2f}")
        if not abs(z) <= 3:
            far.append(quantity)
    return far


def draw(
    target: str,
    Y: np.ndarray,
    threshold: float,
    probability: float,
    names: Sequence[str],
    first: np.ndarray,
    errors: np.ndarray,
    known: np.ndarray,
) -> None:
    """Draw the distribution of the deviation, and Sobol' indices beside the known ones.

    Parameters
    ----------
    target : str
        The file to write.
    Y : array, shape (size,)
        Deviations.
    threshold, probability : float
        The deviation not to be exceeded, and how probably it is.
    names : sequence of str
        Of the inputs.
    first, errors, known : array, shape (4,)
        First-order indices, their standard errors, the known ones.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.hist(Y, bins=50, density=True, color="tab:blue")
    left.axvline(threshold, color="tab:red", label=f"threshold, P = {probability:.2g}")
    left.set(xlabel="deviation", ylabel="density", title=f"{len(Y)} runs of the code")
    left.legend()
    right.bar(np.arange(4) - 0.2, first, 0.4, yerr=errors, label="from the code's runs")
    right.bar(np.arange(4) + 0.2, known, 0.4, label="known")
    right.set(title="First-order Sobol' indices", xticks=range(4), xticklabels=names)
    right.legend()
    figure.savefig(target, dpi=120)
