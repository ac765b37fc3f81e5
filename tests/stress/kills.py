"""Kill studies at random moments, resume them, and count what was lost.

As a script, ``python tests/stress/kills.py --kills 100``, it prints the figures that the documentation shows.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from otwrap.guardian import read_proc
from otwrap.testing.runs import read_runs

STUDY = Path(__file__).with_name("study.py")
MARK = "OTWRAP_STRESS"
#: As in the study.
N_CPUS = 2
#: Seconds that everything of a killed driver has to end.
PATIENCE = 5.0
#: Seconds that a study may take on a machine that is busy with other things.
LONGEST = 120.0

# A shell that runs this in the background has it ignore Ctrl-C, and what is started here would, too.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BACKENDS = ("threads", "multiprocessing", "joblib")
#: The studies; most kills strike the first one.
STUDIES = ("sample", "sample", "montecarlo", "form")

Point = tuple[float, ...]


class Case(NamedTuple):
    """What is killed, how, and when."""

    backend: str
    study: str
    kind: str
    option: str
    #: Lines that the code has written to its log before the kill; -1 is before the first one.
    lines: int
    #: Seconds between the last of these lines and the kill.
    delay: float
    #: Whether the resume starts at once, before all that was killed has ended.
    at_once: bool


class Figures(NamedTuple):
    """What a kill and the resume after it came to. All but `again` should be nothing."""

    lost: int
    duplicated: int
    orphans: int
    stray: int
    #: Points in flight that ran again.
    again: int
    #: Seconds until nothing of the killed study was left.
    seconds: float
    #: What else is not as it should be.
    wrong: str


def living(mark: str) -> dict[int, str]:
    """Return the processes whose environment holds a mark, and their command lines."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and f"{MARK}={mark}\0".encode() in read_proc(f"/proc/{name}/environ"):
            found[int(name)] = read_proc(f"/proc/{name}/cmdline").replace(b"\0", b" ").decode()
    return found


def send(pids: Iterator[int] | list[int], number: int) -> bool:
    """Send processes a signal; say whether there was one to get it."""
    sent = False
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
        sent = True
    return sent


class Study:
    """A study in a folder of its own, and the run of it that is killed."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder = folder
        self.case = case
        self.marks: list[str] = []
        for name in ("work", "tmp", "stores"):
            (folder / name).mkdir(parents=True)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the script, for the first time or again."""
        number = str(len(self.marks) + 1)
        self.marks.append(f"{self.folder.name}-{os.urandom(4).hex()}")
        environment = {**os.environ, MARK: self.marks[-1], "TMPDIR": str(self.folder / "tmp")}
        case = self.case
        with open(self.folder / f"printed-{number}", "wb") as printed:
            return subprocess.Popen(
                [sys.executable, STUDY, self.folder, number, case.backend, case.study, case.option],
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                env=environment,
                start_new_session=True,
            )

    def printed(self, number: int) -> str:
        """Return what a run has printed."""
        return (self.folder / f"printed-{number}").read_text(encoding="utf-8", errors="replace")

    def started(self, number: int) -> list[Point]:
        """Return the points that the code has run on, as it says itself."""
        return [run.point for run in read_runs(self.folder / f"code-{number}" / "runs.log")]

    def recorded(self, number: int) -> set[Point]:
        """Return the points that the store has recorded as done."""
        return {point for status, point in self._recorded(number) if status == "done"}

    def failed(self, number: int) -> set[Point]:
        """Return the points that the store has recorded as failed."""
        return {point for status, point in self._recorded(number) if status != "done"}

    def result(self, number: int) -> str:
        """Return the bits of the result."""
        path = self.folder / f"result-{number}"
        return path.read_text(encoding="ascii") if path.exists() else ""

    def strays(self, kept: int = 0) -> list[str]:
        """Return what lies about: work directories that nobody wanted to keep, and locks."""
        work = sorted(os.listdir(self.folder / "work"))
        strays = work if len(work) > kept else []
        return [*strays, *os.listdir(self.folder / "tmp")]

    def _recorded(self, number: int) -> list[tuple[str, Point]]:
        """Return status and point of each record."""
        path = self.folder / f"recorded-{number}"
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        words = [line.split() for line in lines]
        return [(status, tuple(map(float.fromhex, point))) for status, *point in words]


def wait_for(condition: Callable[[], object], seconds: float, pause: float = 0.005) -> float:
    """Wait until a condition holds, for so long at most; return how long it was."""
    start = time.monotonic()
    while not condition() and time.monotonic() < start + seconds:
        time.sleep(pause)
    return time.monotonic() - start


def wait_for_moment(study: Study, driver: subprocess.Popen[bytes]) -> None:
    """Wait until the moment of the kill."""
    log, case = study.folder / "code-1" / "runs.log", study.case

    def lines() -> int:
        return log.read_bytes().count(b"\n") if log.exists() else 0

    wait_for(lambda: lines() > case.lines or driver.poll() is not None, LONGEST)
    time.sleep(case.delay)


