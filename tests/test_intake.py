"""Runs that were made before otwrap: taken in where they are certain, told where they are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import openturns as ot
import pytest
from click.testing import CliRunner, Result

import otwrap as otw
from otwrap.cli.group import otwrap as otwrap_group
from otwrap.errors import InputError
from otwrap.store import Store
from otwrap.template import Jinja, Template, Tree, bind_all
from otwrap.template.reading import read_point

MODEL = """
import otwrap as otw

class Difference(otw.Wrapper):
    '''A code that subtracts.'''
    def __init__(self):
        super().__init__(
            inputs=["a", "b"], outputs=["difference"],
            templates={"input.txt": HERE + "/template.txt"}, tokens=["@a", "@b"],
            command=otw.Command(["sh", HERE + "/code.sh"], failure=["unlucky"]),
            files=[HERE + "/mesh.txt"],
            parsers=[otw.parsers.Value("output.txt", "difference =")],
        )
"""
CODE = """
echo ran >> "$(dirname "$0")/calls.txt"
awk '/^a/ {a = $2} /^b/ {b = $2} END {printf "difference = %.17g\\n", a - b}' input.txt > output.txt
"""


@pytest.fixture(autouse=True)
def same_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the import system back as it was."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("intake_model", None)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with a model, and runs of its code made by hand."""
    (tmp_path / "template.txt").write_text("a @a\nb @b\nunits m\n", encoding="utf-8")
    (tmp_path / "code.sh").write_text(CODE, encoding="utf-8")
    (tmp_path / "mesh.txt").write_text("0 1 2\n", encoding="utf-8")
    (tmp_path / "intake_model.py").write_text(f"HERE = {os.fspath(tmp_path)!r}\n{MODEL}", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for i in range(1, 13):
        former(tmp_path / "runs" / f"case{i}", f"a {i}.50\nb  2.5D-1\nunits m\n")
    return tmp_path


def former(folder: Path, text: str) -> Path:
    """Make a run by hand, as a script did before otwrap."""
    folder.mkdir(parents=True)
    (folder / "input.txt").write_text(text, encoding="utf-8")
    (folder / "output.txt").write_text(f"difference = {float(text.split()[1]) - 0.25!r}\n", encoding="utf-8")
    return folder


def run(*arguments: str) -> Result:
    """Run `otwrap` in this process."""
    return CliRunner().invoke(otwrap_group, list(arguments))


def taken(*arguments: str) -> dict[str, Any]:
    """Run `otwrap import ... --json` and return what it says."""
    result = run("import", "intake_model.py", "s.db", *arguments, "--json")
    assert result.exit_code in (0, 1), result.output
    told: dict[str, Any] = json.loads(result.stdout)
    assert result.exit_code == (1 if told["refused"] else 0)
    return told


def test_folders_are_taken_and_do_not_run_again(here: Path) -> None:
    """Former runs are served by the store: the code runs for the new point only, and the records say whence they are."""
    assert taken("--folders", "runs/*")["taken"] == 12
    with Store("s.db", readonly=True) as store:
        store.select_last()
        record = next(e for _, e in store.items() if e.point == (7.5, 0.25))
    assert (record.output, record.host) == ((7.25,), "import")
    assert record.workdir == os.fspath(here / "runs" / "case7")
    assert record.start_time == pytest.approx((here / "runs" / "case7" / "input.txt").stat().st_mtime)
    Path("design.csv").write_text("a,b\n" + "".join(f"{i}.5,0.25\n" for i in range(1, 14)), encoding="utf-8")
    result = run("run", "intake_model.py", "--design", "design.csv", "--store", "s.db", "--backend", "serial")
    assert result.exit_code == 0, result.output
    assert (here / "calls.txt").read_text().split() == ["ran"]
    assert taken("--folders", "runs/*") | {"known": 12, "taken": 0} == taken("--folders", "runs/*")


def test_a_dry_run_writes_nothing(here: Path) -> None:
    """It says what would be taken, and there is no store, or the same one, afterwards."""
    assert taken("--folders", "runs/*", "--dry-run")["taken"] == 12
    assert not Path("s.db").exists()
    taken("--folders", "runs/case1")
    before = Path("s.db").read_bytes()
    assert taken("--folders", "runs/*", "--dry-run")["taken"] == 11
    assert Path("s.db").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a 3.5\nb 0.25\nunits mm\n", "line 3"),
        ("a 3.5\nb many\nunits m\n", "a number is expected for token '@b', not 'many'"),
        ("a 3.5\nb 0.25 # checked\nunits m\n", "line 2"),
        ("a 3.5\nb 0.25\nunits m\nmore\n", "the file goes on"),
        ("a 3.5\r\nb 0.25\r\nunits m\r\n", r"'a' where"),
        ("a nan\nb 0.25\nunits m\n", "not finite"),
    ],
)
def test_an_input_file_of_another_kind_is_refused(here: Path, text: str, words: str) -> None:
    """Anything but the template's text around the values is told with its line, and the run is left out."""
    folder = former(here / "others" / "case", "a 3.5\nb 0.25\nunits m\n")
    (folder / "input.txt").write_bytes(text.encode())
    (refused,) = taken("--folders", "others/*")["refused"]
    assert words in refused["reason"] or (text.count("\r") and "line 1" in refused["reason"])


