"""Records that have come, taken into a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..batch import BatchFolder
from ..batch.arrivals import Arrival
from ..batch.standing import latest
from ..store import Store

__all__ = ["Collected", "collect_into"]


class Collected(NamedTuple):
    """What came of collecting.

    Attributes
    ----------
    done : int
        Points whose good record is new in the store.
    failed : int
        Points that have failed, and that the store does not know as done.
    known : int
        Points that the store had as done.
    missing : int
        Points of which there is nothing yet.
    store : str
        Where the records are.
    """

    done: int
    failed: int
    known: int
    missing: int
    store: str


def collect_into(
    path: str,
    folder: BatchFolder,
    arrivals: Sequence[Arrival],
    fingerprints: Mapping[str, str] | None = None,
) -> Collected:
    """Put into a store what it does not know.

    Parameters
    ----------
    path : str
        Of the store.
    folder : BatchFolder
        Of the submission.
    arrivals : sequence of Arrival
        What has come.
    fingerprints : mapping of str, optional
        Of the model that read the output. Default is those of the model that was submitted.

    Returns
    -------
    collected : Collected

    Raises
    ------
    StoreError
        If somebody else writes the store, or it holds the evaluations of another model.
    """
    keys, about = folder.keys, folder.about
    ended = latest(arrivals)
    with Store(path) as store:
        store.select(about["inputs"], about["outputs"], dict(fingerprints or about["fingerprints"]))
        before = {number: store.get(keys[number]) for number in ended}
        known = {
            number for number, evaluation in before.items() if evaluation is not None and evaluation.done
        }
        fresh = {
            number: evaluation
            for number, evaluation in ended.items()
            # A failure that was collected before would otherwise count as one more attempt.
            if number not in known and evaluation != before[number]
        }
        store.put_many([(keys[number], evaluation) for number, evaluation in fresh.items()])
        there = store.keys()
        store.change_submission(folder.id, is_open=not all(key in there for key in keys))
    done = sum(evaluation.done for evaluation in fresh.values())
    failed = len(ended) - len(known) - done
    return Collected(done, failed, len(known), len(keys) - len(ended), path)
