"""Drafts: numbers are found whole, what is typed is read by a grammar and never evaluated, and files come back."""

from __future__ import annotations

import ast
import math
import os
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import openturns as ot
import pytest

from otwrap.drafts import GrammarError, read_call, read_number, read_values
from otwrap.drafts.answers import Answers, InputAnswer, OutputAnswer, answers_text, read_answers
from otwrap.drafts.distributions import DistributionError, law_of, suggested_law
from otwrap.drafts.drafting import class_name_for, draft, resolve_output
from otwrap.drafts.listing import listing
from otwrap.drafts.marks import marked
from otwrap.drafts.names import AnswerError, check_class_name, check_name
from otwrap.drafts.nominal import Case
from otwrap.drafts.places import PlaceError, find_number, place_of
from otwrap.drafts.source import Beside, Call, code_of
from otwrap.drafts.suggestions import PARSERS, checked_spec, suggestions
from otwrap.drafts.texts import Text, Texts
from otwrap.drafts.writing import write_all

# The grammar


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1.5", [1.5]),
        (" -1e3 ", [-1000.0]),
        ("1.5D+03", [1500.0]),
        (".5", [0.5]),
        ("5.", [5.0]),
        ("1, 2, 3", [1.0, 2.0, 3.0]),
        ("1 -2", [1.0, -2.0]),
        ("[1, 2 3]", [1.0, 2.0, 3.0]),
        ("1:4", [1.0, 2.0, 3.0, 4.0]),
        ("0:0.1:0.3", [0.0, 0.1, 0.2, 0.3]),
        ("1:-0.5:0", [1.0, 0.5, 0.0]),
        ("0:2:5", [0.0, 2.0, 4.0]),
        ("[1:3, 10]", [1.0, 2.0, 3.0, 10.0]),
        ("linspace(0,1,3)", [0.0, 0.5, 1.0]),
        ("logspace(-3, 3, 3)", [0.001, 1.0, 1000.0]),
        ("linspace(2, 3, 1)", [2.0]),
    ],
)
def test_values(text: str, values: list[float]) -> None:
    """Numbers, ranges with both ends, linspace, logspace and lists are read."""
    assert read_values(text) == values


def test_spaces_are_those_of_numpy() -> None:
    """linspace and logspace give NumPy's values to the last bit."""
    assert read_values("linspace(0.1, 0.7, 13)") == np.linspace(0.1, 0.7, 13).tolist()
    assert read_values("logspace(-7, 2.5, 11)") == np.logspace(-7, 2.5, 11).tolist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "nothing is given where a number"),
        ("[]", "an empty list"),
        ("[1, 2", "ends where ']' is expected"),
        ("[1, [2]]", "'[' stands at character 5"),
        ("1,", "ends where a number is expected"),
        ("[1,]", "']' stands at character 4"),
        ("1-2", "'1-2' stands at character 1"),
        ("1k", "'1k' stands at character 1"),
        ("1_000", "'1_000'"),
        ("nan", "'nan'"),
        ("1e999", "a number that a double can hold"),
        ("linspaec(1, 2, 3)", "did you mean 'linspace'?"),
        ("linspace(1, 2)", "')' stands at character 14"),
        ("linspace(1, 2, 2.5)", "asked for 2.5 values"),
        ("linspace(1, 2, 0)", "asked for 0 values"),
        ("linspace(1, 2, 1e9)", "more than 1000000 values"),
        ("logspace(0.001, 1000, 7)", "exponents of 10"),
        ("0:1e-9:1", "more than 1000000 values"),
        ("1:0", "no value from 1 in steps of 1 to 0"),
        ("1:0:2", "no value from 1 in steps of 0 to 2"),
        ("2 * 3", "'*' stands at character 3"),
        ("[" * 100_000, "'[' stands at character 2"),
        ("__import__('os').system('touch x')", "'__import__' stands at character 1"),
        ("().__class__", "'(' stands at character 1"),
    ],
)
def test_what_is_no_value(text: str, told: str) -> None:
    """What is not in the grammar is refused, with its position and what is accepted."""
    with pytest.raises(GrammarError) as error:
        read_values(text)
    assert told in str(error.value)


