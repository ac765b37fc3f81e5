"""What a backend calls: one object that evaluates tasks, whatever the model is.

A backend sees this and points, never a wrapper or OpenTURNS.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from .evaluation import Evaluation, Task
from .fields import component_names
from .fingerprints import fingerprint
from .payload import dump_payload
from .retries import Retries
from .wrapper import Wrapper

__all__ = ["Evaluator", "FunctionEvaluator", "WrapperEvaluator", "evaluator_of"]


class Evaluator:
    """Evaluate tasks with a model; the base of the two kinds.

    Attributes
    ----------
    inputs, outputs : tuple of str
        The descriptions, one name per number.
    fields : dict of ot.Mesh
        Outputs that are fields.
    cpus : int
        CPUs that one evaluation uses.
    timeout : float or None
        Time limit of one evaluation in seconds, where the model has one.
    memory : int or None
        Memory limit of one evaluation in bytes, where the model has one.
    files : tuple of str
        What must be where the evaluation runs.
    retries : Retries
        When a failed evaluation is tried again.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    fields: Mapping[str, Any] = MappingProxyType({})
    cpus: int = 1
    timeout: float | None = None
    memory: int | None = None
    files: tuple[str, ...] = ()
    retries: Retries = Retries()
    _payload: bytes | None = None

    def __call__(self, task: Task) -> Evaluation:
        """Evaluate a task; never raises for a failing model."""
        raise TypeError(
            f"{type(self).__name__} does not say how a task is evaluated; write __call__(self, task)"
        )

    @property
    def payload(self) -> bytes:
        """This object as bytes for the workers, made once, with classes of scripts and closures by value."""
        if self._payload is None:
            self._payload = dump_payload(self)
        return self._payload

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the model, see :meth:`otwrap.Wrapper.fingerprints`."""
        return {}

    def keep_in(self, folder: str) -> None:
        """Keep work directories in a folder, where the model does not say where.

        Parameters
        ----------
        folder : str
            Made when it is needed.
        """

    def close(self) -> None:
        """Give back what the model holds where it is evaluated."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_payload": None}


class WrapperEvaluator(Evaluator):
    """Evaluate tasks with a :class:`otwrap.Wrapper`.

    Parameters
    ----------
    wrapper : Wrapper
        The model.
    """

    def __init__(self, wrapper: Wrapper) -> None:
        self.wrapper = wrapper
        self.inputs, self.outputs, self.fields = wrapper.inputs, wrapper.outputs, wrapper.fields
        self.cpus = max([command.cpus for command in wrapper.commands], default=1)
        limits = [command.timeout for command in wrapper.commands]
        self.timeout = sum(limit or 0 for limit in limits) if limits and all(limits) else None
        self.memory = max([command.memory or 0 for command in wrapper.commands], default=0) or None
        self.files = wrapper.files
        self.retries = wrapper.retries

    def __call__(self, task: Task) -> Evaluation:
        """Evaluate a task."""
        return self.wrapper.evaluate(task.input, number=task.id, attempt=task.attempt, settings=task.settings)

    def prepare(self, point: Sequence[float], folder: str | os.PathLike[str]) -> None:
        """Write the input of a point into a folder, see :meth:`otwrap.Wrapper.prepare`."""
        self.wrapper.prepare(point, folder)

    def parse(self, folder: str | os.PathLike[str]) -> tuple[float, ...]:
        """Read the output from a folder, see :meth:`otwrap.Wrapper.parse`."""
        return self.wrapper.parse(folder)

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the model."""
        return self.wrapper.fingerprints()

    def use_files(self, files: Sequence[str]) -> None:
        """Take files from other places, see ``files`` of :class:`otwrap.Wrapper`.

        Parameters
        ----------
        files : sequence of str
            As many as there were.
        """
        self.files = self.wrapper.files = tuple(files)

    def keep_in(self, folder: str) -> None:
        """Keep work directories in a folder, where the wrapper does not say where."""
        if self.wrapper.folders.keep_to is None:
            self.wrapper.folders.keep_to = folder

    def close(self) -> None:
        """Remove the spare work directories."""
        self.wrapper.close()


class FunctionEvaluator(Evaluator):
    """Evaluate tasks with a function of OpenTURNS or of Python.

    Parameters
    ----------
    function : callable
        A point in, the output out; an `ot.Function`, an `ot.OpenTURNSPythonFunction`, or one of their kin
        whose output is a field.
    version : str, optional
        What identifies the function in a store, beside its name.
    """

    def __init__(self, function: Any, version: str | None = None) -> None:
        self.function: Callable[[Any], Any] = function
        self.inputs = tuple(function.getInputDescription())
        declared = list(function.getOutputDescription())
        if hasattr(function, "getOutputMesh"):
            self.fields = dict.fromkeys(declared, function.getOutputMesh())
        self.outputs = tuple(component_names(declared, self.fields))
        self.version = version
        self._call = _caller(function)

    def __call__(self, task: Task) -> Evaluation:
        """Evaluate a task."""
        point = task.input
        started, clock = time.time(), time.perf_counter()
        status, cause, error, output = "done", "", "", None
        try:
            output = tuple(map(float, self._call(point)))
            for value in output:
                if value - value != 0.0:
                    status, cause = "invalid", "not a number"
                    error, output = (
                        f"the function returned {value!r} among its {len(output)} value(s) at {point!r}; finite numbers are expected",
                        None,
                    )
                    break
        except Exception as raised:  # the promise: a failure is a value
            status, cause, error = "failed", "exception", f"{type(raised).__name__} at {point!r}: {raised}"
        if output is not None and len(output) != len(self.outputs):
            status, cause = "failed", "output"
            error, output = (
                f"{len(output)} value(s) at {point!r}; expected are {len(self.outputs)}",
                None,
            )
        wall_time = time.perf_counter() - clock
        return Evaluation(
            point,
            output,
            status,
            cause,
            error,
            wall_time,
            None,
            None,
            None,
            task.attempt,
            _HOST,
            None,
            started,
        )

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the function: its declared version and its name."""
        name = getattr(self.function, "__qualname__", None) or type(self.function).__qualname__
        formulas = self._formulas()
        return {
            "input": fingerprint(None),
            "run": fingerprint([name, self.version, formulas]),
            "parsers": fingerprint(None),
        }

    def _formulas(self) -> str | None:
        """Return the text of a symbolic function."""
        evaluation = getattr(self.function, "getEvaluation", None)
        if evaluation is None:
            return None
        text = repr(evaluation())
        return text if "class=SymbolicEvaluation" in text else None

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_call": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._call = _caller(self.function)


