"""What comes from strangers executes nothing: arrays, stores, tables, templates, output files."""

import ast
import json
import os
import pickle
import sqlite3
from pathlib import Path

import click.testing
import numpy as np
import openturns as ot
import pytest

import otwrap as otw
from otwrap.cli.group import otwrap as cli
from otwrap.dumps import DumpError
from otwrap.errors import InputError, OutputError
from otwrap.template import Jinja

PACKAGE = Path(otw.__file__).parent

#: The rooms that load what runs when it is loaded: payloads of one's own, between a driver and its workers.
LOADS_PAYLOADS = ("payload.py", "backends/", "doctor/")
#: `load_array` looks at each instruction of a pickle before it follows it.
CAREFUL = ("dumps.py",)
DANGEROUS = {"pickle", "dill", "marshal", "shelve", "cloudpickle", "joblib"}


class Touch:
    """Its pickle makes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch '{self.path}'",)


@pytest.fixture
def mark(tmp_path):
    """A file that is there if something was executed."""
    return tmp_path / "executed"


@pytest.fixture
def evil(mark):
    """A pickle that makes the file, after a look that it does."""
    data = pickle.dumps(Touch(mark), 2)
    pickle.loads(data)
    assert mark.exists()
    mark.unlink()
    return data


@pytest.fixture
def model(tmp_path):
    """A model in a file of the user's."""
    path = tmp_path / "model.py"
    path.write_text("import openturns as ot\nmodel = ot.SymbolicFunction(['x'], ['2 * x'])\n")
    return f"{path}:model"


def command(*words):
    """Run a command of ours in this process, and return its exit status."""
    result = click.testing.CliRunner().invoke(cli, [str(word) for word in words])
    assert "Usage:" not in result.output, result.output
    return result.exit_code


def test_a_malicious_pickle_is_refused(tmp_path, mark, evil):
    """`load_array` refuses it under any name, also compressed, and so does `otwrap import`."""
    import gzip

    for name, data in (("x.pkl", evil), ("x.npy", evil), ("x.pkl.gz", gzip.compress(evil))):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DumpError):
            otw.load_array(tmp_path / name)
    assert not mark.exists()


@pytest.mark.parametrize("name", ["x.npy", "x.pkl", "x.csv"])
def test_tables_of_strangers_execute_nothing(tmp_path, mark, evil, model, name):
    """Inputs that `otwrap import` is to take in are read as numbers or refused."""
    (tmp_path / name).write_bytes(evil)
    np.save(tmp_path / "objects.npy", np.array([Touch(mark)], dtype=object), allow_pickle=True)
    for path in (tmp_path / name, tmp_path / "objects.npy"):
        assert command("import", model, tmp_path / "store", "--inputs", path, "--outputs", path) != 0
    assert not mark.exists()


def store_with(path, column, value):
    """Make a store with three evaluations, the first of which has another value in a column."""

    def fails_above_two(x):
        if x[0] > 2.0:
            raise ValueError("no convergence")
        return x

    with otw.Campaign(ot.PythonFunction(1, 1, fails_above_two), "serial", store=path) as campaign:
        campaign.map([[1.0], [2.0], [3.0]])
    table, name = column.split(".")
    with sqlite3.connect(path) as connection:
        connection.execute(f"UPDATE {table} SET {name} = ? WHERE id = 1", (value,))
    connection.close()


COLUMNS = ["key", "codec", "input", "output", "status", "cause", "error", "host", "workdir", "settings"]


@pytest.mark.parametrize(
    "column",
    [
        *(f"evaluations.{name}" for name in COLUMNS),
        *(f"models.{name}" for name in ("inputs", "outputs", "fingerprints", "made_by")),
        "makers.maker",
    ],
)
@pytest.mark.parametrize("form", ["bytes", "text", "JSON"])
def test_a_store_of_a_stranger_executes_nothing(tmp_path, mark, evil, column, form):
    """Whatever stands in its columns is shown or refused, and never run."""
    store = tmp_path / "store"
    text = f"{{{{ ''.__class__ }}}} $(touch '{mark}') `touch '{mark}'`; __import__('os').system(\"touch '{mark}'\")"
    value = {"bytes": evil, "text": text, "JSON": json.dumps({"py/reduce": text, "__class__": text})}[form]
    store_with(store, column, value)
    for words in (
        ["status", store],
        ["failures", store],
        ["show", store, "1"],
        ["export", store, "--to", tmp_path / "table.csv"],
        ["store", "check", store],
        ["store", "repair", store, "--to", tmp_path / "repaired"],
    ):
        command(*words)
    assert not mark.exists()


