"""What a task of an array runs where otwrap is on the nodes: ``python -m otwrap.task jobs/001 3``.

It evaluates the points of its line in ``tasks.txt`` and appends each record to a file of its own as it ends. No
driver is connected to it. A task that the batch system runs once more skips what its first run has recorded, and
takes another file: the first run may still be alive. It begins no point that its time limit would cut.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from .backends import create_backend
from .batch import BatchFolder, JobFolder
from .batch.records import RecordFile, fields_of
from .cpus import evaluations_at_a_time
from .errors import OtwrapError
from .evaluation import Evaluation, Task
from .payload import load_payload
from .process import adopt_orphans
from .retries import TaskQueue
from .versions import difference, hello

__all__ = ["main", "run_task"]

#: Evaluations shorter than this, in seconds, are not announced: should one kill the task, those before it show which.
_SHORT = 0.01
#: Seconds in which this process is asked to end, too, if a batch system ends all that belongs to a task.
_ENDING = 2.0
#: Seconds to end in, beside the time of the longest evaluation so far, before the time limit.
_MARGIN = 1.0


def main() -> None:
    """Run the task that the command line names, in the folder of the submission."""
    signal.signal(signal.SIGTERM, _stop)
    job = Path(sys.argv[1]).absolute()
    try:
        unfinished = run_task(BatchFolder(job.parent.parent), JobFolder(job), int(sys.argv[2]))
    except OtwrapError as error:
        sys.exit(f"otwrap: {error}")
    if unfinished:
        print(f"otwrap: {unfinished}", file=sys.stderr)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """End in order, and the code that runs with it."""
    sys.exit(128 + number)


def run_task(folder: BatchFolder, job: JobFolder, task: int) -> str:
    """Evaluate the points of a task.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    job : JobFolder
        Of the array.
    task : int
        1 for the first.

    Returns
    -------
    unfinished : str
        Why points were left; empty if all have ended.

    Raises
    ------
    OtwrapError
        If the model cannot be loaded here.
    """
    numbers = _left(job, task)
    with _new_file(job, task) as file:
        file.write("task", folder.id, socket.gethostname(), os.getpid(), time.time())
        kind, reason = "stopped", "it was ended from outside"
        try:
            evaluator = _evaluator(folder)
            reason = _Course(folder, job, file, evaluator).run(numbers)
            kind = "limit" if reason else "done"
        except OtwrapError as error:
            kind, reason = "broken", str(error)
            raise
        finally:
            file.write("end", kind, reason)
    return reason


def _left(job: JobFolder, task: int) -> list[int]:
    """Return the points of a task that no earlier run of it has recorded."""
    recorded = set()
    for path in job.record_files():
        if int(path.stem.partition("-")[0]) == task:
            entries = RecordFile.read(str(path)).entries
            recorded |= {entry[1] for entry in entries if entry[0] == "done"}
    return [number for number in job.tasks[task - 1] if number not in recorded]


def _new_file(job: JobFolder, task: int) -> RecordFile:
    """Return a record file that no other process has."""
    run = 1
    while True:
        name = f"{task}.rec" if run == 1 else f"{task}-{run}.rec"
        try:
            return RecordFile(str(job.path / "records" / name))
        except FileExistsError:
            run += 1


def _evaluator(folder: BatchFolder) -> Any:
    """Return the model, with its files from the folder."""
    theirs = {**hello(), **folder.about.get("versions", {})}
    different = difference(hello(), theirs)
    if "python" in different or "otwrap" in different:
        msg = f"{socket.gethostname()} has other versions than where this was submitted: {different}; submit with the same, python= says which interpreter the nodes take"
        raise OtwrapError(msg)
    sys.path.insert(0, str(folder.path / "model"))
    # Last, for modules that are loaded late, where the file system is shared.
    sys.path += [place for place in folder.about.get("path", ()) if place not in sys.path]
    try:
        evaluator = load_payload(folder.payload())
    except OtwrapError:
        raise
    except Exception as error:  # whatever the user's modules raise: the user is to be told, once
        msg = f"the model cannot be loaded on {socket.gethostname()}: {type(error).__name__}: {error}"
        raise OtwrapError(msg) from error
    if evaluator.files:
        evaluator.use_files([str(folder.path / name) for name in folder.about["files"]])
    evaluator.keep_in(str(folder.path / "kept"))
    return evaluator


class _Course:
    """The evaluation of the points of a task."""

    def __init__(self, folder: BatchFolder, job: JobFolder, file: RecordFile, evaluator: Any) -> None:
        self.folder, self.job, self.file, self.evaluator = folder, job, file, evaluator
        self.host = socket.gethostname()
        self.longest = 0.0
        self.shortly = False
        self.reason = ""
        limit = float(os.environ.get("OTWRAP_TIME_LIMIT") or "inf")
        self.deadline = float(os.environ.get("OTWRAP_STARTED") or time.time()) + limit

    def run(self, numbers: list[int]) -> str:
        """Evaluate points and record each; return why some were left, if so."""
        at_a_time = evaluations_at_a_time(-1, self.evaluator.cpus)
        adopt_orphans()
        backend = create_backend("serial" if at_a_time == 1 else "multiprocessing", at_a_time)
        queue = TaskQueue(self._tasks(numbers), self.evaluator.retries)
        with closing(backend), closing(self.evaluator):
            for batch in [] if queue.is_empty() else backend.imap(self.evaluator, queue):
                for number, evaluation in queue.ended(batch):
                    self._record(number, evaluation)
        return self.reason

    def _tasks(self, numbers: list[int]) -> Iterator[Task]:
        """Yield points while there is time for one more."""
        for done, number in enumerate(numbers):
            if time.time() + 1.2 * self.longest + _MARGIN > self.deadline:
                self.reason = (
                    f"the time limit is near: {len(numbers) - done} of {len(numbers)} points were not begun"
                )
                return
            attempt, settings = self.job.attempts.get(number, (1, None))
            if not self.shortly:
                self.file.write("begin", number, attempt, time.time())
            yield Task(number, self.folder.points[number], attempt, settings)

    def _record(self, number: int, evaluation: Evaluation) -> None:
        """Write what came of a point."""
        if evaluation.status == "cancelled":
            return
        if evaluation.cause in ("signal", "worker lost"):
            # Who ends this process may have ended the code just before: then it has not failed.
            time.sleep(_ENDING)
        self.longest = max(self.longest, evaluation.wall_time)
        self.shortly = evaluation.wall_time < _SHORT
        self.file.write("done", number, *fields_of(evaluation, self.host, str(self.folder.path)))


if __name__ == "__main__":
    main()
