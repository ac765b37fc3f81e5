"""Evaluate in background processes of this machine, as a rehearsal of a batch system."""

from __future__ import annotations

from ._batch import BatchBackend

__all__ = ["Local"]


class Local(BatchBackend):
    __doc__ = (BatchBackend.__doc__ or "").replace(
        "the jobs of a batch system",
        "background processes of this machine, as a rehearsal of a batch system",
        1,
    )

    name = "local"

    def where(self) -> str:
        """Return where evaluations would run now, in words."""
        return "background processes of this machine, as a rehearsal of a cluster"
