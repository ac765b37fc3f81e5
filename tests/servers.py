"""Servers that the tests start on the loopback address: an sshd and a small Slurm, each in a folder of its own.

Both need root and are ended with their `with` block.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engines import Missing, until

__all__ = ["Sshd", "slurm", "sshd"]

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
"""

SLURM_CONFIG = """
ClusterName=lab
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
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
ReturnToService=2
KillWait=3
SchedulerParameters=sched_interval=2,sched_min_interval=50000,bf_interval=2,batch_sched_delay=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs={cpus} Boards=1 Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs={cpus} Boards=1 Sockets=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


class Sshd(NamedTuple):
    """What it takes to log in."""

    port: int
    key: str
    known_hosts: str


@contextmanager
def sshd() -> Iterator[Sshd]:
    """Run an sshd for the current user, with keys of its own."""
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
        (folder / "config").write_text(SSHD_CONFIG.format(folder=folder, port=port))
        Path("/run/sshd").mkdir(exist_ok=True)
        process = subprocess.Popen([server, "-D", "-f", folder / "config", "-E", folder / "log"])
        try:
            assert until(lambda: (folder / "sshd.pid").exists()), (folder / "log").read_text()
            yield Sshd(port, str(folder / "id"), str(folder / "known_hosts"))
        finally:
            process.terminate()
            process.wait()


@contextmanager
def slurm(cpus: int = 2) -> Iterator[Path]:
    """Run a Slurm of two nodes, both of them this machine; its commands find it."""
    programs = ("munged", "slurmctld", "slurmd", "sbatch")
    if os.getuid() != 0 or not all(map(shutil.which, programs)):
        raise Missing("no Slurm that the tests may start: as root, apt-get install munge slurm-wlm")
    with _folder("slurm") as folder:
        port, first, second = _free_ports(3)
        host = socket.gethostname().partition(".")[0]
        for name in ("state", "spool/n1", "spool/n2"):
            (folder / name).mkdir(parents=True)
        config = folder / "slurm.conf"
        config.write_text(
            SLURM_CONFIG.format(folder=folder, host=host, port=port, first=first, second=second, cpus=cpus)
        )
        # Read even where control groups are not used.
        (folder / "cgroup.conf").write_text("CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n")
        before = os.environ.get("SLURM_CONF")
        os.environ["SLURM_CONF"] = str(config)
        try:
            _start_munge(folder)
            _run(["slurmctld", "-f", config])
            for node in ("n1", "n2"):
                _run(["slurmd", "-N", node, "-f", config])
            assert until(lambda: _idle_nodes() == 2), (folder / "slurmctld.log").read_text()[-2000:]
            yield folder
            _run(["scancel", "--user", "root"])
            until(lambda: not _output(["squeue", "-h"]), 10)
        finally:
            for name in ("slurmd.n1", "slurmd.n2", "slurmctld", "munged"):
                _end(folder / f"{name}.pid")
            os.environ.pop("SLURM_CONF")
            if before is not None:
                os.environ["SLURM_CONF"] = before


def _start_munge(folder: Path) -> None:
    """Start the daemon by which the parts of Slurm know each other."""
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(128))
    files = {"key-file": key, "socket": folder / "munge.sock", "pid-file": folder / "munged.pid"}
    files |= {"log-file": folder / "munged.log", "seed-file": folder / "munged.seed"}
    _run(["munged", "--force", *(f"--{name}={path}" for name, path in files.items())])


def _idle_nodes() -> int:
    """Return how many nodes are ready."""
    return len(_output(["sinfo", "-h", "-N", "-p", "main", "-t", "idle", "-o", "%N"]).split())


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


def _end(pid_file: Path) -> None:
    """End a daemon, which takes its time if it is asked to."""
    with contextlib.suppress(OSError, ValueError):
        os.kill(int(pid_file.read_text()), signal.SIGKILL)


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
