"""The accounts of the tests' Slurm, so that `sacct` knows what has ended: slurmdbd in front of a MariaDB of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from engines import Missing, until

__all__ = ["CONFIG", "PIDS", "start_accounting"]

#: What Slurm has to know of it.
CONFIG = """
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.sock
"""

#: The daemons, each with a file of its number.
PIDS = ("slurmdbd", "mariadbd")

DAEMON = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port}
SlurmUser=root
PidFile={folder}/slurmdbd.pid
LogFile={folder}/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
"""

USER = """
create database slurm_acct;
create user slurm@localhost identified by 'slurm';
create user slurm@'127.0.0.1' identified by 'slurm';
grant all on slurm_acct.* to slurm@localhost;
grant all on slurm_acct.* to slurm@'127.0.0.1';
"""


def start_accounting(folder: Path, port: int, database: int) -> None:
    """Start the daemons; that of munge runs already, and SLURM_CONF names the configuration."""
    if not all(map(shutil.which, ("slurmdbd", "mariadbd", "mariadb-install-db"))):
        raise Missing(
            "no accounts for the tests' Slurm: as root, apt-get install "
            "slurmdbd slurm-wlm-mysql-plugin mariadb-server mariadb-client"
        )
    _start_database(folder, database)
    config = folder / "slurmdbd.conf"
    config.touch(mode=0o600)
    config.write_text(DAEMON.format(folder=folder, port=port, database=database))
    _run(folder, ["slurmdbd"])
    # It makes its tables first.
    assert until(lambda: _succeeds(["sacctmgr", "-i", "add", "cluster", "lab"])), _log(folder)


def _start_database(folder: Path, port: int) -> None:
    """Start a MariaDB with a user for slurmdbd."""
    data, socket = folder / "database", folder / "database.sock"
    data.mkdir()
    install = ["--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db"]
    _run(folder, ["mariadb-install-db", *install, "--auth-root-authentication-method=normal"])
    settings = {"datadir": data, "socket": socket, "pid-file": folder / "mariadbd.pid", "port": port}
    settings |= {"bind-address": "127.0.0.1", "innodb-buffer-pool-size": "64M", "user": "root"}
    # It has no way of its own to go to the background.
    command = ["mariadbd", "--no-defaults", *(f"--{name}={value}" for name, value in settings.items())]
    _run(folder, ["sh", "-c", 'setsid "$@" &', "sh", *command])
    client = ["mariadb", "--no-defaults", "--user=root", f"--socket={socket}", "--execute"]
    assert until(lambda: _succeeds([*client, "select 1"])), _log(folder)
    _run(folder, [*client, USER])


def _run(folder: Path, command: list[str]) -> None:
    """Run a command, or start a daemon."""
    with (folder / "accounting.log").open("a") as log:
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True)


def _succeeds(command: list[str]) -> bool:
    """Whether a command does what it should, yet."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _log(folder: Path) -> str:
    """Return what the daemons have to say."""
    return "\n".join(file.read_text()[-2000:] for file in folder.glob("*.log"))
