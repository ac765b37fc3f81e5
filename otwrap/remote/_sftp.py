"""Files there and back by SFTP, with the package asyncssh, where there is no rsync."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from posixpath import dirname, join
from typing import Any

from ..errors import SchedulerError
from ._carrier import Carrier, no_space
from ._connection import Connection
from ._sides import EARLIER, EXIT_CODE, PRIVATE, TIMES, Entry, Tree, differs, is_safe_link, validated
from ._ssh import LineBroken
from .places import Place

__all__ = ["Sftp"]

#: Bytes that are asked for at a time; at most so many come again after the line broke.
_CHUNK = 1 << 20
#: Files, or folders, that are worked on at a time.
_AT_A_TIME = 8
#: Seconds: files changed so shortly before may change once more without looking different.
_JUST_NOW = 2.0


class Sftp(Carrier):
    """A connection by SFTP.

    Parameters
    ----------
    place : Place
        Where to, or from.
    ssh_config : str or None
        Configuration of ssh instead of the user's.
    moved : dict of int
        Taken for the attribute.
    """

    way = "sftp"

    def __init__(self, place: Place, ssh_config: str | None, moved: dict[str, int]) -> None:
        super().__init__(moved)
        self.place = place
        #: How the name begins of what has gone there of a file -> where that is.
        self._parts: dict[str, list[str]] = {}
        self._connection = Connection(place, ssh_config)
        self._do, self._client, self._ssh = self._connection.do, self._connection.client, self._connection.ssh

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    # What is there.

    def read(self, name: str) -> bytes | None:
        """Return the content of a small file; `None` if it is not there."""

        async def content() -> bytes | None:
            try:
                async with self._client.open(self._path(name), "rb") as file:
                    return bytes(await file.read())
            except self._ssh.SFTPNoSuchFile:
                return None

        return self._do(content())

    def has_folder(self) -> bool:
        """Whether the folder is there."""
        return bool(self._do(self._client.isdir(self.place.directory)))

    def make_folder(self) -> None:
        """Make the folder, and those above it."""
        self._do(self._client.makedirs(self.place.directory, exist_ok=True))

    def _path(self, name: str) -> str:
        """Return the path there of a name in the folder."""
        return join(self.place.directory, name)

    def marks(self) -> Tree:
        """Return the results that are there."""
        return self._do(self._marks())

    async def _marks(self) -> Tree:
        """Look at the files that may be results, without a look at the others."""
        top, jobs = await self._read("."), await self._read("jobs")
        points = [name for name in top if name.startswith("point-")]
        names = [f"{point}/{name}" for point in points for name in (EXIT_CODE, TIMES)]
        names += [f"jobs/{job}/id" for job in jobs]
        found: Tree = {}

        async def look(name: str) -> None:
            with contextlib.suppress(self._ssh.SFTPNoSuchFile, self._ssh.SFTPNoSuchPath):
                found[name] = _entry(await self._client.lstat(self._path(name)))

        await _each(names, look, 8 * _AT_A_TIME)
        found |= {f"{EARLIER}/{name}": entry for name, entry in (await self._read(EARLIER)).items()}
        for job in jobs:
            folder = f"jobs/{job}/records"
            found |= {f"{folder}/{name}": entry for name, entry in (await self._read(folder)).items()}
        return validated(found, self.place)

    def tree(self) -> Tree:
        """Return all that is there."""
        return validated(self._do(self._tree()), self.place)

    async def _tree(self) -> Tree:
        """Read the folders, some at a time, each as it is found."""
        found: Tree = {}
        level = [""]
        while level:
            below: list[str] = []

            async def read(folder: str, below: list[str] = below) -> None:
                for name, entry in (await self._read(folder or ".")).items():
                    path = join(folder, name)
                    if name.startswith(PRIVATE):
                        self._parts.setdefault(name[: len(_stem(""))], []).append(self._path(path))
                        continue
                    if entry.kind == "link":
                        entry = await self._followed(path)
                    if entry.kind in ("file", "link", "folder"):
                        found[path] = entry
                    if entry.kind == "folder":
                        below.append(path)

            await _each(level, read, _AT_A_TIME)
            # Links that lead round and round end somewhere.
            level = [path for path in below if path.count("/") < 40]
        return dict(sorted(found.items()))

    async def _read(self, folder: str) -> Tree:
        """Return what a folder has; nothing if it is not there."""
        try:
            names = await self._client.readdir(self._path(folder))
        except (self._ssh.SFTPNoSuchFile, self._ssh.SFTPNoSuchPath):
            return {}
        except self._ssh.SFTPPermissionDenied as error:
            self.problems.append(f"{folder}: {error}")
            return {}
        return {str(one.filename): _entry(one.attrs) for one in names if one.filename not in (".", "..")}

    async def _followed(self, path: str) -> Entry:
        """Return what a link is: a link if it stays in the folder, else what it leads to."""
        try:
            target = str(await self._client.readlink(self._path(path)))
            if is_safe_link(path, target):
                return Entry("link", target=target)
            return _entry(await self._client.stat(self._path(path)))
        except (self._ssh.SFTPNoSuchFile, self._ssh.SFTPNoSuchPath, self._ssh.SFTPFailure):
            return Entry("nothing")

    # What comes here.

    def fetch(self, wanted: Tree, folder: Path, into: Path) -> None:
        """Bring files into a folder that is `folder` or lies in it."""

        async def bring(path: str) -> None:
            await self._bring(path, wanted[path], into / path)

        self._do(_each(wanted, self._careful(bring), _AT_A_TIME))

    def _careful(self, work: Callable[[str], Awaitable[None]]) -> Callable[[str], Awaitable[None]]:
        """Return work on a file whose refusal does not keep the others from coming."""
        ssh = self._ssh

        async def tried(path: str) -> None:
            try:
                await work(path)
            except (ssh.SFTPNoSuchFile, ssh.SFTPNoSuchPath):
                pass  # gone by now
            except (ssh.SFTPPermissionDenied, ssh.SFTPFailure) as error:
                self.problems.append(f"{path}: {error}")

        return tried

    async def _bring(self, path: str, entry: Entry, target: Path) -> None:
        """Bring a file; what is there of it by now has come from the same version."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(_part_name(path, entry))
        for other in target.parent.glob(f"{_stem(path)}*"):
            if other != part:
                other.unlink()
        if entry.kind == "link":
            part.unlink(missing_ok=True)
            part.symlink_to(entry.target)
        else:
            await self._bring_content(path, entry, part)
        os.replace(part, target)
        if entry.kind == "file":
            self.moved[path] = entry.size

    async def _bring_content(self, path: str, entry: Entry, part: Path) -> None:
        """Bring the content of a file, from where the part of it ends."""
        async with self._client.open(self._path(path), "rb") as source:
            with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
                offset = _resumed(os.fstat(file.fileno()).st_size, entry.size)
                file.truncate(offset)
                file.seek(offset)
                while offset < entry.size:
                    content = await source.read(min(_CHUNK, entry.size - offset), offset)
                    if not content:
                        break
                    file.write(content)
                    file.flush()
                    offset += len(content)
        if entry.mode & stat.S_IXUSR:
            part.chmod(part.stat().st_mode | stat.S_IXUSR)
        os.utime(part, (entry.mtime, entry.mtime))

    # What goes there.

    def send(self, folder: Path, tree: Tree, ours: Sequence[str], either: Sequence[str]) -> None:
        """Send files and make folders; `either` unless there is a newer one."""
        self._do(self._send(folder, tree, ours, either))

    async def _send(self, folder: Path, tree: Tree, ours: Sequence[str], either: Sequence[str]) -> None:
        """Compare, make the folders, send the files."""
        there, now = await self._tree(), time.time()

        def is_needed(path: str, entry: Entry) -> bool:
            known = there.get(path)
            return differs(entry, known) or (entry.kind == "file" and entry.mtime > now - _JUST_NOW)

        needed = [path for path in ours if is_needed(path, tree[path])]
        for path in either:
            known = there.get(path)
            newer_there = known is not None and known.mtime > tree[path].mtime
            if is_needed(path, tree[path]) and not newer_there:
                needed.append(path)
        files = [path for path in needed if tree[path].kind != "folder"]
        folders = {path for path in needed if tree[path].kind == "folder"}
        for path in files:
            while path := dirname(path):
                folders.add(path)
        for path in sorted(folders - {path for path, entry in there.items() if entry.kind == "folder"}):
            await self._client.mkdir(self._path(path))

        async def send(path: str) -> None:
            await self._send_one(path, tree[path], folder / path)

        await _each(files, send, _AT_A_TIME)

    def put_aside(self, runs: Sequence[str]) -> None:
        """Put folders of points aside that were put aside here."""

        async def put(run: str) -> None:
            point, aside = self._path(run.rpartition("-")[0]), self._path(f"{EARLIER}/{run}")
            if await self._client.lexists(aside):
                return
            if await self._client.lexists(point):
                await self._client.rename(point, aside)
            else:
                await self._client.mkdir(aside)

        async def put_all() -> None:
            await self._client.makedirs(self._path(EARLIER), exist_ok=True)
            # One after the other: of two runs of a point, the first one is the folder that is there.
            await _each(runs, put, 1)

        if runs:
            self._do(put_all())

    async def _send_one(self, path: str, entry: Entry, source: Path) -> None:
        """Send a file or a link; it gets its name when it is whole."""
        part = self._path(join(dirname(path), _part_name(path, entry, source)))
        if entry.kind == "link":
            with contextlib.suppress(self._ssh.SFTPNoSuchFile):
                await self._client.remove(part)
            await self._client.symlink(entry.target, part)
        else:
            try:
                await self._send_content(entry, source, part, part in self._parts.get(_stem(path), []))
            except self._ssh.SFTPFailure as error:
                raise await self._refused(path, error) from None
        await self._rename(part, self._path(path))
        if entry.kind == "file":
            self.moved[path] = entry.size
        for other in self._parts.pop(_stem(path), []):
            if other != part:
                with contextlib.suppress(self._ssh.SFTPNoSuchFile):
                    await self._client.remove(other)

    async def _send_content(self, entry: Entry, source: Path, part: str, begun: bool) -> None:
        """Send the content of a file, from where the part of it there ends."""
        ssh = self._ssh
        attributes = ssh.SFTPAttrs(permissions=0o666 | (entry.mode & 0o111))
        flags = ssh.FXF_WRITE | ssh.FXF_CREAT
        with source.open("rb") as file:
            before = os.fstat(file.fileno())
            async with self._client.open(part, flags, attributes, encoding=None) as target:
                offset = _resumed((await target.stat()).size or 0, before.st_size) if begun else 0
                file.seek(offset)
                while content := file.read(_CHUNK):
                    await target.write(content, offset)
                    offset += len(content)
                await target.utime((entry.mtime, entry.mtime))
            after = os.fstat(file.fileno())
        if (before.st_mtime_ns, offset) != (after.st_mtime_ns, after.st_size):
            raise LineBroken(f"{source} was changed while it was sent")

    async def _rename(self, old: str, new: str) -> None:
        """Give a file its name in the place of a former one; not all servers do that in one step."""
        ssh = self._ssh
        try:
            await self._client.posix_rename(old, new)
        except ssh.SFTPOpUnsupported:
            with contextlib.suppress(ssh.SFTPNoSuchFile):
                await self._client.remove(new)
            await self._client.rename(old, new)

    async def _refused(self, path: str, error: Exception) -> SchedulerError:
        """Return the error for a file that the server does not take; it does not say why."""
        free = None
        with contextlib.suppress(self._ssh.Error):
            vfs = await self._client.statvfs(self.place.directory)
            free = vfs.bavail * vfs.frsize
        if free is not None and free < _CHUNK:
            return no_space(str(self.place), f"{path}: {free} bytes are free")
        return SchedulerError(
            f"{self.place} does not take {path} ({error}): is there a quota, or a limit on files?"
        )


