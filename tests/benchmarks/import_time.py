"""What `import otwrap` adds to `import openturns, numpy`, in milliseconds."""

from __future__ import annotations

import statistics
import subprocess
import sys

CODE = """
import time
import numpy, openturns
clock = time.perf_counter()
import otwrap
print(time.perf_counter() - clock)
"""


def main(rounds: int = 9) -> None:
    """Print the median over some fresh processes."""
    times = [
        float(subprocess.run([sys.executable, "-c", CODE], capture_output=True, check=True).stdout) * 1e3
        for _ in range(rounds)
    ]
    print(f"import otwrap: {statistics.median(times):.0f} ms more ({min(times):.0f} to {max(times):.0f})")


if __name__ == "__main__":
    main()
