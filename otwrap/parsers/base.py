"""What all parsers share: the extension point, the checks, the way to say what is wrong."""

from __future__ import annotations

import os
from collections.abc import Iterable
from math import inf, isfinite, isnan
from typing import Any

from ..errors import OutputError
from ._numbers import to_float
from ._settings import plain, source_digest
from ._words import excerpt

__all__ = ["Parser", "Range"]

#: A range; either end may be open.
Range = tuple["float | None", "float | None"]


class Parser:
    """From the files in a work directory to numbers.

    A parser of your own is a subclass that writes `_read`; the checks, the pickling and the
    fingerprint come with it. `self._error` makes an error that says what all others say.

    Parameters
    ----------
    files : sequence of str, optional
        The output files that must be there, relative to the work directory.
    valid : (float or None, float or None), optional
        The range that a number must lie in, ends included; `None` leaves an end open.
        Default is any number.
    allow_nan : bool, optional
        Whether `nan` and infinities are taken; default is not.

    Raises
    ------
    ValueError
        A file is not relative to the work directory, or `valid` is no range.

    Examples
    --------
    >>> from otwrap.parsers import Parser
    >>> class Size(Parser):
    ...     def _read(self, workdir):
    ...         import os
    ...         return float(os.path.getsize(f"{workdir}/{self.files[0]}"))
    >>> Size(["mesh.dat"], valid=(1, None)).files
    ('mesh.dat',)
    """

    files: tuple[str, ...] = ()
    valid: Range | None = None
    allow_nan: bool = False

    def __init__(
        self,
        files: Iterable[str | os.PathLike[str]] = (),
        *,
        valid: Range | None = None,
        allow_nan: bool = False,
    ) -> None:
        if isinstance(files, (str, os.PathLike)):
            files = (files,)
        self.files = tuple(_relative(file) for file in files)
        self.valid = _range(valid)
        self.allow_nan = bool(allow_nan)

    def __call__(self, workdir: str | os.PathLike[str]) -> list[float]:
        """Read the numbers.

        Parameters
        ----------
        workdir : str or path
            The work directory.

        Returns
        -------
        numbers : list of float
            One or more.

        Raises
        ------
        OutputError
            Its `cause` is ``output missing``, ``output empty``, ``no match``, ``not a number``,
            ``out of range`` or ``output``; its `status` is ``invalid`` when something was found but is
            not a usable number, ``failed`` otherwise.
        """
        found = self._read(os.fspath(workdir))
        numbers = found if _are_floats(found) else self._floats(found)
        if not numbers:
            raise self._error("no number at all", "Give a parser that finds at least one", "no match")
        for number in numbers:
            if not self._accepts(number):
                raise self._refusal(number, repr(number))
        return numbers

    def _read(self, workdir: str) -> Any:
        """Return a number or several; this is what a subclass writes."""
        raise NotImplementedError(f"{type(self).__name__} must define _read(self, workdir) -> numbers")

    def _sought(self) -> str:
        """Say what is looked for, for the errors."""
        return f"the numbers of {type(self).__name__}"

    def fingerprint(self) -> dict[str, Any]:
        """Return the class name and settings, as JSON can hold them.

        Returns
        -------
        fingerprint : dict
            Equal for parsers that read the same; without host paths. A parser class defined outside
            otwrap adds a digest of its source text.
        """
        settings = {name: plain(value) for name, value in sorted(vars(self).items()) if name[0] != "_"}
        kind = type(self)
        if not kind.__module__.startswith("otwrap."):
            settings["source"] = source_digest(kind)
        return {"class": kind.__qualname__, **settings}

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name[0] != "_")
        return f"{type(self).__name__}({settings})"

    def _accepts(self, number: float) -> bool:
        if not isfinite(number) and not self.allow_nan:
            return False
        if self.valid is None or isnan(number):
            return True
        low, high = self.valid
        return (-inf if low is None else low) <= number <= (inf if high is None else high)

    def _refusal(self, number: float, found: str, line: int = 0) -> OutputError:
        """Return the error for a number that is read but not accepted."""
        if not isfinite(number) and not self.allow_nan:
            advice = "Look at why the code computes it; allow_nan=True takes it"
            return self._error(found, advice, "not a number", line)
        low, high = self.valid or (None, None)
        bounds = f"[{'-inf' if low is None else low}, {'inf' if high is None else high}]"
        advice = f"Valid is {bounds}: look at the code's answer, or widen valid="
        return self._error(found, advice, "out of range", line)

    def _error(self, found: str, advice: str, cause: str = "output", line: int = 0) -> OutputError:
        """Return an error that says file, line, what was looked for, what was found, what to do."""
        where = ", ".join(self.files) or type(self).__name__
        where += f", line {line}" if line else ""
        message = f"{where}: {cause}: looked for {self._sought()}, found {found}. {advice}."
        status = "invalid" if cause in ("not a number", "out of range") else "failed"
        return OutputError(message, status, cause)

    def _floats(self, found: Any) -> list[float]:
        """Return as floats what a function or subclass gave."""
        if isinstance(found, str) or found is None:
            items = [found]
        else:
            try:
                items = list(found)
            except TypeError:
                items = [found]
        return [self._as_float(item) for item in items]

    def _as_float(self, item: Any) -> float:
        try:
            if isinstance(item, str):
                return to_float(item)
            # float() of a small array is on its way out of numpy; True is no number.
            if type(item).__name__ not in ("bool", "bool_") and not getattr(item, "shape", ()):
                return float(item)
        except (TypeError, ValueError):
            pass
        except OverflowError:
            return inf if item > 0 else -inf
        kind = type(item).__name__
        advice = "Give a float or a flat sequence of floats"
        raise self._error(f"{excerpt(repr(item))} ({kind})", advice, "not a number")


def _are_floats(found: Any) -> bool:
    return type(found) is list and all(type(number) is float for number in found)


def _relative(file: str | os.PathLike[str]) -> str:
    path = os.fspath(file).replace(os.sep, "/")
    if not path or os.path.isabs(path) or ".." in path.split("/"):  # noqa: PTH117
        raise ValueError(f"file is {path!r}; give a path inside the work directory, as 'results/out.txt'")
    return path


def _range(valid: Range | None) -> Range | None:
    if valid is None:
        return None
    try:
        low, high = (None if end is None else float(end) for end in valid)
    except (TypeError, ValueError):
        low = high = float("nan")
    ordered = low is None or high is None or low <= high
    if ordered and low == low and high == high:  # a nan is not equal to itself
        return (low, high)
    raise ValueError(f"valid is {valid!r}; give (low, high) with low <= high; None leaves an end open")
