"""The wrapper of a drainage channel in EPA SWMM 5, for Linux; it needs ``otwrap[codes]`` and a C compiler.

The inputs are Manning's roughness `N` in s/m^(1/3), the drop `SLOPE` in m over the channel's 400 m, the inflow `Q` in
m^3/s and the width `W` in m; the output is the `velocity` in m/s after 12 hours. Run it by hand on one point::

    python wrapper.py -X 0.015 0.8 10 4
"""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import openturns as ot

import otwrap as otw
from otwrap.examples.building import built

__all__ = ["Swmm"]

# The exit code is always 0. What SWMM warns of is a change of the model; what a node floods is lost from it.
FAILURE = [("net.rpt", r"^ *(ERROR|WARNING) \d+")]
SUCCESS = [("net.rpt", "No nodes were flooded"), ("net.rpt", r"^ *Continuity Error \(%\) \.+ +-?0\.\d+$")]

# A whole binary file ends with error code 0 and the magic number.
MAGIC = (516114522 << 32).to_bytes(8, "little")
RANGES = [ot.Uniform(0.01, 0.03), ot.Uniform(0.4, 1.2), ot.Uniform(3.0, 15.0), ot.Uniform(3.0, 5.0)]


class Swmm(otw.Wrapper):
    """The velocity in a channel, by EPA SWMM 5."""

    def __init__(self) -> None:
        library = next(Path(file.locate()) for file in files("swmm-toolkit") if file.match("libswmm5.so"))
        program = built(Path(__file__).with_name("runswmm.c"), str(library), f"-Wl,-rpath,{library.parent}")
        super().__init__(
            inputs=["N", "SLOPE", "Q", "W"],
            outputs=["velocity"],
            templates={"net.inp": otw.Template(Path(__file__).with_name("net.inp.tmpl"), mark=r"@\w+@")},
            tokens=["@N@", "@SLOPE@", "@Q@", "@W@"],
            command=otw.Command([program, "net.inp", "net.rpt", "net.out"], success=SUCCESS, failure=FAILURE),
            # The report has two decimals, the binary file seven digits. Where the velocity of the last time step
            # begins, 24 numbers are left: 3 of the channel, 15 of the system and 6 integers.
            parsers=[otw.parsers.Binary("net.out", "<f4", offset=-4 * 24, ending=MAGIC)],
            nominal=[0.015, 0.8, 10.0, 4.0],
            distribution=ot.JointDistribution(RANGES),
        )


if __name__ == "__main__":
    otw.main(Swmm)
