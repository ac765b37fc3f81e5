"""The wrapper of a bar of 1 m in OpenFOAM: blockMesh meshes it, laplacianFoam conducts heat from its hot end.

The inputs are the diffusivity `ALPHA` in m²/s, the temperature `T1` of the hot end in K above the other, and the
number of cells `NX`; the output is the curve over time of the temperature `T` in the middle, every ms up to 0.1 s.
Run it by hand on one point::

    python wrapper.py -X 1 100 101
"""

from __future__ import annotations

from pathlib import Path

import openturns as ot

import otwrap as otw

__all__ = ["bar"]

# This folder becomes the work directory. OpenFOAM wants a whole number of cells, written as one.
case = otw.Tree(Path(__file__).with_name("case.tmpl"), formats={"@NX@": "d"}, mark=r"@\w+@")
# Where Debian has OpenFOAM, unless the environment of the run says where it is.
place = "export WM_PROJECT_DIR=${WM_PROJECT_DIR:-/usr/share/openfoam}"
# A solution that blows up is no failure to OpenFOAM, but no temperature either.
curve = otw.parsers.Csv("postProcessing/probes/0/T", 1, row="all", separator=" ", comment="#", valid=(0, 1e4))

bar = otw.Wrapper(
    inputs=["ALPHA", "T1", "NX"],
    outputs=["T"],
    fields={"T": ot.RegularGrid(0.001, 0.001, 100)},
    templates=case,
    tokens=["@ALPHA@", "@T1@", "@NX@"],
    command=[otw.Command("blockMesh", setup=place), otw.Command("laplacianFoam", setup=place)],
    parsers=[curve],
    nominal=[1.0, 100.0, 101.0],
    distribution=ot.JointDistribution([ot.Normal(1.0, 0.1), ot.Normal(100.0, 5.0), ot.Dirac(101.0)]),
)

if __name__ == "__main__":
    otw.main(bar)