def test_every_double_is_read() -> None:
    """What Python writes for a list of doubles is read back to the last bit."""
    draw = random.Random(0)
    for _ in range(500):
        values = [x for x in struct.unpack("<3d", draw.randbytes(24)) if math.isfinite(x)] or [0.0]
        assert read_values(repr(values)) == values


def test_any_text_is_values_or_a_grammar_error() -> None:
    """No text makes the grammar fail otherwise, or gives a number that is not finite."""
    draw = random.Random(0)
    parts = [
        "1",
        "-2.5",
        "1e3",
        "1e400",
        ":",
        ",",
        "[",
        "]",
        "(",
        ")",
        "linspace",
        "logspace",
        " ",
        "é",
        "\0",
        "os",
        "'",
    ]
    for _ in range(3000):
        text = "".join(draw.choices(parts, k=draw.randrange(9)))
        for read in (read_values, read_number, read_call):
            try:
                found: Any = read(text)
            except GrammarError:
                continue
            values = found[1] if isinstance(found, tuple) else [found] if isinstance(found, float) else found
            assert all(map(math.isfinite, values)), text


def test_one_number() -> None:
    """Where one number is expected, two are an error."""
    assert read_number("1.5d3") == 1500.0
    with pytest.raises(GrammarError, match="the end of the one number"):
        read_number("1 2")


# Numbers in texts


def numbers(line: str) -> list[str]:
    """Return the numbers that are found in a text."""
    return [number.text for number in Text("a", line.encode())]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("1, 0, 0., .5", ["1", "0", "0.", ".5"]),
        ("-1.5E+03 +2 1.5D-03 1d0 2Q1", ["-1.5E+03", "+2", "1.5D-03", "1d0", "2Q1"]),
        (".param R=50 L=1e-3", ["50", "1e-3"]),
        ("J1 C3D8 B32R x2 v1.0 H-W2", []),
        ("50M 1k 1Meg 10mm 3e 0x1F", []),
        ("01/01/2020 00:05:00 2020-01-01 1.2.3", []),
        ("12:00 3 10^3 x-5 1-2 1'000 $5 #7", ["3"]),
        ("1\u00a0234 1\u202f234", []),
        ("60.00-805.39", []),
        ("<beam F=\"3e4\" E='5'/>", ["3e4", "5"]),
        ('{"a":5,"b":[1,2]}', ["5", "1", "2"]),
        ("a: 5 b:6 7: 8% 2*3 (4) {0,0,2.0}", ["5", "6", "7", "8", "2", "3", "4", "0", "0", "2.0"]),
        ("DT DT [0 2 -1 0] 1;", ["0", "2", "-1", "0", "1"]),
        ("a sentence ends with 0.08.", []),
        ("nan inf Infinity", []),
    ],
)
def test_numbers_are_found_whole(line: str, found: list[str]) -> None:
    """A number is a whole word; a part of a name, a unit, a date or a time is none."""
    assert numbers(line) == found


def test_a_number_is_never_half_of_one() -> None:
    """What stands around a number is no digit, letter, sign or point, so that nothing of it is left behind."""
    draw = random.Random(0)
    for _ in range(5000):
        text = "".join(draw.choices("0012.+-eEdDJk/:,; \n'\"", k=30))
        for number in Text("a", text.encode()):
            around = text[: number.start][-1:] + text[number.end :][:1]
            assert not any(sign.isalnum() or sign in ".+-" for sign in around), (text, number)
            assert text.split("\n")[number.line - 1][number.column - 1 :].startswith(number.text)


def test_line_column_and_rank() -> None:
    """Lines and columns are those of an editor, whatever the line ends are."""
    text = Text("a", "é 1\r\n\r\n2 3\r\n".encode("latin-1"))
    assert text.encoding == "latin-1"
    assert [(n.line, n.column, n.rank, n.text) for n in text] == [
        (1, 3, 1, "1"),
        (3, 1, 1, "2"),
        (3, 3, 2, "3"),
    ]
    assert text.n_lines == 3


