"""Fakes of ``qsub``, ``qstat`` and ``qdel``, of PBS Pro (``FAKE_FLAVOUR=pbs``) and Torque (``FAKE_FLAVOUR=torque``).

They take the options that the real ones document, run the arrays, and refuse what those refuse, in their words.
"""

from __future__ import annotations

import getopt
import os
import re
import shlex
import sys
from pathlib import Path

import batch

TORQUE = os.environ["FAKE_FLAVOUR"] == "torque"
HISTORY = os.environ.get("FAKE_HISTORY", "1") == "1"
SERVER = "head"
#: Options of `qsub`.
OPTIONS = "a:A:b:c:C:d:D:e:EfF:hIj:k:K:l:L:m:M:nN:o:p:P:q:r:S:t:T:u:v:VW:x:XzZ:" if TORQUE else (
    "a:A:c:C:e:fGhIj:J:k:l:m:M:N:o:p:P:q:r:R:S:u:v:VW:XzZ"
)  # fmt: skip
RESOURCES = {"walltime", "mem", "nodes", "select", "place", "ncpus", "vmem", "pmem", "procs"}


def fail(program: str, text: str, code: int) -> int:
    """Complain."""
    print(f"{program}: {text}", file=sys.stderr)
    return code


def options_of(arguments: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the options of `qsub`, those of the script first, and the script."""
    given, rest = getopt.gnu_getopt(arguments, OPTIONS)
    written: list[str] = []
    for line in Path(rest[0]).read_text().splitlines()[1:]:
        if line.startswith("#PBS "):
            written += shlex.split(line[5:])
        elif line.strip() and not line.startswith("#"):
            break
    return [*getopt.getopt(written, OPTIONS)[0], *given], rest


def qsub(arguments: list[str]) -> int:
    """Submit a script."""
    try:
        options, rest = options_of(arguments)
    except getopt.GetoptError as error:
        print(f"qsub: invalid option -- '{error.opt}'\nusage: qsub [-a date_time] ...", file=sys.stderr)
        return 2
    said = dict(options)
    if len(rest) != 1:
        return fail("qsub", "script file expected", 1)
    resources = dict(
        part.partition("=")[::2] for name, value in options if name == "-l" for part in value.split(",")
    )
    for name in resources:
        if name not in RESOURCES:
            return fail("qsub", f"Unknown resource Resource_List.{name}" if not TORQUE else "submit error (Unknown resource type  Resource_List." + name + ")", 188)  # fmt: skip
    if len(said.get("-N", "")) > (15 if TORQUE else 230):
        return fail("qsub", "illegal -N value", 1)
    text = said.get("-t" if TORQUE else "-J")
    match = re.fullmatch(r"(\d+)-(\d+)(?:%(\d+))?", text or "1-2")
    if match is None or int(match[1]) + (not TORQUE) > int(match[2]):
        return fail("qsub", f"illegal -{'t' if TORQUE else 'J'} value", 1)
    if text and not TORQUE and said.get("-r") != "y":
        return fail("qsub", "cannot submit non-rerunable Array Job", 1)
    after = []
    for word in re.findall(r"depend=(\S+)", said.get("-W", "")):
        for part in word.split(","):
            kind, *ids = part.split(":")
            wanted = {"afteranyarray" if TORQUE and "[" in job_id else "afterany" for job_id in ids}
            if wanted != {kind}:
                return fail("qsub", "submit error (Invalid Job Dependency)", 1)
            after += [int(re.match(r"\d+", job_id)[0]) for job_id in ids]
    indices = list(range(int(match[1]), int(match[2]) + 1)) if text else [0]
    number = batch.submit(
        {
            "indices": indices,
            "array": bool(text),
            "limit": int(match[3] or 0) if text else 0,
            "script": Path(rest[0]).read_text(),
            "environment": {index: variables(index, bool(text)) for index in indices},
            # Nowhere near where it was submitted.
            "folder": "/",
            "seconds": seconds(resources["walltime"]) if "walltime" in resources else None,
            "words": f"=>> PBS: job killed: walltime exceeded limit {resources.get('walltime')}\n",
            "after": after,
            "output": {index: output_path(said, index, bool(text)) for index in indices},
            "appends": False,
        }
    )
    print(job_id(number, None if text else 0))
    return 0


def variables(index: int, array: bool) -> dict[str, str]:
    """Return the environment of a task."""
    task = f"@NUMBER@[{index}].{SERVER}" if array else f"@NUMBER@.{SERVER}"
    found = {"PBS_JOBID": task, "PBS_O_WORKDIR": os.getcwd()}
    if array and TORQUE:
        found["PBS_ARRAYID"] = str(index)
    elif array:
        found |= {"PBS_ARRAY_INDEX": str(index), "PBS_ARRAY_ID": f"@NUMBER@[].{SERVER}"}
    return found


def output_path(said: dict[str, str], index: int, array: bool) -> str:
    """Return where the output of a task goes."""
    path = os.path.join(os.getcwd(), said.get("-o", f"{said.get('-N', 'STDIN')}.o@NUMBER@"))
    if path.endswith("/"):
        path += f"{said.get('-N', 'STDIN')}.o@NUMBER@" + (f"-{index}" if array else "")
    return path.replace("^array_index^", str(index))


def seconds(clock: str) -> int:
    """Return the seconds of ``H:M:S``."""
    total = 0
    for part in clock.split(":"):
        total = 60 * total + int(part)
    return total


def job_id(number: int, index: int | None) -> str:
    """Return what PBS calls a job (index 0), an array (none), or a task."""
    inside = "" if index == 0 else "[]" if index is None else f"[{index}]"
    return f"{number}{inside}.{SERVER}"


def parse(word: str) -> tuple[int, str | None]:
    """Return the number of a job and what stands in brackets."""
    match = re.fullmatch(r"(\d+)(?:\[([\d:-]*)\])?(?:\.[\w.-]+)?", word)
    if match is None:
        raise ValueError(word)
    return int(match[1]), match[2]


def qstat(arguments: list[str]) -> int:
    """Print how jobs stand."""
    try:
        options, ids = getopt.gnu_getopt(arguments, "aBcefGHiJMnpqQrsS:tTuwx1F:")
    except getopt.GetoptError as error:
        return fail("qstat", f"invalid option -- '{error.opt}'", 2)
    said = dict(options)
    assert "-t" in said and "-f" in said
    if "-x" in said and not HISTORY:
        return fail("qstat", "PBS is not configured to maintain job history", 1)
    code = 0
    for word in ids:
        number, _ = parse(word)
        job = batch.job_of(number)
        ended = job is not None and batch.has_ended(number)
        if job is None or (not TORQUE and ended and not HISTORY):
            code = fail("qstat", f"Unknown Job Id{' Error' if TORQUE else ''} {word}", 153)
        elif not TORQUE and ended and "-x" not in said:
            code = fail(
                "qstat", f"{word} Job has finished, use -x or -H to obtain historical job information", 35
            )
        else:
            show(number, job, ended)
    return code


def show(number: int, job: dict[str, object], ended: bool) -> None:
    """Print a job, and its tasks."""
    if job["array"] and not TORQUE:
        print(
            f"Job Id: {job_id(number, None)}\n    Job_Name = otwrap\n    job_state = {'F' if ended else 'B'}\n"
        )
    for index in job["indices"]:
        told = batch.stands(number, index)
        print(f"Job Id: {job_id(number, index)}\n    Job_Name = otwrap\n    Job_Owner = me@{SERVER}")
        letter = {"queued": "H" if job["after"] else "Q", "running": "R"}.get(told["state"])
        letter = letter or ("C" if TORQUE else "F" if ended else "X")
        print(f"    job_state = {letter}\n    queue = batch")
        if job["after"]:
            print(f"    depend = afterany:{job['after'][0]}.{SERVER}@{SERVER}")
        if told["state"] != "queued":
            print("    exec_host = node1/0")
        if told["state"] == "ended":
            print(f"    {'exit' if TORQUE else 'Exit'}_status = {status(told)}")
        print("    Variable_List = PBS_O_HOME=/home/me,PBS_O_LANG=C,\n\tPBS_O_PATH=/usr/bin\n")


def status(told: dict[str, object]) -> int:
    """Return what PBS says of an end."""
    if told["why"] == "limit" and not TORQUE:
        return -29
    code = int(told["status"])
    return 256 - code if code < 0 else code


def qdel(arguments: list[str]) -> int:
    """Kill jobs, or tasks of arrays."""
    options, ids = getopt.gnu_getopt(arguments, "m:pt:W:xw:" if TORQUE else "W:x")
    code = 0
    for word in ids:
        number, inside = parse(word)
        job = batch.job_of(number)
        if job is None:
            code = fail("qdel", f"Unknown Job Id {word}", 153)
            continue
        if batch.has_ended(number):
            complete = f"Request invalid for state of job MSG=invalid state for job - COMPLETE {word}"
            code = fail("qdel", complete, 170) if TORQUE else fail("qdel", f"Job has finished {word}", 35)
            continue
        texts = dict(options).get("-t") or inside or ""
        for index in numbers(texts) if texts else job["indices"]:
            batch.kill(number, index)
    return code


def numbers(text: str) -> list[int]:
    """Return the numbers of ``1,3-5``."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


if __name__ == "__main__":
    PROGRAM = sys.argv[1]
    if batch.is_down():
        print(
            f"Connection refused\n{PROGRAM}: cannot connect to server {SERVER} (errno=111)", file=sys.stderr
        )
        sys.exit(1)
    sys.exit({"qsub": qsub, "qstat": qstat, "qdel": qdel}[PROGRAM](sys.argv[2:]))
