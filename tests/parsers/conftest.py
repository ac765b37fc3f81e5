"""What the tests of parsers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from otwrap.errors import OutputError
from otwrap.evaluation import CAUSES, STATUSES
from otwrap.parsers import Parser


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file into the work directory, which it returns."""

    def write(content: str | bytes, name: str = "out.txt") -> Path:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / name).write_bytes(data)
        return tmp_path

    return write


@pytest.fixture
def refused() -> Callable[..., str]:
    """Return a function that parses, demands an OutputError of that cause, and returns its text."""

    def refused(parser: Parser, workdir: Path, cause: str, *words: str) -> str:
        with pytest.raises(OutputError) as caught:
            parser(workdir)
        error = caught.value
        text = str(error)
        assert error.cause == cause, text
        assert error.cause in CAUSES and error.status in STATUSES
        assert error.status == ("invalid" if cause in ("not a number", "out of range") else "failed")
        for word in (*parser.files, *words):
            assert word in text, f"{word!r} is not in: {text}"
        assert str(workdir) not in text, "the work directory is the wrapper's to tell"
        return text

    return refused
