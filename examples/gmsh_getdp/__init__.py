"""A ring that conducts, by gmsh and GetDP in a chain: its wrapper and a sensitivity study."""

from __future__ import annotations

from .wrapper import ring

__all__ = ["ring"]
