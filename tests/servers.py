"""Servers that the tests start on the loopback address: an sshd and a small Slurm, each in a folder of its own.

Both need root and are ended with their `with` block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from accounting import CONFIG, PIDS, start_accounting
from engines import Missing, until
from processes import environment, kill, processes, program, with_children

__all__ = ["Slurm", "Sshd", "slurm", "sshd"]

SSHD_CONFIG = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
PidFile {folder}/sshd.pid
AuthorizedKeysFile {folder}/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
MaxStartups 100
Subsystem sftp internal-sftp
"""

#: What a user has in ~/.ssh/config, for the host "cluster".
SSH_CONFIG = """
Host cluster
    HostName 127.0.0.1
    Port {port}
    HostKeyAlias [127.0.0.1]:{port}
    IdentityFile {folder}/id
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known_hosts
    GlobalKnownHostsFile /dev/null
"""

SLURM_CONFIG = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock,cred_expire={requeue_wait}
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SwitchType=switch/none
MpiDefault=none
ReturnToService=1
KillWait=3
SlurmdTimeout=30
MinJobAge=300
MaxArraySize={max_array_size}
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/jobcomp.txt
SchedulerParameters=sched_interval=1,sched_min_interval=50000,bf_interval=1,batch_sched_delay=0,default_queue_depth=1000
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs={cpus} Boards=1 Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs={cpus} Boards=1 Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
PartitionName=short Nodes=n[1-2] MaxTime=00:10:00 State=UP OverSubscribe=NO
"""


class Sshd(NamedTuple):
    """What it takes to log in."""

    port: int
    key: str
    known_hosts: str
    #: A configuration of ssh in which this server is the host "cluster".
    config: str


@contextmanager
def sshd(*settings: str) -> Iterator[Sshd]:
    """Run an sshd for the current user, with keys of its own, and perhaps further lines of configuration."""
    server = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
    if server is None or shutil.which("ssh-keygen") is None or os.getuid() != 0:
        raise Missing(
            "no sshd that the tests may start: as root, apt-get install openssh-server openssh-client"
        )
    with _folder("sshd") as folder:
        (port,) = _free_ports(1)
        for name in ("host", "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
        (folder / "authorized_keys").write_text((folder / "id.pub").read_text())
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {(folder / 'host.pub').read_text()}")
        config = "\n".join([SSHD_CONFIG.format(folder=folder, port=port), *settings, ""])
        (folder / "config").write_text(config)
        (folder / "ssh_config").write_text(SSH_CONFIG.format(folder=folder, port=port))
        Path("/run/sshd").mkdir(exist_ok=True)
        process = subprocess.Popen([server, "-D", "-f", folder / "config", "-E", folder / "log"])
        try:
            assert until(lambda: (folder / "sshd.pid").exists()), (folder / "log").read_text()
            names = ("id", "known_hosts", "ssh_config")
            yield Sshd(port, *(str(folder / name) for name in names))
        finally:
            process.terminate()
            process.wait()


class Slurm:
    """A running Slurm of the nodes n1 and n2, and what its commands cannot do to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "slurm.conf"

    def node_down(self, node: str) -> None:
        """Have an administrator set a node down: its jobs are killed there, and wait again."""
        _run(["scontrol", "update", f"nodename={node}", "state=down", "reason=test"])

    def node_up(self, node: str) -> None:
        """Have an administrator set a node up again, and wait until it takes jobs."""
        # What is up already refuses to be set so.
        resume = ["scontrol", "update", f"nodename={node}", "state=resume"]
        assert until(lambda: self.is_ready(node) or (_output(resume) and False)), self.log()

    def crash(self, node: str) -> None:
        """Take a node away with all that runs on it, as a power cut does.

        The controller notices it after some 45 s, or at once if `node_down` says so.
        """
        assert until(lambda: not kill(self._all(node))), self.log()

    def crash_controller(self) -> None:
        """Take the controller away: nobody answers `sbatch`, `squeue` and `scancel`, while jobs go on."""
        kill(_read_pids(self.folder / "slurmctld.pid"))

    def start_controller(self) -> None:
        """Start the controller, for the first time or again with all that it knew, and wait until it answers."""
        _run(["slurmctld", "-f", self.config])
        assert until(lambda: _output(["sinfo", "-h"])), self.log()

    def start_node(self, node: str) -> None:
        """Start a node, for the first time or again, and wait until it takes jobs."""
        _run(["slurmd", "-N", node, "-f", self.config])
        self.node_up(node)

    def is_ready(self, node: str) -> bool:
        """Whether a node takes jobs, or has some."""
        state = _output(["sinfo", "-h", "-N", "-p", "main", "-n", node, "-o", "%T"]).strip()
        return state in ("idle", "mixed", "allocated")

    def pids(self, job: str, task: int | None = None) -> list[int]:
        """Return the processes of a job, or of one of its tasks, that are alive; its step daemons are not among them."""
        if task is None:
            wanted = [{f"SLURM_JOB_ID={job}"}, {f"SLURM_ARRAY_JOB_ID={job}"}]
        else:
            wanted = [{f"SLURM_ARRAY_JOB_ID={job}", f"SLURM_ARRAY_TASK_ID={task}"}]
        return [pid for pid in self._jobs() if any(some <= environment(pid) for some in wanted)]

    def step_daemons(self, node: str) -> list[int]:
        """Return those who watch over the jobs of a node; they outlive its slurmd."""
        log = str(self.folder / f"slurmd.{node}.log")
        return [
            pid for pid in processes() if program(pid).startswith("slurmstepd") and log in _open_files(pid)
        ]

    def log(self) -> str:
        """Return what the daemons have to say."""
        return "\n".join(file.read_text()[-2000:] for file in self.folder.glob("*.log"))

    def end(self) -> None:
        """End the daemons, and what is left of jobs."""
        for name in ("slurmd.n1", "slurmd.n2", "slurmctld", *PIDS, "munged"):
            # They take their time if they are asked to end.
            kill(_read_pids(self.folder / f"{name}.pid"))
        until(lambda: not kill({*self._all("n1"), *self._all("n2")}))

    def _all(self, node: str) -> set[int]:
        """Return all processes of a node."""
        daemon = [
            pid for pid in _read_pids(self.folder / f"slurmd.{node}.pid") if program(pid).startswith("slurmd")
        ]
        jobs = {pid for pid in self._jobs() if f"SLURMD_NODENAME={node}" in environment(pid)}
        return with_children({*daemon, *self.step_daemons(node), *jobs})

    def _jobs(self) -> list[int]:
        """Return the processes of all jobs."""
        config = f"SLURM_CONF={self.config}"
        return [
            pid
            for pid in processes()
            if {config} <= environment(pid) and not program(pid).startswith("slurm")
        ]


