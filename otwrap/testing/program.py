"""The fake code itself: an external program that reads an input file, writes an output file, and goes wrong as planned.

It is run as ``python -I -S plan.py``, where a plan that :class:`~otwrap.testing.FakeSimulator` has written calls
:func:`main`. It imports nothing but small parts of the standard library, so that it starts fast. What it decides
(which faults strike a point) and what it computes are functions, which the simulator calls for the expected answer.
"""

from __future__ import annotations

import math
import operator
import os
import signal
import struct
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

__all__ = ["AT_ONCE", "IN_THE_END", "INPUT", "OUTPUT", "Job", "main", "point_hash", "strikes", "value_of"]

INPUT, OUTPUT = "input.txt", "output.txt"

#: Seconds after which whatever hangs ends by itself: a rehearsal that goes wrong does not fill a machine for ever.
LONGEST = 3600
_MEBIBYTE = 1 << 20
_FUNCTIONS = ("sin", "cos", "tan", "exp", "log", "log10", "sqrt", "atan", "tanh")

#: What a formula or a condition is made of.
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    # Python's own would answer with a complex number.
    "**": math.pow,
    "negative": operator.neg,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": lambda *parts: all(parts),
    "or": lambda *parts: any(parts),
    "not": operator.not_,
    "abs": abs,
    "min": min,
    "max": max,
    **{name: getattr(math, name) for name in _FUNCTIONS},
}


def value_of(tree: Any, values: Mapping[str, float]) -> Any:
    """Return the value of a formula.

    Parameters
    ----------
    tree : float, str or tuple
        A number, the name of an input, or an operation and what it is applied to.
    values : mapping of float
        The inputs by name.

    Returns
    -------
    value : float or bool

    Raises
    ------
    ArithmeticError, ValueError
        If it has none, as ``1 / 0``.

    Examples
    --------
    >>> value_of(("+", "a", ("*", 2.0, "b")), {"a": 1.0, "b": 3.0})
    7.0
    """
    if isinstance(tree, str):
        return values[tree]
    if isinstance(tree, tuple):
        return OPERATIONS[tree[0]](*[value_of(part, values) for part in tree[1:]])
    return tree


def point_hash(point: Sequence[float], salt: str) -> float:
    """Return a number of [0, 1) that belongs to a point, the same in every process and on every machine.

    Parameters
    ----------
    point : sequence of float
        The point.
    salt : str
        Another one gives other numbers.

    Returns
    -------
    number : float
        As if drawn from a uniform distribution.

    Examples
    --------
    >>> point_hash([0.5], "hang") == point_hash([0.5], "hang") != point_hash([0.5], "slow")
    True
    """
    from hashlib import blake2b

    # Adding 0.0 makes -0.0 the 0.0 that it is equal to.
    data = struct.pack(f"<{len(point)}d", *[x + 0.0 for x in point])
    digest = blake2b(data, digest_size=8, key=salt.encode()[:64]).digest()
    return int.from_bytes(digest, "little") / 2.0**64


def strikes(fault: Mapping[str, Any], values: Mapping[str, float], ran: int) -> bool:
    """Return whether a fault strikes a point.

    Parameters
    ----------
    fault : mapping
        A fault of the plan.
    values : mapping of float
        The inputs by name, in order.
    ran : int
        How often the code has run on the point before.

    Returns
    -------
    strikes : bool

    Examples
    --------
    >>> where = {"share": 1.0, "where": (">", "x", 0.8), "tries": None, "until": None, "random": False}
    >>> strikes(where, {"x": 0.9}, 0), strikes(where, {"x": 0.7}, 0)
    (True, False)
    """
    if fault["tries"] is not None and ran >= fault["tries"]:
        return False
    if fault["until"] is not None and os.path.exists(fault["until"]):
        return False
    if fault["where"] is not None and not value_of(fault["where"], values):
        return False
    if fault["share"] >= 1.0:
        return True
    if fault["random"]:
        return bool(int.from_bytes(os.urandom(8), "little") < fault["share"] * 2**64)
    return bool(point_hash(list(values.values()), fault["salt"]) < fault["share"])


