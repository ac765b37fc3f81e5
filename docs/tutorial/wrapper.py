"""The fin as an OpenTURNS function."""

from pathlib import Path

import openturns as ot

import otwrap as otw

HERE = Path(__file__).resolve().parent

fin = otw.Wrapper(
    inputs=["conductivity", "exchange", "length"],
    outputs=["tip"],
    templates={"fin.in": HERE / "fin.in.tmpl"},
    tokens=["@conductivity", "@exchange", "@length"],
    files=[HERE / "fin.py"],
    command=["python3", "fin.py", "fin.in"],
    parsers=[otw.parsers.KeyValue("fin.log", "tip temperature")],
    timeout=60,
    nominal=[200.0, 25.0, 0.10],
)
distribution = ot.JointDistribution([ot.Uniform(150.0, 250.0), ot.Normal(25.0, 5.0), ot.Uniform(0.08, 0.12)])

if __name__ == "__main__":
    otw.main(fin)
