"""All templates of a wrapper, checked together."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ..errors import InputError
from ._checks import Tokens, check_destinations, checked_names, listed, token_table
from ._kept import KeptFolder
from ._text_file import BoundTemplate, PathLike, Source, TextFile, near, places, unused
from .jinja import Jinja
from .tokens import Template
from .tree import Tree

__all__ = ["Templates", "bind_all"]

#: What `templates=` may be: a file to write -> where it comes from, or a whole folder.
Templates: TypeAlias = PathLike | Tree | Mapping[str, PathLike | Template | Jinja | Tree]


def bind_all(
    templates: Templates,
    inputs: Sequence[str],
    tokens: Tokens = None,
    *,
    used_elsewhere: Collection[str] = (),
    constants: Mapping[str, Any] | None = None,
) -> dict[str, BoundTemplate]:
    """Check all templates of a wrapper together, in both directions.

    Parameters
    ----------
    templates : dict, Tree or path
        The file to write, relative to the work directory -> the template it comes from; a path means
        a :class:`Template`. Where a :class:`Tree` or the path of a folder stands, the name is that of a
        folder to write. One tree without a name becomes the work directory itself.
    inputs : sequence of str
        The names of the components of a point.
    tokens : sequence of str or dict, optional
        As in :meth:`Template.bind`, for the templates that have none of their own.
    used_elsewhere : collection of str, optional
        Inputs that need not be in a template, for the command uses them.
    constants : dict, optional
        Values that replace those of the templates' own constants.

    Returns
    -------
    bound : dict
        The file to write -> :class:`BoundTemplate`; empty without templates.

    Raises
    ------
    InputError
        If an input is used in no template, a token of a dict appears in none, a variable or a mark
        is left over, or a file to write is not inside the work directory.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import bind_all
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = pathlib.Path(folder.name, "beam.tmpl")
    >>> _ = path.write_text("F=@F")
    >>> sorted(bind_all({"beam.xml": path}, ["F"])["beam.xml"].inputs_used)
    ['F']
    >>> folder.cleanup()
    """
    names = checked_names(inputs)
    files = _with_constants(_sources(templates), constants or {})
    bound = {name: file._bind(names, tokens) for name, file in files.items()}
    if not files:
        return bound
    shared = {n: f for n, f in files.items() if isinstance(f, Template) and f.tokens is None}
    if tokens is not None and not shared:
        raise InputError(f"tokens={tokens!r}: no template takes them, for each has its own or is Jinja")
    used = frozenset(used_elsewhere).union(*(b.inputs_used for b in bound.values()))
    table = token_table(names, tokens, ())
    if absent := [name for name in names if name not in used]:
        raise unused(files, absent, table)
    if isinstance(tokens, Mapping):
        appear = {token for file in shared.values() for _, _, token in file._found(table)}
        if lost := [token for token in table if token not in appear]:
            hints = "".join(near(shared, "", token) for token in lost)
            raise InputError(f"{listed('token', lost)} in no template; looked in {places(shared)}.{hints}")
    return bound


def _with_constants(files: dict[str, Source], constants: Mapping[str, Any]) -> dict[str, Source]:
    """Return templates with other values for their constants."""
    own = {name for file in files.values() if isinstance(file, TextFile) for name in file.constants}
    if strange := [name for name in constants if name not in own]:
        raise InputError(f"{listed('constant', strange)} in no template; the constants are {sorted(own)}")
    return {
        name: file._with_constants(constants) if isinstance(file, TextFile) else file
        for name, file in files.items()
    }


def _sources(
    templates: Templates,
) -> dict[str, Source]:
    """Return what each file, link and empty folder to write comes from."""
    if not isinstance(templates, Mapping):
        templates = {".": templates if isinstance(templates, Tree) else Tree(templates)}
    pairs = [pair for name, given in templates.items() for pair in _sources_of(name, given)]
    # A folder that is empty in one tree may be filled by another.
    above = {folder for name, _ in pairs for folder in _folders_above(name)}
    pairs = [
        (name, source) for name, source in pairs if name not in above or not isinstance(source, KeptFolder)
    ]
    check_destinations(name for name, _ in pairs)
    return dict(pairs)


def _sources_of(name: str, given: PathLike | Template | Jinja | Tree) -> Iterator[tuple[str, Source]]:
    """Yield what is written under a name: one file, or all of a tree."""
    if isinstance(given, TextFile):
        yield name, given
    elif isinstance(given, Tree) or os.path.isdir(given):
        tree = given if isinstance(given, Tree) else Tree(given)
        for inner, source in tree.sources.items():
            yield posixpath.normpath(posixpath.join(name, inner)), source
    else:
        yield name, Template(given)


def _folders_above(name: str) -> Iterator[str]:
    """Yield the folders that a file to write makes."""
    while isinstance(name, str) and (name := posixpath.dirname(name)) not in ("", "/"):
        yield name
