"""The evaluation of many points: what is known is served, the rest runs, and all of it is recorded.

::

    points -> known? -> backend -> store -> evaluations, as they end

Only the campaign knows both the model and where it runs, and only it writes the store.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np

from .backends import Backend, create_backend
from .errors import SampleError
from .evaluation import STATUSES, Evaluation, Task, occurrence_key, point_keys
from .evaluator import evaluator_of
from .progress import Progress
from .store import Store

__all__ = ["Campaign"]

_Batch = list[tuple[int, Evaluation]]

#: Attempts on a point over all calls: a time limit was paid in full each time.
_RERUN = {"failed": 10, "timeout": 2, "killed": 4, "invalid": 10, "cancelled": 1_000_000}


class Campaign:
    """Evaluate points with a model on a backend, and keep every evaluation.

    Parameters
    ----------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction
        What is evaluated.
    backend : str or Backend, optional
        Where. Default is ``"multiprocessing"``.
    n_cpus : int, optional
        CPUs to use; -1 (default) means every CPU this process may use.
    store : path or Store, optional
        Where evaluations are kept. Default is memory.
    on_change : {"refuse", "rerun"}, optional
        What happens if the store was made by a model that differs.
    rerun_failed : bool, int or dict, optional
        Whether points that failed in an earlier call run again: up to how many attempts over all
        calls, for all or by status. Default (`True`) is a number that is smaller for time limits.
    stochastic : bool, optional
        Whether the model gives another output each time: then a point that comes again is another
        evaluation. Default is `False`: it is run once.
    match_digits : int, optional
        Significant digits by which points are told apart. Default is all bits.
    verbosity : bool, optional
        Whether a progress bar is shown on a terminal or in a notebook. Default is `True`.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> campaign = otw.Campaign(ot.SymbolicFunction(["x"], ["1 / x"]), backend="serial")
    >>> [evaluation.status for evaluation in campaign.run([[1.0], [0.0]])]
    ['done', 'failed']
    >>> campaign.failures()[0].cause
    'exception'
    """

    def __init__(
        self,
        model: Any,
        backend: str | Backend = "multiprocessing",
        n_cpus: int = -1,
        *,
        store: str | os.PathLike[str] | Store | None = None,
        on_change: str = "refuse",
        rerun_failed: bool | int | Mapping[str, int] = True,
        stochastic: bool = False,
        match_digits: int | None = None,
        verbosity: bool = True,
    ) -> None:
        self.evaluator = evaluator_of(model)
        self._owns_backend = isinstance(backend, str)
        self.backend = create_backend(backend, n_cpus)
        self._owns_store = not isinstance(store, Store)
        self._allowed = _allowed_attempts(rerun_failed)
        self.stochastic = stochastic
        self.match_digits = match_digits
        self.verbosity = verbosity
        self._occurrences: dict[bytes, int] = {}
        self.store = store if isinstance(store, Store) else Store(store)
        try:
            self.store.select(
                self.evaluator.inputs,
                self.evaluator.outputs,
                self.evaluator.fingerprints(),
                on_change=on_change,
            )
        except BaseException:
            self._close_store()
            raise

    def run(self, X: Any) -> Iterator[Evaluation]:
        """Evaluate a sample and yield the evaluations as they end, known ones first.

        Parameters
        ----------
        X : 2-d sequence of float, shape (size, input dimension)
            The points. A point that comes twice is yielded twice and run once.

        Yields
        ------
        evaluation : Evaluation
            Failed ones too; nothing is raised for them.
        """
        for batch in self._run(self._points(X)):
            for _, evaluation in batch:
                yield evaluation

    def map(self, X: Any) -> list[Evaluation]:
        """Evaluate a sample and return the evaluations in the order of its points.

        Parameters
        ----------
        X : 2-d sequence of float, shape (size, input dimension)
            The points.

        Returns
        -------
        evaluations : list of Evaluation
            One a point.
        """
        points = self._points(X)
        found: list[Any] = [None] * len(points)
        for batch in self._run(points):
            for index, evaluation in batch:
                found[index] = evaluation
        return found

    def outputs(self, X: Any, on_failure: str | float = "raise") -> list[tuple[float, ...]]:
        """Evaluate a sample and return its outputs.

        Parameters
        ----------
        X : 2-d sequence of float, shape (size, input dimension)
            The points.
        on_failure : {"raise", "nan"} or float, optional
            What stands for the output of a failed point: an error after all others have been
            finished (default), nan, or a value.

        Returns
        -------
        Y : list of tuple of float, shape (size, output dimension)

        Raises
        ------
        SampleError
            If points failed and `on_failure` is ``"raise"``.
        """
        substitute = failure_value(on_failure)
        points = self._points(X)
        instead = (substitute or 0.0,) * len(self.evaluator.outputs)
        outputs = [instead] * len(points)
        failures = []
        # Records are let go of as they come: so many of them would keep the garbage collector busy.
        for batch in self._run(points):
            for index, evaluation in batch:
                if evaluation.output is None:
                    failures.append((index, evaluation))
                else:
                    outputs[index] = evaluation.output
        if failures and substitute is None:
            failures.sort()
            raise SampleError(self._failure_text(len(points), failures), failures)
        return outputs

    @property
    def evaluations(self) -> list[Evaluation]:
        """The last record of each point of this model that the store has, list of Evaluation."""
        return [evaluation for _, evaluation in self.store.items()]

    def failures(self) -> list[Evaluation]:
        """Return the evaluations that failed and have not been mended by a later one.

        Returns
        -------
        failures : list of Evaluation
        """
        return [evaluation for evaluation in self.evaluations if not evaluation.done]

    def clean(self) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return the good pairs.

        Returns
        -------
        X : ndarray, shape (good points, input dimension)
        Y : ndarray, shape (good points, output dimension)
        """
        good = [evaluation for evaluation in self.evaluations if evaluation.output is not None]
        inputs, outputs = len(self.evaluator.inputs), len(self.evaluator.outputs)
        return (
            np.array([evaluation.point for evaluation in good]).reshape(len(good), inputs),
            np.array([evaluation.output for evaluation in good]).reshape(len(good), outputs),
        )

    def as_dataframe(self) -> Any:
        """Return all records as a table, one row a point.

        Returns
        -------
        table : pandas.DataFrame
            A column for each input, each output and each attribute of :class:`Evaluation`.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        from .tables import dataframe

        return dataframe(self.evaluator.inputs, self.evaluator.outputs, list(self.store.items()))

    def close(self) -> None:
        """End the backend and close the store, unless they were given as objects. May be called twice."""
        if self._owns_backend:
            self.backend.close()
        self.evaluator.close()
        self._close_store()

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_store(self) -> None:
        """Close the store if it is ours."""
        if self._owns_store:
            self.store.close()

    def _points(self, X: Any) -> list[tuple[float, ...]]:
        """Return the sample as tuples, after a look at its shape."""
        array = np.asarray(X, dtype=float)
        dimension = len(self.evaluator.inputs)
        if array.ndim != 2 or array.shape[1] != dimension:
            msg = (
                f"the sample has shape {array.shape}; expected is (size, {dimension}): "
                f"one row a point, with {list(self.evaluator.inputs)}"
            )
            raise ValueError(msg)
        return list(map(tuple, array.tolist()))

    def _run(self, points: list[tuple[float, ...]]) -> Iterator[_Batch]:
        """Yield lists of index in the sample and evaluation, known ones first."""
        with Progress(len(points), shown=self.verbosity) as progress:
            first, twins, keys = self._sort_out(points)
            recorded = self._recorded(first, keys)
            unknown = first if not recorded else [index for index in first if index not in recorded]
            batches = self._evaluate((Task(index, points[index]) for index in unknown), keys)
            for batch in chain([list(recorded.items())], batches):
                everywhere = batch if not twins else _with_twins(batch, twins)
                progress.advance(everywhere)
                yield everywhere

    def _sort_out(
        self, points: list[tuple[float, ...]]
    ) -> tuple[Sequence[int], dict[int, list[int]], list[bytes]]:
        """Return the indices to look at, those that repeat each of them, and all keys."""
        keys = point_keys(points, self.match_digits)
        if self.stochastic:
            for index, key in enumerate(keys):
                occurrence = self._occurrences[key] = self._occurrences.get(key, -1) + 1
                keys[index] = occurrence_key(key, occurrence)
        seen = dict(zip(reversed(keys), range(len(keys) - 1, -1, -1), strict=True))
        if len(seen) == len(keys):
            return range(len(keys)), {}, keys
        twins: dict[int, list[int]] = {}
        for index, key in enumerate(keys):
            if seen[key] != index:
                twins.setdefault(seen[key], []).append(index)
        return sorted(seen.values()), twins, keys

    def _recorded(self, indices: Sequence[int], keys: list[bytes]) -> dict[int, Evaluation]:
        """Return the records of the points that are not to run again."""
        known = self.store.keys()
        found = {}
        for index in indices:
            if keys[index] in known and not self._again(*self.store.known(keys[index])):
                found[index] = self.store.last(keys[index])
        return found

    def _again(self, status: str, attempts: int) -> bool:
        """Return whether a known point is to run again."""
        return status != "done" and attempts < self._allowed[status]

    def _evaluate(self, tasks: Iterable[Task], keys: list[bytes]) -> Iterator[_Batch]:
        """Run tasks on the backend; record what ended together before it is yielded."""
        queue = _Queue(tasks)
        if queue.is_empty():
            return
        running = self.backend.imap(self.evaluator, queue)
        try:
            for batch in running:
                ended = batch
                if any(evaluation.output is None for _, evaluation in batch):
                    ended = [result for result in batch if not self._tried_again(result, queue)]
                self.store.put_many([(keys[index], evaluation) for index, evaluation in ended])
                yield ended
        finally:
            running.close()  # type: ignore[attr-defined]

    def _tried_again(self, result: tuple[int, Evaluation], queue: _Queue) -> bool:
        """Put a failed point back into the queue while it has retries left."""
        index, evaluation = result
        again = evaluation.output is None and evaluation.attempts <= self.evaluator.retries
        if again:
            queue.put(Task(index, evaluation.point, evaluation.attempts + 1))
        return again

    def _failure_text(self, size: int, failures: Sequence[tuple[int, Evaluation]]) -> str:
        """Return the text of the error that lists the failed points."""
        shown = 10
        where = "memory, until the end of this process" if self.store.in_memory else self.store.path
        lines = [
            f"{len(failures)} of {size} points failed; the other {size - len(failures)} are done and kept in {where}. "
            "Run again to try the failed ones again, or choose on_failure='nan' or a value.",
            *(
                f"- point {i}: {_described(self.evaluator.inputs, evaluation)}"
                for i, evaluation in failures[:shown]
            ),
        ]
        if len(failures) > shown:
            lines.append(f"- and {len(failures) - shown} more: see campaign.failures()")
        return "\n".join(lines)


class _Queue(Iterator[Task]):
    """Tasks to come; its end is not final, since failed points may come again."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._fresh: Iterator[Task] = iter(tasks)
        self._again: deque[Task] = deque()

    def is_empty(self) -> bool:
        """Return whether there is nothing to do at the beginning; then no worker needs to start."""
        first = next(self._fresh, None)
        if first is None:
            return True
        self._fresh = chain([first], self._fresh)
        return False

    def put(self, task: Task) -> None:
        """Add a task."""
        self._again.append(task)

    def __next__(self) -> Task:
        if self._again:
            return self._again.popleft()
        return next(self._fresh)


