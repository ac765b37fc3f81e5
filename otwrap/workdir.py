"""Temporary work directories, and a current directory for each thread."""

# Plain strings, as folders.py and the wrapped codes take them.
# ruff: noqa: PTH100, PTH109, PTH111, PTH112, PTH118, PTH119, PTH120

from __future__ import annotations

import os
import re
import socket
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from .files import copy_or_link, remove_tree, safemakedirs

__all__ = ["TempWorkDir", "current_directory", "expanded", "make_folder", "own_current_directory"]

StrPath = str | os.PathLike[str]

_CLONE_FS = 0x200
_NOT_GIVEN: Any = object()

_guard = threading.Lock()
_own = threading.local()


class _SharedDirectory:
    """Who has moved the current directory that all threads without one of their own share."""

    def __init__(self) -> None:
        self.thread = 0
        self.name = ""
        self.path = ""
        self.depth = 0

    def take(self, path: str) -> None:
        """Take it for this thread, or tell who has it."""
        me = threading.current_thread()
        with _guard:
            if self.depth and self.thread != me.ident:
                raise RuntimeError(
                    f"TempWorkDir: thread {me.name!r} asks for a current directory while thread "
                    f"{self.name!r} is in {self.path!r}, and this system has but one for both. Use "
                    "TempWorkDir(chdir=False) and the path that the `with` yields (a step of a Wrapper: "
                    "its `workdir` argument), or the backend 'multiprocessing'"
                )
            self.thread, self.name, self.path = me.ident or 0, me.name, path
            self.depth += 1

    def give_back(self) -> None:
        """Leave it to the next thread."""
        with _guard:
            self.depth = max(self.depth - 1, 0)

    def after_fork(self) -> None:
        """Forget the threads that the child does not have."""
        global _guard
        _guard = threading.Lock()
        if self.thread != threading.get_ident():
            self.depth = 0


_shared = _SharedDirectory()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_shared.after_fork)


def own_current_directory() -> bool:
    """Give this thread a current directory of its own, if the system can.

    Linux can, without privileges, unless a container forbids it. What the thread starts, processes
    and threads, has its current directory. The main thread never leaves the directory of the process.

    Returns
    -------
    own : bool
        Whether the thread has one now. It is tried once a thread.

    Examples
    --------
    >>> from otwrap.workdir import own_current_directory
    >>> own_current_directory()  # the main thread
    False
    """
    if threading.current_thread() is threading.main_thread():
        return False
    if getattr(_own, "process", None) != os.getpid():
        _own.process = os.getpid()
        _own.success = _unshare()
    return bool(_own.success)


