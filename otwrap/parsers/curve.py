"""A parser of curves whose abscissas are the code's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .base import Parser, Range

__all__ = ["Curve"]

#: By how much of the whole range a curve may end before the last abscissa: the rounding of printed numbers.
_SLACK = 1e-6


class Curve(Parser):
    """The values of a curve at given abscissas, linear between the code's own ones.

    A code with steps of its own choice writes another number of rows in each run; a field wants the same
    abscissas each time.

    Parameters
    ----------
    x, y : Parser
        What reads the abscissas and the ordinates, in the order of the abscissas, as ``Csv(file, column,
        row="all")`` does.
    at : sequence of float, or ot.Mesh of dimension 1
        Where the values are wanted.
    valid, allow_nan
        As in :class:`~otwrap.parsers.Parser`, for the values.

    Raises
    ------
    TypeError
        If `x` or `y` is no parser.
    ValueError
        If `at` is empty.

    Notes
    -----
    A curve that begins after the first wanted abscissa, or ends before the last one, is an error: nothing
    is extrapolated.

    Examples
    --------
    >>> from otwrap.parsers import Csv, Curve
    >>> import pathlib, tempfile
    >>> u = Curve(Csv("out.csv", "t", row="all"), Csv("out.csv", "u", row="all"), at=[0.0, 0.5, 1.0])
    >>> with tempfile.TemporaryDirectory() as workdir:
    ...     _ = pathlib.Path(workdir, "out.csv").write_text("t,u\\n0,1\\n0.8,1.8\\n1,3\\n")
    ...     u(workdir)
    [1.0, 1.5, 3.0]
    """

    def __init__(
        self, x: Parser, y: Parser, at: Any, *, valid: Range | None = None, allow_nan: bool = False
    ) -> None:
        for name, parser in (("x", x), ("y", y)):
            if not isinstance(parser, Parser):
                raise TypeError(f"{name} is {parser!r}; give a parser, as Csv('out.csv', 't', row='all')")
        super().__init__(tuple(dict.fromkeys(x.files + y.files)), valid=valid, allow_nan=allow_nan)
        self.x, self.y = x, y
        self.at = _abscissas(at)

    def fingerprint(self) -> dict[str, Any]:
        """Return the class name and settings, as JSON can hold them."""
        parts = {"x": self.x.fingerprint(), "y": self.y.fingerprint(), "at": list(self.at)}
        settings = {"valid": self.valid, "allow_nan": self.allow_nan, "files": list(self.files)}
        return {"class": type(self).__qualname__, **parts, **settings}

    def _read(self, workdir: str) -> list[float]:
        import numpy as np

        x, y = self.x(workdir), self.y(workdir)
        if len(x) != len(y):
            found = f"{len(x)} abscissas and {len(y)} ordinates"
            raise self._error(found, "Correct x= or y=; both have one number a row", "no match")
        falls = next((i for i in range(1, len(x)) if not x[i - 1] <= x[i]), None)
        if falls is not None:
            found = f"{x[falls]!r} after {x[falls - 1]!r}"
            raise self._error(found, "Abscissas must not fall: give the rows of one curve", "no match")
        low, high = min(self.at), max(self.at)
        slack = _SLACK * (high - low)
        if x[0] > low + slack or x[-1] < high - slack:
            found = f"a curve from {x[0]!r} to {x[-1]!r}"
            advice = "Look whether the code stopped before its end; nothing is extrapolated"
            raise self._error(found, advice, "no match")
        values: list[float] = np.interp(self.at, x, y).tolist()
        return values

    def _sought(self) -> str:
        return f"a curve from {min(self.at)!r} to {max(self.at)!r}"


def _abscissas(at: Any) -> tuple[float, ...]:
    """Return abscissas as numbers, a mesh's vertices too."""
    if hasattr(at, "getVertices"):
        vertices = at.getVertices()
        if vertices.getDimension() != 1:
            raise ValueError(f"at is a mesh of dimension {vertices.getDimension()}; a curve has dimension 1")
        at = vertices.asPoint()
    given: Sequence[float] = at
    abscissas = tuple(float(value) for value in given)
    if not abscissas:
        raise ValueError("at is empty; give the abscissas where the values are wanted, as [0.0, 0.5, 1.0]")
    return abscissas
