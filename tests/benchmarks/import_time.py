"""What `import otwrap` adds to `import openturns, numpy`, in milliseconds; and all its public names."""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = """
import time
import numpy, openturns
clock = time.perf_counter()
import otwrap
door = time.perf_counter() - clock
[getattr(otwrap, name) for name in otwrap.__all__]
print(door, time.perf_counter() - clock)
"""


def main(rounds: int = 9) -> None:
    """Print the median over some fresh processes."""
    runs = [
        subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True) for _ in range(rounds)
    ]
    times = [[float(text) * 1e3 for text in run.stdout.split()] for run in runs]
    for what, values in zip(
        ("import otwrap", "all public names loaded"), zip(*times, strict=True), strict=True
    ):
        print(f"{what}: {statistics.median(values):.0f} ms more ({min(values):.0f} to {max(values):.0f})")


if __name__ == "__main__":
    main()
