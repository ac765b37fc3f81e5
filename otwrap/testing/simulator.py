"""The fake simulator: a wrapper of a real external program that goes wrong as one tells it to."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from ..command import Command
from ..declaration import names_of, point_of
from ..files import remove_tree, safemakedirs, write_atomic
from ..parsers import KeyValue
from ..parsers.base import Range
from ..wrapper import Wrapper
from . import program
from .faults import Fault
from .formulas import formula_of
from .runs import Run, living, read_runs

__all__ = ["Expected", "FakeSimulator"]

_OF_COMMANDS = frozenset(inspect.signature(Command).parameters) - {"argv", "stdin", "shell"}
_OURS = {"templates", "tokens", "command", "parsers", "files", "fields"}

#: What a parser says of an output file that a fault has spoilt.
_CAUSES = {
    "output missing": "output missing",
    "output empty": "output empty",
    "output stale": "output stale",
    "output partial": "no match",
    "output garbled": "no match",
    "stars": "not a number",
    "nan": "not a number",
    "inf": "not a number",
}


class Expected(NamedTuple):
    """What the record of a point should say.

    Attributes
    ----------
    status : str
        One of :data:`otwrap.evaluation.STATUSES`.
    cause : str
        One of :data:`otwrap.evaluation.CAUSES`.
    output : tuple of float or None
        To the last bit; `None` unless `status` is ``done``.
    attempts : int
        How many runs it takes in one call.

    Examples
    --------
    >>> Expected("done", "", (1.0,)).attempts
    1
    """

    status: str
    cause: str = ""
    output: tuple[float, ...] | None = None
    attempts: int = 1


class FakeSimulator(Wrapper):
    """A wrapper of a fake code, to rehearse a study with: a real program that goes wrong as planned.

    The program is started, reads its input file and writes its output file as any external code does. It
    computes formulas, and at the points that its faults strike it hangs, crashes, writes garbage and so on.
    Faults that strike one point act in the order given.

    Neither faults nor formulas are part of the model's fingerprints, as otwrap does not look into a real
    executable either: a store stays valid when they change, and ``version=`` tells another code. Only
    ``"output stale"`` counts: its old file is among the wrapper's `files`.

    Parameters
    ----------
    inputs, outputs : sequence of str, or int
        Input and output description, or just how many. Default is one output, ``y0``.
    formulas : str or sequence of str, optional
        What it computes, one for each output: numbers, inputs, ``+ - * / **`` and functions such as ``exp``.
        Default is the sum of the inputs, plus the number of the output.
    faults : sequence of Fault, optional
        What goes wrong. Default is nothing.
    seconds : float, optional
        How long a run takes. Default is 0.
    valid : (float or None, float or None), optional
        The range that every output must lie in. Default is any number.
    folder : path, optional
        Where the program's own files are: its plan, and the log of its runs. Workers must see it. Default is
        a temporary one, which is removed with the simulator; name one for a study that goes on another day.
    **settings
        Of :class:`otwrap.Wrapper` and :class:`otwrap.Command`: ``timeout``, ``memory``, ``retries``,
        ``failure``, ``keep`` and so on.

    Attributes
    ----------
    faults : tuple of Fault
        What goes wrong.
    folder : str
        Where the program's own files are.

    Raises
    ------
    ValueError, TypeError
        If a formula, a fault or a setting cannot be understood.

    Examples
    --------
    >>> import otwrap as otw
    >>> from otwrap.testing import FakeSimulator, Fault
    >>> beam = FakeSimulator(
    ...     ["F", "E", "L", "I"], ["deviation"], "F * L**3 / (3 * E * I)",
    ...     faults=[Fault("segfault", where="L > 255"), Fault("hang", where="F > 4e4")], timeout=1)
    >>> with otw.Campaign(beam, backend="serial") as campaign:
    ...     good, bad = campaign.map([[3e4, 3e7, 250, 400], [3e4, 3e7, 260, 400]])
    >>> good.output == beam.expected(good.point).output
    True
    >>> bad.status, bad.cause, bad.exit_code
    ('failed', 'signal', -11)
    >>> len(beam.runs())
    2
    """

    def __init__(
        self,
        inputs: Sequence[str] | int,
        outputs: Sequence[str] | int = 1,
        formulas: str | Sequence[str] | None = None,
        *,
        faults: Sequence[Fault] = (),
        seconds: float = 0.0,
        valid: Range | None = None,
        folder: str | os.PathLike[str] | None = None,
        **settings: Any,
    ) -> None:
        names, answers = names_of(inputs, "x"), names_of(outputs, "y")
        _check_names([*names, *answers])
        if wrong := sorted(_OURS & settings.keys()):
            msg = f"{', '.join(wrong)}: a fake simulator has its own; write an otwrap.Wrapper for others"
            raise TypeError(msg)
        self.faults, self.valid = tuple(faults), valid
        self.folder = _folder(folder)
        if folder is None:
            self._finalizer = weakref.finalize(self, remove_tree, self.folder)
        self._plan: dict[str, Any] = {
            "outputs": dict(zip(answers, _trees(formulas, names, len(answers)), strict=True)),
            "seconds": float(seconds),
            "log": self._path("runs.log"),
            "faults": [fault.plan(names) for fault in self.faults],
        }
        stale = any(fault.kind == "output stale" for fault in self.faults)
        self._write_files(names, answers)
        super().__init__(
            names,
            answers,
            templates={program.INPUT: self._path("input.tmpl")},
            tokens=[f"@{name}" for name in names],
            command=Command(
                [self._path("simulator")], **{n: settings.pop(n) for n in _OF_COMMANDS & settings.keys()}
            ),
            parsers=[KeyValue(program.OUTPUT, name, valid=valid) for name in answers],
            files=[self._path(f"old/{program.OUTPUT}")] if stale else [],
            **settings,
        )

    def expected(self, x: Sequence[float], *, ran: int = 0) -> Expected:
        """Return what the record of a point should say; faults by chance (``random=True``) are left out.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.
        ran : int, optional
            How often the code has run on it before, for faults with ``tries``. Default is 0.

        Returns
        -------
        expected : Expected
            After all retries. A run without an end and without a time limit is ``cancelled`` at last.

        Examples
        --------
        >>> from otwrap.testing import FakeSimulator, Fault
        >>> code = FakeSimulator(2, faults=[Fault("licence", tries=2)], retries=2)
        >>> code.expected([1.0, 0.5])
        Expected(status='done', cause='', output=(1.5,), attempts=3)
        >>> FakeSimulator(1, faults=[Fault("hang")], timeout=60).expected([0.5])
        Expected(status='timeout', cause='time limit', output=None, attempts=1)
        """
        values = dict(zip(self.inputs, point_of(x, len(self.inputs)), strict=True))
        faults = [fault for fault in self._plan["faults"] if not fault["random"] or fault["share"] >= 1.0]
        attempt = 1
        while True:
            struck = [fault for fault in faults if program.strikes(fault, values, ran)]
            job, command = program.Job(self._plan, values), self._command(attempt)
            expected = self._ending(job, command, struck)._replace(attempts=attempt)
            if expected.status in ("done", "cancelled"):
                return expected
            if any(self._finds(pattern, job) for pattern in self.retries.transient):
                expected = expected._replace(cause="transient")
                if not any(fault["tries"] for fault in struck):
                    return expected
            elif attempt > self.retries.count:
                return expected
            else:
                attempt += 1
            ran += 1

    def runs(self) -> list[Run]:
        """Return how often the code has really run, and on what.

        Returns
        -------
        runs : list of Run
            In the order of their starts, those of other processes and of earlier days too.

        Examples
        --------
        >>> from otwrap.testing import FakeSimulator
        >>> code = FakeSimulator(1)
        >>> _ = code.evaluate([0.5])
        >>> [run.point for run in code.runs()]
        [(0.5,)]
        """
        return read_runs(self._plan["log"])

    def processes(self) -> list[int]:
        """Return the processes of the code that are alive now, those that it has left behind too.

        Returns
        -------
        pids : list of int
            Of this machine.

        Examples
        --------
        >>> from otwrap.testing import FakeSimulator
        >>> FakeSimulator(1).processes()
        []
        """
        return living(self._plan["log"], self._path("plan.py"))

    def _path(self, name: str) -> str:
        """Return the path of one of the program's own files."""
        return os.path.join(self.folder, name)

    def _write_files(self, names: Sequence[str], answers: Sequence[str]) -> None:
        """Write what the program is, the template of its input, and an old output."""
        plan = self._path("plan.py")
        write_atomic(
            plan,
            f"import sys\nsys.path.insert(0, {os.path.dirname(program.__file__)!r})\n"
            f"from program import main\nmain({self._plan!r})\n",
        )
        # Its full path is no part of the model's fingerprint, as it would be among the arguments of Python.
        simulator = self._path("simulator")
        write_atomic(simulator, f"#!/bin/sh\nexec {shlex.join([sys.executable, '-I', '-S', plan])}\n")
        os.chmod(simulator, 0o755)
        write_atomic(self._path("input.tmpl"), "".join(f"{name} = @{name}\n" for name in names))
        safemakedirs(self._path("old"))
        write_atomic(
            self._path(f"old/{program.OUTPUT}"),
            "\n".join(["FAKE SIMULATOR", *(f"{name} = 0.125" for name in answers), "END\n"]),
        )

    def _command(self, attempt: int) -> Command:
        """Return the command of an attempt."""
        changes = self.retries.settings(attempt) or {}
        return self.commands[0].replace(**{n: value for n, value in changes.items() if n in _OF_COMMANDS})

    def _ending(self, job: program.Job, command: Command, struck: Sequence[Mapping[str, Any]]) -> Expected:
        """Return how one run ends; it is not run."""
        seconds = self._plan["seconds"]
        for fault in struck:
            kind, value = fault["kind"], fault["value"]
            if kind in program.IN_THE_END:
                program.IN_THE_END[kind](job, value)
            elif kind in ("hang", "endless printing"):
                seconds = float("inf")
                break
            elif kind == "slow":
                seconds += value
            elif kind == "worker lost":
                return Expected("killed", "worker lost")
            elif kind == "memory" and command.memory is not None and value > command.memory:
                return Expected("killed", "memory limit")
        if command.timeout is not None and seconds > command.timeout:
            return Expected("timeout", "time limit")
        if seconds == float("inf"):
            return Expected("cancelled", "cancelled")
        return self._judged(job, command, [fault["kind"] for fault in struck])

    def _judged(self, job: program.Job, command: Command, kinds: Sequence[str]) -> Expected:
        """Return what is made of a run that ended by itself."""
        if job.signal:
            return Expected("killed" if job.signal == 9 else "failed", "signal")
        if job.exit_code not in command.ok_codes:
            return Expected("failed", "exit code")
        found = [self._finds(pattern, job) for pattern in command.failure]
        if any(found):
            return Expected("failed", "failure pattern")
        if not all(self._finds(pattern, job) for pattern in command.success):
            return Expected("failed", "success pattern missing")
        spoilt = [cause for kind, cause in _CAUSES.items() if kind in kinds]
        if spoilt or job.content() is None:
            cause = spoilt[0] if spoilt else "output missing"
            return Expected("invalid" if cause == "not a number" else "failed", cause)
        output = tuple(map(float, job.numbers.values()))
        low, high = self.valid or (None, None)
        if any((low is not None and y < low) or (high is not None and y > high) for y in output):
            return Expected("invalid", "out of range")
        return Expected("done", "", output)

    def _finds(self, pattern: Any, job: program.Job) -> bool:
        """Whether a pattern is found in what a run prints, or in its output file."""
        if isinstance(pattern, str):
            text = "\n".join(["FAKE SIMULATOR", *job.messages])
        else:
            text = (job.content() or b"").decode("utf-8", "replace") if pattern[0] == program.OUTPUT else ""
            pattern = pattern[1]
        return re.search(pattern, text, re.MULTILINE) is not None

    def __getstate__(self) -> dict[str, Any]:
        # The folder goes with the original, not with a copy in a worker.
        return {name: value for name, value in super().__getstate__().items() if name != "_finalizer"}


