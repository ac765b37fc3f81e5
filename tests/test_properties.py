"""Whatever doubles, tokens, texts and spellings: what is written is read back, bit for bit."""

import json
import math
import re
import struct
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest

import otwrap as otw
from otwrap.errors import InputError, OutputError
from otwrap.evaluation import occurrence_key, point_key, point_keys
from otwrap.formats import NumberFormat
from otwrap.parsers import NUMBER, Csv, Json, KeyValue, LineColumn, Regex, Value, Xml, to_float
from otwrap.template import Jinja, Template
from otwrap.template.reading import read_point

pytest.importorskip("hypothesis")
from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

some = settings(max_examples=150, deadline=None, database=None)

finite = st.floats(allow_nan=False, allow_infinity=False)
#: What regular expressions, formats, shells and escapes make something of, and what begins like something else.
ODD = ".*+?^$()[]{}|\\@#%&<>'\"`~!/-_=:;, \tXx10eéßΩ漢🙂\u00a0\u202f"
odd_texts = st.text(st.sampled_from(ODD), max_size=12)
any_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
tokens_of = st.lists(
    st.one_of(
        st.text(st.sampled_from(ODD), min_size=1, max_size=5),
        st.sampled_from(["@X", "@X1", "@X10", "@X1@", "X", "$x", "{x}", ".*", "\\1", "a.b", "@@", "é"]),
    ).filter(lambda token: token.strip() == token),
    min_size=1,
    max_size=5,
    unique=True,
)


def same(one, other):
    """Whether doubles are the same to the last bit, the sign of zero too."""
    return struct.pack(f"<{len(one)}d", *one) == struct.pack(f"<{len(other)}d", *other)


