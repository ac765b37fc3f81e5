"""`otwrap profiles`: the settings of sites that are found here, and the templates of the scripts."""

from __future__ import annotations

from typing import Any

import click

from ..schedulers import create_scheduler, find_profile, profile_files, scheduler_names
from .command import Command
from .output import aligned, echo_json, note

__all__ = ["profiles"]


@click.command("profiles", cls=Command)
@click.argument("name", required=False)
@click.option(
    "--template",
    type=click.Choice(scheduler_names()),
    help="Print the template of a scheduler's script, to copy and edit; a profile names the copy as `template`.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def profiles(options: Any) -> int:
    """List the profiles that `submit --profile` finds here, or show what one says.

    A profile is a file NAME.toml in ./profiles, in a folder that OTWRAP_PROFILES names, or in
    ~/.config/otwrap/profiles.
    """
    if options.template is not None:
        click.echo(create_scheduler(options.template).template_text(), nl=False)
        return 0
    if options.name is not None:
        _show(options)
        return 0
    found = [
        {"name": name, "scheduler": find_profile(path).scheduler, "file": str(path)}
        for name, path in profile_files().items()
    ]
    if options.as_json:
        echo_json(found)
    elif found:
        rows = [[line["name"], line["scheduler"], line["file"]] for line in found]
        click.echo(aligned([["profile", "scheduler", "file"], *rows]))
    else:
        note('there is no profile; write profiles/NAME.toml, of which `scheduler = "slurm"` is the least')
    return 0


def _show(options: Any) -> None:
    """Print what a profile says."""
    words = find_profile(options.name).as_dict()
    if options.as_json:
        echo_json(words)
        return
    width = max(map(len, words))
    for word, value in words.items():
        click.echo(f"{word:<{width}}  {value}")