def test_runs_that_are_not_certain_are_refused_with_their_reason(here: Path) -> None:
    """No output, an old output, another mesh, a message of failure, and an answer that contradicts another."""
    cases = {
        name: former(here / "others" / name, f"a {i}.5\nb 0.25\nunits m\n") for i, name in enumerate("abcdef")
    }
    (cases["a"] / "output.txt").unlink()
    old = time.time() - 1000
    os.utime(cases["b"] / "output.txt", (old, old))
    (cases["c"] / "mesh.txt").write_text("0 1 2 3\n", encoding="utf-8")
    (cases["d"] / "stderr.txt").write_text("unlucky number\n", encoding="utf-8")
    (cases["e"] / "input.txt").unlink()
    (cases["f"] / "input.txt").write_text("a 1.5\nb 0.25\nunits m\n", encoding="utf-8")
    taken("--folders", "runs/case1")
    told = taken("--folders", "others/*")
    reasons = {Path(item["run"]).name: item["reason"] for item in told["refused"]}
    assert told["taken"] == 0
    assert "output.txt" in reasons["a"]
    assert "older" in reasons["b"]
    assert "'mesh.txt' differs" in reasons["c"]
    assert "unlucky number" in reasons["d"]
    assert "input.txt cannot be read" in reasons["e"]
    assert "other outputs in the store: 1.25, and here 5.25" in reasons["f"]
    assert taken("--folders", "others/b", "--ignore-times")["known"] == 1


def test_points_of_folders_may_come_from_a_table(here: Path) -> None:
    """Lines are matched to folders by a column `folder`, or by the numbers in their names, never by the alphabet."""
    for i in range(1, 13):
        (here / "runs" / f"case{i}" / "input.txt").unlink()
    named = "".join(f"case{i},{i}.5,0.25\n" for i in range(1, 12))
    Path("named.csv").write_text("folder,a,b\n" + named, encoding="utf-8")
    told = taken("--folders", "runs/*", "--points", "named.csv")
    assert (told["taken"], [item["run"] for item in told["refused"]]) == (11, ["runs/case12"])
    Path("s.db").unlink()
    Path("plain.csv").write_text("a,b\n" + "".join(f"{i}.5,0.25\n" for i in range(1, 13)), encoding="utf-8")
    assert taken("--folders", "runs/*", "--points", "plain.csv")["taken"] == 12
    with Store("s.db", readonly=True) as store:
        store.select_last()
        assert all(e.output == (e.point[0] - 0.25,) for _, e in store.items())


