"""Which side writes a file of a submission, and which files go which way."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import translate
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import NamedTuple

from ..errors import SchedulerError

__all__ = [
    "EARLIER",
    "EXIT_CODE",
    "PRIVATE",
    "RESULTS",
    "TIMES",
    "Entry",
    "Tree",
    "check_patterns",
    "chooser",
    "differs",
    "ended_points",
    "entry_here",
    "incoming",
    "is_mark",
    "is_result",
    "is_safe_link",
    "outgoing",
    "point_of",
    "tree_here",
    "validated",
]

#: What tells that the run of a point has ended, and how long it took.
EXIT_CODE, TIMES = "exit_code.txt", "times.txt"
#: The folder of what earlier runs of points have left, which were put aside: each side keeps its own.
EARLIER = "earlier"
#: Patterns of the small files that say how a submission stands; enough for its status, not for its outputs.
RESULTS = ("jobs/*/id", "jobs/*/records/*", f"point-*/{EXIT_CODE}", f"point-*/{TIMES}")
#: How names begin that belong to a transfer itself.
PRIVATE = ".otwrap-"

_OURS = re.compile(
    r"README\.txt|submission\.json|design\.csv|model\.bin|model/.*|files/.*"
    r"|jobs/[^/]*/([^/]*\.sh|[^/]*\.sub|tasks\.txt|job\.json|attempts\.json|cancelled)",
    re.DOTALL,
)
_THEIRS = re.compile(
    r"jobs/[^/]*/(id|records/.*|logs/.*)|kept/.*|point-[^/]*/(exit_code\.txt|exit_code\.new|times\.txt)",
    re.DOTALL,
)
_RESULT = re.compile(r"jobs/[^/]*/(id|records/.*)|point-[^/]*/(exit_code|times)\.txt", re.DOTALL)


class Entry(NamedTuple):
    """What is known of a file, a link or a folder.

    Attributes
    ----------
    kind : str
        ``"file"``, ``"link"`` or ``"folder"``.
    size : int
        In bytes.
    mtime : int
        When it was changed, in whole seconds since the epoch: all that SFTP and old file systems tell.
    mode : int
        Permissions.
    target : str
        Of a link.
    """

    kind: str
    size: int = 0
    mtime: int = 0
    mode: int = 0o644
    target: str = ""


#: Path relative to the folder, with slashes -> what it is.
Tree = dict[str, Entry]


def chooser(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Return whether one of some patterns, as of `fnmatch`, fits a path."""
    text = "|".join(map(translate, patterns))
    return lambda path: bool(text) and re.match(text, path) is not None


def is_result(path: str) -> bool:
    """Whether a file is one of the small ones that say how a submission stands."""
    return _RESULT.fullmatch(path) is not None and not _is_nobodys(path)


def _is_nobodys(path: str) -> bool:
    """Whether a path never travels: that of a transfer, an earlier run, or a job's folder in the making."""
    if f"/{path}".find(f"/{PRIVATE}") >= 0 or path.startswith("jobs/."):
        return True
    return path == EARLIER or path.startswith(f"{EARLIER}/")


def point_of(path: str) -> str | None:
    """Return the folder of the point that a path belongs to."""
    top, slash, _ = path.partition("/")
    return top if slash and top.startswith("point-") else None


def is_mark(path: str) -> bool:
    """Whether a file says that a point has ended, or how long it took."""
    return point_of(path) is not None and path.partition("/")[2] in (EXIT_CODE, TIMES)


def ended_points(tree: Mapping[str, Entry]) -> set[str]:
    """Return the folders of the points whose run has ended; an empty mark is one that is just written."""
    return {
        point
        for path, entry in tree.items()
        if path.endswith(f"/{EXIT_CODE}") and entry.size and is_mark(path) and (point := point_of(path))
    }


def is_safe_link(path: str, target: str) -> bool:
    """Whether a symbolic link stays inside the folder."""
    return (
        bool(target)
        and not target.startswith("/")
        and not normpath(join(dirname(path), target)).startswith("..")
    )