@pytest.mark.parametrize("data", [b"\x00\x01 5", b"MZ\x00", b"\xff\xfe\x00"])
def test_binary_files_have_no_numbers(data: bytes) -> None:
    """A binary file is told as such."""
    text = Text("a.bin", data)
    assert (text.encoding, len(text)) == ("", 0)
    assert listing(text) == [f"a.bin: binary, {len(data)} bytes"]


def test_a_mesh_does_not_flood() -> None:
    """Thousands of lines of one kind are one row and a count, and what stands among them is seen."""
    nodes = "".join(f"{i}, {i / 7:.3f}, 0.\n" for i in range(5000))
    text = Text("mesh.inp", f"*NODE\n{nodes}*ELASTIC\n210000., .3\n".encode())
    rows = listing(text)
    assert len(rows) < 10
    assert "4999 more lines like this one, to line 5001 (14997 numbers: 4 to 15000)" in rows[4]
    assert ">210000.<, .3" in rows[5]


def test_many_lines_of_many_kinds_are_cut() -> None:
    """A listing ends, and says how to see the rest."""
    text = Text("a", "".join(f"x{i} = {i}\n" for i in range(1000)).encode())
    rows = listing(text)
    assert len(rows) < 250
    assert "more numbers from line" in rows[-1]


# Places

DECK = Texts([Text("beam.inp", b"*NODE\n1, 2, 3\n*ELASTIC\n210000., .3\n*C\n5\n*C\n6\n")])


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("4", "210000."),
        ("#4", "210000."),
        ("line 2 number 3", "3"),
        ("line 6", "5"),
        ('"*ELASTIC"', "210000."),
        ('"*ELASTIC" number 2', ".3"),
        ('"*C" occurrence 2', "6"),
        ('beam.inp: "*C" occurrence 1', "5"),
    ],
)
def test_places(place: str, text: str) -> None:
    """A number is told by its index, its line or the text before it."""
    number = find_number(DECK, place)
    assert number.text == text
    assert find_number(DECK, place_of(DECK, number)) == number


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("99", "the indices are 1 to 7"),
        ("0", "the indices are 1 to 7"),
        ("line 2", "has 3 numbers (1, 2, 3): say which, as in 'line 2 number 2'"),
        ("line 2 number 4", "that line has 3 number(s)"),
        ("line 1", "no number in '*NODE'"),
        ("line 99", "the lines 1 to 8"),
        ('"*elastic"', "capitals and blanks count"),
        ('"*C"', "stands 2 times ('beam.inp, line 5', 'beam.inp, line 7')"),
        ('"*C" occurrence 3', "stands 2 time(s)"),
        ('"*C" occurrence 2 number 2', "1 number(s) follow"),
        ("*ELASTIC", "accepted are an index"),
        ("beam.in: line 2", "did you mean 'beam.inp'?"),
        ("__import__('os')", "accepted are an index"),
        ("", "accepted are an index"),
    ],
)
def test_places_that_are_none(place: str, told: str) -> None:
    """A place that means no number, or several, says why."""
    with pytest.raises(PlaceError) as error:
        find_number(DECK, place)
    assert told in str(error.value)


def test_places_in_several_files() -> None:
    """With several files, a line needs its file, and indices go on."""
    texts = Texts([Text("a", b"1 2"), Text("0/T", b"3")])
    assert find_number(texts, "3").text == "3"
    assert place_of(texts, find_number(texts, "3")) == "0/T: line 1"
    assert find_number(texts, "0/T: line 1").text == "3"
    with pytest.raises(PlaceError, match="of which file"):
        find_number(texts, "line 1")


# Distributions and names


