"""Tokens become values in an input file; what is wrong is told before the first point runs."""

from __future__ import annotations

import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from otwrap.errors import InputError
from otwrap.template import BoundTemplate, Jinja, Template, bind_all


@pytest.fixture
def make(tmp_path: Path):
    """Write a template file and return its path."""

    def make(content: str | bytes, name: str = "deck.tmpl") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return make


def told(call, *texts: str) -> str:
    """The text of the InputError of a call, with all of `texts` in it."""
    with pytest.raises(InputError) as caught:
        call()
    message = str(caught.value)
    for text in texts:
        assert text in message
    return message


# Tokens


def test_no_digit_is_lost(make) -> None:
    """TRAPS: a value in a rendered file reads back as the same double, not rounded to 10 digits."""
    bound = Template(make("@X")).bind(["X"])
    draw = random.Random(3)
    for x in [
        0.1 + 0.2,
        1 / 3,
        *(draw.uniform(-1e9, 1e9) * 10.0 ** draw.randint(-200, 200) for _ in range(2000)),
    ]:
        assert struct.pack("<d", float(bound.render([x]))) == struct.pack("<d", x)


def test_longest_token_first(make) -> None:
    """TRAPS: `@X1` leaves `@X10` alone, whatever their order; the overlap is told."""
    bound = Template(make("@X1 @X10 @X1")).bind(["a", "b"], ["@X1", "@X10"])
    assert bound.render([1.0, 2.0]) == b"1.0 2.0 1.0"
    assert bound.overlaps == (("@X1", "@X10"),)
    assert Template(make("@X1 @X10")).bind(["b", "a"], ["@X10", "@X1"]).render([2.0, 1.0]) == b"1.0 2.0"


def test_tokens_are_literal(make) -> None:
    """TRAPS: `a.b` does not replace `axb`."""
    bound = Template(make("axb a.b $(x)* [")).bind(["x", "y"], ["a.b", "$(x)*"])
    assert bound.render([1.0, 2.0]) == b"axb 1.0 2.0 ["


def test_value_that_contains_a_token(make) -> None:
    """TRAPS: a value that contains its token, or another, is not replaced again."""
    bound = Template(make("1 e"), formats=lambda x: f"e1e{x}").bind(["a", "b"], ["1", "e"])
    assert bound.render([1.0, 2.0]) == b"e1e1.0 e1e2.0"
    constant = Template(make("@A @B"), constants={"@B": "@A"}).bind(["A"])
    assert constant.render([1.0]) == b"1.0 @A"


def test_every_occurrence(make) -> None:
    """All occurrences of a token are replaced, also side by side."""
    assert Template(make("@F@F\n@F")).bind(["F"], ["@F"]).render([1.5]) == b"1.51.5\n1.5"


def test_tokens_as_dict(make) -> None:
    """A dict says which token is for which input; one input may have two tokens."""
    template = Template(
        make("<f> <F> <e>"), {"<f>": "F", "<F>": "F", "<e>": "E"}, formats={"<F>": "d", "F": ".1e"}
    )
    assert template.bind(["E", "F"]).render([2.5, 3.0]) == b"3.0e+00 3 2.5"


def test_default_tokens(make) -> None:
    """Without tokens they are the names preceded by `@`."""
    bound = Template(make("@F,@E")).bind(["E", "F", "G"])
    assert bound.render([1.0, 2.0, 3.0]) == b"2.0,1.0"
    assert bound.inputs_used == frozenset({"E", "F"})


def test_default_tokens_absent(make) -> None:
    """If none of the default tokens appears, the error shows how to give them, and what is there."""
    told(
        lambda: Template(make("\n{F}")).bind(["F"]),
        "'F' (token '@F')",
        "'{F}' in line 2",
        "tokens=['@F', ...]",
    )


@pytest.mark.parametrize("content", ["@X1 @X12", "@X1 @X1@ "])
def test_default_token_inside_a_word(make, content: str) -> None:
    """A default token is never replaced in a longer word, such as `@X12` or `@X1@`."""
    told(lambda: Template(make(content)).bind(["X1"]), "line 1", "more than '@X1'", "tokens=[")


