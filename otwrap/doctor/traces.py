"""What a run leaves in the world outside its work directory: files, processes, another current directory."""

# Plain strings, as the wrapper has them.
# ruff: noqa: PTH109, PTH111, PTH112, PTH115, PTH208

from __future__ import annotations

import contextlib
import os
import re
import signal
import stat
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..guardian import read_proc

__all__ = ["Process", "Traces"]

#: Every process that a run starts inherits it.
_MARK = "OTWRAP_DOCTOR"

#: Processes that serve this one, and rightly outlive an evaluation: otwrap's guardian, and Python's own.
_HELPERS = re.compile(r"\botwrap[./]guardian|resource_tracker")

#: The name of a work directory, and of the folder of otwrap's guardian.
_WORKDIR = re.compile(r"/(run|otwrap-doctor|otwrap-guardians)-[^/]*$")

#: Nobody's business, or made by Python itself.
_IGNORED = frozenset({"__pycache__", ".git"})

#: How far is looked: a current directory may be somebody's home.
_DEPTH, _ENTRIES = 3, 5000

_Stamps = dict[str, tuple[int, int] | None]


class Process(NamedTuple):
    """A process that outlived its evaluation.

    Attributes
    ----------
    pid : int
        Its id.
    command : str
        What it runs.
    """

    pid: int
    command: str


class Traces:
    """Remember how the surroundings are on entry of a ``with`` block, and what differs after it.

    Parameters
    ----------
    folders : iterable of str
        Where nothing may change. The current directory is one, and those that others write in too
        (home, temporary files) are looked at in any case.
    root : str
        The folder of our own work directories.
    own_folders : bool, optional
        Whether the model itself makes work directories, so that one that stays may be its own and not
        of another campaign that runs here. Default is `False`.

    Attributes
    ----------
    changes : list of str
        What was made, changed or removed in `folders`, in words.
    suspects : list of str
        What is new where others write too.
    moved : str
        Where the current directory was left, if elsewhere; it is set right again.
    processes : list of Process or None
        That were left running; they are ended. `None` where the system does not tell.
    """

    def __init__(self, folders: Iterable[str], root: str, *, own_folders: bool = False) -> None:
        self.root = os.path.realpath(root)
        self._own_folders = own_folders
        self.changes: list[str] = []
        self.suspects: list[str] = []
        self.moved = ""
        self.processes: list[Process] | None = None
        shared = {
            os.path.realpath(place) for place in (tempfile.gettempdir(), os.path.expanduser("~"), os.sep)
        }
        own = {os.path.realpath(place) for place in (os.getcwd(), *folders)}
        self._shared, self._own = sorted(shared - {os.sep}), sorted(own - shared)
        self._mark = uuid.uuid4().hex
        self._depths: dict[str, int] = {}

    def __enter__(self) -> Traces:
        self._place = os.getcwd()
        os.environ[_MARK] = self._mark
        self._started = time.time()
        self._before = self._look()
        return self

    def __exit__(self, *_: object) -> None:
        os.environ.pop(_MARK, None)
        self._come_back()
        self.processes = self._leftovers()
        for process in self.processes or ():
            _end(process.pid)
        self._compare(self._look())

    def _come_back(self) -> None:
        """Return to the former current directory, and note if that was needed."""
        try:
            here = os.getcwd()
        except OSError:
            here = "a folder that is gone"
        if here != self._place:
            self.moved = here
            os.chdir(self._place)

    def _look(self) -> tuple[_Stamps, _Stamps]:
        """Return what is in the folders of our own, and in the shared ones."""
        own: _Stamps = {}
        for folder in self._own:
            levels = _levels(folder, self.root, self._depths.get(folder))
            self._depths[folder] = len(levels)
            for level in levels:
                own.update(level)
        shared: _Stamps = {}
        for folder in self._shared:
            shared.update(_levels(folder, self.root, 1)[0])
        return own, shared

    def _compare(self, after: tuple[_Stamps, _Stamps]) -> None:
        """Note what differs."""
        (before, common), (now, common_now) = self._before, after
        self.changes += [f"made {path}" for path in now if path not in before]
        self.changes += [
            f"changed {path}" for path in now if path in before and now[path] != before[path] is not None
        ]
        self.changes += [f"removed {path}" for path in before if path not in now]
        self.suspects += [path for path in common_now if path not in common and self._ours(path)]

    def _ours(self, path: str) -> bool:
        """Whether an entry is this user's, was made during the run, and is of no other campaign."""
        if not self._own_folders and _WORKDIR.search(path):
            return False
        try:
            found = os.lstat(path)
        except OSError:
            return False
        # File systems' clocks lag a little behind.
        return found.st_ctime >= self._started - 0.1 and (
            not hasattr(os, "getuid") or found.st_uid == os.getuid()
        )

    def _leftovers(self) -> list[Process] | None:
        """Return the processes that are still there after a moment to end in."""
        if not os.path.isdir("/proc/self"):
            return None
        deadline = time.monotonic() + 1.0
        while (found := list(self._marked())) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _marked(self) -> Iterator[Process]:
        """Yield the living processes that have our mark, or live in our folders."""
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid() and self._is_ours(f"/proc/{name}"):
                command = _words(f"/proc/{name}/cmdline")
                # The command line of one that has ended is empty.
                if command and not _HELPERS.search(command):
                    yield Process(int(name), command)

    def _is_ours(self, folder: str) -> bool:
        """Whether a process has our mark or lives in our folders."""
        if f"{_MARK}={self._mark}".encode() in read_proc(f"{folder}/environ"):
            return True
        try:
            return os.readlink(f"{folder}/cwd").startswith(self.root + os.sep)
        except OSError:
            return False


def _levels(folder: str, root: str, depth: int | None) -> list[_Stamps]:
    """Return what is in a folder, in the folders in it, and so on: so deep, or as deep as is affordable."""
    levels: list[_Stamps] = []
    places = [folder]
    count = 0
    while len(levels) < (depth or _DEPTH):
        level: _Stamps = {}
        below: list[str] = []
        for place in places:
            for entry in _scan(place):
                if _is_ignored(entry) or os.path.realpath(entry.path) == root:
                    continue
                level[entry.path] = _stamp(entry)
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.path)
            if depth is None and levels and count + len(level) > _ENTRIES:
                return levels
        count += len(level)
        levels.append(level)
        places = below
    return levels


def _is_ignored(entry: os.DirEntry[str]) -> bool:
    """Whether something is nobody's business, or belongs to a store that another study writes meanwhile."""
    if entry.name in _IGNORED or entry.name.endswith(("-wal", "-shm", ".lock")):
        return True
    return os.path.exists(f"{entry.path}-wal")


def _stamp(entry: os.DirEntry[str]) -> tuple[int, int] | None:
    """Return size and time of change of a file, through a link too."""
    try:
        status = entry.stat()
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else None


def _scan(folder: str) -> list[os.DirEntry[str]]:
    """Return what is in a folder, as far as it can be read."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return []


def _words(path: str) -> str:
    """Return a command line of /proc as text."""
    return read_proc(path).replace(b"\0", b" ").decode(errors="replace").strip()


def _end(pid: int) -> None:
    """End a process, politely first."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except OSError:
            break
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline and _words(f"/proc/{pid}/cmdline"):
            time.sleep(0.02)
    # Where orphans come to us, what is left of it is ours.
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
