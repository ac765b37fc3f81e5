"""What a task of an array does, as text for the scheduler's script."""

from __future__ import annotations

import shlex

__all__ = ["python_word", "shell_work", "worker_work"]

_SHELL = """\
# The points of this task, {at_a_time} at a time; none is begun that the time limit would cut.
sed -n "${{OTWRAP_TASK}}p" {job}/tasks.txt | tr , '\\n' |
    awk -F- '{{ last = NF > 1 ? $2 : $1; for (i = $1; i <= last; i++) printf "point-%06d\\n", i }}' |
    xargs -P {at_a_time} -I{{}} sh {job}/point.sh {{}}"""

_POINT = """\
#!/bin/sh
# One point of a task: sh {job}/point.sh point-000000. A point that has ended is left as it is.
[ -e "$1/exit_code.txt" ] && exit 0
longest={job}/records/$OTWRAP_TASK.longest
begin=$(date +%s)
if [ -n "${{OTWRAP_TIME_LIMIT-}}" ]; then
    read -r took 2>/dev/null <"$longest" || took=0
    if [ $((begin - OTWRAP_STARTED + took + took / 5 + 2)) -ge "$OTWRAP_TIME_LIMIT" ]; then
        echo "otwrap: $1 is not begun: the time limit of $OTWRAP_TIME_LIMIT s is near"
        exit 0
    fi
fi
sh "$1/run.sh"
took=$(($(date +%s) - begin))
read -r before 2>/dev/null <"$longest" || before=0
[ "$took" -le "$before" ] || echo "$took" >"$longest"
exit 0
"""


def worker_work(job: str, python: str) -> str:
    """Return what a task does where otwrap is on the nodes.

    Parameters
    ----------
    job : str
        Folder of the array in that of the submission.
    python : str
        The interpreter there.

    Returns
    -------
    text : str

    Examples
    --------
    >>> worker_work("jobs/001", "python3")
    'exec python3 -m otwrap.task jobs/001 "$OTWRAP_TASK"'
    """
    return f'exec {python_word(python)} -m otwrap.task {job} "$OTWRAP_TASK"'


def python_word(python: str) -> str:
    """Return an interpreter as a word for a shell; it may begin with ``~`` or a variable of the node.

    Parameters
    ----------
    python : str
        The interpreter of the nodes.

    Returns
    -------
    word : str

    Examples
    --------
    >>> python_word("/opt/my python")
    "'/opt/my python'"
    """
    return python if python.startswith(("~", "$")) else shlex.quote(python)


def shell_work(job: str, at_a_time: int) -> tuple[str, str]:
    """Return what a task does where there is only a shell.

    Parameters
    ----------
    job : str
        Folder of the array in that of the submission.
    at_a_time : int
        Evaluations at a time in a task.

    Returns
    -------
    text, point : str
        For the scheduler's script, and for ``point.sh`` beside it, which runs a point.
    """
    return _SHELL.format(job=job, at_a_time=at_a_time), _POINT.format(job=job)