def failure_value(on_failure: str | float) -> float | None:
    """Return what stands for the output of a failed point; `None` if an error does.

    Parameters
    ----------
    on_failure : {"raise", "nan"} or float
        The choice.

    Returns
    -------
    value : float or None

    Raises
    ------
    ValueError
        If it is something else.

    Examples
    --------
    >>> failure_value("nan")
    nan
    """
    if on_failure == "raise":
        return None
    if on_failure == "nan":
        return float("nan")
    if isinstance(on_failure, (int, float)) and not isinstance(on_failure, bool):
        return float(on_failure)
    msg = f"on_failure={on_failure!r}: accepted are 'raise', 'nan' and a number"
    raise ValueError(msg)


def _with_twins(batch: _Batch, twins: dict[int, list[int]]) -> _Batch:
    """Return evaluations for their points and for those that are the same."""
    return [(same, evaluation) for index, evaluation in batch for same in (index, *twins.get(index, ()))]


def _allowed_attempts(rerun_failed: bool | int | Mapping[str, int]) -> dict[str, int]:
    """Return attempts over all calls by status."""
    if isinstance(rerun_failed, Mapping):
        unknown = sorted(set(rerun_failed) - set(STATUSES))
        if unknown:
            msg = f"rerun_failed: {unknown} is no status; accepted are {', '.join(STATUSES[1:])}"
            raise ValueError(msg)
        return {**_RERUN, **rerun_failed}
    if rerun_failed is True:
        return dict(_RERUN)
    return dict.fromkeys(_RERUN, int(rerun_failed))


def _described(names: Sequence[str], evaluation: Evaluation) -> str:
    """Return one failed point in words: its values, and why."""
    values = ", ".join(f"{name}={value!r}" for name, value in zip(names, evaluation.point, strict=False))
    text = evaluation.error.replace("\n", "\n    ")
    return f"{values}: {evaluation.status} ({evaluation.cause}): {text}"