def test_token_in_no_template(make) -> None:
    """TRAPS: an input in no template is an error with the places looked at and what is near."""
    path = make("@F\n@e @Length")
    message = told(lambda: bind_all({"a": path}, ["F", "E", "Lenght"], ["@F", "@E", "@Lenght"]), str(path))
    assert "'E' (token '@E')" in message
    assert "'@e' in line 2" in message
    assert "'@Length' in line 2" in message


def test_explicit_tokens_must_appear(make) -> None:
    """TRAPS: a token given with its template must be in it."""
    told(lambda: Template(make("@F @e"), ["@F", "@E"]), "token '@E' not in", "'@e' in line 1")
    # Only inside a longer token is not there.
    told(lambda: Template(make("@X10"), ["@X1", "@X10"]), "token '@X1' not in")


def test_mark_left_over(make) -> None:
    """TRAPS: what the mark matches and is no token is an error with its line."""
    path = make("@F\nx\n@G @F")
    told(lambda: Template(path, ["@F"], mark=r"@\w+"), "line 3: '@G'", str(path))
    told(lambda: Template(path, mark=r"@\w+").bind(["F"], ["@F"]), "line 3: '@G'")
    told(
        lambda: Template(make("@X12"), mark=r"@\w+").bind(["x"], ["@X1"]),
        "line 1: '@X12' Did you mean '@X1'?",
    )
    Template(make("@F@ @K"), ["@F@"], mark=r"@\w+", constants={"@K": 1})
    told(lambda: Template(path, mark="@("), "mark='@('", "no regular expression")


def test_constants(make) -> None:
    """Constants are texts or numbers, written once; they must appear in their template."""
    constants = {"@K": 3, "@L": 2.5, "@M": "steel", "@N": 1.0}
    template = Template(make("@K @L @M @N @F"), constants=constants, formats={"@N": ".2e"})
    assert template.bind(["F"]).render([1.0]) == b"3 2.5 steel 1.00e+00 1.0"
    told(
        lambda: Template(make("@F @k"), constants={"@K": 1}).bind(["F"]),
        "constant '@K' not in",
        "'@k' in line 1",
    )
    told(lambda: Template(make("@K"), constants={"@K": None}), "constant '@K' = None")
    told(lambda: Template(make("@K"), constants={"@K": float("nan")}), "@K", "allow")
    told(lambda: Template(make("@F"), constants={"@F": 1}).bind(["F"]), "'@F'", "as a constant")


@pytest.mark.parametrize(
    ("inputs", "tokens", "text"),
    [
        (["F", "E"], ["@F", "@F"], "'@F' is given 2 times"),
        (["F", "F"], ["@F", "@E"], "'F' is given 2 times"),
        (["F", "E"], ["@F"], "1 tokens for 2 inputs"),
        (["F"], [""], "not empty"),
        (["F"], "@F", "['@F']"),
        ("F", None, "['F']"),
        (["Force"], {"@F": "Farce"}, "Did you mean 'Force'?"),
    ],
)
def test_tokens_that_do_not_fit(make, inputs, tokens, text: str) -> None:
    """Tokens given twice, too few, or for an unknown input are errors that name them."""
    told(lambda: Template(make("@F @E")).bind(inputs, tokens), text)


def test_wrong_number_of_values(make) -> None:
    """A point of another size is an error, in both styles."""
    told(lambda: Template(make("@F")).bind(["F"]).render([1.0, 2.0]), "2 values for 1 inputs (F)")
    told(lambda: Jinja(make("{{ F }}")).bind(["F"]).render([]), "0 values for 1 inputs (F)")


# Number formats


def test_width_that_fails(make) -> None:
    """A number that does not fit its width is an error with input, token, value, width and file."""
    path = make("@F")
    bound = Template(path, formats={"@F": "10.4f"}).bind(["F"])
    assert bound.render([12345.6789]) == b"12345.6789"
    told(lambda: bound.render([1234567.0]), "F = 1234567.0", "'@F'", "10", str(path))


