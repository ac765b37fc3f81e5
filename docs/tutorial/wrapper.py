"""The fin as an OpenTURNS function."""

import sys
from pathlib import Path

import otwrap as otw

HERE = Path(__file__).resolve().parent

fin = otw.Wrapper(
    inputs=["conductivity", "exchange", "length"],
    outputs=["tip"],
    templates={"fin.in": HERE / "fin.in.tmpl"},
    tokens=["@conductivity", "@exchange", "@length"],
    command=[sys.executable, str(HERE / "fin.py"), "fin.in"],
    parsers=[otw.parsers.KeyValue("fin.log", "tip temperature")],
    timeout=60,
    nominal=[200.0, 25.0, 0.10],
)

if __name__ == "__main__":
    otw.main(fin)
