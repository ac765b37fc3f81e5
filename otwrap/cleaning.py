"""What can be computed from a sample some points of which failed, and what cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from .evaluation import Evaluation

__all__ = ["Bounds", "CleanPairs", "clean_pairs", "probability_bounds"]

_Array = np.ndarray[Any, Any]


class CleanPairs(tuple[_Array, _Array]):
    """The good pairs of a sample, unpacked as ``X, Y``.

    Attributes
    ----------
    X : ndarray, shape (good points, input dimension)
    Y : ndarray, shape (good points, output dimension)
    kept : list of int
        Indices in the sample of the points that are here.
    dropped : list of int
        Indices of the others.
    block_size : int
        Rows in each block, for a design of blocks; else the number of rows.
    report : str
        What was dropped, and why.
    """

    kept: list[int]
    dropped: list[int]
    block_size: int
    report: str

    @property
    def X(self) -> _Array:
        """The inputs."""
        return self[0]

    @property
    def Y(self) -> _Array:
        """The outputs."""
        return self[1]


def clean_pairs(
    evaluations: Sequence[Evaluation | None], inputs: int, outputs: int, block_size: int | None = None
) -> CleanPairs:
    """Return the good pairs of a sample, with a report.

    Parameters
    ----------
    evaluations : sequence of Evaluation or None
        One a point, in the order of the sample; `None` if there is none.
    inputs, outputs : int
        The dimensions.
    block_size : int, optional
        The sample is a design of blocks of so many rows each, as those of Sobol' indices are: where one
        row is bad, the same row of every block is dropped.

    Returns
    -------
    pairs : CleanPairs

    Raises
    ------
    ValueError
        If the sample is no whole number of blocks.

    Examples
    --------
    >>> good, bad = Evaluation((1.0,), (2.0,)), Evaluation((3.0,), None, "failed", "exit code")
    >>> pairs = clean_pairs([good, good, bad, good], 1, 1, block_size=2)
    >>> pairs.kept, pairs.report
    ([1, 3], '2 of 4 points are kept; 1 failed: exit code (1); 1 more dropped with their blocks')
    """
    size = len(evaluations)
    block = size if block_size is None else block_size
    if block_size is not None and (block_size < 1 or size % block_size):
        msg = f"block_size={block_size!r}: the sample has {size} rows; give the base size of the design, a divisor of it"
        raise ValueError(msg)
    bad = [i for i, evaluation in enumerate(evaluations) if evaluation is None or evaluation.output is None]
    bad_rows = {i % block for i in bad} if block else set()
    kept = [i for i in range(size) if i % block not in bad_rows]
    good: list[Any] = [evaluations[i] for i in kept]
    pairs = CleanPairs(
        (
            np.array([evaluation.point for evaluation in good]).reshape(len(good), inputs),
            np.array([evaluation.output for evaluation in good]).reshape(len(good), outputs),
        )
    )
    pairs.kept = kept
    pairs.dropped = sorted(set(range(size)) - set(kept))
    pairs.block_size = block - len(bad_rows)
    pairs.report = _report(evaluations, bad, len(kept))
    return pairs


def _report(evaluations: Sequence[Evaluation | None], bad: Sequence[int], kept: int) -> str:
    """Return what was dropped, and why, in words."""
    text = f"{kept} of {len(evaluations)} points are kept"
    causes: Counter[str] = Counter()
    for i in bad:
        evaluation = evaluations[i]
        causes["not evaluated" if evaluation is None else evaluation.cause or evaluation.status] += 1
    if bad:
        text += f"; {len(bad)} failed: " + ", ".join(f"{name} ({n})" for name, n in causes.most_common())
    others = len(evaluations) - kept - len(bad)
    return text + (f"; {others} more dropped with their blocks" if others else "")


class Bounds(NamedTuple):
    """A probability, between the bounds that failures leave open.

    Attributes
    ----------
    lower, upper : float
        The share of events if no failed point were one, and if all were.
    events, failures, size : int
        Points of the event, points that failed, points of the sample.
    """

    lower: float
    upper: float
    events: int
    failures: int
    size: int


def probability_bounds(
    evaluations: Sequence[Evaluation | None],
    happens: Callable[[float, float], bool],
    threshold: float,
    output: int,
) -> Bounds:
    """Return the probability of a threshold event, with what failures leave open.

    Parameters
    ----------
    evaluations : sequence of Evaluation or None
        One for each point of a sample of the input distribution.
    happens : callable
        Of an output and the threshold: whether that is the event.
    threshold : float
        In the unit of the output.
    output : int
        Index of the output.

    Returns
    -------
    bounds : Bounds
        With m events and k failures among N points, between m/N and (m + k)/N.

    Examples
    --------
    >>> sample = [Evaluation((1.0,), (y,)) for y in (1.0, 2.0, 3.0)] + [Evaluation((1.0,), None, "failed")]
    >>> probability_bounds(sample, lambda y, limit: y > limit, 2.5, 0)[:2]
    (0.25, 0.5)
    """
    outputs = [evaluation.output for evaluation in evaluations if evaluation is not None]
    events = sum(bool(happens(y[output], threshold)) for y in outputs if y is not None)
    failures = len(evaluations) - sum(y is not None for y in outputs)
    size = len(evaluations)
    if not size:
        return Bounds(0.0, 1.0, 0, 0, 0)
    return Bounds(events / size, (events + failures) / size, events, failures, size)