def imports_and_calls(path):
    """Return what a module imports, and the names of the functions that it calls."""
    imported, called = set(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            called.add(node.func.id)
    return imported, called


def test_only_payloads_are_loaded_by_pickle():
    """No other room knows a way to load what is executed, and none evaluates texts as Python."""
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        imported, called = imports_and_calls(path)
        assert not called & {"eval", "exec"}, name
        if not name.startswith((*LOADS_PAYLOADS, *CAREFUL)):
            assert not imported & DANGEROUS, f"{name} imports {imported & DANGEROUS}"


ATTACKS = [
    "{{ ''.__class__.__mro__ }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner.__init__.__globals__.os.system('touch executed') }}",
    "{{ F['__class__'] }}",
    "{{ F | attr('__class__') }}",
    "{{ '{0.__class__}'.format(F) }}",
    "{{ ('{0.__class__}' | attr('format'))(F) }}",
    "{% set write = '{0.__class__}'.format %}{{ write(F) }}",
    "{{ self.__init__.__globals__ }}",
    "{{ math.__loader__.load_module('os').system('touch executed') }}",
    "{{ math.sqrt.__self__ }}",
    "{{ [F] | sum(attribute='__class__') }}",
    "{{ [1].append(2) }}",
    "{% for i in range(10 ** 9) %}{% endfor %}",
    "{{ lipsum.__globals__ }}",
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% do math.sqrt(1) %}",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_template_of_a_stranger_is_in_a_sandbox(tmp_path, mark, monkeypatch, attack):
    """A Jinja2 template that wants more than values and formulas is refused, with file and line."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "deck.tmpl"
    path.write_text("{{ F }}\n" + attack)
    with pytest.raises(InputError, match="line 2 of .*deck.tmpl|includes, imports or extends"):
        Jinja(path).bind(["F"]).render([2.5])
    assert not mark.exists()


def test_tokens_are_values_and_no_language(tmp_path):
    """A template of tokens has nothing that could be executed, and a command no shell."""
    mark = tmp_path / "executed"
    (tmp_path / "deck.tmpl").write_text(
        f"$(touch '{mark}') `touch '{mark}'` {{{{ F }}}} {{0.__class__}} @F\n"
    )
    wrapper = otw.Wrapper(
        ["F"],
        ["y"],
        templates={"deck": tmp_path / "deck.tmpl"},
        command=["sh", "-c", 'test "$1" = "\\$(touch executed)" && echo 1', "sh", "$(touch executed)"],
        parsers=[otw.parsers.LineColumn("stdout.txt", 1, 1)],
    )
    assert tuple(wrapper([2.5])) == (1.0,)
    assert not mark.exists()


@pytest.mark.parametrize(
    "entity", ['SYSTEM "file:///etc/passwd"', '"&f;&f;"', "SYSTEM 'http://localhost:1/'"]
)
def test_xml_reads_no_other_file(tmp_path, entity):
    """An output file of XML that declares entities is refused before any of them is looked at."""
    declared = f'<!DOCTYPE a [<!ENTITY f "1"><!ENTITY e {entity}>]>'
    (tmp_path / "out.xml").write_text(f"<?xml version='1.0'?>{declared}<a><b>&e;</b></a>")
    with pytest.raises(OutputError, match="entit"):
        otw.parsers.Xml("out.xml", "b")(str(tmp_path))


def test_arrays_of_objects_are_refused(tmp_path, mark):
    """A NumPy file that needs a pickle is no output."""
    np.save(tmp_path / "out.npy", np.array([Touch(mark)], dtype=object), allow_pickle=True)
    with pytest.raises(OutputError):
        otw.parsers.Npy("out.npy")(str(tmp_path))
    assert not mark.exists()


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER loss AFTER INSERT ON evaluations BEGIN DELETE FROM evaluations; END",
        "CREATE VIEW other AS SELECT * FROM evaluations",
    ],
)
def test_a_store_with_a_program_in_it_is_refused(statement, tmp_path):
    """A stranger's store with a trigger or a view is not opened: its statements would run here."""
    import sqlite3
    from contextlib import closing

    path = tmp_path / "store"
    with otw.Store(path) as store:
        store.select(["a"], ["y"], {})
        store.put(b"0" * 16, otw.Evaluation((1.0,), (2.0,)))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()
    for readonly in (False, True):
        with pytest.raises(otw.StoreError, match="which would run here"):
            otw.Store(path, readonly=readonly)
