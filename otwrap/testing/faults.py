"""What can go wrong with a code, and at which points."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ..command.settings import bytes_of
from .formulas import where_of

__all__ = ["KINDS", "Fault"]

#: Each kind of fault: what the code then does.
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "hang": "never ends (value: none)",
        "slow": "takes longer (value: by how many seconds; default 1)",
        "endless printing": "prints without end",
        "memory": "takes memory, then goes on (value: how much; default 512 MiB)",
        "children": "leaves children behind that ignore TERM, two of them in sessions of their own",
        "worker lost": "ends the process that started it, as the system does when memory runs out",
        "exit code": "returns an exit code, its output complete (value: which; default 4)",
        "abort": "gives up (SIGABRT), its output complete",
        "segfault": "crashes (SIGSEGV), its output complete",
        "kill": "is ended from outside (SIGKILL), its output complete",
        "no convergence": "says so, and ends well (value: its message; default 'ERROR: no convergence')",
        "licence": "gets no licence, says so and returns 75 (value: its message)",
        "output missing": "ends well without an output file",
        "output empty": "ends well with an empty output file",
        "output stale": "leaves the output file of an earlier run as it is",
        "output partial": "stops in the middle of its output file, and ends well",
        "output garbled": "writes bytes that mean nothing, and ends well",
        "output enormous": "talks in its output file before the answer (value: how much; default 64 MiB)",
        "nan": "answers nan",
        "inf": "answers -inf",
        "stars": "answers ************, as Fortran does when a number does not fit",
        "out of range": "answers a number that cannot be (value: which; default 1e300)",
    }
)

_DEFAULTS: Mapping[str, Any] = {
    "slow": 1.0,
    "memory": "512 MiB",
    "exit code": 4,
    "no convergence": "ERROR: no convergence",
    "licence": "ERROR: licence server: no licence available, all tokens are in use",
    "output enormous": "64 MiB",
    "out of range": 1e300,
}


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with a code, and where. Immutable.

    Without `share` and `where` it strikes every point; with both, a share of the points there.

    Parameters
    ----------
    kind : str
        One of :data:`KINDS`.
    share : float, optional
        Share of the points, from 0 to 1. Which ones, depends on the point alone: they are the same in every
        process, and when a study goes on another day. Default is 1.
    where : str or (str, str, float), optional
        A region of the inputs: a condition such as ``"T > 412 and p < 1e5"``, or an input, a comparison and a
        number, for inputs whose names are no Python names. Default is everywhere.
    value : float, str, optional
        How much or which, see :data:`KINDS`.
    tries : int, optional
        The fault is gone once the code has run so often on the point. Default is never.
    until : path, optional
        The fault is gone as soon as this file exists. Default is never.
    random : bool, optional
        Whether chance decides anew in each run whether a point belongs to the share. Default is `False`.
    seed : int, optional
        Another one chooses other points for the share. Default is 0.

    Raises
    ------
    ValueError
        If a setting is not what it says here.

    Examples
    --------
    >>> from otwrap.testing import Fault
    >>> Fault("hang", share=0.05)
    Fault('hang', share=0.05)
    >>> Fault("licence", tries=2)
    Fault('licence', tries=2)
    >>> Fault("segfault", where="x0 > 0.8").value is None
    True
    """

    kind: str
    share: float = 1.0
    where: str | tuple[str, str, float] | None = None
    value: Any = None
    tries: int | None = None
    until: str | os.PathLike[str] | None = None
    random: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            msg = f"{self.kind!r} is no kind of fault; there are {', '.join(map(repr, KINDS))}"
            raise ValueError(msg)
        if not 0.0 <= self.share <= 1.0:
            msg = f"share={self.share!r}: give a number from 0 to 1, a share of the points"
            raise ValueError(msg)
        if self.tries is not None and self.tries < 1:
            msg = f"tries={self.tries!r}: give how many runs of a point the fault strikes, at least 1"
            raise ValueError(msg)
        if self.value is not None and self.kind not in _DEFAULTS:
            msg = f"value={self.value!r}: there is nothing to choose for {self.kind!r}"
            raise ValueError(msg)

    def plan(self, names: Sequence[str]) -> dict[str, Any]:
        """Return what the fake code has to know.

        Parameters
        ----------
        names : sequence of str
            Of the inputs.

        Returns
        -------
        plan : dict
            Of Python literals.

        Raises
        ------
        ValueError
            If `where` or `value` cannot be understood.

        Examples
        --------
        >>> Fault("memory", value="1 MB").plan(["x0"])["value"]
        1000000
        """
        return {
            "kind": self.kind,
            "share": float(self.share),
            "where": None if self.where is None else where_of(self.where, names),
            "value": self._value(),
            "tries": self.tries,
            "until": None if self.until is None else os.path.abspath(self.until),
            "random": bool(self.random),
            "salt": f"{self.kind} {self.seed}",
        }

    def _value(self) -> Any:
        """Return the value in the form that the code needs."""
        default = _DEFAULTS.get(self.kind)
        value = default if self.value is None else self.value
        if self.kind in ("memory", "output enormous"):
            return bytes_of(value)
        if default is None:
            return None
        if not isinstance(value, str if isinstance(default, str) else (int, float)):
            msg = f"value={value!r}: {self.kind!r} {KINDS[self.kind]}"
            raise ValueError(msg)
        return type(default)(value)

    def __repr__(self) -> str:
        changed = [
            f"{name}={value!r}"
            for name, value in vars(self).items()
            if name != "kind" and value != type(self).__dataclass_fields__[name].default
        ]
        return f"Fault({', '.join([repr(self.kind), *changed])})"
