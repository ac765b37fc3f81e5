"""The program ``ssh``: how it is called, how a command is quoted for any login shell, what its refusals mean."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from ..errors import BackendUnavailable, SchedulerError

__all__ = [
    "LineBroken",
    "ask",
    "config_file",
    "from_home",
    "login_script",
    "quoted",
    "refusal",
    "run_program",
    "ssh_command",
]

#: A host key that is not known is refused, whatever the configuration says; nothing asks a person.
_OPTIONS = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "ConnectTimeout=30",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "LogLevel=ERROR",
    "RemoteCommand=none",
    "ClearAllForwardings=yes",
)
#: What ssh returns if it could not do its part.
_FAILED = 255


class LineBroken(SchedulerError):
    """There is no connection, or no longer: trying again may help."""


def config_file(ssh_config: str | os.PathLike[str] | None) -> str | None:
    """Return the file that ssh reads instead of the user's and the system's, if any."""
    name = os.fspath(ssh_config) if ssh_config is not None else os.environ.get("OTWRAP_SSH_CONFIG", "")
    if not name:
        return None
    path = os.path.abspath(os.path.expanduser(name))
    if not os.path.isfile(path):
        source = "ssh_config" if ssh_config is not None else "OTWRAP_SSH_CONFIG"
        msg = (
            f"{source}={name!r}: there is no such file; it is to be a configuration of ssh, as ~/.ssh/config"
        )
        raise FileNotFoundError(msg)
    return path


def ssh_command(ssh_config: str | None) -> list[str]:
    """Return how ssh is called, without the host."""
    program = shutil.which("ssh")
    if program is None:
        msg = "there is no program ssh here; install the OpenSSH client (apt-get install openssh-client)"
        raise BackendUnavailable(msg)
    file = [] if ssh_config is None else ["-F", ssh_config]
    return [program, *file, "-T", "-x", *(word for option in _OPTIONS for word in ("-o", option))]


def from_home(directory: str) -> str:
    """Return a directory as no program takes it for something else; what is relative, is so to the home folder."""
    return directory if directory.startswith("/") else f"./{directory}"


def quoted(word: str) -> str:
    """Return a word for a POSIX shell, if possible without the signs that other shells take differently."""
    if re.fullmatch(r"[\w%+,./:=@^-]+", word, re.ASCII):
        return word
    if not re.search(r"[$`\"\\'!\n]", word):
        return f'"{word}"'
    return "'" + word.replace("'", "'\"'\"'") + "'"


def login_script(script: str) -> str:
    """Return a script for ``sh`` as a command that every login shell understands, csh and fish too.

    In single quotes they differ in quotes, backslashes, exclamation marks and line ends only; a script with one of
    these goes as the octal numbers of its bytes.
    """
    if re.search(r"['\\!\n]", script) or not script.isascii():
        octal = "".join(f"\\{byte:03o}" for byte in os.fsencode(script))
        script = f'eval "$(printf "{octal}")"'
    return f"exec sh -c '{script}'"


def run_program(
    command: Sequence[str],
    *,
    given: bytes | None = None,
    folder: str | None = None,
    env: dict[str, str] | None = None,
    timeout: float | None = None,
) -> tuple[int, bytes, bytes]:
    """Run a program to its end; ended itself in order, it tidies up and keeps what has come."""
    stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
    with subprocess.Popen(
        command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=env
    ) as process:
        try:
            output, errors = process.communicate(given, timeout)
        except BaseException:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            raise
    return process.returncode, output, errors


def ask(
    login: str,
    script: str,
    ssh_config: str | None,
    *,
    given: bytes | None = None,
    timeout: float | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a script of ``sh`` on a host; raise if it could not be started, which is what the exit code 255 says."""
    command = [*ssh_command(ssh_config), "--", login, login_script(script)]
    # No window may come up and ask for what a terminal is not asked for.
    code, output, errors = run_program(
        command,
        given=given,
        env={**os.environ, "SSH_ASKPASS_REQUIRE": "never"},
        timeout=timeout,
    )
    said = errors.decode("utf-8", "replace")
    if code == _FAILED:
        raise refusal(login, said)
    return subprocess.CompletedProcess(command, code, output.decode("utf-8", "replace"), said)


def refusal(login: str, said: str) -> SchedulerError:
    """Return the error for what ssh has said, or rsync for it."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and set(line.strip()) != {"@"}]
    words = "; ".join(lines[-4:]) or "it said nothing"
    if "IDENTIFICATION HAS CHANGED" in said or "REVOKED HOST KEY" in said:
        return SchedulerError(
            f"{login} has another host key than the one known here: it was set up anew, or another machine answers "
            "in its place. Nothing was sent. Ask those who run it; if it is right, remove the old key with "
            f"`ssh-keygen -R HOST`, run `ssh {login}` once by hand and compare the fingerprint"
        )
    if "Host key verification failed" in said or "host key is known" in said:
        return SchedulerError(
            f"the host key of {login} is not known here, and an unknown one is never accepted ({words}). Nothing was "
            f"sent. Run `ssh {login}` once by hand, compare the fingerprint with the one that the site publishes, "
            "and answer yes; then try again"
        )
    if re.search(r"Permission denied \([a-z]|Too many authentication failures", said):
        return SchedulerError(
            f"{login} refuses the log-in ({words}). No password is asked for: put your key there (`ssh-copy-id "
            f"{login}`), load it (`ssh-add`), or keep a connection open (ControlMaster in ~/.ssh/config) where the "
            f"site wants more; `ssh -o BatchMode=yes {login} true` must work"
        )
    if "Could not resolve hostname" in said and "Temporary failure" not in said:
        msg = f"there is no host {login} ({words}); check the name, and the Host entries in ~/.ssh/config"
        return SchedulerError(msg)
    if (
        "Bad configuration option" in said
        or "Bad owner or permissions" in said
        or "Can't open user config" in said
    ):
        return SchedulerError(f"ssh cannot read its configuration: {words}")
    return LineBroken(f"no connection to {login}: {words}")
