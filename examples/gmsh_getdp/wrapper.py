"""The wrapper of two codes in a chain: gmsh meshes a ring, GetDP solves for the potential in it.

The inputs are the inner and the outer radius `RI` and `RO` in m, the conductivity `K` in S/m and the voltage `TI`
between the two circles in V; the output is the `power` in W that a ring of 1 m of thickness takes. Run it by hand
on one point::

    python wrapper.py -X 1 2 1 100
"""

from __future__ import annotations

from pathlib import Path

import openturns as ot

import otwrap as otw

__all__ = ["ring"]

HERE = Path(__file__).resolve().parent

ring = otw.Wrapper(
    inputs=["RI", "RO", "K", "TI"],
    outputs=["power"],
    # The size of the mesh does not vary: it is good for rings of about this size.
    templates={
        "plate.geo": otw.Template(HERE / "plate.geo.tmpl", constants={"@LC@": 0.08}, mark=r"@\w+@"),
        "heat.pro": otw.Template(HERE / "heat.pro.tmpl", mark=r"@\w+@"),
    },
    tokens=["@RI@", "@RO@", "@K@", "@TI@"],
    command=[
        otw.Command("gmsh -2 -v 2 -nt 1 -format msh2 -o plate.msh plate.geo", failure=r"Error\s*:"),
        otw.Command("getdp heat.pro -msh plate.msh -solve R -pos O", failure=r"Error\s*:"),
    ],
    # GetDP ends well with nan, which no parser takes unless it is told to.
    parsers=[otw.parsers.Csv("power.dat", 1, separator=None, header=False, valid=(0.0, None))],
    nominal=[1.0, 2.0, 1.0, 100.0],
    distribution=ot.Normal([1.0, 2.0, 1.0, 100.0], [0.05, 0.05, 0.1, 5.0], ot.CorrelationMatrix(4)),
)

if __name__ == "__main__":
    otw.main(ring)
