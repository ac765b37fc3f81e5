"""A changed parser reads the kept work directories again, so that the code need not run."""

from __future__ import annotations

import os
from collections.abc import Sequence

from .errors import EvaluationError, StoreError
from .evaluation import Evaluation
from .evaluator import Evaluator
from .store import Store

__all__ = ["parsed_again"]

#: Failures that another parser may mend.
_OF_PARSERS = ("output", "output missing", "output empty", "no match", "not a number", "out of range")

_Records = list[tuple[bytes, Evaluation]]


def parsed_again(store: Store, evaluator: Evaluator, on_change: str) -> _Records | None:
    """Return the records of a model whose parsers alone have changed, parsed from the kept work directories.

    Parameters
    ----------
    store : Store
        Where the former model's evaluations are; nothing is written.
    evaluator : Evaluator
        With the new parsers.
    on_change : {"refuse", "rerun"}
        What is done if a good evaluation kept no work directory: an error says what running it again would
        cost, or it is left to run again.

    Returns
    -------
    records : list of (bytes, Evaluation) or None
        Key and new record; `None` if the parsers have not changed, or not they alone.

    Raises
    ------
    StoreError
        If good evaluations kept no work directory and `on_change` is ``"refuse"``.
    """
    number = _former(store, evaluator)
    if number is None or not hasattr(evaluator, "parse"):
        return None
    store.select_number(number)
    keys = store.keys()
    former = [(key, store.last(key)) for key in keys]
    gone = [record for _, record in former if record.done and not _is_kept(record)]
    if gone and on_change == "refuse":
        raise StoreError(_refusal(store.path, evaluator.inputs, gone, len(former)))
    return [
        (key, _parsed(record, evaluator))
        for key, record in former
        if _is_kept(record) and (record.done or record.cause in _OF_PARSERS)
    ]


def _former(store: Store, evaluator: Evaluator) -> int | None:
    """Return the last model of the store that differs by its parsers alone, if the present one is not there."""
    wanted = {
        "inputs": list(evaluator.inputs),
        "outputs": list(evaluator.outputs),
        **evaluator.fingerprints(),
    }
    found = None
    for number, model in store.models():
        different = {name for name in {*model, *wanted} if model.get(name) != wanted.get(name)}
        if not different:
            return None
        if different == {"parsers"}:
            found = number
    return found


def _is_kept(record: Evaluation) -> bool:
    """Whether an evaluation's work directory is there."""
    return record.workdir is not None and os.path.isdir(record.workdir)


def _parsed(record: Evaluation, evaluator: Evaluator) -> Evaluation:
    """Return a record with what the parsers read now."""
    try:
        output = evaluator.parse(record.workdir)  # type: ignore[attr-defined]
        return record._replace(output=output, status="done", cause="", error="")
    except EvaluationError as error:
        text = f"{error}\nThe work directory was kept: {record.workdir}"
        return record._replace(output=None, status=error.status, cause=error.cause, error=text)
    except Exception as error:  # a parser of the user's own: a failure is a value
        text = f"{type(error).__name__}: {error}\nThe work directory was kept: {record.workdir}"
        return record._replace(output=None, status="failed", cause="exception", error=text)


def _refusal(path: str, names: Sequence[str], gone: Sequence[Evaluation], size: int) -> str:
    """Return why a store is refused: which points kept nothing, and what they would cost."""
    seconds = sum(record.wall_time for record in gone)
    shown = [
        ", ".join(f"{name}={value!r}" for name, value in zip(names, record.point, strict=False))
        for record in gone[:5]
    ]
    more = f" and {len(gone) - len(shown)} more" if len(gone) > len(shown) else ""
    return (
        f"the store {path} was made with other parsers. Of its {size} evaluations, {len(gone)} good ones kept no "
        f"work directory that could be parsed again: {'; '.join(shown)}{more}. Running them again would take "
        f"{_duration(seconds)} of computing: on_change='rerun' parses what was kept and runs these when they are "
        "asked for. keep='all' or keep_files= keeps what parsers read."
    )


def _duration(seconds: float) -> str:
    """Return a time in a fitting unit."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