def test_a_table_is_taken_line_by_line(here: Path) -> None:
    """Columns are found by their names; lines without an answer are told, the others taken bit for bit."""
    Path("runs.csv").write_text(
        f"id;difference;b;a\n1;{0.1 + 0.2!r};0.25;1\n2;;0.25;2\n3;nan;0.25;3\n4;1,5;0.25;4\n5;1\n6;7.0;0.25;1\n",
        encoding="utf-8",
    )
    told = taken("--table", "runs.csv")
    assert told["taken"] == 1
    assert {item["run"]: item["reason"].split(",")[0] for item in told["refused"]} == {
        "line 3": "difference is ''",
        "line 4": "difference is nan",
        "line 5": "difference is '1",
        "line 6": "another number of cells than the line of names has",
        "line 7": "its point has other outputs in line 2: 0.30000000000000004",
    }
    with Store("s.db", readonly=True) as store:
        store.select_last()
        assert [(e.point, e.output) for _, e in store.items()] == [((1.0, 0.25), (0.1 + 0.2,))]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("a,b,Difference", "is 'Difference' meant for 'difference'?"),
        ("a [mm],b,difference", "'a [mm]' seems to be 'a' with its unit"),
        ("a,difference", "no column 'b'"),
    ],
)
def test_wrong_columns_are_refused_with_a_hint(here: Path, header: str, words: str) -> None:
    """A table whose columns are not the model's is not guessed at."""
    Path("runs.csv").write_text(f"{header}\n1,2,3\n", encoding="utf-8")
    result = run("import", "intake_model.py", "s.db", "--table", "runs.csv")
    assert result.exit_code == 2
    assert words in result.stderr
    assert not Path("s.db").exists() or len(taken("--folders", "runs/case1", "--dry-run")) > 0


@pytest.mark.parametrize("suffix", [".npy", ".pkl", ".csv"])
def test_arrays_are_taken_row_by_row(here: Path, suffix: str) -> None:
    """Pairs of .npy files, of dumps and of CSV files give the same records."""
    X, Y = np.array([[1.0, 2.0], [0.1, 1e-300]]), np.array([[3.0], [4.0]])
    for name, array, header in (("X", X, "a,b"), ("Y", Y, "difference")):
        if suffix == ".npy":
            np.save(f"{name}.npy", array)
        elif suffix == ".pkl":
            otw.dump_array(ot.Sample(array), f"{name}.pkl")
        else:
            np.savetxt(f"{name}.csv", array, fmt="%.17g", delimiter=",", header=header)
    assert taken("--inputs", f"X{suffix}", "--outputs", f"Y{suffix}")["taken"] == 2
    with Store("s.db", readonly=True) as store:
        store.select_last()
        assert [e.point for _, e in store.items()] == [(1.0, 2.0), (0.1, 1e-300)]
    np.save("Z.npy", Y[:1])
    assert (
        run(
            "import",
            "intake_model.py",
            "s.db",
            "--inputs",
            "X.csv" if suffix == ".csv" else f"X{suffix}",
            "--outputs",
            "Z.npy",
        ).exit_code
        == 2
    )


def test_a_store_of_another_model_is_not_mixed(here: Path) -> None:
    """Runs are taken into a store of the same model only, unless the old ones are to be history."""
    taken("--folders", "runs/case1")
    (here / "template.txt").write_text("a @a\nb @b\nunits m\n\n", encoding="utf-8")
    sys.modules.pop("intake_model", None)
    result = run("import", "intake_model.py", "s.db", "--table", "runs.csv", "--folders", "runs/*")
    assert result.exit_code == 2
    result = run("import", "intake_model.py", "s.db", "--folders", "runs/*")
    assert result.exit_code == 1
    assert "templates" in result.stderr


# The template, the other way round


def read(
    tmp_path: Path, template: Any, inputs: list[str], text: str, name: str = "in.txt"
) -> tuple[float, ...]:
    """Return the point of a text by a template."""
    (tmp_path / "run").mkdir(exist_ok=True)
    (tmp_path / "run" / name).write_text(text, encoding="utf-8")
    return read_point(bind_all({name: template}, inputs), tmp_path / "run", inputs)


