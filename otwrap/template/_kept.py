"""What a tree of templates holds beside templates: files, links and empty folders, kept as they are."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ._checks import Tokens
from ._text_file import BoundTemplate, Source, read_source

__all__ = ["KeptFile", "KeptFolder", "KeptLink", "kept"]


def kept(path: str, folder: str) -> Source:
    """Return a link, a folder or a file of a tree as what it is."""
    if os.path.islink(path):
        return KeptLink(path, folder)
    return KeptFolder(path) if os.path.isdir(path) else KeptFile(path)


class KeptFile(Source):
    """A file that is copied byte for byte. It is read now and not needed later."""

    style = "copy"

    def __init__(self, path: str) -> None:
        self.path = path
        self.content, mode = read_source(Path(path))
        self.mode = mode | stat.S_IWUSR

    def fingerprint(self) -> dict[str, str]:
        return {"style": self.style, "content": hashlib.blake2b(self.content, digest_size=16).hexdigest()}

    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        return _BoundFile(self, inputs, self.content)


class KeptFolder(Source):
    """A folder that is empty."""

    style = "folder"

    def __init__(self, path: str) -> None:
        self.path = path
        self.mode = stat.S_IMODE(os.stat(path).st_mode) | stat.S_IRWXU

    def fingerprint(self) -> dict[str, str]:
        return {"style": self.style}

    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        return _BoundFolder(self, inputs, b"")


class KeptLink(Source):
    """A symbolic link; one that leads out of the folder of the tree becomes absolute."""

    style = "link"

    def __init__(self, path: str, folder: str) -> None:
        self.path = path
        self.mode = 0o777
        # ".." of a link leads to the parent of where its folder really is.
        above = os.path.realpath(os.path.dirname(path))
        goal = os.path.normpath(os.path.join(above, os.readlink(path)))
        self.outside = not Path(goal).is_relative_to(os.path.realpath(folder))
        self.target = goal if self.outside else os.path.relpath(goal, above)

    def fingerprint(self) -> dict[str, str]:
        if self.outside:
            return {"style": self.style, "content": _digest_of(self.target)}
        return {"style": self.style, "target": self.target.replace(os.sep, "/")}

    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        return _BoundLink(self, inputs, os.fsencode(self.target))


class _BoundFile(BoundTemplate):
    """A file whose content is the same for all points."""

    def __init__(self, source: Source, inputs: Sequence[str], content: bytes) -> None:
        super().__init__(source, inputs, ())
        self._content = content

    def render(self, x: Sequence[float]) -> bytes:
        if len(x) != len(self.inputs):
            raise self._wrong_size(x)
        return self._content


class _BoundFolder(_BoundFile):
    """An empty folder."""

    def write(self, x: Sequence[float], destination: str) -> None:
        try:
            os.makedirs(destination, exist_ok=True)
            os.chmod(destination, self.mode)
        except OSError as error:
            raise InputError(f"the folder {destination} cannot be made: {error}") from error


class _BoundLink(_BoundFile):
    """A symbolic link; its content is where it leads."""

    def write(self, x: Sequence[float], destination: str) -> None:
        try:
            os.makedirs(os.path.dirname(destination), exist_ok=True)
            if os.path.islink(destination):
                os.unlink(destination)
            os.symlink(os.fsdecode(self._content), destination)
        except OSError as error:
            raise InputError(f"the link {destination} cannot be made: {error}") from error


def _digest_of(path: str) -> str:
    """Return a hash of a file, or of all files of a folder with their names; empty if nothing is there."""
    if os.path.isfile(path):
        digest = hashlib.blake2b(digest_size=16)
        with open(path, "rb") as file:
            while piece := file.read(2**20):
                digest.update(piece)
        return digest.hexdigest()
    files = sorted(os.path.join(above, name) for above, _, names in os.walk(path) for name in names)
    digests = {os.path.relpath(file, path).replace(os.sep, "/"): _digest_of(file) for file in files}
    return hashlib.blake2b(json.dumps(digests).encode(), digest_size=16).hexdigest() if digests else ""
