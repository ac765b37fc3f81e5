"""What a person finds in the folder of a submission: what it is, and what to type."""

from __future__ import annotations

import shlex

from .folder import BatchFolder

__all__ = ["write_readme"]

_HEAD = """\
{size} points of the model {name}, {verb} by otwrap.

design.csv has the points, one a line: the first one is point 0.
"""

_SHELL = """\
Each folder point-000000 ... holds the input of one point and run.sh, which runs the code there, keeps its
limits, and leaves exit_code.txt and times.txt. Nothing but the code is needed to run them.

All of them without a batch system, four at a time:

    sh run-all.sh 4

One of them:

    sh point-000000/run.sh
"""

_WORKER = """\
model.bin is the model, files/ and model/ what it needs; python and otwrap are needed to run it, the same versions as
where this was written ({versions}). Each task appends what comes of its points to a file of its own in
jobs/001/records; the work directories of points that failed are in kept/.

The first task without a batch system, from this folder:

    python -m otwrap.task jobs/001 1
"""

_JOBS = """\
Each folder in jobs/ is an array of tasks: script.sh is what is submitted, tasks.txt says in line 3 which points task 3
has, logs/3.txt is what it printed, id is what the batch system calls the array.

To submit one by hand, from this folder, wherever it was copied to:

    {submit}
"""

_BACK = """\
From where it was written, as often as you like while tasks are still at work:

    {status}
    {collect}

and then, for points that were lost with their tasks, or that failed:

    {resubmit}
    {resubmit} --failed
"""

_COLLECT = """\
The folder may be copied to another machine and back. Then, and as often as you like while runs are still
ending, from the folder where it was prepared:

    {collect}
"""

_RUN_ALL = """\
#!/bin/sh
# Runs every point that has not run yet, N at a time: sh run-all.sh N
cd "$(dirname "$0")" || exit 1
printf '%s\\n' point-* | xargs -P "${1:-1}" -I{} sh -c 'test -f "{}/exit_code.txt" || sh "{}/run.sh" || true'
"""


def write_readme(folder: BatchFolder, collect: str, submit: str | None = None) -> None:
    """Write ``README.txt``, and ``run-all.sh`` where a shell can run the points.

    Parameters
    ----------
    folder : BatchFolder
        Of the submission.
    collect : str
        What is typed to collect, from where it was written.
    submit : str, optional
        The command that submits the first array; none if it was only prepared.
    """
    about = folder.about
    verb = "prepared" if submit is None else f"for the batch system {about['profile']['scheduler']}, written"
    parts = [_HEAD.format(size=about["points"], name=about["model"], verb=verb)]
    if folder.way == "shell":
        parts.append(_SHELL)
        run_all = folder.path / "run-all.sh"
        run_all.write_text(_RUN_ALL, encoding="utf-8", newline="\n")
        run_all.chmod(0o755)
    else:
        versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
        parts.append(_WORKER.format(versions=versions))
    if submit is None:
        parts.append(_COLLECT.format(collect=collect))
    else:
        place = shlex.quote(str(folder.path))
        words = {name: f"otwrap {name} {place}" for name in ("status", "resubmit")}
        parts += [_JOBS.format(submit=submit), _BACK.format(collect=collect, **words)]
    (folder.path / "README.txt").write_text("\n".join(parts), encoding="utf-8")
