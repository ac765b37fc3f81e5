"""Which points `otwrap store remove` is asked to remove, and their work directories."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import click

from ..evaluation import Evaluation
from ..files import remove_tree
from ..store import Store

__all__ = ["Chosen", "chosen_of", "remove_folders"]


class Chosen(NamedTuple):
    """What is to be removed.

    Attributes
    ----------
    keys : list of bytes
        Of the points.
    folders : list of str
        Their kept work directories that are there on this machine.
    """

    keys: list[bytes]
    folders: list[str]


def chosen_of(store: Store, options: Any) -> Chosen:
    """Return the points that the options choose.

    Parameters
    ----------
    store : Store
        On one model.
    options : object
        With the attributes `ids`, `statuses`, `causes`, `regions` (name, least and greatest value) and
        `everything`.

    Returns
    -------
    chosen : Chosen

    Raises
    ------
    click.UsageError
        If there is no such record, or no such input.
    """
    inputs = store.description()[0]
    unknown = [name for name, _, _ in options.regions if name not in inputs]
    if unknown:
        raise click.UsageError(f"--between {unknown[0]}: no such input; there are {', '.join(inputs)}")
    regions = [(inputs.index(name), low, high) for name, low, high in options.regions]
    found: dict[int, tuple[bytes, Evaluation]] = {}
    for number, key, evaluation in store.entries():
        if _is_chosen(number, evaluation, options, regions):
            found[number] = (key, evaluation)
    missing = sorted(set(options.ids) - {number for number, _, _ in store.entries()}) if options.ids else []
    if missing:
        msg = f"--id {missing[0]}: {store.path} has no such record, or it is not the last one of its point"
        raise click.UsageError(msg)
    folders = [evaluation.workdir for _, evaluation in found.values() if _is_ours(evaluation)]
    return Chosen([key for key, _ in found.values()], [folder for folder in folders if folder])


def _is_chosen(
    number: int, evaluation: Evaluation, options: Any, regions: Iterable[tuple[int, float, float]]
) -> bool:
    """Whether all that is asked for holds of a record."""
    return (
        (not options.ids or number in options.ids)
        and (not options.statuses or evaluation.status in options.statuses)
        and (not options.causes or evaluation.cause in options.causes)
        and all(
            index < len(evaluation.point) and low <= evaluation.point[index] <= high
            for index, low, high in regions
        )
    )


def _is_ours(evaluation: Evaluation) -> bool:
    """Whether a folder is one that otwrap has made: a store of a stranger may name any."""
    folder = evaluation.workdir
    return (
        folder is not None
        and evaluation.host != "import"
        and os.path.basename(folder).startswith(("run-", "point-"))
        and os.path.isdir(folder)
        and not os.path.islink(folder)
    )


def remove_folders(folders: Iterable[str]) -> list[str]:
    """Remove work directories and return those that are gone.

    Parameters
    ----------
    folders : iterable of str
        As :class:`Chosen` has them.

    Returns
    -------
    gone : list of str
    """
    gone = []
    for folder in folders:
        remove_tree(folder)
        if not os.path.exists(folder):
            gone.append(folder)
    return gone
