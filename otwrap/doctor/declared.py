"""What can be said of a model before it runs: its files, tokens, executable, and whether it pickles."""

# Plain strings, as the wrapper has them.
# ruff: noqa: PTH112, PTH117, PTH120

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from ..command import Command
from ..errors import EvaluationError
from ..evaluator import Evaluator
from ..wrapper import Wrapper
from .case import Case
from .report import Finding

__all__ = ["CHECKS", "executables"]

#: How long the fresh process may take to load the model, in seconds.
_PATIENCE = 120

#: Run by a fresh process: gets (name, bytes) pairs, says which of them it cannot load.
_LOADER = """
import json, os, pickle, sys
sys.path[:] = json.loads(sys.argv[1])
parts = pickle.load(sys.stdin.buffer)
answer, sys.stdout = sys.stdout, sys.stderr
import dill
failed = {}
for name, content in parts:
    try:
        dill.loads(content)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed), file=answer, flush=True)
os._exit(0)
"""


def _files(case: Case) -> Finding:
    """Check that templates and files are still there and can be read."""
    wrapper = case.wrapper
    if wrapper is None:
        return Finding("files", "skipped", "a function has no templates and no files that otwrap knows of")
    templates = sorted({template.path for template in wrapper.templates.values()})
    gone = [path for path in wrapper.files if not _readable(path)]
    if gone:
        text = f"cannot be read: {', '.join(gone)}. Put them back, or mend files= of the wrapper."
        return Finding("files", "problem", text)
    gone = [path for path in templates if not _readable(path)]
    if gone:
        text = f"the template cannot be read any more: {', '.join(gone)}. Put it back: this wrapper "
        text += "still has what it read when it was made, but the next one will not be made."
        return Finding("files", "problem", text)
    if not templates and not wrapper.files:
        return Finding("files", "skipped", "the wrapper has no templates and no files")
    text = f"templates: {len(templates)}, files: {len(wrapper.files)}, all there and readable"
    return Finding("files", "ok", text)


def _tokens(case: Case) -> Finding:
    """Check that each input is used by a template or by the command."""
    wrapper = case.wrapper
    if wrapper is None:
        return Finding("tokens", "skipped", "a function has no templates")
    in_templates = {name for template in wrapper.templates.values() for name in template.inputs_used}
    in_command = {name for name in wrapper.inputs if any(name in _names(c) for c in wrapper.commands)}
    own = sorted(wrapper.overridden & {"_prepare_input", "_run_code", "_exec", "_exec_sample"})
    unused = [name for name in wrapper.inputs if name not in in_templates | in_command]
    if unused and own:
        text = f"only the wrapper's own {' and '.join(own)} knows what becomes of {', '.join(unused)}"
        return Finding("tokens", "skipped", text)
    if unused:
        text = (
            f"{', '.join(unused)}: in no template and not in the command, so the output cannot depend on it. "
        )
        text += "Put its token into a template or {name} into the command, or take it out of the inputs."
        return Finding("tokens", "warning", text)
    text = f"inputs: {len(wrapper.inputs)}, all used"
    text += f"; in templates: {len(in_templates)}" if in_templates else ""
    only = [name for name in wrapper.inputs if name in in_command - in_templates]
    text += f"; only in the command: {', '.join(only)}" if only else ""
    overlaps = {pair for template in wrapper.templates.values() for pair in template.overlaps}
    for short, long in sorted(overlaps):
        text += f"; {short} is a part of {long}, and the longer one wins"
    return Finding("tokens", "ok", text)


def _executable(case: Case) -> Finding:
    """Check that each command can be found."""
    if case.wrapper is None or not case.wrapper.commands:
        who = "a function" if case.wrapper is None else "this wrapper"
        return Finding("executable", "skipped", f"{who} declares no command")
    found, lost = executables(case.wrapper)
    if lost:
        return Finding("executable", "problem", "\n".join(lost))
    return Finding("executable", "ok", ", ".join(found))