def made(tmp_path: Path, text: str) -> Path:
    """Write a template."""
    (tmp_path / "t.tmpl").write_text(text, encoding="utf-8")
    return tmp_path / "t.tmpl"


@pytest.mark.parametrize("value", [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, -1e22, 3.0])
@pytest.mark.parametrize("formats", [None, "24.16e", "D", ".17g", "w24"])
def test_what_is_rendered_is_read_back(tmp_path: Path, value: float, formats: str | None) -> None:
    """Any format that keeps all digits gives the same double back."""
    template = Template(made(tmp_path, "x=@x, again @x;y=@y\n"), formats=formats)
    text = template.bind(["x", "y"]).render([value, -value]).decode()
    assert list(map(repr, read(tmp_path, template, ["x", "y"], text))) == [repr(value), repr(-value)]


def test_columns_without_a_gap_are_read_by_their_width(tmp_path: Path) -> None:
    """Values that touch are told apart by the width of their format, and refused without one."""
    template = Template(made(tmp_path, "@x@y|\n"), formats="8.3f")
    assert read(tmp_path, template, ["x", "y"], "1000.123-999.500|\n") == (1000.123, -999.5)
    with pytest.raises(InputError, match="right beside another"):
        read(tmp_path, made(tmp_path, "@x@y|\n"), ["x", "y"], "12|\n")


def test_two_places_must_agree(tmp_path: Path) -> None:
    """An input with two values is refused; one that is written with fewer digits elsewhere is not."""
    template = made(tmp_path, "@x and @x\n")
    with pytest.raises(InputError, match="two values"):
        read(tmp_path, template, ["x"], "1.0 and 2.0\n")
    rounded = Template(made(tmp_path, "[x] {x}\n"), {"[x]": "x", "{x}": "x"}, formats={"[x]": ".2e"})
    assert read(tmp_path, rounded, ["x"], "1.23e+00 1.2345\n") == (1.2345,)


def test_constants_and_trees_must_be_the_models(tmp_path: Path) -> None:
    """A constant is a part of the text, and so is a file without tokens; what was cleared away is not missed."""
    case = tmp_path / "case"
    case.mkdir()
    (case / "in.txt").write_text("n=#n x=@x\n", encoding="utf-8")
    (case / "mesh.txt").write_text("0 1\n", encoding="utf-8")
    tree = Tree(case, ["@x"], constants={"#n": 5})
    (tmp_path / "run").mkdir()
    bound = bind_all({".": tree}, ["x"])
    (tmp_path / "run" / "in.txt").write_text("n=5 x=2\n", encoding="utf-8")
    assert read_point(bound, tmp_path / "run", ["x"]) == (2.0,)
    (tmp_path / "run" / "mesh.txt").write_text("0 1 2\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1 of .*mesh\.txt"):
        read_point(bound, tmp_path / "run", ["x"])
    (tmp_path / "run" / "mesh.txt").unlink()
    (tmp_path / "run" / "in.txt").write_text("n=6 x=2\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 1"):
        read_point(bound, tmp_path / "run", ["x"])


def test_jinja_is_not_read_backwards(tmp_path: Path) -> None:
    """A template with formulas says so, and what to do instead."""
    with pytest.raises(InputError, match="give the points in a table"):
        read(tmp_path, Jinja(made(tmp_path, "{{ x * 2 }}\n")), ["x"], "2\n")


def test_import_is_a_command_of_a_models_own_file(here: Path) -> None:
    """`python wrapper.py import STORE` needs no MODEL."""
    with open("intake_model.py", "a", encoding="utf-8") as file:
        file.write("\nif __name__ == '__main__':\n    otw.main(Difference)\n")
    ended = subprocess.run(
        [sys.executable, "intake_model.py", "import", "s.db", "--folders", "runs/*"],
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stdout) == (0, "taken   12\nknown   0\nrefused 0\n"), ended.stderr
