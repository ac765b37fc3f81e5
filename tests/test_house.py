"""The house keeps its rules: layers, doors, docstrings, lengths, errors, links."""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import io
import os
import pickle
import re
import shlex
import subprocess
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import NamedTuple

import pytest
from numpydoc.docscrape import ClassDoc, FunctionDoc

import otwrap
from otwrap.evaluation import Evaluation

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "otwrap"

#: The rooms, lowest first. A room may import only from a lower line, or from its own package. The number is
#: the layer of the design; a letter is a floor in it.
LAYERS = """
0   errors logs files cpus locks formats steps payload versions
1   dumps evaluation workdir template parsers guardian fingerprints command designs models fields provenance known messages separation pages tickets
1b  points process progress database failures cleaning rows
1c  declaration folders retries integrity storefile
1d  outcome reproduce variants repair
2   wrapper store schedulers remote tables
2b  merging batch
3   function backends evaluator drafts explanation intake
3b  limits idle reparsing task
4   campaign submission
5   parallelizer map sweep
5b  doctor testing
6   cli report
6b  __main__
7   __init__ examples
"""
FLOORS = {room: floor for floor, line in enumerate(LAYERS.strip().splitlines()) for room in line.split()[1:]}

#: What may stand at the top, beside Git's own folder.
TOP_LEVEL = {
    "otwrap", "examples", "tests", "docs", "setup.cfg", "pyproject.toml", "README.md",
    ".ci", ".github", ".gitignore", "LICENSE", "CHANGELOG.md",
}  # fmt: skip

MAX_LINES = 420


def module_name(path: Path) -> str:
    """Return the dotted name of a module of otwrap."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room_of(name: str) -> str:
    """Return the room that a dotted name such as ``otwrap.parsers.text`` belongs to."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


MODULES = {module_name(path): path for path in sorted(PACKAGE.rglob("*.py"))}
per_module = pytest.mark.parametrize("name", MODULES)


def is_exempt(node: ast.AST) -> bool:
    """Whether an `if` is there for type checkers or for running the module as a script."""
    return isinstance(node, ast.If) and bool(re.search(r"TYPE_CHECKING|__name__ ==", ast.unparse(node.test)))


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Yield the imports of a module, late ones included."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif is_exempt(node):
            yield from (found for child in node.orelse for found in imports(ast.Module([child], [])))
        else:
            yield from imports(node)


def imported_modules(name: str) -> set[str]:
    """Return the dotted names of the modules of otwrap that a module imports."""
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found = set()
    for node in imports(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
            continue
        start = package[: len(package) - node.level + 1] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        for alias in node.names:
            found.add(f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base)
    return {other for other in found if other.split(".")[0] == "otwrap"} - {name}


@per_module
def test_room_has_a_layer(name: str) -> None:
    """Every room stands in the layer table."""
    room = room_of(name)
    assert room in FLOORS, f"{MODULES[name]} is a new room: enter {room!r} in LAYERS of tests/test_house.py"


@per_module
def test_imports_go_down(name: str) -> None:
    """A room imports only from a lower layer, or from its own package."""
    room = room_of(name)
    wrong = {
        other
        for other in imported_modules(name)
        if room_of(other) != room and FLOORS.get(room_of(other), 99) >= FLOORS.get(room, -1)
    }
    assert not wrong, (
        f"{name} (layer line {FLOORS.get(room)}) imports {sorted(wrong)}, which is no lower layer"
    )


def test_no_import_cycles() -> None:
    """No module of otwrap imports itself by way of others; a package's door is not counted for its rooms."""
    graph = {name: imported_modules(name) & MODULES.keys() for name in MODULES}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for other in graph[name]:
                visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def load(name: str) -> ModuleType:
    """Return a module of otwrap; ``__main__`` would run."""
    if name.endswith("__main__"):
        pytest.skip("runs when imported")
    return importlib.import_module(name)


@per_module
def test_module_says_what_it_is(name: str) -> None:
    """Every module has a docstring, a true ``__all__``, and at most so many lines."""
    text = MODULES[name].read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text)), f"{name} has no docstring"
    lines = len(text.splitlines())
    assert lines <= MAX_LINES, f"{name} has {lines} lines: split the room before it passes {MAX_LINES}"
    module = load(name)
    assert hasattr(module, "__all__"), f"{name} has no __all__"
    missing = [public for public in module.__all__ if not hasattr(module, public)]
    assert not missing, f"{name}.__all__ names {missing}, which are not there"
    assert len(set(module.__all__)) == len(module.__all__), f"{name}.__all__ names something twice"


def as_ruff_sorts(public: str) -> tuple[int, str]:
    """Return a sort key: constants, classes, the rest."""
    return (0 if public.isupper() else 1 if public[0].isupper() else 2, public)


def test_the_door_is_sorted() -> None:
    """``otwrap.__all__`` is sorted."""
    assert list(otwrap.__all__) == sorted(otwrap.__all__, key=as_ruff_sorts)