def test_nan_is_refused(make) -> None:
    """Nan and inf reach no input file unless a format says so."""
    told(lambda: Template(make("@F")).bind(["F"]).render([float("nan")]), "F = nan", "allow")
    assert Template(make("@F"), formats="allow").bind(["F"]).render([float("-inf")]) == b"-inf"


def test_wrong_format(make) -> None:
    """A wrong format, or one for a name that is none, is an error before any point."""
    told(lambda: Template(make("@F"), formats={"F": ".6q"}), "'.6q'", "accepted are")
    told(
        lambda: Template(make("@Force"), formats={"Farce": "d"}).bind(["Force"]),
        "'Farce'",
        "Did you mean 'Force'?",
    )


def test_formats_by_input(make) -> None:
    """A format is given by token or by name, or once for all."""
    inputs = ["F", "E"]
    assert (
        Template(make("@F @E"), formats={"F": "d", "@E": ".1e"}).bind(inputs).render([3.0, 4.0])
        == b"3 4.0e+00"
    )
    assert Template(make("@F @E"), formats="D").bind(inputs).render([3.0, 4.0]) == b"3.0D+00 4.0D+00"


# Bytes


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("style", [Template, Jinja])
def test_encodings(make, encoding: str, style) -> None:
    """Encoding, byte order mark and CRLF stay as they are in the template."""
    token = "@F" if style is Template else "{{ F }}"
    path = make(f"é {token}\r\nü\r\n".encode(encoding))
    rendered = style(path, encoding=encoding).bind(["F"]).render([0.5])
    assert rendered == "é 0.5\r\nü\r\n".encode(encoding)


def test_mark_of_utf8_stays(make) -> None:
    """The byte order mark of UTF-8 stays, and an encoding with one adds none."""
    for encoding in ("utf-8", "utf-8-sig"):
        assert (
            Template(make(b"\xef\xbb\xbf@F"), encoding=encoding).bind(["F"]).render([1.0])
            == b"\xef\xbb\xbf1.0"
        )
        assert Template(make(b"@F"), encoding=encoding).bind(["F"]).render([1.0]) == b"1.0"


def test_line_ends_of_tokens_are_untouched(make) -> None:
    """Mixed line ends stay with tokens; Jinja2 would change them and says so."""
    assert Template(make(b"a\r\n@F\n\rb")).bind(["F"]).render([1.0]) == b"a\r\n1.0\n\rb"
    told(lambda: Jinja(make(b"a\r\n{{ F }}\n")), "line ends")


def test_not_in_the_encoding(make) -> None:
    """A template, a value or a constant that the encoding does not know is an error."""
    told(lambda: Template(make("x\né @F".encode("latin-1"))), "0xe9 in line 2", "latin-1")
    told(lambda: Template(make("@F"), encoding="utf-9"), "utf-9", "accepted")
    told(lambda: Template(make("@K"), constants={"@K": "€"}, encoding="latin-1"), "@K")
    bound = Template(make("@F"), formats=lambda x: "€", encoding="latin-1").bind(["F"])
    told(lambda: bound.render([1.0]), "F = 1.0", "latin-1")


@pytest.mark.parametrize("mode", [0o755, 0o640, 0o777, 0o600])
def test_mode(make, tmp_path: Path, mode: int) -> None:
    """The permissions of the template are those of what is written."""
    path = make("@F")
    path.chmod(mode)
    Template(path).bind(["F"]).write([1.0], str(tmp_path / "out"))
    assert (tmp_path / "out").stat().st_mode & 0o777 == mode


def test_executable_runs(make, tmp_path: Path) -> None:
    """A script as template is a script that runs."""
    path = make("#!/bin/sh\necho @F\n")
    path.chmod(0o755)
    Template(path).bind(["F"]).write([0.25], str(tmp_path / "run.sh"))
    assert subprocess.run([str(tmp_path / "run.sh")], capture_output=True, check=True).stdout == b"0.25\n"


