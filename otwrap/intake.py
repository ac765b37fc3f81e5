"""Runs that were made before otwrap, as records of a store: from their folders, or from tables."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .designs import DesignError, read_columns, read_design
from .dumps import load_array
from .errors import InputError, OtwrapError
from .evaluation import Evaluation, point_key
from .fingerprints import files_fingerprint
from .process.failures import find_any
from .store import Store
from .template.reading import read_point
from .wrapper import Wrapper

__all__ = ["HOST", "Intake", "Run", "array_runs", "folder_runs", "points_of_folders", "table_runs", "take_in"]

#: What stands as the host of a record that was not evaluated by otwrap.
HOST = "import"


class Run(NamedTuple):
    """One run that was made before.

    Attributes
    ----------
    place : str
        Where it was found, for messages.
    evaluation : Evaluation or None
        Its record; `None` if it cannot be taken.
    reason : str
        Why it cannot.
    """

    place: str
    evaluation: Evaluation | None
    reason: str = ""


class Intake(NamedTuple):
    """What came of an import.

    Attributes
    ----------
    taken : int
        New records.
    known : int
        Runs that the store had already, with the same output, and repeated ones.
    refused : list of (str, str)
        Place and reason of each run that was left out.
    """

    taken: int
    known: int
    refused: list[tuple[str, str]]


def take_in(store: Store, runs: Iterable[Run], *, dry_run: bool = False) -> Intake:
    """Record runs that the store does not know yet.

    A run whose point is known with another output is refused: which of the two is right cannot be told from here.

    Parameters
    ----------
    store : Store
        With the model selected.
    runs : iterable of Run
        As the other functions yield them.
    dry_run : bool, optional
        Write nothing. Default is `False`.

    Returns
    -------
    intake : Intake

    Examples
    --------
    >>> with Store() as store:
    ...     store.select(["x"], ["y"], {})
    ...     take_in(store, [Run("line 2", Evaluation((1.0,), (2.0,))), Run("line 3", None, "no output")])
    Intake(taken=1, known=0, refused=[('line 3', 'no output')])
    """
    fresh: dict[bytes, tuple[str, Evaluation]] = {}
    known, refused = 0, []
    for place, evaluation, reason in runs:
        if evaluation is None:
            refused.append((place, reason))
            continue
        key = point_key(evaluation.point)
        where, before = fresh.get(key) or ("the store", store.get(key))
        if before is None or not before.done:
            fresh[key] = (place, evaluation)
        elif before.output == evaluation.output:
            known += 1
        else:
            reason = f"its point has other outputs in {where}: {_few(before.output)}, and here {_few(evaluation.output)}"
            refused.append((place, reason))
    if not dry_run:
        store.put_many([(key, evaluation) for key, (_, evaluation) in fresh.items()])
    return Intake(len(fresh), known, refused)


def _few(values: Sequence[float] | None) -> str:
    """Return some numbers in words."""
    shown = ", ".join(map(repr, (values or ())[:3]))
    return f"{shown}, ..." if len(values or ()) > 3 else shown


def folder_runs(
    model: Wrapper,
    folders: Sequence[str],
    points: Mapping[str, tuple[float, ...]] | None = None,
    *,
    ignore_times: bool = False,
) -> Iterator[Run]:
    """Yield the runs in folders: input files are read backwards, output files by the model's parsers.

    Parameters
    ----------
    model : Wrapper
        Whose input and output the folders hold.
    folders : sequence of str
        One for each run.
    points : mapping, optional
        Folder -> point. Default is to read the points from the input files.
    ignore_times : bool, optional
        Take output files that are older than the input files too. Default is `False`.

    Yields
    ------
    run : Run
    """
    reference = [files_fingerprint([path]) for path in model.files]
    for folder in folders:
        place = os.path.abspath(folder)
        try:
            if points is None:
                point = read_point(model.templates, place, model.inputs)
            elif folder in points:
                point = points[folder]
            else:
                raise InputError("the table of points does not name it")
            _check_finite(point)
            _check_files(place, model.files, reference)
            _check_patterns(place, model)
            written, ended = _times(place, model)
            if ended is not None and written > ended + 1.0 and not ignore_times:
                raise InputError(
                    "an output file is older than the input files: it may be of another point. If only the copying "
                    "made it so, --ignore-times takes it"
                )
            output = model.parse(place)
        except (
            Exception
        ) as error:  # whatever a parser or a step of the user raises: the run is left out, and told
            text = str(error) if isinstance(error, OtwrapError) else f"{type(error).__name__}: {error}"
            yield Run(folder, None, text)
            continue
        yield Run(folder, Evaluation(point, output, host=HOST, workdir=place, start_time=written))


def _check_finite(point: Sequence[float]) -> None:
    """Raise if a point has a nan or an infinity."""
    if not all(map(math.isfinite, point)):
        raise InputError(f"its point {list(point)} is not finite")


def _check_files(folder: str, files: Sequence[str], reference: Sequence[dict[str, str]]) -> None:
    """Raise if a file that the model brings along is another one in the folder."""
    for path, expected in zip(files, reference, strict=True):
        copy = os.path.join(folder, os.path.basename(path))
        found = files_fingerprint([copy]) if os.path.exists(copy) else {}
        different = [name for name in found.keys() & expected.keys() if found[name] != expected[name]]
        if different:
            raise InputError(f"{different[0]!r} differs from the model's")


def _check_patterns(folder: str, model: Wrapper) -> None:
    """Raise if the patterns of the command say that the run failed."""
    for command in model.commands:
        line = find_any(command.failure, folder)
        if line is not None:
            raise InputError(f"the command's failure= finds {line!r}")
        for pattern in command.success:
            named = not isinstance(pattern, str)
            if (named or os.path.exists(os.path.join(folder, "stdout.txt"))) and find_any(
                [pattern], folder
            ) is None:
                raise InputError(f"the command's success={pattern!r} finds nothing")


def _times(folder: str, model: Wrapper) -> tuple[float, float | None]:
    """Return when the input was written, and when the first output file was."""
    read = {name for parser in model.parsers for name in parser.files}
    written = [_changed(folder, name) for name in model.templates if name not in read]
    ended = [_changed(folder, name) for name in read if name not in model.templates]
    inputs, outputs = [t for t in written if t is not None], [t for t in ended if t is not None]
    if not inputs:
        return (min(outputs) if outputs else os.path.getmtime(folder)), None
    return max(inputs), min(outputs) if outputs else None


def _changed(folder: str, name: str) -> float | None:
    """Return when a file was changed, in seconds since the epoch."""
    try:
        return os.path.getmtime(os.path.join(folder, name))
    except OSError:
        return None


def points_of_folders(
    path: str, folders: Sequence[str], inputs: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Return the points of folders from a table.

    Parameters
    ----------
    path : str
        CSV, see :func:`otwrap.designs.read_design`. A column ``folder`` names the folders, by path or by their last
        part; without it the lines are those of the folders in the order of the numbers in their names.
    folders : sequence of str
        The folders.
    inputs : sequence of str
        The input description.

    Returns
    -------
    points : dict
        Folder -> point; a folder that the table does not name is left out.

    Raises
    ------
    DesignError
        If the table does not fit.
    """
    design = read_design(path, inputs)
    if "folder" not in design.ignored:
        if len(design.points) != len(folders):
            msg = (
                f"{path} has {len(design.points)} points for {len(folders)} folders; give it a column `folder`, or as "
                "many lines as folders, in their order"
            )
            raise DesignError(msg)
        return dict(zip(sorted(folders, key=_numbers_in), design.points, strict=True))
    rows, _ = read_columns(path, ["folder"])
    names = {cells[0].rstrip("/"): point for (_, cells), point in zip(rows, design.points, strict=True)}
    found = {}
    for folder in folders:
        for name in (folder, os.path.abspath(folder), os.path.basename(os.path.abspath(folder))):
            if name in names:
                found[folder] = names[name]
                break
    return found


