"""What brings files from one machine to another, by whatever means."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from ..errors import SchedulerError
from ._sides import Tree

__all__ = ["Carrier", "CannotCarry", "no_space"]


class CannotCarry(SchedulerError):
    """This means is not to be had there; another one may be."""


class Carrier(ABC):
    """A connection to a place. What was begun over a line that broke is gone on with.

    Attributes
    ----------
    moved : dict of int
        Path -> size of what has gone over, as it goes.
    problems : list of str
        What could not be had, a line each; the rest is not kept from coming.
    """

    #: What it is called.
    way: str

    def __init__(self, moved: dict[str, int]) -> None:
        self.moved = moved
        self.problems: list[str] = []

    @abstractmethod
    def marks(self) -> Tree:
        """Return the results that are there."""

    @abstractmethod
    def tree(self) -> Tree:
        """Return all that is there."""

    @abstractmethod
    def fetch(self, wanted: Tree, folder: Path, into: Path) -> None:
        """Bring files into a folder that is `folder` or lies in it; what `folder` has of them need not come twice."""

    @abstractmethod
    def send(self, folder: Path, tree: Tree, ours: Sequence[str], either: Sequence[str]) -> None:
        """Send files and make folders; `either` unless there is a newer one."""

    @abstractmethod
    def put_aside(self, runs: Sequence[str]) -> None:
        """Put folders of points aside that were put aside here: ``point-000003-1`` is the first run of that point.

        What was put aside there before stays, and so does what came after it.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    def __enter__(self) -> Carrier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def no_space(where: str, words: str) -> SchedulerError:
    """Return the error for a disk that is full."""
    return SchedulerError(
        f"there is no space left on {where}, or no quota ({words}); make room, then call again: what has come is kept"
    )
