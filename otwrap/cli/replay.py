"""`otwrap replay`: a point of a store again, watched, in a folder that is kept."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from ..evaluation import Evaluation, Task
from ..evaluator import evaluator_of
from ..folders import WorkFolders
from ..store import Store
from ..workdir import make_folder
from ..wrapper import Wrapper
from .command import Command
from .output import aligned, echo_json, note, prints_on_stderr, record_of, remark
from .records import model_with, opened, store_argument
from .samples import model_argument

__all__ = ["replay"]

#: Outputs that are listed.
_SHOWN = 20
#: Seconds between two looks at what the code has printed.
_TICK = 0.1
#: The names of kept folders, and of those of `prepare`.
_NUMBERED = re.compile(r"run-(\d{6,})-.*|point-(\d{6,})")


@click.command("replay", cls=Command)
@model_argument
@store_argument
@click.argument("number", metavar="ID", type=int)
@click.option(
    "--into",
    metavar="DIR",
    help="The folder to run in, which is kept; it must be empty or not there. Default is a new one where the "
    "model has its work directories.",
)
@click.option("--quiet", is_flag=True, help="Do not show what the code prints, and no remarks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; nan is null.")
def replay(options: Any) -> int:
    """Run the point of the evaluation ID of STORE again, and compare the answer with the record.

    What the code prints is shown while it runs. The folder is kept, and STORE is not changed. The exit status
    is 0 if the answer is the same, bit by bit, or if the point failed in the same way; it is 1 if not.
    """
    with opened(options.store) as store:
        inputs, outputs = store.description()
        recorded = store.evaluation(options.number)
        model = model_with(options.model, inputs)
        changed = _changed(store, evaluator_of(model).fingerprints())
    if changed:
        remark(f"the model is not the one that was recorded: {' and '.join(changed)} changed")
    folder = _folder(model, options)
    now = _evaluated(model, recorded, folder, quiet=options.quiet)
    same = _is_same(recorded, now)
    if options.as_json:
        echo_json(
            {
                "id": options.number,
                "same": same,
                "recorded": record_of(inputs, outputs, recorded),
                "now": record_of(inputs, outputs, now),
                "changed": changed,
                "folder": folder,
            }
        )
    else:
        click.echo(_told(outputs, recorded, now, same))
        if folder:
            click.echo(f"folder   {folder}")
        if now.error:
            note(f"\n{now.error}")
    return 0 if same else 1


def _changed(store: Store, fingerprints: dict[str, str]) -> list[str]:
    """Return what differs from the model that the store was used with last, in words."""
    words = {
        "input": "the templates or input files",
        "run": "the command or the version of the code",
        "parsers": "the parsers",
    }
    recorded = store.models()[-1][1]
    return [word for name, word in words.items() if recorded.get(name) != fingerprints.get(name)]


def _folder(model: Any, options: Any) -> str | None:
    """Return the folder to run in, made if need be; None if the model has none."""
    if not isinstance(model, Wrapper):
        if options.into is not None:
            raise click.UsageError("--into: the model is a function, which runs in no folder")
        return None
    if options.into is None:
        return make_folder(model.folders.base, f"replay-{options.number:06d}-")
    folder = Path(options.into).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise click.UsageError(f"--into {options.into} is there and not empty; give another one")
    folder.mkdir(parents=True, exist_ok=True)
    return os.fspath(folder)


def _evaluated(model: Any, recorded: Evaluation, folder: str | None, *, quiet: bool) -> Evaluation:
    """Return the evaluation of the point now, shown while it runs."""
    evaluator = evaluator_of(model)
    task = Task(_number(recorded), recorded.point, recorded.attempts, recorded.settings)
    if hasattr(signal, "siginterrupt"):
        # Each call into OpenTURNS leaves a handler after which waiting for a code goes on in spite of Ctrl-C.
        signal.siginterrupt(signal.SIGINT, True)
    try:
        with prints_on_stderr():
            if folder is None:
                return evaluator(task)
            model.folders = _OneFolder(folder)
            with contextlib.nullcontext() if quiet else _shown(folder):
                return evaluator(task)
    except KeyboardInterrupt:
        where = "" if folder is None else f"; what it wrote until then is in {folder}"
        raise KeyboardInterrupt(f"interrupted{where}") from None


def _number(recorded: Evaluation) -> int:
    """Return the number that the point had in its sample, as far as the name of its folder tells."""
    match = _NUMBERED.fullmatch(os.path.basename(recorded.workdir or ""))
    return int(match[1] or match[2]) if match else 0


class _OneFolder(WorkFolders):
    """One folder, which is kept whatever happens in it."""

    def __init__(self, folder: str) -> None:
        super().__init__(keep="all")
        self.folder = folder

    def take(self) -> str:
        """Return the folder."""
        return self.folder

    def settle(
        self,
        folder: str | None,
        number: int | None,
        status: str,
        script: Callable[[], str] | None = None,
    ) -> str | None:
        """Keep it, even if the evaluation is one that runs again."""
        return super().settle(folder, number, "failed", script)

    def keep(self, folder: str, number: int | None = None) -> str:
        """Leave it where it is."""
        return folder


@contextlib.contextmanager
def _shown(folder: str) -> Iterator[None]:
    """Show what is printed into the streams of a folder, on the standard error."""
    ended = threading.Event()
    read: dict[Path, int] = {}

    def follow() -> None:
        while not ended.wait(_TICK):
            _show_news(folder, read)

    follower = threading.Thread(target=follow, name="otwrap-replay", daemon=True)
    follower.start()
    try:
        yield
    finally:
        ended.set()
        follower.join()
        _show_news(folder, read)


def _show_news(folder: str, read: dict[Path, int]) -> None:
    """Print what has been added to the streams since they were read."""
    for path in sorted(Path(folder).glob("std*.txt")):
        try:
            with path.open("rb") as file:
                # One that was printed without end has lost its middle; what follows is still to come.
                start = min(read.get(path, 0), file.seek(0, os.SEEK_END))
                file.seek(start)
                news = file.read()
        except OSError:
            continue
        read[path] = start + len(news)
        if news:
            click.echo(news, err=True, nl=False)


def _is_same(recorded: Evaluation, now: Evaluation) -> bool:
    """Whether two evaluations have the same output, bit by bit, or failed in the same way."""
    if recorded.output is None or now.output is None:
        ways = [(one.status, one.cause, one.exit_code) for one in (recorded, now)]
        return ways[0] == ways[1]
    return len(recorded.output) == len(now.output) and not _differing(recorded.output, now.output)


def _differing(recorded: Sequence[float], now: Sequence[float]) -> list[int]:
    """Return which numbers differ in a bit."""
    pairs = enumerate(zip(recorded, now, strict=False))
    return [i for i, (a, b) in pairs if struct.pack("<d", a) != struct.pack("<d", b)]


def _told(outputs: Sequence[str], recorded: Evaluation, now: Evaluation, same: bool) -> str:
    """Return the comparison in words."""
    if recorded.output is None and now.output is None:
        again = "it failed again in the same way" if same else "it failed in another way"
        return f"{again}\nrecorded {_ending(recorded)}\nnow      {_ending(now)}"
    if recorded.output is None or now.output is None:
        return f"it ended in another way\nrecorded {_ending(recorded)}\nnow      {_ending(now)}"
    if same:
        return "the same, bit by bit"
    places = _differing(recorded.output, now.output)
    pairs = [(outputs[i], recorded.output[i], now.output[i]) for i in places]
    rows = [[name, repr(a), repr(b), f"{b - a:.3g}"] for name, a, b in pairs[:_SHOWN]]
    text = f"{len(places)} of {len(outputs)} outputs differ\n"
    text += aligned([["output", "recorded", "now", "difference"], *rows])
    return text + (f"\nand {len(places) - _SHOWN} more" if len(places) > _SHOWN else "")


def _ending(evaluation: Evaluation) -> str:
    """Return how an evaluation ended, in words."""
    code = "" if evaluation.exit_code is None else f", exit code {evaluation.exit_code}"
    return f"{evaluation.status}{f' ({evaluation.cause})' if evaluation.cause else ''}{code}"
