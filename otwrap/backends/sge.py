"""Evaluate in the jobs of Grid Engine."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Sge"]


class Sge(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of Grid Engine", 1)

    name = "sge"
