"""A cantilever beam by CalculiX: its wrapper and a reliability study."""

from __future__ import annotations

from .wrapper import beam

__all__ = ["beam"]