_HOST = socket.gethostname()


def evaluator_of(model: Any) -> Evaluator:
    """Return the evaluator of a model.

    Parameters
    ----------
    model : Wrapper, ot.Function, ot.OpenTURNSPythonFunction or Evaluator
        What turns a point into an output.

    Returns
    -------
    evaluator : Evaluator

    Raises
    ------
    TypeError
        If the model is nothing of these.

    Examples
    --------
    >>> import openturns as ot
    >>> evaluator_of(ot.SymbolicFunction(["x"], ["2 * x"]))(Task(0, (3.0,))).output
    (6.0,)
    """
    if isinstance(model, Evaluator):
        return model
    if isinstance(model, Wrapper):
        return WrapperEvaluator(model)
    if isinstance(model, type):
        msg = f"{model.__name__} is a class; give an instance, {model.__name__}(...)"
        raise TypeError(msg)
    if all(hasattr(model, name) for name in ("getInputDescription", "getOutputDescription")):
        return FunctionEvaluator(model)
    msg = (
        f"{model!r} is no model: accepted are an otwrap.Wrapper, an ot.Function, an ot.OpenTURNSPythonFunction and an ot.PointToFieldFunction; "
        "ot.PythonFunction(n, p, function) makes one of a Python function"
    )
    raise TypeError(msg)


def _caller(function: Any) -> Callable[[Any], Any]:
    """Return the shortest way to evaluate a point."""
    call = _point_caller(function)
    if not hasattr(function, "getOutputMesh"):
        return call
    # A field comes vertex by vertex; wanted is one component after the other.
    return lambda point: [value for component in zip(*call(point), strict=True) for value in component]


def _point_caller(function: Any) -> Callable[[Any], Any]:
    """Return the shortest way to evaluate a point, whatever the form of the output."""
    own = getattr(type(function), "_exec", None)
    inherited = any(
        base.__name__ in ("OpenTURNSPythonFunction", "OpenTURNSPythonPointToFieldFunction")
        and own is vars(base).get("_exec")
        for base in type(function).__mro__
    )
    if own is not None and not inherited:
        bound: Callable[[Any], Any] = function._exec
        return bound
    if own is not None:
        return lambda point: function._exec_sample([point])[0]
    return function  # type: ignore[no-any-return]