def test_write(make, tmp_path: Path) -> None:
    """A file is replaced as a whole, and its folder made; one that cannot be written is an error."""
    bound = Template(make("@F")).bind(["F"])
    out = tmp_path / "system" / "in"
    bound.write([1.23456789], str(out))
    bound.write([1.0], str(out))
    assert out.read_bytes() == b"1.0"
    told(lambda: bound.write([1.0], str(tmp_path)), str(tmp_path), "cannot be written")


def test_never_through_a_link(make, tmp_path: Path) -> None:
    """A link in the way of a rendered file is an error; what it points to is not touched."""
    original = make("precious", "mesh.dat")
    (tmp_path / "in").symlink_to(original)
    told(lambda: Template(make("@F")).bind(["F"]).write([1.0], str(tmp_path / "in")), "cannot be written")
    assert original.read_text() == "precious"


def test_template_is_read_once(make) -> None:
    """The file is not needed after construction; its content stays in `source`."""
    path = make("@F")
    template = Template(path)
    path.unlink()
    assert (template.source, template.path) == (b"@F", str(path))
    assert template.bind(["F"]).render([1.0]) == b"1.0"


def test_missing_template(make, tmp_path: Path) -> None:
    """A missing template is an error with its absolute path and what is near in the folder."""
    make("@F", "beam_template.xml")
    told(
        lambda: Template(tmp_path / "beam_templat.xml"),
        str(tmp_path / "beam_templat.xml"),
        "'beam_template.xml'",
    )
    told(lambda: Template(tmp_path / "no" / "t"), f"no folder {tmp_path / 'no'}")
    told(lambda: Template(tmp_path), "cannot be read")