class Public(NamedTuple):
    """A public class, function, method or property, and its docstring, inherited if need be."""

    thing: object
    docstring: str
    overrides: bool = False


def public_things() -> dict[str, Public]:
    """Return what is public in otwrap, each thing once, by dotted name."""
    found = {}
    for name in MODULES:
        if any(part.startswith("_") for part in name.split(".")):
            continue
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            thing = inspect.unwrap(getattr(module, public))
            # Where it is defined, and not again where it is exported.
            if getattr(thing, "__module__", None) != name:
                continue
            if isinstance(thing, FunctionType | type):
                found[f"{name}.{public}"] = Public(thing, inspect.getdoc(thing) or "")
            if isinstance(thing, type):
                found |= {f"{name}.{public}.{member}": value for member, value in public_members(thing)}
    return found


def public_members(cls: type) -> Iterator[tuple[str, Public]]:
    """Yield the public methods and properties that a class itself defines."""
    for member, value in vars(cls).items():
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, FunctionType | property) and not member.startswith("_"):
            overrides = any(hasattr(base, member) for base in cls.__mro__[1:])
            yield member, Public(value, inspect.getdoc(getattr(cls, member)) or "", overrides)


def own_parameters(thing: object) -> list[str]:
    """Return the names of the parameters that a docstring has to explain."""
    if isinstance(thing, type):
        makers = {"__init__", "__new__"} & vars(thing).keys()
        if not makers or getattr(thing, "_is_protocol", False):
            return []
        thing = vars(thing)[makers.pop()]
    parameters = inspect.signature(thing).parameters  # type: ignore[arg-type]
    return [name for name in parameters if name not in ("self", "cls") and not name.startswith("_")]


def explained_elsewhere(public: Public) -> bool:
    """Whether the method that it overrides explains the parameters, or one that the docstring refers to."""
    return public.overrides or bool(re.search(r"see :\w+:`", public.docstring))


PUBLIC = public_things()


@pytest.mark.parametrize("name", PUBLIC)
def test_public_name_has_a_docstring(name: str) -> None:
    """Every public class, function and method says in a sentence what it is."""
    summary = PUBLIC[name].docstring.strip().split("\n\n")[0].rstrip()
    assert summary, f"{name} has no docstring"
    assert summary[-1] in ".:?", f"{name}: the summary is no sentence: {summary!r}"


@pytest.mark.parametrize("name", [name for name in PUBLIC if not explained_elsewhere(PUBLIC[name])])
def test_parameters_are_explained(name: str) -> None:
    """The numpydoc section *Parameters* (or *Attributes*) names every parameter."""
    thing, docstring, _ = PUBLIC[name]
    if isinstance(thing, property):
        return
    document = (
        ClassDoc(thing, doc=docstring) if isinstance(thing, type) else FunctionDoc(thing, doc=docstring)
    )
    sections = ["Parameters", "Other Parameters", "Attributes"]
    entries = [entry.name or entry.type for section in sections for entry in document[section]]
    explained = {part.strip(" *:") for entry in entries for part in entry.split(",")}
    missing = [parameter for parameter in own_parameters(thing) if parameter not in explained]
    assert not missing, f"{name}: the docstring does not explain {missing}"


def subclasses(cls: type) -> set[type]:
    """Return a class and all its subclasses that otwrap defines."""
    below = {cls}.union(*(subclasses(sub) for sub in cls.__subclasses__()))
    return {sub for sub in below if sub.__module__.startswith("otwrap")}


ERROR_ARGUMENTS = {
    "message": "point 3 failed",
    "status": "timeout",
    "cause": "signal",
    "exit_code": -9,
    "failures": [(3, Evaluation((1.0,), None, status="failed", error="exit code 4"))],
}


@pytest.mark.parametrize("cls", sorted(subclasses(otwrap.OtwrapError), key=lambda cls: cls.__name__))
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_errors_pickle(cls: type[Exception], protocol: int) -> None:
    """An error that crosses a process boundary keeps its class, text and attributes."""
    # Without an `__init__` of Python, there is the message only.
    names = list(inspect.signature(cls).parameters) if inspect.isfunction(cls.__init__) else []
    assert set(names) <= ERROR_ARGUMENTS.keys(), f"give a value for {names} in ERROR_ARGUMENTS"
    arguments = {name: ERROR_ARGUMENTS[name] for name in names}
    error = cls(**arguments) if names else cls(ERROR_ARGUMENTS["message"])
    error.remark = "put there later"  # type: ignore[attr-defined]
    copy = pickle.loads(pickle.dumps(error, protocol))
    assert type(copy) is cls
    assert (str(copy), copy.args, vars(copy)) == (str(error), error.args, vars(error))
    for name in names:
        if name != "message":
            assert getattr(copy, name) == arguments[name]


