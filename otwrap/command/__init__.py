"""What is run, and how: the command of an external code as a value."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from ..errors import CommandError
from .names import check_names, has_name, replaced
from .script import script, shell_text
from .search import explain, has_folder, is_fixed, search, shell_path
from .settings import (
    Pattern,
    argv_of,
    bytes_of,
    codes_of,
    cpus_of,
    environment_of,
    file_of,
    patterns_of,
    seconds_of,
    texts_of,
)

__all__ = ["Command", "Pattern", "script"]

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_OF_A_RUN = ("OTWRAP_RUN", "PWD")


class _Seen(NamedTuple):
    """The environment of this process when it was read, and what follows from it."""

    data: Any
    environment: dict[str, str]
    # `b"name=value"`, without what each run has for itself.
    entries: tuple[bytes, ...]
    # Full paths of programs.
    found: dict[str, str]


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
    origin: str = field(repr=False, compare=False)
    _plain: bool = field(repr=False, compare=False)
    _seen: _Seen = field(repr=False, compare=False)

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
        names = texts_of("env_remove", env_remove)
        settings = {
            "argv": argv_of(argv, shell),
            "setup": texts_of("setup", setup),
            "env": environment_of(env, names),
            "env_remove": names,
            "stdin": file_of(stdin),
            "shell": bool(shell),
            "timeout": seconds_of(timeout),
            "memory": bytes_of(memory),
            "cpus": cpus_of(cpus),
            "ok_codes": codes_of(ok_codes),
            "success": patterns_of("success", success),
            "failure": patterns_of("failure", failure),
        }
        # A relative program is meant from here, wherever the command is run later.
        self.__setstate__({**settings, "origin": str(Path.cwd())})

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in [*_settings(), "origin"]}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        plain = not any(map(has_name, state["argv"]))
        self.__dict__.update(state, _plain=plain, _seen=_Seen(None, {}, (), {}))

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
        settings = {name: getattr(self, name) for name in _settings()}
        if self.shell:
            settings["argv"] = self.argv[0]
        other = Command(**{**settings, **changes})
        other.__dict__["origin"] = self.origin
        return other

    def fingerprint(self) -> dict[str, Any]:
        """Return what changes the results of the code; limits and resources do not.

        Returns
        -------
        fingerprint : dict
            Can be written as JSON; the same on every machine: of the program's full path only its
            name counts.

        Examples
        --------
        >>> Command("beam", timeout=60).fingerprint() == Command(["beam"]).fingerprint()
        True
        """
        return {
            "argv": [self._name(), *self.argv[1:]],
            "setup": list(self.setup),
            "env": dict(sorted(self.env.items())),
            "env_remove": sorted(self.env_remove),
            "stdin": self.stdin,
            "shell": self.shell,
            "ok_codes": sorted(self.ok_codes),
            "success": [[pattern] if isinstance(pattern, str) else list(pattern) for pattern in self.success],
            "failure": [[pattern] if isinstance(pattern, str) else list(pattern) for pattern in self.failure],
        }

    def _name(self) -> str:
        """Return the program without the folder that it has on this machine."""
        fixed = is_fixed(self.argv[0]) and not self.shell
        return Path(self.argv[0]).name if fixed else self.argv[0]

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
        ValueError: argv[1] is '{load}'...
        """
        check_names(self.argv, [*names, "cpus", "point"])

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
        return [replaced(text, known, quoted=self.shell) for text in self.argv]

    def changes(self) -> dict[str, str]:
        """Return the environment variables that a run sets.

        Returns
        -------
        changes : dict of str
            The number of threads included, unless the command says otherwise.

        Examples
        --------
        >>> Command("beam", cpus=4, env_remove="MKL_NUM_THREADS").changes()
        {'OMP_NUM_THREADS': '4', 'OPENBLAS_NUM_THREADS': '4'}
        """
        threads = {name: str(self.cpus) for name in _THREADS if name not in self.env_remove}
        return {**threads, **self.env}

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
        return self._environments().environment

    def _environments(self) -> _Seen:
        """Return the environment of a run, made again if that of this process has changed."""
        # Reading `os.environ` anew for each run would cost more than all the rest.
        data = getattr(os.environ, "_data", None)
        if data is None or self._seen.data != data:
            kept = {name: value for name, value in os.environ.items() if name not in self.env_remove}
            environment = {**kept, **self.changes()}
            texts = [f"{name}={value}" for name, value in environment.items() if name not in _OF_A_RUN]
            entries = tuple(map(os.fsencode, texts))
            self.__dict__["_seen"] = _Seen(data and dict(data), environment, entries, {})
        return self._seen

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
        unknown = self.shell or self.setup or has_name(self.argv[0])
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
        return self._search(self.argv[0], folder) or self.cannot_start(self.argv[0], folder)

    def _search(self, program: str, workdir: str | None) -> str | None:
        """Return the full path of a program, from memory if it is the same for all work directories."""
        remembered = self._environments().found
        found = remembered.get(program)
        if found is None:
            found = search(program, self._path(), self._folders(workdir))
            if found and is_fixed(program) and not (workdir and found.startswith(workdir)):
                remembered[program] = found
        return found

    def _path(self) -> str:
        """Return the PATH of a run."""
        return self.environment().get("PATH", os.defpath)

    def _folders(self, workdir: str | None) -> list[str]:
        """Return what a relative path is meant from."""
        return [self.origin] if workdir is None else [workdir, self.origin]

    def cannot_start(self, program: str, workdir: str | None, error: OSError | None = None) -> NoReturn:
        """Raise the error that says why a program cannot be started.

        Parameters
        ----------
        program : str
            As the user wrote it.
        workdir : str or None
            The work directory.
        error : OSError, optional
            What starting it led to.

        Raises
        ------
        CommandError
            Always; its cause is ``command not found``.
        """
        self._seen.found.clear()
        message = explain(program, self._path(), self._folders(workdir), error)
        raise CommandError(message, cause="command not found")

    def launch(
        self, workdir: str, values: Mapping[str, str] | None = None
    ) -> tuple[list[str], str, tuple[bytes, ...]]:
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
            With a shell around it if there are set-up commands.
        path : str
            Full path of the program.
        entries : tuple of bytes
            The environment as ``b"name=value"``, without ``OTWRAP_RUN`` and ``PWD``.

        Raises
        ------
        CommandError
            If the program is not there.
        """
        argv = self.format(values)
        if not self.shell:
            path = self._search(argv[0], workdir)
            if has_folder(argv[0]):
                argv[0] = path or argv[0]
            if not self.setup:
                return argv, path or self.cannot_start(argv[0], workdir), self._seen.entries
        shell = shell_path()
        return [shell, "-c", shell_text(self, argv)], shell, self._environments().entries


def _settings() -> list[str]:
    """Return the names of the settings of a command."""
    return [part.name for part in fields(Command) if part.compare]
