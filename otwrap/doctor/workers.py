"""The workers of an engine, one by one: versions, executable, answer, time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ..backends import create_backend
from ..backends._served import Served
from ..errors import BackendError
from ..evaluation import Evaluation, Task
from ..evaluator import Evaluator
from ..folders import WorkFolders
from ..versions import hello
from ..wrapper import Wrapper
from .case import Case, bits, plain_error
from .costs import duration
from .declared import executables
from .report import Finding

__all__ = ["CHECKS", "Inspector", "has_workers"]


class Inspector(Evaluator):
    """Evaluate tasks, and tell of the machine that does it.

    Parameters
    ----------
    evaluator : Evaluator
        Of the model. Work directories are made where the model says, and none is kept.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        self.inputs, self.outputs, self.files = evaluator.inputs, evaluator.outputs, evaluator.files

    def __call__(self, task: Task) -> Evaluation:
        """Evaluate a task; what was seen comes back in the place of the attempt's settings."""
        evaluator = self.evaluator
        wrapper = getattr(evaluator, "wrapper", None)
        if isinstance(wrapper, Wrapper):
            wrapper.folders = WorkFolders(wrapper.folders.base, keep="none")
        clock = time.perf_counter()
        evaluation = evaluator(task)
        seconds = time.perf_counter() - clock
        found, lost = executables(wrapper) if isinstance(wrapper, Wrapper) else ([], [])
        seen = {**hello(), "seconds": seconds, "found": found, "lost": lost}
        evaluator.close()
        return evaluation._replace(settings=seen)

    def use_files(self, files: Any) -> None:
        """Take files from other places, as the evaluator does.

        Parameters
        ----------
        files : sequence of str
            As many as there were.
        """
        self.files = tuple(files)
        getattr(self.evaluator, "use_files", lambda files: None)(files)


def _workers(case: Case) -> Finding:
    """Run the point on every worker; the code may be there although it is not here."""
    if case.point is None:
        return Finding("workers", "skipped", "nothing was run")
    if not case.loadable:
        return Finding("workers", "skipped", "the model cannot be sent to workers, see 'pickle'")
    backend: Any = create_backend(case.backend, case.n_cpus)
    lines: list[str] = []
    wrong: list[str] = []
    try:
        for evaluation in backend.survey(Inspector(case.evaluator), case.point):
            lines.append(_line(evaluation))
            wrong += _wrong(evaluation, case)
    except BackendError as error:
        return Finding("workers", "problem", "\n".join([*lines, str(error)]))
    finally:
        if backend is not case.backend:
            backend.close()
    case.places = len(lines)
    if wrong:
        count = f"{len(wrong)} of {len(lines)} workers cannot do the work: {wrong[0]}"
        return Finding("workers", "problem", "\n".join([*lines, count]))
    return Finding("workers", "ok", "\n".join(lines))


def _line(evaluation: Evaluation) -> str:
    """Return what is to be known of a worker."""
    seen = evaluation.settings
    if seen is None:
        return f"? {evaluation.status}: {evaluation.error}"
    versions = ", ".join(f"{name} {seen[name]}" for name in ("python", "otwrap", "openturns"))
    parts = [f"{seen['host']}, process {seen['pid']}: {versions}", *seen["found"], *seen["lost"]]
    parts.append(duration(seen["seconds"]) if evaluation.done else evaluation.status)
    return "; ".join(parts)


def _wrong(evaluation: Evaluation, case: Case) -> list[str]:
    """Return what is wrong with a worker."""
    host = (evaluation.settings or {}).get("host", "a worker")
    if not evaluation.done:
        return [f"on {host}, {plain_error(evaluation)}"]
    here = case.runs[0].evaluation.output if case.runs else None
    if here and case.same and not case.stochastic and bits(evaluation.output) != bits(here):
        return [f"on {host}, the answer is {evaluation.output!r}, and {here!r} here"]
    return []


#: By name.
CHECKS: dict[str, Callable[[Case], Finding]] = {"workers": _workers}


def has_workers(backend: Any) -> bool:
    """Return whether a backend has an engine, whose workers may be on other machines.

    Parameters
    ----------
    backend : Backend
        As :func:`otwrap.backends.create_backend` returns it.

    Returns
    -------
    has_workers : bool
    """
    return isinstance(backend, Served)
