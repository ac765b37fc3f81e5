"""Points become the folder of a submission, and its jobs those of a batch system."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..batch import BatchFolder, write_folder
from ..batch.readme import write_readme
from ..errors import InputError
from ..evaluation import point_keys
from ..evaluator import Evaluator, evaluator_of
from ..points import points_of
from ..provenance import source_folder
from ..schedulers import Profile, Resources, find_profile
from ..store import Store
from ..tickets import Ticket
from .handle import Submission

__all__ = ["prepare", "rehearse", "submit"]

#: Where folders are made that nobody has named, below the current directory.
_PLACE = "submissions"


def submit(
    model: Any,
    X: Any,
    *,
    scheduler: str | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    resources: Resources | Mapping[str, Any] | None = None,
    folder: str | os.PathLike[str] | None = None,
    store: str | os.PathLike[str] | None = None,
    way: str = "worker",
    chunk: int | None = None,
    at_a_time: int | None = None,
    collect: bool = False,
    on_change: str = "refuse",
    name: str | None = None,
) -> Submission:
    """Submit points to a batch system and return at once.

    The same call on another day, with the same store, returns the same submission: what the store knows, or has
    noted as queued, is not submitted again.

    Parameters
    ----------
    model : Wrapper, ot.Function or ot.OpenTURNSPythonFunction
        What is evaluated.
    X : 2-d sequence of float, shape (size, input dimension)
        The points.
    scheduler : str, optional
        ``"slurm"``, ``"sge"``, ``"pbs"``, ``"lsf"``, ``"htcondor"`` or ``"local"``. Default is the profile's.
    profile : str, path or Profile, optional
        Settings of the site, see :func:`otwrap.schedulers.find_profile`.
    resources : Resources or dict, optional
        What each task needs, as ``{"time": "2h", "memory": "4 GB"}``; goes before the profile's.
    folder : path, optional
        What is made. Default is a new folder in ``submissions``.
    store : path, optional
        Where evaluations are collected. Default is ``evaluations.db`` in the folder.
    way : {"worker", "shell"}, optional
        ``"worker"``: otwrap is on the nodes, and evaluates there (default). ``"shell"``: nothing but the code is; each
        point has a folder.
    chunk : int, optional
        Points of a task. Default is found from the time that points take, as far as the store knows it, and the time
        limit; without both there are at most a hundred tasks.
    at_a_time : int, optional
        Tasks that may run at a time.
    collect : bool, optional
        Submit one more job, which collects when the others have ended, into ``evaluations.db`` in the folder. Default
        is `False`.
    on_change : {"refuse", "rerun"}, optional
        What happens if the store was made by a model that differs.
    name : str, optional
        What the model is called, in ``README.txt`` and for the folder's name. Default is that of its class.

    Returns
    -------
    submission : Submission

    Raises
    ------
    InputError
        If there is nothing to submit, the folder is not empty, or a shell alone cannot run the model.
    SchedulerError
        If the batch system refuses. The folder stays, and :meth:`Submission.resubmit` tries once more.
    StoreError
        If the store holds the evaluations of another model, or somebody else writes it.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> queued = otw.submit(model, X, profile="cluster", resources={"time": "2h"})  # doctest: +SKIP
    >>> queued.status().running  # doctest: +SKIP
    40
    """
    settings = find_profile(profile, scheduler=scheduler)
    settings = settings.replaced(resources=resources, chunk=chunk, at_a_time=at_a_time)
    evaluator = evaluator_of(model)
    points = points_of(X, evaluator.inputs)
    name = name or _name(model)
    target = _fresh(name) if folder is None else Path(os.path.abspath(os.path.expanduser(folder)))
    path = target / "evaluations.db" if store is None else Path(os.path.abspath(os.path.expanduser(store)))
    left, point_time = _unknown(path, evaluator, points, on_change, source_folder(model))
    if not left:
        return _queued(path, evaluator, points)
    made = _written(target, evaluator, left, name, way, settings, None if store is None else path)
    with Store(path) as opened:
        _select(opened, evaluator, on_change, source_folder(model))
        place = str(made.path)
        opened.note_submission(
            Ticket(made.id, place, settings.scheduler, made.keys, (), made.about["payload"])
        )
    submission = Submission(made.path, model=model)
    submission.send(point_time=point_time, collect=collect)
    return submission


def rehearse(
    model: Any,
    X: Any,
    *,
    scheduler: str | None = None,
    profile: str | os.PathLike[str] | Profile | None = None,
    resources: Resources | Mapping[str, Any] | None = None,
    way: str = "worker",
    chunk: int | None = None,
    at_a_time: int | None = None,
) -> str:
    """Return the script that :func:`submit` would submit; write and submit nothing.

    Parameters
    ----------
    model, X, scheduler, profile, resources, way, chunk, at_a_time
        As for :func:`submit`.

    Returns
    -------
    script : str
        Of the first array.
    """
    settings = find_profile(profile, scheduler=scheduler)
    settings = settings.replaced(resources=resources, chunk=chunk, at_a_time=at_a_time)
    evaluator = evaluator_of(model)
    points = points_of(X, evaluator.inputs)
    with tempfile.TemporaryDirectory(prefix="otwrap-rehearsal-") as place:
        # The points differ in nothing that the script says: one is enough to be written.
        made = _written(Path(place, "folder"), evaluator, points[:1], _name(model), way, settings, None)
        made.about["points"] = len(points)
        job, *_ = Submission(made.path).arrange(range(len(points)), settings)
        return job.script.read_text(encoding="utf-8")


def prepare(
    model: Any,
    X: Any,
    folder: str | os.PathLike[str],
    *,
    way: str = "shell",
    collect: str = "otwrap collect FOLDER --model MODEL",
    name: str | None = None,
) -> Submission:
    """Write the folder of a submission without a batch system; submit nothing.

    Parameters
    ----------
    model : Wrapper
        What is evaluated.
    X : 2-d sequence of float, shape (size, input dimension)
        The points.
    folder : path
        What is made; it must be empty or not there.
    way : {"shell", "worker"}, optional
        Whether a shell runs the points (default), or otwrap.
    collect : str, optional
        What ``README.txt`` says is to be typed to collect.
    name : str, optional
        What the model is called there. Default is the name of its class.

    Returns
    -------
    submission : Submission

    Raises
    ------
    InputError
        If the folder is not empty, or a shell alone cannot run the model.

    Examples
    --------
    >>> import tempfile
    >>> import otwrap as otw
    >>> double = otw.Wrapper(["a"], ["b"], command="double {a}", parsers=[otw.parsers.Value("stdout.txt", "b =")])
    >>> prepared = otw.prepare(double, [[1.0], [2.0]], tempfile.mktemp())
    >>> sorted(path.name for path in prepared.path.glob("point-*/run.sh"))
    ['run.sh', 'run.sh']
    """
    evaluator = evaluator_of(model)
    points = points_of(X, evaluator.inputs)
    made = write_folder(folder, evaluator, points, name=name or _name(model), way=way)
    write_readme(made, collect)
    return Submission(made.path, model=model)


def _written(
    target: Path,
    evaluator: Evaluator,
    points: Sequence[tuple[float, ...]],
    name: str,
    way: str,
    settings: Profile,
    store: Path | None,
) -> BatchFolder:
    """Write the folder of a submission."""
    place = f"{settings.host}:{settings.directory}/{target.name}" if settings.host else None
    about = {"profile": settings.as_dict(), "store": None if store is None else str(store), "place": place}
    made = write_folder(target, evaluator, points, name=name, way=way, **about)
    submission = Submission(made.path)
    write_readme(made, f"otwrap collect {made.path}", submission.queue.command_by_hand())
    return made


def _select(store: Store, evaluator: Evaluator, on_change: str, source: Any) -> None:
    """Choose the model in a store."""
    store.select(
        evaluator.inputs, evaluator.outputs, evaluator.fingerprints(), on_change=on_change, source=source
    )


def _unknown(
    path: Path, evaluator: Evaluator, points: Sequence[tuple[float, ...]], on_change: str, source: Any
) -> tuple[list[tuple[float, ...]], float | None]:
    """Return the points that are neither known nor queued, each once, and the mean time of those that are known."""
    fresh = list(dict.fromkeys(points))
    if not path.exists():
        return fresh, None
    with Store(path) as store:
        _select(store, evaluator, on_change, source)
        there = store.keys()
        queued = {key for ticket in store.submissions() if ticket.is_open for key in ticket.keys}
        keys = point_keys(fresh)
        known = {key for key in keys if key in there and store.known(key)[0] == "done"}
        times = [evaluation.wall_time for _, evaluation in store.items() if evaluation.done]
    left = [point for point, key in zip(fresh, keys, strict=True) if key not in known and key not in queued]
    return left, sum(times) / len(times) if times else None


def _queued(path: Path, evaluator: Evaluator, points: Sequence[tuple[float, ...]]) -> Submission:
    """Return the submission that has points of which none is to be submitted."""
    wanted = set(point_keys(points))
    with Store(path, readonly=True) as store:
        _select_same(store, evaluator)
        having = [ticket for ticket in store.submissions() if wanted & set(ticket.keys)]
    there = [ticket for ticket in having if os.path.isdir(ticket.folder)]
    if not there:
        msg = (
            f"there is nothing to submit: all {len(points)} points are known in {path}, or queued by another "
            "submission; otwrap.Parallelizer(model, store=...) serves them"
        )
        raise InputError(msg)
    return Submission(max(there, key=lambda ticket: (ticket.is_open, ticket.made_at)).folder, store=path)


def _select_same(store: Store, evaluator: Evaluator) -> None:
    """Choose the model in a store that is only read."""
    wanted = {
        "inputs": list(evaluator.inputs),
        "outputs": list(evaluator.outputs),
        **evaluator.fingerprints(),
    }
    store.select_number(next(number for number, model in store.models() if model == wanted))


def _name(model: Any) -> str:
    """Return what a model is called."""
    return getattr(model, "__name__", None) or type(model).__name__


def _fresh(name: str) -> Path:
    """Return the path of a folder that is not there."""
    word = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).lower()
    number = 1
    while (path := Path(_PLACE).absolute() / f"{word}-{number:03d}").exists():
        number += 1
    return path
