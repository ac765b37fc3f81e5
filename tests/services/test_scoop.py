"""SCOOP's workers, through the door for executors."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest
from engines import in_private_network

pytestmark = pytest.mark.services

STUDY = """
import openturns as ot
import otwrap as otw
from scoop import futures

class Double(ot.OpenTURNSPythonFunction):
    def __init__(self):
        super().__init__(1, 1)
    def _exec(self, x):
        return [2.0 * x[0]]

if __name__ == "__main__":
    with otw.Parallelizer(Double(), futures, 2, verbosity=False) as f:
        print(sum(y for (y,) in f([[float(i)] for i in range(200)])))
"""


def test_the_workers_of_scoop_evaluate(need, tmp_path):
    """`python -m scoop study.py` with ``backend=scoop.futures``: 200 answers, and an end."""
    need(importlib.util.find_spec("scoop") is not None, "SCOOP is not installed: pip install scoop")
    script = tmp_path / "study.py"
    script.write_text(textwrap.dedent(STUDY))
    command = in_private_network([sys.executable, "-m", "scoop", "-n", "3", str(script)])
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stdout.splitlines()[-1:] == ["39800.0"], ended.stderr
