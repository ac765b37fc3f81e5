"""A first wrapper from one working case: numbers found in texts, answers, a template and a wrapper file.

========================  =====================================================
:mod:`~.grammar`          numbers, ranges, linspace, logspace and lists that are typed
:mod:`~.texts`            the numbers in the files of a case
:mod:`~.listing`          these, as a table that a large mesh does not flood
:mod:`~.places`           which number is meant: by its index, line or the text before it
:mod:`~.distributions`    the distributions that one can type
:mod:`~.answers`          what is known about a draft, as a file
:mod:`~.names`            names that inputs, outputs and the class can have
:mod:`~.nominal`          the case, and its run in a folder of its own
:mod:`~.suggestions`      parsers that give back a number of an output file
:mod:`~.marks`            tokens in place of numbers
:mod:`~.drafting`         answers -> template and wrapper file
:mod:`~.source`           Python text that holds literals and nothing else
:mod:`~.writing`          files written all or none
:mod:`~.questions`        the answers, asked one after the other
========================  =====================================================

Nothing that is typed is ever evaluated.
"""

from __future__ import annotations

from .grammar import GrammarError, read_call, read_number, read_values

__all__ = ["GrammarError", "read_call", "read_number", "read_values"]
