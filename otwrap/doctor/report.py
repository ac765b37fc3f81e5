"""What the doctor found, and what to do about it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

__all__ = ["OUTCOMES", "Finding", "Report"]

#: How a check can end.
OUTCOMES = ("ok", "warning", "problem", "skipped")

#: Nobody overlooks what is in capitals, on any terminal.
_MARKS = {"ok": "ok", "warning": "WARNING", "problem": "PROBLEM", "skipped": "skipped"}
_WIDTH = 110


class Finding(NamedTuple):
    """What one check found.

    Attributes
    ----------
    name : str
        Of the check.
    outcome : str
        One of :data:`OUTCOMES`.
    text : str
        What was seen; if it is not well: what is wrong, where, and what to do.

    Examples
    --------
    >>> Finding("files", "ok", "1 template, 0 files").outcome
    'ok'
    """

    name: str
    outcome: str
    text: str


class Report:
    """All findings about a model, and the verdict.

    Parameters
    ----------
    findings : iterable of Finding
        In the order of the checks.
    outlook : str, optional
        What the verdict adds if there is no problem, such as time and disk of a study.

    Attributes
    ----------
    findings : tuple of Finding
        In the order of the checks.

    Examples
    --------
    >>> report = Report([Finding("files", "ok", "1 template"), Finding("nominal", "problem", "exit 4.")])
    >>> report.ok
    False
    >>> print(report)
    ok       files    1 template
    PROBLEM  nominal  exit 4.
    <BLANKLINE>
    Not ready: 1 problem. Mend this first: nominal.
    """

    def __init__(self, findings: Iterable[Finding], outlook: str = "") -> None:
        self.findings = tuple(findings)
        self._outlook = outlook

    @property
    def ok(self) -> bool:
        """Whether there is no problem; warnings may be there. bool."""
        return not self._names("problem")

    @property
    def verdict(self) -> str:
        """What to do next, in one or two sentences. str."""
        problems, warnings = self._names("problem"), self._names("warning")
        if problems:
            rest = f", then {', '.join(problems[1:])}" if problems[1:] else ""
            count = f"{len(problems)} problem" + ("s" if len(problems) > 1 else "")
            return f"Not ready: {count}. Mend this first: {problems[0]}{rest}."
        if "nominal" in self._names("skipped"):
            return "Nothing is wrong, but nothing was run: give a point (-X, or nominal= to the wrapper)."
        look = f", but look at the warnings first ({', '.join(warnings)})" if warnings else ""
        return f"Ready to run{look}. {self._outlook}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON has.

        Returns
        -------
        report : dict
            ``"ok"``, ``"verdict"`` and ``"findings"``, a list of dict with ``"name"``, ``"outcome"``
            and ``"text"``.
        """
        return {
            "ok": self.ok,
            "verdict": self.verdict,
            "findings": [finding._asdict() for finding in self.findings],
        }

    def __str__(self) -> str:
        marks = max(map(len, _MARKS.values()))
        names = max((len(finding.name) for finding in self.findings), default=0)
        lines = []
        for name, outcome, text in self.findings:
            head = f"{_MARKS[outcome]:{marks}}  {name:{names}}  "
            lines.append(_wrapped(head, text, " " * len(head)))
        return "\n".join([*lines, "", _wrapped("", self.verdict, "")])

    def __repr__(self) -> str:
        return f"<Report: {self.verdict}>"

    def _names(self, outcome: str) -> list[str]:
        """Return the names of the checks that ended so."""
        return [finding.name for finding in self.findings if finding.outcome == outcome]


def _wrapped(head: str, text: str, indent: str) -> str:
    """Return a text in lines that a terminal has room for; its own lines stay."""
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        lines += textwrap.wrap(
            line,
            _WIDTH,
            initial_indent=indent if lines else head,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [indent if lines else head]
    return "\n".join(line.rstrip() for line in lines)
