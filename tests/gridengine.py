"""A Grid Engine of one node that the tests start, as root, in a folder and in namespaces of its own.

Its daemons listen on every interface and take the names of machines from the system. So they see a network that has
the loopback address only, are on a machine of the name n1, and are ended with everything that they have started.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from engines import Missing, until
from processes import environment, kill, parent, processes, program

__all__ = ["GridEngine", "gridengine"]

#: Where Debian puts the programs, and what a fresh cell is made from.
PROGRAMS = Path("/usr/lib/gridengine")
DEFAULTS = Path("/usr/share/gridengine")

#: What a daemon of the system has.
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

#: The commands that users type.
COMMANDS = (
    "qacct",
    "qalter",
    "qconf",
    "qdel",
    "qhold",
    "qhost",
    "qmod",
    "qresub",
    "qrls",
    "qselect",
    "qstat",
    "qsub",
)

#: The first process: it ends, and all others with it, when the tests have ended, however they did.
FIRST = """
import os, select, sys
open(sys.argv[1], "w").close()
while not select.select([sys.stdin], [], [], 0.1)[0]:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""

HOST = """\
hostname n1
load_scaling NONE
complex_values slots={slots}
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""

PARALLEL = """\
pe_name smp
slots 999
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary FALSE
qsort_args NONE
"""

#: What is not as the templates have it. That the queue ignores the first line of a script is what most sites have.
QUEUE = {
    "hostlist": "n1",
    "load_thresholds": "NONE",
    "pe_list": "smp",
    "rerun": "TRUE",
    "slots": "{slots}",
    "notify": "00:00:05",
}
SCHEDULER = {
    "schedule_interval": "0:0:1",
    "flush_submit_sec": "1",
    "flush_finish_sec": "1",
    "job_load_adjustments": "NONE",
}
GLOBAL = {
    "execd_spool_dir": "{folder}/execd",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:02",
    "max_unheard": "00:00:30",
    "reporting_params": "accounting=true reporting=false flush_time=00:00:01 joblog=false sharelog=00:00:00",
}


class GridEngine:
    """A running cell, and what its commands cannot do to it.

    It has the queues main.q and short.q (ten minutes) and the parallel environment smp.
    """

    def __init__(self, folder: Path, first: int) -> None:
        self.folder = folder
        self.first = first

    def run(self, program: str, *arguments: object) -> str:
        """Run a program of the Grid Engine where its daemons are; return what it prints."""
        done = self._try(program, *arguments)
        assert done.returncode == 0, f"{program} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def start_master(self) -> None:
        """Start the daemon that knows the jobs, for the first time or again, and wait until it answers."""
        self.run("sge_qmaster")
        assert until(lambda: self._try("qconf", "-sh").returncode == 0), self.log()

    def pids(self, job: str, task: int | None = None) -> list[int]:
        """Return the processes of a job, or of one of its tasks, that are alive; shepherds are not among them."""
        wanted = {f"JOB_ID={job}"} | ({f"SGE_TASK_ID={task}"} if task is not None else set())
        return [pid for pid in self._all() if wanted <= environment(pid) and program(pid) != "sge_shepherd"]

    def shepherds(self) -> list[int]:
        """Return those who watch over the jobs; without its own, a job is taken for dead, and goes on."""
        return [pid for pid in self._all() if program(pid) == "sge_shepherd"]

    def crash(self) -> None:
        """Take the node away with all that runs on it, as a power cut does."""
        assert until(lambda: not kill(pid for pid in self._all() if program(pid) != "sge_qmaster"))

    def lose_track(self) -> None:
        """Set the node up anew: it knows nothing of its jobs, which live on."""
        kill(pid for pid in self._all() if program(pid) in ("sge_execd", "sge_shepherd"))
        for name in ("active_jobs", "jobs", "job_scripts"):
            shutil.rmtree(self.folder / "execd" / "n1" / name)
        self.start_node()

    def start_node(self) -> None:
        """Start the node unless it runs, and wait until it takes jobs."""
        if not any(program(pid) == "sge_execd" for pid in self._all()):
            self.run("sge_execd")
        assert until(self._is_ready), self.log()

    def log(self) -> str:
        """Return what the daemons have to say."""
        return "\n".join(file.read_text()[-2000:] for file in self.folder.rglob("messages"))

    def _try(self, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a program, however it ends."""
        return subprocess.run(
            [*_entrance(self.folder, self.first), "/", PROGRAMS / program, *map(str, arguments)],
            # A job of a Grid Engine inherits the environment of its daemon, which has not that of the tests.
            env={"PATH": SYSTEM_PATH, "LD_LIBRARY_PATH": str(PROGRAMS)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _is_ready(self) -> bool:
        """Whether the node has reported, and nothing speaks against it."""
        lines = [line.split() for line in self.run("qstat", "-f").splitlines()]
        return any(line[0] == "main.q@n1" and len(line) == 5 and line[4] != "-NA-" for line in lines)

    def _all(self) -> list[int]:
        """Return all processes of the cell but the first."""
        here = _namespace(self.first)
        return [pid for pid in processes() if _namespace(pid) == here and pid != self.first]


@contextmanager
def gridengine(slots: int = 4) -> Iterator[GridEngine]:
    """Run a Grid Engine; its commands, put in front of the PATH, find it."""
    if os.getuid() != 0 or not all(
        (PROGRAMS / name).exists() for name in ("sge_qmaster", "sge_execd", "qsub")
    ):
        raise Missing(
            "no Grid Engine that the tests may start: as root, "
            "apt-get install gridengine-master gridengine-exec gridengine-client"
        )
    folder = Path(tempfile.mkdtemp(prefix="otwrap-tests-sge-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        _make_cell(folder)
        with _namespaces(folder) as first, pytest.MonkeyPatch.context() as patch:
            cell = GridEngine(folder, first)
            _fill_database(cell)
            cell.start_master()
            _configure(cell, slots)
            cell.start_node()
            _make_commands(cell)
            patch.setenv("PATH", f"{folder / 'commands'}{os.pathsep}{os.environ['PATH']}")
            yield cell
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_cell(folder: Path) -> None:
    """Write what a cell needs before its database is there."""
    for name in ("default/common", "qmaster/job_scripts", "execd", "database", "commands"):
        (folder / name).mkdir(parents=True)
    for name in ("bin", "lib", "utilbin", "util"):
        (folder / name).symlink_to(Path("/var/lib/gridengine") / name)
    settings = {
        "admin_user": "root",
        "spooling_params": "{folder}/database",
        "qmaster_spool_dir": "{folder}/qmaster",
        "binary_path": str(PROGRAMS),
    }
    bootstrap = (DEFAULTS / "default-bootstrap").read_text()
    (folder / "default/common/bootstrap").write_text(_changed(bootstrap, settings, folder=folder))
    (folder / "default/common/act_qmaster").write_text("n1\n")
    architecture = subprocess.run([DEFAULTS / "util/arch"], capture_output=True, text=True, check=True).stdout
    (folder / "architecture").write_text(architecture)
    (folder / "hosts").write_text("127.0.0.1 n1 localhost\n")


@contextmanager
def _namespaces(folder: Path) -> Iterator[int]:
    """Keep namespaces with a first process in them, whose number is yielded; end all that is in them."""
    enter = f"hostname n1 && ip link set lo up && mount --bind {folder}/hosts /etc/hosts"
    unshare = ["unshare", "-n", "-u", "-m", "-p", "--fork", "--mount-proc", "--propagation", "slave"]
    first = [sys.executable, "-I", "-S", "-c", FIRST, str(folder / "started")]
    with (folder / "namespaces.log").open("w") as log:
        keeper = subprocess.Popen(
            [*unshare, "sh", "-c", f'{enter} && exec "$@"', "sh", *first],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with keeper:
        try:
            until(lambda: (folder / "started").exists() or keeper.poll() is not None)
            if keeper.poll() is not None:
                raise Missing(f"no namespaces on this machine: {(folder / 'namespaces.log').read_text()}")
            (inside,) = _children(keeper.pid)
            yield inside
        finally:
            # The first process is gone when all others are, and then the keeper ends by itself.
            if not kill(_children(keeper.pid)):
                keeper.kill()


def _children(pid: int) -> list[int]:
    """Return what a process has started."""
    return [child for child in processes() if parent(child) == pid]


def _entrance(folder: Path, first: int) -> list[str]:
    """Return the words, the folder to be in being the next one, that let a command run where the daemons are."""
    variables = {
        "SGE_ROOT": folder,
        "SGE_CELL": "default",
        "SGE_ARCH": (folder / "architecture").read_text().strip(),
        "SGE_QMASTER_PORT": 6444,
        "SGE_EXECD_PORT": 6445,
    }
    enter = ["nsenter", "-t", str(first), "-n", "-u", "-m", "-p"]
    there = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh"]
    return ["env", *(f"{name}={value}" for name, value in variables.items()), *enter, *there]


def _make_commands(cell: GridEngine) -> None:
    """Write the commands that enter the namespaces by themselves."""
    entrance = shlex.join(_entrance(cell.folder, cell.first))
    for name in COMMANDS:
        command = cell.folder / "commands" / name
        command.write_text(f'#!/bin/sh\nexec {entrance} "$PWD" {PROGRAMS / name} "$@"\n')
        command.chmod(0o755)


def _fill_database(cell: GridEngine) -> None:
    """Make the database of a cell, as Debian does for a fresh one."""
    configuration = cell.folder / "configuration"
    template = (DEFAULTS / "default-configuration").read_text()
    configuration.write_text(_changed(template, GLOBAL, folder=cell.folder))
    cell.run("spoolinit", "berkeleydb", "libspoolb", cell.folder / "database", "init")
    cell.run("spooldefaults", "configuration", configuration)
    for kind, name in {"complexes": "centry", "usersets": "usersets"}.items():
        cell.run("spooldefaults", kind, DEFAULTS / "util/resources" / name)
    cell.run("spooldefaults", "managers", "root")


def _configure(cell: GridEngine, slots: int) -> None:
    """Tell the master of its node and queues, and to start jobs without delay."""
    file = cell.folder / "object"

    def add(show: str, add: str, changes: dict[str, str]) -> None:
        file.write_text(_changed(cell.run("qconf", *show.split()), changes, slots=slots))
        cell.run("qconf", add, file)

    add("-ssconf", "-Msconf", SCHEDULER)
    cell.run("qconf", "-as", "n1")
    file.write_text(HOST.format(slots=slots))
    cell.run("qconf", "-Ae", file)
    file.write_text(PARALLEL)
    cell.run("qconf", "-Ap", file)
    add("-sq", "-Aq", QUEUE | {"qname": "main.q"})
    add("-sq", "-Aq", QUEUE | {"qname": "short.q", "h_rt": "00:10:00"})


def _changed(template: str, changes: dict[str, str], **values: object) -> str:
    """Return lines of names and values, some of them changed."""
    for name, value in changes.items():
        line = f"{name} {value.format(**values)}"
        template, number = re.subn(rf"^{name}\s.*", lambda _, line=line: line, template, flags=re.MULTILINE)
        assert number == 1, f"no {name} in {template}"
    return template


def _namespace(pid: int) -> str:
    """Return which processes a process sees, or "" if it has ended."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""