@pytest.mark.parametrize(
    ("text", "mean"),
    [
        ("uniform 0.9 1.1", 1.0),
        ("Normal(1, 0.1)", 1.0),
        ("lognormal 3 1", 3.0),
        ("lognormal 3 1 0.5", 3.0),
        ("triangular 0 1 2", 1.0),
        ("truncatednormal 0 1 -2 2", 0.0),
        ("beta 2 2 0 1", 0.5),
        ("gumbel 1 2", 1.0),
        ("weibull 3 1", 3.0),
        ("exponential 2", 0.5),
        ("values [1, 2, 6]", 3.0),
        ("fixed 7", 7.0),
    ],
)
def test_distributions(text: str, mean: float) -> None:
    """The code that is written makes the distribution that is typed, and it can be typed again."""
    law = law_of(text)
    assert law is not None and law_of(law.text) == law
    assert law.make().getMean()[0] == pytest.approx(mean, abs=1e-12)
    assert eval(law.code, {"ot": ot}).getMean()[0] == pytest.approx(mean, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("unifrom 0 1", "did you mean 'uniform'?"),
        ("uniform 1", "give uniform low high"),
        ("uniform 1 0", "is refused by OpenTURNS"),
        ("normal 1 -1", "is refused by OpenTURNS"),
        ("SymbolicFunction 1", "is no distribution"),
    ],
)
def test_distributions_that_are_none(text: str, told: str) -> None:
    """Nothing outside the table is made, and what OpenTURNS refuses is told."""
    with pytest.raises(DistributionError) as error:
        law_of(text)
    assert told in str(error.value)


def test_suggested_distributions() -> None:
    """10 % to both sides, in order for a negative number too; whole numbers stay whole; none around zero."""
    assert [suggested_law(x).text for x in (-100.0, 0.3)] == ["uniform -110 -90", "uniform 0.27 0.33"]  # type: ignore[union-attr]
    assert suggested_law(3.0, whole=True).text == "values 2 3 4"  # type: ignore[union-attr]
    assert suggested_law(0.0) is None


@pytest.mark.parametrize(
    "name", ["", "  ", "1x", "a b", "lambda", "None", "é", "a-b", "x;y", "E", "cpus", '"']
)
def test_names_that_are_none(name: str) -> None:
    """A name that is empty, taken, a word of Python or no identifier is refused."""
    with pytest.raises(AnswerError):
        check_name(name, ["E"])


@pytest.mark.parametrize("name", ["otw", "Path", "super", "print", "__init__", "_x", "x y"])
def test_class_names_that_are_none(name: str) -> None:
    """A class cannot take a name that the wrapper's file needs."""
    with pytest.raises(AnswerError):
        check_class_name(name)


def test_class_name_for() -> None:
    """The class is named after the file, if that can be done."""
    assert [class_name_for(file) for file in ("a-b.inp", "x/print.in", "1.x", "")] == [
        "AB",
        "Print",
        "Code",
        "Code",
    ]


# Python text


def some_value(draw: random.Random, depth: int = 3) -> Any:
    """Return a text, a number, or a list, tuple or dict of such, at random."""
    text = "".join(draw.choices("ab\"'\\\n{}#é\0\U0001f600", k=draw.randrange(6)))
    plain = [text, draw.randrange(-9, 9), draw.uniform(-1e9, 1e9), math.inf, True, None]
    if not depth or draw.random() < 0.4:
        return draw.choice(plain)
    items = [some_value(draw, depth - 1) for _ in range(draw.randrange(4))]
    return draw.choice([items, tuple(items), {f"{text}{i}": item for i, item in enumerate(items)}])


def test_literals_are_nothing_else() -> None:
    """Whatever a text holds, it cannot end its literal: Python reads the same value back."""
    draw = random.Random(0)
    for _ in range(2000):
        value = some_value(draw)
        code = code_of(value, 0, draw.randrange(120))
        assert eval(code, {"__builtins__": {}, "float": float}) == value, code


