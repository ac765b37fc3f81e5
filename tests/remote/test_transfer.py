"""There and back: what comes in which order, over lines that break, with a carrier that only copies files."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from otwrap import BackendUnavailable, SchedulerError
from otwrap.locks import FileLock
from otwrap.remote import RESULTS, THERE, Place, pull, push, transfer
from otwrap.remote._carrier import Carrier
from otwrap.remote._sides import Tree, is_result, tree_here
from otwrap.remote._ssh import LineBroken


class Copies(Carrier):
    """Copies files from folder to folder; the line breaks after so many files."""

    way = "copies"
    #: How many files each connection lasts for; the last one lasts.
    lasts: list[int] = []
    opened = 0

    def __init__(self, folder: Path, moved: dict[str, int]) -> None:
        super().__init__(moved)
        self.folder = folder
        self.left = Copies.lasts[Copies.opened] if Copies.opened < len(Copies.lasts) else 10**6
        Copies.opened += 1
        #: Called before anything is brought.
        self.before: Callable[[], None] | None = None

    def marks(self) -> Tree:
        aside = {path: entry for path, entry in self._everything().items() if path.startswith("earlier/")}
        return {path: entry for path, entry in tree_here(self.folder).items() if is_result(path)} | aside

    def _everything(self) -> Tree:
        earlier = self.folder / "earlier"
        return {
            f"earlier/{path}": entry
            for path, entry in (tree_here(earlier) if earlier.is_dir() else {}).items()
        }

    def tree(self) -> Tree:
        return tree_here(self.folder)

    def fetch(self, wanted: Tree, folder: Path, into: Path) -> None:
        for path in wanted:
            self._copy(path, self.folder, into)

    def send(self, folder: Path, tree: Tree, ours: Sequence[str], either: Sequence[str]) -> None:
        for path in (*ours, *either):
            self._copy(path, folder, self.folder)

    def _copy(self, path: str, source: Path, target: Path) -> None:
        if (source / path).is_dir():
            (target / path).mkdir(parents=True, exist_ok=True)
            return
        if self.left == 0:
            raise LineBroken("the line to far broke")
        self.left -= 1
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source / path, target / path)
        self.moved[path] = (target / path).stat().st_size

    def put_aside(self, runs: Sequence[str]) -> None:
        for run in runs:
            aside, point = self.folder / "earlier" / run, self.folder / run.rpartition("-")[0]
            aside.parent.mkdir(exist_ok=True)
            if not aside.exists():
                point.rename(aside) if point.exists() else aside.mkdir()

    def close(self) -> None:
        pass


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of ``far:there``."""
    folder = tmp_path / "there"
    folder.mkdir()
    monkeypatch.setattr(
        transfer, "opened", lambda way, here, place, config, moved, make: Copies(folder, moved)
    )
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    monkeypatch.setattr(Copies, "lasts", [])
    monkeypatch.setattr(Copies, "opened", 0)
    return folder


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Return the folder of a submission whose points a shell runs."""
    folder = tmp_path / "here"
    for number in range(3):
        write(folder, f"point-{number:06d}/in.txt", f"{number}")
    write(folder, "design.csv", "x\n")
    return folder


def write(folder: Path, name: str, text: str) -> None:
    """Write a file."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def end(folder: Path, number: int, output: str = "42") -> None:
    """Have the run of a point end."""
    write(folder, f"point-{number:06d}/out.txt", output)
    write(folder, f"point-{number:06d}/times.txt", "elapsed 1\n")
    write(folder, f"point-{number:06d}/exit_code.txt", "0\n")


def ended(folder: Path) -> list[int]:
    """Return the points that have ended, with their outputs; an exit code without output is an error."""
    found = sorted(folder.glob("point-*/exit_code.txt"))
    assert all((path.parent / "out.txt").exists() for path in found)
    return [int(path.parent.name[-6:]) for path in found]


def test_there_and_back(here: Path, there: Path) -> None:
    """What was sent comes back with what came of it; what comes is counted once."""
    assert push(here, "far:there") == (4, 5, "rsync")
    end(there, 1)
    write(there, "jobs/001/logs/1.txt", "log")
    assert pull(here, Place("far", "there")).files == 4
    assert ended(here) == [1]
    assert pull(here, "far:there").files == 0
    assert [path.name for path in here.iterdir() if path.name.startswith(".")] == []


def test_nothing_of_a_point_that_has_ended_is_sent(here: Path, there: Path, tmp_path: Path) -> None:
    """Outputs that were brought do not go back, not even to a folder that lacks them."""
    push(here, "far:there")
    end(there, 1)
    pull(here, "far:there")
    (there / "point-000001" / "out.txt").unlink()
    push(here, "far:there")
    assert not (there / "point-000001" / "out.txt").exists()