def is_worker(command: str) -> bool:
    """Whether a command line is that of a worker process of ours."""
    return "otwrap.backends._worker" in command or ("loky" in command and "resource_tracker" not in command)


def is_code(command: str) -> bool:
    """Whether a command line is that of the simulated code."""
    return "plan.py" in command or "simulator" in command


def kill_one(study: Study, driver: subprocess.Popen[bytes], wanted: Callable[[str], bool]) -> None:
    """Kill one process of a kind, as soon as there is one."""

    def killed() -> bool:
        there = living(study.marks[0])
        return driver.poll() is not None or send(
            [pid for pid in there if wanted(there[pid])][:1], signal.SIGKILL
        )

    wait_for(killed, LONGEST)


def kill_tree(study: Study, driver: subprocess.Popen[bytes], number: int) -> None:
    """Send everything that the study has started a signal, as a batch system does at the end of the walltime."""
    send(list(living(study.marks[0])), number)
    if number == signal.SIGKILL:
        # What was just being started escapes the first look.
        wait_for(lambda: not send(list(living(study.marks[0])), number), PATIENCE)


Kill = Callable[[Study, "subprocess.Popen[bytes]"], None]
KINDS: dict[str, Kill] = {
    "driver, KILL": lambda study, driver: driver.kill(),
    "worker, KILL": lambda study, driver: kill_one(study, driver, is_worker),
    "process group, KILL": lambda study, driver: os.killpg(driver.pid, signal.SIGKILL),
    "whole tree, KILL": lambda study, driver: kill_tree(study, driver, signal.SIGKILL),
    "driver, TERM": lambda study, driver: driver.terminate(),
    "whole tree, TERM": lambda study, driver: kill_tree(study, driver, signal.SIGTERM),
    "driver, INT": lambda study, driver: driver.send_signal(signal.SIGINT),
    "the code, KILL": lambda study, driver: kill_one(study, driver, is_code),
}
#: What a driver ends with, by the end of the name of the kind.
EXIT_CODES = {"KILL": -signal.SIGKILL, "TERM": -signal.SIGTERM, " INT": -signal.SIGINT}
#: The kinds after which the driver goes on.
SURVIVED = ("worker, KILL", "the code, KILL")


def cases(seed: int, backends: tuple[str, ...] = BACKENDS) -> Iterator[Case]:
    """Yield cases without end: all backends, kinds and studies in turn, at random moments."""
    chance = random.Random(seed)
    pairs = [
        (backend, kind)
        for kind in KINDS
        for backend in backends
        if not (backend == "threads" and kind == "worker, KILL")
    ]
    for backend, kind in itertools.cycle(pairs):
        study = chance.choice(STUDIES)
        early = chance.random() < 0.15
        lines = -1 if early else chance.randrange(40 if study != "form" else 24)
        delay = chance.uniform(0.0, 1.0 if early else 0.1)
        option = "with-limits" if chance.random() < 0.3 else ""
        yield Case(backend, study, kind, option, lines, delay, chance.random() < 0.5)


class Cleaned(threading.Thread):
    """Wait until nothing of a run is left, and end what is left after that."""

    def __init__(self, mark: str, since: float) -> None:
        super().__init__(daemon=True)
        self.mark = mark
        self.since = since
        self.seconds = 0.0
        self.left: dict[int, str] = {}
        self.start()

    def run(self) -> None:
        """Wait."""
        wait_for(lambda: not living(self.mark), PATIENCE - (time.monotonic() - self.since), 0.05)
        self.seconds = time.monotonic() - self.since
        self.left = living(self.mark)
        send(list(self.left), signal.SIGKILL)


def run_to_end(study: Study, number: int) -> str:
    """Resume a study and return what went wrong, if anything did."""
    driver = study.start()
    try:
        code = driver.wait(LONGEST)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.wait()
        return f"run {number} did not end"
    return f"run {number} ended with {code}: {study.printed(number)[-2000:]}" if code else ""


