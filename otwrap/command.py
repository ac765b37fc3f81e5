"""What is run, and how: the command of an external code as a value."""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import CommandError

__all__ = ["Command", "Pattern"]

#: A regular expression for the streams, or a file in the work directory and one for it.
Pattern = str | tuple[str, str]

_NAME = re.compile(r"\{\{([^{}]+)\}\}|(?<!\$)\{([^{}]+)\}")
_FOR_A_SHELL = re.compile(r"\||&&?|\|\||;|\d?(>>?|<)(&\d)?")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_UNITS = {"": 1, **{f"{u}b": 1000**i for i, u in enumerate(["", "k", "m", "g", "t"])}}
_UNITS |= {name: 1024**i for i, u in enumerate("kmgt", 1) for name in (u, f"{u}i", f"{u}ib")}


@dataclass(frozen=True, init=False)
class Command:
    """What is run in the work directory of an evaluation. Immutable, and can be pickled.

    In `argv`, ``{name}`` becomes the value of that input, ``{cpus}`` the number of CPUs and ``{point}`` the
    number of the point; ``{{name}}`` stands for the text ``{name}``, and other braces for themselves.

    Parameters
    ----------
    argv : sequence of str, or str
        The program and its arguments; one text is split as a shell would split it, but no shell runs. A
        program with a slash (``"./solve.sh"``) is looked for in the work directory, then from where the
        command was made; one without is looked for in the PATH.
    setup : sequence of str, or str, optional
        Shell commands (modules, a virtual environment) before it, in the shell that it is started from; bash
        where there is one. Each must succeed.
    env : mapping of str, optional
        Environment variables to set.
    env_remove : sequence of str, optional
        Environment variables to remove.
    stdin : str, optional
        A file of the work directory that is the standard input. Default is no input.
    shell : bool, optional
        Whether `argv` is one text for a shell (bash where there is one). Values are quoted. Default is false.
    timeout : float, optional
        Time limit in seconds of a run. Default is none.
    memory : int or str, optional
        Limit of the resident memory of the whole process tree, in bytes or as text (``"2 GB"``,
        ``"512 MiB"``; ``"2G"`` is 2 GiB). Needs Linux. Default is none.
    cpus : int, optional
        CPUs that a run uses; sets ``OMP_NUM_THREADS`` and its like, unless `env` does. Default is 1.
    ok_codes : sequence of int, optional
        Exit codes that mean success. Default is ``(0,)``.
    success, failure : sequence of str or of (str, str), optional
        Patterns that must all be found, and of which none may be: a regular expression, looked for in the
        lines of standard output and error, or a pair of a file in the work directory and an expression.

    Raises
    ------
    TypeError, ValueError
        If a setting is not what it says here.

    Examples
    --------
    >>> command = Command("beam -x beam.xml --load {F}", timeout=60, memory="2 GB")
    >>> command.argv, command.memory
    (('beam', '-x', 'beam.xml', '--load', '{F}'), 2000000000)
    >>> command.format({"F": "3.5e4"})
    ['beam', '-x', 'beam.xml', '--load', '3.5e4']
    """

    argv: tuple[str, ...]
    setup: tuple[str, ...]
    env: dict[str, str] = field(hash=False)
    env_remove: tuple[str, ...]
    stdin: str | None
    shell: bool
    timeout: float | None
    memory: int | None
    cpus: int
    ok_codes: tuple[int, ...]
    success: tuple[Pattern, ...]
    failure: tuple[Pattern, ...]

    def __init__(
        self,
        argv: str | Sequence[str | os.PathLike[str]],
        *,
        setup: str | Sequence[str] = (),
        env: Mapping[str, str | int | float | os.PathLike[str]] | None = None,
        env_remove: str | Sequence[str] = (),
        stdin: str | os.PathLike[str] | None = None,
        shell: bool = False,
        timeout: float | None = None,
        memory: int | str | None = None,
        cpus: int = 1,
        ok_codes: int | Sequence[int] = (0,),
        success: Pattern | Sequence[Pattern] = (),
        failure: Pattern | Sequence[Pattern] = (),
    ) -> None:
        names = _texts("env_remove", env_remove)
        values = {
            "argv": _argv(argv, shell),
            "setup": _texts("setup", setup),
            "env": _env(env, names),
            "env_remove": names,
            "stdin": _stdin(stdin),
            "shell": bool(shell),
            "timeout": _timeout(timeout),
            "memory": _memory(memory),
            "cpus": _cpus(cpus),
            "ok_codes": _codes(ok_codes),
            "success": _patterns("success", success),
            "failure": _patterns("failure", failure),
        }
        # A relative program is meant from here, wherever the command is run later.
        self.__setstate__({**values, "_origin": os.getcwd()})

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self.__dict__.update(_found={}, _environment=(None, {}))
        self.__dict__["_plain"] = not any(_NAME.search(text) for text in state["argv"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in [*(part.name for part in fields(self)), "_origin"]}

    def replace(self, **changes: Any) -> Command:
        """Return the command with other settings.

        Parameters
        ----------
        **changes
            As at construction.

        Returns
        -------
        command : Command

        Examples
        --------
        >>> Command("beam", cpus=2).replace(timeout=60).cpus
        2
        """
        settings = {part.name: getattr(self, part.name) for part in fields(self)}
        if self.shell:
            settings["argv"] = self.argv[0]
        other = Command(**{**settings, **changes})
        other.__dict__["_origin"] = self._origin
        return other

    def fingerprint(self) -> dict[str, Any]:
        """Return what changes the results of the code; limits and resources do not.

        Returns
        -------
        fingerprint : dict
            Can be written as JSON; the same on every machine.

        Examples
        --------
        >>> Command("beam", timeout=60).fingerprint() == Command(["beam"]).fingerprint()
        True
        """
        return {
            "argv": list(self.argv),
            "setup": list(self.setup),
            "env": dict(sorted(self.env.items())),
            "env_remove": sorted(self.env_remove),
            "stdin": self.stdin,
            "shell": self.shell,
            "ok_codes": sorted(self.ok_codes),
            "success": [[pattern] if isinstance(pattern, str) else list(pattern) for pattern in self.success],
            "failure": [[pattern] if isinstance(pattern, str) else list(pattern) for pattern in self.failure],
        }

    def check_names(self, names: Iterable[str]) -> None:
        """Raise if ``{name}`` stands for nothing.

        Parameters
        ----------
        names : iterable of str
            The names that will have a value; ``cpus`` and ``point`` always have one.

        Raises
        ------
        ValueError
            If another name stands in `argv`.

        Examples
        --------
        >>> Command("beam {load}").check_names(["loads"])
        Traceback (most recent call last):
            ...
        ValueError: argv[1] is 'beam {load}'...
        """
        known = dict.fromkeys([*names, "cpus", "point"])
        for position, text in enumerate(self.argv):
            for match in _NAME.finditer(text):
                name = match[2]
                if name is not None and name not in known and name.isidentifier():
                    near = difflib.get_close_matches(name, known, 1)
                    hint = f"did you mean {{{near[0]}}}? " if near else ""
                    msg = (
                        f"argv[{position}] is {text!r}: {{{name}}} stands for nothing; {hint}known are "
                        f"{', '.join(known)}; write {{{{{name}}}}} for the text {{{name}}}"
                    )
                    raise ValueError(msg)

    def format(self, values: Mapping[str, str] | None = None) -> list[str]:
        """Return `argv` with values for names.

        Parameters
        ----------
        values : mapping of str, optional
            The values by name. ``cpus`` need not be among them.

        Returns
        -------
        argv : list of str

        Examples
        --------
        >>> Command(["beam", "-F={F}", "-j{cpus}", "{{F}}"], cpus=4).format({"F": "3e4"})
        ['beam', '-F=3e4', '-j4', '{F}']
        """
        if self._plain:
            return list(self.argv)
        known = {"cpus": str(self.cpus), **(values or {})}
        quote = shlex.quote if self.shell else str

        def value(match: re.Match[str]) -> str:
            if match[2] is None:
                return f"{{{match[1]}}}"
            return quote(known[match[2]]) if match[2] in known else match[0]

        return [_NAME.sub(value, text) for text in self.argv]

    def environment(self) -> dict[str, str]:
        """Return the environment variables of a run.

        Returns
        -------
        environment : dict of str
            Those of this process with what the command changes. Not to be modified.

        Examples
        --------
        >>> Command("beam", cpus=4).environment()["OMP_NUM_THREADS"]
        '4'
        """
        # Reading `os.environ` anew for each run would cost more than all the rest.
        data = getattr(os.environ, "_data", None)
        seen, environment = self._environment
        if data is None or seen != data:
            threads = dict.fromkeys(_THREADS, str(self.cpus))
            environment = {**os.environ, **threads}
            for name in self.env_remove:
                environment.pop(name, None)
            environment.update(self.env)
            self.__dict__["_environment"] = (data and dict(data), environment)
        return environment

    def executable(self) -> str | None:
        """Return the program that must be there.

        Returns
        -------
        program : str or None
            `None` if only a shell can tell.

        Examples
        --------
        >>> Command("beam -x beam.xml").executable()
        'beam'
        """
        unknown = self.shell or self.setup or _NAME.search(self.argv[0])
        return None if unknown else self.argv[0]

    def find_executable(self, workdir: str | os.PathLike[str] | None = None) -> str:
        """Return the full path of the program.

        Parameters
        ----------
        workdir : str, optional
            The work directory.

        Returns
        -------
        path : str
            That of the shell, if one runs the command.

        Raises
        ------
        CommandError
            If it is not there or cannot be executed; its cause is ``command not found``.

        Examples
        --------
        >>> Command("no-such-code").find_executable()
        Traceback (most recent call last):
            ...
        otwrap.errors.CommandError: 'no-such-code' is not in the PATH...
        """
        if self.shell or self.setup:
            return shell_path()
        folder = None if workdir is None else os.fspath(workdir)
        return self._search(self.argv[0], folder) or self._not_found(self.argv[0], folder)

    def launch(self, workdir: str, values: Mapping[str, str] | None = None) -> tuple[list[str], str]:
        """Return what a run starts.

        Parameters
        ----------
        workdir : str
            The work directory.
        values : mapping of str, optional
            See :meth:`format`.

        Returns
        -------
        argv : list of str
            With a shell around it if there are set-up lines.
        path : str
            Full path of the program.

        Raises
        ------
        CommandError
            If the program is not there.
        """
        argv = self.format(values)
        if not self.shell:
            path = self._search(argv[0], workdir)
            if "/" in argv[0]:
                argv[0] = path or argv[0]
            if not self.setup:
                return argv, path or self._not_found(argv[0], workdir)
        shell = shell_path()
        return [shell, "-c", self.shell_text(argv)], shell

    def shell_text(self, argv: Sequence[str]) -> str:
        """Return the set-up lines and the command as text for a shell.

        Parameters
        ----------
        argv : sequence of str
            What :meth:`format` returned.

        Returns
        -------
        text : str
        """
        lines = []
        for number, entry in enumerate(self.setup, 1):
            note = shlex.quote(f"otwrap: set-up command {number} failed: {entry}")
            lines += [entry, f'_otwrap=$?; [ "$_otwrap" = 0 ] || {{ echo {note} >&2; exit "$_otwrap"; }}']
        return "\n".join([*lines, argv[0] if self.shell else f"exec {shlex.join(argv)}"])
