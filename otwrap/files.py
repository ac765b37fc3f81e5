"""Folders and files: made, written whole or not at all, copied or linked, removed."""

# Plain strings, as every evaluation comes through here and a Path costs more than the call it makes.
# ruff: noqa: PTH100, PTH101, PTH103, PTH105, PTH106, PTH108, PTH110, PTH112, PTH116
# ruff: noqa: PTH118, PTH119, PTH120, PTH208, PTH211

from __future__ import annotations

import os
import shutil
import stat
import time
from difflib import get_close_matches
from pathlib import Path

__all__ = ["copy_or_link", "empty_tree", "remove_tree", "safemakedirs", "write_atomic"]

StrPath = str | os.PathLike[str]


def safemakedirs(folder: StrPath) -> None:
    """Make a folder and those above it; do nothing if it is there already.

    Parameters
    ----------
    folder : path
        Several processes may ask for the same one at once.

    Raises
    ------
    FileExistsError, NotADirectoryError
        A file stands where a folder should.

    Examples
    --------
    >>> import os, tempfile
    >>> import otwrap as otw
    >>> folder = os.path.join(tempfile.mkdtemp(), "a", "b")
    >>> otw.safemakedirs(folder)
    >>> otw.safemakedirs(folder)
    >>> os.path.isdir(folder)
    True
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError:
        raise FileExistsError(
            f"the folder {os.fspath(folder)!r} cannot be made: a file of that name is in the way; "
            "move the file or choose another folder"
        ) from None


def write_atomic(path: StrPath, data: bytes | str) -> None:
    """Write a file so that a reader, or a kill, finds the old content or the new, never a part.

    Parameters
    ----------
    path : path
        Its folder must exist. A file that is there keeps its mode; a symbolic link keeps pointing
        to the same file, whose content is replaced. A device or a pipe is written to as it is.
    data : bytes or str
        A `str` is written as UTF-8, its line ends untouched.

    Raises
    ------
    TypeError
        `data` is neither `bytes` nor `str`.
    OSError
        The file cannot be written; nothing has changed then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.files import write_atomic
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "beam.xml"
    >>> write_atomic(path, "<beam/>")
    >>> path.read_text()
    '<beam/>'
    """
    if not isinstance(data, (bytes, str)):
        raise TypeError(f"write_atomic writes bytes or str, not {type(data).__name__}: {path}")
    content = data.encode("utf-8") if isinstance(data, str) else data
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        mode = None
    if mode is not None and not stat.S_ISREG(mode):
        # Renaming a file onto /dev/null would replace the device for the whole machine.
        Path(path).write_bytes(content)
        return
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}-{time.monotonic_ns():x}.tmp"
    try:
        with open(temporary, "xb") as file:
            file.write(content)
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise


def copy_or_link(source: StrPath, destination_folder: StrPath, link: bool = False) -> str:
    """Copy a file or a folder into a folder, under its own name, or link it there.

    Parameters
    ----------
    source : path
        A file or a folder; a slash at the end changes nothing.
    destination_folder : path
        An existing folder.
    link : bool, optional
        A symbolic link rather than a copy, for what is large and only read. Windows copies where
        it does not allow links. Default is false.

    Returns
    -------
    path : str
        The copy or the link.

    Raises
    ------
    FileNotFoundError
        There is no `source`; the message says what is there.
    FileExistsError
        The folder has something of that name already.
    ValueError
        The folder lies inside `source`.

    Examples
    --------
    >>> import os, tempfile
    >>> from otwrap.files import copy_or_link, write_atomic
    >>> here, there = tempfile.mkdtemp(), tempfile.mkdtemp()
    >>> write_atomic(os.path.join(here, "mesh.dat"), "1 2 3")
    >>> os.path.basename(copy_or_link(os.path.join(here, "mesh.dat"), there))
    'mesh.dat'
    """
    origin = os.path.abspath(source)
    if not os.path.exists(origin):
        raise FileNotFoundError(_missing(origin))
    folder = os.path.abspath(destination_folder)
    target = os.path.join(folder, os.path.basename(origin))
    if os.path.lexists(target):
        raise FileExistsError(
            f"{origin!r} cannot be copied to {folder!r}: it has a {os.path.basename(origin)!r} already; "
            "give each file or folder a name of its own"
        )
    if link and _linked(origin, target):
        return target
    if not os.path.isdir(origin):
        shutil.copy2(origin, target)
        return target
    if Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(origin)):
        raise ValueError(
            f"the folder {origin!r} cannot be copied to {folder!r}, which lies inside it; "
            "choose a folder outside, or name the files one by one"
        )
    shutil.copytree(origin, target)
    return target


def _linked(origin: str, target: str) -> bool:
    """Try a symbolic link; Windows needs a privilege for it."""
    try:
        os.symlink(origin, target, target_is_directory=os.path.isdir(origin))
    except OSError:
        if os.name != "nt":
            raise
        return False
    return True


def _missing(path: str) -> str:
    """Say that a path is missing, and what is there instead."""
    parent, name = os.path.split(path)
    if not os.path.isdir(parent):
        return f"there is no {path!r}: there is no folder {parent!r} either; check the path"
    names = sorted(os.listdir(parent))
    near = get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(names[:10]) + (f", ... ({len(names)} in all)" if len(names) > 10 else "")
    return f"there is no {name!r} in {parent!r}, which has: {shown or 'nothing'}{hint}"


def remove_tree(path: StrPath) -> None:
    """Remove a folder with all it has, or a file, or a link; fine if it is not there.

    Parameters
    ----------
    path : path
        What is read-only is removed too, if it is ours. Links are removed, not followed.

    Raises
    ------
    OSError
        Something could not be removed, by its name.

    Notes
    -----
    Made for many small work directories: no more calls than one per entry, a scan and an `rmdir`.

    Examples
    --------
    >>> import os, tempfile
    >>> from otwrap.files import remove_tree
    >>> folder = tempfile.mkdtemp()
    >>> remove_tree(folder)
    >>> remove_tree(folder)
    >>> os.path.exists(folder)
    False
    """
    folder = os.fspath(path)
    try:
        if not _is_folder(folder):
            _unlink(folder)
            return
    except FileNotFoundError:
        return
    # A process that is just ending may still write a file between our scan and our rmdir.
    for pause in (0.0, 0.01, 0.1, None):
        try:
            _remove_entries(folder)
            _rmdir(folder)
            return
        except FileNotFoundError:
            return
        except OSError:
            if pause is None:
                raise
            time.sleep(pause)


def empty_tree(path: StrPath) -> bool:
    """Remove all that a folder has, and keep the folder.

    Parameters
    ----------
    path : path
        The folder.

    Returns
    -------
    empty : bool
        Whether it is there and really is empty now. Nothing is raised.

    Examples
    --------
    >>> import os, tempfile
    >>> from otwrap.files import empty_tree
    >>> folder = tempfile.mkdtemp()
    >>> os.mkdir(os.path.join(folder, "a"))
    >>> empty_tree(folder), os.listdir(folder)
    (True, [])
    """
    folder = os.fspath(path)
    try:
        _remove_entries(folder)
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False


def _is_folder(path: str) -> bool:
    """Whether a path is a folder and no link."""
    return stat.S_ISDIR(os.lstat(path).st_mode)


def _remove_entries(folder: str) -> None:
    """Remove what a folder has."""
    try:
        with os.scandir(folder) as found:
            entries = list(found)
    except PermissionError:
        os.chmod(folder, stat.S_IRWXU)
        with os.scandir(folder) as found:
            entries = list(found)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            _remove_entries(entry.path)
            _rmdir(entry.path)
        else:
            _unlink(entry.path)


def _unlink(path: str) -> None:
    """Remove a file, even from a read-only folder or, on Windows, a read-only file."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    except PermissionError:
        _allow(path)
        os.unlink(path)


def _rmdir(path: str) -> None:
    """Remove an empty folder, even from a read-only one."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except PermissionError:
        _allow(path)
        os.rmdir(path)


def _allow(path: str) -> None:
    """Make the folder of a path writable; Windows looks at the file itself."""
    os.chmod(os.path.dirname(path) or ".", stat.S_IRWXU)
    if os.name == "nt":
        os.chmod(path, stat.S_IRWXU)
