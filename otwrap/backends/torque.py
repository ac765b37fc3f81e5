"""Evaluate in the jobs of Torque."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Torque"]


class Torque(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace("the jobs of a batch system", "the jobs of Torque", 1)

    name = "torque"
