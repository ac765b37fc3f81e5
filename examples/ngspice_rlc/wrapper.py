"""The wrapper of a low-pass filter in ngspice, with a number and a curve as its outputs.

The inputs are the resistance `R` in ohm, the inductance `L` in H and the capacitance `C` in F; the outputs are the
cut-off frequency `f3db` in Hz and the `gain` from 100 Hz to 1 MHz. Run it by hand on one point::

    python wrapper.py -X 50 1e-3 1e-7
"""

from __future__ import annotations

from pathlib import Path

import openturns as ot

import otwrap as otw

__all__ = ["rlc"]

template = otw.Template(Path(__file__).with_name("rlc.cir.tmpl"), mark=r"@\w+@")
# ngspice ends well when a measurement fails; and M in its input is milli, where mega may have been meant.
failure = [("rlc.log", "(?i)failed|error"), ("rlc.cir", r"\dM\b")]
f3db = otw.parsers.KeyValue("rlc.log", "f3db", valid=(100.0, 1e6))
gain = otw.parsers.Csv("rlc.csv", 1, row="all", separator=None, valid=(0.0, 1e3))
tolerances = [ot.Uniform(47.5, 52.5), ot.Uniform(0.9e-3, 1.1e-3), ot.Uniform(0.95e-7, 1.05e-7)]

rlc = otw.Wrapper(
    inputs=["R", "L", "C"],
    outputs=["f3db", "gain"],
    # The gain is a field over the logarithm of the frequency, 100 values per decade.
    fields={"gain": ot.RegularGrid(2.0, 0.01, 401)},
    templates={"rlc.cir": template},
    tokens=["@R@", "@L@", "@C@"],
    command=otw.Command("ngspice -b rlc.cir -o rlc.log", failure=failure),
    parsers=[f3db, gain],
    nominal=[50.0, 1e-3, 1e-7],
    distribution=ot.JointDistribution(tolerances),
)

if __name__ == "__main__":
    otw.main(rlc)
