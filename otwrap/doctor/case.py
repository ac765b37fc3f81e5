"""The model under examination, the point it is tried at, and the runs that were made."""

# Plain strings, as the wrapper has them.
# ruff: noqa: PTH100, PTH106, PTH112, PTH118, PTH119, PTH120, PTH208

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from struct import pack
from typing import Any, NamedTuple

from ..backends import Backend
from ..evaluation import Evaluation, Task
from ..evaluator import Evaluator, FunctionEvaluator, WrapperEvaluator
from ..files import remove_tree
from ..folders import WorkFolders
from ..workdir import expanded, make_folder
from ..wrapper import Wrapper
from .traces import Traces

__all__ = ["PLACES", "Case", "Run", "bits", "plain_error"]

#: Base folders of the two nominal runs; the second is one that a careless script trips over.
PLACES = ("plain", "a name with spaces, été")


class Run(NamedTuple):
    """One run of the nominal point.

    Attributes
    ----------
    evaluation : Evaluation
        Its record.
    seconds : float
        Of the whole evaluation, what otwrap does around the code included.
    size : int
        Of its work directory in bytes, on the disk.
    beside : tuple of str
        Names of what it left in the folder where the work directories are.
    """

    evaluation: Evaluation
    seconds: float
    size: int
    beside: tuple[str, ...]


@dataclass
class Case:
    """All that the checks need to know, and what they tell each other.

    Parameters
    ----------
    evaluator : Evaluator
        Of the model.
    point : tuple of float or None
        Where it is tried.
    origin : str
        Where the point comes from, or why there is none.
    n_points, backend, n_cpus, stochastic
        As in :func:`otwrap.doctor.examine`.
    root : str or None
        The folder of all work directories of the examination.
    runs : list of Run
        Of the nominal point.
    traces : Traces or None
        What the nominal runs left in the world.
    same : bool
        Whether the nominal runs gave the same answer.
    loadable : bool
        Whether another process can load the model.
    places : int
        How many workers an engine has; 0 without one.
    outlook : str
        Of the verdict.
    """

    evaluator: Evaluator
    point: tuple[float, ...] | None
    origin: str
    n_points: int
    backend: str | Backend
    n_cpus: int
    stochastic: bool
    root: str | None = None
    runs: list[Run] = field(default_factory=list)
    traces: Traces | None = None
    same: bool = True
    loadable: bool = True
    places: int = 0
    outlook: str = ""
    _made: list[str] = field(default_factory=list)
    _placed: dict[str, Evaluator] = field(default_factory=dict)

    @property
    def wrapper(self) -> Wrapper | None:
        """The wrapper, if the model is one."""
        return self.evaluator.wrapper if isinstance(self.evaluator, WrapperEvaluator) else None

    @property
    def model(self) -> Any:
        """What the user gave."""
        return self.evaluator.function if isinstance(self.evaluator, FunctionEvaluator) else self.wrapper

    @property
    def has_folders(self) -> bool:
        """Whether the evaluations have work directories of ours."""
        return self.wrapper is not None and not self.wrapper.overridden & {"_exec", "_exec_sample"}

    @property
    def in_process(self) -> bool:
        """Whether the backend evaluates in this process."""
        name = self.backend if isinstance(self.backend, str) else type(self.backend).__name__
        return name.lower() in ("serial", "threads", "concurrent/thread")

    @property
    def no_run(self) -> str:
        """Why there is no good run to look at; empty if there is one."""
        if self.point is None:
            return "nothing was run"
        return "" if self.runs and self.runs[0].evaluation.done else "the nominal run did not succeed"

    def make_root(self) -> str:
        """Make the folder of the examination where the wrapper has its work directories.

        Returns
        -------
        root : str

        Raises
        ------
        OSError, ValueError
            If it cannot be made.
        """
        base = self.wrapper.folders.base if self.wrapper is not None else None
        self._made = [] if base is None else _missing_folders(expanded(base))
        self.root = make_folder(base, "otwrap-doctor-")
        return self.root

    def placed(self, place: str, keep: str) -> Evaluator:
        """Return the evaluator of the same model, with its work directories in a folder of the examination.

        Parameters
        ----------
        place : str
            Name of the folder.
        keep : str
            Which work directories stay.

        Returns
        -------
        evaluator : Evaluator
            The same one each time, which uses its work directories again.
        """
        wrapper = self.wrapper
        if wrapper is None:
            return self.evaluator
        if place not in self._placed:
            # Not a copy by `copy`: a model that cannot be pickled is to be examined too.
            twin = object.__new__(type(wrapper))
            twin.__dict__.update(wrapper.__dict__)
            twin.folders = WorkFolders(os.path.join(self.root or "", place), keep=keep)
            self._placed[place] = WrapperEvaluator(twin)
        return self._placed[place]

    def run(self, place: str, keep: str) -> Run:
        """Run the nominal point.

        Parameters
        ----------
        place : str
            The folder for its work directory.
        keep : str
            Which work directories stay.

        Returns
        -------
        run : Run
        """
        evaluator = self.placed(place, keep)
        clock = time.perf_counter()
        evaluation = evaluator(Task(0, self.point or ()))
        seconds = time.perf_counter() - clock
        size = disk_use(evaluation.workdir) if evaluation.workdir else 0
        return Run(evaluation, seconds, size, ())

    def beside(self, place: str, kept: str | None) -> tuple[str, ...]:
        """Return what is in a folder of the examination, and around it, and should not be.

        Parameters
        ----------
        place : str
            The folder.
        kept : str or None
            The work directory that is there rightly.

        Returns
        -------
        names : tuple of str
        """
        evaluator = self.placed(place, "failed")
        evaluator.close()
        base = os.path.join(self.root or "", place)
        inside = set(os.listdir(base)) if os.path.isdir(base) else set()
        around = set(os.listdir(self.root)) - {*PLACES, "parallel"}
        return (*sorted(inside - {os.path.basename(kept or "")}), *sorted(around))

    def close(self) -> None:
        """Remove all that the examination has made.

        Raises
        ------
        OSError
            If something cannot be removed.
        """
        for evaluator in self._placed.values():
            evaluator.close()
        if self.root is not None:
            remove_tree(self.root)
        for folder in self._made:
            # Somebody else may use it meanwhile.
            if os.path.isdir(folder) and not os.listdir(folder):
                os.rmdir(folder)


