"""There and back through a real sshd: lines that are cut, drivers that are killed, keys that are not known."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
from engines import Missing, until
from lines import Line
from servers import Sshd, sshd

from otwrap import SchedulerError
from otwrap.remote import RESULTS, Place, RemoteShell, pull, push, transfer

pytestmark = pytest.mark.services

WAYS = ("rsync", "sftp")
MB = 1 << 20
#: Of a file that takes a while, and after how much of it the line is cut.
SIZE, CUT = 12 * MB, 8 * MB
#: What comes along beside the file: log-ins, lists of files, what was on its way; SFTP asks again for a megabyte.
BESIDE = 2 * MB


class Far(NamedTuple):
    """A host, the line to it, the folder there, and how ssh finds it."""

    line: Line
    folder: Path
    config: Path
    server: Sshd

    @property
    def place(self) -> Place:
        return Place("cluster", str(self.folder))


@pytest.fixture(scope="module")
def server(need_for_module: Callable[[bool, str], None]) -> Iterator[Sshd]:
    """An sshd on the loopback address."""
    with ExitStack() as stack:
        try:
            yield stack.enter_context(sshd())
        except Missing as missing:
            need_for_module(False, str(missing))


@pytest.fixture(scope="module")
def need_for_module() -> Callable[[bool, str], None]:
    """Skip what is not there, unless CI requires it."""

    def need(found: bool, reason: str) -> None:
        if not found:
            (pytest.fail if os.environ.get("OTWRAP_REQUIRE_SERVICES") == "1" else pytest.skip)(reason)

    return need


@pytest.fixture(autouse=True)
def with_both_means(need: Callable[[bool, str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """See that both means are there."""
    need(shutil.which("rsync") is not None, "there is no rsync: apt-get install rsync")
    found = subprocess.run([sys.executable, "-c", "import asyncssh"], capture_output=True, check=False)
    need(found.returncode == 0, "there is no asyncssh: pip install 'otwrap[ssh]'")
    monkeypatch.setattr(transfer, "_PAUSE", 0.05)


@pytest.fixture(autouse=True)
def no_stray_errors(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Check that nothing is left behind that prints an error when it is cleared away."""
    yield
    gc.collect()
    records = [record for phase in ("call", "teardown") for record in caplog.get_records(phase)]
    assert [record.getMessage() for record in records if record.name == "asyncio"] == []


@pytest.fixture
def far(server: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Far]:
    """Return a host behind a line that can be cut."""
    line = Line(server.port)
    config = tmp_path / "ssh config"
    text = Path(server.config).read_text()
    config.write_text(text.replace(f"Port {server.port}\n", f"Port {line.port}\n"))
    monkeypatch.setenv("OTWRAP_SSH_CONFIG", str(config))
    yield Far(line, tmp_path / "there" / "a b", config, server)
    line.close()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    """Return each of the means."""
    return str(request.param)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return the folder of a submission that was written some time ago."""
    folder = tmp_path / "here"
    write(folder, "submission.json", '{"id": "3f2a9c1e"}')
    write(folder, "jobs/001/script.sh", "#!/bin/sh\n").chmod(0o755)
    for name in ("records", "logs"):
        (folder / "jobs" / "001" / name).mkdir()
    for number in range(3):
        write(folder, f"point-{number:06d}/in.txt", str(number))
    (folder / "point-000000" / "mesh").symlink_to("../submission.json")
    return folder


def write(folder: Path, name: str, content: str | bytes, mtime: int = 1_700_000_000) -> Path:
    """Write a file, as if it had been some time ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (mtime, mtime))
    return path


def end(folder: Path, number: int, output: str | bytes = "42") -> None:
    """Have the run of a point end."""
    for name, content in (("out.txt", output), ("times.txt", "elapsed 1\n"), ("exit_code.txt", "0\n")):
        write(folder, f"point-{number:06d}/{name}", content)


def all_files(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def test_there_and_back(far: Far, here: Path, way: str) -> None:
    """Only what has changed goes there, only what has come goes back."""
    assert push(here, far.place, way=way) == (5, 31, way)
    assert push(here, far.place, way=way) == (0, 0, way)
    assert all_files(far.folder) == all_files(here)
    assert (far.folder / "jobs/001/logs").is_dir() and (far.folder / "point-000000/mesh").is_symlink()
    assert os.access(far.folder / "jobs/001/script.sh", os.X_OK)

    write(here, "point-000001/in.txt", "changed", 1_700_000_100)
    write(here, "point-000003/in.txt", "new")
    assert push(here, far.place, way=way) == (2, 10, way)
    assert (far.folder / "point-000001/in.txt").read_text() == "changed"

    end(far.folder, 1)
    write(far.folder, "point-000002/out.txt", "half")
    write(far.folder, "jobs/001/id", "77\n")
    write(far.folder, "jobs/001/records/1.rec", "line\n")
    write(far.folder, "submission.json", "{} ")
    assert pull(here, far.place, way=way, only=RESULTS) == (4, 20, way)
    assert not (here / "point-000001/exit_code.txt").exists()
    assert pull(here, far.place, way=way) == (1, 2, way)
    assert (here / "point-000001/exit_code.txt").exists() and not (here / "point-000002/out.txt").exists()
    assert (here / "submission.json").read_text() == '{"id": "3f2a9c1e"}'
    assert pull(here, far.place, way=way) == (0, 0, way)
    assert (here / "point-000001/out.txt").stat().st_mtime == 1_700_000_000
    write(far.folder, "submission.json", "{} ", 1_600_000_000)
    # A point whose outputs are here is theirs; ours is what was overwritten.
    assert push(here, far.place, way=way) == (1, 18, way)


def test_the_two_means_know_each_others_work(far: Far, here: Path) -> None:
    """What one of them has sent or brought, the other one does not move again."""
    push(here, far.place, way="rsync")
    end(far.folder, 1)
    assert push(here, far.place, way="sftp").files == 0
    pull(here, far.place, way="sftp")
    assert pull(here, far.place, way="rsync").files == 0 == push(here, far.place, way="rsync").files


def test_a_point_that_runs_again(far: Far, here: Path, way: str) -> None:
    """What a former run has left there is put aside, so that the point runs again."""
    push(here, far.place, way=way)
    for number in (1, 2):
        end(far.folder, number)
    pull(here, far.place, way=way)
    (here / "earlier").mkdir()
    (here / "point-000001").rename(here / "earlier" / "point-000001-1")
    write(here, "point-000001/in.txt", "again")
    (here / "earlier" / "point-000009-1").mkdir()
    for _ in range(2):
        push(here, far.place, way=way)
        assert all_files(far.folder / "point-000001") == ["in.txt"]
        assert (far.folder / "earlier" / "point-000001-1" / "out.txt").exists()
        assert not any((far.folder / "earlier" / "point-000009-1").iterdir())
    assert (far.folder / "point-000002" / "exit_code.txt").exists()


def test_push_goes_on_after_a_cut(far: Far, here: Path, way: str) -> None:
    """A line that is cut in the middle of a file: no half of it under its name, and not all of it again."""
    content = os.urandom(SIZE)
    write(here, "model.bin", content)
    far.line.breaks = [CUT]
    with pytest.raises(SchedulerError, match="what has gone over is kept: try again to go on"):
        push(here, far.place, way=way, tries=1)
    assert not (far.folder / "model.bin").exists()
    kept = kept_there(far, way)
    before = far.line.carried
    push(here, far.place, way=way)
    assert (far.folder / "model.bin").read_bytes() == content
    assert far.line.carried - before < SIZE - kept + BESIDE
    assert partial(far.folder) == 0


def test_pull_goes_on_after_a_cut(far: Far, here: Path, way: str) -> None:
    """The same on the way back; the point has not ended here before its output is whole."""
    push(here, far.place, way=way)
    content = os.urandom(SIZE)
    end(far.folder, 1, content)
    far.line.breaks = [CUT]
    with pytest.raises(SchedulerError, match="try again to go on"):
        pull(here, far.place, way=way, tries=1)
    assert not (here / "point-000001/out.txt").exists() and not (here / "point-000001/exit_code.txt").exists()
    kept, before = partial(here), far.line.carried
    assert kept > CUT - BESIDE
    pull(here, far.place, way=way)
    assert (here / "point-000001/out.txt").read_bytes() == content
    assert (here / "point-000001/exit_code.txt").exists()
    assert far.line.carried - before < SIZE - kept + BESIDE
    assert partial(here) == 0


def partial(folder: Path) -> int:
    """Return how many bytes there are of files that are not whole."""
    return sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file() and "/.otwrap-" in str(path)
    )


