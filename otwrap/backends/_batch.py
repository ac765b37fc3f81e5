"""Evaluate in the jobs of a batch system: points go into arrays, and are waited for.

Each call writes the folder of a submission and looks at it until all points have come. The jobs outlive the driver:
one that was killed finds them again when it is started anew, and takes over what they have done and still do.
"""

from __future__ import annotations

import os
import shutil
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from ..batch import BatchFolder, write_folder
from ..batch.chunks import chunk_size
from ..batch.queue import Queue
from ..batch.readme import write_readme
from ..batch.standing import Lost, latest
from ..batch.watch import Watch
from ..errors import BackendError, BackendUnavailable, OtwrapError
from ..evaluation import Evaluation, Task, point_key
from ..locks import FileLock
from ..remote import Shell
from ..schedulers import Profile, Resources, create_scheduler, find_profile
from ._lost import lost_evaluation

__all__ = ["BatchBackend"]

_Results = list[tuple[int, Evaluation]]

#: Where submissions are, below the current directory.
_FOLDER = "otwrap-jobs"
#: Tasks that many points of unknown cost are shared out to, where the queue says how many run at a time.
_WIDTH = 32
#: Seconds for which a batch system that may be there is waited for.
_GLANCE = 15.0
#: The file that says which points a driver has taken.
_TAKEN = "taken.txt"
#: How many tasks a point may lose before it is recorded as killed.
_LOSSES = 2
#: How many tasks may end before their worker is there, until it is taken for a fault of the site's settings.
_STILLBORN = 3


