"""Evaluate in the jobs of Slurm."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Slurm"]


class Slurm(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of Slurm", 1)

    name = "slurm"
