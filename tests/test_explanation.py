"""Failures explained: what they have in common, and where they lie."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.evaluation import Evaluation
from otwrap.explanation import explain_failures
from otwrap.messages import kind_of, normalised

FAILED = (
    "the command ended with exit code {code} (allowed: 0)\ncommand: x\nlast lines of stderr.txt:\n  | {said}"
)


@pytest.mark.parametrize(
    ("texts", "common"),
    [
        (["residual 1.5e-3 at step 17", "residual -2D+05 at step 4"], "residual <n> at step <n>"),
        (["no '/tmp/run-1-ab/mesh.inp'", "no '/scratch/x y/../me/mesh.inp'"], None),
        (["no '/tmp/run-1-ab/mesh.inp'", "no '/scratch/me/mesh.inp'"], "no '<path>/mesh.inp'"),
        (["cannot write /tmp/tmpx8f_ab2k", "cannot write ~/a1.b2"], "cannot write <path>"),
        (["at 0x7f3ab2", "at 0xFFEE"], "at <id>"),
        (["job 3fa85f64-5717-4562-b3fc-2c963f66afa6", "job deadbeef01"], "job <id>"),
        (["lost node7", "lost node12.example.org"], "lost <host>"),
        (["C:\\tmp\\a.inp", "C:\\users\\me\\a.inp"], "<path>/a.inp"),
    ],
)
def test_what_differs_from_point_to_point_is_left_out(texts: list[str], common: str | None) -> None:
    """Numbers, paths, ids and machines do not make two kinds of one failure."""
    found = {normalised(text, ["node7", "node12.example.org"]) for text in texts}
    assert found == {common} if common else len(found) == 2


@pytest.mark.parametrize(
    "text",
    [
        "error 1001",
        "STOP 2",
        "exit code 4 (allowed: 0, 3)",
        "signal 11",
        "2 m/s"[2:],
        "and/or",
        "numpy.linalg.LinAlgError",
    ],
)
def test_what_says_which_failure_it_is_stays(text: str) -> None:
    """The number of an error, a unit and the name of a class are no matter of the point."""
    assert normalised(text) == text


def test_names_of_inputs_and_outputs_stay() -> None:
    """A name with a digit is no number."""
    assert normalised("output 'y1' is 12, x12 too", names=["y1", "u[0]"]) == "output 'y1' is <n>, x<n> too"


def test_the_codes_own_complaint_counts() -> None:
    """Of what the code printed, the line in which it complains is told, with what its colon announces."""
    said = "--> FATAL ERROR:\n  | no field at 12\n  | exiting"
    assert kind_of(FAILED.format(code=1, said=said), "exit code").endswith(
        ": --> FATAL ERROR: no field at <n>"
    )
    assert kind_of(FAILED.format(code=1, said="it was so"), "exit code").endswith(": it was so")
    both = "it stopped\nlast lines of stdout.txt:\n  | *ERROR: no mesh\n  | bye"
    assert kind_of(FAILED.format(code=1, said=both), "exit code").endswith(": *ERROR: no mesh")
    both = both.replace("*ERROR: no", "a")
    assert kind_of(FAILED.format(code=1, said=both), "exit code").endswith(": it stopped")
    # What a code said last before a signal is of that moment, unless it complained.
    assert "it was so" not in kind_of(FAILED.format(code=1, said="it was so"), "signal")
    assert "step" not in kind_of("the time limit of 3 s was reached\n  | error at step 4", "time limit")
    assert kind_of("", "exception") == ""


def test_a_work_directory_with_blanks_is_left_out() -> None:
    """The work directory is known, so that blanks in its name do no harm."""
    kinds = {
        kind_of(f"no file '{place}/out.txt'", "output missing", workdir=place)
        for place in ("/a b/run-1", "/c d/run-2")
    }
    assert kinds == {"no file '<path>/out.txt'"}


@pytest.fixture
def store() -> otw.Store:
    """Return a store in which points fail for two reasons in two places, and a third one was cancelled."""
    store = otw.Store()
    store.select(["T", "p"], ["y"], {})
    for i in range(400):
        point = (float(i), float(i * 37 % 400))
        evaluation = Evaluation(point, (1.0,))
        if i > 350:
            error = FAILED.format(code=4, said=f"no convergence after {i} steps")
            evaluation = Evaluation(point, None, "failed", "exit code", error, host="node7")
        elif point[1] < 40:
            evaluation = Evaluation(point, None, "failed", "no match", f"no 'y =' in /tmp/run-{i}/out.txt")
        elif i == 200:
            evaluation = Evaluation(point, None, "cancelled", "cancelled", "cancelled")
        store.put(evaluation.key, evaluation)
    return store


def test_groups_and_where_they_lie(store: otw.Store) -> None:
    """Each kind of failure is one group, the largest first, and has its own region."""
    report = explain_failures(store)
    assert [(group.message.split(": ")[-1], len(group.ids)) for group in report.groups] == [
        ("no convergence after <n> steps", 49),
        ("no 'y =' in <path>/out.txt", 36),
        ("cancelled", 1),
    ]
    conditions = [[region.condition for region in group.regions] for group in report.groups]
    assert conditions == [["T > 350"], ["p <= 39"], []]
    assert (report.points, report.failed) == (400, 86)
    assert report.groups[0].example.point == (351.0, 187.0) and report.groups[0].ids[0] == 352


def test_report_reads_well(store: otw.Store) -> None:
    """The text says how many, why, where, and gives an example with the code's own words."""
    text = str(explain_failures(store))
    assert text.startswith("86 of 400 points failed, in 3 ways\n")
    assert (
        "\n49 x failed (exit code): the command ended with exit code 4 (allowed: 0): no convergence" in text
    )
    assert "\n  100 % of the failures have T > 350, no good point does\n" in text
    assert "\n  for example 352: T=351.0, p=187.0\n    the command ended with exit code 4" in text


def test_from_whatever_has_a_store(tmp_path: Path) -> None:
    """A function, its campaign, its store and the path of that give the same report."""

    def root(x: list[float]) -> list[float]:
        return [math.sqrt(x[0])]

    path = tmp_path / "s.db"
    import openturns as ot

    with otw.Parallelizer(ot.PythonFunction(1, 1, root), "serial", verbosity=False, store=path) as f:
        assert str(explain_failures(f)) == "no failures among 0 points"
        f.campaign.map([[float(i - 5)] for i in range(50)])
        reports = [explain_failures(source) for source in (f, f.campaign, f.campaign.store)]
    reports.append(explain_failures(path))
    assert {str(report) for report in reports} == {str(reports[0])}
    assert reports[0].failed == 5 and "x0 <= " in str(reports[0])