def one_kill(folder: Path, case: Case, expected: str) -> Figures:
    """Kill a study, resume it, and count.

    Parameters
    ----------
    folder : path
        Of the study.
    case : Case
        What is killed, how and when.
    expected : str
        The bits of the result of a study that was not killed.
    """
    study = Study(folder, case)
    driver = study.start()
    wait_for_moment(study, driver)
    ended = driver.poll() is not None
    if not ended:
        KINDS[case.kind](study, driver)
    killed = time.monotonic()
    wrong = []
    try:
        driver.wait(PATIENCE if case.kind not in SURVIVED else LONGEST)
    except subprocess.TimeoutExpired:
        wrong.append("the driver did not end")
        driver.kill()
        driver.wait()
    if case.kind in SURVIVED:
        killed = time.monotonic()
    elif not ended and case.lines >= 0 and driver.returncode not in (0, EXIT_CODES[case.kind[-4:]]):
        wrong.append(f"the driver ended with {driver.returncode}: {study.printed(1)[-2000:]}")
    cleaned = Cleaned(study.marks[0], killed)
    stray: list[str] = []
    kept = len(study.failed(1))
    if not case.at_once:
        cleaned.join()
        # With nobody left, it is the resume that cleans up.
        if case.kind != "whole tree, KILL":
            stray += study.strays(kept)
    before = study.recorded(1)
    problem = run_to_end(study, 2)
    if problem:
        wrong.append(problem)
    cleaned.join()
    after = Cleaned(study.marks[1], time.monotonic())
    after.join()
    left = cleaned.left | after.left
    stray += study.strays(kept + len(study.failed(2)))
    stray += [name for name in os.listdir(folder / "stores") if name != "study.sqlite"]
    if study.result(2) != expected:
        wrong.append(f"the result is {study.result(2)!r} and not {expected!r}")
    first, second = study.started(1), study.started(2)
    again = (set(first) & set(second)) - before - study.failed(1)
    in_flight = N_CPUS if case.kind == "worker, KILL" else 0
    duplicated = max(0, len(first) - len(set(first)) - in_flight)
    duplicated += len(second) - len(set(second)) + max(0, len(again) - N_CPUS)
    if left:
        wrong.append(f"left: {left}")
    if stray:
        wrong.append(f"stray: {stray}")
    return Figures(
        len(before & set(second)),
        duplicated,
        len(left),
        len(set(stray)),
        len(again),
        cleaned.seconds,
        "; ".join(wrong),
    )


class Results:
    """Kills, one after the other, each in a folder of its own, and their figures."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.seed = seed
        self.all: list[tuple[Case, Figures]] = []
        self._expected: dict[str, str] = {}
        self._count = itertools.count()
        self._mutex = threading.Lock()

    def add(self, case: Case) -> Figures:
        """Kill once more."""
        with self._mutex:
            expected = self._result(case.study)
            folder = self.folder / f"kill-{next(self._count)}"
        figures = one_kill(folder, case, expected)
        self.all.append((case, figures))
        if not bad(figures):
            shutil.rmtree(folder)
        return figures

    def _result(self, study: str) -> str:
        """Return the result of a study that nobody kills."""
        if study not in self._expected:
            case = Case("serial", study, "", "in-memory", 0, 0.0, False)
            undisturbed = Study(self.folder / f"undisturbed-{study}", case)
            if problem := run_to_end(undisturbed, 1):
                raise RuntimeError(problem)
            self._expected[study] = undisturbed.result(1)
        return self._expected[study]

    def table(self) -> str:
        """Return the figures by backend and kind, as a table of reStructuredText."""
        rows = [(f"``{backend}``", lambda c, b=backend: c.backend == b) for backend in BACKENDS]
        rows += [(kind.replace(", INT", ", INT (Ctrl-C)"), lambda c, k=kind: c.kind == k) for kind in KINDS]
        rows += [("all", lambda c: True)]
        lines = [".. list-table::", "   :header-rows: 1", ""]
        titles = [
            "killed",
            "kills",
            "in flight, run again",
            "lost",
            "duplicated",
            "orphans",
            "stray folders",
            "clean after",
        ]
        for cells in [titles, *(self._row(title, chosen) for title, chosen in rows)]:
            lines += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(cells)]
        return "\n".join(lines)

    def _row(self, title: str, chosen: Callable[[Case], bool]) -> list[str]:
        """Return the cells of a row."""
        figures = [figures for case, figures in self.all if chosen(case)]
        sums = [
            sum(getattr(f, name) for f in figures)
            for name in ("again", "lost", "duplicated", "orphans", "stray")
        ]
        slowest = max([f.seconds for f in figures], default=0.0)
        return [title, str(len(figures)), *map(str, sums), f"{slowest:.1f} s"]


def bad(figures: Figures) -> bool:
    """Whether something is not as it should be."""
    return bool(figures.lost or figures.duplicated or figures.orphans or figures.stray or figures.wrong)


def main() -> int:
    """Kill, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", default="", help="of the kinds and backends, those with this word")
    parser.add_argument("--at-a-time", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="otwrap-kills-"))
    results = Results(folder, options.seed)
    wanted = (case for case in cases(options.seed) if options.only in f"{case.backend} {case.kind}")

    def kill(case: Case) -> None:
        figures = results.add(case)
        print(f"{'BAD' if bad(figures) else 'ok '} {case}\n    {figures}", flush=True)

    with ThreadPoolExecutor(options.at_a_time) as pool:
        list(pool.map(kill, itertools.islice(wanted, options.kills)))
    troubles = Counter(bad(figures) for _, figures in results.all)[True]
    print(f"\nseed {options.seed}, {options.kills} kills, {troubles} in trouble\n\n{results.table()}")
    if not troubles:
        shutil.rmtree(folder)
    return int(bool(troubles))


if __name__ == "__main__":
    sys.exit(main())