def bits(output: Sequence[float] | None) -> bytes | None:
    """Return the bytes of an output's doubles.

    Parameters
    ----------
    output : sequence of float or None
        Of an evaluation.

    Returns
    -------
    bits : bytes or None
        Equal for outputs that are the same to the last bit, nan included.
    """
    return None if output is None else pack(f"<{len(output)}d", *output)


def plain_error(evaluation: Evaluation) -> str:
    """Return why an evaluation failed, without a work directory that will soon be gone.

    Parameters
    ----------
    evaluation : Evaluation
        A failed one.

    Returns
    -------
    text : str
    """
    lines = [line for line in evaluation.error.splitlines() if not line.startswith("The work directory was ")]
    text = "\n".join(lines)
    return text.replace(evaluation.workdir, "<work directory>") if evaluation.workdir else text


def disk_use(folder: str) -> int:
    """Return the space that a folder takes on the disk, in bytes."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in ("", *names):
            stat = os.lstat(os.path.join(place, name))
            # Blocks of 512 bytes, whatever the block size of the file system; Windows has no such number.
            total += stat.st_blocks * 512 if hasattr(stat, "st_blocks") else stat.st_size
    return total


def _missing_folders(path: str) -> list[str]:
    """Return the folders that would have to be made for a path, deepest first."""
    missing = []
    path = os.path.abspath(path)
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing
