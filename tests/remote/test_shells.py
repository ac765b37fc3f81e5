"""Commands here, and through an ssh that runs them here: nothing of the real network is needed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otwrap import SchedulerError
from otwrap.remote import Place, RemoteShell, Shell, shell_of

#: Words that one shell or another takes for something else.
ODD = [
    "a b",
    "a'b",
    'a"b',
    "$HOME",
    "`id`",
    "a\\nb",
    "!!",
    "*",
    "a\nb",
    "~",
    "",
    "é",
    "-n",
    "{x}",
    "%d",
    "a;b&c|d<e>f#",
]


@pytest.fixture
def far_away(
    tmp_path: Path, fake_program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Return the home folder of a host that an ssh leads to which only runs the last of its arguments."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.delenv("OTWRAP_SSH_CONFIG", raising=False)
    script = (
        f'for last; do :; done\nHOME={home}; export HOME\ncd "$HOME"\nexec ${{LOGIN_SHELL-sh}} -c "$last"'
    )
    fake_program("ssh", script)
    return home


def test_output_and_code_are_returned(tmp_path: Path) -> None:
    """A command's exit code is no error, and its output is text, whatever its bytes."""
    program = "import sys; sys.stdout.buffer.write(b'\\xff!'); print('e', file=sys.stderr); sys.exit(3)"
    ended = Shell().run([sys.executable, "-c", program], tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "\ufffd!", "e\n")


def test_a_command_reads_nothing(tmp_path: Path) -> None:
    """Without a file, standard input is empty: nothing waits for the keyboard."""
    ended = Shell().run([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"], tmp_path)
    assert ended.stdout == "''\n"


def test_a_command_reads_a_file_of_the_folder(tmp_path: Path) -> None:
    """Standard input is a file relative to the folder, for `bsub < script`."""
    (tmp_path / "script.sh").write_text("work")
    reads = [sys.executable, "-c", "import sys, os; print(sys.stdin.read(), os.getcwd())"]
    assert Shell().run(reads, tmp_path, stdin="script.sh").stdout == f"work {tmp_path}\n"


def test_what_is_missing_here_is_named(tmp_path: Path) -> None:
    """A missing program, folder or input file is a SchedulerError with its name."""
    with pytest.raises(SchedulerError, match="no-such-program cannot be run on this machine"):
        Shell().run(["no-such-program"], tmp_path)
    with pytest.raises(SchedulerError, match="no such folder"):
        Shell().run(["true"], tmp_path / "nowhere")
    with pytest.raises(SchedulerError, match=r"cannot read .*nothing\.sh"):
        Shell().run(["true"], tmp_path, stdin="nothing.sh")


def test_a_command_has_a_time_limit(tmp_path: Path) -> None:
    """A command that does not end in time is a SchedulerError."""
    with pytest.raises(SchedulerError, match="has not answered in 0.2 s"):
        Shell().run([sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, timeout=0.2)


def test_shell_of() -> None:
    """Without a host it is this machine; a place is as good as host and directory."""
    assert type(shell_of(None)) is Shell and type(shell_of("")) is Shell
    for shell in (shell_of("me@cluster", "runs"), shell_of(Place("cluster", "runs", "me"))):
        assert isinstance(shell, RemoteShell) and str(shell.place) == "me@cluster:runs"


@pytest.mark.parametrize("login_shell", ["sh", "bash", "dash", "csh", "tcsh", "fish", "zsh", "ksh"])
def test_any_login_shell_passes_arguments_on(
    far_away: Path, login_shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arguments arrive as they are through every login shell, and so does the folder's name."""
    if shutil.which(login_shell) is None:
        pytest.skip(f"there is no {login_shell}")
    monkeypatch.setenv("LOGIN_SHELL", login_shell)
    (far_away / "it's a $HOME" / "jobs").mkdir(parents=True)
    (far_away / "it's a $HOME" / "jobs" / "in put").write_text("given")
    told = "import sys, os; print([os.getcwd(), sys.stdin.read(), *sys.argv[1:]])"
    shell = RemoteShell("cluster", "it's a $HOME")
    ended = shell.run([sys.executable, "-c", told, *ODD], "not looked at", stdin="jobs/in put")
    assert (ended.stderr, ended.stdout) == (
        "",
        f"{[str(far_away / shell.place.directory), 'given', *ODD]!r}\n",
    )


def test_a_plain_command_can_be_read_in_a_log(far_away: Path) -> None:
    """Where nothing is odd, what ssh is told can be read by a person."""
    (far_away / "runs").mkdir()
    ended = RemoteShell("cluster", "runs").run(["echo", "a b"])
    assert ended.stdout == "a b\n" and 'echo "a b" </dev/null' in ended.args[-1]


@pytest.mark.parametrize("code", [0, 1, 7, 97, 127, 254, 255])
def test_exit_codes_come_through(far_away: Path, code: int) -> None:
    """Each exit code is the command's, also those by which ssh and we tell of ourselves."""
    ended = RemoteShell("cluster", ".").run(["sh", "-c", f"echo out; echo err >&2; exit {code}"])
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, "out\n", "err\n")


def test_what_is_missing_there_is_named(far_away: Path) -> None:
    """A missing program, folder or input file there is a SchedulerError with its name and the host."""
    (far_away / "runs").mkdir()
    with pytest.raises(SchedulerError, match=r"cluster has no folder 'nowhere'.*otwrap push cluster:nowhere"):
        RemoteShell("cluster", "nowhere").run(["true"])
    with pytest.raises(SchedulerError, match="me@cluster has no program 'no-such-sbatch'"):
        RemoteShell("me@cluster", "runs").run(["no-such-sbatch", "x"])
    with pytest.raises(SchedulerError, match="cluster:runs has no file 'x.sh'"):
        RemoteShell("cluster", "runs").run(["true"], stdin="x.sh")


def test_a_program_that_only_a_log_in_finds(far_away: Path) -> None:
    """Where a site puts its commands in the PATH at log-in only, they are found; what the profile prints is not seen."""
    (far_away / "site").mkdir()
    program = far_away / "site" / "site-sbatch"
    program.write_text("#!/bin/sh\necho submitted in $(pwd)\n")
    program.chmod(0o755)
    (far_away / ".profile").write_text('echo welcome; cd /; PATH="$PATH:$HOME/site"\n')
    (far_away / "runs").mkdir()
    assert RemoteShell("cluster", "runs").run(["site-sbatch"]).stdout == f"submitted in {far_away}/runs\n"


SAID = {
    "No ED25519 host key is known for cluster and you have requested strict checking.\nHost key verification failed.": (
        "host key of cluster is not known here.*`ssh cluster` once by hand, compare the fingerprint"
    ),
    "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\n@@@\nHost key verification failed.": (
        "another host key than the one known here.*another machine answers.*ssh-keygen -R"
    ),
    "me@cluster: Permission denied (publickey,password).": "refuses the log-in.*ssh-copy-id",
    "ssh: Could not resolve hostname cluster: Name or service not known": "there is no host cluster.*check the name",
    "ssh: Could not resolve hostname cluster: Temporary failure in name resolution": "no connection to cluster",
    "ssh: connect to host cluster port 22: Connection refused": "no connection to cluster: .*Connection refused",
    "": "no connection to cluster: it said nothing",
    "config: line 1: Bad configuration option: x\nconfig: terminating, 1 bad configuration options": (
        "ssh cannot read its configuration"
    ),
}


@pytest.mark.parametrize("said", SAID)
def test_refusals_say_what_to_do(
    said: str, fake_program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ssh refuses is a SchedulerError that says what to do about it."""
    monkeypatch.setenv("SAID", said)
    fake_program("ssh", 'printf "%s\\n" "$SAID" >&2; exit 255')
    with pytest.raises(SchedulerError, match=SAID[said]):
        RemoteShell("cluster", "runs").run(["true"])


def test_host_keys_are_checked(
    tmp_path: Path, fake_program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ssh is told to refuse unknown hosts and to ask nobody, and reads the file that is named."""
    config = tmp_path / "my config"
    config.write_text("")
    fake_program("ssh", 'printf "%s\\n" "$@" >&2; exit 1')
    monkeypatch.setenv("OTWRAP_SSH_CONFIG", str(config))
    by_variable = RemoteShell("cluster", "runs").run(["true"]).stderr.splitlines()
    monkeypatch.delenv("OTWRAP_SSH_CONFIG")
    by_name = RemoteShell("cluster", "runs", ssh_config=config).run(["true"]).stderr.splitlines()
    assert by_name == by_variable
    assert {"StrictHostKeyChecking=yes", "BatchMode=yes"} <= set(by_name)
    assert by_name[by_name.index("-F") + 1] == str(config)
    assert "-F" not in RemoteShell("cluster", "runs").run(["true"]).stderr.splitlines()


def test_a_configuration_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A configuration that is named and missing is an error: ssh would quietly do without."""
    monkeypatch.setenv("OTWRAP_SSH_CONFIG", os.fspath(tmp_path / "nothing"))
    with pytest.raises(FileNotFoundError, match="OTWRAP_SSH_CONFIG="):
        RemoteShell("cluster", "runs")


def test_a_host_that_hangs_is_given_up(fake_program: Callable[[str, str], Path]) -> None:
    """A time limit holds for a command there, too."""
    fake_program("ssh", "exec sleep 60")
    with pytest.raises(SchedulerError, match="squeue has not answered from cluster in 0.2 s"):
        RemoteShell("cluster", "runs").run(["squeue"], timeout=0.2)
