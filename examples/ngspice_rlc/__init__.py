"""A low-pass filter by ngspice: its wrapper and a study of its components' tolerances."""

from __future__ import annotations

from .wrapper import rlc

__all__ = ["rlc"]
