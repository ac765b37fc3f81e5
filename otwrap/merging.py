"""Stores of one model, made into one."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from struct import pack
from typing import Any, NamedTuple

from .errors import StoreError
from .evaluation import Evaluation
from .fingerprints import difference
from .store import Store

__all__ = ["Conflict", "Merged", "merge"]


class Conflict(NamedTuple):
    """A point for which two stores have different outputs.

    Attributes
    ----------
    kept, left : Evaluation
        The newer one, and the older one.
    """

    kept: Evaluation
    left: Evaluation


class Merged(NamedTuple):
    """What a merge has done.

    Attributes
    ----------
    added : int
        Points that the store did not have.
    mended : int
        Points that had failed in the store, and are now done.
    known : int
        Points that it had already.
    conflicts : list of Conflict
        Points whose outputs differ.
    """

    added: int
    mended: int
    known: int
    conflicts: list[Conflict]


def merge(into: str, others: Sequence[str]) -> Merged:
    """Take the records of other stores of the same model into one.

    Parameters
    ----------
    into : str
        The store that grows; made if missing.
    others : sequence of str
        Stores to read. They stay as they are.

    Returns
    -------
    merged : Merged

    Raises
    ------
    StoreError
        If the models differ, or a store cannot be read. Nothing was written then.
    """
    paths = [os.path.abspath(os.path.expanduser(path)) for path in (into, *others)]
    if len({os.path.realpath(path) for path in paths}) < len(paths):
        raise StoreError("a store is given twice: a store is not merged into itself")
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(Store(path, readonly=True)) for path in paths[1:]]
        identities = [source.models()[-1][1] if source.models() else None for source in sources]
        new = not os.path.exists(paths[0])
        target = stack.enter_context(Store(paths[0]))
        try:
            wanted = _same_model(target, sources, identities)
        except StoreError:
            if new:
                target.close()
                os.unlink(paths[0])
            raise
        prints = {name: value for name, value in wanted.items() if name not in ("inputs", "outputs")}
        target.select(wanted["inputs"], wanted["outputs"], prints)
        counts: Counter[str] = Counter()
        conflicts: list[Conflict] = []
        for source in sources:
            source.select_last()
            _take_in(target, source, counts, conflicts)
    return Merged(counts["added"], counts["mended"], counts["known"], conflicts)


def _same_model(
    target: Store, sources: Sequence[Store], identities: Sequence[dict[str, Any] | None]
) -> dict[str, Any]:
    """Return the model that all stores have, or raise."""
    own = target.models()
    wanted = own[-1][1] if own else next((model for model in identities if model), None)
    if wanted is None:
        raise StoreError("none of the stores has a record yet: there is nothing to merge")
    for source, model in zip(sources, identities, strict=True):
        if model is not None and model != wanted:
            text = difference(model, wanted).partition(". ")[0]
            raise StoreError(
                f"the store {source.path} {text}; only stores of one model are merged. Nothing was changed"
            )
    return wanted


def _take_in(target: Store, source: Store, counts: Counter[str], conflicts: list[Conflict]) -> None:
    """Take in the records of one store, many in a commit."""
    waiting: list[tuple[bytes, Evaluation]] = []
    for _, key, theirs in source.entries():
        ours = target.get(key)
        verdict = _verdict(ours, theirs)
        counts[verdict] += 1
        if verdict == "conflict" and ours is not None:
            newer = theirs.start_time > ours.start_time
            conflicts.append(Conflict(*((theirs, ours) if newer else (ours, theirs))))
            if not newer:
                continue
        if verdict != "known":
            waiting.append((key, theirs))
        if len(waiting) >= 1000:
            target.put_many(waiting)
            waiting = []
    target.put_many(waiting)
    target.note_makers(source.makers())


def _verdict(ours: Evaluation | None, theirs: Evaluation) -> str:
    """Return what is to be done with a record: it is added, mends a failure, is known, or in conflict."""
    if ours is None:
        return "added"
    if not ours.done:
        newer = theirs.start_time > ours.start_time
        return "mended" if theirs.done else ("again" if newer else "known")
    if not theirs.done or _bits(theirs.output) == _bits(ours.output):
        return "known"
    return "conflict"


def _bits(output: Iterable[float] | None) -> bytes:
    """Return an output so that nan is equal to itself."""
    return b"".join(pack("<d", value) for value in output or ())
