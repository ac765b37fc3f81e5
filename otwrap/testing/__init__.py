"""A fake simulator, to rehearse a study before it costs hours: it crashes, hangs and lies as one tells it to.

====================== =============================================================
:class:`FakeSimulator` a ready :class:`otwrap.Wrapper` of a program that goes wrong
:class:`Fault`         what goes wrong, and at which points
:data:`KINDS`          what can go wrong
:class:`Expected`      what the record of a point should say
:class:`Run`           one run of the code, as its own log has it
====================== =============================================================
"""

from __future__ import annotations

from .faults import KINDS, Fault
from .runs import Run
from .simulator import Expected, FakeSimulator

__all__ = ["KINDS", "Expected", "FakeSimulator", "Fault", "Run"]
