"""The doctor: is this model fit for a study, and what would one cost?

Each check is one small function that looks at the case and returns a finding; none of them raises.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..backends import Backend, create_backend
from ..declaration import point_of
from ..evaluator import evaluator_of
from . import costs, declared, runs, workers
from .case import Case
from .report import OUTCOMES, Finding, Report

__all__ = ["OUTCOMES", "Finding", "Report", "examine"]

#: In this order: later ones look at what earlier ones have run. Those of workers and of costs follow.
_BEFORE = {**declared.CHECKS, **runs.CHECKS}


def examine(
    model: Any,
    *,
    point: Sequence[float] | None = None,
    n_points: int = 1000,
    backend: str | Backend = "multiprocessing",
    n_cpus: int | None = None,
    stochastic: bool = False,
) -> Report:
    """Examine a model before a study, by running it a few times.

    The nominal point is run twice, in two folders, and with four more points once serially and once on
    the backend (with one more, if a run takes longer than a minute). All folders of the examination are
    removed at its end, and so is every process that the runs left behind.

    Parameters
    ----------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction
        What is examined.
    point : sequence of float, shape (input dimension,), optional
        Where it is run. Default is the `nominal` point of the model, else the mean of its
        `distribution`; without any, nothing is run.
    n_points : int, optional
        Time and disk are estimated for so many points. Default is 1000.
    backend : str or Backend, optional
        What is compared with serial evaluation. Default is ``"multiprocessing"``.
    n_cpus : int, optional
        CPUs to use with `backend` and in the estimate; -1 means every CPU this process may use, or every
        worker of an engine such as dask. Default is -1 for engines and 2 for others.
    stochastic : bool, optional
        Whether the model rightly gives another output each time. Default is `False`.

    Returns
    -------
    report : Report
        The findings and the verdict. Whatever the model does wrong is a finding, and never raised.

    Raises
    ------
    TypeError
        If `model` is no model.
    InputError
        If `point` has not one value per input.
    ValueError
        If `n_points` or `n_cpus` is out of range.
    BackendError
        If there is no such backend, or something that it needs is missing.

    Examples
    --------
    >>> import openturns as ot
    >>> from otwrap.doctor import examine
    >>> report = examine(ot.SymbolicFunction(["x"], ["1 / x"]), point=[0.0], backend="serial")
    >>> report.ok, report.verdict
    (False, 'Not ready: 1 problem. Mend this first: nominal.')
    """
    if isinstance(n_points, bool) or not isinstance(n_points, int) or n_points < 1:
        msg = f"n_points={n_points!r}: give a positive number"
        raise ValueError(msg)
    engine = workers.has_workers(backend)
    if isinstance(backend, str):
        made = create_backend(backend, 2 if n_cpus is None else n_cpus)
        made.close()
        engine = workers.has_workers(made)
    if n_cpus is None:
        n_cpus = -1 if engine else 2
    evaluator = evaluator_of(model)
    given = None if point is None else point_of(point, len(evaluator.inputs))
    case = Case(evaluator, given, "the given point", n_points, backend, n_cpus, stochastic)
    findings = []
    try:
        if given is None:
            _choose_point(case)
        checks = {**_BEFORE, **(workers.CHECKS if engine else {}), **costs.CHECKS}
        for name, check in checks.items():
            findings.append(_guarded(name, check, case))
    finally:
        findings += _cleaned(case)
    return Report(findings, case.outlook)


def _choose_point(case: Case) -> None:
    """Take the nominal point of the model, or the mean of its distribution."""
    case.origin = "no point is known: give one with -X (point= in Python), or nominal= to the wrapper"
    size = len(case.evaluator.inputs)
    try:
        nominal_point = getattr(case.model, "nominal", None)
        distribution = getattr(case.model, "distribution", None)
        if nominal_point is not None:
            case.point, case.origin = point_of(nominal_point, size), "the nominal point"
        elif distribution is not None:
            case.point, case.origin = point_of(distribution.getMean(), size), "the mean of the distribution"
    except Exception as error:  # a distribution may have no mean, for one
        case.origin = f"the model's own point cannot be had ({error}): give one with -X (point= in Python)"


def _guarded(name: str, check: Callable[[Case], Finding], case: Case) -> Finding:
    """Return what a check found, or what was raised in it."""
    try:
        return check(case)
    except Exception as error:  # the promise: everything is a finding
        return Finding(name, "problem", f"the check itself ended with {type(error).__name__}: {error}")


def _cleaned(case: Case) -> list[Finding]:
    """Remove what the examination has made; tell if something stays."""
    try:
        case.close()
    except OSError as error:
        return [
            Finding("clean-up", "warning", f"{case.root} could not be removed: {error}. Remove it by hand.")
        ]
    return []
