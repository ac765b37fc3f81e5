"""Evaluate in the jobs of HTCondor."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Htcondor"]


class Htcondor(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of HTCondor", 1)

    name = "htcondor"
