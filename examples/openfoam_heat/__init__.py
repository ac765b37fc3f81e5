"""A bar that is heated at one end, by OpenFOAM: its wrapper and a study of a curve over time."""

from __future__ import annotations

from .wrapper import bar

__all__ = ["bar"]