def executables(wrapper: Wrapper) -> tuple[list[str], list[str]]:
    """Return where the commands of a wrapper are found on this machine, and which are not.

    Parameters
    ----------
    wrapper : Wrapper
        Of the model.

    Returns
    -------
    found, lost : list of str
        Paths or remarks, and what is wrong.
    """
    found: list[str] = []
    lost: list[str] = []
    for command in wrapper.commands:
        program = command.executable()
        try:
            if program is None:
                found.append(f"{command.argv[0]!r} is known to the shell only, when it runs")
            else:
                found.append(command.find_executable())
        except EvaluationError as error:
            if os.path.isabs(program or "") or not os.path.dirname(program or ""):
                lost.append(str(error))
            else:
                # It may come with the input, or be built by an earlier command of the chain.
                found.append(f"{program} is expected in the work directory")
    return found, lost


def _pickling(case: Case) -> Finding:
    """Check that a fresh process can load the model, as workers do."""
    try:
        payload = case.evaluator.payload
    except Exception as error:  # whatever an attribute's own pickling raises
        return _not_loadable(case, "pickled", f"{type(error).__name__}: {error}", _parts(case)[0])
    failed = _load_elsewhere([("", payload)])
    if failed:
        return _not_loadable(case, "loaded by another process", failed[""], _load_elsewhere(_parts(case)[1]))
    return Finding("pickle", "ok", f"a fresh process loads the model ({len(payload):,} bytes)")


def _not_loadable(case: Case, what: str, error: str, failed: dict[str, str]) -> Finding:
    """Return the finding that names the attributes to blame."""
    case.loadable = False
    blamed = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
    blamed = blamed or f"{error}. No attribute is to blame by itself: look at what its functions use"
    advice = "Make it inside the step that uses it, leave it out in __getstate__, or use backend='threads'."
    # Threads share the model; only other processes need it as bytes.
    outcome = "warning" if case.in_process else "problem"
    return Finding("pickle", outcome, f"the model cannot be {what}: {blamed}. {advice}")


def _parts(case: Case) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """Pickle what the model consists of one by one; return what failed, and the rest as bytes."""
    failed: dict[str, str] = {}
    parts = []
    for name, value in (*_attributes(case.model), *_methods(case.model)):
        if failed and name.startswith("method"):
            break
        # Pickled as the whole is.
        holder = Evaluator()
        holder.__dict__["part"] = value
        try:
            parts.append((name, holder.payload))
        except Exception as error:  # whatever its own pickling raises
            failed[name] = f"{type(error).__name__}: {error}"
    return failed, parts


def _attributes(model: Any) -> list[tuple[str, Any]]:
    """Return the attributes that are pickled."""
    import openturns as ot

    if not isinstance(model, ot.OpenTURNSPythonFunction):
        return []
    try:
        state = model.__getstate__() if isinstance(model, Wrapper) else vars(model)
    except Exception:  # a __getstate__ of the user's own
        state = vars(model)
    found = state.items() if isinstance(state, dict) else ()
    return [(f"attribute {name!r}", value) for name, value in found]


def _methods(model: Any) -> list[tuple[str, Any]]:
    """Return the methods of a class that is pickled too, as those of scripts are."""
    if type(model).__module__ != "__main__":
        return []
    return [(f"method {name!r}", value) for name, value in vars(type(model)).items() if callable(value)]


def _load_elsewhere(parts: list[tuple[str, bytes]]) -> dict[str, str]:
    """Load the whole (name "") in a fresh process, and if that fails each part; return what failed."""
    import pickle

    run = subprocess.run(
        [sys.executable, "-B", "-c", _LOADER, json.dumps(sys.path)],
        input=pickle.dumps(parts),
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
    )
    try:
        found: dict[str, str] = json.loads(run.stdout)
    except ValueError:
        tail = run.stderr.decode(errors="replace").strip()[-300:]
        return {"": f"the process ended with exit code {run.returncode}: {tail}"}
    return found


def _readable(path: str) -> bool:
    """Whether a file, or a folder with its entries, can be read."""
    return os.access(path, os.R_OK | (os.X_OK if os.path.isdir(path) else 0))


def _names(command: Command) -> set[str]:
    """Return the names that stand in braces in a command; double braces and ``${`` mean something else."""
    return {name for text in command.argv for name in re.findall(r"(?<![{$])\{(\w+)\}(?!\})", text)}


#: By name, in the order in which they are made.
CHECKS: dict[str, Callable[[Case], Finding]] = {
    "files": _files,
    "tokens": _tokens,
    "executable": _executable,
    "pickle": _pickling,
}
