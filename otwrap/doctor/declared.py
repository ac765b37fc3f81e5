"""What can be said of a model before it runs: its files, tokens, executable, and whether it pickles."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from ..errors import EvaluationError
from ..wrapper import Wrapper
from .case import Case
from .report import Finding

__all__ = ["executable", "files", "pickling", "tokens"]

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
    else:
        if not name:
            break
print(json.dumps(failed), file=answer, flush=True)
os._exit(0)
"""


def files(case: Case) -> Finding:
    """Check that templates and files are still there and can be read."""
    wrapper = case.wrapper
    if wrapper is None:
        return Finding("files", "skipped", "a function has no templates and no files that otwrap knows of")
    templates = sorted({template.path for template in wrapper.templates.values()})
    gone = [path for path in wrapper.files if not _readable(path)]
    if gone:
        return Finding("files", "problem", f"files: cannot be read: {', '.join(gone)}. Put them back, or mend files=.")
    gone = [path for path in templates if not _readable(path)]
    if gone:
        text = f"the template cannot be read any more: {', '.join(gone)}. What was read of it when the wrapper was "
        return Finding("files", "problem", text + "made still serves; the next start fails. Put it back.")
    found = f"{_count(len(templates), 'template')} and {_count(len(wrapper.files), 'file or folder')}"
    return Finding("files", "ok", f"{found}, all there and readable")


def tokens(case: Case) -> Finding:
    """Check that each input is used by a template or by the command."""
    wrapper = case.wrapper
    if wrapper is None:
        return Finding("tokens", "skipped", "a function has no templates")
    in_templates = {name for template in wrapper.templates.values() for name in template.inputs_used}
    in_command = {name for name in wrapper.inputs if any(name in _names(c) for c in wrapper.commands)}
    own = sorted(wrapper._overridden & {"_prepare_input", "_run_code", "_exec", "_exec_sample"})
    unused = [name for name in wrapper.inputs if name not in in_templates | in_command]
    if unused and own:
        return Finding("tokens", "skipped", f"{' and '.join(own)} of your own may use {_listed(unused)}; nobody can tell")
    if unused:
        text = f"{_listed(unused)}: used by no template and not by the command, so the output cannot depend on it. "
        return Finding("tokens", "warning", text + "Add its token to a template, {name} to the command, or leave it out.")
    text = f"all {len(wrapper.inputs)} inputs are used: {len(in_templates)} in {_count(len(wrapper.templates), 'template')}"
    only = [name for name in wrapper.inputs if name in in_command - in_templates]
    text += f", {_listed(only)} in the command only" if only else ""
    overlaps = {pair for template in wrapper.templates.values() for pair in template.overlaps}
    for short, long in sorted(overlaps):
        text += f"; {short} is a part of {long}, and the longer one wins"
    return Finding("tokens", "ok", text)


def executable(case: Case) -> Finding:
    """Check that each command can be found."""
    if case.wrapper is None or not case.wrapper.commands:
        who = "a function" if case.wrapper is None else "this wrapper"
        return Finding("executable", "skipped", f"{who} declares no command")
    found, lost = [], []
    for command in case.wrapper.commands:
        try:
            found.append(str(command.find_executable()))
        except (EvaluationError, OSError) as error:
            lost.append(str(error))
    if lost:
        return Finding("executable", "problem", "\n".join(lost))
    return Finding("executable", "ok", ", ".join(found))


def pickling(case: Case) -> Finding:
    """Check that a fresh process can load the model, as workers do."""
    try:
        payload = case.evaluator.payload
    except Exception as error:  # whatever an attribute's own pickling raises
        case.loadable = False
        failed, _ = _parts(case)
        return _not_loadable(case, failed, f"{type(error).__name__}: {error}", "pickled")
    _, parts = _parts(case)
    failed = _load_elsewhere([("", payload), *parts])
    if failed:
        case.loadable = False
        return _not_loadable(case, failed, failed.pop("", ""), "loaded by another process")
    return Finding("pickle", "ok", f"a fresh process loads the model ({len(payload):,} bytes)")


def _not_loadable(case: Case, failed: dict[str, str], error: str, what: str) -> Finding:
    """Return the finding that names the attributes to blame."""
    # Threads share the model; only processes need it as bytes.
    outcome = "warning" if _stays_here(case.backend) else "problem"
    if not failed:
        text = f"the model cannot be {what}: {error}. No attribute is to blame by itself: look at what its class uses."
        return Finding("pickle", outcome, text)
    blamed = "; ".join(f"{name} ({reason})" for name, reason in failed.items())
    advice = "Open or make it inside the step that uses it, or leave it out in __getstate__; or use backend='threads'."
    return Finding("pickle", outcome, f"cannot be {what}: {blamed}. {advice}")


def _stays_here(backend: Any) -> bool:
    """Whether a backend runs in this process."""
    name = backend if isinstance(backend, str) else type(backend).__name__
    return name.lower() in ("serial", "threads", "concurrent/thread")


def _parts(case: Case) -> tuple[dict[str, str], list[tuple[str, bytes]]]:
    """Pickle what the model consists of one by one; return what failed, and the rest as bytes."""
    import dill

    failed, parts = {}, []
    for name, value in _attributes(case.model):
        try:
            parts.append((name, dill.dumps(value, recurse=True)))
        except Exception as error:  # whatever its own pickling raises
            failed[name] = f"{type(error).__name__}: {error}"
    return failed, parts


def _attributes(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield what is pickled of a model: its attributes, then the steps of its class."""
    try:
        state = model.__getstate__() if isinstance(model, Wrapper) else vars(model)
    except Exception:  # a __getstate__ of the user's own
        state = vars(model)
    if isinstance(state, dict):
        yield from ((f"attribute {name!r}", value) for name, value in state.items())
    if type(model).__module__ == "__main__":
        steps = {name: value for name, value in vars(type(model)).items() if callable(value)}
        yield from ((f"what method {name!r} uses", value) for name, value in steps.items())


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


def _names(command: Any) -> set[str]:
    """Return the names that stand in braces in a command."""
    argv = command.argv if not isinstance(command.argv, str) else [command.argv]
    return {name for part in argv for name in re.findall(r"\{(\w+)[^{}]*\}", str(part))}


def _count(number: int, word: str) -> str:
    """Return a number of things."""
    return f"{number} {word}" + ("" if number == 1 else "s") if " " not in word else f"{number} of files="


def _listed(names: list[str]) -> str:
    """Return names in words."""
    return ("input " if len(names) == 1 else "inputs ") + ", ".join(names)
