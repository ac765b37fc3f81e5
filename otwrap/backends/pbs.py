"""Evaluate in the jobs of PBS."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Pbs"]


class Pbs(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of PBS", 1)

    name = "pbs"
