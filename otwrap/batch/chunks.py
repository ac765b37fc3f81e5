"""How many points a task gets, and how many tasks an array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

__all__ = ["chunk_size", "pieces"]

_T = TypeVar("_T")

#: Tasks that are made of many points, unless they would be too short.
_TASKS = 100
#: Seconds that a task takes at least, where the time of a point is known: long against what it takes to start.
_TASK_TIME = 60.0
#: What part of the time limit is used; the rest is for slower points and for starting.
_PART = 0.8


def chunk_size(
    points: int,
    *,
    chunk: int | None = None,
    point_time: float | None = None,
    time_limit: float | None = None,
    at_a_time: int = 1,
    width: int | None = None,
) -> int:
    """Return how many points a task gets.

    Parameters
    ----------
    points : int
        How many there are.
    chunk : int, optional
        What the user wants.
    point_time : float, optional
        Seconds that a point takes, as far as it is known.
    time_limit : float, optional
        Of a task, in seconds.
    at_a_time : int, optional
        Evaluations at a time in a task. Default is 1.
    width : int, optional
        Tasks that are to have something to do, where somebody waits for the points.

    Returns
    -------
    size : int
        At least 1.

    Examples
    --------
    >>> chunk_size(10000, point_time=60.0, time_limit=3600.0)
    48
    >>> chunk_size(1000, point_time=0.6, time_limit=3600.0)
    100
    >>> chunk_size(10000)
    100
    >>> chunk_size(10, point_time=0.001)
    10
    """
    if chunk is not None:
        if isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1:
            msg = f"chunk={chunk!r}: give how many points a task gets, 1 or more"
            raise ValueError(msg)
        return chunk
    size = math.ceil(points / _TASKS)
    if point_time:
        size = max(size, int(_TASK_TIME / point_time) * at_a_time)
        if time_limit is not None:
            size = min(size, int(_PART * time_limit / point_time) * at_a_time)
    if width is not None:
        # Four for each, so that a slow one does not hold up the rest; of short points, one for each.
        share = math.ceil(points / width)
        size = min(size, share) if point_time else math.ceil(share / 4)
    return max(1, min(size, points))


def pieces(things: Sequence[_T], size: int) -> list[Sequence[_T]]:
    """Return things in pieces of so many.

    Parameters
    ----------
    things : sequence
        All of them.
    size : int
        Of a piece; the last one may be smaller.

    Returns
    -------
    pieces : list of sequence

    Examples
    --------
    >>> pieces([1, 2, 3], 2)
    [[1, 2], [3]]
    """
    return [things[start : start + size] for start in range(0, len(things), size)]