@pytest.mark.parametrize(
    "text", ['a"b', "a'b", "a\"'b", "a\\", r"\d+", 'x"""y', "a\nb", "\\\n", r"\'", '"); import os; ("']
)
def test_odd_texts_stay_texts(text: str) -> None:
    """Quotes, backslashes and line ends do not leave their literal."""
    assert ast.literal_eval(code_of(text)) == text
    assert ast.dump(ast.parse(code_of(Call("f", (text,), {})), mode="eval")).count("Call(") == 1
    assert len(ast.parse(f"x = {code_of(Beside(text))}").body) == 1


# Templates


def test_a_mark_that_is_free_is_chosen() -> None:
    """Where the file has the look of a token already, another mark is taken."""
    texts = Texts([Text("a", b"@x@ E=5 %%y%%")])
    left, right, contents = marked(texts, {"E": [texts.number(1)]})  # type: ignore[list-item]
    assert (left, right, contents["a"]) == ("@@", "@@", b"@x@ E=@@E@@ %%y%%")


def test_no_mark_is_free() -> None:
    """Where every mark is taken, that is an error rather than a doubtful template."""
    texts = Texts([Text("a", b"@x@ @@x@@ %%x%% <<x>> [[x]] ~~x~~ @{x}@ E=5")])
    with pytest.raises(AnswerError, match="could stand for numbers"):
        marked(texts, {"E": [texts.number(1)]})  # type: ignore[list-item]


# Output


def best(data: str, place: str, name: str = "out.txt") -> str:
    """Return the parser that is suggested first."""
    text = Text(name, data.encode())
    return str(suggestions(text, find_number(Texts([text]), place))[0])


@pytest.mark.parametrize(
    ("data", "place", "spec"),
    [
        ("n = 3\nu max = 2.5 mm\n", "line 2", "KeyValue('out.txt', key='u max')"),
        ("f = 1\nf = 2\nf = 3\n", "line 3", "KeyValue('out.txt', key='f', occurrence='last')"),
        ("f = 1\nf = 2\nf = 3\n", "line 2", "KeyValue('out.txt', key='f', occurrence=2)"),
        ("at node 7: u is 2.5\n", "line 1 number 2", "Value('out.txt', token='u is', count=1)"),
        ("t,u\n0,1\n1,2.5\n", "line 3 number 2", "Csv('out.txt', column='u')"),
        ("t u\n0 1\n1 2.5\n", "line 3 number 2", "Csv('out.txt', column='u', separator=' ')"),
        ("<r><o y='2.5'/><o2 y='2.5'/></r>", '"<o "', "Xml('out.txt', element='o', attribute='y')"),
        ("<r><o>1</o><o>2.5</o></r>", '"</o><o>"', "Xml('out.txt', element='o', occurrence=2)"),
        ('{"a": [1, {"u": 1}]}', '"u"', "Json('out.txt', path=('a', 1, 'u'))"),
        ("# t u\n0 1\n1 2.5\n", "line 3 number 2", "LineColumn('out.txt', line=-1, column=2)"),
        ("\n 41 1.0 -3.5\n\n 42 2 3\n", "line 2 number 3", "LineColumn('out.txt', line=2, column=3)"),
        (
            "J1 0.5 2.5\nJ2 0.5 3.5\n",
            "line 1 number 2",
            r"Regex('out.txt', pattern='^\\s*J1\\s+(?:\\S+\\s+){1}(\\S+)')",
        ),
    ],
)
def test_suggested_parsers(data: str, place: str, spec: str) -> None:
    """A name that stands once comes before the last line, and that before a counted one."""
    assert best(data, place) == spec