class Job:
    """One run of the code, before it writes: faults change what it will write and how it will end.

    Parameters
    ----------
    plan : mapping
        What the simulator is; see :func:`main`.
    values : mapping of float
        The inputs by name.

    Attributes
    ----------
    numbers : dict of str
        The text of each output, by name.
    messages : list of str
        What it prints at the end.
    exit_code, signal : int
        How it ends; a signal of 0 is none.
    filler : int
        Bytes of talk in the output file before the numbers.
    stale : bool
        Whether an output file that is there already stays, if none is written.
    edit : callable
        From the text of the output file to the bytes that are written; `None` for no file.
    """

    def __init__(self, plan: Mapping[str, Any], values: Mapping[str, float]) -> None:
        self.plan = plan
        self.messages = ["NORMAL END"]
        self.exit_code = self.signal = self.filler = 0
        self.stale = False
        self.edit: Callable[[str], bytes | None] = str.encode
        try:
            self.numbers = {
                name: repr(float(value_of(tree, values))) for name, tree in plan["outputs"].items()
            }
        except (ArithmeticError, ValueError) as error:
            self.numbers = {}
            self._fail(1, f"ERROR: floating point exception: {error}")
            self.edit = lambda text: None

    def _fail(self, exit_code: int, *messages: str) -> None:
        """Have the run end with an exit code, and say why."""
        self.exit_code, self.messages = exit_code, list(messages)

    def content(self) -> bytes | None:
        """Return what the output file will hold, filler left out; `None` for no file."""
        lines = ["FAKE SIMULATOR", *(f"{name} = {number}" for name, number in self.numbers.items()), "END"]
        return self.edit("\n".join(lines) + "\n")

    def _log(self, word: str, pid: int, *rest: str) -> None:
        """Add a line to the log of runs, whole even if others write too."""
        log = os.open(self.plan["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(log, " ".join([word, str(pid), repr(time.time()), *rest]).encode() + b"\n")
        os.close(log)


def _sleep_on() -> None:
    """Do nothing, for very long."""
    if hasattr(signal, "alarm"):
        signal.alarm(LONGEST)
    time.sleep(LONGEST)


def _hang(job: Job, value: Any) -> None:
    _sleep_on()
    os._exit(1)


def _slow(job: Job, value: float) -> None:
    time.sleep(value)


def _print_on(job: Job, value: Any) -> None:
    text = b"iteration: residual = 1.0e+00, no progress\n" * 2000
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        os.write(1, text)
    os._exit(1)


def _eat_memory(job: Job, value: int) -> None:
    blocks = []
    for _ in range(0, value, 8 * _MEBIBYTE):
        blocks.append(b"x" * (8 * _MEBIBYTE))
        # Slowly enough that who watches can see it.
        time.sleep(0.005)
    time.sleep(0.5)


def _leave_children(job: Job, value: Any) -> None:
    """Leave three children that ignore TERM: one here, one in a session of its own, one that also forked again."""
    readable, writable = os.pipe()
    for kind in ("here", "away", "daemon"):
        if os.fork() == 0:
            if kind != "here":
                os.setsid()
            if kind == "daemon" and os.fork():
                os._exit(0)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            job._log("child", os.getpid())
            os.write(writable, b".")
            _sleep_on()
            os._exit(0)
    ready = b""
    while len(ready) < 3:
        ready += os.read(readable, 3)


def _end_parent(job: Job, value: Any) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    _sleep_on()
    os._exit(1)


def _exit_code(job: Job, value: int) -> None:
    job._fail(value, "ERROR: the model is singular")


def _licence(job: Job, value: str) -> None:
    job._fail(75, value)
    job.edit = lambda text: None


def _signal(name: str) -> Callable[[Job, Any], None]:
    def set_signal(job: Job, value: Any) -> None:
        job.signal, job.messages = int(getattr(signal, name)), []

    return set_signal


def _message(job: Job, value: str) -> None:
    job.messages = [value]


def _write(content: bytes | None) -> Callable[[Job, Any], None]:
    def set_edit(job: Job, value: Any) -> None:
        job.edit = lambda text: content

    return set_edit


def _keep_old(job: Job, value: Any) -> None:
    job.edit, job.stale = lambda text: None, True


def _cut(job: Job, value: Any) -> None:
    """Stop inside the name of the last output."""
    job.edit = lambda text: text[: text.rindex("\n", 0, text.rindex(" = ")) + 2].encode()
    job.messages = []


def _number(text: str | None) -> Callable[[Job, Any], None]:
    def set_number(job: Job, value: Any) -> None:
        if job.numbers:
            job.numbers[list(job.numbers)[-1]] = repr(value) if text is None else text

    return set_number


def _filler(job: Job, value: int) -> None:
    job.filler = value


#: What a kind of fault does as soon as it strikes.
AT_ONCE: Mapping[str, Callable[[Job, Any], None]] = {
    "hang": _hang,
    "slow": _slow,
    "endless printing": _print_on,
    "memory": _eat_memory,
    "children": _leave_children,
    "worker lost": _end_parent,
}

#: What a kind of fault changes of the end.
IN_THE_END: Mapping[str, Callable[[Job, Any], None]] = {
    "exit code": _exit_code,
    "abort": _signal("SIGABRT"),
    "segfault": _signal("SIGSEGV"),
    "kill": _signal("SIGKILL"),
    "no convergence": _message,
    "licence": _licence,
    "output missing": _write(None),
    "output empty": _write(b""),
    "output stale": _keep_old,
    "output partial": _cut,
    "output garbled": _write(bytes(range(255, 0, -1)) * 8),
    "output enormous": _filler,
    "nan": _number("nan"),
    "inf": _number("-inf"),
    "stars": _number("*" * 12),
    "out of range": _number(None),
}


def _read_input() -> dict[str, float]:
    """Return the inputs by name."""
    with open(INPUT, encoding="utf-8") as file:
        lines = [line.rpartition(" = ") for line in file if " = " in line]
    return {name: float(text) for name, _, text in lines}


def _count_runs(path: str, point: str) -> int:
    """Return how often the code has been started on a point."""
    if not os.path.exists(path):
        return 0
    with open(path, encoding="utf-8") as file:
        return sum(line.startswith("start ") and line.split(" ", 3)[3].strip() == point for line in file)


def _write_output(job: Job) -> None:
    """Write the output file, or see to it that there is none."""
    content = job.content()
    if content is None:
        if not job.stale and os.path.exists(OUTPUT):
            os.unlink(OUTPUT)
        return
    talk = b"step: residual = 1.0e-03, all is well\n" * 20000
    with open(OUTPUT, "wb") as file:
        for start in range(0, job.filler, len(talk)):
            file.write(talk[: job.filler - start])
        file.write(b"\n" * bool(job.filler) + content)


def main(plan: Mapping[str, Any]) -> None:
    """Run the fake code in the current directory, and end this process.

    Parameters
    ----------
    plan : mapping
        ``"outputs"`` (name -> formula), ``"seconds"`` (how long a run takes), ``"log"`` (the log of runs) and
        ``"faults"``.
    """
    values = _read_input()
    point = " ".join(map(repr, values.values()))
    counts = any(fault["tries"] is not None for fault in plan["faults"])
    ran = _count_runs(plan["log"], point) if counts else 0
    job = Job(plan, values)
    job._log("start", os.getpid(), point)
    print("FAKE SIMULATOR:", ", ".join(f"{name} = {value!r}" for name, value in values.items()), flush=True)
    time.sleep(plan["seconds"])
    for fault in plan["faults"]:
        if strikes(fault, values, ran):
            (AT_ONCE.get(fault["kind"]) or IN_THE_END[fault["kind"]])(job, fault["value"])
    _write_output(job)
    for message in job.messages:
        print(message, flush=True, file=sys.stderr if job.exit_code else sys.stdout)
    job._log("end", os.getpid())
    if job.signal:
        _end_by(job.signal)
    os._exit(job.exit_code)


def _end_by(number: int) -> None:
    """End this process by a signal that nobody catches, without a core file."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    _sleep_on()
