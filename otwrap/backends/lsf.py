"""Evaluate in the jobs of LSF."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Lsf"]


class Lsf(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of LSF", 1)

    name = "lsf"
