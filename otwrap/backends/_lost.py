"""The record of a point whose worker died with it, twice."""

from __future__ import annotations

from ..evaluation import Evaluation, Task

__all__ = ["lost_evaluation"]


def lost_evaluation(task: Task, how: str) -> Evaluation:
    """Return the record of a point that ends its workers.

    Parameters
    ----------
    task : Task
        The point.
    how : str
        How the worker ended, in words.

    Returns
    -------
    evaluation : Evaluation
        ``killed``, with the cause ``worker lost``.

    Examples
    --------
    >>> lost_evaluation(Task(0, (1.0,)), "signal 11").status
    'killed'
    """
    text = (
        f"the worker process died twice ({how}) while it evaluated {task.input!r}; the model's own Python "
        "code, or a library that it calls, ends the process: run this point with backend='serial' to see"
    )
    return Evaluation(task.input, None, "killed", "worker lost", text, attempts=task.attempt)
