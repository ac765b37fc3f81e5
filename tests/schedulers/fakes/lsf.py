"""Fakes of ``bsub``, ``bjobs`` and ``bkill`` of LSF.

They take the options that the real ones document, run the arrays, and refuse what those refuse, in their words. A
minute is as long as ``FAKE_MINUTE`` says.
"""

from __future__ import annotations

import os
import re
import shlex
import sys

import batch

#: Options of `bsub`: whether a value follows.
OPTIONS = {"-J": True, "-o": True, "-oo": True, "-e": True, "-n": True, "-R": True, "-W": True, "-M": True}
OPTIONS |= {
    "-q": True,
    "-P": True,
    "-w": True,
    "-N": False,
    "-x": False,
    "-r": False,
    "-rn": False,
    "-H": False,
}
MINUTE = float(os.environ.get("FAKE_MINUTE", "60"))
FINISHED = 255


def fail(text: str, code: int = FINISHED) -> int:
    """Complain."""
    print(text, file=sys.stderr)
    return code


def read(words: list[str]) -> dict[str, str]:
    """Return options."""
    said: dict[str, str] = {}
    while words:
        name = words.pop(0)
        if name not in OPTIONS:
            raise ValueError(name)
        said[name] = words.pop(0) if OPTIONS[name] else ""
    return said


def bsub(arguments: list[str]) -> int:
    """Submit what stands on the standard input."""
    script = sys.stdin.read()
    written = [
        word for line in re.findall(r"^#BSUB (.*)$", script, re.MULTILINE) for word in shlex.split(line)
    ]
    try:
        said = read(written) | read(list(arguments))
    except ValueError as error:
        return fail(f"{error}: Illegal option.\nUsage: bsub [-h] ... Job not submitted.")
    name = re.fullmatch(r"[\w.-]+(?:\[(\d+)-(\d+)\](?:%(\d+))?)?", said.get("-J", "job"))
    if name is None or (name[2] and int(name[2]) > 1000):
        return fail(f"{said.get('-J')}: Bad job name. Job not submitted.")
    if not re.fullmatch(r"(\d+:)?\d+", said.get("-W", "1")):
        return fail(f"{said['-W']}: Illegal run limit. Job not submitted.")
    after = [int(number) for number in re.findall(r"ended\((\d+)\)", said.get("-w", ""))]
    if any(batch.job_of(number) is None for number in after):
        return fail(f"{said['-w']}: No matching job found. Job not submitted.")
    indices = list(range(int(name[1]), int(name[2]) + 1)) if name[1] else [0]
    number = batch.submit(
        {
            "indices": indices,
            "array": bool(name[1]),
            "limit": int(name[3] or 0),
            "script": script,
            # The environment is that of whoever submits, and more.
            "environment": {index: dict(os.environ) | variables(index) for index in indices},
            "folder": os.getcwd(),
            "seconds": MINUTE * int(said["-W"]) if "-W" in said else None,
            "words": "TERM_RUNLIMIT: job killed after reaching LSF run time limit.\n",
            "after": after,
            "output": {index: output(said, index) for index in indices},
            "appends": "-oo" not in said,
        }
    )
    print(f"Job <{number}> is submitted to default queue <normal>.")
    return 0


def variables(index: int) -> dict[str, str]:
    """Return what LSF adds to the environment."""
    return {"LSB_JOBID": "@NUMBER@", "LSB_JOBINDEX": str(index), "LS_SUBCWD": os.getcwd()}


def output(said: dict[str, str], index: int) -> str | None:
    """Return where the output of a task goes; without a file, it is sent by mail."""
    path = said.get("-o", said.get("-oo"))
    return None if path is None else os.path.join(os.getcwd(), path.replace("%I", str(index)))


def bjobs(arguments: list[str]) -> int:
    """Print how jobs stand."""
    words = list(arguments)
    all_of_them = "-a" in words
    fields, _, delimiter = words[words.index("-o") + 1].partition("delimiter=")
    assert "-noheader" in words
    code = 0
    for word in words[words.index("-o") + 2 :]:
        job = batch.job_of(int(word))
        if job is None:
            code = fail(f"Job <{word}> is not found")
            continue
        for index in job["indices"]:
            told = batch.stands(int(word), index)
            if told["state"] != "ended" or all_of_them:
                shown = {"jobid": word, "jobindex": str(index), **fields_of(told)}
                print(delimiter.strip("'").join(shown[field] for field in fields.split()))
    return code


def fields_of(told: dict[str, object]) -> dict[str, str]:
    """Return what LSF says of a task."""
    if told["state"] != "ended":
        running = told["state"] == "running"
        found = {"stat": "RUN" if running else "PEND", "exec_host": "4*node1" if running else "-"}
        return {**found, "exit_code": "-", "exit_reason": "-"}
    status = int(told["status"])
    why = {"limit": "TERM_RUNLIMIT: job killed after reaching LSF run time limit"}
    why["killed"] = "TERM_OWNER: job killed by owner"
    code = 128 - status if status < 0 else status
    found = {"stat": "EXIT" if status else "DONE", "exec_host": "4*node1"}
    return {**found, "exit_code": str(code) if status else "-", "exit_reason": why.get(told["why"], "-")}


def bkill(arguments: list[str]) -> int:
    """Kill jobs, or tasks of arrays."""
    code = 0
    for word in arguments:
        match = re.fullmatch(r"(\d+)(?:\[([\d,-]+)\])?", word)
        assert match is not None, word
        number, job = int(match[1]), batch.job_of(int(match[1]))
        if job is None:
            code = fail(f"Job <{word}>: No matching job found")
            continue
        if batch.has_ended(number):
            code = fail(f"Job <{word}>: Job has already finished")
            continue
        wanted = job["indices"]
        if match[2]:
            pairs = [part.partition("-") for part in match[2].split(",")]
            wanted = [i for first, _, last in pairs for i in range(int(first), int(last or first) + 1)]
        for index in wanted:
            batch.kill(number, index)
            print(f"Job <{number}[{index}]> is being terminated")
    return code


if __name__ == "__main__":
    if batch.is_down():
        sys.exit(fail("Failed in an LSF library call: LIM is down; try later"))
    sys.exit({"bsub": bsub, "bjobs": bjobs, "bkill": bkill}[sys.argv[1]](sys.argv[2:]))
