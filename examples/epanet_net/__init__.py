"""A pipe in EPANET 2.2: its wrapper and the probability of too low a pressure."""

from __future__ import annotations

from .wrapper import Epanet

__all__ = ["Epanet"]
