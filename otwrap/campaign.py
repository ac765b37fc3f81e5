"""The evaluation of many points: what is known is served, the rest runs, and all of it is recorded.

::

    points -> known? -> backend -> store -> evaluations, as they end

Only the campaign knows both the model and where it runs, and only it writes the store.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

from .backends import Backend, create_backend
from .cleaning import Bounds, CleanPairs, clean_pairs, probability_bounds
from .errors import SampleError
from .evaluation import Evaluation, Task, occurrence_key, point_keys
from .evaluator import evaluator_of
from .failures import FailureLimit, allowed_attempts, failure_text, failure_value
from .limits import Limits, Stragglers
from .points import points_of, twins_among, with_twins
from .progress import Progress
from .provenance import source_folder
from .reparsing import parsed_again
from .retries import TaskQueue
from .store import Store

__all__ = ["Campaign"]

_Batch = Sequence[tuple[int, Evaluation]]

#: Records that are read from the store at a time.
_PIECE = 1000


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
        What happens if the store was made by a model that differs. If only its parsers do, kept work
        directories are parsed again; refused is then what kept none.
    rerun_failed : bool, int or dict, optional
        Whether points that failed in an earlier call run again: up to how many attempts over all
        calls, for all or by status. Default (`True`) is a number that is smaller for time limits.
    stochastic : bool, optional
        Whether the model gives another output each time: then a point that comes again is another
        evaluation. Default is `False`: it is run once.
    match_digits : int, optional
        Significant digits by which points are told apart. Default is all bits.
    max_failures : int or float, optional
        How many points of a sample may fail, or which fraction of it (below 1.0), before the rest is not
        run any more. Default is all.
    straggler_factor : float, optional
        Time limit of an evaluation as a multiple of the median time, once ten are done. Default is none.
    limits : dict of int, optional
        Name -> how many evaluations may run at a time in all processes that use the same store, as for the
        tokens of a licence: ``{"licence": 4}``.
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
        max_failures: int | float | None = None,
        straggler_factor: float | None = None,
        limits: Mapping[str, int] | None = None,
        verbosity: bool = True,
    ) -> None:
        self._failure_limit = FailureLimit(max_failures)
        self._stragglers = Stragglers(straggler_factor)
        self.evaluator = evaluator_of(model)
        self.backend = create_backend(backend, n_cpus)
        self._owns_backend = self.backend is not backend
        self._owns_store = not isinstance(store, Store)
        self._allowed = allowed_attempts(rerun_failed)
        self.stochastic = stochastic
        self.match_digits = match_digits
        self.verbosity = verbosity
        self._occurrences: dict[bytes, int] = {}
        #: How many evaluations were run, as opposed to served from the store.
        self.evaluated = 0
        self.store = store if isinstance(store, Store) else Store(store)
        try:
            self._limits = Limits(limits, None if self.store.in_memory else self.store.path)
            self.evaluator = self._limits.around(self.evaluator)
            mended = parsed_again(self.store, self.evaluator, on_change)
            self.store.select(
                self.evaluator.inputs,
                self.evaluator.outputs,
                self.evaluator.fingerprints(),
                on_change=on_change if mended is None else "rerun",
                source=source_folder(model),
            )
            self.store.put_many(mended or [])
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
            text = failure_text(self.evaluator.inputs, len(points), failures, self._where_kept())
            raise SampleError(text, failures)
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

    def clean(self, X: Any = None, *, block_size: int | None = None) -> CleanPairs:
        """Return the good pairs, with a report of what was dropped.

        Parameters
        ----------
        X : 2-d sequence of float, shape (size, input dimension), optional
            The sample whose pairs are wanted, in its order. Default is all points of this model that the
            store has. Nothing is evaluated.
        block_size : int, optional
            `X` is a design of blocks of so many rows, as those of Sobol' indices are: where one row
            failed, the same row of every block is dropped.

        Returns
        -------
        pairs : CleanPairs
            Unpacks as ``X, Y``; has `report`, `kept`, `dropped` and the remaining `block_size`.

        Raises
        ------
        ValueError
            If `X` is missing or no whole number of blocks.
        """
        if block_size is not None and X is None:
            msg = "block_size= is about the rows of a design; give it as X too: clean(X, block_size=...)"
            raise ValueError(msg)
        found = self.evaluations if X is None else self._looked_up(X)
        return clean_pairs(found, len(self.evaluator.inputs), len(self.evaluator.outputs), block_size)

    def probability_bounds(self, X: Any, operator: Any, threshold: float, output: str | int = 0) -> Bounds:
        """Return the probability of a threshold event between the bounds that failed points leave open.

        Parameters
        ----------
        X : 2-d sequence of float, shape (size, input dimension)
            A sample of the input distribution, evaluated before.
        operator : ot.ComparisonOperator or callable
            As ``ot.Greater()``.
        threshold : float
            What the output is compared with.
        output : str or int, optional
            Which output. Default is the first.

        Returns
        -------
        bounds : Bounds
            ``lower`` and ``upper`` are m/N and (m + k)/N with m events and k failures among N points.

        Raises
        ------
        ValueError
            If there is no such output.
        """
        names = self.evaluator.outputs
        if isinstance(output, str) and output not in names:
            msg = f"output={output!r}: the outputs are {', '.join(names[:20])}"
            raise ValueError(msg)
        index = names.index(output) if isinstance(output, str) else output
        return probability_bounds(self._looked_up(X), operator, threshold, index)

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
        self._limits.close()
        self._close_store()

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_store(self) -> None:
        """Close the store if it is ours."""
        if self._owns_store:
            self.store.close()

    def _looked_up(self, X: Any) -> list[Evaluation | None]:
        """Return what is on record of the points of a sample."""
        known, keys = self.store.keys(), point_keys(self._points(X), self.match_digits)
        return [self.store.last(key) if key in known else None for key in keys]

    def _where_kept(self) -> str:
        """Return where the records are, in words."""
        return "memory, until the end of this process" if self.store.in_memory else self.store.path

    def _points(self, X: Any) -> list[tuple[float, ...]]:
        """Return the sample as tuples, after a look at its shape."""
        return points_of(X, self.evaluator.inputs)

    def _run(self, points: list[tuple[float, ...]]) -> Iterator[_Batch]:
        """Yield lists of index in the sample and evaluation, known ones first."""
        first, twins, keys = self._sort_out(points)
        known, unknown = self._split(first, keys)
        batches = self._evaluate((Task(index, points[index]) for index in unknown), keys)
        failures: list[tuple[int, Evaluation]] = []
        done = 0
        with Progress(len(points), shown=self.verbosity) as progress, closing(batches):
            for batch in chain(self._served(known, keys), batches):
                everywhere = batch if not twins else with_twins(batch, twins)
                progress.advance(everywhere)
                yield everywhere
                if self._failure_limit.max_failures is not None:
                    failures += [result for result in everywhere if result[1].output is None]
                    done += len(everywhere)
                    if self._failure_limit.reached(len(failures), len(points)):
                        raise self._failure_limit.error(
                            self.evaluator.inputs,
                            len(points),
                            done - len(failures),
                            failures,
                            self._where_kept(),
                        )

    def _sort_out(
        self, points: list[tuple[float, ...]]
    ) -> tuple[Sequence[int], dict[int, list[int]], list[bytes]]:
        """Return the indices to look at, those that repeat each of them, and all keys."""
        keys = point_keys(points, self.match_digits)
        if self.stochastic:
            for index, key in enumerate(keys):
                occurrence = self._occurrences[key] = self._occurrences.get(key, -1) + 1
                keys[index] = occurrence_key(key, occurrence)
        first, twins = twins_among(keys)
        return first, twins, keys

    def _split(self, indices: Sequence[int], keys: list[bytes]) -> tuple[list[int], Sequence[int]]:
        """Return the indices of the points whose records are served, and of those to run."""
        there = self.store.keys()
        known = [i for i in indices if keys[i] in there and not self._again(*self.store.known(keys[i]))]
        if not known:
            return known, indices
        served = set(known)
        return known, [i for i in indices if i not in served]

    def _served(self, indices: Sequence[int], keys: list[bytes]) -> Iterator[_Batch]:
        """Yield records of the store, some at a time: a million need not be in memory at once."""
        for start in range(0, len(indices), _PIECE):
            piece = indices[start : start + _PIECE]
            yield list(zip(piece, self.store.last_many([keys[i] for i in piece]), strict=True))

    def _settings(self) -> Callable[[dict[str, Any] | None], dict[str, Any] | None] | None:
        """Return what changes the settings of a task when it goes out."""
        if self._stragglers.factor is None:
            return None
        return partial(self._stragglers.settings, own=self.evaluator.timeout)

    def _again(self, status: str, attempts: int) -> bool:
        """Return whether a known point is to run again."""
        return status != "done" and attempts < self._allowed[status]

    def _evaluate(self, tasks: Iterable[Task], keys: list[bytes]) -> Generator[_Batch, None, None]:
        """Run tasks on the backend; record what ended together before it is yielded."""
        queue = TaskQueue(tasks, self.evaluator.retries, self._settings())
        if queue.is_empty():
            return
        running = self.backend.imap(self.evaluator, queue)
        try:
            for batch in running:
                ended = queue.ended(batch)
                self.evaluated += len(ended)
                self._stragglers.measured(ended)
                self.store.put_many([(keys[index], evaluation) for index, evaluation in ended])
                yield ended
        finally:
            running.close()  # type: ignore[attr-defined]
