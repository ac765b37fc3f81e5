"""The folder of a submission: what it is, its points, its jobs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..designs import read_design
from ..errors import OtwrapError
from ..evaluation import Task, point_keys
from ..files import write_atomic
from .jobs import JobFolder

__all__ = ["ABOUT", "VERSION", "BatchFolder", "as_text", "point_folder"]

#: The file in which the folder says what it is, and the version of its form.
ABOUT, VERSION = "submission.json", 1


class BatchFolder:
    """The folder of a submission.

    Parameters
    ----------
    path : path
        Where it is.

    Raises
    ------
    OtwrapError
        If it is none, or another version's.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self.about = _about(self.path)

    @property
    def id(self) -> str:
        """A random word, a part of the jobs' names."""
        return str(self.about["id"])

    @property
    def way(self) -> str:
        """``"worker"`` or ``"shell"``: whether otwrap or a shell alone runs the evaluations."""
        return str(self.about["way"])

    @cached_property
    def points(self) -> list[tuple[float, ...]]:
        """The points, in the order of the design."""
        if not self.about["points"]:
            return []
        return read_design(self.path / "design.csv", self.about["inputs"]).points

    @cached_property
    def keys(self) -> list[bytes]:
        """The key of each point."""
        return point_keys(self.points, self.about.get("match_digits"))

    @property
    def model(self) -> dict[str, Any]:
        """What identifies the model, as a store notes it."""
        return {
            "inputs": self.about["inputs"],
            "outputs": self.about["outputs"],
            **self.about["fingerprints"],
        }

    def jobs(self) -> list[JobFolder]:
        """Return the arrays, in the order in which they were made.

        Returns
        -------
        jobs : list of JobFolder
        """
        try:
            names = os.listdir(self.path / "jobs")
        except FileNotFoundError:
            return []
        return [JobFolder(self.path / "jobs" / name) for name in sorted(names, key=_number) if name.isdigit()]

    def add_job(
        self,
        tasks: Sequence[Sequence[int]],
        about: Mapping[str, Any],
        files: Callable[[str], Mapping[str, str]],
        attempts: Mapping[int, Task] | None = None,
    ) -> JobFolder:
        """Make the folder of one more array, see :meth:`JobFolder.create`."""
        (self.path / "jobs").mkdir(exist_ok=True)
        number = max((job.number for job in self.jobs()), default=0) + 1
        place = f"jobs/{number:03d}"
        return JobFolder.create(self.path / place, tasks, about, files(place), attempts)

    def note(self, **changes: Any) -> None:
        """Change what it says of itself.

        Parameters
        ----------
        **changes
            What JSON can hold.
        """
        self.about.update(changes)
        write_atomic(self.path / ABOUT, as_text(self.about))

    def payload(self) -> bytes:
        """Return the model as bytes, as :func:`otwrap.payload.dump_payload` made them.

        Raises
        ------
        OtwrapError
            If they are not those that were written.
        """
        try:
            content = (self.path / "model.bin").read_bytes()
        except OSError as error:
            msg = f"{self.path} has no model.bin, or it cannot be read: {error}"
            raise OtwrapError(msg) from None
        if hashlib.sha256(content).hexdigest() != self.about["payload"]:
            msg = f"{self.path / 'model.bin'} is not what was written there; submit again"
            raise OtwrapError(msg)
        return content


def point_folder(number: int) -> str:
    """Return the name of a point's folder.

    Parameters
    ----------
    number : int
        Of the point.

    Returns
    -------
    name : str

    Examples
    --------
    >>> point_folder(3)
    'point-000003'
    """
    return f"point-{number:06d}"


def _about(path: Path) -> dict[str, Any]:
    """Return what the folder says of itself."""
    try:
        about: dict[str, Any] = json.loads((path / ABOUT).read_text(encoding="utf-8"))
        version = about["version"]
    except FileNotFoundError:
        msg = f"{path} is no folder of a submission: it has no {ABOUT}; `otwrap prepare` and `otwrap submit` make one"
        raise OtwrapError(msg) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"{path / ABOUT} is damaged: {error}"
        raise OtwrapError(msg) from None
    if version != VERSION:
        msg = f"{path} was made by another version of otwrap (format {version}, {VERSION} is read)"
        raise OtwrapError(msg)
    return about


def as_text(about: Mapping[str, Any]) -> str:
    """Return what a folder says of itself, as it is written.

    Parameters
    ----------
    about : mapping
        Made of what JSON can hold.

    Returns
    -------
    text : str
    """
    return json.dumps(about, indent=1, default=str) + "\n"


def _number(name: str) -> int:
    """Return what job folders are sorted by."""
    return int(name) if name.isdigit() else -1
