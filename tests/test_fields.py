"""Outputs that are fields: curves through the same wrapper, store and backends."""

from __future__ import annotations

import sys

import numpy as np
import openturns as ot
import pytest

import otwrap as otw
from otwrap.errors import SampleError, StoreError
from otwrap.fields import common_mesh, component_names, components_of, fields_of

GRID = ot.RegularGrid(0.0, 0.5, 5)

CODE = """
import pathlib, sys
a, b = float(sys.argv[1]), float(sys.argv[2])
sys.exit("a is negative") if a < 0 else None
print(a + b)
rows = [f"{a * i},{b - i}" for i in range(int(5 + b // 100))]
pathlib.Path("curves.csv").write_text("\\n".join(rows))
"""


def curves(**settings):
    """Return a wrapper whose code writes a number and two curves."""
    table = otw.parsers.Csv
    return otw.Wrapper(
        inputs=["a", "b"],
        outputs=["total", "u", "v"],
        fields=settings.pop("fields", {"u": GRID, "v": GRID}),
        command=[sys.executable, "-c", CODE, "{a}", "{b}"],
        parsers=[
            otw.parsers.Stdout(),
            table("curves.csv", 0, row="all", header=0),
            table("curves.csv", 1, row="all", header=0),
        ],
        **settings,
    )


def test_an_output_is_as_long_as_its_mesh():
    """A field is one number per vertex, and has a name for each."""
    wrapper = curves()
    assert wrapper.outputs == ("total", *(f"u[{i}]" for i in range(5)), *(f"v[{i}]" for i in range(5)))
    assert wrapper.evaluate([2.0, 1.0]).output == (3, 0, 2, 4, 6, 8, 1, 0, -1, -2, -3)
    assert ot.Function(wrapper).getOutputDimension() == 11


@pytest.mark.parametrize("backend", ["serial", "threads", "multiprocessing", "joblib"])
def test_a_sample_gives_its_curves_on_every_backend(backend, tmp_path):
    """A sample of points becomes their fields in the order of the points, and the store knows them next time."""
    X = [[2.0, 1.0], [3.0, 0.0], [2.0, 1.0], [4.0, 2.0]]
    for _ in range(2):
        with otw.Parallelizer(curves(), backend=backend, n_cpus=2, store=tmp_path / "c.sqlite") as f:
            Y = f.field("u")(X)
            assert isinstance(Y, ot.ProcessSample)
            assert Y.getMesh() == GRID
            assert [np.ravel(Y[i]).tolist() for i in range(4)] == [
                [a * i for i in range(5)] for a in (2, 3, 2, 4)
            ]
            assert sum(evaluation.attempts for evaluation in f.campaign.evaluations) == 3


def test_fields_are_functions_of_openturns():
    """A field is an `ot.PointToFieldFunction` with mesh and descriptions, and works inside OpenTURNS."""
    with otw.Parallelizer(curves(), backend="threads") as f:
        both = f.field()
        assert isinstance(both, ot.PointToFieldFunction)
        assert list(both.getInputDescription()) == ["a", "b"]
        assert list(both.getOutputDescription()) == ["u", "v"]
        assert np.array(both([2.0, 1.0])).tolist() == [[2 * i, 1 - i] for i in range(5)]
        swapped = f.field("v", "u")([2.0, 1.0])
        assert np.array(swapped).tolist() == [[1 - i, 2 * i] for i in range(5)]
        # The same campaign serves the number beside the curves.
        assert f.getMarginal(0)([2.0, 1.0])[0] == 3.0
        assert len(f.campaign.evaluations) == 1
        chained = ot.PointToFieldConnection(f.field("u"), ot.SymbolicFunction(["z"], ["z", "1"]))
        assert np.ravel(chained([7.0])).tolist() == [7 * i for i in range(5)]


def test_a_field_of_openturns_is_a_model():
    """An `ot.PointToFieldFunction`, and a Python class of that kind, run as campaigns too."""

    class Twice(ot.OpenTURNSPythonPointToFieldFunction):
        def __init__(self):
            super().__init__(1, GRID, 2)
            self.setInputDescription(["a"])
            self.setOutputDescription(["u", "v"])

        def _exec(self, x):
            return [[x[0] * i, -i] for i in range(5)]

    for model in (Twice(), ot.PointToFieldFunction(Twice())):
        with otw.Parallelizer(model, backend="threads") as f:
            assert list(f([2.0])) == [0, 2, 4, 6, 8, 0, -1, -2, -3, -4]
            assert np.array(f.field()([[2.0], [3.0]])[1]).tolist() == [[3 * i, -i] for i in range(5)]


