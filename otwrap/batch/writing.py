"""The folder of a submission is written: whole, or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..designs import csv_text
from ..errors import InputError
from ..files import copy_or_link
from ..versions import hello
from .folder import ABOUT, VERSION, BatchFolder, as_text, point_folder
from .shell import check_shell_model, write_point
from .sources import copy_sources

__all__ = ["WAYS", "check_target", "write_folder"]

#: How evaluations run on the nodes: by otwrap there, or by a shell alone.
WAYS = ("worker", "shell")


def check_target(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder that is to be made, or raise if there is something.

    Parameters
    ----------
    path : path
        What is to be made.

    Returns
    -------
    target : Path

    Raises
    ------
    InputError
        If it is there and not empty.
    """
    target = Path(os.path.abspath(os.path.expanduser(path)))
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        msg = f"the folder {target} is there and not empty; give another one, nothing was written"
        raise InputError(msg)
    return target


def write_folder(
    path: str | os.PathLike[str],
    evaluator: Any,
    points: Sequence[tuple[float, ...]],
    *,
    name: str,
    way: str = "worker",
    **about: Any,
) -> BatchFolder:
    """Write the folder of a submission.

    Parameters
    ----------
    path : path
        What is made; it must be empty or not there.
    evaluator : Evaluator
        What evaluates the points.
    points : sequence of tuple of float, shape (size, input dimension)
        The points.
    name : str
        What the model is called.
    way : {"worker", "shell"}, optional
        How evaluations run on the nodes: by otwrap there (default), or by a shell alone.
    **about
        What else is to stand in ``submission.json``.

    Returns
    -------
    folder : BatchFolder

    Raises
    ------
    InputError
        If there is something at `path`, or a shell alone cannot run the model.
    """
    if way not in WAYS:
        msg = f"way={way!r}: accepted are {', '.join(map(repr, WAYS))}"
        raise ValueError(msg)
    target = check_target(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        says = {**_about(evaluator, len(points), name, way), **about, **_write_model(evaluator, draft)}
        if way == "shell":
            says |= _write_points(evaluator, points, draft)
        (draft / "design.csv").write_text(csv_text(evaluator.inputs, points), encoding="utf-8")
        (draft / ABOUT).write_text(as_text(says), encoding="utf-8")
        draft.chmod(0o755)
        draft.replace(target)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return BatchFolder(target)


def _about(evaluator: Any, size: int, name: str, way: str) -> dict[str, Any]:
    """Return what the folder says of itself."""
    return {
        "version": VERSION,
        "id": uuid.uuid4().hex[:8],
        "way": way,
        "model": name,
        "inputs": list(evaluator.inputs),
        "outputs": list(evaluator.outputs),
        "points": size,
        "cpus": evaluator.cpus,
        "fingerprints": evaluator.fingerprints(),
        "versions": {name: said for name, said in hello().items() if name not in ("host", "pid")},
        "path": [os.path.abspath(folder) for folder in sys.path],
    }


def _write_model(evaluator: Any, draft: Path) -> dict[str, Any]:
    """Write what it takes to have the model elsewhere, and return what is to be said of it."""
    payload = evaluator.payload
    (draft / "model.bin").write_bytes(payload)
    files = []
    for number, path in enumerate(evaluator.files):
        place = draft / "files" / str(number)
        place.mkdir(parents=True)
        copy_or_link(path, place)
        files.append(f"files/{number}/{os.path.basename(path)}")
    copy_sources(payload, draft / "model")
    return {"payload": hashlib.sha256(payload).hexdigest(), "files": files}


def _write_points(evaluator: Any, points: Sequence[tuple[float, ...]], draft: Path) -> dict[str, Any]:
    """Write the folder of each point, and return what is to be said of them."""
    model = check_shell_model(evaluator)
    for number, point in enumerate(points):
        write_point(model, point, number, draft / point_folder(number))
    # Of files, only these can be taken for the output of a run that wrote none.
    stale = [name for name in model.may_be_stale if (draft / point_folder(0) / name).exists()]
    return {"there before": stale, "ok codes": [code % 256 for code in model.commands[-1].ok_codes]}
