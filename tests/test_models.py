"""Models are found by what they are called, and designs are read by the names of the inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dill
import openturns as ot
import pytest

import otwrap as otw
from otwrap.designs import DesignError, csv_text, read_design
from otwrap.models import ModelError, find_model, load_model, make_model

DECLARED = """
import otwrap as otw

class Sum(otw.Wrapper):
    def __init__(self):
        super().__init__(inputs=["a", "b"], outputs=["y"], command=["sh", "-c", "true"],
                         parsers=[lambda workdir: 1.0])
"""

Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def same_path(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the import system back as it was."""
    modules = set(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name in set(sys.modules) - modules:
        if not name.startswith(("otwrap", "openturns", "numpy")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes a model's file."""

    def write(text: str = DECLARED, name: str = "written_model.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_class_in_a_file(write: Write) -> None:
    """A class that needs no arguments is made."""
    model = load_model(f"{write()}:Sum")
    assert isinstance(model, otw.Wrapper) and model.inputs == ("a", "b")


def test_name_is_left_out(write: Write) -> None:
    """The one model of a file needs no name; an alias of it is not another one."""
    found = find_model(str(write(DECLARED + "\nWrapper = Sum\n")))
    assert (found.name, type(found.model).__name__) == ("Sum", "Sum")


def test_instance_stands_for_its_class(write: Write) -> None:
    """A file with a class and its one instance has one model: the instance."""
    found = find_model(str(write(DECLARED + "\nbeam = Sum()\n")))
    assert found.name == "beam" and found.model is found.names["beam"]


def test_several_models_are_listed(write: Write) -> None:
    """Where there are several models, the error lists them."""
    path = write(DECLARED + "\nclass Other(otw.Wrapper):\n    pass\n")
    with pytest.raises(ModelError, match=r"several models: Sum, Other; say which one, as in .*:Sum"):
        load_model(str(path))


def test_no_model(write: Write) -> None:
    """A file without a model says what is accepted; what it imports is not its own."""
    with pytest.raises(ModelError, match="has no model; accepted are"):
        load_model(str(write("from otwrap import Wrapper\nx = 1\n")))


def test_factory_and_function_of_openturns(write: Write) -> None:
    """A function that returns a model, and an ot.Function, are models."""
    path = write(
        "import openturns as ot\nf = ot.SymbolicFunction(['x'], ['2 * x'])\ndef make():\n    return f\n"
    )
    assert load_model(f"{path}:make")([2.0])[0] == load_model(f"{path}:f")([2.0])[0] == 4.0


def test_dotted_module() -> None:
    """A module is found by its dotted name."""
    assert type(load_model("otwrap.examples.beam:Beam")).__name__ == "Beam"


def test_module_of_the_current_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder is looked into, as by `python -m`."""
    monkeypatch.chdir(write().parent)
    assert load_model("written_model:Sum").outputs == ("y",)


def test_neighbours_are_imported(write: Write) -> None:
    """A file imports what stands beside it, whatever the current folder is."""
    write("VALUE = 7\n", "written_neighbour.py")
    found = find_model(str(write("from written_neighbour import VALUE\n" + DECLARED)))
    assert found.names["VALUE"] == 7


def test_file_of_a_package(write: Write) -> None:
    """A file in a package may import relatively."""
    write("", "written_package/__init__.py")
    write("VALUE = 8\n", "written_package/other.py")
    path = write("from .other import VALUE\n" + DECLARED, "written_package/model.py")
    assert find_model(str(path)).names["VALUE"] == 8


def test_two_files_of_one_name(write: Write) -> None:
    """A file is never taken for another one of the same name."""
    first = find_model(f"{write(DECLARED + 'place = 1', 'one/written_model.py')}:Sum")
    second = find_model(f"{write(DECLARED + 'place = 2', 'two/written_model.py')}:Sum")
    assert (first.names["place"], second.names["place"]) == (1, 2)


def test_name_of_a_module_of_python(write: Write) -> None:
    """A file with the name of a module that is loaded already is refused by both names."""
    with pytest.raises(ModelError, match=r"json\.py cannot be imported: 'json' is also .*rename the file"):
        load_model(str(write(DECLARED, "json.py")))


def test_odd_places(odd_folder: Path) -> None:
    """Any folder will do, and a file's name may be no Python name."""
    path = odd_folder / "01-my model.py"
    path.write_text(DECLARED, encoding="utf-8")
    assert load_model(f"{path}:Sum").inputs == ("a", "b")


def test_workers_can_load_it(write: Write) -> None:
    """What was loaded from a file travels to another process."""
    from otwrap.evaluator import evaluator_of

    again = dill.loads(evaluator_of(load_model(str(write()))).payload)
    assert again.inputs == ("a", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("otwrap.examples.beam:Baem", "did you mean 'Beam'"),
        ("nowhere_at_all:Beam", "there is no module 'nowhere_at_all'"),
        ("otwrap.nowhere:Beam", "there is no module 'otwrap.nowhere'"),
        ("missing/file.py:Beam", "there is no file"),
        ("otwrap.errors:__all__", "not a model"),
        (":Beam", "names no model"),
    ],
)
def test_what_is_not_there(text: str, words: str) -> None:
    """What cannot be found is told, with the name that may be meant."""
    with pytest.raises(ModelError, match=words):
        load_model(text)


def test_broken_file(write: Write) -> None:
    """A file that raises is told with the error and its line."""
    with pytest.raises(ModelError, match=r"written_model\.py could not be loaded: ZeroDivisionError.*line 2"):
        load_model(str(write("x = 1\ny = x / 0\n")))


def test_missing_package(write: Write) -> None:
    """A package that a file needs is not taken for the model itself."""
    with pytest.raises(ModelError, match="No module named 'not_installed_here'; is it installed"):
        load_model(str(write("import not_installed_here\n")))


def test_script_that_ends(write: Write) -> None:
    """A script that ends the program while it is imported does not end ours."""
    with pytest.raises(ModelError, match="__main__"):
        load_model(str(write("import sys\nsys.exit(0)\n")))


def test_arguments_are_needed(write: Write) -> None:
    """A class that needs arguments says what to do instead."""
    path = write(
        "import otwrap as otw\nclass Beam(otw.Wrapper):\n    def __init__(self, path):\n        pass\n"
    )
    with pytest.raises(ModelError, match=r"Beam cannot be made without arguments .*'path'.*beam = Beam"):
        load_model(f"{path}:Beam")


def test_own_errors_pass() -> None:
    """What otwrap itself has to say of a model is not wrapped."""

    def make() -> otw.Wrapper:
        raise otw.InputError("no such template")

    with pytest.raises(otw.InputError, match="no such template"):
        make_model(make)


def test_printing_file(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    """What a file prints while it is imported does not mix with the answer."""
    load_model(str(write("print('hello')\n" + DECLARED)))
    assert capsys.readouterr() == ("", "hello\n")


def test_parallelizer_is_unwrapped() -> None:
    """Of a Parallelizer, the model inside it is taken."""
    function = ot.SymbolicFunction(["x"], ["x"])
    with otw.Parallelizer(function, backend="serial") as parallel:
        assert make_model(parallel) is function


def test_distribution(write: Write) -> None:
    """The model's own distribution comes first, then the module's, then any that is named."""
    text = "import openturns as ot\ndistribution = ot.Normal(2)\ndef other():\n    return ot.Uniform()\n"
    found = find_model(str(write(text + DECLARED)))
    assert found.distribution() == ot.Normal(2)
    assert found.distribution("other") == ot.Uniform()
    found.model.distribution = ot.Normal(3)
    assert found.distribution() == ot.Normal(3)
    with pytest.raises(ModelError, match="did you mean 'distribution'"):
        found.distribution("distributoin")


def test_no_distribution(write: Write) -> None:
    """Without a distribution the error says where one is looked for."""
    with pytest.raises(ModelError, match=r"distribution=.*--distribution"):
        find_model(str(write())).distribution()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|", " ", ", ", "   "])
def test_separators(tmp_path: Path, separator: str) -> None:
    """Any usual separator is recognised, with names and without."""
    path = tmp_path / "design.csv"
    lines = [["b", "a"], ["1e-3", "-2"], ["0.1", "3"]]
    path.write_text("\n".join(separator.join(line) for line in lines) + "\n", encoding="utf-8")
    design = read_design(path, ["a", "b"])
    assert design.points == [(-2.0, 1e-3), (3.0, 0.1)] and design.named
    path.write_text("\n".join(separator.join(line) for line in lines[1:]), encoding="utf-8")
    design = read_design(path, ["a", "b"])
    assert design.points == [(1e-3, -2.0), (0.1, 3.0)] and not design.named


def test_columns_by_name(tmp_path: Path) -> None:
    """Columns are matched by name, in any order, and the others are named."""
    path = tmp_path / "design.csv"
    path.write_text('\ufeff"y";"b";"a"\n9;2;1\n', encoding="utf-8")
    assert read_design(path, ["a", "b"]) == ([(1.0, 2.0)], True, ("y",))


def test_files_of_openturns_and_numpy(tmp_path: Path) -> None:
    """What OpenTURNS and NumPy write is read, bit for bit."""
    import numpy as np

    sample = ot.Normal(2).getSample(5)
    sample.setDescription(["b", "a"])
    sample.exportToCSVFile(str(tmp_path / "ot.csv"))
    assert read_design(tmp_path / "ot.csv", ["a", "b"]).points == [(y, x) for x, y in sample]
    np.savetxt(tmp_path / "np.csv", np.array(sample), header="b a", fmt="%.17g")
    assert read_design(tmp_path / "np.csv", ["a", "b"]).points == [(y, x) for x, y in sample]


def test_all_digits_come_back(tmp_path: Path) -> None:
    """What is written is read as the same doubles."""
    points = [(0.1 + 0.2, -1e-300), (1 / 3, 5e-324)]
    (tmp_path / "d.csv").write_text(csv_text(["a", "b"], points), encoding="utf-8")
    assert read_design(tmp_path / "d.csv", ["a", "b"]).points == points


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("a,b\n", "no point"),
        ("a,bb\n1,2\n", r"no column 'b'; its columns are a, bb.*is 'bb' meant for 'b'"),
        ("a,b,a\n1,2,3\n", "column 'a' 2 times"),
        ("1,2,3\n", r"3 column\(s\) and no line of names; 2 are expected: a, b"),
        ("a,b\n1,2\n1\n", r"line 3: 1 value\(s\), 2 are expected"),
        ("a,b\n1,x\n", "line 2: b is 'x', not a finite number"),
        ("a;b\n1;2,5\n", "b is '2,5', not a finite number; the decimal mark is a point"),
        ("a,b\n1,nan\n", "b is 'nan'"),
        ("a,b\n1,\n", "b is ''"),
        ("a,b\n1_0,2\n", "a is '1_0'"),
    ],
)
def test_wrong_designs(tmp_path: Path, text: str, words: str) -> None:
    """A design that does not fit is told with its line and its columns."""
    path = tmp_path / "design.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DesignError, match=words):
        read_design(path, ["a", "b"])


def test_design_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is told by its name."""
    with pytest.raises(DesignError, match=r"nothing\.csv cannot be read"):
        read_design(tmp_path / "nothing.csv", ["a"])
