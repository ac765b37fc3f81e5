"""A folder of input files, some of them templates, the others kept as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from ..errors import InputError
from ._checks import Tokens, listed
from ._kept import kept
from ._text_file import Formats, PathLike, Source, codec_of, near, read_source
from .tokens import Template

__all__ = ["Tree"]


class Tree:
    """All that a folder holds: templates where there are tokens, and the rest as it is.

    For codes that read a folder of files. Tokens are replaced in every text file, as by a
    :class:`Template`. Binary files are copied byte for byte; empty folders, permissions and symbolic
    links are kept. A link that leads out of the folder leads to the same place from the work
    directory, so that large files can be linked in. All else is read now and not needed later.

    Parameters
    ----------
    path : str or path-like
        The folder.
    tokens : sequence of str or dict, optional
        As of a :class:`Template`; each must appear in one file at least.
    formats : str, callable or dict, optional
        As of a :class:`Template`.
    constants : dict, optional
        Token -> text or number: tokens that do not vary. Each must appear in one file at least.
    mark : str, optional
        A regular expression of what a token looks like, such as ``r"@\\w+@"``: what matches it in any
        text file and is no token is an error.
    encoding : str, optional
        Of the text files; default is UTF-8. ``"latin-1"`` reads all that contains ASCII tokens.
    ignore : str or sequence of str, optional
        Patterns such as ``"*.log"`` or ``"constant/old"``, for names or for paths in the folder: what
        matches is left out.

    Attributes
    ----------
    path : str
        The absolute path.
    sources : dict
        Path in the folder, with slashes -> what is to be written there: templates, files, links and
        empty folders.

    Raises
    ------
    InputError
        If the folder or a file cannot be read, a token or constant appears nowhere, or a mark is left
        over.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from otwrap.template import Tree, bind_all
    >>> folder = tempfile.TemporaryDirectory()
    >>> case = pathlib.Path(folder.name)
    >>> _ = (case / "mesh.txt").write_text("0 1 2")
    >>> (case / "system").mkdir()
    >>> _ = (case / "system" / "control").write_text("deltaT @DT@;")
    >>> bound = bind_all(Tree(case, ["@DT@"], mark=r"@\\w+@"), ["DT"])
    >>> {name: file.render([0.5]) for name, file in bound.items()}
    {'mesh.txt': b'0 1 2', 'system/control': b'deltaT 0.5;'}
    >>> folder.cleanup()
    """

    def __init__(
        self,
        path: PathLike,
        tokens: Tokens = None,
        *,
        formats: Formats = None,
        constants: Mapping[str, str | float] | None = None,
        mark: str | None = None,
        encoding: str = "utf-8",
        ignore: str | Sequence[str] = (),
    ) -> None:
        self.path = str(Path(path).absolute())
        _check_folder(self.path, path)
        codec_of(b"", encoding, self.path)
        patterns = (ignore,) if isinstance(ignore, str) else tuple(ignore)
        self.sources: dict[str, Source] = {}
        for file in _entries(self.path, self.path, patterns):
            codec = _codec_of_text(file, encoding)
            source: Source = (
                _TreeTemplate(file, tokens, formats=formats, constants=constants, mark=mark, encoding=codec)
                if codec
                else kept(file, self.path)
            )
            source.place = self.path
            self.sources[_inside(file, self.path)] = source
        if not self.sources:
            raise InputError(f"the folder of templates {self.path} is empty")
        self._check_appear("token", tokens or ())
        self._check_appear("constant", constants or ())

    def _check_appear(self, word: str, sought: Iterable[str]) -> None:
        """Raise if a token or a constant appears in no file."""
        texts = [file._text() for file in self.sources.values() if isinstance(file, Template)]
        if absent := [token for token in sought if not any(token in text for text in texts)]:
            hints = "".join(near(self.sources, "", token) for token in absent)
            raise InputError(f"{listed(word, absent)} in no file of {self.path}.{hints}")


class _TreeTemplate(Template):
    """A text file of a tree: it need not have every token."""

    _alone = False


def _check_folder(folder: str, given: PathLike) -> None:
    """Raise unless there is a folder."""
    if os.path.isfile(folder):
        name = os.fspath(given)
        raise InputError(
            f"{name!r} is no folder but a file; say which file to write: {{'input file': {name!r}}}"
        )
    if not os.path.isdir(folder):
        raise InputError(f"there is no folder of templates {folder}")


def _entries(folder: str, top: str, ignore: Sequence[str]) -> Iterator[str]:
    """Yield the files, the links and the empty folders below a folder."""
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"the folder of templates {folder} cannot be read: {error}") from error
    entries = [entry for entry in entries if not _is_ignored(_inside(entry.path, top), ignore)]
    if not entries and folder != top:
        yield folder
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(entry.path, top, ignore)
        else:
            yield entry.path


def _is_ignored(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, p) or fnmatchcase(os.path.basename(name), p) for p in patterns)


def _inside(path: str, folder: str) -> str:
    """Return a path relative to the folder, with slashes."""
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _codec_of_text(path: str, encoding: str) -> str:
    """Return the encoding of a text file, empty for anything else."""
    if os.path.islink(path) or os.path.isdir(path):
        return ""
    if not os.path.isfile(path):
        raise InputError(f"{path} is neither a file, nor a folder, nor a link; leave it out: ignore=[...]")
    content, _ = read_source(Path(path))
    try:
        return "" if "\0" in content.decode(encoding) else encoding
    except UnicodeDecodeError:
        # Every byte is a character of latin-1, and comes back as it was.
        return "" if b"\0" in content else "latin-1"
