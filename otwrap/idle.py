"""Workers that idle because points are asked for one at a time."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Any

from .backends.serial import Serial
from .cpus import evaluations_at_a_time

__all__ = ["OneAtATime"]

#: So many evaluations in a row that came alone are no accident.
_MANY = 20


class OneAtATime:
    """Warn once when sample after sample has one point, and workers idle.

    Parameters
    ----------
    backend : Backend
        Where evaluations run.
    cpus : int
        CPUs that one evaluation uses.

    Examples
    --------
    >>> from otwrap.backends.serial import Serial
    >>> alone = OneAtATime(Serial(), 1)
    >>> for _ in range(100):
    ...     alone.note(1, 1)
    """

    def __init__(self, backend: Any, cpus: int) -> None:
        self._backend = backend
        self._cpus = cpus
        self._in_a_row = 0

    def note(self, size: int, evaluated: int) -> None:
        """Take note of a sample.

        Parameters
        ----------
        size : int
            Of the sample.
        evaluated : int
            How many evaluations it took; those that were known do not count.
        """
        if size > 1:
            self._in_a_row = 0
        elif evaluated:
            self._in_a_row += 1
        if self._in_a_row >= _MANY and (workers := self._workers()) > 1 and (advice := _advice(workers)):
            self._in_a_row = -(10**9)  # once is enough
            warnings.warn(
                f"{_MANY} points in a row were asked for one at a time: {workers - 1} of {workers} workers idle. "
                f"{advice}",
                RuntimeWarning,
                stacklevel=2,
            )

    def _workers(self) -> int:
        """Return how many evaluations could run at a time."""
        if isinstance(self._backend, Serial):
            return 1
        return evaluations_at_a_time(getattr(self._backend, "n_cpus", 1), self._cpus)


def _advice(workers: int) -> str:
    """Return what can be done by whoever asks for points; empty if nothing can, as for an optimizer."""
    algorithm = _algorithm(sys._getframe())
    if algorithm is None:
        return "In a loop of your own, pass the whole sample: f(X)"
    if hasattr(algorithm, "setBlockSize"):
        return f"{type(algorithm).__name__} asks for blocks after algorithm.setBlockSize({workers}) or more"
    return ""


def _algorithm(frame: FrameType | None) -> Any:
    """Return the algorithm of OpenTURNS that is running, `None` if none is."""
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("openturns") and frame.f_code.co_name == "run":
            return frame.f_locals.get("self")
        frame = frame.f_back
    return None
