"""Limits that a campaign sets: evaluations at a time by name, as licences have tokens, and time for stragglers."""

from __future__ import annotations

import bisect
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .evaluation import Evaluation, Task
from .evaluator import Evaluator
from .locks import FileLock
from .process.registry import ours

__all__ = ["Limits", "Stragglers"]

#: Seconds between two looks for a free place, at first and at most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.25

#: Evaluations that must be done before a straggler is known.
_ENOUGH = 10


class Limits:
    """Evaluations that may run at a time, by name, in all processes of this machine that use the same store.

    Parameters
    ----------
    limits : dict of int or None
        Name -> how many.
    store : str or None
        The file of the store; `None` if it is in memory.

    Raises
    ------
    ValueError
        If a name is not made of letters, digits and ``-_.``, or a number is below 1.

    Examples
    --------
    >>> Limits({"licence": 0}, None)
    Traceback (most recent call last):
    ...
    ValueError: limits: 'licence' is 0; give a whole number of at least 1
    """

    def __init__(self, limits: Mapping[str, int] | None, store: str | None) -> None:
        for name, number in (limits or {}).items():
            if not re.fullmatch(r"[\w.-]+", name):
                msg = f"limits: the name {name!r} may have letters, digits and -_. only"
                raise ValueError(msg)
            if not isinstance(number, int) or isinstance(number, bool) or number < 1:
                msg = f"limits: {name!r} is {number!r}; give a whole number of at least 1"
                raise ValueError(msg)
        # In one order everywhere, so that two campaigns never wait for each other.
        self.limits = dict(sorted((limits or {}).items()))
        self.folder = None
        if self.limits:
            self.folder = f"{store}-limits" if store else tempfile.mkdtemp(prefix="otwrap-limits-")

    def around(self, evaluator: Evaluator) -> Evaluator:
        """Return an evaluator that waits for its places before each evaluation.

        Parameters
        ----------
        evaluator : Evaluator
            What evaluates.

        Returns
        -------
        evaluator : Evaluator
            The same one if there are no limits.
        """
        return evaluator if self.folder is None else _Limited(evaluator, self.limits, self.folder)

    def close(self) -> None:
        """Remove what killed processes have left; places that others hold stay."""
        if self.folder is None or not os.path.isdir(self.folder):
            return
        for name in os.listdir(self.folder):
            lock = FileLock(os.path.join(self.folder, name))
            if lock.acquire():
                lock.release()
        with contextlib.suppress(OSError):
            os.rmdir(self.folder)


class _Limited(Evaluator):
    """An evaluator that holds a place of each limit while it evaluates."""

    def __init__(self, evaluator: Evaluator, limits: Mapping[str, int], folder: str) -> None:
        self._evaluator = evaluator
        self._limits = dict(limits)
        self._folder = folder
        for name in ("inputs", "outputs", "fields", "cpus", "timeout", "memory", "files", "retries"):
            setattr(self, name, getattr(evaluator, name))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # while it is unpickled, there is no evaluator yet
            raise AttributeError(name)
        return getattr(self._evaluator, name)

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the model."""
        return self._evaluator.fingerprints()

    def keep_in(self, folder: str) -> None:
        """Keep work directories in a folder, see :meth:`Evaluator.keep_in`."""
        self._evaluator.keep_in(folder)

    def close(self) -> None:
        """Give back what the model holds."""
        self._evaluator.close()

    def __call__(self, task: Task) -> Evaluation:
        """Evaluate a task once there is a place for it."""
        endings = ours.endings
        with contextlib.ExitStack() as held:
            for name, number in self._limits.items():
                lock = self._place(name, number, endings)
                if lock is None:
                    text = f"cancelled while it waited for one of {number} places of limits={name!r}"
                    return Evaluation(task.input, None, "cancelled", "cancelled", text, attempts=task.attempt)
                held.callback(lock.release)
            return self._evaluator(task)

    def _place(self, name: str, number: int, endings: int) -> FileLock | None:
        """Wait for a place; return `None` if all runs were ended meanwhile."""
        os.makedirs(self._folder, exist_ok=True)
        for pause in _pauses():
            for i in range(number):
                lock = FileLock(os.path.join(self._folder, f"{name}-{i}"))
                # The folder goes with the last campaign that used it.
                with contextlib.suppress(FileNotFoundError):
                    if lock.acquire():
                        return lock
            if ours.endings != endings:
                break
            time.sleep(pause)
            os.makedirs(self._folder, exist_ok=True)
        return None


def _pauses() -> Iterator[float]:
    """Yield growing pauses in seconds."""
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(1.5 * pause, _LONGEST_PAUSE)


class Stragglers:
    """A time limit that follows the median time of what is done.

    Parameters
    ----------
    factor : float or None
        Multiple of the median; `None` for no limit.

    Raises
    ------
    ValueError
        If it is not above 1.

    Examples
    --------
    >>> stragglers = Stragglers(3.0)
    >>> stragglers.measured([(0, Evaluation((1.0,), (1.0,), wall_time=2.0))] * 10)
    >>> stragglers.settings(None, own=None)
    {'timeout': 6.0}
    """

    def __init__(self, factor: float | None) -> None:
        if factor is not None and not factor > 1:
            msg = f"straggler_factor={factor!r}: give a number above 1, or None for no limit"
            raise ValueError(msg)
        self.factor = factor
        self._times: list[float] = []

    def measured(self, batch: Sequence[tuple[int, Evaluation]]) -> None:
        """Take in how long evaluations took.

        Parameters
        ----------
        batch : sequence of (int, Evaluation)
            What ended; only what is done counts.
        """
        if self.factor is not None:
            for _, evaluation in batch:
                if evaluation.done:
                    bisect.insort(self._times, evaluation.wall_time)

    def settings(self, settings: dict[str, Any] | None, own: float | None) -> dict[str, Any] | None:
        """Return the settings of a task with the time limit.

        Parameters
        ----------
        settings : dict or None
            Those that it has.
        own : float or None
            The model's own time limit in seconds.

        Returns
        -------
        settings : dict or None
        """
        if self.factor is None or len(self._times) < _ENOUGH:
            return settings
        limit = self.factor * self._times[len(self._times) // 2]
        given = (settings or {}).get("timeout", own)
        return {**(settings or {}), "timeout": limit if given is None else min(limit, given)}