def _folder(folder: str | os.PathLike[str] | None) -> str:
    """Return the full path of the folder, made if need be."""
    if folder is None:
        return tempfile.mkdtemp(prefix="otwrap-fake-")
    path = os.path.abspath(os.path.expanduser(os.fspath(folder)))
    safemakedirs(path)
    return path


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that cannot stand in the lines of a file."""
    for name in names:
        if name != name.strip() or "\n" in name or not name:
            msg = f"the name {name!r} cannot stand in a line 'name = value': leave blanks around it and line ends out"
            raise ValueError(msg)


def _trees(formulas: str | Sequence[str] | None, names: Sequence[str], size: int) -> list[Any]:
    """Return one formula for each output."""
    if formulas is None:
        return [("+", _sum(names), float(number)) if number else _sum(names) for number in range(size)]
    texts = [formulas] if isinstance(formulas, str) else list(formulas)
    if len(texts) != size:
        msg = f"{len(texts)} formula(s) for {size} output(s): give one for each"
        raise ValueError(msg)
    trees = [formula_of(text, names) for text in texts]
    for text, tree in zip(texts, trees, strict=True):
        try:
            with suppress(ArithmeticError, ValueError):
                program.value_of(tree, dict.fromkeys(names, 0.5))
        except TypeError as error:
            msg = f"formula {text!r} cannot be computed: {error}"
            raise ValueError(msg) from None
    return trees


def _sum(names: Sequence[str]) -> Any:
    """Return the sum of the inputs, from the first to the last."""
    tree: Any = names[0]
    for name in names[1:]:
        tree = ("+", tree, name)
    return tree
