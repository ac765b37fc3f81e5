"""A wrapper with other settings, for a further attempt on a point that failed."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from .command import Command
from .declaration import commands_of, used_elsewhere
from .errors import InputError
from .template import BoundTemplate, bind_all

__all__ = ["Variant", "changed_by", "variant_of"]

#: What a step may change, beside the settings of `Command`.
_OWN = ("command", "constants")
_OF_COMMANDS = tuple(
    name for name in Command.__annotations__ if name not in ("argv", "origin") and name[0] != "_"
)

#: The settings of a step, and the templates with its constants.
Variant = tuple[dict[str, Any], dict[str, BoundTemplate]]


def variant_of(
    wrapper: Any, settings: Mapping[str, Any], templates: Any, tokens: Sequence[str] | None
) -> Variant:
    """Check the settings of a step, and bind the templates with its constants.

    Parameters
    ----------
    wrapper : Wrapper
        Whose settings they change.
    settings : dict
        A step of :class:`otwrap.Retries`.
    templates, tokens
        As the wrapper got them.

    Returns
    -------
    variant : tuple
        The settings and the templates.

    Raises
    ------
    ValueError
        If there is no such setting.
    InputError
        If no template has such a constant.
    """
    for name in settings:
        if name not in (*_OWN, *_OF_COMMANDS):
            msg = f"retry_with has {name!r}; accepted are {', '.join((*_OWN, *_OF_COMMANDS))}"
            raise ValueError(msg)
    _commands(wrapper, settings)
    if "constants" not in settings:
        return dict(settings), wrapper.templates
    if not wrapper.templates:
        msg = f"retry_with changes constants={settings['constants']!r}, and there is no template"
        raise InputError(msg)
    bound = bind_all(
        templates,
        wrapper.inputs,
        tokens,
        used_elsewhere=used_elsewhere(wrapper, wrapper.inputs),
        constants=settings["constants"],
    )
    return dict(settings), bound


def changed_by(wrapper: Any, settings: Mapping[str, Any]) -> Any:
    """Return a wrapper with other settings; it shares everything else.

    Parameters
    ----------
    wrapper : Wrapper
        Is not changed.
    settings : dict
        A step of its :class:`otwrap.Retries`, or settings of its commands.

    Returns
    -------
    changed : Wrapper
    """
    changed = copy.copy(wrapper)
    changed.commands = _commands(wrapper, settings)
    for step, templates in wrapper.variants:
        if "constants" in settings and step.get("constants") == settings["constants"]:
            changed.templates = templates
    return changed


def _commands(wrapper: Any, settings: Mapping[str, Any]) -> tuple[Command, ...]:
    """Return the chain of commands with what the settings change."""
    commands: tuple[Command, ...] = wrapper.commands
    if "command" in settings:
        commands = commands_of(settings["command"], None)
    changes = {name: value for name, value in settings.items() if name not in _OWN}
    return tuple(command.replace(**changes) for command in commands) if changes else commands
