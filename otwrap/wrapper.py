"""A point becomes an evaluation: prepare, run, parse, in an isolated work directory.

:class:`Wrapper` is either declared by what it is given (templates, command, parsers) or subclassed. It
does not know where it runs, and a failing code is a value, not an exception, to :meth:`Wrapper.evaluate`.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import openturns as ot

from .declaration import (
    check_steps,
    commands_of,
    existing_path,
    fingerprints_of,
    names_of,
    parsers_of,
    point_of,
    used_elsewhere,
)
from .evaluation import Evaluation
from .fields import component_names, fields_of
from .files import copy_or_link
from .folders import WorkFolders, check_fresh, file_stamps
from .outcome import failure_of, is_transient, located, note_run, output_of, told
from .process import Completed, run_chain
from .reproduce import reproduction_of
from .retries import Retries
from .steps import STEPS, step_arguments
from .template import Templates, bind_all
from .variants import changed_by, variant_of
from .workdir import current_directory

__all__ = ["Wrapper"]

_last = threading.local()


class Wrapper(ot.OpenTURNSPythonFunction):
    """An external code as a function of its input.

    Declare it by `templates`, `command` and `parsers`, or subclass it and write any of the three steps
    ``_prepare_input(self, x, workdir)``, ``_run_code(self, workdir)`` and
    ``_parse_output(self, workdir)``. A step written without ``workdir`` runs with the work directory as
    the current one.

    Parameters
    ----------
    inputs, outputs : sequence of str, or int
        Input and output description, or just how many.
    fields : dict, optional
        Outputs that are fields, such as a curve over time: name -> its `ot.Mesh` or `ot.RegularGrid`. Such an
        output is one number per vertex, and :meth:`otwrap.Parallelizer.field` makes an
        `ot.PointToFieldFunction` of it.
    templates : dict, Tree or path, optional
        The file to write -> the template it comes from: a path, a `Template` or a `Jinja`; or a whole folder
        of templates, a `Tree` or its path.
    tokens : sequence of str, optional
        The token of each input, for templates given by path.
    command : sequence of str, str, Command or list of these, optional
        What is run in the work directory; several are a chain.
    parsers : sequence of callable, optional
        Each turns the work directory into one or more outputs, in order.
    timeout : float, optional
        Time limit of the command in seconds. Default is none.
    files : sequence of path, optional
        What the code reads beside its input: copied into each work directory.
    link_files : bool, optional
        Link them instead of copying. Default is `False`.
    version : str, optional
        Of the code: another version makes stored evaluations those of another model.
    retries : int or Retries, optional
        How many times a failed evaluation is tried again in the same call; delays, changed settings and
        transient faults are told by a :class:`Retries`. Default is 0.
    base_temp_work_dir : path, optional
        The folder below which work directories are made; environment variables are expanded where the
        evaluation runs. Default is the system's temporary folder.
    keep : {"failed", "all", "none"}, optional
        Which work directories stay. Default is ``"failed"``.
    keep_files : sequence of str, optional
        Patterns of the files that are kept of good evaluations.
    keep_to : path, optional
        The folder that kept ones move to.
    nominal : sequence of float, shape (input dimension,), optional
        A point at which the code is known to work.
    distribution : ot.Distribution, optional
        Of the input.
    allow_nan : bool, optional
        Whether a ``_parse_output`` of one's own may return nan or inf. Default is `False`.

    Raises
    ------
    InputError
        If templates and tokens do not fit.
    ValueError, TypeError
        If another argument is wrong.

    Examples
    --------
    >>> import otwrap as otw
    >>> double = otw.Wrapper(
    ...     inputs=["a"], outputs=["b"],
    ...     command=["python3", "-c", "print('b =', 2 * {a})"],
    ...     parsers=[otw.parsers.Value("stdout.txt", "b =")])
    >>> double.evaluate([21.0]).output
    (42.0,)
    """

    _arguments: dict[str, tuple[str, ...]] = dict.fromkeys(STEPS, ("workdir",)) | {
        "_prepare_input": ("point", "workdir")
    }
    #: The steps, and `_exec` or `_exec_sample`, that a subclass has written itself.
    overridden: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._arguments = {name: step_arguments(name, getattr(cls, name)) for name in STEPS}
        cls.overridden = frozenset(
            name
            for name in (*STEPS, "_exec", "_exec_sample")
            if getattr(cls, name) is not getattr(Wrapper, name)
        )

    def __init__(
        self,
        inputs: Sequence[str] | int,
        outputs: Sequence[str] | int,
        *,
        fields: Mapping[str, ot.Mesh] | None = None,
        templates: Templates | None = None,
        tokens: Sequence[str] | None = None,
        command: Any = None,
        parsers: Sequence[Callable[[str], Any]] = (),
        timeout: float | None = None,
        files: Sequence[str | os.PathLike[str]] = (),
        link_files: bool = False,
        version: str | None = None,
        retries: int | Retries = 0,
        base_temp_work_dir: str | os.PathLike[str] | None = None,
        keep: str = "failed",
        keep_files: Sequence[str] = (),
        keep_to: str | os.PathLike[str] | None = None,
        nominal: Sequence[float] | None = None,
        distribution: Any = None,
        allow_nan: bool = False,
    ) -> None:
        input_names, declared = names_of(inputs, "x"), names_of(outputs, "y")
        self.fields = fields_of(fields, declared)
        output_names = component_names(declared, self.fields)
        super().__init__(len(input_names), len(output_names))
        self.setInputDescription(input_names)
        self.setOutputDescription(output_names)
        self.inputs, self.outputs = tuple(input_names), tuple(output_names)
        self.commands = commands_of(command, timeout)
        self.templates = bind_all(
            templates or {}, input_names, tokens, used_elsewhere=used_elsewhere(self, input_names)
        )
        self.parsers = parsers_of(parsers)
        self.files = tuple(existing_path(path) for path in files)
        self.link_files = link_files
        self.version = version
        self.retries = retries if isinstance(retries, Retries) else Retries(retries)
        self.nominal = None if nominal is None else point_of(nominal, len(input_names))
        self.distribution = distribution
        self.allow_nan = allow_nan
        self.folders = WorkFolders(
            None if base_temp_work_dir is None else os.fspath(base_temp_work_dir),
            keep=keep,
            keep_files=keep_files,
            keep_to=None if keep_to is None else os.fspath(keep_to),
        )
        # What is there before the run must not be taken for its output.
        read = tuple(name for parser in self.parsers for name in parser.files)
        self.may_be_stale = read if self.files or self.templates else ()
        check_steps(self, tokens)
        self.variants = [variant_of(self, step, templates or {}, tokens) for step in self.retries.retry_with]

    def evaluate(
        self,
        x: Sequence[float],
        *,
        number: int | None = None,
        attempt: int = 1,
        settings: Mapping[str, Any] | None = None,
    ) -> Evaluation:
        """Evaluate one point. A failing code is told in the record and never raises.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.
        number : int, optional
            Of the point in its sample, for the name of a kept work directory and ``{point}``.
        attempt : int, optional
            Which try this is. Default is 1.
        settings : dict, optional
            What is changed for it, see :class:`Retries`.

        Returns
        -------
        evaluation : Evaluation
        """
        if not settings:
            return self._attempt(x, number, attempt)[0]
        changed: Wrapper = changed_by(self, settings)
        return changed._attempt(x, number, attempt)[0]._replace(settings=dict(settings))

    def run(self, command: Any, workdir: str | os.PathLike[str]) -> Completed:
        """Run a command in a work directory, timed; for a ``_run_code`` of one's own.

        Parameters
        ----------
        command : sequence of str, str or Command
            What is run.
        workdir : path
            Where.

        Returns
        -------
        completed : Completed
            Exit code, wall time and CPU time in seconds, peak memory in bytes.

        Raises
        ------
        CommandError, CommandTimeout
            If the command fails.
        """
        values, chain = getattr(_last, "values", None), commands_of(command, None)
        getattr(_last, "ran", []).append(chain)
        completed = run_chain(chain, os.fspath(workdir), values=values)
        _last.completed = completed
        return completed

    def prepare(self, x: Sequence[float], workdir: str | os.PathLike[str]) -> None:
        """Write the input of a point into a folder, and run nothing.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.
        workdir : path
            An existing folder.

        Raises
        ------
        InputError
            If the input cannot be written.
        """
        point = point_of(x, len(self.inputs))
        for path in self.files:
            copy_or_link(path, workdir, link=self.link_files)
        with self._directory(os.fspath(workdir)):
            self._step("_prepare_input", point, os.fspath(workdir))

    def parse(self, workdir: str | os.PathLike[str]) -> tuple[float, ...]:
        """Read the output of a code that ran in a folder.

        Parameters
        ----------
        workdir : path
            The folder with the output files.

        Returns
        -------
        output : tuple of float, shape (output dimension,)

        Raises
        ------
        OutputError
            If the output cannot be read.
        """
        with self._directory(os.fspath(workdir)):
            return self._parsed(None, os.fspath(workdir))

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the model: hashes of its input, its run and its parsers.

        Returns
        -------
        fingerprints : dict of str
            By ``"input"``, ``"run"`` and ``"parsers"``; the same on every machine.
        """
        return fingerprints_of(self)

    def close(self) -> None:
        """Remove the spare work directories. The wrapper can be used again."""
        self.folders.close()

    def _prepare_input(self, x: Sequence[float], workdir: str) -> None:
        """Write the rendered templates."""
        for name, template in self.templates.items():
            path = f"{workdir}{os.sep}{name}"
            if "/" in name:
                os.makedirs(os.path.dirname(path), exist_ok=True)
            template.write(x, path)

    def _run_code(self, workdir: str) -> Completed:
        """Run the command."""
        _last.ran.append(self.commands)
        return run_chain(self.commands, workdir, values=_last.values)

    def _parse_output(self, workdir: str) -> Sequence[float]:
        """Call the parsers."""
        if len(self.parsers) == 1:
            return self.parsers[0](workdir)
        return [value for parser in self.parsers for value in parser(workdir)]

    def _exec(self, x: Sequence[float]) -> tuple[float, ...]:
        """Return the output of a point, or raise."""
        evaluation, error = self._attempt(x, None, 1)
        if error is not None:
            raise error
        return evaluation.output or ()

    def _attempt(
        self, x: Sequence[float], number: int | None, attempt: int
    ) -> tuple[Evaluation, Exception | None]:
        """Return the record of one try, and what was raised."""
        started, clock = time.time(), time.perf_counter()
        record: dict[str, Any] = {"attempts": attempt, "host": _HOST, "start_time": started}
        workdir, _last.ran = None, []
        again = partial(reproduction_of, self, x, number, attempt, _last.ran)
        try:
            point = point_of(x, len(self.inputs))
            if "_exec" in self.overridden or "_exec_sample" in self.overridden:
                own = self._exec if "_exec" in self.overridden else lambda x: self._exec_sample([x])[0]
                output = self._output(own(point))
            else:
                workdir = self.folders.take()
                output = self._evaluate_in(workdir, point, number, record)
        except Exception as error:  # the promise: a failure is a value
            record.setdefault("wall_time", time.perf_counter() - clock)
            status, text = getattr(error, "status", "failed"), told(error, workdir)
            if is_transient(self.retries.transient, error, workdir):
                record["cause"], status = "transient", "cancelled"
            record["workdir"] = self.folders.settle(workdir, number, status, again)
            return failure_of(x, error, located(text, workdir, record["workdir"]), record), error
        except BaseException:  # Ctrl-C, and what ends a thread: nothing of it is kept
            self.folders.settle(workdir, number, "cancelled", again)
            raise
        record.setdefault("wall_time", time.perf_counter() - clock)
        record["workdir"] = self.folders.settle(workdir, number, "done", again)
        return Evaluation(point, output, **record), None

    def _evaluate_in(
        self, workdir: str, point: tuple[float, ...], number: int | None, record: dict[str, Any]
    ) -> tuple[float, ...]:
        """Run the three steps in a work directory and note times and exit code."""
        _last.completed = None
        _last.values = self.command_values(point, number)
        for path in self.files:
            copy_or_link(path, workdir, link=self.link_files)
        with self._directory(workdir):
            self._step("_prepare_input", point, workdir)
            before = file_stamps(workdir, self.may_be_stale)
            clock = time.perf_counter()
            try:
                returned = self._step("_run_code", point, workdir)
            finally:
                record["wall_time"] = time.perf_counter() - clock
            note_run(record, returned, _last.completed)
            check_fresh(workdir, before)
            return self._parsed(point, workdir)

    def command_values(self, point: tuple[float, ...], number: int | None) -> dict[str, str]:
        """Return what ``{name}`` means in a command.

        Parameters
        ----------
        point : tuple of float
            The point.
        number : int or None
            Of the point.

        Returns
        -------
        values : dict of str
        """
        values = {name: repr(value) for name, value in zip(self.inputs, point, strict=True)}
        values["point"] = "0" if number is None else str(number)
        return values

    def _directory(self, workdir: str) -> Any:
        """Make the work directory the current one if a step needs that."""
        needs = any("workdir" not in self._arguments[name] for name in self.overridden if name in STEPS)
        return current_directory(workdir) if needs else nullcontext()

    def _step(self, name: str, point: tuple[float, ...] | None, workdir: str) -> Any:
        """Call a step with what its signature asks for."""
        place: Any = Path(workdir) if name in self.overridden else workdir
        given = {"point": point, "workdir": place}
        return getattr(self, name)(*[given[argument] for argument in self._arguments[name]])

    def _parsed(self, point: tuple[float, ...] | None, workdir: str) -> tuple[float, ...]:
        """Return the checked output."""
        return self._output(self._step("_parse_output", point, workdir))

    def _output(self, returned: Any) -> tuple[float, ...]:
        """Check what a step returned; parsers have checked that their numbers are finite."""
        own = bool(self.overridden & {"_parse_output", "_exec", "_exec_sample"})
        return output_of(returned, self.outputs, finite=own and not self.allow_nan)

    def __getstate__(self) -> dict[str, Any]:
        # A distribution is for studies, not for evaluations, and may be large.
        return {**self.__dict__, "distribution": None}


_HOST = socket.gethostname()
