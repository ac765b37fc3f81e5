"""Any function as a parser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import EvaluationError, OutputError
from ._settings import function_settings
from .base import Parser, Range
from .files import FileParser

__all__ = ["Function"]


class Function(Parser):
    """Any function of the work directory as a parser.

    Parameters
    ----------
    function : callable
        ``function(workdir)`` returns a number or a flat sequence of numbers.
    files : sequence of str, optional
        The output files it reads, relative to the work directory: they are checked to be there.
    version : str, optional
        Of the function, for the fingerprint. By default its source text and what it closes over
        count; what it calls or reads elsewhere does not.
    valid, allow_nan
        As in :class:`Parser`.

    Raises
    ------
    TypeError
        `function` cannot be called.

    Examples
    --------
    >>> import os
    >>> from otwrap.parsers import Function
    >>> count = Function(lambda workdir: len(os.listdir(workdir)), valid=(0, None))
    >>> isinstance(count("."), list)
    True
    """

    def __init__(
        self,
        function: Callable[[str], Any],
        files: Iterable[str | os.PathLike[str]] = (),
        *,
        version: str | None = None,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        if not callable(function):
            raise TypeError(
                f"function is {function!r}; give something that is called with the work directory"
            )
        super().__init__(files, valid=valid, allow_nan=allow_nan)
        self.function = function
        self.version = version

    def _read(self, workdir: str) -> Any:
        for file in self.files:
            FileParser(file)._path(workdir)
        try:
            return self.function(workdir)
        except EvaluationError:
            raise
        except Exception as error:  # noqa: BLE001 - the promise: whatever it raises is an OutputError
            found = f"{type(error).__name__}: {error}{_raised_at(error)}"
            raise OutputError(
                f"{self._sought()} failed with {found}. Correct the function, or the output it reads.",
                cause="exception",
            ) from error

    def _sought(self) -> str:
        return f"what {getattr(self.function, '__qualname__', type(self.function).__qualname__)} returns"

    def fingerprint(self) -> dict[str, Any]:
        """Return name and settings; the function counts by its version or its source text."""
        settings = function_settings(self.function)
        if self.version is not None:
            settings = {"name": settings["name"]}
        return {**super().fingerprint(), "function": settings}


def _raised_at(error: BaseException) -> str:
    """Say at which line of which function an error was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f" (in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno})"
