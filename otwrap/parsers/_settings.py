"""Settings and functions as plain data, the same on every machine."""

from __future__ import annotations

import hashlib
import math
import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

__all__ = ["function_settings", "plain", "source_digest"]


def plain(value: Any) -> Any:
    """Return a setting as what JSON can hold, without host paths or memory addresses."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=repr)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, re.Pattern):
        return {"pattern": plain(value.pattern), "flags": value.flags}
    if isinstance(value, (slice, bytes, type(...))):
        return repr(value)
    if isinstance(value, os.PathLike):
        return os.path.basename(os.fspath(value))  # noqa: PTH119 - may be of another system
    if callable(value):
        return function_settings(value, deep=False)
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return {"class": type(value).__qualname__}


def function_settings(function: Callable[..., Any], deep: bool = True) -> dict[str, Any]:
    """Return what tells one function from another: name, source and, if `deep`, what it closes over."""
    if isinstance(function, partial):
        settings = function_settings(function.func, deep)
        return {**settings, "args": plain(function.args), "keywords": plain(function.keywords)}
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__qualname__"):  # an object with __call__
        kind = type(function)
        settings = {"name": kind.__qualname__, "source": source_digest(kind)}
        return {**settings, "settings": plain(vars(function))} if deep else settings
    settings = {"name": function.__qualname__, "source": source_digest(function)}
    cells = getattr(function, "__closure__", None)
    return {**settings, "closure": [_content(cell) for cell in cells]} if cells and deep else settings


def source_digest(thing: Any) -> str | None:
    """Return a digest of a function's or class's source text, None where there is none."""
    import inspect
    import textwrap

    try:
        source = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError):
        return None
    return hashlib.blake2b(source.encode(), digest_size=16).hexdigest()


def _content(cell: Any) -> Any:
    """Return what a cell of a closure holds."""
    try:
        return plain(cell.cell_contents)
    except ValueError:  # not bound yet
        return None
