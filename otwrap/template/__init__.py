"""Tokens become values in an input file, and no digit is lost.

Two styles: :class:`Template` replaces literal tokens, :class:`Jinja` renders Jinja2 for loops,
conditions and formulas; a :class:`Tree` is a whole folder of templates and other files. All are checked
when they are bound to the names of the inputs, so that what is wrong is told before the first point runs.
"""

from __future__ import annotations

from ._text_file import BoundTemplate
from .jinja import Jinja
from .together import Templates, bind_all
from .tokens import Template
from .tree import Tree

__all__ = ["BoundTemplate", "Jinja", "Template", "Templates", "Tree", "bind_all"]
