"""A template file read once, and what it becomes when it is bound to inputs."""

from __future__ import annotations

import codecs
import copy
import difflib
import hashlib
import json
import os
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import InputError
from ..formats import NumberFormat, Spec
from ._checks import Tokens, hint, quoted

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BoundTemplate",
    "Formats",
    "PathLike",
    "Source",
    "TextFile",
    "codec_of",
    "near",
    "number_formats",
    "places",
    "read_source",
    "unused",
]

PathLike: TypeAlias = str | os.PathLike[str]


Formats: TypeAlias = Spec | Mapping[str, Spec]


# The order matters: the mark of UTF-32-LE starts with that of UTF-16-LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


# A linked file of the user is never written through.
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


class BoundTemplate(ABC):
    """A template whose names are known to fit the inputs, ready to be rendered. Can be pickled.

    It is made by :meth:`Template.bind`, :meth:`Jinja.bind` or :func:`bind_all`.

    Parameters
    ----------
    template : Template, Jinja or what a Tree holds
        Where it comes from.
    inputs : sequence of str
        The names of the components of a point.
    used : iterable of str
        Those of them that appear in the template.

    Attributes
    ----------
    inputs : tuple of str
        The names of the components of a point.
    inputs_used : frozenset of str
        Those that appear in this template.
    overlaps : tuple of (str, str)
        Pairs of tokens of which the first is a part of the second; the longer one wins.
    path : str
        The template it comes from.
    mode : int
        The permissions of what is written.
    """

    def __init__(self, template: Source, inputs: Sequence[str], used: Iterable[str]) -> None:
        self.inputs = tuple(inputs)
        self.inputs_used = frozenset(used)
        self.overlaps: tuple[tuple[str, str], ...] = ()
        self.path = template.path
        self.mode = template.mode
        self._fingerprint = template.fingerprint()
        self._fingerprint["inputs"] = json.dumps(self.inputs)

    @abstractmethod
    def render(self, x: Sequence[float]) -> bytes:
        """Return the content of the input file of a point.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.

        Returns
        -------
        content : bytes
            In the encoding of the template.

        Raises
        ------
        InputError
            If a value cannot be written as its format says.
        """

    def write(self, x: Sequence[float], destination: str) -> None:
        """Write the input file of a point.

        Parameters
        ----------
        x : sequence of float, shape (input dimension,)
            The point.
        destination : str
            The file; it is replaced if it exists, and its folder is made if it does not.

        Raises
        ------
        InputError
            If a value cannot be written as its format says, or the file cannot be written.
        """
        content = self.render(x)
        try:
            try:
                descriptor = os.open(destination, _FLAGS, self.mode)
            except FileNotFoundError:
                Path(destination).parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(destination, _FLAGS, self.mode)
            try:
                done = os.write(descriptor, content)
                while done < len(content):
                    done += os.write(descriptor, content[done:])
                # The umask may have taken bits away, and a file that was there has its own.
                os.fchmod(descriptor, self.mode)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise InputError(f"the input file {destination} cannot be written: {error}") from error

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template and its tokens, without paths.

        Returns
        -------
        fingerprint : dict of str
            That of the template, with the tokens as bound and the inputs.
        """
        return dict(self._fingerprint)

    def _wrong_size(self, x: Sequence[float]) -> InputError:
        return InputError(
            f"{len(x)} values for {len(self.inputs)} inputs ({', '.join(self.inputs)}): {list(x)}"
        )


class Source(ABC):
    """What something in a work directory comes from."""

    style = ""
    path: str
    mode: int
    #: Where errors say that it is: the file, or the folder of its tree.
    place: str

    @abstractmethod
    def _bind(self, inputs: Sequence[str], tokens: Tokens) -> BoundTemplate:
        """Bind to inputs whose names were checked."""

    @abstractmethod
    def fingerprint(self) -> dict[str, str]:
        """Return what identifies it, without paths."""

    def _near(self, name: str, token: str) -> str:
        """Return what in it looks like an input that is not used."""
        return ""


class TextFile(Source):
    """What both styles share: a text file read once, number formats, constants."""

    def __init__(
        self, path: PathLike, formats: Formats, constants: Mapping[str, Any] | None, encoding: str
    ) -> None:
        file = Path(path).absolute()
        self.path = self.place = str(file)
        self.source, mode = read_source(file)
        #: The owner may always write, or a point could not be run twice in a folder.
        self.mode = mode | stat.S_IWUSR
        self.encoding = encoding
        self._bom, self._codec = codec_of(self.source, encoding, self.path)
        self._default, self._formats = number_formats(formats, self.path)
        self.constants = _plain(constants, self.path)

    def _text(self) -> str:
        """Return the text without its byte order mark, line ends untouched."""
        return self.source[len(self._bom) :].decode(self._codec)

    def _with_constants(self, constants: Mapping[str, Any]) -> Self:
        """Return this template with other values for those of its constants that are named."""
        changed = copy.copy(self)
        changed.constants = {name: constants.get(name, value) for name, value in self.constants.items()}
        return changed

    def _format_of(self, *names: str) -> NumberFormat:
        """Return the format of the first of `names` that has one of its own."""
        return next((self._formats[name] for name in names if name in self._formats), self._default)

    def _check_formats(self, known: Collection[str]) -> None:
        for name in self._formats:
            if name not in known:
                msg = f"formats of {self.path}: {name!r} is none of {quoted(known)}"
                raise InputError(msg + hint(name, known))

    def fingerprint(self) -> dict[str, str]:
        """Return what identifies the template, without paths.

        Returns
        -------
        fingerprint : dict of str
            Style, hash of the content, formats, constants, encoding, and what the style adds. A
            format that is a function is told by its name only.
        """
        formats = {name: number.name for name, number in self._formats.items()}
        return {
            "style": self.style,
            "content": hashlib.blake2b(self.source, digest_size=16).hexdigest(),
            "formats": json.dumps([self._default.name, formats], sort_keys=True),
            "constants": json.dumps(self.constants, sort_keys=True),
            "encoding": self.encoding,
        }


def read_source(file: Path) -> tuple[bytes, int]:
    """Return the content of a template and its permissions."""
    try:
        return file.read_bytes(), file.stat().st_mode & 0o777
    except FileNotFoundError as error:
        if not file.parent.is_dir():
            raise InputError(f"no template {file}: there is no folder {file.parent}") from error
        near = difflib.get_close_matches(file.name, [p.name for p in file.parent.iterdir()], 3, 0.5)
        hint = f"; near in that folder: {', '.join(map(repr, near))}" if near else ""
        raise InputError(f"no template {file}{hint}") from error
    except OSError as error:
        raise InputError(f"the template {file} cannot be read: {error}") from error


def codec_of(source: bytes, encoding: str, path: str) -> tuple[bytes, str]:
    """Return the byte order mark, empty without one, and the codec of what follows."""
    try:
        name = codecs.lookup(encoding).name.removesuffix("-sig")
        found = (
            (mark, codec) for mark, codec in _MARKS if source.startswith(mark) and codec.startswith(name)
        )
        mark, codec = next(found, (b"", name))
        if codec in ("utf-16", "utf-32"):
            codec += "-le" if sys.byteorder == "little" else "-be"
        text = source[len(mark) :].decode(codec)
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        msg = f"{path} is not {encoding}: byte 0x{source[error.start]:02x} in line {line}"
        raise InputError(f"{msg}; give encoding='latin-1', 'utf-16' or what it is") from error
    except (LookupError, TypeError) as error:
        raise InputError(
            f"encoding={encoding!r}: {error}; accepted are names such as 'utf-8', 'latin-1'"
        ) from error
    # Encodings with a state write a text in pieces otherwise than as a whole.
    if text.encode(codec) != source[len(mark) :]:
        raise InputError(f"{path} cannot be written back in {encoding} as it is; convert it to UTF-8")
    return mark, codec


def number_formats(formats: Formats, path: str) -> tuple[NumberFormat, dict[str, NumberFormat]]:
    """Return the format of all, and those by name."""
    try:
        if isinstance(formats, Mapping):
            return NumberFormat(), {name: NumberFormat(spec) for name, spec in formats.items()}
        return NumberFormat(formats), {}
    except ValueError as error:
        raise InputError(f"formats of {path}: {error}") from error


def _plain(constants: Mapping[str, Any] | None, path: str) -> dict[str, Any]:
    """Return a copy of the constants made of plain Python values, NumPy's numbers and arrays included."""
    try:
        content = json.dumps(dict(constants or {}), default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"constants of {path}: {error}; give texts, numbers, lists and dicts") from error
    plain: dict[str, Any] = json.loads(content)
    return plain


def unused(files: Mapping[str, Source], absent: Sequence[str], table: Mapping[str, str]) -> InputError:
    """Return the error of inputs that no template uses."""
    tokens = {name: token for token, name in table.items()}
    literal = any(file.style == "tokens" for file in files.values())
    named = [f"{name!r} (token {tokens.get(name, '?')!r})" if literal else repr(name) for name in absent]
    hints = "".join(near(files, name, tokens.get(name, name)) for name in absent)
    plural = "s" * (len(absent) > 1)
    example = ", ".join(repr(f"@{name}") for name in absent)
    return InputError(
        f"no template uses the input{plural} {', '.join(named)}; looked in {places(files)}.{hints} "
        "Write the token (in Jinja, the name) where the value goes, or say what the tokens are, in the "
        f"order of the inputs: tokens=[{example}, ...]; or remove the input{plural}."
    )


def near(files: Mapping[str, Source], name: str, token: str) -> str:
    """Return what in the files looks like an input that is not used; the first few finds will do."""
    return "".join(islice(filter(None, (file._near(name, token) for file in files.values())), 3))


def places(files: Mapping[str, Source]) -> str:
    return ", ".join(dict.fromkeys(file.place for file in files.values()))
