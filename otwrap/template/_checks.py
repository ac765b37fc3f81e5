"""Names, tokens and files to write, checked; and the words of the errors."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import TypeAlias

from ..errors import InputError

__all__ = [
    "Tokens",
    "check_destinations",
    "check_tokens",
    "checked_names",
    "hint",
    "line_of",
    "listed",
    "quoted",
    "token_table",
]

Tokens: TypeAlias = Sequence[str] | Mapping[str, str] | None


def checked_names(inputs: Sequence[str]) -> list[str]:
    """Return the names of the inputs, checked."""
    if isinstance(inputs, str):
        raise InputError(f"inputs={inputs!r} is one text; give a list: [{inputs!r}]")
    names = list(inputs)
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(f"input {name!r} is no name; give a text")
        if names.count(name) > 1:
            raise InputError(f"the input {name!r} is given {names.count(name)} times in {names}")
    return names


def check_tokens(tokens: Sequence[str] | Mapping[str, str], constants: Collection[str]) -> None:
    """Raise if a token is none, is given twice, or is a constant too."""
    if isinstance(tokens, str):
        raise InputError(f"tokens={tokens!r} is one text; give a list: [{tokens!r}]")
    listed = list(tokens)
    for token in listed:
        if not isinstance(token, str) or not token:
            raise InputError(f"token {token!r} in {listed}: give a text that is not empty")
        if listed.count(token) > 1:
            raise InputError(f"the token {token!r} is given {listed.count(token)} times in {listed}")
        if token in constants:
            raise InputError(f"{token!r} is given as a token and as a constant")


def token_table(inputs: Sequence[str], tokens: Tokens, constants: Collection[str]) -> dict[str, str]:
    """Return token -> input."""
    if tokens is None:
        tokens = [f"@{name}" for name in inputs]
    check_tokens(tokens, constants)
    if isinstance(tokens, Mapping):
        for token, name in tokens.items():
            if name not in inputs:
                msg = f"token {token!r} is for {name!r}, which is no input; there are {quoted(inputs)}"
                raise InputError(msg + hint(str(name), inputs))
        return dict(tokens)
    if len(tokens) != len(inputs):
        msg = f"{len(tokens)} tokens for {len(inputs)} inputs: {list(tokens)} for {list(inputs)}"
        raise InputError(f"{msg}; give one each, or a dict token -> input")
    return dict(zip(tokens, inputs, strict=True))


def check_destinations(names: Iterable[str]) -> None:
    """Raise unless the files to write are distinct and inside the work directory."""
    seen: dict[str, str] = {}
    for name in names:
        clean = os.path.normpath(name) if isinstance(name, str) and name else "."
        if (
            clean in (".", "..")
            or clean.startswith(f"..{os.sep}")
            or PurePath(clean).is_absolute()
            or "\0" in clean
        ):
            raise InputError(f"{name!r}: a file to write is relative to the work directory and inside it")
        if clean in seen:
            raise InputError(f"{seen[clean]!r} and {name!r} are the same file to write")
        seen[clean] = name
    for clean, name in seen.items():
        if parent := next((str(p) for p in PurePath(clean).parents if str(p) in seen), ""):
            raise InputError(f"{seen[parent]!r} is to be a file, and the folder of {name!r}")


def hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def quoted(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))


def listed(word: str, names: Sequence[str]) -> str:
    return f"{word}{'s' * (len(names) > 1)} {quoted(names)}"


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1
