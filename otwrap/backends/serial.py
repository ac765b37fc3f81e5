"""One evaluation after the other, here: the whole contract of a backend in a few lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..evaluation import Evaluation, Task

__all__ = ["Serial"]


class Serial:
    """Evaluate in this process, one point after the other.

    Parameters
    ----------
    n_cpus : int, optional
        Accepted as by every backend; one evaluation runs at a time whatever it is.

    Examples
    --------
    >>> from otwrap import Evaluation
    >>> from otwrap.evaluation import Task
    >>> double = lambda task: Evaluation(task.input, (2 * task.input[0],))
    >>> for ended in Serial().imap(double, iter([Task(0, (1.0,))])):
    ...     print(ended[0][1].output)
    (2.0,)
    """

    def __init__(self, n_cpus: int = 1) -> None:
        self.n_cpus = n_cpus

    def imap(
        self, evaluate: Callable[[Task], Evaluation], tasks: Iterator[Task]
    ) -> Iterator[list[tuple[int, Evaluation]]]:
        """Yield task id and evaluation as each ends, see :class:`otwrap.backends.Backend`."""
        while (task := next(tasks, None)) is not None:
            yield [(task.id, evaluate(task))]

    def close(self) -> None:
        """Nothing was started."""

    def __repr__(self) -> str:
        return "Serial()"
