"""Scripts from templates."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import SchedulerError

__all__ = ["own_text", "package_text", "render"]

_PLAIN = re.compile(r"[\w.,:/@%+=^*-]+", re.ASCII)


def package_text(name: str) -> str:
    """Return a template of this package.

    Parameters
    ----------
    name : str
        Such as ``"slurm.sh"``.

    Returns
    -------
    text : str
    """
    return resources.files(__package__).joinpath("templates", name).read_text(encoding="utf-8")


def own_text(path: str) -> str:
    """Return a template of the user.

    Parameters
    ----------
    path : str
        A file in UTF-8.

    Returns
    -------
    text : str

    Raises
    ------
    SchedulerError
        If it cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the template {path} of the profile cannot be read: {error}"
        raise SchedulerError(msg) from None


def render(template: str, values: Mapping[str, Any], folder: str | None = None) -> str:
    """Return a script.

    Parameters
    ----------
    template : str
        In Jinja2; it has the filters ``quoted`` (for a shell), ``word`` (for a line to the scheduler), ``clock``,
        ``minutes`` and ``mebibytes``.
    values : dict
        What stands in it.
    folder : str, optional
        Where files that it includes are, besides those of this package.

    Returns
    -------
    script : str

    Raises
    ------
    SchedulerError
        If there is something wrong with the template.
    """
    # Loaded late: a query needs no template.
    import jinja2

    folders = [] if folder is None else [jinja2.FileSystemLoader(folder)]
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([*folders, jinja2.FunctionLoader(_included)]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        # A shell script is no page: "<" and "&" stay.
        autoescape=False,
    )
    filters = {"quoted": shlex.quote, "word": _word, "clock": _clock, "minutes": _minutes}
    environment.filters.update(filters, mebibytes=_mebibytes)
    try:
        script = environment.from_string(template).render(values)
    except jinja2.TemplateError as error:
        line = getattr(error, "lineno", None)
        where = f" in line {line}" if line else ""
        msg = f"the template of the script is wrong{where}: {error.message or type(error).__name__}"
        raise SchedulerError(msg) from None
    return script


def _included(name: str) -> str | None:
    """Return a template of the package for an `include`; `None` if there is none."""
    try:
        return package_text(name)
    except OSError:
        return None


def _word(value: Any) -> str:
    """Return a value for a line to the scheduler, in double quotes if it needs them."""
    text = str(value)
    if _PLAIN.fullmatch(text):
        return text
    if not text.isprintable() or re.search(r"[\"\\`$]", text):
        msg = f"{text!r} cannot stand in a line for a scheduler: it may not have double quotes, \\, ` and $"
        raise ValueError(msg)
    return f'"{text}"'


def _clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds, rounded up."""
    whole = math.ceil(seconds)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def _minutes(seconds: float) -> int:
    """Return a time in minutes, rounded up."""
    return math.ceil(seconds / 60)


def _mebibytes(memory: float) -> int:
    """Return an amount of memory in units of 1024**2 bytes, rounded up."""
    return math.ceil(memory / (1 << 20))
