"""What the error of an evaluation says, without what differs from point to point."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from itertools import groupby

__all__ = ["kind_of", "normalised"]

_PATH = re.compile(r"(?<![\w.>/])(?:[A-Za-z]:[\\/](?!/)|~?/(?!/)|\.{1,2}/)[^\s'\"`:;,()<>|]*")
#: The name of a file, unless a part of it may be made up.
_PLAIN = re.compile(r"[A-Za-z_-]+(?:\.[A-Za-z]+)+")
_ID = re.compile(
    r"\b0[xX][0-9a-fA-F]+\b"
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"
    r"|\b(?=[a-f]*\d)(?=\d*[a-fA-F])(?:[0-9a-f]{8,}|[0-9A-F]{8,})\b"
)
# Which error it was is no matter of the point: "exit code 4", "error 1001", "SIGSEGV (signal 11)".
_CODE = (
    r"\b(?:exit code|exit status|error|errno|code|status|stop|signal)[ =#]\d{1,5}\b(?![.,]?\d|[eE][-+\d])"
    r"|\ballowed: -?\d+(?:, -?\d+)*"
)
_NUMBER = r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?(?!\w)|\d+"
_COMPLAINT = re.compile(
    r"error|fatal|fail|exception|abort|cannot|can't|could not|unable|invalid|illegal|diverge|singular"
    r"|no converge|not converge|not found|no such|denied|exceeded|overflow|\bnan\b",
    re.IGNORECASE,
)
_QUOTED = "  | "
_LONGEST = 200


def kind_of(
    error: str,
    cause: str,
    *,
    workdir: str | None = None,
    hosts: Iterable[str] = (),
    names: Iterable[str] = (),
) -> str:
    """Return what one failure has in common with others of its kind, in one line.

    Parameters
    ----------
    error : str
        The whole text of a failure.
    cause : str
        Its finer reason.
    workdir : str, optional
        The work directory, if it was kept.
    hosts : iterable of str, optional
        Names of machines, which are left out.
    names : iterable of str, optional
        Names of inputs and outputs, which stay.

    Returns
    -------
    kind : str
        The first line and, of a code that ended by itself, its own complaint.

    Examples
    --------
    >>> kind_of("the command ended with exit code 4\\nlast lines of stderr.txt:\\n  | no mesh after 17 steps", "exit code")
    'the command ended with exit code 4: no mesh after <n> steps'
    """
    lines = error.splitlines()
    first = next((line for line in lines if line.strip()), "")
    parts = [first.strip()]
    if cause in ("exit code", "signal"):
        parts += _complaint(_streams(lines), always=cause == "exit code")
    if workdir:
        # It may have blanks, which no pattern of a path could know.
        parts = [part.replace(workdir, "/w") for part in parts]
    return ": ".join(normalised(part, hosts, names) for part in parts)[:_LONGEST]


def normalised(text: str, hosts: Iterable[str] = (), names: Iterable[str] = ()) -> str:
    """Return a text without numbers, paths, ids and names of machines.

    Parameters
    ----------
    text : str
        One line.
    hosts : iterable of str, optional
        Names of machines, which are left out.
    names : iterable of str, optional
        Names of inputs and outputs, which stay.

    Returns
    -------
    text : str
        A file's own name stays, and so does the number of an error.

    Examples
    --------
    >>> normalised("step 17: residual -1.5E+03 in /tmp/run-a1b2/beam.inp at 0x7f3a, on node12", ["node12"])
    'step <n>: residual <n> in <path>/beam.inp at <id>, on <host>'
    >>> normalised("error 1001 in element 17")
    'error 1001 in element <n>'
    """
    text = _PATH.sub(_without_folder, text)
    machines = {name for host in hosts for name in (host, host.partition(".")[0]) if len(name) > 1}
    for name in sorted(machines, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", "<host>", text)
    text = _ID.sub("<id>", text)
    numbers = _pattern(frozenset(name for name in names if re.search(r"\d", name) and "[" not in name))
    return " ".join(numbers.sub(lambda match: match["kept"] or "<n>", text).split())


@lru_cache(maxsize=8)
def _pattern(names: frozenset[str]) -> re.Pattern[str]:
    """Return what finds numbers, and before them what has digits and stays."""
    kept = "|".join([_CODE, *(rf"(?<!\w){re.escape(name)}(?!\w)" for name in sorted(names))])
    return re.compile(f"(?P<kept>{kept})|{_NUMBER}", re.IGNORECASE)


def _without_folder(match: re.Match[str]) -> str:
    """Return a path as the name of its file, or as nothing but a path."""
    text = match[0].rstrip(".")
    name = re.split(r"[\\/]", text)[-1]
    end = match[0][len(text) :]
    return f"<path>/{name}{end}" if _PLAIN.fullmatch(name) else f"<path>{end}"


def _streams(lines: list[str]) -> list[list[str]]:
    """Return what an error quotes, stream by stream."""
    blocks = groupby(lines, key=lambda line: line.startswith(_QUOTED))
    return [[line.removeprefix(_QUOTED).strip() for line in block] for quoted, block in blocks if quoted]


def _complaint(streams: list[list[str]], *, always: bool) -> list[str]:
    """Return the last line in which a code complains; if it does not, its last line or none."""
    for said in streams:
        for position in range(len(said) - 1, -1, -1):
            if _COMPLAINT.search(said[position]):
                # What a colon at the end of a line announces is what matters.
                further = said[position + 1 : position + 2] if said[position].endswith(":") else []
                return [" ".join([said[position], *further])]
    return streams[0][-1:] if always and streams else []