def test_each_suggestion_reads_that_very_number(tmp_path: Path) -> None:
    """A parser that is suggested follows its number when that, and no other, is changed."""
    draw = random.Random(0)
    checked = 0
    for _ in range(60):
        words = ["1", "1", "2.5", "u", "=", "-3e2", "x:", ","]
        rows = [" ".join(draw.choices(words, k=draw.randrange(1, 6))) for _ in range(draw.randrange(1, 5))]
        text = Text("out.txt", "\n".join(rows).encode())
        for number in text:
            changed = text.content[: number.start] + "777.25" + text.content[number.end :]
            (tmp_path / "out.txt").write_text(changed)
            for spec in suggestions(text, number):
                assert spec.make()(tmp_path) == [777.25], (rows, spec)
                checked += 1
    assert checked > 500


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("Vaule", {}, "did you mean 'Value'?"),
        ("Function", {"function": "os.system"}, "there is no parser 'Function'"),
        ("os.system", {}, "there is no parser"),
        ("Value", {"file": "o", "tokn": "y"}, "did you mean 'token'?"),
        ("Value", {"file": "o"}, "needs 'token'"),
        ("Value", {"file": "o", "token": ""}, "give the text that stands before the number"),
        ("Value", {"file": "o", "token": "z"}, "no match"),
        ("Value", {"file": "/etc/passwd", "token": "z"}, "inside the work directory"),
        ("Value", {"file": "o", "token": {"a": 1}}, "accepted are texts, numbers"),
        ("Value", {"file": "o", "token": "y =", "occurrence": "all"}, "gives 2 numbers"),
    ],
)
def test_parsers_that_are_none(name: str, arguments: dict[str, Any], told: str, tmp_path: Path) -> None:
    """A parser is one of ours, its arguments are known literals, and it gives one number."""
    (tmp_path / "o").write_text("y = 1\ny = 2\n")
    with pytest.raises(AnswerError) as error:
        checked_spec(name, arguments, tmp_path)
    assert told in str(error.value)


def test_named_parsers(tmp_path: Path) -> None:
    """A named parser may have a range with open ends, and gives a curve where `over` says so."""
    (tmp_path / "o").write_text("t,u\n0,1\n1,2\n")
    table = {"file": "o", "column": "u", "valid": [0, math.inf]}
    spec, values = checked_spec("Csv", table, tmp_path)
    assert (values, spec.settings["valid"]) == ((2.0,), (0, None))
    curve = resolve_output(
        tmp_path, OutputAnswer("u", parser="Csv", settings={**table, "row": "all"}, over="0:1")
    )
    assert (curve.values, curve.over) == ((1.0, 2.0), (0.0, 1.0))
    assert {"Binary", "Value", "Csv"} <= set(PARSERS)


# Answers


def test_answers_come_back(tmp_path: Path) -> None:
    """What is written is read back as it was, odd texts too."""
    odd = "a \"b\" 'c' \\ \n \x7f é \U0001f600"
    answers = Answers(
        "Beam",
        ("beam.inp", odd),
        ({"argv": ["ccx", odd], "env": {"X": odd}, "failure": [("f", odd), "y"]},),
        (InputAnswer("E", ("line 1", odd), found="1", nominal=2.5, whole=True, distribution="fixed 1"),),
        (
            OutputAnswer(
                "y", parser="Csv", settings={"file": odd, "row": -1, "valid": [0.0, math.inf]}, over="1:2"
            ),
        ),
    )
    path = tmp_path / "a.toml"
    path.write_text(answers_text(answers), encoding="utf-8", newline="")
    assert read_answers(path) == answers


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nmae = 'a'", "did you mean 'name'?"),
        ("name = 3", "give a text in quotes"),
        ("name = ", "no TOML"),
        ("[inputs.E]\nat = '1'\ndistrbution = 'none'", "did you mean 'distribution'?"),
        ("[inputs.E]", "inputs.E has no 'at'"),
        ("[inputs.E]\nat = 3", "give a text or a list of texts"),
        ("[inputs.E]\nat = '1'\nwhole = 'yes'", "true or false"),
        ("[inputs.lambda]\nat = '1'", "a word of Python"),
        ("[outputs.y]", "say where its number stands"),
        ("command = 'a && b'", "give each command of a chain on its own"),
        ("command = ['ccx', '-i', 'beam']", "one command or a chain?"),
        ("[command]\nargv = 'a'\ntimeuot = 3", "did you mean 'timeout'?"),
        ("[command]\nargv = 'a'\ntimeout = -3", "command: "),
        ("[command]\nenv = {}", "command: "),
        ("inputs = 3", "write a table for each"),
        ("a = 1\na = 2", "no TOML"),
    ],
)
def test_answers_that_are_wrong(text: str, told: str, tmp_path: Path) -> None:
    """An unknown key, another type or no TOML at all is told, with the file."""
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(AnswerError) as error:
        read_answers(path)
    assert told in str(error.value) and "a.toml" in str(error.value)


