"""Set-up lines as whole commands, each of which can be asked whether it succeeded."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["whole_commands"]

_START = r"(?:^|[;&|]|\b(?:do|then|else)\b)\s*"
_OPENING = re.compile(_START + r"(?:if|for|while|until|case|select)\b|\{\s*$")
_CLOSING = re.compile(r"(?:^|;)\s*(?:fi|done|esac)\b|^\s*\}")
_GOES_ON = re.compile(r"(?<!\\)(?:\\\\)*\\$|(?:&&|\|)\s*$")
_HERE_DOCUMENT = re.compile(r"(?<!<)<<-?\s*(['\"]?)(\w+)\1")


def whole_commands(lines: Iterable[str]) -> list[str]:
    """Return lines for a shell, those together that are one command.

    Parameters
    ----------
    lines : iterable of str
        As a person writes them: loops, conditions, here-documents and lines that go on in the next one included.

    Returns
    -------
    commands : list of str
        Each of one line or several.

    Examples
    --------
    >>> whole_commands(["module purge", "if [ -e venv ]; then", ". venv/bin/activate", "fi", "a &&", "b"])
    ['module purge', 'if [ -e venv ]; then\\n. venv/bin/activate\\nfi', 'a &&\\nb']
    """
    commands: list[str] = []
    current: list[str] = []
    depth, end = 0, None
    for line in lines:
        current.append(line)
        if end is not None:
            end = None if line.strip() == end else end
        else:
            code = "" if line.lstrip().startswith("#") else line
            depth = max(0, depth + len(_OPENING.findall(code)) - len(_CLOSING.findall(code)))
            begun = _HERE_DOCUMENT.search(code)
            end = begun[2] if begun else None
            if _GOES_ON.search(code):
                continue
        if depth == 0 and end is None:
            commands.append("\n".join(current))
            current = []
    return [*commands, "\n".join(current)] if current else commands
