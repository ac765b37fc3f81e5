"""What the runs of the nominal point tell: the answer, and what was left where."""

# Plain strings, as the wrapper has them.
# ruff: noqa: PTH100, PTH112, PTH120

from __future__ import annotations

import os
from collections.abc import Callable

from ..fields import listed
from .case import PLACES, Case, bits, plain_error
from .report import Finding
from .traces import Traces

__all__ = ["CHECKS"]


def _nominal(case: Case) -> Finding:
    """Run the nominal point in two places, and watch the surroundings meanwhile."""
    if case.point is None:
        return Finding("nominal", "skipped", case.origin)
    try:
        root = case.make_root()
    except (OSError, ValueError) as error:
        text = f"no work directory can be made: {error}. "
        return Finding("nominal", "problem", text + "Choose another base_temp_work_dir, or make room there.")
    with Traces(_folders_of(case), root, own_folders=not case.has_folders) as case.traces:
        case.runs.append(case.run(PLACES[0], keep="failed"))
        if case.runs[0].evaluation.done:
            # Kept, to be measured.
            case.runs.append(case.run(PLACES[1], keep="all"))
            if case.has_folders and not _equal(case, 0, 1):
                # The first work directory serves again: only time has passed.
                case.runs.append(case.run(PLACES[0], keep="failed"))
    for number, run in enumerate(case.runs[:2]):
        if case.has_folders and run.evaluation.done:
            beside = case.beside(PLACES[number], run.evaluation.workdir)
            case.runs[number] = run._replace(beside=beside)
    return _told(case)


def _same_answer(case: Case) -> Finding:
    """Compare the nominal runs, to the last bit."""
    if case.no_run:
        return Finding("same answer", "skipped", case.no_run)
    outputs = [run.evaluation.output for run in case.runs]
    if _equal(case, 0, 1):
        places = " in two places, one with spaces and an accent in its path" if case.has_folders else ""
        return Finding("same answer", "ok", f"two runs{places}, the same answer to the last bit")
    if outputs[1] is None and len(outputs) > 2 and _equal(case, 0, 2):
        text = f"it fails in a folder called {PLACES[1]!r}, and only there: "
        text += plain_error(case.runs[1].evaluation)
        text += "\nQuote paths in its scripts, or keep base_temp_work_dir a plain path."
        return Finding("same answer", "warning", text)
    case.same = False
    failed = [plain_error(run.evaluation) for run in case.runs if not run.evaluation.done]
    if failed:
        return Finding("same answer", "problem", f"the same point fails now and then: {failed[0]}")
    differ = f"two runs of one point gave {outputs[0]!r} and {outputs[1]!r}"
    if len(outputs) > 2 and _equal(case, 0, 2):
        text = f"{differ}, and the former again in the former folder: the answer depends on where the code "
        return Finding("same answer", "problem", text + "runs. Look for its own path in what it computes.")
    if case.stochastic:
        return Finding("same answer", "ok", f"{differ}, as a stochastic code does")
    text = f"{differ}: another answer each time. Fix the seed of the code (or make it an input), "
    return Finding("same answer", "problem", text + "or tell the campaign that it is so: stochastic=True.")


def _left_behind(case: Case) -> Finding:
    """Check that nothing but what is to be kept is left among the work directories."""
    if case.no_run or not case.has_folders:
        return Finding("left behind", "skipped", case.no_run or "the model has no work directories of otwrap")
    beside = sorted({name for run in case.runs for name in run.beside})
    if beside:
        text = f"beside its work directory the code left {', '.join(map(repr, beside))}. "
        return Finding("left behind", "problem", text + _ADVICE)
    return Finding("left behind", "ok", "nothing is left of a good run")


def _outside(case: Case) -> Finding:
    """Check that nothing was written outside the work directory."""
    traces = case.traces
    if traces is None:
        return Finding("outside", "skipped", case.no_run)
    if traces.moved:
        text = (
            f"a step moved the current directory to {traces.moved}, and with it that of the whole process. "
        )
        text += "Use paths below `workdir`, or write the step without it and let otwrap change the directory."
        return Finding("outside", "problem", text)
    if traces.changes:
        text = f"outside its work directory the run {_first(traces.changes)}. {_ADVICE}"
        return Finding("outside", "problem", text)
    # What others make meanwhile is often gone again.
    suspects = [path for path in traces.suspects if os.path.lexists(path)]
    if suspects:
        text = f"new since the runs: {_first(suspects)}. If it is not another "
        return Finding(
            "outside", "warning", text + "program's, the code made it: let it write into its work directory."
        )
    places = "the current, template, home and temporary folders"
    return Finding("outside", "ok", f"nothing new in {places}")


def _processes(case: Case) -> Finding:
    """Check that no process outlived the runs."""
    found = case.traces.processes if case.traces is not None else None
    if case.traces is None or found is None:
        return Finding("processes", "skipped", case.no_run or "this system does not tell whose processes run")
    if found:
        listed = _first([f"{process.command!r} (process {process.pid})" for process in found])
        text = (
            f"still running after the evaluation had ended: {listed}; ended now. Wait for it, or start it by "
        )
        return Finding(
            "processes", "problem", text + "command= or self.run, which end all that the code started."
        )
    return Finding("processes", "ok", "none was left running")


_ADVICE = (
    "Evaluations that run at a time overwrite each other there: "
    "let the code write into its work directory, by relative paths."
)


def _told(case: Case) -> Finding:
    """Return the finding on how the nominal point went."""
    evaluation = case.runs[0].evaluation
    point = ", ".join(
        f"{name} = {value!r}" for name, value in zip(case.evaluator.inputs, case.point or (), strict=True)
    )
    where = f"at {case.origin} ({point})"
    if not evaluation.done:
        text = f"{where}: {evaluation.status}, {evaluation.cause}: {plain_error(evaluation)}"
        return Finding("nominal", "problem", text)
    answer = listed(case.evaluator.outputs, evaluation.output)
    return Finding("nominal", "ok", f"{where}: {answer}")


def _equal(case: Case, one: int, other: int) -> bool:
    """Whether two of the runs gave the same answer."""
    return bits(case.runs[one].evaluation.output) == bits(case.runs[other].evaluation.output)


def _folders_of(case: Case) -> list[str]:
    """Return the folders of the templates and of the files: a code has no business in them."""
    if case.wrapper is None:
        return []
    paths = [template.path for template in case.wrapper.templates.values()]
    folders = [os.path.dirname(os.path.abspath(path)) for path in (*paths, *case.wrapper.files)]
    return [*folders, *(path for path in case.wrapper.files if os.path.isdir(path))]


def _first(texts: list[str], shown: int = 5) -> str:
    """Return the first few of a list."""
    more = f" and {len(texts) - shown} more" if len(texts) > shown else ""
    return ", ".join(texts[:shown]) + more


#: By name, in the order in which they are made.
CHECKS: dict[str, Callable[[Case], Finding]] = {
    "nominal": _nominal,
    "same answer": _same_answer,
    "left behind": _left_behind,
    "outside": _outside,
    "processes": _processes,
}
