"""The examples: in the sources they stand beside the package, in ``examples/``; installed, in here."""

from __future__ import annotations

from pathlib import Path

__all__: list[str] = []

_beside = Path(__file__).resolve().parents[2] / "examples"
if (_beside / "beam" / "wrapper.py").is_file():
    __path__.append(str(_beside))
