"""What the tests of the examples share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_study(tmp_path: Path) -> Callable[[Path], str]:
    """Return a function of an example's folder that runs its study, which must end well, and returns what it prints."""

    def run(example: Path) -> str:
        pytest.importorskip("matplotlib")
        done = subprocess.run(
            [sys.executable, str(example / "study.py")],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
