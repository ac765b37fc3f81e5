"""An object as bytes for the workers: classes of scripts and closures by value, modules by name."""

from __future__ import annotations

import importlib
import io
import types
from typing import Any

__all__ = ["dump_payload", "load_payload"]


def dump_payload(thing: Any) -> bytes:
    """Return an object as bytes that a worker of one's own can load.

    Parameters
    ----------
    thing : object
        May be of a class that a script, a notebook or a function defines.

    Returns
    -------
    payload : bytes
        Differ between runs: never a fingerprint.

    Raises
    ------
    Exception
        What the object raises if a part of it cannot be pickled, an open file for example.

    Examples
    --------
    >>> load_payload(dump_payload(lambda x: x + 1))(2)
    3
    """
    stream = io.BytesIO()
    _pickler()(stream, recurse=True).dump(thing)
    return stream.getvalue()


def load_payload(payload: bytes) -> Any:
    """Return the object of a payload. It runs what the payload says: load only your own.

    Parameters
    ----------
    payload : bytes
        Of :func:`dump_payload`.

    Returns
    -------
    thing : object
    """
    import dill

    return dill.loads(payload)


def _pickler() -> Any:
    """Return dill's pickler, taught to save a module by its name.

    For a module outside the interpreter's own folders, an editable install for one, dill saves its whole
    state, down to locks that cannot be pickled.
    """
    import dill

    class Pickler(dill.Pickler):
        dispatch = dill.Pickler.dispatch.copy()

    def save_module(pickler: Any, module: types.ModuleType) -> None:
        if module.__name__ == "__main__":
            dill.Pickler.dispatch[types.ModuleType](pickler, module)
        else:
            pickler.save_reduce(importlib.import_module, (module.__name__,), obj=module)

    Pickler.dispatch[types.ModuleType] = save_module
    return Pickler