class BatchBackend:
    """Evaluate in the jobs of a batch system.

    Parameters
    ----------
    n_cpus : int, optional
        Tasks of an array that may run at a time; -1 (default) leaves it to the batch system.
    profile : str or Profile, optional
        Settings of the site, see :func:`otwrap.schedulers.find_profile`.
    resources : Resources or dict, optional
        What each task needs: ``{"time": "2h", "memory": "4 GB"}``. It goes before the profile's.
    chunk : int, optional
        Points of a task. Default is found from the measured times and the time limit.
    folder : path, optional
        Where the folders of the submissions are; the nodes must see it at the same place. Default is
        ``otwrap-jobs`` in the current directory.
    keep : bool, optional
        Whether these folders stay when all of their points have come. Default is `False`: only those with kept
        work directories do.

    Raises
    ------
    BackendUnavailable
        If the batch system's commands are not there.
    """

    #: The word that users type.
    name: ClassVar[str]

    def __init__(
        self,
        n_cpus: int = -1,
        *,
        profile: str | Profile | None = None,
        resources: Resources | Mapping[str, Any] | None = None,
        chunk: int | None = None,
        folder: str | os.PathLike[str] = _FOLDER,
        keep: bool = False,
    ) -> None:
        if isinstance(n_cpus, bool) or not isinstance(n_cpus, int) or (n_cpus < 1 and n_cpus != -1):
            msg = f"n_cpus={n_cpus!r}: give how many tasks may run at a time, or -1 for as many as the queue takes"
            raise ValueError(msg)
        self.n_cpus = n_cpus
        self.profile = find_profile(profile, scheduler=self.name)
        self.scheduler = create_scheduler(self.profile)
        words = resources.as_dict() if isinstance(resources, Resources) else dict(resources or {})
        self.resources = self.profile.resources.replaced(**words)
        self.chunk = chunk or self.profile.chunk
        self.folder = Path(os.path.abspath(folder))
        self.keep = keep
        if shutil.which(self.scheduler.executable()) is None:
            msg = (
                f"backend={self.name!r} needs the command {self.scheduler.executable()!r}, which is not on the PATH here; "
                "run this where jobs are submitted, or use `otwrap submit --profile` with host="
            )
            raise BackendUnavailable(msg)

    def imap(self, evaluate: Any, tasks: Iterator[Task]) -> Iterator[_Results]:
        """Yield lists of task id and evaluation as they end, see :class:`otwrap.backends.Backend`."""
        yield from _Course(self, evaluate, tasks).results()

    def where(self) -> str:
        """Return where evaluations would run now, in words; the batch system is asked for it.

        Returns
        -------
        where : str

        Raises
        ------
        SchedulerError
            If it does not answer, or another one does whose commands have the same names.
        """
        command = self.scheduler.query_commands(["1"])[0]
        self.scheduler.answer(Shell().run(command, ".", timeout=_GLANCE), "query")
        return f"the queue of {self.scheduler.title}, by {shutil.which(self.scheduler.executable())}"

    def close(self) -> None:
        """Nothing is held between two samples."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(n_cpus={self.n_cpus})"


class _Sent:
    """The folder of a submission that is watched, and whose points are which tasks."""

    def __init__(self, folder: BatchFolder, lock: FileLock, backend: BatchBackend) -> None:
        self.folder, self.lock = folder, lock
        self.queue = Queue(folder, backend.scheduler, Shell())
        self.watch = Watch(folder, self.queue)
        #: Number of a point in the folder -> its task, of those that are waited for.
        self.tasks: dict[int, Task] = {}
        #: Points that a former driver has submitted, and that nobody has asked for yet.
        self.adopted: dict[bytes, int] = {}
        #: What has come of points that nobody has asked for yet.
        self.stock: dict[int, Evaluation] = {}
        self.losses: Counter[int] = Counter()
        self._told: set[str] = set()
        self._taken: list[int] = []

    def take(self, number: int) -> Task | None:
        """Return the task of a point that has come, which nobody will wait for again."""
        task = self.tasks.pop(number, None)
        if task is not None:
            self._taken.append(number)
        return task

    def note_taken(self) -> None:
        """Note the points that the driver has taken: another one does not find them waiting."""
        if self._taken:
            with open(self.folder.path / _TAKEN, "a", encoding="utf-8") as file:
                file.writelines(f"{number}\n" for number in self._taken)
            self._taken.clear()

    def adopt(self) -> None:
        """Offer the points that no driver has taken."""
        try:
            taken = set(map(int, (self.folder.path / _TAKEN).read_text(encoding="utf-8").split()))
        except FileNotFoundError:
            taken = set()
        self.adopted = {key: number for number, key in enumerate(self.folder.keys) if number not in taken}
        self.stock = latest(self.watch.new())
        for job in self.folder.jobs():
            if job.id is None and not job.cancelled:
                self.queue.submit(job)

    def tell(self, remarks: Sequence[str]) -> None:
        """Say once what the batch system says of tasks that wait."""
        for remark in remarks:
            if remark not in self._told:
                self._told.add(remark)
                print(f"otwrap: {remark}", file=sys.stderr)

    def end(self, *, keep: bool) -> None:
        """Cancel what nobody waits for any more, and remove the folder unless something in it is wanted."""
        try:
            if self.tasks:
                for job in self.folder.jobs():
                    self.queue.cancel(job)
            elif not keep and not self.adopted and not (self.folder.path / "kept").exists():
                shutil.rmtree(self.folder.path, ignore_errors=True)
        finally:
            self.lock.release()


class _Course:
    """One call of `imap`."""

    def __init__(self, backend: BatchBackend, evaluate: Any, tasks: Iterator[Task]) -> None:
        self.backend, self.evaluate, self.tasks = backend, evaluate, tasks
        self.sent: list[_Sent] = []
        #: Which folder has a task, and as which of its points.
        self.places: dict[int, tuple[_Sent, int]] = {}
        #: Results that need not be waited for.
        self.ready: _Results = []
        #: Tasks whose worker never came up.
        self.stillborn = 0
        #: Wall times of what has ended: their sum in seconds, and how many.
        self.time, self.count = 0.0, 0

    def results(self) -> Iterator[_Results]:
        """Yield evaluations until there is nothing in flight and nothing to do."""
        try:
            self._adopt()
            while self._take() or self.ready or any(sent.tasks for sent in self.sent):
                ended = [*self.ready, *(result for sent in self.sent for result in self._ended(sent))]
                self.ready = []
                if ended:
                    yield ended
                    # Whoever asked for more has recorded these.
                    for sent in self.sent:
                        sent.note_taken()
                elif waiting := [sent for sent in self.sent if sent.tasks]:
                    waiting[-1].watch.sleep()
        finally:
            for sent in self.sent:
                sent.end(keep=self.backend.keep)

    def _adopt(self) -> None:
        """Take over what a former driver, which was killed, has submitted of the same model."""
        fingerprints = self.evaluate.fingerprints()
        for path in sorted(self.backend.folder.glob("*/submission.json")) if fingerprints else []:
            try:
                folder = BatchFolder(path.parent)
            except OtwrapError:  # another version's, or damaged: not ours to judge
                continue
            ours = {
                "inputs": list(self.evaluate.inputs),
                "outputs": list(self.evaluate.outputs),
                **fingerprints,
            }
            lock = FileLock(str(path.parent / "lock"))
            if folder.way != "worker" or folder.model != ours or not lock.acquire():
                continue
            sent = _Sent(folder, lock, self.backend)
            self.sent.append(sent)
            sent.adopt()

    def _take(self) -> bool:
        """Submit what is to do; return whether there was something."""
        tasks = list(self.tasks)
        fresh = []
        for task in tasks:
            if task.id in self.places:
                sent, number = self.places[task.id]
                sent.tasks[number] = task
                self._submit(sent, [number], {number: task})
            elif not self._waits_already(task):
                fresh.append(task)
        if fresh:
            self._send(fresh)
        return bool(tasks)

    def _waits_already(self, task: Task) -> bool:
        """Wait for a point that a former driver has submitted, if it has."""
        key = point_key(task.input)
        for sent in self.sent:
            if key in sent.adopted and task.settings is None:
                number = sent.adopted.pop(key)
                self.places[task.id] = sent, number
                sent.tasks[number] = task
                if number in sent.stock:
                    sent.take(number)
                    self.ready.append((task.id, sent.stock.pop(number)))
                return True
        return False

    def _send(self, tasks: Sequence[Task]) -> None:
        """Submit points that nobody has submitted."""
        number = len(list(self.backend.folder.glob("*"))) + 1 if self.backend.folder.exists() else 1
        path = self.backend.folder / f"{self.backend.name}-{number:03d}-{uuid.uuid4().hex[:6]}"
        points = [task.input for task in tasks]
        name = type(getattr(self.evaluate, "wrapper", None) or self.evaluate).__name__
        profile = self.backend.profile.as_dict()
        folder = write_folder(path, self.evaluate, points, name=name, profile=profile, store=None)
        lock = FileLock(str(path / "lock"))
        lock.acquire()
        sent = _Sent(folder, lock, self.backend)
        write_readme(folder, f"otwrap collect {folder.path}", sent.queue.command_by_hand())
        self.sent.append(sent)
        sent.tasks = dict(enumerate(tasks))
        self.places.update({task.id: (sent, number) for number, task in enumerate(tasks)})
        changed = {number: task for number, task in sent.tasks.items() if task.attempt > 1 or task.settings}
        self._submit(sent, range(len(tasks)), changed)

    def _submit(
        self, sent: _Sent, numbers: Sequence[int], attempts: Mapping[int, Task], chunk: int | None = None
    ) -> None:
        """Submit points of a folder."""
        backend = self.backend
        at_a_time = max(1, backend.resources.cpus // self.evaluate.cpus)
        size = chunk or chunk_size(
            len(numbers),
            chunk=backend.chunk,
            point_time=self.time / self.count if self.count else None,
            time_limit=backend.resources.time,
            at_a_time=at_a_time,
            width=_WIDTH if backend.n_cpus == -1 else backend.n_cpus,
        )
        limit = backend.profile.at_a_time if backend.n_cpus == -1 else backend.n_cpus
        jobs = sent.queue.arrange(
            numbers,
            backend.resources,
            chunk=size,
            python=backend.profile.python,
            at_a_time=limit,
            attempts=attempts,
        )
        for job in jobs:
            sent.queue.submit(job)

    def _ended(self, sent: _Sent) -> _Results:
        """Return what has come of a folder, and what will not."""
        results = []
        for _, number, evaluation in sent.watch.new() if sent.tasks or sent.adopted else []:
            task = sent.take(number)
            self.time, self.count = self.time + evaluation.wall_time, self.count + 1
            if task is not None:
                results.append((task.id, evaluation))
            elif number in sent.adopted.values():
                sent.stock[number] = evaluation
            # Else a task has run twice: the first record counts.
        if sent.tasks and sent.watch.ask():
            results += self._lost(sent)
        return results

    def _lost(self, sent: _Sent) -> _Results:
        """Submit points again whose task has ended without them; return those that end every task."""
        standing = sent.watch.standing()
        sent.tell(standing.remarks)
        late = set(sent.watch.lost(standing))
        results: _Results = []
        again: list[int] = []
        for lost in standing.lost:
            left = [number for number in lost.numbers if number in sent.tasks]
            if (lost.job, lost.task) not in late or not left:
                continue
            self._blame(sent, lost, left)
            for number in left:
                if sent.losses[number] < _LOSSES:
                    again.append(number)
                elif (task := sent.take(number)) is not None:
                    results.append((task.id, lost_evaluation(task, lost.reason or "its task is gone")))
        # A suspect goes alone, so that it costs nobody else a task.
        suspects = [number for number in again if sent.losses[number]]
        others = [number for number in again if not sent.losses[number]]
        for numbers, chunk in ((suspects, 1), (others, None)):
            if numbers:
                self._submit(sent, numbers, {number: sent.tasks[number] for number in numbers}, chunk)
        return results

    def _blame(self, sent: _Sent, lost: Lost, left: Sequence[int]) -> None:
        """Note which points may have ended a task; raise if none could be better off in another one."""
        arrivals, task = sent.watch.arrivals, (lost.job, lost.task)
        kind, reason = arrivals.ends.get(task, ("", ""))
        if kind == "broken":
            raise BackendError(f"{self.backend!r}: {reason}")
        if task not in arrivals.started:
            self.stillborn += 1
            if self.stillborn >= _STILLBORN and not arrivals.started:
                job = next(job for job in sent.folder.jobs() if job.number == lost.job)
                msg = (
                    f"{self.backend!r}: {self.stillborn} tasks have ended before their first point ({lost.reason or 'no reason is known'}). "
                    f"{job.log(lost.task)} ends with:\n{job.log_tail(lost.task) or '(nothing)'}"
                )
                raise BackendError(msg)
        elif kind != "limit":
            begun = [number for number in left if (lost.job, number) in arrivals.begun]
            sent.losses.update(begun or left[:1])
