"""Every example in a docstring or a page of the docs runs, in a folder of its own."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
EXAMPLES = ["otwrap.examples.beam.models", "otwrap.examples.beam.wrapper", "otwrap.examples.beam.executable"]


def in_docstrings() -> Iterator[doctest.DocTest]:
    """Yield the examples in docstrings, one test a docstring."""
    files = sorted((ROOT / "otwrap").rglob("*.py"))
    names = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files
    ]
    for name in [*names, *EXAMPLES]:
        if not name.endswith("__main__"):
            yield from doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name), name)


def in_pages() -> Iterator[doctest.DocTest]:
    """Yield the examples in the docs, one test a page."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.rst"))]:
        text = page.read_text(encoding="utf-8")
        yield doctest.DocTestParser().get_doctest(text, {}, str(page.relative_to(ROOT)), str(page), 0)


TESTS = [test for source in (in_docstrings(), in_pages()) for test in source if test.examples]


@pytest.mark.parametrize("example", TESTS, ids=lambda test: test.name)
def test_example_runs(example: doctest.DocTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example prints what it says."""
    monkeypatch.chdir(tmp_path)
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=FLAGS).run(example, out=report.append)
    assert result.failed == 0, "".join(report)
