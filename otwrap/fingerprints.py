"""What identifies a model across machines and days: hashes of contents, never of paths."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable

__all__ = ["files_fingerprint", "fingerprint"]


def fingerprint(content: object) -> str:
    """Return a short hash of anything that JSON can say.

    Parameters
    ----------
    content : object
        Made of dicts, lists, strings, numbers and `None`.

    Returns
    -------
    fingerprint : str
        32 hexadecimal digits, the same on every machine.

    Examples
    --------
    >>> fingerprint({"a": 1}) == fingerprint({"a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def files_fingerprint(paths: Iterable[str]) -> dict[str, str]:
    """Return a hash of the content of each file, and of each file of a folder.

    Parameters
    ----------
    paths : iterable of str
        Files and folders.

    Returns
    -------
    fingerprints : dict of str
        By name relative to the folder that holds the path.
    """
    found = {}
    for path in paths:
        parent = os.path.dirname(os.path.abspath(path))
        for file in _files_below(path):
            with open(file, "rb") as stream:
                found[os.path.relpath(file, parent)] = hashlib.blake2b(
                    stream.read(), digest_size=16
                ).hexdigest()
    return found


def _files_below(path: str) -> list[str]:
    """Return the path itself, or all files of a folder."""
    if not os.path.isdir(path):
        return [path]
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)
