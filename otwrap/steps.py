"""How the three steps of a wrapper want to be called, read once from their signatures.

A step takes the point, the work directory, both or neither. One that asks for no work directory was
written for the work directory as the current one, and is run so.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

__all__ = ["STEPS", "step_arguments"]

#: The steps, and what their parameters mean in order when the names do not tell.
STEPS = {
    "_prepare_input": ("point", "workdir"),
    "_run_code": ("workdir",),
    "_parse_output": ("workdir",),
}

_POINT_NAMES = frozenset({"x", "X", "point", "values"})


def step_arguments(name: str, function: Callable[..., Any]) -> tuple[str, ...]:
    """Return what a step is to be called with.

    Parameters
    ----------
    name : str
        One of :data:`STEPS`.
    function : callable
        The method, with its `self`.

    Returns
    -------
    arguments : tuple of str
        ``"point"`` and ``"workdir"``, in the order of the parameters.

    Raises
    ------
    TypeError
        If the step asks for more than these.

    Examples
    --------
    >>> def _run_code(self, X): ...
    >>> step_arguments("_run_code", _run_code)
    ('point',)
    """
    parameters = [
        parameter
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.default is parameter.empty
    ]
    if len(parameters) == 2:
        return ("point", "workdir")
    if len(parameters) < 2:
        return tuple(
            "point" if parameter.name in _POINT_NAMES else STEPS[name][0] for parameter in parameters
        )
    names = ", ".join(parameter.name for parameter in parameters)
    msg = (
        f"{function.__qualname__}({names}): a step takes at most the point and the work directory, "
        f"as in `def {name}(self, {'x, ' if name == '_prepare_input' else ''}workdir)`"
    )
    raise TypeError(msg)
