"""The beam: an external code, its wrapper, its probabilistic models and a study."""

from __future__ import annotations

from .models import MODELS, Model, known_indices
from .wrapper import Beam, Wrapper

__all__ = ["MODELS", "Beam", "Model", "Wrapper", "known_indices"]
