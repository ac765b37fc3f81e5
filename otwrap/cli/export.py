"""`otwrap export`: the evaluations of a store as a table in a file."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from ..designs import csv_text
from ..errors import OtwrapError
from ..evaluation import Evaluation
from ..files import write_atomic
from ..tables import dataframe, rows
from .command import Command
from .output import echo_json, json_text, note
from .records import opened, store_argument

__all__ = ["export"]

_Items = Sequence[tuple[int, Evaluation]]

_FORMATS = {".csv": "csv", ".json": "json", ".parquet": "parquet", ".h5": "hdf5", ".hdf5": "hdf5"}


@click.command("export", cls=Command)
@store_argument
@click.option(
    "--to", "target", required=True, metavar="FILE", help="The file to write; - is the standard output."
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "json", "parquet", "hdf5"]),
    help="Default is what the name ends with: .csv, .json, .parquet, .h5.",
)
@click.option("--done", is_flag=True, help="Only the evaluations that are done.")
@click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
def export(options: Any) -> int:
    """Write the evaluations of STORE to a table, one row a point, with all digits.

    A failed point has no output: an empty cell in CSV, null in JSON, nan in Parquet and HDF5. nan and the
    infinities, where a model may return them, are written as such, but in JSON, which has only null for them.
    """
    kind = options.kind or _FORMATS.get(Path(options.target).suffix.lower())
    if kind is None:
        raise click.UsageError(f"--to {options.target}: give --format csv, json, parquet or hdf5")
    if options.target == "-" and (kind in ("parquet", "hdf5") or options.as_json):
        raise click.UsageError("--to - goes with --format csv or json, and without --json")
    if Path(options.target).exists() and Path(options.target).samefile(options.store):
        raise click.UsageError(f"--to {options.target} is the store itself; give another file")
    with opened(options.store) as store:
        inputs, outputs = store.description()
        items = [item for item in store.items() if item[1].done or not options.done]
    if options.target == "-":
        click.echo(_text(kind, inputs, outputs, items), nl=False)
        return 0
    if kind in ("csv", "json"):
        write_atomic(options.target, _text(kind, inputs, outputs, items))
    elif kind == "parquet":
        _replaced(options.target, lambda path: _write_parquet(path, inputs, outputs, items))
    else:
        _replaced(options.target, lambda path: _write_hdf5(path, inputs, outputs, items))
    if options.as_json:
        echo_json({"file": options.target, "format": kind, "rows": len(items)})
    else:
        note(f"{len(items)} rows written to {options.target}")
    return 0


def _text(kind: str, inputs: Sequence[str], outputs: Sequence[str], items: _Items) -> str:
    """Return the table as CSV, or as a JSON list of one object a row."""
    header, table = rows(inputs, outputs, items)
    if kind == "csv":
        return csv_text(header, table)
    return json_text([dict(zip(header, row, strict=True)) for row in table]) + "\n"


def _replaced(target: str, write: Callable[[str], None]) -> None:
    """Write a file under another name first, so that the target is whole or as it was."""
    path = Path(target)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        write(os.fspath(draft))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _write_parquet(path: str, inputs: Sequence[str], outputs: Sequence[str], items: _Items) -> None:
    """Write the table by pandas."""
    try:
        dataframe(inputs, outputs, items).to_parquet(path, index=False)
    except ImportError as error:
        msg = f"Parquet needs the packages pandas and pyarrow ({error}): pip install 'otwrap[pandas]'"
        raise OtwrapError(msg) from error


def _write_hdf5(path: str, inputs: Sequence[str], outputs: Sequence[str], items: _Items) -> None:
    """Write one data set a column; nan stands for a number that is not there."""
    try:
        import h5py
    except ImportError as error:
        msg = "HDF5 needs the package h5py: pip install 'otwrap[hdf5]'"
        raise OtwrapError(msg) from error
    import numpy as np

    header, table = rows(inputs, outputs, items)
    texts = {"status", "cause", "error", "host", "workdir"} - {*inputs, *outputs}
    with h5py.File(path, "w") as file:
        for i, name in enumerate(header):
            column = [row[i] for row in table]
            if name in texts:
                file.create_dataset(name, data=[cell or "" for cell in column], dtype=h5py.string_dtype())
            elif name == "id":
                file.create_dataset(name, data=np.array(column, dtype=np.int64))
            else:
                file.create_dataset(
                    name, data=np.array([np.nan if c is None else c for c in column], dtype=float)
                )
