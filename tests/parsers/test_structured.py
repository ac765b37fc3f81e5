"""Parsers of JSON and XML."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from otwrap.parsers import Json, Xml

Write = Callable[..., Path]
Refused = Callable[..., str]

JSON = (
    '{"results": {"max_stress": 2.5, "a.b": 4, "text": "1.5D+03"}, "nodes": [{"u": 1}, {"u": -3e2}], "e": []}'
)


def json(*args: Any, **settings: Any) -> Json:
    return Json("out.json", *args, **settings)


@pytest.mark.parametrize(
    ("path", "numbers"),
    [
        ("results.max_stress", [2.5]),
        ("nodes[1].u", [-300]),
        ("nodes[-2].u", [1]),
        ("results['a.b']", [4]),
        ('results["a.b"]', [4]),
        (("results", "a.b"), [4]),
        (["nodes", -1, "u"], [-300]),
        ("results.text", [1500]),
    ],
)
def test_json_path(write: Write, path: Any, numbers: list[float]) -> None:
    """A path of names and indices leads to the number."""
    assert json(path)(write(JSON, "out.json")) == numbers


def test_json_arrays(write: Write) -> None:
    """An array gives all its numbers, row by row; an empty path is the whole file."""
    workdir = write("\ufeff[[1, 2], [3, 4.5]]", "out.json")
    assert json("")(workdir) == json(())(workdir) == [1, 2, 3, 4.5]
    assert json("[1]")(workdir) == json("[-1]")(workdir) == [3, 4.5]
    assert json("[1][0]")(workdir) == [3]
    assert all(type(number) is float for number in json("")(workdir))


def test_json_failures(write: Write, refused: Refused, tmp_path: Path) -> None:
    """Each failure says file, path, where it ends and what is there."""
    refused(json("a"), tmp_path, "output missing")
    refused(json("a"), write("", "out.json"), "output empty")
    refused(json("a"), write('{"a": 1,\n "b": ', "out.json"), "output", "no JSON", "line 2", "to its end")
    workdir = write(JSON, "out.json")
    refused(
        json("results.max_stres"),
        workdir,
        "no match",
        "'max_stres' at 'results'",
        "did you mean 'max_stress'",
    )
    refused(json("result"), workdir, "no match", "at the top", "'nodes'")
    refused(json("nodes[2].u"), workdir, "no match", "2 items at 'nodes'", "[2]")
    refused(json("nodes[-3].u"), workdir, "no match", "2 items")
    refused(json("nodes.u"), workdir, "no match", "array of 2 items", "'nodes.u'")
    refused(json("results[0]"), workdir, "no match", "an object with 'max_stress'")
    refused(json("results.max_stress.x"), workdir, "no match", "2.5")
    refused(json("results"), workdir, "not a number", "an object with")
    refused(json("e"), workdir, "not a number", "array of 0 items")
    refused(json("results.max_stress", valid=(3, None)), workdir, "out of range", "2.5")
    assert len(refused(json("a"), write("[" * 200_000, "out.json"), "output")) < 500


@pytest.mark.parametrize(
    "value",
    ["NaN", "-Infinity", "1e999", "1" + "0" * 400, "true", "null", '"1,234"', '"***"', '"nan"', "[1, true]"],
)
def test_json_not_a_number(write: Write, refused: Refused, value: str) -> None:
    """Nan, infinity, true and null are no numbers, in a string neither."""
    refused(json("a"), write(f'{{"a": {value}}}', "out.json"), "not a number", "'a'")


def test_json_duplicate_names(write: Write, refused: Refused) -> None:
    """A name given twice is an error where it is read, not the last one silently."""
    workdir = write('{"a": 1, "a": 2, "b": 3}', "out.json")
    refused(json("a"), workdir, "no match", "'a' more than once")
    assert json("b")(workdir) == [3]


@pytest.mark.parametrize("path", [".a", "a..b", "a[b]", "a[1", "a[1]b", "a]", ("a", 1.5), ("a", True), "a."])
def test_json_bad_path(path: Any) -> None:
    """A path that cannot be read is refused when the parser is made."""
    with pytest.raises(ValueError, match="path"):
        json(path)


XML = """<?xml version="1.0"?>
<!-- made by the code -->
<run xmlns:m="http://example.org/m">
  <outputs deviation="2.5D+00" unit="m"/>
  <nodes><node id="1" u="1.5">10</node><node id="3" u="3.5"> 30 </node></nodes>
  <m:mass>7</m:mass><none/>