@pytest.fixture(scope="module")
def folder():
    """A folder for all examples of a test."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def written(folder, name, text):
    """Write a file as it is, and return its path."""
    path = folder / name
    path.write_bytes(text.encode())
    return path


def replaced(text, values):
    """Replace tokens in one pass, the longest first, in the simplest way; return the text and what was found."""
    result, found, place = "", set(), 0
    while place < len(text):
        token = max((token for token in values if text.startswith(token, place)), key=len, default="")
        result += values[token] if token else text[place]
        place += len(token) or 1
        found |= {token} - {""}
    return result, found


@some
@given(tokens=tokens_of, pieces=st.lists(odd_texts | any_texts, min_size=1, max_size=6), data=st.data())
def test_tokens_are_replaced_and_nothing_else(folder, tokens, pieces, data):
    """Any set of tokens, in any text: prefixes of each other, regular expressions, adjacent ones."""
    places = data.draw(st.lists(st.sampled_from(tokens), max_size=len(pieces)))
    text = "".join(piece + token for piece, token in zip(pieces, [*places, *tokens, ""], strict=False))
    point = data.draw(st.lists(finite, min_size=len(tokens), max_size=len(tokens)))
    expected, found = replaced(text, dict(zip(tokens, map(repr, point), strict=True)))
    path = written(folder, "any.tmpl", text)
    names = [f"x{i}" for i in range(len(tokens))]
    if found != set(tokens):
        with pytest.raises(InputError, match="not in"):
            Template(path, tokens)
        return
    assert Template(path, tokens).bind(names).render(point) == expected.encode()


@some
@given(tokens=tokens_of, between=st.lists(any_texts, min_size=6, max_size=6), data=st.data())
def test_the_same_doubles_are_read_back(folder, tokens, between, data):
    """What a template has written is read back from the file, every bit of it."""
    point = data.draw(st.lists(finite, min_size=len(tokens), max_size=len(tokens)))
    # No token has an ellipsis, so each token stands alone.
    text = "".join(f"{piece}…\n{token}\n…" for piece, token in zip(between, tokens, strict=False))
    if replaced(text, dict.fromkeys(tokens, ""))[0] != "".join(
        f"{piece}…\n\n…" for piece in between[: len(tokens)]
    ):
        return  # the text between has a token, too
    names = [f"x{i}" for i in range(len(tokens))]
    bound = Template(written(folder, "back.tmpl", text), tokens).bind(names)
    rendered = bound.render(point)
    assert same([float(line) for line in rendered.decode().split("…")[1::2]], point)
    (folder / "rendered").mkdir(exist_ok=True)
    (folder / "rendered" / "input").write_bytes(rendered)
    assert same(read_point({"input": bound}, folder / "rendered", names), point)


@some
@given(before=any_texts, after=any_texts, x=finite)
def test_jinja_writes_the_same_doubles(folder, before, after, x):
    """A double in a Jinja2 template reads back, and the text around it stays as it is."""
    before, after = (re.sub(r"[{}%#\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", "", text) for text in (before, after))
    path = written(folder, "jinja.tmpl", f"{before}\n{{{{ x }}}}\n{after}")
    lines = Jinja(path).bind(["x"]).render([x]).decode().removeprefix("\ufeff").split("\n")
    assert (lines[0], lines[2]) == (before.removeprefix("\ufeff"), after)
    assert same([float(lines[1])], [x])


def without_letter(x):
    """Write an exponent of three digits as Fortran does, which leaves the letter out."""
    mantissa, _, exponent = f"{x:.16e}".partition("e")
    return f"{mantissa}{exponent}" if len(exponent) > 3 else f"{mantissa}D{exponent}"


#: How codes write numbers so that no digit is lost.
SPELLINGS = {
    "shortest": repr,
    "C": lambda x: f"{x:.17g}",
    "C, large": lambda x: f"{x:.17G}",
    "exponent": lambda x: f"{x:.16e}",
    "with sign": lambda x: f"{x:+.16E}",
    "Fortran D": NumberFormat("D").write,
    "Fortran d": lambda x: NumberFormat(".16D").write(x).lower(),
    "Fortran, quadruple": lambda x: NumberFormat(".16D").write(x).replace("D", "Q"),
    "Fortran, no letter": without_letter,
    "Fortran, no zero": lambda x: re.sub(r"^([+-]?)0\.", r"\1.", repr(x)),
    "padded": lambda x: f"{x!r:>40}",
}
spellings = st.sampled_from(sorted(SPELLINGS))


@some
@given(spelling=spellings, x=finite)
def test_every_spelling_is_read(spelling, x):
    """Whatever a code prints so that no digit is lost is read as the same double, with a comma as well."""
    text = SPELLINGS[spelling](x)
    assert same([to_float(text)], [x])
    assert same([to_float(text.replace(".", ","), ",")], [x])


#: A file that a code writes, and the parser that reads the number `x` in it, the other being `y`.
FILES = {
    "token": ("step {y}\nstress [MPa] = {x} at {y}\n", Value("out", "stress")),
    "next line": ("displacement\n\n  {x}\n{y}\n", Value("out", "displacement")),
    "line and column": ("# a b\n{y} {x}\n", LineColumn("out", 2, 2)),
    "key": ("other = {y}\nu max = {x} # end\n", KeyValue("out", "u max")),
    "key with colon": ("u : {x}\nv : {y}\n", KeyValue("out", "u", ":")),
    "table": ("t,u\n{y},{y}\n{y},{x}\n", Csv("out", "u")),
    "semicolons": ("{y};{x}\n", Csv("out", 1, separator=";")),
    "pattern": ("y={y} x={x}\n", Regex("out", rf"x=\s*({NUMBER})")),
    "all": ("u {x}\nu {x}\n", Value("out", "u", "all")),
}


@some
@given(kind=st.sampled_from(sorted(FILES)), spelling=spellings, other=spellings, x=finite, y=finite)
def test_parsers_read_what_codes_write(folder, kind, spelling, other, x, y):
    """Each parser of text finds its number among others, in every spelling."""
    text, parser = FILES[kind]
    written(folder, "out", text.format(x=SPELLINGS[spelling](x), y=SPELLINGS[other](y)))
    found = parser(str(folder))
    assert same(found, [x] * len(found))


@some
@given(x=finite, y=finite, key=any_texts)
def test_structured_files_are_read(folder, x, y, key):
    """JSON with any key, and XML, give the same doubles."""
    written(folder, "out.json", json.dumps({"a": [y, {key: x}]}))
    assert same(Json("out.json", ["a", 1, key])(str(folder)), [x])
    written(folder, "out.xml", f'<o><y v="{y!r}"/><x v="{x!r}"/></o>')
    assert same(Xml("out.xml", "x", "v")(str(folder)), [x])


@some
@given(
    kind=st.sampled_from(sorted(FILES)), x=st.sampled_from(["nan", "inf", "-inf", "NaN", "Infinity", "****"])
)
def test_what_is_no_number_is_told(folder, kind, x):
    """A nan, an infinity or stars never become a number that nobody asked for."""
    text, parser = FILES[kind]
    written(folder, "out", text.format(x=x, y="1.5"))
    with pytest.raises(OutputError) as caught:
        parser(str(folder))
    assert caught.value.cause == "not a number"


@some
@given(text=st.text(st.sampled_from("0123456789+-.,eEdDqQ_' naif\u0661\u2212"), max_size=12))
def test_only_whole_numbers_are_read(text):
    """What `to_float` accepts is that number as a whole, in exact arithmetic; all else is refused."""
    try:
        found = to_float(text)
    except ValueError:
        return
    word = re.sub(r"[dDqQ]", "e", text.strip()) if "n" not in text.lower() else text.strip()
    word = re.sub(r"(?<=[0-9.])([+-][0-9]{3})$", r"e\1", word)
    assert re.fullmatch(r"[+-]?(nan|inf|([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?)", word, re.I | re.A)
    exact = Decimal(word)
    assert math.isnan(found) if exact.is_nan() else found == float(exact)


points = st.lists(st.floats(allow_nan=False), min_size=1, max_size=6)


@some
@given(one=points, other=points, digits=st.integers(1, 17))
def test_keys_are_the_bits(one, other, digits):
    """Two points have one key if and only if their doubles are the same; -0.0 is 0.0."""
    assert (point_key(one) == point_key(other)) == (one == other)
    assert point_key(one) == point_key(list(one)) == point_key([x if x else -x for x in one])
    assert point_keys([one, one]) == [point_key(one)] * 2
    shifted = [math.nextafter(one[0], math.inf) if math.isfinite(one[0]) else 0.0, *one[1:]]
    assert (point_key(shifted) == point_key(one)) == (shifted == one)
    rounded = [[float(f"{x:.{digits - 1}e}") for x in point] for point in (one, other)]
    alike = point_key(one, digits) == point_key(other, digits)
    assert alike == (rounded[0] == rounded[1])


@some
@given(one=points, other=points, first=st.integers(0, 2**40), second=st.integers(0, 2**40))
def test_occurrences_have_their_keys(one, other, first, second):
    """The n-th evaluation of a point has a key of its own."""
    alike = occurrence_key(point_key(one), first) == occurrence_key(point_key(other), second)
    assert alike == (one == other and first == second)


@settings(max_examples=10, deadline=None, database=None)
@given(X=st.lists(st.tuples(finite, finite), min_size=1, max_size=6))
def test_the_way_through_a_code_keeps_every_bit(X):
    """From the sample into the input file, through a code that copies, and back: the same doubles."""
    with tempfile.TemporaryDirectory() as name:
        copy = otw.Wrapper(
            ["a", "b"],
            ["c", "d"],
            templates={"in.txt": written(Path(name), "in.tmpl", "c = @a\nd = @b\n")},
            command=["cp", "in.txt", "out.txt"],
            parsers=[otw.parsers.KeyValue("out.txt", "c"), otw.parsers.KeyValue("out.txt", "d")],
        )
        with otw.Campaign(copy, "serial", verbosity=False) as campaign:
            for x, y in zip(X, campaign.outputs(X), strict=True):
                # Where 0.0 came first, -0.0 is that point.
                assert all(a == b for a, b in zip(x, y, strict=True))
