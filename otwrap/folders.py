"""Work directories of evaluations, emptied and used again where nothing is kept.

Making and removing a folder for each evaluation costs more than all the rest of its preparation, and
several workers that do so below one folder wait for each other. A work directory whose evaluation
keeps nothing is therefore emptied and serves the next one.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import shutil
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .errors import OutputError
from .files import empty_tree, remove_tree, safemakedirs
from .process import release_folder, watch_folder
from .workdir import expanded, make_folder

__all__ = ["KEEP", "SCRIPT", "WorkFolders", "check_fresh", "file_stamps"]

#: Which work directories stay: those of failed evaluations, all, or none.
KEEP = ("failed", "all", "none")
#: What a kept folder holds to run its evaluation again by hand.
SCRIPT = "reproduce.sh"


class WorkFolders:
    """Hand out isolated folders and take them back.

    Parameters
    ----------
    base : str, optional
        The folder below which they are made; ``~`` and environment variables are expanded where the
        evaluation runs. Default is the system's folder for temporary files.
    prefix : str, optional
        Start of the folders' names. Default is ``"run-"``.
    keep : {"failed", "all", "none"}, optional
        Which ones stay. Default is ``"failed"``.
    keep_files : sequence of str, optional
        Patterns of the files that are kept of good evaluations.
    keep_to : str, optional
        The folder that kept ones move to. Default is where they are.

    Raises
    ------
    ValueError
        If `keep` is something else.

    Examples
    --------
    >>> import os
    >>> folders = WorkFolders()
    >>> folder = folders.take()
    >>> folders.give_back(folder)
    >>> folders.close()
    >>> os.path.exists(folder)
    False
    """

    def __init__(
        self,
        base: str | None = None,
        prefix: str = "run-",
        *,
        keep: str = "failed",
        keep_files: Sequence[str] = (),
        keep_to: str | None = None,
    ) -> None:
        if keep not in KEEP:
            msg = f"keep={keep!r}: accepted are {', '.join(map(repr, KEEP))}"
            raise ValueError(msg)
        self.policy, self.keep_files = keep, tuple(keep_files)
        self.base = base
        self.prefix = prefix
        self.keep_to = keep_to
        self._begin()

    def take(self) -> str:
        """Return the path of an empty folder that nobody else has.

        Returns
        -------
        folder : str

        Raises
        ------
        OSError
            If no folder can be made there.
        """
        while self._spare:
            # A cleaner of temporary files may have taken a spare one away meanwhile.
            folder = self._spare.pop()
            if os.path.isdir(folder):
                return folder
        return make_folder(self.base, self.prefix, announce=watch_folder)

    def settle(
        self,
        folder: str | None,
        number: int | None,
        status: str,
        script: Callable[[], str] | None = None,
    ) -> str | None:
        """Keep a folder, or take it back, as the policy says.

        Parameters
        ----------
        folder : str or None
            What `take` returned, if it came to that.
        number : int or None
            Of the point, for the name of a kept folder.
        status : str
            Of the evaluation. Nothing is kept of a cancelled one: it has not failed, and runs again.
        script : callable, optional
            Returns the text of ``reproduce.sh``; asked only if the folder is kept.

        Returns
        -------
        folder : str or None
            Where it is now; `None` if it was not kept.
        """
        if folder is None:
            return None
        failed = status not in ("done", "cancelled")
        if status != "cancelled" and (self.policy == "all" or (self.policy == "failed" and failed)):
            return _with_script(self.keep(folder, number), script)
        if status == "done" and self.keep_files:
            _prune(folder, self.keep_files)
            return _with_script(self.keep(folder, number), script)
        self.give_back(folder)
        return None

    def give_back(self, folder: str) -> None:
        """Take a folder back of which nothing is kept.

        Parameters
        ----------
        folder : str
            What `take` returned.
        """
        if empty_tree(folder):
            self._spare.append(folder)
        else:
            _remove(folder)

    def keep(self, folder: str, number: int | None = None) -> str:
        """Give a folder that is kept its final name and place.

        Parameters
        ----------
        folder : str
            What `take` returned.
        number : int, optional
            Of the point, which becomes a part of the name.

        Returns
        -------
        folder : str
            Where it is now.
        """
        place, name = os.path.split(folder)
        if self.keep_to is not None:
            place = expanded(self.keep_to)
            safemakedirs(place)
        if number is not None:
            name = f"{self.prefix}{number:06d}-{name[len(self.prefix) :]}"
        final = os.path.join(place, name)
        release_folder(folder)
        if final != folder:
            shutil.move(folder, final)
        return final

    def close(self) -> None:
        """Remove the spare folders."""
        _remove_all(self._spare)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_spare", "_finalizer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def _begin(self) -> None:
        """Start without spare folders, and with the duty to remove them at the end."""
        self._spare: list[str] = []
        self._finalizer = weakref.finalize(self, _remove_all, self._spare)


def _remove_all(folders: list[str]) -> None:
    """Remove spare folders."""
    while folders:
        _remove(folders.pop())


def _remove(folder: str) -> None:
    """Remove a folder that nobody needs any more."""
    remove_tree(folder)
    release_folder(folder)


def _with_script(folder: str, script: Callable[[], str] | None) -> str:
    """Write the script into a folder that is kept, unless the code has a file of that name there."""
    if script is not None:
        # A full disk, which may be what the evaluation failed of, must not cost its record.
        with contextlib.suppress(OSError), open(f"{folder}/{SCRIPT}", "x", encoding="utf-8") as file:
            os.chmod(file.fileno(), 0o755)
            file.write(script())
    return folder


def file_stamps(workdir: str, names: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return time of change and size of the files that exist.

    Parameters
    ----------
    workdir : str
        The folder.
    names : iterable of str
        Files in it.

    Returns
    -------
    stamps : dict of (int, int)
        Nanoseconds and bytes, by name.
    """
    stamps = {}
    for name in names:
        try:
            stat = os.stat(os.path.join(workdir, name))
        except OSError:
            continue
        stamps[name] = (stat.st_mtime_ns, stat.st_size)
    return stamps


def check_fresh(workdir: str, before: Mapping[str, tuple[int, int]]) -> None:
    """Check that files have been written since their stamps were taken.

    Parameters
    ----------
    workdir : str
        The folder.
    before : dict
        What :func:`file_stamps` returned.

    Raises
    ------
    OutputError
        If one is as it was.
    """
    for name, stamp in file_stamps(workdir, before).items():
        if before[name] == stamp:
            msg = (
                f"output file {name!r} is older than the run: it was among the input files and the code "
                f"did not write it, in {workdir}; remove it from files="
            )
            raise OutputError(msg, "failed", "output stale")


def _prune(workdir: str, patterns: Sequence[str]) -> None:
    """Remove the files that no pattern names."""
    for folder, _, names in os.walk(workdir, topdown=False):
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, workdir)
            if not any(fnmatch.fnmatch(relative, pattern) for pattern in patterns):
                os.unlink(path)
        if folder != workdir and not os.listdir(folder):
            remove_tree(folder)
