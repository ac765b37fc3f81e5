"""What a study costs: parallel equal to serial, the time of a run, time and disk for many."""

# ruff: noqa: PTH109

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable, Iterable

from ..campaign import Campaign
from ..cpus import available_cpus, evaluations_at_a_time
from ..evaluation import Evaluation
from .case import Case, Run, bits, plain_error
from .report import Finding

__all__ = ["CHECKS"]

#: So many points beside the nominal one are compared; only one where a run takes so many seconds.
_NEIGHBOURS, _LONG = 4, 60.0

#: Of a record in the store beside its doubles, in bytes: the rest of the row and its page.
_RECORD = 90


def _parallel(case: Case) -> Finding:
    """Compare a few points run one after the other with the same ones on the backend."""
    reason = _why_not_parallel(case)
    if reason:
        return Finding("parallel", "skipped", reason)
    points = [case.point or (), *_neighbours(case)]
    evaluator = case.placed("parallel", keep="none")
    with Campaign(evaluator, "serial", verbosity=False) as here:
        one_by_one = [case.runs[0].evaluation, *here.map(points[1:])]
    with Campaign(evaluator, case.backend, case.n_cpus, verbosity=False) as there:
        together = there.map(points)
    name = case.backend if isinstance(case.backend, str) else repr(case.backend)
    for alone, among in zip(one_by_one, together, strict=True):
        if alone.status != among.status or bits(alone.output) != bits(among.output):
            text = f"at {among.point!r}: {_told(alone)} serially, but {_told(among)} with {name}. "
            text += "Look for a file, a folder or a port that evaluations share."
            return Finding("parallel", "problem", text)
    failed = [evaluation for evaluation in together if not evaluation.done]
    if failed:
        text = f"{len(failed)} of {len(points)} points fail, serially and with {name} alike. "
        return Finding("parallel", "warning", f"{text}At {failed[0].point!r}: {plain_error(failed[0])}")
    text = f"{len(points)} points with {name}: the same answers as serially, to the last bit"
    return Finding("parallel", "ok", text)


def _time_of_one(case: Case) -> Finding:
    """Tell what one run takes."""
    if case.no_run:
        return Finding("one run", "skipped", case.no_run)
    run = _fastest(case)
    evaluation = run.evaluation
    text = duration(run.seconds)
    if case.has_folders:
        around = max(run.seconds - evaluation.wall_time, 0.0)
        share = 100 * around / run.seconds
        text += f", of which the code {duration(evaluation.wall_time)} and otwrap {share:.0f} %"
    if evaluation.cpu_time is not None:
        text += f"; CPU time {duration(evaluation.cpu_time)}"
    if evaluation.peak_memory is not None:
        text += f"; memory {size(evaluation.peak_memory)}"
    used, declared = (evaluation.cpu_time or 0.0) / max(evaluation.wall_time, 1e-9), case.evaluator.cpus
    # A process of a moment says nothing about threads.
    if evaluation.wall_time > 0.5 and used > declared + 0.5:
        text += (
            f". It uses {used:.1f} CPUs at a time and {declared} is declared: evaluations would slow each "
        )
        text += f"other down. Say Command(..., cpus={math.ceil(used)}), or limit its threads."
        return Finding("one run", "warning", text)
    return Finding("one run", "ok", text)


def _estimate(case: Case) -> Finding:
    """Tell time and disk for many points, and warn where they are not to be had."""
    if case.no_run:
        return Finding("estimate", "skipped", case.no_run)
    cpus = min(case.n_cpus, available_cpus()) if case.n_cpus > 0 else case.n_cpus
    width = case.places or evaluations_at_a_time(cpus, case.evaluator.cpus)
    seconds = _fastest(case).seconds * math.ceil(case.n_points / width)
    folder = max(run.size for run in case.runs)
    records = case.n_points * (_RECORD + 8 * (len(case.evaluator.inputs) + len(case.evaluator.outputs)))
    lasting = f"{size(records)} for the store"
    if case.has_folders:
        lasting += f", {size(folder * width)} for work directories while they run"
        lasting += f" ({size(folder * case.n_points)} in the end with keep='all')"
    text = f"{case.n_points} points, {width} at a time: about {duration(seconds)}; disk: {lasting}"
    case.outlook = f"{case.n_points} points, {width} at a time, take about {duration(seconds)}."
    warnings = list(_shortages(case, width, folder))
    if case.n_cpus > cpus and not case.places:
        warnings.append(f"this process may use {cpus} CPUs only, not {case.n_cpus}")
    if warnings:
        return Finding("estimate", "warning", f"{text}. But {'; '.join(warnings)}.")
    return Finding("estimate", "ok", text)


def duration(seconds: float) -> str:
    """Return a time as a person would say it."""
    for unit, length in (("days", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.3g} s" if seconds >= 1.0 else f"{1000 * seconds:.3g} ms"


def size(number: float) -> str:
    """Return a number of bytes as a person would say it."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def _fastest(case: Case) -> Run:
    """Return the good run that was disturbed least."""
    return min((run for run in case.runs if run.evaluation.done), key=lambda run: run.seconds)


def _why_not_parallel(case: Case) -> str:
    """Return why there is nothing to compare; empty if there is."""
    if case.no_run:
        return case.no_run
    if case.backend == "serial":
        return "the backend is serial itself"
    if not case.same:
        return "two runs of one point differ already, see 'same answer'"
    if not case.loadable and not case.in_process:
        return "the model cannot be sent to workers, see 'pickle'"
    return ""


def _neighbours(case: Case) -> list[tuple[float, ...]]:
    """Return points that the model may be asked for: of its distribution, or near the nominal one."""
    count = _NEIGHBOURS if case.runs[0].seconds < _LONG else 1
    distribution = getattr(case.model, "distribution", None)
    if distribution is not None:
        import openturns as ot

        state = ot.RandomGenerator.GetState()
        ot.RandomGenerator.SetSeed(0)
        try:
            return [tuple(point) for point in distribution.getSample(count)]
        finally:
            ot.RandomGenerator.SetState(state)
    factors = [1.0 + 1e-3 * step for step in (1, -1, 2, -2)[:count]]
    return [
        tuple(value * factor if value else factor - 1.0 for value in case.point or ()) for factor in factors
    ]


def _told(evaluation: Evaluation) -> str:
    """Return how an evaluation ended."""
    return repr(evaluation.output) if evaluation.done else f"{evaluation.status} ({plain_error(evaluation)})"


def _shortages(case: Case, width: int, folder: int) -> Iterable[str]:
    """Yield what there will not be enough of."""
    free = shutil.disk_usage(case.root or os.getcwd()).free
    if folder * width > free:
        yield f"only {size(free)} of disk are free for work directories"
    memory = max((run.evaluation.peak_memory or 0) for run in case.runs) * width
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if memory > total:
            yield f"{width} at a time need {size(memory)} of memory, and this machine has {size(total)}"


#: By name, in the order in which they are made.
CHECKS: dict[str, Callable[[Case], Finding]] = {
    "parallel": _parallel,
    "one run": _time_of_one,
    "estimate": _estimate,
}
