"""Record files that are brought while they grow never lose a line that is here."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otwrap.remote import _records
from otwrap.remote._records import others_of, take_in


def came(folder: Path, content: bytes, name: str = "3.rec") -> Path:
    """Have a version of a record file come; return where it belongs."""
    new = folder / "new"
    new.write_bytes(content)
    (folder / "records").mkdir(exist_ok=True)
    take_in(new, folder / "records" / name)
    assert not new.exists()
    return folder / "records" / name


def test_it_grows(tmp_path: Path) -> None:
    """A longer version takes the place of a shorter one, a line that was cut off included."""
    for content in (b"", b"one\ntw", b"one\ntwo\n", b"one\ntwo\nthree\n"):
        assert came(tmp_path, content).read_bytes() == content


def test_it_does_not_shrink(tmp_path: Path) -> None:
    """A version with fewer lines is dropped."""
    came(tmp_path, b"one\ntwo\nthr")
    assert came(tmp_path, b"one\n").read_bytes() == b"one\ntwo\nthr"


def test_zeros_at_the_end_are_replaced(tmp_path: Path) -> None:
    """What a network file system shows of a line before it has it is no line."""
    came(tmp_path, b"one\n\0\0\0\0\0\0")
    assert came(tmp_path, b"one\ntwo\nthree\n").read_bytes() == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("name", ["3.rec", "3-2.rec"])
def test_lines_of_both_sides_stay(tmp_path: Path, name: str) -> None:
    """Where a folder there was made anew, its records stand beside those that are here, and grow on their own."""
    path = came(tmp_path, b"one\ntwo\n", name)
    came(tmp_path, b"uno\n", name)
    came(tmp_path, b"uno\ndue\n", name)
    came(tmp_path, b"eins\n", name)
    assert path.read_bytes() == b"one\ntwo\n"
    assert [other.read_bytes() for other in others_of(path)] == [b"uno\ndue\n", b"eins\n"]
    assert [int(part) for other in others_of(path) for part in other.stem.split("-")] == [
        3,
        1000000,
        3,
        1000001,
    ]


def test_other_tasks_are_not_touched(tmp_path: Path) -> None:
    """Task 31 is not another version of task 3."""
    for name in ("31.rec", "3-1.rec"):
        came(tmp_path, name.encode() + b"\n", name)
    assert others_of(tmp_path / "records" / "3.rec") == []


@settings(deadline=None)
@given(versions=st.lists(st.binary(max_size=12).map(lambda data: data.replace(b"\r", b"\n")), max_size=6))
def test_no_line_is_ever_lost(versions: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever comes in whatever order, each whole line that came first of all is there in the end."""
    folder = tmp_path_factory.mktemp("records")
    _records._CHUNK, before = 4, _records._CHUNK
    try:
        whole: set[bytes] = set()
        for content in versions:
            path = came(folder, content)
            whole.add(content[: content.rfind(b"\n") + 1])
        there = [file.read_bytes() for file in (folder / "records").glob("*.rec")] if versions else []
        assert all(any(kept.startswith(lines) for kept in there) for lines in whole if lines)
    finally:
        _records._CHUNK = before
    assert not versions or path.exists()
