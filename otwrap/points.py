"""A sample as points, and those of its points that come more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .evaluation import Evaluation

__all__ = ["points_of", "twins_among", "with_twins"]

_Batch = Sequence[tuple[int, Evaluation]]


def points_of(X: Any, names: Sequence[str]) -> list[tuple[float, ...]]:
    """Return a sample as tuples, after a look at its shape.

    Parameters
    ----------
    X : 2-d sequence of float, shape (size, input dimension)
        One row a point.
    names : sequence of str
        Input description.

    Returns
    -------
    points : list of tuple of float

    Raises
    ------
    ValueError
        If it has another shape.

    Examples
    --------
    >>> points_of([[1, 2]], ["a", "b"])
    [(1.0, 2.0)]
    """
    array = np.asarray(X, dtype=float)
    if array.ndim != 2 or array.shape[1] != len(names):
        msg = (
            f"the sample has shape {array.shape}; expected is (size, {len(names)}): "
            f"one row a point, with {list(names)}"
        )
        raise ValueError(msg)
    return list(map(tuple, array.tolist()))


def twins_among(keys: Sequence[bytes]) -> tuple[Sequence[int], dict[int, list[int]]]:
    """Return the first index of each key, and those that repeat it.

    Parameters
    ----------
    keys : sequence of bytes
        One a point.

    Returns
    -------
    first : sequence of int
        In order.
    twins : dict of list of int
        By the first index; only for keys that come again.

    Examples
    --------
    >>> twins_among([b"a", b"b", b"a"])
    ([0, 1], {0: [2]})
    """
    seen = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
    if len(seen) == len(keys):
        return range(len(keys)), {}
    twins: dict[int, list[int]] = {}
    for index, key in enumerate(keys):
        if seen[key] != index:
            twins.setdefault(seen[key], []).append(index)
    return sorted(seen.values()), twins


def with_twins(batch: _Batch, twins: dict[int, list[int]]) -> _Batch:
    """Return evaluations for their points and for those that are the same.

    Parameters
    ----------
    batch : sequence of (int, Evaluation)
        Index and record.
    twins : dict of list of int
        As :func:`twins_among` returns them.

    Returns
    -------
    batch : sequence of (int, Evaluation)

    Examples
    --------
    >>> [index for index, _ in with_twins([(0, Evaluation((1.0,), (2.0,)))], {0: [2]})]
    [0, 2]
    """
    return [(same, evaluation) for index, evaluation in batch for same in (index, *twins.get(index, ()))]
