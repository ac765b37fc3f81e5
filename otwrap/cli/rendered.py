"""The input files of a point against those of the nominal one."""

from __future__ import annotations

import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import OtwrapError
from ..wrapper import Wrapper

__all__ = ["Compared", "against_nominal"]

#: How a step of a model may refuse a point.
_REFUSALS = (OtwrapError, OSError, ArithmeticError, LookupError, TypeError, ValueError)
#: Lines of a difference that are shown.
_MOST = 100


class Compared(NamedTuple):
    """An input file of a point against that of the nominal one.

    Attributes
    ----------
    name : str
        Of the file.
    difference : str
        A unified diff; empty if they are the same.
    remark : str
        What else is to be said, if anything is.
    """

    name: str
    difference: str
    remark: str


def against_nominal(model: Any, point: Sequence[float], title: str, workdir: str | None) -> list[Compared]:
    """Compare the input files of a point with those of the nominal one.

    Parameters
    ----------
    model : Wrapper or other model
        What writes them; only a wrapper with a nominal point does.
    point : sequence of float, shape (input dimension,)
        The point.
    title : str
        What it is called.
    workdir : str or None
        Its work directory, if that was kept: a file that is there counts, not what would be written today.

    Returns
    -------
    compared : list of Compared
        One for each file.
    """
    if not isinstance(model, Wrapper) or model.nominal is None:
        return []
    try:
        nominal, written = _rendered(model, model.nominal), _rendered(model, point)
    except _REFUSALS as error:
        # That may be just why the evaluation failed.
        return [Compared("", "", f"the input files cannot be written: {error}")]
    return [
        _compared(name, nominal.get(name, b""), content, title, workdir)
        for name, content in sorted(written.items())
    ]


def _rendered(model: Wrapper, point: Sequence[float]) -> dict[str, bytes]:
    """Return the input files that a model writes, by name."""
    if "_prepare_input" not in model.overridden:
        # Without what is the same for all points.
        return {name: bound.render(point) for name, bound in model.templates.items() if bound.inputs_used}
    copied = {Path(path).name for path in model.files}
    with tempfile.TemporaryDirectory(prefix="otwrap-show-") as folder:
        model.prepare(point, folder)
        files = {path.relative_to(folder): path for path in Path(folder).rglob("*") if path.is_file()}
        return {
            relative.as_posix(): path.read_bytes()
            for relative, path in files.items()
            if relative.parts[0] not in copied
        }


def _compared(name: str, nominal: bytes, written: bytes, title: str, workdir: str | None) -> Compared:
    """Return how one file differs."""
    remark = ""
    kept = None if workdir is None else Path(workdir, name)
    if kept is not None and kept.is_file():
        content = kept.read_bytes()
        if content != written:
            remark = f"{kept} is not what the model writes today, or the code has changed it"
        written = content
    if nominal == written:
        return Compared(name, "", remark)
    if b"\0" in nominal + written:
        return Compared(name, "", f"{remark}; " * bool(remark) + f"{name} is binary, and differs")
    before, after = (content.decode("utf-8", "replace").splitlines() for content in (nominal, written))
    names = (f"{name} (nominal)", f"{name} ({title})")
    lines = list(difflib.unified_diff(before, after, *names, lineterm=""))
    if len(lines) > _MOST:
        lines = [*lines[:_MOST], f"... and {len(lines) - _MOST} more lines"]
    return Compared(name, "\n".join(lines), remark)
