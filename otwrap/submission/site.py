"""Where a submission is: its folder here, its place on another machine, its jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from ..batch import BatchFolder, JobFolder
from ..batch.chunks import chunk_size
from ..batch.queue import Queue
from ..errors import InputError
from ..locks import FileLock
from ..remote import Place, RemoteShell, Shell, Transfer, pull
from ..schedulers import Profile, create_scheduler

__all__ = ["Site"]


class Site:
    """The part of a :class:`~otwrap.submission.Submission` that is not about evaluations.

    Parameters
    ----------
    folder : path
        Of the submission.

    Raises
    ------
    OtwrapError
        If it is no such folder.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = BatchFolder(folder)

    @property
    def path(self) -> Path:
        """The folder."""
        return self.folder.path

    @property
    def place(self) -> Place | None:
        """Where it is on another machine; `None` if it is not."""
        text = self.folder.about.get("place")
        return None if text is None else Place.parse(text)

    @cached_property
    def profile(self) -> Profile:
        """The settings of the site that it was submitted with.

        Raises
        ------
        InputError
            If it was only prepared.
        """
        words = self.folder.about.get("profile")
        if words is None:
            msg = f"{self.path} was prepared without a batch system: it has no jobs; `otwrap submit` makes a folder with some"
            raise InputError(msg)
        return Profile.from_dict(words)

    @cached_property
    def queue(self) -> Queue:
        """Its jobs."""
        place = self.place
        shell = Shell() if place is None else RemoteShell(place.login, place.directory)
        there = None if place is None else place.directory
        return Queue(self.folder, create_scheduler(self.profile), shell, there)

    def bring(
        self, *, only: Sequence[str] | None = None, exclude: Sequence[str] | None = None
    ) -> Transfer | None:
        """Bring what runs have left on the other machine; nothing happens if it is not on another one.

        Parameters
        ----------
        only, exclude : sequence of str, optional
            Patterns, see :func:`otwrap.remote.pull`; they hold from now on. Default is what held before.

        Returns
        -------
        transfer : Transfer or None
        """
        given = {
            name: list(value) for name, value in (("only", only), ("exclude", exclude)) if value is not None
        }
        if given:
            self.folder.note(filters={**self.folder.about.get("filters", {}), **given})
        if self.place is None:
            return None
        filters = self.folder.about.get("filters", {})
        return pull(self.path, self.place, only=filters.get("only"), exclude=filters.get("exclude", ()))

    def arrange(
        self, numbers: Sequence[int], profile: Profile, point_time: float | None = None
    ) -> list[JobFolder]:
        """Write the folders of the arrays that points need; submit nothing.

        Parameters
        ----------
        numbers : sequence of int
            Of the points.
        profile : Profile
            How they are submitted.
        point_time : float, optional
            Seconds that a point takes, as far as it is known.

        Returns
        -------
        jobs : list of JobFolder
        """
        size = chunk_size(
            len(numbers),
            chunk=profile.chunk,
            point_time=point_time,
            time_limit=profile.resources.time,
            at_a_time=max(1, profile.resources.cpus // self.folder.about["cpus"]),
        )
        return self.queue.arrange(
            numbers, profile.resources, chunk=size, python=profile.python, at_a_time=profile.at_a_time
        )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have the folder alone, so that nothing is submitted by two processes at once."""
        lock = FileLock(str(self.path / "submitting.lock"))
        if not lock.acquire():
            msg = f"{lock.holder()} is submitting jobs of {self.path} just now; look at its status when it has ended"
            raise InputError(msg)
        try:
            yield
        finally:
            lock.release()
