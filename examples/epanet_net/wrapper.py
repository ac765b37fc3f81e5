"""The wrapper of a water main in EPANET 2.2, for Linux; it needs ``otwrap[codes]`` and a C compiler.

The inputs are the diameter `D` in mm, the demand `Q` in l/s and the roughness coefficient `RC` of Hazen and Williams;
the output is the `pressure` in m of water at the end of the pipe. Run it by hand on one point::

    python wrapper.py -X 180 30 100
"""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import openturns as ot

import otwrap as otw
from otwrap.examples.building import built

__all__ = ["Epanet"]

# Warning 6 is of a negative pressure, which is right as a number: the demand cannot be met. Warnings 1 to 5 are of
# numbers that are not, such as those of a network that is not balanced. A whole binary file ends with a magic number.
SUCCESS = r"completed \(code [06]\)"
MAGIC = (516114521).to_bytes(4, "little")
INPUTS = [ot.Normal(180, 2), ot.LogNormalMuSigma(30, 6).getDistribution(), ot.Triangular(70, 100, 130)]


class Epanet(otw.Wrapper):
    """The pressure that a pipe leaves, by EPANET 2.2."""

    def __init__(self) -> None:
        library = next(Path(file.locate()) for file in files("wntr") if file.match("libepanet2.so"))
        program = built(Path(__file__).with_name("runepanet.c"), str(library), f"-Wl,-rpath,{library.parent}")
        super().__init__(
            inputs=["D", "Q", "RC"],
            outputs=["pressure"],
            templates={"net.inp": otw.Template(Path(__file__).with_name("net.inp.tmpl"), mark=r"@\w+@")},
            tokens=["@D@", "@Q@", "@RC@"],
            command=otw.Command([program, "net.inp", "net.rpt", "net.bin"], success=SUCCESS),
            # In the report's table large numbers touch. Where the node's pressure begins in the binary file, 19
            # numbers are left: 4 of the nodes, 8 of the pipe and 7 at the end.
            parsers=[otw.parsers.Binary("net.bin", "<f4", offset=-4 * 19, ending=MAGIC)],
            nominal=[180.0, 30.0, 100.0],
            distribution=ot.JointDistribution(INPUTS),
        )


if __name__ == "__main__":
    otw.main(Epanet)
