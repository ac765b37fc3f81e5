"""The wrapper of a cantilever beam of 1 m in CalculiX, with a load at its tip.

The inputs are the load `F` in N (down is negative), Young's modulus `E` in MPa, height `H` and width `B` of the
section in mm; the output is the vertical displacement of the `tip` in mm. Run it by hand on one point::

    python wrapper.py -X -100 210000 30 20
"""

from __future__ import annotations

from pathlib import Path

import openturns as ot

import otwrap as otw

__all__ = ["beam"]

# CalculiX reads 20 characters of a number: a longer one may lose its exponent, and the run ends well.
template = otw.Template(Path(__file__).with_name("beam.inp.tmpl"), formats="w20", mark=r"@\w+@")
command = otw.Command(
    ["ccx", "-i", "beam"],
    success=["Job finished"],
    failure=[r"\*ERROR", ("beam.inp", r"[-+.\dEe]{21}")],
)
# A linear analysis says nothing of displacements that are not small.
tip = otw.parsers.Regex("beam.dat", r"displacements .* TIP .*\s+41 +\S+ +\S+ +(\S+)$", valid=(-100.0, 100.0))

beam = otw.Wrapper(
    inputs=["F", "E", "H", "B"],
    outputs=["tip"],
    templates={"beam.inp": template},
    tokens=["@F@", "@E@", "@H@", "@B@"],
    command=command,
    parsers=[tip],
    nominal=[-100.0, 210000.0, 30.0, 20.0],
    # The uncertainties: 10, 4, 2 and 2 %, independent.
    distribution=ot.Normal([-100.0, 210000.0, 30.0, 20.0], [10.0, 8400.0, 0.6, 0.4], ot.CorrelationMatrix(4)),
)

if __name__ == "__main__":
    otw.main(beam)
