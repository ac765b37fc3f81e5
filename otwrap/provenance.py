"""Who made the records of a store: versions, machine, user, and the commit of the model's folder."""

from __future__ import annotations

import inspect
import os
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["git_commit", "provenance", "source_folder", "told"]

_PACKAGES = ("otwrap", "openturns", "numpy")


def provenance(folder: str | os.PathLike[str] | None = None) -> dict[str, str]:
    """Return who would make a record now.

    Parameters
    ----------
    folder : path, optional
        Where the model's source is, see :func:`source_folder`. Default is the folder of the running script,
        or the current one.

    Returns
    -------
    provenance : dict of str
        Versions by package and ``python``, ``host``, ``user``, and ``commit``; what is not known is left out.
        Never a path.

    Examples
    --------
    >>> sorted({"otwrap", "python", "host"} - set(provenance()))
    []
    """
    made = {**_machine(), "commit": git_commit(_script_folder() if folder is None else folder)}
    return {name: value for name, value in made.items() if value}


@lru_cache(maxsize=1)
def _machine() -> dict[str, str]:
    """Return what does not change while a process runs."""
    import getpass
    import platform
    from importlib.metadata import PackageNotFoundError, version

    made = {}
    for package in _PACKAGES:
        try:
            made[package] = version(package)
        except PackageNotFoundError:
            made[package] = "unknown"
    made |= {"python": platform.python_version(), "host": platform.node()}
    try:
        made["user"] = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may have no name for its user
        made["user"] = ""
    return made


def source_folder(model: Any) -> str | None:
    """Return the folder of the file that defines a model, or of its first template.

    Parameters
    ----------
    model : object
        An instance, of a class of the user or of otwrap's own.

    Returns
    -------
    folder : str or None
        `None` if neither says where it comes from.

    Examples
    --------
    >>> import openturns as ot
    >>> source_folder(ot.SymbolicFunction(["x"], ["2 * x"])) is None
    True
    """
    cls = type(model)
    if cls.__module__.partition(".")[0] not in ("openturns", "otwrap", "builtins"):
        try:
            return os.path.dirname(os.path.abspath(inspect.getfile(cls)))
        except (OSError, TypeError):
            return None
    templates = getattr(model, "templates", None)
    if isinstance(templates, dict) and templates:
        path = getattr(next(iter(templates.values())), "path", None)
        return os.path.dirname(path) if isinstance(path, str) else None
    return None


def _script_folder() -> str:
    """Return the folder of the running script, or the current one."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    return os.path.dirname(os.path.abspath(script)) if script else os.getcwd()


def git_commit(folder: str | os.PathLike[str]) -> str:
    """Return the commit that is checked out where a folder is, by reading Git's files only.

    No program is started: a folder of a stranger may say what Git is to run. Whether there are changes that
    were not committed is not looked at; the fingerprints of a model tell changed contents.

    Parameters
    ----------
    folder : path
        In the working tree of a repository, or not.

    Returns
    -------
    commit : str
        In hexadecimal digits; empty where there is none, or where it cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> git_commit(tempfile.mkdtemp())
    ''
    """
    try:
        above = Path(folder).absolute()
        git = next((p / ".git" for p in (above, *above.parents) if (p / ".git").exists()), None)
        return "" if git is None else _head(_git_folder(git))
    except (OSError, ValueError):
        return ""


def _git_folder(git: Path) -> Path:
    """Return where Git's files are: work trees and submodules have a file that says it."""
    if git.is_dir():
        return git
    return git.parent / git.read_text(encoding="utf-8").partition("gitdir:")[2].strip()


def _head(git: Path) -> str:
    """Return the commit of HEAD."""
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return _digits(head)
    name = head.partition(":")[2].strip()
    common = git / "commondir"
    folders = [git]
    if common.exists():
        folders.append(git / common.read_text(encoding="utf-8").strip())
    for place in folders:
        if (place / name).is_file():
            return _digits((place / name).read_text(encoding="utf-8").strip())
        if (place / "packed-refs").is_file():
            for line in (place / "packed-refs").read_text(encoding="utf-8").splitlines():
                commit, _, packed = line.partition(" ")
                if packed == name:
                    return _digits(commit)
    return ""


def _digits(text: str) -> str:
    """Return a text if it is a hash."""
    return text if len(text) >= 40 and set(text) <= set("0123456789abcdef") else ""


def told(made: dict[str, str]) -> str:
    """Return a provenance in words.

    Parameters
    ----------
    made : dict of str
        What :func:`provenance` returned.

    Returns
    -------
    text : str

    Examples
    --------
    >>> told({"otwrap": "0.1.0", "python": "3.11.2", "user": "ada", "host": "engine", "commit": "ab" * 20})
    'otwrap 0.1.0, Python 3.11.2, by ada on engine, commit abababababab'
    """
    parts = [f"{name} {made[name]}" for name in _PACKAGES if name in made]
    if "python" in made:
        parts.append(f"Python {made['python']}")
    person = f"by {made['user']} " if "user" in made else ""
    if "host" in made:
        parts.append(f"{person}on {made['host']}")
    if "commit" in made:
        parts.append(f"commit {made['commit'][:12]}")
    return ", ".join(parts)