def _unshare() -> bool:
    """Ask the system to no longer share the current directory of this thread."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    try:
        return bool(ctypes.CDLL(None).unshare(_CLONE_FS) == 0)
    except (OSError, AttributeError):
        return False


class current_directory:  # noqa: N801 - used as a function
    """Make a folder the current directory inside a ``with`` block, of this thread only where that can be had.

    Parameters
    ----------
    folder : path
        An existing folder.

    Raises
    ------
    RuntimeError
        On entry, another thread is in a folder and this system has one current directory for all.

    Examples
    --------
    >>> import os
    >>> with current_directory(os.sep):
    ...     os.getcwd() == os.sep
    True
    """

    def __init__(self, folder: StrPath) -> None:
        self.folder = os.fspath(folder)
        self._former = os.path.sep
        self._shared = False

    def __enter__(self) -> None:
        self._shared = not own_current_directory()
        if self._shared:
            _shared.take(self.folder)
        try:
            self._former = os.getcwd()
            os.chdir(self.folder)
        except BaseException:
            if self._shared:
                _shared.give_back()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            os.chdir(self._former)
        except OSError:
            there = self._former
            while not os.path.isdir(there):
                there = os.path.dirname(there)
            os.chdir(there)
            warnings.warn(
                f"the former directory {self._former!r} is gone; the current one is now {there!r}",
                RuntimeWarning,
                stacklevel=4,
            )
        finally:
            if self._shared:
                _shared.give_back()


class TempWorkDir:
    """An isolated folder, made on entry of a ``with`` block, which yields its path.

    Parameters
    ----------
    base_temp_work_dir : path, optional
        The folder in which it is made; ``~`` and environment variables are expanded on entry, and
        it is made if missing. Default is the system's folder for temporary files.
    prefix : str, optional
        Start of the folder's name. Default is ``"run-"``.
    cleanup : bool, optional
        Whether the folder is removed at the end, whatever was raised. Default is false.
    transfer : path or list of path, optional
        Files and folders to copy into it. Relative ones are meant from the current directory of
        the moment of entry.
    chdir : bool, optional
        Whether the folder is the current directory inside the block; the former one is so again
        after it, whatever was raised. Default is true, and false in a call with `dir`.
    dir : path, optional
        As `base_temp_work_dir`, and `chdir` is false by default: the way of otwrapy 0.13.
    link : bool, optional
        Link what `transfer` names, rather than copy it. Default is false.

    Attributes
    ----------
    dirname : str or None
        The absolute path of the folder, from the first entry on.

    Raises
    ------
    TypeError, ValueError
        A parameter is wrong.
    OSError
        On entry, the folder cannot be made or `transfer` not be copied; nothing is left behind.
    RuntimeError
        On entry, the object is inside its ``with`` block already, or another thread is in a work
        directory and this system has one current directory for all threads of a process.

    Notes
    -----
    With `chdir`, a thread other than the main one gets a current directory of its own first, see
    :func:`own_current_directory`, so that threads do not write into each other's folders.

    Examples
    --------
    >>> import os
    >>> import otwrap as otw
    >>> with otw.TempWorkDir(prefix="run-", cleanup=True) as path:
    ...     os.path.samefile(path, os.getcwd())
    True
    >>> os.path.exists(path)
    False
    """

    def __init__(
        self,
        base_temp_work_dir: StrPath | None = None,
        prefix: str = "run-",
        cleanup: bool = False,
        transfer: StrPath | Iterable[StrPath] | None = None,
        chdir: bool | None = None,
        *,
        dir: StrPath | None = _NOT_GIVEN,
        link: bool = False,
    ) -> None:
        old_style = dir is not _NOT_GIVEN
        if old_style and base_temp_work_dir is not None:
            warnings.warn(
                "TempWorkDir(dir=..., base_temp_work_dir=...): give one of them; base_temp_work_dir counts",
                DeprecationWarning,
                stacklevel=2,
            )
        elif old_style:
            base_temp_work_dir = dir
        if os.path.basename(prefix) != prefix:
            raise ValueError(f"prefix is the start of a folder's name, without slashes, not {prefix!r}")
        self.base = None if base_temp_work_dir is None else os.fspath(base_temp_work_dir)
        self.prefix = prefix
        self.cleanup = cleanup
        self.transfer = _paths(transfer)
        self.chdir = (not old_style) if chdir is None else bool(chdir)
        self.link = link
        self.dirname: str | None = None
        self._place: current_directory | None = None
        self._inside = False

    def __enter__(self) -> str:
        with _guard:
            if self._inside:
                raise RuntimeError(
                    f"this TempWorkDir is in use already, for {self.dirname!r}; "
                    "make another one for a block inside the block, or in another thread"
                )
            self._inside = True
        try:
            folder = make_folder(self.base, self.prefix)
            try:
                for path in self.transfer:
                    copy_or_link(path, folder, link=self.link)
                if self.chdir:
                    self._place = current_directory(folder)
                    self._place.__enter__()
            except BaseException:
                remove_tree(folder)
                raise
        except BaseException:
            self._inside = False
            raise
        self.dirname = folder
        return folder

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if self._place is not None:
                self._place.__exit__(kind, error, traceback)
        finally:
            self._inside = False
            self._place = None
            if self.cleanup and self.dirname is not None:
                _clean(self.dirname)


def make_folder(base: str | None, prefix: str, announce: Callable[[str], None] | None = None) -> str:
    """Make a folder that nobody else has.

    Parameters
    ----------
    base : str or None
        The folder in which it is made, itself made if missing; ``~`` and environment variables are
        expanded. `None` is the system's folder for temporary files.
    prefix : str
        Start of its name.
    announce : callable, optional
        Told the path before the folder is made, so that it can be removed whatever happens then.

    Returns
    -------
    folder : str
        Its absolute path.

    Raises
    ------
    OSError
        If it cannot be made.
    ValueError
        If an environment variable in `base` is not set here.
    """
    place = os.path.abspath(tempfile.gettempdir()) if base is None else expanded(base)
    while True:
        # With so many letters, a name that somebody else has is never seen.
        folder = f"{place}{os.sep}{prefix}{os.urandom(6).hex()}"
        if announce is not None:
            announce(folder)
        try:
            os.mkdir(folder, 0o700)
        except FileNotFoundError:
            safemakedirs(place)
        except FileExistsError:
            continue
        else:
            return folder


def _paths(transfer: StrPath | Iterable[StrPath] | None) -> list[str]:
    """What to transfer, as a list of paths."""
    if transfer is None:
        return []
    if isinstance(transfer, (str, os.PathLike)):
        return [os.fspath(transfer)]
    return [os.fspath(path) for path in transfer]


def expanded(base: str) -> str:
    """Return a folder's absolute path with environment variables and ~ written out.

    Parameters
    ----------
    base : str
        As given.

    Returns
    -------
    path : str

    Raises
    ------
    ValueError
        If an environment variable in it is not set here.
    """
    path = os.path.expandvars(os.path.expanduser(base))
    unknown = re.search(r"\$(\w+|\{[^}]*\})", path)
    if unknown and not os.path.isdir(path):
        raise ValueError(
            f"base_temp_work_dir {base!r}: the environment variable {unknown[0]} is not set on "
            f"{socket.gethostname()}; set it, or give a folder that is there"
        )
    return os.path.abspath(path)


def _clean(folder: str) -> None:
    """Remove the folder; one that stays is no reason to lose what was computed in it."""
    try:
        remove_tree(folder)
    except OSError as error:
        warnings.warn(
            f"the work directory {folder!r} could not be removed: {error}", RuntimeWarning, stacklevel=3
        )