def files_of_the_project() -> list[Path]:
    """Return the files that Git knows or would add."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    # A hook or a worktree says by such variables where its repository is; ours is ROOT.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(command, capture_output=True, check=True, text=True, env=environment)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"not in a Git checkout: {error}")
    return [path for name in answer.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def test_top_level() -> None:
    """The top level holds what the design allows, and nothing else."""
    found = {path.relative_to(ROOT).parts[0] for path in files_of_the_project()}
    assert found <= TOP_LEVEL, f"not allowed at the top: {sorted(found - TOP_LEVEL)}"


def test_links_lead_somewhere() -> None:
    """Every relative link in a Markdown file leads to a file, and to a heading of it."""
    dead = []
    for path in files_of_the_project():
        if path.suffix != ".md":
            continue
        for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            file, _, heading = target.partition("#")
            goal = (path.parent / file).resolve() if file else path
            if not goal.exists() or (heading and heading not in headings(goal)):
                dead.append(f"{path.relative_to(ROOT)}: {target}")
    assert not dead, "\n".join(dead)


def headings(path: Path) -> set[str]:
    """Return the anchors of a Markdown file's headings."""
    lines = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line).strip().lower().replace(" ", "-") for line in lines}


def test_no_package_index_is_named() -> None:
    """Which package index a machine uses is its own affair: no file of the project names one."""
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "anaconda" + ".org", "--index" + "-url"]
    named = []
    for path in files_of_the_project():
        text = path.read_bytes().decode("utf-8", "replace")
        named += [f"{path.relative_to(ROOT)}: {host}" for host in hosts if host in text]
    assert not named, "\n".join(named)


def setup_cfg() -> configparser.ConfigParser:
    """Return the package's metadata."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_all_packages_are_shipped() -> None:
    """``setup.cfg`` lists every package of otwrap, and those of the examples."""
    listed = set(setup_cfg()["options"]["packages"].split())
    there = {name for name, path in MODULES.items() if path.name == "__init__.py"}
    there |= {f"otwrap.examples.{path.parent.name}" for path in (ROOT / "examples").glob("*/__init__.py")}
    assert listed == there


@pytest.mark.parametrize("line", setup_cfg()["options.entry_points"]["otwrap.backends"].strip().splitlines())
def test_backends_are_where_their_entry_points_say(line: str) -> None:
    """A backend's word, its file and its entry point go together."""
    word, _, where = (part.strip() for part in line.partition("="))
    module, _, cls = where.partition(":")
    assert module == f"otwrap.backends.{word}"
    assert cls in importlib.import_module(module).__all__


def test_extras_in_all() -> None:
    """The extra ``all`` holds every extra but those of the developers."""
    extras = setup_cfg()["options.extras_require"]
    inside = re.search(r"\[(.*)\]", extras["all"])
    assert inside and set(inside[1].split(",")) == set(extras) - {"all", "docs", "test"}


def test_readme_has_two_commands() -> None:
    """The README starts with a command that runs the beam and one that passes the tests; CI runs both."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [line for line in readme.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2, "the commands that .ci/run takes from the README begin with `python3 -m venv`"
    words = [shlex.split(command.rpartition("&&")[2]) for command in commands]
    assert words == [[".venv/bin/python", "examples/beam/study.py"], [".venv/bin/pytest", "-n", "4"]]
    assert "'^python3 -m venv'" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_reference_names_everything_public() -> None:
    """Every name in ``otwrap.__all__`` stands in the reference pages."""
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.rst")
    )
    missing = [name for name in otwrap.__all__ if not re.search(rf"\b{name}\b", pages)]
    assert not missing, f"not in docs/reference: {missing}"


def test_the_door_says_the_same_three_times() -> None:
    """What type checkers see, what is loaded late and `__all__` are the same names from the same rooms."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (seen,) = [node for node in tree.body if isinstance(node, ast.If)]
    imported = {
        alias.name: node.module
        for node in seen.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    shelves = {name for name, room in imported.items() if room is None}
    assert {name: room for name, room in imported.items() if room is not None} == otwrap._ROOM_OF
    assert sorted(otwrap._ROOM_OF) == sorted(set(otwrap.__all__) - shelves)


def code_lines(path: Path) -> int:
    """Return the number of lines that have code: not blank, no comment, no docstring."""
    text = path.read_text(encoding="utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            prose |= set(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    there = {
        number
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type
        not in (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
        for number in range(token.start[0], token.end[0] + 1)
        if token.string
    }
    return len(there - prose)


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "examples").glob("*/wrapper.py")))
def test_examples_are_short(folder: Path) -> None:
    """An example is at most 60 lines of Python: wrapper and study of a code together, each file of the others."""
    counts = {path.name: code_lines(path) for path in folder.glob("*.py")}
    if folder.name in ("beam", "published"):  # two models and a stand-in code; fifteen problems
        assert max(counts.values()) <= 60, counts
    else:
        assert sum(counts.values()) <= 60, counts
