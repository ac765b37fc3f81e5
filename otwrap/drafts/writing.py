"""Several files written, all of them or none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["in_the_way", "write_all"]


def in_the_way(folder: Path, names: Mapping[str, object] | list[str]) -> list[str]:
    """Return which files are there already.

    Parameters
    ----------
    folder : Path
        Where they are to be written.
    names : iterable of str
        The files, relative to it.

    Returns
    -------
    names : list of str
    """
    return [name for name in names if os.path.lexists(folder / name)]


def write_all(folder: Path, files: Mapping[str, tuple[bytes, int]]) -> None:
    """Write files; if one of them cannot be written, all is as it was before.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    files : mapping
        Name, relative to it -> content and permissions. A file that is there is replaced.

    Raises
    ------
    OSError
        If one cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> write_all(folder, {"a/b": (b"1", 0o644), "c": (b"2", 0o644)})
    >>> (folder / "a" / "b").read_bytes()
    b'1'
    """
    ours = f".{os.getpid()}.otwrap-new"
    made: list[Path] = []
    staged: list[tuple[Path, Path]] = []
    moved: list[tuple[Path, Path | None]] = []
    try:
        for name, (data, mode) in files.items():
            target = folder / name
            if target.is_dir() and not target.is_symlink():
                raise IsADirectoryError(f"the file {target} cannot be written: a folder is in the way")
            _make_folders(target.parent, made)
            temporary = target.with_name(f"{target.name}{ours}")
            staged.append((temporary, target))
            temporary.write_bytes(data)
            temporary.chmod(mode | 0o600)
        for temporary, target in staged:
            former = target.with_name(f"{target.name}{ours}-former") if os.path.lexists(target) else None
            if former is not None:
                target.rename(former)
            moved.append((target, former))
            temporary.rename(target)
    except BaseException:
        for target, former in reversed(moved):
            if former is None:
                target.unlink(missing_ok=True)
            else:
                former.replace(target)
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)
        for made_folder in reversed(made):
            made_folder.rmdir()
        raise
    for _, former in moved:
        if former is not None:
            former.unlink()


def _make_folders(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it, and note which."""
    missing = [folder, *folder.parents]
    for each in reversed([each for each in missing if not each.exists()]):
        each.mkdir()
        made.append(each)