def case_of(folder: Path, **files: bytes) -> Case:
    """Return a case of some files."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return Case(folder, list(files))


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (InputAnswer("E", ("line 1 number 1", "line 1 number 2")), "one input has one nominal value"),
        (InputAnswer("E", ("line 1 number 1",), found="6"), "has the file changed?"),
        (InputAnswer("E", ("line 1 number 3",)), "10 % of 0 are nothing"),
        (
            InputAnswer("E", ("line 1 number 1",), whole=True, distribution="uniform 1 9"),
            "only whole numbers",
        ),
        (InputAnswer("E", ("line 1 number 2",), whole=True), "not a whole number"),
        (InputAnswer("E", ("line 1 number 1",), whole=True, format="d"), "give one of them"),
        (InputAnswer("E", ("line 1 number 1",), format="zz"), "no number format"),
        (InputAnswer("E", ("line 1 number 1",), nominal="os.getpid()"), "a number is expected"),
        (InputAnswer("E", ("line 1 number 1",), distribution="__import__('os')"), "character 12"),
    ],
)
def test_inputs_that_do_not_fit(answer: InputAnswer, told: str, tmp_path: Path) -> None:
    """An input that does not fit its file is told by its name."""
    case = case_of(tmp_path, a=b"5 2.5 0")
    answers = Answers("A", (), ({"argv": "x"},), (answer,), (OutputAnswer("y", "1", None, {"file": "a"}),))
    with pytest.raises(AnswerError) as error:
        draft(case, answers, tmp_path)
    assert str(error.value).startswith("inputs.E: ") and told in str(error.value)


def test_two_inputs_in_one_place(tmp_path: Path) -> None:
    """Two inputs cannot replace one number."""
    case = case_of(tmp_path, a=b"5")
    inputs = (InputAnswer("E", ("1",)), InputAnswer("F", ("line 1",)))
    answers = Answers("A", (), ({"argv": "x"},), inputs, (OutputAnswer("y", "1", None, {"file": "a"}),))
    with pytest.raises(AnswerError, match="is 'E' already"):
        draft(case, answers, tmp_path)


def test_a_case_has_its_files_inside(tmp_path: Path) -> None:
    """A file outside of the case, an empty folder and a missing file are refused."""
    (tmp_path / "case" / "empty").mkdir(parents=True)
    (tmp_path / "b").write_text("1")
    for name, told in (("../b", "is not in the case"), ("empty", "is empty"), ("c", "there is no file")):
        with pytest.raises(AnswerError, match=told):
            Case(tmp_path / "case", [name])


# Writing


def test_all_or_nothing(tmp_path: Path) -> None:
    """If one file cannot be written, those that were there are as before and no other is."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "in the way").mkdir()
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(IsADirectoryError):
        write_all(tmp_path, {"a": (b"new", 0o644), "x/y": (b"1", 0o644), "in the way": (b"2", 0o644)})
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "a").read_text() == "old"


def test_all_or_nothing_at_the_last_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure when half of the files stand in their places gives the former ones back."""
    (tmp_path / "a").write_text("old")
    rename, calls = Path.rename, []

    def fails(self: Path, target: Path) -> Path:
        calls.append(target)
        if target.name == "b":
            raise OSError("the disk is gone")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="the disk is gone"):
        write_all(tmp_path, {"a": (b"new", 0o644), "c/d": (b"1", 0o644), "b": (b"2", 0o644)})
    assert len(calls) == 4
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "old"
