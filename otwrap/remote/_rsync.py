"""Files there and back with rsync over ssh."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from calendar import timegm
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import SchedulerError
from ._carrier import CannotCarry, Carrier, no_space
from ._sides import EARLIER, EXIT_CODE, PRIVATE, TIMES, Entry, Tree, validated
from ._ssh import LineBroken, ask, from_home, quoted, refusal, run_program, ssh_command
from .places import Place

__all__ = ["PARTIAL", "TEMPORARY", "Rsync", "find_rsync"]

#: Where the part of a file is kept that came before the line broke, beside the file; and where whole ones grow.
PARTIAL, TEMPORARY = f"{PRIVATE}part", f"{PRIVATE}tmp"

#: Permissions, owners and times of folders are the other side's own affair, but for what can be executed.
_OPTIONS = (
    *("--links", "--times", "--executability", "--omit-dir-times", "--copy-unsafe-links"),
    # Names go as they are, past the shell there.
    *("--protect-args", "--8-bit-output"),
    f"--partial-dir={PARTIAL}",
    # Where nothing comes any more, its process there ends as well, and keeps what it has.
    "--timeout=120",
)
#: Bytes of a file that is not read as a whole to see whether it differs: the other side would wait too long.
_LARGE = 64 << 20
#: What it brings of the small files; patterns of rsync.
_MARKS = (
    *("/jobs/", "/jobs/*/", "/jobs/*/id", "/jobs/*/records/", "/jobs/*/records/*"),
    *("/point-*/", f"/point-*/{EXIT_CODE}", f"/point-*/{TIMES}", f"/{EARLIER}/", f"/{EARLIER}/*"),
)
#: One name a line: moved if it is there, and noted as put aside in any case.
_PUT_ASIDE = f"""\
cd {{directory}} && mkdir -p {EARLIER} || exit 1
while read -r run; do
    [ -e {EARLIER}/$run ] || mv ${{{{run%-*}}}} {EARLIER}/$run 2>/dev/null || mkdir {EARLIER}/$run || exit 1
