"""Which of several matches is meant."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import TypeVar

__all__ = ["check_occurrence", "describe", "select"]

T = TypeVar("T")


def check_occurrence(occurrence: int | str | None, count: int | None) -> None:
    """Raise ValueError unless `occurrence` and `count` mean something."""
    if occurrence not in (None, "first", "last", "all") and (
        not isinstance(occurrence, int) or isinstance(occurrence, bool) or occurrence == 0
    ):
        raise ValueError(
            f"occurrence is {occurrence!r}; give 1, 2, ... from the start, -1, -2, ... from the end, "
            "'first', 'last', 'all', or None for exactly one match"
        )
    if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < 1):
        raise ValueError(f"count is {count!r}; give how many matches are expected, 1 or more")


def describe(occurrence: int | str | None, count: int | None) -> str:
    """Say in words which matches are meant."""
    words = "exactly one match" if occurrence is None and count is None else f"occurrence {occurrence!r}"
    return words if count is None else f"{words} of {count}"


def select(found: Iterable[T], occurrence: int | str | None, count: int | None) -> tuple[list[T], list[T]]:
    """Return the matches that are meant (none if there are not as many as asked), and all seen."""
    if count is None and isinstance(occurrence, int) and occurrence > 0:
        seen = list(islice(found, occurrence))
        return seen[occurrence - 1 :], seen
    seen = list(found)
    if len(seen) != (1 if count is None and occurrence is None else count or len(seen)):
        return [], seen
    if occurrence is None or occurrence == "all":
        return seen if count is None or occurrence == "all" else seen[:1], seen
    index = {"first": 1, "last": -1}.get(occurrence, 0) if isinstance(occurrence, str) else occurrence
    if abs(index) > len(seen):
        return [], seen
    return [seen[index - 1 if index > 0 else index]], seen