def kept_there(far: Far, way: str) -> int:
    """Wait until the other end has noticed that nobody is there any more; return how many bytes it has kept."""
    if way == "rsync":
        assert until(lambda: (far.folder / ".otwrap-part" / "model.bin").exists()), all_files(far.folder)
    kept = partial(far.folder)
    assert kept > CUT - BESIDE
    return kept


def test_one_call_outlives_some_breaks(
    far: Far, here: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on by itself, and says that it does."""
    content = os.urandom(SIZE)
    write(here, "model.bin", content)
    far.line.breaks = [5 * MB, 5 * MB]
    push(here, far.place, way=way)
    assert (far.folder / "model.bin").read_bytes() == content
    assert len(re.findall("otwrap: .*cluster.*; again in", capsys.readouterr().err)) == 2


def test_what_was_changed_meanwhile_is_not_mixed(far: Far, here: Path, way: str) -> None:
    """A file that is another one when its transfer goes on arrives as it is now."""
    write(here, "model.bin", os.urandom(SIZE))
    far.line.breaks = [CUT]
    with pytest.raises(SchedulerError):
        push(here, far.place, way=way, tries=1)
    kept_there(far, way)
    content = os.urandom(SIZE)
    write(here, "model.bin", content, 1_700_000_500)
    push(here, far.place, way=way)
    assert (far.folder / "model.bin").read_bytes() == content


KILLED = """
import sys
from otwrap.remote import push, pull
{call}(sys.argv[1], "cluster:" + sys.argv[2], way="{way}")
"""


@pytest.mark.parametrize("call", ["push", "pull"])
def test_a_driver_that_is_killed(far: Far, here: Path, way: str, call: str) -> None:
    """`kill -9` in the middle leaves no half file under its name, and the next call brings everything."""
    push(here, far.place, way=way)
    content = os.urandom(SIZE)
    if call == "push":
        target = far.folder / "model.bin"
        write(here, "model.bin", content)
    else:
        target = here / "point-000001/out.txt"
        end(far.folder, 1, content)
    far.line.hold_after(CUT)
    command = [sys.executable, "-c", KILLED.format(call=call, way=way), str(here), str(far.folder)]
    with subprocess.Popen(command, start_new_session=True) as driver:
        assert far.line.held.wait(60)
        assert not target.exists()
        os.killpg(driver.pid, signal.SIGKILL)
    far.line.go_on()
    far.line.cut()
    (push if call == "push" else pull)(here, far.place, way=way)
    assert target.read_bytes() == content
    assert partial(here) == 0


def test_records_that_grow(far: Far, here: Path, way: str) -> None:
    """What was added to records comes, and with rsync nothing else."""
    push(here, far.place, way=way)
    record = write(far.folder, "jobs/001/records/1.rec", b"x" * 99 + b"\n")
    with record.open("ab") as file:
        for _ in range(40_000):
            file.write(os.urandom(50).hex().encode() + b"\n")
    pull(here, far.place, way=way, only=RESULTS)
    with record.open("ab") as file:
        file.write(b"one more line\nand a part of")
    before = far.line.carried
    pull(here, far.place, way=way, only=RESULTS)
    assert (here / "jobs/001/records/1.rec").read_bytes() == record.read_bytes()
    if way == "rsync":
        assert far.line.carried - before < 0.5 * MB


@pytest.mark.parametrize("known", ["unknown", "another"])
def test_a_host_key_that_is_not_the_right_one(
    far: Far, here: Path, way: str, known: str, tmp_path: Path
) -> None:
    """An unknown host, or one with another key, gets nothing, also if the configuration would accept it."""
    hosts = tmp_path / "known_hosts"
    hosts.write_text("")
    if known == "another":
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
        hosts.write_text(f"[127.0.0.1]:{far.server.port} {(tmp_path / 'key.pub').read_text()}")
    text = far.config.read_text().replace(far.server.known_hosts, str(hosts))
    far.config.write_text(f"{text}    StrictHostKeyChecking no\n")
    with pytest.raises(SchedulerError, match="host key.*Nothing was sent.*by hand"):
        push(here, far.place, way=way)
    with pytest.raises(SchedulerError, match="host key.*Nothing was sent"):
        RemoteShell("cluster", str(far.folder)).run(["true"])
    assert not far.folder.exists()
    assert "accept" not in hosts.read_text() and hosts.read_text().count("\n") == (known == "another")


def test_sftp_never_goes_unchecked(far: Far, here: Path) -> None:
    """A configuration without known hosts, which asyncssh would take for leave not to look, is refused."""
    text = far.config.read_text().replace(far.server.known_hosts, "none")
    far.config.write_text(text.replace("GlobalKnownHostsFile /dev/null", "GlobalKnownHostsFile none"))
    with pytest.raises(SchedulerError, match="not known here"):
        push(here, far.place, way="sftp")
    assert not far.folder.exists()


def test_a_log_in_that_is_refused(far: Far, here: Path, way: str, tmp_path: Path) -> None:
    """Without the right key it is said what to do, and no password is asked for."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    far.config.write_text(far.config.read_text().replace(far.server.key, str(tmp_path / "key")))
    with pytest.raises(SchedulerError, match="cluster refuses the log-in.*ssh-copy-id"):
        push(here, far.place, way=way)


def test_a_key_with_a_passphrase(far: Far, here: Path, way: str, tmp_path: Path) -> None:
    """A key that is not in the agent cannot be used, and nothing waits for its passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", tmp_path / "key"], check=True)
    far.config.write_text(far.config.read_text().replace(far.server.key, str(tmp_path / "key")))
    with pytest.raises(SchedulerError, match="refuses the log-in|asyncssh cannot use"):
        push(here, far.place, way=way)


def test_nobody_answers(far: Far, here: Path, way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A host that is down is tried a few times, and then it is said which."""
    far.line.close()
    with pytest.raises(SchedulerError, match="no connection to cluster.*[Rr]efused.*3 times in a row"):
        push(here, far.place, way=way, tries=3)
    assert capsys.readouterr().err.count("again in") == 2


def test_a_host_that_does_not_exist(far: Far, here: Path, way: str) -> None:
    """A name that nobody knows is told at once."""
    with pytest.raises(SchedulerError, match=r"there is no host nowhere\.invalid"):
        push(here, "nowhere.invalid:x", way=way)


def test_a_folder_that_is_not_there(far: Far, here: Path, way: str) -> None:
    """There is nothing to be brought from where nothing was sent, be it a folder with other things."""
    with pytest.raises(SchedulerError, match="has no folder.*otwrap push"):
        pull(here, far.place, way=way)
    write(far.folder, "diary.txt", "private")
    with pytest.raises(SchedulerError, match="holds no submission.*nothing was brought"):
        pull(here, far.place, way=way)
    assert not (here / "diary.txt").exists()


def test_another_submission(far: Far, here: Path, way: str) -> None:
    """Two submissions do not share a directory."""
    write(far.folder, "submission.json", '{"id": "other"}')
    for call in (push, pull):
        with pytest.raises(SchedulerError, match=r"holds another submission \(other\)"):
            call(here, far.place, way=way)


def test_a_full_disk_there(far: Far, here: Path, way: str) -> None:
    """A disk that is full is told as such; with room, it goes on."""
    far.folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", far.folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        content = os.urandom(4 * MB)
        write(here, "model.bin", content)
        with pytest.raises(SchedulerError, match="there is no space left on cluster:.*make room"):
            push(here, far.place, way=way)
        assert not (far.folder / "model.bin").exists()
        subprocess.run(["mount", "-o", "remount,size=16m", far.folder], check=True)
        push(here, far.place, way=way)
        assert (far.folder / "model.bin").read_bytes() == content
    finally:
        assert until(lambda: subprocess.run(["umount", far.folder], check=False).returncode == 0)


def test_odd_names(far: Far, tmp_path: Path, way: str) -> None:
    """Names that shells, lists of files or other encodings do not bear go there and back."""
    here = tmp_path / "odd"
    write(here, "submission.json", "{}")
    for name in (
        "a'b",
        '"',
        "$HOME",
        "back\\slash",
        "new\nline",
        "été",
        "-rf",
        "#x\\#012y",
        " sp ",
        "a -> b",
        "*",
    ):
        write(here, f"files/{name}/{name}", name)
    (here / os.fsdecode(b"files/\xff")).write_text("no UTF-8")
    push(here, Place("cluster", f"{far.folder}/it's $HOME"), way=way)
    there = far.folder / "it's $HOME"
    back = tmp_path / "back"
    pull(back, Place("cluster", str(there)), way=way)
    for folder in (there, back):
        shutil.rmtree(folder / ".otwrap-tmp", ignore_errors=True)
        assert subprocess.run(["diff", "-r", here, folder], check=False).returncode == 0


def test_a_host_for_files_only(far: Far, here: Path, need: Callable[[bool, str], None]) -> None:
    """A host that runs no commands for us still takes files, by SFTP."""
    with sshd("ForceCommand internal-sftp") as server:
        assert push(here, far.place, ssh_config=server.config).way == "sftp"
        end(far.folder, 1)
        assert pull(here, far.place, ssh_config=server.config) == (3, 14, "sftp")
        with pytest.raises(SchedulerError):
            push(here, far.place, ssh_config=server.config, way="rsync")


def test_a_host_behind_another_one(far: Far, here: Path, way: str, tmp_path: Path) -> None:
    """Hosts that are reached by way of others, as the configuration says, are reached."""
    text = far.config.read_text()
    # ssh itself does not bear a space in the name of this file where it calls itself.
    config = tmp_path / "config"
    config.write_text(text + text.replace("Host cluster\n", "Host inner\n    ProxyJump cluster\n"))
    assert push(here, Place("inner", str(far.folder)), way=way, ssh_config=config).files == 5
    shell = RemoteShell("inner", str(far.folder), ssh_config=config)
    assert shell.run(["pwd"]).stdout == f"{far.folder}\n"


def test_rsync_comes_first(far: Far, here: Path) -> None:
    """Where both are there, it is rsync."""
    assert push(here, far.place).way == "rsync"


def test_in_a_notebook(far: Far, here: Path, way: str) -> None:
    """Where a loop of asyncio is running, both means work as well."""

    async def cell() -> int:
        return push(here, far.place, way=way).files

    assert asyncio.run(cell()) == 5


def test_what_cannot_travel(far: Far, here: Path, way: str) -> None:
    """Links to nothing, round and round, and pipes are left out, the rest comes."""
    push(here, far.place, way=way)
    end(far.folder, 1)
    (far.folder / "point-000001" / "scratch").symlink_to("/nowhere/at/all")
    (far.folder / "point-000001" / "round").symlink_to("round")
    os.mkfifo(far.folder / "point-000001" / "pipe")
    pull(here, far.place, way=way)
    assert (here / "point-000001" / "exit_code.txt").exists()


def test_commands_there(far: Far, here: Path) -> None:
    """A command runs in the folder that was sent, with a file of it as its input."""
    push(here, far.place)
    shell = RemoteShell("cluster", str(far.folder))
    ended = shell.run(
        ["sh", "-c", 'pwd; cat; echo "$1"; exit 7', "sh", "it's"], here, stdin="point-000002/in.txt"
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, f"{far.folder}\n2it's\n", "")
    with pytest.raises(SchedulerError, match="has no program 'no-such-program'"):
        shell.run(["no-such-program"])


def test_a_command_whose_line_is_cut(far: Far) -> None:
    """It is not taken for one that has ended."""
    far.line.breaks = [20_000]
    far.folder.mkdir(parents=True)
    with pytest.raises(SchedulerError, match="no connection to cluster"):
        RemoteShell("cluster", str(far.folder)).run(["sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxx; done"])