def _numbers_in(text: str) -> list[tuple[bool, int, str]]:
    """Return a key that sorts ``run10`` behind ``run9``."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]


def table_runs(path: str, inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[Run]:
    """Yield the runs in a CSV file with a column for each input and each output.

    Parameters
    ----------
    path : str
        See :func:`otwrap.designs.read_columns`.
    inputs, outputs : sequence of str
        The descriptions, which are the names of the columns.

    Yields
    ------
    run : Run

    Raises
    ------
    DesignError
        If a column is missing.
    """
    names = [*inputs, *outputs]
    rows, _ = read_columns(path, names)
    changed = os.path.getmtime(path)
    for line, cells in rows:
        place = f"line {line}"
        if not cells:
            yield Run(place, None, "another number of cells than the line of names has")
            continue
        values, reason = [], ""
        for name, cell in zip(names, cells, strict=True):
            try:
                values.append(float(cell.replace("_", "x")))
            except ValueError:
                reason = reason or f"{name} is {cell!r}, not a number" + (
                    "; the decimal mark is a point" if "," in cell else ""
                )
        yield _run_of(place, values, len(inputs), names, changed, reason)


def _run_of(
    place: str,
    values: Sequence[float],
    dimension: int,
    names: Sequence[str],
    changed: float,
    reason: str = "",
) -> Run:
    """Return a row of numbers as a run."""
    if not reason:
        wrong = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
        if wrong is None:
            point, output = tuple(values[:dimension]), tuple(values[dimension:])
            return Run(place, Evaluation(point, output, host=HOST, start_time=changed))
        reason = f"{names[wrong]} is {values[wrong]!r}, not a finite number"
    return Run(place, None, reason)


def array_runs(
    input_path: str, output_path: str, inputs: Sequence[str], outputs: Sequence[str]
) -> Iterator[Run]:
    """Yield the runs in two files, one of inputs and one of outputs, row by row.

    Parameters
    ----------
    input_path, output_path : str
        ``.npy``, a dump of :func:`otwrap.dump_array`, or CSV.
    inputs, outputs : sequence of str
        The descriptions.

    Yields
    ------
    run : Run

    Raises
    ------
    DesignError
        If the shapes do not fit.
    """
    X, Y = _array(input_path, inputs), _array(output_path, outputs)
    if len(X) != len(Y):
        raise DesignError(
            f"{input_path} has {len(X)} rows and {output_path} has {len(Y)}; as many are expected"
        )
    changed = max(os.path.getmtime(input_path), os.path.getmtime(output_path))
    names = [*inputs, *outputs]
    for i, (x, y) in enumerate(zip(X.tolist(), Y.tolist(), strict=True)):
        yield _run_of(f"row {i}", [*x, *y], len(inputs), names, changed)


def _array(path: str, names: Sequence[str]) -> np.ndarray[Any, Any]:
    """Return a file as one row a run and one column a name."""
    if path.lower().endswith((".csv", ".txt", ".dat")):
        return np.array(read_design(path, names).points)
    loaded = load_array(path)
    try:
        array = np.asarray(loaded, dtype=float)
    except (TypeError, ValueError) as error:
        raise DesignError(f"{path} is no array of numbers: {error}") from None
    if array.ndim == 1 and len(names) == 1:
        array = array.reshape(-1, 1)
    if array.ndim != 2 or array.shape[1] != len(names):
        msg = f"{path} has shape {array.shape}; expected is one column for each of {len(names)}: {', '.join(names)}"
        raise DesignError(msg)
    return array[:, _order(path, getattr(loaded, "getDescription", None), names)]


def _order(path: str, description: Callable[[], Any] | None, names: Sequence[str]) -> list[int]:
    """Return which column is which name: by the description of a sample if it has the names."""
    there = list(description()) if description else []
    shared = set(there) & set(names)
    if shared and shared != set(names):
        raise DesignError(f"{path} has the columns {', '.join(there)}; the names are {', '.join(names)}")
    return [there.index(name) for name in names] if shared else list(range(len(names)))