</run>
"""


def xml(*args: Any, **settings: Any) -> Xml:
    return Xml("out.xml", *args, **settings)


def test_xml(write: Write) -> None:
    """An element's attribute or text, by name or XPath, of any namespace."""
    workdir = write(XML, "out.xml")
    assert xml("outputs", "deviation")(workdir) == [2.5]
    assert xml("mass")(workdir) == xml("{http://example.org/m}mass")(workdir) == [7]
    assert xml("node", "u", occurrence=2)(workdir) == xml("node", "u", occurrence="last")(workdir) == [3.5]
    assert xml("node", occurrence="all")(workdir) == [10, 30]
    assert xml(xpath="./nodes/node[@id='3']", attribute="u")(workdir) == [3.5]
    assert xml(xpath=".//node[1]")(workdir) == [10]


def test_xml_failures(write: Write, refused: Refused, tmp_path: Path) -> None:
    """Each failure says file, element and what was found."""
    refused(xml("a"), tmp_path, "output missing")
    refused(xml("a"), write("", "out.xml"), "output empty")
    refused(xml("a"), write("<a>\n<b>1</b>\n", "out.xml"), "output", "no XML", "line 3")
    workdir = write(XML, "out.xml")
    refused(xml("output", "deviation"), workdir, "no match", "did you mean 'outputs'?", "<output>")
    refused(xml("outputs", "deviatoin"), workdir, "no match", "did you mean 'deviation'?", "'unit'")
    refused(xml("node", "u"), workdir, "no match", "2 elements", "exactly one")
    refused(xml("node", "u", occurrence=3), workdir, "no match", "2 elements")
    refused(xml(xpath="./node"), workdir, "no match", "./node")
    refused(xml("outputs", "unit"), workdir, "not a number", "'m'")
    refused(xml("none"), workdir, "not a number", "nothing stands there")
    refused(xml("outputs", "deviation", valid=(0, 1)), workdir, "out of range", "2.5D+00")
    for number in ("nan", "inf", "1,234", "****", "12 mm"):
        refused(xml("a"), write(f"<a>{number}</a>", "out.xml"), "not a number", number)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_xml_bomb(write: Write, refused: Refused, encoding: str) -> None:
    """A file that declares entities is refused before any is expanded, in UTF-16 too."""
    entities = '<!ENTITY a0 "1">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    text = f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE a [{entities}]><a>&a9;</a>"
    refused(xml("a"), write(text.encode(encoding), "out.xml"), "output", "entity 'a0'")


def test_xml_fetches_nothing(write: Write, refused: Refused, tmp_path: Path) -> None:
    """Neither a file nor an address that an entity names is read."""
    (tmp_path / "secret").write_text("5", encoding="utf-8")
    entity = f'<!DOCTYPE a [<!ENTITY x SYSTEM "file://{tmp_path}/secret">]><a>&x;</a>'
    refused(xml("a"), write(entity, "out.xml"), "output", "entity 'x'")
    plain = f'<!DOCTYPE a SYSTEM "file://{tmp_path}/secret"><a>1</a>'
    assert xml("a")(write(plain, "out.xml")) == [1]


def test_xml_encodings(write: Write) -> None:
    """The file's declaration counts; bytes that do not fit it do not hide the number."""
    assert xml("a")(write("<a>1.5</a>".encode("utf-16"), "out.xml")) == [1.5]
    latin = "<?xml version='1.0' encoding='latin-1'?><é><a>1.5</a></é>".encode("latin-1")
    assert xml("a")(write(latin, "out.xml")) == [1.5]
    assert xml("a")(write(b"<x><t>\xe9</t><a>1.5</a></x>", "out.xml")) == [1.5]
    assert xml("\xe9", encoding="latin-1")(write("<é>1.5</é>".encode("latin-1"), "out.xml")) == [1.5]


def test_xml_bad_bytes_hide_no_entity(write: Write, refused: Refused) -> None:
    """Bytes that do not fit the encoding are no way around the refusal of entities."""
    text = b'<!DOCTYPE a [<!-- \xe9 --><!ENTITY x "1">]><a>&x;</a>'
    refused(xml("a"), write(text, "out.xml"), "output", "entity 'x'")


@pytest.mark.parametrize(
    "make",
    [
        lambda: xml(),
        lambda: xml("a", xpath="./a"),
        lambda: xml(xpath="/a/b"),
        lambda: xml(xpath="./a["),
        lambda: xml(xpath="./a/@v"),
        lambda: xml("a", occurrence=0),
    ],
)
def test_xml_bad_settings(make: Callable[[], object]) -> None:
    """A setting that means nothing is refused when the parser is made."""
    with pytest.raises(ValueError, match="give"):
        make()