def test_a_failing_point_is_told_or_replaced():
    """A failure keeps its type through a field, or becomes a field of nan if that was asked for by name."""
    with otw.Parallelizer(curves(), backend="threads") as f:
        for X in ([-1.0, 0.0], [[1.0, 0.0], [-1.0, 0.0]]):
            with pytest.raises(SampleError, match="a is negative"):
                f.field("u")(X)
        assert len(f.campaign.clean()[0]) == 1
    with otw.Parallelizer(curves(), backend="threads", on_failure="nan") as f:
        Y = f.field("u")([[1.0, 0.0], [-1.0, 0.0]])
        assert np.isnan(np.ravel(Y[1])).all() and not np.isnan(np.ravel(Y[0])).any()


def test_a_curve_of_another_length_is_a_failure():
    """A curve with more values than the mesh has vertices fails, in words that fit on a screen."""
    evaluation = curves().evaluate([1.0, 100.0])
    assert (evaluation.status, evaluation.cause) == ("failed", "output")
    assert "13 value(s) were parsed" in evaluation.error
    assert "['total', 'u[0]', 'u[1]', 'u[2]', 'u[3]', 'u[4]', 'v[0]'" in evaluation.error


def test_another_mesh_is_another_model(tmp_path):
    """Curves on another grid of the same size are not taken for those in the store."""
    with otw.Parallelizer(curves(), backend="serial", store=tmp_path / "c.sqlite") as f:
        f([1.0, 1.0])
    other = ot.RegularGrid(0.0, 0.25, 5)
    with pytest.raises(StoreError):
        otw.Parallelizer(curves(fields={"u": other, "v": other}), store=tmp_path / "c.sqlite")


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"w": GRID}, ValueError, "'w' is no output"),
        ({"u": 5}, TypeError, "accepted are an ot.Mesh"),
        ([GRID], TypeError, "give the mesh of each output"),
    ],
)
def test_what_is_wrong_with_fields_is_told(fields, error, words):
    """A field without an output, or without a mesh, is told where it is declared."""
    with pytest.raises(error, match=words):
        fields_of(fields, ["u", "v"])


def test_fields_of_one_function_share_a_mesh():
    """Fields on several meshes are not one function: the error says to choose."""
    other = ot.RegularGrid(0.0, 0.25, 5)
    with pytest.raises(ValueError, match="several meshes; choose"):
        common_mesh({"u": GRID, "v": other})
    assert common_mesh({"u": GRID, "v": other}, ["v"]) == other
    with pytest.raises(ValueError, match="'total' is no field"):
        common_mesh({"u": GRID}, ["total"])
    with pytest.raises(ValueError, match="no output that is a field"):
        common_mesh({})


def test_components_are_found_again():
    """Fields whose names begin alike are told apart."""
    names = component_names(["u", "u2", "s"], {"u": GRID, "u2": GRID})
    assert len(names) == 11
    assert components_of("u2", names) == [5, 6, 7, 8, 9]
    assert components_of("u", names) == [0, 1, 2, 3, 4]


def test_the_command_line_shows_the_ends_of_a_curve(tmp_path, capsys):
    """A long curve does not flood the terminal, and JSON has all of it."""
    from otwrap.cli import cli

    (tmp_path / "wave.py").write_text(
        "import openturns as ot, otwrap as otw\n"
        "wave = ot.PointToFieldFunction(ot.PythonPointToFieldFunction(\n"
        "    1, ot.RegularGrid(0.0, 1.0, 500), 1, lambda x: [[x[0] * i] for i in range(500)]))\n"
    )
    call = ["run", f"{tmp_path}/wave.py:wave", "-X", "2", "--no-dump"]
    with pytest.raises(SystemExit):
        cli(call)
    shown = capsys.readouterr().out.splitlines()
    assert shown == ["y0[0] = 0.0", "y0[1] = 2.0", "y0[2] = 4.0", "...", "y0[499] = 998.0"]
    with pytest.raises(SystemExit):
        cli([*call, "--json"])
    assert '"y0[250]": 500.0' in capsys.readouterr().out
