"""All templates of a wrapper, checked together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from ..errors import InputError
from ._checks import Tokens, check_destinations, checked_names, listed, token_table
from ._text_file import BoundTemplate, PathLike, TextFile, places, unused
from .jinja import Jinja
from .tokens import Template

__all__ = ["bind_all"]


def bind_all(
    templates: Mapping[str, PathLike | Template | Jinja],
    inputs: Sequence[str],
    tokens: Tokens = None,
    *,
    used_elsewhere: Collection[str] = (),
) -> dict[str, BoundTemplate]:
    """Check all templates of a wrapper together, in both directions.

    Parameters
    ----------
    templates : dict
        The file to write, relative to the work directory -> the template it comes from; a path means
        a :class:`Template`.
    inputs : sequence of str
        The names of the components of a point.
    tokens : sequence of str or dict, optional
        As in :meth:`Template.bind`, for the templates that have none of their own.
    used_elsewhere : collection of str, optional
        Inputs that need not be in a template, for the command uses them.

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
    check_destinations(templates)
    names = checked_names(inputs)
    files = {name: t if isinstance(t, TextFile) else Template(t) for name, t in templates.items()}
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
            near = "".join(file._near("", token) for file in shared.values() for token in lost)
            raise InputError(f"{listed('token', lost)} in no template; looked in {places(shared)}.{near}")
    return bound
