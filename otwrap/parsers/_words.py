"""Short words about texts and names, for the errors."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["excerpt", "hint", "some"]


def excerpt(text: str, width: int = 60) -> str:
    return repr(text if len(text) <= width else text[: width - 3] + "...")


def some(names: Iterable[object], most: int = 10) -> str:
    """List names, at most ten."""
    names = [str(name) for name in names]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(repr(name) for name in names[:most]) + more if names else "none"


def hint(name: object, names: Iterable[object]) -> str:
    """Say which name may be meant."""
    from difflib import get_close_matches

    close = get_close_matches(str(name), [str(other) for other in names], 1)
    return f" (did you mean {close[0]!r}?)" if close else ""
