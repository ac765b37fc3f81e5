"""Python text: literals that are nothing but literals, and the file of a wrapper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Beside", "Call", "code_of", "wrapper_source"]

_WIDTH = 110


class Beside(NamedTuple):
    """A file beside the wrapper's file.

    Attributes
    ----------
    name : str
        Relative to it, with slashes.
    """

    name: str


class Call(NamedTuple):
    """A call with literal arguments.

    Attributes
    ----------
    function : str
        A dotted name of ours, never of the user.
    args : tuple
        What comes first.
    settings : dict
        Arguments by name, of ours too.
    """

    function: str
    args: tuple[Any, ...]
    settings: dict[str, Any]


def code_of(value: Any, indent: int = 0, used: int = 0) -> str:
    """Return the Python text of a value, broken into lines where it is long.

    Parameters
    ----------
    value : object
        A text, number, list, tuple, dict, `None`, :class:`Beside` or :class:`Call`.
    indent : int, optional
        How far the line is indented. Default is 0.
    used : int, optional
        How many more characters stand on the line. Default is 0.

    Returns
    -------
    code : str
        What Python reads back as the same value; no text can end its literal.

    Examples
    --------
    >>> print(code_of({"beam.inp": Beside("beam.inp.tmpl"), 'a"b': float("inf")}))
    {"beam.inp": HERE / "beam.inp.tmpl", 'a"b': float("inf")}
    """
    flat = _flat(value)
    if indent + used + len(flat) <= _WIDTH or not _has_parts(value):
        return flat
    opening, items, closing = _parts(value)
    inner = " " * (indent + 4)
    lines = [f"{inner}{head}{code_of(item, indent + 4, len(head) + 1)},\n" for head, item in items]
    return f"{opening}\n{''.join(lines)}{' ' * indent}{closing}"


def _flat(value: Any) -> str:
    """Return the Python text of a value on one line."""
    if isinstance(value, Beside):
        return f"HERE / {_text(value.name)}"
    if not _has_parts(value):
        return _plain(value)
    opening, items, closing = _parts(value)
    # A tuple of one has a comma.
    comma = "," * (opening == "(" and len(items) == 1)
    return f"{opening}{', '.join(head + _flat(item) for head, item in items)}{comma}{closing}"


def _has_parts(value: Any) -> bool:
    return isinstance(value, (Call, dict, list, tuple)) and not isinstance(value, Beside)


def _parts(value: Any) -> tuple[str, list[tuple[str, Any]], str]:
    """Return brackets and items, each with what stands before it."""
    if isinstance(value, Call):
        items = [("", item) for item in value.args]
        return f"{value.function}(", items + [(f"{key}=", item) for key, item in value.settings.items()], ")"
    if isinstance(value, dict):
        return "{", [(f"{_flat(key)}: ", item) for key, item in value.items()], "}"
    opening, closing = "[]" if isinstance(value, list) else "()"
    return opening, [("", item) for item in value], closing


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    if value is None or isinstance(value, (bool, int, float, bytes)):
        return repr(value)
    msg = f"{value!r} is no literal"
    raise TypeError(msg)


def _text(text: str) -> str:
    """Return a string literal, in double quotes or raw where that is the same text."""
    if "\\" in text and text.isprintable() and '"' not in text and not text.endswith("\\"):
        return f'r"{text}"'
    shown = repr(text)
    return f'"{shown[1:-1]}"' if shown[0] == "'" and '"' not in shown and "\\'" not in shown else shown


def wrapper_source(name: str, laws: Sequence[str], arguments: dict[str, Any]) -> str:
    """Return the text of a wrapper's file.

    Parameters
    ----------
    name : str
        Of the class; an identifier.
    laws : sequence of str
        The code of each input's distribution; empty for none at all.
    arguments : dict
        Of :class:`otwrap.Wrapper`, by name.

    Returns
    -------
    source : str
    """
    lines = [
        f'"""{name}: a simulation code as a function, drafted by `otwrap new`.',
        "",
        "On one point, and what else there is::",
        "",
        f"    python wrapper.py -X {' '.join(map(repr, arguments['nominal']))}",
        "    python wrapper.py --help",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from pathlib import Path",
        "",
        *(["import openturns as ot"] if laws or "fields" in arguments else []),
        "import otwrap as otw",
        "",
        f'__all__ = ["{name}"]',
        "",
        "HERE = Path(__file__).resolve().parent",
        "",
        "",
        f"class {name}(otw.Wrapper):",
        '    """The code at one point."""',
        "",
        "    def __init__(self) -> None:",
        *_distribution(laws, arguments["inputs"]),
        "        super().__init__(",
    ]
    for key, value in arguments.items():
        lines += [f"            # {note}" for note in _NOTES.get(key, ())]
        lines.append(f"            {key}={code_of(value, 12, len(key) + 2)},")
    if laws:
        lines.append("            distribution=distribution,")
    lines += ["        )", "", "", 'if __name__ == "__main__":', f"    otw.main({name})", ""]
    return "\n".join(lines)


#: What a user may want to edit, by argument.
_NOTES = {
    "fields": ("Curves: one number at each of these values.",),
    "templates": (
        "formats= says how a number is written: None keeps every digit, 'd' is a whole number, 'w20'",
        "has at most 20 characters, 'D' is Fortran's exponent.",
    ),
    "files": ("Read by the code, and the same at every point.",),
    "command": (
        "otw.Command([...], timeout=60, success=..., failure=...) sets limits, and says which messages",
        "of the code mean that it failed although its exit code is 0.",
    ),
    "parsers": ("valid=(low, high) refuses what cannot be a result.",),
}


def _distribution(laws: Sequence[str], inputs: Sequence[str]) -> list[str]:
    """Return the lines that make the distribution of the input."""
    if not laws:
        return []
    rows = [f"                {law},  # {name}" for law, name in zip(laws, inputs, strict=True)]
    return [
        "        # A first guess: what is known of the inputs belongs here.",
        "        distribution = ot.JointDistribution(",
        "            [",
        *rows,
        "            ]",
        "        )",
        f"        distribution.setDescription({code_of(list(inputs), 8, 29)})",
    ]