def test_results_alone_do_not_look_like_outputs(here: Path, there: Path) -> None:
    """A light pull brings records, and says which points have ended without pretending that their outputs are here."""
    end(there, 1)
    write(there, "jobs/001/records/1.rec", "line\n")
    write(there, "jobs/001/id", "7\n")
    write(there, "jobs/001/logs/1.txt", "log")
    pull(here, "far:there", only=RESULTS)
    assert ended(here) == []
    assert (here / THERE / "point-000001" / "exit_code.txt").read_text() == "0\n"
    assert (here / "jobs/001/records/1.rec").read_text() == "line\n" and (here / "jobs/001/id").exists()
    assert not (here / "jobs/001/logs").exists()
    assert pull(here, "far:there", only=RESULTS).files == 0
    pull(here, "far:there")
    assert ended(here) == [1] and not (here / THERE).exists()


def test_other_files_alone_do_not_look_like_outputs(here: Path, there: Path) -> None:
    """Who asks for a log only is not told that points have ended."""
    end(there, 1)
    write(there, "jobs/001/logs/1.txt", "log")
    pull(here, "far:there", only=["jobs/001/logs/1.txt"])
    assert ended(here) == [] and (here / "jobs/001/logs/1.txt").exists()
    pull(here, "far:there", exclude="point-*")
    assert ended(here) == []


@pytest.mark.parametrize("settings", [{"only": "point-*/out.txt"}, {"exclude": ["*.dat", "*/in.txt"]}])
def test_filters(here: Path, there: Path, settings: dict[str, object]) -> None:
    """What a filter leaves out stays there, and the points that it lets through have ended."""
    end(there, 1)
    write(there, "point-000001/field.dat", "x" * 100)
    pull(here, "far:there", **settings)
    assert ended(here) == [1] and not (here / "point-000001" / "field.dat").exists()
    pull(here, "far:there")
    assert (here / "point-000001" / "field.dat").exists()


def test_a_filter_of_outputs_lets_failed_points_through(here: Path, there: Path) -> None:
    """A point that failed has none of the outputs that are asked for, and has ended all the same."""
    write(there, "point-000001/exit_code.txt", "1\n")
    pull(here, "far:there", only="point-*/out.txt")
    assert (here / "point-000001" / "exit_code.txt").exists()


def test_unfinished_points(here: Path, there: Path) -> None:
    """What a point that runs has written comes only if it is asked for."""
    write(there, "point-000002/out.txt", "half")
    pull(here, "far:there")
    assert not (here / "point-000002" / "out.txt").exists()
    pull(here, "far:there", unfinished=True)
    assert (here / "point-000002" / "out.txt").read_text() == "half" and ended(here) == []