@contextmanager
def slurm(
    cpus: int = 2, *, max_array_size: int = 1001, requeue_wait: int = 5, accounting: bool = False
) -> Iterator[Slurm]:
    """Run a Slurm of two nodes, both of them this machine; its commands find it.

    A job whose node is lost waits for `requeue_wait` seconds before it may start again: five at least,
    120 by default elsewhere.
    With `accounting`, `sacct` works.
    """
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.getuid() != 0 or not all(map(shutil.which, programs)):
        raise Missing("no Slurm that the tests may start: as root, apt-get install munge slurm-wlm")
    with _folder("slurm") as folder, pytest.MonkeyPatch.context() as patch:
        port, first, second, *accounts = _free_ports(5)
        settings = {"folder": folder, "host": socket.gethostname().partition(".")[0], "cpus": cpus}
        settings |= {"port": port, "first": first, "second": second}
        settings |= {"max_array_size": max_array_size, "requeue_wait": requeue_wait}
        for name in ("state", "spool/n1", "spool/n2"):
            (folder / name).mkdir(parents=True)
        cluster = Slurm(folder)
        text = SLURM_CONFIG.format(**settings)
        if accounting:
            text += CONFIG.format(folder=folder, port=accounts[0])
        cluster.config.write_text(text)
        # Read even where control groups are not used.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        patch.setenv("SLURM_CONF", str(cluster.config))
        try:
            _start_munge(folder)
            if accounting:
                start_accounting(folder, *accounts)
            cluster.start_controller()
            for node in ("n1", "n2"):
                cluster.start_node(node)
            yield cluster
            # Commands that find no controller try for a quarter of a minute.
            if _alive(folder / "slurmctld.pid"):
                _output(["scancel", "--user", "root"])
                until(lambda: not _output(["squeue", "-h"]), 10)
        finally:
            cluster.end()


def _start_munge(folder: Path) -> None:
    """Start the daemon by which the parts of Slurm know each other."""
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    files = {"key-file": key, "socket": folder / "munge.sock", "pid-file": folder / "munged.pid"}
    files |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    _run(["munged", "--force", *(f"--{name}={path}" for name, path in files.items())])


def _run(command: list[object]) -> None:
    """Start a daemon, or run a command."""
    subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _output(command: list[str]) -> str:
    """Return what a command prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _read_pids(pid_file: Path) -> list[int]:
    """Return the number of the process that a daemon has written down, or nothing."""
    try:
        return [int(pid_file.read_text())]
    except (OSError, ValueError):
        return []


def _alive(pid_file: Path) -> bool:
    """Whether a daemon runs."""
    return any(program(pid).startswith("slurm") for pid in _read_pids(pid_file))


def _open_files(pid: int) -> set[str]:
    """Return the names of the files that a process has open."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        return {os.readlink(f"{folder}/{name}") for name in os.listdir(folder)}
    return set()


@contextmanager
def _folder(name: str) -> Iterator[Path]:
    """Make a folder, short enough for sockets, that root alone may write to."""
    folder = Path(tempfile.mkdtemp(prefix=f"otwrap-tests-{name}-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_ports(number: int) -> list[int]:
    """Return ports of the loopback address that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports
