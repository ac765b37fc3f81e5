"""The wrapper of the published problems; ``python wrapper.py -X 4 2`` runs the first of them."""

from __future__ import annotations

import json
from pathlib import Path

import openturns as ot

import otwrap as otw
from otwrap.examples.building import built

__all__ = ["PROBLEMS", "Published"]

HERE = Path(__file__).resolve().parent
#: Formula, distribution of the inputs and answers of each problem, by its name.
PROBLEMS = json.loads((HERE / "problems.json").read_text(encoding="utf-8"))
TOKENS = [f"@x{i + 1}" for i in range(8)]


class Published(otw.Wrapper):
    """The function of a published problem.

    One executable has all formulas. Its input file has eight numbers, of which a problem needs the first ones.
    """

    def __init__(self, name: str = "R - S") -> None:
        problem = PROBLEMS[name]
        size = len(problem["inputs"])
        constants = {"@problem": problem["formula"], **dict.fromkeys(TOKENS[size:], "unused")}
        distribution = _distribution(problem)
        super().__init__(
            inputs=list(problem["inputs"]),
            outputs=["y"],
            templates={"problem.in": otw.Template(HERE / "problem.tmpl", TOKENS[:size], constants=constants)},
            command=[built(HERE / "published.c"), "problem.in", "problem.out"],
            parsers=[otw.parsers.KeyValue("problem.out", "y")],
            nominal=distribution.getMean(),
            distribution=distribution,
        )


def _distribution(problem: dict) -> ot.Distribution:
    """Return the joint distribution of the inputs."""
    margins, spearman = [], ot.CorrelationMatrix(len(problem["inputs"]))
    for name, (law, *parameters) in problem["inputs"].items():
        margin = getattr(ot, law)(*parameters)
        if isinstance(margin, ot.DistributionParametersImplementation):
            margin = ot.ParametrizedDistribution(margin)
        if name in problem.get("positive", []):
            margin = ot.TruncatedDistribution(margin, 0.0, ot.TruncatedDistribution.LOWER)
        margins.append(margin)
    for i, j, value in problem.get("spearman", []):
        spearman[i, j] = value
    copula = ot.NormalCopula(ot.NormalCopula.GetCorrelationFromSpearmanCorrelation(spearman))
    return ot.JointDistribution(margins, copula)


if __name__ == "__main__":
    otw.main(Published)