done"""
_LISTED = re.compile(rb"([-dl])\S+ +([\d.,']+) (\d+)/(\d\d)/(\d\d) (\d\d):(\d\d):(\d\d) (.*)")
_MOVED = re.compile(rb"[<>]f\S* (\d+) (.*)")
#: Of a file that is gone by now, or a link to nothing.
_HARMLESS = re.compile(r"has no referent|file has vanished|link_stat .* No such file or directory|^$")
_FULL = re.compile(r"No space left on device|Disk quota exceeded")


class Rsync(Carrier):
    """rsync at both ends, through ssh.

    Parameters
    ----------
    place : Place
        Where to, or from; the folder is there.
    ssh_config : str or None
        Configuration of ssh instead of the user's.
    moved : dict of int
        Taken for the attribute.
    """

    way = "rsync"

    def __init__(self, place: Place, ssh_config: str | None, moved: dict[str, int]) -> None:
        super().__init__(moved)
        self.place, self._config = place, ssh_config
        shell = " ".join(
            map(
                _for_rsync,
                [*ssh_command(ssh_config), "-l", place.user] if place.user else ssh_command(ssh_config),
            )
        )
        self._program = [_program(), *_OPTIONS, f"--rsh={shell}"]
        host = f"[{place.host}]" if ":" in place.host else place.host
        self._source = f"{host}:{from_home(place.directory)}/"

    def marks(self) -> Tree:
        """Return the results that are there."""
        return self._listed([*(f"--include={pattern}" for pattern in _MARKS), "--exclude=*"])

    def tree(self) -> Tree:
        """Return all that is there."""
        return self._listed([f"--exclude={PRIVATE}*"])

    def _listed(self, options: Sequence[str]) -> Tree:
        """Return what rsync lists there."""
        output = self._run(["--list-only", "--recursive", *options, self._source], env={"TZ": "UTC0"})
        found = (_entry(line) for line in output.splitlines())
        return validated(
            {path: entry for path, entry in found if entry is not None and path != "."}, self.place
        )

    def fetch(self, wanted: Tree, folder: Path, into: Path) -> None:
        """Bring files into a folder that is `folder` or lies in it; what `folder` has of them need not come twice."""
        (into / TEMPORARY).mkdir(exist_ok=True)
        # Not relative: rsync 3.2.7 finds the file then, but builds the new one from something else.
        basis = [] if into == folder else [f"--compare-dest={folder}"]
        target = ["--safe-links", f"--temp-dir={TEMPORARY}", self._source, "./"]
        self._move(list(wanted), [*basis, *target], into)

    def send(self, folder: Path, tree: Tree, ours: Sequence[str], either: Sequence[str]) -> None:
        """Send files and make folders; `either` unless there is a newer one."""
        target = [f"--temp-dir={TEMPORARY}", "./", self._source]
        for paths, settings in ((ours, []), (either, ["--update"])):
            large = {path for path in paths if tree[path].size > _LARGE}
            # Files of one length that are changed within a second are told from each other by their content alone.
            self._move(
                [path for path in paths if path not in large], ["--checksum", *settings, *target], folder
            )
            self._move(sorted(large), [*settings, *target], folder)

    def put_aside(self, runs: Sequence[str]) -> None:
        """Put folders of points aside that were put aside here."""
        if runs:
            script = _PUT_ASIDE.format(directory=quoted(from_home(self.place.directory)))
            given = "".join(f"{run}\n" for run in runs).encode()
            ended = ask(self.place.login, script, self._config, given=given)
            if ended.returncode:
                raise SchedulerError(
                    f"{self.place}: earlier runs cannot be put aside: {ended.stderr.strip()}"
                )

    def close(self) -> None:
        """Nothing is open between two calls."""

    def _move(self, paths: Sequence[str], arguments: Sequence[str], folder: Path) -> None:
        """Move some files between here and there."""
        if paths:
            given = b"".join(os.fsencode(path) + b"\0" for path in paths)
            options = ["--dirs", "--files-from=-", "--from0", "--out-format=%i %l %n"]
            self._run([*options, *arguments], given, str(folder))

    def _run(
        self,
        arguments: Sequence[str],
        given: bytes | None = None,
        folder: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> bytes:
        """Run it, note what has moved, and return what it prints."""
        # The user's own settings of rsync are for other work.
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RSYNC_")}
        mine = {**mine, "SSH_ASKPASS_REQUIRE": "never", **(env or {})}
        code, output, errors = run_program([*self._program, *arguments], given=given, folder=folder, env=mine)
        if given is not None:
            matches = map(_MOVED.fullmatch, output.splitlines())
            self.moved.update({_name(found[2]): int(found[1]) for found in matches if found})
        self._judge(code, errors.decode("utf-8", "replace"))
        return output

    def _judge(self, code: int, said: str) -> None:
        """Raise if it did not do its work; of single files, note what it says."""
        lines = [line for line in said.splitlines() if not _HARMLESS.search(line)]
        words = "; ".join(lines[-6:])
        if code in (0, 24):
            return
        if _FULL.search(said):
            raise no_space(f"{self.place} or here", words)
        if code == 23:
            self.problems += [line for line in lines if not line.startswith("rsync error: some files")]
            return
        if code == 255:
            raise refusal(self.place.login, said)
        if code in (10, 12, 30, 35) and not re.search("command not found|not found$", said, re.MULTILINE):
            raise LineBroken(f"the line to {self.place.login} broke: {words}")
        if code == 11:
            raise no_space(f"{self.place} or here, it seems", words or "rsync could not write")
        if code in (1, 2, 4, 12, 126, 127):
            raise CannotCarry(f"rsync cannot be used with {self.place.login}: {words}")
        raise SchedulerError(f"rsync failed between here and {self.place}, with exit code {code}: {words}")


def _entry(line: bytes) -> tuple[str, Entry | None]:
    """Return path and entry of a line that rsync lists; no entry for what does not travel."""
    found = _LISTED.fullmatch(line)
    if found is None:
        return "", None
    letter, size, *when, name = found.groups()
    year, month, day, hour, minute, second = map(int, when)
    name, _, target = name.partition(b" -> ") if letter == b"l" else (name, b"", b"")
    kind = {b"-": "file", b"l": "link", b"d": "folder"}[letter]
    length = int(re.sub(rb"\D", b"", size)) if kind == "file" else 0
    mtime = timegm((year, month, day, hour, minute, second))
    return _name(name), Entry(kind, length, mtime, target=_name(target))


def _name(printed: bytes) -> str:
    """Return a name that rsync prints, with signs that it cannot print as octal numbers."""
    plain = re.sub(rb"\\#(\d{3})", lambda found: bytes([int(found[1], 8)]), printed)
    return os.fsdecode(plain)


def _for_rsync(word: str) -> str:
    """Return a word of the remote shell as rsync reads it: quotes are doubled, nothing else is special."""
    return word if re.fullmatch(r"[\w,./:=@-]+", word) else "'" + word.replace("'", "''") + "'"


def find_rsync() -> str | None:
    """Return the rsync of this machine, if it is one that can do what is needed."""
    program = shutil.which("rsync")
    if program is None:
        return None
    try:
        said = subprocess.run([program, "--version"], capture_output=True, check=False, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    # Others of this name speak an old protocol only.
    found = re.match(rb"rsync +version v?(\d+)", said)
    return program if found and int(found[1]) >= 3 else None


def _program() -> str:
    """Return the rsync of this machine, or raise."""
    program = find_rsync()
    if program is None:
        raise CannotCarry("there is no rsync 3 here")
    return program