def validated(tree: Tree, place: object) -> Tree:
    """Return what another machine says that it has, or raise if a name could lead out of the folder."""
    links = {path for path, entry in tree.items() if entry.kind == "link"}
    for path in tree:
        parts = path.split("/")
        above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
        if not path or any(part in ("", ".", "..") for part in parts) or not links.isdisjoint(above):
            raise SchedulerError(
                f"{place} has a file {path!r}, which could be written anywhere; nothing was brought"
            )
    return tree


def entry_here(path: str) -> Entry | None:
    """Return what a file of this machine is; `None` for what does not travel, or is not there."""
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        return Entry("link", target=os.readlink(path))
    kind = "folder" if stat.S_ISDIR(found.st_mode) else "file" if stat.S_ISREG(found.st_mode) else None
    size, mtime = found.st_size, int(found.st_mtime // 1)
    return None if kind is None else Entry(kind, size, mtime, stat.S_IMODE(found.st_mode))


def tree_here(folder: Path) -> Tree:
    """Return all there is in a folder of this machine; links that lead out of it count as what they lead to."""
    found: Tree = {}
    _walk(folder, "", (), found)
    return found


def _walk(folder: Path, place: str, above: tuple[str, ...], found: Tree) -> None:
    """Add what a part of a folder has; `above` keeps links from leading round and round."""
    real = os.path.realpath(folder / place)
    for name in sorted(os.listdir(folder / place)) if real not in above else []:
        path = f"{place}/{name}" if place else name
        entry = None if _is_nobodys(path) else entry_here(f"{folder}/{path}")
        if entry is not None and entry.kind == "link" and not is_safe_link(path, entry.target):
            entry = entry_here(os.path.realpath(f"{folder}/{path}"))
        if entry is not None:
            found[path] = entry
            if entry.kind == "folder":
                _walk(folder, path, (*above, real), found)


def outgoing(tree: Tree) -> tuple[list[str], list[str]]:
    """Return what is sent in any case, and what is sent unless it is newer there."""
    ended = ended_points(tree)
    ours: list[str] = []
    either: list[str] = []
    for path, entry in tree.items():
        if _THEIRS.fullmatch(path) or path == "kept" or point_of(path) in ended or path in ended:
            continue
        (ours if _OURS.fullmatch(path) and entry.kind != "folder" else either).append(path)
    return ours, either


def incoming(
    there: Tree,
    folder: Path,
    ended: set[str],
    wanted: Callable[[str], bool],
    unfinished: bool,
) -> Tree:
    """Return what is to be brought, beside the results."""
    here = functools.partial(os.path.join, folder)

    def is_needed(path: str, entry: Entry) -> bool:
        if entry.kind == "folder" or is_result(path) or _is_nobodys(path) or not wanted(path):
            return False
        point = point_of(path)
        if point is not None and not unfinished and point not in ended:
            return False
        found = entry_here(here(path))
        if found is None:
            return True
        if _OURS.fullmatch(path):
            return False
        newer_here = point is None and not _THEIRS.fullmatch(path) and found.mtime > entry.mtime
        return differs(entry, found) and not newer_here

    return {path: entry for path, entry in there.items() if is_needed(path, entry)}


def differs(one: Entry, other: Entry | None) -> bool:
    """Whether two entries are of different content, as far as can be seen from outside."""
    if other is None or one.kind != other.kind:
        return True
    return one.target != other.target if one.kind == "link" else one[1:3] != other[1:3]


def check_patterns(patterns: Sequence[str] | str | None, name: str) -> tuple[str, ...] | None:
    """Return patterns as a tuple; one alone need not be in a list."""
    if patterns is None:
        return None
    found = (patterns,) if isinstance(patterns, str) else tuple(patterns)
    if not all(isinstance(pattern, str) for pattern in found):
        msg = f'{name}={patterns!r}: give patterns of paths in the folder, as ["point-*/out.txt", "kept/*"]'
        raise TypeError(msg)
    return found
