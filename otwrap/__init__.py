"""otwrap turns any external simulation code into an OpenTURNS function that runs anywhere.

The names below are the whole public interface; `otwrap.parsers` and `otwrap.backends` are its shelves.
A room is loaded when a name of it is first used: `import otwrap` itself costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import backends, parsers
    from .campaign import Campaign
    from .cli import main
    from .command import Command
    from .dumps import dump_array, load_array
    from .errors import (
        BackendError,
        BackendUnavailable,
        CommandError,
        CommandTimeout,
        EvaluationError,
        InputError,
        OtwrapError,
        OutputError,
        SampleError,
        SchedulerError,
        StoreError,
    )
    from .evaluation import Evaluation
    from .explanation import explain_failures
    from .files import safemakedirs
    from .function import FunctionDecorator
    from .logs import Debug, create_logger
    from .parallelizer import Parallelizer
    from .retries import Retries
    from .schedulers import Profile, Resources
    from .store import Store
    from .submission import Submission, prepare, submit
    from .template import Jinja, Template, Tree
    from .workdir import TempWorkDir
    from .wrapper import Wrapper

__all__ = [
    "BackendError",
    "BackendUnavailable",
    "Campaign",
    "Command",
    "CommandError",
    "CommandTimeout",
    "Debug",
    "Evaluation",
    "EvaluationError",
    "FunctionDecorator",
    "InputError",
    "Jinja",
    "OtwrapError",
    "OutputError",
    "Parallelizer",
    "Profile",
    "Resources",
    "Retries",
    "SampleError",
    "SchedulerError",
    "Store",
    "StoreError",
    "Submission",
    "TempWorkDir",
    "Template",
    "Tree",
    "Wrapper",
    "backends",
    "create_logger",
    "dump_array",
    "explain_failures",
    "load_array",
    "main",
    "parsers",
    "prepare",
    "safemakedirs",
    "submit",
]

#: Where each name lives; a test holds this table, the imports above and `__all__` together.
_ROOMS = {
    "campaign": "Campaign",
    "cli": "main",
    "command": "Command",
    "dumps": "dump_array load_array",
    "errors": "BackendError BackendUnavailable CommandError CommandTimeout EvaluationError InputError "
    "OtwrapError OutputError SampleError SchedulerError StoreError",
    "evaluation": "Evaluation",
    "explanation": "explain_failures",
    "files": "safemakedirs",
    "function": "FunctionDecorator",
    "logs": "Debug create_logger",
    "parallelizer": "Parallelizer",
    "retries": "Retries",
    "schedulers": "Profile Resources",
    "store": "Store",
    "submission": "Submission prepare submit",
    "template": "Jinja Template Tree",
    "workdir": "TempWorkDir",
    "wrapper": "Wrapper",
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        value = getattr(importlib.import_module(f".{_ROOM_OF[name]}", __name__), name)
    elif name in ("backends", "parsers"):
        return importlib.import_module(f".{name}", __name__)
    elif name == "__version__":
        from importlib.metadata import version

        value = version("otwrap")
    else:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
