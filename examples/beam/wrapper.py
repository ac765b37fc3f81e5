"""The wrapper of the beam's code, as on otwrapy's slides.

Run it by hand on one point, here in the units of the example's model::

    python wrapper.py -X 3e4 3e7 255 400
"""

from __future__ import annotations

from pathlib import Path

import otwrap as otw
from otwrap.examples.beam.executable import executable
from otwrap.examples.beam.models import MODELS

__all__ = ["Beam", "Wrapper"]

HERE = Path(__file__).resolve().parent


class Beam(otw.Wrapper):
    """The deflection of the tip of a cantilever beam, by an external code.

    The code computes :math:`y = F L^3 / (3 E I)`; it reads and writes XML.

    Its inputs are the load `F`, Young's modulus `E`, the length `L` and the moment of inertia `I`; its
    output is the `deviation` of the tip, in the unit of `L` if the units go together.

    Examples
    --------
    >>> from otwrap.examples.beam import Beam
    >>> print(f"{Beam().evaluate([3e4, 3e7, 255, 400]).output[0]:.4f}")
    13.8178
    """

    def __init__(self) -> None:
        super().__init__(
            inputs=["F", "E", "L", "I"],
            outputs=["deviation"],
            templates={"beam.xml": HERE / "beam_input_template.xml"},
            tokens=["@F", "@E", "@L", "@I"],
            command=[*executable(), "-x", "beam.xml"],
            parsers=[otw.parsers.Xml("_beam_outputs_.xml", "outputs", "deviation")],
            nominal=[3e4, 3e7, 255.0, 400.0],
            distribution=MODELS["guide"].distribution(),
        )


#: The name it has on the slides.
Wrapper = Beam

if __name__ == "__main__":
    otw.main(Beam)
