"""Settings of a site: a file ``profiles/NAME.toml`` that says what its jobs need, once for all."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ..errors import SchedulerError
from .resources import Resources

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Profile", "find_profile", "profile_files"]

_NEEDS = tuple(one.name for one in fields(Resources))


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Settings of a site. Immutable.

    Parameters
    ----------
    scheduler : str
        A word of :func:`scheduler_names`.
    resources : Resources, optional
        What a task needs unless more is said. In a file its words stand beside the others.
    python : str, optional
        The interpreter of the nodes. Default is this one.
    at_a_time : int, optional
        Tasks that may run at a time.
    array_limit : int, optional
        Tasks that an array may have.
    chunk : int, optional
        Points of a task.
    template : str, optional
        A file: the script's template, instead of that of the package.
    host, directory : str, optional
        Where jobs are submitted by ssh, and the folder there below which submissions are. Default of
        `directory` is ``otwrap``, in the home folder.
    commands : dict, optional
        Programs that replace those of the scheduler: ``{"submit": "/opt/slurm/bin/sbatch"}``.
    parallel_environment : str, optional
        Grid Engine's word for several CPUs of one node, which each site makes up. Default is ``"smp"``.
    name : str, optional
        Of the file.

    Raises
    ------
    TypeError, ValueError
        If a value is none of these.

    Examples
    --------
    >>> profile = Profile.from_dict({"scheduler": "slurm", "partition": "short", "time": "2h"})
    >>> profile.resources
    Resources(time=7200.0, cpus=1, memory=None, partition='short', account=None, constraint=None, nodes=None,
              exclusive=False, setup=(), extra=())
    >>> profile.replaced(resources={"time": "1h"}).resources.time
    3600.0
    """

    scheduler: str
    resources: Resources = Resources()
    python: str = sys.executable
    at_a_time: int | None = None
    array_limit: int | None = None
    chunk: int | None = None
    template: str | None = None
    host: str | None = None
    directory: str | None = None
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    parallel_environment: str = "smp"
    name: str | None = None

    def __post_init__(self) -> None:
        """Check all, and keep it in one form."""
        for name in ("at_a_time", "array_limit", "chunk"):
            _check_count(name, getattr(self, name))
        for name in ("scheduler", "python", "parallel_environment", "template", "host", "directory", "name"):
            _check_text(name, getattr(self, name))
        needs: Any = self.resources
        if not isinstance(needs, Resources):
            msg = f"resources={needs!r} of a profile: give Resources(...)"
            raise TypeError(msg)
        object.__setattr__(self, "commands", _commands(self.commands))
        if self.template is not None:
            # The script may be rendered again by a process that is somewhere else.
            object.__setattr__(self, "template", os.path.abspath(os.path.expanduser(self.template)))
        if self.host and not self.directory:
            object.__setattr__(self, "directory", "otwrap")

    def replaced(self, *, resources: Resources | Mapping[str, Any] | None = None, **changes: Any) -> Profile:
        """Return the same settings with other values.

        Parameters
        ----------
        resources : Resources or dict, optional
            Words of :class:`Resources` that go before those of the profile.
        **changes
            Other words of this class; `None` leaves a word as it is.

        Returns
        -------
        profile : Profile

        Raises
        ------
        TypeError, ValueError
            If a word is unknown or a value wrong.
        """
        _check_words(changes, [one.name for one in fields(self)])
        words = resources.as_dict() if isinstance(resources, Resources) else dict(resources or {})
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, resources=self.resources.replaced(**words), **given)

    def as_dict(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON and TOML can hold it.

        Returns
        -------
        words : dict
            Always with the scheduler and the interpreter.

        Examples
        --------
        >>> profile = Profile(scheduler="lsf", python="python3", resources=Resources(cpus=2))
        >>> profile.as_dict()
        {'scheduler': 'lsf', 'cpus': 2, 'python': 'python3'}
        >>> Profile.from_dict(profile.as_dict()) == profile
        True
        """
        defaults = Profile(scheduler=self.scheduler)
        words: dict[str, Any] = {"scheduler": self.scheduler, **self.resources.as_dict()}
        for name in (one.name for one in fields(self) if one.name not in ("scheduler", "resources")):
            value = getattr(self, name)
            if name == "python" or value != getattr(defaults, name):
                words[name] = value
        if self.commands:
            words["commands"] = {name: list(command) for name, command in self.commands.items()}
        return words

    @classmethod
    def from_dict(cls, words: Mapping[str, Any]) -> Profile:
        """Return the settings that a table says.

        Parameters
        ----------
        words : dict
            Words of this class and of :class:`Resources`.

        Returns
        -------
        profile : Profile

        Raises
        ------
        TypeError, ValueError
            If a word is unknown or a value wrong.
        """
        own = [one.name for one in fields(cls) if one.name != "resources"]
        _check_words(words, [*own, *_NEEDS])
        if "scheduler" not in words:
            msg = "a profile says which batch system it is for: scheduler = 'slurm'"
            raise ValueError(msg)
        needs = Resources.from_dict({name: words[name] for name in _NEEDS if name in words})
        return cls(resources=needs, **{name: words[name] for name in own if words.get(name) is not None})


def find_profile(
    profile: str | os.PathLike[str] | Profile | None = None, *, scheduler: str | None = None
) -> Profile:
    """Return the settings of a site.

    Parameters
    ----------
    profile : str, path or Profile, optional
        A file, or the name of one in ``./profiles``, in the folders that ``OTWRAP_PROFILES`` names, or in
        ``~/.config/otwrap/profiles``; the first one counts. Without a profile, all is as a scheduler has it.
    scheduler : str, optional
        A word of :func:`scheduler_names`. Default is the profile's; the file of another scheduler is
        taken for a rehearsal by ``"local"`` only.

    Returns
    -------
    profile : Profile

    Raises
    ------
    SchedulerError
        If there is no such file, or something is wrong in it, or it is for another scheduler.

    Examples
    --------
    >>> find_profile(scheduler="slurm").scheduler
    'slurm'
    """
    if profile is None:
        if scheduler is None:
            msg = "neither a batch system nor a profile was named; give scheduler='slurm' or profile='NAME'"
            raise SchedulerError(msg)
        return Profile(scheduler=scheduler)
    found = profile if isinstance(profile, Profile) else _read(_path_of(profile))
    if scheduler in (None, found.scheduler) or (scheduler, found.scheduler) == ("pbs", "torque"):
        return found
    if scheduler != "local":
        msg = f"the profile {found.name or 'given'} is for {found.scheduler!r}, not for {scheduler!r}; take another profile, or scheduler='local' to rehearse"
        raise SchedulerError(msg)
    # What is the site's own is of no use on a laptop.
    return Profile(scheduler="local", resources=found.resources, chunk=found.chunk, name=found.name)


def profile_files() -> dict[str, Path]:
    """Return the profiles there are.

    Returns
    -------
    files : dict of Path
        Name -> the file that counts.
    """
    found: dict[str, Path] = {}
    for folder in _folders():
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _folders() -> Iterator[Path]:
    """Yield the folders in which profiles are looked for."""
    yield Path("profiles")
    for folder in os.environ.get("OTWRAP_PROFILES", "").split(os.pathsep):
        if folder:
            yield Path(folder).expanduser()
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    yield Path(home).expanduser() / "otwrap" / "profiles"


def _path_of(profile: str | os.PathLike[str]) -> Path:
    """Return the file of a profile."""
    text = os.fspath(profile)
    path = Path(text).expanduser()
    # A file of the current folder may have the name of a profile.
    if path.is_file() and (not isinstance(profile, str) or path.suffix or os.path.dirname(text)):
        return path
    known = profile_files()
    if text in known:
        return known[text]
    near = get_close_matches(text, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    places = ", ".join(str(folder) for folder in _folders())
    msg = f"there is no profile {text!r}{hint} Known: {', '.join(known) or 'none'}. Looked for as a file, and in {places}"
    raise SchedulerError(msg.replace("' Known", "'. Known"))


def _read(path: Path) -> Profile:
    """Return the settings that a file holds."""
    try:
        words = tomllib.loads(path.read_text(encoding="utf-8"))
        if isinstance(words.get("template"), str):
            words["template"] = str(path.parent / Path(words["template"]).expanduser())
        return Profile.from_dict({"name": path.stem, **words})
    except OSError as error:
        msg = f"the profile {path} cannot be read: {error.strerror}"
    except (TypeError, ValueError) as error:
        msg = f"the profile {path}: {error}"
    raise SchedulerError(msg)


def _check_words(words: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse what is no word of a profile, and say what may have been meant."""
    for word in words:
        if word not in known:
            near = get_close_matches(word, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            msg = f"a profile has no {word!r}{hint} It has: {', '.join(sorted(known))}"
            raise ValueError(msg)


def _check_count(name: str, value: Any) -> None:
    """Refuse what is no whole number of at least 1."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        msg = f"{name}={value!r} of a profile: give a whole number of at least 1"
        raise ValueError(msg)


def _check_text(name: str, value: Any) -> None:
    """Refuse what is no line of text."""
    if value is not None and not (isinstance(value, str) and value and value.isprintable()):
        msg = f"{name}={value!r} of a profile: give a text of one line, not empty"
        raise ValueError(msg)


def _commands(commands: Any) -> dict[str, tuple[str, ...]]:
    """Return programs as words; a text is split as a shell would split it."""
    if not isinstance(commands, Mapping):
        msg = f"commands={commands!r} of a profile: give a table, such as {{submit = 'sbatch'}}"
        raise TypeError(msg)
    found = {}
    for what, command in commands.items():
        words = shlex.split(command) if isinstance(command, str) else command
        if not isinstance(words, list | tuple) or not words or not all(isinstance(w, str) for w in words):
            msg = f"commands.{what}={command!r} of a profile: give a program, with arguments if need be"
            raise ValueError(msg)
        found[what] = tuple(words)
    return found
