"""The user's own modules that a model is made of, for nodes that do not see the user's folders."""

from __future__ import annotations

import os
import pickletools
import shutil
import site
import sys
import sysconfig
from pathlib import Path

__all__ = ["copy_sources", "modules_of"]

#: Modules that are there wherever otwrap is.
_EVERYWHERE = {"otwrap", "__main__", "__mp_main__"}


def copy_sources(payload: bytes, folder: Path) -> list[str]:
    """Copy the user's modules that a payload names, and those of the same folders that are loaded.

    Parameters
    ----------
    payload : bytes
        Of :func:`otwrap.payload.dump_payload`.
    folder : Path
        Made if there is something to copy; it is to be on the path of who loads the payload.

    Returns
    -------
    names : list of str
        What was copied, relative to `folder`.
    """
    copied = []
    for name, source in modules_of(payload).items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        copied.append(name)
    return copied


def modules_of(payload: bytes) -> dict[str, str]:
    """Return the user's modules that a payload needs: those that are not installed.

    Parameters
    ----------
    payload : bytes
        Of :func:`otwrap.payload.dump_payload`.

    Returns
    -------
    modules : dict of str
        Path below a folder of the import path -> where the file is.

    Examples
    --------
    >>> from otwrap.payload import dump_payload
    >>> modules_of(dump_payload(dict))
    {}
    """
    named = {str(argument) for _, argument, _ in pickletools.genops(payload) if isinstance(argument, str)}
    named = {part for name in named for part in name.split(" ")}
    roots = {_root(name) for name in named & sys.modules.keys() if _is_users(name)}
    # What they import from beside themselves: only what is loaded can be known.
    loaded = {name for name in sys.modules if _is_users(name) and _root(name) in roots}
    return {_place(name): str(_file(name)) for name in sorted(loaded)}


def _file(name: str) -> str | None:
    """Return the source file of a module that is loaded."""
    file = getattr(sys.modules.get(name), "__file__", None)
    return os.path.abspath(file) if isinstance(file, str) and file.endswith(".py") else None


def _is_users(name: str) -> bool:
    """Whether a module is the user's own."""
    top = name.partition(".")[0]
    file = _file(name)
    return file is not None and top not in _EVERYWHERE and not file.startswith(_INSTALLED)


def _place(name: str) -> str:
    """Return where a module's file belongs below a folder of the import path."""
    parts = name.split(".")
    if os.path.basename(_file(name) or "") == "__init__.py":
        return os.path.join(*parts, "__init__.py")
    return os.path.join(*parts[:-1], parts[-1] + ".py")


def _root(name: str) -> str:
    """Return the folder of the import path that a module was found in."""
    file, place = _file(name) or "", _place(name) if _file(name) else ""
    return file[: -len(place)] if place and file.endswith(place) else os.path.dirname(file)


#: Where the interpreter's and all installed modules are.
_INSTALLED = tuple(
    {
        os.path.abspath(path) + os.sep
        for path in (
            *sysconfig.get_paths().values(),
            *(site.getsitepackages() if hasattr(site, "getsitepackages") else ()),
            site.getusersitepackages(),
        )
        if path and path != sys.prefix
    }
    - {os.path.abspath(sys.prefix) + os.sep}
)
