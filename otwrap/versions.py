"""What driver and workers must have in common, and how they differ."""

from __future__ import annotations

import os
import platform
import socket
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

__all__ = ["difference", "hello"]

#: Of these a difference changes how models travel; of openturns, only warnings are due.
_PACKAGES = ("otwrap", "openturns", "dill")


def hello() -> dict[str, str]:
    """Return what a worker says of itself first.

    Returns
    -------
    hello : dict of str
        Host, process, and the versions of Python and of the packages that matter.

    Examples
    --------
    >>> sorted(hello())
    ['dill', 'host', 'openturns', 'otwrap', 'pid', 'python']
    """
    said = {
        "host": socket.gethostname(),
        "pid": str(os.getpid()),
        "python": ".".join(platform.python_version_tuple()[:2]),
    }
    for package in _PACKAGES:
        try:
            said[package] = version(package)
        except PackageNotFoundError:
            said[package] = "not installed"
    return said


def difference(theirs: Mapping[str, str], ours: Mapping[str, str]) -> str:
    """Return in which versions a worker differs from the driver.

    Parameters
    ----------
    theirs, ours : dict of str
        What :func:`hello` returned there and here.

    Returns
    -------
    difference : str
        Empty if there is none.

    Examples
    --------
    >>> difference({"python": "3.10", "host": "a"}, {"python": "3.11", "host": "b"})
    'python 3.10 there, 3.11 here'
    """
    return "; ".join(
        f"{name} {theirs.get(name)} there, {ours[name]} here"
        for name in ("python", *_PACKAGES)
        if name in ours and theirs.get(name) != ours[name]
    )
