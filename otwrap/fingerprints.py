"""What identifies a model across machines and days: hashes of contents, never of paths."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping

__all__ = ["difference", "files_fingerprint", "fingerprint"]


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


def difference(stored: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    """Say what differs between two models, and what can be done.

    Parameters
    ----------
    stored, wanted : mapping of str
        Descriptions and fingerprints of the model that a store was made by, and of the one given.

    Returns
    -------
    text : str
        A predicate: the store is to stand before it.
    """
    meaning = {
        "inputs": "the input description",
        "outputs": "the output description",
        "input": "the templates or input files",
        "run": "the command or the declared version of the code",
        "parsers": "the parsers",
    }
    changed = [name for name in wanted if stored.get(name) != wanted[name]]
    details = [
        f"{meaning.get(name, name)} (was {stored.get(name)}, is {wanted[name]})"
        if name in ("inputs", "outputs")
        else meaning.get(name, name)
        for name in changed
    ]
    return (
        f"holds the evaluations of another model: what changed is {', '.join(details)}. "
        "Its numbers may not be those of your model. Give another store, or on_change='rerun' "
        "(--on-change rerun) to keep them as history and run the points again"
    )