def test_relative_path(make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path means the current directory of the moment of construction."""
    make("@F")
    monkeypatch.chdir(tmp_path)
    assert Template("deck.tmpl").path == str(tmp_path / "deck.tmpl")


# Several templates


def test_bind_all(make) -> None:
    """Several templates share the tokens; each input must be in one of them."""
    a, b, c = make("@F", "a"), make("{{ E }}", "b"), make("<l>", "c")
    bound = bind_all({"a.in": a, "sub/b.in": Jinja(b), "c": Template(c, {"<l>": "L"})}, ["F", "E", "L"])
    assert [bound[name].render([1.0, 2.0, 3.0]) for name in bound] == [b"1.0", b"2.0", b"3.0"]
    assert [sorted(one.inputs_used) for one in bound.values()] == [["F"], ["E"], ["L"]]


def test_bind_all_dict_and_elsewhere(make) -> None:
    """Each token of a dict must be in a template; an input of the command line need not be."""
    path = make("@F")
    told(lambda: bind_all({"a": path}, ["F"], {"@F": "F", "@G": "F"}), "token '@G' in no template", str(path))
    told(lambda: bind_all({"a": path}, ["F", "E"]), "'E' (token '@E')")
    assert bind_all({"a": path}, ["F", "E"], used_elsewhere=["E"])["a"].inputs_used == {"F"}
    told(lambda: bind_all({"a": Jinja(make("{{ F }}"))}, ["F"], ["@F"]), "no template takes them")
    assert bind_all({}, ["F"]) == {}


@pytest.mark.parametrize("name", ["/etc/x", "../x", "a/../../x", "", ".", "a/..", "x\0"])
def test_destination_outside(make, name: str) -> None:
    """A file to write is inside the work directory."""
    told(lambda: bind_all({name: make("@F")}, ["F"]), repr(name), "relative to the work directory")


@pytest.mark.parametrize("names", [("a", "./a"), ("d/a", "d//a"), ("d", "d/a")])
def test_destinations_that_collide(make, names: tuple[str, str]) -> None:
    """Two templates do not write one file, nor one into the other."""
    told(lambda: bind_all(dict.fromkeys(names, make("@F")), ["F"]), repr(names[0]), repr(names[1]))


# Jinja


def test_jinja_language(make) -> None:
    """Loops, conditions, formulas and the functions of math work; floats keep their digits."""
    text = (
        "{% for i in range(n) %}{{ i }}:{{ F * i }} {% endfor %}"
        "{% if F > 1 %}big{% else %}small{% endif %} {{ math.sqrt(E) }} {{ F | fmt('.2e') }} {{ F }}\n"
    )
    bound = Jinja(make(text), constants={"n": 3}).bind(["F", "E"])
    assert bound.render(
        [0.1 + 0.2, 2.25]
    ) == b"0:0.0 1:0.30000000000000004 2:0.6000000000000001 small 1.5 3.00e-01 " + (b"0.30000000000000004\n")


def test_jinja_never_escapes(make) -> None:
    """TRAPS: `a<b & 'c'` goes into the deck as it is."""
    bound = Jinja(make("a<b & 'c' {{ text }} {{ F }}"), constants={"text": 'a<b & "c"'}).bind(["F"])
    assert bound.render([1.0]) == b"a<b & 'c' a<b & \"c\" 1.0"


def test_jinja_undefined(make) -> None:
    """TRAPS: an undefined variable is an error when bound, not empty text."""
    told(lambda: Jinja(make("x\n{{ Farce }}")).bind(["Force"]), "line 2", "'Farce'", "Did you mean 'Force'?")
    bound = Jinja(make("{{ F }}\n{{ d.missing }}"), constants={"d": {"a": 1}}).bind(["F"])
    told(lambda: bound.render([1.0]), "line 2", "missing", "F = 1.0")


def test_jinja_unused(make) -> None:
    """An input or a constant that no template uses is an error."""
    path = make("{{ force }}")
    told(
        lambda: bind_all({"a": Jinja(path, constants={"force": 1})}, ["Force"]),
        "'Force'",
        "Did you mean 'force'?",
    )
    told(lambda: Jinja(path, constants={"farce": 1}), "constant 'farce' not used", "'force'")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n{{ F / 0 }}", "ZeroDivisionError"),
        ("\n{{ math.sqrt(-F) }}", "math domain error"),
        ("\n{{ F * 1e308 * 10 }}", "allow"),
        ("\n{{ math.sqrt }}", "neither a number nor a text"),
        ("\n{{ none }}", "neither a number nor a text"),
        ("\n{{ F|fmt('d') }}", "whole number"),
        ("\n{{ F.__class__.__mro__ }}", "unsafe"),
    ],
)
def test_jinja_fails_with_its_line(make, text: str, problem: str) -> None:
    """What goes wrong while rendering is told with the line and the point."""
    bound = Jinja(make(text)).bind(["F"]) if "F" in text else Jinja(make(text + "{{ F }}")).bind(["F"])
    told(lambda: bound.render([2.5]), "line 2 of", problem, "F = 2.5")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n{% if F %}", "line 2"),
        ("\n{{ F|nosuch }}", "line 2"),
        ("\n{{ F|fmt('q') }}", "line 2"),
        ("{{ F|random }}", "random"),
        ("{% include 'x' %}", "includes"),
    ],
)
def test_jinja_wrong_template(make, text: str, problem: str) -> None:
    """A template that can never be rendered is an error at construction."""
    told(lambda: Jinja(make(text)), problem)


def test_jinja_formats(make) -> None:
    """A format is given by name or for all floats; in a formula the variable is a number."""
    bound = Jinja(
        make("{{ F }} {{ F + 1 }} {{ E }} {{ k }}"), formats={"F": "d", "k": ".1e"}, constants={"k": 2.0}
    )
    assert bound.bind(["F", "E"]).render([3.0, 0.5]) == b"3 4.0 0.5 2.0e+00"
    assert Jinja(make("{{ F }} {{ 2 * F }}"), formats=".1e").bind(["F"]).render([3.0]) == b"3.0e+00 6.0e+00"


def test_jinja_delimiters(make) -> None:
    """Other delimiters leave `{{` to the file."""
    bound = Jinja(make("{{ x }} << F >>"), delimiters={"variable": ("<<", ">>")}).bind(["F"])
    assert bound.render([1.0]) == b"{{ x }} 1.0"
    told(lambda: Jinja(make(""), delimiters={"variables": ("<<", ">>")}), "Did you mean 'variable'?")
    told(lambda: Jinja(make(""), delimiters={"block": ("{{", "}}")}), "start in the same way")


def test_jinja_keeps_no_state(make) -> None:
    """A constant that a template tries to change is an error: no point depends on the one before."""
    bound = Jinja(make("{{ F }}{% set _ = k.append(1) %}"), constants={"k": [1]}).bind(["F"])
    told(lambda: bound.render([1.0]), "line 1")


def test_jinja_input_named_like_a_function(make) -> None:
    """An input called `range` or `math` is an input."""
    bound = Jinja(make("{{ range }} {{ math }}")).bind(["range", "math"])
    assert bound.inputs_used == {"range", "math"}
    assert bound.render([1.0, 2.0]) == b"1.0 2.0"


# Travelling


@pytest.mark.parametrize("rendered_before", [False, True])
def test_pickle(make, rendered_before: bool) -> None:
    """Bound templates of both styles work in another process, without the file."""
    paths = make("@F @E", "a"), make("{{ F }} {{ E }}", "b")
    bound = [
        Template(paths[0], formats={"F": "d"}).bind(["F", "E"]),
        Jinja(paths[1], formats={"F": "d"}).bind(["F", "E"]),
    ]
    for one in bound:
        if rendered_before:
            one.render([1.0, 2.0])
    code = "import pickle, sys; print([b.render([3.0, 0.1]) for b in pickle.load(sys.stdin.buffer)])"
    data = pickle.dumps(bound)
    for path in paths:
        path.unlink()
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["otwrap"].__path__[0]).parent)}
    done = subprocess.run(
        [sys.executable, "-c", code], input=data, capture_output=True, check=True, env=environment
    )
    assert done.stdout.strip() == b"[b'3 0.1', b'3 0.1']"


def test_fingerprint(make, tmp_path: Path) -> None:
    """It changes with all that changes what is written, is JSON, and shows no path."""
    kinds = [
        Template(make("@F", "a")),
        Template(make("@F ", "b")),
        Template(make("@F", "c"), ["@F"]),
        Template(make("@F", "d"), formats=".6e"),
        Template(make("@F", "e"), formats={"F": ".6e"}),
        Template(make("@F", "f"), mark=r"@\w+"),
        Template(make("@F", "g"), encoding="latin-1"),
        Template(make("@F", "h"), constants={"@F": 1}),
        Template(make("@F", "i"), constants={"@F": "1"}),
        Jinja(make("@F", "j")),
    ]
    texts = [json.dumps(kind.fingerprint(), sort_keys=True) for kind in kinds]
    assert len(set(texts)) == len(kinds)
    assert not any(str(tmp_path) in text for text in texts)
    assert Template(make("@F", "k")).fingerprint() == kinds[0].fingerprint()


def test_fingerprint_of_bound(make) -> None:
    """Once bound, which token is for which input counts, and not how that was said."""

    def bound(tokens, inputs=("F", "E")) -> BoundTemplate:
        return Template(make("@F @E")).bind(list(inputs), tokens)

    assert bound(None).fingerprint() == bound(["@F", "@E"]).fingerprint()
    assert bound(None).fingerprint() != bound(["@E", "@F"]).fingerprint()
    assert bound(None).fingerprint() != bound(None, ("E", "F")).fingerprint()


def test_numpy_values(make) -> None:
    """An array as a point is written as the numbers it holds, in both styles."""
    numpy = pytest.importorskip("numpy")
    assert Template(make("@F")).bind(["F"]).render(numpy.array([0.1])) == b"0.1"
    assert Jinja(make("{{ F }}")).bind(["F"]).render(numpy.array([0.1])) == b"0.1"
    assert Template(make("@F @K"), constants={"@K": numpy.int64(3)}).bind(["F"]).render([0.1]) == b"0.1 3"


def test_jinja2_is_imported_late() -> None:
    """Importing the room does not import jinja2."""
    code = "import sys, otwrap.template; print('jinja2' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(Path(sys.modules["otwrap"].__path__[0]).parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment)
    assert re.fullmatch(rb"False\s*", done.stdout)
