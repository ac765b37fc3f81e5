"""One array of tasks in the folder of a submission: its script, its points, its records, its logs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from ..evaluation import Task
from ..files import write_atomic
from ..schedulers.ranges import compressed, expanded

__all__ = ["JobFolder"]


class JobFolder:
    """An array in the folder of a submission.

    Parameters
    ----------
    path : Path
        ``FOLDER/jobs/001``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = int(path.name)
        #: Relative to the folder of the submission.
        self.place = f"jobs/{path.name}"

    @classmethod
    def create(
        cls,
        path: Path,
        tasks: Sequence[Sequence[int]],
        about: Mapping[str, Any],
        files: Mapping[str, str],
        attempts: Mapping[int, Task] | None = None,
    ) -> JobFolder:
        """Make the folder of an array that is to be submitted; it is there whole or not at all.

        Parameters
        ----------
        path : Path
            ``FOLDER/jobs/001``, which must not be there.
        tasks : sequence of sequence of int
            The points of each task.
        about : mapping
            How it is submitted, for a later process.
        files : mapping of str
            Scripts: name -> text; the first one is submitted.
        attempts : mapping of Task, optional
            Points that do not run for the first time, or with changed settings.

        Returns
        -------
        job : JobFolder
        """
        draft = path.with_name(f".{path.name}-{os.getpid()}")
        for name in ("records", "logs"):
            (draft / name).mkdir(parents=True)
        lines = "".join(f"{','.join(compressed(points))}\n" for points in tasks)
        (draft / "tasks.txt").write_text(lines, encoding="utf-8")
        (draft / "job.json").write_text(
            json.dumps({**about, "script": next(iter(files))}, indent=1) + "\n", encoding="utf-8"
        )
        for name, text in files.items():
            (draft / name).write_text(text, encoding="utf-8", newline="\n")
        if attempts:
            texts = {str(number): [task.attempt, task.settings] for number, task in attempts.items()}
            (draft / "attempts.json").write_text(json.dumps(texts) + "\n", encoding="utf-8")
        draft.rename(path)
        return cls(path)

    @cached_property
    def about(self) -> dict[str, Any]:
        """How it was made."""
        found: dict[str, Any] = json.loads((self.path / "job.json").read_text(encoding="utf-8"))
        return found

    @cached_property
    def tasks(self) -> list[list[int]]:
        """The points of each task; task 1 is the first."""
        lines = (self.path / "tasks.txt").read_text(encoding="utf-8").splitlines()
        return [expanded(line) for line in lines]

    @cached_property
    def attempts(self) -> dict[int, tuple[int, dict[str, Any] | None]]:
        """Attempt and settings of the points that do not run for the first time."""
        try:
            text = (self.path / "attempts.json").read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        return {int(number): (attempt, settings) for number, (attempt, settings) in json.loads(text).items()}

    @property
    def id(self) -> str | None:
        """What the batch system calls it; `None` as long as it is not known to be submitted."""
        try:
            return (self.path / "id").read_text(encoding="utf-8").strip() or None
        except FileNotFoundError:
            return None

    @property
    def cancelled(self) -> bool:
        """Whether the whole array was cancelled."""
        return self.cancelled_tasks() == set(range(1, len(self.tasks) + 1))

    def cancelled_tasks(self) -> set[int]:
        """Return which tasks were cancelled.

        Returns
        -------
        tasks : set of int
        """
        try:
            text = (self.path / "cancelled").read_text(encoding="utf-8")
        except FileNotFoundError:
            return set()
        return set(map(int, text.split()))

    @property
    def script(self) -> Path:
        """What is submitted."""
        return self.path / str(self.about["script"])

    def note_id(self, identifier: str) -> None:
        """Note what the batch system calls it.

        Parameters
        ----------
        identifier : str
            What the command that submits it has printed.
        """
        write_atomic(self.path / "id", identifier + "\n")

    def note_cancelled(self, tasks: Iterable[int] | None = None) -> None:
        """Note that tasks were cancelled.

        Parameters
        ----------
        tasks : iterable of int, optional
            Default is all.
        """
        added = range(1, len(self.tasks) + 1) if tasks is None else tasks
        together = sorted(self.cancelled_tasks() | set(added))
        write_atomic(self.path / "cancelled", "".join(f"{task}\n" for task in together))

    def record_files(self) -> list[Path]:
        """Return the record files there are, those of a task's first run first.

        Returns
        -------
        paths : list of Path
        """
        try:
            names = os.listdir(self.path / "records")
        except FileNotFoundError:
            return []
        found = [name for name in names if name.endswith(".rec")]
        return [self.path / "records" / name for name in sorted(found, key=_order)]

    def log(self, task: int) -> Path:
        """Return where a task's output stands.

        Parameters
        ----------
        task : int
            1 for the first.

        Returns
        -------
        path : Path
            Of a file that need not be there.
        """
        return self.path / "logs" / f"{task}.txt"

    def log_tail(self, task: int, size: int = 2000) -> str:
        """Return the end of a task's output.

        Parameters
        ----------
        task : int
            1 for the first.
        size : int, optional
            Bytes at most. Default is 2000.

        Returns
        -------
        text : str
            Empty if there is none.
        """
        try:
            with self.log(task).open("rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - size))
                return file.read().decode("utf-8", "replace").rstrip()
        except FileNotFoundError:
            return ""


def _order(name: str) -> tuple[int, int]:
    """Return task and run of a record file: ``3.rec``, ``3-2.rec``."""
    task, _, run = name[: -len(".rec")].partition("-")
    return int(task), int(run or 1)
