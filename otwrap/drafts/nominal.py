"""The nominal case: its files, and a run of it in a folder of its own."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from ..command import Command
from ..errors import CommandError
from ..process import run_chain
from .names import AnswerError
from .texts import Texts, read_text

__all__ = ["Case", "nominal_run"]

_SHOWN = 8


class Case:
    """The files that a code reads.

    Parameters
    ----------
    folder : Path
        The case, in which the code is run by hand.
    files : sequence of str
        Files and folders of it, relative to it or absolute; a folder stands for all that it holds.

    Attributes
    ----------
    names : list of str
        The files, relative to the case, with slashes.
    texts : Texts
        The same, read.

    Raises
    ------
    AnswerError
        If one is not there, or not inside the case.
    """

    def __init__(self, folder: Path, files: Sequence[str]) -> None:
        self.folder = folder.absolute()
        if not self.folder.is_dir():
            raise AnswerError(f"there is no folder {folder}; give the one where the code is run by hand")
        if not files:
            raise AnswerError("no input file is given; give each file or folder that the code reads")
        found = [name for file in files for name in _inside(self.folder, file)]
        self.names = list(dict.fromkeys(found))
        self.texts = Texts(read_text(self.folder, name) for name in self.names)

    @property
    def is_tree(self) -> bool:
        """Whether there are files in folders. bool."""
        return any("/" in name for name in self.names)

    def program(self, command: Command) -> str:
        """Return the program of a command, if it is a file of the case and not among its input.

        Parameters
        ----------
        command : Command
            One of the chain.

        Returns
        -------
        name : str
            Relative to the case; empty if it is elsewhere.
        """
        name = PurePosixPath(command.argv[0])
        if command.shell or name.is_absolute() or "/" not in command.argv[0] or str(name) in self.names:
            return ""
        return str(name) if (self.folder / name).is_file() else ""


def _inside(folder: Path, file: str) -> list[str]:
    """Return the files that a file or folder stands for, relative to the case."""
    path = Path(os.path.normpath(folder / file))
    if not path.is_relative_to(folder):
        raise AnswerError(
            f"{file!r} is not in the case {folder}; say with --case where the code is run by hand"
        )
    if path.is_file():
        return [path.relative_to(folder).as_posix()]
    if not path.is_dir():
        raise AnswerError(f"there is no file {file!r} in {folder}; its files are relative to the case")
    below = sorted(each for each in path.rglob("*") if each.is_file())
    if not below:
        raise AnswerError(f"the folder {file!r} is empty")
    return [each.relative_to(folder).as_posix() for each in below]


@contextmanager
def nominal_run(
    case: Case, commands: Sequence[Command], values: Mapping[str, str]
) -> Iterator[tuple[Path, list[str]]]:
    """Run the case as it is, in a temporary folder with nothing but its input files.

    Parameters
    ----------
    case : Case
        What is run.
    commands : sequence of Command
        The chain.
    values : mapping of str
        What ``{name}`` stands for in it.

    Yields
    ------
    folder : Path
        Removed at the end.
    written : list of str
        What was written or changed, and is not empty; relative, with slashes.

    Raises
    ------
    CommandError
        If the code fails.
    """
    with tempfile.TemporaryDirectory(prefix="otwrap-new-", ignore_cleanup_errors=True) as name:
        folder = Path(name).resolve()
        for file in case.names:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(case.folder / file, folder / file)
        before = {text.name: text.data for text in case.texts}
        programs = [_placed(case, command) for command in commands]
        try:
            run_chain(programs, folder, values=values)
        except CommandError as error:
            names = ", ".join(case.names[:_SHOWN]) + ", ..." * (len(case.names) > _SHOWN)
            raise type(error)(
                f"the nominal case fails, in a folder with nothing but {names}: {error}\nIf the code reads "
                "other files too, give them as input files; nothing has been written.",
                error.status,
                error.cause,
                error.exit_code,
            ) from error
        files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size]
        names_ = [path.relative_to(folder).as_posix() for path in files]
        yield folder, [file for file in names_ if before.get(file) != (folder / file).read_bytes()]


def _placed(case: Case, command: Command) -> Command:
    """Return a command whose program is found, if it is a file of the case."""
    program = case.program(command)
    if not program:
        return command
    return command.replace(argv=[str(case.folder / program), *command.argv[1:]])