def _entry(attributes: Any) -> Entry:
    """Return an entry from the attributes that SFTP tells."""
    mode = attributes.permissions or 0
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link"}
    size, mtime = attributes.size or 0, attributes.mtime or 0
    return Entry(kinds.get(stat.S_IFMT(mode), "nothing"), size, int(mtime), stat.S_IMODE(mode))


def _stem(path: str) -> str:
    """Return how the name begins of what has come of a file."""
    return f"{PRIVATE}{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}-"


def _part_name(path: str, entry: Entry, source: Path | None = None) -> str:
    """Return the name of what has come of this version of a file."""
    exactly = entry.mtime if source is None or entry.kind == "link" else source.stat().st_mtime_ns
    version = hashlib.sha256(repr((path, entry.size, exactly)).encode()).hexdigest()[:12]
    return f"{_stem(path)}{version}"


def _resumed(size: int, whole: int) -> int:
    """Return where to go on with a file, so many bytes of which are there: the last ones may be missing in part."""
    return max(0, size - _CHUNK) if size <= whole else 0


async def _each(names: Iterable[str], work: Callable[[str], Awaitable[None]], at_a_time: int) -> None:
    """Do something with each name, some at a time; the first error ends it."""
    left = iter(names)

    async def go_on() -> None:
        for name in left:
            await work(name)

    workers = [asyncio.ensure_future(go_on()) for _ in range(at_a_time)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