@pytest.mark.parametrize("lasts", range(12))
def test_exit_codes_come_last(
    here: Path, there: Path, lasts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever the line breaks for good, no exit code stands here without its outputs; the next call goes on."""
    for number in range(3):
        end(there, number)
    Copies.lasts = [lasts]
    if lasts < 9:
        with pytest.raises(SchedulerError, match="the line to far broke.*try again to go on"):
            pull(here, "far:there", tries=1)
    assert pull(here, "far:there").files <= 9 and ended(here) == [0, 1, 2]


def test_a_point_that_ends_meanwhile(here: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A point that ends while others are brought comes with the next call, not without its outputs."""
    end(there, 0)
    listed = Copies.marks

    def marks_then_end(self: Copies) -> Tree:
        found = listed(self)
        end(there, 1)
        return found

    monkeypatch.setattr(Copies, "marks", marks_then_end)
    pull(here, "far:there")
    assert ended(here) == [0]
    pull(here, "far:there")
    assert ended(here) == [0, 1]


def test_a_rerun_replaces_outputs_as_a_whole(here: Path, there: Path) -> None:
    """While outputs of a second run replace those of the first, the point has not ended."""
    end(there, 1)
    pull(here, "far:there")
    end(there, 1, "a longer output")
    write(there, "point-000001/exit_code.txt", "11\n")
    Copies.lasts, Copies.opened = [1], 0
    with pytest.raises(SchedulerError):
        pull(here, "far:there", tries=1)
    assert ended(here) == []
    pull(here, "far:there")
    assert ended(here) == [1] and (here / "point-000001" / "out.txt").read_text() == "a longer output"


def test_a_point_that_begins_again(here: Path, there: Path) -> None:
    """A point that was seen to have ended, and runs again since, has not ended."""
    end(there, 1)
    pull(here, "far:there", only=RESULTS)
    (there / "point-000001" / "exit_code.txt").unlink()
    pull(here, "far:there", only=RESULTS)
    assert not (here / THERE / "point-000001" / "exit_code.txt").exists()


def test_runs_that_were_put_aside(here: Path, there: Path) -> None:
    """A point that is to run again does so there too, and what its former run left is not taken for the new one's."""
    push(here, "far:there")
    end(there, 1)
    pull(here, "far:there")
    (here / "earlier").mkdir()
    (here / "point-000001").rename(here / "earlier" / "point-000001-1")
    write(here, "point-000001/in.txt", "again")
    pull(here, "far:there", unfinished=True)
    assert ended(here) == [] and not (here / "point-000001" / "out.txt").exists()
    push(here, "far:there")
    assert ended(there) == [] and (there / "point-000001" / "in.txt").read_text() == "again"
    assert (there / "earlier" / "point-000001-1" / "out.txt").exists()
    end(there, 1, "again")
    push(here, "far:there")
    pull(here, "far:there")
    assert ended(here) == [1] and (here / "point-000001" / "out.txt").read_text() == "again"


def test_the_first_id_counts(here: Path, there: Path) -> None:
    """The id that the batch system gave who submitted is not replaced."""
    write(there, "jobs/001/id", "7\n")
    pull(here, "far:there")
    write(there, "jobs/001/id", "8 other\n")
    pull(here, "far:there")
    assert (here / "jobs/001/id").read_text() == "7\n"


def test_records_never_shrink(here: Path, there: Path) -> None:
    """Records of a folder that was made anew there do not replace those that are here, and are brought once."""
    write(there, "jobs/001/records/1.rec", "one\ntwo\n")
    pull(here, "far:there")
    write(there, "jobs/001/records/1.rec", "other\n")
    assert pull(here, "far:there", only=RESULTS).files == 1
    assert pull(here, "far:there", only=RESULTS).files == 0
    assert {path.read_text() for path in (here / "jobs/001/records").iterdir()} == {"one\ntwo\n", "other\n"}


def test_a_line_that_breaks_often(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As long as something goes over, it is tried again, and it is said so."""
    Copies.lasts = [1] * 8
    for number in range(3):
        end(there, number)
    pull(here, "far:there", tries=2)
    assert ended(here) == [0, 1, 2]
    assert capsys.readouterr().err.count("otwrap: the line to far broke; again in 0 s\n") >= 6


def test_a_line_that_is_dead(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is tried so many times in a row and no more."""
    end(there, 1)
    Copies.lasts = [0] * 99
    with pytest.raises(SchedulerError, match="3 times in a row"):
        pull(here, "far:there", tries=3)
    assert Copies.opened == 3
    with pytest.raises(ValueError, match="tries=0"):
        push(here, "far:there", tries=0)


def test_files_that_cannot_be_read(here: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All others come, the point that misses one has not ended, and the error names it."""
    end(there, 0)
    end(there, 1)
    copied = Copies._copy

    def all_but_one(self: Copies, path: str, source: Path, target: Path) -> None:
        if path == "point-000001/out.txt":
            self.problems.append(f"{path}: permission denied")
        else:
            copied(self, path, source, target)

    monkeypatch.setattr(Copies, "_copy", all_but_one)
    with pytest.raises(SchedulerError, match="point-000001/out.txt: permission denied"):
        pull(here, "far:there")
    assert ended(here) == [0]


def test_one_transfer_at_a_time(here: Path, there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second transfer of a folder waits for the first one, and says so."""
    lock = FileLock(str(here / ".otwrap-lock"))
    assert lock.acquire()
    looks = 0

    def look(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 20:
            lock.release()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer.time, "sleep", look)
        pull(here, "far:there")
    assert looks == 20 and f"waiting for process {os.getpid()}" in capsys.readouterr().err


@pytest.mark.parametrize("settings", [{"only": [1]}, {"exclude": [None]}])
def test_patterns_are_texts(here: Path, settings: dict[str, object]) -> None:
    """What is no pattern is refused before anything moves."""
    with pytest.raises(TypeError, match="give patterns of paths"):
        pull(here, "far:there", **settings)


def test_what_is_wrong_before_anything_moves(tmp_path: Path) -> None:
    """A missing folder, a text without a host, an unknown means: each says what is accepted."""
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        push(tmp_path / "nothing", "far:there")
    with pytest.raises(ValueError, match="names no host"):
        push(tmp_path, "there")
    with pytest.raises(ValueError, match="accepted are 'rsync', 'sftp'"):
        push(tmp_path, "far:there", way="ftp")


def test_without_rsync_and_asyncssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is neither, it is said what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(BackendUnavailable, match=r"rsync.*pip install 'otwrap\[ssh\]'"):
        push(tmp_path, "far:there")


@pytest.fixture
def near(tmp_path: Path, fake_program: Callable[[str, str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the home folder of a host that an ssh leads to which only runs commands here, for the real rsync."""
    if shutil.which("rsync") is None:
        pytest.skip("there is no rsync")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.delenv("OTWRAP_SSH_CONFIG", raising=False)
    monkeypatch.setattr(transfer, "_PAUSE", 0.0)
    # Options, the host, and what it is to run: rsync gives that word by word.
    script = f"""
while :; do
    case $1 in -o|-F|-l) shift 2 ;; --) shift; break ;; -*) shift ;; *) break ;; esac
done
shift
cd {home}
exec sh -c "$*"
"""
    fake_program("ssh", script)
    return home


def test_names_that_shells_do_not_bear(odd_folder: Path, near: Path) -> None:
    """Any name of a folder or file goes there and back, and a file that can be executed still can."""
    for name in (
        "a'b",
        'q"',
        "$HOME",
        "back\\slash",
        "new\nline",
        "été",
        "-rf",
        "#x\\#012y",
        " sp ",
        "a -> b",
    ):
        write(odd_folder, f"files/{name}/{name}", name)
    write(odd_folder, "submission.json", "{}")
    write(odd_folder, "jobs/001/script.sh", "#!/bin/sh\n")
    (odd_folder / "jobs/001/script.sh").chmod(0o755)
    place = Place("cluster", f"runs/{odd_folder.name}")
    push(odd_folder, place, way="rsync")
    there = near / "runs" / odd_folder.name
    assert tree_here(there).keys() - {".otwrap-tmp"} == tree_here(odd_folder).keys()
    assert os.access(there / "jobs/001/script.sh", os.X_OK)
    back = odd_folder.with_name("back")
    pull(back, place, way="rsync")
    assert subprocess.run(["diff", "-r", odd_folder, back], check=False).returncode == 0


def test_changes_within_a_second_are_sent(here: Path, near: Path) -> None:
    """An input that is written again with the same length in the same second is not taken for the former one."""
    for name in ("design.csv", "point-000001/in.txt"):
        write(here, name, "1")
        os.utime(here / name, (1000, 1000))
    push(here, "cluster:runs", way="rsync")
    for name in ("design.csv", "point-000001/in.txt"):
        write(here, name, "2")
        os.utime(here / name, (1000, 1000))
    assert push(here, "cluster:runs", way="rsync").files == 2
    assert (near / "runs" / "point-000001" / "in.txt").read_text() == "2"


def test_another_submission_is_not_mixed_in(here: Path, near: Path, tmp_path: Path) -> None:
    """A directory that holds another submission is neither written to nor taken from."""
    write(here, "submission.json", '{"id": "one"}')
    other = tmp_path / "other"
    write(other, "submission.json", '{"id": "two"}')
    push(here, "cluster:runs", way="rsync")
    for call in (push, pull):
        with pytest.raises(SchedulerError, match=r"cluster:runs holds another submission \(one\).*\(two\)"):
            call(other, "cluster:runs", way="rsync")


def test_a_directory_that_is_not_there(here: Path, near: Path) -> None:
    """There is nothing to be brought from a directory that nothing was sent to."""
    with pytest.raises(SchedulerError, match=r"cluster has no folder 'nowhere'.*otwrap push"):
        pull(here, "cluster:nowhere", way="rsync")
    write(near, "file", "")
    with pytest.raises(SchedulerError, match=r"cluster:\. holds no submission.*nothing was brought"):
        pull(here, "cluster:~", way="rsync")
    assert not (here / "file").exists()
    with pytest.raises(SchedulerError, match="cannot be made"):
        push(here, "cluster:file/below", way="rsync")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ('echo "welcome to the cluster"; exec sh -c "$*"', "prints something at each log-in"),
        ('PATH="$PWD/bin"; exec sh -c "$*"', "has no rsync"),
        ('echo "This service allows sftp connections only."; exit 1', "runs no commands"),
    ],
)
def test_where_rsync_cannot_be_used(
    here: Path, near: Path, script: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where rsync cannot work there, SFTP is next, and if that is missing too, both reasons are told."""
    (near / "bin").mkdir()
    for name in ("sh", "mkdir", "cat"):
        (near / "bin" / name).symlink_to(shutil.which(name) or "")
    ssh = near.parent / "bin" / "ssh"
    ssh.write_text(ssh.read_text().replace('exec sh -c "$*"', script))
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(BackendUnavailable, match=f"{reason}.*pip install"):
        push(here, "cluster:runs")
