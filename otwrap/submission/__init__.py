"""What is queued elsewhere: submitted, left, come back to, collected.

::

    points -> which does the store know? -> folder -> arrays of a batch system
    folder -> records of what has ended  -> store

:func:`submit` writes and submits; :class:`Submission` is what any process, on any day, does with the folder then.
"""

from __future__ import annotations

from .collecting import Collected
from .handle import Submission
from .status import Status
from .submitting import prepare, submit

__all__ = ["Collected", "Status", "Submission", "prepare", "submit"]
