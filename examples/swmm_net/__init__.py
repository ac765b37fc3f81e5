"""A channel in EPA SWMM 5: its wrapper and the calibration of its roughness."""

from __future__ import annotations

from .wrapper import Swmm

__all__ = ["Swmm"]
