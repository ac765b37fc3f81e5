"""Where the commands of a batch system are run: on this machine, or on another one by ssh."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import BinaryIO

from ..errors import SchedulerError
from ._ssh import ask, config_file, from_home, quoted
from .places import Place

__all__ = ["RemoteShell", "Shell", "shell_of"]

#: What the script there says of itself; no command says that.
_NO_FOLDER, _NO_PROGRAM, _NO_INPUT, _CODE_255 = (
    f"otwrap-{word}" for word in ("no-folder", "no-program", "no-input", "exit-code-255")
)
#: Its exit code then.
_COULD_NOT = 97


class Shell:
    """This machine.

    Examples
    --------
    >>> import sys
    >>> Shell().run([sys.executable, "-c", "print(6 * 7)"], ".").stdout.strip()
    '42'
    """

    def run(
        self,
        argv: Sequence[str],
        folder: str | os.PathLike[str],
        *,
        stdin: str | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Parameters
        ----------
        argv : sequence of str
            The program and its arguments; no shell looks at them.
        folder : path
            Where it runs.
        stdin : str, optional
            A file that it reads, relative to `folder`. Default is nothing.
        timeout : float, optional
            In seconds. Default is no limit.

        Returns
        -------
        ended : subprocess.CompletedProcess
            With ``returncode``, ``stdout`` and ``stderr``, whatever the exit code.

        Raises
        ------
        SchedulerError
            If the program, `folder` or `stdin` is not there, or the time is over.
        """
        name = None if stdin is None else os.path.join(folder, stdin)
        if not os.path.isdir(folder):
            msg = f"{argv[0]} cannot run in {os.fspath(folder)!r}: there is no such folder"
            raise SchedulerError(msg)
        try:
            with open(os.devnull if name is None else name, "rb") as file:
                return _ran(list(argv), folder, file, timeout)
        except FileNotFoundError:
            raise SchedulerError(f"{argv[0]} cannot read {name!r}: there is no such file") from None

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def _ran(
    argv: list[str], folder: str | os.PathLike[str], file: BinaryIO, timeout: float | None
) -> subprocess.CompletedProcess[str]:
    """Run a program of this machine."""
    try:
        return subprocess.run(
            argv,
            cwd=folder,
            stdin=file,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, PermissionError) as error:
        msg = f"{argv[0]} cannot be run on this machine: {error.strerror}; check PATH, or give its full path"
        raise SchedulerError(msg) from None
    except subprocess.TimeoutExpired:
        raise SchedulerError(f"{argv[0]} has not answered in {timeout:g} s") from None


class RemoteShell(Shell):
    """Another machine, by ``ssh``.

    Parameters
    ----------
    host : str
        ``HOST`` or ``USER@HOST``, as in the configuration of ssh.
    directory : str
        The folder there in which commands run; relative to the home folder.
    ssh_config : path, optional
        Configuration of ssh instead of the user's. Default is what ``OTWRAP_SSH_CONFIG`` names, if anything.

    Raises
    ------
    ValueError
        If `host` or `directory` cannot be.

    Examples
    --------
    >>> RemoteShell("me@cluster", "~/runs/beam")
    RemoteShell('me@cluster:runs/beam')
    """

    def __init__(
        self, host: str, directory: str, *, ssh_config: str | os.PathLike[str] | None = None
    ) -> None:
        self.place = Place.of(host, directory)
        self.ssh_config = config_file(ssh_config)

    def run(
        self,
        argv: Sequence[str],
        folder: str | os.PathLike[str] | None = None,
        *,
        stdin: str | None = None,
        timeout: float | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there, in the directory.

        Parameters
        ----------
        argv : sequence of str
            The program and its arguments. A program that is only in the PATH of a log-in shell is found too.
        folder : path, optional
            Not looked at: there, it is the directory.
        stdin : str, optional
            A file there that it reads, relative to the directory. Default is nothing.
        timeout : float, optional
            In seconds. Default is no limit, but for the connection.

        Returns
        -------
        ended : subprocess.CompletedProcess
            As of :meth:`Shell.run`.

        Raises
        ------
        SchedulerError
            If the host cannot be reached or does not let in, its key is not known, the program, the directory or
            `stdin` is not there, or the time is over.
        """
        try:
            ended = ask(
                self.place.login,
                _script(argv, self.place.directory, stdin),
                self.ssh_config,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            msg = f"{argv[0]} has not answered from {self.place.login} in {timeout:g} s"
            raise SchedulerError(msg) from None
        said, _, word = ended.stderr.rstrip("\n").rpartition("\n")
        if ended.returncode == _COULD_NOT:
            self._explain(word, argv[0], stdin)
        if word == _CODE_255:
            ended.returncode, ended.stderr = 255, said and said + "\n"
        return ended

    def _explain(self, word: str, program: str, stdin: str | None) -> None:
        """Raise if the command was not even begun."""
        login, directory = self.place.login, self.place.directory
        if word == _NO_FOLDER:
            msg = f"{login} has no folder {directory!r}, or it cannot be entered; send it first: otwrap push {self.place}"
            raise SchedulerError(msg)
        if word == _NO_PROGRAM:
            msg = f"{login} has no program {program!r}, as far as a shell without a terminal finds; give its full path there"
            raise SchedulerError(msg)
        if word == _NO_INPUT:
            msg = f"{self.place} has no file {stdin!r}; send it first: otwrap push {self.place}"
            raise SchedulerError(msg)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.place)!r})"


def _script(argv: Sequence[str], directory: str, stdin: str | None) -> str:
    """Return what ``sh`` is to do there."""
    program = quoted(argv[0])
    source = "/dev/null" if stdin is None else quoted(from_home(stdin))
    found = f"command -v {program} >/dev/null 2>&1"
    # What a log-in shell reads; it may say something, and go somewhere.
    profile = (
        'd="$(pwd)"; for f in /etc/profile ~/.profile; do [ -r $f ] && . $f; done >/dev/null 2>&1; cd "$d"'
    )
    steps = [
        f"cd {quoted(from_home(directory))} 2>/dev/null || {{ echo {_NO_FOLDER} >&2; exit {_COULD_NOT}; }}",
        f"{found} || {{ {profile}; }}",
        f"{found} || {{ echo {_NO_PROGRAM} >&2; exit {_COULD_NOT}; }}",
        f"[ -r {source} ] || {{ echo {_NO_INPUT} >&2; exit {_COULD_NOT}; }}",
        f"{' '.join(map(quoted, argv))} <{source}",
        f"s=$?; [ $s -ne 255 ] || {{ echo {_CODE_255} >&2; exit 254; }}; exit $s",
    ]
    return "; ".join(steps)


def shell_of(
    host: Place | str | None, directory: str = ".", *, ssh_config: str | os.PathLike[str] | None = None
) -> Shell:
    """Return the shell of a host.

    Parameters
    ----------
    host : Place, str or None
        ``HOST`` or ``USER@HOST``, or a host with the folder there; without one, it is this machine.
    directory : str, optional
        The folder there, unless `host` is a place. Default is the home folder.
    ssh_config : path, optional
        See :class:`RemoteShell`.

    Returns
    -------
    shell : Shell

    Examples
    --------
    >>> shell_of(None), shell_of("cluster", "runs")
    (Shell(), RemoteShell('cluster:runs'))
    """
    if not host:
        return Shell()
    place = host if isinstance(host, Place) else Place.of(host, directory)
    return RemoteShell(place.login, place.directory, ssh_config=ssh_config)
