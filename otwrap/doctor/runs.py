"""What the runs of the nominal point tell: the answer, and what was left where."""

from __future__ import annotations

import os

from .case import PLACES, Case, bits, plain_error
from .report import Finding
from .traces import Traces

__all__ = ["left_behind", "nominal", "outside", "processes", "same_answer"]


def nominal(case: Case) -> Finding:
    """Run the nominal point in two places, and watch the surroundings meanwhile."""
    if case.point is None:
        return Finding("nominal", "skipped", case.origin)
    try:
        root = case.make_root()
    except (OSError, ValueError) as error:
        text = f"work directories cannot be made: {error}. Choose another base_temp_work_dir, or make room there."
        return Finding("nominal", "problem", text)
    with Traces(_folders_of(case), root) as case.traces:
        case.runs.append(_run(case, PLACES[0], keep="failed"))
        if case.runs[0].evaluation.done:
            # Kept, to be measured.
            case.runs.append(_run(case, PLACES[1], keep="all"))
            if bits(case.runs[0].evaluation.output) != bits(case.runs[1].evaluation.output) and case.has_folders:
                # The first work directory serves again: only time has passed.
                case.runs.append(_run(case, PLACES[0], keep="failed"))
    for number, run in enumerate(case.runs[:2]):
        if case.has_folders and run.evaluation.done:
            beside = case.beside(PLACES[number], run.evaluation.workdir)
            case.runs[number] = run._replace(beside=beside)
    return _told(case)


def same_answer(case: Case) -> Finding:
    """Compare the nominal runs, to the last bit."""
    if case.no_run:
        return Finding("same answer", "skipped", case.no_run)
    outputs = [run.evaluation.output or () for run in case.runs]
    second = case.runs[1].evaluation
    if not second.done:
        case.same = False
        text = f"the second run, in a folder called {PLACES[1]!r}, failed: {plain_error(second)}\n"
        return Finding("same answer", "problem", text + "Quote paths in scripts, or avoid such folders.")
    if bits(outputs[0]) == bits(outputs[1]):
        places = " in two places, one with spaces and an accent in its path" if case.has_folders else ""
        return Finding("same answer", "ok", f"two runs{places}, the same answer to the last bit")
    case.same = False
    differ = f"two runs of one point gave {outputs[0]!r} and {outputs[1]!r}"
    if len(outputs) > 2 and bits(outputs[0]) == bits(outputs[2]):
        text = f"{differ}, and the first again in the first folder: the answer depends on where the code runs. "
        return Finding("same answer", "problem", text + "Look for its own path in what the code reads or prints.")
    if case.stochastic:
        return Finding("same answer", "ok", f"{differ}, as a stochastic code does")
    text = f"{differ}: another answer each time. Fix the seed of the code (or make it an input), "
    return Finding("same answer", "problem", text + "or tell the campaign that it is so: stochastic=True.")


def left_behind(case: Case) -> Finding:
    """Check that nothing but what is to be kept is left among the work directories."""
    if case.no_run or not case.has_folders:
        return Finding("left behind", "skipped", case.no_run or "the model has no work directories of otwrap")
    beside = sorted({name for run in case.runs for name in run.beside})
    if beside:
        text = f"beside its work directory the code left {', '.join(map(repr, beside))}. "
        return Finding("left behind", "problem", text + _ADVICE)
    return Finding("left behind", "ok", "nothing is left of a good run")


def outside(case: Case) -> Finding:
    """Check that nothing was written outside the work directory."""
    traces = case.traces
    if traces is None:
        return Finding("outside", "skipped", case.no_run)
    if traces.moved:
        text = f"a step left the current directory at {traces.moved}: come back to the former one, or use `workdir`. "
        return Finding("outside", "problem", text + _first(traces.changes))
    if traces.changes:
        return Finding("outside", "problem", f"outside its work directory the code {_first(traces.changes)}. {_ADVICE}")
    if traces.suspects:
        text = f"new during the runs: {_first(traces.suspects)}. If it is not another program's, it is of the code: "
        return Finding("outside", "warning", text + "let it write into its work directory.")
    places = "the current directory, those of templates and files, home, temporary files"
    return Finding("outside", "ok", f"nothing new in {places}")


def processes(case: Case) -> Finding:
    """Check that no process outlived the runs."""
    found = case.traces.processes if case.traces is not None else None
    if case.traces is None or found is None:
        return Finding("processes", "skipped", case.no_run or "this system does not tell whose processes run")
    if found:
        listed = _first([f"{process.command!r} (process {process.pid})" for process in found])
        text = f"still running after the evaluation had ended: {listed}; ended now. Start it with self.run or command=, "
        return Finding("processes", "problem", text + "which end all that the code started, or wait for it.")
    return Finding("processes", "ok", "none was left running")


_ADVICE = (
    "Evaluations that run at a time overwrite each other there: "
    "let the code write into its work directory, by relative paths."
)


def _told(case: Case) -> Finding:
    """Return the finding on how the nominal point went."""
    evaluation = case.runs[0].evaluation
    point = ", ".join(f"{name} = {value!r}" for name, value in zip(case.evaluator.inputs, case.point or (), strict=True))
    where = f"at {case.origin} ({point})"
    if not evaluation.done:
        text = f"{where}: {evaluation.status}, {evaluation.cause}: {plain_error(evaluation)}"
        return Finding("nominal", "problem", text)
    answer = ", ".join(
        f"{name} = {value!r}" for name, value in zip(case.evaluator.outputs, evaluation.output or (), strict=True)
    )
    return Finding("nominal", "ok", f"{where}: {answer}")


def _run(case: Case, place: str, keep: str) -> object:
    """Run the nominal point."""
    return case.run(place, keep)


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
