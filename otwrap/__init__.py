"""otwrap turns any external simulation code into an OpenTURNS function that runs anywhere.

The names below are the whole public interface; `otwrap.parsers` and `otwrap.backends` are its shelves.
"""

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
from .files import safemakedirs
from .function import FunctionDecorator
from .logs import Debug, create_logger
from .parallelizer import Parallelizer
from .store import Store
from .template import Jinja, Template
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
    "SampleError",
    "SchedulerError",
    "Store",
    "StoreError",
    "TempWorkDir",
    "Template",
    "Wrapper",
    "backends",
    "create_logger",
    "dump_array",
    "load_array",
    "main",
    "parsers",
    "safemakedirs",
]


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version("otwrap")
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
