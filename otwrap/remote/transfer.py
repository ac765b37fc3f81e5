"""The folder of a submission there and back."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ..errors import BackendUnavailable, SchedulerError
from ..files import remove_tree
from ..locks import FileLock
from ._carrier import CannotCarry, Carrier
from ._opening import WAYS, opened
from ._records import others_of, take_in
from ._rsync import TEMPORARY
from ._sides import (
    EARLIER,
    EXIT_CODE,
    PRIVATE,
    RESULTS,
    TIMES,
    Tree,
    check_patterns,
    chooser,
    differs,
    ended_points,
    entry_here,
    incoming,
    is_mark,
    is_result,
    outgoing,
    point_of,
    tree_here,
)
from ._ssh import LineBroken, config_file
from .places import Place

__all__ = ["RESULTS", "THERE", "Transfer", "pull", "push"]

#: The folder, in that of the submission, with what is known of points whose outputs have not been brought.
THERE = f"{PRIVATE}there"
_LOCK = f"{PRIVATE}lock"
#: Seconds to wait before the next try: at first, at most.
_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
#: Seconds between two looks at who else transfers the folder, and how many of them need no word.
_LOOK, _QUIETLY = 0.2, 10
#: Seconds that a line must have held for the next break to count as the first one.
_HELD = 60.0


class Transfer(NamedTuple):
    """What has gone over.

    Attributes
    ----------
    files : int
        How many files were sent or brought; those that were the same at both ends do not count.
    bytes : int
        The sum of their sizes.
    way : str
        ``"rsync"`` or ``"sftp"``.
    """

    files: int
    bytes: int
    way: str


def push(
    folder: str | os.PathLike[str],
    place: Place | str,
    *,
    tries: int = 5,
    way: str | None = None,
    ssh_config: str | os.PathLike[str] | None = None,
) -> Transfer:
    """Send the folder of a submission to another machine.

    Only what differs is sent, see :mod:`otwrap.remote` for what belongs to which side. It can be called again at any
    time: after the line broke, it goes on where it was.

    Parameters
    ----------
    folder : path
        The folder here.
    place : Place or str
        ``HOST:DIR``: the folder's content goes to ``DIR``, which is made.
    tries : int, optional
        How often in a row the line may break before it is given up. Default is 5.
    way : {"rsync", "sftp"}, optional
        Default is rsync where both sides have it, else SFTP.
    ssh_config : path, optional
        Configuration of ssh instead of the user's. Default is what ``OTWRAP_SSH_CONFIG`` names, if anything.

    Returns
    -------
    transfer : Transfer

    Raises
    ------
    SchedulerError
        If the host cannot be reached, is not known or does not let in, has no space left, or holds another
        submission in ``DIR``.
    BackendUnavailable
        If there is neither rsync nor the package asyncssh.
    """
    here, there = Path(os.path.abspath(folder)), _place(place)
    if not here.is_dir():
        raise FileNotFoundError(f"there is no folder {str(here)!r} to send")

    def work(carrier: Carrier) -> None:
        carrier.put_aside(_runs_aside(here))
        tree = tree_here(here)
        carrier.send(here, tree, *outgoing(tree))

    with _alone(here):
        return _persistently(work, here, there, tries, way, config_file(ssh_config), make=True)


def pull(
    folder: str | os.PathLike[str],
    place: Place | str,
    *,
    only: Sequence[str] | str | None = None,
    exclude: Sequence[str] | str = (),
    unfinished: bool = False,
    tries: int = 5,
    way: str | None = None,
    ssh_config: str | os.PathLike[str] | None = None,
) -> Transfer:
    """Bring what came of a submission from another machine, as far as it is there.

    The :data:`RESULTS` always come: ids, records, and of points that a shell runs, their exit codes and times. Of
    these points, only those whose run has ended are brought. See :mod:`otwrap.remote` for what belongs to which side.
    It can be called again at any time, while the jobs run too: only what is new is brought.

    Parameters
    ----------
    folder : path
        The folder here; made if it is missing.
    place : Place or str
        ``HOST:DIR``, as it was sent to.
    only : sequence of str, optional
        Patterns, as of `fnmatch`, of paths relative to the folder: what is brought beside the results. With
        :data:`RESULTS` nothing else is, and the exit codes go to the folder :data:`THERE`, as the outputs that
        belong to them are not here. Default is everything.
    exclude : sequence of str, optional
        Patterns of what is not brought.
    unfinished : bool, optional
        Bring also what is there of points whose run has not ended. Default is false.
    tries : int, optional
        How often in a row the line may break before it is given up. Default is 5.
    way : {"rsync", "sftp"}, optional
        Default is rsync where both sides have it, else SFTP.
    ssh_config : path, optional
        Configuration of ssh instead of the user's. Default is what ``OTWRAP_SSH_CONFIG`` names, if anything.

    Returns
    -------
    transfer : Transfer

    Raises
    ------
    SchedulerError
        If the host cannot be reached, is not known or does not let in, has no such folder or another submission in
        it, or if some files cannot be read there: all others have come then.
    BackendUnavailable
        If there is neither rsync nor the package asyncssh.
    """
    patterns, without = check_patterns(only, "only"), check_patterns(exclude, "exclude") or ()
    chosen, left_out = chooser(patterns or ()), chooser(without)
    here, there = Path(os.path.abspath(folder)), _place(place)
    here.mkdir(parents=True, exist_ok=True)

    def wanted(path: str) -> bool:
        return (patterns is None or chosen(path)) and not left_out(path)

    def work(carrier: Carrier) -> None:
        ended, former = _bring_results(carrier, here)
        if patterns is None or not set(patterns) <= set(RESULTS):
            there = {path: entry for path, entry in carrier.tree().items() if point_of(path) not in former}
            _bring_outputs(carrier, here, there, ended, wanted, patterns or (), unfinished)

    with _alone(here):
        return _persistently(work, here, there, tries, way, config_file(ssh_config), make=False)


def _bring_results(carrier: Carrier, here: Path) -> tuple[set[str], set[str]]:
    """Bring ids, records and marks of ended points; return the folders of these, and those not to look at."""
    found, staged = carrier.marks(), here / THERE
    # What is there of a point is of a run that was put aside here since.
    former = {run.rpartition("-")[0] for run in _runs_aside(here) if f"{EARLIER}/{run}" not in found}
    marks = {
        path: entry for path, entry in found.items() if entry.kind == "file" and point_of(path) not in former
    }
    staged.mkdir(exist_ok=True)

    def is_new(path: str) -> bool:
        versions = [here / path, staged / path, *(others_of(here / path) if path.endswith(".rec") else ())]
        return all(differs(marks[path], entry_here(str(version))) for version in versions)

    new = {path for path in marks if is_new(path)}
    new -= {path for path in marks if path.endswith("/id") and (here / path).exists()}
    carrier.fetch({path: marks[path] for path in sorted(new)}, here, staged)
    for path in tree_here(staged):
        if path.startswith("jobs/") and (staged / path).is_file():
            (here / path).parent.mkdir(parents=True, exist_ok=True)
            if path.endswith(".rec"):
                take_in(staged / path, here / path)
            else:
                os.replace(staged / path, here / path)
        elif is_mark(path) and path not in marks:
            # It runs again there.
            (staged / path).unlink()
    return ended_points(marks), former


def _bring_outputs(
    carrier: Carrier,
    here: Path,
    there: Tree,
    ended: set[str],
    wanted: Callable[[str], bool],
    patterns: Sequence[str],
    unfinished: bool,
) -> None:
    """Bring the rest, and then say that points have ended."""
    staged = here / THERE
    # A point of which nothing at all is wanted now has not come: whoever reads its outputs is not to begin.
    meant = {point for path in there if (point := point_of(path)) and not is_result(path) and wanted(path)}
    meant |= {point for point in ended if any(fnmatchcase(point, one.partition("/")[0]) for one in patterns)}
    new = {point for point in ended & meant if (staged / point / EXIT_CODE).exists()}
    needed = incoming(there, here, ended, wanted, unfinished)
    for point in new:
        # Its outputs are about to be replaced, one after the other.
        (here / point / EXIT_CODE).unlink(missing_ok=True)
    carrier.fetch(needed, here, here)
    for point in new - _incomplete(carrier, here, needed):
        (here / point).mkdir(exist_ok=True)
        for name in (TIMES, EXIT_CODE):
            with contextlib.suppress(FileNotFoundError):
                os.replace(staged / point / name, here / point / name)


def _incomplete(carrier: Carrier, here: Path, needed: Tree) -> set[str]:
    """Return the folders of points of which something has not come."""
    missing = (path for path, entry in needed.items() if differs(entry, entry_here(str(here / path))))
    named = {point for line in carrier.problems for point in re.findall(r"point-\d+", line)}
    return named | {point for path in missing if (point := point_of(path))}


def _runs_aside(here: Path) -> list[str]:
    """Return the runs of points that were put aside here, as ``point-000003-1``."""
    folder = here / EARLIER
    names = os.listdir(folder) if folder.is_dir() else []
    return sorted(name for name in names if re.fullmatch(r"point-\d+-\d+", name))


def _place(place: Place | str) -> Place:
    """Return a place."""
    return Place.parse(place) if isinstance(place, str) else place


@contextmanager
def _alone(here: Path) -> Iterator[None]:
    """Wait for other transfers of a folder, keep them away, and leave it tidy."""
    lock = FileLock(str(here / _LOCK))
    waited = 0
    while not lock.acquire():
        if waited == _QUIETLY:
            print(f"otwrap: waiting for {lock.holder()}, which transfers {here}", file=sys.stderr, flush=True)
        waited += 1
        time.sleep(_LOOK)
    try:
        # Of a process that was killed.
        for folder in (here, here / THERE):
            remove_tree(folder / TEMPORARY)
        yield
    finally:
        for folder in (here / TEMPORARY, here / THERE):
            _remove_empty(folder)
        lock.release()


def _remove_empty(folder: Path) -> None:
    """Remove a folder, with those in it, as far as there is no file."""
    for place, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(place)


def _persistently(
    work: Callable[[Carrier], None],
    here: Path,
    there: Place,
    tries: int,
    way: str | None,
    ssh_config: str | None,
    *,
    make: bool,
) -> Transfer:
    """Do some work over a line that may break; return what has gone over in all."""
    if tries < 1:
        raise ValueError(f"tries={tries!r}: give how often it is tried, 1 or more")
    moved: dict[str, int] = {}
    broken = 0
    while True:
        began, before = time.monotonic(), len(moved)
        try:
            used = _once(work, here, there, way, ssh_config, moved, make)
            return Transfer(len(moved), sum(moved.values()), used)
        except LineBroken as error:
            held = time.monotonic() - began > _HELD or len(moved) > before
            broken = 1 if held else broken + 1
            if broken >= tries:
                msg = f"{error}. That was {broken} times in a row; what has gone over is kept: try again to go on"
                raise SchedulerError(msg) from None
            pause = min(_PAUSE * 2.0 ** (broken - 1), _LONGEST_PAUSE)
            print(f"otwrap: {error}; again in {pause:g} s", file=sys.stderr, flush=True)
        time.sleep(pause)


def _once(
    work: Callable[[Carrier], None],
    here: Path,
    there: Place,
    way: str | None,
    ssh_config: str | None,
    moved: dict[str, int],
    make: bool,
) -> str:
    """Do some work with the first means that can; return which it was."""
    refused = ""
    for name in WAYS if way is None else (way,):
        try:
            with opened(name, here, there, ssh_config, moved, make=make) as carrier:
                work(carrier)
                _check(carrier, there)
                return name
        except CannotCarry as error:
            refused = str(error)
        except BackendUnavailable as error:
            raise BackendUnavailable(f"{refused}; {error}" if refused else str(error)) from None
    raise SchedulerError(refused)


def _check(carrier: Carrier, there: Place) -> None:
    """Raise if there were files that could not be had."""
    if carrier.problems:
        shown = "; ".join(carrier.problems[:5]) + ("; ..." if len(carrier.problems) > 5 else "")
        raise SchedulerError(
            f"between here and {there}, all has gone over but what could not be read or written: {shown}"
        )
