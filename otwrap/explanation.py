"""Why evaluations failed: grouped by what their errors say, and where among the points they lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from .evaluation import Evaluation
from .messages import kind_of
from .separation import Region, separating
from .store import Store

__all__ = ["FailureGroup", "FailureReport", "explain_failures"]

#: How many inputs are named for a group.
_MOST = 3


@dataclass(frozen=True)
class FailureGroup:
    """Evaluations that failed in the same way.

    Attributes
    ----------
    status, cause : str
        As in :class:`otwrap.Evaluation`.
    message : str
        What their errors have in common: numbers, paths, ids and names of machines are left out.
    ids : tuple of int
        Their numbers in the store.
    example : Evaluation
        The first of them.
    regions : tuple of Region
        The ranges of inputs in which they lie rather than the good points, the best first; empty if none
        tells them apart.
    """

    status: str
    cause: str
    message: str
    ids: tuple[int, ...]
    example: Evaluation
    regions: tuple[Region, ...]


@dataclass(frozen=True)
class FailureReport:
    """All failures of a campaign; as text, what a person wants to know of them.

    Attributes
    ----------
    inputs : tuple of str
        The input description.
    points : int
        How many points there are in all.
    groups : tuple of FailureGroup
        The largest first.
    regions : tuple of Region
        Of all failures together.
    """

    inputs: tuple[str, ...]
    points: int
    groups: tuple[FailureGroup, ...]
    regions: tuple[Region, ...]

    @property
    def failed(self) -> int:
        """How many points failed."""
        return sum(len(group.ids) for group in self.groups)

    def __str__(self) -> str:
        if not self.groups:
            return f"no failures among {self.points} points"
        ways = "in one way" if len(self.groups) == 1 else f"in {len(self.groups)} ways"
        together = _places(self.regions) if len(self.groups) > 1 else []
        first = "\n".join([f"{self.failed} of {self.points} points failed, {ways}", *together])
        return "\n\n".join([first, *(self._told(group) for group in self.groups)])

    def _told(self, group: FailureGroup) -> str:
        """Return a group in words."""
        values = zip(self.inputs, group.example.point, strict=False)
        example = ", ".join(f"{name}={value!r}" for name, value in values)
        return "\n".join(
            [
                f"{len(group.ids)} x {group.status} ({group.cause}): {group.message}",
                *_places(group.regions),
                f"  for example {group.ids[0]}: {example}",
                *(f"    {line}".rstrip() for line in group.example.error.splitlines()),
            ]
        )


def _places(regions: Sequence[Region]) -> list[str]:
    """Return where failures lie, a line each."""
    return [f"  {region}" for region in regions[:_MOST]]


def explain_failures(source: Any) -> FailureReport:
    """Group the failures of a campaign by why they failed, and say where they lie.

    Parameters
    ----------
    source : Campaign, Parallelizer, Store or path
        Whose last evaluations are looked at; of a path, those of the model that was used last.

    Returns
    -------
    report : FailureReport
        To be printed, or read.

    Raises
    ------
    StoreError
        If there is no such store.

    Examples
    --------
    >>> import openturns as ot
    >>> import otwrap as otw
    >>> root = ot.PythonFunction(1, 1, lambda x: [x[0] ** 0.5 / (x[0] > 0.0)])
    >>> f = otw.Parallelizer(root, "serial", verbosity=False)
    >>> _ = f.campaign.map([[i / 10 - 2.0] for i in range(100)])
    >>> print(*otw.explain_failures(f.campaign).regions)
    100 % of the failures have x0 <= 0, no good point does
    """
    if isinstance(source, (str, os.PathLike)):
        with closing(Store(source, readonly=True)) as store:
            store.select_last()
            return _report(store)
    campaign = getattr(source, "campaign", source)
    return _report(getattr(campaign, "store", campaign))


def _report(store: Store) -> FailureReport:
    """Return the report on the selected model of a store."""
    inputs, outputs = store.description()
    good: list[tuple[Any, ...]] = []
    bad: list[tuple[int, Evaluation]] = []
    for number, evaluation in store.items():
        if evaluation.done:
            good.append(evaluation.point)
        else:
            bad.append((number, evaluation))
    hosts, names = {evaluation.host for _, evaluation in bad}, [*inputs, *outputs]
    kinds: dict[tuple[str, str, str], list[tuple[int, Evaluation]]] = {}
    for number, evaluation in bad:
        message = kind_of(
            evaluation.error, evaluation.cause, workdir=evaluation.workdir, hosts=hosts, names=names
        )
        kinds.setdefault((evaluation.status, evaluation.cause, message), []).append((number, evaluation))
    groups = [
        FailureGroup(
            *kind, tuple(number for number, _ in members), members[0][1], _where(inputs, members, good)
        )
        for kind, members in kinds.items()
    ]
    groups.sort(key=lambda group: -len(group.ids))
    return FailureReport(tuple(inputs), len(good) + len(bad), tuple(groups), _where(inputs, bad, good))


def _where(
    inputs: Sequence[str], failed: Sequence[tuple[int, Evaluation]], good: Sequence[tuple[Any, ...]]
) -> tuple[Region, ...]:
    """Return what separates failed evaluations from good points."""
    # A point that was cancelled has not failed, and one whose length is wrong lies nowhere.
    points = [
        evaluation.point
        for _, evaluation in failed
        if evaluation.status != "cancelled" and len(evaluation.point) == len(inputs)
    ]
    return tuple(separating(inputs, points, good))
