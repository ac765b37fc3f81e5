"""Published problems of reliability and sensitivity, by one external code."""

from __future__ import annotations

from .algorithms import estimates, solve
from .wrapper import PROBLEMS, Published

__all__ = ["PROBLEMS", "Published", "estimates", "solve"]
