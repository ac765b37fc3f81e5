"""The streams of a run: files in the work directory that stay small, and what their ends say."""

from __future__ import annotations

import os
import re
from pathlib import Path

__all__ = ["STREAM_LIMIT", "find_pattern", "open_streams", "shorten", "tail"]

#: Bytes of a stream above which its middle is cut out; until the next look it may be longer.
STREAM_LIMIT = 32 * 2**20
#: Bytes of the head that are kept.
HEAD = 2**16
#: Lines of a stream that an error shows at most.
TAIL_LINES = 20

_BLOCK = 2**22
_STREAM = re.compile(r"std(?:out|err)((?:\..*)?)\.txt", re.DOTALL)


def open_streams(workdir: str, stem: str) -> tuple[int, int]:
    """Open the files of standard output and error.

    Parameters
    ----------
    workdir : str
        The work directory.
    stem : str
        What stands between ``stdout`` and ``.txt``.

    Returns
    -------
    out, err : int
        File descriptors that write at the end, whatever was cut off meanwhile.

    Raises
    ------
    OSError
        If that is not possible.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    out = os.open(f"{workdir}/stdout{stem}.txt", flags, 0o666)
    try:
        return out, os.open(f"{workdir}/stderr{stem}.txt", flags, 0o666)
    except OSError:
        os.close(out)
        raise


def shorten(stream: int) -> int:
    """Cut the middle out of a stream that is too long.

    Parameters
    ----------
    stream : int
        The descriptor.

    Returns
    -------
    size : int
        What it was before, in bytes.
    """
    # Much faster than `fstat`; where it stands does not matter, all is written at the end.
    size = os.lseek(stream, 0, os.SEEK_END)
    if size > STREAM_LIMIT:
        end = os.pread(stream, STREAM_LIMIT // 2, size - STREAM_LIMIT // 2)
        os.ftruncate(stream, min(HEAD, STREAM_LIMIT // 4))
        note = f"\n[otwrap: more than {STREAM_LIMIT} bytes were printed; the middle was cut out here]\n"
        os.write(stream, note.encode() + end.partition(b"\n")[2])
    return size


def tail(workdir: str | os.PathLike[str], limit: int = 2000, *, stem: str | None = None) -> str:
    """Return the last lines of standard error, and of standard output if those are few or none.

    Parameters
    ----------
    workdir : str
        The work directory.
    limit : int, optional
        Characters at most. Default is 2000.
    stem : str, optional
        What stands between ``stderr`` and ``.txt``. Default is that of the last command that said something.

    Returns
    -------
    text : str
        With the names of the files before their lines; empty if nothing was printed.
    """
    folder = Path(workdir)
    stems = sorted(_stems(folder), key=_order, reverse=True) if stem is None else [stem]
    for one in stems:
        text: list[str] = []
        lines, characters = TAIL_LINES, limit
        for name in (f"stderr{one}.txt", f"stdout{one}.txt"):
            last = _last_lines(folder / name, lines, characters)
            if last:
                text += [f"last lines of {name}:", *(f"  | {line}" for line in last)]
                # Many codes complain on standard output; standard error says only that they stopped.
                lines, characters = TAIL_LINES // 2 - len(last), characters - len("\n".join(last))
            if lines <= 0 or characters <= 0:
                break
        if text:
            return "\n".join(text)
    return ""


def _stems(folder: Path) -> set[str]:
    """Return the stems of the streams in a folder."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return set()
    return {match[1] for name in names if (match := _STREAM.fullmatch(name))}


def _order(stem: str) -> tuple[int, str]:
    """Sort stems as the commands of a chain were run."""
    return (int(stem[1:]) if stem[1:].isdecimal() else 0, stem)


def _last_lines(path: Path, number: int, limit: int) -> list[str]:
    """Return the last lines of a file that are not empty, as something that can be printed."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            # A character has at most four bytes; a progress bar overwrites one line often.
            file.seek(max(0, size - 4 * limit - 2**16))
            text = file.read(4 * limit + 2**16).decode(errors="replace")
    except OSError:
        return []
    lines = ["".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in text.splitlines()]
    lines = [line.rstrip() for line in lines if line.strip()][-number:]
    return [line for line in "\n".join(lines)[-limit:].splitlines() if line]


def find_pattern(path: str | os.PathLike[str], pattern: str) -> str | None:
    """Return the first line of a file in which a pattern is found.

    Parameters
    ----------
    path : str
        The file, of any size.
    pattern : str
        A regular expression; ``^`` and ``$`` match at the ends of each line.

    Returns
    -------
    line : str or None
        `None` if there is none, or no file.
    """
    expression = re.compile(pattern, re.MULTILINE)
    try:
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            while lines := file.readlines(_BLOCK):
                block = "".join(lines)
                if match := expression.search(block):
                    start = block.rfind("\n", 0, match.start()) + 1
                    return block[start:].partition("\n")[0][:200]
    except OSError:
        return None
    return None
