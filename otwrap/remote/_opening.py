"""A connection to a place opened: by which means, and whether what is there is the same submission."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from ..errors import SchedulerError
from ._carrier import CannotCarry, Carrier
from ._rsync import TEMPORARY, Rsync, find_rsync
from ._sftp import Sftp
from ._ssh import ask, from_home, quoted
from .places import Place

__all__ = ["WAYS", "opened"]

#: The means, the better one first.
WAYS = ("rsync", "sftp")

_ABOUT = "submission.json"
_BEGIN, _THEN, _END = (f"otwrap-{word}" for word in ("begin", "about", "end"))
#: The exit code of the script if the folder is not there.
_NO_FOLDER = 97


def opened(
    way: str, here: Path, there: Place, ssh_config: str | None, moved: dict[str, int], *, make: bool
) -> Carrier:
    """Return a connection to a folder, which is made, or must be there."""
    if way not in WAYS:
        msg = f"way={way!r}: accepted are {', '.join(map(repr, WAYS))}"
        raise ValueError(msg)
    if way == "sftp":
        return _by_sftp(here, there, ssh_config, moved, make)
    if find_rsync() is None or shutil.which("ssh") is None:
        raise CannotCarry("there is no rsync (version 3) here, or no ssh")
    about = _asked(there, ssh_config, make)
    _check_same(here, there, about, make)
    return Rsync(there, ssh_config, moved)


def _by_sftp(here: Path, there: Place, ssh_config: str | None, moved: dict[str, int], make: bool) -> Sftp:
    """Return a connection by SFTP."""
    carrier = Sftp(there, ssh_config, moved)
    try:
        if make:
            carrier.make_folder()
        elif not carrier.has_folder():
            raise _no_folder(there)
        _check_same(here, there, carrier.read(_ABOUT) or b"", make)
    except BaseException:
        carrier.close()
        raise
    return carrier


def _asked(there: Place, ssh_config: str | None, make: bool) -> bytes:
    """Return what the folder there says of itself; raise if it, or rsync, is not there."""
    directory = quoted(from_home(there.directory))
    enter = f"mkdir -p {directory}/{TEMPORARY} && cd {directory}" if make else f"cd {directory} 2>/dev/null"
    # Of processes that were killed there.
    tidy = f"find {TEMPORARY} -type f -mtime +1 -exec rm -f {{}} + 2>/dev/null; " if make else ""
    script = (
        f"{enter} || exit {_NO_FOLDER}; {tidy}echo {_BEGIN}; command -v rsync || exit 0; "
        f"echo {_THEN}; cat {_ABOUT} 2>/dev/null; echo; echo {_END}"
    )
    ended = ask(there.login, script, ssh_config)
    if ended.returncode == _NO_FOLDER:
        if not make:
            raise _no_folder(there)
        raise SchedulerError(f"the folder of {there} cannot be made: {ended.stderr.strip()}")
    noise, begun, rest = ended.stdout.partition(_BEGIN)
    if not begun:
        said = (ended.stderr.strip() or ended.stdout.strip())[:200]
        raise CannotCarry(f"{there.login} runs no commands ({said})")
    if noise.strip():
        raise CannotCarry(
            f"{there.login} prints something at each log-in ({noise.strip()[:60]!r}), which rsync cannot bear"
        )
    program, found, about = rest.partition(_THEN)
    if not found:
        raise CannotCarry(f"{there.login} has no rsync")
    return about.rpartition(_END)[0].encode()


def _no_folder(there: Place) -> SchedulerError:
    """Return the error for a folder that is not there."""
    return SchedulerError(
        f"{there.login} has no folder {there.directory!r}, or it cannot be entered; check the path, which is relative "
        f"to the home folder unless it begins with /; `otwrap push` makes it"
    )


def _check_same(here: Path, there: Place, about: bytes, make: bool) -> None:
    """Raise if the folder there is that of another submission, or of none where there should be one."""
    if not make and not about.strip():
        msg = f"{there} holds no submission (no {_ABOUT}): nothing was brought; check the path, or `otwrap push` it first"
        raise SchedulerError(msg)
    try:
        mine = json.loads((here / _ABOUT).read_bytes())["id"]
        theirs = json.loads(about)["id"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if mine != theirs:
        msg = f"{there} holds another submission ({theirs}) than {here} ({mine}); give each a directory of its own"
        raise SchedulerError(msg)
